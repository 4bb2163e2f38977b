"""The global maximum: against the whole catalog, against ascents, and where the printed theorem stops."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcr2_landscape.catalog import catalog, global_maximum, orthogonal_family, thresholds
from mcr2_landscape.catalog.scalar import height
from mcr2_landscape.closed_form import Parameters, gradient, value

from .problems import problems, with_limit


def check_maximum(p: Parameters, found) -> None:
    """No family is above it, and it is unique exactly if no other family has its value."""
    families = list(itertools.islice(catalog(p), 400))
    best = families[0].value
    assert found.value == found.family.value
    assert found.value == pytest.approx(best, rel=1e-14, abs=1e-15)
    assert found.family in families or not found.unique
    ties = sum(family.value >= best - 1e-13 * max(1.0, abs(best)) for family in families[:2])
    assert found.unique == (ties == 1)


@given(problems(max_classes=4, max_size=5, max_dim=6, fractions=st.floats(0.05, 3.0)))
def test_no_family_is_above_it(p):
    check_maximum(p, global_maximum(p))


@given(problems(max_classes=4, max_size=5, max_dim=6))
def test_no_family_is_above_it_at_extreme_regularizations(p):
    found = global_maximum(p)
    best = next(catalog(p)).value
    assert found.value == pytest.approx(best, rel=1e-14, abs=1e-15)


def test_a_wrong_maximum_is_caught():
    p = with_limit(4, (1, 1, 8), 0.5, 0.95)
    printed = orthogonal_family(p, large=(1, 1, 2))
    right = global_maximum(p)
    check_maximum(p, right)
    with pytest.raises(AssertionError):
        check_maximum(p, type(right)(printed.value, printed, True))
    with pytest.raises(AssertionError):
        check_maximum(p, type(right)(right.value, right.family, False))


@given(problems(max_classes=3, max_size=3, max_dim=4, fractions=st.floats(0.1, 1.5)), st.integers(0, 99))
def test_ascents_stay_below(p, seed):
    """The step 1/(9/8 alpha + lambda) never decreases F, and no ascent from a random start exceeds the maximum."""
    rng = np.random.default_rng(seed)
    found = global_maximum(p).value
    step = 1 / (1.125 * p.alpha + p.regularization)
    Z = rng.standard_normal(p.shape) * 10 ** rng.uniform(-1, 1) / p.alpha**0.5
    before = value(p, Z)
    for _ in range(30):
        for _ in range(5):
            Z = Z + step * gradient(p, Z)
        after = value(p, Z)
        assert after >= before - 1e-12
        before = after
    assert before <= found + 1e-12


def test_printed_theorem_and_its_corrections():
    """Where every class concerned is below its value threshold all min(m, d) dimensions are used, smallest classes first; above
    it, leaving classes out is better."""
    assert global_maximum(with_limit(7, (4, 4, 4), 0.4, 0.5)).family.rank == 7
    assert global_maximum(with_limit(7, (4, 4, 4), 0.4, 0.9)).family.label == "zero"
    found = global_maximum(with_limit(4, (1, 1, 8), 0.5, 0.95))
    assert found.family.large == (1, 1, 0)
    assert f"{found.value:.6f}" == "1.478024"
    for share in (0.1, 0.9, 1.0):
        assert global_maximum(with_limit(4, (5, 5, 6), 0.5, share)).family.rank == 4


def test_uniqueness():
    assert global_maximum(with_limit(4, (1, 2, 5), 0.5, 0.3)).unique
    assert global_maximum(with_limit(4, (2, 2, 5), 0.5, 0.3)).unique  # both small classes are filled, the rest is class 3
    assert not global_maximum(with_limit(3, (2, 2, 5), 0.5, 0.3)).unique
    p = Parameters(8, (1, 2, 5), 0.5, 1.0)
    at = Parameters(8, (1, 2, 5), 0.5, float(thresholds(p).value[1]))
    found = global_maximum(at)
    assert not found.unique  # a direction of class 2 has the value zero
    assert found.family.large == (1, 0, 0)
    assert orthogonal_family(at, large=(1, 2, 0)).value == pytest.approx(found.value, rel=1e-14)


def test_above_every_threshold_it_is_zero():
    p = with_limit(4, (2, 3, 4), 0.5, 10.0)
    found = global_maximum(p)
    assert (found.value, found.family.label, found.unique) == (0.0, "zero", True)


@given(
    st.fractions(Fraction(11, 10), 20, max_denominator=50),
    st.fractions(Fraction(11, 10), 20, max_denominator=50),
    st.floats(0.01, 1.0),
)
def test_best_height_is_convex_and_decreasing_in_the_share(first, second, ell):
    """The lemma behind the global maximum, for t = 1/rho."""
    exact = Fraction(ell)
    grid = np.concatenate([[0.0], np.geomspace(1e-4, 1e4, 4000)])

    def best(ratio: Fraction) -> float:
        return max(height(ratio, exact, float(s)) for s in grid[::40])

    low, high = sorted((1 / first, 1 / second))
    middle = (low + high) / 2
    # Maxima over a common grid: each h is concave in no way, but convex in t at every fixed s, which maxima keep.
    assert best(1 / low) >= best(1 / high)
    assert best(1 / middle) <= 0.5 * (best(1 / low) + best(1 / high)) + 1e-14
