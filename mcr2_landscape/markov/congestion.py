"""Congestion games: what players receive, and where the state goes, depends on how many of them chose each route."""

from __future__ import annotations

import itertools
from fractions import Fraction
from functools import cached_property
from math import comb
from typing import Any

import numpy as np

from mcr2_landscape.markov import counts, policies, tables
from mcr2_landscape.markov.counts import Loads
from mcr2_landscape.markov.decisions import Decisions
from mcr2_landscape.markov.factored import FactoredTransitions, NextConditions
from mcr2_landscape.markov.game import Game, MarkovGame
from mcr2_landscape.markov.policies import Policy
from mcr2_landscape.markov.transitions import DenseTransitions, FixedTransitions, Transitions
from mcr2_landscape.validation import InputError, check_shape, positive_integer

_LARGEST_TABLE = 1 << 24
_LARGEST_DENSE = 1 << 22
MOST_ROUTES = 16


class CongestionGame(Game):
    """N players choose among M routes, each of which is in one of two conditions, 0 or 1. The state is the conditions of all
    routes, S = 2^M of them, the first route's the most significant.

    A player on route m with load L, players on it with itself counted, receives `payoff[s, m, L]`; with `common_interest`
    every player receives the sum of what all receive. Route m is in condition 0 next with probability `stays[m, L]`, whatever
    the state and the other routes; `action_independent` averages the transitions over all actions, each player uniform.

    **Arguments:** `num_players`; `payoff` (S, M, N + 1); `stays` (M, N + 1), probabilities; `discount`; `initial` (S,), by
    default uniform. Numbers as for `MarkovGame`: floating point or exact.

    **Raises:** `InputError` for tables of other shapes, entries that are no finite numbers or no probabilities, fewer than two
    routes, a discount outside of (0, 1).

    Evaluation is by distributions of loads, of which there are C(N + M − 1, M − 1) and not M^N, and transitions are applied
    without being formed where they would be large. Its errors, `InputError`, name `num_players` where these distributions take
    more than a gigabyte.
    """

    def __init__(
        self,
        num_players: int,
        payoff: Any,
        stays: Any,
        discount: Any,
        initial: Any = None,
        *,
        common_interest: bool = False,
        action_independent: bool = False,
    ):
        N = positive_integer("num_players", num_players)
        self.payoff, self.stays = tables.number_table("payoff", payoff), tables.number_table("stays", stays)
        if self.stays.ndim != 2 or not 2 <= self.stays.shape[0] <= MOST_ROUTES:
            raise InputError(
                f"stays: found shape {self.stays.shape}; pass (M, N + 1) for M routes, from two to {MOST_ROUTES} of them"
            )
        M = self.stays.shape[0]
        self.num_routes, self.num_states, self.num_actions = M, 2**M, (M,) * N
        check_shape("stays", self.stays.shape, (M, N + 1))
        check_shape("payoff", self.payoff.shape, (2**M, M, N + 1))
        if not ((self.stays >= 0) & (self.stays <= 1)).all():
            raise InputError(f"stays: found {float(self.stays.min()):g} to {float(self.stays.max()):g}; pass probabilities")
        self._given_discount, self._rounded = tables.fraction("discount", discount), tables.is_rounded(discount)
        self._given_initial = None if initial is None else tables.number_table("initial", initial)
        if not 0 < self._given_discount < 1:
            raise InputError(f"discount: found {float(self._given_discount):g}; pass a number between zero and one")
        self.discount = float(self._given_discount)
        start = np.full(2**M, 1 / 2**M) if self._given_initial is None else self._given_initial.astype(np.float64)
        self.initial = policies.distribution("initial", start, (2**M,))
        self.common_interest, self.action_independent = bool(common_interest), bool(action_independent)

    def __repr__(self) -> str:
        return f"CongestionGame(num_players={self.num_players}, num_routes={self.num_routes}, discount={self.discount:g})"

    def arguments(self) -> dict[str, Any]:
        """The payoffs and probabilities by load, exact numbers as integers and texts."""
        return {
            "kind": "congestion",
            "num_players": self.num_players,
            "payoff": tables.plain(self.payoff),
            "stays": tables.plain(self.stays),
            "discount": self.discount if self._rounded else tables.plain_number(self._given_discount),
            "initial": None if self._given_initial is None else tables.plain(self._given_initial),
            "common_interest": self.common_interest,
            "action_independent": self.action_independent,
        }

    @cached_property
    def conditions(self) -> np.ndarray:
        """The condition of each route in each state, (S, M) of 0 and 1."""
        return np.array(list(itertools.product((0, 1), repeat=self.num_routes)))

    # -- by counts ----------------------------------------------------------------------------------------------------------

    @cached_property
    def _loads(self) -> Loads:
        counts.check_size(self.num_players, self.num_states, self.num_routes)
        return Loads(self.num_players, self.num_routes)

    @cached_property
    def _on_and_off(self) -> Loads:
        return Loads(self.num_players, 2)

    @cached_property
    def _averaged(self) -> np.ndarray:
        """The transitions averaged over all actions, (S,): one row for all states."""
        zero = self.stays.astype(np.float64)
        return counts.of_even_players(self.num_players, self.num_routes, np.stack([zero, 1 - zero], axis=1))

    @property
    def _is_dense(self) -> bool:
        """Whether the transitions of all players and actions are formed, which is the faster way while there are few."""
        return self.num_players * self.num_routes * self.num_states**2 <= _LARGEST_DENSE

    @property
    def _numbers(self) -> int:
        N, M, S = self.num_players, self.num_routes, self.num_states
        if self.action_independent:
            return N * S * max(N, M)
        others = N * S * max(N, comb(N + M - 2, M - 1))
        return max(others, N * M * S * S) if self._is_dense else others

    def _decisions_of(self, policy: Policy) -> list[Decisions]:
        own = np.stack(policy)  # (N, P, S, M)
        N, P, S, M = own.shape
        # Distributions of loads are found state by state, so that the states of all policies stand side by side.
        rows = own.reshape(N, P * S, M)
        reward = self._rewards(rows, P).reshape(N * P, S, M)
        return [Decisions(tuple(range(N)), reward, self._transitions(rows, P), self.discount)]

    def _transitions(self, rows: np.ndarray, num_policies: int) -> Transitions:
        if self.action_independent:
            return FixedTransitions(self._averaged, self.num_routes)
        N, S, M = self.num_players, self.num_states, self.num_routes
        following = NextConditions(self._loads, self.stays.astype(np.float64))
        found = FactoredTransitions(self._loads.of_others(rows), following)
        if self._is_dense:
            return DenseTransitions(found.dense().reshape(-1, S, M, S))
        others = found.others.reshape(N, -1, num_policies, S)
        return FactoredTransitions(others.swapaxes(1, 2).reshape(N * num_policies, -1, S), following)

    def _rewards(self, rows: np.ndarray, num_policies: int) -> np.ndarray:
        """r_i(s, m), (N, rows, M), from the load of one route at a time."""
        out = np.zeros(rows.shape)
        for m in range(self.num_routes):
            paid = np.tile(self.payoff[:, m].astype(np.float64), (num_policies, 1))
            if self.common_interest:
                paid *= np.arange(self.num_players + 1)
            chance = np.stack([rows[..., m], 1 - rows[..., m]], axis=-1)
            for part, others in self._on_and_off.in_parts(chance):
                on = np.einsum("nlr,rl->nr", others, paid[part, 1:])
                if self.common_interest:
                    off = np.einsum("nlr,rl->nr", others, paid[part, :-1])
                    out[:, part] += off[..., None]
                    out[:, part, m] += on - off
                else:
                    out[:, part, m] = on
        return out

    # -- by tables ----------------------------------------------------------------------------------------------------------

    def to_tables(self) -> MarkovGame:
        """The same game, given by tables; exact where this one is.

        **Raises:** `InputError` where they would have more than 2²⁴ entries.
        """
        N, M, S = self.num_players, self.num_routes, self.num_states
        entries = M**N * S * (S + N)
        if entries > _LARGEST_TABLE:
            raise InputError(
                f"num_players: a table of {entries:,} entries is more than {_LARGEST_TABLE:,}; take fewer players or "
                "routes, or ask what a CongestionGame answers without tables: values, best responses, learning"
            )
        dtype = object if object in (self.payoff.dtype, self.stays.dtype) else np.float64
        payoff, stays = (tables.as_fractions(t) if dtype is object else t.astype(dtype) for t in (self.payoff, self.stays))
        profiles = np.array(list(itertools.product(range(M), repeat=N)))
        loads = np.stack([(profiles == m).sum(axis=1) for m in range(M)], axis=1)  # (profiles, M)
        zero = stays[np.arange(M), loads]
        kernel = np.stack(
            [np.prod(np.where(row == 0, zero, 1 - zero), axis=1) for row in self.conditions], axis=1
        )  # (profiles, S)
        if self.action_independent:
            kernel = np.broadcast_to(kernel.sum(axis=0) / (Fraction(M**N) if dtype is object else M**N), kernel.shape)
        paid = payoff[:, np.arange(M), loads]  # (S, profiles, M): what each route pays
        if self.common_interest:
            reward = np.broadcast_to((paid * loads).sum(axis=2), (N, S, M**N))
        else:
            reward = np.stack([np.take_along_axis(paid, own[None, :, None], axis=2)[..., 0] for own in profiles.T])
        shape = (M,) * N
        return MarkovGame(
            np.broadcast_to(kernel, (S, *kernel.shape)).reshape(S, *shape, S),
            reward.reshape(N, S, *shape),
            self.discount if self._rounded else self._given_discount,
            self._given_initial,
        )
