"""Independent learning of all players at once: values on a fast timescale, policies on a slow one.

In state s all players play a_i ~ π_i(· | s); then the counts n(s) and ñ_i(s, a_i) grow by one, s' ~ P(· | s, a), and

    q_i(s, a_i) += α(ñ_i(s, a_i)) [u_i(s, a) + τH(π_i(s)) + δ⟨π_i(s'), q_i(s')⟩ − q_i(s, a_i)],
    π_i(s)      += β(n(s)) [deviation(q_i(s)) − π_i(s)],

with the old q and π on the right. The deviation is softmax(q_i(s)/τ), smoothed, or (1 − ε) · argmax + ε · uniform, greedy.

Source: Maheshwari, Wu, Pai, Sastry, *Independent and Decentralized Learning in Markov Potential Games* (arXiv 2205.14590).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.markov import policies, records, runs, scan
from mcr2_landscape.markov.game import Game, checked_game
from mcr2_landscape.markov.histories import History
from mcr2_landscape.markov.step_sizes import StepSize, check_step, power_step
from mcr2_landscape.validation import InputError, positive_real, real

_DEVIATIONS = ("smoothed", "greedy")
_TEMPERATURE = 1e-6
_Q_STEP, _POLICY_STEP = power_step(0.5), power_step(1)


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
    checked_game(game)
    num_steps, every = runs.check_lengths(num_steps, record_every)
    greedy, temperature, exploration = _deviation(deviation, temperature, exploration)
    check_step("q_step", q_step, num_steps)
    check_step("policy_step", policy_step, num_steps)
    first = game.uniform_policy() if initial_policy is None else initial_policy
    first = policies.checked("initial_policy", first, game.num_states, game.num_actions)
    checkpoint_seconds = positive_real("checkpoint_seconds", checkpoint_seconds)
    stream = runs.Stream.of(game, key, uniforms, num_seeds, num_steps)
    model, shared = runs.model_of(game)
    N, S, A = game.num_players, game.num_states, max(game.num_actions)
    row_bytes = N * S * A * 20 + N * 4 + 4
    runs.check_history(num_steps, every, stream.num_seeds, row_bytes)
    plan = runs.Plan.of(game, stream.num_seeds, every, row_bytes)
    form = scan.Form(game.num_actions, shared, temperature > 0, greedy, q_step, policy_step, plan.block // every + 2)
    identity = {
        **runs.game_identity(game, model, shared),
        "deviation": _DEVIATIONS[greedy],
        "temperature": repr(temperature),
        "exploration": repr(exploration),
        "q_step": runs.step_identity("q_step", q_step),
        "policy_step": runs.step_identity("policy_step", policy_step),
        "initial_policy": runs.digest(*first),
        "record_every": str(every),
        "num_seeds": str(stream.num_seeds),
        **stream.identity,
    }
    keeper = records.Keeper.of(checkpoint, resume, checkpoint_seconds, "learn", identity)
    with jax.enable_x64(True):
        arrays = jax.tree.map(jnp.asarray, model)
        numbers = scan.Numbers(*(jnp.asarray(n, dtype=jnp.float64) for n in (game.discount, temperature, exploration)))

        def advance(state: scan.State, *rest: jax.Array) -> tuple[scan.State, scan.State]:
            return scan.advance(arrays, numbers, state, *rest, form=form)

        present = _begin(game, first, runs.first_states(game, stream, plan))
        title = f"learning, {stream.num_seeds} seeds"
        kept = runs.follow(
            present,
            scan.State,
            advance,
            stream,
            plan,
            num_steps=num_steps,
            every=every,
            keeper=keeper,
            progress=progress,
            title=title,
        )
    done = kept.done
    return History(
        game=game,
        num_steps=done,
        steps=np.arange(done // every + 1) * every,
        deviation=_DEVIATIONS[greedy],
        temperature=temperature,
        exploration=exploration,
        q_step=q_step,
        policy_step=policy_step,
        recorded=kept.recorded(),
        interrupted=done < num_steps,
    )


def _begin(game: Game, policy: policies.Policy, state: np.ndarray) -> records.Rows:
    """All seeds, the last axis, before the first step."""
    padded = state.shape[0]
    start = np.zeros((game.num_players, game.num_states, max(game.num_actions), padded))
    for player, own in enumerate(policy):
        start[player, :, : own.shape[1]] = own[..., None]
    actions = np.full((game.num_players, padded), -1, dtype=np.int32)
    return records.Rows(start, np.zeros(start.shape), np.zeros(start.shape, dtype=np.int32), state, actions)


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
