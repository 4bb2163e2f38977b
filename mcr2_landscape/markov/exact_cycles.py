"""The decision test over the rationals, or modulo random primes and then over the rationals, with its error bound."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np

from mcr2_landscape.markov import exact_evaluation as evaluation
from mcr2_landscape.markov.cycles import Cycle, PotentialTest, changed, corners_of
from mcr2_landscape.markov.exact_evaluation import IntegerGame, Rows
from mcr2_landscape.markov.tables import ExactTables
from mcr2_landscape.verdict import Evidence, Verdict

ERROR = 1e-12  # a wrong "holds" is less probable than this, unless the number of points says otherwise
_GRID = 1 << 50
_SHORT = 64  # binary digits of a fraction that is shown as such
_ROUNDING = 1e-9  # relative size of four-cycles that rounded numbers alone can make


class ExactTest:
    """Over the rationals, or modulo random primes and then over the rationals."""

    def __init__(self, tables: ExactTables, notion: str, arithmetic: str, draw: np.random.Generator):
        self.tables, self.notion, self.arithmetic, self.draw = tables, notion, arithmetic, draw
        self.numbers = IntegerGame(tables)
        self.N, self.S, self.num_actions = self.numbers.num_players, self.numbers.num_states, self.numbers.num_actions

    def run(self, points: int | None) -> PotentialTest:
        """The answer, after so many points, by default as many as bring the error bound below 1e-12."""
        each = self.error_bound()
        if points is None:
            points = 1 if each < ERROR else math.ceil(math.log(ERROR) / math.log(min(each, 0.99)))
        for tried in range(1, points + 1):
            pair = self.modular_point() if self.arithmetic == "modular" else self.rational_point()
            if pair is not None:
                return self.refuted(pair, tried)
        bound = min(1.0, each) ** points
        where = "modulo random primes" if self.arithmetic == "modular" else "over the rationals"
        words = (
            f"all four-cycles vanish at {points} random point{'s' if points > 1 else ''} {where}; in a game that is no Markov "
            f"potential game this has a probability of at most {bound:.1e}"
        )
        found, proof = Verdict.HOLDS, Evidence.NUMERICAL
        return PotentialTest(found, proof, bound, self.notion, self.arithmetic, 0.0, points, 0.0, None, None, words)

    def error_bound(self) -> float:
        """Of a single point.

        Modulo a prime drawn at random, there is in addition the chance that it divides the numerator everywhere: it divides the
        number that the numerator is at some point of a small grid, which has too few digits for many primes above 2⁶⁰. Points
        at which a determinant vanishes are drawn again, with their prime; the bound is then that of a conditional probability.
        """
        degree = self.N * (4 * self.S - 3)
        if self.arithmetic == "rationals":
            return degree / _GRID
        numerator, determinant = (
            bits / 60 / evaluation.NUM_PRIMES if bits else 0.0 for bits in self.numbers.coefficient_bits()
        )
        num_policies = 1 + self.N + self.N * (self.N - 1) // 2
        again = determinant + num_policies * self.N * (self.S - 1) / evaluation.SMALLEST_PRIME
        return (numerator + degree / evaluation.SMALLEST_PRIME) / (1 - again) if again < 0.5 else 1.0

    def modular_point(self) -> tuple[int, int] | None:
        """`first_nonzero` at a random point modulo a random prime."""
        while True:
            prime = evaluation.random_prime(self.draw)
            policy, other = (evaluation.modular_rows(self.draw, prime, self.S, self.num_actions) for _ in range(2))
            try:
                return self.first_nonzero(policy, other, prime)
            except evaluation.Singular:
                continue

    def rational_point(self) -> tuple[int, int] | None:
        """`first_nonzero` at a random rational point."""
        policy, other = (evaluation.rational_rows(self.draw, _GRID, self.S, self.num_actions) for _ in range(2))
        return self.first_nonzero(policy, other, None)

    def first_nonzero(self, policy: Rows, other: Rows, prime: int | None) -> tuple[int, int] | None:
        """The first pair of players with a four-cycle that does not vanish."""
        pairs = list(itertools.combinations(range(self.N), 2))
        all_corners = [policy]
        all_corners += [changed(policy, {i: other[i]}) for i in range(self.N)]
        all_corners += [changed(policy, {i: other[i], j: other[j]}) for i, j in pairs]
        values = self.numbers.values(all_corners, prime)
        alone, single, double = values[0], values[1 : 1 + self.N], values[1 + self.N :]
        for (i, j), both in zip(pairs, double, strict=True):
            if any(value != 0 for value in self.cycles((i, j), alone, single[i], both, single[j])):
                return i, j
        return None

    def cycles(self, pair: tuple[int, int], *corners: list[list[Any]]) -> list[Any]:
        """Times the rewards' denominator, from each initial state, or the one average."""
        i, j = pair
        A, B, C, D = ([row[i] - row[j] for row in corner] for corner in corners)
        by_state = [b - a - c + d for a, b, c, d in zip(A, B, C, D, strict=True)]
        if self.notion == "state-wise":
            return by_state
        start = self.tables.initial
        scale = math.lcm(*(mu.denominator for mu in start))
        total = by_state[0] * int(start[0] * scale)
        for mu, value in zip(start[1:], by_state[1:], strict=True):
            total += value * int(mu * scale)
        return [total]

    def witness(self, pair: tuple[int, int]) -> tuple[Cycle, float]:
        """A four-cycle of this pair over the rationals that does not vanish, and its size relative to the values in it: the
        largest of a few with short numbers, deterministic policies among them."""
        found: list[tuple[Cycle, float]] = []
        for grid in (1, 1, 1, 2, 2, 2, 4, 16, 256, *[_GRID] * 20):
            if found and grid > 2:
                break
            cycle = self.drawn(pair, grid)
            if cycle is not None:
                found.append(cycle)
        if not found:
            raise AssertionError("a rational function that is not zero does not vanish at twenty random points")
        return max(found, key=lambda pair: abs(pair[0].value))

    def drawn(self, pair: tuple[int, int], grid: int) -> tuple[Cycle, float] | None:
        """A four-cycle at random policies, deterministic ones on a grid of 1, and its size relative to the values in it; `None`
        where it vanishes."""
        i, j = pair
        start = math.lcm(*(mu.denominator for mu in self.tables.initial)) if self.notion == "averaged" else 1
        policy, other = (self.random_rows(grid) for _ in range(2))
        chosen = corners_of(pair, (other[i], other[j]))
        corners = self.numbers.values([changed(policy, dict(c)) for c in chosen])
        values = [evaluation.as_fraction(x) / (start * self.numbers.reward_scale) for x in self.cycles(pair, *corners)]
        state = max(range(len(values)), key=lambda s: abs(values[s]))
        if values[state] == 0:
            return None
        largest = max(abs(evaluation.as_fraction(x)) for corner in corners for row in corner for x in row)
        cycle = Cycle(
            pair,
            state if self.notion == "state-wise" else None,
            evaluation.as_policy(policy),
            (evaluation.as_policy([other[i]])[0], evaluation.as_policy([other[j]])[0]),
            values[state],
        )
        return cycle, float(abs(values[state]) * self.numbers.reward_scale / largest)

    def random_rows(self, grid: int) -> Rows:
        """Random policies of all players."""
        if grid == 1:
            return evaluation.pure_rows(self.draw, self.S, self.num_actions)
        return evaluation.rational_rows(self.draw, grid, self.S, self.num_actions)

    def refuted(self, pair: tuple[int, int], points: int) -> PotentialTest:
        """The answer by a four-cycle of this pair."""
        cycle, size = self.witness(pair)
        where = "on average over the initial states" if cycle.state is None else f"from state {cycle.state}"
        exact = Fraction(cycle.value)
        short = exact.numerator.bit_length() + exact.denominator.bit_length() <= _SHORT
        value = str(exact) if short else f"about {float(cycle.value):.6g} (known exactly)"
        words = f"players {pair[0]} and {pair[1]} have a four-cycle {where} of {value}, which is not zero"
        if self.tables.rounded and size < _ROUNDING:
            words += (
                f"; at {size:.0e} of the values it may be due to rounded numbers alone: pass fractions, or texts such as "
                "'4/5', for the game that is meant, or decide in floating point"
            )
        found, proof = Verdict.REFUTED, Evidence.EXACT
        return PotentialTest(
            found, proof, 0.0, self.notion, self.arithmetic, 0.0, points, size, None, cycle, words, self.tables
        )
