"""A manifold near one of its points: tangent space, the quadratic of its normal part, and how far both hold. NumPy, float64."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mcr2_landscape.flatnet.kernels import Layer, features, num_features
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, float64_matrix, positive_integer, positive_real

#: The least and the greatest radius, as parts of the diameter, as the public code has them.
RADII = (0.15, 1.1)
REFINEMENTS = 3  # of the tangent space
TOLERANCE = 0.2  # of the loss by which a radius is searched
RIDGE = 1e-10  # of the least squares, whose features have length one
_MANY = 32  # dimensions
_CROWDED = 4.0  # times the loss on the points themselves
_FIRST, _LARGE = 4, 200_000  # radii tried at first, for arrays of up to so many numbers for each
_PATIENCE = 2  # steps of the power law that may leave more than half of an interval
_ENTRIES = 1 << 22  # of the arrays of one batch of radii


@dataclass(frozen=True)
class LocalModel(Record):
    """The fit at one point and radius.

    **Fields:** `mean` μ and `center` z_c, (D,); `basis` U, (D, d); `coefficients` W, (D, 1 + d + d(d + 1)/2), the normal part
    as W [1, c, q(c)], c = Uᵀ(z − z_c); `radius` r and `gamma` = ln 2/r²: the weight is 1/2 at the distance r from μ; `loss`,
    half the mean square of the weighted error over all entries of all points; `expected_loss`, the same by generalized
    cross-validation, which counts how many coefficients were fitted to how many points (infinite where that is as many);
    `normal`, the root mean square of the weighted normal part, which the layer takes away; `covered`, the sum of the weights.
    """

    mean: np.ndarray = field(repr=False)
    center: np.ndarray = field(repr=False)
    basis: np.ndarray = field(repr=False)
    coefficients: np.ndarray = field(repr=False)
    radius: float
    gamma: float
    loss: float
    expected_loss: float
    normal: float
    covered: float

    def alpha(self, threshold: float, most: float) -> float:
        """min(`most`, √(threshold/loss)) by the expected loss, which is no less than the loss on the points themselves: the
        layer's round trip on them then has half mean square error α² loss ≤ threshold."""
        return most if most * most * self.expected_loss <= threshold else float(np.sqrt(threshold / self.expected_loss))

    def layer(self, alpha: float, shift: np.ndarray | None = None, scale: float = 1.0) -> Layer:
        """The layer that this model makes."""
        shift = np.zeros_like(self.mean) if shift is None else shift
        rank = np.int32(self.basis.shape[1])
        gamma, alpha, scale = np.float64(self.gamma), np.float64(alpha), np.float64(scale)
        return Layer(self.mean, self.center, self.basis, self.coefficients, gamma, alpha, shift, scale, rank)


def local_fit(
    points: Any, center: Any, radius: float, num_directions: int, *, refinements: int = REFINEMENTS, ridge: float = RIDGE
) -> LocalModel:
    """Weighted principal components about the weighted mean, the tangent space refined, and the quadratic of the normal part.

    The weights are exp(−γ‖z − μ‖²) with γ = ln 2/r², about the mean μ by the weights exp(−γ‖z − z_c‖²). A refinement regresses
    the normal part on (1, c, q(c)) and turns U by the linear coefficients found, U ← qr(U + B): principal components alone are
    tilted by curvature, and each step divides what is left, by the more the smaller the radius is beside that of curvature.

    **Arguments:** `points`, (N, D); `center` z_c, (D,); `radius` r; `num_directions` d, at most D; `refinements`, zero or more;
    `ridge`, relative to the squared lengths of the weighted features.

    **Raises:** `InputError` for numbers out of range, NaN, and a radius that hardly covers any point.
    """
    points = float64_matrix("points", points, (None, None), refuse_float32=False)
    center = float64_matrix("center", center, (points.shape[1],), refuse_float32=False)
    if not len(points):
        raise InputError("points: found none; pass at least one more than num_directions")
    radius, ridge = positive_real("radius", radius), positive_real("ridge", ridge)
    positive_integer("refinements", refinements, minimum=0)
    with np.errstate(over="ignore", under="ignore", divide="ignore"):
        gamma = np.log(2) / np.square(radius)
    if not 0 < gamma < np.inf:
        raise InputError(f"radius: found {radius:g}, whose γ = ln 2/r² is {gamma:g}; scale the points and the radius")
    if positive_integer("num_directions", num_directions) > points.shape[1]:
        raise InputError(f"num_directions: found {num_directions}; points of {points.shape[1]} dimensions have no more")
    model = fit_many(points, center[None], np.array([radius]), num_directions, refinements, ridge)[0]
    if not model.covered >= (num_directions + 1) / 2:
        raise InputError(
            f"radius: found {radius:g}, which covers {model.covered:.2g} points by weight, too few for {num_directions} "
            f"direction{'s' if num_directions > 1 else ''}; pass a larger one"
        )
    return model


