"""What a degenerate critical point is: derivatives of third and fourth order along the kernel that symmetry does not explain.

At a critical point with extra kernel N, restricted to the slice across the orbit, the function along the curve
Z + t v + t² w(v)/2, v in N, w(v) = −H⁺ D³F[v, v, ·], is F(Z) + t³ D³F[v,v,v]/6 + t⁴ q(v)/24 + …  A non-zero cubic term takes
both signs: such a point is neither a maximizer nor a minimizer. Where the cubic vanishes on N, the sign of q decides.

Source: splitting lemma of singularity theory (Gromoll and Meyer 1969).
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.landscape.inertia import EPS, normals_of, orbit_basis
from mcr2_landscape.randomness import generator

_TRIALS = 24


def higher_order(landscape: Any, Z: np.ndarray, tolerance: float) -> str | None:
    """Words for what the terms beyond the second say, or `None` if they say nothing at this precision.

    "not a maximizer, third order", "not a maximizer, fourth order", "a maximizer to fourth order" (for a landscape that is
    minimized: "minimizer"). The last needs a one-dimensional extra kernel, where one sign decides.
    """
    word = "minimizer" if landscape.minimize else "maximizer"
    sign = -1.0 if landscape.minimize else 1.0
    kernel, values, vectors = _extra_kernel(landscape, Z, tolerance)
    if kernel.shape[1] == 0:
        return None
    h = 0.02 * max(float(np.linalg.norm(Z)) / np.sqrt(max(1, np.linalg.matrix_rank(np.atleast_2d(Z)))), 1e-3)
    directions = _directions(landscape, Z, kernel)
    for v in directions:
        third, error = _third(landscape, Z, v, h)
        if abs(third) > 10 * error:
            return f"not a {word}, third order"
    outside = np.abs(values) > tolerance
    quartics = []
    for v in directions if kernel.shape[1] > 1 else directions[:1]:
        bent = _third_vector(landscape, Z, v, h)
        w = -(vectors[:, outside] @ ((vectors[:, outside].T @ bent) / values[outside]))
        quartic, error = _fourth(landscape, Z, v, w, h)
        if sign * quartic > 10 * error:
            return f"not a {word}, fourth order"
        quartics.append((quartic, error))
    if kernel.shape[1] == 1 and sign * quartics[0][0] < -10 * quartics[0][1]:
        return f"a {word} to fourth order"
    return None


def _extra_kernel(landscape: Any, Z: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Orthonormal basis of the numerical kernel across orbit and normals, and the eigendecomposition of the Hessian."""
    values, vectors = np.linalg.eigh(landscape.hessian_matrix(Z))
    kernel = vectors[:, np.abs(values) <= tolerance]
    known = np.concatenate([orbit_basis(landscape, Z), normals_of(landscape, Z)], axis=1)
    if known.shape[1]:
        known, _ = np.linalg.qr(known)
        kernel = kernel - known @ (known.T @ kernel)
    U, s, _ = np.linalg.svd(kernel, full_matrices=False)
    return U[:, s > 0.5], values, vectors


def _directions(landscape: Any, Z: np.ndarray, kernel: np.ndarray) -> list[np.ndarray]:
    """Unit vectors of the kernel: the projections of the point's own class blocks (scaling one block is what a double root
    leaves flat), then the basis, then random ones."""
    candidates = []
    parameters = getattr(landscape, "parameters", None)
    if parameters is not None:
        start = 0
        for width in parameters.widths:
            block = np.zeros_like(Z)
            block[:, start : start + width] = Z[:, start : start + width]
            candidates.append(kernel @ (kernel.T @ block.ravel()))
            start += width
    candidates += list(kernel.T[:_TRIALS])
    random = generator(0).standard_normal((kernel.shape[1], _TRIALS))
    candidates += list((kernel @ random).T)
    norms = [float(np.linalg.norm(v)) for v in candidates]
    floor = 1e-6 * (1 + float(np.linalg.norm(Z)))
    return [v / norm for v, norm in zip(candidates, norms, strict=True) if norm > floor]


