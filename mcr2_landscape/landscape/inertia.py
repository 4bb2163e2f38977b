"""Signs of Hessian eigenvalues, with the precision that they are known to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.curvature.exact import EPS as EPS
from mcr2_landscape.curvature.exact import PointSpectrum
from mcr2_landscape.curvature.exact import normals_of as normals_of
from mcr2_landscape.reduction import clear_basis, clear_rank, unit_generators

_DENSE = 1000  # unknowns up to which a dense Hessian costs nothing to speak of


@dataclass(frozen=True)
class SignCount:
    """Eigenvalue counts at one point: `positive` and `negative` lie beyond `tolerance`, `band` within it. `rounding` is the
    part of the tolerance that is there at an exactly critical point too."""

    positive: int
    band: int
    negative: int
    tolerance: float
    rounding: float
    top: float
    bottom: float


def count_signs(
    landscape: Any, Z: np.ndarray, spectrum: PointSpectrum, gradient_norm: float, *, cross_checked: bool
) -> SignCount:
    """Count eigenvalues by sign at a point that is nearly critical.

    An eigenvalue counts as signed when it exceeds what can have moved it: the error of the spectrum, and the change of the
    Hessian between Z and the critical point. If the eigenvalues of at least κ in magnitude are signed and the
    others belong to the kernel, that point lies within gradient_norm/κ of Z; the smallest κ of which this can be true without
    contradiction is taken. By that assumption the eigenvalues below κ are unsigned, all of them, unless the counts are
    `cross_checked` with exact ones afterwards.
    """
    values, counts = spectrum.eigenvalues, spectrum.multiplicities
    n = int(counts.sum())
    tolerance = rounding = spectrum.error
    sizes = np.sort(np.abs(values))
    sizes = sizes[sizes > tolerance]
    if sizes.size and gradient_norm > 0:
        rate = hessian_change(landscape, Z, gradient_norm / float(sizes[-1])) * float(sizes[-1]) / gradient_norm
        moved = tolerance + rate * gradient_norm / sizes
        consistent = np.flatnonzero(moved <= 0.5 * sizes)
        if consistent.size:
            first = int(consistent[0])
            tolerance = float(moved[first])
            if not cross_checked and first > 0:
                tolerance = max(tolerance, float(sizes[first - 1]))
        else:
            tolerance = max(float(moved[-1]), float(sizes[-1]))
    positive = int(counts[values > tolerance].sum())
    negative = int(counts[values < -tolerance].sum())
    top = float(values[-1]) if values.size else 0.0
    bottom = float(values[0]) if values.size else 0.0
    return SignCount(positive, n - positive - negative, negative, tolerance, rounding, top, bottom)


def curvature_scale(landscape: Any) -> float:
    """The landscape's own bound on |eigenvalues|, 0 if it has none."""
    return float(landscape.curvature_scale()) if hasattr(landscape, "curvature_scale") else 0.0


def hessian_change(landscape: Any, Z: np.ndarray, distance: float) -> float:
    """How much the Hessian can change, in the spectral norm, within `distance` of Z: from the landscape's Lipschitz bound, else
    four times the change seen along the gradient."""
    if hasattr(landscape, "hessian_lipschitz"):
        return float(landscape.hessian_lipschitz()) * distance
    _, gradient, _ = landscape.evaluate(Z)
    norm = float(np.linalg.norm(gradient))
    direction = gradient / norm if norm > 0 else np.ones_like(Z) / np.sqrt(Z.size)
    step = min(distance, 1e-2 * (1 + float(np.linalg.norm(Z))))
    return 4 * _difference(landscape, Z, Z + step * direction) * (distance / step)


def _difference(landscape: Any, Z: np.ndarray, moved: np.ndarray) -> float:
    """The spectral norm of the difference of the Hessians at two points: dense and in the Frobenius norm where that is small,
    else by the power method."""
    if Z.size <= _DENSE:
        return float(np.linalg.norm(landscape.hessian_matrix(moved) - landscape.hessian_matrix(Z)))
    with jax.enable_x64(True):
        here, there = landscape.hessian(jnp.asarray(Z)), landscape.hessian(jnp.asarray(moved))
        vector = jnp.asarray(np.random.default_rng(0).standard_normal(Z.shape))
        size = 0.0
        for _ in range(12):
            vector = vector / jnp.linalg.norm(vector.reshape(-1))
            vector = there.mv(vector) - here.mv(vector)
            size = float(jnp.linalg.norm(vector.reshape(-1)))
            if size == 0:
                break
    return size


def orbit_dimension(landscape: Any, Z: np.ndarray) -> int:
    """The dimension of the symmetry orbit at Z, or a lower bound: singular values of the generators that are small without
    being clearly zero are left out, so that every zero eigenvalue it proves is one."""
    return clear_rank(unit_generators(landscape.orbit_tangent(Z)))


def orbit_basis(landscape: Any, Z: np.ndarray) -> np.ndarray:
    """Orthonormal basis (n, q) of the orbit's tangent space at Z, q as in `orbit_dimension`."""
    return clear_basis(unit_generators(landscape.orbit_tangent(Z)))
