"""How fast fixed-step ascent approaches a maximizer, or leaves a strict saddle, against the spectrum in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mcr2_landscape import closed_form
from mcr2_landscape.catalog import orthogonal_family
from mcr2_landscape.study.tasks.problems import parameters, thinned
from mcr2_landscape.validation import InputError, positive_integer, positive_real
from mcr2_landscape.verdict import Kind

if TYPE_CHECKING:
    from mcr2_landscape.catalog import Family

# The start is displaced this far from a maximizer, relative to its norm, half of it in a random direction of the eigenspace
# that decides: it may be one direction of many, and the others would take long to die out. The gradient is then followed down
# to a share of its first norm that is well above rounding.
_NEAR, _FALL = 1e-4, 1e-9
# From a saddle: displaced at random by so little, and followed until the distance along the steepest directions is this, both
# relative to its norm. What is not linear is of the size of the latter.
_BESIDE, _LEFT = 1e-10, 1e-6
_FEWEST = 8  # steps in the window: with fewer there is no measurement
_LARGEST = 1500  # unknowns: eigenspaces come from a dense matrix


@dataclass(frozen=True)
class Rates:
    """A measured factor, and the one that the exact spectrum predicts.

    **Fields:** `regularization`; `family`, the label; `measures`: "approach" (of a maximizer: the gradient norm's factor a
    step, predicted as the largest |1 − ηκ| over non-zero eigenvalues κ) or "escape" (from a saddle: the factor of the distance
    along the steepest directions, predicted as 1 + ηκ with the largest κ). `step`: η. `top_eigenvalue`, `bottom_eigenvalue`,
    `slow_eigenvalue`: the largest, the smallest, and the κ that decides. `predicted`; `next_predicted`, the factor that comes
    next, whose part takes (next/first)^n to die out (missing where there is none).

    `measured`: the factor, fitted to the logarithms over a window of `window` out of `num_steps` steps, missing where that is
    too short. `uncertainty`: of the logarithm of `measured`, the largest of the fit's standard error, half the difference
    between the two halves of the window, and the most that other directions that have not died out can do to it.
    `relative_error`: |log measured / log predicted − 1|; `relative_uncertainty`: the uncertainty over |log predicted|.
    `agreement`: "yes" if error and uncertainty are both within the tolerance; "no" if three uncertainties do not explain what
    the error has beyond it; else "undecided".

    `history_step` and `history_size`: the gradient norm, or the distance, along the way.
    """

    regularization: float
    family: str
    measures: str
    step: float
    top_eigenvalue: float
    bottom_eigenvalue: float
    slow_eigenvalue: float
    predicted: float
    next_predicted: float | None
    measured: float | None
    uncertainty: float | None
    relative_error: float | None
    relative_uncertainty: float | None
    window: int
    num_steps: int
    agreement: str
    history_step: tuple[int, ...]
    history_size: tuple[float, ...]


def rates(
    *,
    dim: int,
    sizes: tuple[int, ...],
    epsilon: float = 0.5,
    relative_regularization: float,
    large: tuple[int, ...],
    small: tuple[int, ...] = (),
    relative_step: float = 0.9,
    tolerance: float = 0.01,
    max_steps: int = 50_000,
    num_recorded: int = 60,
    seed: int,
) -> Rates:
    """Measure at a random member of the orthogonal family with these ranks, a maximizer where `small` is all zero.

    **Arguments:** `relative_step`: η as a multiple of 1/max|κ|; below 2, for ascent to approach a maximizer. `tolerance`: how
    far the logarithms of the factors may differ, relatively.

    **Raises:** `InputError` for numbers out of range, ranks that do not fit, Z = 0, or a degenerate family.
    """
    p = parameters(dim, sizes, epsilon, relative_regularization)
    max_steps = positive_integer("max_steps", max_steps)
    family = orthogonal_family(p, large=list(large), small=list(small or (0,) * len(sizes)))
    if (unknowns := p.dim * p.num_samples) > _LARGEST:
        raise InputError(f"dim, sizes: found {unknowns} unknowns; rates are measured with at most {_LARGEST}")
    if family.kind is Kind.DEGENERATE or family.rank == 0:
        raise InputError(f"large, small: found the family {family.label} ({family.kind}); pass a maximizer or saddle, not zero")
    eigenvalues = family.spectrum().eigenvalues
    nonzero = eigenvalues[eigenvalues != 0]
    step = positive_real("relative_step", relative_step) / float(np.abs(nonzero).max())
    random = np.random.default_rng(seed)
    if family.index:
        factors = 1 + step * np.sort(nonzero[nonzero > 0])[::-1]
        deciding = float(nonzero.max())
        seen, others = _escape(family, deciding, step, random, max_steps), None
    else:
        if relative_step >= 2:
            raise InputError(f"relative_step: found {relative_step:g}; ascent approaches a maximizer below 2")
        contraction = np.abs(1 + step * nonzero)
        deciding = float(nonzero[np.argmax(contraction)])
        factors = np.unique(contraction)[::-1]
        seen, others = _approach(family, deciding, step, random, max_steps)
    # The last part: what the start has of other directions is least there.
    window = seen[len(seen) // 2 :]
    predicted = float(factors[0])
    # Factors that differ by rounding are one.
    following = next((float(factor) for factor in factors if factor < predicted * (1 - 1e-9)), None)
    log, uncertainty = _slope(np.log(window)) if len(window) >= _FEWEST else (None, None)
    if uncertainty is not None and others is not None:
        # They die out faster, so that half the logarithm of 1 + others falls to zero at most. A line fitted to a curve that
        # falls by so much over so many steps is steepest, 3/2 of that fall a window, where all of it falls in the middle.
        uncertainty = max(uncertainty, 1.5 * 0.5 * float(np.log1p(others[len(seen) // 2])) / len(window))
    error = None if log is None else abs(log / float(np.log(predicted)) - 1)
    doubt = None if uncertainty is None else uncertainty / abs(float(np.log(predicted)))
    places = thinned(len(seen), positive_integer("num_recorded", num_recorded, minimum=2))
    return Rates(
        regularization=p.regularization,
        family=family.label,
        measures="escape" if family.index else "approach",
        step=step,
        top_eigenvalue=float(eigenvalues[-1]),
        bottom_eigenvalue=float(eigenvalues[0]),
        slow_eigenvalue=deciding,
        predicted=predicted,
        next_predicted=following,
        measured=None if log is None else float(np.exp(log)),
        uncertainty=uncertainty,
        relative_error=error,
        relative_uncertainty=doubt,
        window=len(window),
        num_steps=len(seen) - 1,
        agreement=_agreement(error, doubt, tolerance),
        history_step=tuple(places.tolist()),
        history_size=tuple(float(seen[place]) for place in places),
    )


def _approach(
    family: Family, deciding: float, step: float, random: np.random.Generator, max_steps: int
) -> tuple[list[float], list[float]]:
    """Gradient norms of ascent from near a maximizer; and the squared norm of the gradient's part outside of the deciding
    eigenspace, over that of the part within."""
    p, Z = family.parameters, family.point(key=random)
    space = _eigenspace(family, Z, deciding)
    within = (space @ random.standard_normal(space.shape[1])).reshape(Z.shape)
    Z = Z + 0.5 * _NEAR * float(np.linalg.norm(Z)) * (_unit(within) + _unit(random.standard_normal(Z.shape)))
    norms: list[float] = []
    others: list[float] = []
    while len(norms) <= max_steps:
        gradient = closed_form.gradient(p, Z)
        norms.append(float(np.linalg.norm(gradient)))
        part = float(np.linalg.norm(space.T @ gradient.ravel()))
        others.append(max(0.0, (norms[-1] / part) ** 2 - 1) if part else np.inf)
        if norms[-1] <= _FALL * norms[0]:
            break
        Z = Z + step * gradient
    return norms, others


def _escape(family: Family, deciding: float, step: float, random: np.random.Generator, max_steps: int) -> list[float]:
    """Distances along the steepest directions of ascent from beside a saddle; a generic start has a part of all directions."""
    p, start = family.parameters, family.point(key=random)
    steepest = _eigenspace(family, start, deciding)
    norm = float(np.linalg.norm(start))
    moved = _BESIDE * norm * _unit(random.standard_normal(start.shape))
    distances: list[float] = []
    while len(distances) <= max_steps:
        distances.append(float(np.linalg.norm(steepest.T @ moved.ravel())))
        if distances[-1] >= _LEFT * norm:
            break
        moved = moved + step * closed_form.gradient(p, start + moved)
    return distances


def _eigenspace(family: Family, Z: np.ndarray, eigenvalue: float) -> np.ndarray:
    """Orthonormal columns that span the eigenspace of the measured Hessian at Z of the eigenvalue nearest to the predicted."""
    values, vectors = np.linalg.eigh(closed_form.hessian_matrix(family.parameters, Z))
    nearest = values[np.argmin(np.abs(values - eigenvalue))]
    return vectors[:, np.abs(values - nearest) <= 1e-6 * np.abs(values).max()]


def _unit(array: np.ndarray) -> np.ndarray:
    return array / float(np.linalg.norm(array))


def _slope(logs: np.ndarray) -> tuple[float, float]:
    """The slope of a line through the numbers, and how well it is known."""
    middle = len(logs) // 2
    slope, error = _line(logs)
    return slope, max(error, 0.5 * abs(_line(logs[:middle])[0] - _line(logs[middle:])[0]))


def _line(logs: np.ndarray) -> tuple[float, float]:
    """Least squares: slope and standard error."""
    x = np.arange(len(logs)) - 0.5 * (len(logs) - 1)
    slope = float(x @ logs / (x @ x))
    rest = logs - logs.mean() - slope * x
    return slope, float(np.sqrt(rest @ rest / max(1, len(logs) - 2) / (x @ x)))


def _agreement(error: float | None, doubt: float | None, tolerance: float) -> str:
    if error is None or doubt is None:
        return "undecided"
    if error <= tolerance and doubt <= tolerance:
        return "yes"
    return "no" if error - 3 * doubt > tolerance else "undecided"
