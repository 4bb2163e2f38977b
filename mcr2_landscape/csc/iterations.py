"""Proximal gradient iterations: ISTA, FISTA, FISTA with restarts, and the variant of public layers.

With step s, prox(v) = S(v/(1 + μs)) at threshold λs/(1 + μs), and c_0 = a_0 (zero by default):

    ISTA           c_{k+1} = prox(c_k − s ∇f(c_k))
    FISTA          c_{k+1} = prox(a_k − s ∇f(a_k)),    a_{k+1} = c_{k+1} + ((t_k − 1)/t_{k+1})(c_{k+1} − c_k)
    public layer   c_{k+1} = prox(a_k − s ∇f(c_k)),    the same a_{k+1}

where f(c) = ½‖x − Dc‖², t_0 = 1 and t_{k+1} = (1 + √(1 + 4t_k²))/2. For s ≤ 1/‖D‖², P(c_k) − min P is at most ‖c_0 − c*‖²/(2sk)
for ISTA, which never raises P, and 2‖c_0 − c*‖²/(s(k + 1)²) for FISTA (Beck, Teboulle 2009). The public variant (the
convolutional sparse coding layer of the SDNet code) takes the gradient at c_k: the first momentum being zero, the three agree
for two steps, the usual number there; from the third on it is not FISTA, and the bound says nothing about it. Restarts are
those of O'Donoghue and Candès (2015) by the gradient, image by image: t = 1 again where ⟨a_k − c_{k+1}, c_{k+1} − c_k⟩ > 0.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from mcr2_landscape import memory
from mcr2_landscape.csc.dictionary import ConvDictionary
from mcr2_landscape.csc.geometry import Geometry
from mcr2_landscape.csc.patches import analysis, synthesis, workspace
from mcr2_landscape.csc.programs import Problem, Program, check_nonnegative, objectives, soft_threshold
from mcr2_landscape.csc.symbol import squared_norm_bound
from mcr2_landscape.landscape.progress import Progress
from mcr2_landscape.pace import Pace
from mcr2_landscape.precision import positive_leaf, traced_array
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, float64_matrix, positive_integer, positive_real, real

METHODS = ("ista", "fista", "public layer")
RESTARTED = "restarted fista"
COPIES = 10  # of the codes, while a chunk of iterations is at work: states, what is between them, and NumPy's


@dataclass(frozen=True)
class Iterations(Record):
    """What `steps` iterations came to.

    **Fields:** `codes`, (N, K, h, w) float64, after the last step; `objective`, (steps + 1, N) float64, from the start on;
    `method`; `step`, the step size.
    """

    codes: np.ndarray = field(repr=False, metadata={"json": False})
    objective: np.ndarray = field(repr=False)
    method: str
    step: float


class State(NamedTuple):
    """Codes c, the extrapolated point a, both (N, K, h, w), and t (N,)."""

    codes: jax.Array
    ahead: jax.Array
    momentum: jax.Array

    @staticmethod
    def start(codes: jax.Array) -> State:
        """At c_0."""
        return State(codes, codes, jnp.ones(codes.shape[0], dtype=codes.dtype))


class Setting(NamedTuple):
    """What is static in an iteration."""

    geometry: Geometry
    size: tuple[int, int]
    method: str
    nonnegative: bool
    patches: bool  # see `patches`


def advance(
    state: State, x: jax.Array, atoms: jax.Array, sparsity: jax.Array, ridge: jax.Array, step: jax.Array, setting: Setting
) -> State:
    """One iteration. `sparsity` is (N,), `ridge` and `step` are numbers."""
    c, a, t = state
    point = a if setting.method in ("fista", RESTARTED) else c
    r = x - synthesis(point, atoms, setting.geometry, setting.size, setting.patches)
    v = (c if setting.method == "ista" else a) + step * analysis(r, atoms, setting.geometry, setting.patches)
    damped = 1 + ridge * step
    threshold = jnp.broadcast_to((sparsity * (step / damped))[:, None, None, None], v.shape)
    new = soft_threshold(v / damped, threshold, setting.nonnegative)
    if setting.method == "ista":
        return State(new, new, t)
    moved = new - c
    if setting.method == RESTARTED:
        t = jnp.where(jnp.sum((a - new) * moved, axis=(1, 2, 3)) > 0, 1.0, t)
    following = (1 + jnp.sqrt(1 + 4 * t**2)) / 2
    weight = jnp.broadcast_to(((t - 1) / following)[:, None, None, None], v.shape)
    return State(new, new + weight * moved, following)


def unrolled(
    dictionary: ConvDictionary,
    images: Any,
    steps: int,
    *,
    sparsity: Any,
    ridge: Any = 0.0,
    nonnegative: bool = False,
    method: str = "fista",
    step: Any = None,
) -> jax.Array:
    """The code (N, K, h, w) after so many steps from zero, in the wider dtype of images and atoms: an encoder.

    Traced: differentiable in images, atoms, sparsity, ridge and step. How far it is from the solution of the program, at every
    depth, says `encoder_gap`.

    **Arguments:** `steps`: static. `sparsity`: λ > 0, one number, or one for each image. `step`: the step size, by
    default 1/`lipschitz_bound()`, for which atoms must be known.

    **Raises:** `InputError` for bad input, and for traced atoms without a step.
    """
    steps = positive_integer("steps", steps)
    check_method(method)
    x = traced_array("images", images)
    shape = jax.eval_shape(dictionary.analyze, x)
    atoms = jnp.asarray(dictionary.atoms).astype(shape.dtype)
    x = x.astype(shape.dtype)
    if step is None and isinstance(dictionary.atoms, Tracer):
        raise InputError("step: found None while the atoms are traced; pass 1 / dictionary.lipschitz_bound(), known outside")
    size = 1 / dictionary.lipschitz_bound() if step is None else positive_leaf("step", step)
    if not isinstance(ridge, Tracer) and real("ridge", ridge) < 0:
        raise InputError(f"ridge: found {ridge:g}; it must be zero or more")
    nonnegative = check_nonnegative(nonnegative)
    lam = _sparsities(sparsity, x)
    mu, s = (jnp.asarray(value, dtype=x.dtype) for value in (ridge, size))
    setting = Setting(dictionary.geometry, (x.shape[2], x.shape[3]), method, nonnegative, on_processor())
    state = State.start(jnp.zeros(shape.shape, dtype=shape.dtype))
    return jax.lax.scan(lambda at, _: (advance(at, x, atoms, lam, mu, s, setting), None), state, length=steps)[0].codes


def _sparsities(sparsity: Any, x: jax.Array) -> jax.Array:
    """One for each image, (N,), in their dtype; values are looked at where they are known."""
    traced = isinstance(sparsity, Tracer)
    found = sparsity if traced else float64_matrix("sparsity", sparsity, refuse_float32=False)
    if found.shape not in ((), (x.shape[0],)):
        raise InputError(f"sparsity: found shape {found.shape}; pass one number, or one for each of the {x.shape[0]} images")
    if not traced and found.min() <= 0:
        raise InputError(f"sparsity: found {found.min():g}; it must be greater than zero")
    return jnp.broadcast_to(jnp.asarray(found, dtype=x.dtype), (x.shape[0],))


def iterate(
    dictionary: ConvDictionary,
    images: Any,
    steps: int,
    *,
    sparsity: Any,
    ridge: float = 0.0,
    nonnegative: bool = False,
    method: str = "fista",
    step: float | None = None,
    start: Any = None,
    progress: Any = False,
) -> Iterations:
    """Make so many steps, and say the objective after each: a host function, in float64.

    **Arguments:** `images`: (N, C, H, W). `sparsity`, `ridge`, `nonnegative`: see `solve`. `method`: "ista", "fista" or "public
    layer". `step`: the step size, by default 1/`lipschitz_bound()`. `start`: codes (N, K, h, w), by default zero. `progress`:
    True for a bar, or a function of (done, total, 0).

    **Raises:** `InputError` for bad input, see `solve`.
    """
    steps = positive_integer("steps", steps)
    check_method(method)
    problem = Problem.of(dictionary, images)
    program = problem.program(sparsity, ridge, nonnegative)
    size = default_step(problem) if step is None else positive_real("step", step)
    numbers = COPIES * np.prod(problem.code_shape, dtype=float) + steps * len(problem.images)
    require_memory(problem, numbers, "pass fewer images at once or smaller ones, or make fewer steps")
    begin = np.zeros(problem.code_shape) if start is None else problem.codes("start", start)
    with jax.enable_x64(True), Progress.of(progress, steps, method) as bar:
        runner, state = Runner(problem, program, method, size), State.start(jnp.asarray(begin))
        values = np.empty((steps + 1, len(problem.images)))
        done = 0
        for later, found, count in runner.chunks(state, steps, record=True):
            state = later
            values[done : done + count] = found
            done += count
            bar.update(done, 0)
        values[-1] = np.asarray(runner.objective(state.codes))
        return Iterations(np.array(state.codes), values, method, size)


class Runner:
    """Compiled iterations for images, in chunks of about a second. In 64 bits, which the caller turns on."""

    def __init__(self, problem: Problem, program: Program, method: str, step: float):
        self.setting = Setting(problem.geometry, problem.size, method, program.nonnegative, on_processor())
        numbers = (problem.images, problem.atoms, program.sparsity, program.ridge, step)
        self.arguments = tuple(jnp.asarray(value, dtype=jnp.float64) for value in numbers)
        self.pace = Pace()

    def chunks(self, state: State, steps: int, *, record: bool = False) -> Any:
        """Go so many steps; yield the state, the objectives (count, N) before each step if recorded, and their count."""
        left = steps
        while left:
            count, begun = min(left, _ROWS, self.pace.chunk(None)), time.monotonic()
            state, found = _chunk(state, *self.arguments, jnp.int32(count), self.setting, record)
            state = jax.block_until_ready(state)
            self.pace.done(count, time.monotonic() - begun)
            left -= count
            yield state, np.asarray(found)[:count], count

    def go(self, state: State, steps: int, watch: Callable[[int], None] | None = None) -> State:
        """The state so many steps later. `watch` is called after each chunk, with the steps that are left."""
        for later, _, count in self.chunks(state, steps):
            state, steps = later, steps - count
            if watch is not None:
                watch(steps)
        return state

    def objective(self, codes: jax.Array) -> jax.Array:
        """P of codes that satisfy the constraint, (N,)."""
        return _objective(codes, *self.arguments[:4], self.setting)


_ROWS = 256


@partial(jax.jit, static_argnums=(7, 8))
def _chunk(state: State, x: Any, atoms: Any, sparsity: Any, ridge: Any, step: Any, count: Any, setting: Setting, record: bool):
    rows = jnp.zeros((_ROWS if record else 0, x.shape[0]), dtype=x.dtype)

    def one(number: jax.Array, carried: tuple[State, jax.Array]) -> tuple[State, jax.Array]:
        at, kept = carried
        if record:
            kept = kept.at[number].set(_objective(at.codes, x, atoms, sparsity, ridge, setting))
        return advance(at, x, atoms, sparsity, ridge, step, setting), kept

    return jax.lax.fori_loop(jnp.int32(0), count, one, (state, rows))


@partial(jax.jit, static_argnums=(5,))
def _objective(codes: Any, x: Any, atoms: Any, sparsity: Any, ridge: Any, setting: Setting) -> jax.Array:
    r = x - synthesis(codes, atoms, setting.geometry, setting.size, setting.patches)
    return objectives(r, codes, Program(sparsity, ridge, setting.nonnegative, False))


def default_step(problem: Problem) -> float:
    """1/L with the certified bound L of ‖D‖²."""
    return 1 / squared_norm_bound(problem.atoms, problem.geometry.stride)[1]


def check_method(method: Any) -> None:
    """**Raises:** `InputError` for another name than those of `METHODS`."""
    if method not in METHODS:
        raise InputError(f"method: found {method!r}; pass one of {', '.join(map(repr, METHODS))}")


def require_memory(problem: Problem, numbers: float, alternatives: str) -> None:
    """Refuse what does not fit into memory: so many numbers, and what products with the dictionary take beside them.

    **Raises:** `InputError` (see `memory.require`).
    """
    beside = workspace(problem.images.shape, problem.atoms.shape, problem.geometry) if on_processor() else 0.0
    memory.require("images", 8.0 * numbers + beside, alternatives)


def on_processor() -> bool:
    """Whether JAX computes on a CPU by default."""
    return jax.default_backend() == "cpu"
