"""How far an unrolled encoder is from the solution of its program, as a function of its depth."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.csc.dictionary import ConvDictionary
from mcr2_landscape.csc.iterations import COPIES, METHODS, Runner, State, check_method, default_step, require_memory
from mcr2_landscape.csc.programs import Problem, Program, measured
from mcr2_landscape.csc.solver import GAP, Solution, solve
from mcr2_landscape.landscape.progress import Progress
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, positive_integer, positive_real

DEPTHS = (1, 2, 5, 10, 20, 50, 100)


@dataclass(frozen=True)
class EncoderGap(Record):
    """By how much the code after n steps misses the optimum: arrays over the methods M, the depths and the N images.

    **Fields:** `methods` and `depths`. `gap`, (M, depths, N): P(z_n) − P(solution). The optimum lies between the solution's
    dual value and its objective, so that the true number is at least `gap` and at most `gap` + `uncertainty`, (N,). `distance`,
    (M, depths, N): ‖z_n − z*‖/‖z*‖, against the solution's code. `step`: the step size. `solution`: the optimum, with its
    certificate.
    """

    methods: tuple[str, ...]
    depths: tuple[int, ...]
    gap: np.ndarray
    distance: np.ndarray
    step: float
    solution: Solution = field(repr=False)

    _derived = ("relative", "uncertainty")

    @property
    def relative(self) -> np.ndarray:
        """`gap` in units of the optimum, (M, depths, N)."""
        return self.gap / np.where(self.solution.objective > 0, self.solution.objective, 1)

    @property
    def uncertainty(self) -> np.ndarray:
        """The solution's own duality gap, (N,)."""
        return self.solution.duality_gap


def encoder_gap(
    dictionary: ConvDictionary,
    images: Any,
    depths: Sequence[int] = DEPTHS,
    *,
    sparsity: Any,
    ridge: float = 0.0,
    nonnegative: bool = False,
    methods: Sequence[str] = METHODS,
    step: float | None = None,
    gap: float = GAP,
    progress: Any = False,
) -> EncoderGap:
    """Compare the codes after so many steps from zero with the certified optimum: how far "encoder" and "solution" differ.

    **Arguments:** as `iterate` and `solve`; `depths`: numbers of steps, increasing. `progress`: True for a bar, or a function
    of (methods done, all, 0).

    **Raises:** `InputError` for bad input.
    """
    wanted = check_depths(depths)
    if isinstance(methods, str):
        raise InputError(f"methods: found {methods!r}; pass a sequence of some of {METHODS}, such as ({methods!r},)")
    names = tuple(methods)
    if not names:
        raise InputError(f"methods: found none; pass some of {METHODS}")
    for name in names:
        check_method(name)
    problem = Problem.of(dictionary, images)
    program = problem.program(sparsity, ridge, nonnegative)
    size = default_step(problem) if step is None else positive_real("step", step)
    require_memory(problem, COPIES * np.prod(problem.code_shape, dtype=float), "pass fewer images at once")
    solution = solve(dictionary, images, sparsity=sparsity, ridge=ridge, nonnegative=nonnegative, gap=gap)
    return compared(problem, program, solution, wanted, names, size, progress)


def compared(
    problem: Problem,
    program: Program,
    solution: Solution,
    wanted: tuple[int, ...],
    names: tuple[str, ...],
    size: float,
    progress: Any,
) -> EncoderGap:
    """`encoder_gap` of what is checked, by a solution that is known."""
    found = np.empty((2, len(names), len(wanted), len(problem.images)))
    norms = _norms(solution.codes)
    with jax.enable_x64(True), Progress.of(progress, len(names), "depths") as bar:
        for m, name in enumerate(names):
            runner, state, made = Runner(problem, program, name, size), State.start(jnp.zeros(problem.code_shape)), 0
            for d, depth in enumerate(wanted):
                later = (len(names) - m) * wanted[-1] - depth  # steps
                pace = runner.pace
                state = runner.go(state, depth - made, lambda left, n=later, pace=pace: bar.expect(pace.seconds_for(left + n)))
                made, codes = depth, np.asarray(state.codes)
                found[0, m, d] = measured(problem, program, codes).objective - solution.objective
                found[1, m, d] = _norms(codes - solution.codes) / np.where(norms > 0, norms, 1)
            bar.update(m + 1, 0)
    return EncoderGap(names, wanted, found[0], found[1], size, solution)


def check_depths(depths: Any) -> tuple[int, ...]:
    """Numbers of steps, if they are increasing integers.

    **Raises:** `InputError` otherwise.
    """
    if isinstance(depths, (str, bytes)) or not isinstance(depths, (Sequence, np.ndarray)):
        raise InputError(f"depths: found {depths!r}; pass a sequence of numbers of steps, such as (1, 2, 10, 100)")
    wanted = tuple(positive_integer(f"depths[{i}]", depth) for i, depth in enumerate(depths))
    if not wanted or any(b <= a for a, b in itertools.pairwise(wanted)):
        raise InputError(f"depths: found {wanted}; pass increasing numbers of steps, such as (1, 2, 10, 100)")
    return wanted


def _norms(codes: np.ndarray) -> np.ndarray:
    return np.sqrt(np.sum(codes**2, axis=(1, 2, 3)))
