"""What is refused when a game is made or a policy passed, and in which words."""

from fractions import Fraction

import numpy as np
import pytest

from mcr2_landscape.markov import MarkovGame
from mcr2_landscape.validation import InputError

from . import games

TRANSITION = np.full((2, 2, 3, 2), 0.5)
REWARD = np.zeros((2, 2, 2, 3))


def changed(array, index, value):
    array = np.array(array, dtype=object if isinstance(value, (str, Fraction)) else None)
    array[index] = value
    return array


@pytest.mark.parametrize(
    ("transition", "reward", "discount", "initial", "says"),
    [
        (
            changed(TRANSITION, (1, 0, 2, 0), 0.6),
            REWARD,
            0.5,
            None,
            r"row of state 1 and actions \(0, 2\) sums to 1.1 \(1 such",
        ),
        (changed(TRANSITION, (1, 0, 2), [1.5, -0.5]), REWARD, 0.5, None, r"negative probability -0.5 in the row of state 1"),
        (changed(TRANSITION, (0, 0, 0, 0), "1/3"), REWARD, 0.5, None, r"row of state 0 and actions \(0, 0\) sums to 0.833"),
        (changed(TRANSITION, (0, 0, 0, 0), np.nan), REWARD, 0.5, None, "transition: found NaN"),
        (TRANSITION[..., :1], REWARD, 0.5, None, r"transition: found shape \(2, 2, 3, 1\); pass \(S, A_1"),
        (TRANSITION, REWARD[:1], 0.5, None, r"reward: found shape \(1, 2, 2, 3\); pass .* = \(2, 2, 2, 3\)"),
        (TRANSITION, changed(REWARD, (0, 0, 0, 0), np.inf), 0.5, None, "reward: found infinity"),
        (TRANSITION, changed(REWARD, (0, 0, 0, 0), "x"), 0.5, None, r"reward\[0, 0, 0, 0\]: found 'x'; pass a finite"),
        (TRANSITION, [[1, 2], [3]], 0.5, None, "reward: cannot be read as an array"),
        (TRANSITION, REWARD, 1.0, None, "discount: found 1; pass a number between zero and one"),
        (TRANSITION, REWARD, 0, None, "discount: found 0"),
        (TRANSITION, REWARD, np.nan, None, "discount: found nan"),
        (TRANSITION, REWARD, 0.5, [0.5, 0.6], "initial: row 0 is .* of sum 1.1"),
        (TRANSITION, REWARD, 0.5, ["0.4999999999", "1/2"], "initial: sums to .*; exact probabilities sum to one exactly"),
        (TRANSITION, REWARD, 0.5, [1.0], r"initial: found shape \(1,\)"),
        (TRANSITION.astype(complex), REWARD, 0.5, None, "transition: found dtype complex128"),
    ],
)
def test_games_that_are_none(transition, reward, discount, initial, says):
    with pytest.raises(InputError, match=says):
        MarkovGame(transition, reward, discount, initial)


def test_unsigned_integers_do_not_wrap():
    reward = np.full((2, 2, 2, 3), 2**63, dtype=np.uint64)
    game = MarkovGame(TRANSITION, reward, 0.5)
    assert game.reward.min() == 2.0**63
    assert game.exact.reward.ravel()[0] == 2**63


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        (3.0, "policy: found float; pass a tuple"),
        ((np.full((3, 2), 0.5),), "policy: found policies of 1 players, but the game has 2"),
        ((np.full((3, 2), 0.5), np.full((3, 2), 0.5)), r"policy\[1\]: found shape \(3, 2\), expected \(3, 3\)"),
        ((np.full((3, 2), 0.6), np.full((3, 3), 1 / 3)), r"policy\[0\]: row 0 is .* of sum 1.2"),
        ((np.full((3, 2), np.nan), np.full((3, 3), 1 / 3)), r"policy\[0\]: found NaN"),
        ((np.array([[1, 0], [2, -1], [1, 0]]), np.full((3, 3), 1 / 3)), r"policy\[0\]: row 1 is \[ 2. -1.\]"),
        ((np.full((3, 2), "x"), np.full((3, 3), 1 / 3)), r"policy\[0\]: cannot be read"),
    ],
)
def test_policies_that_are_none(policy, says):
    with pytest.raises(InputError, match=says):
        games.random_game(0).value(policy)


def test_other_arguments():
    game = games.random_game(0)
    policy = game.uniform_policy()
    for call, says in (
        (lambda: game.value(policy, temperature=-1), "temperature: found -1"),
        (lambda: game.value(policy, temperature=np.nan), "temperature: found nan"),
        (lambda: game.best_response(policy, 2), "player: found 2; pass a number from 0 to 1"),
        (lambda: game.best_response(policy, True), "player: found True"),
        (lambda: game.occupancy(policy, initial=[1, 1, 1]), "initial: row 0"),
        (lambda: game.potential(policy, reference=policy[:1]), "reference: found policies of 1 players"),
        (lambda: game.deterministic_policy([[0, 0, 2], [0, 0, 0]]), r"actions\[0\]: found \[0, 0, 2\]; pass action numbers"),
        (lambda: game.deterministic_policy([[0, 0], [0, 0]]), r"actions: found shape \(2, 2\), expected \(2, 3\)"),
    ):
        with pytest.raises(InputError, match=says):
            call()


def test_numbers_stay_what_they_were():
    third = np.full((2, 2, 3, 2), Fraction(1, 3))
    third[..., 1] = "2/3"
    assert MarkovGame(third, REWARD, 0.5).exact.transition[0, 0, 0, 1] == Fraction(2, 3)
    third[..., 1] = Fraction(2, 3)
    game = MarkovGame(third, REWARD.astype(int), "1/3", ["1/4", "3/4"])
    assert not game.exact.rounded
    assert game.exact.transition[0, 0, 0, 1] == Fraction(2, 3)
    assert game.exact.discount == Fraction(1, 3)
    assert list(game.exact.initial) == [Fraction(1, 4), Fraction(3, 4)]
    rounded = MarkovGame(third.astype(float), REWARD, 0.1)
    assert rounded.exact.rounded
    assert rounded.exact.transition[0, 0, 0, 0] == Fraction(1 / 3) != Fraction(1, 3)
    assert not MarkovGame(TRANSITION, REWARD, 0.25).exact.rounded, "halves and quarters are what they are"
    np.testing.assert_allclose(game.value(game.uniform_policy()), 0)
