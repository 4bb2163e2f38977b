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

from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.markov import batched, scan
from mcr2_landscape.markov.baselines import check_every, has_converged
from mcr2_landscape.markov.game import Game
from mcr2_landscape.markov.histories import has_common_interest
from mcr2_landscape.markov.learning import model_of
from mcr2_landscape.markov.policies import Policy
from mcr2_landscape.markov.step_sizes import StepSize, check_step, power_step
from mcr2_landscape.randomness import generator
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, positive_integer, positive_real, real

_Q_STEP = power_step("0.6")
_MOST_TOGETHER, _DRAWS = 512, 1 << 20
_LARGEST_HISTORY = 1 << 33


@dataclass(frozen=True)
class QLearning(Record):
    """What independent Q-learning did with each of n seeds, recorded T times.

    **Fields:** `num_steps`; `steps` (T,) after which was recorded, from 0; `exploration` ε; `q_step`; `q`: the learned values,
    for each player (n, T, S, A_i); `visits` of pairs of a state and an own action, likewise, int32; `tolerance`: the Nash gap
    that counts as none.

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
        """How many seeds converged, and the worst gap."""
        worst = has_converged(float(self.nash_gap[:, -1].max()), self.tolerance, self.num_steps)[1]
        return f"{int(self.converged.sum())} of {self.num_seeds} seeds converged; of the worst, {worst}"

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
) -> QLearning:
    """Let all players learn by Q-learning, many seeds at once. q begins at zero, the state at the game's `initial`.

    With one player, every pair visited for ever (ε > 0 and states that reach each other) and Σα = ∞, Σα² < ∞, q converges to
    the optimal Q-function with probability 1.

    **Arguments:** `key`: a JAX key, an integer seed or a NumPy generator; `q_step` α: a function of the visit count 1, 2, …
    with values in (0, 1], as `learn` takes; `exploration` ε in [0, 1]; `record_every`: of how many steps one is recorded, a
    divisor of `num_steps`, by default the first and the last alone; `tolerance`: the Nash gap that counts as none.

    **Returns:** `QLearning`, float64; Ctrl-C raises `KeyboardInterrupt`, and nothing is kept. The random numbers of a run
    depend on the key, its number and the step alone.

    **Raises:** `InputError` for numbers out of range, a bad key, step sizes outside of (0, 1], a game too large for tables, or
    a history of more than 8 GiB.
    """
    num_steps, count = positive_integer("num_steps", num_steps), positive_integer("num_seeds", num_seeds)
    if num_steps >= 2**31:
        raise InputError(f"num_steps: found {num_steps}; pass at most 2³¹ − 1")
    every = num_steps if record_every is None else check_every(record_every, num_steps)
    epsilon, tolerance = real("exploration", exploration), positive_real("tolerance", tolerance)
    if not 0 <= epsilon <= 1:
        raise InputError(f"exploration: found {epsilon:g}; pass a number from zero to one")
    check_step("q_step", q_step, num_steps)
    starts = generator(key).integers(2**64, size=count, dtype=np.uint64)
    N, S, A = game.num_players, game.num_states, max(game.num_actions)
    total = 12 * N * S * A * (num_steps // every + 1) * count
    if total > _LARGEST_HISTORY:
        raise InputError(
            f"record_every: found {every}, with which the history takes {total / 2**30:.3g} GiB; record less often, or take "
            "fewer seeds"
        )
    model, shared = model_of(game)
    # With many states a selection by comparison costs more than going from seed to seed.
    groups = -(-count // _MOST_TOGETHER) if S <= scan.MOST_SELECTED else count
    size = -(-count // groups)
    starts = np.pad(starts, (0, groups * size - count))  # the last group is filled up, so that one program serves all
    block = max(1, min(every, _DRAWS // ((N + 1) * size)))
    form = scan.Form(game.num_actions, shared, False, True, q_step, q_step, 0)
    q = np.empty((num_steps // every + 1, N, S, A, groups * size))
    visits = np.empty(q.shape, dtype=np.int32)
    with jax.enable_x64(True):
        arrays = jax.tree.map(jnp.asarray, model)
        numbers = scan.Numbers(*(jnp.asarray(n, dtype=jnp.float64) for n in (game.discount, 0.0, epsilon)))
        for g in range(groups):
            part = slice(g * size, (g + 1) * size)
            _run_group(game, arrays, numbers, form, jnp.asarray(starts[part]), every, block, q[..., part], visits[..., part])

    def by_player(found: np.ndarray) -> Policy:
        return tuple(np.moveaxis(found[:, i, :, :own, :count], -1, 0) for i, own in enumerate(game.num_actions))

    steps = np.arange(num_steps // every + 1) * every
    return QLearning(game, num_steps, steps, epsilon, q_step, by_player(q), by_player(visits), tolerance)


class _Learned(NamedTuple):
    """`q` (N, S, A, g), `visits` of pairs (N, S, A, g) int32, the present `state` (g,) int32."""

    q: jax.Array
    visits: jax.Array
    state: jax.Array


def _run_group(
    game: Game,
    model: scan.Model,
    numbers: scan.Numbers,
    form: scan.Form,
    starts: jax.Array,
    every: int,
    block: int,
    q: np.ndarray,
    visits: np.ndarray,
) -> None:
    """Learn with some seeds, recording into `q` and `visits` (T, N, S, A, g)."""
    width = game.num_players + 1
    cumulative = jnp.asarray(np.cumsum(game.initial))
    first_draw = scan.uniforms(starts, jnp.uint64(0), count=1, width=1)[0, 0]
    state = scan.drawn(jnp.broadcast_to(cumulative[:, None], (cumulative.shape[0], starts.shape[0])), first_draw)
    present = _Learned(jnp.zeros(q.shape[1:]), jnp.zeros(q.shape[1:], dtype=jnp.int32), state)
    q[0], visits[0] = 0, 0
    for row in range(1, q.shape[0]):
        done, end = (row - 1) * every, row * every
        while done < end:
            made = min(block, end - done)
            draws = scan.uniforms(starts, jnp.uint64(1 + done * width), count=block, width=width)
            present = _advance(model, numbers, present, draws, jnp.int32(made), form=form)
            done += made
        q[row], visits[row] = np.asarray(present.q), np.asarray(present.visits)


@partial(jax.jit, static_argnames="form")
def _advance(
    model: scan.Model, numbers: scan.Numbers, learned: _Learned, draws: jax.Array, count: jax.Array, *, form: scan.Form
) -> _Learned:
    """The first `count` steps of `draws` (steps, N + 1, g): one for each player's action, then one for the next state."""

    def one(k: jax.Array, own: _Learned) -> _Learned:
        draw = jax.lax.dynamic_index_in_dim(draws, k, 0, keepdims=False)
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

    return jax.lax.fori_loop(jnp.int32(0), count, one, learned)
