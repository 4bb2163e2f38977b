"""A metric for ascent on the rate reduction, in the singular coordinates of the class blocks.

The Hessian of −R_c at Z, in the singular bases Z_k = U S Vᵀ, couples the entries (i, j) and (j, i) of UᵀD_kV alone, and no
eigenvalue of it exceeds in magnitude

    alpha (1 + alpha_k s_i s_j) / ((1 + alpha_k s_i²)(1 + alpha_k s_j²)).

This weight, plus lambda, plus a small multiple of alpha for what R adds, makes a metric in which the stiff directions (new
columns of a class that has none there, weight alpha) and the soft ones (turning and growing large singular values, weight near
lambda) have about the same length. It only scales the gradient; where that vanishes is not changed.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp

from mcr2_landscape.mcr2.kernels import Scales, matmul
from mcr2_landscape.stacking import ClassLayout

# The share of alpha that is added to all weights: measured at d = 50, m = 300, three classes, where 0.01 to 0.1 differ little
# at lambda = lambda_max/2, smaller values fail from low-rank starts and larger ones need twice the gradients at lambda_max/100.
_FLOOR = 0.03


class SingularMetric(eqx.Module):
    """Weights in the singular bases of the class blocks, by the layout's buckets: `left` (classes, d, d), `right` (classes, w,
    w), `weights` (classes, d, w)."""

    left: tuple[jax.Array, ...]
    right: tuple[jax.Array, ...]
    weights: tuple[jax.Array, ...]
    layout: ClassLayout = eqx.field(static=True)

    @staticmethod
    def at(Z: jax.Array, layout: ClassLayout, s: Scales, regularization: jax.Array) -> SingularMetric:
        """The metric at Z, from the eigenvectors of Z_k Z_kᵀ and Z_kᵀ Z_k."""
        floor = regularization + _FLOOR * s.alpha

        def block_metric(block: jax.Array, alpha_k: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
            # Not by an SVD: LAPACK's divide and conquer gives NaN now and then. Which left vector goes with which right one
            # does not matter, and of small singular values nothing but that they are small.
            (left, U), (right, V) = jnp.linalg.eigh(matmul(block, block.T)), jnp.linalg.eigh(matmul(block.T, block))
            rows, columns = (jnp.maximum(alpha_k * squares, 0) for squares in (left, right))
            shares = (1 + jnp.sqrt(rows[:, None] * columns[None])) / ((1 + rows)[:, None] * (1 + columns)[None])
            return U, V, s.alpha * shares + floor

        left, right, weights = zip(*layout.map(block_metric, (Z,), layout.split(s.alphas)), strict=True)
        return SingularMetric(left, right, weights, layout)

    def solve(self, G: jax.Array) -> jax.Array:
        """The direction of which G is the metric's image, traced."""

        def block_solve(block: jax.Array, U: jax.Array, V: jax.Array, weights: jax.Array) -> jax.Array:
            return matmul(matmul(U, matmul(matmul(U.T, block), V) / weights), V.T)

        return self.layout.assemble(block_solve, (G,), self.left, self.right, self.weights)
