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

import dataclasses
import itertools
import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from mcr2_landscape.certify import Certificate
from mcr2_landscape.markov import exact_evaluation as evaluation
from mcr2_landscape.markov import policies
from mcr2_landscape.markov.congestion import CongestionGame
from mcr2_landscape.markov.exact_evaluation import IntegerGame, Rows
from mcr2_landscape.markov.game import Game
from mcr2_landscape.markov.policies import Policy
from mcr2_landscape.markov.sufficient import proved_by_counts, proved_potential
from mcr2_landscape.markov.tables import ExactTables
from mcr2_landscape.randomness import generator
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, positive_integer, positive_real, real
from mcr2_landscape.verdict import Evidence, Verdict

ERROR = 1e-12  # a wrong "holds" is less probable than this, unless `num_points` says otherwise
ARITHMETICS, NOTIONS = ("rationals", "modular", "float"), ("state-wise", "averaged")
_GRID = 1 << 50
_FLOAT_POINTS = 4
_ROUNDING = 1e-9  # relative size of four-cycles that rounded numbers alone can make
_CLEAR = 1e3  # how many tolerances refute
_WRITABLE = 10_000  # binary digits; Python refuses to write integers of more than 4300 decimal ones


@dataclass(frozen=True)
class Cycle(Record):
    """A four-cycle of policies.

    **Fields:** `players` i < j; `state`, the initial one (`None`: average over the game's initial distribution); `policy`,
    arrays (S, A_k) of probabilities for each player; `deviations`, π_i' and π_j'; `value`, the sum around the cycle. Numbers
    are fractions where the arithmetic was exact, else floating point.
    """

    players: tuple[int, int]
    state: int | None
    policy: Policy
    deviations: tuple[np.ndarray, np.ndarray]
    value: Fraction | float

    def __repr__(self) -> str:
        return f"Cycle(players={self.players}, state={self.state}, value={float(self.value):.6g})"

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; an exact value with more digits than Python writes by its nearest floating point number."""
        if isinstance(self.value, Fraction) and self.value.denominator.bit_length() > _WRITABLE:
            return dataclasses.replace(self, value=float(self.value)).to_dict()
        return super().to_dict()


@dataclass(frozen=True)
class PotentialTest(Record):
    """The answer to whether a game is a Markov potential game.

    **Fields:** `verdict`; `evidence`: exact where a theorem proves the game to be one, or an exact four-cycle that it is none;
    numerical for floating point, and for "holds" at random points. `error_bound`: the probability, over the random points, of
    "holds" for a game that is none; zero where it is proved, `None` for floating point. `notion`; `arithmetic`; `temperature`
    of the perturbed game; `num_points` tried; `residual`: the largest absolute four-cycle found, relative to the largest value
    in it; `tolerance` of that, `None` for exact arithmetic; `cycle` that refutes; `reason` in words.
    """

    verdict: Verdict
    evidence: Evidence
    error_bound: float | None
    notion: str
    arithmetic: str
    temperature: float
    num_points: int
    residual: float
    tolerance: float | None
    cycle: Cycle | None
    reason: str
    _tables: ExactTables | None = field(default=None, repr=False, compare=False, metadata={"json": False})

    def certificate(self, *, claim: str | None = None, case: str | None = None) -> Certificate:
        """The refutation as a certificate, which has passed the checker (see docs/certificates.md).

        **Raises:** `InputError` where the game is not refuted exactly; `CertificateError` where it is larger than what the
        checker takes.
        """
        if self.cycle is None or self._tables is None:
            raise InputError(
                f"certificate: the verdict is {self.verdict.value!r} with {self.evidence.value} evidence; only an exact "
                "refutation has one (pass exact=True, and a game in fractions)"
            )
        from mcr2_landscape.certify import certify_statement
        from mcr2_landscape.certify.markov import cycle_statement

        cycle, tables = self.cycle, self._tables
        statement = cycle_statement(
            tables.reward.shape[1:],
            tables.transition.ravel().tolist(),
            tables.reward.ravel().tolist(),
            tables.discount,
            cycle.players,
            cycle.state,
            None if cycle.state is not None else tables.initial.tolist(),
            [own.ravel().tolist() for own in cycle.policy],
            [own.ravel().tolist() for own in cycle.deviations],
            Fraction(cycle.value),
        )
        return certify_statement(statement, claim=claim, case=case).certificate


def potential_test(
    game: Game,
    exact: bool = True,
    *,
    arithmetic: str | None = None,
    notion: str = "state-wise",
    temperature: float = 0.0,
    num_points: int | None = None,
    tolerance: float | None = None,
    key: Any = 0,
) -> PotentialTest:
    """Decide whether a game is a Markov potential game.

    **Arguments:** `game`: a `MarkovGame`, or a `CongestionGame` (exact arithmetic needs its tables). `exact`: over the
    rationals or modulo random primes, which fractions are needed for; else in floating point. `arithmetic`: "modular" (the
    default where exact; what is not zero there is confirmed over the rationals), "rationals" or "float". `notion`:
    "state-wise", or "averaged" for the weak form with values averaged over `game.initial`. `temperature`: above zero, the
    perturbed game, in floating point only. `num_points`: random points, at each of which all pairs of players and all initial
    states are tried, also where a theorem
    answers; by default as many as bring the error bound below 1e-12 (mostly one), and 4 in floating point.
    `tolerance`: in floating point, how large a four-cycle may be, relative to the values in it, for "holds" (1000 times as much
    refutes, what is between is undecided); by default 1e-12, or what rounding makes of values at this discount if that is more.
    `key`: seed of the points.

    **Raises:** `InputError` for arguments out of range, a temperature in exact arithmetic, a game whose tables are too large.
    """
    if not isinstance(game, Game):
        raise InputError(f"game: found {type(game).__name__}; pass a MarkovGame or a CongestionGame")
    arithmetic = choice("arithmetic", arithmetic or ("modular" if exact else "float"), ARITHMETICS)
    if not exact and arithmetic != "float":
        raise InputError(f"arithmetic: found {arithmetic!r} with exact=False; drop one of the two")
    notion = choice("notion", notion, NOTIONS)
    temperature = real("temperature", temperature)
    if temperature < 0:
        raise InputError(f"temperature: found {temperature:g}; pass zero, for the game as it is, or a number above")
    if temperature > 0 and arithmetic != "float":
        raise InputError("temperature: entropies are no rational numbers; pass exact=False to test the perturbed game")
    if tolerance is not None and arithmetic != "float":
        raise InputError("tolerance: exact arithmetic has none; pass exact=False, or leave it out")
    points = None if num_points is None else positive_integer("num_points", num_points)
    draw = generator(key)
    if arithmetic == "float":
        return _in_floats(game, notion, temperature, points or _FLOAT_POINTS, tolerance, draw)
    try:
        table = game.to_tables()
    except InputError as error:
        words = proved_by_counts(game) if isinstance(game, CongestionGame) else None
        if words is None:
            raise InputError(f"{error}; pass exact=False for the test in floating point") from None
        return PotentialTest(Verdict.HOLDS, Evidence.EXACT, 0.0, notion, arithmetic, 0.0, 0, 0.0, None, None, words)
    tables = evaluation.normalized(table.exact)
    words = None if points else proved_potential(tables, averaged=notion == "averaged")
    if words is not None:
        holds, proof = Verdict.HOLDS, Evidence.EXACT
        return PotentialTest(holds, proof, 0.0, notion, arithmetic, 0.0, 0, 0.0, None, None, words)
    return _ExactTest(tables, notion, arithmetic, draw).run(points)


def four_cycle(
    game: Game, policy: Any, deviations: Any, players: tuple[int, int], *, temperature: float = 0.0, exact: bool = False
) -> np.ndarray:
    """The four-cycle from each initial state: (S,), zero in every Markov potential game.

    **Arguments:** `policy`; `deviations`: arrays (S, A_i) and (S, A_j) for the two `players` i and j, in this order; `exact`:
    fractions for numbers, as `exact_value` takes them, and for the answer.

    **Raises:** `InputError` for players that are not two different ones, policies that are none, a temperature and `exact`.
    """
    N = game.num_players
    if len(players) != 2 or len(deviations) != 2 or players[0] == players[1] or not all(p in range(N) for p in players):
        raise InputError(f"players: found {players!r}; pass two different numbers from 0 to {N - 1}, and a deviation for each")
    if exact and temperature:
        raise InputError("temperature: entropies are no rational numbers; leave exact out")
    i, j = players
    corners = [_changed(policy, dict(c)) for c in _corners((i, j), (deviations[0], deviations[1]))]
    if exact:
        values = [evaluation.exact_value(game, corner) for corner in corners]
    else:
        values = [game.value(corner, temperature=temperature) for corner in corners]
    A, B, C, D = (V[i] - V[j] for V in values)
    return B - A - C + D


def _corners(players: tuple[int, int], deviations: tuple[Any, Any]) -> list[list[tuple[int, Any]]]:
    first, second = zip(players, deviations, strict=True)
    return [[], [first], [first, second], [second]]


def _changed(policy: Any, changes: dict[int, Any]) -> tuple[Any, ...]:
    return tuple(changes.get(k, own) for k, own in enumerate(policy))


class _ExactTest:
    """Over the rationals, or modulo random primes and then over the rationals."""

    def __init__(self, tables: ExactTables, notion: str, arithmetic: str, draw: np.random.Generator):
        self.tables, self.notion, self.arithmetic, self.draw = tables, notion, arithmetic, draw
        self.numbers = IntegerGame(tables)
        self.N, self.S, self.num_actions = self.numbers.num_players, self.numbers.num_states, self.numbers.num_actions

    def run(self, points: int | None) -> PotentialTest:
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
        while True:
            prime = evaluation.random_prime(self.draw)
            policy, other = (evaluation.modular_rows(self.draw, prime, self.S, self.num_actions) for _ in range(2))
            try:
                return self.first_nonzero(policy, other, prime)
            except evaluation.Singular:
                continue

    def rational_point(self) -> tuple[int, int] | None:
        policy, other = (evaluation.rational_rows(self.draw, _GRID, self.S, self.num_actions) for _ in range(2))
        return self.first_nonzero(policy, other, None)

    def first_nonzero(self, policy: Rows, other: Rows, prime: int | None) -> tuple[int, int] | None:
        """The first pair of players with a four-cycle that does not vanish."""
        pairs = list(itertools.combinations(range(self.N), 2))
        all_corners = [policy]
        all_corners += [_changed(policy, {i: other[i]}) for i in range(self.N)]
        all_corners += [_changed(policy, {i: other[i], j: other[j]}) for i, j in pairs]
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
        """A four-cycle of this pair over the rationals that does not vanish, with numbers as short as may be, and its size
        relative to the values in it."""
        i, j = pair
        start = math.lcm(*(mu.denominator for mu in self.tables.initial)) if self.notion == "averaged" else 1
        for grid in (2, 2, 4, 16, 256, *[_GRID] * 20):
            policy, other = (evaluation.rational_rows(self.draw, grid, self.S, self.num_actions) for _ in range(2))
            chosen = _corners(pair, (other[i], other[j]))
            corners = self.numbers.values([_changed(policy, dict(c)) for c in chosen])
            values = [evaluation.as_fraction(x) / (start * self.numbers.reward_scale) for x in self.cycles(pair, *corners)]
            state = max(range(len(values)), key=lambda s: abs(values[s]))
            if values[state] != 0:
                largest = max(abs(evaluation.as_fraction(x)) for corner in corners for row in corner for x in row)
                cycle = Cycle(
                    pair,
                    state if self.notion == "state-wise" else None,
                    evaluation.as_policy(policy),
                    (evaluation.as_policy([other[i]])[0], evaluation.as_policy([other[j]])[0]),
                    values[state],
                )
                return cycle, float(abs(values[state]) * self.numbers.reward_scale / largest)
        raise AssertionError("a rational function that is not zero does not vanish at twenty random points")

    def refuted(self, pair: tuple[int, int], points: int) -> PotentialTest:
        cycle, size = self.witness(pair)
        where = "on average over the initial states" if cycle.state is None else f"from state {cycle.state}"
        words = (
            f"players {pair[0]} and {pair[1]} have a four-cycle {where} of {float(cycle.value):.6g}, exactly, which is not zero"
        )
        if self.tables.rounded and size < _ROUNDING:
            words += (
                f"; at {size:.0e} of the values it may be due to rounded numbers alone: pass fractions, or texts such as "
                "'4/5', for the game that is meant, or exact=False"
            )
        found, proof = Verdict.REFUTED, Evidence.EXACT
        return PotentialTest(
            found, proof, 0.0, self.notion, self.arithmetic, 0.0, points, size, None, cycle, words, self.tables
        )


def _in_floats(
    game: Game, notion: str, temperature: float, points: int, tolerance: float | None, draw: np.random.Generator
) -> PotentialTest:
    N, S = game.num_players, game.num_states
    least = 2.0**-52 * 32 * (N + S) / (1 - game.discount)
    allowed = max(1e-12, least) if tolerance is None else positive_real("tolerance", tolerance)
    largest, worst = 0.0, None
    for point in range(points):
        # Mixed policies are needed; deterministic ones, in turn with them, have the larger cycles as a rule.
        policy, other = (random_policy(game, draw, mixed=point % 2 == 0) for _ in range(2))
        cycle, size = largest_cycle(game, policy, other, notion, temperature)
        if cycle is not None and (worst is None or size > largest):
            largest, worst = size, cycle
    facts = f"the largest four-cycle at {points} random points is {largest:.1e} of the values in it"
    if worst is None:
        verdict, reason = Verdict.HOLDS, "a game with one player is a potential game: its value is the potential"
    elif largest <= allowed:
        verdict, reason = Verdict.HOLDS, f"{facts}, within the tolerance of {allowed:.1e}"
    elif largest > _CLEAR * allowed:
        verdict, reason = Verdict.REFUTED, f"{facts}, more than {_CLEAR:.0f} times the tolerance of {allowed:.1e}"
    else:
        verdict = Verdict.UNDECIDED
        reason = (
            f"{facts}, between the tolerance of {allowed:.1e} and {_CLEAR:.0f} times that; pass the game in fractions, with "
            "exact=True"
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


def largest_cycle(
    game: Game, policy: Policy, other: Policy, notion: str, temperature: float = 0.0, *, relative: bool = True
) -> tuple[Cycle | None, float]:
    """The largest four-cycle over all pairs of players and initial states, and its size: relative to the values in it, or as it
    is."""
    N = game.num_players
    alone = game.value(policy, temperature=temperature)
    single = [game.value(_changed(policy, {i: other[i]}), temperature=temperature) for i in range(N)]
    largest, found = -1.0, None
    for i, j in itertools.combinations(range(N), 2):
        both = game.value(_changed(policy, {i: other[i], j: other[j]}), temperature=temperature)
        corners = (alone, single[i], both, single[j])
        A, B, C, D = (V[i] - V[j] for V in corners)
        cycles = B - A - C + D
        if notion == "averaged":
            cycles = np.array([game.initial @ cycles])
        state = int(np.abs(cycles).argmax())
        scale = max(max(float(np.abs(V).max()) for V in corners), np.finfo(float).tiny) if relative else 1.0
        size = float(abs(cycles[state])) / scale
        if size > largest:
            initial = state if notion == "state-wise" else None
            largest, found = size, Cycle((i, j), initial, policy, (other[i], other[j]), float(cycles[state]))
    return found, largest


def random_policy(game: Game, draw: np.random.Generator, *, mixed: bool) -> Policy:
    """Rows uniform on the simplex, or on its corners."""
    if mixed:
        return policies.random(game.num_states, game.num_actions, draw)
    return tuple(np.eye(count)[draw.integers(0, count, size=game.num_states)] for count in game.num_actions)


def choice(name: str, value: Any, allowed: tuple[str, ...]) -> str:
    """The value, if it is allowed."""
    if value not in allowed:
        raise InputError(f"{name}: found {value!r}; pass one of " + ", ".join(map(repr, allowed)))
    return value
