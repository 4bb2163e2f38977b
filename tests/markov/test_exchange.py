"""Payoffs go to other libraries and come back, and their equilibria are ours."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings

from mcr2_landscape.markov import from_gambit, from_quantecon, random_game, to_gambit, to_quantecon
from mcr2_landscape.testing import seeds
from mcr2_landscape.validation import InputError

SHAPES = [(2, 3), (2, 3, 2), (3,)]


def quantecon():
    return pytest.importorskip("quantecon", reason="pip install quantecon").game_theory


def gambit():
    return pytest.importorskip("pygambit", reason="pip install pygambit")


@pytest.mark.parametrize("actions", SHAPES)
@given(seed=seeds())
@settings(max_examples=5)
def test_there_and_back_with_quantecon(actions, seed):
    quantecon()
    game = random_game(1, actions, key=seed)
    normal_form = to_quantecon(game)
    assert normal_form.nums_actions == actions
    profile = tuple(np.random.default_rng(seed).integers(actions))
    payoff = normal_form[profile if len(actions) > 1 else profile[0]]
    np.testing.assert_allclose(payoff, np.squeeze(game.reward[(slice(None), 0, *profile)]))
    again = from_quantecon(normal_form, discount=game.discount)
    np.testing.assert_array_equal(again.reward, game.reward)
    assert again.discount == game.discount


@pytest.mark.parametrize("actions", [(2, 3), (2, 2, 2)])
@given(seed=seeds())
@settings(max_examples=5)
def test_their_pure_equilibria_have_no_gap_here(actions, seed):
    theory = quantecon()
    game = random_game(1, actions, key=seed)
    found = set(theory.pure_nash_brute(to_quantecon(game)))
    for profile in np.ndindex(*actions):
        gap = game.nash_gap(game.deterministic_policy([[a] for a in profile])).maximum
        assert (gap <= 1e-12) == (profile in found)


@pytest.mark.parametrize("actions", SHAPES)
def test_there_and_back_with_gambit(actions):
    gambit()
    game = random_game(1, actions, key=0, discount="1/3")
    again = from_gambit(to_gambit(game), discount="1/3")
    assert (again.exact.reward == game.exact.reward).all()
    assert not again.exact.rounded


def test_a_library_that_is_missing_is_named(monkeypatch):
    one = random_game(1, (2, 2), key=0)
    for name, there, back in (("quantecon", to_quantecon, from_quantecon), ("pygambit", to_gambit, from_gambit)):
        with monkeypatch.context() as without:
            without.setitem(sys.modules, name, None)
            for call in (lambda: there(one), lambda: back(None)):  # noqa: B023
                with pytest.raises(InputError, match=rf'needs {name}, which is not installed; run: pip install ".*\[games\]"'):
                    call()


def test_what_is_no_game_of_one_state():
    quantecon()
    two = random_game(2, (2, 2), key=0)
    with pytest.raises(InputError, match="game: found 2 states"):
        to_quantecon(two)
    with pytest.raises(InputError, match="game: found int"):
        to_quantecon(3)
    with pytest.raises(InputError, match="normal_form: found int"):
        from_quantecon(3)
