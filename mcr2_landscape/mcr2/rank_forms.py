"""The Hessian of the regularized rate reduction at a point of low rank: Z_k = W_k V_kᵀ with orthonormal V_k.

Write E_k = D_k V_k. Then (H[D])_k = B_k D_k + Y_k V_kᵀ with B_k = alpha (A − A_k) − lambda and

    Y_k = −alpha² A (S + Sᵀ) A W_k + alpha alpha_k A_k (S_k + S_kᵀ) A_k W_k,    S_k = E_k W_kᵀ,  S = Σ S_k

**Mid-rank**: that, at 2 d² m + 4 d Σ m_k r_k flops and more that does not grow with m. **Low-rank**: with U an orthonormal
basis of the columns of Z, everything but −lambda D_k lives on span U and on the E_k: (H[D])_k = −lambda D_k + [U e_k] [X_k;
V_kᵀ], at 4 d r m + 4 d Σ m_k r_k flops.

The classes' ranks are padded to the largest of their bucket and to a multiple of four, that of U to a multiple of eight, with
columns of zeros, which add nothing: points of similar ranks share one compiled program.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from mcr2_landscape.factorization import Factorization
from mcr2_landscape.mcr2.kernels import Scales, matmul, transpose
from mcr2_landscape.rates import identity_like
from mcr2_landscape.stacking import ClassLayout

_PARTS = tuple[jax.Array, ...]  # one stack for each bucket
# Ranks, of classes and of the whole, are padded to multiples of these, so that points of similar ranks share a program. At
# large points a product is worth its own program: padding 50 to 56 costs a tenth of it.
_PADDING, _LARGE_PADDING = (4, 8), (1, 2)
_LARGE = 2**20  # numbers in a point


class _ByRank(eqx.Module):
    """What both forms keep of a point, stacked by buckets: V_k (k, w, r_k), W_k and A_k W_k (k, d, r_k), W_kᵀ A_k W_k, a
    matrix that D_k or its coordinates are multiplied by; the whole's A W and Wᵀ A W. The ranks r_k are numbers: part of the
    shape, they would ask for a program of their own."""

    right: _PARTS
    scaled: _PARTS
    smoothed: _PARTS
    inner: _PARTS
    straight: _PARTS
    whole_smoothed: jax.Array
    whole_inner: jax.Array
    scales: Scales
    regularization: jax.Array
    ranks: jax.Array
    condition: jax.Array
    residual: jax.Array
    layout: ClassLayout = eqx.field(static=True)


class MidRank(_ByRank):
    """The factors of one point, with B_k in `straight`, and the whole's A."""

    inverse: jax.Array

    name = "mid-rank"

    @staticmethod
    def at(
        parts: tuple[_PARTS, _PARTS],
        layout: ClassLayout,
        s: Scales,
        regularization: jax.Array,
        ranks: jax.Array,
        residual: jax.Array,
    ) -> MidRank:
        """From W_k and V_k in stacks (`stacks`), and the norm of what they leave of Z, traced."""
        common, inverse, inverses = _common(parts, layout, s, regularization, ranks, residual)
        identity = regularization * identity_like(inverse)
        straight = tuple(s.alpha * (inverse[None] - part) - identity[None] for part in inverses)
        return MidRank(**common, straight=straight, inverse=inverse)

    @property
    def growth(self) -> jax.Array:
        """By how much rounding is larger than the dtype's precision: I + alpha Z Zᵀ is formed here too."""
        return 1 + self.condition

    @property
    def flops(self) -> int | None:
        """Of one product; `None` where the ranks are traced."""
        if isinstance(self.ranks, Tracer):
            return None
        return mid_rank_flops(self.inverse.shape[0], self.layout.widths, np.asarray(self.ranks).tolist())

    def product(self, D: jax.Array) -> jax.Array:
        """H[D]."""
        alpha, alphas = self.scales.alpha, self.layout.split(self.scales.alphas)
        parts = self.layout.map(matmul, (D,), self.right)
        E, W, P = _columns(parts), _columns(self.scaled), self.whole_smoothed
        if 3 * E.shape[1] <= 2 * E.shape[0]:
            bent = matmul(E, self.whole_inner) + matmul(W, matmul(E.T, P))
        else:
            S = matmul(E, W.T)
            bent = matmul(S + S.T, P)
        whole = _stacks(-(alpha**2) * matmul(self.inverse, bent), parts)

        def own(E_k: jax.Array, W_k: jax.Array, q: jax.Array, n: jax.Array, a: jax.Array, w: jax.Array) -> jax.Array:
            X = matmul(E_k, n) + matmul(W_k, matmul(E_k.T, q))
            return w + alpha * a * (X - a * matmul(q, matmul(W_k.T, X)))

        Y = tuple(
            jax.vmap(own)(*item) for item in zip(parts, self.scaled, self.smoothed, self.inner, alphas, whole, strict=True)
        )
        return self.layout.assemble(
            lambda D_k, straight, y, V: matmul(straight, D_k) + matmul(y, V.T), (D,), self.straight, Y, self.right
        )


