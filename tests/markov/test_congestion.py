"""Congestion games by counts agree with their tables, and the routing game has the values that theory gives."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcr2_landscape.markov import CongestionGame, routing_game
from mcr2_landscape.testing import seeds
from mcr2_landscape.validation import InputError

SETTINGS = st.sampled_from([(1, 2), (3, 2), (5, 2), (2, 3), (4, 3), (2, 4)])


def random_congestion(seed, players, routes, **options):
    draw = np.random.default_rng(seed)
    payoff = draw.standard_normal((2**routes, routes, players + 1))
    stays = draw.uniform(size=(routes, players + 1))
    return CongestionGame(players, payoff, stays, draw.uniform(0.1, 0.9), draw.dirichlet(np.ones(2**routes)), **options)


@given(seed=seeds(), setting=SETTINGS, common=st.booleans(), independent=st.booleans(), temperature=st.sampled_from([0, 0.5]))
def test_counts_agree_with_tables(seed, setting, common, independent, temperature):
    game = random_congestion(seed, *setting, common_interest=common, action_independent=independent)
    table, policy = game.to_tables(), game.random_policy(key=seed)
    options = {"temperature": temperature}
    np.testing.assert_allclose(game.value(policy, **options), table.value(policy, **options), atol=1e-11)
    for by_counts, by_table in zip(game.q_value(policy, **options), table.q_value(policy, **options), strict=True):
        np.testing.assert_allclose(by_counts, by_table, atol=1e-11)
    np.testing.assert_allclose(game.nash_gap(policy, **options).gains, table.nash_gap(policy, **options).gains, atol=1e-11)
    np.testing.assert_allclose(game.occupancy(policy), table.occupancy(policy), atol=1e-12)


@given(seed=seeds())
def test_deterministic_policies_have_sharp_loads(seed):
    """Probabilities of zero and one, where a deconvolution would divide by nothing."""
    game = random_congestion(seed, 4, 3)
    policy = game.deterministic_policy(np.random.default_rng(seed).integers(3, size=(4, 8)))
    np.testing.assert_allclose(game.value(policy), game.to_tables().value(policy), atol=1e-11)


def test_values_of_the_first_experiment():
    game = routing_game()
    uniform = game.uniform_policy()
    expected = [Fraction(-13, 8), Fraction(147, 8), Fraction(67, 8), Fraction(227, 8)]
    np.testing.assert_allclose(game.value(uniform), [[float(v) for v in expected]] * 4, atol=1e-13)
    gaps = np.array([113549, 108349, 170349, 56749]) / 14200
    np.testing.assert_allclose(game.nash_gap(uniform).gains.max(axis=0), gaps, atol=1e-13)


def test_the_routing_game_by_its_definition():
    """Loads, costs and transitions of some joint actions, computed by hand: SAFE is condition 0, and costs twice as much."""
    table = routing_game(common_interest=False).to_tables()
    exact = table.exact
    assert not exact.rounded
    assert exact.discount == Fraction(1, 2)
    # Three players on the first route, SAFE, and one on the second, UNSAFE: 9 − 2·2·3 and 16 − 1·4·1.
    assert [exact.reward[i, 1, 0, 0, 0, 1] for i in range(4)] == [-3, -3, -3, 12]
    # Load 3 is not below two: SAFE with 1/5; load 1 is: 4/5.
    assert list(exact.transition[1, 0, 0, 0, 1]) == [Fraction(n, 25) for n in (4, 1, 16, 4)]
    common = routing_game().to_tables().exact
    assert {common.reward[i, 1, 0, 0, 0, 1] for i in range(4)} == {Fraction(3)}
    other_way = routing_game(common_interest=False, cost_factors=(1, 2)).to_tables().exact
    assert [other_way.reward[i, 1, 0, 0, 0, 1] for i in range(4)] == [3, 3, 3, 8]
    independent = routing_game(action_independent=True).to_tables().exact
    assert len({tuple(row) for row in independent.transition.reshape(-1, 4)}) == 1


@pytest.mark.parametrize("players", [64, 256])
def test_many_players_on_two_routes(players):
    """Where everybody plays alike loads are binomial, and one value follows from another library."""
    from scipy.stats import binom

    game = routing_game(num_players=players, common_interest=False)
    chance = 0.3
    policy = tuple(np.tile([chance, 1 - chance], (4, 1)) for _ in range(players))
    q = game.q_value(policy)
    value = game.value(policy)
    others = np.arange(players)
    weights = binom.pmf(others, players - 1, chance)
    below = [0.8 * (load < 2) + 0.2 * (load >= 2) for load in (others + 1, players - 1 - others)]
    rows = np.stack(
        [below[0] * below[1], below[0] * (1 - below[1]), (1 - below[0]) * below[1], (1 - below[0]) * (1 - below[1])]
    )
    expected = weights @ (9 - 4 * (others + 1)) + 0.5 * weights @ (rows.T @ value[0])
    assert q[0][0, 0] == pytest.approx(expected, rel=1e-12)
    assert np.ptp(value, axis=0).max() < 1e-10 * np.abs(value).max()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"num_players": 0}, "num_players: found 0"),
        ({"num_routes": 1}, "num_routes: found 1"),
        ({"slopes": (1,)}, r"slopes: found \(1,\); pass 2 numbers"),
        ({"intercepts": "ab"}, "intercepts: found 'ab'; pass 2 numbers"),
        ({"safe_probabilities": (0.8, 1.2)}, "stays: found 0.8 to 1.2; pass probabilities"),
        ({"slopes": (1, float("nan"))}, r"slopes\[1\]: found nan; pass a finite real number"),
        ({"discount": 1}, "discount: found 1; pass a number between zero and one"),
        ({"discount": "x"}, "discount: found 'x'; pass a finite real number"),
    ],
)
def test_mistakes(options, says):
    with pytest.raises(InputError, match=says):
        routing_game(**options)


def test_sizes_that_do_not_fit():
    with pytest.raises(InputError, match=r"num_players: a table of .* entries .* what a CongestionGame answers without tables"):
        routing_game(num_players=64).to_tables()
    game = random_congestion(0, 60, 5)
    with pytest.raises(InputError, match=r"num_players: .*more than"):
        game.value(game.uniform_policy())
