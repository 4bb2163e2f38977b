"""The parts of the exact reduction as operators, for those that are too large to be written down."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.mcr2.forms import ByShape
from mcr2_landscape.mcr2.hessian import RateHessian
from mcr2_landscape.mcr2.kernels import Scales, matmul
from mcr2_landscape.operators import SymmetricOperator
from mcr2_landscape.reduction import Reduction
from mcr2_landscape.stacking import ClassLayout


def core_operator(reduction: Reduction) -> SymmetricOperator:
    """The core, on arrays (r, Σ r_k). To be called and used with 64-bit mode on."""
    p = reduction.parameters
    present = [k for k, rank in enumerate(reduction.ranks) if rank]
    point = np.concatenate([reduction.coordinates[k] for k in present], axis=1) / np.sqrt(p.alpha)
    layout = ClassLayout(tuple(reduction.ranks[k] for k in present))
    alphas = p.alphas[present]
    scales = Scales(jnp.asarray(p.alpha), jnp.asarray(alphas), jnp.asarray(p.alpha / alphas))
    regularization = jnp.asarray(p.regularization if reduction.regularized else 0.0)
    return RateHessian(_core_factors(jnp.asarray(point), layout, scales, regularization), reduction.rank)


_core_factors = jax.jit(ByShape.at, static_argnums=1)


def outside_operator(reduction: Reduction) -> SymmetricOperator:
    """The part on directions beyond U, on vectors (Σ r_k,). To be called and used with 64-bit mode on."""
    p = reduction.parameters
    w = [own / np.sqrt(p.alpha) for own in reduction.coordinates]
    whole = np.concatenate(w, axis=1)
    spans = []
    for own, alpha in zip(w, p.alphas, strict=True):
        if own.shape[1]:
            _, s, Vt = np.linalg.svd(own, full_matrices=False)
            # M_k = 1 − alpha_k w_kᵀ A_k w_k, and w_kᵀ A_k w_k = V (s²/(1 + alpha_k s²)) Vᵀ
            spans.append(np.sqrt(s**2 * alpha / (1 + alpha * s**2))[:, None] * Vt)
    _, s, Vt = np.linalg.svd(whole, full_matrices=False)
    smoothed = np.sqrt(s**2 * p.alpha / (1 + p.alpha * s**2))[:, None] * Vt
    rank = max(span.shape[0] for span in spans)
    widths = tuple(span.shape[1] for span in spans)
    padded = np.zeros((rank, sum(widths)))
    start = 0
    for span in spans:
        padded[: span.shape[0], start : start + span.shape[1]] = span
        start += span.shape[1]
    owners = jnp.asarray(np.repeat(np.arange(len(widths)), widths))
    shift = p.regularization if reduction.regularized else 0.0
    return Outside(jnp.asarray(smoothed), jnp.asarray(padded), owners, jnp.asarray(p.alpha), jnp.asarray(shift), len(widths))


class Outside(SymmetricOperator):
    """alpha (M − blkdiag M_k) − lambda = alpha (blkdiag G_kᵀ G_k − GᵀG) − lambda, with I − M = GᵀG and I − M_k = G_kᵀ G_k."""

    whole: jax.Array
    classes: jax.Array
    owners: jax.Array
    alpha: jax.Array
    shift: jax.Array
    count: int = eqx.field(static=True)

    @property
    def shape(self) -> tuple[int, ...]:
        """(Σ r_k,)."""
        return (self.whole.shape[1],)

    @property
    def dtype(self) -> np.dtype:
        """float64."""
        return self.whole.dtype

    @property
    def form(self) -> str:
        """From square roots."""
        return "square roots of the resolvents"

    @property
    def magnitude(self) -> jax.Array:
        """alpha."""
        return self.alpha

    def product(self, D: jax.Array) -> jax.Array:
        """See `SymmetricOperator.product`."""
        inner = jax.ops.segment_sum((self.classes * D[None, :]).T, self.owners, num_segments=self.count)
        own = jnp.sum(self.classes * inner[self.owners].T, axis=0)
        return self.alpha * (own - matmul(self.whole.T, matmul(self.whole, D))) - self.shift * D
