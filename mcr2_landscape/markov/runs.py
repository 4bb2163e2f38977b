"""What learning of many seeds has in common, whatever is learned: groups of seeds, blocks of steps, random numbers, and how a
run is recorded, stopped and gone on with."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.landscape.progress import Progress
from mcr2_landscape.markov import scan
from mcr2_landscape.markov.congestion import CongestionGame
from mcr2_landscape.markov.game import Game
from mcr2_landscape.markov.records import AnyRows, Keeper, Kept
from mcr2_landscape.markov.step_sizes import PowerStep, StepSize, values_at
from mcr2_landscape.processes import Interruption
from mcr2_landscape.randomness import generator
from mcr2_landscape.validation import InputError, check_finite, positive_integer

_ROW_BYTES = 1 << 24  # of what one call records
_LARGEST_HISTORY = 1 << 33
_State = TypeVar("_State", bound=tuple)

# (state, draws, first, end, every) to the state at `end`, and what it was at each multiple of `every` on the way
Advance = Callable[[Any, jax.Array, jax.Array, jax.Array, jax.Array], tuple[Any, Any]]


class Room(NamedTuple):
    """How many `seeds` go together in one group, how many numbers are drawn for a group at once, and how many for all groups
    between two looks at Ctrl-C."""

    seeds: int
    draws: int
    all_draws: int


# The arrays of a group stay in the processor's cache. An accelerator's time for a step hardly depends on the seeds until they
# fill it, so that it takes them all; its figures are chosen by memory alone (a quarter of a gigabyte of numbers), not measured.
_PROCESSOR, _ACCELERATOR = Room(512, 1 << 21, 1 << 23), Room(1 << 17, 1 << 25, 1 << 25)


class Plan(NamedTuple):
    """Seeds in `groups` of `size` each, the last one filled up so that one program serves all, and steps in blocks, at whose
    ends a run can stop."""

    groups: int
    size: int
    block: int

    @staticmethod
    def of(game: Game, num_seeds: int, every: int, row_bytes: int) -> Plan:
        """For the device that JAX computes on now; `row_bytes` of one record and seed."""
        room = _PROCESSOR if _platform() == "cpu" else _ACCELERATOR
        # With many states a selection by comparison costs more than going from seed to seed.
        groups = -(-num_seeds // room.seeds) if game.num_states <= scan.MOST_SELECTED else num_seeds
        size = -(-num_seeds // groups)
        width = (game.num_players + 1) * size
        block = min(8192, room.draws // width, room.all_draws // (width * groups))
        return Plan(groups, size, max(1, min(block, every * max(1, _ROW_BYTES // (row_bytes * size)))))

    @property
    def padded(self) -> int:
        """The seeds, those included that fill up the last group."""
        return self.groups * self.size


def check_lengths(num_steps: Any, record_every: Any) -> tuple[int, int]:
    """Both as integers, where the steps can be counted in 32 bits and the second divides them.

    **Raises:** `InputError` otherwise.
    """
    steps, every = positive_integer("num_steps", num_steps), positive_integer("record_every", record_every)
    if steps >= 2**31:
        raise InputError(f"num_steps: found {steps}; pass at most 2³¹ − 1")
    if steps % every:
        raise InputError(f"record_every: found {every}, which does not divide num_steps = {steps}; pass a divisor of it")
    return steps, every


def check_history(num_steps: int, every: int, num_seeds: int, row_bytes: int) -> None:
    """**Raises:** `InputError` for a history of more than 8 GiB."""
    total = row_bytes * (num_steps // every + 1) * num_seeds
    if total > _LARGEST_HISTORY:
        raise InputError(
            f"record_every: found {every}, with which the history takes {total / 2**30:.3g} GiB; record less often, or take "
            "fewer seeds"
        )


def first_states(game: Game, stream: Stream, plan: Plan) -> np.ndarray:
    """The states in which the seeds begin, (padded,) int32; `stream` is padded by it."""
    stream.pad(plan.padded)
    cumulative = np.cumsum(game.initial)
    draw = np.asarray(stream.draws(slice(0, plan.padded), 0, 1, 1))[0]
    return np.sum(cumulative[:-1, None] <= draw * cumulative[-1], axis=0).astype(np.int32)


def follow(
    present: AnyRows,
    state_type: type[_State],
    advance: Advance,
    stream: Stream,
    plan: Plan,
    *,
    num_steps: int,
    every: int,
    keeper: Keeper,
    progress: Any,
    title: str,
) -> Kept[AnyRows]:
    """Go from `present`, which a checkpoint may replace, to `num_steps`, or until an interruption. In 64 bits, which the caller
    turns on.

    **Arguments:** `present`: arrays with the padded seeds last; `state_type`: what `advance` takes, of the same fields.

    **Raises:** `InputError` for a checkpoint that cannot be written, is damaged or is of another run.
    """
    with Interruption() as interruption, keeper, Progress.of(progress or False, num_steps, title) as bar:
        kept = Kept.begin(present, num_steps // every + 1, stream.num_seeds, every)
        keeper.restore(kept, num_steps)
        parts = [slice(g * plan.size, (g + 1) * plan.size) for g in range(plan.groups)]
        begin, width, due = kept.present(), stream.num_draws, jnp.int32(every)
        states = [state_type(*(jnp.asarray(own[..., part]) for own in begin)) for part in parts]
        try:
            while kept.done < num_steps and not interruption.requested:
                first, end = kept.done, min(num_steps, (kept.done // plan.block + 1) * plan.block)
                rows = slice(first // every + 1, end // every + 1)
                for g, part in enumerate(parts):
                    draws = stream.draws(part, 1 + first * width, plan.block, width)
                    found = advance(states[g], draws, jnp.int32(first), jnp.int32(end), due)
                    states[g], records = jax.block_until_ready(found)
                    kept.write(rows, part, records)
                kept.advance(end, states)
                keeper.write_if_due(kept)
                bar.update(end, 0)
        finally:  # what was reached is kept, whatever ends it
            keeper.write(kept)
    return kept


class Stream:
    """Where random numbers come from: a key, or a recorded stream for each seed."""

    def __init__(self, num_draws: int, starts: np.ndarray | None, given: np.ndarray | None, num_seeds: int):
        self.num_draws, self.starts, self.given, self.num_seeds = num_draws, starts, given, num_seeds
        name = "key" if given is None else "uniforms"
        self.identity = {name: digest(starts if given is None else given)}

    @staticmethod
    def of_key(game: Game, key: Any, num_seeds: Any) -> Stream:
        """**Raises:** `InputError` for a bad key, or no positive number of seeds."""
        count = positive_integer("num_seeds", num_seeds)
        return Stream(game.num_players + 1, generator(key).integers(2**64, size=count, dtype=np.uint64), None, count)

    @staticmethod
    def of(game: Game, key: Any, uniforms: Any, num_seeds: Any, num_steps: int) -> Stream:
        """**Raises:** `InputError` as `learn`."""
        if (key is None) == (uniforms is None):
            raise InputError(f"key: found {'neither' if key is None else 'both'} key and uniforms; pass one of the two")
        if uniforms is None:
            return Stream.of_key(game, key, 1024 if num_seeds is None else num_seeds)
        width = game.num_players + 1
        try:
            given = np.atleast_2d(np.asarray(uniforms, dtype=np.float64))
        except (TypeError, ValueError) as error:
            raise InputError(f"uniforms: cannot be read as an array ({error}); pass numbers in [0, 1)") from None
        needed = 1 + num_steps * width
        if given.ndim != 2 or given.shape[1] < needed:
            raise InputError(
                f"uniforms: found shape {np.shape(uniforms)}; pass at least {needed} numbers a seed: one, and {width} a step, "
                f"for {num_steps} steps"
            )
        check_finite("uniforms", given)
        if given.min() < 0 or given.max() >= 1:
            raise InputError(f"uniforms: found {given.min():g} to {given.max():g}; pass numbers in [0, 1)")
        if num_seeds is not None and positive_integer("num_seeds", num_seeds) != given.shape[0]:
            raise InputError(f"num_seeds: found {num_seeds} beside uniforms for {given.shape[0]}; leave it out")
        return Stream(width, None, given[:, :needed], given.shape[0])

    def pad(self, count: int) -> None:
        """Numbers for seeds that only fill up the last group."""
        more = count - self.num_seeds
        if self.given is None:
            self.starts = np.pad(np.asarray(self.starts), (0, more))
        else:
            self.given = np.pad(self.given, ((0, more), (0, 0)))

    def draws(self, part: slice, first: int, count: int, width: int) -> jax.Array:
        """The numbers from `first` on of some seeds, (count, width, seeds); zeros beyond the end of a recorded stream."""
        if self.given is None:
            starts = jnp.asarray(np.asarray(self.starts)[part])
            return scan.uniforms(starts, jnp.asarray(first, dtype=jnp.uint64), count=count, width=width)
        found = self.given[part, first : first + count * width]
        found = np.pad(found, ((0, 0), (0, count * width - found.shape[1])))
        return jnp.asarray(np.moveaxis(found.reshape(-1, count, width), 0, -1))


def model_of(game: Game) -> tuple[scan.Model, bool]:
    """The game's arrays for the compiled steps, and whether all players of a congestion game receive the sum.

    **Raises:** `InputError` where a game that is given by neither tables nor loads is too large for tables.
    """
    if isinstance(game, CongestionGame):
        payoff = game.payoff.astype(np.float64)
        if game.common_interest:
            payoff = payoff * np.arange(game.num_players + 1)
        averaged = np.cumsum(game._averaged) if game.action_independent else None
        return scan.Loads(payoff, game.stays.astype(np.float64), averaged), game.common_interest  # type: ignore[arg-type]
    tables = game.to_tables()
    S, N = tables.num_states, tables.num_players
    cumulative = np.cumsum(tables.transition, axis=-1).reshape(-1, S)
    return scan.Tables(cumulative, tables.reward.reshape(N, -1)), False  # type: ignore[arg-type]


def game_identity(game: Game, model: scan.Model, shared: bool) -> dict[str, str]:
    """What tells a game from others, in a checkpoint."""
    shape = np.array([*game.num_actions, game.num_states, shared])
    return {"game": digest(*jax.tree.leaves(model), game.initial, shape), "discount": repr(game.discount)}


def step_identity(name: str, step: StepSize) -> str:
    """A power law by itself, another function by its first values, and those at later counts that grow by a thousandth."""
    if isinstance(step, PowerStep):
        return repr(step)
    later = np.unique(np.geomspace(4096, 2**31 - 1, 13_200).astype(np.int64))
    return digest(values_at(name, step, np.concatenate([np.arange(1, 4096), later])))


def digest(*arrays: Any) -> str:
    """SHA-256 of arrays, their types and shapes, in hexadecimal."""
    found = hashlib.sha256()
    for array in arrays:
        own = np.ascontiguousarray(array)
        found.update(f"{own.dtype.str}{own.shape}".encode())
        found.update(own.tobytes())
    return found.hexdigest()


def _platform() -> str:
    """Of the device on which arrays are made now."""
    return next(iter(jnp.zeros(()).devices())).platform
