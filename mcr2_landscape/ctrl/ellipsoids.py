"""A product of ellipsoids as a constraint set: what the encoders' set is, with slack (see `encoders`)."""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.ctrl.projection import rises
from mcr2_landscape.mcr2.kernels import matmul
from mcr2_landscape.validation import InputError, float64_matrix, positive_real

_MOST = 60
_INDEPENDENT = 1e-8  # of the largest: singular values of the normals that count as zero


class Ellipsoids(eqx.Module):
    """‖Z C_j‖_F = radii[j] for all j, a constraint set for arrays Z (d, D).

    **Arguments:** `factors`: the C_j, each (D, r_j); `radii`: one a factor.

    Where two normals Z C_jC_jᵀ are parallel the set is no manifold, and what is said there means little.

    **Raises:** `InputError` for no factor, lengths or shapes that differ, a zero factor, or a radius ≤ 0.
    """

    moments: Any  # (K, D, D), scaled so that the constraints are ⟨Z moments_j, Z⟩ = 1

    boundary_only = True

    def __init__(self, factors: Any, radii: Any):
        columns = [float64_matrix(f"factors[{j}]", C, (None, None)) for j, C in enumerate(factors)]
        radii = [positive_real(f"radii[{j}]", radius) for j, radius in enumerate(radii)]
        if not columns or len(columns) != len(radii):
            raise InputError(f"radii: found {len(radii)} for {len(columns)} factors; pass one a factor, and at least one")
        for j, C in enumerate(columns):
            if C.shape[0] != columns[0].shape[0]:
                raise InputError(f"factors[{j}]: found {C.shape[0]} rows, but factors[0] has {columns[0].shape[0]}")
            if not C.any():
                raise InputError(f"factors[{j}]: is zero, which no Z can bring to a radius; leave it out")
        self.moments = np.stack([(C / radius) @ (C / radius).T for C, radius in zip(columns, radii, strict=True)])

    def project(self, Z: jax.Array) -> jax.Array:
        """The nearest point of the set where it is near: Z (I + Σ mu_j C_jC_jᵀ)⁻¹, mu of either sign, by Newton's method on the
        concave dual. A group Z C_j = 0 has no nearest one and stays zero."""
        return _projected(Z, self._moments(Z))

    def tangent(self, Z: jax.Array, D: jax.Array) -> jax.Array:
        """D less its components along the normals Z C_jC_jᵀ."""
        normals, weights = self._weights(Z, D)
        return D - jnp.tensordot(weights, normals, axes=1)

    def multipliers(self, Z: jax.Array, G: jax.Array) -> jax.Array:
        """The lambda_j, shape (K,), for which G − Σ lambda_j Z C_jC_jᵀ/radii[j]² is tangent."""
        return self._weights(Z, G)[1]

    def retract(self, Z: jax.Array, D: jax.Array) -> jax.Array:
        """The projection of Z + D."""
        return self.project(Z + D)

    def normals(self, Z: np.ndarray) -> np.ndarray:
        """Orthonormal columns (n, c) that span the normal space; c = K but where normals are dependent."""
        raw = (Z @ np.asarray(self.moments)).reshape(len(self.moments), -1).T
        sizes = np.linalg.norm(raw, axis=0)
        U, s, _ = np.linalg.svd(raw[:, sizes > 0] / sizes[sizes > 0], full_matrices=False)
        return U[:, s > _INDEPENDENT * s.max(initial=0.0)]

    def _moments(self, Z: jax.Array) -> jax.Array:
        if Z.ndim != 2 or Z.shape[-1] != self.moments.shape[-1]:
            raise InputError(f"Z: found shape {tuple(Z.shape)}; pass {self.moments.shape[-1]} columns (last axis)")
        return jnp.asarray(self.moments).astype(Z.dtype)

    def _weights(self, Z: jax.Array, D: jax.Array) -> tuple[jax.Array, jax.Array]:
        moments = self._moments(Z)
        if D.shape != Z.shape:
            raise InputError(
                f"D: found shape {tuple(D.shape)}, but Z has {tuple(Z.shape)}; pass a direction of the point's shape"
            )
        return _tangent_weights(Z, D, moments)


class _Look(NamedTuple):
    value: jax.Array
    slope: jax.Array
    curvature: jax.Array


def _inverse(mu: jax.Array, moments: jax.Array) -> jax.Array:
    """(I + Σ mu_j moments_j)⁻¹, NaN where that is not positive definite."""
    eye = jnp.eye(moments.shape[-1], dtype=moments.dtype)
    factor = jnp.linalg.cholesky(eye + jnp.tensordot(mu, moments, axes=1))
    half = jax.scipy.linalg.solve_triangular(factor, eye, lower=True)
    return matmul(half.T, half)


