"""Leave a strict saddle along its steepest direction, and climb on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.curvature import eigenpairs
from mcr2_landscape.landscape.admission import admitted_point
from mcr2_landscape.landscape.ascend import METHODS, Ascent, ascend
from mcr2_landscape.landscape.inertia import EPS, curvature_scale
from mcr2_landscape.landscape.iterate import sign
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, positive_integer, positive_real

# First step to try, relative to the norm of the point, and how much of the increase that the curvature promises it must bring.
_STEP, _SHARE, _HALVINGS = 0.1, 0.25, 40
# Hessian products for one direction at most.
_PRODUCTS = 400
# Increases that the rounding of the value could fake do not count.
_NOISE = 1e4 * EPS


@dataclass(frozen=True)
class Departure(Record):
    """How a critical point was left.

    `value` and `relative_gradient_norm` there; `curvature`: the eigenvalue of the steepest direction, of the landscape's own
    Hessian (negative for a minimization), which an eigenvalue lies within `residual` of; `length`: the signed step along the
    unit direction; `left_value`: after the step. `num_gradients` (here values alone) and `num_products` spent.
    """

    value: float
    relative_gradient_norm: float
    curvature: float
    residual: float
    length: float
    left_value: float
    num_gradients: int
    num_products: int
    direction: np.ndarray = field(repr=False, metadata={"json": False})


@dataclass(frozen=True)
class Escape(Record):
    """Where an escape led.

    `point`, `value`, `relative_gradient_norm`, `ranks`: of the last point. `escaped`: a point was left, and the last one is a
    critical point without an escape direction that can be told from zero. `reason`: in words why it ended, or why the first
    point was not left. `departures`: the saddles that were left, in turn; `ascents`: the climb from each. `num_gradients`,
    `num_products`: all that was spent.
    """

    point: np.ndarray = field(repr=False, metadata={"json": False})
    value: float
    relative_gradient_norm: float
    ranks: tuple[int, ...] | None
    escaped: bool
    reason: str
    departures: tuple[Departure, ...]
    ascents: tuple[Ascent, ...]
    num_gradients: int
    num_products: int
    interrupted: bool = False


class _Steepest(NamedTuple):
    """`value`: an eigenvalue of the Hessian; `curvature`: the same in the sense in which the landscape is climbed, which must
    exceed `tolerance` to be one of escape."""

    value: float
    curvature: float
    tolerance: float
    residual: float
    direction: np.ndarray
    num_products: int


def escape(
    landscape: Any,
    Z: Any,
    *,
    method: str = METHODS[1],
    rtol: float = 1e-10,
    critical: float = 1e-6,
    max_steps: int = 10_000,
    max_saddles: int = 20,
    key: Any = 0,
    progress: bool | Callable[[int, int, int], None] = False,
) -> Escape:
    """Leave the strict saddle Z along the direction of steepest curvature, and climb to a critical point that cannot be left.

    The direction is the eigenvector of the largest Hessian eigenvalue (the smallest for a minimization) by Lanczos. It is one
    of escape if the eigenvalue exceeds the pair's residual, the rounding of the Hessian, and what the distance to the exact
    critical point can change. Of the steps ± along it the one of larger value is taken, as long as it brings a quarter
    of what the curvature promises; else both are halved. From there `ascend` climbs, and where it ends at another saddle, that
    is left in the same way.

    **Arguments:** `landscape`, `Z`: as for `classify`; Z of relative gradient norm at most `critical`. `method`, `rtol`,
    `max_steps`: as for `ascend`, the steps for each climb. `max_saddles`: saddles to leave at most. `key`: start vectors of the
    eigenvalue computations. `progress`: as for `ascend`.

    **Returns:** `Escape`. A point that is not critical, or has no escape direction, is returned as it is, `escaped` false and
    the `reason` in words. Ctrl-C during a climb returns what was reached.

    **Raises:** `InputError` for a wrong shape, NaN, float32, an infeasible point, an unknown method, or a value or gradient
    that is not finite at Z.

    Source: strict saddles, Ge, Huang, Jin, Yuan (COLT 2015); Wang et al. (ICML 2024) for those of the rate reduction.
    """
    Z = admitted_point(landscape, Z)
    if method not in METHODS:
        raise InputError(f"method: found {method!r}; pass one of " + ", ".join(repr(name) for name in METHODS))
    rtol, critical = positive_real("rtol", rtol), positive_real("critical", critical)
    max_steps, max_saddles = positive_integer("max_steps", max_steps), positive_integer("max_saddles", max_saddles)
    value, gradient, scale = landscape.evaluate(Z)
    if not np.isfinite(value) or not np.isfinite(gradient).all():
        raise InputError("Z: the landscape's value or gradient is not finite there; pass a point inside its domain")
    norm = float(np.linalg.norm(gradient))
    relative = norm / scale if scale > 0 else norm
    departures: list[Departure] = []
    ascents: list[Ascent] = []
    num_products = 0

    def ended(reason: str, *, escaped: bool = False, interrupted: bool = False) -> Escape:
        last = ascents[-1] if ascents else None
        return Escape(
            Z,
            value,
            relative,
            None if last is None else last.ranks,
            escaped,
            reason,
            tuple(departures),
            tuple(ascents),
            1 + sum(part.num_gradients for part in (*departures, *ascents)),
            num_products + sum(part.num_products for part in ascents),
            interrupted,
        )

    if relative > critical:
        return ended(f"not critical: relative gradient norm {relative:.2e} exceeds {critical:.0e}; ascend from here")
    while True:
        steepest = _steepest(landscape, Z, norm, key)
        num_products += steepest.num_products
        if steepest.curvature <= steepest.tolerance:
            lead = "up" if sign(landscape) > 0 else "down"
            found = f"the steepest curvature is {steepest.value:.3g}, which must exceed {steepest.tolerance:.1e} to lead {lead}"
            return ended(f"no direction of escape: {found}", escaped=bool(departures))
        if len(departures) == max_saddles:
            return ended(f"{max_saddles} saddles left, and the last point is one again")
        start, departure = leave(landscape, Z, steepest.direction, steepest.curvature)
        if departure is None:
            return ended(
                f"along the direction of curvature {steepest.value:.3g} the value does not change as that says: value and "
                "Hessian do not belong together, or the rounding of the value hides it; see check_derivatives"
            )
        departure = replace(departure, relative_gradient_norm=relative, residual=steepest.residual)
        departures.append(replace(departure, curvature=steepest.value, num_products=steepest.num_products))
        climb = ascend(landscape, start, method=method, rtol=rtol, max_steps=max_steps, progress=progress)
        ascents.append(climb)
        Z, value, relative, norm = climb.point, climb.value, climb.relative_gradient_norm, climb.gradient_norm
        if climb.interrupted:
            return ended("interrupted", interrupted=True)
        if not climb.converged and relative > critical:
            return ended(f"the ascent from the saddle stopped: {climb.reason}")


def leave(landscape: Any, Z: np.ndarray, direction: np.ndarray, curvature: float) -> tuple[np.ndarray, Departure | None]:
    """One step from the critical point Z along ± a unit `direction` of the given `curvature` (positive, in the sense in which
    the landscape is climbed): the point after it, and the departure; Z and `None` where no step brings what the curvature
    promises.
    """
    up = sign(landscape)
    value, gradient, scale = landscape.evaluate(Z)
    norm = float(np.linalg.norm(gradient))
    length = _STEP * (float(np.linalg.norm(Z)) or 1.0)
    evaluations = 0
    for _ in range(_HALVINGS):
        promised = 0.5 * curvature * length**2
        if promised <= _NOISE * (1 + abs(value)):
            break
        trials = [(signed, _moved(landscape, Z, signed * direction)) for signed in (length, -length)]
        ends = [(up * landscape.evaluate(point)[0], signed, point) for signed, point in trials]
        evaluations += 2
        best, signed, point = max((end for end in ends if np.isfinite(end[0])), default=(-np.inf, 0.0, Z), key=lambda e: e[0])
        if best - up * value >= _SHARE * promised:
            relative = norm / scale if scale > 0 else norm
            return point, Departure(value, relative, up * curvature, 0.0, signed, up * best, evaluations, 0, direction)
        length *= 0.5
    return Z, None


def _moved(landscape: Any, Z: np.ndarray, step: np.ndarray) -> np.ndarray:
    if landscape.constraint is None:
        return Z + step
    with jax.enable_x64(True):
        return np.array(landscape.constraint.retract(jnp.asarray(Z), jnp.asarray(step)))


def _steepest(landscape: Any, Z: np.ndarray, gradient_norm: float, key: Any) -> _Steepest:
    """The steepest direction at Z: the one place that knows how it is computed."""
    with jax.enable_x64(True):
        hessian = landscape.hessian(jnp.asarray(Z))
        which = "smallest" if landscape.minimize else "largest"
        pairs = eigenpairs(hessian, which=which, max_products=_PRODUCTS, rtol=1e-6, key=key)
    value, residual, direction = float(pairs.values[0]), float(pairs.residuals[0]), np.asarray(pairs.vectors[0])
    scale = max(pairs.scale, curvature_scale(landscape))
    rounding = 32 * EPS * scale * float(np.sqrt(Z.size))
    # A critical point lies within gradient_norm/|value| of Z, and the Hessian changes on the way by at most this rate times
    # that: a value below the root of the product may be zero there, as along a symmetry orbit.
    rate = landscape.hessian_lipschitz() if hasattr(landscape, "hessian_lipschitz") else scale / (1 + np.linalg.norm(Z))
    tolerance = max(residual, rounding, float(np.sqrt(rate * gradient_norm)))
    return _Steepest(value, sign(landscape) * value, tolerance, residual, direction, pairs.num_products)
