"""Four-cycles of policies, and what a test by them finds.

The four-cycle of players i < j over A = π, B = (π_i'), C = (π_i', π_j'), D = (π_j') is

    [V_i(B) − V_i(A)] + [V_j(C) − V_j(B)] + [V_i(D) − V_i(C)] + [V_j(A) − V_j(D)] = W(B) − W(A) − W(C) + W(D),  W = V_i − V_j.
"""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from mcr2_landscape.certify import Certificate
from mcr2_landscape.markov import exact_evaluation as evaluation
from mcr2_landscape.markov import policies
from mcr2_landscape.markov.game import Game
from mcr2_landscape.markov.policies import Policy
from mcr2_landscape.markov.tables import ExactTables
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError
from mcr2_landscape.verdict import Evidence, Verdict

NOTIONS = ("state-wise", "averaged")
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

    **Fields:** `verdict`; `evidence`: exact where a theorem proves the game to be one, or an exact four-cycle (or one enclosed
    by balls) that it is none; numerical for floating point, and for "holds" at random points. `error_bound`: the probability,
    over the random points, of "holds" for a game that is none; zero where it is proved, `None` for floating point and where
    nothing was decided. `notion`; `arithmetic`; `temperature` of the perturbed game, a fraction where the test was exact;
    `num_points` tried; `residual`: the largest absolute four-cycle found, relative to the largest change of those players'
    values from one policy of a cycle to another (of an exact one: relative to the largest value in it); `tolerance` of that,
    `None` for exact arithmetic; `cycle` that refutes; `reason` in words.
    """

    verdict: Verdict
    evidence: Evidence
    error_bound: float | None
    notion: str
    arithmetic: str
    temperature: Fraction | float
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
            _bounds(cycle.value),
            Fraction(self.temperature),
        )
        return certify_statement(statement, claim=claim, case=case).certificate


def _bounds(value: Fraction | float) -> Fraction | tuple[Fraction, Fraction]:
    """An exact value, or bounds about a rounded one, whose error is far less; the checker proves them."""
    if isinstance(value, Fraction):
        return value
    low, high = (Fraction(f"{value + sign * 1e-5 * abs(value):.12g}") for sign in (-1, 1))
    return low, high


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
    corners = [changed(policy, dict(c)) for c in corners_of((i, j), (deviations[0], deviations[1]))]
    if exact:
        values = [evaluation.exact_value(game, corner) for corner in corners]
    else:
        values = [game.value(corner, temperature=temperature) for corner in corners]
    A, B, C, D = (V[i] - V[j] for V in values)
    return B - A - C + D


def corners_of(players: tuple[int, int], deviations: tuple[Any, Any]) -> list[list[tuple[int, Any]]]:
    """What is changed at A, B, C and D: players with their deviations."""
    first, second = zip(players, deviations, strict=True)
    return [[], [first], [first, second], [second]]


def changed(policy: Any, changes: dict[int, Any]) -> tuple[Any, ...]:
    """The policy with some players' replaced."""
    return tuple(changes.get(k, own) for k, own in enumerate(policy))


class PairCycle(NamedTuple):
    """A four-cycle of two players at random policies: the one from the initial state where it is the largest.

    **Fields:** `cycle`; `change`: the largest change of their values from one of the four policies to another; `value`: the
    largest absolute value.
    """

    cycle: Cycle
    change: float
    value: float

    @property
    def size(self) -> float:
        """|cycle|."""
        return abs(float(self.cycle.value))


def pair_cycles(game: Game, policy: Policy, other: Policy, notion: str, temperature: float = 0.0) -> list[PairCycle]:
    """The four-cycles of all pairs of players, in the order of the pairs."""
    N = game.num_players
    alone = game.value(policy, temperature=temperature)
    single = [game.value(changed(policy, {i: other[i]}), temperature=temperature) for i in range(N)]
    found = []
    for i, j in itertools.combinations(range(N), 2):
        both = game.value(changed(policy, {i: other[i], j: other[j]}), temperature=temperature)
        corners = np.stack([alone, single[i], both, single[j]])[:, [i, j]]
        A, B, C, D = corners[:, 0] - corners[:, 1]
        cycles = B - A - C + D
        if notion == "averaged":
            cycles = np.array([game.initial @ cycles])
        state = int(np.abs(cycles).argmax())
        initial = state if notion == "state-wise" else None
        cycle = Cycle((i, j), initial, policy, (other[i], other[j]), float(cycles[state]))
        found.append(PairCycle(cycle, float(np.ptp(corners, axis=0).max()), float(np.abs(corners).max())))
    return found


def rounding_of(game: Game) -> float:
    """What rounding may make of values, relative to the largest."""
    return 2.0**-52 * 32 * (game.num_players + game.num_states) / (1 - game.discount)


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
