"""What the theorem assumes of the data: verdicts, margins, and who is to blame."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ortho_group

from mcr2_landscape.ctrl import SubspaceGame, full_rank_threshold
from mcr2_landscape.ctrl.hypotheses import hypotheses_of
from mcr2_landscape.ctrl.spans import spans_of
from mcr2_landscape.testing import seeds
from mcr2_landscape.verdict import Verdict

from . import problems

NAMES = ("independence", "dimension, as recalled", "dimension, exact", "precision, as recalled", "precision, exact")


def by_name(X, labels, dim, epsilon):
    found = hypotheses_of(spans_of(X, labels), dim, epsilon)
    assert tuple(own.name for own in found) == NAMES
    assert all((own.margin > 0) == (own.verdict == "holds") or own.margin == 0 for own in found if own.verdict != "undecided")
    return {own.name: own for own in found}


def test_counter_example():
    # n = (10, 10), d_z = 4, r = (2, 2), ε² = 1.3: what is recalled holds, what is needed fails
    X, labels = problems.subspace_data(0, (10, 10), (2, 2), 5)
    found = by_name(X, labels, 4, math.sqrt(1.3))
    assert found["precision, as recalled"].verdict == "holds"
    assert found["precision, as recalled"].margin == pytest.approx(math.log(4 / 1.3 * math.sqrt(0.5) / 2), rel=1e-12)
    assert found["precision, exact"].verdict == "refuted"
    assert found["precision, exact"].margin == pytest.approx(math.log(4 / 1.3 * math.sqrt(0.5) / 2 / 1.540558), abs=1e-6)
    assert found["independence"].verdict == found["dimension, as recalled"].verdict == "holds"
    game = SubspaceGame(X, labels, dim=4, epsilon=math.sqrt(1.3))
    assert game.optimum().lost == (1, 1)
    assert [own.verdict for own in game.hypotheses()] == [own.verdict for own in found.values()]


@given(
    ranks=st.lists(st.integers(1, 3), min_size=2, max_size=3), dim=st.integers(1, 9), exponent=st.floats(-1, 1), seed=seeds()
)
def test_exact_hypotheses_say_when_all_is_kept(ranks, dim, exponent, seed):
    sizes = tuple(rank + 3 for rank in ranks)
    X, labels = problems.subspace_data(seed, sizes, ranks, sum(ranks))
    found = by_name(X, labels, dim, 10**exponent)
    optimum = SubspaceGame(X, labels, dim=dim, epsilon=10**exponent).optimum()
    if Verdict.UNDECIDED in (found["precision, exact"].verdict, found["dimension, exact"].verdict):
        return
    precise = found["precision, exact"].verdict == "holds"
    if found["dimension, exact"].verdict == "holds":
        assert precise == (optimum.lost == (0,) * len(ranks))
    if found["dimension, as recalled"].verdict == "holds":
        assert found["dimension, exact"].verdict == "holds"
    if precise:  # every class then asks for its whole rank
        assert found["dimension, exact"].margin == found["dimension, as recalled"].margin
    # exact is the stronger one, but for lines, of which nothing is asked
    if precise and max(ranks) > 1:
        worst = max(rank for rank in ranks if rank > 1)
        assert worst > 1


@given(rank=st.integers(2, 3), side=st.sampled_from([-1, 1]), gap=st.floats(-8, -2).map(lambda x: 10**x), seed=seeds())
def test_margin_changes_sign_at_the_threshold(rank, side, gap, seed):
    sizes = (6, 6)
    X, labels = problems.subspace_data(seed, sizes, (rank, 1), 5)
    ratio = full_rank_threshold(rank, 0.5) * math.exp(side * gap)
    epsilon = math.sqrt(7 * math.sqrt(0.5) / (rank * ratio))
    found = by_name(X, labels, 7, epsilon)["precision, exact"]
    assert found.margin == pytest.approx(side * gap, abs=1e-12)
    assert found.verdict == ("holds" if side > 0 else "refuted")
    assert found.class_name == "0"


def test_within_rounding_of_the_threshold_nothing_is_decided():
    X, labels = problems.subspace_data(0, (6, 6), (2, 1), 5)
    for threshold, name in ((full_rank_threshold(2, 0.5), "precision, exact"), (1.0, "precision, as recalled")):
        epsilon = math.sqrt(7 * math.sqrt(0.5) / (2 * threshold))
        assert by_name(X, labels, 7, epsilon)[name].verdict == "undecided"


@given(seed=seeds(), angle=st.floats(0.01, 1.5))
def test_independence_names_the_closest_classes(seed, angle):
    Q = ortho_group.rvs(5, random_state=seed)
    lines = [Q[0], Q[1], np.cos(angle) * Q[1] + np.sin(angle) * Q[2]]
    X = np.concatenate([np.outer([1.0, -2.0], line) for line in lines])
    found = by_name(X, np.repeat(["left", "mid", "near"], 2), 3, 1.0)["independence"]
    assert found.verdict == "holds"
    assert found.margin == pytest.approx(math.sqrt(1 - math.cos(angle)), rel=1e-7)
    assert "between" in found.detail
    assert "left" not in found.detail
    assert f"{math.degrees(angle):.3g}°" in found.detail


@given(seed=seeds())
def test_dependent_classes_are_refuted_with_their_names(seed):
    Q = ortho_group.rvs(6, random_state=seed)
    random = np.random.default_rng(seed)
    spans = (Q[[0, 1, 2]], Q[[1, 2, 3]], Q[[4]])
    X = np.concatenate([random.standard_normal((5, len(span))) @ span for span in spans])
    found = by_name(X, np.repeat(["a", "b", "far"], 5), 7, 1.0)["independence"]
    assert found.verdict == "refuted"
    assert found.margin <= 0
    assert "in 2 dimensions" in found.detail
    assert "far" not in found.detail


def test_classes_that_are_orthogonal_have_margin_one():
    X = np.repeat(np.eye(3), 2, axis=0)
    found = by_name(X, [0, 0, 1, 1, 2, 2], 3, 0.5)["independence"]
    assert found.margin == pytest.approx(1, rel=1e-12)
    assert "90°" in found.detail


def test_lines_are_always_kept():
    X = np.repeat(np.eye(2), 2, axis=0)
    found = by_name(X, [0, 0, 1, 1], 2, 100.0)
    assert found["precision, exact"].verdict == "holds"
    assert found["precision, exact"].margin == math.inf
    assert found["precision, as recalled"].verdict == "refuted"
    assert found["precision, exact"].to_dict()["margin"] is None


def test_dimension_counts():
    X, labels = problems.subspace_data(0, (5, 5), (3, 2), 6)
    found = by_name(X, labels, 4, 0.1)
    assert (found["dimension, as recalled"].margin, found["dimension, exact"].margin) == (-1, -1)
    coarse = by_name(X, labels, 4, 100.0)
    assert (coarse["dimension, as recalled"].margin, coarse["dimension, exact"].margin) == (-1, 2)
    assert coarse["dimension, exact"].verdict == "holds"
    assert by_name(X, labels, 5, 0.1)["dimension, as recalled"].verdict == "holds"  # at equality too


@pytest.mark.parametrize("epsilon", [1e-60, 1e60])
def test_huge_and_tiny_precision(epsilon):
    X, labels = problems.subspace_data(0, (5, 5), (3, 2), 6)
    found = by_name(X, labels, 5, epsilon)
    assert found["precision, exact"].verdict == ("holds" if epsilon < 1 else "refuted")
    assert all(math.isfinite(own.margin) for own in found.values())


def test_a_planted_threshold_is_caught(monkeypatch):
    from mcr2_landscape.ctrl import hypotheses

    monkeypatch.setattr(hypotheses, "full_rank_threshold", lambda rank, gamma: 1.0)
    X, labels = problems.subspace_data(0, (10, 10), (2, 2), 5)
    found = by_name(X, labels, 4, math.sqrt(1.3))["precision, exact"]
    assert found.verdict == "holds"  # it would contradict the optimum, which loses a direction of each class
    assert SubspaceGame(X, labels, dim=4, epsilon=math.sqrt(1.3)).optimum().lost == (1, 1)


def test_a_margin_within_the_rounding_of_the_entries_is_undecided():
    random = np.random.default_rng(0)
    turn = ortho_group.rvs(6, random_state=0)
    X = np.concatenate([random.standard_normal((20, 2)) @ turn[:2], random.standard_normal((20, 2)) @ turn[1:3]])
    labels = np.repeat([0, 1], 20)
    own = hypotheses_of(spans_of(X.astype(np.float32), labels), 4, 1.0)[0]
    assert own.verdict == "undecided"
    assert "rounding of X's entries" in own.detail
    assert "0 and 1 (in 1 dimension)" in own.detail
    assert hypotheses_of(spans_of(X, labels), 4, 1.0)[0].verdict == "refuted"


def test_the_exact_dimension_is_undecided_at_a_tie():
    """Two classes of rank two at the precision where one and two directions are equally good, in three dimensions."""
    X, labels = problems.subspace_data(0, (10, 10), (2, 2), 5)
    epsilon = math.sqrt(3 * math.sqrt(0.5) / (2 * full_rank_threshold(2, 0.5)))
    own = hypotheses_of(spans_of(X, labels), 3, epsilon)[2]
    assert (own.name, own.verdict) == ("dimension, exact", "undecided")
    assert "2 to 4" in own.detail
    assert hypotheses_of(spans_of(X, labels), 3, 1.001 * epsilon)[2].verdict == "holds"
    assert hypotheses_of(spans_of(X, labels), 3, 0.999 * epsilon)[2].verdict == "refuted"
