"""Who the global maximizers are at one λ: by exhaustion, as the printed theorem says, and as the corrected one does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mcr2_landscape import catalog
from mcr2_landscape.closed_form import Parameters
from mcr2_landscape.study.tasks.problems import finite, parameters


@dataclass(frozen=True)
class Phase:
    """One point of the phase diagram.

    **Fields:** `alpha`, `regularization` and its limit λ_max. One entry a class: `ratios` ρ_k = m/m_k, `existence_thresholds`
    λ_k, `value_thresholds` λ_k°, `small_roots` and `large_roots` (squared singular values; missing above λ_k), and
    `large_values`, what a direction at the large root adds to F.

    `maximum`: the largest value of all orthogonal families, found by going through all numbers of directions of each class
    (with `maximum_ranks` one choice that attains it); it uses neither theorem. `tolerance`: differences of values up to this
    are rounding.

    `printed_ranks`: directions that the printed theorem gives to each class, one choice where classes of equal size can be
    exchanged, with `printed_value`; missing beyond λ_max, where it says nothing. `printed_gap`: how far below the maximum that
    is. `printed_verdict`: "holds" or "fails"; "undecided" where a direction in question adds less than the tolerance; "silent"
    beyond λ_max. `corrected_ranks`, `corrected_value`, `corrected_gap` and `corrected_verdict` are the same of the corrected
    theorem, and `corrected_unique` says whether all maximizers are rotations of each other.

    `failure_predicted`: the corrected theorem says that the printed one fails here, because a class that it has to use is above
    its value threshold (missing beyond λ_max). `prediction`: "right", "wrong", "undecided" or "silent".
    """

    alpha: float
    regularization: float
    regularization_limit: float
    ratios: tuple[float, ...]
    existence_thresholds: tuple[float, ...]
    value_thresholds: tuple[float, ...]
    small_roots: tuple[float | None, ...]
    large_roots: tuple[float | None, ...]
    large_values: tuple[float | None, ...]
    maximum: float
    maximum_ranks: tuple[int, ...]
    tolerance: float
    printed_ranks: tuple[int, ...] | None
    printed_value: float | None
    printed_gap: float | None
    printed_verdict: str
    corrected_ranks: tuple[int, ...]
    corrected_value: float
    corrected_gap: float
    corrected_verdict: str
    corrected_unique: bool
    failure_predicted: bool | None
    prediction: str


def phase(*, dim: int, sizes: tuple[int, ...], epsilon: float = 0.5, relative_regularization: float) -> Phase:
    """Compare the theorems with the maximum at one λ, given relative to λ_max.

    **Raises:** `InputError` for numbers out of range.
    """
    p = parameters(dim, sizes, epsilon, relative_regularization)
    limits, roots = catalog.thresholds(p), catalog.roots(p)
    limit = float(limits.existence.min())
    heights, sensitivity = _heights(p)
    maximum, ranks = _exhaust(p, heights)
    tolerance = sensitivity * p.dim
    in_question = bool(np.any(np.abs(heights[np.isfinite(heights)]) <= sensitivity))

    def verdict(gap: float) -> str:
        return "fails" if gap > tolerance else "undecided" if in_question or gap < -tolerance else "holds"

    printed = _printed_ranks(p) if p.regularization <= limit else None
    printed_value = None if printed is None else catalog.orthogonal_family(p, large=list(printed)).value
    printed_gap = None if printed_value is None else maximum - printed_value
    printed_verdict = "silent" if printed_gap is None else verdict(printed_gap)
    best = catalog.global_maximum(p)
    predicted = None if printed is None else _must_fail(p, limits.value)
    if predicted is None or printed_verdict == "undecided":
        prediction = "silent" if predicted is None else "undecided"
    else:
        prediction = "right" if predicted == (printed_verdict == "fails") else "wrong"
    return Phase(
        alpha=p.alpha,
        regularization=p.regularization,
        regularization_limit=limit,
        ratios=tuple(p.ratios.tolist()),
        existence_thresholds=tuple(limits.existence.tolist()),
        value_thresholds=tuple(limits.value.tolist()),
        small_roots=finite(roots[:, 0]),
        large_roots=finite(roots[:, 1]),
        large_values=finite(heights),
        maximum=maximum,
        maximum_ranks=ranks,
        tolerance=tolerance,
        printed_ranks=printed,
        printed_value=printed_value,
        printed_gap=printed_gap,
        printed_verdict=printed_verdict,
        corrected_ranks=tuple(best.family.ranks),
        corrected_value=best.value,
        corrected_gap=maximum - best.value,
        corrected_verdict=verdict(maximum - best.value),
        corrected_unique=best.unique,
        failure_predicted=predicted,
        prediction=prediction,
    )


def _heights(p: Parameters) -> tuple[np.ndarray, float]:
    """What a direction of each class adds to F at its large root (NaN without one), from the objective's own formula at roots
    of the quadratic that NumPy finds; and how well that is known. The small root, between F = 0 and the minimum, adds less."""
    heights, size = np.full(p.num_classes, np.nan), 0.0
    for k, rho in enumerate(p.ratios):
        found = np.roots([p.ell * rho, -(rho - 1 - p.ell * (1 + rho)), p.ell])
        # At the threshold the two roots are one, which rounding may make a complex pair.
        found = found[np.abs(found.imag) <= 1e-6 * np.abs(found)].real
        if not (found > 0).any():
            continue
        s = float(found.max())
        terms = np.array([np.log1p(s), -np.log1p(rho * s) / rho, -p.ell * s])
        heights[k] = 0.5 * terms.sum()
        size = max(size, float(np.abs(terms).sum()))
    return heights, 64 * float(np.finfo(np.float64).eps) * size


def _exhaust(p: Parameters, heights: np.ndarray) -> tuple[float, tuple[int, ...]]:
    """The largest Σ r_k h_k over all r_k ≤ min(m_k, d) with Σ r_k ≤ d, and ranks that attain it: class after class, the best
    for every number of dimensions left."""
    values, chosen = np.zeros(p.dim + 1), np.zeros((p.dim + 1, p.num_classes), dtype=int)
    for k, height in enumerate(heights):
        before, ranks_before = values.copy(), chosen.copy()
        if np.isnan(height):
            continue
        for room in range(p.dim + 1):
            for rank in range(1, min(p.sizes[k], room) + 1):
                value = before[room - rank] + rank * height
                if value > values[room]:
                    values[room] = value
                    chosen[room] = ranks_before[room - rank]
                    chosen[room, k] = rank
    return float(values[p.dim]), tuple(chosen[p.dim].tolist())


def _printed_ranks(p: Parameters) -> tuple[int, ...]:
    """Σ r_k = min(m, d), and a class that is used has every strictly smaller class full."""
    ranks, left = [0] * p.num_classes, min(p.num_samples, p.dim)
    for k in sorted(range(p.num_classes), key=lambda k: p.sizes[k]):
        ranks[k] = min(p.sizes[k], left)
        left -= ranks[k]
    return tuple(ranks)


def _must_fail(p: Parameters, value_thresholds: Sequence[float] | np.ndarray) -> bool:
    """Whether a class that has to be given directions, d being larger than all strictly smaller classes together, costs more
    than it gives."""
    return any(
        p.regularization > value_thresholds[k] and p.dim > sum(other for other in p.sizes if other < size)
        for k, size in enumerate(p.sizes)
    )
