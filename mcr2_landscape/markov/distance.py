"""How far a Markov game is from a Markov potential game, from below.

In a Markov α-potential game there is a Φ with |[V_i(π_i', π_-i) − V_i(π)] − [Φ(π_i', π_-i) − Φ(π)]| ≤ α for all changes of one
player's policy. Around a four-cycle the differences of Φ cancel, so that the sum of the V's is at most 4α: |cycle|/4 is a lower
bound.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from mcr2_landscape.markov import pure
from mcr2_landscape.markov.cycles import NOTIONS, Cycle, choice, four_cycle, pair_cycles, random_policy
from mcr2_landscape.markov.game import Game, MarkovGame, checked_game
from mcr2_landscape.markov.policies import Policy
from mcr2_landscape.randomness import generator
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, positive_integer

_MOST_WORK = 1 << 21  # deterministic policies, times those of one player
_GAIN, _NOISE = 1e-6, 1e-12
_FRACTIONS = (1.0, 0.5, 0.125)


@dataclass(frozen=True)
class AlphaBound(Record):
    """A lower bound on the α of a Markov α-potential game, in floating point.

    **Fields:** `value`: |cycle|/4, for a potential game what rounding makes of zero; `cycle` that attains it; `pure_value`:
    what four-cycles of deterministic policies alone give, where all of them were tried, else `None`; `num_points` tried at
    random, `num_sweeps` of the ascent.
    """

    value: float
    cycle: Cycle
    pure_value: float | None
    num_points: int
    num_sweeps: int


def alpha_lower_bound(
    game: Game, *, notion: str = "state-wise", num_points: int = 32, max_sweeps: int = 5, key: Any = 0
) -> AlphaBound:
    """The largest |four-cycle|/4 that is found: a lower bound on α.

    All deterministic policies where there are few enough (about 2¹⁶ for two routes and four players), else, and in addition,
    `num_points` random ones; from the best of them up by changes of one row of one policy towards a vertex, `max_sweeps` times
    over all rows.

    **Raises:** `InputError` for a game with one player, which is a potential game, and arguments out of range.
    """
    if checked_game(game).num_players < 2:
        raise InputError("game: has one player, so that its value is a potential; pass a game with at least two")
    notion = choice("notion", notion, NOTIONS)
    points = positive_integer("num_points", num_points, minimum=0)
    sweeps, draw = positive_integer("max_sweeps", max_sweeps, minimum=0), generator(key)
    found, size, pure_value = None, -1.0, None
    if pure.count(game) * max(game.num_actions) ** game.num_states <= _MOST_WORK:
        found = _largest_pure(game.to_tables(), notion)
        size = abs(found.value)
        pure_value = float(size) / 4
    for point in range(max(points, 1 if found is None else 0)):
        policy, other = (random_policy(game, draw, mixed=point % 2 == 1) for _ in range(2))
        best = max(pair_cycles(game, policy, other, notion), key=lambda own: own.size)
        if best.size > size:
            found, size = best.cycle, best.size
    assert found is not None  # there are at least two players
    done = 0
    noise = _NOISE * float(np.abs(game.value(found.policy)).max()) / (1 - game.discount)
    while done < sweeps and size > noise:
        before, done = size, done + 1
        found = _ascended(game, found)
        size = abs(found.value)
        if size <= before * (1 + _GAIN):
            break
    return AlphaBound(float(size) / 4, found, pure_value, points, done)


def _largest_pure(table: MarkovGame, notion: str) -> Cycle:
    """Of all four-cycles of deterministic policies: for fixed policies of the others and two of player i, the best two of
    player j are those where the difference is the largest and the smallest."""
    N, S, actions = table.num_players, table.num_states, table.num_actions
    value = np.concatenate([batch.value for batch in pure.batches(table)])  # (policies, N, S)
    best, where = -1.0, None
    for i, j in itertools.combinations(range(N), 2):
        W = value[:, i] - value[:, j]
        if notion == "averaged":
            W = (W @ table.initial)[:, None]
        # An axis for each state and player; those of i first, then those of j, then the others'.
        split = W.reshape(*actions * S, -1)
        own = [[s * N + k for s in range(S)] for k in (i, j)]
        rest = [axis for axis in range(S * N) if axis % N not in (i, j)]
        X = split.transpose(*own[0], *own[1], *rest, S * N).reshape(actions[i] ** S, actions[j] ** S, -1, W.shape[1])
        for a, b in itertools.combinations(range(len(X)), 2):
            difference = X[b] - X[a]
            spread = difference.max(axis=0) - difference.min(axis=0)
            at = int(spread.argmax())
            if spread.flat[at] > best:
                other, state = np.unravel_index(at, spread.shape)
                column = difference[:, other, state]
                best, where = float(spread.flat[at]), (i, j, a, b, int(column.argmax()), int(column.argmin()), other, state)
    if where is None:  # every player but one has a single action
        policy = table.deterministic_policy(np.zeros((N, S), dtype=int))
        return Cycle((0, 1), 0 if notion == "state-wise" else None, policy, (policy[0], policy[1]), 0.0)
    i, j, a, b, high, low, other, state = where
    others = [k for k in range(N) if k not in (i, j)]
    chosen = np.zeros((N, S), dtype=int)
    if others:
        chosen[others] = np.reshape(np.unravel_index(other, [actions[k] for k in others] * S), (S, -1)).T
    chosen[i], chosen[j] = _digits(a, actions[i], S), _digits(high, actions[j], S)
    policy = table.deterministic_policy(chosen)
    turned = np.eye(actions[i])[_digits(b, actions[i], S)], np.eye(actions[j])[_digits(low, actions[j], S)]
    initial = int(state) if notion == "state-wise" else None
    return Cycle((i, j), initial, policy, turned, _cycle_value(table, (i, j), initial, policy, turned))


def _digits(number: int, base: int, length: int) -> np.ndarray:
    return np.array(np.unravel_index(number, (base,) * length))


def _cycle_value(
    game: Game, players: tuple[int, int], state: int | None, policy: Policy, deviations: tuple[np.ndarray, np.ndarray]
) -> float:
    cycles = four_cycle(game, policy, deviations, players)
    return float(game.initial @ cycles if state is None else cycles[state])


def _ascended(game: Game, cycle: Cycle) -> Cycle:
    """Each row in turn moved towards a vertex wherever that makes the four-cycle larger."""
    i, j = cycle.players
    arrays = [*cycle.policy, *cycle.deviations]
    size, N = abs(float(cycle.value)), game.num_players
    value = float(cycle.value)
    for at, s in itertools.product(range(len(arrays)), range(game.num_states)):
        for a, t in itertools.product(range(arrays[at].shape[1]), _FRACTIONS):
            moved = arrays[at].copy()
            moved[s] *= 1 - t
            moved[s, a] += t
            trial = [*arrays[:at], moved, *arrays[at + 1 :]]
            found = _cycle_value(game, (i, j), cycle.state, tuple(trial[:N]), (trial[N], trial[N + 1]))
            if abs(found) > size * (1 + 1e-12) and math.isfinite(found):
                arrays, value, size = trial, found, abs(found)
    return Cycle((i, j), cycle.state, tuple(arrays[:N]), (arrays[N], arrays[N + 1]), value)
