"""Values, Q-functions and best responses are what the definition says, and keep the identities of theory."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcr2_landscape.markov import policies
from mcr2_landscape.testing import seeds

from . import games

shapes = st.sampled_from(games.SHAPES)
temperatures = st.sampled_from([0.0, 0.1, 2.0])


@given(seed=seeds(), shape=shapes, temperature=temperatures)
def test_values_and_q_functions_are_those_of_the_definition(seed, shape, temperature):
    game = games.random_game(seed, shape)
    policy = game.random_policy(key=seed)
    np.testing.assert_allclose(game.value(policy, temperature=temperature), games.values(game, policy, temperature), atol=1e-12)
    q = game.q_value(policy, temperature=temperature)
    for own, expected in zip(q, games.q_values(game, policy, temperature), strict=True):
        np.testing.assert_allclose(own, expected, atol=1e-12)


@given(seed=seeds(), shape=shapes)
def test_the_average_of_q_is_the_value(seed, shape):
    game = games.random_game(seed, shape)
    policy = game.random_policy(key=seed)
    averaged = [np.sum(own * q, axis=1) for own, q in zip(policy, game.q_value(policy), strict=True)]
    np.testing.assert_allclose(averaged, game.value(policy), atol=1e-12)


@given(seed=seeds(), shape=shapes)
def test_occupancy_and_transitions(seed, shape):
    game = games.random_game(seed, shape)
    policy = game.random_policy(key=seed)
    step, paid = games.averages(game, policy)
    np.testing.assert_allclose(game.state_transition(policy), step, atol=1e-14)
    visits = game.occupancy(policy)
    assert visits.sum() == pytest.approx(1 / (1 - game.discount))
    np.testing.assert_allclose(paid @ visits, game.value(policy) @ game.initial, atol=1e-12)
    first = np.eye(game.num_states)[0]
    np.testing.assert_allclose(paid @ game.occupancy(policy, initial=first), game.value(policy)[:, 0], atol=1e-12)


@given(seed=seeds(), shape=shapes)
def test_no_deterministic_policy_beats_the_best_response(seed, shape):
    game = games.random_game(seed, shape)
    policy = game.random_policy(key=seed)
    gap = game.nash_gap(policy)
    for player in range(game.num_players):
        best = game.best_response(policy, player)
        np.testing.assert_allclose(best.value, games.best_value(game, policy, player), atol=1e-12)
        np.testing.assert_allclose(best.gain, gap.gains[player], atol=1e-12)
        assert set(np.unique(best.policy)) <= {0.0, 1.0}
        changed = (*policy[:player], best.policy, *policy[player + 1 :])
        np.testing.assert_allclose(game.value(changed)[player], best.value, atol=1e-12)
    assert gap.maximum == gap.gains[gap.player, gap.state] == gap.gains.max()


@given(seed=seeds(), shape=shapes, temperature=st.sampled_from([1e-6, 0.1, 2.0]))
def test_the_perturbed_best_response_solves_the_soft_bellman_equation(seed, shape, temperature):
    game = games.random_game(seed, shape)
    policy = game.random_policy(key=seed)
    for player in range(game.num_players):
        best = game.best_response(policy, player, temperature=temperature)
        changed = (*policy[:player], best.policy, *policy[player + 1 :])
        np.testing.assert_allclose(game.value(changed, temperature=temperature)[player], best.value, atol=1e-12)
        q = game.q_value(changed, temperature=temperature)[player] - temperature * policies.entropy(best.policy)[:, None]
        top = q.max(axis=1)
        soft = top + temperature * np.log(np.exp((q - top[:, None]) / temperature).sum(axis=1))
        np.testing.assert_allclose(soft, best.value, atol=1e-12)
        np.testing.assert_allclose(policies.softmax(q, temperature), best.policy, atol=1e-11 / temperature)
        assert (best.gain >= -1e-12).all()


@given(seed=seeds(), shape=shapes, temperature=temperatures)
def test_performance_difference(seed, shape, temperature):
    """V_i(π_i', π_-i) − V_i(π) = (I − δP_π')⁻¹ [⟨π_i' − π_i, Q̃_i⟩ + τ(H(π_i') − H(π_i))]."""
    game = games.random_game(seed, shape)
    policy, other = game.random_policy(key=seed), game.random_policy(key=seed + 1)
    before, q = game.value(policy, temperature=temperature), game.q_value(policy, temperature=temperature)
    for i in range(game.num_players):
        changed = (*policy[:i], other[i], *policy[i + 1 :])
        bracket = np.sum((other[i] - policy[i]) * q[i], axis=1)
        bracket += temperature * (policies.entropy(other[i]) - policies.entropy(policy[i]))
        resolvent = np.linalg.inv(np.eye(game.num_states) - game.discount * game.state_transition(changed))
        after = game.value(changed, temperature=temperature)
        np.testing.assert_allclose(after[i] - before[i], resolvent @ bracket, atol=1e-11)


@given(seed=seeds())
def test_rewards_add_up_and_states_can_be_renamed(seed):
    game = games.random_game(seed, (3, (2, 2)), 0.5)
    policy, order = game.random_policy(key=seed), np.random.default_rng(seed).permutation(3)
    shifted = type(game)(game.transition, 2 * game.reward + 1, 0.5)
    np.testing.assert_allclose(shifted.value(policy), 2 * game.value(policy) + 2, atol=1e-12)
    renamed = type(game)(game.transition[order][..., order], game.reward[:, order], 0.5)
    np.testing.assert_allclose(renamed.value([own[order] for own in policy]), game.value(policy)[:, order], atol=1e-12)


@given(seed=seeds(), shape=st.sampled_from([(2, (2, 2)), (3, (2, 3)), (2, (2, 2, 2))]))
def test_the_potential_of_a_game_with_identical_interest_is_its_value(seed, shape):
    game = games.random_game(seed, shape)
    same = type(game)(game.transition, np.broadcast_to(game.reward[:1], game.reward.shape), game.discount)
    policy, reference = same.random_policy(key=seed), same.random_policy(key=seed + 1)
    found = same.potential(policy, reference=reference)
    np.testing.assert_allclose(found, (same.value(policy) - same.value(reference))[0], atol=1e-12)
    from_uniform = (same.value(policy) - same.value(same.uniform_policy()))[0]
    np.testing.assert_allclose(same.potential(policy), from_uniform, atol=1e-12)


def test_a_wrong_discount_is_noticed():
    """The definition's loops do not agree with another game."""
    game = games.random_game(0)
    other = type(game)(game.transition, game.reward, game.discount + 1e-6)
    policy = game.random_policy(key=0)
    assert np.abs(other.value(policy) - games.values(game, policy)).max() > 1e-8
