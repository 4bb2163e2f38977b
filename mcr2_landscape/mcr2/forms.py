"""The Hessian of the regularized rate reduction from the shapes of a point alone: the fused and the Gram-side form.

With M = (I + alpha ZᵀZ)^{-1}, P = A Z, and A_k, M_k, Q_k of class k,

    (H[D])_k = alpha (A D M − alpha P Dᵀ P)_k − alpha (A_k D_k M_k − alpha_k Q_k D_kᵀ Q_k) − lambda D_k

A class that is wider than high goes by its rows ("fused"): with T_k = D_k Z_kᵀ + Z_k D_kᵀ and T = Σ T_k,

    (H[D])_k = [alpha (A − A_k) − lambda] D_k + [alpha alpha_k A_k T_k A_k − alpha² A T A] Z_k

a narrower one by its columns ("Gram side"): with G_k = Z_kᵀ D_k its own term is
−alpha [D_k − alpha_k Z_k M_k (G_k + G_kᵀ)] M_k.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.mcr2.kernels import Scales, left, matmul, resolvents, transpose
from mcr2_landscape.stacking import Bucket, ClassLayout

_WHOLE = 2**14  # numbers in Z up to which the blocks of the classes are not cut: what a product needs beside Z is little there
_SUMMED = 512  # columns that D_k Z_kᵀ is summed over at once, at least: every strip of them adds a matrix d × d


class ByShape(eqx.Module):
    """The factors of one point: the resolvents on their smaller sides; and `condition`, the largest of alpha ‖Z‖² and the
    alpha_k ‖Z_k‖², which rounding grows with."""

    Z: jax.Array
    inverse: jax.Array
    class_inverses: tuple[jax.Array, ...]
    scales: Scales
    regularization: jax.Array
    condition: jax.Array
    layout: ClassLayout = eqx.field(static=True)

    @staticmethod
    def at(Z: jax.Array, layout: ClassLayout, s: Scales, regularization: jax.Array) -> ByShape:
        """Factor the point, traced."""
        r = resolvents(Z, layout, s)
        traces = [jnp.trace(r.gram)[None] * s.alpha]
        traces += [
            a * jnp.trace(gram, axis1=-2, axis2=-1) for a, gram in zip(layout.split(s.alphas), r.class_grams, strict=True)
        ]
        condition = jnp.max(jnp.concatenate(traces))
        return ByShape(Z, r.inverse, r.class_inverses, s, regularization, condition, layout)

    @property
    def name(self) -> str:
        """The form in words."""
        by_rows = {left(bucket, self.Z.shape[0]) for bucket in self.layout.buckets}
        return "fused and Gram side" if len(by_rows) == 2 else ("fused" if True in by_rows else "Gram side")

    @property
    def growth(self) -> jax.Array:
        """By how much rounding is larger than the dtype's precision."""
        return 1 + self.condition

    @property
    def flops(self) -> int:
        """Of one product."""
        return flops(self.Z.shape[0], self.layout.widths)

    def product(self, D: jax.Array) -> jax.Array:
        """H[D]."""
        if self.Z.shape[0] > self.Z.shape[1]:
            return self._by_columns(D)
        # An accelerator waits for narrow products, and gains nothing from a cache.
        whole = D.size <= _WHOLE or jax.default_backend() != "cpu"
        return self._by_rows(D) if whole else self._by_rows_in_strips(D)

    def _by_columns(self, D: jax.Array) -> jax.Array:
        """The whole has fewer columns than rows, hence each class too."""
        alpha, alphas = self.scales.alpha, self.layout.split(self.scales.alphas)
        classes = self.layout.assemble(_gram_side, (D, self.Z), self.class_inverses, alphas)
        return alpha * (_gram_side(D, self.Z, self.inverse, alpha) - classes) - self.regularization * D

    def _by_rows(self, D: jax.Array) -> jax.Array:
        d = self.Z.shape[0]

        def first(D_k: jax.Array, Z_k: jax.Array, inverse: jax.Array) -> tuple[jax.Array, jax.Array]:
            T_k = _symmetric(matmul(D_k, transpose(Z_k)))
            return T_k, jnp.zeros((0, 0), D.dtype) if inverse.shape[0] < d else T_k

        T, kept = self.layout.map_and_sum(first, (D, self.Z), self.class_inverses)
        whole = self._whole(T)

        def second(D_k: jax.Array, Z_k: jax.Array, inverse: jax.Array, own: jax.Array, T_k: jax.Array) -> jax.Array:
            return self._block(whole, inverse, own, T_k)(D_k, Z_k)

        alphas = self.layout.split(self.scales.alphas)
        return self.layout.assemble(second, (D, self.Z), self.class_inverses, alphas, kept)

    def _by_rows_in_strips(self, D: jax.Array) -> jax.Array:
        """The same in strips of columns, with a few matrices d × d beside the result and no K of them: the T_k wait for the
        second round in the result, each in the columns of its class."""
        S, out, kept = jnp.zeros((self.Z.shape[0],) * 2, D.dtype), jnp.zeros_like(D), []
        for bucket in self.layout.buckets:
            S, out, beside = self._first_round(bucket, D, S, out)
            kept.append(beside)
        whole = self._whole(_symmetric(S))
        alphas = self.layout.split(self.scales.alphas)
        for bucket, *own in zip(self.layout.buckets, self.class_inverses, alphas, kept, strict=True):
            out = self._second_round(bucket, tuple(own), whole, D, out)
        return out

    def _first_round(
        self, bucket: Bucket, D: jax.Array, S: jax.Array, out: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array | None]:
        """S with the D_k Z_kᵀ of the bucket added, the result in which its T_k wait, and the T_k where that has no room."""
        d = self.Z.shape[0]
        width, strips = _strips(bucket, max(4 * d, _SUMMED))
        by_rows, room = left(bucket, d), min(bucket.widths) >= d

        def part(strip: Any) -> jax.Array:
            D_k, Z_k = (_window(array, width, *strip) for array in (D, self.Z))
            return matmul(D_k, transpose(Z_k))

        def turn(carry: tuple[jax.Array, jax.Array], item: Any) -> tuple[tuple[jax.Array, jax.Array], jax.Array | None]:
            (S, out), (strips, start) = carry, item
            S_k = _sum(part, strips)
            T_k = _symmetric(S_k)
            if by_rows and room:
                out = jax.lax.dynamic_update_slice_in_dim(out, T_k, start, axis=1)
            return (S + S_k, out), (T_k if by_rows and not room else None)

        (S, out), kept = jax.lax.scan(turn, (S, out), (strips, _starts(bucket)))
        return S, out, kept

    def _second_round(self, bucket: Bucket, data: tuple[Any, ...], whole: jax.Array, D: jax.Array, out: jax.Array) -> jax.Array:
        """The result with the blocks of the bucket. `data` has the resolvent of each of its classes, alpha_k, and T_k where it
        does not wait in the result."""
        d = self.Z.shape[0]
        by_rows = left(bucket, d)
        width, (starts, masks) = _strips(bucket, d if by_rows else bucket.width)
        strips = starts, None if bucket.even else masks  # a column of the class in two strips comes out the same twice

        def turn(out: jax.Array, item: Any) -> tuple[jax.Array, None]:
            strips, start, (inverse, own, T_k) = item
            if by_rows and T_k is None:
                T_k = jax.lax.dynamic_slice_in_dim(out, start, d, axis=1)
            block = self._block(whole, inverse, own, T_k)

            def fill(out: jax.Array, strip: Any) -> tuple[jax.Array, None]:
                start, mask = strip
                found = block(*(_window(array, width, start, mask) for array in (D, self.Z)))
                if mask is not None:  # the strip's other columns belong to neighbors, or have been filled
                    found = jnp.where(mask[None], found, jax.lax.dynamic_slice_in_dim(out, start, width, axis=1))
                return jax.lax.dynamic_update_slice_in_dim(out, found, start, axis=1), None

            return jax.lax.scan(fill, out, strips, unroll=starts.shape[1] == 1)[0], None

        return jax.lax.scan(turn, out, (strips, _starts(bucket), data))[0]

    def _whole(self, T: jax.Array) -> jax.Array:
        """−alpha² A T A."""
        return -(self.scales.alpha**2) * matmul(matmul(self.inverse, T), self.inverse)

    def _block(
        self, whole: jax.Array, inverse: jax.Array, own: jax.Array, T_k: jax.Array | None
    ) -> Callable[[jax.Array, jax.Array], jax.Array]:
        """The map (D_k, Z_k) ↦ (H[D])_k; for a class by its rows, of any of the columns. Only that one looks at T_k."""
        alpha, penalty = self.scales.alpha, self.regularization
        if inverse.shape[0] < self.Z.shape[0]:

            def narrow(D_k: jax.Array, Z_k: jax.Array) -> jax.Array:
                outside = alpha * matmul(self.inverse, D_k) + matmul(whole, Z_k)
                return outside - alpha * _gram_side(D_k, Z_k, inverse, own) - penalty * D_k

            return narrow
        assert T_k is not None
        straight = alpha * (self.inverse - inverse)
        bent = whole + alpha * own * matmul(matmul(inverse, T_k), inverse)
        return lambda D_k, Z_k: matmul(straight, D_k) + matmul(bent, Z_k) - penalty * D_k


