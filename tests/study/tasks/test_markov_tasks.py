"""The tasks on Markov games: their rows are what the library says."""

import itertools

import numpy as np
import pytest

from mcr2_landscape import markov
from mcr2_landscape.study.tasks.markov_distance import markov_distance
from mcr2_landscape.study.tasks.markov_learn import markov_learn
from mcr2_landscape.validation import InputError

WORDS = {"low": 0.05, "first": 0.25, "middle": 0.5, "third": 0.75, "high": 0.95}
SMALL = {"num_steps": 400, "num_learners": 8, "num_records": 4}


def test_a_row_is_the_history_of_its_seed():
    row = markov_learn(**SMALL, seed=3)
    history = markov.learn(markov.routing_game(), key=3, num_steps=400, num_seeds=8, record_every=100)
    # Half of the records are even, the others before the first of them.
    assert row.curve_step == (0, 100, 200, 400)
    kept = [0, 1, 2, 4]
    names = {"gap": "nash_gap", "frozen": "frozen_gap", "q_error": "q_error", "potential": "potential"}
    for (prefix, name), (word, share) in itertools.product(names.items(), WORDS.items()):
        expected = np.quantile(getattr(history, name), share, axis=0)[kept]
        np.testing.assert_array_equal(getattr(row, f"{prefix}_{word}"), expected)
    assert row.largest_gap == history.nash_gap[:, -1].max()
    assert row.share_untried == (history.least_visited[:, -1] == 0).mean()
    assert row.gap_low[-1] <= row.gap_first[-1] <= row.gap_middle[-1] <= row.gap_third[-1] <= row.gap_high[-1]
    assert row.optimum == pytest.approx(np.mean([2248, 3768, 3283, 4528]) / 95)
    assert max(row.potential_high) <= row.optimum
    assert row.conditions == "Σα² < ∞"


@pytest.mark.parametrize(("most", "steps"), [(1, (0, 400)), (10, (0, 16, 32, 48, 64, 80, 160, 240, 320, 400))])
def test_records_are_closer_at_the_beginning(most, steps):
    assert markov_learn(**SMALL | {"num_records": most}, seed=3).curve_step == steps


def test_own_rewards_have_no_potential():
    row = markov_learn(**SMALL, common_interest=False, action_independent=True, exploration=0.1, seed=0)
    assert (row.potential_middle, row.optimum) == ((), None)
    assert row.share_underflown == 0 or row.share_underflown == 1


@pytest.mark.parametrize(
    ("kind", "verdict"),
    [
        ("random", "refuted"),
        ("stage-potential", "holds"),
        ("moving-stage-potential", "refuted"),
        ("identical-interest", "holds"),
    ],
)
def test_distances(kind, verdict):
    row = markov_distance(family=kind, seed=1)
    assert (row.verdict, row.evidence) == (verdict, "exact")
    assert row.spread > 0
    assert (row.alpha > 1e-3) == (verdict == "refuted")


@pytest.mark.parametrize("players", [2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_values_that_are_equal_have_no_range(players, seed):
    row = markov_distance(family="identical-interest", num_states=1, num_players=players, seed=seed)
    assert (row.verdict, row.spread) == ("holds", None)
    assert row.alpha < 1e-12
    assert markov_distance(family="random", num_states=1, num_players=players, seed=seed).spread > 0.01


def test_mistakes():
    for call, says in (
        (lambda: markov_learn(num_steps=0, seed=0), "num_steps: found 0"),
        (lambda: markov_learn(temperature=0.0, seed=0), "temperature: found 0"),
        (lambda: markov_learn(num_learners=0, seed=0), "num_learners: found 0"),
        (lambda: markov_learn(num_records=0, seed=0), "num_records: found 0"),
        (lambda: markov_distance(num_players=1, seed=0), "num_players: found 1"),
    ):
        with pytest.raises(InputError, match=says):
            call()
