"""The decision test says what is known of constructed games, in all arithmetics, and its refutations are four-cycles."""

import itertools
import time
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import xlogy

from mcr2_landscape import markov
from mcr2_landscape.certify import check
from mcr2_landscape.certify.exact import number_text
from mcr2_landscape.markov import cycles, exact_cycles
from mcr2_landscape.markov import exact_evaluation as evaluation
from mcr2_landscape.markov import potential as module
from mcr2_landscape.markov.examples import EXAMPLES
from mcr2_landscape.testing import seeds
from mcr2_landscape.validation import InputError
from mcr2_landscape.verdict import Evidence, Verdict

from . import games

HALF = Fraction(1, 2)
SHAPES = [(1, (2, 2)), (2, (2, 2)), (3, (2, 3)), (2, (3, 1, 2)), (2, (2, 2, 2))]
shapes = st.sampled_from(SHAPES)
KINDS = {
    "identical interest": (markov.identical_interest, True),
    "stage potentials, actions that do not move the state": (markov.stage_potential, True),
    "random": (markov.random_game, False),
    "stage potentials, actions that move the state": (
        lambda *args, **options: markov.stage_potential(*args, moving=True, **options),
        False,
    ),
}
ARITHMETICS = ["modular", "rationals", "float"]


@pytest.fixture
def no_theorem(monkeypatch):
    """Random points have to tell, where theorems would."""
    monkeypatch.setattr(module, "proved_potential", lambda *_, **__: None)


def rewarded(game, index, amount):
    """The game with one reward changed by a fraction."""
    tables = game.to_tables().exact
    reward = np.array(tables.reward)
    reward[index] += amount
    return markov.MarkovGame(tables.transition, reward, tables.discount, tables.initial)


def assert_refutes(game, found):
    """The cycle, evaluated by itself, is what it says."""
    cycle = found.cycle
    exact = isinstance(cycle.value, Fraction)
    again = markov.four_cycle(game, cycle.policy, cycle.deviations, cycle.players, exact=exact)
    value = again @ game.to_tables().exact.initial if cycle.state is None else again[cycle.state]
    assert value == cycle.value if exact else abs(value - cycle.value) < 1e-12 * (1 + abs(value))
    assert value != 0


# -- exact values -----------------------------------------------------------------------------------------------------------


@given(seed=seeds(), shape=shapes)
def test_exact_values_are_those_of_floating_point(seed, shape):
    game = markov.random_game(*shape, key=seed)
    policy = evaluation.as_policy(evaluation.rational_rows(np.random.default_rng(seed), 16, shape[0], shape[1]))
    exact = markov.exact_value(game, policy)
    np.testing.assert_allclose(exact.astype(float), game.value([own.astype(float) for own in policy]), rtol=1e-11, atol=1e-11)
    # They solve the Bellman equation exactly.
    step, paid = np.zeros((shape[0],) * 2, dtype=object), np.zeros((len(shape[1]), shape[0]), dtype=object)
    for s, a in itertools.product(range(shape[0]), itertools.product(*map(range, shape[1]))):
        chance = np.prod([own[s, k] for own, k in zip(policy, a, strict=True)])
        step[s] += chance * game.exact.transition[(s, *a)]
        paid[:, s] += chance * game.exact.reward[(slice(None), s, *a)]
    assert (exact == paid + game.exact.discount * exact @ step.T).all()


@given(seed=seeds(), shape=shapes)
def test_residues_are_those_of_the_rationals(seed, shape):
    numbers = evaluation.IntegerGame(markov.random_game(*shape, key=seed).exact)
    draw = np.random.default_rng(seed)
    rows = evaluation.rational_rows(draw, 1, *shape)  # vertices: integers
    prime = evaluation.random_prime(draw)
    for exact, residue in zip(numbers.values([rows])[0], numbers.values([rows], prime)[0], strict=True):
        for x, y in zip(exact, residue, strict=True):
            assert int(x.p) * pow(int(x.q), -1, prime) % prime == int(y)


