"""Trace and diagonal: right to their error bars, which are neither too small nor too large."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings

import mcr2_landscape as ml
from mcr2_landscape import memory
from mcr2_landscape.curvature import diagonal, estimates, trace
from mcr2_landscape.testing import seeds, spectra

N = 60


def check_calibrated(errors, bars):
    """Errors over their bars, from independent keys, are of size one."""
    scores = np.asarray(errors) / np.asarray(bars)
    assert 0.75 <= np.sqrt(np.mean(scores**2)) <= 1.35, "bars of the wrong size"
    assert np.abs(np.mean(scores)) <= 4 / np.sqrt(scores.shape[0]), "biased"


def test_the_trace_is_calibrated(matrix, rotated):
    A = rotated(np.linspace(-1, 2, N), 1)
    found = [trace(matrix(A), num_products=48, key=seed) for seed in range(40)]
    errors, bars = [f.value - np.trace(A) for f in found], [f.standard_error for f in found]
    check_calibrated(errors, bars)
    assert {(f.num_products, f.num_samples) for f in found} == {(48, 19)}
    with pytest.raises(AssertionError, match="wrong size"):
        check_calibrated(errors, np.asarray(bars) / 3)
    with pytest.raises(AssertionError, match=r"biased|wrong size"):
        check_calibrated(np.asarray(errors) + np.mean(bars), bars)


def test_the_diagonal_is_calibrated(matrix, rotated):
    A = rotated(np.linspace(-1, 2, N), 1)
    found = [diagonal(matrix(A), num_products=48, key=seed) for seed in range(30)]
    errors, bars = np.array([f.values for f in found]) - np.diag(A), np.array([f.standard_errors for f in found])
    check_calibrated(errors, bars)
    scores = errors / bars
    assert np.abs(scores.mean(axis=0)).max() <= 5 / np.sqrt(30)  # no coordinate is biased
    with pytest.raises(AssertionError, match="wrong size"):
        check_calibrated(errors, 3 * bars)


def check_coverage(errors, bars):
    """Few errors are beyond two bars, few entries have most of those, and none is infinitely beyond."""
    assert (bars > 0).all(), "no bar at all"
    beyond = np.abs(errors) > 2 * bars
    assert beyond.mean() <= 0.15, "bars too small"
    assert beyond.mean(axis=0).max() <= 0.35, "an entry's bar too small"


def pairs_of_entries(weights):
    """Each entry is coupled to one other: the samples of an entry are ± one number, and three agree once in four times."""
    return np.kron(np.diag(weights), np.array([[0.5, 1.0], [1.0, 0.5]]))


HETEROGENEOUS = np.where(np.arange(N // 2) % 10 == 0, 30.0, 1.0)
FEW_SAMPLES = {
    "pairs": lambda rotated: pairs_of_entries(np.ones(N // 2)),
    "pairs, some of them strong": lambda rotated: pairs_of_entries(HETEROGENEOUS),
    "a rotated line": lambda rotated: rotated(np.linspace(-1, 2, N), 1),
}


@pytest.mark.parametrize("name", FEW_SAMPLES)
def test_bars_from_few_samples_cover(matrix, rotated, name, monkeypatch):
    A = FEW_SAMPLES[name](rotated)

    def look():
        found = [diagonal(matrix(A), num_products=8, key=seed) for seed in range(40)]
        assert {f.num_samples for f in found} == {3}
        return np.array([f.values for f in found]) - np.diag(A), np.array([f.standard_errors for f in found])

    check_coverage(*look())
    monkeypatch.setattr(estimates, "_moderated", lambda variances, degrees: variances)
    with pytest.raises(AssertionError, match=r"too small|no bar"):
        check_coverage(*look())


def test_moderated_variances():
    moderated = estimates._moderated
    random = np.random.default_rng(0)
    degrees, n = 4, 4000
    chance = random.chisquare(degrees, n) / degrees
    # one true variance: what is below is the mean, what is above is left alone
    found = moderated(chance, degrees)
    assert np.abs(found[chance < 0.9] - 1).max() <= 0.1
    assert (found >= chance).all()
    # variances of a conjugate prior: those that are small by chance get the mean of their posterior
    prior = 12.0
    true = prior / random.chisquare(prior, n)
    seen = true * chance
    posterior = (prior + degrees * seen) / (prior + degrees - 2)
    low = seen < 0.5
    assert np.abs(moderated(seen, degrees)[low] / posterior[low] - 1).max() <= 0.1
    assert np.array_equal(moderated(np.zeros(3), 2), np.zeros(3))
    assert np.array_equal(moderated(np.full(3, 2.0), 2), np.full(3, 2.0))
    # with samples enough nothing is moved
    assert np.abs(moderated(true, 10**6) / true - 1).max() <= 1e-3
    assert np.allclose(moderated(1e-300 * seen, degrees), 1e-300 * moderated(seen, degrees), rtol=1e-12, atol=0)


def test_entries_outside_of_the_space_do_not_count(matrix, rotated):
    """Ten entries are none of the space's: they have no error, and the others that of a matrix without them."""
    A = np.zeros((N, N))
    A[:50, :50] = rotated(np.linspace(-1, 2, 50))
    found = diagonal(matrix(A, np.eye(N)[:, 50:]), num_products=8)
    assert np.abs(found.values[50:]).max() == 0
    assert found.standard_errors[50:].max() <= 1e-12
    assert found.standard_errors[:50].min() >= 0.05


