"""Ascent from a random start, of the regularized problem or on spheres: the way, and where it ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mcr2_landscape import closed_form
from mcr2_landscape.study.tasks.problems import problem as regularized_problem
from mcr2_landscape.study.tasks.problems import thinned
from mcr2_landscape.study.tasks.spheres import BestOrthogonal, best_orthogonal, on_spheres
from mcr2_landscape.validation import InputError, positive_integer, positive_real
from mcr2_landscape.verdict import Kind

if TYPE_CHECKING:
    from mcr2_landscape.closed_form import Parameters
    from mcr2_landscape.landscape.classify import CriticalPoint

# Root mean square of the entries of √α Z below which an end is zero: beside zero the gradient is −λZ, as small as Z itself.
_ZERO = 1e-9
# Singular values below this share of the largest one are zero: at an end of small gradient they are of its size.
_RANK = 1e-6
_SAME_VALUE = 1e-9


@dataclass(frozen=True)
class Ascended:
    """One ascent.

    **Fields:** `regularization` (missing on spheres), `alpha`. `outcome`: "global maximizer", "local maximizer" (a lower one),
    "zero" (collapsed, whether or not that is the global maximizer), "strict saddle", "degenerate", "undecided" (the end is too
    blurred for a kind), "not converged", or "above the maximum", which would be a contradiction; `reason` in words. Where the
    maximum is not proved, no end is called a global maximizer: a local maximizer of that value is "best orthogonal value", and
    any end above it "above the best orthogonal value", which would contradict nothing. `end_kind` and `end_index` are those of
    the classified end, `family` its label (missing where theory lists none, and on spheres).

    `start_value` and `value` of the objective (F; on spheres ΔR). `maximum`: the global maximum in closed form. On spheres it
    is the largest value of points with orthogonal blocks and equal singular values, which is the global maximum where
    `maximum_proved`: where Σ min(m_k, d) ≤ d. `gap`: maximum less value, negative where something higher was found.
    `maximum_ranks`: of one point of that value.

    At the end: `ranks` of the classes, `singular_values` of each, `coherence`, the largest cosine between columns spaces of two
    classes, `rate_reduction` ΔR(Z), and `rate_reduction_on_spheres`, ΔR with each class scaled to ‖Z_k‖² = m_k (missing where
    a class is zero), in which both problems can be compared. `relative_gradient_norm`; `num_gradients` spent.

    Lists along the way, one entry for each recorded point: `history_gradients` (gradients evaluated so far), `history_value`,
    `history_gradient_norm`, `history_singular_values` (of each class, descending). Arrays, where they are asked for:
    `gram_start` and `gram_end`, |ZᵀZ| with each column of Z divided by its length.
    """

    alpha: float
    regularization: float | None
    outcome: str
    reason: str
    end_kind: str
    end_index: int | None
    family: str | None
    start_value: float
    value: float
    maximum: float
    maximum_proved: bool
    maximum_ranks: tuple[int, ...]
    gap: float
    ranks: tuple[int, ...]
    singular_values: tuple[tuple[float, ...], ...]
    coherence: float
    rate_reduction: float
    rate_reduction_on_spheres: float | None
    relative_gradient_norm: float
    num_gradients: int
    history_gradients: tuple[int, ...]
    history_value: tuple[float, ...]
    history_gradient_norm: tuple[float, ...]
    history_singular_values: tuple[tuple[tuple[float, ...], ...], ...]
    gram_start: np.ndarray | None
    gram_end: np.ndarray | None


def ascend(
    *,
    dim: int,
    sizes: tuple[int, ...],
    epsilon: float = 0.5,
    problem: Literal["regularized", "spheres"] = "regularized",
    relative_regularization: float,
    scale: float = 1.0,
    rtol: float = 1e-13,
    max_steps: int = 10_000,
    num_recorded: int = 50,
    gram: bool = False,
    seed: int,
) -> Ascended:
    """Climb from a start with independent normal entries, those of √α Z of standard deviation `scale`.

    **Arguments:** `problem`: maximize F, or ΔR on the spheres ‖Z_k‖² = m_k (to which the start is scaled). There is no λ on
    spheres: `relative_regularization` has to be 0 there. `rtol`: relative gradient norm to reach; ascent also stops where it
    gets no further, at the gradient's precision. `num_recorded`: points of the way to keep. `gram`: keep the Gram matrices of
    start and end.

    **Raises:** `InputError` for numbers out of range.
    """
    from mcr2_landscape.landscape import ascend as climb
    from mcr2_landscape.landscape import classify

    num_recorded = positive_integer("num_recorded", num_recorded, minimum=2)
    where = _landscape(dim, sizes, epsilon, problem, relative_regularization)
    p: Parameters = where.parameters
    start = np.random.default_rng(seed).standard_normal(where.shape) * (positive_real("scale", scale) / np.sqrt(p.alpha))
    if problem == "spheres":
        start = on_spheres(p, start)

    def spectra(Z: np.ndarray) -> list[np.ndarray]:
        return [np.linalg.svd(block, compute_uv=False) for block in p.blocks(Z)]

    result = climb(
        where,
        start,
        rtol=rtol,
        max_steps=max_steps,
        measure={
            "gradient_norm": lambda Z: np.linalg.norm(where.evaluate(Z)[1]),
            "singular_values": lambda Z: np.concatenate(spectra(Z)),
        },
    )
    Z = result.point
    if problem == "regularized" and float(np.sqrt(p.alpha * np.mean(Z**2))) < _ZERO:
        Z = np.zeros(where.shape)
    end = classify(where, Z)
    value = end.value
    maximum, ranks, proved = _sphere_maximum(p) if problem == "spheres" else _maximum(where)
    gap = maximum - value
    values = spectra(Z)
    largest = max(float(own[0]) for own in values)
    history = result.history
    places = thinned(len(history["value"]), num_recorded)
    cuts = np.cumsum([len(own) for own in values])[:-1]
    spheres = None if any(own[0] <= _RANK * largest for own in values) else on_spheres(p, Z)
    converged = end.kind is not Kind.NOT_CRITICAL
    return Ascended(
        alpha=p.alpha,
        regularization=None if problem == "spheres" else p.regularization,
        outcome=_outcome(end, gap, Z, proved=proved),
        reason=end.reason if converged else result.reason,
        end_kind=str(end.kind),
        end_index=end.index,
        family=end.family,
        start_value=float(history["value"][0]),
        value=value,
        maximum=maximum,
        maximum_proved=proved,
        maximum_ranks=ranks,
        gap=gap,
        ranks=tuple(int((own > _RANK * largest).sum()) if largest else 0 for own in values),
        singular_values=tuple(tuple(own.tolist()) for own in values),
        coherence=_coherence(p, Z, largest),
        rate_reduction=closed_form.value(p, Z, regularized=False),
        rate_reduction_on_spheres=None if spheres is None else closed_form.value(p, spheres, regularized=False),
        relative_gradient_norm=end.relative_gradient_norm,
        num_gradients=result.num_gradients,
        history_gradients=tuple(history["gradients"][places].tolist()),
        history_value=tuple(history["value"][places].tolist()),
        history_gradient_norm=tuple(history["gradient_norm"][places].tolist()),
        history_singular_values=tuple(
            tuple(tuple(own.tolist()) for own in np.split(row, cuts)) for row in history["singular_values"][places]
        ),
        gram_start=_gram(start) if gram else None,
        gram_end=_gram(Z) if gram else None,
    )


def _landscape(dim: int, sizes: tuple[int, ...], epsilon: float, problem: str, relative_regularization: float) -> Any:
    if problem == "regularized":
        return regularized_problem(dim, sizes, epsilon, relative_regularization)
    from mcr2_landscape.mcr2 import ConstrainedMCR2

    if relative_regularization != 0:
        raise InputError(
            f"relative_regularization: found {relative_regularization:g}; pass 0 on spheres, where nothing is regularized"
        )
    return ConstrainedMCR2(dim, sizes, epsilon)


def _outcome(end: CriticalPoint, gap: float, Z: np.ndarray, *, proved: bool) -> str:
    same = _SAME_VALUE * (1 + abs(end.value))
    if gap < -same:
        return "above the maximum" if proved else "above the best orthogonal value"
    if end.kind is Kind.NOT_CRITICAL:
        return "not converged"
    if end.kind is Kind.LOCAL_MAXIMIZER and not Z.any():
        return "zero"
    if end.kind is Kind.LOCAL_MAXIMIZER and gap <= same:
        return "global maximizer" if proved else "best orthogonal value"
    return str(end.kind)


def _maximum(where: Any) -> tuple[float, tuple[int, ...], bool]:
    best = where.global_maximum()
    return best.value, tuple(best.family.ranks), True


def _sphere_maximum(p: Parameters) -> BestOrthogonal:
    best = best_orthogonal(p)
    if best is None:
        raise InputError(f"dim: found {p.dim} for {p.num_classes} classes; on spheres pass at least one dimension a class")
    return best


def _coherence(p: Parameters, Z: np.ndarray, largest: float) -> float:
    bases = []
    for block in p.blocks(Z):
        U, s, _ = np.linalg.svd(block, full_matrices=False)
        bases.append(U[:, s > _RANK * largest])
    cosines = [np.linalg.norm(a.T @ b, 2) for i, a in enumerate(bases) for b in bases[:i] if a.shape[1] and b.shape[1]]
    return float(max(cosines, default=0.0))


def _gram(Z: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(Z, axis=0)
    unit = Z / np.where(lengths > 0, lengths, 1.0)
    return np.abs(unit.T @ unit).astype(np.float32)  # for a picture
