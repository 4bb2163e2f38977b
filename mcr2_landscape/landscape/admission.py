"""What may enter: is it a landscape, and is the point one of its points?"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.landscape.protocol import SmoothLandscape
from mcr2_landscape.validation import InputError, float64_matrix


def check_landscape(landscape: Any) -> None:
    """Refuse what does not follow `SmoothLandscape`.

    **Raises:** `InputError`.
    """
    if isinstance(landscape, type) or not isinstance(landscape, SmoothLandscape):
        raise InputError(
            f"landscape: found {type(landscape).__name__}; pass an MCR2, a ConstrainedMCR2, or Landscape.from_function(f, …)"
        )


def admitted_point(landscape: Any, Z: Any, name: str = "Z") -> np.ndarray:
    """`Z` as a finite float64 array of the landscape's shape, on its constraint set.

    **Raises:** `InputError`.
    """
    check_landscape(landscape)
    point = float64_matrix(name, Z, tuple(landscape.shape))
    if landscape.constraint is None:
        return point
    check_blocks(landscape, point, name)
    with jax.enable_x64(True):
        nearest = np.asarray(landscape.constraint.project(jnp.asarray(point)))
    gap = float(np.linalg.norm(nearest - point))
    if gap > 1e-8 * (1 + float(np.linalg.norm(point))):
        raise InputError(
            f"{name}: lies {gap:.2e} off the constraint set; project it first, for instance with "
            f"landscape.constraint.project({name})"
        )
    return point


def check_blocks(landscape: Any, point: np.ndarray, name: str = "Z") -> None:
    """Refuse a zero block where the constraint is a sphere: no point of the sphere is nearest to it.

    **Raises:** `InputError`.
    """
    constraint = landscape.constraint
    if constraint is None or not getattr(constraint, "boundary_only", False):
        return
    groups = len(getattr(constraint, "sizes", (1,)))
    if constraint.normals(point).shape[1] < groups:
        raise InputError(f"{name}: has a zero block, which lies on no sphere; start from non-zero blocks")
