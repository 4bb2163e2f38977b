"""The parts of the exact reduction as operators, for those that are too large to be written down."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.curvature.padded import Padded
from mcr2_landscape.mcr2.forms import ByShape
from mcr2_landscape.mcr2.hessian import RateHessian
from mcr2_landscape.mcr2.kernels import Scales, matmul
from mcr2_landscape.mcr2.rank_forms import padded_rank
from mcr2_landscape.operators import SymmetricOperator
from mcr2_landscape.reduction import Reduction
from mcr2_landscape.stacking import ClassLayout

# Ranks, of the whole and of classes, are padded to multiples of these, so that points of similar ranks share their programs.
# Beyond `_LARGE` unknowns products outweigh a compilation, and padding makes each of them dearer.
_WHOLE, _CLASS = 8, 4
_LARGE = 2**16


def core_operator(reduction: Reduction) -> SymmetricOperator:
    """The core, on arrays (r, Σ r_k). To be called and used with 64-bit mode on."""
    p = reduction.parameters
    present = [k for k, rank in enumerate(reduction.ranks) if rank]
    ranks = tuple(reduction.ranks[k] for k in present)
    large = reduction.rank * sum(ranks) > _LARGE
    rows = reduction.rank if large else padded_rank(reduction.rank, _WHOLE)
    layout = ClassLayout(ranks if large else tuple(padded_rank(rank, _CLASS) for rank in ranks))
    columns = [first + number for first, rank in zip(layout.starts, ranks, strict=True) for number in range(rank)]
    point = np.zeros((rows, layout.num_columns))
    point[: reduction.rank, columns] = np.concatenate([reduction.coordinates[k] for k in present], axis=1) / np.sqrt(p.alpha)
    alphas = p.alphas[present]
    scales = Scales(jnp.asarray(p.alpha), jnp.asarray(alphas), jnp.asarray(p.alpha / alphas))
    regularization = jnp.asarray(p.regularization if reduction.regularized else 0.0)
    core = RateHessian(_core_factors(jnp.asarray(point), layout, scales, regularization), rows)
    # The resolvents of the padded point are the identity on its rows and columns of zeros, which no term mixes with others.
    return core if large else Padded(core, (tuple(range(reduction.rank)), tuple(columns)))


_core_factors = jax.jit(ByShape.at, static_argnums=1)


def outside_operator(reduction: Reduction) -> SymmetricOperator:
    """The part on directions beyond U, on vectors (Σ r_k,). To be called and used with 64-bit mode on."""
    p = reduction.parameters
    w = [own / np.sqrt(p.alpha) for own in reduction.coordinates]
    whole = np.concatenate(w, axis=1)
    total = whole.shape[1]
    columns = padded_rank(total, _WHOLE)
    classes = np.zeros((padded_rank(max(reduction.ranks), _CLASS), columns))
    owners = np.zeros(columns, dtype=np.int64)
    start = 0
    for k, (own, alpha) in enumerate(zip(w, p.alphas, strict=True)):
        if own.shape[1]:
            root = _root_of_lost(own, alpha)
            stop = start + own.shape[1]
            classes[: root.shape[0], start:stop], owners[start:stop] = root, k
            start = stop
    root = _root_of_lost(whole, p.alpha)
    smoothed = np.zeros((padded_rank(root.shape[0], _WHOLE), columns))
    smoothed[: root.shape[0], :total] = root
    shift = p.regularization if reduction.regularized else 0.0
    wide = Outside(
        jnp.asarray(smoothed), jnp.asarray(classes), jnp.asarray(owners), jnp.asarray(p.alpha), jnp.asarray(shift), len(w)
    )
    return Padded(wide, (tuple(range(total)),))


def _root_of_lost(own: np.ndarray, alpha: float) -> np.ndarray:
    """G with GᵀG = I − M = alpha wᵀ A w = V (alpha s²/(1 + alpha s²)) Vᵀ, for the resolvents of one class or of the whole."""
    _, s, Vt = np.linalg.svd(own, full_matrices=False)
    return np.sqrt(s**2 * alpha / (1 + alpha * s**2))[:, None] * Vt


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
