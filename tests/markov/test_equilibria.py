"""Equilibria are what the definition says, and those of the first experiment are known."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcr2_landscape import markov
from mcr2_landscape.markov import policies
from mcr2_landscape.testing import seeds
from mcr2_landscape.validation import InputError
from mcr2_landscape.verdict import Verdict

from . import games

SMALL = st.sampled_from([(1, (2,)), (1, (2, 3)), (2, (2, 2)), (2, (3, 1, 2)), (3, (2, 2))])


@given(seed=seeds(), shape=SMALL)
def test_pure_equilibria_are_the_policies_without_a_gap(seed, shape):
    game = games.random_game(seed, shape)
    found = markov.pure_equilibria(game)
    expected = set()
    choices = [list(itertools.product(range(count), repeat=shape[0])) for count in shape[1]]
    for actions in itertools.product(*choices):
        if game.nash_gap(game.deterministic_policy(np.array(actions))).maximum < 1e-9:
            expected.add(actions)
    assert {tuple(map(tuple, actions.tolist())) for actions in found.actions} == expected
    assert found.count == len(expected)
    assert found.num_policies == np.prod(shape[1]) ** shape[0]
    assert found.strict.all(), "in random games no two actions are alike"


def test_pure_equilibria_of_the_first_experiment():
    game = markov.routing_game()
    found = markov.pure_equilibria(game)
    assert (found.count, found.num_strict, found.num_policies) == (864, 864, 65536)
    assert (found.actions.sum(axis=1) == [2, 2, 1, 2]).all()
    assert game.nash_gap(game.deterministic_policy(found.actions[17])).maximum < 1e-12


def test_ties_are_equilibria_that_are_not_strict():
    nothing = markov.MarkovGame(np.full((2, 2, 2, 2), 0.5), np.zeros((2, 2, 2, 2)), 0.5)
    found = markov.pure_equilibria(nothing)
    assert (found.count, found.num_strict) == (16, 0)
    pennies = markov.MarkovGame(np.ones((1, 2, 2, 1)), [[[[1, -1], [-1, 1]]], [[[-1, 1], [1, -1]]]], 0.5)
    assert markov.pure_equilibria(pennies).count == 0
    assert markov.pure_equilibria(pennies).actions.shape == (0, 2, 1)


@given(seed=seeds(), shape=SMALL)
def test_no_joint_policy_beats_the_team_optimum(seed, shape):
    game = games.random_game(seed, shape)
    found = markov.team_optimum(game)
    np.testing.assert_allclose(game.value(found.policy).mean(axis=0), found.value, atol=1e-12)
    choices = [list(itertools.product(range(count), repeat=shape[0])) for count in shape[1]]
    every = [game.value(game.deterministic_policy(np.array(actions))).mean(axis=0) for actions in itertools.product(*choices)]
    np.testing.assert_allclose(found.value, np.max(every, axis=0), atol=1e-12)


def test_team_optimum_of_the_first_experiment():
    found = markov.team_optimum(markov.routing_game())
    np.testing.assert_allclose(found.value * 95, [2248, 3768, 3283, 4528], atol=1e-10)
    assert (found.actions.sum(axis=0) == [2, 2, 1, 2]).all()


def assert_perturbed_equilibrium(game, found):
    tau = found.temperature
    q = game.q_value(found.policy, temperature=tau)
    for own, own_q in zip(found.policy, q, strict=True):
        np.testing.assert_allclose(policies.softmax(own_q, tau), own, atol=1e-9 / min(tau, 1))
    gains = game.nash_gap(found.policy).gains
    assert (gains <= found.entropy_value + 1e-10).all()
    assert (found.entropy_value <= found.bound + 1e-12).all()
    perturbed = game.nash_gap(found.policy, temperature=tau).maximum
    assert perturbed < 1e-9


@settings(max_examples=10)
@given(seed=seeds(), shape=SMALL, temperature=st.sampled_from([0.3, 1.0, 10.0]))
def test_perturbed_equilibria_solve_the_soft_equation(seed, shape, temperature):
    game = games.random_game(seed, shape)
    found = markov.perturbed_equilibrium(game, temperature, key=seed)
    # A random game may resist; then the record says so.
    residual = max(abs(x) for x in (found.residual, 0.0))
    assert found.converged == (found.verdict is Verdict.HOLDS)
    if found.converged:
        assert residual <= found.tolerances[0]
        assert_perturbed_equilibrium(game, found)


@pytest.mark.parametrize("temperature", [1e-6, 1e-3, 0.1, 10.0])
def test_perturbed_equilibria_of_the_first_experiment(temperature):
    game = markov.routing_game()
    for key in (None, 1):
        found = markov.perturbed_equilibrium(game, temperature, key=key)
        assert found.converged
        assert_perturbed_equilibrium(game, found)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_most_random_games_are_solved():
    games_ = [(games.random_game(seed, (2, (2, 3))), tau) for seed in range(20) for tau in (0.01, 0.1, 1.0)]
    found = [markov.perturbed_equilibrium(game, tau) for game, tau in games_]
    assert sum(one.converged for one in found) >= 0.95 * len(found)


@pytest.mark.parametrize("temperature", [1e-3, 0.1, 1.0])
def test_matching_pennies_are_mixed(temperature):
    game = markov.MarkovGame(np.ones((1, 2, 2, 1)), [[[[1, -1], [-1, 1]]], [[[-1, 1], [1, -1]]]], 0.5)
    found = markov.perturbed_equilibrium(game, temperature, key=3)
    assert found.converged
    np.testing.assert_allclose(np.stack(found.policy), 0.5, atol=1e-10)


def test_a_start_at_an_equilibrium_stays():
    game = markov.routing_game(num_players=2)
    found = markov.perturbed_equilibrium(game, 5.0)
    again = markov.perturbed_equilibrium(game, 5.0, start=found.policy)
    for first, second in zip(found.policy, again.policy, strict=True):
        np.testing.assert_allclose(first, second, atol=1e-12)


def test_what_did_not_converge_is_undecided(monkeypatch):
    from mcr2_landscape.markov import equilibria

    monkeypatch.setattr(equilibria, "_MOST_UNKNOWNS", 0)
    game = markov.MarkovGame(np.ones((1, 2, 2, 1)), [[[[3, -1], [-1, 1]]], [[[-2, 1], [1, -1]]]], 0.5)
    found = markov.perturbed_equilibrium(game, 1e-3, key=3, max_steps=1)
    assert found.verdict is Verdict.UNDECIDED
    assert not found.converged


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda g: markov.perturbed_equilibrium(g, 0), "temperature: found 0; it must be greater than zero"),
        (lambda g: markov.perturbed_equilibrium(g, 1, start=g.uniform_policy()[:1]), "start: found policies of 1 players"),
        (lambda g: markov.perturbed_equilibrium(g, 1, start=g.uniform_policy(), key=0), "key: found one beside a start"),
        (lambda g: markov.perturbed_equilibrium(g, 1, max_steps=0), "max_steps: found 0"),
        (lambda g: markov.pure_equilibria(markov.routing_game(num_players=6)), "game: has about 16777216 deterministic"),
        (
            lambda g: markov.pure_equilibria(markov.routing_game(num_players=50)),
            r"game: has about 10\^60 deterministic policies",
        ),
        (lambda g: markov.team_optimum(markov.routing_game(num_players=50)), "num_players: a table of"),
    ],
)
def test_what_is_refused(call, says):
    with pytest.raises(InputError, match=says):
        call(markov.example("opposed-interests"))


@pytest.mark.parametrize("offset", [0.0, 1e6, 1e9])
def test_one_players_stakes_say_nothing_of_anothers(offset):
    """A constant, or rewards that are larger by far, of one player leave the equilibria what they are."""
    game = markov.random_game(2, (2, 2), key=3, discount=0.9)
    reward = game.reward.copy()
    reward[0] += offset
    reward[1] *= 1 + offset
    found = markov.pure_equilibria(markov.MarkovGame(game.transition, reward, 0.9))
    plain = markov.pure_equilibria(game)
    np.testing.assert_array_equal(found.actions, plain.actions)
    np.testing.assert_array_equal(found.strict, plain.strict)


def test_what_is_called_an_equilibrium_has_no_gap():
    reward = np.array([[[[3e9, 0], [0, 2e9]]], [[[1, 0], [0.6, 0.2]]]])
    game = markov.MarkovGame(np.ones((1, 2, 2, 1)), reward, 0.9)
    found = markov.pure_equilibria(game)
    assert found.actions.tolist() == [[[0], [0]]]
    for actions in found.actions:
        assert (game.nash_gap(game.deterministic_policy(actions)).gains <= found.tolerance[:, None] / 0.1).all()


@pytest.mark.parametrize("call", [markov.pure_equilibria, markov.team_optimum, markov.alpha_lower_bound])
def test_what_is_no_game_is_refused(call):
    with pytest.raises(InputError, match="game: found int; pass a MarkovGame"):
        call(3)
