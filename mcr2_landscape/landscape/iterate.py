"""What the optimizers share: a point with what was evaluated there, and when a difference of values says nothing."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

# So many short steps in a row along which two of value, gradient and Hessian disagree: they do not belong together.
MOST_MISMATCHES = 5
_SHORT = 1e-5  # relative to the point: along so short a step the Hessian hardly changes
# So many refused trials in a row, each at most half as long as the one before: the value does not do what the gradient says.
MOST_REFUSALS = 30


class Iterate(NamedTuple):
    """A point, and the landscape's value, gradient and relative gradient norm there."""

    point: jax.Array
    gradient: jax.Array
    value: jax.Array
    relative: jax.Array


class Setting(NamedTuple):
    """Numbers of a run, traced, so that another landscape of the same shapes compiles nothing.

    `unit`: of the metric where it is a multiple of the identity. `certain`: 1 where a step of that length cannot lower the
    value, else 0. `reach`: longest step relative to the norm of the point.
    """

    unit: jax.Array
    certain: jax.Array
    reach: jax.Array


def evaluate(landscape: Any, Z: jax.Array) -> Iterate:
    """One value and one gradient, traced."""
    gradient, scale = landscape.gradient(Z), landscape.gradient_scale(Z)
    norm = length(gradient)
    relative = jnp.where(scale > 0, norm / jnp.where(scale > 0, scale, 1), norm)
    return Iterate(Z, gradient, landscape.value(Z), relative)


evaluated = jax.jit(evaluate)


def moved(landscape: Any, Z: jax.Array, step: jax.Array) -> jax.Array:
    """Z + step, made feasible, traced."""
    return Z + step if landscape.constraint is None else landscape.constraint.retract(Z, step)


def sign(landscape: Any) -> float:
    """What the value is multiplied by to be maximized."""
    return -1.0 if landscape.minimize else 1.0


def judged_by_value(value: jax.Array, expected: jax.Array) -> jax.Array:
    """Whether the increase expected is far above the rounding of the value."""
    return expected > 6400 * jnp.finfo(value.dtype).eps * (1 + jnp.abs(value))


def inner(a: jax.Array, b: jax.Array) -> jax.Array:
    """⟨a, b⟩."""
    return jnp.sum(a * b)


def length(a: jax.Array) -> jax.Array:
    """‖a‖_F."""
    return jnp.linalg.norm(a.reshape(-1))


def mismatches(before: jax.Array, here: Iterate, there: Iterate, rise: jax.Array, expected: jax.Array) -> jax.Array:
    """The number of short steps in a row along which the value did not rise by what the two gradients say: one more than
    `before`, or 0 if it did; unchanged where the step is long or rounding hides the difference."""
    visible = judged_by_value(here.value, jnp.abs(rise) + jnp.abs(expected))
    wrong = jnp.abs(rise - expected) > 0.5 * jnp.maximum(jnp.abs(rise), jnp.abs(expected))
    return counted(before, is_short(here, there), visible, wrong)


def counted(before: jax.Array, short: jax.Array, visible: jax.Array, wrong: jax.Array) -> jax.Array:
    """A count of steps in a row that are wrong, of those that are short and not hidden by rounding."""
    return jnp.where(short & visible, jnp.where(wrong, before + 1, 0), before).astype(jnp.int32)


def is_short(here: Iterate, there: Iterate) -> jax.Array:
    """Whether the step is so short that its ends differ to second order alone."""
    return length(there.point - here.point) <= _SHORT * length(here.point)
