"""The compiled steps of the learning dynamics, for a group of seeds at once.

Arrays have the seeds last, so that everything is elementwise along them; what is selected by a state or an action is selected
by comparison, which vectorizes where indexing would not. Loops over states and actions are unrolled. Players with fewer actions
than others have actions of probability zero for the rest.

Source: Maheshwari, Wu, Pai, Sastry (arXiv 2205.14590).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.markov.step_sizes import StepSize

MOST_SELECTED = 16  # states that are selected from by comparison; with more, one seed at a time by indexing
_MOST_UNROLLED = 32


class State(NamedTuple):
    """What the dynamics carry: `policy` and `q` (N, S, A, g), `visits` of pairs (N, S, A, g) int32, the present `state` (g,)
    int32 and the last `actions` (N, g) int32."""

    policy: jax.Array
    q: jax.Array
    visits: jax.Array
    state: jax.Array
    actions: jax.Array


class Form(NamedTuple):
    """What a program is compiled for. `shared`: whether all players of a congestion game receive the sum; `bonus`: whether
    entropy is paid for; `rows`: of records in one call."""

    num_actions: tuple[int, ...]
    shared: bool
    bonus: bool
    greedy: bool
    q_step: StepSize
    policy_step: StepSize
    rows: int


class Numbers(NamedTuple):
    """What a program takes as arguments, beside the game's arrays."""

    discount: jax.Array
    temperature: jax.Array
    exploration: jax.Array


class Tables(NamedTuple):
    """A game by tables over the J joint actions: `cumulative` (S J, S), running sums of transition rows; `reward` (N, S J)."""

    cumulative: jax.Array
    reward: jax.Array

    def play(self, state: jax.Array, actions: jax.Array, draw: jax.Array, form: Form) -> tuple[jax.Array, jax.Array]:
        """Rewards (N, g) and next states (g,)."""
        at = state
        for own, size in zip(actions, form.num_actions, strict=True):
            at = at * jnp.int32(size) + own
        N, count = self.reward.shape
        # one index for each number: rows are not gathered as fast
        reward = _at(self.reward.reshape(-1), at[None] + (jnp.arange(N, dtype=jnp.int32) * jnp.int32(count))[:, None])
        S = self.cumulative.shape[1]
        if S > _MOST_UNROLLED:
            return reward, drawn(_at(self.cumulative, at).T, draw)
        flat = self.cumulative.reshape(-1)
        return reward, drawn([_at(flat, at * jnp.int32(S) + jnp.int32(s)) for s in range(S)], draw)


class Loads(NamedTuple):
    """A game by loads: `payoff` (S, M, N + 1), times the load where all receive the sum; `stays` (M, N + 1). `averaged` (S,),
    running sums of the one transition row, where actions do not move the state; else `None`."""

    payoff: jax.Array
    stays: jax.Array
    averaged: jax.Array | None

    def play(self, state: jax.Array, actions: jax.Array, draw: jax.Array, form: Form) -> tuple[jax.Array, jax.Array]:
        """Rewards (N, g) and next states (g,)."""
        M, width = self.stays.shape
        loads = [jnp.sum((actions == m).astype(jnp.int32), axis=0, dtype=jnp.int32) for m in range(M)]
        first = state * jnp.int32(M * width)
        paid = [_at(self.payoff.reshape(-1), first + jnp.int32(m * width) + load) for m, load in enumerate(loads)]
        if form.shared:
            reward = jnp.broadcast_to(reduce(jnp.add, paid)[None], actions.shape)
        else:
            reward = jnp.broadcast_to(paid[0][None], actions.shape)
            for m in range(1, M):
                reward = jnp.where(actions == m, paid[m][None], reward)
        if self.averaged is not None:
            return reward, drawn(jnp.broadcast_to(self.averaged[:, None], (self.averaged.shape[0], state.shape[0])), draw)
        # The product of the routes' probabilities, searched a route at a time: no table over states or loads.
        following, below, weight = jnp.zeros_like(state), jnp.zeros_like(draw), jnp.ones_like(draw)
        for m, load in enumerate(loads):
            zero = weight * _at(self.stays.reshape(-1), jnp.int32(m * width) + load)
            hit = draw < below + zero
            following = following * 2 + jnp.where(hit, jnp.int32(0), jnp.int32(1))
            below, weight = jnp.where(hit, below, below + zero), jnp.where(hit, zero, weight - zero)
        return reward, following


