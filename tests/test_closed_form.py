"""The host's formulas against textbook determinants and differences, over many random problems."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcr2_landscape import closed_form
from mcr2_landscape.closed_form import Parameters
from mcr2_landscape.testing import parameters, points, seeds
from mcr2_landscape.validation import InputError


@st.composite
def cases(draw):
    p = draw(parameters())
    return p, draw(points(p)), draw(seeds())


def direction(p, seed):
    D = np.random.default_rng(seed).standard_normal(p.shape)
    return D / np.linalg.norm(D)


def oracle_value(p, Z):
    total = 0.5 * np.linalg.slogdet(np.eye(p.dim) + p.alpha * Z @ Z.T)[1] - 0.5 * p.regularization * np.sum(Z * Z)
    for m_k, a_k, B in zip(p.sizes, p.alphas, p.blocks(Z), strict=True):
        total -= m_k / (2 * p.num_samples) * np.linalg.slogdet(np.eye(p.dim) + a_k * B @ B.T)[1]
    return total


def oracle_gradient(p, Z):
    """The formula with plain inverses."""
    out = p.alpha * np.linalg.inv(np.eye(p.dim) + p.alpha * Z @ Z.T) @ Z - p.regularization * Z
    for a_k, B, G in zip(p.alphas, p.blocks(Z), p.blocks(out), strict=True):
        G -= p.alpha * np.linalg.inv(np.eye(p.dim) + a_k * B @ B.T) @ B
    return out


GRADIENT_TOLERANCE = 1e-9


def gradient_error(p, Z, gradient):
    """The distance from the plain formula, relative to what the condition of its inverses explains."""
    size = closed_form.gradient_and_scale(p, Z)[1]
    return np.linalg.norm(gradient - oracle_gradient(p, Z)) / ((size + 1e-300) * (1 + p.alpha * np.sum(Z * Z)))


@given(cases())
def test_value_and_gradient(case):
    p, Z, _ = case
    scale = 1 + p.ell * p.alpha * np.sum(Z * Z)
    assert closed_form.value(p, Z) == pytest.approx(oracle_value(p, Z), rel=1e-10, abs=1e-11 * scale)
    assert gradient_error(p, Z, closed_form.gradient(p, Z)) <= GRADIENT_TOLERANCE
    without = closed_form.value(p, Z, regularized=False)
    assert without - 0.5 * p.regularization * np.sum(Z * Z) == pytest.approx(
        closed_form.value(p, Z), rel=1e-10, abs=1e-12 * scale
    )


@given(cases())
def test_hessian_is_the_derivative_of_the_gradient(case):
    p, Z, seed = case
    D = direction(p, seed)
    h = 1e-5 / np.sqrt(p.alpha) / (1 + np.sqrt(p.ratios.max()))
    steps = [closed_form.gradient(p, Z + k * h * D) for k in (-2, -1, 1, 2)]
    difference = (steps[0] - 8 * steps[1] + 8 * steps[2] - steps[3]) / (12 * h)
    H = closed_form.hessian_matrix(p, Z)
    product = (H @ D.ravel()).reshape(p.shape)
    scale = p.alpha + p.regularization
    rounding = 1e-15 * closed_form.gradient_and_scale(p, Z)[1] / h
    assert np.linalg.norm(product - difference) <= 1e-7 * scale + 30 * rounding
    assert np.allclose(H, H.T, atol=1e-13 * scale)


@given(cases())
def test_curvature_lies_within_the_bound(case):
    """−(9/8) alpha − lambda ≤ eigenvalues ≤ (9/8) alpha − lambda at every point."""
    p, Z, _ = case
    values = np.linalg.eigvalsh(closed_form.hessian_matrix(p, Z))
    slack = 1e-12 * (p.alpha + p.regularization)
    assert values[-1] <= 9 / 8 * p.alpha - p.regularization + slack
    assert values[0] >= -9 / 8 * p.alpha - p.regularization - slack


@given(cases())
def test_symmetry_and_orbit(case):
    p, Z, seed = case
    random = np.random.default_rng(seed)
    left, _ = np.linalg.qr(random.standard_normal((p.dim, p.dim)))
    moved = left @ Z
    for B in p.blocks(moved):
        right, _ = np.linalg.qr(random.standard_normal((B.shape[1], B.shape[1])))
        B[...] = B @ right
    scale = 1 + p.ell * p.alpha * np.sum(Z * Z)
    assert closed_form.value(p, moved) == pytest.approx(closed_form.value(p, Z), rel=1e-10, abs=1e-12 * scale)
    generators = closed_form.orbit_tangent(p, Z)
    gradient, size = closed_form.gradient_and_scale(p, Z)
    assert np.abs(generators.T @ gradient.ravel()).max(initial=0) <= 1e-12 * (size * np.linalg.norm(Z) + 1e-300)


@given(cases())
def test_zero_is_a_strict_maximizer(case):
    p, _, _ = case
    H = closed_form.hessian_matrix(p, np.zeros(p.shape))
    assert np.allclose(H, -p.regularization * np.eye(H.shape[0]), rtol=0, atol=1e-14 * p.alpha)


def test_a_planted_sign_error_is_caught():
    p = Parameters(3, (2, 2), 0.5, 0.1)
    Z = np.random.default_rng(0).standard_normal(p.shape)
    wrong = closed_form.gradient(p, Z) + 2 * p.regularization * Z  # + lambda Z instead of − lambda Z
    assert gradient_error(p, Z, wrong) > GRADIENT_TOLERANCE


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, (2, 2), 0.5, 0.1), "dim: found 0"),
        ((2.5, (2, 2), 0.5, 0.1), "dim: found 2.5"),
        ((2, (4,), 0.5, 0.1), "found 1 class;"),
        ((2, (), 0.5, 0.1), "found 0 classes"),
        ((2, (4, 0), 0.5, 0.1), r"sizes\[1\]: found 0"),
        ((2, (4, 1.5), 0.5, 0.1), r"sizes\[1\]: found 1.5"),
        ((2, "44", 0.5, 0.1), "sizes: found '44'"),
        ((2, (2, 2), 0, 0.1), "epsilon: found 0"),
        ((2, (2, 2), 0.5, -1), "regularization: found -1"),
        ((2, (2, 2), 0.5, float("inf")), "regularization: found inf"),
        ((3, (2, 2), 1e-200, 0.1), "epsilon: found 1e-200"),
        ((3, (2, 2), 1e200, 0.1), r"epsilon: found 1e\+200"),
        ((3, (2, 2), 1e-160, 0.1), "epsilon: found 1e-160"),
        ((3, (2, 2), 0.5, 0.1, (1,)), "widths: found 1 for 2 classes"),
        ((3, (2, 2), 0.5, 0.1, (1, 0)), r"widths\[1\]: found 0"),
        ((3, (2, 2), 0.5, 0.1, (1, 3)), r"widths\[1\]: found 3"),
        ((2, (2, 2), None, 0.1), "epsilon: found None"),
    ],
)
def test_bad_parameters_are_named(arguments, message):
    with pytest.raises(InputError, match=message):
        Parameters(*arguments)
