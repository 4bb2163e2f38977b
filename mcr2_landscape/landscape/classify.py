"""What a point of a landscape is: the inertia of its Hessian modulo symmetry, and the kind that follows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.curvature import ExtremePair, extreme_eigenpair
from mcr2_landscape.landscape.admission import admitted_point
from mcr2_landscape.landscape.degenerate import higher_order
from mcr2_landscape.landscape.inertia import (
    EPS,
    SignCount,
    count_signs,
    curvature_scale,
    dense_spectrum,
    normals_of,
    orbit_dimension,
)
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, positive_real
from mcr2_landscape.verdict import Inertia, Kind

DENSE_LIMIT = 4096


@dataclass(frozen=True)
class CriticalPoint(Record):
    """A classified point.

    `gradient_norm` is the Frobenius norm, `relative_gradient_norm` that over the landscape's gradient scale. `inertia` counts
    Hessian eigenvalues (on a constraint set, those along it). `family` is the label of the theory's family that the point was
    recognized as a member of, `None` if of none. `top_eigenvalue` is the largest (for a minimization, the smallest is in
    `bottom_eigenvalue`), `eigenvalue_tolerance` what an eigenvalue had to exceed to count as signed. `reason` says in words
    what the kind rests on; `higher_order` what third and fourth derivatives say at a degenerate point. `count` is the number of
    starts that ended here.
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

    _derived = ("index",)

    @property
    def index(self) -> int | None:
        """The Morse index of −F: the number of ascent directions (of descent directions for a minimization); `None` where an
        eigenvalue is undecided."""
        if self.inertia.undecided:
            return None
        return self.inertia.negative if self.minimize else self.inertia.positive


def classify(landscape: Any, Z: Any, *, rtol: float = 1e-8) -> CriticalPoint:
    """Say what Z is: local maximizer (minimizer), strict saddle, degenerate, not critical, or undecided.

    Host function in float64. A point with relative gradient norm above `rtol` is "not critical", unless the rounding of its
    entries explains that norm (large singular values at a tiny lambda). Zero eigenvalues are proved by the
    dimension of the symmetry orbit's tangent space, or by theory at a point that is recognized as a member of a known family,
    whose exact index must then agree with the numerical one. Beyond 4,096 unknowns only the extreme eigenvalue is computed, and
    a kind is given where that and the theory decide it.

    **Arguments:** `landscape`: an `MCR2`, a `ConstrainedMCR2`, a `Landscape`. `Z`: of the landscape's shape, float64.

    **Returns:** a `CriticalPoint`.

    **Raises:** `InputError` for a wrong shape, NaN, float32 (its rounding can turn a sign), or an infeasible point.
    """
    rtol = positive_real("rtol", rtol)
    Z = admitted_point(landscape, Z)
    value, gradient, scale = landscape.evaluate(Z)
    if not np.isfinite(value) or not np.isfinite(gradient).all():
        raise InputError("Z: the landscape's value or gradient is not finite there; classify a point inside its domain")
    norm = float(np.linalg.norm(gradient))
    relative = norm / scale if scale > 0 else (0.0 if norm == 0 else np.inf)
    if scale > 0:  # below this the rounding of the entries of Z alone explains the gradient
        rtol = max(rtol, 8 * EPS * curvature_scale(landscape) * float(np.linalg.norm(Z)) / scale)
    known = landscape.recognize(Z) if relative <= rtol and hasattr(landscape, "recognize") else None
    common: dict[str, Any] = {
        "point": Z,
        "value": value,
        "gradient_norm": norm,
        "relative_gradient_norm": relative,
        "family": None if known is None else known.family.label,
        "minimize": landscape.minimize,
    }
    if _dense_size(landscape) > DENSE_LIMIT:
        return _classify_large(landscape, Z, relative, rtol, known, common)
    spectrum = dense_spectrum(landscape, Z)
    signs = count_signs(landscape, Z, spectrum, norm if relative <= rtol else 0.0, cross_checked=known is not None)
    common |= {"top_eigenvalue": signs.top, "bottom_eigenvalue": signs.bottom, "eigenvalue_tolerance": signs.tolerance}
    if relative > rtol:
        inertia = Inertia(signs.positive, 0, signs.negative, signs.band)
        return CriticalPoint(
            kind=Kind.NOT_CRITICAL,
            inertia=inertia,
            reason=f"relative gradient norm {relative:.2e} exceeds {rtol:.0e}",
            **common,
        )
    if known is not None:
        return _with_theory(landscape, Z, signs, known, common)
    return _without_theory(landscape, Z, signs, common)


def _with_theory(landscape: Any, Z: np.ndarray, signs: SignCount, known: Any, common: dict[str, Any]) -> CriticalPoint:
    """The numerical counts must equal the exact ones of the recognized family."""
    family = known.family
    numerical = (signs.positive, signs.band)
    if numerical != (family.index, family.nullity):
        inertia = Inertia(signs.positive, 0, signs.negative, signs.band)
        reason = (
            f"recognized as {family.label}, whose exact index and nullity are {(family.index, family.nullity)}, but the "
            f"numerical ones are {numerical} at tolerance {signs.tolerance:.1e}; a more precise point may decide"
        )
        return CriticalPoint(kind=Kind.UNDECIDED, inertia=inertia, reason=reason, **common)
    inertia = Inertia(signs.positive, signs.band, signs.negative)
    reason = f"exact index {family.index} and nullity {family.nullity} of {family.label} agree with the numerical inertia"
    words = None
    if family.kind is Kind.DEGENERATE:
        words = higher_order(landscape, Z, max(signs.tolerance, 1e-7 * curvature_scale(landscape)))
    return CriticalPoint(kind=family.kind, inertia=inertia, reason=reason, higher_order=words, **common)