def _symmetric(S: jax.Array) -> jax.Array:
    return S + transpose(S)


def _gram_side(D: jax.Array, Z: jax.Array, inverse: jax.Array, alpha: jax.Array) -> jax.Array:
    """The derivative of Z ↦ Z M along D: [D − alpha Z M (G + Gᵀ)] M with G = ZᵀD."""
    G = matmul(transpose(Z), D)
    return matmul(D - alpha * matmul(Z, matmul(inverse, G + transpose(G))), inverse)


def _strips(bucket: Bucket, most: int) -> tuple[int, tuple[jax.Array, jax.Array | None]]:
    """The blocks of a bucket in strips of one width, at most `most` columns: the width, the first columns (classes, strips) and
    which columns are the class's own and in no strip before, (classes, strips, width), `None` for all."""
    count = -(-bucket.width // most)
    width = -(-bucket.width // count)
    offsets = np.minimum(width * np.arange(count), bucket.width - width)
    columns = offsets[:, None] + np.arange(width)
    masks = bucket.mask[:, columns] & (columns >= width * np.arange(count)[:, None])
    starts = jnp.asarray(bucket.windows[:, None] + offsets, dtype=jnp.int32)
    return width, (starts, None if masks.all() else jnp.asarray(masks))


def _starts(bucket: Bucket) -> jax.Array:
    return jnp.asarray(bucket.starts, dtype=jnp.int32)


def _window(array: jax.Array, width: int, start: jax.Array, mask: jax.Array | None) -> jax.Array:
    found = jax.lax.dynamic_slice_in_dim(array, start, width, axis=1)
    return found if mask is None else jnp.where(mask[None], found, 0)


def _sum(function: Callable[[Any], jax.Array], items: Any) -> jax.Array:
    """The sum of a function over items stacked along the first axis."""
    if jax.tree.leaves(items)[0].shape[0] == 1:
        return function(jax.tree.map(lambda leaf: leaf[0], items))
    one = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), items)
    like = jax.eval_shape(function, one)
    zero = jnp.zeros(like.shape, like.dtype)
    return jax.lax.scan(lambda total, item: (total + function(item), None), zero, items)[0]


def num_entries(dim: int, widths: tuple[int, ...]) -> int:
    """Numbers that the factors and what they are made from take: resolvents, Gram matrices and Cholesky factors."""
    sides = (sum(widths), *widths)
    return dim * sum(widths) + 4 * sum(min(dim, side) ** 2 for side in sides)


def flops(dim: int, widths: tuple[int, ...]) -> int:
    """Multiplications and additions of one product by shape, padding left out."""
    d, m = dim, sum(widths)
    narrow = sum(6 * d * w**2 + 2 * w**3 for w in widths if w < d)
    if m < d:
        return 6 * d * m**2 + 2 * m**3 + narrow
    return 6 * d**2 * m + 4 * d**3 * (1 + sum(w >= d for w in widths)) + narrow