def test_known_values():
    game = markov.routing_game()
    uniform = [np.full((4, 2), HALF)] * 4
    wanted = [Fraction(-13, 8), Fraction(147, 8), Fraction(67, 8), Fraction(227, 8)]
    assert (markov.exact_value(game, tuple(uniform)) == np.array([wanted] * 4)).all()


# -- known answers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize("kind", KINDS)
def test_constructed_games(kind, arithmetic):
    check_constructed(kind, arithmetic, range(6))


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize("kind", KINDS)
def test_two_hundred_constructed_games(kind, arithmetic):
    check_constructed(kind, arithmetic, range(200))


def check_constructed(kind, arithmetic, numbers):
    make, wanted = KINDS[kind]
    for number in numbers:
        shape = SHAPES[1:][number % 4]
        game = make(*shape, key=number, discount=Fraction(1 + number % 9, 10))
        found = markov.potential_test(game, arithmetic=arithmetic, key=number)
        assert found.verdict == (Verdict.HOLDS if wanted else Verdict.REFUTED), (number, found.reason)
        if not wanted:
            assert_refutes(game, found)


@pytest.mark.parametrize("kind", [kind for kind, (_, wanted) in KINDS.items() if wanted])
@pytest.mark.parametrize("arithmetic", ["modular", "rationals"])
def test_random_points_accept_what_theorems_prove(kind, arithmetic, no_theorem):
    for number in range(6):
        game = KINDS[kind][0](*SHAPES[number % 5], key=number)
        found = markov.potential_test(game, arithmetic=arithmetic, key=number)
        assert (found.verdict, found.evidence) == (Verdict.HOLDS, Evidence.NUMERICAL)
        assert 0 < found.error_bound < 1e-12


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_by_name(name, arithmetic):
    game = markov.example(name)
    found = markov.potential_test(game, arithmetic=arithmetic)
    assert (found.verdict is Verdict.HOLDS) == EXAMPLES[name].potential
    if not EXAMPLES[name].potential:
        assert_refutes(game, found)


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize("num_players", [2, 3, 4])
def test_routing_games(num_players, arithmetic):
    for own, independent in itertools.product((False, True), repeat=2):
        game = markov.routing_game(num_players=num_players, common_interest=not own, action_independent=independent)
        found = markov.potential_test(game, arithmetic=arithmetic)
        assert (found.verdict is Verdict.REFUTED) == (own and not independent)
        if arithmetic != "float":
            assert (found.evidence, found.error_bound) == (Evidence.EXACT, 0)


def test_pure_cycles_do_not_tell():
    game = markov.example("pure-cycles-vanish")
    pure = [np.eye(2, dtype=int)[list(actions)] for actions in itertools.product((0, 1), repeat=2)]
    for a, b, c, d in itertools.product(pure, repeat=4):
        assert (markov.four_cycle(game, (a, b), (c, d), (0, 1), exact=True) == 0).all()

    def one(chance):
        return np.array([[HALF, HALF], [1 - chance, chance]], dtype=object)

    cycle = markov.four_cycle(game, (one(0), one(0)), (one(HALF), one(1)), (0, 1), exact=True)
    assert abs(cycle[1]) == Fraction(1, 6)
    assert cycle[0] == 0
    bound = markov.alpha_lower_bound(game)
    assert bound.pure_value == pytest.approx(0, abs=1e-14)
    assert bound.value >= 1 / 24


def test_the_pure_cycle_of_opposed_interests():
    game = markov.example("opposed-interests")
    zero, one = np.array([[1, 0], [1, 0]]), np.array([[0, 1], [1, 0]])
    cycle = markov.four_cycle(game, (zero, zero), (one, one), (0, 1), exact=True)
    assert cycle[0] == -Fraction(4, 3)
    bound = markov.alpha_lower_bound(game)
    assert bound.value >= bound.pure_value >= 1 / 3 - 1e-12


