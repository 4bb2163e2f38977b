"""Markov games: what is asked of a policy in any of them, and the game that is given by tables.

Players i = 1 … N see the state s, choose actions a_i independently, a_i ~ π_i(· | s), receive u_i(s, a), and the state moves to
t with probability P(t | s, a). With the discount δ in (0, 1)

    V_i(s) = E[Σ_k δᵏ u_i(s_k, a_k)],   Q_i(s, a_i) = E over the others' actions of u_i + δ Σ_t P(t | s, a) V_i(t).

With a temperature τ > 0 player i is paid τ H(π_i(s)) in addition, H the entropy: Ṽ_i = V_i + τD_i, D_i = (I − δP_π)⁻¹H_i, and
Q̃_i = E[u_i + δPṼ_i] + τH_i. The smoothed one-stage deviation is softmax(Q̃_i/τ).

Source: Maheshwari, Wu, Pai, Sastry, *Independent and Decentralized Learning in Markov Potential Games* (arXiv 2205.14590).
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from mcr2_landscape.markov import policies, tables
from mcr2_landscape.markov.decisions import Decisions
from mcr2_landscape.markov.policies import Policy
from mcr2_landscape.markov.tables import ExactTables
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, real


@dataclass(frozen=True)
class BestResponse(Record):
    """What a player can make of a policy of the others.

    **Fields:** `player`; `policy` (S, A_i): deterministic, or the softmax of its own Q̃/τ where a temperature was given;
    `value` (S,): what it is worth in each state; `gain` (S,): by how much that exceeds the value of the present policy.
    """

    player: int
    policy: np.ndarray
    value: np.ndarray
    gain: np.ndarray


@dataclass(frozen=True)
class NashGap(Record):
    """How far a policy is from an equilibrium.

    **Fields:** `gains` (N, S): what each player gains by its best response, by initial state; `maximum` of them, at `player`
    and `state`; `temperature` of the perturbed game, or zero.
    """

    gains: np.ndarray
    maximum: float
    player: int
    state: int
    temperature: float = 0.0


class Game(abc.ABC):
    """What can be asked of a Markov game, whatever it is given by.

    A subclass says what each player faces when the others' policies are fixed (`_decisions_of`).

    A policy is a tuple with an array (S, A_i) of probabilities for each player; `policy` arguments raise `InputError` for
    another number of players, a wrong shape, NaN, or rows that are no probabilities; `temperature` for numbers below zero.
    """

    discount: float
    initial: np.ndarray
    num_states: int
    num_actions: tuple[int, ...]

    @property
    def num_players(self) -> int:
        """N."""
        return len(self.num_actions)

    def _decisions(self, policy: Policy) -> list[Decisions]:
        """The players' decision problems at a checked policy, those with equally many actions together."""
        return self._decisions_of(tuple(own[None] for own in policy))

    @abc.abstractmethod
    def _decisions_of(self, policy: Policy) -> list[Decisions]:
        """The same at P policies at once, arrays (P, S, A_i): n · P problems, those of one player together, for n `players`."""

    @property
    @abc.abstractmethod
    def _numbers(self) -> int:
        """How many numbers the largest array takes that the decision problems at one policy are made of."""

    @abc.abstractmethod
    def to_tables(self) -> MarkovGame:
        """The same game, given by tables.

        **Raises:** `InputError` where they would be too large.
        """

    @abc.abstractmethod
    def arguments(self) -> dict[str, Any]:
        """What the game is made of, as plain JSON values: its kind, and the arguments that make it (`markov.save_game`)."""

    @property
    def exact(self) -> ExactTables:
        """The numbers of the game as fractions. Errors as `to_tables`."""
        return self.to_tables()._exact

    # -- policies -----------------------------------------------------------------------------------------------------------

    def policy(self, policy: Any) -> Policy:
        """A policy as float64 arrays, checked."""
        return policies.checked("policy", policy, self.num_states, self.num_actions)

    def uniform_policy(self) -> Policy:
        """Every player plays all actions alike."""
        return policies.uniform(self.num_states, self.num_actions)

    def random_policy(self, *, key: Any) -> Policy:
        """Each π_i(· | s) uniform on the simplex.

        **Raises:** `InputError` for a bad key.
        """
        return policies.random(self.num_states, self.num_actions, key)

    def deterministic_policy(self, actions: Any) -> Policy:
        """The policy that plays `actions[player][state]`, integers of shape (N, S).

        **Raises:** `InputError` for another shape, or numbers that are no actions.
        """
        return policies.deterministic(actions, self.num_states, self.num_actions)

    # -- evaluation ---------------------------------------------------------------------------------------------------------

    def value(self, policy: Any, *, temperature: float = 0.0) -> np.ndarray:
        """V_i(s), or Ṽ_i(s) at a temperature: (N, S)."""
        return self._values(self.policy(policy), _temperature(temperature))[0]

    def q_value(self, policy: Any, *, temperature: float = 0.0) -> Policy:
        """Q_i(s, a_i), or Q̃_i at a temperature: an array (S, A_i) for each player."""
        policy, temperature = self.policy(policy), _temperature(temperature)
        value, problems = self._values(policy, temperature)
        q: list[Any] = [None] * self.num_players
        for problem in problems:
            for player, own in zip(problem.players, problem.q_value(value[list(problem.players)]), strict=True):
                q[player] = own + temperature * policies.entropy(policy[player])[:, None]
        return tuple(q)

    def _values(self, policy: Policy, temperature: float) -> tuple[np.ndarray, list[Decisions]]:
        value, problems = np.empty((self.num_players, self.num_states)), self._decisions(policy)
        for problem in problems:
            own = np.stack([policy[i] for i in problem.players])
            value[list(problem.players)] = problem.evaluate(own, temperature * policies.entropy(own))
        return value, problems

    def state_transition(self, policy: Any) -> np.ndarray:
        """P_π[s, t] = Σ_a π(a | s) P(t | s, a): (S, S).

        **Raises:** `InputError` where it would have more than 2²⁶ entries.
        """
        policy = self.policy(policy)
        if self.num_states**2 > tables.LARGEST:
            raise InputError(
                f"game: found {self.num_states:,} states, whose transitions are {self.num_states**2:,} numbers, more than "
                f"{tables.LARGEST:,}; ask for value and occupancy, which do without them"
            )
        alone = self._decisions(policy)[0].alone(0)
        return np.array(alone.transition.step(policy[alone.players[0]][None])[0])

    def occupancy(self, policy: Any, *, initial: Any = None) -> np.ndarray:
        """Expected discounted visits Σ_k δᵏ Pr(s_k = s), of sum 1/(1 − δ): (S,).

        **Arguments:** `initial`: a distribution of the first state, by default the game's.
        """
        first = self.initial if initial is None else policies.distribution("initial", initial, (self.num_states,))
        policy = self.policy(policy)
        alone = self._decisions(policy)[0].alone(0)
        return alone.transition.visits(policy[alone.players[0]][None], first[None], self.discount)[0]

    # -- best responses -----------------------------------------------------------------------------------------------------

    def best_response(self, policy: Any, player: int, *, temperature: float = 0.0) -> BestResponse:
        """The best policy of one player against the others', exact by policy iteration.

        **Raises:** `InputError` for a player that is none.
        """
        policy, temperature = self.policy(policy), _temperature(temperature)
        if isinstance(player, bool) or not isinstance(player, (int, np.integer)) or not 0 <= player < self.num_players:
            raise InputError(f"player: found {player!r}; pass a number from 0 to {self.num_players - 1}")
        problem = next(found for found in self._decisions(policy) if player in found.players)
        alone = problem.alone(problem.players.index(int(player)))
        best, value = alone.best(temperature)
        own = policy[player]
        gain = value[0] - alone.evaluate(own[None], temperature * policies.entropy(own))[0]
        return BestResponse(int(player), best[0], value[0], gain)

    def nash_gap(self, policy: Any, *, temperature: float = 0.0) -> NashGap:
        """What each player gains by its best response, in each state, and the largest of these gains."""
        policy, temperature = self.policy(policy), _temperature(temperature)
        value, problems = self._values(policy, temperature)
        gains = -value
        for problem in problems:
            gains[list(problem.players)] += problem.best(temperature)[1]
        player, state = np.unravel_index(int(gains.argmax()), gains.shape)
        return NashGap(gains, float(gains[player, state]), int(player), int(state), temperature)

    def potential(self, policy: Any, *, reference: Any = None) -> np.ndarray:
        """Φ(s, π) − Φ(s, π⁰) of a Markov potential game: (S,).

        The sum over players of what V_i gains when one after the other goes from π⁰ to π. In a game that is no Markov potential
        game it depends on the players' order and means nothing (`potential_test` tells).

        **Arguments:** `reference`: π⁰, by default the uniform policy.
        """
        policy = self.policy(policy)
        mixed = (
            self.uniform_policy()
            if reference is None
            else policies.checked("reference", reference, self.num_states, self.num_actions)
        )
        total, before = np.zeros(self.num_states), self._values(mixed, 0.0)[0]
        for i in range(self.num_players):
            mixed = (*policy[: i + 1], *mixed[i + 1 :])
            after = self._values(mixed, 0.0)[0]
            total += after[i] - before[i]
            before = after
        return total


