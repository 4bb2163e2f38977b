"""Games of a single state, to and from other libraries: QuantEcon's normal-form games and Gambit's payoff tables.

In a game of one state nothing moves, and stationary equilibria are the equilibria of the stage game; rewards are its payoffs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mcr2_landscape.extras import missing_extra
from mcr2_landscape.markov.game import Game, MarkovGame
from mcr2_landscape.validation import InputError


def to_quantecon(game: Game) -> Any:
    """A `quantecon.game_theory.NormalFormGame` of the same payoffs, float64.

    **Raises:** `InputError` for a game of several states, one too large for tables, or without QuantEcon.
    """
    theory = _quantecon("a normal-form game")
    payoffs = _payoffs(game).astype(np.float64)
    # each player's own actions first, then the others' in turn
    return theory.NormalFormGame([theory.Player(_turned(payoff, i)) for i, payoff in enumerate(payoffs)])


def from_quantecon(normal_form: Any, *, discount: Any = 0.5) -> MarkovGame:
    """A game of one state with the payoffs of a `quantecon.game_theory.NormalFormGame`.

    **Raises:** `InputError` for another object, a discount outside of (0, 1), or without QuantEcon.
    """
    theory = _quantecon("a normal-form game")
    if not isinstance(normal_form, theory.NormalFormGame):
        raise InputError(f"normal_form: found {type(normal_form).__name__}; pass a quantecon.game_theory.NormalFormGame")
    N = normal_form.N
    return _of([_turned(np.asarray(player.payoff_array), N - i) for i, player in enumerate(normal_form.players)], discount)


def to_gambit(game: Game) -> Any:
    """A `pygambit.Game` of the same payoffs, exact where the game is.

    **Raises:** `InputError` for a game of several states, one too large for tables, or without pygambit.
    """
    gambit = _gambit()
    payoffs = _payoffs(game)
    exact = np.empty(payoffs.shape, dtype=object)
    exact.ravel()[:] = [gambit.Rational(number.numerator, number.denominator) for number in payoffs.ravel()]
    return gambit.Game.from_arrays(*exact)


def from_gambit(table: Any, *, discount: Any = 0.5) -> MarkovGame:
    """A game of one state with the payoffs of a `pygambit.Game`, exact.

    **Raises:** `InputError` for another object, a discount outside of (0, 1), or without pygambit.
    """
    gambit = _gambit()
    if not isinstance(table, gambit.Game):
        raise InputError(f"table: found {type(table).__name__}; pass a pygambit.Game")
    return _of([np.asarray(payoff, dtype=object) for payoff in table.to_arrays()], discount)


def _payoffs(game: Game) -> np.ndarray:
    """(N, A_1, …, A_N), exact."""
    if not isinstance(game, Game):
        raise InputError(f"game: found {type(game).__name__}; pass a game")
    if game.num_states != 1:
        raise InputError(f"game: found {game.num_states} states; other libraries' normal-form games have one")
    return game.exact.reward[:, 0]


def _of(payoffs: list[np.ndarray], discount: Any) -> MarkovGame:
    shape = payoffs[0].shape
    return MarkovGame(np.ones((1, *shape, 1), dtype=int), np.stack(payoffs)[:, None], discount)


def _turned(payoff: np.ndarray, places: int) -> np.ndarray:
    axes = list(range(payoff.ndim))
    places %= payoff.ndim
    return np.ascontiguousarray(payoff.transpose(axes[places:] + axes[:places]))


def _quantecon(what: str) -> Any:
    try:
        from quantecon import game_theory  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise missing_extra(what, "quantecon", "games") from None
    return game_theory


def _gambit() -> Any:
    try:
        import pygambit  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise missing_extra("a payoff table of Gambit", "pygambit", "games") from None
    return pygambit
