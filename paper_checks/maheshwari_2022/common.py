"""Values of stationary policies by the definition, in plain NumPy, of complex policies too: derivatives by a complex step are
exact to rounding."""

from __future__ import annotations

import string
from collections.abc import Iterator
from typing import Any

import numpy as np

from mcr2_landscape.markov import MarkovGame, identical_interest, random_game, stage_potential

STEP = 1e-40
SHAPES = ((1, (2, 2)), (2, (2, 3)), (3, (2, 2)), (2, (2, 2, 2)), (3, (3, 2)))


def averaged(table: np.ndarray, policy: Any, leave: int | None = None) -> np.ndarray:
    """Σ over actions of `table` (S, A_1, …, A_N, …) times π; `leave` keeps that player's actions as an axis after the "
    "states."""
    letters = string.ascii_letters[1 : 1 + len(policy)]
    kept = "" if leave is None else letters[leave]
    terms = [f"A{letter}" for i, letter in enumerate(letters) if i != leave]
    own = [part for i, part in enumerate(policy) if i != leave]
    return np.einsum(",".join([f"A{letters}...", *terms]) + f"->A{kept}...", table, *own)


def entropies(policy: Any) -> np.ndarray:
    """H(π_i(s)), (N, S), of policies without zeros."""
    return np.stack([-np.sum(own * np.log(own), axis=1) for own in policy])


def resolvent(game: MarkovGame, policy: Any) -> np.ndarray:
    """(I − δP_π)⁻¹."""
    return np.linalg.inv(np.eye(game.num_states) - game.discount * averaged(game.transition, policy))


def values(game: MarkovGame, policy: Any, temperature: float = 0.0) -> np.ndarray:
    """Ṽ_i(s), (N, S)."""
    paid = np.stack([averaged(reward, policy) for reward in game.reward])
    if temperature:
        paid = paid + temperature * entropies(policy)
    return paid @ resolvent(game, policy).T


def q_of(game: MarkovGame, policy: Any, value: np.ndarray, temperature: float = 0.0) -> list[np.ndarray]:
    """E[u_i + δ Σ_t P value_i(t)] + τH_i(s) over the others' actions: (S, A_i) for each player."""
    own = entropies(policy) if temperature else np.zeros(value.shape)
    return [
        averaged(game.reward[i], policy, i)
        + game.discount * averaged(game.transition @ value[i], policy, i)
        + temperature * own[i][:, None]
        for i in range(game.num_players)
    ]


def softmax(scores: np.ndarray, temperature: float) -> np.ndarray:
    """exp(scores/τ), normalized, over the last axis."""
    raised = np.exp((scores - scores.max(axis=-1, keepdims=True)) / temperature)
    return raised / raised.sum(axis=-1, keepdims=True)


def with_own(policy: Any, player: int, own: np.ndarray) -> tuple[np.ndarray, ...]:
    """The policy with one player's replaced."""
    return (*policy[:player], own, *policy[player + 1 :])


def derivative(function: Any, policy: Any, directions: Any) -> np.ndarray:
    """The derivative of `function` of a policy along directions, one array for each player, by a complex step."""
    moved = tuple(own + 1j * STEP * direction for own, direction in zip(policy, directions, strict=True))
    return np.imag(function(moved)) / STEP


def games(random: np.random.Generator, count: int) -> Iterator[tuple[MarkovGame, Any]]:
    """Random games with random policies in the interior."""
    for number in range(count):
        states, actions = SHAPES[number % len(SHAPES)]
        game = random_game(states, actions, key=random, discount=round(float(random.uniform(0.1, 0.95)), 3))
        yield game, game.random_policy(key=random)


def potential_games(random: np.random.Generator, count: int) -> Iterator[tuple[MarkovGame, Any]]:
    """Markov potential games of the two kinds, in turn, with random policies in the interior."""
    for number in range(count):
        states, actions = SHAPES[number % len(SHAPES)]
        kind = identical_interest if number % 2 else stage_potential
        game = kind(states, actions, key=random, discount=round(float(random.uniform(0.1, 0.95)), 3))
        yield game, game.random_policy(key=random)
