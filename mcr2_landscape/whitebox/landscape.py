"""The landscape of the smooth part of the sparse rate reduction over the tokens of one layer.

    f(Z) = R(Z) − R_c(Z|U) = ½ logdet(I + a ZZᵀ) − ½ Σ_k logdet(I + alpha U_kᵀ ZZᵀ U_k),   a = d/(N eps²), alpha = p/(N eps²)

It sees Z only through S = ZZᵀ. With Z = Y Vᵀ, V (N, r) with orthonormal columns, the Hessian is the direct sum of that of the
same function at Y (d, r), the core, and N − r copies of the d × d matrix

    a (I + aS)⁻¹ − alpha Σ_k U_k (I + alpha U_kᵀ S U_k)⁻¹ U_kᵀ,

which acts on directions X Wᵀ with VᵀW = 0: along D = X Wᵀ, S moves by t² XXᵀ alone, and no second derivative mixes the two.
Where there are more tokens than dimensions the core is d × d, however many tokens there are. The gradient is that matrix times
Z.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mcr2_landscape.landscape.function import FunctionHessian
from mcr2_landscape.precision import traced_array
from mcr2_landscape.randomness import generator
from mcr2_landscape.rates import identity_like, logdet_one_plus, small_gram
from mcr2_landscape.validation import InputError, float64_matrix, positive_integer, positive_real
from mcr2_landscape.verdict import Inertia

_PRECISION = jax.lax.Precision.HIGHEST
_CRITICAL = 1e-8  # of the two gradients' norms together
_UNDECIDED = 1e4  # of eps, relative to the two parts of the Hessian
_BLUR = 10.0  # how far eigenvalues move with a gradient that is left, over its norm divided by the point's


class TokenLandscape(eqx.Module):
    """f over tokens Z of shape (d, m), a landscape of the library: `classify`, `inertia`, `ascend` take it.

    `bases` (K, d, p); `epsilon`; `num_tokens` N in the two constants: m itself, or more where Z stands for the core of more
    tokens. Numbers and bases are arguments of what is compiled: all layers of a network share that.
    """

    bases: Any
    epsilon: Any
    num_tokens: Any
    shape: tuple[int, ...] = eqx.field(static=True)

    minimize = False
    constraint = None

    @classmethod
    def of(cls, U: Any, epsilon: float, num_tokens: int, columns: int | None = None) -> TokenLandscape:
        """The landscape of `num_tokens` tokens, restricted to arrays of `columns` columns (all by default).

        **Raises:** `InputError` for bases that are not (K, d, p) numbers, or numbers out of range.
        """
        U = np.asarray(U)
        if U.ndim != 3 or not np.isfinite(U).all():
            raise InputError(f"U: found shape {U.shape}; pass finite numbers (heads, d, p), one basis of columns a head")
        num_tokens = positive_integer("num_tokens", num_tokens)
        columns = num_tokens if columns is None else positive_integer("columns", columns)
        numbers = (np.asarray(positive_real("epsilon", epsilon)), np.asarray(float(num_tokens)))
        return cls(U.astype(np.float64), *numbers, (U.shape[1], columns))

    def value(self, Z: Any) -> Float[Array, ""]:
        """f(Z).

        **Raises:** `InputError` for a wrong shape, or NumPy float64 while JAX's 64-bit mode is off; the others likewise.
        """
        return _value(self, traced_array("Z", Z, self.shape))

    def gradient(self, Z: Any) -> jax.Array:
        """∇f(Z) = (a (I + aS)⁻¹ − L) Z."""
        return _gradient(self, traced_array("Z", Z, self.shape))

    def hessian(self, Z: Any) -> FunctionHessian:
        """The Hessian as an operator."""
        return _hessian(self, traced_array("Z", Z, self.shape))

    def gradient_scale(self, Z: Any) -> jax.Array:
        """‖∇R‖ + ‖∇R_c‖: a critical point is where the two cancel."""
        return _scale(self, traced_array("Z", Z, self.shape))

    # -- landscape protocol (host) --------------------------------------------------------------------------------------------

    def evaluate(self, Z: np.ndarray) -> tuple[float, np.ndarray, float]:
        """Value, gradient and gradient scale, float64."""
        with jax.enable_x64(True):
            point = jnp.asarray(Z)
            return float(_value(self, point)), np.array(_gradient(self, point)), float(_scale(self, point))

    def hessian_matrix(self, Z: np.ndarray) -> np.ndarray:
        """The dense Hessian, float64 (n, n)."""
        with jax.enable_x64(True):
            return np.array(_hessian(self, jnp.asarray(Z)).as_matrix())

    def orbit_tangent(self, Z: np.ndarray) -> np.ndarray:
        """Z Ω for all skew Ω as columns: f does not see rotations among tokens."""
        first, second = np.tril_indices(self.shape[1], -1)
        turned = np.zeros((first.size, *self.shape))
        every = np.arange(first.size)
        turned[every, :, second], turned[every, :, first] = Z.T[first], -Z.T[second]
        return turned.reshape(first.size, Z.size).T

    def invariants(self, Z: np.ndarray) -> np.ndarray:
        """ZZᵀ."""
        return (Z @ Z.T).ravel()

    def random_starts(self, key: Any, count: int) -> np.ndarray:
        """Normal entries, of sizes from a tenth of eps to ten times it."""
        random = generator(key)
        sizes = float(self.epsilon) * 10 ** random.uniform(-1, 1, size=(count, 1, 1))
        return sizes * random.standard_normal((count, *self.shape))


def token_inertia(Z: Any, U: Any, epsilon: float) -> Inertia:
    """The Hessian's eigenvalues of f = R − R_c(·|U) at tokens Z by sign, by the exact reduction (see the module).

    **Arguments:** `Z` of shape (d, N); `U` of shape (K, d, p); `epsilon` > 0. Host function in float64. `positive` counts
    directions along which f bends upwards. Eigenvalues within rounding of zero are `undecided`, but for those that the
    symmetry proves zero at a critical point.

    **Raises:** `InputError` for wrong shapes, NaN or float32 tokens (convert them: their rounding is then theirs).
    """
    U = np.asarray(U, dtype=np.float64)
    Z = float64_matrix("Z", Z, (U.shape[1] if U.ndim == 3 else None, None))
    N = Z.shape[1]
    Y = _core_of(Z)
    core = TokenLandscape.of(U, epsilon, N, Y.shape[1])
    _, gradient, scale = core.evaluate(Y)
    norm, slope = float(np.linalg.norm(Y)), float(np.linalg.norm(gradient))
    critical = slope <= _CRITICAL * scale
    with jax.enable_x64(True):
        first, second = (np.asarray(matrix) for matrix in _two_matrices(core, jnp.asarray(Y)))
    # Relative to the two parts, not to their difference: it may be nothing but their rounding. Near a critical point what is
    # zero there has moved by the gradient.
    size = float(np.linalg.norm(first, 2) + np.linalg.norm(second, 2))
    tolerance = _UNDECIDED * np.finfo(np.float64).eps * size + (_BLUR * slope / norm if critical and norm > 0 else 0.0)
    rank, m = int(np.linalg.matrix_rank(Y)), Y.shape[1]
    copies = N - m
    # Z Ω for skew Ω, of which those that vanish are skew beyond the tokens' span; and, outside the core, all of that span.
    proved = (m * (m - 1) - (m - rank) * (m - rank - 1)) // 2 if critical else 0
    inside = _signs(np.linalg.eigvalsh(core.hessian_matrix(Y)), tolerance, proved)
    outside = _signs(np.linalg.eigvalsh(first - second), tolerance, rank if critical else 0)
    return Inertia(*(one + copies * other for one, other in zip(inside, outside, strict=True)))


def _signs(values: np.ndarray, tolerance: float, proved: int) -> tuple[int, int, int, int]:
    """How many are positive, proved zero, negative and undecided."""
    up, down = int((values > tolerance).sum()), int((values < -tolerance).sum())
    flat = values.size - up - down
    zero = min(flat, proved)
    return up, zero, down, flat - zero


def _core_of(Z: np.ndarray) -> np.ndarray:
    """Y (d, min(d, N)) with YYᵀ = ZZᵀ."""
    if Z.shape[1] <= Z.shape[0]:
        return Z
    left, values, _ = np.linalg.svd(Z, full_matrices=False)
    return left * values


def _constants(problem: TokenLandscape, dtype: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The bases, a and alpha, in a dtype."""
    U = jnp.asarray(problem.bases, dtype=dtype)
    squared = jnp.asarray(problem.num_tokens, dtype=dtype) * jnp.asarray(problem.epsilon, dtype=dtype) ** 2
    return U, U.shape[1] / squared, U.shape[2] / squared


