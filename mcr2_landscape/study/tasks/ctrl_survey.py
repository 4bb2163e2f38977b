"""Critical points of ΔR on spheres where the ranks do not fit into the dimensions: what they are.

The encoder's problem of the games of linear subspaces with every class on the boundary of its ball. For d ≥ Σ rank A_j critical
points are maximizers, strict saddles or at the inflection y = 1; for fewer dimensions nothing is proved. Each unit draws one
problem and searches it by Levenberg–Marquardt steps on ∇ = 0, on the host: a shape of its own each time, and nothing to
compile.

Source: docs/ctrl.md.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from mcr2_landscape import closed_form
from mcr2_landscape.closed_form import Parameters
from mcr2_landscape.validation import positive_integer

KINDS = ("local maximizer", "strict saddle", "flat", "limit of saddles", "exception")
_CRITICAL = 1e-11  # relative gradient norm of a point that counts
_SIGNED = 1e-7  # of the curvature's bound: what an eigenvalue must exceed to have a sign
_NEAR, _RISE = 1e-2, 1e-11
_SAME = 1e-7


@dataclass(frozen=True)
class CtrlSurvey:
    """What one problem's critical points are.

    **Fields:** the problem drawn, `dim`, `sizes`, `ranks`, `epsilon`. `num_converged` of the starts reached a critical point;
    `num_crowded` distinct ones have Σ rank A_j > d, and only those are counted by kind: `local_maximizers` (no positive
    eigenvalue, no more zeros than the symmetry orbit has dimensions), `strict_saddles`; of those with more zeros and no
    positive eigenvalue, `flat` ones, from near which no ascent leads higher, `limits_of_saddles`, from near which one does,
    with strict saddles of the same value beside them, and `exceptions` without. `exception`: the largest of their values, and
    `exception_point`, its entries row by row. `smallest_positive`: the least top eigenvalue of a strict saddle, over the
    curvature's bound.
    """

    dim: int
    sizes: tuple[int, ...]
    ranks: tuple[int, ...]
    epsilon: float
    num_converged: int
    num_crowded: int
    local_maximizers: int
    strict_saddles: int
    flat: int
    limits_of_saddles: int
    exceptions: int
    exception: float | None
    exception_point: tuple[float, ...]
    smallest_positive: float | None


def ctrl_survey(*, max_dim: int = 4, max_classes: int = 5, num_starts: int = 20, seed: int) -> CtrlSurvey:
    """Draw a problem with d < Σ r_j, and look at its critical points.

    **Arguments:** `max_dim`: the largest d, at least 2; `max_classes`: at least 2; `num_starts` of the search.

    **Raises:** `InputError` for numbers out of range.
    """
    random = np.random.default_rng(seed)
    where = draw(
        random, positive_integer("max_dim", max_dim, minimum=2), positive_integer("max_classes", max_classes, minimum=2)
    )
    points = search(where, random, positive_integer("num_starts", num_starts))
    crowded = [A for A in _distinct(where, points) if sum(ranks_of(where, A)) > where.dim]
    counts: Counter[str] = Counter()
    exceptions, tops = [], []
    for A in crowded:
        kind, top = kind_of(where, A, random)
        counts[kind] += 1
        if kind == "exception":
            exceptions.append((where.value(A), A))
        if kind == "strict saddle":
            tops.append(top)
    worst = max(exceptions, key=lambda own: own[0], default=None)
    return CtrlSurvey(
        dim=where.dim,
        sizes=where.parameters.sizes,
        ranks=where.parameters.widths,
        epsilon=where.parameters.epsilon,
        num_converged=len(points),
        num_crowded=len(crowded),
        local_maximizers=counts["local maximizer"],
        strict_saddles=counts["strict saddle"],
        flat=counts["flat"],
        limits_of_saddles=counts["limit of saddles"],
        exceptions=counts["exception"],
        exception=None if worst is None else float(worst[0]),
        exception_point=() if worst is None else tuple(worst[1].ravel().tolist()),
        smallest_positive=min(tops, default=None),
    )


class SmallSpheres:
    """ΔR on the spheres ‖A_j‖² = n_j for class blocks of r_j columns, on the host: what `ConstrainedMCR2` computes, without
    what a module of JAX costs at every access, which is most of the time at this size."""

    def __init__(self, dim: int, sizes: tuple[int, ...], ranks: tuple[int, ...], epsilon: float):
        self.dim = dim
        self.parameters = Parameters(dim, sizes, epsilon, 1.0, ranks)
        self.bound = 9 / 8 * self.parameters.alpha  # on the curvature
        self._radii = np.sqrt(np.array(sizes, dtype=np.float64))
        self._classes = np.repeat(np.arange(len(sizes)), ranks)

    @property
    def shape(self) -> tuple[int, int]:
        """Of a point: (d, Σ r_j)."""
        return self.dim, self._classes.size

    def value(self, A: np.ndarray) -> float:
        """ΔR."""
        return closed_form.value(self.parameters, A, regularized=False)

    def project(self, A: np.ndarray) -> np.ndarray:
        """Each class scaled to its sphere."""
        squares = np.bincount(self._classes, weights=np.sum(A * A, axis=0), minlength=self._radii.size)
        return A * (self._radii / np.sqrt(np.maximum(squares, 1e-300)))[self._classes]

    def gradient(self, A: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
        """The Riemannian gradient, what it is relative to, and the multiplier of each column."""
        G, scale = closed_form.gradient_and_scale(self.parameters, A, regularized=False)
        inner = np.bincount(self._classes, weights=np.sum(A * G, axis=0), minlength=self._radii.size)
        multipliers = (inner / self._radii**2)[self._classes]
        return G - multipliers * A, scale, multipliers

    def hessian(self, A: np.ndarray) -> np.ndarray:
        """The Riemannian Hessian, zero along the normals."""
        _, _, multipliers = self.gradient(A)
        H = closed_form.hessian_matrix(self.parameters, A, regularized=False)
        H[np.diag_indices_from(H)] -= np.tile(multipliers, self.dim)
        normals = np.zeros((*A.shape, self._radii.size))
        normals[:, np.arange(A.shape[1]), self._classes] = A / self._radii[self._classes]
        N = normals.reshape(A.size, -1)
        HN = H @ N
        return H - HN @ N.T - N @ HN.T + N @ (N.T @ HN) @ N.T

    def orbit_dimension(self, A: np.ndarray) -> int:
        """Of the symmetry orbit."""
        singular = np.linalg.svd(closed_form.orbit_tangent(self.parameters, A), compute_uv=False)
        return int((singular > 1e-6 * singular.max(initial=1e-300)).sum())


def draw(random: np.random.Generator, max_dim: int, max_classes: int) -> SmallSpheres:
    """A problem with d < Σ r_j: sizes up to three times the rank and two more, equal in a third of the problems; d/ε² from 0.3
    to 100."""
    dim = int(random.integers(2, max_dim + 1))
    while True:
        ranks = random.integers(1, min(dim, 3) + 1, size=int(random.integers(2, max_classes + 1)))
        if ranks.sum() > dim:
            break
    sizes = ranks * random.integers(1, 4, size=ranks.size) + random.integers(0, 3, size=ranks.size)
    if random.random() < 1 / 3:
        sizes = np.full(ranks.size, sizes.max())
    epsilon = float(np.sqrt(dim / 10 ** random.uniform(-0.5, 2)))
    return SmallSpheres(dim, tuple(sizes.tolist()), tuple(ranks.tolist()), epsilon)


def search(where: SmallSpheres, random: np.random.Generator, num_starts: int, max_steps: int = 60) -> list[np.ndarray]:
    """Points with a relative gradient norm of at most 1e-11, one for each start that reached one."""
    found = []
    for _ in range(num_starts):
        A = np.zeros(where.shape)
        for block in where.parameters.blocks(A):
            rank = int(random.integers(1, min(block.shape) + 1))
            block[...] = random.standard_normal((where.dim, rank)) @ random.standard_normal((rank, block.shape[1]))
        end = _settle(where, where.project(A), max_steps)
        if end is not None:
            found.append(end)
    return found


def eigh(H: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues, ascending, and eigenvectors. LAPACK's divide and conquer gives up on some matrices of many zeros, once in
    ten thousand; QR iteration does not."""
    try:
        return np.linalg.eigh(H)
    except np.linalg.LinAlgError:
        values, vectors = scipy.linalg.eigh(H, driver="ev")
        return values, vectors


