"""Ascent (descent for a minimization) from a given point, as far as it goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.landscape.admission import check_blocks, check_landscape
from mcr2_landscape.landscape.progress import Progress
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, float64_matrix, positive_integer, positive_real

_CHUNK = 50
_CHUNK_SECONDS = 1.0
_STALL = 400


@dataclass(frozen=True)
class Ascent(Record):
    """Where an ascent went.

    `point`: the last point. `history`: arrays "gradients" (gradients evaluated so far), "value" and "relative_gradient_norm",
    and what `measure` asked for by its names, all of the same length: dense at the beginning, then every 50 gradients at most.
    `converged`: the relative gradient norm reached the tolerance; `reason` says in words why it stopped.
    """

    point: np.ndarray = field(repr=False, metadata={"json": False})
    value: float
    gradient_norm: float
    relative_gradient_norm: float
    converged: bool
    reason: str
    num_gradients: int
    history: dict[str, np.ndarray] = field(repr=False)
    interrupted: bool = False


class _State(NamedTuple):
    point: jax.Array
    gradient: jax.Array
    value: jax.Array
    relative: jax.Array
    step: jax.Array
    trials: jax.Array


def ascend(
    landscape: Any,
    Z: Any,
    *,
    rtol: float = 1e-10,
    max_steps: int = 10_000,
    measure: Mapping[str, Callable[[np.ndarray], Any]] | None = None,
    progress: bool | Callable[[int, int, int], None] = False,
) -> Ascent:
    """Climb from Z with Barzilai–Borwein steps, none of which lowers the value (by more than its rounding).

    A trial that lowers the value is taken back and its step halved, down to the step 1/L where the landscape's curvature bound
    L promises an increase; on such a landscape no step beyond 1/L moves the point by more than a quarter of its norm. Once the
    increase expected is below the rounding of the value, trials are judged by the gradient norm instead, so that the tolerance
    can be far below the square root of the working precision.

    **Arguments:** `landscape`: as for `classify`. `Z`: a start, float64. `rtol`: relative gradient norm to reach. `max_steps`:
    gradients to spend. `measure`: what else the history shall hold, functions of a point by name, each of which returns a
    number or an array of the same shape every time: ``{"norm": np.linalg.norm}``. `progress`: a bar, or a function of (done,
    total, 0).

    **Returns:** `Ascent`. Ctrl-C stops it between chunks of at most about a second and returns what was reached.

    **Raises:** `InputError` for a wrong shape, NaN, float32, or a name in `measure` that the history has anyway.

    Source: Barzilai and Borwein (IMA J. Numer. Anal. 1988); for MCR² the bound L = (9/8) alpha + lambda.
    """
    check_landscape(landscape)
    Z = float64_matrix("Z", Z, tuple(landscape.shape))
    check_blocks(landscape, Z)
    rtol, max_steps = positive_real("rtol", rtol), positive_integer("max_steps", max_steps)
    history = _History(landscape, measure or {})
    small, point, history.bases = landscape.compress(Z) if hasattr(landscape, "compress") else (landscape, Z, None)
    with jax.enable_x64(True), Progress.of(progress, max_steps, "ascending") as bar:
        if small.constraint is not None:
            point = small.constraint.project(jnp.asarray(point))
        first = _first_step(small, point)
        state = _begin(small, jnp.asarray(point), jnp.asarray(first))
        safe = jnp.asarray(first if hasattr(small, "curvature_scale") else 0.0)
        if not np.isfinite(float(state.value)) or not np.isfinite(float(state.relative)):
            raise InputError("Z: the landscape's value or gradient is not finite there; scale the start down")
        reason, interrupted = "", False
        best, since, chunk, largest = float(state.relative), 0, 1, _CHUNK
        history.record(state)
        try:
            while not reason:
                clock = time.perf_counter()
                state = jax.block_until_ready(_climb(small, state, jnp.asarray(chunk), jnp.asarray(rtol), safe))
                elapsed = time.perf_counter() - clock
                history.record(state)
                trials, relative = int(state.trials), float(state.relative)
                best, since = (relative, trials) if relative < 0.5 * best else (best, since)
                bar.update(min(trials, max_steps), 0)
                if not np.isfinite(relative) or not np.isfinite(float(state.value)):
                    raise InputError("Z: the landscape stops being finite on the way up; it needs a bounded superlevel set")
                if relative <= rtol:
                    reason = f"relative gradient norm {relative:.2e} reached {rtol:.0e}"
                elif trials >= max_steps:
                    reason = f"{trials} gradients spent at relative gradient norm {relative:.2e}"
                elif trials - since > _STALL and relative < 1e-8:
                    reason = f"no progress below relative gradient norm {best:.2e}, the precision of the gradient"
                if elapsed > 2 * _CHUNK_SECONDS and trials > 20:  # the first calls compile
                    largest = max(1, chunk // 2)
                chunk = min(1 + trials // 10, largest)  # the history is dense where most happens
        except KeyboardInterrupt:
            reason, interrupted = "interrupted", True
        end = _expand(landscape, np.array(state.point), history.bases)
    value, gradient, scale = landscape.evaluate(end)
    norm = float(np.linalg.norm(gradient))
    relative = norm / scale if scale > 0 else norm
    return Ascent(
        end,
        value,
        norm,
        relative,
        bool(relative <= 2 * rtol or float(state.relative) <= rtol),
        reason,
        int(state.trials),
        history.arrays(),
        interrupted,
    )


_RECORDED = ("gradients", "value", "relative_gradient_norm")


class _History:
    """What is seen on the way. `bases` lead from a compressed point back to the landscape's own."""

    def __init__(self, landscape: Any, measure: Mapping[str, Callable[[np.ndarray], Any]]):
        if clash := sorted(set(measure) & set(_RECORDED)):
            raise InputError(f"measure: found the name {clash[0]!r}, which the history has anyway; choose another name")
        self.landscape, self.measure = landscape, measure
        self.bases: list[np.ndarray | None] | None = None
        self.rows: list[tuple[Any, ...]] = []

    def record(self, state: _State) -> None:
        measured: list[np.ndarray] = []
        if self.measure:
            point = _expand(self.landscape, np.array(state.point), self.bases)
            measured = [np.array(function(point)) for function in self.measure.values()]
        # One row at once: Ctrl-C finds all columns equally long.
        self.rows.append((int(state.trials), float(state.value), float(state.relative), *measured))

    def arrays(self) -> dict[str, np.ndarray]:
        columns = (np.array(column) for column in zip(*self.rows, strict=True))
        return dict(zip((*_RECORDED, *self.measure), columns, strict=True))