def _look(mu: jax.Array, square: jax.Array, moments: jax.Array) -> _Look:
    """The dual ½ ‖Z‖² − ½ tr(Z S⁻¹ Zᵀ) − ½ Σ mu with S = I + Σ mu_j moments_j, its slope and negative second derivative."""
    K, D = moments.shape[:2]
    joined = moments.reshape(K * D, D)  # one tall product instead of K
    inverse = _inverse(mu, moments)
    middle = matmul(inverse, matmul(square, inverse))
    images, bent = (matmul(joined, right).reshape(K, D, D) for right in (middle, inverse))
    slope = 0.5 * (jnp.sum(moments * middle[None], axis=(-2, -1)) - 1)
    value = 0.5 * (jnp.sum((jnp.eye(len(square), dtype=square.dtype) - inverse) * square) - jnp.sum(mu))
    curvature = matmul(images.reshape(K, -1), jnp.swapaxes(bent, 1, 2).reshape(K, -1).T)
    empty = jnp.sum(moments * square[None], axis=(-2, -1)) <= 0
    return _Look(value, jnp.where(empty, 0, slope), 0.5 * (curvature + curvature.T))


def _newton(look: _Look) -> jax.Array:
    curvature = look.curvature
    trace = jnp.trace(curvature)
    shift = 1e-14 * jnp.where(trace > 0, trace, 1) + jnp.where(jnp.diagonal(curvature) > 0, 0, 1)
    factor = jnp.linalg.cholesky(curvature + jnp.diag(shift))
    return jax.scipy.linalg.cho_solve((factor, True), look.slope)


class _State(NamedTuple):
    mu: jax.Array
    look: _Look
    direction: jax.Array
    length: jax.Array  # of the next trial along the direction
    trials: jax.Array


def _dual(square: jax.Array, moments: jax.Array) -> jax.Array:
    """The mu that maximize the dual."""

    def off(look: _Look) -> jax.Array:
        return jnp.max(jnp.abs(look.slope))

    def trial(state: _State) -> _State:
        mu = state.mu + state.length * state.direction
        look = _look(mu, square, moments)
        gain = state.length * jnp.sum(state.look.slope * state.direction)
        better = rises(state.look.value, look.value, gain, state.mu, mu, off(state.look), off(look))
        better &= (look.value > state.look.value) | (off(look) < off(state.look))
        mu, look = jax.tree.map(lambda new, old: jnp.where(better, new, old), (mu, look), (state.mu, state.look))
        return _State(mu, look, _newton(look), jnp.where(better, 1, state.length / 2), state.trials + 1)

    start, one = jnp.zeros(len(moments), square.dtype), jnp.ones((), square.dtype)
    look = _look(start, square, moments)
    tolerance = 4 * jnp.finfo(square.dtype).eps
    state = jax.lax.while_loop(
        lambda state: (off(state.look) > tolerance) & (state.length > 1e-6) & (state.trials < _MOST),
        trial,
        _State(start, look, _newton(look), one, jnp.zeros((), jnp.int32)),
    )
    return state.mu


@jax.jit
def _projected(Z: jax.Array, moments: jax.Array) -> jax.Array:
    square = matmul(Z.T, Z)
    mu = _dual(jax.lax.stop_gradient(square), moments)
    # one more step, which is differentiated: at the solution its derivative is the solution's
    mu = mu + _newton(_look(mu, square, moments))
    return matmul(Z, _inverse(mu, moments))


@jax.jit
def _tangent_weights(Z: jax.Array, D: jax.Array, moments: jax.Array) -> tuple[jax.Array, jax.Array]:
    normals = matmul(Z[None], moments)
    flat = normals.reshape(len(moments), -1)
    sizes = jnp.sum(flat * flat, axis=-1)
    gram = matmul(flat, flat.T) + jnp.diag(jnp.where(sizes > 0, 1e-13 * sizes, 1))
    inner = matmul(flat, D.reshape(-1))
    factor = (jnp.linalg.cholesky(gram), True)
    weights = jax.scipy.linalg.cho_solve(factor, inner)
    left = inner - matmul(flat, matmul(flat.T, weights))  # of what the shift of the diagonal has left
    return normals, weights + jnp.where(sizes > 0, jax.scipy.linalg.cho_solve(factor, left), 0)
