"""Transitions that are never formed agree with tables, and at sizes without tables with sums over all profiles of a state."""

import itertools
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcr2_landscape.markov import CongestionGame, batched, congestion, counts, routing_game
from mcr2_landscape.markov.counts import Loads
from mcr2_landscape.markov.factored import FactoredTransitions, NextConditions
from mcr2_landscape.markov.transitions import fixed_point
from mcr2_landscape.testing import seeds
from mcr2_landscape.validation import InputError

SETTINGS = st.sampled_from([(1, 2), (2, 2), (5, 2), (1, 3), (2, 3), (4, 3), (3, 4), (4, 4), (2, 5), (4, 5)])
DISCOUNTS = st.sampled_from([0.2, 0.9, 0.99])
KINDS = st.sampled_from(["mixed", "deterministic", "nearly deterministic"])


def random_congestion(seed, players, routes, discount=0.8, *, sharp=False, **options):
    draw = np.random.default_rng(seed)
    payoff = draw.standard_normal((2**routes, routes, players + 1))
    stays = draw.uniform(size=(routes, players + 1))
    return CongestionGame(players, payoff, np.round(stays) if sharp else stays, discount, **options)


def random_policy(game, seed, kind):
    draw = np.random.default_rng(seed)
    pure = game.deterministic_policy(draw.integers(game.num_routes, size=(game.num_players, game.num_states)))
    weight = {"mixed": 1.0, "deterministic": 0.0, "nearly deterministic": 1e-13}[kind]
    mixed = game.random_policy(key=seed)
    return tuple(weight * one + (1 - weight) * other for one, other in zip(mixed, pure, strict=True))


# No game is small enough for transitions that are formed.
factored = mock.patch.object(congestion, "_LARGEST_DENSE", 0)


def never_formed(game, policy):
    return isinstance(game._decisions(policy)[0].transition, FactoredTransitions)


class TestAgainstTables:
    @given(
        seed=seeds(),
        setting=SETTINGS,
        discount=DISCOUNTS,
        kind=KINDS,
        common=st.booleans(),
        independent=st.booleans(),
        temperature=st.sampled_from([0, 0.5]),
        sharp=st.booleans(),
    )
    @factored
    def test_all_that_is_asked_of_a_policy(self, seed, setting, discount, kind, common, independent, temperature, sharp):
        game = random_congestion(
            seed, *setting, discount=discount, sharp=sharp, common_interest=common, action_independent=independent
        )
        table, policy, options = game.to_tables(), random_policy(game, seed, kind), {"temperature": temperature}
        assert independent or never_formed(game, policy)
        near = {"rtol": 1e-11, "atol": 1e-11 / (1 - discount)}
        np.testing.assert_allclose(game.value(policy, **options), table.value(policy, **options), **near)
        for one, other in zip(game.q_value(policy, **options), table.q_value(policy, **options), strict=True):
            np.testing.assert_allclose(one, other, **near)
        np.testing.assert_allclose(game.nash_gap(policy, **options).gains, table.nash_gap(policy, **options).gains, **near)
        np.testing.assert_allclose(game.occupancy(policy), table.occupancy(policy), **near)
        np.testing.assert_allclose(game.state_transition(policy), table.state_transition(policy), atol=1e-13)

    @given(seed=seeds(), setting=SETTINGS, discount=DISCOUNTS)
    @settings(max_examples=10)
    @factored
    def test_one_best_response_and_the_potential(self, seed, setting, discount):
        game = random_congestion(seed, *setting, discount=discount, common_interest=True)
        table, policy = game.to_tables(), random_policy(game, seed, "mixed")
        player = seed % game.num_players
        found, expected = game.best_response(policy, player), table.best_response(policy, player)
        near = {"rtol": 1e-11, "atol": 1e-11 / (1 - discount)}
        np.testing.assert_array_equal(found.policy, expected.policy)
        np.testing.assert_allclose(found.value, expected.value, **near)
        np.testing.assert_allclose(found.gain, expected.gain, **near)
        np.testing.assert_allclose(game.potential(policy), table.potential(policy), **near)

    @given(seed=seeds(), setting=st.sampled_from([(2, 3), (3, 4)]))
    @settings(max_examples=10)
    @factored
    def test_many_policies_at_once(self, seed, setting):
        game = random_congestion(seed, *setting)
        table, draw = game.to_tables(), np.random.default_rng(seed)
        (N, M), S = setting, game.num_states
        paths = tuple(draw.dirichlet(np.ones(M), size=(2, 3, S)) for _ in range(N))
        policy, q = tuple(own[:, 0] for own in paths), tuple(draw.standard_normal((2, S, M)) for _ in range(N))
        for ask in (
            lambda g: batched.nash_gaps(g, policy),
            lambda g: batched.frozen_gaps(g, paths),
            lambda g: batched.q_errors(g, policy, q, 0.3),
            lambda g: batched.first_values(g, policy),
        ):
            np.testing.assert_allclose(ask(game), ask(table), atol=1e-11)