def _first_step(landscape: Any, point: Any) -> float:
    if hasattr(landscape, "curvature_scale"):
        return 1 / float(landscape.curvature_scale())
    _, gradient, _ = landscape.evaluate(np.asarray(point))
    return 1e-2 * (1 + float(np.linalg.norm(point))) / max(float(np.linalg.norm(gradient)), 1e-300)


def _expand(landscape: Any, point: np.ndarray, bases: list[np.ndarray | None] | None) -> np.ndarray:
    """Back to the full columns: each compressed block times its row-space basis."""
    if bases is None:
        return point
    blocks, start = [], 0
    for basis, width in zip(bases, landscape.parameters.widths, strict=True):
        columns = width if basis is None else basis.shape[0]
        block = point[:, start : start + columns]
        blocks.append(block if basis is None else block @ basis)
        start += columns
    return np.concatenate(blocks, axis=1)


def _measure(landscape: Any, Z: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    gradient = landscape.gradient(Z)
    scale = landscape.gradient_scale(Z)
    norm = jnp.linalg.norm(gradient)
    return gradient, landscape.value(Z), jnp.where(scale > 0, norm / jnp.where(scale > 0, scale, 1), norm)


@jax.jit
def _begin(landscape: Any, point: jax.Array, step: jax.Array) -> _State:
    gradient, value, relative = _measure(landscape, point)
    return _State(point, gradient, value, relative, step, jnp.asarray(1, dtype=jnp.int32))


@jax.jit
def _climb(landscape: Any, state: _State, num_trials: jax.Array, rtol: jax.Array, safe: jax.Array) -> _State:
    """Up to `num_trials` (traced) trials. A step of at most `safe` cannot lower the value."""
    sign = -1.0 if landscape.minimize else 1.0
    limit = state.trials + num_trials.astype(jnp.int32)
    eps, tiny = jnp.finfo(state.point.dtype).eps, jnp.finfo(state.point.dtype).tiny

    def unfinished(s: _State) -> jax.Array:
        return (s.trials < limit) & (s.relative > rtol)

    def trial(s: _State) -> _State:
        # far out a long step would jump over the maximizers that a gradient flow meets, to the far side of zero
        reach = 0.25 * jnp.linalg.norm(s.point.reshape(-1)) / jnp.maximum(jnp.linalg.norm(s.gradient.reshape(-1)), tiny)
        length = jnp.where(safe > 0, jnp.minimum(s.step, jnp.maximum(safe, reach)), s.step)
        move = sign * length * s.gradient
        point = s.point + move if landscape.constraint is None else landscape.constraint.retract(s.point, move)
        gradient, value, relative = _measure(landscape, point)
        expected = length * jnp.sum(s.gradient * s.gradient)
        rise = sign * (value - s.value)
        noise = 64 * eps * (1 + jnp.abs(s.value))
        judged_by_value = expected > 100 * noise
        good = jnp.where(judged_by_value, rise >= 1e-4 * expected, relative <= 1.5 * s.relative)
        good = (good | ((length <= safe) & (rise >= -noise))) & jnp.isfinite(value)
        difference = (point - s.point).reshape(-1)
        curvature = -sign * jnp.sum(difference * (gradient - s.gradient).reshape(-1))
        squared = jnp.sum(difference * difference)
        fitted = jnp.where(curvature > 0, squared / jnp.where(curvature > 0, curvature, 1), 2 * length)
        longer = jnp.clip(fitted, 0.1 * length, 10 * length)
        return _State(
            jnp.where(good, point, s.point),
            jnp.where(good, gradient, s.gradient),
            jnp.where(good, value, s.value),
            jnp.where(good, relative, s.relative),
            jnp.where(good, longer, 0.5 * length),
            s.trials + 1,
        )

    return jax.lax.while_loop(unfinished, trial, state)