@pytest.mark.parametrize("temperature", [1e-3, 1.0, 7.0])
def test_entropy_makes_a_cycle(temperature):
    """By hand: −(2/3)τ log 2 from state 0, where the game without entropy pays nothing at all."""
    game = markov.example("entropy-moves")
    even, sure = [0.5, 0.5], [1.0, 0.0]
    policy = (np.array([sure, even]), np.array([sure, sure]))
    deviations = (np.array([[0.0, 1.0], even]), np.array([[0.0, 1.0], sure]))
    cycle = markov.four_cycle(game, policy, deviations, (0, 1), temperature=temperature)
    assert abs(cycle[0]) == pytest.approx(2 / 3 * temperature * np.log(2), rel=1e-12)
    found = markov.potential_test(game, exact=False, temperature=temperature)
    assert (found.verdict, found.evidence) == (Verdict.REFUTED, Evidence.NUMERICAL)
    assert markov.potential_test(game).verdict is Verdict.HOLDS


@given(seed=seeds(), shape=shapes)
def test_perturbed_games_whose_actions_do_not_move_the_state(seed, shape):
    game = markov.stage_potential(*shape, key=seed)
    assert markov.potential_test(game, exact=False, temperature=0.7, key=seed).verdict is Verdict.HOLDS


# -- properties -------------------------------------------------------------------------------------------------------------


@given(seed=seeds(), shape=shapes, kind=st.sampled_from(sorted(KINDS)))
def test_arithmetics_agree(seed, shape, kind):
    game = KINDS[kind][0](*shape, key=seed)
    verdicts = {markov.potential_test(game, arithmetic=a, key=seed).verdict for a in ARITHMETICS}
    assert len(verdicts) == 1


@given(seed=seeds(), shape=st.sampled_from(SHAPES[1:]), kind=st.sampled_from(sorted(k for k, v in KINDS.items() if v[1])))
def test_a_reward_off_by_a_millionth_is_noticed(seed, shape, kind):
    game = KINDS[kind][0](*shape, key=seed)
    index = (0, shape[0] - 1, *[0] * len(shape[1]))
    planted = rewarded(game, index, Fraction(1, 10**6))
    for arithmetic in ("modular", "rationals"):
        found = markov.potential_test(planted, arithmetic=arithmetic, key=seed)
        assert (found.verdict, found.evidence) == (Verdict.REFUTED, Evidence.EXACT)
        assert_refutes(planted, found)


@given(seed=seeds(), shape=shapes)
def test_what_a_player_cannot_change_changes_nothing(seed, shape):
    """u_i + c_i(s, a_−i) with actions that do not move the state; renamed states and actions; scaled rewards."""
    draw = np.random.default_rng(seed)
    for kind, (make, wanted) in KINDS.items():
        if shape[0] == 1 and "move" in kind:
            continue
        tables = make(*shape, key=seed).exact
        order = draw.permutation(shape[0])
        transition, reward = tables.transition[order][..., order], tables.reward[:, order]
        actions = draw.permutation(shape[1][0])
        game = markov.MarkovGame(transition[:, actions], 3 * reward[:, :, actions] - 1, tables.discount)
        assert (markov.potential_test(game, key=seed).verdict is Verdict.HOLDS) == wanted


def averaged_only():
    """Two states that are never left; in the second the stage game is matching pennies."""
    transition = np.zeros((2, 2, 2, 2), dtype=int)
    transition[0, ..., 0] = transition[1, ..., 1] = 1
    reward = np.zeros((2, 2, 2, 2), dtype=int)
    reward[0, 1], reward[1, 1] = [[1, -1], [-1, 1]], [[-1, 1], [1, -1]]
    return transition, reward


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_averages_over_states(arithmetic):
    for initial, wanted in (([1, 0], Verdict.HOLDS), (["1/2", "1/2"], Verdict.REFUTED)):
        game = markov.MarkovGame(*averaged_only(), HALF, np.array(initial, dtype=object))
        assert markov.potential_test(game, arithmetic=arithmetic).verdict is Verdict.REFUTED
        found = markov.potential_test(game, arithmetic=arithmetic, notion="averaged")
        assert found.verdict is wanted
        if wanted is Verdict.REFUTED:
            assert found.cycle.state is None
            assert_refutes(game, found)


