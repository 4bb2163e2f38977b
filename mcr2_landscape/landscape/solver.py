"""Levenberg–Marquardt on ∇F = 0 for a batch of starts, one compiled step for all.

Each step solves (H² + μ) p = −H g for the lane's own damping μ: far from a critical point a damped descent of ‖∇F‖², near one a
Newton step that ignores the Hessian's kernel. It is drawn to critical points of every index alike, where ascent on F sees only
maximizers. What it can also meet is a stationary point of ‖∇F‖² with H g = 0 and g ≠ 0: such a lane stalls, is reported as
unconverged, and never returned as a critical point.

Source: Levenberg–Marquardt under the local error bound, Fan and Yuan, *On the quadratic convergence of the
Levenberg–Marquardt method without nonsingularity assumption* (Computing 74, 2005); a Morse–Bott critical manifold satisfies it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import cho_solve

SHRINK, GROW = 0.2, 4.0
FLOOR, CEILING = 1e-15, 1e6  # damping relative to the squared norm of the Hessian
STALL = 12  # steps without the residual falling by a tenth


class Lanes(NamedTuple):
    """The state of a batch of b starts."""

    points: jax.Array  # (b, *shape)
    damping: jax.Array  # (b,) relative to ‖H‖²
    residual: jax.Array  # (b,) relative gradient norm
    steps: jax.Array  # (b,) steps taken
    since_progress: jax.Array  # (b,) steps since the residual last fell by a tenth
    mark: jax.Array  # (b,) the residual then


def start(landscape: Any, points: jax.Array) -> Lanes:
    """Fresh lanes at the given points (b, *shape), which must be feasible."""
    residual = jax.vmap(lambda Z: _relative_norm(landscape, Z))(points)
    zeros = jnp.zeros(points.shape[0], dtype=jnp.int32)
    return Lanes(points, jnp.full(points.shape[0], 1e-2, points.dtype), residual, zeros, zeros, residual)


@jax.jit
def climb(landscape: Any, points: jax.Array, num_steps: jax.Array, step: jax.Array) -> jax.Array:
    """Gradient ascent (descent for a minimization) from each point (b, *shape), for its own number of steps (b,): a way into
    the basins of maximizers, for the starts that are to take it. `step` is one over the landscape's curvature bound; a
    landscape that has none is asked for its Hessian's norm at every point."""
    sign = -1.0 if landscape.minimize else 1.0

    def one(point: jax.Array, count: jax.Array) -> jax.Array:
        def body(number: jax.Array, Z: jax.Array) -> jax.Array:
            if hasattr(landscape, "curvature_scale"):
                length = step
            else:
                length = 1 / jnp.maximum(jnp.linalg.norm(landscape.hessian(Z).as_matrix()), jnp.finfo(Z.dtype).tiny)
            move = jnp.where(number < count, sign * length, 0) * landscape.gradient(Z)
            return Z + move if landscape.constraint is None else landscape.constraint.retract(Z, move)

        return jax.lax.fori_loop(0, jnp.max(num_steps), body, point)

    return jax.vmap(one)(points, num_steps)


@jax.jit
def refill(landscape: Any, lanes: Lanes, points: jax.Array, replace: jax.Array) -> Lanes:
    """Start anew, from `points`, in the lanes where `replace` (b,) is true."""
    fresh = start(landscape, points)

    def choose(new: jax.Array, old: jax.Array) -> jax.Array:
        return jnp.where(replace.reshape((-1,) + (1,) * (new.ndim - 1)), new, old)

    return Lanes(*(choose(new, old) for new, old in zip(fresh, lanes, strict=True)))


@jax.jit
def advance(landscape: Any, lanes: Lanes, num_steps: jax.Array, rtol: jax.Array, max_steps: jax.Array) -> Lanes:
    """Take up to `num_steps` (traced) steps in every lane. A lane that has ended (below `rtol`, stalled, or out of steps)
    rests, so that its end does not depend on when it is looked at."""

    def body(_: jax.Array, state: Lanes) -> Lanes:
        return jax.vmap(lambda lane: _step(landscape, lane, rtol, max_steps))(state)

    return jax.lax.fori_loop(0, num_steps, body, lanes)


def _relative_norm(landscape: Any, Z: jax.Array) -> jax.Array:
    scale = landscape.gradient_scale(Z)
    norm = jnp.linalg.norm(landscape.gradient(Z))
    return jnp.where(scale > 0, norm / jnp.where(scale > 0, scale, 1), norm)


def _step(landscape: Any, lane: Lanes, rtol: jax.Array, max_steps: jax.Array) -> Lanes:
    Z = lane.points
    g = landscape.gradient(Z).reshape(-1)
    H = landscape.hessian(Z).as_matrix()
    size = jnp.maximum(jnp.sum(H * H) / H.shape[0], jnp.finfo(Z.dtype).tiny)
    normal = jnp.matmul(H, H, precision="highest") + lane.damping * size * jnp.eye(H.shape[0], dtype=H.dtype)
    factor = jnp.linalg.cholesky(normal)
    step = -cho_solve((factor, True), jnp.matmul(H, g, precision="highest")).reshape(Z.shape)
    trial = Z + step if landscape.constraint is None else landscape.constraint.retract(Z, step)
    residual = _relative_norm(landscape, trial)
    norm = jnp.linalg.norm(landscape.gradient(trial))
    resting = (lane.residual <= rtol) | (lane.since_progress >= STALL) | (lane.steps >= max_steps)
    accepted = (norm < jnp.linalg.norm(g)) & jnp.isfinite(residual) & ~resting
    damping = jnp.clip(lane.damping * jnp.where(accepted, SHRINK, GROW), FLOOR, CEILING)
    new_residual = jnp.where(accepted, residual, lane.residual)
    progressed = new_residual < 0.9 * lane.mark
    return Lanes(
        jnp.where(accepted, trial, Z),
        jnp.where(resting, lane.damping, damping),
        new_residual,
        lane.steps + jnp.where(resting, 0, 1),
        jnp.where(progressed, 0, lane.since_progress + jnp.where(resting, 0, 1)),
        jnp.where(progressed, new_residual, lane.mark),
    )
