"""Independent learning of all players at once: values on a fast timescale, policies on a slow one.

In state s all players play a_i ~ π_i(· | s); then the counts n(s) and ñ_i(s, a_i) grow by one, s' ~ P(· | s, a), and

    q_i(s, a_i) += α(ñ_i(s, a_i)) [u_i(s, a) + τH(π_i(s)) + δ⟨π_i(s'), q_i(s')⟩ − q_i(s, a_i)],
    π_i(s)      += β(n(s)) [deviation(q_i(s)) − π_i(s)],

with the old q and π on the right. The deviation is softmax(q_i(s)/τ), smoothed, or (1 − ε) · argmax + ε · uniform, greedy.

Source: Maheshwari, Wu, Pai, Sastry, *Independent and Decentralized Learning in Markov Potential Games* (arXiv 2205.14590).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.landscape.progress import Progress
from mcr2_landscape.markov import policies, records, scan
from mcr2_landscape.markov.congestion import CongestionGame
from mcr2_landscape.markov.game import Game
from mcr2_landscape.markov.histories import History
from mcr2_landscape.markov.step_sizes import PowerStep, StepSize, check_step, power_step, values_at
from mcr2_landscape.processes import Interruption
from mcr2_landscape.randomness import generator
from mcr2_landscape.validation import InputError, check_finite, positive_integer, positive_real, real

_DEVIATIONS = ("smoothed", "greedy")
_TEMPERATURE = 1e-6
_Q_STEP, _POLICY_STEP = power_step(0.5), power_step(1)
_MOST_TOGETHER = 512  # seeds in one group: their arrays stay in the processor's cache
_DRAWS, _ROW_BYTES = 1 << 21, 1 << 24  # numbers drawn between two looks at Ctrl-C, and what one call records
_LARGEST_HISTORY = 1 << 33


def learn(
    game: Game,
    *,
    key: Any = None,
    num_steps: int = 100_000,
    num_seeds: int | None = None,
    q_step: StepSize = _Q_STEP,
    policy_step: StepSize = _POLICY_STEP,
    deviation: str | None = None,
    temperature: float | None = None,
    exploration: float = 0.0,
    record_every: int = 1000,
    uniforms: Any = None,
    initial_policy: Any = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    checkpoint_seconds: float = 30.0,
    progress: bool | Callable[[int, int, int], None] | None = False,
) -> History:
    """Let all players learn, many seeds at once.

    **Arguments:**

    * `key`: a JAX key, an integer seed or a NumPy generator, for `num_seeds` independent runs (by default 1,024). The random
      numbers of a run depend on the key, the run's number and the step alone.
    * `uniforms`: instead of a key, recorded numbers in [0, 1): (L,) for one run or (num_seeds, L), with L at least
      1 + num_steps (N + 1): one for the first state, then for each step one for each player's action, in their order, and one
      for the next state. What is drawn is bisect_right(cumsum(p), u · total).
    * `q_step` α and `policy_step` β: functions of the visit count, 1, 2, …, given as float64 arrays: `power_step`, or any that
      JAX can trace, elementwise, with values in (0, 1]. A function is traced once: what it closes over is read then.
    * `deviation`: "smoothed", softmax(q/τ), or "greedy", (1 − ε) · argmax + ε · uniform, the first where several are largest.
      By default greedy where there is `exploration`, else smoothed.
    * `temperature` τ: of the softmax and of the entropy bonus, by default 1e-6; for the greedy deviation zero, no bonus.
    * `exploration` ε in [0, 1], of the greedy deviation.
    * `record_every`: of how many steps one is recorded; it divides `num_steps`.
    * `initial_policy`: a policy instead of the uniform one. q begins at zero.
    * `checkpoint`: a folder. Its file `learning.npz` is replaced every `checkpoint_seconds` and at the end. `resume`: go on
      from it if it is there, also to more steps than were asked for then; without it a folder that holds one is refused.
    * `progress`: a bar, or a function of (done, total, 0).

    **Returns:** `History`, float64. Ctrl-C ends it within about a second and returns what was recorded; a second one raises
    `KeyboardInterrupt`. On one machine's processor the same call gives the same bits, interrupted and resumed or not; with
    another number of seeds a run is the same up to rounding.

    **Raises:** `InputError` for both key and uniforms or neither, numbers out of range, step sizes outside of (0, 1], a
    deviation with settings that it does not use, too few uniforms or ones that are outside of [0, 1), a bad policy, a history
    of more than 8 GiB, or a checkpoint that is damaged or of another run.
    """
    num_steps, every = positive_integer("num_steps", num_steps), positive_integer("record_every", record_every)
    if num_steps >= 2**31:
        raise InputError(f"num_steps: found {num_steps}; pass at most 2³¹ − 1")
    if num_steps % every:
        raise InputError(f"record_every: found {every}, which does not divide num_steps = {num_steps}; pass a divisor of it")
    greedy, temperature, exploration = _deviation(deviation, temperature, exploration)
    check_step("q_step", q_step, num_steps)
    check_step("policy_step", policy_step, num_steps)
    first = game.uniform_policy() if initial_policy is None else initial_policy
    first = policies.checked("initial_policy", first, game.num_states, game.num_actions)
    checkpoint_seconds = positive_real("checkpoint_seconds", checkpoint_seconds)
    stream = _Stream.of(game, key, uniforms, num_seeds, num_steps)
    model, shared = model_of(game)
    N, S, A = game.num_players, game.num_states, max(game.num_actions)
    row_bytes = N * S * A * 20 + N * 4 + 4
    total_bytes = row_bytes * (num_steps // every + 1) * stream.num_seeds
    if total_bytes > _LARGEST_HISTORY:
        raise InputError(
            f"record_every: found {every}, with which the history takes {total_bytes / 2**30:.3g} GiB; record less often, or "
            "take fewer seeds"
        )
    together = stream.num_seeds if S <= scan.MOST_SELECTED else 1
    groups = -(-together // _MOST_TOGETHER) if together > 1 else stream.num_seeds
    size = -(-stream.num_seeds // groups)
    block = max(1, min(8192, _DRAWS // ((N + 1) * size * groups), every * max(1, _ROW_BYTES // (row_bytes * size))))
    form = scan.Form(game.num_actions, shared, temperature > 0, greedy, q_step, policy_step, block // every + 2)
    identity = {
        "game": _digest(*jax.tree.leaves(model), game.initial, np.array([*game.num_actions, game.num_states, shared])),
        "discount": repr(game.discount),
        "deviation": _DEVIATIONS[greedy],
        "temperature": repr(temperature),
        "exploration": repr(exploration),
        "q_step": _step_identity("q_step", q_step),
        "policy_step": _step_identity("policy_step", policy_step),
        "initial_policy": _digest(*first),
        "record_every": str(every),
        "num_seeds": str(stream.num_seeds),
        **stream.identity,
    }
    keeper = records.Keeper.of(checkpoint, resume, checkpoint_seconds, identity)
    title = f"learning, {stream.num_seeds} seeds"
    with Interruption() as interruption, jax.enable_x64(True), keeper, Progress.of(progress or False, num_steps, title) as bar:
        numbers = scan.Numbers(*(jnp.asarray(n, dtype=jnp.float64) for n in (game.discount, temperature, exploration)))
        run = _Run(jax.tree.map(jnp.asarray, model), numbers, form, stream, groups, size, block)
        run.begin(game, first, num_steps // every + 1, every)
        keeper.restore(run.kept, num_steps)
        done = run.drive(num_steps, every, keeper, bar, interruption)
    return History(
        game=game,
        num_steps=done,
        steps=np.arange(done // every + 1) * every,
        deviation=_DEVIATIONS[greedy],
        temperature=temperature,
        exploration=exploration,
        q_step=q_step,
        policy_step=policy_step,
        recorded=run.kept.recorded(),
        interrupted=done < num_steps,
    )


class _Run:
    """Calls the compiled program, a block of steps and a group of seeds at a time."""

    def __init__(
        self, model: scan.Model, numbers: scan.Numbers, form: scan.Form, stream: _Stream, groups: int, size: int, block: int
    ):
        self.model, self.numbers, self.form, self.stream = model, numbers, form, stream
        self.groups, self.size, self.block = groups, size, block

    def begin(self, game: Game, policy: policies.Policy, num_rows: int, every: int) -> None:
        """The first state, recorded."""
        padded, A = self.groups * self.size, max(game.num_actions)
        start = np.zeros((game.num_players, game.num_states, A, padded))
        for player, own in enumerate(policy):
            start[player, :, : own.shape[1]] = own[..., None]
        self.stream.pad(padded)
        cumulative = np.cumsum(game.initial)
        draw = self.stream.draws(slice(0, padded), 0, 1, 1)
        state = np.sum(cumulative[:-1, None] <= np.asarray(draw)[0] * cumulative[-1], axis=0).astype(np.int32)
        zeros = np.zeros(start.shape)
        actions = np.full((game.num_players, padded), -1, dtype=np.int32)
        present = records.Rows(start, zeros, zeros.astype(np.int32), state, actions)
        self.kept = records.Kept.begin(present, num_rows, self.stream.num_seeds, every)

    def drive(self, num_steps: int, every: int, keeper: records.Keeper, bar: Progress, interruption: Interruption) -> int:
        """Go on to `num_steps`, or until an interruption; how many steps were made in all."""
        kept, width = self.kept, self.stream.num_draws
        parts = [slice(g * self.size, (g + 1) * self.size) for g in range(self.groups)]
        present = kept.present()
        states = [scan.State(*(jnp.asarray(own[..., part]) for own in present)) for part in parts]
        due = jnp.int32(every)
        try:
            while kept.done < num_steps and not interruption.requested:
                first, end = kept.done, min(num_steps, (kept.done // self.block + 1) * self.block)
                rows = slice(first // every + 1, end // every + 1)
                for g, part in enumerate(parts):
                    draws = self.stream.draws(part, 1 + first * width, self.block, width)
                    span = jnp.int32(first), jnp.int32(end), due
                    states[g], found = jax.block_until_ready(
                        scan.advance(self.model, self.numbers, states[g], draws, *span, form=self.form)
                    )
                    kept.write(rows, part, found)
                kept.advance(end, states)
                keeper.write_if_due(kept)
                bar.update(end, 0)
        finally:  # what was reached is kept, whatever ends it
            keeper.write(kept)
        return kept.done


class _Stream:
    """Where random numbers come from: a key, or a recorded stream for each seed."""

    def __init__(self, num_draws: int, starts: np.ndarray | None, given: np.ndarray | None, num_seeds: int):
        self.num_draws, self.starts, self.given, self.num_seeds = num_draws, starts, given, num_seeds
        name = "key" if given is None else "uniforms"
        self.identity = {name: _digest(starts if given is None else given)}

    @staticmethod
    def of(game: Game, key: Any, uniforms: Any, num_seeds: Any, num_steps: int) -> _Stream:
        """**Raises:** `InputError` as `learn`."""
        if (key is None) == (uniforms is None):
            raise InputError(f"key: found {'neither' if key is None else 'both'} key and uniforms; pass one of the two")
        width = game.num_players + 1
        if uniforms is None:
            count = positive_integer("num_seeds", 1024 if num_seeds is None else num_seeds)
            return _Stream(width, generator(key).integers(2**64, size=count, dtype=np.uint64), None, count)
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
        return _Stream(width, None, given[:, :needed], given.shape[0])

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


def _deviation(deviation: Any, temperature: Any, exploration: Any) -> tuple[bool, float, float]:
    """Whether it is greedy, τ and ε."""
    epsilon = real("exploration", exploration)
    if not 0 <= epsilon <= 1:
        raise InputError(f"exploration: found {epsilon:g}; pass a number from zero to one")
    name = _DEVIATIONS[epsilon > 0] if deviation is None else deviation
    if name not in _DEVIATIONS:
        raise InputError(f"deviation: found {deviation!r}; pass one of " + ", ".join(map(repr, _DEVIATIONS)))
    if name == "smoothed":
        if epsilon > 0:
            raise InputError(f'exploration: found {epsilon:g}, but the smoothed deviation has none; pass deviation="greedy"')
        advice = 'for the deviation without smoothing pass deviation="greedy"'
        return False, positive_real("temperature", _TEMPERATURE if temperature is None else temperature, advice=advice), epsilon
    tau = real("temperature", 0.0 if temperature is None else temperature)
    if tau < 0:
        raise InputError(f"temperature: found {tau:g}; pass zero, for no entropy bonus, or a number above")
    return True, tau, epsilon


def _digest(*arrays: Any) -> str:
    found = hashlib.sha256()
    for array in arrays:
        own = np.ascontiguousarray(array)
        found.update(f"{own.dtype.str}{own.shape}".encode())
        found.update(own.tobytes())
    return found.hexdigest()


def _step_identity(name: str, step: StepSize) -> str:
    """A power law by itself, another function by its first values."""
    return repr(step) if isinstance(step, PowerStep) else _digest(values_at(name, step, np.arange(1, 4097)))