class TestLoads:
    @given(seed=seeds(), setting=st.sampled_from([(1, 2), (2, 2), (7, 2), (5, 3), (3, 4), (6, 4), (2, 5)]))
    def test_others_are_counted_as_by_all_profiles(self, seed, setting):
        N, M = setting
        loads, chance = Loads(N, M), np.random.default_rng(seed).dirichlet(np.ones(M), size=(N, 2))
        with mock.patch.object(counts, "_AT_ONCE", 1 if seed % 2 else 1 << 20):
            found = loads.of_others(chance)
        place = {tuple(row): at for at, row in enumerate(loads.table)}
        for player in {0, N // 2, N - 1}:
            expected = np.zeros((M, len(loads.table), 2))
            rest = [i for i in range(N) if i != player]
            for chosen in itertools.product(range(M), repeat=N - 1):
                weight = np.prod([chance[i, :, m] for i, m in zip(rest, chosen, strict=True)], axis=0)
                for own in range(M):
                    expected[own, place[tuple(np.bincount([*chosen, own], minlength=M))]] += weight
            for own in range(M):
                spread = np.zeros_like(expected[own])
                spread[loads.up[own]] = found[player]
                np.testing.assert_allclose(spread, expected[own], atol=1e-14)

    @given(seed=seeds(), players=st.integers(1, 70))
    def test_loads_of_many_players_have_their_mean(self, seed, players):
        draw = np.random.default_rng(seed)
        chance = draw.uniform(size=(players, 3)) ** draw.uniform(0.1, 10)
        found = Loads(players, 2).of_others(np.stack([chance, 1 - chance], axis=-1))
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-13)
        mean = np.einsum("nlr,l->nr", found, np.arange(players))
        np.testing.assert_allclose(mean, chance.sum(axis=0) - chance, rtol=1e-12, atol=1e-12)

    @given(seed=seeds(), setting=SETTINGS)
    def test_one_route_at_a_time_is_the_product_of_all(self, seed, setting):
        N, M = setting
        draw = np.random.default_rng(seed)
        loads, stays = Loads(N, M), draw.uniform(size=(M, N + 1))
        following, table = NextConditions(loads, stays), np.empty((len(loads.table), 2**M))
        for at, row in enumerate(loads.table):
            product = np.ones(1)
            for m, load in enumerate(row):
                product = np.kron(product, [stays[m, load], 1 - stays[m, load]])
            table[at] = product
        np.testing.assert_allclose(following.table(), table, rtol=1e-13)
        value, weight = draw.standard_normal((2, 2**M)), draw.standard_normal((2, len(table)))
        np.testing.assert_allclose(following.expected(value), value @ table.T, atol=1e-13)
        np.testing.assert_allclose(following.spread(weight), weight @ table, atol=1e-12)

    @given(seed=seeds(), setting=SETTINGS)
    def test_players_who_choose_all_routes_alike(self, seed, setting):
        N, M = setting
        stays = np.random.default_rng(seed).uniform(size=(M, N + 1))
        found = counts.of_even_players(N, M, np.stack([stays, 1 - stays], axis=1))
        expected = np.zeros(2**M)
        for chosen in itertools.product(range(M), repeat=N):
            zero = stays[np.arange(M), np.bincount(chosen, minlength=M)]
            rows = itertools.product((0, 1), repeat=M)
            expected += [np.prod(np.where(row, 1 - zero, zero)) for row in rows]
        np.testing.assert_allclose(found, expected / M**N, atol=1e-14)


