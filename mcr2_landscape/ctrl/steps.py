"""One step of each gradient dynamics of the game, traced.

With eta_f, eta_g the players' rates and Π the projection on the encoder's constraint set:

* gdmax: F ← Π(F + eta_f ∇Q(F)), which is the gradient of the encoder's utility at the decoder's best response, kept fixed
  (F⁺ attains D = 0 for every F, its least value, where both partial derivatives of D vanish);
* simultaneous: (F, G) ← (Π(F + eta_f ∇_F), G + eta_g ∇_G), both at the old point;
* alternating: k decoder steps, then an encoder step against the decoder that they lead to;
* extragradient: a simultaneous step to a trial point, then one from the old point with the gradients found there.

Source: docs/ctrl.md; Korpelevich, *The extragradient method for finding saddle points and other problems* (1976); Heusel et
al., *GANs trained by a two time-scale update rule* (NeurIPS 2017).
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mcr2_landscape.ctrl import utilities
from mcr2_landscape.ctrl.projection import project
from mcr2_landscape.mcr2.kernels import matmul

METHODS = ("gdmax", "alternating", "simultaneous", "extragradient")
_RANK = 1e-10
_PROJECTED = 1e-13


class Sets(NamedTuple):
    """What the projections need. `sizes` (K,): the n_j; `span` (d_x, R): an orthonormal basis of the columns of X; `joined`
    (d_x, Σ r_j): [C_1 … C_K] and its pseudo-inverse `dual`; `members` (K, Σ r_j): one where a column belongs to a class."""

    sizes: jax.Array
    span: jax.Array
    joined: jax.Array
    dual: jax.Array
    members: jax.Array


class Rates(NamedTuple):
    """Step sizes, the decoder's steps an encoder step, and the curvature bounds that gradients are relative to."""

    encoder: Any
    decoder: Any
    decoder_steps: Any
    encoder_curvature: Any
    decoder_curvature: Any


class State(NamedTuple):
    """Both players (S, d_z, d_x) and (S, d_x, d_z), and the relative norm (S,) of the encoder's last step."""

    F: jax.Array
    G: jax.Array
    moved: jax.Array


class Seen(NamedTuple):
    """What the history holds, (S,) each."""

    expressiveness: Any
    distance: Any
    violation: Any
    response_error: Any
    encoder_gradient: Any
    decoder_gradient: Any


def feasible(F: jax.Array, data: utilities.Data, sets: Sets, projection: str) -> jax.Array:
    """F (d_z, d_x) on the constraint set. `projection`: "exact", on the ellipsoids' product; "balls" or "spheres", the same
    in whitened coordinates, where it is a scaling; "rescaling", each class scaled, which in features is no projection."""
    if projection == "exact":
        return project(F, data.factors, sets.sizes, sets.span, _PROJECTED).F
    A = matmul(F, sets.joined)
    norms = jnp.sqrt(matmul(sets.members, jnp.sum(A * A, axis=0)))
    scales = jnp.sqrt(sets.sizes) / jnp.where(norms > 0, norms, 1)
    scales = jnp.where(norms > 0, scales if projection == "spheres" else jnp.minimum(scales, 1), 1)
    # what F does beyond the data stays; whitened there is nothing beyond, and no difference of large numbers is formed
    return (F - matmul(A, sets.dual)) + matmul(A * matmul(scales, sets.members)[None, :], sets.dual)


def _gradients(data: utilities.Data, F: jax.Array, G: jax.Array) -> tuple[jax.Array, jax.Array]:
    return utilities.gradients(data, utilities.point_at(data, F, G))


def _decoder_gradient(data: utilities.Data, F: jax.Array, G: jax.Array) -> jax.Array:
    return _gradients(data, F, G)[1]