def fit_many(
    points: np.ndarray,
    centers: np.ndarray,
    radii: np.ndarray,
    d: int,
    refinements: int,
    ridge: float = RIDGE,
    bases: np.ndarray | None = None,
) -> list[LocalModel]:
    """`local_fit` at several centers (R, D) with their radii (R,) at once, the input unchecked; from `bases` (R, D, d) instead
    of principal components where they are given."""
    count, dim = points.shape
    batch = max(1, _ENTRIES // (count * (dim + num_features(d))))
    found = []
    for first in range(0, len(radii), batch):
        part = slice(first, first + batch)
        own = None if bases is None else bases[part]
        found += _fit_batch(points, centers[part], radii[part], d, refinements, ridge, own)
    return found


def _fit_batch(
    points: np.ndarray,
    centers: np.ndarray,
    radii: np.ndarray,
    d: int,
    refinements: int,
    ridge: float,
    basis: np.ndarray | None,
) -> list[LocalModel]:
    offsets = points - centers[:, None]
    gamma = (np.log(2) / radii**2)[:, None]
    weights = np.exp(-gamma * np.sum(offsets * offsets, axis=2))
    sums = weights.sum(axis=1, keepdims=True)
    sums[sums == 0] = 1
    # Of the offsets: digits are kept where the manifold is far from the origin.
    means = (weights[:, None] @ offsets)[:, 0] / sums
    centered = offsets - means[:, None]
    weights = np.exp(-gamma * np.sum(centered * centered, axis=2))
    weighted = centered * weights[..., None]
    if basis is None:  # by the weights squared, as the loss has them
        basis = np.linalg.eigh(weighted.mT @ weighted)[1][..., : -d - 1 : -1]
    basis, columns, normal, coefficients = refine(offsets, weights, weighted, basis, refinements, ridge)
    error = normal - columns @ coefficients
    losses = np.einsum("rnd,rnd->r", error, error) / (2 * points.size)
    normals = np.sqrt(np.einsum("rnd,rnd->r", normal, normal) / points.size)
    squares = weights * weights
    fitted = num_features(d) * np.sum(squares * squares, axis=1) / np.maximum(np.sum(squares, axis=1) ** 2, 1e-300)
    # With no more points than features any normal part is fitted exactly: the loss on the points says nothing.
    enough = (fitted < 1) & (len(points) > num_features(d))
    expected = np.where(enough, losses / np.where(enough, 1 - fitted, 1.0) ** 2, np.inf)
    numbers = (radii, gamma[:, 0], losses, expected, normals, weights.sum(axis=1))
    return [
        LocalModel(*arrays, *map(float, own))
        for *arrays, own in zip(centers + means, centers, basis, coefficients.mT, zip(*numbers, strict=True), strict=True)
    ]


def refine(
    offsets: np.ndarray, weights: np.ndarray, weighted: np.ndarray, basis: np.ndarray, refinements: int, ridge: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The tangent space refined, and the weighted features, normal parts and coefficients there; all may have leading axes.

    **Arguments:** `offsets` z − z_c, (…, N, D); `weights`, (…, N); `weighted`, the weights times z − μ; `basis` U, (…, D, d).
    """
    columns, normal, coefficients = _normal(offsets, weights, weighted, basis, ridge)
    for _ in range(refinements):
        tilt = coefficients[..., 1 : basis.shape[-1] + 1, :].mT
        basis = np.linalg.qr(basis + tilt)[0]
        columns, normal, coefficients = _normal(offsets, weights, weighted, basis, ridge)
    return basis, columns, normal, coefficients


def _normal(
    offsets: np.ndarray, weights: np.ndarray, weighted: np.ndarray, basis: np.ndarray, ridge: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    columns = features(offsets @ basis)
    columns *= weights[..., None]
    normal = weighted - (weighted @ basis) @ basis.mT
    return columns, normal, least_squares(columns, normal, ridge)


def least_squares(columns: np.ndarray, targets: np.ndarray, ridge: float) -> np.ndarray:
    """argmin ‖columns W − targets‖² with a ridge relative to each column's squared length, by the normal equations."""
    gram = columns.mT @ columns
    place = np.arange(gram.shape[-1])
    lengths = np.sqrt(gram[..., place, place])
    lengths[lengths == 0] = 1
    gram /= lengths[..., :, None]
    gram /= lengths[..., None, :]
    gram[..., place, place] += ridge
    return np.linalg.solve(gram, (columns.mT @ targets) / lengths[..., None]) / lengths[..., None]


def search_radius(
    points: np.ndarray,
    centers: np.ndarray,
    num_directions: int,
    bounds: tuple[float, float],
    goal: float,
    *,
    tolerance: float = TOLERANCE,
    refinements: int = REFINEMENTS,
    ridge: float = RIDGE,
) -> LocalModel:
    """The fit at the greatest radius within `bounds` at which the expected loss is about `goal`, around that one of the centers
    where it takes most away.

    Bisection: where the greatest radius is too large, an interval is narrowed, for all such centers at once, at whose lower
    end the expected loss is less than the goal, or the radius covers too few points, and at whose upper end it is more. A few
    radii are tried at first; since the loss grows roughly as a power of the radius, the next one is where the power law
    through the ends reaches the goal, or the geometric mean of the ends where two such steps have not halved their ratio's
    logarithm. The search ends at a radius whose expected loss is the goal to a part of `tolerance`, or where the ends differ
    by a tenth of `tolerance`: there the loss jumps. Where no radius that was tried reaches the goal, that of the least
    expected loss is taken.
    """
    found = _searched(points, centers, num_directions, bounds, goal, tolerance, ridge)
    best = int(np.argmax([_move(model, goal) for model in found]))
    last = np.array([found[best].radius])
    return fit_many(points, centers[best : best + 1], last, num_directions, refinements, ridge)[0]


def search_radii(
    points: np.ndarray,
    centers: np.ndarray,
    num_directions: int,
    bounds: tuple[float, float],
    goal: float,
    *,
    tolerance: float = TOLERANCE,
    refinements: int = REFINEMENTS,
    ridge: float = RIDGE,
) -> list[LocalModel]:
    """`search_radius` around each of the centers (R, D) on its own."""
    found = _searched(points, centers, num_directions, bounds, goal, tolerance, ridge)
    return fit_many(points, centers, np.array([model.radius for model in found]), num_directions, refinements, ridge)


def _searched(
    points: np.ndarray,
    centers: np.ndarray,
    num_directions: int,
    bounds: tuple[float, float],
    goal: float,
    tolerance: float,
    ridge: float,
) -> list[LocalModel]:
    """The fits at the radii found, one a center, with the tangent spaces of the search."""
    low, high = bounds
    models = fit_many(points, centers, np.full(len(centers), high), num_directions, 0, ridge)
    searches = [_Search(model, low, goal, tolerance) for model in models]
    # Small arrays cost as many calls as they are small; of large ones, each radius counts.
    first = _FIRST if len(points) * (points.shape[1] + num_features(num_directions)) <= _LARGE else 1
    radii = [[] if search.done else list(np.geomspace(low, high, first + 1)[:-1]) for search in searches]
    while any(radii):
        rows = [place for place, own in enumerate(radii) for _ in own]
        # In many dimensions eigendecompositions cost more than all else. With linear features the loss hardly depends on the
        # tangent space, so that the widest radius's serves all.
        bases = np.stack([models[row].basis for row in rows]) if points.shape[1] >= _MANY else None
        tried = iter(fit_many(points, centers[rows], np.concatenate(radii), num_directions, 0, ridge, bases))
        radii = [search.after([next(tried) for _ in own]) for search, own in zip(searches, radii, strict=True)]
    return [search.best for search in searches]


class _Search:
    """The fits around one center at both ends of an interval of radii, and the `best` of those tried."""

    def __init__(self, widest: LocalModel, least: float, goal: float, tolerance: float):
        self.best, self._below, self._above = widest, None, widest
        self._goal, self._tolerance, self._most = goal, tolerance, (1 + tolerance) * goal
        self._halved, self._steps = np.log(widest.radius / least), 0  # the interval when last halved, and steps since then
        self.done = self._reached(widest)

    def after(self, models: list[LocalModel]) -> list[float]:
        """The radii to try after `models`, in ascending order of theirs."""
        if self.done:
            return []
        self.best = max([self.best, *models], key=self._rank)
        lower = [place for place, model in enumerate(models) if self._reached(model)]
        if not lower and not (self._below and self._reached(self._below)):
            # Where coefficients take up half of what a radius covers, cross-validation multiplies the loss by four or more:
            # the radius is too small rather than too large.
            lower = [place for place, model in enumerate(models) if not model.expected_loss < _CROWDED * model.loss]
        if lower:
            self._below = models[lower[-1]]
        self._above = next(iter(models[lower[-1] + 1 :] if lower else models), self._above)
        if self._below is None:  # the least radius is too large
            self.done = True
            return []
        below, width = np.log(self._below.radius), np.log(self._above.radius / self._below.radius)
        loss = self._below.expected_loss
        # Where no radius is known to reach the goal, the least loss is looked for, which changes little.
        enough = max(1e-12, self._tolerance / 10 if loss <= self._most else self._tolerance)
        met = (1 - self._tolerance) * self._goal <= loss <= self._most
        self.done, self._steps = bool(met or width < enough), self._steps + 1
        if self.done:
            return []
        if width <= self._halved / 2:
            self._halved, self._steps = width, 0
        part = 0.5
        if self._steps < _PATIENCE and 0 < loss <= self._goal and self._above.expected_loss < np.inf:
            part = float(np.clip(np.log(self._goal / loss) / np.log(self._above.expected_loss / loss), 0.02, 0.98))
        return [float(np.exp(below + part * width))]

    def _reached(self, model: LocalModel) -> bool:
        return model.expected_loss <= self._most

    def _rank(self, model: LocalModel) -> tuple[bool, float]:
        return self._reached(model), model.radius if self._reached(model) else -model.expected_loss


def _move(model: LocalModel, goal: float) -> float:
    """What a layer moves, in units of the greatest α."""
    return model.normal * min(1.0, float(np.sqrt(goal / max(model.expected_loss, 1e-300))))