class LowRank(_ByRank):
    """The factors of one point in the coordinates of U (d, r): w_k = UᵀW_k takes the place of W_k, à and Ã_k (r, r) those of A
    and A_k, and alpha (à − Ã_k) times U is in `straight` (k, d, r); the whole's I − Ã, and the matrix that takes E to e. The
    last of the ranks is r."""

    basis: jax.Array
    lost: jax.Array
    mixing: jax.Array

    name = "low-rank"

    @staticmethod
    def at(
        basis: jax.Array,
        parts: tuple[_PARTS, _PARTS],
        layout: ClassLayout,
        s: Scales,
        regularization: jax.Array,
        ranks: jax.Array,
        residual: jax.Array,
    ) -> LowRank:
        """From U (`padded_basis`), the w_k and the V_k in stacks (`stacks`), and the norm of what they leave of Z, traced."""
        common, inverse, inverses = _common(parts, layout, s, regularization, ranks, residual)
        straight = tuple(matmul(basis[None], s.alpha * (inverse[None] - part)) for part in inverses)
        own = [s.alpha * a[:, None, None] * n for a, n in zip(layout.split(s.alphas), common["inner"], strict=True)]
        mixing = -(s.alpha**2) * common["whole_inner"] + _block_diagonal(own)
        lost = identity_like(inverse) - inverse
        return LowRank(**common, straight=straight, basis=basis, lost=lost, mixing=mixing)

    @property
    def growth(self) -> jax.Array:
        """By how much rounding is larger than the dtype's precision. The rows of each w_k go with singular values of Z, and its
        columns with its own: they are scaled rows and columns of matrices of a small condition, which a Cholesky factorization
        of I + alpha w wᵀ does not see. What is left is the rounding of Z itself."""
        return 1 + jnp.sqrt(self.condition)

    @property
    def flops(self) -> int | None:
        """Of one product; `None` where the ranks are traced."""
        if isinstance(self.ranks, Tracer):
            return None
        *own, whole = np.asarray(self.ranks).tolist()
        return low_rank_flops(self.basis.shape[0], self.layout.widths, whole, own)

    def product(self, D: jax.Array) -> jax.Array:
        """H[D]."""
        alpha, alphas = self.scales.alpha, self.layout.split(self.scales.alphas)
        # both from one slice of D, while it is at hand
        both = self.layout.map(lambda D_k, V: (matmul(self.basis.T, D_k), matmul(D_k, V)), (D,), self.right)
        across, parts = tuple(X for X, _ in both), tuple(part for _, part in both)
        E = _columns(parts)
        F = matmul(self.basis.T, E)
        P = self.whole_smoothed
        whole = alpha**2 * (matmul(self.lost, matmul(F, self.whole_inner)) - matmul(matmul(P, F.T), P))
        outside, inside = _stacks(matmul(E, self.mixing), parts), _stacks(whole, parts)

        def own(f: jax.Array, w: jax.Array, q: jax.Array, n: jax.Array, a: jax.Array, y: jax.Array) -> jax.Array:
            return y + alpha * a * matmul(q, matmul(f.T, q) - a * matmul(w.T, matmul(f, n)))

        Y = tuple(
            jax.vmap(own)(*item)
            for item in zip(_stacks(F, parts), self.scaled, self.smoothed, self.inner, alphas, inside, strict=True)
        )

        bent = tuple(e + matmul(self.basis[None], y) for e, y in zip(outside, Y, strict=True))

        def block(D_k: jax.Array, X_k: jax.Array, straight: jax.Array, y: jax.Array, V: jax.Array) -> jax.Array:
            columns, rows = jnp.concatenate([straight, y], axis=1), jnp.concatenate([X_k, V.T])
            return matmul(columns, rows) - self.regularization * D_k

        return self.layout.assemble(block, (D,), across, self.straight, bent, self.right)


