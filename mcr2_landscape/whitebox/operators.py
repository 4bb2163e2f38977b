"""The operators that layers are made of: multi-head subspace self-attention, and proximal gradient steps on sparse codes.

Tokens are columns here, Z of shape (d, N), as in the theory; the networks hold them as rows.

Source: Yu et al., *White-Box Transformers via Sparse Rate Reduction* (NeurIPS 2023), sections 2.3 and 2.4; Yang et al.,
*Scaling White-Box Transformers for Vision* (NeurIPS 2024) for `odl`; Wang et al., *Attention-Only Transformers via Unrolled
Subspace Denoising* (2025) for `subspace_denoising`.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mcr2_landscape.precision import positive_leaf
from mcr2_landscape.validation import positive_integer
from mcr2_landscape.whitebox.attention import attend, attention_weights
from mcr2_landscape.whitebox.tokens import bases, codes_of, dictionary, real_leaf, tokens

_PRECISION = "highest"


def mssa(Z: Any, U: Any, W: Any = None, *, temperature: Any = 1.0) -> Float[Array, "d n"]:
    """Multi-head subspace self-attention, Σ_k W_k V_k softmax(V_kᵀ V_k / temperature) with V_k = U_kᵀ Z; shape (d, N).

    **Arguments:** `Z` of shape (d, N); `U` of shape (K, d, p); `W`, the output maps, of the same shape, by default U itself, as
    derived; `temperature` > 0: 1 as derived, √p in the published networks. The softmax runs down each column. The factor
    alpha = p/(N eps²) of the derivation is the caller's.

    **Raises:** `InputError` for wrong shapes, NaN or infinity, two dtypes, or a temperature ≤ 0.

    Source: Yu et al. (2023), equations (10) and (11).
    """
    Z = tokens("Z", Z)
    U = bases("U", U, Z)
    W = U if W is None else bases("W", W, Z)
    return _mssa(Z, U, W, positive_leaf("temperature", temperature))


def compression_step(Z: Any, U: Any, *, weight: Any, alpha: Any = 1.0, temperature: Any = 1.0) -> Float[Array, "d n"]:
    """(1 − weight) Z + weight alpha MSSA(Z|U), the step that the derivation arrives at; weight = kappa alpha for a step kappa.

    With alpha = p/(N eps²) it is that of eps; 1, the default, is that of eps² = p/N. The published networks take Z + MSSA,
    without the first-order term: `Z + mssa(Z, U)`. Arguments and errors as `mssa`.
    """
    Z = tokens("Z", Z)
    weight, alpha = real_leaf("weight", weight, minimum=0.0), positive_leaf("alpha", alpha)
    return (1 - weight) * Z + weight * alpha * mssa(Z, U, temperature=temperature)


def subspace_denoising(Z: Any, U: Any, *, step: Any, threshold: Any) -> Float[Array, "d n"]:
    """Z + step Σ_k U_k V_k phi(V_kᵀ V_k), phi the column softmax in which entries above the threshold become the threshold and
    all others zero: a layer of the attention-only transformer.

    **Arguments:** as `mssa`; `step` > 0; `threshold` > 0.

    **Raises:** `InputError` as `mssa`.

    Source: Wang et al. (2025), equation (9) and theorem 1.
    """
    Z = tokens("Z", Z)
    U = bases("U", U, Z)
    return _denoised(Z, U, positive_leaf("step", step), positive_leaf("threshold", threshold))


def ista(Z: Any, D: Any, step: Any, sparsity: Any, *, start: Any = None) -> Float[Array, "a n"]:
    """ReLU(A + step Dᵀ(Z − D A) − step · sparsity): one proximal gradient step on `lasso_objective` with target Z.

    **Arguments:** `Z` of shape (d, N); `D`, the dictionary, (d, atoms), square where there is no `start`; `step` > 0;
    `sparsity` ≥ 0; `start`: A, (atoms, N), by default Z itself as in the published networks, although it has negative entries.

    **Raises:** `InputError` for wrong shapes, NaN or infinity, two dtypes, a step ≤ 0 or a negative sparsity.

    Source: Yu et al. (2023), equation (17).
    """
    Z = tokens("Z", Z)
    D = dictionary("D", D, Z, atoms=None if start is not None else Z.shape[0])
    start = Z if start is None else codes_of("start", start, D, Z)
    return _ista(start, Z, D, positive_leaf("step", step), real_leaf("sparsity", sparsity, minimum=0.0))


def odl(
    Z: Any, D: Any, D1: Any = None, step: Any = 0.1, sparsity: Any = 0.1, *, num_steps: int = 2, codes: bool = False
) -> Float[Array, "a n"]:
    """D1 A, where A comes from `num_steps` of `ista` from zero with an overcomplete dictionary; shape (d, N).

    **Arguments:** `Z` of shape (d, N); `D` of shape (d, atoms); `D1`, the decoupled dictionary of the output, of the same
    shape, by default D; `step` > 0; `sparsity` ≥ 0. With `codes` the codes A, (atoms, N), come back instead. The residual
    connection is the caller's: `Z + odl(Z, D, D1)`.

    **Raises:** `InputError` as `ista`.

    Source: Yang et al. (2024), section 3.2.
    """
    Z = tokens("Z", Z)
    D = dictionary("D", D, Z)
    D1 = D if D1 is None else dictionary("D1", D1, Z, D.shape[1])
    num_steps = positive_integer("num_steps", num_steps)
    step, sparsity = positive_leaf("step", step), real_leaf("sparsity", sparsity, minimum=0.0)
    A = jnp.zeros((D.shape[1], Z.shape[1]), dtype=Z.dtype)
    for _ in range(num_steps):
        A = _ista(A, Z, D, step, sparsity)
    return A if codes else jnp.matmul(D1, A, precision=_PRECISION)


def lasso_objective(A: Any, Z: Any, D: Any, sparsity: Any) -> Float[Array, ""]:
    """sparsity ‖A‖_1 + ½‖Z − D A‖_F², which `ista` lowers for A ≥ 0 and step < 2/‖D‖₂².

    **Raises:** `InputError` for wrong shapes, NaN or infinity, or two dtypes.
    """
    Z = tokens("Z", Z)
    D = dictionary("D", D, Z)
    A = codes_of("A", A, D, Z)
    residual = Z - jnp.matmul(D, A, precision=_PRECISION)
    return real_leaf("sparsity", sparsity, minimum=0.0) * jnp.sum(jnp.abs(A)) + 0.5 * jnp.sum(residual * residual)


def _rows(Z: jax.Array, U: jax.Array) -> jax.Array:
    """The projections of all heads with tokens as rows, (K, N, p)."""
    return jnp.einsum("dn,kdp->knp", Z, U, precision=_PRECISION)


@jax.jit
def _mssa(Z, U, W, temperature):
    with jax.default_matmul_precision(_PRECISION):
        V = _rows(Z, U)
        return jnp.einsum("kdp,knp->dn", W, attend(V, V, V, temperature))


@jax.jit
def _denoised(Z, U, step, threshold):
    with jax.default_matmul_precision(_PRECISION):
        V = _rows(Z, U)
        weights = attention_weights(V, V, 1.0)
        kept = jnp.where(weights > threshold, jnp.full_like(weights, threshold), jnp.zeros_like(weights))
        return Z + step * jnp.einsum("kdp,knp->dn", U, jnp.matmul(kept, V))


@jax.jit
def _ista(A, Z, D, step, sparsity):
    residual = Z - jnp.matmul(D, A, precision=_PRECISION)
    return jax.nn.relu(A + step * jnp.matmul(D.T, residual, precision=_PRECISION) - step * sparsity)
