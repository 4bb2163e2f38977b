"""Gradient steps whose length is that of Barzilai and Borwein, in the landscape's metric.

With p the steepest direction in the metric M (see `metric`), s the last step and y the fall of the gradient along it, the next
step is ⟨s, M s⟩/⟨s, y⟩ times p. It is accepted if the value exceeds the lowest of the last eight by a share of the increase
expected; once that increase is below the rounding of the value, if the relative gradient norm is at most twice the largest of
the last eight. No accepted value lies below that of the start, by more than its rounding.

Sources: Barzilai and Borwein (IMA J. Numer. Anal. 1988); Raydan (SIAM J. Optim. 1997) for the acceptance by the lowest of
several values, Grippo, Lampariello and Lucidi (1986); Molina and Raydan (Numer. Algorithms 1996) for the metric.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mcr2_landscape.landscape.iterate import (
    MOST_MISMATCHES,
    MOST_REFUSALS,
    Iterate,
    Setting,
    evaluate,
    inner,
    judged_by_value,
    length,
    mismatches,
    moved,
    sign,
)
from mcr2_landscape.landscape.metric import metric_at

_MEMORY = 8
_SHARE = 1e-4  # of the increase expected
_SHORTEST, _LONGEST = 1e-8, 1e8  # steps, in units of the metric's own


class State(NamedTuple):
    """Where the ascent is. `direction`: the steepest one, with `slope` the rate of increase along it; `step`: the next length;
    `values` (to be maximized) and `relatives` of the last accepted points; `gradients` and `products` spent; `refusals` since
    the last accepted trial; `value_mismatches`: see `iterate.mismatches`."""

    here: Iterate
    direction: jax.Array
    slope: jax.Array
    step: jax.Array
    values: jax.Array
    relatives: jax.Array
    gradients: jax.Array
    products: jax.Array
    refusals: jax.Array
    value_mismatches: jax.Array


@jax.jit
def begin(landscape: Any, here: Iterate, setting: Setting) -> State:
    """The state at the start, for which one gradient was spent."""
    direction, slope = _steepest(landscape, here, setting)
    zero = jnp.asarray(0, dtype=jnp.int32)
    ones = jnp.ones(_MEMORY, here.point.dtype)
    one = jnp.ones((), here.point.dtype)
    return State(
        here, direction, slope, one, sign(landscape) * here.value * ones, here.relative * ones, zero + 1, zero, zero, zero
    )


@jax.jit
def climb(landscape: Any, state: State, num_trials: jax.Array, budget: jax.Array, rtol: jax.Array, setting: Setting) -> State:
    """Up to `num_trials` (traced) trials, as long as fewer than `budget` gradients are spent."""
    last = jnp.minimum(state.gradients + num_trials, budget)

    def unfinished(s: State) -> jax.Array:
        going = (s.refusals < MOST_REFUSALS) & (s.value_mismatches < MOST_MISMATCHES)
        return (s.gradients < last) & (s.here.relative > rtol) & going

    return jax.lax.while_loop(unfinished, lambda s: _trial(landscape, s, setting), state)


def _trial(landscape: Any, s: State, setting: Setting) -> State:
    up, here = sign(landscape), s.here
    by_value = judged_by_value(here.value, s.step * s.slope)
    # Far out a long step would jump over the maximizers that a gradient flow meets, to the far side of zero.
    speed = jnp.maximum(length(s.direction), jnp.finfo(here.point.dtype).tiny)
    reach = jnp.maximum(1, setting.reach * length(here.point) / speed)
    step = jnp.where(by_value, jnp.minimum(s.step, reach), s.step)
    there = evaluate(landscape, moved(landscape, here.point, step * s.direction))
    expected, rise = step * s.slope, up * (there.value - here.value)
    by_value = judged_by_value(here.value, expected)
    higher = up * there.value >= jnp.min(s.values) + _SHARE * expected
    good = jnp.where(by_value, higher, there.relative <= 2 * jnp.max(s.relatives))
    rounding = 64 * jnp.finfo(here.value.dtype).eps * (1 + jnp.abs(here.value))
    good = good | ((step <= setting.certain) & (rise >= -rounding))
    good = good & jnp.isfinite(there.value)

    difference = there.point - here.point
    # ⟨s, M s⟩ is exact without a constraint; a retraction shortens the step.
    share = length(difference) / jnp.maximum(step * speed, jnp.finfo(here.point.dtype).tiny)
    squared = step * expected * share**2
    fall = -up * inner(difference, there.gradient - here.gradient)
    mean = 0.5 * up * inner(difference, here.gradient + there.gradient)
    fitted = jnp.where(fall > 0, squared / jnp.where(fall > 0, fall, 1), 4 * step)
    # The top of the parabola through the two values; where the values say nothing, a quarter.
    parabola = 0.5 * expected * step / jnp.maximum(expected - rise, jnp.finfo(here.value.dtype).tiny)
    shorter = jnp.where(by_value & jnp.isfinite(rise), jnp.clip(parabola, 0.1 * step, 0.5 * step), 0.25 * step)
    chosen = jax.tree.map(lambda new, old: jnp.where(good, new, old), there, here)
    direction, slope = jax.lax.cond(
        good, lambda: _steepest(landscape, there, setting), lambda: (s.direction, s.slope)
    )  # the metric costs more than the gradient
    return State(
        chosen,
        direction,
        slope,
        jnp.where(good, jnp.clip(fitted, _SHORTEST, _LONGEST), shorter),
        jnp.where(good, jnp.roll(s.values, 1).at[0].set(up * there.value), s.values),
        jnp.where(good, jnp.roll(s.relatives, 1).at[0].set(there.relative), s.relatives),
        s.gradients + 1,
        s.products,
        jnp.where(good, 0, s.refusals + 1),
        mismatches(s.value_mismatches, here, there, rise, mean),
    )


def _steepest(landscape: Any, here: Iterate, setting: Setting) -> tuple[jax.Array, jax.Array]:
    gradient = sign(landscape) * here.gradient
    direction = metric_at(landscape, here.point, setting.unit).solve(gradient)
    return direction, inner(gradient, direction)