def _common(
    parts: tuple[_PARTS, _PARTS],
    layout: ClassLayout,
    s: Scales,
    regularization: jax.Array,
    ranks: jax.Array,
    residual: jax.Array,
) -> tuple[dict[str, Any], jax.Array, _PARTS]:
    """The fields of `_ByRank` but for `straight`, A, and the A_k."""
    scaled, right = parts
    smoothed, inner, inverses = _class_factors(scaled, layout.split(s.alphas))
    joined = _columns(scaled)
    inverse = _resolvent(s.alpha * matmul(joined, joined.T))
    whole_smoothed = matmul(inverse, joined)
    found = {
        "right": right,
        "scaled": scaled,
        "smoothed": smoothed,
        "inner": inner,
        "whole_smoothed": whole_smoothed,
        "whole_inner": matmul(joined.T, whole_smoothed),
        "scales": s,
        "regularization": regularization,
        "ranks": ranks,
        "condition": _condition(scaled, layout, s),
        "residual": residual,
        "layout": layout,
    }
    return found, inverse, inverses


def _class_factors(scaled: _PARTS, alphas: _PARTS) -> tuple[_PARTS, _PARTS, _PARTS]:
    """A_k W_k, W_kᵀ A_k W_k and A_k of every class."""
    smoothed, inner, inverses = [], [], []
    for W, a in zip(scaled, alphas, strict=True):
        gram = a[:, None, None] * matmul(transpose(W), W)
        q = matmul(W, _resolvent(gram))
        smoothed.append(q)
        inner.append(matmul(transpose(W), q))
        identity = jnp.broadcast_to(jnp.eye(W.shape[1], dtype=W.dtype), (*W.shape[:-2], W.shape[1], W.shape[1]))
        inverses.append(identity - a[:, None, None] * matmul(q, transpose(W)))
    return tuple(smoothed), tuple(inner), tuple(inverses)


def _condition(scaled: _PARTS, layout: ClassLayout, s: Scales) -> jax.Array:
    """The largest of alpha ‖Z‖² and the alpha_k ‖Z_k‖²."""
    squares = [jnp.sum(W * W, axis=(-2, -1)) for W in scaled]
    own = [jnp.max(a * square) for a, square in zip(layout.split(s.alphas), squares, strict=True)]
    return jnp.maximum(jnp.max(jnp.stack(own)), s.alpha * sum(jnp.sum(square) for square in squares))


def _resolvent(gram: jax.Array) -> jax.Array:
    identity = identity_like(gram)
    return jax.scipy.linalg.cho_solve((jnp.linalg.cholesky(identity + gram), True), identity)


def _columns(parts: Sequence[jax.Array]) -> jax.Array:
    """Stacks (k, rows, columns) of all buckets side by side, (rows, all columns)."""
    flat = [jnp.moveaxis(part, 0, 1).reshape(part.shape[1], -1) for part in parts]
    return flat[0] if len(flat) == 1 else jnp.concatenate(flat, axis=1)


def _stacks(joined: jax.Array, like: Sequence[jax.Array]) -> _PARTS:
    """The inverse of `_columns`, for as many classes and columns as `like` has."""
    widths = [part.shape[0] * part.shape[2] for part in like]
    pieces = jnp.split(joined, np.cumsum(widths)[:-1], axis=1)
    return tuple(
        jnp.moveaxis(piece.reshape(joined.shape[0], part.shape[0], part.shape[2]), 1, 0)
        for piece, part in zip(pieces, like, strict=True)
    )