def test_averages_that_cancel():
    """Stage games in two states whose cycles cancel only where both states' actions are alike: no potential on average."""
    transition, reward = averaged_only()
    reward[:, 0] = -reward[:, 1]
    game = markov.MarkovGame(transition, reward, HALF)
    assert markov.potential_test(game, notion="averaged").verdict is Verdict.REFUTED


def test_one_player_and_players_without_choices():
    for shape in ((3, (2,)), (2, (3, 1)), (2, (1, 1))):
        game = markov.random_game(*shape, key=0)
        for arithmetic in ARITHMETICS:
            found = markov.potential_test(game, arithmetic=arithmetic)
            assert found.verdict is Verdict.HOLDS
    assert markov.potential_test(markov.random_game(3, (2,), key=0)).error_bound == 0
    assert markov.potential_test(markov.random_game(3, (2,), key=0), exact=False).evidence is Evidence.EXACT


@given(seed=seeds())
def test_a_prime_that_divides_everything_does_not_mislead(seed):
    """A reward off by a multiple of 2⁶¹ − 1: a test modulo that prime would accept the game at every point."""
    prime = 2**61 - 1
    game = rewarded(markov.identical_interest(2, (2, 2), key=seed), (0, 0, 0, 0), Fraction(prime))
    test = exact_cycles.ExactTest(game.exact, "state-wise", "modular", np.random.default_rng(seed))
    points = [evaluation.modular_rows(test.draw, prime, 2, (2, 2)) for _ in range(2)]
    assert test.first_nonzero(*points, prime) is None
    assert markov.potential_test(game, key=seed).verdict is Verdict.REFUTED


# -- rounded numbers --------------------------------------------------------------------------------------------------------


@given(seed=seeds(), shape=st.sampled_from(SHAPES[1:]))
def test_rounded_potential_games_get_a_hint(seed, shape):
    exact = markov.stage_potential(*shape, key=seed).exact
    rounded = markov.MarkovGame(exact.transition.astype(float), exact.reward.astype(float), 0.3)
    assert markov.potential_test(rounded, exact=False, key=seed).verdict is Verdict.HOLDS
    found = markov.potential_test(rounded, key=seed)
    if found.verdict is Verdict.REFUTED:  # rounding may be kind to a small game
        assert "pass fractions" in found.reason
        assert found.residual < 1e-9
        assert_refutes(rounded, found)


def test_rounding_is_not_blamed_for_more():
    game = games.random_game(3)
    found = markov.potential_test(game)
    assert found.verdict is Verdict.REFUTED
    assert "rounded" not in found.reason


@pytest.mark.parametrize("constant", [0.0, 1e6, 1e11, 1e13])
def test_a_constant_in_the_rewards_changes_no_verdict(constant):
    """It may round the game away, which is then said."""
    pennies = np.array([[[1.0, -1.0], [-1.0, 1.0]]])
    game = markov.MarkovGame(np.ones((1, 2, 2, 1)), np.stack([pennies, -pennies]) + constant, 0.9)
    assert markov.potential_test(game, exact=False).verdict is Verdict.REFUTED
    same = markov.MarkovGame(np.ones((1, 2, 2, 1)), np.stack([pennies, pennies]) + constant, 0.9)
    assert markov.potential_test(same, exact=False).verdict is Verdict.HOLDS


def test_values_that_hide_their_changes_are_undecided():
    """Pennies in a state beside one that pays 10¹⁵ times as much, whatever is done."""
    reward = np.zeros((2, 2, 2, 2))
    reward[:, 0], reward[0, 1], reward[1, 1] = 1e15, [[1, -1], [-1, 1]], [[-1, 1], [1, -1]]
    transition = np.full((2, 2, 2, 2), 0.5)
    found = markov.potential_test(markov.MarkovGame(transition, reward, 0.9), exact=False)
    assert found.verdict is Verdict.UNDECIDED
    assert "values are large beside their changes" in found.reason


