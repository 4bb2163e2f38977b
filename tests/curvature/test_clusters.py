"""Multiplicities of extreme eigenvalues: right, or said to be open."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mcr2_landscape as ml
from mcr2_landscape.curvature import eigenvalue_clusters, sweep
from mcr2_landscape.testing import seeds

N = 72


def check_clusters(spectrum, found, which):
    """Every cluster that is decided is one of the spectrum, whole; of the others no more is said than there is."""
    spectrum = np.sort(spectrum)
    for cluster in found.clusters:
        low, high = cluster.low - cluster.error, cluster.high + cluster.error
        number = int(((spectrum >= low - found.tolerance) & (spectrum <= high + found.tolerance)).sum())
        assert cluster.multiplicity <= number, "more than there are"
        assert cluster.multiplicity == number or not cluster.decided, "decided, and wrong"
    if found.bound is not None:
        beyond = spectrum > found.bound if which == "largest" else spectrum < found.bound
        assert beyond.sum() <= sum(cluster.multiplicity for cluster in found.clusters) or len(found.clusters) > 0


@pytest.mark.parametrize("which", ["largest", "smallest"])
@pytest.mark.parametrize("multiplicity", [1, 2, 8, 9, 50])
def test_multiplicities_at_both_ends(matrix, rotated, which, multiplicity):
    rest = np.linspace(-1, -0.2, N - multiplicity - 3)
    spectrum = np.concatenate([np.full(multiplicity, 0.5), np.full(3, 0.1), rest])
    sign = 1 if which == "largest" else -1
    found = eigenvalue_clusters(matrix(rotated(sign * spectrum)), which=which, num_clusters=2)
    check_clusters(sign * spectrum, found, which)
    assert [(c.multiplicity, c.decided) for c in found.clusters] == [(multiplicity, True), (3, True)]
    np.testing.assert_allclose([c.high for c in found.clusters], [0.5 * sign, 0.1 * sign], atol=1e-10)
    assert found.reason == "all clusters are complete"
    assert found.bound is not None
    assert -0.2 <= sign * found.bound < 0.1


@settings(max_examples=10)
@given(
    sizes=st.lists(st.integers(1, 30), min_size=2, max_size=5),
    seed=seeds(),
    budget=st.integers(4, 250),
    which=st.sampled_from(["largest", "smallest"]),
)
def test_right_or_open(matrix, rotated, sizes, seed, budget, which):
    values = np.repeat(np.random.default_rng(seed).uniform(-1, 1, len(sizes)), sizes)
    spectrum = np.resize(values, N)
    found = eigenvalue_clusters(matrix(rotated(spectrum, seed)), which=which, num_clusters=2, max_products=budget, key=seed)
    check_clusters(spectrum, found, which)
    assert found.num_products <= budget


@pytest.mark.parametrize("spectrum", [[2.0], np.full(N, -1.5), np.zeros(N)], ids=["one", "identity", "zero"])
def test_flat_ones_are_counted_whole(matrix, rotated, spectrum):
    found = eigenvalue_clusters(matrix(rotated(spectrum)), num_clusters=3)
    assert [(c.multiplicity, c.decided) for c in found.clusters] == [(len(spectrum), True)]
    assert found.failure == 0


def test_few_products_leave_a_multiplicity_open(matrix, rotated):
    spectrum = np.concatenate([np.full(50, 1.0), np.linspace(-1, 0, N - 50)])
    found = eigenvalue_clusters(matrix(rotated(spectrum)), max_products=120)
    assert not found.clusters[0].decided
    assert 1 <= found.clusters[0].multiplicity < 50
    assert "spent" in found.reason


def test_a_planted_false_bound_is_seen(matrix, rotated, monkeypatch):
    spectrum = np.concatenate([np.full(9, 1.0), np.linspace(-1, 0, N - 9)])
    calls = iter([False] * 2)
    monkeypatch.setattr(sweep, "nothing_beyond", lambda *arguments: next(calls, True))
    monkeypatch.setattr("mcr2_landscape.curvature.clusters.farthest", lambda *arguments: 0.0)
    with pytest.raises(AssertionError, match="decided, and wrong"):
        check_clusters(spectrum, eigenvalue_clusters(matrix(rotated(spectrum))), "largest")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"which": "both"}, "which: found 'both'"),
        ({"num_clusters": 0}, "num_clusters: found 0"),
        ({"failure": 1.5}, "failure: found 1.5"),
        ({"tolerance": 1e-17}, "tolerance: found 1.0e-17, but float64 decides no sign below"),
    ],
)
def test_bad_arguments_are_named(matrix, rotated, options, message):
    with pytest.raises(ml.InputError, match=message):
        eigenvalue_clusters(matrix(rotated(np.linspace(0, 1, N))), **options)