@settings(max_examples=8)
@given(values=spectra(max_size=6), seed=seeds())
def test_what_a_sketch_spans_is_exact(matrix, rotated, values, seed):
    """Eight eigenvalues at most are not zero: the sketch has them all. And a multiple of the identity has no chance in it."""
    A = rotated(np.concatenate([np.resize(values, 8), np.zeros(N - 8)]), seed)
    scale = np.abs(values).max()
    whole, along = trace(matrix(A), num_products=48, key=seed), diagonal(matrix(A), num_products=48, key=seed)
    assert abs(whole.value - np.trace(A)) <= whole.standard_error + 1e-12 * scale
    assert whole.standard_error <= 1e-10 * scale
    assert np.max(np.abs(along.values - np.diag(A)) - along.standard_errors) <= 1e-12 * scale
    assert np.max(along.standard_errors) <= 1e-10 * scale
    flat = trace(matrix(2 * np.eye(N)), num_products=48, key=seed)
    assert flat.value == pytest.approx(2 * N, abs=1e-10)
    assert flat.standard_error <= 1e-10


@pytest.mark.parametrize("n", [1, 2, 5])
def test_small_ones_are_exact(matrix, rotated, n):
    A = rotated(np.arange(1.0, n + 1))
    found, along = trace(matrix(A)), diagonal(matrix(A))
    assert found.value == pytest.approx(np.trace(A), abs=1e-12)
    assert (found.num_samples, along.num_samples) == (0, 0)
    np.testing.assert_allclose(along.values, np.diag(A), atol=1e-12)
    assert found.num_products <= 2 * n + 1


def test_outliers_cost_little(matrix, rotated):
    """A few dominant eigenvalues are in the sketch; plain samples see them in every error."""
    A = rotated([100.0, -80.0, 60.0, *np.linspace(-1, -0.9, N - 3)])
    found = trace(matrix(A), num_products=48)
    assert abs(found.value - np.trace(A)) <= 4 * found.standard_error
    assert found.standard_error <= 0.1
    assert np.sqrt(2 * (np.sum(A * A) - np.sum(np.diag(A) ** 2)) / 48) > 10


def test_only_the_tangent_space_counts(matrix, rotated):
    A = rotated(np.linspace(-1, 2, 12))
    normals = np.linalg.qr(np.random.default_rng(0).standard_normal((12, 2)))[0]
    tangent = np.eye(12) - normals @ normals.T
    dense = tangent @ A @ tangent
    assert trace(matrix(A, normals)).value == pytest.approx(np.trace(dense), abs=1e-12)
    np.testing.assert_allclose(diagonal(matrix(A, normals)).values, np.diag(dense), atol=1e-12)
    value, vector = (part[..., -1] for part in np.linalg.eigh(dense))
    assert trace(matrix(A, normals), deflate=vector[None]).value == pytest.approx(np.trace(dense) - value, abs=1e-12)


def test_the_same_key_gives_the_same_bits(matrix, rotated):
    H = matrix(rotated(np.linspace(-1, 2, N)))
    assert trace(H, key=2) == trace(H, key=2)
    assert dataclasses.asdict(trace(H, key=2)) != dataclasses.asdict(trace(H, key=3))
    assert np.array_equal(diagonal(H, key=2).standard_errors, diagonal(H, key=2).standard_errors)


def test_too_few_products_and_too_little_memory_are_refused(matrix, monkeypatch):
    with pytest.raises(ml.InputError, match="num_products: found 7; it must be at least 8"):
        trace(matrix(np.eye(N)), num_products=7)
    monkeypatch.setattr(memory, "available", lambda: 10_000)
    with pytest.raises(ml.InputError, match=r"num_products: needs .* a sketch of 29 rows of 60 numbers"):
        diagonal(matrix(np.eye(N)))
