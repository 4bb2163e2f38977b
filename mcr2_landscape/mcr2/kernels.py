"""The formulas of the rate reduction in JAX, on stacked class blocks.

With A = (I + alpha Z Zᵀ)^{-1}, P = A Z and, for each class, A_k, Q_k = A_k Z_k:

    ∇ΔR(Z)_k     = alpha P_k − alpha Q_k
    (H[D])_k     = alpha [A D M − alpha P Dᵀ P]_k − alpha [A_k D_k M_k − alpha_k Q_k D_kᵀ Q_k]

where M = (I + alpha ZᵀZ)^{-1}. Each resolvent is formed on its smaller side; with S = D Zᵀ or G = ZᵀD the two sides read
A D − alpha A (S + Sᵀ) P  and  [D − alpha P (G + Gᵀ)] M.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import cho_solve
from jaxtyping import Array, Float

from mcr2_landscape.rates import identity_like, logdet_one_plus, small_gram
from mcr2_landscape.stacking import ClassLayout

_PRECISION = jax.lax.Precision.HIGHEST


def matmul(a: jax.Array, b: jax.Array) -> jax.Array:
    """A product at the device's full precision (accelerators otherwise round float32 operands)."""
    return jnp.matmul(a, b, precision=_PRECISION)


def transpose(a: jax.Array) -> jax.Array:
    """The matrix transpose of a stack."""
    return jnp.swapaxes(a, -1, -2)


class Scales(NamedTuple):
    """The numbers of a problem in the dtype of its point: alpha, alpha_k and m_k/m of shape (K,)."""

    alpha: jax.Array
    alphas: Float[Array, " k"]
    weights: Float[Array, " k"]


def scales(dim: int, sizes: tuple[int, ...], epsilon, dtype) -> Scales:
    """`Scales` of a problem; `epsilon` may be traced."""
    array = np.array(sizes, dtype=np.float64)
    epsilon = jnp.asarray(epsilon, dtype=dtype)
    alpha = jnp.asarray(dim / array.sum(), dtype=dtype) / epsilon**2
    alphas = jnp.asarray(dim / array, dtype=dtype) / epsilon**2
    return Scales(alpha, alphas, jnp.asarray(array / array.sum(), dtype=dtype))


def rate_reduction(Z: jax.Array, layout: ClassLayout, s: Scales) -> jax.Array:
    """ΔR(Z)."""
    whole = 0.5 * logdet_one_plus(s.alpha * small_gram(Z))
    logdets = logdet_one_plus(s.alphas[:, None, None] * small_gram(layout.stack(Z)))
    return whole - 0.5 * jnp.sum(s.weights * logdets)


def resolvent(Z: jax.Array, scale: jax.Array) -> jax.Array:
    """(I + scale Z Zᵀ)^{-1} or (I + scale ZᵀZ)^{-1}, whichever is smaller, stacked; `scale` has the stack's shape."""
    gram = scale[..., None, None] * small_gram(Z)
    return _inverse_one_plus(gram)


def _inverse_one_plus(gram: jax.Array) -> jax.Array:
    identity = identity_like(gram)
    return cho_solve((jnp.linalg.cholesky(identity + gram), True), identity)


class Factors(NamedTuple):
    """What a point's gradient and Hessian products share. `inverse` is A (d ≤ m) or M, `smoothed` is P = A Z; the same of the
    stacked classes."""

    Z: Float[Array, "d m"]
    inverse: Float[Array, "n n"]
    smoothed: Float[Array, "d m"]
    class_inverse: Float[Array, "k n n"]
    class_smoothed: Float[Array, "k d w"]


def factor(Z: jax.Array, layout: ClassLayout, s: Scales) -> Factors:
    """Factor the point once: Cholesky on the smaller sides, the classes (and the whole, where the sides agree) in one stack."""
    d, m = Z.shape
    blocks = layout.stack(Z)
    if d <= m and d <= layout.width:
        grams = small_gram(blocks)
        stacked = jnp.concatenate([s.alpha * jnp.sum(grams, axis=0)[None], s.alphas[:, None, None] * grams])
        inverses = _inverse_one_plus(stacked)
        inverse, class_inverse = inverses[0], inverses[1:]
    else:
        inverse, class_inverse = resolvent(Z, s.alpha), resolvent(blocks, s.alphas)
    return Factors(Z, inverse, smooth(inverse, Z), class_inverse, smooth(class_inverse, blocks))


def smooth(inverse: jax.Array, Z: jax.Array) -> jax.Array:
    """A Z = Z M from whichever of the two is at hand."""
    return matmul(inverse, Z) if Z.shape[-2] <= Z.shape[-1] else matmul(Z, inverse)


def gradient(f: Factors, layout: ClassLayout, s: Scales) -> jax.Array:
    """∇ΔR from the factors of the point."""
    return s.alpha * (f.smoothed - layout.unstack(f.class_smoothed))


def hessian_product(f: Factors, layout: ClassLayout, s: Scales, D: jax.Array) -> jax.Array:
    """H[D] of ΔR from the factors of the point."""
    whole = _resolvent_derivative(f.Z, f.inverse, f.smoothed, s.alpha, D)
    classes = _resolvent_derivative(layout.stack(f.Z), f.class_inverse, f.class_smoothed, s.alphas, layout.stack(D))
    return s.alpha * (whole - layout.unstack(classes))


def _resolvent_derivative(Z, inverse, smoothed, scale, D):
    """The derivative of Z ↦ (I + scale Z Zᵀ)^{-1} Z along D, stacked."""
    scale = scale[..., None, None]
    if Z.shape[-2] <= Z.shape[-1]:
        S = matmul(D, transpose(Z))
        return matmul(inverse, D - scale * matmul(S + transpose(S), smoothed))
    G = matmul(transpose(Z), D)
    return matmul(D - scale * matmul(smoothed, G + transpose(G)), inverse)
