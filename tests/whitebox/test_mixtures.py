"""Denoising of mixtures on subspaces: against Bayes' rule with full covariances, and against derivatives of the density."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from mcr2_landscape import InputError
from mcr2_landscape import whitebox as wb

seeds = st.integers(0, 2**32 - 1)
D, K, P, N = 6, 3, 2, 5


def problem(seed: int, *, incoherent: bool = False) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.standard_normal((D, N)), wb.random_bases(key=random, heads=K, dim=D, rank=P, incoherent=incoherent)


@given(seeds, st.floats(0.1, 5), st.floats(0.3, 2))
def test_it_is_bayes_rule(seed, variance, noise):
    Z, U = problem(seed)
    covariances = [variance * B @ B.T + noise**2 * np.eye(D) for B in U]
    densities = np.array([[multivariate_normal(np.zeros(D), S).pdf(z) for z in Z.T] for S in covariances]) / K
    weights = densities / densities.sum(axis=0)
    means = np.array([variance * B @ B.T @ np.linalg.solve(S, Z) for B, S in zip(U, covariances, strict=True)])
    np.testing.assert_allclose(np.asarray(wb.responsibilities(Z, U, variance, noise)), weights, rtol=1e-9, atol=1e-13)
    expected = np.einsum("kn,kdn->dn", weights, means)
    np.testing.assert_allclose(np.asarray(wb.posterior_mean(Z, U, variance, noise)), expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        np.asarray(wb.log_density(Z, U, variance, noise)), np.log(densities.sum(axis=0)), rtol=1e-9, atol=1e-9
    )


@given(seeds, st.floats(0.1, 5), st.floats(0.3, 2))
def test_the_score_is_the_derivative_of_the_density(seed, variance, noise):
    Z, U = problem(seed)
    derivative = jax.grad(lambda points: jnp.sum(wb.log_density(points, U, variance, noise)))(jnp.asarray(Z))
    found = np.asarray(wb.score(Z, U, variance, noise))
    np.testing.assert_allclose(found, np.asarray(derivative), rtol=1e-9, atol=1e-9)
    assert np.abs(found - Z / noise**2).max() > 1e-3


@given(seeds, st.floats(0.3, 1))
def test_the_printed_assignment_is_the_limit_of_a_large_variance(seed, noise):
    Z, U = problem(seed)
    limit = np.asarray(wb.responsibilities(Z, U, math.inf, noise))
    errors = [np.abs(np.asarray(wb.responsibilities(Z, U, v, noise)) - limit).max() for v in (1e2, 1e3, 1e4)]
    assert errors[2] <= 1e-2 * max(errors[0], 1e-12) * 1.3 + 1e-13  # of first order in 1/variance
    np.testing.assert_allclose(limit.sum(axis=0), 1, rtol=1e-12)


def test_little_noise_leaves_the_density_finite():
    Z, U = problem(0)
    with jax.enable_x64(False):
        found = wb.log_density(jnp.asarray(Z, dtype=jnp.float32), jnp.asarray(U, dtype=jnp.float32), 1.0, 1e-4)
    exact = wb.log_density(Z, U, 1.0, 1e-4)
    np.testing.assert_allclose(np.asarray(found), np.asarray(exact), rtol=1e-5)
    assert np.isfinite(np.asarray(wb.log_density(Z, U, 1.0, 1e-9))).all()


def test_draws_have_the_mixtures_moments():
    U = wb.random_bases(key=0, heads=K, dim=D, rank=P)
    assert np.abs(np.einsum("kdp,jdq->kjpq", U, U) - np.einsum("kj,pq->kjpq", np.eye(K), np.eye(P))).max() < 1e-14
    sample = wb.sample_mixture(key=1, U=U, sizes=(20000, 10, 20000), variance=2.0, noise=0.5)
    assert sample.noisy.shape == (D, 40010)
    assert np.bincount(sample.labels).tolist() == [20000, 10, 20000]
    first = sample.noisy[:, sample.labels == 0]
    np.testing.assert_allclose(first @ first.T / 20000, 2 * U[0] @ U[0].T + 0.25 * np.eye(D), atol=0.1)
    assert np.abs(sample.clean[:, sample.labels == 2] - U[2] @ U[2].T @ sample.clean[:, sample.labels == 2]).max() < 1e-13
    again = wb.sample_mixture(key=1, U=U, sizes=(20000, 10, 20000), variance=2.0, noise=0.5)
    assert np.array_equal(again.noisy, sample.noisy)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda Z, U: wb.posterior_mean(Z, 2 * U, 1.0, 1.0), "not orthonormal"),
        (lambda Z, U: wb.score(Z, U, 0.0, 1.0), "variance: found 0"),
        (lambda Z, U: wb.score(Z, U, 1.0, 0.0), "noise: found 0"),
        (lambda Z, U: wb.log_density(Z, U, math.inf, 1.0), "variance: "),
        (lambda Z, U: wb.sample_mixture(key=0, U=U, sizes=(1, 2)), "sizes: found 2 for 3 bases"),
        (lambda Z, U: wb.sample_mixture(key=0, U=U, sizes=(1, 2, 0)), r"sizes\[2\]: found 0"),
        (lambda Z, U: wb.sample_mixture(key=0, U=U, sizes=(1, 2, 1), noise=-1), "noise: found -1"),
        (lambda Z, U: wb.sample_mixture(key=0, U=U, sizes=3), "sizes: found 3"),
        (lambda Z, U: wb.sample_mixture(key=0, U=3 * U, sizes=(1, 2, 1)), "not orthonormal"),
        (lambda Z, U: wb.random_bases(key=0, heads=4, dim=6, rank=2), "dim: found 6"),
    ],
)
def test_bad_input_is_named(call, message):
    Z, U = problem(0)
    with pytest.raises(InputError, match=message):
        call(Z, U)
