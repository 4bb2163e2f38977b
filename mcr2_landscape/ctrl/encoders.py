"""The encoder's problem without decoder, for classes of any position, as a landscape on a smooth set.

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
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mcr2_landscape.ctrl import utilities
from mcr2_landscape.ctrl.ellipsoids import Ellipsoids
from mcr2_landscape.ctrl.spans import Spans
from mcr2_landscape.landscape.function import FunctionHessian
from mcr2_landscape.precision import traced_array
from mcr2_landscape.randomness import generator
from mcr2_landscape.validation import InputError, float64_matrix

_ON = 1e-9  # ‖F X_j‖²/n_j within this of one counts as one
_SEARCHED = 20  # dimensions up to which symmetries of the data are looked for


class EncoderProblem(eqx.Module):
    """Q over points Z = [F E, s_1 … s_K], shape (d, R + K), a landscape of the library. All of its numbers are arguments of
    what is compiled, so that games of equal shapes share that.

    `data` (K, R, r) of the classes in the basis E; `right` (q, R, R): the symmetries of the data; `steepness`: the gradient
    norm that counts as large; `example` (d, R + K): a feasible point.
    """

    data: utilities.Data
    constraint: Ellipsoids
    right: Any
    steepness: Any
    example: Any

    minimize = False

    @property
    def shape(self) -> tuple[int, ...]:
        """(d, R + K)."""
        return self.example.shape

    @property
    def rank(self) -> int:
        """R, the dimension of Col X."""
        return self.data.factors.shape[1]

    def value(self, Z: Any) -> Float[Array, ""]:
        """Q.

        **Raises:** `InputError` for a wrong shape, or NumPy float64 while JAX's 64-bit mode is off; the others likewise.
        """
        return _value(self, traced_array("Z", Z, self.shape))

    def gradient(self, Z: Any) -> jax.Array:
        """The Riemannian gradient."""
        return _gradient(self, traced_array("Z", Z, self.shape))

    def hessian(self, Z: Any) -> FunctionHessian:
        """The Riemannian Hessian as an operator."""
        return _hessian(self, traced_array("Z", Z, self.shape))

    def gradient_scale(self, Z: Any) -> jax.Array:
        """The gradient norm that counts as large: the same everywhere."""
        return jnp.asarray(self.steepness, dtype=jnp.asarray(Z).dtype)

    # -- landscape protocol (host) --------------------------------------------------------------------------------------------

    def evaluate(self, Z: np.ndarray) -> tuple[float, np.ndarray, float]:
        """Value, gradient and gradient scale, float64."""
        with jax.enable_x64(True):
            point = jnp.asarray(Z)
            return float(_value(self, point)), np.array(_gradient(self, point)), float(self.steepness)

    def hessian_matrix(self, Z: np.ndarray) -> np.ndarray:
        """The dense Hessian, float64 (n, n), zero along the normals."""
        with jax.enable_x64(True):
            return np.array(_hessian(self, jnp.asarray(Z)).as_matrix())

    def orbit_tangent(self, Z: np.ndarray) -> np.ndarray:
        """What leaves Q alone, as columns (n, q): a rotation of F, one of each slack vector, and the symmetries of the data."""
        d, rank, K = self.shape[0], self.rank, len(self.constraint.moments)
        first, second = np.tril_indices(d, -1)
        turned = np.zeros((first.size, d, rank + K))  # Ω Z with Ω = e_p e_qᵀ − e_q e_pᵀ
        every = np.arange(first.size)
        turned[every, first], turned[every, second] = Z[second], -Z[first]
        moved = []
        for columns in (slice(0, rank), *(slice(j, j + 1) for j in range(rank, rank + K))):
            if Z[:, columns].any():
                part = np.zeros_like(turned)
                part[..., columns] = turned[..., columns]
                moved.append(part)
        inside = Z[:, :rank] @ np.asarray(self.right)
        moved.append(np.pad(inside, ((0, 0), (0, 0), (0, K))))
        return np.concatenate(moved).reshape(-1, Z.size).T

    def invariants(self, Z: np.ndarray) -> np.ndarray:
        """Singular values of F and of all F C_j, and the lengths of the slack vectors."""
        F = Z[:, : self.rank]
        spectra = [np.linalg.svd(F @ C, compute_uv=False) for C in np.asarray(self.data.factors)]
        return np.concatenate([*spectra, np.linalg.svd(F, compute_uv=False), np.linalg.norm(Z[:, self.rank :], axis=0)])

    def normals(self, Z: np.ndarray) -> np.ndarray:
        """Orthonormal columns that span the normal space."""
        return self.constraint.normals(Z)

    def random_starts(self, key: Any, count: int) -> np.ndarray:
        """Normal perturbations of the example, at sizes from a tenth of its scale to ten times it, made feasible."""
        random = generator(key)
        sizes = np.sqrt(np.mean(self.example**2)) * 10 ** random.uniform(-1, 1, size=(count, 1, 1))
        points = self.example + sizes * random.standard_normal((count, *self.shape))
        with jax.enable_x64(True):
            return np.array(jax.vmap(self.constraint.project)(jnp.asarray(points)))


def _numbers(problem: EncoderProblem, dtype: Any) -> utilities.Data:
    return utilities.Data(*(jnp.asarray(part, dtype=dtype) for part in problem.data))


@jax.jit
def _value(problem: EncoderProblem, Z: jax.Array) -> jax.Array:
    return utilities.expressiveness(_numbers(problem, Z.dtype), Z[:, : problem.rank])


def _raw_gradient(problem: EncoderProblem, Z: jax.Array) -> jax.Array:
    inside = utilities.expressiveness_gradient(_numbers(problem, Z.dtype), Z[:, : problem.rank])
    return problem.constraint.tangent(Z, jnp.pad(inside, ((0, 0), (0, Z.shape[1] - problem.rank))))


_gradient = jax.jit(_raw_gradient)


@jax.jit
def _hessian(problem: EncoderProblem, Z: jax.Array) -> FunctionHessian:
    """P(d/dt P_{Z(t)} ∇Q(Z(t))) for tangent directions (Absil, Mahony, Sepulchre, *Optimization Algorithms on Matrix
    Manifolds*, section 5.3)."""
    _, linear = jax.linearize(lambda point: _raw_gradient(problem, point), Z)
    return FunctionHessian(linear, Z, problem.constraint)


@dataclass(frozen=True)
class EncoderLandscape:
    """The encoder's problem, its decoder answering, as a `landscape` of the library, for classes in any position.

    Its points are Z = [F E, s_1 … s_K], shape (d_z, rank X + K), with E = `span` (d_x, rank X) and slack vectors s_j on the set
    ‖F X_j‖² + ‖s_j‖² = n_j; its symmetry is a rotation of F, one of each s_j,
    and what leaves all X_jX_jᵀ alone.
    """

    landscape: EncoderProblem
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
    _, s, Vt = np.linalg.svd(np.concatenate(rows), full_matrices=False)
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
    data = utilities.numbers(utilities.stacked(own), spans.sizes, dim, epsilon)
    # ⟨∇R, F⟩ = tr(I − (I + bP)⁻¹), here for an F that is a multiple of an isometry and feasible on the whole
    room = min(dim, rank)
    squared = room * sizes.sum() / sum(np.sum(C**2) for C in own)
    steepness = dim / epsilon**2 / (1 + dim / epsilon**2 / room) / np.sqrt(squared)
    example = np.concatenate([0.1 * np.eye(dim, rank), np.zeros((dim, K))], axis=1)
    example[0, rank:] = np.sqrt(sizes)
    with jax.enable_x64(True):
        example = np.array(constraint.project(jnp.asarray(example)))
    landscape = EncoderProblem(data, constraint, _isometries(own), float(steepness), example)
    return EncoderLandscape(landscape, span, own, spans.sizes)
