"""The decision test for the perturbed game, whose values are no rational numbers: Ṽ_i = V_i + τD_i, D_i = (I − δP_π)⁻¹H_i.

Four-cycles of Ṽ are looked for in floating point, at policies of short rationals; one that is clearly not zero is enclosed by
balls before it refutes. That all vanish is known where a theorem says so: if the actions do not move the state, D_i depends on
π_i alone, and Φ + τΣD_i is a potential if Φ is one of the game. Else nothing is decided.
"""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np

from mcr2_landscape.certify import CertificateError
from mcr2_landscape.markov import exact_evaluation as evaluation
from mcr2_landscape.markov.cycles import Cycle, PotentialTest, pair_cycles, rounding_of
from mcr2_landscape.markov.game import MarkovGame
from mcr2_landscape.markov.tables import ExactTables
from mcr2_landscape.verdict import Evidence, Verdict

ARITHMETIC = "balls"
_GRIDS = (2, 2, 4, 16, 256, 256)
# A smaller four-cycle, relative to the values' changes, may be rounding; a clear one has so many digits that bounds hold it.
_CLEAR, _PRECISE = 1e-8, 1e6


def perturbed_test(
    game: MarkovGame,
    tables: ExactTables,
    temperature: Fraction,
    notion: str,
    points: int | None,
    draw: np.random.Generator,
) -> PotentialTest:
    """The answer by random points, by default 6 of them, where no theorem gives one.

    **Arguments:** `tables` of the `game`, with rows that sum to one exactly; `temperature` τ > 0.
    """
    grids = [_GRIDS[min(k, len(_GRIDS) - 1)] for k in range(points or len(_GRIDS))]
    largest, rounding = 0.0, rounding_of(game)
    for tried, grid in enumerate(grids, start=1):
        rows, others = (evaluation.rational_rows(draw, grid, game.num_states, game.num_actions) for _ in range(2))
        policy, other = evaluation.as_policy(rows), evaluation.as_policy(others)
        here, there = (tuple(own.astype(np.float64) for own in exact) for exact in (policy, other))
        for found in pair_cycles(game, here, there, notion, float(temperature)):
            size = found.size / found.change if found.change else 0.0
            largest = max(largest, size)
            if size >= _CLEAR and found.size >= _PRECISE * rounding * found.value:
                i, j = found.cycle.players
                cycle = dataclasses.replace(found.cycle, policy=policy, deviations=(other[i], other[j]))
                return _refuted(cycle, size, tables, temperature, notion, tried)
    words = (
        f"the largest four-cycle of Ṽ at {len(grids)} random points is {largest:.1e} of the changes of values; no theorem says "
        "that all vanish, and entropies are no rational numbers (floating point decides to a tolerance)"
    )
    return PotentialTest(
        Verdict.UNDECIDED,
        Evidence.NUMERICAL,
        None,
        notion,
        ARITHMETIC,
        temperature,
        len(grids),
        largest,
        None,
        None,
        words,
    )


def _refuted(cycle: Cycle, size: float, tables: ExactTables, temperature: Fraction, notion: str, points: int) -> PotentialTest:
    i, j = cycle.players
    where = "on average over the initial states" if cycle.state is None else f"from state {cycle.state}"
    words = f"players {i} and {j} have a four-cycle of Ṽ {where} of {float(cycle.value):.6g}, which balls prove to be not zero"
    test = PotentialTest(
        Verdict.REFUTED,
        Evidence.EXACT,
        0.0,
        notion,
        ARITHMETIC,
        temperature,
        points,
        size,
        None,
        cycle,
        words,
        tables,
    )
    try:
        test.certificate()
    except CertificateError as error:
        words = f"players {i} and {j} have a four-cycle of Ṽ {where} of {float(cycle.value):.6g}; no proof by balls: {error}"
        return dataclasses.replace(test, evidence=Evidence.NUMERICAL, error_bound=None, reason=words, _tables=None)
    return test
