"""Dictionary learning that never raises its objective.

    F(W, Z) = Σ_n [λ‖z_n‖₁ + (μ/2)‖z_n‖² + ½‖x_n − D_W z_n‖²],      ‖w_k‖ = 1,

is lowered in turn, each move being kept only where F, evaluated anew, is not larger than before:

- Codes: steps of FISTA with restarts from the codes so far, image by image; an image whose objective is not smaller keeps its
  codes, and is given as many steps of ISTA, which descends in exact arithmetic.
- Atoms: steps of projected gradient on the balls ‖w_k‖ ≤ 1. For fixed codes F is a quadratic of W whose curvature along a move
  Δ is ‖D_Δ z‖² summed, so that a step t descends where that is at most ‖Δ‖²/t: t is halved until it is, and doubled after.
- Back to the sphere: w_k becomes w_k/‖w_k‖ and its code ‖w_k‖z_k. That leaves D_W z as it is, and since ‖w_k‖ ≤ 1 neither λ‖z‖₁
  nor the ridge's term grows. (Atoms moved out of the ball would have to come with larger codes, which may raise F.)
- Dead atoms, whose code is zero for every image: whatever replaces them leaves F as it is. They take the directions of the
  largest windows of what the dictionary leaves over, those longer than λ: where none is, no direction brings an atom to life.
  F falls in the next alternation only, so that by the tolerance one in which atoms were replaced is never the last.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.csc.atom_moves import (
    atom_gradient,
    dead_atoms,
    into_ball,
    residual,
    square,
    to_sphere,
    with_dead_replaced,
)
from mcr2_landscape.csc.dictionary import ConvDictionary
from mcr2_landscape.csc.geometry import pair
from mcr2_landscape.csc.iterations import RESTARTED, Runner, State, default_step, on_processor, require_memory
from mcr2_landscape.csc.learning_state import LearningState, beginning, identity, save_state, state_to_go_on_from
from mcr2_landscape.csc.programs import Problem, Program, measured
from mcr2_landscape.csc.time_left import LearningTime
from mcr2_landscape.files import check_path, check_writable
from mcr2_landscape.landscape.progress import Progress
from mcr2_landscape.randomness import generator
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, float64_matrix, positive_integer, positive_real, real

_LEAST_STEP = 1e-12
_SAVE_SECONDS = 60.0


@dataclass(frozen=True)
class LearnedDictionary(Record):
    """What learning came to.

    **Fields:** `dictionary`: the atoms. `codes`, (N, K, h, w) float64. `objective`: F at the start and after each alternation,
    (alternations + 1,), summed over images. `reconstruction`: ‖X − DZ‖/‖X‖ at the end. `active`: the fraction of codes that are
    not zero. `dead`: the numbers of atoms whose code is zero for every image; `replaced`: how many dead atoms were given new
    directions. `stopped`: "tolerance", "max_alternations", "max_seconds" or "interrupted". `state`: to go on with.
    """

    dictionary: ConvDictionary = field(repr=False, metadata={"json": False})
    codes: np.ndarray = field(repr=False, metadata={"json": False})
    objective: np.ndarray
    reconstruction: float
    active: float
    dead: tuple[int, ...]
    replaced: int
    stopped: str
    state: LearningState = field(repr=False, metadata={"json": False})

    _derived = ("alternations", "first_increase")

    @property
    def alternations(self) -> int:
        """How many were made, those before a resumption included."""
        return len(self.objective) - 1

    @property
    def first_increase(self) -> int | None:
        """See the function of that name: `None` here, or something is wrong."""
        return first_increase(self.objective)


def first_increase(history: Any) -> int | None:
    """The first entry of a history of objectives that is larger than the one before, or is no number; `None` without one."""
    values = np.asarray(history, dtype=np.float64)
    rises = np.flatnonzero(~(values[1:] <= values[:-1]))
    return int(rises[0]) + 1 if rises.size else None


def learn_dictionary(
    images: Any,
    num_atoms: int,
    kernel: Any,
    *,
    sparsity: float,
    ridge: float = 0.0,
    nonnegative: bool = False,
    stride: Any = 1,
    padding: Any = 0,
    max_alternations: int = 50,
    code_steps: int = 20,
    atom_steps: int = 5,
    tolerance: float = 1e-4,
    max_seconds: float | None = None,
    replace_dead: bool = True,
    start: ConvDictionary | None = None,
    state: LearningState | None = None,
    checkpoint: Any = None,
    progress: Any = False,
    key: Any = None,
) -> LearnedDictionary:
    """Learn atoms and codes together; the objective never rises, not even by rounding (see the module). A host function.

    **Arguments:** `images`: (N, C, H, W). `kernel`: the atoms' sides. `sparsity`, `ridge`, `nonnegative`: see `solve`, one
    sparsity for all images. `stride` and `padding`: see `ConvDictionary`. An alternation makes `code_steps` of FISTA and
    `atom_steps` of projected gradient. It ends after `max_alternations` in all, where one lowers the objective by less than
    `tolerance` of it and gives no dead atom a new direction, or at the end of the alternation in which `max_seconds` pass.
    `replace_dead`: give dead atoms new directions. `start`: atoms to begin with; by default random ones by `key` (a JAX key, an
    integer seed or a NumPy generator), which draws nothing else. `state`: of an earlier result, to go on as if it had not
    stopped; `checkpoint`: an .npz file that is written now and then, and gone on from if it is there. With both the one that is
    further on counts, if they are of one run. `start` or `key` of a run that is gone on from is the one that it began with, or
    left out. `progress`: True for a bar, or a function of (alternations, max_alternations, 0).

    **Raises:** `InputError` for bad input, no key where atoms are random and one where they are given, a state or checkpoint of
    other images, another program, or another `start` or `key`, a state beside a checkpoint of another run, files that cannot be
    read or written, and images that do not fit into memory, before anything is computed. **Ctrl-C** ends it with what was
    reached.
    """
    kernel, stride, padding = (
        pair("kernel", kernel, minimum=1),
        pair("stride", stride, minimum=1),
        pair("padding", padding, minimum=0),
    )
    count = positive_integer("num_atoms", num_atoms)
    limits = [
        positive_integer(name, value, minimum=least)
        for name, value, least in (
            ("max_alternations", max_alternations, 0),
            ("code_steps", code_steps, 1),
            ("atom_steps", atom_steps, 0),
        )
    ]
    if real("tolerance", tolerance) < 0:
        raise InputError(f"tolerance: found {tolerance:g}; it must be zero or more")
    seconds = None if max_seconds is None else positive_real("max_seconds", max_seconds)
    lam = positive_real("sparsity", sparsity)
    if not isinstance(replace_dead, bool):
        raise InputError(f"replace_dead: found {replace_dead!r}; pass True or False")
    if checkpoint is not None:
        check_path("checkpoint", checkpoint, "an .npz file")
        check_writable(checkpoint, "checkpoint")
    images = float64_matrix("images", images, refuse_float32=False)
    template, first = _first_atoms(images, count, kernel, stride, padding, start, state, checkpoint, key)
    problem = Problem.of(template, images)
    program = problem.program(lam, ridge, nonnegative)
    require_memory(problem, 12 * np.prod(problem.code_shape, dtype=float), "pass fewer images or smaller ones")
    settings = (count, kernel, stride, padding, lam, program.ridge, program.nonnegative, *limits[1:], replace_dead)
    name = identity(problem.images, settings)
    with jax.enable_x64(True):
        begun = state_to_go_on_from(state, checkpoint, name, first)
        if begun is None:
            assert first is not None
            codes = np.zeros(problem.code_shape)
            value = float(np.sum(measured(problem, program, codes).objective))
            begun = LearningState(problem.atoms, codes, np.array([value]), 1.0, 0, 0, name, first)
        learner = _Learner(problem, program, begun, limits[1], limits[2], replace_dead)
        stopped = _alternate(learner, limits[0], tolerance, seconds, checkpoint, progress)
        left = learner.residual(learner.state.atoms, learner.state.codes)
    # outside of the scope: see ConvDictionary
    return _result(learner.state, problem, ConvDictionary.normalized(learner.state.atoms, stride, padding), left, stopped)


def _first_atoms(
    images: np.ndarray, count: int, kernel: Any, stride: Any, padding: Any, start: Any, state: Any, checkpoint: Any, key: Any
) -> tuple[ConvDictionary, str | None]:
    """Atoms to begin with, and what they come from (see `beginning`)."""
    channels = images.shape[1] if images.ndim == 4 else 1
    if state is not None and not isinstance(state, LearningState):
        raise InputError(f"state: found {type(state).__name__}; pass the state of an earlier result")
    if start is not None:
        if not isinstance(start, ConvDictionary):
            raise InputError(f"start: found {type(start).__name__}; pass a ConvDictionary")
        if start.atoms.shape != (count, channels, *kernel) or (start.stride, start.padding) != (stride, padding):
            raise InputError(
                f"start: found atoms of shape {start.atoms.shape}, stride {start.stride} and padding {start.padding}; expected "
                f"{(count, channels, *kernel)}, {stride} and {padding}"
            )
        if key is not None:
            raise InputError("key: found one beside start, where it draws nothing; leave one of them out")
        return start, beginning(np.asarray(start.atoms, np.float64), None)
    resumed = state is not None or (checkpoint is not None and Path(checkpoint).exists())
    if key is None and not resumed:
        raise InputError("key: found None; pass jax.random.key(seed) or a seed, from which the first atoms are drawn, or start")
    random = None if key is None else generator(key)
    first = beginning(None, random)
    drawn = ConvDictionary.random(
        count,
        kernel,
        channels=max(1, channels),
        stride=stride,
        padding=padding,
        key=0 if random is None else random,  # only the shape counts of those that a resumed run has without a key
        dtype=np.float64,
    )
    return drawn, first


def _alternate(learner: _Learner, most: int, tolerance: float, seconds: float | None, checkpoint: Any, progress: Any) -> str:
    begun = saved = time.monotonic()
    stopped = "max_alternations"
    with Progress.of(progress, most, "dictionary") as bar:
        clock = LearningTime(bar, most - learner.state.alternations, seconds)
        try:
            while learner.state.alternations < most:
                history, waiting = learner.state.objective, learner.state.just_replaced > 0
                if len(history) > 1 and not waiting and history[-2] - history[-1] < tolerance * history[-2]:
                    stopped = "tolerance"
                    break
                if seconds is not None and time.monotonic() - begun >= seconds:
                    stopped = "max_seconds"
                    break
                learner.alternate(clock)
                bar.update(learner.state.alternations, 0)
                clock.end()
                if checkpoint is not None and time.monotonic() - saved >= _SAVE_SECONDS:
                    save_state(learner.state, checkpoint)
                    saved = time.monotonic()
        except KeyboardInterrupt:
            stopped = "interrupted"
    if checkpoint is not None:
        save_state(learner.state, checkpoint)
    return stopped


class _Learner:
    """The moves of one alternation, from state to state. An interruption inside leaves the state before it."""

    def __init__(
        self, problem: Problem, program: Program, state: LearningState, code_steps: int, atom_steps: int, replace_dead: bool
    ):
        self.problem, self.program, self.state = problem, program, state
        self.code_steps, self.atom_steps, self.replace_dead = code_steps, atom_steps, replace_dead

    def alternate(self, clock: LearningTime) -> None:
        """Codes, atoms, the sphere, dead atoms; each kept only where the objective does not rise."""
        state = self.state
        codes, values = self._codes(state.atoms, state.codes, clock)
        value = float(np.sum(values))
        if not value <= state.objective[-1]:  # the sum of smaller numbers, rounded
            codes, value = state.codes, float(state.objective[-1])
        atoms, codes, step, value = self._atoms(state.atoms, codes, state.step, value)
        replaced = 0
        if self.replace_dead:
            left = self.residual(atoms, codes)
            least = float(self.program.sparsity[0])
            atoms, replaced = with_dead_replaced(atoms, codes, left, self.problem.geometry, least)
        history = np.append(state.objective, value)
        begun = state.identity, state.beginning
        self.state = LearningState(atoms, codes, history, step, state.replaced + replaced, replaced, *begun)

    def _codes(self, atoms: np.ndarray, codes: np.ndarray, clock: LearningTime) -> tuple[np.ndarray, np.ndarray]:
        problem = self.problem._replace(atoms=atoms)
        before = measured(problem, self.program, codes).objective
        best = codes.copy()
        for method in (RESTARTED, "ista"):
            runner = Runner(problem, self.program, method, default_step(problem))
            watch = partial(clock.steps, runner.pace)
            found = np.asarray(runner.go(State.start(jnp.asarray(codes)), self.code_steps, watch).codes)
            after = measured(problem, self.program, found).objective
            better = after < before
            best[better], before = found[better], np.where(better, after, before)
            if better.all():
                break
            codes = best
        return best, before

    def _atoms(
        self, atoms: np.ndarray, codes: np.ndarray, step: float, value: float
    ) -> tuple[np.ndarray, np.ndarray, float, float]:
        for _ in range(self.atom_steps):
            gradient, curvature = self._model(atoms, codes)
            moved = into_ball(atoms - step * gradient)
            while curvature(moved - atoms) * step > np.sum((moved - atoms) ** 2) and step > _LEAST_STEP:
                step /= 2
                moved = into_ball(atoms - step * gradient)
            new, scaled = to_sphere(moved, atoms, codes)
            found = float(np.sum(measured(self.problem._replace(atoms=new), self.program, scaled).objective))
            if not found <= value:  # rounding, near a minimum
                break
            atoms, codes, value = new, scaled, found
            step = min(2 * step, 1 / _LEAST_STEP)
        return atoms, codes, step, value

    def _model(self, atoms: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, Any]:
        """The gradient of F in the atoms, and its curvature along a move."""
        z, size, geometry = jnp.asarray(codes), self.problem.size, self.problem.geometry
        gradient = atom_gradient(jnp.asarray(atoms), z, jnp.asarray(self.problem.images), geometry, on_processor())
        return np.array(gradient), lambda change: float(square(jnp.asarray(change), z, geometry, size, on_processor()))

    def residual(self, atoms: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """X − D Z."""
        numbers = (jnp.asarray(array) for array in (self.problem.images, atoms, codes))
        return np.asarray(residual(*numbers, self.problem.geometry, on_processor()))


def _result(
    state: LearningState, problem: Problem, dictionary: ConvDictionary, left: np.ndarray, stopped: str
) -> LearnedDictionary:
    total = float(np.linalg.norm(problem.images))
    return LearnedDictionary(
        dictionary,
        state.codes,
        state.objective,
        float(np.linalg.norm(left)) / total if total else 0.0,
        float(np.mean(state.codes != 0)),
        dead_atoms(state.codes),
        state.replaced,
        stopped,
        state,
    )
