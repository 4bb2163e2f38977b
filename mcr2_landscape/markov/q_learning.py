"""Single-agent Q-learning by every player at once, each as if the others were part of the environment.

In state s all players play ε-greedily, a_i ~ (1 − ε) · argmax q_i(s, ·) + ε · uniform, the first action where several are
largest; then the counts ñ_i(s, a_i) grow by one, s' ~ P(· | s, a), and

    q_i(s, a_i) += α(ñ_i(s, a_i)) [u_i(s, a) + δ max_b q_i(s', b) − q_i(s, a_i)],

with the old q on the right. In contrast to the dynamics of `learning` there is no policy on a slower timescale: the others
change as fast as they learn, and nothing is proved where there is more than one player.

Source: Watkins, Dayan, *Q-learning* (1992); with several players, Tan, *Multi-agent reinforcement learning: independent versus
cooperative agents* (1993).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.markov import batched, records, runs, scan
from mcr2_landscape.markov.baselines import has_converged
from mcr2_landscape.markov.game import Game
from mcr2_landscape.markov.histories import has_common_interest
from mcr2_landscape.markov.policies import Policy
from mcr2_landscape.markov.step_sizes import StepSize, check_step, power_step
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, positive_real, real

_Q_STEP = power_step("0.6")


@dataclass(frozen=True)
class QLearning(Record):
    """What independent Q-learning did with each of n seeds, recorded T times.

    **Fields:** `num_steps` made; `steps` (T,) after which was recorded, from 0; `exploration` ε; `q_step`; `q`: the learned
    values, for each player (n, T, S, A_i); `visits` of pairs of a state and an own action, likewise, int32; `tolerance`: the
    Nash gap that counts as none; `interrupted`: by Ctrl-C, before all steps were made.

    Everything else is derived, at the time when it is asked for.
    """

    game: Game = field(repr=False, metadata={"json": False})
    num_steps: int
    steps: np.ndarray = field(repr=False)
    exploration: float
    q_step: StepSize = field(metadata={"json": False})
    q: Policy = field(repr=False, metadata={"json": False})
    visits: Policy = field(repr=False, metadata={"json": False})
    tolerance: float
    interrupted: bool = False

    _derived = ("num_seeds", "nash_gap", "potential", "converged", "reason")

    @property
    def num_seeds(self) -> int:
        """n."""
        return self.q[0].shape[0]

    @cached_property
    def policies(self) -> Policy:
        """What is greedy for the learned values, without exploration, the first action where several are best: for each player
        (n, T, S, A_i)."""
        return tuple(np.eye(own.shape[-1])[own.argmax(axis=-1)] for own in self.q)

    @cached_property
    def nash_gap(self) -> np.ndarray:
        """The largest gain of a best response to the greedy policies, over players and initial states, exact: (n, T)."""
        return batched.nash_gaps(self.game, self._flat()).reshape(self.num_seeds, -1)

    @cached_property
    def potential(self) -> np.ndarray | None:
        """The common value of the greedy policies, averaged over the first state, (n, T); `None` without common interest."""
        if not has_common_interest(self.game):
            return None
        return (batched.first_values(self.game, self._flat()) @ self.game.initial).reshape(self.num_seeds, -1)

    @cached_property
    def least_visited(self) -> np.ndarray:
        """Visits of the least visited pair, over players, (n, T), int32."""
        return np.min([own.min(axis=(2, 3)) for own in self.visits], axis=0)

    @property
    def converged(self) -> np.ndarray:
        """Whether the last greedy policies are an equilibrium, within the tolerance: (n,)."""
        return self.nash_gap[:, -1] <= self.tolerance

    @property
    def reason(self) -> str:
        """How many seeds had converged at the last record, and the worst gap."""
        worst = has_converged(float(self.nash_gap[:, -1].max()), self.tolerance, int(self.steps[-1]))[1]
        ended = f"interrupted after {self.num_steps} steps; " if self.interrupted else ""
        return f"{ended}{int(self.converged.sum())} of {self.num_seeds} seeds converged; of the worst, {worst}"

    def _flat(self) -> Policy:
        return tuple(own.reshape(-1, *own.shape[2:]) for own in self.policies)


def independent_q_learning(
    game: Game,
    key: Any,
    num_steps: int,
    num_seeds: int = 1,
    *,
    q_step: StepSize = _Q_STEP,
    exploration: float = 0.1,
    record_every: int | None = None,
    tolerance: float = 1e-6,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    checkpoint_seconds: float = 30.0,
    progress: bool | Callable[[int, int, int], None] | None = False,
) -> QLearning:
    """Let all players learn by Q-learning, many seeds at once. q begins at zero, the state at the game's `initial`.

    With one player, every pair visited for ever (ε > 0 and states that reach each other) and Σα = ∞, Σα² < ∞, q converges to
    the optimal Q-function with probability 1.

    **Arguments:** `key`: a JAX key, an integer seed or a NumPy generator; `q_step` α: a function of the visit count 1, 2, …
    with values in (0, 1], as `learn` takes; `exploration` ε in [0, 1]; `record_every`: of how many steps one is recorded, a
    divisor of `num_steps`, by default the first and the last alone; `tolerance`: the Nash gap that counts as none;
    `checkpoint`, `resume`, `checkpoint_seconds` and `progress` as `learn` takes them: a folder whose file `learning.npz` is
    replaced now and then and at the end, going on from it, and a bar or a function of (done, total, 0).

    **Returns:** `QLearning`, float64. Ctrl-C ends it within about a second and returns what was recorded; a second one raises
    `KeyboardInterrupt`. The random numbers of a run depend on the key, its number and the step alone. On one machine's
    processor the same call gives the same bits, interrupted and resumed or not.

    **Raises:** `InputError` for numbers out of range, a bad key, step sizes outside of (0, 1], a game too large for tables, a
    history of more than 8 GiB, or a checkpoint that is damaged or of another run.
    """
    num_steps, every = runs.check_lengths(num_steps, num_steps if record_every is None else record_every)
    epsilon, tolerance = real("exploration", exploration), positive_real("tolerance", tolerance)
    if not 0 <= epsilon <= 1:
        raise InputError(f"exploration: found {epsilon:g}; pass a number from zero to one")
    check_step("q_step", q_step, num_steps)
    checkpoint_seconds = positive_real("checkpoint_seconds", checkpoint_seconds)
    stream = runs.Stream.of_key(game, key, num_seeds)
    N, S, A = game.num_players, game.num_states, max(game.num_actions)
    row_bytes = N * S * A * 12 + 4
    runs.check_history(num_steps, every, stream.num_seeds, row_bytes)
    model, shared = runs.model_of(game)
    plan = runs.Plan.of(game, stream.num_seeds, every, row_bytes)
    form = scan.Form(game.num_actions, shared, False, True, q_step, q_step, plan.block // every + 2)
    identity = {
        **runs.game_identity(game, model, shared),
        "exploration": repr(epsilon),
        "q_step": runs.step_identity("q_step", q_step),
        "record_every": str(every),
        "num_seeds": str(stream.num_seeds),
        **stream.identity,
    }
    keeper = records.Keeper.of(checkpoint, resume, checkpoint_seconds, "independent_q_learning", identity)
    with jax.enable_x64(True):
        arrays = jax.tree.map(jnp.asarray, model)
        numbers = scan.Numbers(*(jnp.asarray(n, dtype=jnp.float64) for n in (game.discount, 0.0, epsilon)))

        def advance(learned: _Learned, *rest: jax.Array) -> tuple[_Learned, _Learned]:
            return _advance(arrays, numbers, learned, *rest, form=form)

        state = runs.first_states(game, stream, plan)
        zeros = np.zeros((N, S, A, plan.padded))
        kept = runs.follow(
            _Learned(zeros, zeros.astype(np.int32), state),
            _Learned,
            advance,
            stream,
            plan,
            num_steps=num_steps,
            every=every,
            keeper=keeper,
            progress=progress,
            title=f"Q-learning, {stream.num_seeds} seeds",
        )

    def by_player(found: Any) -> Policy:
        return tuple(np.moveaxis(found[:, i, :, :own], -1, 0) for i, own in enumerate(game.num_actions))

    recorded, steps, interrupted = kept.recorded(), np.arange(kept.count) * every, kept.done < num_steps
    q, visits = by_player(recorded.q), by_player(recorded.visits)
    return QLearning(game, kept.done, steps, epsilon, q_step, q, visits, tolerance, interrupted)


class _Learned(NamedTuple):
    """`q` (N, S, A, g), `visits` of pairs (N, S, A, g) int32, the present `state` (g,) int32; of records with their number in
    front."""

    q: Any
    visits: Any
    state: Any


@partial(jax.jit, static_argnames="form")
def _advance(
    model: scan.Model,
    numbers: scan.Numbers,
    learned: _Learned,
    draws: jax.Array,
    first: jax.Array,
    end: jax.Array,
    every: jax.Array,
    *,
    form: scan.Form,
) -> tuple[_Learned, _Learned]:
    """From step `first` to step `end`, with `draws` (steps, N + 1, g) from `first` on: one for each player's action, then one
    for the next state. Returns as `scan.advance`."""

    def one(k: jax.Array, own: _Learned) -> _Learned:
        draw = jax.lax.dynamic_index_in_dim(draws, k - first, 0, keepdims=False)
        s, A = own.state, own.q.shape[2]
        q, visits = scan._row(own.q, s), scan._row(own.visits, s)
        actions = scan._choose(form, scan._deviation(numbers, form, q), draw)
        reward, following = model.play(s, actions, draw[-1], form)
        chosen = actions[:, None, :] == jnp.arange(A, dtype=jnp.int32)[None, :, None]
        visits = visits + chosen.astype(jnp.int32)
        ahead, real = scan._row(own.q, following), scan._real(form)
        best = jnp.max(ahead if real is None else jnp.where(real, ahead, -jnp.inf), axis=1)
        goal = reward + numbers.discount * best
        alpha = form.q_step(scan._of(visits, actions).astype(jnp.float64))
        q = jnp.where(chosen, q + (alpha * (goal - scan._of(q, actions)))[:, None], q)
        return _Learned(scan._with_row(own.q, s, q), scan._with_row(own.visits, s, visits), following)

    return scan.recorded(one, lambda own: own, learned, first, end, every, form.rows)