class TestFixedPoint:
    @given(seed=seeds(), discount=st.sampled_from([0.3, 0.99, 0.9999]))
    def test_even_where_nothing_mixes(self, seed, discount):
        """A cycle through all states is the worst case: no step but the last tells all of it."""
        draw = np.random.default_rng(seed)
        paid, places = draw.standard_normal(60), np.roll(np.arange(60), 1)
        matrix = np.eye(60)[places]
        found = fixed_point(lambda x: matrix @ x, paid, discount, 60)
        np.testing.assert_allclose(found, np.linalg.solve(np.eye(60) - discount * matrix, paid), rtol=1e-12 / (1 - discount))
        assert fixed_point(lambda x: matrix @ x, paid, discount, 60, found) is found

    def test_of_nothing(self):
        assert not fixed_point(lambda x: x, np.zeros(3), 0.9, 3).any()

    def test_what_is_no_matrix_of_probabilities_is_noticed(self):
        with pytest.raises(AssertionError, match="GMRES"):
            fixed_point(lambda x: 2 * x, np.ones(3), 0.5, 3)


@pytest.fixture(scope="module")
def large():
    """Ten routes, 1,024 states and four players: 10⁴ profiles a state, and no table."""
    game = random_congestion(3, 4, 10, 0.95)
    return game, random_policy(game, 4, "mixed")