def _settle(where: SmallSpheres, A: np.ndarray, max_steps: int) -> np.ndarray | None:
    """Levenberg–Marquardt on the Riemannian gradient, whatever the index of the point that it leads to."""
    damping, (G, scale, _) = 1e-2, where.gradient(A)
    norm = float(np.linalg.norm(G)) / scale
    for _ in range(max_steps):
        if norm <= 1e-13:
            break
        values, vectors = eigh(where.hessian(A))
        slope = vectors.T @ G.ravel()
        largest = float(np.abs(values).max()) ** 2
        for _ in range(12):
            step = -(vectors @ (values * slope / (values**2 + damping * largest * min(1.0, norm) + 1e-18 * largest)))
            trial = where.project(A + step.reshape(A.shape))
            G_trial, scale, _ = where.gradient(trial)
            new = float(np.linalg.norm(G_trial)) / scale
            if new < norm:
                damping = max(damping / 4, 1e-12)
                break
            damping = min(damping * 4, 1e6)
        else:
            break
        A, G, norm = trial, G_trial, new
    return A if norm <= _CRITICAL else None


def _distinct(where: SmallSpheres, points: list[np.ndarray]) -> list[np.ndarray]:
    """One of all points with the same singular values."""
    kept: list[tuple[np.ndarray, np.ndarray]] = []
    for A in points:
        mark = closed_form.invariants(where.parameters, A)
        if all(np.abs(mark - other).max() > 1e-6 * np.abs(other).max() for other, _ in kept):
            kept.append((mark, A))
    return [A for _, A in kept]


