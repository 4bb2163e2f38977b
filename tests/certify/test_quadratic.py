"""Exact arithmetic in Q(√s), and exact inertia."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mcr2_landscape.certify.quadratic import Surd, _inertia
from mcr2_landscape.testing import seeds

SQUARES = st.sampled_from([Fraction(2), Fraction(3, 2), Fraction(7, 3), Fraction(9, 4), Fraction(4), Fraction(10, 9)])
NUMBERS = st.fractions(min_value=-50, max_value=50, max_denominator=30)


@st.composite
def surds(draw, count: int) -> list[Surd]:
    """Numbers of one field; some of them such that the two parts cancel."""
    square = draw(SQUARES)
    found = []
    for _ in range(count):
        b = draw(NUMBERS)
        near = Fraction(round(-b * Fraction(square**0.5) * 720), 720)  # zero itself where the root is rational
        found.append(Surd(near if draw(st.booleans()) else draw(NUMBERS), b, square))
    return found


def exact(number: Surd) -> mpmath.mpf:
    return mpmath.mpf(number.a.numerator) / number.a.denominator + mpmath.mpf(number.b.numerator) / number.b.denominator * (
        mpmath.sqrt(mpmath.mpf(number.square.numerator) / number.square.denominator)
    )


def close(found: Surd, wanted: mpmath.mpf) -> bool:
    return abs(exact(found) - wanted) <= mpmath.mpf(10) ** -100 * (1 + abs(wanted))


@given(surds(2))
def test_field_operations(pair):
    x, y = pair
    with mpmath.workdps(130):
        a, b = exact(x), exact(y)
        assert close(x + y, a + b)
        assert close(x - y, a - b)
        assert close(x * y, a * b)
        assert close(-x, -a)
        assert close(2 - x, 2 - a)
        assert close(Fraction(1, 3) * x + 1, a / 3 + 1)
        if y.sign():
            assert close(x / y, a / b)
            assert close(1 / y, 1 / b)
            assert ((x / y) * y - x).sign() == 0
        else:
            with pytest.raises(ZeroDivisionError):
                x / y


@given(surds(1))
def test_sign_and_float_are_exact(numbers):
    (x,) = numbers
    with mpmath.workdps(130):
        value = exact(x)
        assert x.sign() == (0 if abs(value) < mpmath.mpf(10) ** -100 else int(mpmath.sign(value)))
        assert float(x) == pytest.approx(float(value), rel=1e-14, abs=0 if x.sign() else 1e-200)


def test_zero_is_seen_where_the_root_is_rational():
    zero = Surd(Fraction(3), Fraction(-2), Fraction(9, 4))
    assert zero.sign() == 0
    assert float(zero) == 0
    assert (1 / Surd(Fraction(3), Fraction(2), Fraction(9, 4)) - Fraction(1, 6)).sign() == 0


def sparse(rows: np.ndarray, square: Fraction) -> list[dict[int, Surd]]:
    return [{j: Surd(Fraction(int(x)), Fraction(0), square) for j, x in enumerate(row) if x} for row in rows]


@given(seeds(), st.integers(1, 7), st.integers(0, 7), st.sampled_from([0.2, 0.6, 1.0]), st.booleans())
def test_inertia_of_integer_matrices(seed, n, rank, density, hollow):
    """Of full and of lower rank, sparse, with an empty diagonal; eigenvalues of integer matrices of this size are far from
    rounding."""
    random = np.random.default_rng(seed)
    if hollow:
        upper = np.triu(random.integers(-3, 4, (n, n)) * (random.random((n, n)) < density), 1)
        M = upper + upper.T
    else:
        B = random.integers(-3, 4, (n, min(rank, n))) * (random.random((n, min(rank, n))) < density)
        M = B @ np.diag(random.choice([-2, -1, 1, 2], B.shape[1])) @ B.T
    values = np.linalg.eigvalsh(M.astype(float))
    assume(not ((np.abs(values) > 1e-9) & (np.abs(values) < 1e-6)).any())
    wanted = (int((values > 1e-7).sum()), int((np.abs(values) <= 1e-7).sum()), int((values < -1e-7).sum()))
    assert _inertia(sparse(M, Fraction(2)), Surd(Fraction(0), Fraction(0), Fraction(2))) == wanted


@given(seeds(), SQUARES)
def test_inertia_over_the_field(seed, square):
    """A diagonal matrix with surds on it, zeros among them, seen through an integer congruence."""
    random = np.random.default_rng(seed)
    zero = Surd(Fraction(0), Fraction(0), square)
    diagonal = [Surd(Fraction(int(a)), Fraction(int(b)), square) for a, b in random.integers(-2, 3, (5, 2))]
    B = np.triu(random.integers(-2, 3, (5, 5)), 1) + np.eye(5, dtype=int)
    B = B[random.permutation(5)]
    rows: list[dict[int, Surd]] = []
    for i in range(5):
        row = {}
        for j in range(5):
            entry = sum((int(B[i, t]) * int(B[j, t]) * diagonal[t] for t in range(5)), zero)
            if entry.sign():
                row[j] = entry
        rows.append(row)
    signs = [entry.sign() for entry in diagonal]
    assert _inertia(rows, zero) == (signs.count(1), signs.count(0), signs.count(-1))
