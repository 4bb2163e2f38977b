"""The solution of a sparse coding program, with a certificate for each image."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.csc.dictionary import ConvDictionary
from mcr2_landscape.csc.iterations import RESTARTED, Runner, State, default_step, require_memory
from mcr2_landscape.csc.newton import Terms, proximal_points
from mcr2_landscape.csc.programs import Gaps, Problem, Program, lambda_max, measured
from mcr2_landscape.csc.support import Columns, one_thread
from mcr2_landscape.csc.time_left import SolvingTime
from mcr2_landscape.landscape.progress import Progress
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, positive_integer, positive_real

GAP = 1e-12
_GROUP = 1 << 22  # numbers of the codes of the images that go together
_COMPILING = 1 << 18  # numbers of codes whose steps take less time than a program for another number of images
_LOOK = 50  # first-order steps between two evaluations of the gap


@dataclass(frozen=True)
class Solution(Record):
    """Codes that solve a program, and how well: arrays over the N images.

    **Fields:** `codes`, (N, K, h, w) float64. `objective`: P(z). `duality_gap`: P(z) exceeds the optimum by that at most,
    rounding included (see `Gaps`). `relative_gap`: the same in units of ½‖x‖², the objective of the zero code. `converged`:
    whether it is at most `gap`, the relative gap that was asked for. `rounding`: the part of `duality_gap` that is an allowance
    for rounding; a smaller gap is never claimed. `zero_is_optimal`: whether λ ≥ λ_max, so that the solution is zero.
    `lambda_max`: the least such λ. `steps`: first-order steps; `newton_steps`: steps of the second-order method. `sparsity`
    (N,), `ridge` and `nonnegative`: the program. `interrupted`: Ctrl-C ended it early. `advice`: what to do, in words, empty
    where all is well.
    """

    codes: np.ndarray = field(repr=False, metadata={"json": False})
    objective: np.ndarray
    duality_gap: np.ndarray
    relative_gap: np.ndarray
    rounding: np.ndarray
    converged: np.ndarray
    zero_is_optimal: np.ndarray
    lambda_max: np.ndarray
    steps: np.ndarray
    newton_steps: np.ndarray
    sparsity: np.ndarray
    ridge: float
    nonnegative: bool
    gap: float
    interrupted: bool
    advice: str

    _derived = ("dual_value",)

    @property
    def dual_value(self) -> np.ndarray:
        """A lower bound of the optimum."""
        return self.objective - self.duality_gap

    def first(self, count: int) -> Solution:
        """The solution of the first images alone."""
        arrays = {name: value[:count] for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        found = dataclasses.replace(self, **arrays)
        return dataclasses.replace(found, advice=_advice(found))


def solve(
    dictionary: ConvDictionary,
    images: Any,
    *,
    sparsity: Any,
    ridge: float = 0.0,
    nonnegative: bool = False,
    gap: float = GAP,
    max_steps: int = 200,
    max_newton_steps: int = 300,
    start: Any = None,
    progress: Any = False,
) -> Solution:
    """Minimize λ‖z‖₁ + (μ/2)‖z‖² + ½‖x − Dz‖² for every image x, with z ≥ 0 where that is asked for.

    First all images together by FISTA with restarts (see `iterations`), which runs where JAX computes; then each that is not
    solved by a second-order method on the host (see `newton`). What counts is the duality gap alone: an image that does not
    reach it is reported as not converged, with its gap, and `advice` says what to do. A host function, in float64.

    Codes of c·x at sparsity c·λ are c times those of x at λ, and the objective c² times its own: images for which float64 does
    not hold that square are refused.

    **Arguments:** `images`: (N, C, H, W), float32 or float64. `sparsity`: λ > 0, one number, or one for each image. `ridge`:
    μ ≥ 0. `gap`: the duality gap that is asked for, in units of ½‖x‖², so that the answer does not depend on units of
    brightness. Below some 1e-14 rounding hides it (`rounding` says how much), and nothing converges. `max_steps`: first-order
    steps, 0 for none. `max_newton_steps`: second-order steps of an image, 0 for none. `start`: codes (N, K, h, w) to begin
    with, by default zero. `progress`: True for a bar, or a function of (images done, N, images converged).

    **Raises:** `InputError` for bad input: shapes that do not fit, kernels larger than the padded images, NaN, a sparsity or
    gap that is not above zero, a negative ridge, images whose largest number is (not zero and) below 1e-140 or above 1e140,
    and codes that do not fit into memory.
    """
    problem = Problem.of(dictionary, images)
    program = problem.program(sparsity, ridge, nonnegative)
    wanted = positive_real("gap", gap)
    limits = tuple(
        positive_integer(name, value, minimum=0)
        for name, value in (("max_steps", max_steps), ("max_newton_steps", max_newton_steps))
    )
    count, each = len(problem.images), int(np.prod(problem.code_shape[1:]))
    together = min(count, max(1, _GROUP // each))
    group = problem._replace(images=problem.images[:together])
    numbers = each * max(6 * count, 3 * count + 12 * together)  # first and last all images are looked at together
    require_memory(group, numbers, "pass fewer images at once, or smaller ones")
    codes = np.zeros(problem.code_shape) if start is None else problem.codes("start", start).copy()
    if program.nonnegative and codes.min() < 0:
        raise InputError(f"start: found {codes.min():g}, where codes are nonnegative; pass np.maximum(start, 0)")
    peak = lambda_max(dictionary, problem.images, nonnegative=program.nonnegative)
    zero = program.sparsity >= peak
    codes[zero] = 0
    work = _Work(problem, program, codes, wanted, limits)
    with jax.enable_x64(True), Progress.of(progress, count, "sparse coding") as bar:
        try:
            work.run(zero, bar)
            interrupted = False
        except KeyboardInterrupt:
            interrupted = True
        return work.solution(zero, peak, interrupted)


class _Work:
    """The codes so far, and what is known of them."""

    def __init__(self, problem: Problem, program: Program, codes: np.ndarray, wanted: float, limits: tuple[int, ...]):
        self.problem, self.program, self.codes = problem, program, codes
        self.allowed = wanted * problem.scale
        self.wanted, (self.max_steps, self.max_newton) = wanted, limits
        count = len(codes)
        self.steps, self.newton = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)

    def run(self, zero: np.ndarray, bar: Progress) -> None:
        each = int(np.prod(self.problem.code_shape[1:]))
        left, solved = np.flatnonzero(~zero), zero.copy()
        closed, columns = zero.copy(), None
        bar.update(int(closed.sum()), int(solved.sum()))
        size = min(max(1, _GROUP // each), len(self.codes))
        # By halves: so few shapes are compiled, however many images λ_max leaves.
        while size > 1 and size * each > _COMPILING and left.size <= size // 2:
            size = -(-size // 2)
        clock = SolvingTime(bar, -(-left.size // size))
        for first in range(0, left.size, size):
            clock.group()
            group = left[first : first + size]
            # one shape for all groups: the last is filled up with its own first image
            padded = np.concatenate([group, np.repeat(group[:1], size - group.size)])
            solved[group] = closed[group] = ~self._first_order(padded, clock)[: group.size]
            bar.update(int(closed.sum()), int(solved.sum()))
            clock.opened(int((~solved[group]).sum()))
            for number in group[~solved[group]]:
                if self.max_newton:
                    columns = columns or Columns(self.problem.atoms, self.problem.geometry, self.problem.size)
                    with one_thread():
                        solved[number] = self._second_order(int(number), columns, clock)
                closed[number] = True
                bar.update(int(closed.sum()), int(solved.sum()))
                clock.closed()

    def _first_order(self, numbers: np.ndarray, clock: SolvingTime) -> np.ndarray:
        """Go on with these images together; which of them are still open."""
        problem, program = self._part(numbers)
        codes = self.codes[numbers]
        best = measured(problem, program, codes)
        still = ~(best.duality_gap <= self.allowed[numbers])
        if not (self.max_steps and still.any()):
            return still
        runner = Runner(problem, program, RESTARTED, default_step(problem))
        state = State.start(jnp.asarray(codes))
        made = 0
        while made < self.max_steps and still.any():
            later = min(made + _LOOK, self.max_steps)
            rest = self.max_steps - later
            state = runner.go(state, later - made, lambda left, rest=rest: clock.steps(runner.pace, left + rest))
            made = later
            found = measured(problem, program, state.codes)
            better = still & (found.duality_gap < best.duality_gap)
            self.steps[numbers[still]] = made
            if better.any():
                self.codes[numbers[better]] = np.asarray(state.codes)[better]
                best = _chosen(better, found, best)
            still &= ~(best.duality_gap <= self.allowed[numbers])
        return still

    def _second_order(self, number: int, columns: Columns, clock: SolvingTime) -> bool:
        """Solve one image; whether its gap is small enough."""
        problem, program = self._part(np.array([number]))
        x = columns.flatten(problem.images[0])
        terms = Terms(float(program.sparsity[0]), program.ridge, program.nonnegative)
        begin = columns.flatten(self.codes[number])
        best = float(measured(problem, program, self.codes[number][None]).duality_gap[0])
        last = None
        for point in proximal_points(columns, x, terms, begin, self.max_newton):
            self.newton[number] = point.steps
            clock.newton(point.steps)
            if point.codes is None or point.codes is last:
                continue
            last = point.codes
            found = columns.unflatten(point.codes)
            value = float(measured(problem, program, found[None]).duality_gap[0])
            if value < best:
                best, self.codes[number] = value, found
            if best <= self.allowed[number]:
                return True
        return False

    def _part(self, numbers: np.ndarray) -> tuple[Problem, Program]:
        problem = self.problem._replace(images=self.problem.images[numbers])
        return problem, self.program._replace(sparsity=self.program.sparsity[numbers])

    def solution(self, zero: np.ndarray, peak: np.ndarray, interrupted: bool) -> Solution:
        found = measured(self.problem, self.program, self.codes)
        scale = self.problem.scale
        # the zero code is proved optimal by λ ≥ λ_max, for which no gap has to be small
        converged = (found.duality_gap <= self.allowed) | zero
        relative = np.divide(found.duality_gap, scale, out=np.zeros_like(scale), where=scale > 0)
        solution = Solution(
            self.codes,
            found.objective,
            found.duality_gap,
            relative,
            found.rounding,
            converged,
            zero,
            peak,
            self.steps,
            self.newton,
            self.program.sparsity,
            self.program.ridge,
            self.program.nonnegative,
            self.wanted,
            interrupted,
            "",
        )
        return dataclasses.replace(solution, advice=_advice(solution))


def _advice(found: Solution) -> str:
    said, zero, open_ = [], found.zero_is_optimal, ~found.converged
    if zero.any():
        said.append(f"sparsity is at least lambda_max for {int(zero.sum())} of {zero.size} images, whose code is zero")
    # in units of ½‖x‖², as the gap
    rounding = found.rounding * np.divide(found.relative_gap, found.duality_gap, out=np.zeros_like(found.rounding), where=open_)
    hidden = open_ & (rounding > found.gap)
    if hidden.any():
        least = float(rounding[hidden].max())
        said.append(f"rounding hides a gap of {found.gap:g} for {int(hidden.sum())} images; ask for {4 * least:.1g} or more")
    rest = open_ & ~hidden
    if rest.any():
        made = f"after {found.steps[rest].max()} steps and {found.newton_steps[rest].max()} Newton steps"
        said.append(
            f"{int(rest.sum())} of {rest.size} images have not reached a gap of {found.gap:g} "
            f"({'interrupted' if found.interrupted else made}): raise max_steps or max_newton_steps and pass "
            "start=solution.codes, add a small ridge, or take a larger sparsity"
        )
    return "; ".join(said)


def _chosen(which: np.ndarray, new: Gaps, old: Gaps) -> Gaps:
    names = ("objective", "duality_gap", "rounding")
    return Gaps(*(np.where(which, getattr(new, name), getattr(old, name)) for name in names))
