"""How many dimensions a manifold has: quadratics around some of its points, and distances to neighbors. NumPy, float64."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mcr2_landscape.flatnet.kernels import num_features
from mcr2_landscape.flatnet.local import RIDGE, refine
from mcr2_landscape.flatnet.scaling import scaled
from mcr2_landscape.randomness import generator
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, float64_matrix, positive_integer, positive_real

_CENTERS = 9
_POINTS = 3.0  # by weight, for each coefficient
_TOLERANCE = 0.3
_RANK = 1e-8  # of the greatest singular value
_STEPS = 2  # of the tangent space's refinement


@dataclass(frozen=True)
class DimensionEstimate(Record):
    """The intrinsic dimension, and what speaks for it.

    **Fields:** `dimension`; `candidates`, the dimensions tried, 1, 2, …; `unexplained`, for each: the standard deviation in the
    direction that the quadratic over d directions explains worst, divided by that in the last of the d directions, the median
    over centers. Where a direction of the manifold was left out it is about one, where none was it is what the cubic terms and
    noise are; `votes`, how many of the `centers` find each candidate; `tolerance`: what counts as explained; `neighbors`, the
    estimate by the two nearest neighbors; `rule`, which of the two decided, "quadratics" where most centers agree and
    "neighbors" otherwise.
    """

    dimension: int
    rule: str
    neighbors: float
    candidates: tuple[int, ...]
    unexplained: np.ndarray = field(repr=False)
    votes: tuple[int, ...]
    centers: int
    tolerance: float

    _derived = ("agreement",)

    @property
    def agreement(self) -> float:
        """The part of the centers that vote for the dimension."""
        return self.votes[self.dimension - 1] / self.centers if self.dimension <= len(self.votes) else 0.0


def estimate_dimension(
    points: Any, *, key: Any, most: int | None = None, centers: int = _CENTERS, tolerance: float = _TOLERANCE
) -> DimensionEstimate:
    """The smallest d for which most centers find everything beyond d directions explained by their quadratic.

    Around each of some random centers, for d = 1, 2, …, the smallest radius is taken that covers three points by weight for
    each of the 1 + d + d(d + 1)/2 coefficients, and twice as many; tangent space and quadratic are fitted as for a layer, and
    the worst explained direction is compared with the last tangent direction (see `DimensionEstimate`), by generalized
    cross-validation. In many dimensions quadratics take more points than there are; where no candidate below the rank of the
    points has half of the votes, the estimate is N/Σ log(r_2/r_1), rounded, with the distances r_1 and r_2 to a point's two
    nearest neighbors (Facco, d'Errico, Rodriguez and Laio 2017, the likelihood's maximum): little biased, but noise and even
    spacing mislead it.

    This is not the public code's rule, which compares the greatest error with 0.3 · 0.15 diameters: in many dimensions hardly
    any point lies so near, and the rule says 1.

    **Arguments:** `points`, (N, D), of any scale; `key`: a JAX key, an integer seed or a NumPy generator; `most`: the greatest
    d to try; `centers`; `tolerance`, between 0 and 1.

    **Raises:** `InputError` for numbers out of range, NaN, fewer than three points, or points that are all the same.
    """
    points = float64_matrix("points", points, (None, None), refuse_float32=False)
    count, dim = points.shape
    if count < 3:
        raise InputError(f"points: found {count}; a dimension takes at least three")
    if not positive_real("tolerance", tolerance) < 1:
        raise InputError(f"tolerance: found {tolerance:g}; pass a number between 0 and 1")
    points = scaled(points)
    greatest = dim if most is None else min(dim, positive_integer("most", most))
    random = generator(key)
    chosen = points[random.choice(count, min(count, positive_integer("centers", centers)), replace=False)]
    values = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    rank = max(1, int(np.sum(values > _RANK * values[0])))
    neighbors = min(two_nearest(points), float(rank))
    table, votes = [], []
    waiting = np.full(len(chosen), True)
    for d in range(1, greatest + 1):
        # Another direction needs points around a center; far beyond what the neighbors say there is nothing to find.
        if d > 1 and (4 * _POINTS * num_features(d) > count or d > max(4, 2 * neighbors)):
            break
        found = np.array([_unexplained(points, center, d) for center in chosen])
        table.append(float(np.median(found)))
        votes.append(int(np.sum(waiting & (found <= tolerance))))
        waiting &= found > tolerance
        if waiting.sum() < len(chosen) / 2:
            break
    if not np.isfinite(table[0]):
        raise InputError("points: found the same point around every center; pass points that differ")
    # Over as many directions as there are nothing is left to explain: that says nothing of the manifold.
    agreed = 2 * max(votes) > len(chosen) and np.argmax(votes) + 1 < rank
    dimension = int(np.argmax(votes)) + 1 if agreed else min(greatest, max(1, round(neighbors)))
    rule, candidates = "quadratics" if agreed else "neighbors", tuple(range(1, len(table) + 1))
    return DimensionEstimate(dimension, rule, neighbors, candidates, np.array(table), tuple(votes), len(chosen), tolerance)


def two_nearest(points: np.ndarray) -> float:
    """N/Σ log(r_2/r_1) over the points (N, D), of any scale, whose nearest neighbor is another point, at most D."""
    from scipy.spatial import KDTree

    distinct = np.unique(scaled(points), axis=0)
    if len(distinct) < 3:
        return 1.0
    distances = KDTree(distinct).query(distinct, k=3)[0]
    distances = distances[distances[:, 1] > 0]  # squares of less than 1e-162 of the greatest number vanish
    total = np.log(distances[:, 2] / distances[:, 1]).sum()
    return float(min(points.shape[1], len(distances) / total)) if total > 0 else float(points.shape[1])


def _unexplained(points: np.ndarray, center: np.ndarray, d: int) -> float:
    offsets = points - center
    squared = np.sum(offsets * offsets, axis=1)
    return min(_worst(offsets, _weights(squared, scale * _POINTS * num_features(d)), d) for scale in (1, 2))


def _worst(offsets: np.ndarray, weights: np.ndarray, d: int) -> float:
    mean = weights @ offsets / weights.sum()
    centered = (offsets - mean) * weights[:, None]
    basis = np.linalg.eigh(centered.T @ centered)[1][:, : -d - 1 : -1]
    basis, columns, normal, coefficients = refine(offsets, weights, centered, basis, _STEPS, RIDGE)
    error = normal - columns @ coefficients
    tangent = centered @ basis
    last = np.sqrt(max(np.linalg.eigvalsh(tangent.T @ tangent)[0], 0))
    worst = np.sqrt(max(np.linalg.eigvalsh(error.T @ error if error.shape[1] <= len(error) else error @ error.T)[-1], 0))
    squares = weights * weights
    fitted = num_features(d) * np.sum(squares * squares) / np.sum(squares) ** 2
    if last <= 1e-12 * np.abs(centered).max():
        return 0.0 if d > 1 else np.inf  # nothing is left to explain, or nothing was there
    return float(worst / last / max(1 - fitted, 1e-3))


def _weights(squared: np.ndarray, wanted: float) -> np.ndarray:
    """exp(−γ‖z − z_c‖²) with the largest γ whose squares count as `wanted` points, or as nearly so as there are points."""
    positive = squared[squared > 0]
    if not positive.size:
        return np.ones_like(squared)
    grid = np.geomspace(positive.max() * 4, positive.min() / 4 + 1e-300, 40)  # squared radii, from wide to narrow
    squares = np.exp(-2 * np.log(2) * squared[None, :] / grid[:, None])
    counts = squares.sum(axis=1) ** 2 / np.sum(squares * squares, axis=1)
    enough = np.flatnonzero(counts >= min(wanted, 0.9 * len(squared)))
    place = enough[-1] if enough.size else 0
    return np.exp(-np.log(2) * squared / grid[place])
