"""What a game takes from its data, and which data it refuses."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ortho_group

from mcr2_landscape.ctrl.spans import Spans, span_of, spans_of
from mcr2_landscape.testing import seeds
from mcr2_landscape.validation import InputError

from .problems import subspace_data

SIZES, RANKS, AMBIENT = (5, 3, 4), (2, 1, 2), 6


def moments(spans):
    return {name: C @ C.T for name, C in zip(spans.names, spans.factors, strict=True)}


@given(seed=seeds())
def test_factors_have_the_second_moments(seed):
    X, labels = subspace_data(seed, SIZES, RANKS, AMBIENT)
    spans = spans_of(X, labels)
    assert (spans.ranks, spans.sizes, spans.ambient_dim) == (RANKS, SIZES, AMBIENT)
    for name, moment in moments(spans).items():
        own = X[labels == name]
        assert np.linalg.norm(moment - own.T @ own) <= 1e-12 * np.linalg.norm(moment)
    assert spans.proportions.sum() == pytest.approx(1, abs=1e-15)
    for U, values in zip(spans.bases, spans.values, strict=True):
        assert np.allclose(U.T @ U, np.eye(values.size), atol=1e-12)
        assert (np.diff(values) <= 0).all()
    assert spans.span.shape == (AMBIENT, sum(RANKS))
    assert spans.independent


@given(seed=seeds(), names=st.permutations(["b", 7, (1, 2)]))
def test_order_and_names_do_not_matter(seed, names):
    X, labels = subspace_data(seed, SIZES, RANKS, AMBIENT)
    random = np.random.default_rng(seed)
    order = random.permutation(labels.size)
    renamed = [names[label] for label in labels[order]]
    spans, plain = spans_of(X[order], renamed), spans_of(X, labels)
    for name, own in zip(names, (0, 1, 2), strict=True):
        first, second = moments(spans)[name], moments(plain)[own]
        assert np.linalg.norm(first - second) <= 1e-12 * np.linalg.norm(second)
    columns = X[order][spans.order]
    ends = np.cumsum(spans.sizes)
    for name, start, end in zip(spans.names, (0, *ends[:-1]), ends, strict=True):
        assert {repr(renamed[i]) for i in spans.order[start:end]} == {repr(name)}
        assert np.allclose(columns[start:end].T @ columns[start:end], moments(spans)[name], rtol=0, atol=1e-9)


def test_labels_with_gaps():
    X, labels = subspace_data(0, SIZES, RANKS, AMBIENT)
    spans = spans_of(X, np.array([3, -1, 40])[labels])
    assert sorted(spans.names) == [-1, 3, 40]
    assert sorted(spans.ranks) == sorted(RANKS)


@given(seed=seeds(), angle=st.floats(0.02, 1.5))
def test_independence_is_the_angle_between_lines(seed, angle):
    Q = ortho_group.rvs(4, random_state=seed)
    lines = np.stack([Q[0], np.cos(angle) * Q[0] + np.sin(angle) * Q[1]])
    spans = spans_of(lines[[0, 0, 1]] * np.array([[1.0], [2.0], [3.0]]), [0, 0, 1])
    assert spans.independence == pytest.approx(np.sqrt(1 - np.cos(angle)), rel=1e-9)
    assert spans.cosines[0, 1] == pytest.approx(np.cos(angle), abs=1e-12)


@given(seed=seeds())
def test_dependent_classes_are_named(seed):
    Q = ortho_group.rvs(AMBIENT, random_state=seed)
    random = np.random.default_rng(seed)
    parts = [Q[[0, 1]], Q[[1, 2]], Q[[3]]]
    X = np.concatenate([random.standard_normal((4, len(part))) @ part for part in parts])
    spans = spans_of(X, np.repeat(["low", "mid", "far"], 4))
    assert not spans.independent
    with pytest.raises(InputError, match=r"low and mid|mid and low") as caught:
        spans.require_independent()
    assert "in 1 dimension)" in str(caught.value)
    assert "far" not in str(caught.value)


@given(seed=seeds())
def test_dependence_of_three_without_a_common_pair(seed):
    random = np.random.default_rng(seed)
    plane = random.standard_normal((2, 4))
    lines = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]) @ plane
    spans = spans_of(np.repeat(lines, 2, axis=0), [0, 0, 1, 1, 2, 2])
    assert not spans.independent
    with pytest.raises(InputError, match="the ranks add up to 3, but all classes together span only 2 dimensions"):
        spans.require_independent()


def test_more_ranks_than_dimensions():
    X = np.random.default_rng(0).standard_normal((8, 3))
    spans = spans_of(X, [0, 1] * 4)
    assert spans.independence == 0
    with pytest.raises(InputError, match="these overlap"):
        spans.require_independent()


@given(seed=seeds(), exponent=st.floats(-13.6, -13.1))
def test_an_ambiguous_rank_shows_its_gap(seed, exponent):
    random = np.random.default_rng(seed)
    Q = ortho_group.rvs(5, random_state=seed)
    small = 10**exponent
    block = (Q[:, :2] * [1.0, small]) @ ortho_group.rvs(6, random_state=seed + 1 if seed < 2**32 - 1 else 0)[:2]
    X = np.concatenate([block, random.standard_normal((3, 6))])
    labels = [0] * 5 + [1] * 3
    with pytest.raises(InputError, match=r"rank of class 0 is ambiguous.*the widest gap is after the first 1.*rank_tolerance"):
        spans_of(X, labels)
    assert spans_of(X, labels, rank_tolerance=1e-6).ranks[0] == 1


def test_a_plain_rank_is_taken():
    X, labels = subspace_data(0, SIZES, RANKS, AMBIENT)
    noisy = X + 1e-9 * np.random.default_rng(1).standard_normal(X.shape)
    assert spans_of(noisy, labels).ranks == (5, 3, 4)  # noise of 1e-9 is plainly there
    assert spans_of(noisy, labels, rank_tolerance=1e-6).ranks == RANKS


@given(seed=seeds(), exponent=st.integers(-30, 30))
def test_float32_data_keep_their_rank(seed, exponent):
    X, labels = subspace_data(seed, (20, 15, 30), (2, 1, 2), 12)
    single = (X * 10.0**exponent).astype(np.float32)
    try:
        assert spans_of(single, labels).ranks == (2, 1, 2)
    except InputError as error:
        assert "ambiguous" in str(error)  # noqa: PT017 - a refusal is right too, a wrong rank is not


@pytest.mark.parametrize("scale", [1e-140, 1e-6, 1e6, 1e140])
def test_units_do_not_matter(scale):
    X, labels = subspace_data(3, SIZES, RANKS, AMBIENT)
    spans = spans_of(X * scale, labels)
    assert spans.ranks == RANKS
    assert spans.independence == pytest.approx(spans_of(X, labels).independence, rel=1e-9)


def refused(X, labels, message, **options):
    with pytest.raises(InputError, match=message):
        spans_of(X, labels, **options)


def test_bad_data_are_refused():
    X, labels = subspace_data(0, SIZES, RANKS, AMBIENT)
    broken = X.copy()
    broken[4, 1] = np.nan
    refused(broken, labels, "NaN in 1 of 12 rows")
    refused(X, labels[:-1], "labels: found 11.*12")
    refused(X, np.zeros(12, int), "one class|two classes|at least two")
    refused(X[:, 0], labels, "X|features: found shape")
    refused(X[:, 0], labels, r"X: found shape \(12,\); pass one row a sample, shape \(samples, features\)")
    for scale in (1e200, 1e-200):
        refused(scale * X, labels, "X: the largest entry of class 0 is .* whose square leaves the range of float64; rescale X")
    zero = X.copy()
    zero[labels == 1] = 0
    refused(zero, labels, "all samples of class 1 are zero; drop the class")
    refused(X, labels, r"rank_tolerance: found 1e\+09, above every singular value of class 0", rank_tolerance=1e9)
    refused(X, labels, "rank_tolerance", rank_tolerance=0.0)
    refused(X, labels, "rank_tolerance", rank_tolerance=-1.0)
    refused(X, labels, "rank_tolerance", rank_tolerance=np.nan)
    refused(np.zeros((0, 3)), [], ".")
    refused(np.zeros((3, 0)), [0, 1, 1], ".")


@given(seed=seeds())
def test_one_subspace(seed):
    X, _ = subspace_data(seed, (7,), (3,), 5)
    C, values = span_of(X)
    assert C.shape == (5, 3)
    assert np.linalg.norm(C @ C.T - X.T @ X) <= 1e-12 * np.linalg.norm(X.T @ X)
    assert np.allclose(np.linalg.norm(C, axis=0), values, rtol=1e-12)


@pytest.mark.parametrize("X", [np.zeros((3, 2)), np.zeros((0, 2)), np.zeros((2, 0)), np.full((2, 2), np.inf), np.ones(3), "X"])
def test_no_subspace(X):
    with pytest.raises(InputError, match=r"^X"):
        span_of(X)


def test_a_class_too_many_in_the_span_is_caught():
    # planted: the basis of the joined classes, were it cut at the wrong place
    X, labels = subspace_data(0, SIZES, RANKS, AMBIENT)
    spans = spans_of(X, labels)
    bad = Spans(
        spans.names, spans.sizes, (*spans.factors[:2], spans.factors[0]), (*spans.values[:2], spans.values[0]),
        spans.order, spans.tolerance, spans.cut,
    )  # fmt: skip
    assert not bad.independent
    assert bad.span.shape[1] == 3
    assert "0 and 2 (in 2 dimensions)" in bad.describe_overlap()


def coherent(dtype):
    """Two planes that share a line, in general position."""
    turn = ortho_group.rvs(6, random_state=0)
    random = np.random.default_rng(1)
    X = np.concatenate([random.standard_normal((20, 2)) @ turn[:2], random.standard_normal((20, 2)) @ turn[1:3]])
    return X.astype(dtype), np.repeat([0, 1], 20)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_shared_direction_is_seen_in_either_precision(dtype):
    spans = spans_of(*coherent(dtype))
    assert spans.ranks == (2, 2)
    assert not spans.independent
    assert spans.span.shape == (6, 3)
    assert (spans.independence > 1e-10) == (dtype is np.float32)  # a fixed threshold would call these independent
    assert (spans.shared(0, 1), spans.angle(0, 1) < 1e-4) == (1, True)
    assert "0 and 1 (in 1 dimension)" in spans.describe_overlap()


@given(seed=seeds(), exponent=st.floats(-8, 0))
def test_small_angles_are_measured_and_not_called_shared(seed, exponent):
    """Two lines: cosines lose angles below 1e-8, and 1 − cos > 1e-10 would call 1e-6 none."""
    random, angle = np.random.default_rng(seed), 10.0**exponent
    turn = ortho_group.rvs(5, random_state=random)
    lines = np.stack([turn[0], np.cos(angle) * turn[0] + np.sin(angle) * turn[1]])
    X = np.concatenate([random.uniform(1, 2, (4, 1)) * line for line in lines])
    spans = spans_of(X, np.repeat([0, 1], 4))
    assert spans.angle(0, 1) == pytest.approx(np.degrees(angle), rel=1e-6)
    assert spans.shared(0, 1) == 0
    assert spans.independent


def test_data_are_not_copied():
    X = np.zeros((4000, 200))
    X[:2000, :2] = np.random.default_rng(0).standard_normal((2000, 2))
    X[2000:, 2:4] = np.random.default_rng(1).standard_normal((2000, 2))
    tracemalloc.start()
    try:
        spans_of(X, np.repeat([0, 1], 2000))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2.2 * X.nbytes  # one class at a time, with what its factorization leaves
