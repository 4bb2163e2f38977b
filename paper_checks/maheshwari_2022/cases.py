"""The small games that statements turn on, as rationals. The standard library only."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from mcr2_landscape.certify import Statement
from mcr2_landscape.certify.markov import cycle_statement

HALF = Fraction(1, 2)
Rows = tuple[tuple[Any, Any], tuple[Any, Any]]


def pure(first: int, second: int) -> Rows:
    """The actions in the two states."""
    return tuple((1 - a, a) for a in (first, second))  # type: ignore[return-value]


def _flat(rows: Rows) -> list[Fraction]:
    return [Fraction(p) for row in rows for p in row]


def four_cycle(
    goes: Callable[[int, int, int], int],
    pays: Callable[[int, int, int], Sequence[Any]],
    policies: tuple[Rows, Rows],
    deviations: tuple[Rows, Rows],
    state: int,
    cycle: Fraction | tuple[Fraction, Fraction],
    temperature: Fraction = Fraction(0),
) -> Statement:
    """Two players, two actions, two states, δ = ½; the state moves to `goes`(s, a, b), which `pays` (u_1, u_2)."""
    cells = list(itertools.product((0, 1), repeat=3))
    return cycle_statement(
        (2, 2, 2),
        [Fraction(int(goes(*cell) == t)) for cell in cells for t in (0, 1)],
        [Fraction(pays(*cell)[i]) for i in (0, 1) for cell in cells],
        HALF,
        (0, 1),
        state,
        None,
        [_flat(own) for own in policies],
        [_flat(own) for own in deviations],
        cycle,
        temperature,
    )


def _moves(s: int, a: int, b: int) -> int:
    return int(s == 0 and a == b == 1)


OPPOSED = four_cycle(_moves, lambda s, a, b: (s, -s), (pure(0, 0), pure(0, 0)), (pure(1, 0), pure(1, 0)), 0, Fraction(-4, 3))


def _stays(s: int, a: int, b: int) -> int:
    return int(s == 1 and a == b == 1)


def _first_alone(s: int, a: int, b: int) -> tuple[Any, Any]:
    return (0 if s == 0 or a == 0 else HALF if b else 1), 0


MIXED = four_cycle(
    _stays,
    _first_alone,
    (pure(0, 0), pure(0, 0)),
    (((1, 0), (HALF, HALF)), pure(0, 1)),
    1,
    Fraction(1, 6),
)

# −(2/3) log 2 = −0.46209812037329…
ENTROPIES = four_cycle(
    _moves,
    lambda s, a, b: (0, 0),
    (((1, 0), (HALF, HALF)), pure(0, 1)),
    (((0, 1), (HALF, HALF)), pure(1, 1)),
    0,
    (Fraction("-0.46209812037330"), Fraction("-0.46209812037329")),
    Fraction(1),
)
