"""All Hessian eigenvalues at a point, with multiplicities and an error bound."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mcr2_landscape import closed_form
from mcr2_landscape.closed_form import Parameters
from mcr2_landscape.memory import require
from mcr2_landscape.record import Record
from mcr2_landscape.reduction import Reduction
from mcr2_landscape.validation import InputError, float64_matrix, positive_integer, positive_real

if TYPE_CHECKING:
    from mcr2_landscape.catalog import Family

EPS = float(np.finfo(np.float64).eps)
DENSE_LIMIT = 8000
_SPEED = 1.5e10  # flops a second of a dense eigenvalue computation on one core, for the estimate that is printed
_NEARLY_CRITICAL = 1e-6
_SMALL, _RECOGNIZED_SIZE = 20_000, 2_000_000  # numbers in a point up to which its structure is read as it is, or at all
_WORTHWHILE = 0.05  # of the curvature scale: a larger truncation bound leaves no sign to speak of


@dataclass(frozen=True)
class PointSpectrum(Record):
    """The eigenvalues of the Hessian at one point.

    **Fields:** `eigenvalues`, ascending, and `multiplicities`, shapes (s,); each is within `error` of an exact one, counted
    with multiplicity. `truncation` is the part of the error that comes from singular values that count as zero (Weyl's bound;
    0 where they are the rounding of the point's entries). `regime`: "closed form", "dense core" (the exact reduction) or
    "dense". `cost`: what was computed, in words. `rank` and `ranks`: of Z and of its class blocks, and `cut`, the largest
    singular value that counted as zero; `None` for landscapes without class blocks. `family`: the label of the critical points
    whose closed form it is.
    """

    eigenvalues: np.ndarray = field(repr=False)
    multiplicities: np.ndarray = field(repr=False)
    error: float
    truncation: float
    regime: str
    cost: str
    rank: int | None = None
    ranks: tuple[int, ...] | None = None
    cut: float | None = None
    family: str | None = None

    @property
    def dimension(self) -> int:
        """The number of eigenvalues, multiplicities counted."""
        return int(self.multiplicities.sum())


def spectrum(
    landscape: Any, Z: Any, *, theory: bool = True, truncation: float | None = None, dense_limit: int = DENSE_LIMIT
) -> PointSpectrum:
    """All eigenvalues of the Hessian at Z, with multiplicities.

    A landscape with a `reduction` (`MCR2`) takes one of two ways, neither of which forms anything of the size of the whole
    Hessian: the closed form, at a point that theory recognizes as critical and has one for; else the exact reduction to a core
    of r Σ r_k rows and smaller blocks, for cores up to `dense_limit`. Where the core is larger than that because many singular
    values are small, they are cut off, if Weyl's inequality then leaves most signs alone. Other landscapes: the dense matrix.
    Host function in float64.

    **Arguments:** `landscape`: as for `classify`. `Z`: of its shape, float64. `theory`: whether the closed form may be taken.
    `truncation`: singular values of class blocks up to this, in the units of Z, count as zero; what that may change is in
    `error`.

    **Returns:** `PointSpectrum`.

    **Raises:** `InputError` for a wrong shape, NaN, float32; for a core that is too large (`inertia` then brackets the counts)
    or does not fit into memory.

    Source: docs/theory.md, the exact reduction.
    """
    Z = float64_matrix("Z", Z, tuple(landscape.shape))
    dense_limit = positive_integer("dense_limit", dense_limit)
    if not hasattr(landscape, "reduction"):
        if truncation is not None:
            raise InputError("truncation: only a landscape with class blocks has something to cut off; leave it out")
        return _dense(landscape, Z, dense_limit)
    with np.errstate(over="ignore"):
        if not np.isfinite(np.sum(Z * Z)):
            raise InputError("Z: its norm overflows, and with it the landscape; scale it down")
    reduction = reduce(landscape, Z, truncation)
    known = recognized(landscape, Z, reduction) if theory else None
    found = known and closed_form_spectrum(landscape, reduction, *known)
    if found:
        return found
    reduction, bound = fitted(landscape, reduction, truncation, dense_limit)
    if core_size(reduction) > dense_limit:
        raise InputError(
            f"Z: its core has {core_size(reduction):,} rows (rank {reduction.rank}, ranks of the classes adding up to "
            f"{sum(reduction.ranks)}), more than the {dense_limit:,} of dense_limit, and cutting off small singular values "
            "would leave no sign; take inertia for brackets, curvature.eigenpairs for the ends, curvature.spectral_density for "
            "the whole"
        )
    return dense_core_spectrum(landscape, reduction, bound)


def reduce(landscape: Any, Z: np.ndarray, truncation: float | None) -> Reduction:
    """The landscape's reduction at Z.

    **Raises:** `InputError` for a `truncation` that is not positive.
    """
    tolerance = None if truncation is None else positive_real("truncation", truncation)
    return landscape.reduction(Z, tolerance=tolerance)


def core_size(reduction: Reduction) -> int:
    """r Σ r_k."""
    return reduction.rank * sum(reduction.ranks)


def fitted(landscape: Any, reduction: Reduction, truncation: float | None, dense_limit: int) -> tuple[Reduction, float]:
    """The reduction, truncated where its core would otherwise be too large and that is worth it, and Weyl's bound on what the
    truncation changes."""
    p = reduction.parameters
    lipschitz = float(landscape.hessian_lipschitz())
    if truncation is not None:
        return reduction, lipschitz * reduction.factors.residual
    if core_size(reduction) <= dense_limit:
        return reduction, 0.0
    values = np.sort(np.concatenate(reduction.factors.values))[::-1]
    counts = np.arange(1, values.size + 1)
    kept = int((np.minimum(counts, p.dim) * counts <= dense_limit).sum())
    dropped = float(np.sqrt(np.sum(values[kept:] ** 2)))
    if lipschitz * dropped > _WORTHWHILE * float(landscape.curvature_scale()):
        return reduction, 0.0
    shorter = Reduction(p, reduction.factors.truncated(float(values[kept])), reduction.regularized)
    return shorter, lipschitz * shorter.factors.residual


def dense_core_spectrum(landscape: Any, reduction: Reduction, truncation: float) -> PointSpectrum:
    """The eigenvalues of every part from dense factorizations.

    **Raises:** `InputError` where the core does not fit into memory.
    """
    largest = max(part.size for part in reduction.parts)
    require("Z", 8.5 * float(largest) ** 2, f"its core has {largest:,} rows; pass a smaller dense_limit, or a truncation")
    values, counts = [], []
    for part in reduction.parts:
        own = reduction.eigenvalues(part)
        values.append(own)
        counts.append(np.full(own.size, part.multiplicity, dtype=np.int64))
    return _sorted(
        np.concatenate(values),
        np.concatenate(counts),
        rounding(landscape, largest) + truncation + point_rounding(landscape, reduction, cut=truncation == 0),
        truncation,
        "dense core",
        describe(reduction),
        rank=reduction.rank,
        ranks=reduction.ranks,
        cut=reduction.factors.cut,
    )


def describe(reduction: Reduction) -> str:
    """The cost of the parts in words: rows, memory and time."""
    classes = [part for part in reduction.parts if part.name.startswith("class")]
    core = core_size(reduction)
    words = f"core of {core:,} rows (r = {reduction.rank}, Σ r_k = {sum(reduction.ranks)}): {8e-6 * core**2:,.3g} MB"
    flops = 4 / 3 * sum(float(part.size) ** 3 for part in reduction.parts)
    blocks = [f"{len(classes)} blocks of {reduction.rank}"] if classes else []
    blocks += [f"one of {part.size:,}" for part in reduction.parts if part.name == "outside"]
    return f"{words}, {' and '.join(blocks) or 'no blocks'}; about {max(flops / _SPEED, 1e-3):,.2g} s"


def recognized(landscape: Any, Z: np.ndarray, reduction: Reduction) -> tuple[Family, float] | None:
    """The family of critical points that Z belongs to, and its distance ‖Z − Z*‖ to it; `None` if theory knows none. Large
    points are looked at in the coordinates of their reduction."""
    p = landscape.parameters
    if Z.size <= _SMALL:
        found = landscape.recognize(Z)
        return None if found is None else (found.family, found.residual * float(np.linalg.norm(Z)))
    from mcr2_landscape import catalog

    small, rows = small_point(reduction)
    if p.dim * rows.shape[1] > _RECOGNIZED_SIZE:
        return None
    gradient, scale = closed_form.gradient_and_scale(small, rows)
    if float(np.linalg.norm(gradient)) > _NEARLY_CRITICAL * scale:
        return None
    point = np.zeros(small.shape)
    point[: rows.shape[0]] = rows
    found = catalog.recognize(small, point)
    if found is None:
        return None
    family = catalog.Family(p, found.family.blocks)
    return family, float(np.linalg.norm(point - found.nearest))


def small_point(reduction: Reduction) -> tuple[Parameters, np.ndarray]:
    """The point in the coordinates of U and the V_k, shape (r, Σ max(r_k, 1)), at least one row, and the problem's numbers for
    blocks of these widths: value, gradient norm and structure are the same."""
    p = reduction.parameters
    widths = tuple(max(rank, 1) for rank in reduction.ranks)
    small = Parameters(p.dim, p.sizes, p.epsilon, p.regularization, widths)
    rows = np.zeros((max(reduction.rank, 1), sum(widths)))
    for block, w in zip(small.blocks(rows), reduction.coordinates, strict=True):
        block[: reduction.rank, : w.shape[1]] = w / np.sqrt(p.alpha)
    return small, rows


def closed_form_spectrum(landscape: Any, reduction: Reduction, family: Family, distance: float) -> PointSpectrum | None:
    """The family's exact eigenvalues, if there is a closed form for them; they are those of H(Z) up to what H can change
    between Z and the critical point."""
    if not (family.is_orthogonal or (len(family.blocks) == 1 and family.rank == 1)):
        return None
    exact = family.spectrum()
    error = rounding(landscape, 1) + float(landscape.hessian_lipschitz()) * distance + point_rounding(landscape, reduction)
    return PointSpectrum(
        exact.eigenvalues,
        exact.multiplicities,
        error,
        0.0,
        "closed form",
        f"{exact.eigenvalues.size} distinct eigenvalues of {family.label}",
        rank=reduction.rank,
        ranks=reduction.ranks,
        cut=reduction.factors.cut,
        family=family.label,
    )


def rounding(landscape: Any, rows: int, largest: float = 0.0) -> float:
    """What rounding can do to an eigenvalue of a dense symmetric matrix with that many rows."""
    bound = float(landscape.curvature_scale()) if hasattr(landscape, "curvature_scale") else 0.0
    return 32 * EPS * max(bound, largest) * max(float(np.sqrt(rows)), 4.0)


def point_rounding(landscape: Any, reduction: Reduction, *, cut: bool = True) -> float:
    """What rounding the point can do to an eigenvalue: factoring it moves it by some units in the last place of ‖Z‖ and, where
    `cut` is to be counted in, by the norm of what counts as zero in it."""
    size = float(np.sqrt(sum(float(np.sum(values**2)) for values in reduction.factors.values)))
    moved = 4 * EPS * size + (reduction.factors.residual if cut else 0.0)
    return float(landscape.hessian_lipschitz()) * moved


def normals_of(landscape: Any, Z: np.ndarray) -> np.ndarray:
    """Orthonormal normals of the constraint at Z, shape (n, c); c = 0 without a constraint."""
    if landscape.constraint is None:
        return np.zeros((Z.size, 0))
    if hasattr(landscape, "normals"):
        return landscape.normals(Z)
    return landscape.constraint.normals(Z)


def _dense(landscape: Any, Z: np.ndarray, dense_limit: int) -> PointSpectrum:
    n = Z.size
    if n > dense_limit:
        raise InputError(
            f"Z: {n:,} unknowns, more than the {dense_limit:,} of dense_limit; take inertia for brackets, curvature.eigenpairs "
            "for the ends, curvature.spectral_density for the whole"
        )
    require("Z", 4 * 8.0 * n**2, f"the dense Hessian has {n:,} rows; take inertia with a smaller dense_limit")
    H = landscape.hessian_matrix(Z)
    normals = normals_of(landscape, Z)
    if normals.shape[1]:
        # The Riemannian Hessian is zero along the normals by definition: moved beyond the spectrum, they are the last ones.
        shift = 4 * float(np.abs(H).sum(axis=0).max())
        values = np.linalg.eigvalsh(H + shift * (normals @ normals.T))[: n - normals.shape[1]]
    else:
        values = np.linalg.eigvalsh(H)
    error = rounding(landscape, n, float(np.abs(values).max(initial=0.0)))
    return _sorted(values, np.ones(values.size, dtype=np.int64), error, 0.0, "dense", f"dense matrix of {n:,} rows")


def _sorted(
    values: np.ndarray, counts: np.ndarray, error: float, truncation: float, regime: str, cost: str, **more: Any
) -> PointSpectrum:
    order = np.argsort(values, kind="stable")
    return PointSpectrum(values[order], counts[order], error, truncation, regime, cost, **more)
