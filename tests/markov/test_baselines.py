"""Policy gradients, fictitious play and Q-learning do what their definitions say, and end where theory says."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcr2_landscape import markov
from mcr2_landscape.markov import runs, scan
from mcr2_landscape.markov.baselines import onto_simplex
from mcr2_landscape.markov.decisions import Decisions
from mcr2_landscape.testing import seeds
from mcr2_landscape.validation import InputError

from . import games

SMALL = st.sampled_from([(1, (2, 2)), (2, (2, 2)), (2, (3, 2)), (2, (2, 2, 2))])
PENNIES = markov.MarkovGame(np.ones((1, 2, 2, 1)), [[[[1, -1], [-1, 1]]], [[[-1, 1], [1, -1]]]], 0.5)


def is_policy(path):
    for own in path.policies:
        assert own.min() >= 0
        np.testing.assert_allclose(own.sum(axis=-1), 1, atol=1e-12)


@given(seed=seeds(), size=st.integers(1, 6), scale=st.sampled_from([1e-3, 1.0, 1e6]))
def test_projection_is_the_nearest(seed, size, scale):
    points = np.random.default_rng(seed).standard_normal((4, size)) * scale
    found = onto_simplex(points)
    assert found.min() >= 0
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-14)
    # p is the nearest point of a convex set if and only if ⟨x − p, y − p⟩ ≤ 0 for all its y: vertices suffice.
    off = points - found
    assert (off - np.sum(off * found, axis=1, keepdims=True)).max() <= 1e-14 * size * max(scale, 1) * 10


@settings(max_examples=10)
@given(seed=seeds(), shape=SMALL)
def test_one_natural_step(seed, shape):
    game = games.random_game(seed, shape)
    start = game.random_policy(key=seed)
    path = markov.independent_policy_gradient(game, 1, 0.3, start=start)
    for own, before, q in zip(path.last, start, games.q_values(game, start), strict=True):
        raised = before * np.exp(0.3 * q)
        np.testing.assert_allclose(own, raised / raised.sum(axis=1, keepdims=True), atol=1e-12)


@settings(max_examples=10)
@given(seed=seeds(), shape=SMALL)
def test_one_projected_step(seed, shape):
    game = games.random_game(seed, shape)
    start = game.random_policy(key=seed)
    path = markov.independent_policy_gradient(game, 1, 0.1, "projected", start=start)
    for i, before in enumerate(start):
        gradient = np.empty_like(before)
        for place in np.ndindex(*before.shape):
            ends = []
            for sign in (1, -1):
                moved = before.copy()
                moved[place] += sign * 1e-5
                ends.append(games.values(game, (*start[:i], moved, *start[i + 1 :]))[i] @ game.initial)
            gradient[place] = (ends[0] - ends[1]) / 2e-5
        np.testing.assert_allclose(path.last[i], onto_simplex(before + 0.1 * gradient), atol=1e-7)


@settings(max_examples=8)
@given(seed=seeds(), shape=SMALL, kind=st.sampled_from(["natural", "projected"]))
def test_small_steps_never_lower_the_common_value(seed, shape, kind):
    game = markov.identical_interest(*shape, key=seed)
    path = markov.independent_policy_gradient(game, 40, 0.003, kind, key=seed)
    is_policy(path)
    assert np.diff(path.potential).min() >= -1e-12
    assert path.potential[-1] > path.potential[0]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "method",
    [
        lambda game: markov.independent_policy_gradient(game, 400, 0.2, record_every=200),
        lambda game: markov.independent_policy_gradient(game, 400, 0.2, "projected", record_every=200),
        lambda game: markov.fictitious_play(game, 400, record_every=200, tolerance=0.05),
        lambda game: markov.fictitious_play(game, 400, values="believed", record_every=200, tolerance=0.05),
    ],
)
def test_identical_interest_ends_at_equilibria(method, seed):
    path = method(markov.identical_interest(2, (2, 2), key=seed))
    is_policy(path)
    assert path.converged
    assert "is at most" in path.reason
    assert path.nash_gap[-1] == pytest.approx(path.game.nash_gap(path.last).maximum, abs=1e-12)
    assert path.potential[-1] == pytest.approx(path.game.value(path.last)[0] @ path.game.initial)
    assert path.nash_gap.shape == path.potential.shape == path.steps.shape == path.policies[0].shape[:1]
    assert json.loads(json.dumps(path.to_dict(), allow_nan=False))["converged"] is True


def test_equilibria_are_not_left():
    game = markov.identical_interest(2, (2, 2), key=0)
    optimum = markov.team_optimum(game).policy
    for path in (
        markov.independent_policy_gradient(game, 3, 0.1, "projected", start=optimum),
        markov.fictitious_play(game, 3, start=optimum),
    ):
        for own, first in zip(path.last, optimum, strict=True):
            np.testing.assert_allclose(own, first, atol=1e-15)
        assert path.nash_gap.max() < 1e-12


def test_a_fixed_point_that_is_no_equilibrium_is_said():
    # State 1 is never seen, so its projected gradient is zero; the natural one does not weigh by visits.
    reward = np.broadcast_to(np.array([[1.0, 0.0], [0.0, 0.0]]), (2, 2, 2, 2))
    game = markov.MarkovGame(np.broadcast_to(np.eye(2)[:, None, None], (2, 2, 2, 2)), reward, 0.5, [1, 0])
    path = markov.independent_policy_gradient(game, 300, 0.5, "projected", record_every=100)
    assert not path.converged
    assert "a fixed point, no equilibrium" in path.reason
    assert markov.independent_policy_gradient(game, 300, 0.5, record_every=100).converged


def test_a_probability_that_underflows_can_return():
    # One player is paid for doing as the other does, which for long is the first action, and then the second for ever.
    game = markov.MarkovGame(np.ones((1, 2, 2, 1)), [[[[50, 0], [0, 50]]], [[[0, 1], [0, 1]]]], 0.5)
    start = np.array([[0.5, 0.5]]), np.array([[1 - 1e-13, 1e-13]])
    path = markov.independent_policy_gradient(game, 100, 1.0, start=start)
    assert path.policies[0][30, 0, 1] == 0
    assert path.converged
    assert path.last[0][0, 1] == 1


@settings(max_examples=10)
@given(seed=seeds(), shape=SMALL)
def test_fictitious_play_by_its_definition(seed, shape):
    game = games.random_game(seed, shape)
    path = markov.fictitious_play(game, 4, policy_step=markov.power_step(0.5, offset=1))
    own = game.uniform_policy()
    for k in range(1, 5):
        best = [np.eye(q.shape[1])[q.argmax(axis=1)] for q in games.q_values(game, own)]
        own = tuple(p + (b - p) / np.sqrt(k + 1) for p, b in zip(own, best, strict=True))
    for found, expected in zip(path.last, own, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_believed_values_are_those_of_believed_payoffs(seed):
    """Beliefs about payoffs of joint actions, as the source has them, for two players."""
    game = games.random_game(seed, (3, (2, 3)), discount=0.95)
    # With opposed interests best actions go on changing, so that a small difference of values is seen.
    opposed = np.stack([game.reward[0], -game.reward[0]])
    game = markov.MarkovGame(game.transition, opposed, game.discount)
    path = markov.fictitious_play(game, 40, values="believed", record_every=40)
    average, believed = [own.copy() for own in game.uniform_policy()], game.reward.copy()
    for k in range(1, 41):
        q = [np.einsum("sab,sb->sa", believed[0], average[1]), np.einsum("sab,sa->sb", believed[1], average[0])]
        value = np.stack([own.max(axis=1) for own in q])
        for i in range(2):
            average[i] += (np.eye(q[i].shape[1])[q[i].argmax(axis=1)] - average[i]) * (k + 1) ** -0.6
        goal = game.reward + game.discount * np.einsum("sabt,it->isab", game.transition, value)
        believed += (goal - believed) / (k + 1)
    for found, expected in zip(path.last, average, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_zero_sum_averages_become_even():
    path = markov.fictitious_play(PENNIES, 800, start=([[0.9, 0.1]], [[0.2, 0.8]]), record_every=400, tolerance=0.2)
    assert path.converged
    assert path.nash_gap[-1] < path.nash_gap[0] / 5
    assert path.potential is None


# -- Q-learning ---------------------------------------------------------------------------------------------------------------


def optimal_q(game):
    """Q* of the one player, by policy iteration."""
    alone = Decisions((0,), game.reward, game.transition[None], game.discount)
    return alone.q_value(alone.best()[1])[0]


def test_one_player_learns_the_optimal_values():
    draw = np.random.default_rng(0)
    transition = np.eye(3)[draw.integers(3, size=(3, 2))]
    transition[:, 0] = np.eye(3)[[1, 2, 0]]  # all states are reached
    certain = markov.MarkovGame(transition, draw.standard_normal((1, 3, 2)), 0.6)
    # Without chance a step of one is right, and is a contraction by δ for every round of visits.
    found = markov.independent_q_learning(certain, 1, 2000, 4, q_step=markov.power_step(0), exploration=1.0)
    for q in found.q[0][:, -1]:
        np.testing.assert_allclose(q, optimal_q(certain), atol=1e-10)
    assert found.converged.all()
    assert "4 of 4 seeds" in found.reason
    assert found.potential.shape == (4, 2)

    chance = games.random_game(4, (3, (2,)), discount=0.6)
    found = markov.independent_q_learning(chance, 1, 40_000, 4, q_step=markov.power_step(0.8), exploration=1.0)
    for q in found.q[0][:, -1]:
        np.testing.assert_allclose(q, optimal_q(chance), atol=0.1)


def pick(row, draw):
    return min(int(np.sum(np.cumsum(row)[:-1] <= draw * np.cumsum(row)[-1])), len(row) - 1)


def test_q_learning_by_its_definition(monkeypatch):
    monkeypatch.setattr(runs, "_PROCESSOR", runs.Room(512, 90, 90))  # several calls between two records
    game, epsilon, width = games.random_game(5, (3, (2, 3))), 0.3, 3
    found = markov.independent_q_learning(game, 7, 40, 3, exploration=epsilon, record_every=20)
    starts = np.random.default_rng(7).integers(2**64, size=3, dtype=np.uint64)
    draws = np.asarray(scan.uniforms(starts, np.uint64(0), count=1 + 40 * width, width=1))[:, 0]
    for seed in range(3):
        q, visits = ([np.zeros((3, count)) for count in (2, 3)] for _ in range(2))
        state = pick(game.initial, draws[0, seed])
        for k in range(40):
            own = draws[1 + k * width : 1 + (k + 1) * width, seed]
            rows = [(1 - epsilon) * np.eye(r.shape[1])[r[state].argmax()] + epsilon / r.shape[1] for r in q]
            actions = [pick(row, draw) for row, draw in zip(rows, own[:2], strict=True)]
            following = pick(game.transition[(state, *actions)], own[2])
            ahead = [r[following].max() for r in q]
            for i, action in enumerate(actions):
                visits[i][state, action] += 1
                goal = game.reward[(i, state, *actions)] + game.discount * ahead[i]
                q[i][state, action] += visits[i][state, action] ** -0.6 * (goal - q[i][state, action])
            state = following
            if k + 1 in (20, 40):
                for i in range(2):
                    np.testing.assert_allclose(found.q[i][seed, (k + 1) // 20], q[i], atol=1e-12)
                    np.testing.assert_array_equal(found.visits[i][seed, (k + 1) // 20], visits[i])
    last = tuple(own[1, -1] for own in found.policies)
    assert found.nash_gap[1, -1] == pytest.approx(game.nash_gap(last).maximum, abs=1e-12)
    assert found.potential is None
    assert found.least_visited.shape == found.nash_gap.shape == (3, 3)
    json.dumps(found.to_dict(), allow_nan=False)


def test_many_states_go_seed_by_seed(monkeypatch):
    game = games.random_game(1, (3, (2, 3)))
    settings_ = {"num_steps": 30, "num_seeds": 3, "record_every": 30}
    together = markov.independent_q_learning(game, 2, **settings_)
    monkeypatch.setattr(scan, "MOST_SELECTED", 2)
    alone = markov.independent_q_learning(game, 2, **settings_)
    for one, other in zip(together.q, alone.q, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-13)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda g: markov.independent_policy_gradient(g, 0, 0.1), "num_steps: found 0"),
        (lambda g: markov.independent_policy_gradient(g, 5, 0), "step_size: found 0; it must be greater than zero"),
        (lambda g: markov.independent_policy_gradient(g, 5, 0.1, "plain"), "kind: found 'plain'; pass one of 'natural', 'proj"),
        (lambda g: markov.independent_policy_gradient(g, 5, 0.1, record_every=2), "record_every: found 2, which does not div"),
        (lambda g: markov.independent_policy_gradient(g, 5, 0.1, tolerance=0), "tolerance: found 0"),
        (
            lambda g: markov.independent_policy_gradient(g, 5, 0.1, start=g.deterministic_policy([[0], [1]])),
            r"start\[0\]: found probability zero of action 1 in state 0, .*; pass positive ones",
        ),
        (lambda g: markov.independent_policy_gradient(g, 5, 0.1, start=g.uniform_policy()[:1]), "start: found policies of 1"),
        (lambda g: markov.independent_policy_gradient(g, 10**9, 0.1), "record_every: found 1, with which records take"),
        (lambda g: markov.fictitious_play(g, 5, start=g.uniform_policy(), key=1), "key: found one beside a start"),
        (lambda g: markov.fictitious_play(g, 5, values="guessed"), "values: found 'guessed'; pass one of 'exact', 'believed'"),
        (lambda g: markov.fictitious_play(g, 5, value_step=markov.power_step(1)), "value_step: found one, but exact values"),
        (lambda g: markov.fictitious_play(g, 5, policy_step=2), "policy_step: found int; pass markov.power_step"),
        (lambda g: markov.fictitious_play(g, 5, policy_step=lambda k: 3 / k), "policy_step: found 3 at the count 1"),
        (lambda g: markov.independent_q_learning(g, None, 5), "key: found NoneType"),
        (lambda g: markov.independent_q_learning(g, 0, 5, 0), "num_seeds: found 0"),
        (lambda g: markov.independent_q_learning(g, 0, 5, exploration=2), "exploration: found 2; pass a number from zero to"),
        (lambda g: markov.independent_q_learning(g, 0, 5, record_every=3), "record_every: found 3, which does not divide"),
        (lambda g: markov.independent_q_learning(g, 0, 2**31), "num_steps: found 2147483648; pass at most"),
        (lambda g: markov.independent_q_learning(g, 0, 10**8, 100, record_every=1), "record_every: .* take fewer seeds"),
        (
            lambda g: markov.independent_q_learning(markov.random_game(1, (2,) * 2, key=0), 0, 5, q_step=0.1),
            "q_step: found flo",
        ),
    ],
)
def test_what_is_refused(call, says):
    with pytest.raises(InputError, match=says):
        call(PENNIES)
