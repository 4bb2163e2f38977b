"""A point at first sight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mcr2_landscape import closed_form
from mcr2_landscape.curvature import exact
from mcr2_landscape.landscape.admission import admitted_point
from mcr2_landscape.landscape.inertia import EPS, curvature_scale
from mcr2_landscape.reduction import Reduction
from mcr2_landscape.validation import InputError, positive_real


@dataclass(frozen=True)
class Look:
    """A point at first sight: value, gradient, how critical it is, its reduction, the family that theory recognizes with the
    distance to it, how far a critical point may be at all (0 where that is not known), and the reduction less the singular
    values that may be noise at that distance."""

    point: np.ndarray
    value: float
    gradient_norm: float
    relative: float
    rtol: float
    reduction: Reduction | None
    known: tuple[Any, float] | None
    reach: float = 0.0
    settled: Reduction | None = None

    @property
    def critical(self) -> bool:
        """Whether the gradient counts as zero."""
        return self.relative <= self.rtol


def look_at(landscape: Any, Z: Any, rtol: float, truncation: float | None = None, reduction: Reduction | None = None) -> Look:
    """Evaluate the landscape at Z, in reduced coordinates where it has them; `reduction`: where they are known already.

    **Raises:** `InputError` for a wrong shape, NaN, float32, an infeasible point, or one where the landscape is not finite.
    """
    rtol = positive_real("rtol", rtol)
    Z = admitted_point(landscape, Z)
    if reduction is None and hasattr(landscape, "reduction"):
        reduction = exact.reduce(landscape, Z, truncation)
    if reduction is None:
        value, gradient, scale = landscape.evaluate(Z)
    else:
        small, rows = exact.small_point(reduction)
        value = closed_form.value(small, rows)
        gradient, scale = closed_form.gradient_and_scale(small, rows)
    if not np.isfinite(value) or not np.isfinite(gradient).all():
        raise InputError("Z: the landscape's value or gradient is not finite there; classify a point inside its domain")
    norm = float(np.linalg.norm(gradient))
    relative = norm / scale if scale > 0 else (0.0 if norm == 0 else np.inf)
    if scale > 0:  # below this the rounding of the entries of Z alone explains the gradient
        rtol = max(rtol, 8 * EPS * curvature_scale(landscape) * float(np.linalg.norm(Z)) / scale)
    known, reach, settled = None, 0.0, reduction
    if relative <= rtol and reduction is not None:
        # Singular values that a critical point nearby does not have: on u vᵀ with u beyond U and v beyond V_k the gradient is
        # −lambda times them, elsewhere more.
        reach = 2 * norm / landscape.parameters.regularization
        settled = reduction.settled(reach)
        known = exact.recognized(landscape, Z, settled)
    return Look(Z, value, norm, relative, rtol, reduction, known, reach, settled)
