"""How many directions a class keeps: against brute force, high precision and the published tables."""

import itertools
import math

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcr2_landscape.ctrl.multiplicity import (
    allocate,
    capacity_of,
    full_rank_threshold,
    height,
    injectivity_bound,
    optimal_multiplicity,
    value_of,
)
from mcr2_landscape.validation import InputError

PROPORTIONS = st.one_of(st.floats(0.01, 0.99), st.floats(-30, -2).map(lambda x: 10**x), st.just(1 - 1e-9))
TABLE = {
    1 / 2: ("1.540558", "1.774675", "2.170835"),
    1 / 3: ("1.548888", "1.784616", "2.183219"),
    1 / 10: ("1.594640", "1.839055", "2.250929"),
    1 / 100: ("1.755258", "2.028490", "2.485488"),
}


def exact_height(y, gamma):
    root = mpmath.sqrt(mpmath.mpf(gamma))
    return (mpmath.log1p(root * y) - mpmath.mpf(gamma) * mpmath.log1p(y / root)) / 2


def added(m, n, size, dim, epsilon):
    """What m equal directions of a class add, from the definition: h(s) at s = size/m."""
    a, s = dim / epsilon**2, size / m
    return m * 0.5 * (np.log1p(a * s / n) - size / n * np.log1p(a * s / size))


@pytest.mark.parametrize("gamma", TABLE)
def test_the_tables_to_all_digits(gamma):
    found = full_rank_threshold(2, gamma), full_rank_threshold(3, gamma), injectivity_bound(gamma)
    assert tuple(f"{value:.6f}" for value in found) == TABLE[gamma]


@given(gamma=PROPORTIONS, y=st.floats(-6, 8).map(lambda x: 10**x))
def test_the_height_without_cancellation(gamma, y):
    with mpmath.workdps(60):
        assert height(y, gamma) == pytest.approx(float(exact_height(mpmath.mpf(y), gamma)), rel=1e-11)


@given(gamma=PROPORTIONS, rank=st.integers(2, 500))
def test_the_threshold_solves_its_equation(gamma, rank):
    rho, tau = full_rank_threshold(rank, gamma), injectivity_bound(gamma)
    with mpmath.workdps(60):

        def excess(y):
            return rank * exact_height(y, gamma) - (rank - 1) * exact_height(y * rank / (rank - 1), gamma)

        low, high = (excess(mpmath.mpf(rho) * (1 + sign * mpmath.mpf("1e-10"))) for sign in (-1, 1))
        assert low < 0 < high
        bound = [
            exact_height(y, gamma) - y * mpmath.diff(lambda x: exact_height(x, gamma), mpmath.mpf(y))
            for y in (tau * (1 - 1e-12), tau * (1 + 1e-12))
        ]
        assert bound[0] < 0 < bound[1]
    assert 1 < rho < tau


@given(gamma=PROPORTIONS, rank=st.integers(2, 50))
def test_thresholds_rise_with_the_rank_to_their_bound(gamma, rank):
    rho, tau = [full_rank_threshold(r, gamma) for r in (rank, rank + 1, 100_000)], injectivity_bound(gamma)
    assert rho[0] < rho[1] < rho[2] < tau
    assert tau - rho[2] < 2e-5 * tau


def test_no_universal_constant_repairs_the_recalled_condition():
    bounds = [injectivity_bound(10.0**-k) for k in (1, 4, 16, 64, 256)]
    assert all(low < high for low, high in itertools.pairwise(bounds))
    # like √(2 log(1/√gamma)), from above
    ratios = [bound / math.sqrt(k * math.log(10)) for bound, k in zip(bounds, (1, 4, 16, 64, 256), strict=True)]
    assert all(first > second > 1 for first, second in itertools.pairwise(ratios))
    assert ratios[-1] < 1.1


@given(
    n=st.integers(2, 1000), share=st.floats(0.001, 0.999), rank=st.integers(1, 60), dim=st.integers(1, 80),
    exponent=st.floats(-3, 3),
)  # fmt: skip
def test_the_best_number_by_brute_force(n, share, rank, dim, exponent):
    size, epsilon = min(max(1, round(share * n)), n - 1), 10**exponent
    rank = min(rank, size)
    found = optimal_multiplicity(n, rank, size / n, dim, epsilon)
    values = np.array([added(m, n, size, dim, epsilon) for m in range(1, rank + 1)])
    assert found.value >= values.max() - 1e-12 * max(1, values.max())
    assert found.value == pytest.approx(values[found.multiplicity - 1], abs=1e-12 * max(1, dim), rel=1e-9)
    assert found.singular_value == pytest.approx(math.sqrt(size / found.multiplicity), rel=1e-14)


@given(gamma=PROPORTIONS.filter(lambda gamma: gamma > 1e-8), rank=st.integers(2, 40), dim=st.integers(1, 50))
def test_both_sides_of_the_threshold(gamma, rank, dim):
    rho = full_rank_threshold(rank, gamma)

    def at(ratio):  # the precision at which N/r is that
        return optimal_multiplicity(10**10, rank, gamma, dim, math.sqrt(dim * math.sqrt(gamma) / (rank * ratio)))

    assert at(rho * (1 + 1e-5)).multiplicity == rank
    assert at(rho * (1 - 1e-5)).multiplicity == rank - 1
    assert at(rho * (1 + 1e-5)).tied is None
    # planted: the recalled threshold is another one
    assert at(1.0).multiplicity < rank


