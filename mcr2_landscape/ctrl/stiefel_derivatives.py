"""The utilities of single-subspace pursuit and their derivatives on Stiefel manifolds, compiled.

Riemannian gradients are projected on the tangent spaces; Hessians are covariant derivatives of these. Source: docs/ctrl.md.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from mcr2_landscape.ctrl import stiefel, utilities

expressiveness = jax.jit(utilities.expressiveness)
encoder_utility = jax.jit(utilities.encoder_utility)


@jax.jit
def distance(data: utilities.Data, F: jax.Array, G: jax.Array) -> jax.Array:
    """D."""
    return jnp.sum(utilities.distances(data, F, G))


@jax.jit
def gradients(data: utilities.Data, F: jax.Array, G: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Each player's own, in the space of all matrices."""
    return utilities.gradients(data, utilities.point_at(data, F, G))


@jax.jit
def riemannian_gradients(data: utilities.Data, F: jax.Array, G: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Each player's own, tangent to its manifold."""
    encoder, decoder = gradients(data, F, G)
    return stiefel.tangent(F, encoder), stiefel.tangent(G, decoder)


@jax.jit
def hvp(data: utilities.Data, F: jax.Array, G: jax.Array, V: jax.Array, W: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The derivative of `gradients` along (V, W)."""
    return utilities.hvp(data, utilities.point_at(data, F, G), V, W)


@jax.jit
def riemannian_hvp(data: utilities.Data, F: jax.Array, G: jax.Array, V: jax.Array, W: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The covariant derivative of `riemannian_gradients` along tangent (V, W)."""
    at = utilities.point_at(data, F, G)
    encoder, decoder = utilities.gradients(data, at)
    first, second = utilities.hvp(data, at, V, W)
    return stiefel.tangent(F, first - stiefel.normal(F, encoder, V)), stiefel.tangent(G, second - stiefel.normal(G, decoder, W))


@jax.jit
def shifted(data: utilities.Data, F: jax.Array, G: jax.Array, V: jax.Array, below: jax.Array) -> jax.Array:
    """The encoder's Riemannian Hessian on tangent directions, −below on normal ones."""
    inside = stiefel.tangent(F, V)
    return riemannian_hvp(data, F, G, inside, jnp.zeros_like(G))[0] - below * (V - inside)


@jax.jit
def hessian(data: utilities.Data, F: jax.Array, G: jax.Array, below: jax.Array) -> jax.Array:
    """`shifted` as a matrix (d_z d_x, d_z d_x)."""
    directions = jnp.eye(F.size, dtype=F.dtype).reshape(F.size, *F.shape)
    found = jax.vmap(lambda V: shifted(data, F, G, V, below).reshape(-1))(directions)
    return 0.5 * (found + found.T)
