"""Values of policies without rounding: over the rationals, and over the integers modulo a prime.

With common denominators cleared, (I − δP_π)V_i = r_i is a linear system of integers in each state. Over the rationals it is
solved as such (python-flint); modulo a prime p its solution is the rational one's residue wherever the determinant is no
multiple of p.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from flint import fmpz, fmpz_mat, nmod_mat

from mcr2_landscape.markov.game import Game
from mcr2_landscape.markov.tables import ExactTables, fraction
from mcr2_landscape.validation import InputError

# Numerators of each player's probabilities in each state, and their common denominator (1 modulo a prime): rows[i][s].
Row = tuple[Sequence[int], int]
Rows = tuple[tuple[Row, ...], ...]

SMALLEST_PRIME = 1 << 60
# There are more than 3x/(5 log x) primes between x and 2x, x at least 20.5 (Rosser and Schoenfeld 1962, corollary 3).
NUM_PRIMES = 3 * SMALLEST_PRIME / (5 * 60 * math.log(2))


class Singular(ArithmeticError):
    """A determinant is a multiple of the prime."""


def normalized(tables: ExactTables) -> ExactTables:
    """The tables with rows that sum to one exactly: in rows of rounded numbers, which sum to one nearly, the largest entry
    takes up the difference."""
    transition, initial = tables.transition, tables.initial.copy()
    if tables.rounded:
        transition = np.array(transition)
    for row in [*(transition.reshape(-1, transition.shape[-1]) if tables.rounded else ()), initial]:
        row[int(np.argmax(row))] += 1 - sum(row, Fraction(0))
    return tables._replace(transition=transition, initial=initial)


class IntegerGame:
    """The numbers of a game as integers, ready for linear systems.

    **Arguments:** `tables`, exact and with rows that sum to one.

    **Fields:** `rows`, for each state the entries (profile by profile, S transitions and then N rewards); `scales`, for each
    state the denominator of its transitions; `reward_scale`, that of all rewards; `discount`.
    """

    def __init__(self, tables: ExactTables):
        self.tables, self.discount = tables, tables.discount
        self.num_players, self.num_states = tables.reward.shape[:2]
        self.num_actions = tuple(int(count) for count in tables.reward.shape[2:])
        N, S = self.num_players, self.num_states
        self.reward_scale = _common(tables.reward.ravel())
        rewards = np.moveaxis(tables.reward.reshape(N, S, -1), 0, -1)  # (S, profiles, N)
        self.scales, self.rows = [], []
        for s in range(S):
            transition = tables.transition[s].reshape(-1, S)
            scale = _common(transition.ravel())
            self.scales.append(scale)
            integers: list[int] = []
            for chances, paid in zip(transition, rewards[s], strict=True):
                integers += [_times(x, scale) for x in chances]
                integers += [_times(x, self.reward_scale) for x in paid]
            self.rows.append(integers)

    @cached_property
    def num_profiles(self) -> int:
        """Π A_i."""
        return math.prod(self.num_actions)

    def values(self, policies: Sequence[Rows], prime: int | None = None) -> list[list[list[Any]]]:
        """`reward_scale` · V_i(s) of each policy: rationals (`fmpq`), or residues. Indices: policy, state, player.

        **Raises:** `Singular` where a determinant is a multiple of the prime.
        """
        N, S, u, v = self.num_players, self.num_states, self.discount.numerator, self.discount.denominator
        sums = []  # by state: what each policy averages, times its denominators
        denominators = [[math.prod(rows[i][s][1] for i in range(N)) for s in range(S)] for rows in policies]
        for s in range(S):
            weights: list[int] = []
            for rows in policies:
                weights += _products([rows[i][s][0] for i in range(N)], prime)
            left, right = (len(policies), self.num_profiles), (self.num_profiles, S + N)
            sums.append((_matrix(*left, weights, prime) * _matrix(*right, self.rows[s], prime)).table())
        found = []
        for k in range(len(policies)):
            system, paid = [], []
            for s in range(S):
                averaged, scale = sums[s][k], v * self.scales[s]
                row = [-u * x for x in averaged[:S]]
                row[s] += scale * denominators[k][s]
                system += row
                paid += [scale * x for x in averaged[S:]]
            try:
                solution = _matrix(S, S, system, prime).solve(_matrix(S, N, paid, prime))
            except ZeroDivisionError:
                raise Singular from None
            found.append(solution.table())
        return found

    def coefficient_bits(self) -> tuple[float, float]:
        """Binary digits that suffice for a value, not zero, which the numerator of a four-cycle takes somewhere, and the same
        for a determinant.

        Both are polynomials of degree at most 4 (at most 1) in each free probability, so that they are not zero everywhere on
        the grid of 0, …, 4 (Alon's Combinatorial Nullstellensatz). There the weights of the profiles sum, in size, to at most
        Π 8(A_i − 1), and a determinant is at most the product of its rows' 1-norms.
        """
        spread = math.prod(max(1, 8 * (count - 1)) for count in self.num_actions)
        determinant = sum(_bits(self.discount.denominator * scale * (1 + spread)) for scale in self.scales)
        largest = max(abs(_times(x, self.reward_scale)) for x in self.tables.reward.ravel())
        start = _common(self.tables.initial)
        return 4 * determinant + _bits(4 * 2 * max(1, largest) * spread * self.num_states * start), determinant


def exact_value(game: Game, policy: Any) -> np.ndarray:
    """V_i(s) as fractions: (N, S), an object array.

    **Arguments:** `policy`: for each player an array (S, A_i) of fractions, texts such as "1/3", integers, or floating point
    numbers, which stand for the dyadic rationals that they are.

    **Raises:** `InputError` for rows that are no probabilities of sum one exactly, and for a game too large for tables.

    Where the game was given in rounded numbers, rows of transitions that sum to one nearly are made to do so.
    """
    numbers = IntegerGame(normalized(game.to_tables().exact))
    rows = as_rows("policy", policy, numbers.num_states, numbers.num_actions)
    solved = numbers.values([rows])[0]
    out = np.empty((numbers.num_players, numbers.num_states), dtype=object)
    for s, row in enumerate(solved):
        out[:, s] = [as_fraction(x) / numbers.reward_scale for x in row]
    return out


def as_rows(name: str, policy: Any, num_states: int, num_actions: Sequence[int]) -> Rows:
    """A policy as integers over common denominators.

    **Raises:** `InputError` for another number of players, a wrong shape, or rows that are no probabilities of sum one exactly.
    """
    if not isinstance(policy, (tuple, list)) or len(policy) != len(num_actions):
        raise InputError(f"{name}: pass a tuple with an array (states, actions) for each of {len(num_actions)} players")
    return tuple(
        rows_of(
            f"{name}[{i}]",
            [[fraction(f"{name}[{i}]", x) for x in np.atleast_1d(row)] for row in np.asarray(own, dtype=object)],
            (num_states, count),
        )
        for i, (own, count) in enumerate(zip(policy, num_actions, strict=True))
    )


def rows_of(name: str, own: Sequence[Sequence[Fraction]], shape: tuple[int, int]) -> tuple[Row, ...]:
    """One player's rows of fractions as integers over common denominators.

    **Raises:** `InputError` for another shape, or rows that are no probabilities of sum one exactly.
    """
    if len(own) != shape[0] or any(len(row) != shape[1] for row in own):
        raise InputError(f"{name}: found rows of lengths {[len(row) for row in own]}; pass {shape[0]} of length {shape[1]}")
    out = []
    for s, row in enumerate(own):
        if min(row) < 0 or sum(row) != 1:
            raise InputError(
                f"{name}: row {s} sums to {float(sum(row)):.17g} exactly, least entry {float(min(row)):g}; pass fractions, at "
                "least zero, of sum one"
            )
        denominator = _common(row)
        out.append(([_times(x, denominator) for x in row], denominator))
    return tuple(out)


def rational_rows(draw: np.random.Generator, grid: int, num_states: int, num_actions: Sequence[int]) -> Rows:
    """Random mixed policies: each free probability is one of `grid` equally likely numbers, and the last is the rest."""
    out = []
    for count in num_actions:
        denominator = max(1, count - 1) * grid
        free = draw.integers(0, grid, size=(num_states, count - 1)).tolist()
        out.append(tuple(([*row, denominator - sum(row)], denominator) for row in free))
    return tuple(out)


def pure_rows(draw: np.random.Generator, num_states: int, num_actions: Sequence[int]) -> Rows:
    """Random deterministic policies."""
    out = []
    for count in num_actions:
        chosen = draw.integers(0, count, size=num_states).tolist()
        out.append(tuple(([int(a == own) for a in range(count)], 1) for own in chosen))
    return tuple(out)


def modular_rows(draw: np.random.Generator, prime: int, num_states: int, num_actions: Sequence[int]) -> Rows:
    """Random points modulo a prime, each row uniform among those that sum to one."""
    out = []
    for count in num_actions:
        free = draw.integers(0, prime, size=(num_states, count - 1)).tolist()
        out.append(tuple(([*row, (1 - sum(row)) % prime], 1) for row in free))
    return tuple(out)


def random_prime(draw: np.random.Generator) -> int:
    """A random prime between 2⁶⁰ and 2⁶¹."""
    while True:
        found = int(draw.integers(SMALLEST_PRIME, 2 * SMALLEST_PRIME))
        if fmpz(found).is_prime():
            return found


def as_fraction(number: Any) -> Fraction:
    """A rational of python-flint as a fraction."""
    return Fraction(int(number.p), int(number.q))


def as_policy(rows: Sequence[Sequence[Row]]) -> tuple[np.ndarray, ...]:
    """Rows as arrays of fractions."""
    out = []
    for own in rows:
        array = np.empty((len(own), len(own[0][0])), dtype=object)
        for s, (numerators, denominator) in enumerate(own):
            array[s] = [Fraction(int(x), denominator) for x in numerators]
        out.append(array)
    return tuple(out)


def _matrix(rows: int, columns: int, entries: list[Any], prime: int | None) -> Any:
    if prime is None:
        return fmpz_mat(rows, columns, entries)
    return nmod_mat(rows, columns, entries, prime)


def _products(factors: Sequence[Sequence[int]], prime: int | None) -> list[int]:
    """The products of one entry of each, the last one's index running fastest."""
    out = [1]
    for row in factors:
        out = [w * x for w in out for x in row] if prime is None else [w * x % prime for w in out for x in row]
    return out


def _common(numbers: Any) -> int:
    return math.lcm(*{x.denominator for x in numbers})


def _times(number: Fraction, scale: int) -> int:
    return number.numerator * (scale // number.denominator)


def _bits(number: int) -> int:
    return int(number).bit_length()