def test_floating_point_decides_nothing_between():
    game = markov.identical_interest(2, (2, 2), key=0)
    planted = rewarded(game, (0, 0, 0, 0), Fraction(1, 10**10))
    assert markov.potential_test(planted, exact=False).verdict is Verdict.UNDECIDED
    assert markov.potential_test(planted, exact=False, tolerance=1e-6).verdict is Verdict.HOLDS
    assert markov.potential_test(planted, exact=False, tolerance=1e-15).verdict is Verdict.REFUTED
    assert markov.potential_test(planted).verdict is Verdict.REFUTED


# -- the perturbed game -----------------------------------------------------------------------------------------------------


@given(seed=seeds(), shape=st.sampled_from(SHAPES), temperature=st.sampled_from(["1/3", 0.1, 1, 1000]))
def test_entropies_are_harmless_where_actions_move_nothing(seed, shape, temperature):
    game = markov.stage_potential(*shape, key=seed)
    for notion in cycles.NOTIONS:
        found = markov.potential_test(game, temperature=temperature, notion=notion, key=seed)
        assert (found.verdict, found.evidence, found.arithmetic) == (Verdict.HOLDS, Evidence.EXACT, "balls")
        tried = markov.potential_test(game, temperature=temperature, notion=notion, num_points=2, key=seed)
        assert tried.verdict is Verdict.UNDECIDED, "balls about zero decide nothing"
        assert tried.residual < 1e-12


@given(seed=seeds(), shape=st.sampled_from([(2, (2, 2)), (3, (2, 3)), (2, (2, 2, 2))]), exponent=st.integers(-6, 6))
def test_entropies_matter_where_actions_move_the_state(seed, shape, exponent):
    """Identical interest, so that the game itself has a potential: the four-cycle is that of the entropies alone."""
    game, temperature = markov.identical_interest(*shape, key=seed), Fraction(10) ** exponent
    found = markov.potential_test(game, temperature=temperature, key=seed)
    if found.verdict is Verdict.UNDECIDED:  # entropies below what rounding makes of the rewards
        assert exponent < 0
        return
    assert (found.verdict, found.evidence) == (Verdict.REFUTED, Evidence.EXACT)
    cycle = found.cycle
    plain = [markov.exact_value(game, corner) for corner in corners(cycle)]
    alone = sum((-1) ** k * (V[cycle.players[0]] - V[cycle.players[1]]) for k, V in enumerate(plain))
    assert not np.any(alone != 0), "without entropies it vanishes"
    assert float(cycle.value) == pytest.approx(float(temperature) * entropy_cycle(game, cycle), rel=1e-5)
    proof = check(found.certificate())
    assert f"at temperature {number_text(temperature)}" in proof.sentence
    assert proof.figures["cycle"] == pytest.approx(float(cycle.value), rel=1e-5)


def corners(cycle):
    """The policies A, B, C, D."""
    (i, j), (first, second) = cycle.players, cycle.deviations
    return [cycles.changed(cycle.policy, own) for own in ({}, {i: first}, {i: first, j: second}, {j: second})]


def entropy_cycle(game, cycle):
    """The four-cycle of the discounted entropies, by the definition."""
    total = 0.0
    for sign, corner in zip((-1, 1, -1, 1), corners(cycle), strict=True):
        policy = tuple(own.astype(float) for own in corner)
        visits = game.occupancy(policy, initial=np.eye(game.num_states)[cycle.state])
        i, j = (-xlogy(policy[k], policy[k]).sum(axis=1) for k in cycle.players)
        total += sign * float(visits @ (i - j))
    return total


