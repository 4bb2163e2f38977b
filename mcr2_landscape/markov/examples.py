"""Games to try things on: three random kinds, and the small games by name that theory's statements turn on.

All of them are exact: their numbers are fractions.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from mcr2_landscape.markov import tables
from mcr2_landscape.markov.game import MarkovGame
from mcr2_landscape.randomness import generator
from mcr2_landscape.validation import InputError, positive_integer

_PARTS = 60  # random numbers are multiples of 1/60


def random_game(num_states: int, num_actions: Sequence[int], *, key: Any, discount: Any = Fraction(1, 2)) -> MarkovGame:
    """Rewards and transitions without any structure: almost surely no Markov potential game.

    **Arguments:** `num_actions` of each player; `discount`, a float being read as the decimal that it prints as.

    **Raises:** `InputError` for numbers out of range, or a bad key; the others likewise.
    """
    draw, shape = _start(num_states, num_actions, key)
    reward = _numbers(draw, (len(num_actions), *shape))
    return MarkovGame(_rows(draw, (*shape, num_states)), reward, tables.decimal_fraction("discount", discount))


def identical_interest(num_states: int, num_actions: Sequence[int], *, key: Any, discount: Any = Fraction(1, 2)) -> MarkovGame:
    """Every player receives the same random reward: a Markov potential game, its potential the common value."""
    draw, shape = _start(num_states, num_actions, key)
    reward = np.broadcast_to(_numbers(draw, shape), (len(num_actions), *shape))
    return MarkovGame(_rows(draw, (*shape, num_states)), reward, tables.decimal_fraction("discount", discount))


def stage_potential(
    num_states: int,
    num_actions: Sequence[int],
    *,
    key: Any,
    persistence: Any = Fraction(9, 10),
    moving: bool = False,
    discount: Any = Fraction(1, 2),
) -> MarkovGame:
    """A random potential game in each state: u_i(s, a) = φ(s, a) + c_i(s, a_−i).

    Transitions do not depend on actions, and the state stays as it is with at least the probability `persistence`: a Markov
    potential game with memory. With `moving` they are random, and stage potentials are not enough.
    """
    draw, shape = _start(num_states, num_actions, key)
    stay = tables.decimal_fraction("persistence", persistence)
    if not 0 <= stay <= 1:
        raise InputError(f"persistence: found {float(stay):g}; pass a probability")
    potential, reward = _numbers(draw, shape), np.empty((len(num_actions), *shape), dtype=object)
    for i in range(len(num_actions)):
        others = _numbers(draw, (*shape[: i + 1], 1, *shape[i + 2 :]))
        reward[i] = potential + others
    if moving:
        transition = _rows(draw, (*shape, num_states))
    else:
        rows = (1 - stay) * _rows(draw, (num_states, num_states))
        rows[np.diag_indices(num_states)] += stay
        transition = np.broadcast_to(rows.reshape(num_states, *[1] * len(num_actions), num_states), (*shape, num_states))
    return MarkovGame(transition, reward, tables.decimal_fraction("discount", discount))


@dataclass(frozen=True)
class Example:
    """A game with a name.

    **Fields:** `about`: what it is and shows, in words; `make`, which returns the game; `potential`: whether it is a Markov
    potential game, state-wise.
    """

    about: str
    make: Callable[[], MarkovGame]
    potential: bool


def _two_by_two(
    num_states: int,
    goes: Callable[[int, int, int], int],
    pays: Callable[[int, int, int], tuple[Any, Any]],
    discount: Fraction = Fraction(1, 2),
) -> MarkovGame:
    """Two players with two actions each, and a deterministic next state."""
    transition = np.zeros((num_states, 2, 2, num_states), dtype=int)
    reward = np.empty((2, num_states, 2, 2), dtype=object)
    for s, a, b in itertools.product(range(num_states), (0, 1), (0, 1)):
        transition[s, a, b, goes(s, a, b)] = 1
        reward[:, s, a, b] = [Fraction(number) for number in pays(s, a, b)]
    return MarkovGame(transition, reward, discount)


def _opposed() -> MarkovGame:
    return _two_by_two(2, lambda s, a, b: int(s == 0 and a == b == 1), lambda s, a, b: (s, -s))


def _pure_cycles_vanish() -> MarkovGame:
    def pays(s: int, a: int, b: int) -> tuple[Any, Any]:
        return (0 if s == 0 or a == 0 else Fraction(1, 2) if b else 1), 0

    return _two_by_two(2, lambda s, a, b: int(s == 1 and a == b == 1), pays)


def _compensated() -> MarkovGame:
    def pays(s: int, a: int, b: int) -> tuple[Any, Any]:
        sign = 1 if a == b else -1
        return ((sign, -sign), (0, 4), (0, -4))[s]

    return _two_by_two(3, lambda s, a, b: 0 if s else 1 if a == b else 2, pays)


def _entropy_moves() -> MarkovGame:
    return _two_by_two(2, lambda s, a, b: int(s == 0 and a == b == 1), lambda s, a, b: (0, 0))


EXAMPLES: dict[str, Example] = {
    "opposed-interests": Example(
        "Nothing is paid in state 0, and (1, −1) in state 1, which is reached where both play 1, and left at once. Every stage "
        "game is constant, hence a potential game; the Markov game is none: one player wants to move, the other does not.",
        _opposed,
        False,
    ),
    "pure-cycles-vanish": Example(
        "State 0 is absorbing and pays nothing; state 1 stays where both play 1; there the first player receives 1 at "
        "(1, 0) and ½ at (1, 1), the second nothing. Every four-cycle of deterministic policies vanishes, yet this is no "
        "Markov potential game: one of mixed policies is 1/6.",
        _pure_cycles_vanish,
        False,
    ),
    "compensated-pennies": Example(
        "Matching pennies in state 0, whose outcome leads to a state where the second player receives what makes up for it: a "
        "Markov potential game whose stage game has no potential.",
        _compensated,
        True,
    ),
    "entropy-moves": Example(
        "Nothing is ever paid: a Markov potential game. With entropies paid it is none: state 0 is left where both play 1, and "
        "how much entropy a player has in state 1 is then the other's to decide.",
        _entropy_moves,
        True,
    ),
}


def example(name: str) -> MarkovGame:
    """The game of that name in `EXAMPLES`.

    **Raises:** `InputError` for another name.
    """
    if name not in EXAMPLES:
        raise InputError(f"name: found {name!r}; pass one of " + ", ".join(EXAMPLES))
    return EXAMPLES[name].make()


def _start(num_states: int, num_actions: Sequence[int], key: Any) -> tuple[np.random.Generator, tuple[int, ...]]:
    num_states = positive_integer("num_states", num_states)
    counts = tuple(positive_integer(f"num_actions[{i}]", count) for i, count in enumerate(num_actions))
    if not counts:
        raise InputError("num_actions: found no player; pass the number of actions of each")
    return generator(key), (num_states, *counts)


def _numbers(draw: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Multiples of 1/60 from −5 to 5."""
    out = np.empty(shape, dtype=object)
    out.ravel()[:] = [Fraction(int(k), _PARTS) for k in draw.integers(-5 * _PARTS, 5 * _PARTS + 1, size=out.size)]
    return out


def _rows(draw: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Random probabilities over the last axis, of a denominator of at most 60 times its length."""
    parts = draw.integers(1, _PARTS, size=shape)
    totals = parts.sum(axis=-1)
    out = np.empty(shape, dtype=object)
    for index in np.ndindex(shape):
        out[index] = Fraction(int(parts[index]), int(totals[index[:-1]]))
    return out