def by_all_profiles(game, policy, state, player, value, *, shift=0):
    """Q_i(s, ·) from the definition: a sum over what all players may do in the state. `shift` makes a mistake on purpose."""
    N, M = game.num_players, game.num_routes
    profiles = np.array(list(itertools.product(range(M), repeat=N)))
    loads = np.stack([(profiles == m).sum(axis=1) for m in range(M)], axis=1)
    distinct, which = np.unique(loads, axis=0, return_inverse=True)
    expected = []
    for row in distinct:
        ahead = value
        for m in range(M):  # the first route is the most significant
            zero = game.stays[m, min(row[m] + shift, N)]
            ahead = zero * ahead[: len(ahead) // 2] + (1 - zero) * ahead[len(ahead) // 2 :]
        expected.append(ahead[0])
    own = profiles[:, player]
    paid = game.payoff[state, own, loads[np.arange(len(loads)), own]]
    worth = paid + game.discount * np.array(expected)[which.ravel()]
    chance = np.prod([policy[j][state, profiles[:, j]] for j in range(N) if j != player], axis=0)
    return np.array([np.sum((chance * worth)[own == m]) for m in range(M)])


class TestManyRoutes:
    @pytest.mark.parametrize(("state", "player"), [(0, 0), (517, 1), (1023, 3)])
    def test_values_by_all_profiles_of_a_state(self, large, state, player):
        game, policy = large
        assert never_formed(game, policy)
        value, q = game.value(policy), game.q_value(policy)
        expected = by_all_profiles(game, policy, state, player, value[player])
        np.testing.assert_allclose(q[player][state], expected, atol=1e-11)
        assert policy[player][state] @ expected == pytest.approx(value[player, state], abs=1e-11)
        shifted = by_all_profiles(game, policy, state, player, value[player], shift=1)
        assert np.abs(shifted - expected).max() > 1e-4

    @pytest.mark.parametrize("temperature", [0, 0.3])
    def test_a_best_response_by_all_profiles_of_a_state(self, large, temperature):
        game, policy = large
        best = game.best_response(policy, 2, temperature=temperature)
        assert best.gain.min() > 0
        for state in (5, 700):
            q = by_all_profiles(game, policy, state, 2, best.value)
            worth = temperature * np.log(np.sum(np.exp(q / temperature))) if temperature else q.max()
            assert best.value[state] == pytest.approx(worth, abs=1e-11)

    def test_visits_weigh_what_is_paid(self, large):
        game, policy = large
        visits = game.occupancy(policy)
        assert visits.min() > 0
        assert visits.sum() == pytest.approx(1 / (1 - game.discount), rel=1e-12)
        paid = np.sum(np.stack(policy) * game._decisions(policy)[0].reward, axis=-1)
        np.testing.assert_allclose(paid @ visits, game.value(policy) @ game.initial, rtol=1e-12, atol=1e-12)

    def test_an_equilibrium_has_no_gap(self):
        """With common interest players who respond one after the other come to an equilibrium."""
        game = random_congestion(0, 3, 10, 0.9, common_interest=True)
        policy = game.uniform_policy()
        for i in itertools.cycle(range(3)):
            if i == 0:
                gap = game.nash_gap(policy)
                assert gap.gains.min() > -1e-10
                if gap.maximum < 1e-10:
                    break
            policy = (*policy[:i], game.best_response(policy, i).policy, *policy[i + 1 :])
        value = game.value(policy)
        np.testing.assert_allclose(value, value[:1].repeat(3, axis=0), atol=1e-11)
        # One player off by one action in one state is noticed.
        other = policy[1].copy()
        other[9] = np.roll(other[9], 1)
        assert game.nash_gap((policy[0], other, policy[2])).gains[1, 9] > 1e-3

    def test_actions_that_move_nothing(self):
        """24 players on eight routes: more loads than memory holds, but one row of transitions."""
        game = random_congestion(0, 24, 8, action_independent=True)
        policy = game.uniform_policy()
        assert game._averaged.sum() == pytest.approx(1, abs=1e-12)
        # Players who do the same have the same value, and what is paid now is all that an action changes.
        value, q = game.value(policy), game.q_value(policy)
        assert np.ptp(value, axis=0).max() < 1e-12
        after = game.discount * game._averaged @ value[0]
        np.testing.assert_allclose(q[0], game._decisions(policy)[0].reward[0] + after, atol=1e-12)
        small = routing_game(num_players=3, num_routes=4, slopes=range(4), intercepts=range(4), action_independent=True)
        np.testing.assert_allclose(small._averaged, small.to_tables().transition[0, 0, 0, 0], atol=1e-15)


@factored
def test_formed_or_not_is_the_same():
    game = random_congestion(1, 4, 5, 0.95)
    policy = game.random_policy(key=2)
    without = game.nash_gap(policy).gains
    with mock.patch.object(congestion, "_LARGEST_DENSE", 1 << 30):
        assert not never_formed(game, policy)
        np.testing.assert_allclose(game.nash_gap(policy).gains, without, rtol=1e-11)


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda: random_congestion(0, 2, 14), None),
        (lambda: random_congestion(0, 1, 17), r"stays: found shape \(17, 2\); pass \(M, N \+ 1\) for M routes, from two to 16"),
        (lambda: routing_game(num_routes=40), "num_routes: found 40; pass at most 16"),
        (lambda: random_congestion(0, 4, 8).to_tables(), r"num_players: a table of .* than 16,777,216; take fewer players or"),
    ],
)
def test_the_largest_games(ask, says):
    if says is None:
        game = ask()
        with pytest.raises(InputError, match="game: found 16,384 states, whose transitions are 268,435,456 numbers"):
            game.state_transition(game.uniform_policy())
    else:
        with pytest.raises(InputError, match=says):
            ask()


def test_too_many_loads():
    game = random_congestion(0, 16, 8)
    with pytest.raises(InputError, match=r"num_players: found 16 players on 8 routes, whose loads in 256 states take .* fewer"):
        game.value(game.uniform_policy())
