"""Deterministic stationary policies of a game given by tables, all of them or a batch, evaluated in arrays."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mcr2_landscape.markov.game import Game, MarkovGame, checked_game
from mcr2_landscape.validation import InputError

MOST_POLICIES = 1 << 22
_CHUNK = 1 << 15


@dataclass(frozen=True)
class PureBatch:
    """Policies and what they are worth.

    **Fields:** `profiles` (k, S): the joint action in each state, as an index into the profiles in C order; `value` (k, N, S).
    """

    profiles: np.ndarray
    value: np.ndarray


def count(game: Game) -> int:
    """The number of deterministic stationary policies, (Π A_i)^S."""
    return math.prod(game.num_actions) ** game.num_states


def check_count(game: Game, advice: str) -> int:
    """`count`, where all of them can be listed.

    **Raises:** `InputError` where there are more than 2²².
    """
    found = count(checked_game(game))
    if found > MOST_POLICIES:
        number = str(found) if found < 10**12 else f"10^{len(str(found)) - 1}"
        raise InputError(
            f"game: has about {number} deterministic policies ({math.prod(game.num_actions)} action profiles in each of "
            f"{game.num_states} states), more than the {MOST_POLICIES:,} that are listed; {advice}"
        )
    return found


def flat(table: MarkovGame) -> tuple[np.ndarray, np.ndarray]:
    """Transitions (S, profiles, S) and rewards (N, S, profiles)."""
    S = table.num_states
    return table.transition.reshape(S, -1, S), table.reward.reshape(table.num_players, S, -1)


def centered(reward: np.ndarray) -> np.ndarray:
    """Rewards (N, …) with the middle of each player's range taken away, which changes no difference of its values: a large
    number that is added to all of them would round these away."""
    axes = tuple(range(1, reward.ndim))
    return reward - (reward.max(axis=axes, keepdims=True) / 2 + reward.min(axis=axes, keepdims=True) / 2)


def batches(table: MarkovGame, *, without_means: bool = False) -> Iterator[PureBatch]:
    """All deterministic policies in the order of their numbers, the profile of state 0 the most significant digit; values are
    those of the `centered` rewards where they are wanted without means."""
    S = table.num_states
    num_profiles = math.prod(table.num_actions)
    transition, reward = flat(table)
    reward = centered(reward) if without_means else reward
    chunk = max(1, _CHUNK // S)
    digits = num_profiles ** np.arange(S - 1, -1, -1)
    states, total = np.arange(S), num_profiles**S
    for first in range(0, total, chunk):
        profiles = np.arange(first, min(first + chunk, total))[:, None] // digits % num_profiles
        system = np.eye(S) - table.discount * transition[states, profiles]  # (k, S, S)
        paid = reward[:, states, profiles]  # (N, k, S)
        value = np.linalg.solve(system, np.moveaxis(paid, 0, -1))
        yield PureBatch(profiles, np.moveaxis(value, -1, 1))
