"""The rate reduction and its gradient in JAX, class by class.

With A = (I + alpha Z Zᵀ)^{-1} and, for each class, A_k:

    ∇F(Z)_k = alpha A Z_k − alpha A_k Z_k − lambda Z_k

A Z = Z M with M = (I + alpha ZᵀZ)^{-1}: each resolvent is formed on its smaller side, as A where a block has at least as many
columns as rows ("left"), else as M ("right").
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import cho_solve
from jaxtyping import Array, Float

from mcr2_landscape.rates import identity_like, logdet_one_plus, small_gram
from mcr2_landscape.stacking import Bucket, ClassLayout

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


def scales(dim: int, sizes: tuple[int, ...], epsilon: Any, dtype: Any) -> Scales:
    """`Scales` of a problem; `epsilon` may be traced."""
    array = np.array(sizes, dtype=np.float64)
    epsilon = jnp.asarray(epsilon, dtype=dtype)
    alpha = jnp.asarray(dim / array.sum(), dtype=dtype) / epsilon**2
    alphas = jnp.asarray(dim / array, dtype=dtype) / epsilon**2
    return Scales(alpha, alphas, jnp.asarray(array / array.sum(), dtype=dtype))


def rate_reduction(Z: jax.Array, layout: ClassLayout, s: Scales) -> jax.Array:
    """ΔR(Z)."""
    whole = 0.5 * logdet_one_plus(s.alpha * small_gram(Z))
    logdets = layout.map(
        lambda block, scale: logdet_one_plus(scale * small_gram(block)), (Z,), layout.split(s.alphas), stacked=True
    )
    return whole - 0.5 * jnp.sum(s.weights * layout.join(logdets))


def left(bucket: Bucket, rows: int) -> bool:
    """Whether the bucket's resolvents are those of the rows, A_k."""
    return rows <= bucket.width


class Resolvents(NamedTuple):
    """The resolvents of a point and of its classes, with the Gram matrices that they come from, on their smaller sides."""

    gram: Float[Array, "n n"]
    inverse: Float[Array, "n n"]
    class_grams: tuple[jax.Array, ...]
    class_inverses: tuple[jax.Array, ...]


def resolvents(Z: jax.Array, layout: ClassLayout, s: Scales) -> Resolvents:
    """Form them: one stacked Cholesky factorization for each size of matrix."""
    d, m = Z.shape
    class_grams = layout.map(small_gram, (Z,))
    lefts = [left(bucket, d) for bucket in layout.buckets]
    if d <= m and all(lefts):  # the sum of what is there
        gram = sum((jnp.sum(part, axis=0) for part in class_grams), jnp.zeros((d, d), Z.dtype))
    else:
        gram = small_gram(Z)
    scaled = [s.alpha * gram[None]]
    scaled += [alpha[:, None, None] * part for alpha, part in zip(layout.split(s.alphas), class_grams, strict=True)]
    inverses = _inverses(scaled)
    return Resolvents(gram, inverses[0][0], class_grams, tuple(inverses[1:]))


def _inverses(stacks: list[jax.Array]) -> list[jax.Array]:
    """(I + G)^{-1} of every matrix in stacks of different sizes."""
    found: dict[int, jax.Array] = {}
    for number, stack in enumerate(stacks):
        same = [other for other in range(len(stacks)) if stacks[other].shape[-1] == stack.shape[-1]]
        if same[0] < number:
            continue
        joined = jnp.concatenate([stacks[other] for other in same])
        identity = identity_like(joined)
        inverse = cho_solve((jnp.linalg.cholesky(identity + joined), True), identity)
        ends = np.cumsum([stacks[other].shape[0] for other in same])[:-1]
        found |= dict(zip(same, jnp.split(inverse, ends), strict=True))
    return [found[number] for number in range(len(stacks))]


def gradient(Z: jax.Array, layout: ClassLayout, s: Scales, regularization: jax.Array) -> jax.Array:
    """∇F, with lambda = 0 that of ΔR."""
    r = resolvents(Z, layout, s)
    d, m = Z.shape
    if d > m:
        classes = layout.assemble(matmul, (Z,), r.class_inverses)
        return s.alpha * (matmul(Z, r.inverse) - classes) - regularization * Z
    shifted = s.alpha * r.inverse - regularization * jnp.eye(d, dtype=Z.dtype)

    def block(Z_k: jax.Array, inverse: jax.Array) -> jax.Array:
        if inverse.shape[0] == d and d <= Z_k.shape[1]:
            return matmul(shifted - s.alpha * inverse, Z_k)
        return matmul(shifted, Z_k) - s.alpha * matmul(Z_k, inverse)

    return layout.assemble(block, (Z,), r.class_inverses)


def gradient_scale(Z: jax.Array, layout: ClassLayout, s: Scales, regularization: jax.Array) -> jax.Array:
    """‖alpha A Z‖ + ‖(alpha A_k Z_k)_k‖ + lambda‖Z‖, from the Gram matrices: ‖A Z‖² = tr A G A."""
    r = resolvents(Z, layout, s)
    classes = sum(
        jnp.sum(_smoothed_square(gram, inverse)) for gram, inverse in zip(r.class_grams, r.class_inverses, strict=True)
    )
    whole = _smoothed_square(r.gram, r.inverse)
    return s.alpha * (jnp.sqrt(whole) + jnp.sqrt(classes)) + regularization * jnp.linalg.norm(Z)


def _smoothed_square(gram: jax.Array, inverse: jax.Array) -> jax.Array:
    return jnp.maximum(jnp.sum(matmul(inverse, gram) * inverse, axis=(-2, -1)), 0)
