"""The continuous-time dynamics against explicit steps, closed forms, and what theory says of their fixed points."""

import json
import sys

import numpy as np
import pytest
from hypothesis import given, settings

from mcr2_landscape import markov
from mcr2_landscape.markov import policies
from mcr2_landscape.testing import seeds
from mcr2_landscape.validation import InputError

from . import games

SHAPE, RECORDS = (2, (2, 3)), 11  # of all smoothed paths of two players: one compilation


def shared_game(seed):
    """Identical interest, and transitions that do not depend on actions."""
    draw = np.random.default_rng(seed)
    S, actions = SHAPE
    rows = draw.dirichlet(np.ones(S), size=S).reshape(S, 1, 1, S)
    reward = np.broadcast_to(3 * draw.standard_normal((S, *actions)), (2, S, *actions))
    transition = np.broadcast_to(rows, (S, *actions, S))
    return markov.MarkovGame(transition, reward, draw.uniform(0.1, 0.9), draw.dirichlet(np.ones(S)))


def explicit(game, policy, duration, temperature, rates, num_steps):
    for _ in range(num_steps):
        goals = [policies.softmax(q, temperature) for q in game.q_value(policy, temperature=temperature)]
        moves = [rates[i][:, None] * (goal - policy[i]) for i, goal in enumerate(goals)]
        policy = tuple(own + duration / num_steps * move for own, move in zip(policy, moves, strict=True))
    return policy


@pytest.mark.parametrize("seed", range(2))
def test_tiny_explicit_steps(seed):
    game = games.random_game(seed, SHAPE)
    rates = np.random.default_rng(seed).uniform(0.5, 2, size=(2, 2))
    start = game.random_policy(key=seed)
    path = markov.flow(game, start, 0.5, temperature=0.7, rates=rates, num_records=RECORDS)
    levels = [explicit(game, start, 0.5, 0.7, rates, count) for count in (100, 200, 400)]
    for own, few, more, most in zip(path.last, *levels, strict=True):
        np.testing.assert_allclose(own, most, atol=1e-3)
        np.testing.assert_allclose(own, (few - 6 * more + 8 * most) / 3, atol=1e-6)  # errors h and h² are extrapolated away
    np.testing.assert_allclose(path.times, np.arange(11) / 20)
    for own, first in zip(path.policies, start, strict=True):
        np.testing.assert_allclose(own[0], first, atol=1e-15)


@settings(max_examples=8)
@given(seed=seeds())
def test_common_interest_ascends(seed):
    game = shared_game(seed)
    path = markov.flow(game, key=seed, duration=20, temperature=0.3, num_records=RECORDS)
    assert np.diff(path.perturbed_potential).min() >= -1e-8
    for own in path.policies:
        assert own.min() >= 0
        np.testing.assert_allclose(own.sum(axis=-1), 1, atol=1e-12)
    # The slope is Σ d γ τ [KL(b‖π) + KL(π‖b)] with the expected visits d, at least zero.
    first = tuple(own[0] for own in path.policies)
    slope = 0.0
    for own, q in zip(first, game.q_value(first, temperature=0.3), strict=True):
        goal = policies.softmax(q, 0.3)
        slope += game.occupancy(first) @ np.sum((goal - own) * 0.3 * (np.log(goal) - np.log(own)), axis=1)
    short = markov.flow(game, first, 1e-4, temperature=0.3, num_records=RECORDS).perturbed_potential
    assert slope >= 0
    found = (-3 * short[0] + 4 * short[1] - short[2]) / 2e-5  # of order two, at records 1e-5 apart
    assert found == pytest.approx(slope, rel=1e-4, abs=1e-5)


def test_where_actions_move_the_state_the_perturbed_value_may_fall():
    # One's own entropy depends on where the others lead: at the perturbed equilibrium the sum of all is not stationary, and
    # falls on some way to it. The common value without entropies is a potential all the same.
    game = markov.identical_interest(2, (2, 3), key=0, discount="9/10")
    found = markov.perturbed_equilibrium(game, 5.0)
    start = tuple(0.97 * own + 0.03 * off for own, off in zip(found.policy, game.random_policy(key=1), strict=True))
    path = markov.flow(game, start, 10, temperature=5.0, num_records=RECORDS)
    assert np.diff(path.perturbed_potential).min() < -1e-4


@pytest.mark.parametrize("temperature", [0.2, 2.0])
def test_perturbed_equilibria_stay(temperature):
    game = games.random_game(2, SHAPE)
    found = markov.perturbed_equilibrium(game, temperature)
    assert found.converged
    path = markov.flow(game, found.policy, 10, temperature=temperature, num_records=RECORDS)
    assert path.converged
    for own, first in zip(path.policies, found.policy, strict=True):
        np.testing.assert_allclose(own, np.broadcast_to(first, own.shape), atol=1e-7)
    assert path.perturbed_gap[-1] < 1e-7
    assert path.nash_gap[-1] <= found.bound
    assert path.potential is None
    assert path.perturbed_potential is None
    assert json.loads(json.dumps(path.to_dict(), allow_nan=False))["temperature"] == temperature


