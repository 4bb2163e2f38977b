"""One extreme eigenpair and the spectral density, against dense eigenvalues with planted clusters."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given

import mcr2_landscape as ml
from mcr2_landscape.curvature import extreme_eigenpair, lanczos, spectral_density
from mcr2_landscape.testing import seeds, spectra, symmetric_matrix

PROBLEM = ml.MCR2(5, (6, 4), 0.5, 0.2)


@given(spectrum=spectra(), seed=seeds())
def test_the_defining_identity(spectrum, seed):
    """A Q = Q T + r eᵀ with orthonormal Q, clusters or not."""
    A = symmetric_matrix(spectrum, seed)
    start = np.random.default_rng(seed).standard_normal(spectrum.size)
    basis, diagonal, off = lanczos._lanczos(lambda v: A @ v, start, spectrum.size, None)
    k = len(diagonal)
    Q, T = basis[:k].T, lanczos._tridiagonal(diagonal, off)
    remainder = A @ Q - Q @ T
    scale = np.abs(spectrum).max() + 1e-300
    assert np.abs(Q.T @ Q - np.eye(k)).max() <= 1e-12
    assert np.abs(remainder[:, :-1]).max(initial=0) <= 1e-12 * scale
    assert np.linalg.norm(remainder[:, -1]) == pytest.approx(off[-1], abs=1e-12 * scale)


@given(seed=seeds())
def test_extreme_pairs_equal_the_dense_ones(seed):
    Z = np.random.default_rng(seed).standard_normal(PROBLEM.shape)
    values = np.linalg.eigvalsh(PROBLEM.hessian_matrix(Z))
    for which, value in (("largest", values[-1]), ("smallest", values[0])):
        pair = extreme_eigenpair(PROBLEM, Z, which=which)
        assert pair.converged
        assert pair.value == pytest.approx(value, abs=1e-7)
        H = PROBLEM.hessian_matrix(Z)
        assert np.linalg.norm(H @ pair.vector.ravel() - pair.value * pair.vector.ravel()) <= pair.residual + 1e-10
        assert abs(pair.value - value) <= pair.residual + 1e-12


def test_an_early_stop_says_so():
    Z = np.random.default_rng(0).standard_normal(PROBLEM.shape)
    pair = extreme_eigenpair(PROBLEM, Z, max_steps=3)
    assert not pair.converged
    assert pair.residual > 0
    assert pair.value <= np.linalg.eigvalsh(PROBLEM.hessian_matrix(Z))[-1]


@given(seed=seeds())
def test_density_has_the_first_moments(seed):
    """Σ w = 1; with Rademacher probes the first two moments estimate tr H/n and tr H²/n."""
    Z = np.random.default_rng(seed).standard_normal(PROBLEM.shape)
    H = PROBLEM.hessian_matrix(Z)
    density = spectral_density(PROBLEM, Z, num_probes=60, steps=8, key=seed)
    n = Z.size
    assert density.weights.sum() == pytest.approx(1)
    off_diagonal = np.sqrt(2 * (np.sum(H * H) - np.sum(np.diag(H) ** 2)) / 60) / n
    assert density.weights @ density.nodes == pytest.approx(np.trace(H) / n, abs=5 * off_diagonal + 1e-12)
    values = np.linalg.eigvalsh(H)
    assert density.nodes[0] >= values[0] - 1e-10
    assert density.nodes[-1] <= values[-1] + 1e-10


def test_constrained_pairs_are_tangent():
    problem = ml.ConstrainedMCR2(3, (2, 3), 0.5, "spheres")
    Z = np.asarray(problem.constraint.project(jnp.asarray(np.random.default_rng(0).standard_normal(problem.shape))))
    pair = extreme_eigenpair(problem, Z)
    assert np.abs(problem.normals(Z).T @ pair.vector.ravel()).max() <= 1e-8


def test_bad_ends_are_named():
    with pytest.raises(ml.InputError, match="which: found 'middle'"):
        extreme_eigenpair(PROBLEM, np.zeros(PROBLEM.shape), which="middle")


def test_constrained_density_leaves_the_normals_out():
    problem = ml.ConstrainedMCR2(3, (2, 3), 0.5, "spheres")
    Z = np.asarray(problem.constraint.project(jnp.asarray(np.random.default_rng(1).standard_normal(problem.shape))))
    N = problem.normals(Z)
    values = np.linalg.eigvalsh(problem.hessian_matrix(Z) + 1e6 * N @ N.T)[: -N.shape[1]]
    density = spectral_density(problem, Z, num_probes=3)
    # a full run finds the tangent eigenvalues and no zero of the normals
    assert max(np.abs(values - node).min() for node in density.nodes[density.weights > 1e-12]) <= 1e-6
    assert density.weights.sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: extreme_eigenpair(PROBLEM, np.full(PROBLEM.shape, np.nan)), "Z: found NaN"),
        (lambda: extreme_eigenpair(PROBLEM, [[1.0]]), "Z: found shape"),
        (lambda: spectral_density(PROBLEM, np.ones(PROBLEM.shape), steps=0), "steps: found 0"),
    ],
)
def test_bad_points_and_counts_are_named(call, message):
    with pytest.raises(ml.InputError, match=message):
        call()
