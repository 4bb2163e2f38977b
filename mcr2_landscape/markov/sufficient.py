"""Games that are Markov potential games by a theorem, which the exact tables either meet or do not.

- One player, or one alone that has a choice: its value is the potential.
- Identical interest: the common value is the potential.
- Transitions that do not depend on the actions, and a stage game with a potential in each state that can be reached: the
  discounted sum of the stage potentials is one. A stage game has a potential if and only if its four-cycles of pure actions
  vanish (Monderer and Shapley 1996, corollary 2.9).
"""

from __future__ import annotations

import itertools
import math

import numpy as np

from mcr2_landscape.markov.congestion import CongestionGame
from mcr2_landscape.markov.tables import ExactTables

_IDENTICAL = "identical interest: all players receive the same, and the common value is a potential"
_OWN_ENTROPIES = "; as the actions do not move the state, each player's entropies are its own affair and add to it"


def proved_potential(tables: ExactTables, *, averaged: bool = False) -> str | None:
    """The theorem that makes the game a Markov potential game, in words, or `None`.

    **Arguments:** `averaged`: whether only the states count that can be reached from the initial distribution.
    """
    N, S = tables.reward.shape[:2]
    if (words := _one_chooses(tables.reward.shape[2:])) is not None:
        return words
    scale = math.lcm(*{x.denominator for x in tables.reward.ravel()})
    reward = np.empty(tables.reward.shape, dtype=object)
    reward.ravel()[:] = [x.numerator * (scale // x.denominator) for x in tables.reward.ravel()]
    if (reward == reward[:1]).all():
        return _IDENTICAL
    if not moves_nothing(tables):
        return None
    step = np.array(tables.transition[(slice(None), *(0,) * N)] != 0)
    states = _reachable(step, tables.initial != 0) if averaged else np.ones(S, dtype=bool)
    for i, j in itertools.combinations(range(N), 2):
        difference = reward[i, states] - reward[j, states]
        by_own = difference - difference.take([0], axis=1 + i)
        if (by_own != by_own.take([0], axis=1 + j)).any():
            return None
    return (
        "the actions do not move the state, and every stage game has a potential: the discounted sum of the stage potentials "
        "is a potential"
    )


def proved_perturbed(tables: ExactTables, *, averaged: bool = False) -> str | None:
    """The theorem that makes the perturbed game a Markov potential game at every temperature, in words, or `None`."""
    words = proved_potential(tables, averaged=averaged)
    if words is None or _one_chooses(tables.reward.shape[2:]) is not None:
        return words
    return f"{words}{_OWN_ENTROPIES}" if moves_nothing(tables) else None


def _one_chooses(num_actions: tuple[int, ...]) -> str | None:
    if len(num_actions) == 1:
        return "a game with one player is a potential game: its value is the potential"
    if sum(count > 1 for count in num_actions) <= 1:
        return "at most one player has a choice: its value is the potential"
    return None


def moves_nothing(tables: ExactTables) -> bool:
    """Whether the transitions do not depend on the actions."""
    first = tables.transition[(slice(None), *(slice(1),) * tables.reward.shape[0])]
    return bool((tables.transition == first).all())


def proved_by_counts(game: CongestionGame, *, perturbed: bool = False) -> str | None:
    """The theorem that makes a congestion game, or the `perturbed` one at every temperature, a Markov potential game whatever
    its size, or `None`.

    With own rewards and transitions that do not depend on actions every stage game is a congestion game, which has Rosenthal's
    potential, Σ_m Σ_{l ≤ L_m} payoff(m, l).
    """
    ends = _OWN_ENTROPIES if perturbed else ""
    if game.common_interest and (game.action_independent or not perturbed):
        return f"{_IDENTICAL}{ends}"
    if game.action_independent:
        return (
            "the actions do not move the state, and every stage game is a congestion game: the discounted sum of Rosenthal's "
            f"potentials is a potential{ends}"
        )
    return None


def _reachable(step: np.ndarray, start: np.ndarray) -> np.ndarray:
    """The states that can be reached, (S,) of booleans, from those of `start`, by steps (S, S)."""
    found = np.array(start, dtype=bool)
    while True:
        more = found | step[found].any(axis=0)
        if (more == found).all():
            return found
        found = more
