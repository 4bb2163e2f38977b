"""Whether a Markov game is a Markov potential game: a decision test by four-cycles, with an error bound or a refutation.

For each initial state s the game of stationary policies with payoffs V_i(s, ·) has an exact potential if and only if, for all
players i < j, all policies A = π and all deviations π_i', π_j', the four-cycle over A, B = (π_i'), C = (π_i', π_j'), D = (π_j')

    [V_i(B) − V_i(A)] + [V_j(C) − V_j(B)] + [V_i(D) − V_i(C)] + [V_j(A) − V_j(D)]

vanishes (Monderer and Shapley, *Potential Games*, 1996, corollary 2.9). It is W(B) − W(A) − W(C) + W(D) with W = V_i − V_j. In
the free probabilities it is a rational function whose numerator has a degree of at most N(4S − 3) (by Cramer's rule; since
rows of P sum to one, determinants of I − δP have the degree N(S − 1) only), so that a random point tells whether it is zero:
at points with free probabilities drawn from M numbers it vanishes, when it is not zero everywhere, with probability at most
N(4S − 3)/M (Schwartz 1980, Zippel 1979). Mixed policies are needed: there are games whose pure four-cycles all vanish and
which have no potential.

Source of the notion: Maheshwari, Wu, Pai, Sastry (arXiv 2205.14590), definition of Markov potential games.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from mcr2_landscape.markov import exact_evaluation as evaluation
from mcr2_landscape.markov import tables as tables_of
from mcr2_landscape.markov.congestion import CongestionGame
from mcr2_landscape.markov.cycles import NOTIONS, PairCycle, PotentialTest, choice, pair_cycles, random_policy, rounding_of
from mcr2_landscape.markov.exact_cycles import ExactTest
from mcr2_landscape.markov.game import Game, MarkovGame, checked_game
from mcr2_landscape.markov.perturbed_cycles import perturbed_test
from mcr2_landscape.markov.pure import centered
from mcr2_landscape.markov.sufficient import proved_by_counts, proved_perturbed, proved_potential
from mcr2_landscape.randomness import generator
from mcr2_landscape.validation import InputError, positive_integer, positive_real
from mcr2_landscape.verdict import Evidence, Verdict

ARITHMETICS = ("rationals", "modular", "balls", "float")
_FLOAT_POINTS = 4
_CLEAR = 1e3  # how many tolerances refute
_BLIND = 1e-7  # where rounding may make more than this of the values' changes, no small four-cycle says anything


def potential_test(
    game: Game,
    exact: bool = True,
    *,
    arithmetic: str | None = None,
    notion: str = "state-wise",
    temperature: Any = 0,
    num_points: int | None = None,
    tolerance: float | None = None,
    key: Any = 0,
) -> PotentialTest:
    """Decide whether a game is a Markov potential game.

    **Arguments:** `game`: a `MarkovGame`, or a `CongestionGame` (exact arithmetic needs its tables). `exact`: over the
    rationals or modulo random primes, which fractions are needed for; else in floating point. `arithmetic`: "modular" (the
    default where exact; what is not zero there is confirmed over the rationals), "rationals", "float", or "balls" (the one for
    the perturbed game where exact). `notion`: "state-wise", or "averaged" for the weak form with values averaged over
    `game.initial`. `temperature`: above zero, the perturbed game; where exact, a float is read as the decimal that it prints
    as, and the verdict is "undecided" where all four-cycles vanish to rounding and no theorem says that they do. `num_points`:
    random points, at each of which all pairs of players and all initial states are tried, also where a theorem answers; by
    default as many as bring the error bound below 1e-12 (mostly one), 4 in floating point, and 6 for balls.
    `tolerance`: in floating point, how large a four-cycle may be for "holds", relative to the largest change of a value from
    one of its policies to another (1000 times as much refutes, what is between is undecided); by default 1e-12, or what
    rounding makes of the values if that is more. Where that is more than 1e-7, nothing is held for a potential game.
    `key`: seed of the points.

    **Raises:** `InputError` for arguments out of range, an arithmetic that does not go with the temperature, a game whose
    tables are too large.
    """
    checked_game(game)
    decimal = tables_of.decimal_fraction("temperature", temperature)
    if decimal < 0:
        raise InputError(f"temperature: found {float(decimal):g}; pass zero, for the game as it is, or a number above")
    usual = "float" if not exact else "balls" if decimal else "modular"
    arithmetic = choice("arithmetic", arithmetic or usual, ARITHMETICS)
    if not exact and arithmetic != "float":
        raise InputError(f"arithmetic: found {arithmetic!r} with exact=False; drop one of the two")
    notion = choice("notion", notion, NOTIONS)
    if arithmetic != "float" and (arithmetic == "balls") != (decimal > 0):
        raise InputError(
            f"arithmetic: found {arithmetic!r} at temperature {float(decimal):g}; entropies are no rational numbers: leave it "
            "out, or pass 'balls' for the perturbed game and another one at temperature zero"
        )
    if tolerance is not None and arithmetic != "float":
        raise InputError("tolerance: exact arithmetic has none; pass exact=False, or leave it out")
    points = None if num_points is None else positive_integer("num_points", num_points)
    draw = generator(key)
    if arithmetic == "float":
        return _in_floats(game, notion, float(decimal), points or _FLOAT_POINTS, tolerance, draw)
    try:
        table = game.to_tables()
    except InputError as error:
        words = proved_by_counts(game, perturbed=decimal > 0) if isinstance(game, CongestionGame) else None
        if words is None:
            raise InputError(f"{error}; pass exact=False for the test in floating point") from None
        return _proved(words, notion, arithmetic, decimal)
    tables = evaluation.normalized(table.exact)
    proved = proved_perturbed if decimal else proved_potential
    words = None if points else proved(tables, averaged=notion == "averaged")
    if words is not None:
        return _proved(words, notion, arithmetic, decimal)
    if decimal:
        return perturbed_test(table, tables, decimal, notion, points, draw)
    return ExactTest(tables, notion, arithmetic, draw).run(points)


def _proved(words: str, notion: str, arithmetic: str, temperature: Fraction) -> PotentialTest:
    holds, proof = Verdict.HOLDS, Evidence.EXACT
    return PotentialTest(holds, proof, 0.0, notion, arithmetic, temperature, 0, 0.0, None, None, words)


def _in_floats(
    game: Game, notion: str, temperature: float, points: int, tolerance: float | None, draw: np.random.Generator
) -> PotentialTest:
    asked = None if tolerance is None else positive_real("tolerance", tolerance)
    if isinstance(game, MarkovGame):
        game = MarkovGame(game.transition, centered(game.reward), game.discount, game.initial)
    pairs: dict[tuple[int, int], list[PairCycle]] = {}
    for point in range(points):
        # Mixed policies are needed; deterministic ones, in turn with them, have the larger cycles as a rule.
        policy, other = (random_policy(game, draw, mixed=point % 2 == 0) for _ in range(2))
        for own in pair_cycles(game, policy, other, notion, temperature):
            pairs.setdefault(own.cycle.players, []).append(own)
    largest, noise, worst = 0.0, 0.0, None
    for found in pairs.values():
        # Both are relative to what changes of policies do to these two players' values anywhere; no constant counts.
        change, best = max(own.change for own in found), max(found, key=lambda own: own.size)
        size = best.size / change if change else 0.0
        if worst is None or size > largest:
            largest, worst = size, best.cycle
        if change:
            noise = max(noise, rounding_of(game) * max(own.value for own in found) / change)
    allowed = max(1e-12, noise) if asked is None else asked
    facts = f"the largest four-cycle at {points} random points is {largest:.1e} of the changes of values"
    if worst is None:
        verdict, reason = Verdict.HOLDS, "a game with one player is a potential game: its value is the potential"
    elif largest > max(_CLEAR * allowed, 10 * noise):
        verdict, reason = Verdict.REFUTED, f"{facts}, more than {_CLEAR:.0f} times the tolerance of {allowed:.1e}"
    elif noise > max(_BLIND, asked or 0.0) and largest > 0:
        verdict = Verdict.UNDECIDED
        reason = (
            f"{facts}, but rounding alone may make {noise:.1e} of them: values are large beside their changes, or the discount "
            "is near one; take a constant from the rewards, or decide exactly"
        )
    elif largest <= allowed:
        verdict, reason = Verdict.HOLDS, f"{facts}, within the tolerance of {allowed:.1e}"
    else:
        verdict = Verdict.UNDECIDED
        reason = (
            f"{facts}, between the tolerance of {allowed:.1e} and {_CLEAR:.0f} times that; decide exactly, with the game in "
            "fractions"
        )
    return PotentialTest(
        verdict,
        Evidence.NUMERICAL if worst is not None else Evidence.EXACT,
        None if worst is not None else 0.0,
        notion,
        "float",
        temperature,
        points,
        largest,
        allowed,
        worst if verdict is Verdict.REFUTED else None,
        reason,
    )
