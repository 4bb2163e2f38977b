"""What many policies of one game are worth, at once: the decision problems of all of them, solved together.

Policies are tuples with an array (P, S, A_i) for each player.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import numpy as np

from mcr2_landscape.markov import policies
from mcr2_landscape.markov.congestion import CongestionGame
from mcr2_landscape.markov.counts import with_each_on_each
from mcr2_landscape.markov.decisions import Decisions
from mcr2_landscape.markov.game import Game, MarkovGame
from mcr2_landscape.markov.policies import Policy

_LARGEST = 1 << 22  # numbers in the largest array of a slice


def decisions(game: Game, policy: Policy) -> list[tuple[tuple[int, ...], Decisions]]:
    """The players' decision problems: for players with equally many actions, their numbers and their n · P problems, those of
    one player together."""
    if isinstance(game, CongestionGame):
        return _by_loads(game, policy)
    return _by_tables(game.to_tables(), policy)


def slices(game: Game, count: int) -> Iterator[slice]:
    """`count` policies in slices that do not take much memory."""
    S, N, A = game.num_states, game.num_players, max(game.num_actions)
    if isinstance(game, CongestionGame):
        own = N * S * S * max(A, (N + 1) ** (A - 1))
    else:
        own = S * int(np.prod(game.num_actions)) * (S + N)
    step = max(1, _LARGEST // own)
    return (slice(first, min(first + step, count)) for first in range(0, count, step))


def nash_gaps(game: Game, policy: Policy) -> np.ndarray:
    """The largest gain of a best response over players and initial states, (P,)."""

    def own(part: Policy) -> np.ndarray:
        found = []
        for players, problems in decisions(game, part):
            gain = problems.best()[1] - _value(part, players, problems)
            found.append(gain.max(axis=1).reshape(len(players), -1).max(axis=0))
        return np.max(found, axis=0)

    return _in_slices(game, policy, own)


def frozen_gaps(game: Game, policy: Policy) -> np.ndarray:
    """As `nash_gaps` along paths, but the others play the last policy of the path, and only the player's own is the one that is
    asked about: paths (P, T, S, A_i) to (P, T)."""

    def own(part: Policy) -> np.ndarray:
        found = []
        for players, problems in decisions(game, tuple(own[:, -1] for own in part)):
            best = problems.best()[1]
            for t in range(part[0].shape[1]):
                gain = best - _value(tuple(own[:, t] for own in part), players, problems)
                found.append(gain.max(axis=1).reshape(len(players), -1).max(axis=0))
        return np.max(np.reshape(found, (-1, part[0].shape[1], part[0].shape[0])), axis=0).T

    return _in_slices(game, policy, own)


def q_errors(game: Game, policy: Policy, q: Policy, temperature: float) -> np.ndarray:
    """max |q_i(s, a_i) − Q̃_i(s, a_i)| over players, states and actions, (P,)."""
    both = (*policy, *q)
    N = game.num_players

    def own(part: Policy) -> np.ndarray:
        found = []
        for players, problems in decisions(game, part[:N]):
            bonus = temperature * policies.entropy(np.concatenate([part[i] for i in players]))
            exact = problems.q_value(_value(part, players, problems, bonus)) + bonus[..., None]
            error = np.abs(exact - np.concatenate([part[N + i] for i in players])).max(axis=(1, 2))
            found.append(error.reshape(len(players), -1).max(axis=0))
        return np.max(found, axis=0)

    return _in_slices(game, both, own)


def first_values(game: Game, policy: Policy) -> np.ndarray:
    """V_1(s), (P, S)."""

    def own(part: Policy) -> np.ndarray:
        players, problems = next(found for found in decisions(game, part) if 0 in found[0])
        values = _value(part, players, problems)
        return values.reshape(len(players), -1, game.num_states)[players.index(0)]

    return _in_slices(game, policy, own)


def _value(policy: Policy, players: tuple[int, ...], problems: Decisions, bonus: np.ndarray | float = 0.0) -> np.ndarray:
    return problems.evaluate(np.concatenate([policy[i] for i in players]), bonus)


def _in_slices(game: Game, arrays: Policy, function: Callable[[Policy], np.ndarray]) -> np.ndarray:
    count = arrays[0].shape[0]
    return np.concatenate([function(tuple(own[part] for own in arrays)) for part in slices(game, count)])


def _by_loads(game: CongestionGame, policy: Policy) -> list[tuple[tuple[int, ...], Decisions]]:
    own = np.stack(policy)  # (N, P, S, M)
    N, P, S, M = own.shape
    flat = own.reshape(N, P * S, M)
    if game.action_independent:
        transition = np.broadcast_to(game._averaged, (N, P * S, M, S))
    else:
        transition = with_each_on_each(flat, np.broadcast_to(game._kernel, (P * S, *game._kernel.shape)))
    # Distributions of loads are found state by state, so that the states of all policies may stand side by side.
    side_by_side = copy.copy(game)
    side_by_side.payoff = np.tile(game.payoff.astype(np.float64), (P, 1, 1))
    reward = side_by_side._rewards(flat)
    players = tuple(range(N))
    shape = (N * P, S, M)
    return [(players, Decisions(players, reward.reshape(shape), transition.reshape(*shape, S), game.discount))]


def _by_tables(game: MarkovGame, policy: Policy) -> list[tuple[tuple[int, ...], Decisions]]:
    P, S = policy[0].shape[0], game.num_states
    both = np.concatenate([game.transition, np.moveaxis(game.reward, 0, -1)], axis=-1)  # (S, A_1, …, A_N, S + N)
    before, problems = np.broadcast_to(both, (P, *both.shape)), {}
    for i, count in enumerate(game.num_actions):
        alone = before
        for own in reversed(policy[i + 1 :]):  # the last axis of actions goes first
            alone = np.einsum("ps...ax,psa->ps...x", alone, own)
        problems.setdefault(count, []).append((i, alone))
        before = np.einsum("psa...x,psa->ps...x", before, policy[i])
    return [
        (
            tuple(i for i, _ in found),
            Decisions(
                tuple(i for i, _ in found),
                np.concatenate([alone[..., S + i] for i, alone in found]),
                np.concatenate([alone[..., :S] for _, alone in found]),
                game.discount,
            ),
        )
        for found in problems.values()
    ]
