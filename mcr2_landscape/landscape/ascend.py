"""Ascent (descent for a minimization) from a given point, as far as it goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.landscape import barzilai_borwein, newton_cg
from mcr2_landscape.landscape.admission import check_blocks, check_landscape
from mcr2_landscape.landscape.iterate import MOST_MISMATCHES, MOST_REFUSALS, Iterate, Setting, evaluated
from mcr2_landscape.landscape.metric import has_own_metric
from mcr2_landscape.landscape.progress import Progress
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, float64_matrix, positive_integer, positive_real

METHODS = ("barzilai-borwein", "newton-cg")
_CHUNK = 50
_CHUNK_SECONDS = 1.0
_STALL = 400
# Newton's model is trusted along its first direction alone until the gradient is about this small: there a product would buy
# no more than a length, which the last step's gradients give for nothing. So many gradients at most are spent on getting there.
_NEAR, _APPROACH = 0.03, 60
# Longest step relative to the norm of the point.
_REACH = 0.25
_RANK = 1e-6
# Norm relative to the start's below which a point is zero, if zero is critical: beside it what the gradient is relative to
# vanishes as well.
_COLLAPSED = 1e-12


@dataclass(frozen=True)
class Ascent(Record):
    """Where an ascent went.

    `point`: the last point. `ranks`: the numerical ranks of its class blocks (singular values above 1e-6 of the largest), or
    `None` for a landscape without classes. `converged`: the relative gradient norm, computed anew on the host, reached twice
    the tolerance; `reason` says in words why it stopped. Where zero is critical, a point of less than 1e-12 of the start's norm
    is rounded to it: the gradient's scale vanishes beside zero as the gradient does. `num_gradients`: points at which value and
    gradient were evaluated, those of refused trials too; `num_products`: Hessian products. `gradient_equivalents` counts a
    product as two gradients. Not counted: the last evaluation on the host, the metric's factorizations, and the gradient's
    scale, which a function landscape estimates with a product of its own.

    `history`: arrays "gradients" and "products" (spent so far), "value" and "relative_gradient_norm", and what `measure` asked
    for by its names, all of the same length: dense at the beginning, then every 50 gradients at most.
    """

    point: np.ndarray = field(repr=False, metadata={"json": False})
    value: float
    gradient_norm: float
    relative_gradient_norm: float
    converged: bool
    reason: str
    num_gradients: int
    num_products: int
    ranks: tuple[int, ...] | None
    history: dict[str, np.ndarray] = field(repr=False)
    interrupted: bool = False

    _derived = ("gradient_equivalents",)

    @property
    def gradient_equivalents(self) -> int:
        """Gradients, and two for each product."""
        return self.num_gradients + 2 * self.num_products


def ascend(
    landscape: Any,
    Z: Any,
    *,
    method: str = METHODS[0],
    rtol: float = 1e-10,
    max_steps: int = 10_000,
    measure: Mapping[str, Callable[[np.ndarray], Any]] | None = None,
    progress: bool | Callable[[int, int, int], None] = False,
) -> Ascent:
    """Climb from Z to a critical point, which is a local maximizer unless Z lies on the way to a saddle (see `escape`).

    "barzilai-borwein": gradient steps. A trial counts if its value exceeds the lowest of the last eight, so that no value lies
    below the first; once the increase expected is below the rounding of the value, if its gradient norm is at most twice the
    largest of the last eight. "newton-cg": the same up to a relative gradient norm of 0.03 (60 gradients at most), then
    trust-region Newton steps by conjugate gradients, whose trials must raise the value, or lower the gradient norm once the
    value says nothing. Both therefore reach tolerances far below the square root of the working precision.

    For `MCR2` steps are measured in the singular bases of the class blocks, weighted by the curvature of R_c there, which
    makes a small lambda no harder than a large one; elsewhere the metric is the identity. On a landscape with a curvature bound
    gradient steps move the point by at most a quarter of its norm as long as the value decides.

    **Arguments:** `landscape`: as for `classify`. `Z`: a start, float64. `method`: one of the two. `rtol`: relative gradient
    norm to reach. `max_steps`: gradients to spend, a Hessian product counting as two. `measure`: what else the history shall
    hold, functions of a point by name, each of which returns a number or an array of the same shape every time:
    ``{"norm": np.linalg.norm}``. `progress`: a bar, or a function of (done, total, 0).

    **Returns:** `Ascent`. Ctrl-C stops it between chunks of at most about a second and returns what was reached. Where value,
    gradient and Hessian do not belong together the ascent stops, and `reason` says which of them disagree.

    **Raises:** `InputError` for a wrong shape, NaN, float32, an unknown method, or a name in `measure` that the history has
    anyway.

    Sources: see `mcr2_landscape.landscape.barzilai_borwein` and `mcr2_landscape.landscape.newton_cg`.
    """
    check_landscape(landscape)
    Z = float64_matrix("Z", Z, tuple(landscape.shape))
    check_blocks(landscape, Z)
    if method not in METHODS:
        raise InputError(f"method: found {method!r}; pass one of " + ", ".join(repr(name) for name in METHODS))
    rtol, max_steps = positive_real("rtol", rtol), positive_integer("max_steps", max_steps)
    history = _History(landscape, measure or {})
    small, point, history.bases = landscape.compress(Z) if hasattr(landscape, "compress") else (landscape, Z, None)
    with jax.enable_x64(True), Progress.of(progress, max_steps, "ascending") as bar:
        point = jnp.asarray(point)
        if small.constraint is not None:
            point = small.constraint.project(point)
        start = evaluated(small, point)
        if not _is_finite(start):
            raise InputError("Z: the landscape's value or gradient is not finite there; scale the start down")
        run = _Run(small, _setting(small, start), max_steps, history, bar)
        run.least = _COLLAPSED * float(jnp.linalg.norm(start.point))
        run.state = barzilai_borwein.begin(small, start, run.setting)
        history.record(run.state)
        interrupted = False
        try:
            if method == "newton-cg":
                run.drive(barzilai_borwein.climb, max(rtol, _NEAR), min(max_steps, _APPROACH))
                run.state = newton_cg.begin(small, run.state.here, run.state.gradients, run.setting)
            climb = barzilai_borwein.climb if method == METHODS[0] else newton_cg.climb
            reason = run.drive(climb, rtol, max_steps)
        except KeyboardInterrupt:
            reason, interrupted = "interrupted", True
        state = run.state
        end = np.zeros(landscape.shape) if run.collapsed else _expand(landscape, np.array(state.here.point), history.bases)
    value, gradient, scale = landscape.evaluate(end)
    norm = float(np.linalg.norm(gradient))
    relative = norm / scale if scale > 0 else norm
    converged = bool(relative <= 2 * rtol)
    if not converged and not run.collapsed and float(state.here.relative) <= rtol:
        reason += f", but evaluated on the host it is {relative:.2e}: the landscape's two gradients differ"
    return Ascent(
        end,
        value,
        norm,
        relative,
        converged,
        reason,
        int(state.gradients),
        int(state.products),
        _ranks(landscape, end),
        history.arrays(),
        interrupted,
    )


class _Run:
    """Calls a compiled loop in chunks until it is to stop."""

    def __init__(self, landscape: Any, setting: Setting, max_steps: int, history: _History, bar: Progress):
        self.landscape, self.setting, self.max_steps, self.history, self.bar = landscape, setting, max_steps, history, bar
        self.state: Any = None
        self.largest = _CHUNK
        self.least, self.collapsed = 0.0, False  # the norm below which a point is zero

    def is_zero(self) -> bool:
        """Whether the ascent has come down to zero, and zero is critical."""
        if self.landscape.constraint is not None or float(jnp.linalg.norm(self.state.here.point)) > self.least:
            return False
        return not self.landscape.evaluate(np.zeros(self.landscape.shape))[1].any()

    def drive(self, climb: Callable[..., Any], rtol: float, budget: int) -> str:
        """Until the tolerance is reached, the budget spent, or nothing more can be gained; why, in words."""
        best, since = float(self.state.here.relative), int(self.state.gradients)
        goal, most = jnp.asarray(rtol), jnp.asarray(budget, dtype=jnp.int32)
        while not (reason := self.reason(rtol, budget, best, since)):
            chunk = min(1 + int(self.state.gradients) // 10, self.largest)  # the history is dense where most happens
            clock = time.perf_counter()
            trials = jnp.asarray(chunk, dtype=jnp.int32)
            state = climb(self.landscape, self.state, trials, most, goal, self.setting)
            self.state = jax.block_until_ready(state)
            elapsed = time.perf_counter() - clock
            self.history.record(self.state)
            if not _is_finite(self.state.here):
                raise InputError("Z: the landscape stops being finite on the way up; it needs a bounded superlevel set")
            gradients, relative = int(self.state.gradients), float(self.state.here.relative)
            best, since = (relative, gradients) if relative < 0.5 * best else (best, since)
            self.bar.update(min(gradients + 2 * int(self.state.products), self.max_steps), 0)
            if elapsed > 2 * _CHUNK_SECONDS and gradients > 20:  # the first calls compile
                self.largest = max(1, chunk // 2)
        return reason

    def reason(self, rtol: float, budget: int, best: float, since: int) -> str:
        gradients, relative = int(self.state.gradients), float(self.state.here.relative)
        spent = gradients + 2 * int(self.state.products)
        at_precision = f"no progress below relative gradient norm {min(best, relative):.2e}, the precision of the gradient"
        if self.is_zero():
            self.collapsed = True
            return f"came down to zero, a critical point, to {_COLLAPSED:.0e} of the start's norm"
        if relative <= rtol:
            return f"relative gradient norm {relative:.2e} reached {rtol:.0e}"
        if int(self.state.refusals) >= MOST_REFUSALS:
            if relative < 1e-8:
                return at_precision
            return (
                f"at relative gradient norm {relative:.2e} the value did not follow the gradient in {MOST_REFUSALS} ever "
                "shorter trials: they do not belong together, or the landscape is not smooth there; see check_derivatives"
            )
        steps = f"in {MOST_MISMATCHES} short steps: they do not belong together; see check_derivatives"
        if int(self.state.value_mismatches) >= MOST_MISMATCHES:
            return f"at relative gradient norm {relative:.2e} the value did not change as the gradient says {steps}"
        if int(getattr(self.state, "product_mismatches", 0)) >= MOST_MISMATCHES:
            return f"at relative gradient norm {relative:.2e} the gradient did not change as the Hessian's products say {steps}"
        if spent >= budget:
            return f"{spent} gradients spent at relative gradient norm {relative:.2e}"
        if gradients - since > _STALL and relative < 1e-8:
            return at_precision
        return ""


_RECORDED = ("gradients", "products", "value", "relative_gradient_norm")


class _History:
    """What is seen on the way. `bases` lead from a compressed point back to the landscape's own."""

    def __init__(self, landscape: Any, measure: Mapping[str, Callable[[np.ndarray], Any]]):
        if clash := sorted(set(measure) & set(_RECORDED)):
            raise InputError(f"measure: found the name {clash[0]!r}, which the history has anyway; choose another name")
        self.landscape, self.measure = landscape, measure
        self.bases: list[np.ndarray | None] | None = None
        self.rows: list[tuple[Any, ...]] = []

    def record(self, state: Any) -> None:
        measured: list[np.ndarray] = []
        here = state.here
        if self.measure:
            point = _expand(self.landscape, np.array(here.point), self.bases)
            measured = [np.array(function(point)) for function in self.measure.values()]
        # One row at once: Ctrl-C finds all columns equally long.
        spent = int(state.gradients), int(state.products)
        self.rows.append((*spent, float(here.value), float(here.relative), *measured))

    def arrays(self) -> dict[str, np.ndarray]:
        columns = (np.array(column) for column in zip(*self.rows, strict=True))
        return dict(zip((*_RECORDED, *self.measure), columns, strict=True))


def _is_finite(here: Iterate) -> bool:
    return bool(np.isfinite(float(here.value)) and np.isfinite(float(here.relative)))


def _setting(landscape: Any, start: Iterate) -> Setting:
    if hasattr(landscape, "curvature_scale"):
        numbers = 1 / float(landscape.curvature_scale()), 0.0 if has_own_metric(landscape) else 1.0, _REACH
    else:
        size, slope = float(np.linalg.norm(start.point)), float(np.linalg.norm(start.gradient))
        first = 1e-2 * (1 + size) / max(slope, 1e-300)
        numbers = first, 0.0, np.inf
    return Setting(*(jnp.asarray(number) for number in numbers))


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


def _ranks(landscape: Any, Z: np.ndarray) -> tuple[int, ...] | None:
    if not hasattr(landscape, "parameters"):
        return None
    p = landscape.parameters
    values = [np.linalg.svd(block, compute_uv=False) for block in p.blocks(Z)]
    # Beside zero all singular values are what is left of a collapse.
    least = max(_RANK * max(float(own[0]) for own in values), 1e-8 / np.sqrt(p.alpha))
    return tuple(int((own > least).sum()) for own in values)