@given(gamma=st.floats(0.02, 0.98), rank=st.integers(2, 12), dim=st.integers(1, 50))
def test_a_tie_is_reported(gamma, rank, dim):
    epsilon = math.sqrt(dim * math.sqrt(gamma) / (rank * full_rank_threshold(rank, gamma)))
    found = optimal_multiplicity(1000, rank, gamma, dim, epsilon)
    assert {found.multiplicity, found.tied} == {rank, rank - 1}


def test_counter_example_to_the_recalled_precision():
    epsilon = math.sqrt(1.3)
    found = optimal_multiplicity(20, 2, 0.5, 4, epsilon)
    assert epsilon**4 < 0.5 * 4**2 / 2**2
    assert found.multiplicity == 1
    assert 2 * found.value == pytest.approx(0.228886926, abs=5e-10)
    assert 2 * value_of(2, capacity_of(0.5, 4, epsilon), 0.5) == pytest.approx(0.209531512930282, abs=1e-15)


@given(gamma=st.floats(0.01, 0.99), rank=st.integers(1, 30), dim=st.integers(1, 40), exponent=st.floats(-2, 2))
def test_scale_laws(gamma, rank, dim, exponent):
    epsilon = 10**exponent
    found = optimal_multiplicity(10**6, rank, gamma, dim, epsilon)
    other = optimal_multiplicity(10**4, rank, gamma, 4 * dim, 2 * epsilon)
    assert other.multiplicity in (found.multiplicity, found.tied)
    assert other.value == pytest.approx(found.value, rel=1e-12)
    assert other.singular_value == pytest.approx(found.singular_value / 10, rel=1e-12) or other.tied is not None


@given(gamma=st.floats(0.01, 0.99), rank=st.integers(1, 30), dim=st.integers(1, 40))
def test_finer_precision_keeps_more(gamma, rank, dim):
    counts = [optimal_multiplicity(10_000, rank, gamma, dim, 10**exponent).multiplicity for exponent in np.linspace(-6, 6, 49)]
    assert counts == sorted(counts, reverse=True)
    assert (counts[0], counts[-1]) == (rank, 1)


@given(
    shares=st.lists(st.floats(0.05, 1), min_size=1, max_size=4), dim=st.integers(0, 6), exponent=st.floats(-1.5, 1.5),
    data=st.data(),
)  # fmt: skip
def test_allocation_by_brute_force(shares, dim, exponent, data):
    gammas = [share / (sum(shares) + 0.1) for share in shares]
    ranks = [data.draw(st.integers(1, 4)) for _ in shares]
    capacities = [10**exponent * math.sqrt(gamma) for gamma in gammas]
    found = allocate(capacities, gammas, ranks, dim)

    def total(counts):
        return sum(value_of(m, *own) for m, own in zip(counts, zip(capacities, gammas, strict=True), strict=True))

    fitting = [counts for counts in itertools.product(*(range(rank + 1) for rank in ranks)) if sum(counts) <= dim]
    best = max(total(counts) for counts in fitting)
    assert found in fitting
    assert total(found) >= best * (1 - 1e-13)


def test_equal_classes_tie_in_favor_of_the_first():
    assert allocate([1.0, 1.0, 1.0], [0.3, 0.3, 0.3], [1, 1, 1], 2) == (1, 1, 0)


@pytest.mark.parametrize("gamma", [1e-12, 0.5, 1 - 1e-12])
@pytest.mark.parametrize("epsilon", [1e-60, 1e-6, 1e6, 1e60])
def test_huge_and_tiny_precision(gamma, epsilon):
    found = optimal_multiplicity(10**17, 100_000, gamma, 3, epsilon)
    assert found.multiplicity == (100_000 if epsilon < 1e-3 else 1)
    assert np.isfinite(found.value)
    assert found.value > 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: height(1.0, 1.0), "proportion: found 1"),
        (lambda: height(1.0, 0.0), "proportion"),
        (lambda: height(-1.0, 0.5), "y: found -1"),
        (lambda: full_rank_threshold(0, 0.5), "rank: found 0"),
        (lambda: full_rank_threshold(2, math.nan), "proportion"),
        (lambda: optimal_multiplicity(0, 2, 0.5, 4, 1.0), "n: found 0"),
        (lambda: optimal_multiplicity(9, 2, 0.5, 0, 1.0), "dim: found 0"),
        (lambda: optimal_multiplicity(9, 2, 0.5, 4, 0.0), "epsilon"),
        (lambda: optimal_multiplicity(9, 2, 0.5, 4, -1.0), "epsilon"),
        (lambda: optimal_multiplicity(20, 2, 0.5, 4, 1e-200), "epsilon: found 1e-200, at which .* leaves the range"),
        (lambda: optimal_multiplicity(20, 2, 0.5, 4, 1e200), r"epsilon: found 1e\+200, at which .* leaves the range"),
        (lambda: optimal_multiplicity(20, 11, 0.5, 4, 1.0), "rank: found 11, but of 20 samples a share of 0.5 is 10"),
    ],
)
def test_bad_numbers_are_named(call, message):
    with pytest.raises(InputError, match=message):
        call()
