"""How far each stage of an encoder is from the solution of its own program, as a function of its depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.csc.depth import DEPTHS, check_depths
from mcr2_landscape.csc.dictionary import ConvDictionary
from mcr2_landscape.csc.iterations import COPIES, Runner, State, require_memory
from mcr2_landscape.csc.programs import Problem, measured
from mcr2_landscape.csc.transcriber import ConvTranscriber, Stage
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, float64_matrix


@dataclass(frozen=True)
class StageGaps(Record):
    """The duality gap of each stage's code as an answer to the program of that stage, given what the stage before it makes
    (at root mean square one): arrays over the S stages.

    **Fields:** `depths`; `steps`: those that the network makes. `gap`, (S, depths, N): by how much the code after n steps
    misses the optimum at most; `objective`, alike. `scale`, (S, N): ½‖x‖² of what the stage is given, the objective of the zero
    code. `silent`, (S,): for how many of the N images the network's own code of that stage is zero: there λ is at least λ_max,
    zero is the solution, and the gap nothing but its rounding. `dead`: the stages, from 0 on, whose code is zero for every
    image: nothing comes through them, and a small gap means nothing. `advice`: the same in words, empty where all is well.
    """

    depths: tuple[int, ...]
    steps: int
    gap: np.ndarray
    objective: np.ndarray = field(repr=False)
    scale: np.ndarray = field(repr=False)
    silent: np.ndarray
    dead: tuple[int, ...]
    advice: str

    _derived = ("relative",)

    @property
    def relative(self) -> np.ndarray:
        """`gap` in units of ½‖x‖², (S, depths, N); zero where a stage is given zeros."""
        scale = self.scale[:, None, :]
        return np.divide(self.gap, scale, out=np.zeros_like(self.gap), where=scale > 0)


def stage_gaps(model: ConvTranscriber, images: Any, depths: Sequence[int] = DEPTHS) -> StageGaps:
    """Measure every stage of an encoder against its own program, by the method and the step size of the network.

    **Arguments:** `images`: (N, C, H, W) of the network's shape, at the scale of those that it is trained on or any other.
    `depths`: numbers of steps, increasing. Stage l is given what stage l − 1 makes with the network's own number of steps; the
    network computes that in its dtype, the gaps are in float64. A host function.

    **Raises:** `InputError` for what is no `ConvTranscriber`, and bad input.
    """
    if not isinstance(model, ConvTranscriber):
        raise InputError(f"model: found {type(model).__name__}; pass a ConvTranscriber")
    wanted = check_depths(depths)
    wide = model.encoder[0].dtype == np.float64
    pixels = float64_matrix("images", images, refuse_float32=False).astype(model.encoder[0].dtype)
    with jax.enable_x64(wide):
        found = _stages(model, jnp.asarray(pixels))
    count = len(found[0].given)
    gap, objective = np.empty((2, len(found), len(wanted), count))
    scale, silent = np.empty((len(found), count)), np.empty(len(found), dtype=np.int64)
    for place, stage in enumerate(found):
        gap[place], objective[place], scale[place] = _measured(model, stage, wanted)
        silent[place] = int((~np.asarray(stage.code).any(axis=(1, 2, 3))).sum())
    dead = tuple(int(place) for place in np.flatnonzero(silent == count))
    return StageGaps(wanted, model.steps, gap, objective, scale, silent, dead, _advice(model, dead))


def _measured(model: ConvTranscriber, stage: Stage, depths: tuple[int, ...]) -> tuple[list[Any], list[Any], np.ndarray]:
    with jax.enable_x64(True):
        own = stage.dictionary
        atoms = ConvDictionary.normalized(np.asarray(own.atoms, dtype=np.float64), own.stride, own.padding)
        problem = Problem.of(atoms, np.asarray(stage.given, dtype=np.float64))
        require_memory(problem, COPIES * np.prod(problem.code_shape, dtype=float), "pass fewer images at once")
        program = problem.program(model.sparsity, 0.0, stage.nonnegative)
        runner, state = Runner(problem, program, model.method, float(stage.step)), State.start(jnp.zeros(problem.code_shape))
        gaps, made = [], 0
        for depth in depths:
            state, made = runner.go(state, depth - made), depth
            gaps.append(measured(problem, program, state.codes))
        return [found.duality_gap for found in gaps], [found.objective for found in gaps], problem.scale


def _advice(model: ConvTranscriber, dead: tuple[int, ...]) -> str:
    if not dead:
        return ""
    last = len(model.encoder) - 1
    return (
        f"stage {dead[0]} (of 0 to {last}) has the code zero for every image, so that no feature says anything of it: sparsity "
        f"{model.sparsity:g} is at least lambda_max there; lower it, or start with other atoms"
    )


@eqx.filter_jit
def _stages(model: ConvTranscriber, images: jax.Array) -> list[Stage]:
    with jax.default_matmul_precision("highest"):
        return model.stages(images)