def test_one_player_in_one_state():
    # The present value is the same for all actions, so that the goal is softmax(u/τ), and is approached at the rate γ.
    reward = np.array([1.0, 0.0, -0.5])
    game = markov.MarkovGame(np.ones((1, 3, 1)), [[reward]], 0.8)
    start, goal = np.array([0.2, 0.3, 0.5]), policies.softmax(reward, 0.4)
    path = markov.flow(game, ([start],), 4, temperature=0.4, rates=1.7, num_records=9)
    kept = np.exp(-1.7 * path.times)[:, None]
    np.testing.assert_allclose(path.policies[0][:, 0], goal + kept * (start - goal), atol=1e-7)
    assert not path.converged
    assert "above 1e-06" in path.reason

    best = markov.flow(game, ([start],), 4, deviation="best", rates=1.7, num_records=9, step=0.3)
    np.testing.assert_allclose(best.policies[0][:, 0], [1, 0, 0] + kept * (start - [1, 0, 0]), atol=1e-14)
    assert best.step == pytest.approx(0.25)


@pytest.mark.parametrize("seed", range(3))
def test_best_deviations_ascend_to_equilibria(seed):
    game = markov.identical_interest(2, (2, 3), key=seed)
    path = markov.flow(game, None, 30, deviation="best", num_records=31, step=0.1)
    assert np.diff(path.potential).min() >= -1e-12
    assert path.converged
    assert path.nash_gap[-1] < 1e-9
    np.testing.assert_array_equal(path.perturbed_potential, path.potential)


def test_mixed_equilibria_are_recognized_without_smoothing():
    # Matching pennies: the limit is even, the deviations are not, and what chatter is left is of the order of the step.
    pennies = markov.MarkovGame(np.ones((1, 2, 2, 1)), [[[[1, -1], [-1, 1]]], [[[-1, 1], [1, -1]]]], 0.5)
    start = np.array([[0.9, 0.1]]), np.array([[0.3, 0.7]])
    gaps = []
    for step in (0.04, 0.01):
        path = markov.flow(pennies, start, 8, deviation="best", num_records=3, step=step, tolerance=10 * step)
        assert path.converged
        assert "gain by the deviation" in path.reason
        gaps.append(path.nash_gap[-1])
    assert gaps[1] < gaps[0] / 2


def test_loads_are_as_good_as_tables():
    game = markov.routing_game(num_players=3)
    paths = [markov.flow(own, key=2, duration=0.2, deviation="best", num_records=3) for own in (game, game.to_tables())]
    for one, other in zip(paths[0].policies, paths[1].policies, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)


def test_a_solver_that_gives_up_is_said():
    game = games.random_game(0, SHAPE)
    path = markov.flow(game, None, 50, temperature=0.05, num_records=RECORDS, max_steps=12)
    assert not path.completed
    assert not path.converged
    assert "the solver ended before the time" in path.reason
    assert 0 < len(path.times) == path.policies[0].shape[0] == path.nash_gap.shape[0] < RECORDS


def test_without_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "diffrax", None)
    game = games.random_game(0, SHAPE)
    with pytest.raises(InputError, match=r'needs diffrax, which is not installed; run: pip install ".*\[solvers\]"'):
        markov.flow(game, None, 1, temperature=1)
    assert markov.flow(game, None, 0.1, deviation="best", num_records=2).completed


@pytest.mark.parametrize(
    ("settings_", "says"),
    [
        ({"deviation": "worst"}, "deviation: found 'worst'; pass one of 'smoothed', 'best'"),
        ({}, "temperature: found none; pass a number above zero"),
        ({"temperature": 0}, 'temperature: found 0; it must be greater than zero .*deviation="best"'),
        ({"temperature": 1, "step": 0.1}, "step: found one, but the smoothed form chooses its own"),
        ({"temperature": 1, "deviation": "best"}, "temperature: found one, but the best deviation has none"),
        ({"deviation": "best", "step": 1e-9}, "step: found 1e-09, of which .* make the duration; pass a longer one"),
        ({"temperature": 1, "duration": 0}, "duration: found 0"),
        ({"temperature": 1, "num_records": 1}, "num_records: found 1; it must be at least 2"),
        ({"temperature": 1, "rates": [1, 2]}, r"rates: found shape \(2,\); pass one number, or an array \(N, S\) = \(2, 2\)"),
        ({"temperature": 1, "rates": -1}, "rates: found -1; every rate must be greater than zero"),
        ({"temperature": 1, "rates": np.nan}, "rates: found nan; pass a finite number"),
        ({"temperature": 1, "rates": "fast"}, "rates: cannot be read as numbers"),
        ({"temperature": 1, "rtol": 0}, "rtol: found 0"),
        ({"temperature": 1, "max_steps": 0}, "max_steps: found 0"),
        ({"temperature": 1, "tolerance": -1}, "tolerance: found -1"),
        ({"temperature": 1, "start": [[[1, 0]]]}, "start: found policies of 1 players"),
        ({"temperature": 1, "key": 1, "start": 0}, "key: found one beside a start"),
    ],
)
def test_what_is_refused(settings_, says):
    with pytest.raises(InputError, match=says):
        markov.flow(games.random_game(0, SHAPE), **settings_)