def test_one_player_with_a_choice_needs_no_random_points():
    found = markov.potential_test(markov.random_game(2, (3, 1), key=0), temperature=1)
    assert (found.verdict, found.evidence, found.num_points) == (Verdict.HOLDS, Evidence.EXACT, 0)
    assert "at most one player has a choice" in found.reason
    tried = markov.potential_test(markov.random_game(2, (3, 1), key=0), temperature=1, num_points=2)
    assert tried.verdict is Verdict.UNDECIDED
    assert tried.error_bound is None
    assert "no theorem" in tried.reason


def test_a_perturbed_game_too_large_to_check_is_refuted_in_floating_point():
    game = markov.random_game(65, (2, 2), key=0)
    found = markov.potential_test(game, temperature=1)
    assert (found.verdict, found.evidence) == (Verdict.REFUTED, Evidence.NUMERICAL)
    assert "at most 64 states" in found.reason
    with pytest.raises(InputError, match="only an exact refutation"):
        found.certificate()


def test_large_congestion_games_are_perturbed_too():
    game = markov.routing_game(num_players=40, action_independent=True)
    assert markov.potential_test(game, temperature=1).verdict is Verdict.HOLDS
    with pytest.raises(InputError, match="pass exact=False"):
        markov.potential_test(markov.routing_game(num_players=40), temperature=1)


# -- the rest ---------------------------------------------------------------------------------------------------------------


def test_error_bounds_are_the_stated_ones(no_theorem):
    game = markov.identical_interest(3, (2, 2), key=0)
    one = markov.potential_test(game, arithmetic="rationals", num_points=1)
    assert one.error_bound == 2 * (4 * 3 - 3) / 2**50
    two = markov.potential_test(game, arithmetic="rationals", num_points=2)
    assert two.error_bound == one.error_bound**2
    modular = markov.potential_test(game).error_bound
    assert 2 * 9 / 2**60 < modular < 1e-14


def test_records_are_plain_json():
    import json

    for game in (markov.routing_game(num_players=2), markov.example("opposed-interests")):
        json.dumps(markov.potential_test(game).to_dict(), allow_nan=False)
        json.dumps(markov.alpha_lower_bound(game, num_points=1, max_sweeps=0).to_dict(), allow_nan=False)


def test_values_with_very_many_digits():
    draw = np.random.default_rng(0)
    game = markov.MarkovGame(draw.dirichlet(np.ones(36), size=(36, 2, 2)), draw.standard_normal((2, 36, 2, 2)), 0.9)
    found = markov.potential_test(game)
    assert found.cycle.value.denominator.bit_length() > 15_000
    assert found.to_dict()["cycle"]["value"] == float(found.cycle.value)
    assert "value=" in repr(found)
    assert found.certificate().statement.kind == "markov cycle"


def test_the_same_key_gives_the_same_cycle():
    game = markov.example("opposed-interests")
    first, second = (markov.potential_test(game, key=5).cycle for _ in range(2))
    assert first.value == second.value


@given(seed=seeds(), shape=st.sampled_from(SHAPES[:3]), notion=st.sampled_from(cycles.NOTIONS))
def test_no_random_cycle_is_larger_than_the_bound_says(seed, shape, notion):
    game = markov.random_game(*shape, key=seed)
    found = markov.alpha_lower_bound(game, notion=notion, num_points=2, max_sweeps=1, key=seed)
    assert found.value >= found.pure_value > 0
    cycle = markov.four_cycle(game, found.cycle.policy, found.cycle.deviations, found.cycle.players)
    value = game.initial @ cycle if notion == "averaged" else cycle[found.cycle.state]
    assert abs(value) / 4 == pytest.approx(found.value)
    for key in range(10):
        policy, other = (cycles.random_policy(game, np.random.default_rng([seed, key, k]), mixed=False) for k in (0, 1))
        for own in cycles.pair_cycles(game, policy, other, notion):
            assert own.size / 4 <= found.pure_value * (1 + 1e-10)


