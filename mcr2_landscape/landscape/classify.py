"""What a point of a landscape is: the inertia of its Hessian modulo symmetry, and the kind that follows."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from mcr2_landscape.curvature import eigenpairs
from mcr2_landscape.curvature.exact import core_size
from mcr2_landscape.curvature.orbit import orthogonal_orbit
from mcr2_landscape.curvature.parts import core_operator
from mcr2_landscape.landscape.counting import count
from mcr2_landscape.landscape.counts import InertiaCount
from mcr2_landscape.landscape.degenerate import higher_order
from mcr2_landscape.landscape.inertia import curvature_scale
from mcr2_landscape.landscape.look import Look, look_at
from mcr2_landscape.record import Record
from mcr2_landscape.reduction import Part, Reduction
from mcr2_landscape.validation import InputError, positive_integer
from mcr2_landscape.verdict import Inertia, Kind

# Rows up to which a classification counts signs from dense factorizations (some seconds), and from which one of a recognized
# point is cross-checked with its extreme eigenvalue alone.
DENSE_LIMIT = 4096
MAX_PRODUCTS = 400


@dataclass(frozen=True)
class CriticalPoint(Record):
    """A classified point.

    `gradient_norm` is the Frobenius norm, `relative_gradient_norm` that over the landscape's gradient scale. `inertia` counts
    Hessian eigenvalues (on a constraint set, those along it). `family` is the label of the theory's family that the point was
    recognized as a member of, `None` if of none. `top_eigenvalue` is the largest (for a minimization, the smallest is in
    `bottom_eigenvalue`), `eigenvalue_tolerance` what an eigenvalue had to exceed to count as signed. `reason` says in words
    what the kind rests on; `higher_order` what third and fourth derivatives say at a degenerate point. `count` is the number of
    starts that ended here. `signs` is the numerical count behind the kind, with brackets where it is open; `None` where the
    exact inertia of a recognized family was compared with the largest eigenvalue alone.
    """

    point: np.ndarray = field(repr=False, metadata={"json": False})
    value: float
    gradient_norm: float
    relative_gradient_norm: float
    kind: Kind
    inertia: Inertia
    reason: str
    family: str | None = None
    higher_order: str | None = None
    top_eigenvalue: float | None = None
    bottom_eigenvalue: float | None = None
    eigenvalue_tolerance: float | None = None
    count: int = 1
    minimize: bool = field(default=False, repr=False, metadata={"json": False})
    signs: InertiaCount | None = field(default=None, repr=False, metadata={"json": False})

    _derived = ("index",)

    @property
    def index(self) -> int | None:
        """The Morse index of −F: the number of ascent directions (of descent directions for a minimization); `None` where an
        eigenvalue is undecided."""
        if self.inertia.undecided:
            return None
        return self.inertia.negative if self.minimize else self.inertia.positive


def classify(
    landscape: Any,
    Z: Any,
    *,
    rtol: float = 1e-8,
    dense_limit: int = DENSE_LIMIT,
    max_products: int = MAX_PRODUCTS,
    key: Any = 0,
    reduction: Reduction | None = None,
) -> CriticalPoint:
    """Say what Z is: local maximizer (minimizer), strict saddle, degenerate, not critical, or undecided.

    Host function in float64, deterministic for a given key. A point with relative gradient norm above `rtol` is "not critical",
    unless the rounding of its entries explains that norm (large singular values at a tiny lambda). Signs are counted as by
    `inertia`: from dense matrices of up to `dense_limit` rows, to which an `MCR2` reduces exactly however many samples it has;
    beyond, from brackets. Zero eigenvalues are proved by the dimension of the symmetry orbit's tangent space, or by theory at a
    point that is recognized as a member of a known family, whose exact index must then agree with the numbers.

    **Arguments:** `landscape`: an `MCR2`, a `ConstrainedMCR2`, a `Landscape`. `Z`: of the landscape's shape, float64.
    `dense_limit`, `max_products`, `key`: as for `inertia`. `reduction`: that of the point, where it is known already.

    **Returns:** a `CriticalPoint`.

    **Raises:** `InputError` for a wrong shape, NaN, float32 (its rounding can turn a sign), an infeasible point,
    or numbers out of range.
    """
    dense_limit = positive_integer("dense_limit", dense_limit)
    max_products = positive_integer("max_products", max_products, minimum=2)
    look = look_at(landscape, Z, rtol, reduction=reduction)
    common: dict[str, Any] = {
        "point": look.point,
        "value": look.value,
        "gradient_norm": look.gradient_norm,
        "relative_gradient_norm": look.relative,
        "family": None if look.known is None else look.known[0].label,
        "minimize": landscape.minimize,
    }
    if look.known is not None and look.settled is not None and core_size(look.settled) > dense_limit:
        return _with_one_eigenvalue(look, common, max_products, key)
    found = count(landscape, look, truncation=None, dense_limit=dense_limit, max_products=max_products, key=key)
    common |= {
        "signs": found,
        "top_eigenvalue": found.top_eigenvalue,
        "bottom_eigenvalue": found.bottom_eigenvalue,
        "eigenvalue_tolerance": found.tolerance,
    }
    if not look.critical:
        reason = f"relative gradient norm {look.relative:.2e} exceeds {look.rtol:.0e}"
        return CriticalPoint(kind=Kind.NOT_CRITICAL, inertia=found.inertia, reason=reason, **common)
    if look.known is not None:
        return _with_theory(landscape, look, found, common)
    return _without_theory(landscape, look, found, common)


def _with_theory(landscape: Any, look: Look, found: InertiaCount, common: dict[str, Any]) -> CriticalPoint:
    """The numerical counts must equal the exact ones of the recognized family."""
    assert look.known is not None
    family = look.known[0]
    band = found.inertia.zero + found.inertia.undecided
    numerical = (found.inertia.positive, band)
    if numerical != (family.index, family.nullity):
        inertia = Inertia(found.inertia.positive, 0, found.inertia.negative, band)
        reason = (
            f"recognized as {family.label}, whose exact index and nullity are {(family.index, family.nullity)}, but the "
            f"numerical ones are {numerical} at tolerance {found.tolerance:.1e}; a more precise point may decide"
        )
        return CriticalPoint(kind=Kind.UNDECIDED, inertia=inertia, reason=reason, **common)
    inertia = Inertia(found.inertia.positive, band, found.inertia.negative)
    reason = f"exact index {family.index} and nullity {family.nullity} of {family.label} agree with the numerical inertia"
    words = None
    if family.kind is Kind.DEGENERATE and look.point.size <= DENSE_LIMIT:
        words = higher_order(landscape, look.point, max(found.tolerance, 1e-7 * curvature_scale(landscape)))
    return CriticalPoint(kind=family.kind, inertia=inertia, reason=reason, higher_order=words, **common)


def _without_theory(landscape: Any, look: Look, found: InertiaCount, common: dict[str, Any]) -> CriticalPoint:
    inertia = found.inertia
    ascent, descent = (inertia.negative, inertia.positive) if landscape.minimize else (inertia.positive, inertia.negative)
    if found.conflict:
        return CriticalPoint(kind=Kind.UNDECIDED, inertia=inertia, reason=found.reason, **common)
    if ascent:
        steepest = found.bottom_eigenvalue if landscape.minimize else found.top_eigenvalue
        at_least = "" if found.decided else "at least "
        reason = f"{at_least}{ascent} eigenvalues lead {'down' if landscape.minimize else 'up'}, the steepest {steepest:.6g}"
        return CriticalPoint(kind=Kind.STRICT_SADDLE, inertia=inertia, reason=reason, **common)
    if not inertia.undecided:
        kind = Kind.LOCAL_MINIMIZER if landscape.minimize else Kind.LOCAL_MAXIMIZER
        reason = f"{descent} eigenvalues are signed, {inertia.zero} zeros proved by the symmetry orbit, none left over"
        if found.failure > 0:
            reason += f" (random starts mislead with probability {found.failure:.0e} at most)"
        return CriticalPoint(kind=kind, inertia=inertia, reason=reason, **common)
    # What the gradient has blurred is no zero.
    words = higher_order(landscape, look.point, found.tolerance) if found.sharp and look.point.size <= DENSE_LIMIT else None
    open_words = f"{inertia.undecided} eigenvalues within {found.tolerance:.1e} of zero that no symmetry explains"
    if words is not None:
        reason = f"{open_words}; {words}"
        return CriticalPoint(kind=Kind.DEGENERATE, inertia=inertia, reason=reason, higher_order=words, **common)
    if found.regime == "block Lanczos":
        return CriticalPoint(kind=Kind.UNDECIDED, inertia=inertia, reason=found.reason, **common)
    reason = (
        f"{open_words}, and no decision from third and fourth derivatives; polish the point further or declare the symmetry"
    )
    return CriticalPoint(kind=Kind.UNDECIDED, inertia=inertia, reason=reason, **common)


def _with_one_eigenvalue(look: Look, common: dict[str, Any], max_products: int, key: Any) -> CriticalPoint:
    """A recognized point whose core is too large to be written down: its exact inertia, if the largest eigenvalue off the orbit
    agrees with it."""
    assert look.known is not None
    assert look.settled is not None
    family, distance = look.known
    n, reduction, p = look.point.size, look.settled, look.settled.parameters
    tolerance = 1e-8 * (1.125 * p.alpha + p.regularization)
    tops = [_top_off_the_orbit(reduction, part) for part in reduction.parts if part.name not in ("core", "constant")]
    orbit = None
    if family.is_orthogonal:
        coordinates = np.concatenate(reduction.factors.coordinates(), axis=1)
        with contextlib.suppress(InputError):  # the point is too far from the family: its orbit stays in, and is seen
            orbit = orthogonal_orbit(coordinates, tuple(rank for rank in reduction.ranks if rank), look.reach)
    with jax.enable_x64(True):
        pairs = eigenpairs(core_operator(reduction), deflate=orbit, max_products=max_products, rtol=1e-9, key=key)
    top = max([float(pairs.values[0]), *tops])
    common |= {"top_eigenvalue": top, "eigenvalue_tolerance": tolerance}
    words = f"exact index {family.index} and nullity {family.nullity} of {family.label} ({distance:.1e} away)"
    seen = (
        f"the largest eigenvalue {'off the orbit ' if orbit is not None else ''}{top:.6g}, from {pairs.num_products} products"
    )
    if not pairs.converged[0]:
        agrees, seen = False, f"{seen}, has not converged (residual {pairs.residuals[0]:.1e})"
    elif family.index > 0:
        agrees = top > tolerance
    elif family.nullity == family.orbit_dimension and orbit is not None:
        agrees = top < -tolerance
    else:
        agrees = abs(top) <= tolerance
    if agrees:
        inertia = Inertia(family.index, family.nullity, n - family.index - family.nullity)
        return CriticalPoint(kind=family.kind, inertia=inertia, reason=f"{words}; {seen}, agrees", **common)
    positive = 1 if top > tolerance else 0
    reason = f"recognized with the {words}, but {seen}, does not agree"
    return CriticalPoint(kind=Kind.UNDECIDED, inertia=Inertia(positive, 0, 0, n - positive), reason=reason, **common)


def _top_off_the_orbit(reduction: Reduction, part: Part) -> float:
    """The largest eigenvalue of a part other than the core, at a critical point less the zeros that belong to the orbit."""
    values = reduction.eigenvalues(part)
    zeros = reduction.rank if part.name == "outside" else reduction.ranks[int(part.name.removeprefix("class ")) - 1]
    kept = np.sort(np.delete(values, np.argsort(np.abs(values), kind="stable")[:zeros]))
    return float(kept[-1]) if kept.size else -np.inf