def ranks_of(where: SmallSpheres, A: np.ndarray) -> tuple[int, ...]:
    """rank A_j, to a millionth of the largest singular value of the class."""
    spectra = [np.linalg.svd(block, compute_uv=False) for block in where.parameters.blocks(A)]
    return tuple(int((s > 1e-6 * s[0]).sum()) for s in spectra)


def kind_of(where: SmallSpheres, A: np.ndarray, random: np.random.Generator) -> tuple[str, float]:
    """What a critical point is, of `KINDS`, and its largest eigenvalue over the curvature's bound."""
    values, vectors = eigh(where.hessian(A))
    top = float(values[-1]) / where.bound
    if top > _SIGNED:
        return "strict saddle", top
    zero = values >= -_SIGNED * where.bound
    if int(zero.sum()) - len(where.parameters.sizes) <= where.orbit_dimension(A):  # the normals are zeros too
        return "local maximizer", top
    return _look_around(where, A, vectors[:, zero], random), top


def _look_around(where: SmallSpheres, A: np.ndarray, kernel: np.ndarray, random: np.random.Generator) -> str:
    """A degenerate point without positive eigenvalue, by ascents and critical points from near it."""
    value = where.value(A)
    higher = saddles = False
    for _ in range(6):
        direction = (kernel @ random.standard_normal(kernel.shape[1])).reshape(A.shape)
        near = where.project(A + _NEAR * np.linalg.norm(A) * direction / np.linalg.norm(direction))
        higher = higher or ascended(where, near) > value + _RISE * (1 + abs(value))
        beside = _settle(where, near, 60)
        if beside is not None and abs(where.value(beside) - value) <= _SAME * (1 + abs(value)):
            saddles = saddles or float(np.linalg.eigvalsh(where.hessian(beside))[-1]) > _SIGNED * where.bound
    if not higher:
        return "flat"
    return "limit of saddles" if saddles else "exception"


def ascended(where: SmallSpheres, A: np.ndarray, num_steps: int = 400) -> float:
    """The value after so many gradient steps."""
    for _ in range(num_steps):
        A = where.project(A + where.gradient(A)[0] / where.bound)
    return where.value(A)