def checked_game(game: Any) -> Game:
    """The argument, if it is a game.

    **Raises:** `InputError` otherwise.
    """
    if not isinstance(game, Game):
        raise InputError(f"game: found {type(game).__name__}; pass a MarkovGame or a CongestionGame")
    return game


class MarkovGame(Game):
    """A game that is given by tables.

    **Arguments:** `transition` (S, A_1, …, A_N, S): P(t | s, a); `reward` (N, S, A_1, …, A_N): u_i(s, a); `discount` δ;
    `initial` (S,), the distribution of the first state, by default uniform. Numbers are floating point, or exact: integers,
    fractions, texts such as "4/5" (in object arrays).

    **Raises:** `InputError` for tables that do not fit together or are too large, entries that are no finite numbers,
    rows of `transition` that are no probabilities (the first is named), a discount outside of (0, 1).
    """

    def __init__(self, transition: Any, reward: Any, discount: Any, initial: Any = None):
        given_transition, given_reward = tables.number_table("transition", transition), tables.number_table("reward", reward)
        shape = given_transition.shape
        if given_transition.ndim < 3 or shape[0] != shape[-1] or 0 in shape:
            raise InputError(
                f"transition: found shape {shape}; pass (S, A_1, …, A_N, S), states first and last, an axis of actions for "
                "each player between them"
            )
        self.num_states, self.num_actions = shape[0], tuple(int(count) for count in shape[1:-1])
        wanted = (self.num_players, *shape[:-1])
        if given_reward.shape != wanted:
            raise InputError(
                f"reward: found shape {given_reward.shape}; pass (N, S, A_1, …, A_N) = {wanted}, by the shape of transition"
            )
        tables.check_rows(given_transition)
        self._given_discount = tables.fraction("discount", discount)
        if not 0 < self._given_discount < 1:
            raise InputError(f"discount: found {float(self._given_discount):g}; pass a number between zero and one")
        start = None if initial is None else tables.number_table("initial", initial)
        self._given = given_transition, given_reward, start
        self._rounded = tables.is_rounded(discount)
        self.discount = float(self._given_discount)
        self.transition, self.reward = given_transition.astype(np.float64), given_reward.astype(np.float64)
        if start is not None and start.dtype == object and sum(start.ravel(), Fraction(0)) != 1:
            raise InputError(f"initial: sums to {sum(start.ravel(), Fraction(0))}; exact probabilities sum to one exactly")
        even = np.full(self.num_states, 1 / self.num_states)
        self.initial = policies.distribution("initial", even if start is None else start.astype(float), (self.num_states,))

    def __repr__(self) -> str:
        return f"MarkovGame(num_players={self.num_players}, num_states={self.num_states}, num_actions={self.num_actions})"

    @cached_property
    def _exact(self) -> ExactTables:
        transition, reward, initial = self._given
        if initial is None:
            start = np.full(self.num_states, tables.fraction("initial", f"1/{self.num_states}"), dtype=object)
        else:
            start = tables.as_fractions(initial)
        rounded = self._rounded or any(tables.has_rounded(given) for given in self._given if given is not None)
        return ExactTables(tables.as_fractions(transition), tables.as_fractions(reward), self._given_discount, start, rounded)

    def to_tables(self) -> MarkovGame:
        """The game itself."""
        return self

    def arguments(self) -> dict[str, Any]:
        """The tables, exact numbers as integers and texts."""
        transition, reward, initial = self._given
        return {
            "kind": "tables",
            "transition": tables.plain(transition),
            "reward": tables.plain(reward),
            "discount": self.discount if self._rounded else tables.plain_number(self._given_discount),
            "initial": None if initial is None else tables.plain(initial),
        }

    @property
    def _numbers(self) -> int:
        return self.transition.size + self.reward.size

    def _decisions_of(self, policy: Policy) -> list[Decisions]:
        # A player's problem averages over all others: from the left over those before it, once for all, then from the right.
        both = np.concatenate([self.transition, np.moveaxis(self.reward, 0, -1)], axis=-1)  # (S, A_1, …, A_N, S + N)
        before, problems = np.broadcast_to(both, (policy[0].shape[0], *both.shape)), {}
        for i, count in enumerate(self.num_actions):
            alone = before
            for own in reversed(policy[i + 1 :]):  # the last axis of actions goes first
                alone = np.einsum("ps...ax,psa->ps...x", alone, own)
            problems.setdefault(count, []).append((i, alone))
            before = np.einsum("psa...x,psa->ps...x", before, policy[i])
        S = self.num_states
        return [
            Decisions(
                tuple(i for i, _ in found),
                np.concatenate([alone[..., S + i] for i, alone in found]),
                np.concatenate([alone[..., :S] for _, alone in found]),
                self.discount,
            )
            for found in problems.values()
        ]


def _temperature(value: float) -> float:
    number = real("temperature", value)
    if number < 0:
        raise InputError(f"temperature: found {number:g}; pass zero, for the game as it is, or a number above")
    return number
