"""What many policies of one game are worth, at once: the decision problems of all of them, solved together.

Policies are tuples with an array (P, S, A_i) for each player.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from mcr2_landscape.markov import policies
from mcr2_landscape.markov.decisions import Decisions
from mcr2_landscape.markov.game import Game
from mcr2_landscape.markov.policies import Policy

_LARGEST = 1 << 22  # numbers in the largest array of a slice


def slices(game: Game, count: int) -> Iterator[slice]:
    """`count` policies in slices that do not take much memory."""
    step = max(1, _LARGEST // game._numbers)
    return (slice(first, min(first + step, count)) for first in range(0, count, step))


def nash_gaps(game: Game, policy: Policy) -> np.ndarray:
    """The largest gain of a best response over players and initial states, (P,)."""

    def own(part: Policy) -> np.ndarray:
        found = []
        for problems in game._decisions_of(part):
            gain = problems.best()[1] - _value(part, problems)
            found.append(gain.max(axis=1).reshape(len(problems.players), -1).max(axis=0))
        return np.max(found, axis=0)

    return _in_slices(game, policy, own)


def frozen_gaps(game: Game, policy: Policy) -> np.ndarray:
    """As `nash_gaps` along paths, but the others play the last policy of the path, and only the player's own is the one that is
    asked about: paths (P, T, S, A_i) to (P, T)."""

    def own(part: Policy) -> np.ndarray:
        found = []
        for problems in game._decisions_of(tuple(own[:, -1] for own in part)):
            best = problems.best()[1]
            for t in range(part[0].shape[1]):
                gain = best - _value(tuple(own[:, t] for own in part), problems)
                found.append(gain.max(axis=1).reshape(len(problems.players), -1).max(axis=0))
        return np.max(np.reshape(found, (-1, part[0].shape[1], part[0].shape[0])), axis=0).T

    return _in_slices(game, policy, own)


def q_errors(game: Game, policy: Policy, q: Policy, temperature: float) -> np.ndarray:
    """max |q_i(s, a_i) − Q̃_i(s, a_i)| over players, states and actions, (P,)."""
    both = (*policy, *q)
    N = game.num_players

    def own(part: Policy) -> np.ndarray:
        found = []
        for problems in game._decisions_of(part[:N]):
            bonus = temperature * policies.entropy(np.concatenate([part[i] for i in problems.players]))
            exact = problems.q_value(_value(part, problems, bonus)) + bonus[..., None]
            error = np.abs(exact - np.concatenate([part[N + i] for i in problems.players])).max(axis=(1, 2))
            found.append(error.reshape(len(problems.players), -1).max(axis=0))
        return np.max(found, axis=0)

    return _in_slices(game, both, own)


def first_values(game: Game, policy: Policy) -> np.ndarray:
    """V_1(s), (P, S)."""

    def own(part: Policy) -> np.ndarray:
        problems = next(found for found in game._decisions_of(part) if 0 in found.players)
        values = _value(part, problems)
        return values.reshape(len(problems.players), -1, game.num_states)[problems.players.index(0)]

    return _in_slices(game, policy, own)


def _value(policy: Policy, problems: Decisions, bonus: np.ndarray | float = 0.0) -> np.ndarray:
    return problems.evaluate(np.concatenate([policy[i] for i in problems.players]), bonus)


def _in_slices(game: Game, arrays: Policy, function: Callable[[Policy], np.ndarray]) -> np.ndarray:
    count = arrays[0].shape[0]
    return np.concatenate([function(tuple(own[part] for own in arrays)) for part in slices(game, count)])
