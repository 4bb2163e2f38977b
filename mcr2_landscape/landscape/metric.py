"""In which metric a step is steepest: a multiple of the identity, or for the rate reduction one in singular coordinates.

The Hessian of −R_c at Z, in the singular bases Z_k = U S Vᵀ, couples the entries (i, j) and (j, i) of UᵀD_kV alone, and no
eigenvalue of it exceeds in magnitude

    alpha (1 + alpha_k s_i s_j) / ((1 + alpha_k s_i²)(1 + alpha_k s_j²)).

This weight, plus lambda, plus a small multiple of alpha for what R adds, makes a metric in which the stiff directions (new
columns of a class that has none there, weight alpha) and the soft ones (turning and growing large singular values, weight near
lambda) have about the same length. It only scales the gradient; where that vanishes is not changed.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.mcr2 import MCR2
from mcr2_landscape.stacking import ClassLayout

# The share of alpha that is added to all weights: measured at d = 50, m = 300, three classes, where 0.01 to 0.1 differ little
# at lambda = lambda_max/2, smaller values fail from low-rank starts and larger ones need twice the gradients at lambda_max/100.
_FLOOR = 0.03


class Multiple(eqx.Module):
    """The identity divided by `unit`, so that the steepest direction is `unit` times the gradient."""

    unit: jax.Array

    def solve(self, G: jax.Array) -> jax.Array:
        """The direction of which G is the metric's image, traced."""
        return self.unit * G


class SingularMetric(eqx.Module):
    """Weights in the singular bases of the class blocks, by the layout's buckets: `left` (classes, d, d), `right` (classes, w,
    w), `weights` (classes, d, w)."""

    left: tuple[jax.Array, ...]
    right: tuple[jax.Array, ...]
    weights: tuple[jax.Array, ...]
    layout: ClassLayout = eqx.field(static=True)

    @staticmethod
    def of(problem: MCR2, Z: jax.Array) -> SingularMetric:
        """The metric at Z, from the eigenvectors of Z_k Z_kᵀ and Z_kᵀ Z_k."""
        layout = problem._layout
        squared = jnp.asarray(problem.epsilon, Z.dtype) ** 2
        alpha = problem.dim / (sum(problem.sizes) * squared)
        alphas = jnp.asarray(problem.dim / np.array(problem.sizes), Z.dtype) / squared
        floor = jnp.asarray(problem.regularization, Z.dtype) + _FLOOR * alpha

        def block_metric(block: jax.Array, alpha_k: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
            # Not by an SVD: LAPACK's divide and conquer gives NaN now and then. Which left vector goes with which right one
            # does not matter, and of small singular values nothing but that they are small.
            (left, U), (right, V) = jnp.linalg.eigh(_product(block, block.T)), jnp.linalg.eigh(_product(block.T, block))
            rows, columns = (jnp.maximum(alpha_k * squares, 0) for squares in (left, right))
            shares = (1 + jnp.sqrt(rows[:, None] * columns[None])) / ((1 + rows)[:, None] * (1 + columns)[None])
            return U, V, alpha * shares + floor

        left, right, weights = zip(*layout.map(block_metric, (Z,), layout.split(alphas)), strict=True)
        return SingularMetric(left, right, weights, layout)

    def solve(self, G: jax.Array) -> jax.Array:
        """See `Multiple.solve`."""

        def block_solve(block: jax.Array, U: jax.Array, V: jax.Array, weights: jax.Array) -> jax.Array:
            return _product(_product(U, _product(_product(U.T, block), V) / weights), V.T)

        return self.layout.assemble(block_solve, (G,), self.left, self.right, self.weights)


def has_own_metric(landscape: Any) -> bool:
    """Whether the landscape's metric is more than a multiple of the identity."""
    return isinstance(landscape, MCR2)


def metric_at(landscape: Any, Z: jax.Array, unit: jax.Array) -> Multiple | SingularMetric:
    """The metric of a landscape at Z, traced: `SingularMetric` for `MCR2`, else the identity divided by `unit`."""
    return SingularMetric.of(landscape, Z) if has_own_metric(landscape) else Multiple(unit)


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)