Model = Tables | Loads


def drawn(cumulative: jax.Array | list[jax.Array], draw: jax.Array) -> jax.Array:
    """The number drawn by inversion, bisect_right(cumulative, draw · total): running sums (K, …) and draws (…) to int32 (…)."""
    target = draw * cumulative[-1]
    if not isinstance(cumulative, list) and cumulative.shape[0] > _MOST_UNROLLED:
        return jnp.sum((cumulative[:-1] <= target[None]).astype(jnp.int32), axis=0, dtype=jnp.int32)
    return reduce(jnp.add, [(own <= target).astype(jnp.int32) for own in cumulative[:-1]], jnp.zeros(target.shape, jnp.int32))


_GOLDEN, _FIRST, _SECOND = (np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


@partial(jax.jit, static_argnames=("count", "width"))
def uniforms(starts: jax.Array, first: jax.Array, *, count: int, width: int) -> jax.Array:
    """Uniform numbers in [0, 1), multiples of 2⁻⁵², of the streams that begin at `starts` (g,), from number `first` on:
    (count, width, g).

    Number k of a stream is SplitMix64's output at start + k · golden ratio: a function of the start and k alone, whatever is
    drawn with it. Of n streams with random starts two overlap with probability at most n² · length/2⁶³. Source: Steele, Lea,
    Flood, *Fast splittable pseudorandom number generators* (2014); threefry takes thirty times as long, as long as the step.
    """
    number = first.astype(jnp.uint64) + jnp.arange(1, count * width + 1, dtype=jnp.uint64).reshape(count, width)
    z = starts[None, None, :] + number[:, :, None] * _GOLDEN
    z = (z ^ (z >> np.uint64(30))) * _FIRST
    z = (z ^ (z >> np.uint64(27))) * _SECOND
    z = z ^ (z >> np.uint64(31))
    # 52 bits as the fraction of a number in [1, 2): a conversion of 64-bit integers does not vectorize
    return jax.lax.bitcast_convert_type((z >> np.uint64(12)) | np.uint64(0x3FF0000000000000), jnp.float64) - 1.0


@partial(jax.jit, static_argnames="form")
def advance(
    model: Model,
    numbers: Numbers,
    state: State,
    draws: jax.Array,
    first: jax.Array,
    end: jax.Array,
    every: jax.Array,
    *,
    form: Form,
) -> tuple[State, State]:
    """From step `first` to step `end`, with `draws` (steps, N + 1, g) from `first` on.

    **Returns:** the state, and what it was after each step that is a multiple of `every`, stacked in front: of `form.rows` rows
    so many are meaningful.
    """

    def one(k: jax.Array, moving: _Moving) -> _Moving:
        draw = jax.lax.dynamic_index_in_dim(draws, k - first, 0, keepdims=False)
        # The index stops at the last: what is drawn there is never played, for each call draws its first actions itself.
        ahead = jax.lax.dynamic_index_in_dim(draws, k - first + 1, 0, keepdims=False)
        return _step(model, numbers, form, moving, draw[-1], ahead)

    here = _rows(state, state.state)
    moving = _Moving(state, here, _choose(form, here.policy, draws[0]), state.state, here)
    moving, kept = recorded(one, _Moving.settled, moving, first, end, every, form.rows)
    return moving.settled(), kept


_Carried = TypeVar("_Carried")
_Settled = TypeVar("_Settled")


def recorded(
    one: Callable[[jax.Array, _Carried], _Carried],
    settled: Callable[[_Carried], _Settled],
    moving: _Carried,
    first: jax.Array,
    end: jax.Array,
    every: jax.Array,
    rows: int,
) -> tuple[_Carried, _Settled]:
    """`one(step, moving)` for the steps from `first` to `end`.

    **Returns:** what is carried at the end, and `settled` of it after each step that is a multiple of `every`, stacked in
    front: of `rows` rows so many are meaningful.
    """
    shapes = jax.eval_shape(settled, moving)
    kept = jax.tree.map(lambda leaf: jnp.zeros((rows, *leaf.shape), dtype=leaf.dtype), shapes)

    def stretch(carry: tuple) -> tuple:
        k, row, moving, kept = carry
        stop = jnp.minimum(end, (k // every + 1) * every)
        moving = jax.lax.fori_loop(k, stop, one, moving)
        now = settled(moving)
        kept = jax.tree.map(lambda rows, own: jax.lax.dynamic_update_index_in_dim(rows, own, row, 0), kept, now)
        return stop, row + (stop % every == 0).astype(jnp.int32), moving, kept  # a row that is not due is written over

    begin = (first, jnp.int32(0), moving, kept)
    _, _, moving, kept = jax.lax.while_loop(lambda carry: carry[0] < end, stretch, begin)
    return moving, kept


class _Rows(NamedTuple):
    """What belongs to one state: `policy`, `q` and `visits`, (N, A, g)."""

    policy: jax.Array
    q: jax.Array
    visits: jax.Array


class _Moving(NamedTuple):
    """The state between two steps: `here`, the rows of the present state, and the `actions` (N, g) to be played there. What the
    last step found, `found` for the state `last` (g,), is written into the arrays only by the next one. Both are for the
    compiler, which would compute anew whatever it does not have to store: for each state that it might belong to, each time
    that it is used."""

    own: State
    here: _Rows
    actions: jax.Array
    last: jax.Array
    found: _Rows

    def settled(self) -> State:
        """The state with the last step's rows in the arrays."""
        own, last = self.own, self.last
        return own._replace(
            policy=_with_row(own.policy, last, self.found.policy),
            q=_with_row(own.q, last, self.found.q),
            visits=_with_row(own.visits, last, self.found.visits),
        )


def _step(model: Model, numbers: Numbers, form: Form, moving: _Moving, draw: jax.Array, ahead: jax.Array) -> _Moving:
    """One step: `draw` (g,) for the next state, `ahead` (N + 1, g) for what is played there."""
    own, (policy, q, visits), actions = moving.settled(), moving.here, moving.actions
    s, A = own.state, policy.shape[1]
    reward, following = model.play(s, actions, draw, form)

    chosen = actions[:, None, :] == jnp.arange(A, dtype=jnp.int32)[None, :, None]
    counts = visits + chosen.astype(jnp.int32)
    state_count = reduce(jnp.add, [counts[0, a] for a in range(A)]).astype(jnp.float64)
    pair_count = _of(counts, actions).astype(jnp.float64)
    alpha, beta = form.q_step(pair_count), form.policy_step(state_count)

    following_rows = _rows(own, following)  # before the update
    goal = reward + numbers.temperature * _entropy(policy) if form.bonus else reward
    goal = goal + numbers.discount * _sum_of(following_rows.policy * following_rows.q)
    found = _Rows(
        policy + beta[None, None, :] * (_deviation(numbers, form, q) - policy),
        jnp.where(chosen, q + (alpha * (goal - _of(q, actions)))[:, None], q),
        counts,
    )
    same = (following == s)[None, None, :]
    here = _Rows(*(jnp.where(same, new, old) for new, old in zip(found, following_rows, strict=True)))
    return _Moving(own._replace(state=following, actions=actions), here, _choose(form, here.policy, ahead), s, found)


def _choose(form: Form, policy: jax.Array, draw: jax.Array) -> jax.Array:
    """Actions (N, g) drawn from rows (N, A, g)."""
    running = [policy[:, 0]]
    for a in range(1, policy.shape[1]):
        running.append(running[-1] + policy[:, a])
    actions = drawn(running, draw[: policy.shape[0]])
    if _real(form) is None:
        return actions
    # rounding may make the product the total itself, which is reached by the actions that fill up, too
    return jnp.minimum(actions, jnp.asarray(np.array(form.num_actions, dtype=np.int32) - 1)[:, None])


def _real(form: Form) -> jax.Array | None:
    """Which actions are the players' own, (N, A, 1); `None` where all are."""
    sizes = np.array(form.num_actions)[:, None, None]
    return None if (sizes == sizes.max()).all() else jnp.asarray(np.arange(sizes.max())[None, :, None] < sizes)


def _deviation(numbers: Numbers, form: Form, q: jax.Array) -> jax.Array:
    """The one-stage deviation at rows (N, A, g): softmax(q/τ), or (1 − ε) · argmax + ε · uniform with the first maximum."""
    A, real = q.shape[1], _real(form)
    scores = q if real is None else jnp.where(real, q, -jnp.inf)
    top = reduce(jnp.maximum, [scores[:, a] for a in range(A)])
    if not form.greedy:
        raised = jnp.exp((scores - top[:, None]) / numbers.temperature)
        return raised / _sum_of(raised)[:, None]
    best = jnp.full(top.shape, A - 1, dtype=jnp.int32)
    for a in reversed(range(A - 1)):
        best = jnp.where(scores[:, a] == top, jnp.int32(a), best)
    even = numbers.exploration / jnp.asarray(np.array(form.num_actions, dtype=np.float64))[:, None, None]
    even = jnp.broadcast_to(even, q.shape)
    found = jnp.where(best[:, None] == jnp.arange(A, dtype=jnp.int32)[None, :, None], (1.0 - numbers.exploration) + even, even)
    return found if real is None else jnp.where(real, found, 0.0)


def _entropy(policy: jax.Array) -> jax.Array:
    return -_sum_of(policy * jnp.log(jnp.where(policy > 0, policy, 1.0)))


def _sum_of(values: jax.Array) -> jax.Array:
    """The sum over actions, from the first: (N, A, g) to (N, g)."""
    return reduce(jnp.add, [values[:, a] for a in range(values.shape[1])])


def _of(values: jax.Array, actions: jax.Array) -> jax.Array:
    """The entries of the actions: (N, A, g) and (N, g) to (N, g)."""
    found = values[:, 0]
    for a in range(1, values.shape[1]):
        found = jnp.where(actions == a, values[:, a], found)
    return found


def _rows(own: State, state: jax.Array) -> _Rows:
    return _Rows(*(_row(values, state) for values in (own.policy, own.q, own.visits)))


def _row(values: jax.Array, state: jax.Array) -> jax.Array:
    """The rows of a state, (N, S, A, g) to (N, A, g)."""
    if state.shape[0] == 1:
        return jax.lax.dynamic_index_in_dim(values, state[0], 1, keepdims=False)
    found = values[:, 0]
    for s in range(1, values.shape[1]):
        found = jnp.where((state == s)[None, None, :], values[:, s], found)
    return found


def _with_row(values: jax.Array, state: jax.Array, row: jax.Array) -> jax.Array:
    """`values` (N, S, A, g) with other rows (N, A, g) at a state."""
    if state.shape[0] == 1:
        return jax.lax.dynamic_update_index_in_dim(values, row, state[0], 1)
    here = jnp.arange(values.shape[1], dtype=jnp.int32)[:, None] == state[None, :]
    return jnp.where(here[None, :, None, :], row[:, None], values)


def _at(table: jax.Array, index: jax.Array) -> jax.Array:
    """table[index], of indices that are known to be in range."""
    return table.at[index].get(mode="promise_in_bounds")