def _step(data: utilities.Data, sets: Sets, rates: Rates, method: str, projection: str, state: State) -> State:
    F, G = state.F, state.G

    def encoder_step(gradient: jax.Array) -> jax.Array:
        return feasible(F + rates.encoder * gradient, data, sets, projection)

    if method == "gdmax":
        new = encoder_step(utilities.expressiveness_gradient(data, F))
    elif method == "alternating":
        G = jax.lax.fori_loop(0, rates.decoder_steps, lambda _, own: own + rates.decoder * _decoder_gradient(data, F, own), G)
        new = encoder_step(_gradients(data, F, G)[0])
    else:

        def stage(_: int, there: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            up, answer = _gradients(data, *there)
            return encoder_step(up), G + rates.decoder * answer

        # a loop, so that the projection is compiled once
        new, G = jax.lax.fori_loop(0, 2 if method == "extragradient" else 1, stage, (F, G))
    size = jnp.linalg.norm(F)
    moved = jnp.linalg.norm(new - F) / (rates.encoder * rates.encoder_curvature * jnp.where(size > 0, size, 1))
    return State(new, G, moved)


@partial(jax.jit, static_argnames=("method", "projection"))
def advance(
    data: utilities.Data, sets: Sets, rates: Rates, state: State, count: jax.Array, *, method: str, projection: str
) -> State:
    """`count` (traced) steps of every start in the batch."""
    step = partial(_step, data, sets, rates, method, projection)
    return jax.lax.fori_loop(0, count, lambda _, own: jax.vmap(step)(own), state)


def begin(data: utilities.Data, sets: Sets, rates: Rates, F: jax.Array, G: jax.Array, *, method: str, projection: str) -> State:
    """The starts (S, …) made feasible, at rest: a step of no length only projects, and is compiled already."""
    none = jnp.zeros_like(rates.encoder)
    still = rates._replace(encoder=none, decoder=none, decoder_steps=jnp.zeros_like(rates.decoder_steps))
    rest = jnp.full(F.shape[0], jnp.nan, F.dtype)
    one = jnp.ones((), dtype=jnp.int32)
    found = advance(data, sets, still, State(F, G, rest), one, method=method, projection=projection)
    return found._replace(moved=rest)


@partial(jax.jit, static_argnames=("method", "projection"))
def look(
    data: utilities.Data, sets: Sets, rates: Rates, state: State, *, method: str, projection: str
) -> tuple[Seen, jax.Array]:
    """What is seen of every start, and its decoder: under gdmax the best response F⁺."""

    def one(F: jax.Array, G: jax.Array, moved: jax.Array) -> tuple[Seen, jax.Array]:
        if method == "gdmax":
            G = jnp.linalg.pinv(F, rtol=_RANK)
        at = utilities.point_at(data, F, G)
        answer = utilities.gradients(data, at)[1]
        used = jnp.sum(at.A * at.A, axis=(1, 2)) / sets.sizes - 1
        violation = jnp.max(jnp.abs(used) if projection == "spheres" else jnp.maximum(used, 0))
        size = jnp.linalg.norm(G)
        slope = jnp.linalg.norm(answer) / (rates.decoder_curvature * jnp.where(size > 0, size, 1))
        distance = jnp.sum(utilities.distances(data, F, G))
        return Seen(utilities.expressiveness(data, F), distance, violation, _response_error(at), moved, slope), G

    return jax.vmap(one)(*state)


def _response_error(at: utilities.Point) -> jax.Array:
    """`responses.response_error`, traced: ‖E^½(P̂ − P)E^½‖/‖E^½PE^½‖ at most, over the classes that F does not map to zero."""

    def size(B: jax.Array) -> jax.Array:
        """‖E^½BE^½‖ of symmetric B."""
        weighted = matmul(at.classes, B)
        return jnp.sqrt(jnp.maximum(jnp.sum(weighted * jnp.swapaxes(weighted, 1, 2), axis=(1, 2)), 0))

    half = 0.5 * matmul(at.A - at.image, jnp.swapaxes(at.A + at.image, 1, 2))
    norms, own = jnp.sum(at.A * at.A, axis=(1, 2)), size(matmul(at.A, jnp.swapaxes(at.A, 1, 2)))
    kept = norms > _RANK**2 * jnp.max(norms)
    return jnp.max(jnp.where(kept, size(half + jnp.swapaxes(half, 1, 2)) / jnp.where(kept, own, 1), 0))
