"""The Hessian of the regularized rate reduction from the shapes of a point alone: the fused and the Gram-side form.

With M = (I + alpha ZᵀZ)^{-1}, P = A Z, and A_k, M_k, Q_k of class k,

    (H[D])_k = alpha (A D M − alpha P Dᵀ P)_k − alpha (A_k D_k M_k − alpha_k Q_k D_kᵀ Q_k) − lambda D_k

A class that is wider than high goes by its rows ("fused"): with T_k = D_k Z_kᵀ + Z_k D_kᵀ and T = Σ T_k,

    (H[D])_k = [alpha (A − A_k) − lambda] D_k + [alpha alpha_k A_k T_k A_k − alpha² A T A] Z_k

a narrower one by its columns ("Gram side"): with G_k = Z_kᵀ D_k its own term is
−alpha [D_k − alpha_k Z_k M_k (G_k + G_kᵀ)] M_k.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp

from mcr2_landscape.mcr2.kernels import Scales, left, matmul, resolvents, transpose
from mcr2_landscape.stacking import ClassLayout


class ByShape(eqx.Module):
    """The factors of one point: the resolvents on their smaller sides, for each class by its rows also B_k; and
    `condition`, the largest of alpha ‖Z‖² and the alpha_k ‖Z_k‖², which rounding grows with."""

    Z: jax.Array
    inverse: jax.Array
    class_inverses: tuple[jax.Array, ...]
    straight: tuple[jax.Array, ...]
    scales: Scales
    regularization: jax.Array
    condition: jax.Array
    layout: ClassLayout = eqx.field(static=True)

    @staticmethod
    def at(Z: jax.Array, layout: ClassLayout, s: Scales, regularization: jax.Array) -> ByShape:
        """Factor the point, traced."""
        r = resolvents(Z, layout, s)
        d = Z.shape[0]
        identity = regularization * jnp.eye(d, dtype=Z.dtype)
        straight = []
        for bucket, inverse in zip(layout.buckets, r.class_inverses, strict=True):
            by_rows = left(bucket, d)
            empty = jnp.zeros((len(bucket.classes), 0, 0), Z.dtype)
            straight.append(s.alpha * (r.inverse[None] - inverse) - identity[None] if by_rows else empty)
        traces = [jnp.trace(r.gram)[None] * s.alpha]
        traces += [
            a * jnp.trace(gram, axis1=-2, axis2=-1) for a, gram in zip(layout.split(s.alphas), r.class_grams, strict=True)
        ]
        condition = jnp.max(jnp.concatenate(traces))
        return ByShape(Z, r.inverse, r.class_inverses, tuple(straight), s, regularization, condition, layout)

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
        return self._by_rows(D) if self.Z.shape[0] <= self.Z.shape[1] else self._by_columns(D)

    def _by_columns(self, D: jax.Array) -> jax.Array:
        """The whole has fewer columns than rows, hence each class too."""
        alpha, alphas = self.scales.alpha, self.layout.split(self.scales.alphas)
        classes = self.layout.assemble(_gram_side, (D, self.Z), self.class_inverses, alphas)
        return alpha * (_gram_side(D, self.Z, self.inverse, alpha) - classes) - self.regularization * D

    def _by_rows(self, D: jax.Array) -> jax.Array:
        alpha, d = self.scales.alpha, self.Z.shape[0]

        def bend(D_k: jax.Array, Z_k: jax.Array, inverse: jax.Array, own: jax.Array) -> tuple[jax.Array, jax.Array]:
            S = matmul(D_k, transpose(Z_k))
            T = S + transpose(S)
            if inverse.shape[0] < d:
                return T, jnp.zeros((0, 0), D.dtype)
            return T, alpha * own * matmul(matmul(inverse, T), inverse)

        alphas = self.layout.split(self.scales.alphas)
        T, bends = self.layout.map_and_sum(bend, (D, self.Z), self.class_inverses, alphas)
        whole = -(alpha**2) * matmul(matmul(self.inverse, T), self.inverse)
        outer = alpha * self.inverse - self.regularization * jnp.eye(d, dtype=D.dtype)

        def block(
            D_k: jax.Array, Z_k: jax.Array, straight: jax.Array, bent: jax.Array, inverse: jax.Array, own: jax.Array
        ) -> jax.Array:
            if inverse.shape[0] < d:
                return matmul(outer, D_k) + matmul(whole, Z_k) - alpha * _gram_side(D_k, Z_k, inverse, own)
            return matmul(straight, D_k) + matmul(whole + bent, Z_k)

        return self.layout.assemble(block, (D, self.Z), self.straight, bends, self.class_inverses, alphas)


def _gram_side(D: jax.Array, Z: jax.Array, inverse: jax.Array, alpha: jax.Array) -> jax.Array:
    """The derivative of Z ↦ Z M along D: [D − alpha Z M (G + Gᵀ)] M with G = ZᵀD."""
    G = matmul(transpose(Z), D)
    return matmul(D - alpha * matmul(Z, matmul(inverse, G + transpose(G))), inverse)


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
