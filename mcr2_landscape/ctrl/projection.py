"""The Euclidean projection on the encoders with ‖F X_j‖_F² ≤ n_j for every class.

The nearest such F' is F (I + Σ mu_j Σ_j)⁻¹ with mu ≥ 0 that maximize a concave dual with K unknowns. Newton's method on it,
with the unknowns that zero holds back left out, ends in a few steps; far away the secular form of the equations, as in
trust region methods, gets near in a few, and from very far the distance is taken in parts. Source: docs/ctrl.md; Bertsekas,
*Projected Newton methods for optimization problems with simple constraints* (SIAM J. Control Optim. 1982); Moré,
Sorensen, *Computing a trust region step* (SIAM J. Sci. Stat. Comput. 1983).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mcr2_landscape.mcr2.kernels import matmul

_MOST = 60
_FAR, _CLOSE = 1e3, 1e-6  # ‖F X_j‖/√n_j from which on F is far away; where on the way there is near enough
_SAME = 1e-10  # of the terms of the dual's value: less is rounding


class Projected(NamedTuple):
    """The projection `F` of what was given, the `multipliers` n_j mu_j, shape (K,), the number of Newton `steps`, and the
    `violation`: how far the optimality conditions are from holding, in units of ‖F X_j‖²/n_j."""

    F: Any
    multipliers: Any
    steps: Any
    violation: Any


class _State(NamedTuple):
    mu: jax.Array
    value: jax.Array
    slope: jax.Array
    steps: jax.Array
    stalled: jax.Array
    distance: jax.Array  # t
    tries: jax.Array  # steps at this distance


def rises(
    old: jax.Array, new: jax.Array, gain: jax.Array, mu: jax.Array, tried: jax.Array, off: jax.Array, off_tried: jax.Array
) -> jax.Array:
    """Whether a step of Newton's method on a concave dual is taken: its value `new` at the multipliers `tried` is above the
    `old` one at `mu` by a share of the expected `gain`. Near the end the values no longer differ, and there alone the slopes
    decide: elsewhere steps across a ridge, which halve the slope while the dual falls, would repeat for ever. NaN is no
    rise."""
    same = new >= old - _SAME * (jnp.abs(old) + jnp.sum(jnp.abs(mu)) + jnp.sum(jnp.abs(tried)))
    return (new >= old + 1e-4 * gain) | same & (off_tried < 0.5 * off)


def project(F: jax.Array, factors: jax.Array, sizes: jax.Array, span: jax.Array, tolerance: Any) -> Projected:
    """Project F (d, d_x), traced. `factors` (K, d_x, r) with Σ_j = C_j C_jᵀ; `sizes` (K,): the n_j; `span` (d_x, R): an
    orthonormal basis of what the factors span; what F does beyond it is left alone."""
    inside = matmul(F, span)
    own = matmul(span.T, factors) / jnp.sqrt(sizes)[:, None, None]  # constraints ‖F own_j‖² ≤ 1
    moments = matmul(own, jnp.swapaxes(own, -1, -2))
    # From far away, s times as far as the constraints, t F/s is projected for t = 1000 and so on up to s, with I/t in place of
    # I and multipliers mu/t: these have a limit, so that every t begins near its end.
    size = jnp.sqrt(jnp.max(jnp.sum(matmul(inside, own) ** 2, axis=(-2, -1))))
    s = jnp.where(size > _FAR, size, 1).astype(F.dtype)
    inside = inside / s
    one = jnp.eye(span.shape[1], dtype=F.dtype)
    square = matmul(inside.T, inside)

    def look(mu: jax.Array, t: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """The dual's value and slope, and its negative second derivative. Its value is ½ ‖F‖² − ½ tr(F S⁻¹ Fᵀ) − ½ Σ mu with
        S = I + Σ mu_j Σ_j (beyond the first t without ½ ‖F‖², which would hide the others). The slope is taken from the
        F' own_j themselves: Gram matrices would square how far apart the units of the classes are."""
        eye = one / t
        inverse = jnp.linalg.inv(eye + jnp.tensordot(mu, moments, axes=1))
        images = matmul(matmul(inside, inverse), own)
        slope = 0.5 * (jnp.sum(images**2, axis=(-2, -1)) - 1)
        value = 0.5 * (jnp.sum((jnp.where(t > _FAR, 0, eye) - inverse) * square) - jnp.sum(mu))
        between = jnp.einsum("jdr,kds->jkrs", images, images, precision=jax.lax.Precision.HIGHEST)
        bent = jnp.einsum("jar,kas->jkrs", own, matmul(inverse, own), precision=jax.lax.Precision.HIGHEST)
        return value, slope, jnp.sum(between * bent, axis=(-2, -1))

    def off(mu: jax.Array, slope: jax.Array) -> jax.Array:
        return jnp.max(jnp.where(mu > 0, jnp.abs(slope), jnp.maximum(slope, 0)))

    def step(state: _State) -> _State:
        t = state.distance
        _, slope, curvature = look(state.mu, t)
        free = (state.mu > 0) | (slope > 0)
        held = jnp.where(free[:, None] & free[None, :], curvature, 0) + jnp.diag(jnp.where(free, 1e-14, 1.0))
        norms = jnp.maximum(2 * slope + 1, 0)  # ‖F' own_j‖²
        # Newton's step for the slope, and for norms^−½ − 1, which is nearly linear where a norm is far above one
        aims = jnp.stack([slope, norms * (jnp.sqrt(norms) - 1)], axis=1)
        directions = jnp.linalg.solve(held.astype(F.dtype), jnp.where(free[:, None], aims, 0))
        direction = directions[:, 0]

        def tried(length: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
            mu = jnp.maximum(state.mu + length * direction, 0)
            value, own_slope, _ = look(mu, t)
            return mu, value, own_slope

        def worse(carry: tuple[jax.Array, jax.Array, jax.Array, jax.Array]) -> jax.Array:
            length, mu, value, own_slope = carry
            gain = jnp.sum(slope * (mu - state.mu))
            better = rises(state.value, value, gain, state.mu, mu, off(state.mu, slope), off(mu, own_slope))
            return ~better & (length > 1e-10)

        def halve(carry):
            length = carry[0] / 2
            return (length, *tried(length))

        whole = jnp.ones((), F.dtype)
        bold = jnp.maximum(state.mu + directions[:, 1], 0)
        bold_value, bold_slope, _ = look(bold, t)
        taken = (bold_value > state.value) & (off(bold, bold_slope) < 0.25 * off(state.mu, slope))
        mu, value, own_slope = tried(whole)
        mu, value = jnp.where(taken, bold, mu), jnp.where(taken, bold_value, value)
        own_slope = jnp.where(taken, bold_slope, own_slope)
        length, mu, value, own_slope = jax.lax.while_loop(worse, halve, (whole, mu, value, own_slope))
        stalled = (length <= 1e-10) | (off(mu, own_slope) >= off(state.mu, slope)) & (value <= state.value)
        better = ~stalled
        return _State(
            jnp.where(better, mu, state.mu),
            jnp.where(better, value, state.value),
            jnp.where(better, own_slope, state.slope),
            state.steps + 1,
            stalled,
            t,
            state.tries + 1,
        )

    def goes_on(state: _State, enough: Any) -> jax.Array:
        return (off(state.mu, state.slope) > enough) & ~state.stalled & (state.tries < _MOST)

    def farther(state: _State) -> _State:
        t = jnp.minimum(_FAR * state.distance, s)
        value, slope, _ = look(state.mu, t)
        return _State(state.mu, value, slope, state.steps, jnp.zeros((), bool), t, jnp.zeros((), jnp.int32))

    start, first, none = jnp.zeros(sizes.shape, F.dtype), jnp.minimum(s, _FAR), jnp.zeros((), jnp.int32)
    value, slope, _ = look(start, first)
    state = jax.lax.while_loop(
        lambda state: goes_on(state, tolerance) | (state.distance < s),
        lambda state: jax.lax.cond((state.distance < s) & ~goes_on(state, _CLOSE), farther, step, state),
        _State(start, value, slope, none, jnp.zeros((), bool), first, none),
    )
    held = jax.scipy.linalg.solve(one / s + jnp.tensordot(state.mu, moments, axes=1), inside.T, assume_a="pos").T
    outside = F - matmul(matmul(F, span), span.T)
    outside = outside - matmul(matmul(outside, span), span.T)  # once more: F may be far larger than what is left of it
    found = jnp.where(jnp.any(state.mu > 0), outside + matmul(held, span.T), F)
    return Projected(found, s * state.mu, state.steps, 2 * off(state.mu, state.slope))
