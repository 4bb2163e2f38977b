"""The limits of white-box transformers: the matrix products that they are made of and nothing else, as one jitted program.

Every operand is a contiguous array of its own. In a layer the products follow one another as they do in the network, and the
operands are such that numbers neither grow nor vanish on the way: one product's result is the next one's operand, so that
none can be left out or moved, and nothing but products has to be computed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.validation import InputError
from mcr2_landscape.whitebox import Architecture

_HIGHEST = jax.lax.Precision.HIGHEST


@dataclass(frozen=True)
class ProductsAlone:
    """A program of products: `run` computes and waits for it; `flops`, multiplications and additions."""

    flops: int
    program: Any = field(repr=False)
    operands: tuple[Any, ...] = field(repr=False)

    def run(self) -> Any:
        """The results."""
        return jax.block_until_ready(self.program(*self.operands))


def forward_products(architecture: Architecture, batch: int) -> ProductsAlone:
    """The products of CRATE's forward pass in float32: the patch embedding, in each layer tokens times [U_1, …, U_K], each
    head's Gram matrix of tokens, its softmax times the projections, the output map, Dx and Dᵀ(x − Dx), and the head.

    **Raises:** `InputError` for another network than CRATE.
    """
    a = architecture
    if (a.attention, a.sparsification, a.output, a.decoder) != ("mssa", "ista", "free", "none"):
        raise InputError('architecture: the products are those of "mssa" and "ista" with a free output map and no decoder')
    random, tokens, inner = np.random.default_rng(0), a.num_patches + 1, a.inner
    head_dim = inner // a.heads
    if a.inner != a.dim or head_dim > tokens:
        raise InputError("architecture: the heads have to make up the width, with tokens no fewer than a head is wide")

    def numbers(*shape: int) -> Any:
        return jnp.asarray(random.standard_normal(shape, np.float32))

    def orthonormal(*shape: int) -> Any:
        return jnp.asarray(np.linalg.qr(random.standard_normal(shape))[0].astype(np.float32))

    maps = [[orthonormal(a.dim, a.dim) for _ in range(3)] for _ in range(a.depth)]
    # V with orthonormal columns: V Vᵀ V = V, so that the products of the next layer are of the same numbers.
    heads = orthonormal(batch, a.heads, tokens, head_dim)
    gram = jnp.matmul(heads, jnp.swapaxes(heads, -1, -2))
    operands = (numbers(batch, a.num_patches, a.patch_dim), numbers(a.patch_dim, a.dim), numbers(batch, tokens, a.dim), maps)
    operands += (heads, gram, numbers(batch, a.dim), numbers(a.dim, a.num_classes))
    layer = 4 * tokens * a.dim * a.dim + 2 * tokens * tokens * inner
    flops = 2 * batch * (a.depth * layer + a.num_patches * a.patch_dim * a.dim + a.dim * a.num_classes)
    return ProductsAlone(flops, _forward, operands)


@jax.jit
def _forward(patches, embedding, tokens, maps, heads, gram, class_tokens, head):
    embedded = jnp.matmul(patches, embedding)
    for subspaces, output, dictionary in maps:
        tokens = jnp.matmul(jnp.matmul(tokens, subspaces), output)
        tokens = jnp.matmul(jnp.matmul(tokens, dictionary.T), dictionary)
        heads, gram = jnp.matmul(gram, heads), jnp.matmul(heads, jnp.swapaxes(heads, -1, -2))
    return embedded, tokens, heads, gram, jnp.matmul(class_tokens, head)


def rate_products(dim: int, num_tokens: int, heads: int, head_dim: int) -> ProductsAlone:
    """The products of R_c and its gradient together in float32: V_k = U_kᵀZ, V_kV_kᵀ, a p × p matrix times V_k (which two
    triangular solves are, in flops), and U_k times that, summed over heads."""
    random = np.random.default_rng(0)
    shapes = ((dim, num_tokens), (heads, dim, head_dim), (heads, head_dim, head_dim))
    operands = tuple(jnp.asarray(random.standard_normal(shape, np.float32) / np.float32(dim)) for shape in shapes)
    flops = 4 * heads * num_tokens * head_dim * (dim + head_dim)
    return ProductsAlone(flops, _rate, operands)


@jax.jit
def _rate(Z, U, inverses):
    V = jnp.einsum("kdp,dn->kpn", U, Z, precision=_HIGHEST)
    gram = jnp.matmul(V, jnp.swapaxes(V, 1, 2), precision=_HIGHEST)
    inner = jnp.matmul(inverses, V, precision=_HIGHEST)
    return gram, jnp.einsum("kdp,kpn->dn", U, inner, precision=_HIGHEST)