def test_potential_games_are_at_distance_zero():
    for game in (markov.identical_interest(2, (2, 3), key=1), markov.stage_potential(2, (2, 2, 2), key=1)):
        assert markov.alpha_lower_bound(game, num_points=4).value < 1e-12


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda g: markov.potential_test(3), "game: found int; pass a MarkovGame"),
        (lambda g: markov.potential_test(g, arithmetic="words"), "arithmetic: found 'words'; pass one of 'rationals'"),
        (lambda g: markov.potential_test(g, exact=False, arithmetic="modular"), "arithmetic: found 'modular' with exact=False"),
        (lambda g: markov.potential_test(g, notion="weak"), "notion: found 'weak'; pass one of"),
        (
            lambda g: markov.potential_test(g, temperature=1.0, arithmetic="modular"),
            "arithmetic: found 'modular' at temperature 1; entropies are no rational numbers",
        ),
        (lambda g: markov.potential_test(g, arithmetic="balls"), "arithmetic: found 'balls' at temperature 0"),
        (lambda g: markov.potential_test(g, temperature=float("nan")), "temperature: found nan"),
        (lambda g: markov.potential_test(g, exact=False, temperature=-1.0), "temperature: found -1"),
        (lambda g: markov.potential_test(g, tolerance=1e-9), "tolerance: exact arithmetic has none"),
        (lambda g: markov.potential_test(g, exact=False, tolerance=0), "tolerance: found 0"),
        (lambda g: markov.potential_test(g, num_points=0), "num_points: found 0"),
        (
            lambda g: markov.potential_test(markov.routing_game(num_players=30, common_interest=False)),
            "num_players: a table of .* CongestionGame",
        ),
        (lambda g: markov.potential_test(markov.routing_game()).certificate(), "certificate: the verdict is 'holds'"),
        (lambda g: markov.potential_test(g, exact=False).certificate(), "only an exact refutation has one"),
        (lambda g: markov.four_cycle(g, g.uniform_policy(), g.uniform_policy(), (0, 0)), r"players: found \(0, 0\)"),
        (lambda g: markov.four_cycle(g, g.uniform_policy(), g.uniform_policy(), (0, 2)), r"players: found \(0, 2\)"),
        (lambda g: markov.exact_value(g, g.uniform_policy()[:1]), "policy: pass a tuple"),
        (lambda g: markov.exact_value(g, (np.full((2, 2), 0.1), np.full((2, 2), 0.5))), r"policy\[0\]: row 0 sums to 0.2"),
        (lambda g: markov.exact_value(g, (np.full((3, 2), 0.5), np.full((2, 2), 0.5))), r"policy\[0\]: found rows of lengths"),
        (lambda g: markov.alpha_lower_bound(markov.random_game(2, (2,), key=0)), "game: has one player"),
        (lambda g: markov.alpha_lower_bound(g, notion=None), "notion: found None"),
    ],
)
def test_what_is_refused(call, says):
    with pytest.raises(InputError, match=says):
        call(markov.example("opposed-interests"))


@pytest.mark.slow
def test_large_games_take_little_time():
    for num_players, seconds in ((4, 0.1), (8, 1.5)):
        for common in (False, True):
            game = markov.routing_game(num_players=num_players, common_interest=common)
            markov.potential_test(game)
            start = time.perf_counter()
            markov.potential_test(game)
            assert time.perf_counter() - start < 3 * seconds, "three times the goal, for a busy machine"


@pytest.mark.parametrize("options", [{}, {"common_interest": False, "action_independent": True}])
def test_games_too_large_for_tables_that_a_theorem_answers(options):
    small = markov.potential_test(markov.routing_game(num_players=3, **options), num_points=1)
    found = markov.potential_test(markov.routing_game(num_players=64, **options))
    assert (small.verdict, found.verdict, found.evidence) == ("holds", "holds", "exact")


def test_points_that_are_asked_for_are_tried():
    assert markov.potential_test(markov.routing_game()).num_points == 0
    tried = markov.potential_test(markov.routing_game(), num_points=2)
    assert (tried.num_points, tried.verdict, tried.evidence) == (2, "holds", "numerical")
