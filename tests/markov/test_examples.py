"""The named games have the cycles that they are known for, by hand, and the random kinds the structure that they claim."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcr2_landscape.markov import EXAMPLES, example, identical_interest, random_game, stage_potential
from mcr2_landscape.testing import seeds
from mcr2_landscape.validation import InputError

KINDS = [(1, (2, 2)), (3, (2, 3)), (2, (2, 2, 2))]


def cycle(game, base, first, second, *, temperature=0.0):
    """The four-cycle of players 0 and 1 between two policies each, in every state."""
    value = [
        game.value(policy, temperature=temperature) for policy in (base, (first, base[1]), (first, second), (base[0], second))
    ]
    A, B, C, D = value
    return (B[0] - A[0]) + (C[1] - B[1]) + (D[0] - C[0]) + (A[1] - D[1])


def pure(*actions):
    return np.eye(2)[list(actions)]


def test_opposed_interests():
    game = example("opposed-interests")
    found = cycle(game, (pure(0, 0), pure(0, 0)), pure(1, 0), pure(1, 0))
    assert np.abs(found).max() == pytest.approx(4 / 3)
    assert len({*map(str, game.exact.reward[:, 0].ravel())}) == 1


def test_mixed_policies_are_needed():
    game = example("pure-cycles-vanish")
    corners = [pure(s, t) for s in (0, 1) for t in (0, 1)]
    every = [cycle(game, (a, b), c, d) for a in corners for b in corners for c in corners for d in corners]
    assert np.abs(every).max() < 1e-15
    half = np.array([[1, 0], [0.5, 0.5]])
    assert np.abs(cycle(game, (pure(0, 0), pure(0, 0)), half, pure(0, 1))).max() == pytest.approx(1 / 6)


@given(seed=seeds())
def test_pennies_are_made_up_for(seed):
    game = example("compensated-pennies")
    policy, other = game.random_policy(key=seed), game.random_policy(key=seed + 1)
    assert np.abs(cycle(game, policy, other[0], other[1])).max() < 1e-13
    assert (game.exact.reward[0, 0] == -game.exact.reward[1, 0]).all()
    assert game.exact.reward[0, 0, 0, 0] - game.exact.reward[0, 0, 1, 0] != 0


@pytest.mark.parametrize("temperature", [0.1, 1.0, 3.0])
def test_entropy_moves_the_state(temperature):
    """By hand: state 1 has one player uniform and the other pure, and the cycle from state 0 is −(2/3)τ log 2."""
    game = example("entropy-moves")
    uniform = [[1.0, 0.0], [0.5, 0.5]]
    policy, first, second = (np.array(uniform), pure(0, 0)), np.array([[0.0, 1.0], [0.5, 0.5]]), pure(1, 0)
    found = cycle(game, policy, first, second, temperature=temperature)
    assert abs(found[0]) == pytest.approx(2 / 3 * temperature * np.log(2))
    assert np.abs(cycle(game, policy, first, second)).max() == 0


@given(seed=seeds(), kind=st.sampled_from(KINDS))
def test_random_kinds(seed, kind):
    same = identical_interest(*kind, key=seed)
    assert all((own == same.exact.reward[0]).all() for own in same.exact.reward)
    staged = stage_potential(*kind, key=seed)
    rows = staged.transition.reshape(kind[0], -1, kind[0])
    assert (rows == rows[:, :1]).all()
    assert (np.diagonal(rows[:, 0]) >= 0.9).all()
    moving = stage_potential(*kind, key=seed, moving=True)
    assert (moving.exact.reward == staged.exact.reward).all()
    for game in (same, staged, moving, random_game(*kind, key=seed)):
        assert not game.exact.rounded
        assert game.exact.discount == Fraction(1, 2)
        assert (game.exact.transition.sum(axis=-1) == 1).all()
        assert game.num_actions == kind[1]


@given(seed=seeds(), kind=st.sampled_from(KINDS))
def test_deviations_in_a_stage_change_all_players_by_the_potential(seed, kind):
    reward = stage_potential(*kind, key=seed).exact.reward
    for i in range(2):
        for j in range(i):
            cycles = [np.diff(reward[k], axis=k + 1) for k in (i, j)]
            assert (np.diff(cycles[0], axis=j + 1) == np.diff(cycles[1], axis=i + 1)).all()


def test_every_example_says_what_it_is():
    for name, found in EXAMPLES.items():
        assert found.about.endswith("."), name
        assert found.make().num_players == 2


def test_mistakes():
    for call, says in (
        (lambda: example("x"), "name: found 'x'; pass one of opposed-interests, "),
        (lambda: random_game(0, (2,), key=0), "num_states: found 0"),
        (lambda: random_game(1, (2, 0), key=0), r"num_actions\[1\]: found 0"),
        (lambda: random_game(1, (), key=0), "num_actions: found no player"),
        (lambda: stage_potential(1, (2, 2), key=0, persistence=1.5), "persistence: found 1.5"),
        (lambda: identical_interest(1, (2, 2), key="a"), "key: found"),
        (lambda: identical_interest(1, (2, 2), key=0, discount=2), "discount: found 2"),
    ):
        with pytest.raises(InputError, match=says):
            call()