def _raw_value(problem: TokenLandscape, Z: jax.Array) -> jax.Array:
    U, a, alpha = _constants(problem, Z.dtype)
    V = jnp.einsum("kdp,dn->kpn", U, Z, precision=_PRECISION)
    return 0.5 * (logdet_one_plus(a * small_gram(Z)) - jnp.sum(logdet_one_plus(alpha * small_gram(V))))


@jax.jit
def _two_matrices(problem: TokenLandscape, Z: jax.Array) -> tuple[jax.Array, jax.Array]:
    """∇R and ∇R_c are these two d × d matrices times Z."""
    U, a, alpha = _constants(problem, Z.dtype)
    S = jnp.matmul(Z, Z.T, precision=_PRECISION)
    whole = jnp.linalg.cholesky(identity_like(S) + a * S)
    inside = jnp.einsum("kdp,de,keq->kpq", U, S, U, precision=_PRECISION)
    inside = jnp.linalg.cholesky(identity_like(inside) + alpha * inside)
    second = jax.scipy.linalg.solve_triangular(inside, jnp.swapaxes(U, 1, 2), lower=True)
    first = a * jax.scipy.linalg.cho_solve((whole, True), identity_like(S))
    return first, alpha * jnp.einsum("kpd,kpe->de", second, second, precision=_PRECISION)


def _raw_gradient(problem: TokenLandscape, Z: jax.Array) -> jax.Array:
    first, second = _two_matrices(problem, Z)
    return jnp.matmul(first - second, Z, precision=_PRECISION)


@jax.jit
def _hessian(problem: TokenLandscape, Z: jax.Array) -> FunctionHessian:
    _, linear = jax.linearize(lambda point: _raw_gradient(problem, point), Z)
    return FunctionHessian(linear, Z, None)


@jax.jit
def _scale(problem: TokenLandscape, Z: jax.Array) -> jax.Array:
    parts = (jnp.matmul(matrix, Z, precision=_PRECISION) for matrix in _two_matrices(problem, Z))
    return sum((jnp.linalg.norm(part) for part in parts), start=jnp.zeros((), Z.dtype))


_value = jax.jit(_raw_value)
_gradient = jax.jit(_raw_gradient)