def _block_diagonal(parts: Sequence[jax.Array]) -> jax.Array:
    blocks = [block for part in parts for block in part]
    return jax.scipy.linalg.block_diag(*blocks)


def stacks(factors: Factorization, layout: ClassLayout, dtype: Any, *, reduced: bool) -> tuple[_PARTS, _PARTS]:
    """W_k (in the coordinates of U if `reduced`) and V_k by buckets, in windows, their ranks padded to a multiple of four that
    all classes of the bucket fit into."""
    scaled = factors.coordinates() if reduced else factors.scaled
    height = scaled[0].shape[0]
    rows = min(padded_rank(height, _paddings(layout, factors)[1]), factors.scaled[0].shape[0]) if reduced else height
    all_scaled, all_right = [], []
    for bucket in layout.buckets:
        rank = padded_rank(max(factors.ranks[k] for k in bucket.classes), _paddings(layout, factors)[0])
        W = np.zeros((len(bucket.classes), rows, rank), dtype=dtype)
        V = np.zeros((len(bucket.classes), bucket.width, rank), dtype=dtype)
        for i, k in enumerate(bucket.classes):
            own = factors.ranks[k]
            W[i, :height, :own] = scaled[k]
            first = int(bucket.offsets[i])
            V[i, first : first + bucket.widths[i], :own] = factors.right[k]
        all_scaled.append(jnp.asarray(W))
        all_right.append(jnp.asarray(V))
    return tuple(all_scaled), tuple(all_right)


def padded_basis(factors: Factorization, layout: ClassLayout, dtype: Any) -> jax.Array:
    """U with columns of zeros behind its own."""
    assert factors.basis is not None
    d, r = factors.basis.shape
    U = np.zeros((d, min(padded_rank(r, _paddings(layout, factors)[1]), d)), dtype=dtype)
    U[:, :r] = factors.basis
    return jnp.asarray(U)


def _paddings(layout: ClassLayout, factors: Factorization) -> tuple[int, int]:
    """What the ranks of classes and of the whole are padded to multiples of."""
    return _LARGE_PADDING if factors.scaled[0].shape[0] * layout.num_columns > _LARGE else _PADDING


def padded_rank(rank: int, multiple: int) -> int:
    """The rank rounded up to a multiple, which is at least one."""
    return max(multiple * -(-rank // multiple), multiple)


def num_entries(factors: Factorization, layout: ClassLayout, *, reduced: bool) -> int:
    """Numbers that the factors and what they are made from take, padding included."""
    dim = factors.scaled[0].shape[0]
    side = min(padded_rank(factors.rank, _paddings(layout, factors)[1]), dim) if reduced else dim
    columns = within = right = 0
    for bucket in layout.buckets:
        count = len(bucket.classes)
        rank = padded_rank(max(factors.ranks[k] for k in bucket.classes), _paddings(layout, factors)[0])
        columns += count * rank
        within += 3 * count * rank**2
        right += 2 * count * bucket.width * rank  # on the host too
    own = layout.num_classes * side * (side + dim) + 4 * side**2 + dim * side * reduced
    return right + own + within + 4 * side * columns + 2 * columns**2


def mid_rank_flops(dim: int, widths: Sequence[int], ranks: Sequence[int]) -> int:
    """Multiplications and additions of one mid-rank product, padding left out."""
    d, R = dim, sum(ranks)
    whole = min(6 * d * R**2 + 2 * d**2 * R, 6 * d**2 * R)
    return whole + sum(2 * d**2 * w + 4 * d * w * r + 10 * d * r**2 for w, r in zip(widths, ranks, strict=True))


def low_rank_flops(dim: int, widths: Sequence[int], rank: int, ranks: Sequence[int]) -> int:
    """Multiplications and additions of one low-rank product, padding left out."""
    d, r, R = dim, rank, sum(ranks)
    whole = 2 * d * R * (2 * r + R) + 2 * r * R**2 + 6 * r**2 * R
    classes = sum(4 * d * w * (r + s) + 8 * r * s**2 for w, s in zip(widths, ranks, strict=True))
    return whole + classes
