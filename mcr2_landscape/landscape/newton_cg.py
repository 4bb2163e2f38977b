"""Trust-region Newton steps by conjugate gradients, in the landscape's metric, accepted by value and then by the gradient.

Each step minimizes the second-order model by Steihaug's conjugate gradients, preconditioned with the metric (see `metric`) in
which the trust radius is measured too: to a residual that falls with the gradient (Eisenstat and Walker), to the edge of the
region, or along a direction in which the model is convex, to the edge. A refused step is tried again shorter along the same
direction, which costs one gradient and no product (Nocedal and Yuan). The radius follows from how much the increase differed
from the model's. In exact arithmetic the iterates of conjugate gradients stay orthogonal to a symmetry orbit, as the gradient
is, so that the Hessian's kernel along the orbit does no harm.

Sources: Steihaug (SIAM J. Numer. Anal. 1983); Nocedal and Yuan (Advances in Nonlinear Programming 1998); Eisenstat and Walker
(SIAM J. Sci. Comput. 1996), choice 1 with a safeguard.
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
    counted,
    evaluate,
    inner,
    is_short,
    judged_by_value,
    length,
    mismatches,
    moved,
    sign,
)
from mcr2_landscape.landscape.metric import metric_at

_MOST_PRODUCTS = 100  # in one step
_FORCING = (1e-3, 0.5)
_TARGET = 0.6  # ratio of increase to model that the next radius aims at
_SHRINK, _GROW = 0.25, 2.5


class Step(NamedTuple):
    """A step of the model: its image under the Hessian, its rate of increase and curvature, both of the function to be
    maximized, its length in the metric, and whether it ends inside the region. `fraction`: what is to be tried of it."""

    direction: jax.Array
    image: jax.Array
    slope: jax.Array
    curvature: jax.Array
    size: jax.Array
    inside: jax.Array
    fraction: jax.Array


class State(NamedTuple):
    """Where the ascent is. `radius` of the region; `scale`: norm of the last gradient in the metric; `step`: the present one;
    `gradients` and `products` spent; `refusals` since the last accepted trial; `value_mismatches`: see `iterate.mismatches`;
    `product_mismatches`: short steps in a row along which the gradient did not change as the Hessian says."""

    here: Iterate
    radius: jax.Array
    scale: jax.Array
    step: Step
    gradients: jax.Array
    products: jax.Array
    refusals: jax.Array
    value_mismatches: jax.Array
    product_mismatches: jax.Array


@jax.jit
def begin(landscape: Any, here: Iterate, gradients: jax.Array, setting: Setting) -> State:
    """The state at a point that is evaluated already."""
    gradient = sign(landscape) * here.gradient
    size = jnp.sqrt(inner(gradient, metric_at(landscape, here.point, setting.unit).solve(gradient)))
    zero, none = jnp.zeros((), here.point.dtype), jnp.asarray(0, dtype=jnp.int32)
    nothing = jnp.zeros_like(here.point)
    step = Step(nothing, nothing, zero, zero, zero, jnp.asarray(True), zero)
    return State(here, size, size, step, gradients, none, none, none, none)


@jax.jit
def climb(landscape: Any, state: State, num_trials: jax.Array, budget: jax.Array, rtol: jax.Array, setting: Setting) -> State:
    """Up to `num_trials` (traced) trials, as long as fewer than `budget` gradients (two for each product) are spent."""
    last = state.gradients + num_trials

    def unfinished(s: State) -> jax.Array:
        agreeing = (s.value_mismatches < MOST_MISMATCHES) & (s.product_mismatches < MOST_MISMATCHES)
        going = (s.refusals < MOST_REFUSALS) & agreeing
        return (s.gradients < last) & (s.gradients + 2 * s.products < budget) & (s.here.relative > rtol) & going

    def trial(s: State) -> State:
        again = s.refusals > 0
        most = jnp.clip((budget - s.gradients - 2 * s.products) // 2, 1, _MOST_PRODUCTS)
        step, products, scale = jax.lax.cond(
            again, lambda: (s.step, jnp.zeros_like(s.products), s.scale), lambda: _model_step(landscape, s, most, rtol, setting)
        )
        return _judged(landscape, s._replace(step=step, products=s.products + products, scale=scale))

    return jax.lax.while_loop(unfinished, trial, state)


class _Inner(NamedTuple):
    step: jax.Array
    image: jax.Array
    residual: jax.Array
    direction: jax.Array
    rv: jax.Array  # ⟨residual, M⁻¹ residual⟩
    pp: jax.Array  # ⟨p, M p⟩ of the step p, and below with the direction d
    pd: jax.Array
    dd: jax.Array
    products: jax.Array
    done: jax.Array
    inside: jax.Array


def _model_step(
    landscape: Any, s: State, most: jax.Array, rtol: jax.Array, setting: Setting
) -> tuple[Step, jax.Array, jax.Array]:
    """Steihaug's step, the products it took, and the gradient's norm in the metric."""
    up, here = sign(landscape), s.here
    hessian = landscape.hessian(here.point)
    metric = metric_at(landscape, here.point, setting.unit)
    gradient = up * here.gradient
    first = metric.solve(gradient)
    start = inner(gradient, first)
    scale = jnp.sqrt(start)
    forcing = jnp.clip(0.5 * scale / jnp.where(s.scale > 0, s.scale, 1), *_FORCING)
    forcing = jnp.maximum(forcing, jnp.minimum(_FORCING[1], 0.3 * rtol / here.relative))  # the last step need not do better
    tiny = jnp.finfo(here.point.dtype).tiny

    def iteration(c: _Inner) -> _Inner:
        image = up * hessian.product(c.direction)
        curvature = -inner(c.direction, image)
        along = c.rv / jnp.where(curvature > 0, curvature, 1)
        beyond = c.pp + 2 * along * c.pd + along**2 * c.dd
        edge = (curvature <= 0) | (beyond >= s.radius**2)
        gap = jnp.maximum(s.radius**2 - c.pp, 0)
        to_edge = gap / jnp.maximum(c.pd + jnp.sqrt(c.pd**2 + c.dd * gap), tiny)
        along = jnp.where(edge, to_edge, along)
        residual = c.residual + along * image
        solved = metric.solve(residual)
        rv = inner(residual, solved)
        ratio = rv / jnp.maximum(c.rv, tiny)
        done = edge | (rv <= forcing**2 * start) | (c.products + 1 >= most)
        return _Inner(
            c.step + along * c.direction,
            c.image + along * image,
            residual,
            solved + ratio * c.direction,
            rv,
            jnp.where(edge, s.radius**2, beyond),
            ratio * (c.pd + along * c.dd),
            rv + ratio**2 * c.dd,
            c.products + 1,
            done,
            ~edge,
        )

    zero, nothing = jnp.zeros((), here.point.dtype), jnp.zeros_like(here.point)
    none = jnp.zeros_like(s.products)
    begun = _Inner(nothing, nothing, gradient, first, start, zero, zero, start, none, jnp.asarray(False), jnp.asarray(True))
    c = jax.lax.while_loop(lambda c: ~c.done, iteration, begun)
    slope, curvature = inner(gradient, c.step), inner(c.step, c.image)
    return Step(c.step, c.image, slope, curvature, jnp.sqrt(c.pp), c.inside, jnp.ones_like(zero)), c.products, scale


def _judged(landscape: Any, s: State) -> State:
    """Try the present fraction of the step."""
    up, here, step = sign(landscape), s.here, s.step
    part = step.fraction
    there = evaluate(landscape, moved(landscape, here.point, part * step.direction))
    expected = part * step.slope + 0.5 * part**2 * step.curvature
    rise = up * (there.value - here.value)
    by_value = judged_by_value(here.value, expected)
    mean = 0.5 * up * inner(there.point - here.point, here.gradient + there.gradient)
    closer = jnp.where(length(there.gradient) < length(here.gradient), 1.0, -1.0)
    ratio = jnp.where(by_value, rise / jnp.where(by_value, expected, 1), closer)
    finite = jnp.isfinite(there.value) & jnp.isfinite(there.relative)
    ratio = jnp.where(finite & jnp.isfinite(ratio), ratio, -1.0)
    good = ratio > 1e-4
    # The model's error grows like the third power of the step or faster, its increase like the first or second.
    factor = jnp.clip(jnp.sqrt((1 - _TARGET) / jnp.maximum(jnp.abs(1 - ratio), 1e-3)), _SHRINK, _GROW)
    tried = part * step.size
    inside = step.inside & (part == 1)
    radius = jnp.where(inside, jnp.where(factor > 1, jnp.maximum(s.radius, factor * tried), factor * tried), factor * tried)
    radius = jnp.where(part < 1, tried * jnp.maximum(factor, 0.5), radius)
    chosen = jax.tree.map(lambda new, old: jnp.where(good, new, old), there, here)
    return State(
        chosen,
        jnp.where(good, radius, s.radius),
        s.scale,
        step._replace(fraction=part * jnp.minimum(factor, 0.5)),
        s.gradients + 1,
        s.products,
        jnp.where(good, 0, s.refusals + 1),
        mismatches(s.value_mismatches, here, there, rise, mean),
        _product_mismatches(landscape, s, there),
    )


def _product_mismatches(landscape: Any, s: State, there: Iterate) -> jax.Array:
    here, step = s.here, s.step
    image = sign(landscape) * step.fraction * step.image  # of the landscape's own Hessian
    change = there.gradient - here.gradient
    size = jnp.maximum(length(image), length(change))
    # The relative gradient norm says how large the gradient's terms are, hence their rounding.
    tiny = jnp.finfo(here.point.dtype).tiny
    terms = length(here.gradient) / jnp.maximum(here.relative, tiny)
    visible = size > 1e4 * jnp.finfo(here.point.dtype).eps * terms
    return counted(s.product_mismatches, is_short(here, there), visible, length(change - image) > 0.5 * size)
