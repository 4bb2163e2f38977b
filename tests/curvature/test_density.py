"""The spectral density: its moments are those of the random vectors, and estimate traces."""

import numpy as np
import pytest
from hypothesis import given, settings

import mcr2_landscape as ml
from mcr2_landscape.curvature import SpectralDensity, spectral_density
from mcr2_landscape.testing import seeds, spectra

N = 24


def check_moments(A, density, orders, spread):
    """Σ w xʲ is tr Aʲ / n but for the chance of the vectors, of standard deviation `spread(Aʲ)`."""
    assert density.weights.sum() == pytest.approx(1, abs=1e-12)
    power = np.eye(len(A))
    for order in range(1, orders + 1):
        power = power @ A
        found, expected = density.weights @ density.nodes**order, np.trace(power) / len(A)
        assert abs(found - expected) <= 5 * spread(power) + 1e-12 * np.abs(power).sum(), f"moment {order}"


def hutchinson(num_probes):
    """The standard deviation of Hutchinson's estimate of the mean eigenvalue with random signs."""
    return lambda B: np.sqrt(2 * max(0.0, np.sum(B * B) - np.sum(np.diag(B) ** 2)) / num_probes) / len(B)


@settings(max_examples=10)
@given(values=spectra(), seed=seeds())
def test_moments_estimate_traces(matrix, rotated, values, seed):
    A = rotated(np.resize(values, N), seed)
    density = spectral_density(matrix(A), num_probes=20, steps=8, key=seed)
    check_moments(A, density, 6, hutchinson(20))
    truth = np.linalg.eigvalsh(A)
    assert truth[0] - 1e-10 <= density.nodes[0]
    assert density.nodes[-1] <= truth[-1] + 1e-10


def test_moments_are_exact_for_the_vector_drawn(matrix, rotated):
    """Gauss quadrature: one vector of signs of a diagonal matrix has every moment exactly, up to order 2 steps − 1."""
    spectrum = np.linspace(-1, 2, N)
    density = spectral_density(matrix(np.diag(spectrum)), num_probes=1, steps=4)
    for order in range(8):
        assert density.weights @ density.nodes**order == pytest.approx(np.mean(spectrum**order), abs=1e-12)
    assert abs(density.weights @ density.nodes**8 - np.mean(spectrum**8)) > 1e-6
    assert density.num_products == 5


def test_planted_wrong_weights_are_seen(matrix, rotated):
    A = rotated(np.linspace(-1, 2, N))
    density = spectral_density(matrix(A), num_probes=100, steps=6)
    check_moments(A, density, 4, hutchinson(100))
    upper = density.weights * (density.nodes > 0)
    for nodes, weights in ((density.nodes + 0.3, density.weights), (density.nodes, upper / upper.sum())):
        with pytest.raises(AssertionError, match="moment"):
            check_moments(A, SpectralDensity(nodes, weights, 100, 0), 4, hutchinson(100))


def test_few_distinct_eigenvalues_end_early(matrix, rotated):
    density = spectral_density(matrix(rotated(np.repeat([1.0, 0.0, -2.0], N // 3))), num_probes=3, steps=20)
    assert density.num_products == 3 * 3 + 1
    np.testing.assert_allclose(np.abs(density.nodes[:, None] - [1, 0, -2]).min(axis=1), 0, atol=1e-12)


def test_normals_and_what_is_deflated_do_not_count(matrix, rotated):
    A = rotated(np.linspace(1, 2, N))
    normals = np.linalg.qr(np.random.default_rng(0).standard_normal((N, 2)))[0]
    tangent = np.eye(N) - normals @ normals.T
    values, vectors = (part[..., 2:] for part in np.linalg.eigh(tangent @ A @ tangent))
    density = spectral_density(matrix(A, normals), num_probes=3, steps=30)
    # a full run finds the tangent eigenvalues and no zero of the normals
    assert max(np.abs(values - node).min() for node in density.nodes[density.weights > 1e-9]) <= 1e-9
    assert density.weights @ density.nodes == pytest.approx(values.mean(), abs=0.1)
    deflated = spectral_density(matrix(A, normals), deflate=vectors[:, -1:].T, num_probes=3)
    assert deflated.nodes[deflated.weights > 1e-9].max() <= values[-2] + 1e-9


def test_the_same_key_gives_the_same_bits(matrix, rotated):
    H = matrix(rotated(np.linspace(-1, 2, N)))
    one, two = spectral_density(H, key=1), spectral_density(H, key=1)
    assert np.array_equal(one.nodes, two.nodes)
    assert np.array_equal(one.weights, two.weights)


@pytest.mark.parametrize(("options", "message"), [({"steps": 0}, "steps: found 0"), ({"num_probes": 0}, "num_probes: found 0")])
def test_bad_counts_are_named(matrix, options, message):
    with pytest.raises(ml.InputError, match=message):
        spectral_density(matrix(np.eye(N)), **options)
