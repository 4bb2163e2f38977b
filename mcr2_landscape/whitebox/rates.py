"""Coding rates of tokens against subspaces, and the sparse rate reduction.

    R(Z)      = ½ logdet(I + d/(N eps²) Z Zᵀ)
    R_c(Z|U)  = Σ_k ½ logdet(I + alpha ZᵀU_k U_kᵀ Z),   alpha = p/(N eps²)
    SRR       = R(Z) − R_c(Z|U) − lambda ‖Z‖_1

for tokens Z of shape (d, N) and bases U of shape (K, d, p), in nats. The two rates have different constants, d and p: their
difference can be negative, and is no information gain. Everything is done on the smaller of p × p and N × N, all heads in one
stacked Cholesky factorization; no product of N × N tokens is made where p < N.

Source: Yu, Buchanan, Pai, Chu, Wu, Tong, Haeffele, Ma, *White-Box Transformers via Sparse Rate Reduction* (NeurIPS 2023),
sections 2.1 and 2.3.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.linalg import cho_solve
from jaxtyping import Array, Float

from mcr2_landscape.precision import positive_leaf
from mcr2_landscape.rates import coding_rate, identity_like, logdet_one_plus, small_gram
from mcr2_landscape.whitebox.tokens import bases, finite_result, real_leaf, tokens

_PRECISION = jax.lax.Precision.HIGHEST


def coding_rate_given(Z: Any, U: Any, epsilon: Any) -> Float[Array, ""]:
    """R_c(Z|U), the coding rate of tokens projected on each of K subspaces, in nats.

    **Arguments:** `Z` of shape (d, N); `U` of shape (K, d, p), in the theory with orthonormal columns, which is not needed
    here; `epsilon` > 0, the precision (not its square). Arrays of one dtype, float32 or float64; all may be traced.

    **Raises:** `InputError` for wrong shapes, NaN or infinity, epsilon ≤ 0, two dtypes, tokens too large for the dtype, or
    NumPy float64 while JAX's 64-bit mode is off.

    >>> import jax.numpy as jnp
    >>> round(float(coding_rate_given(jnp.eye(2), jnp.eye(2)[:, :, None], epsilon=1.0)), 6)   # 2 × ½ log(1 + 1/2)
    0.405465
    """
    Z, U = _both(Z, U)
    return finite_result("coding_rate_given", rate_given(Z, U, positive_leaf("epsilon", epsilon)))


def coding_rate_given_gradient(Z: Any, U: Any, epsilon: Any) -> Float[Array, "d n"]:
    """∇R_c = alpha Σ_k U_k (I_p + alpha V_k V_kᵀ)⁻¹ V_k with V_k = U_kᵀ Z, shape (d, N).

    Arguments and errors as `coding_rate_given`. For N < p it is V_k (I_N + alpha V_kᵀ V_k)⁻¹, the same by the push-through
    identity.
    """
    Z, U = _both(Z, U)
    return finite_result("coding_rate_given_gradient", rate_given_gradient(Z, U, positive_leaf("epsilon", epsilon)))


def gradient_filter(Z: Any, U: Any, epsilon: Any) -> Float[Array, "d d"]:
    """L = alpha Σ_k U_k (I_p + alpha V_k V_kᵀ)⁻¹ U_kᵀ, shape (d, d): ∇R_c = L Z, one linear map for all tokens.

    Arguments and errors as `coding_rate_given`. A step along −∇R_c is a filter made of the tokens' second moments: no
    token is treated by what it is itself.
    """
    Z, U = _both(Z, U)
    return finite_result("gradient_filter", _filter(Z, U, positive_leaf("epsilon", epsilon)))


def neumann_gradient(Z: Any, U: Any, epsilon: Any) -> Float[Array, "d n"]:
    """The first-order Neumann approximation of ∇R_c, alpha Σ_k U_k V_k (I − alpha V_kᵀ V_k), shape (d, N).

    Arguments and errors as `coding_rate_given`. It is one only where `neumann_ratio` is below one, with an error of about its
    square.

    Source: Yu et al. (2023), equation (9) before the softmax.
    """
    Z, U = _both(Z, U)
    return finite_result("neumann_gradient", _neumann(Z, U, positive_leaf("epsilon", epsilon)))


def neumann_ratio(Z: Any, U: Any, epsilon: Any) -> Float[Array, ""]:
    """rho = alpha max_k ‖U_kᵀ Z‖₂²: the Neumann series of ∇R_c converges iff it is below one. Arguments and errors as
    `coding_rate_given`."""
    Z, U = _both(Z, U)
    return finite_result("neumann_ratio", _ratio(Z, U, positive_leaf("epsilon", epsilon)))


def sparse_rate_reduction(Z: Any, U: Any, epsilon: Any, sparsity: Any) -> Float[Array, ""]:
    """R(Z) − R_c(Z|U) − sparsity ‖Z‖_1, which a layer is derived to raise.

    **Arguments:** as `coding_rate_given`; `sparsity` ≥ 0, the weight lambda of the relaxed number of entries.

    **Raises:** `InputError` as `coding_rate_given`, and for a negative sparsity.

    Source: Yu et al. (2023), equation (6), with ‖Z‖_0 relaxed to ‖Z‖_1.
    """
    Z, U = _both(Z, U)
    epsilon, sparsity = positive_leaf("epsilon", epsilon), real_leaf("sparsity", sparsity, minimum=0.0)
    reduction = coding_rate(Z, epsilon) - finite_result("sparse_rate_reduction", rate_given(Z, U, epsilon))
    return reduction - sparsity * jnp.sum(jnp.abs(Z))


def _both(Z: Any, U: Any) -> tuple[jax.Array, jax.Array]:
    Z = tokens("Z", Z)
    return Z, bases("U", U, Z)


def _projections(Z: jax.Array, U: jax.Array) -> jax.Array:
    """V_k = U_kᵀ Z of all heads, shape (K, p, N)."""
    return jnp.einsum("kdp,dn->kpn", U, Z, precision=_PRECISION)


def _alpha(Z: jax.Array, U: jax.Array, epsilon: Any) -> Any:
    return U.shape[2] / (Z.shape[1] * epsilon**2)


@jax.jit
def rate_given(Z: Any, U: Any, epsilon: Any) -> Any:
    """R_c(Z|U) without looking at what comes in."""
    return 0.5 * jnp.sum(logdet_one_plus(_alpha(Z, U, epsilon) * small_gram(_projections(Z, U))))


@jax.jit
def rate_given_gradient(Z: Any, U: Any, epsilon: Any) -> Any:
    """∇R_c without looking at what comes in."""
    alpha, V = _alpha(Z, U, epsilon), _projections(Z, U)
    G = alpha * small_gram(V)
    L = jnp.linalg.cholesky(identity_like(G) + G)
    if V.shape[1] <= V.shape[2]:
        inner = cho_solve((L, True), V)
    else:
        inner = jnp.swapaxes(cho_solve((L, True), jnp.swapaxes(V, 1, 2)), 1, 2)
    return alpha * jnp.einsum("kdp,kpn->dn", U, inner, precision=_PRECISION)


@jax.jit
def _filter(Z, U, epsilon):
    alpha, V = _alpha(Z, U, epsilon), _projections(Z, U)
    G = alpha * jnp.matmul(V, jnp.swapaxes(V, 1, 2), precision=_PRECISION)
    L = jnp.linalg.cholesky(identity_like(G) + G)
    inner = cho_solve((L, True), jnp.swapaxes(U, 1, 2))
    return alpha * jnp.einsum("kdp,kpe->de", U, inner, precision=_PRECISION)


@jax.jit
def _neumann(Z, U, epsilon):
    alpha, V = _alpha(Z, U, epsilon), _projections(Z, U)
    if V.shape[1] <= V.shape[2]:
        second = jnp.matmul(jnp.matmul(V, jnp.swapaxes(V, 1, 2), precision=_PRECISION), V, precision=_PRECISION)
    else:
        second = jnp.matmul(V, jnp.matmul(jnp.swapaxes(V, 1, 2), V, precision=_PRECISION), precision=_PRECISION)
    return alpha * jnp.einsum("kdp,kpn->dn", U, V - alpha * second, precision=_PRECISION)


@jax.jit
def _ratio(Z, U, epsilon):
    return _alpha(Z, U, epsilon) * jnp.max(jnp.linalg.eigvalsh(small_gram(_projections(Z, U))))
