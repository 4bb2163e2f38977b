"""The encoders' constraint set as a smooth one, for classes of any position: a product of ellipsoids, with slack.

With E an orthonormal basis of Col X, F acts as B = F E, and ‖F X_j‖² ≤ n_j is ‖B Eᵀ C_j‖² ≤ n_j. A slack vector s_j of each
class makes an equation of it: Z = [B, s_1 … s_K] lies on the set

    ‖B Eᵀ C_j‖² + ‖s_j‖² = n_j,

a product of ellipsoids in Z, and the utility does not see the s_j. A point is critical on the set iff it is in the sense of
Karush, Kuhn and Tucker, up to the signs of the multipliers; where s_j = 0, a class that would rather leave its boundary shows
as directions of ascent along s_j. Source: docs/ctrl.md; squared slack variables, Bertsekas, *Nonlinear Programming*, section
3.3.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.ctrl import utilities
from mcr2_landscape.ctrl.spans import Spans
from mcr2_landscape.landscape import Landscape
from mcr2_landscape.mcr2.kernels import matmul
from mcr2_landscape.validation import InputError, float64_matrix, positive_real

_MOST = 60
_ON = 1e-9  # ‖F X_j‖²/n_j within this of one counts as one
_SEARCHED = 20  # dimensions up to which symmetries of the data are looked for
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
    inverse = _inverse(mu, moments)
    images = matmul(moments, matmul(inverse, matmul(square, inverse)))
    slope = 0.5 * (jnp.trace(images, axis1=-2, axis2=-1) - 1)
    value = 0.5 * (jnp.sum((jnp.eye(len(square), dtype=square.dtype) - inverse) * square) - jnp.sum(mu))
    curvature = jnp.einsum("jab,kba->jk", images, matmul(moments, inverse), precision="highest")
    empty = jnp.trace(matmul(moments, square), axis1=-2, axis2=-1) <= 0
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
        # Near the end the values no longer differ: the slope decides. NaN, beyond the domain, is not better.
        rises = (look.value >= state.look.value + 1e-4 * gain) & (look.value > state.look.value)
        better = rises | (off(look) < 0.5 * off(state.look))
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


@dataclass(frozen=True)
class EncoderLandscape:
    """The encoder's problem, its decoder answering, as a `landscape` of the library, for classes in any position.

    Its points are Z = [F E, s_1 … s_K], shape (d_z, rank X + K), with E = `span` (d_x, rank X) and slack vectors s_j on the set
    ‖F X_j‖² + ‖s_j‖² = n_j; its symmetry is a rotation of F, one of each s_j,
    and what leaves all X_jX_jᵀ alone.
    """

    landscape: Landscape
    span: np.ndarray
    factors: tuple[np.ndarray, ...]
    sizes: tuple[int, ...]

    def point(self, F: Any) -> np.ndarray:
        """The point of a feasible encoder F (d_z, d_x); slack within 1e-9 of zero is rounded to it.

        **Raises:** `InputError` for a wrong shape, NaN, or an encoder that is not feasible.
        """
        dim = self.landscape.shape[0]
        inside = float64_matrix("F", F, (dim, self.span.shape[0])) @ self.span
        left = np.array([1 - np.sum((inside @ C) ** 2) / size for C, size in zip(self.factors, self.sizes, strict=True)])
        if left.min() < -_ON:
            worst = int(left.argmin())
            raise InputError(
                f"F: ‖F X_j‖²/n_j is {1 - left[worst]:.6g} for class number {worst + 1}, beyond one; project it (project)"
            )
        slack = np.zeros((dim, len(self.sizes)))
        slack[0] = np.where(left > _ON, np.sqrt(np.array(self.sizes) * np.maximum(left, 0)), 0)
        with jax.enable_x64(True):
            return np.array(self.landscape.constraint.project(jnp.asarray(np.concatenate([inside, slack], axis=1))))

    def encoder(self, Z: Any) -> np.ndarray:
        """The encoder of least norm of a point Z.

        **Raises:** `InputError` for a wrong shape or NaN.
        """
        return float64_matrix("Z", Z, self.landscape.shape)[:, : self.span.shape[1]] @ self.span.T


def numbers_of(factors: tuple[np.ndarray, ...], sizes: tuple[int, ...], dim: int, epsilon: float) -> utilities.Data:
    """What the traced utilities are evaluated on, in NumPy: read in the precision of the scope in which they are traced."""
    n, each = sum(sizes), np.array(sizes, dtype=np.float64)
    b = dim / epsilon**2
    numbers: list[Any] = [utilities.stacked(factors), np.array(b / n), b / each, each / n]
    return utilities.Data(*numbers)


def _isometries(factors: tuple[np.ndarray, ...]) -> np.ndarray:
    """A basis (q, R, R) of the X with X Σ_j + Σ_j Xᵀ = 0 for all Σ_j = C_jC_jᵀ: F ↦ F X moves F along encoders of the same
    second moments. None are looked for beyond 20 dimensions, where that is a large problem."""
    rank = factors[0].shape[0]
    if rank > _SEARCHED:
        return np.zeros((0, rank, rank))
    rows = []
    for C in factors:
        moment = C @ C.T / np.linalg.norm(C) ** 2
        image = np.kron(np.eye(rank), moment).reshape(rank, rank, rank, rank)  # of X, in the entries of X Σ_j
        rows.append((image + image.transpose(1, 0, 2, 3)).reshape(rank * rank, rank * rank))
    _, s, Vt = np.linalg.svd(np.concatenate(rows))
    return Vt[s <= 1e-10 * s[0]].reshape(-1, rank, rank)


def encoder_landscape(spans: Spans, dim: int, epsilon: float) -> EncoderLandscape:
    """The encoder's problem for these classes."""
    span, K = spans.span, len(spans.sizes)
    rank = span.shape[1]
    own = tuple(span.T @ C for C in spans.factors)
    # Class j sees its slack as one more direction of its own.
    widened = [np.block([[C, np.zeros((rank, 1))], [np.zeros((K, C.shape[1])), np.eye(K)[:, [j]]]]) for j, C in enumerate(own)]
    sizes = np.array(spans.sizes, dtype=np.float64)
    constraint = Ellipsoids(widened, np.sqrt(sizes))
    data = numbers_of(own, spans.sizes, dim, epsilon)
    right = _isometries(own)
    below = np.stack(np.tril_indices(dim, -1), axis=1)
    turns = np.zeros((len(below), dim, dim))
    turns[np.arange(len(below)), below[:, 0], below[:, 1]] = 1.0
    turns -= turns.transpose(0, 2, 1)
    # what each rotation moves: F's columns, or one slack vector
    parts = np.zeros((K + 1, rank + K))
    parts[0, :rank] = 1
    parts[np.arange(1, K + 1), np.arange(rank, rank + K)] = 1

    def value(Z: jax.Array) -> jax.Array:
        return utilities.expressiveness(utilities.Data(*(jnp.asarray(part) for part in data)), Z[:, :rank])

    def symmetry(Z: jax.Array) -> jax.Array:
        moved = matmul(jnp.asarray(turns), Z[None])
        left = (moved[None] * jnp.asarray(parts)[:, None, None, :]).reshape(-1, *Z.shape)
        inside = matmul(Z[None, :, :rank], jnp.asarray(right))
        return jnp.concatenate([left, jnp.pad(inside, ((0, 0), (0, 0), (0, K)))])

    def invariants(Z: jax.Array) -> jax.Array:
        images = matmul(Z[None, :, :rank], jnp.asarray(data.factors))
        spectra = jnp.linalg.svd(images, compute_uv=False).reshape(-1)
        whole = jnp.linalg.svd(Z[:, :rank], compute_uv=False)
        return jnp.concatenate([spectra, whole, jnp.linalg.norm(Z[:, rank:], axis=0)])

    # ⟨∇R, F⟩ = tr(I − (I + bP)⁻¹), here for an F that is a multiple of an isometry and feasible on the whole
    room = min(dim, rank)
    squared = room * sizes.sum() / sum(np.sum(C**2) for C in own)
    steepness = dim / epsilon**2 / (1 + dim / epsilon**2 / room) / np.sqrt(squared)
    example = np.concatenate([0.1 * np.eye(dim, rank), np.zeros((dim, K))], axis=1)
    example[0, rank:] = np.sqrt(sizes)
    with jax.enable_x64(True):
        example = np.array(constraint.project(jnp.asarray(example)))
    landscape = Landscape.from_function(
        jax.jit(value),
        example=example,
        constraint=constraint,
        symmetry=jax.jit(symmetry),
        invariants=jax.jit(invariants),
        gradient_scale=float(steepness),
    )
    return EncoderLandscape(landscape, span, own, spans.sizes)
