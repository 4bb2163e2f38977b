"""Thresholds, roots and values of one direction, against 60-digit arithmetic and the printed digits."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcr2_landscape.catalog import eigenspace_roots, regularization_limit, roots, scalar, thresholds
from mcr2_landscape.closed_form import Parameters
from mcr2_landscape.validation import InputError

from .problems import problems, with_limit

RATIOS = st.one_of(
    st.integers(1, 6).map(lambda e: 1 + Fraction(1, 10**e)),
    st.integers(1, 6).map(lambda e: Fraction(10) ** e),
    st.fractions(Fraction(101, 100), 50, max_denominator=1000),
)
# From the smallest regularizations to a relative distance of 1e-8 from the threshold.
SHARES = st.one_of(st.floats(-8, -0.01).map(lambda e: Fraction(10**e)), st.floats(-8, -0.5).map(lambda e: 1 - Fraction(10**e)))


@pytest.fixture(autouse=True)
def _precision():
    with mpmath.workdps(60):
        yield


def exactly(number: Fraction) -> mpmath.mpf:
    return mpmath.mpf(number.numerator) / number.denominator


def threshold(ratio: Fraction) -> mpmath.mpf:
    root = mpmath.sqrt(exactly(ratio))
    return (root - 1) / (root + 1)


def height(ratio: Fraction, ell: mpmath.mpf, s: mpmath.mpf) -> mpmath.mpf:
    rho = exactly(ratio)
    return (mpmath.log1p(s) - mpmath.log1p(rho * s) / rho - ell * s) / 2


@given(RATIOS, SHARES)
def test_roots_agree_with_sixty_digits(ratio, share):
    ell = Fraction(float(threshold(ratio) * exactly(share)))
    found = scalar.normalized_roots(ratio, ell)
    rho, L = exactly(ratio), exactly(ell)
    eta = (rho - 1) - L * (rho + 1)
    root = mpmath.sqrt(eta**2 - 4 * L**2 * rho)
    large = (eta + root) / (2 * L * rho)
    small = 1 / (rho * large)
    # A dozen roundings and no cancellation: 8 units in the last place.
    assert found.large == pytest.approx(float(large), rel=2e-15)
    assert found.small == pytest.approx(float(small), rel=2e-15)
    assert found.gap == pytest.approx(float(large - small), rel=2e-15)
    assert found.a_small == pytest.approx(float(1 / (1 + large)), rel=2e-15)
    assert found.a_big == pytest.approx(float(1 / (1 + small)), rel=2e-15)
    for s, exact in ((found.large, large), (found.small, small)):
        terms = mpmath.log1p(exact) + L * exact
        error = abs(scalar.height(ratio, ell, s) - height(ratio, L, exact))
        assert error < 1e-15 * terms
        if s == found.small:  # never near zero there: accurate to itself, where logarithms would cancel
            # Close to the threshold gain and penalty cancel to a part in √rho; two digits more are left to roundings.
            assert error < 1e-13 * abs(height(ratio, L, exact))


@pytest.mark.parametrize("ratio", [1 + Fraction(1, 10**6), Fraction(11, 10), Fraction(3), Fraction(100), Fraction(10**6)])
def test_value_threshold_is_where_the_value_vanishes(ratio):
    found = mpmath.mpf(scalar.value_threshold(ratio))
    rho = exactly(ratio)

    def at_large_root(ell):
        eta = (rho - 1) - ell * (rho + 1)
        return height(ratio, ell, (eta + mpmath.sqrt(eta**2 - 4 * ell**2 * rho)) / (2 * ell * rho))

    assert at_large_root(found * (1 - mpmath.mpf("1e-15"))) > 0 > at_large_root(found * (1 + mpmath.mpf("1e-15")))


@pytest.mark.parametrize(
    ("ratio", "printed"),
    [
        (1 + Fraction(1, 10**9), "0.86487"),
        (Fraction(11, 10), "0.86491"),
        (Fraction(3, 2), "0.86565"),
        (Fraction(2), "0.86713"),
        (Fraction(3), "0.87047"),
        (Fraction(5), "0.87653"),
        (Fraction(10), "0.88739"),
        (Fraction(100), "0.93164"),
        (Fraction(1000), "0.96668"),
    ],
)
def test_value_threshold_table(ratio, printed):
    assert f"{scalar.value_threshold(ratio) / scalar.existence_threshold(ratio):.5f}" == printed


@given(problems(max_size=50, max_dim=30))
def test_identities_of_the_roots(p):
    """Product, sum, and the critical equation that they solve, in the units of the problem."""
    for k, (small, large) in enumerate(roots(p)):
        found = eigenspace_roots(p, Fraction(p.num_samples, p.sizes[k]))
        assert (found is None) == np.isnan(large)
        if found is None:
            assert p.regularization > thresholds(p).existence[k]
            continue
        assert small <= large
        assert small * large * p.alpha * p.alphas[k] == pytest.approx(1, rel=1e-14)
        assert found.a_small + found.a_big == pytest.approx(1 + p.ell, rel=1e-14)
        rho = p.ratios[k]
        for a in (found.a_small, found.a_big):
            assert a * (1 + p.ell - a) == pytest.approx(p.ell * rho / (rho - 1), rel=1e-13)
        lam, alpha, alpha_k = p.regularization, p.alpha, p.alphas[k]
        eta = (alpha_k - alpha) - lam * (rho + 1)
        for x in (small, large):
            assert abs(lam * alpha_k * x * x - eta * x + lam / alpha) <= 1e-14 * (lam * alpha_k * x * x + alpha_k * x)


@given(problems(max_size=1000, max_dim=30), st.data())
def test_double_root_at_the_threshold(p, data):
    levels = thresholds(p).existence
    k = data.draw(st.integers(0, p.num_classes - 1))
    at = Parameters(p.dim, p.sizes, p.epsilon, float(levels[k]))
    small, large = roots(at)[k]
    assert small == large == pytest.approx(1 / np.sqrt(p.alpha * p.alphas[k]), rel=1e-14)
    below = Parameters(p.dim, p.sizes, p.epsilon, float(levels[k]) * (1 - 1e-13))
    assert roots(below)[k, 0] < roots(below)[k, 1]
    above = Parameters(p.dim, p.sizes, p.epsilon, float(levels[k]) * (1 + 1e-13))
    assert np.isnan(roots(above)[k]).all()


def test_no_roots_where_the_discriminant_is_positive_again():
    """Above alpha (√rho + 1)/(√rho − 1) the quadratic has real roots, both negative: no critical points."""
    p = with_limit(4, (2, 2), 0.5, 1.0)
    beyond = Parameters(4, (2, 2), 0.5, 1.1 * p.alpha * (2**0.5 + 1) / (2**0.5 - 1))
    eta = (beyond.alphas[0] - beyond.alpha) - beyond.regularization * 3
    assert eta**2 > 4 * beyond.regularization**2 * 2
    assert np.isnan(roots(beyond)).all()


def test_thresholds_of_extreme_sizes():
    p = Parameters(2, (10**6 - 1, 1), 0.5, 1e-3)
    for k, size in enumerate(p.sizes):
        exact = mpmath.mpf(p.alpha) * threshold(Fraction(p.num_samples, size))
        assert thresholds(p).existence[k] == pytest.approx(float(exact), rel=1e-15)
    assert regularization_limit(p) == thresholds(p).existence[0]


@pytest.mark.parametrize("ratio", [1, Fraction(1, 2), float("nan"), "3"])
def test_ratio_is_checked(ratio):
    with pytest.raises(InputError, match="ratio"):
        eigenspace_roots(Parameters(2, (2, 2), 0.5, 0.1), ratio)