def _along(landscape: Any, Z: np.ndarray, v: np.ndarray, w: np.ndarray | None, t: float) -> float:
    step = t * v if w is None else t * v + 0.5 * t * t * w
    point = Z + step.reshape(Z.shape)
    if landscape.constraint is not None:
        with jax.enable_x64(True):
            point = np.asarray(_project(landscape.constraint, jnp.asarray(point)))
    return landscape.evaluate(point)[0]


@jax.jit
def _project(constraint: Any, point: Any) -> Any:
    return constraint.project(point)


def _third(landscape: Any, Z: np.ndarray, v: np.ndarray, h: float) -> tuple[float, float]:
    """The third derivative along v at two step lengths, extrapolated, and an error estimate."""
    f = {t: _along(landscape, Z, v, None, t * h) for t in (-4, -2, -1, 1, 2, 4)}
    fine = (f[2] - 2 * f[1] + 2 * f[-1] - f[-2]) / (2 * h**3)
    coarse = (f[4] - 2 * f[2] + 2 * f[-2] - f[-4]) / (2 * (2 * h) ** 3)
    rounding = _noise(landscape, Z, v, None, h) / h**3
    estimate = (4 * fine - coarse) / 3
    return estimate, abs(estimate - fine) + rounding


def _fourth(landscape: Any, Z: np.ndarray, v: np.ndarray, w: np.ndarray, h: float) -> tuple[float, float]:
    """The fourth derivative along the bent curve, and an error estimate."""
    h = 2 * h
    centre = _along(landscape, Z, v, w, 0.0)
    f = {t: _along(landscape, Z, v, w, t * h) - centre for t in (-2, -1, 1, 2)}
    fine = 12 * (f[1] + f[-1]) / h**4
    coarse = 12 * (f[2] + f[-2]) / (2 * h) ** 4
    rounding = 12 * _noise(landscape, Z, v, w, h) / h**4
    return fine, abs(fine - coarse) + rounding


def _noise(landscape: Any, Z: np.ndarray, v: np.ndarray, w: np.ndarray | None, h: float) -> float:
    """How much rounding moves the value near Z, seen: differences between steps that are equal to 1e-8, which the terms that
    are asked for cannot tell apart. A value that is a small difference of large terms has more of it than its own size
    tells."""
    seen = [16 * EPS * abs(_along(landscape, Z, v, w, 0.0))]
    for side in (-2.0, -1.0, 1.0, 2.0):
        near = [_along(landscape, Z, v, w, side * h * (1 + k * 1e-9)) for k in range(8)]
        seen.append(8 * (max(near) - min(near)))
    return max(seen)


def _third_vector(landscape: Any, Z: np.ndarray, v: np.ndarray, h: float) -> np.ndarray:
    """D³F[v, v, ·] by second differences of the gradient; on a constraint set, of the function pulled back to the tangent space
    by the projection."""
    step = h * v.reshape(Z.shape)
    if landscape.constraint is None:
        return (
            (landscape.evaluate(Z + step)[1] + landscape.evaluate(Z - step)[1] - 2 * landscape.evaluate(Z)[1]) / h**2
        ).ravel()
    with jax.enable_x64(True):
        point, move = jnp.asarray(Z), jnp.asarray(step)
        sides = _pulled_back_gradients(landscape, point, jnp.stack([move, -move, 0 * move]))
        second = (sides[0] + sides[1] - 2 * sides[2]) / h**2
        return np.array(landscape.constraint.tangent(point, second)).ravel()


@jax.jit
def _pulled_back_gradients(landscape: Any, point: jax.Array, moves: jax.Array) -> jax.Array:
    return jax.vmap(jax.grad(lambda move: landscape.value(landscape.constraint.project(point + move))))(moves)