def _without_theory(landscape: Any, Z: np.ndarray, signs: SignCount, common: dict[str, Any]) -> CriticalPoint:
    ascent, descent = (signs.negative, signs.positive) if landscape.minimize else (signs.positive, signs.negative)
    proved = orbit_dimension(landscape, Z)
    if proved > signs.band:
        inertia = Inertia(signs.positive, 0, signs.negative, signs.band)
        reason = (
            f"the symmetry orbit has dimension {proved}, but only {signs.band} eigenvalues are within "
            f"{signs.tolerance:.1e} of zero: the point is not close enough to a critical one, or the declared symmetry is false"
        )
        return CriticalPoint(kind=Kind.UNDECIDED, inertia=inertia, reason=reason, **common)
    inertia = Inertia(signs.positive, proved, signs.negative, signs.band - proved)
    if ascent:
        steepest = signs.bottom if landscape.minimize else signs.top
        reason = f"{ascent} eigenvalues lead {'down' if landscape.minimize else 'up'}, the steepest {steepest:.6g}"
        return CriticalPoint(kind=Kind.STRICT_SADDLE, inertia=inertia, reason=reason, **common)
    if not inertia.undecided:
        kind = Kind.LOCAL_MINIMIZER if landscape.minimize else Kind.LOCAL_MAXIMIZER
        reason = f"{descent} eigenvalues are signed, {proved} zeros proved by the symmetry orbit, none left over"
        return CriticalPoint(kind=kind, inertia=inertia, reason=reason, **common)
    sharp = signs.tolerance <= 10 * signs.rounding  # what the gradient has blurred is no zero
    words = higher_order(landscape, Z, signs.tolerance) if sharp else None
    if words is not None:
        reason = f"{inertia.undecided} eigenvalues within {signs.tolerance:.1e} of zero that no symmetry explains; {words}"
        return CriticalPoint(kind=Kind.DEGENERATE, inertia=inertia, reason=reason, higher_order=words, **common)
    reason = (
        f"{inertia.undecided} eigenvalues within {signs.tolerance:.1e} of zero that no symmetry explains, and no decision from "
        "third and fourth derivatives; polish the point further or declare the symmetry"
    )
    return CriticalPoint(kind=Kind.UNDECIDED, inertia=inertia, reason=reason, **common)


def _classify_large(
    landscape: Any, Z: np.ndarray, relative: float, rtol: float, known: Any, common: dict[str, Any]
) -> CriticalPoint:
    """One extreme eigenpair and, at a recognized point, the exact index."""
    which = "smallest" if landscape.minimize else "largest"
    pair = extreme_eigenpair(landscape, Z, which=which)
    tolerance = 32 * EPS * max(abs(pair.value), curvature_scale(landscape)) * np.sqrt(Z.size)
    if relative <= rtol and common["gradient_norm"] > 0:
        tolerance += _change_along(landscape, Z, pair, common["gradient_norm"])
    escapes = (-pair.value if landscape.minimize else pair.value) > max(tolerance, pair.residual)
    common |= {("bottom_eigenvalue" if landscape.minimize else "top_eigenvalue"): pair.value, "eigenvalue_tolerance": tolerance}
    counted = 1 if escapes else 0
    unknown = Z.size - normals_of(landscape, Z).shape[1] - counted
    one = Inertia(0, 0, counted, unknown) if landscape.minimize else Inertia(counted, 0, 0, unknown)
    if relative > rtol:
        return CriticalPoint(
            kind=Kind.NOT_CRITICAL, inertia=one, reason=f"relative gradient norm {relative:.2e} exceeds {rtol:.0e}", **common
        )
    if known is not None and (known.family.index > 0) == escapes:
        family = known.family
        inertia = Inertia(family.index, family.nullity, Z.size - family.index - family.nullity)
        reason = f"exact inertia of {family.label}; the extreme eigenvalue {pair.value:.6g} agrees with it"
        return CriticalPoint(kind=family.kind, inertia=inertia, reason=reason, **common)
    if escapes and known is None:
        way = "down" if landscape.minimize else "up"
        reason = f"an eigenvalue {pair.value:.6g} leads {way}; {Z.size} unknowns are too many to count"
        return CriticalPoint(kind=Kind.STRICT_SADDLE, inertia=one, reason=reason, **common)
    reason = (
        f"{Z.size} unknowns are too many to count all signs, and the extreme eigenvalue {pair.value:.3g} alone does not decide"
    )
    return CriticalPoint(kind=Kind.UNDECIDED, inertia=one, reason=reason, **common)


def _change_along(landscape: Any, Z: np.ndarray, pair: ExtremePair, gradient_norm: float) -> float:
    """How much the extreme curvature can change between Z and a critical point that the gradient norm puts within reach."""
    distance = gradient_norm / max(abs(pair.value), np.finfo(float).tiny)
    if hasattr(landscape, "hessian_lipschitz"):
        return float(landscape.hessian_lipschitz()) * distance
    step = min(distance, 1e-2 * (1 + float(np.linalg.norm(Z))))
    _, gradient, _ = landscape.evaluate(Z)
    changes = []
    with jax.enable_x64(True):
        for direction in (pair.vector, -pair.vector, gradient / gradient_norm, -gradient / gradient_norm):
            moved = jnp.asarray(Z + step * direction)
            changes.append(
                abs(float(np.sum(np.asarray(landscape.hessian(moved).mv(jnp.asarray(pair.vector))) * pair.vector)) - pair.value)
            )
    return 4 * max(changes) * distance / step


def _dense_size(landscape: Any) -> int:
    shape = landscape.narrowed().shape if hasattr(landscape, "narrowed") else landscape.shape
    return int(np.prod(shape))
