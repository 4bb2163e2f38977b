"""Ball derivatives enclose those of float64 and those of differences at high precision, which know the objective alone."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from flint import arb, arb_mat, ctx
from hypothesis import given, settings
from hypothesis import strategies as st

from mcr2_landscape import closed_form
from mcr2_landscape.certify import Block, CertificateError, ExactFamily, ExactProblem, Threshold, orthogonal
from mcr2_landscape.certify.balls import BallProblem, ball
from mcr2_landscape.certify.make import exact_problem, float_parameters
from mcr2_landscape.testing import parameters, points, seeds

from .problems import SPECIMENS, at_fraction, catalog_family

SHAPES = ((1, (1, 1)), (2, (3, 4)), (3, (1, 1, 1)), (4, (2, 1)), (5, (2, 6)), (3, (2, 3, 1)))


@st.composite
def cases(draw, shapes=SHAPES):
    p = draw(parameters(shapes=shapes))
    Z = draw(points(p))
    if draw(st.booleans()):
        next(iter(p.blocks(Z)))[...] = 0
    return p, Z


def as_balls(Z: np.ndarray, radius: float = 0.0) -> arb_mat:
    return arb_mat([[arb(x, radius) for x in row] for row in Z.tolist()])


def floats(entries) -> np.ndarray:
    return np.array([float(entry) for entry in entries])


@given(cases())
@settings(max_examples=60)
def test_balls_agree_with_float64(case):
    p, Z = case
    with ctx.workprec(212):
        b = BallProblem(exact_problem(p))
        balls = as_balls(Z)
        value, gradient, hessian = b.value(balls), b.gradient(balls), b.hessian(balls)
        D = np.random.default_rng(0).standard_normal(Z.shape)
        curvature = b.curvature(balls, as_balls(D))
        product = hessian * arb_mat(Z.size, 1, [arb(x) for x in D.ravel().tolist()])
        form = sum((x * arb(y) for x, y in zip(product.entries(), D.ravel().tolist(), strict=True)), arb(0))
        assert curvature.overlaps(form)
        assert all(float(entry.rad()) <= 1e-40 * (1 + abs(float(entry))) for entry in hessian.entries())
    n = Z.size
    size = np.linalg.norm(Z) * np.sqrt(p.alpha)
    assert float(value) == pytest.approx(closed_form.value(p, Z), rel=1e-12, abs=1e-12 * (1 + size**2 * p.ell))
    error = np.abs(floats(gradient).reshape(Z.shape) - closed_form.gradient(p, Z) / p.alpha)
    assert error.max() < 1e-13 * (1 + size) / np.sqrt(p.alpha)
    dense = closed_form.hessian_matrix(p, Z) / p.alpha
    assert np.abs(floats(hessian.entries()).reshape(n, n) - dense).max() < 1e-12
    assert float(curvature) == pytest.approx(D.ravel() @ dense @ D.ravel(), abs=1e-10)


def exact_value(problem: ExactProblem, Z: list) -> mpmath.mpf:
    """F by its definition, at the working precision of mpmath."""
    alpha, m = mpmath.mpf(problem.alpha.numerator) / problem.alpha.denominator, problem.num_samples
    weight = problem.regularization
    assert isinstance(weight, Fraction)

    def logdet(rows, scale):
        M = mpmath.matrix(rows)
        return mpmath.log(mpmath.det(mpmath.eye(M.rows) + scale * M * M.T))

    total = logdet(Z, alpha) / 2
    start = 0
    for size in problem.sizes:
        scale = alpha * m / size
        total -= mpmath.mpf(size) / (2 * m) * logdet([row[start : start + size] for row in Z], scale)
        start += size
    square = sum(x * x for row in Z for x in row)
    return total - mpmath.mpf(weight.numerator) / weight.denominator / 2 * square


@pytest.mark.parametrize("shape", [(2, (1, 2)), (1, (2, 1)), (3, (1, 1)), (2, (1, 1, 2))])
@given(seed=seeds(), epsilon=st.sampled_from(["1/100", "1/2", "20"]))
@settings(max_examples=6)
def test_balls_enclose_differences_of_the_objective(shape, seed, epsilon):
    """Central differences with 120 digits, of the bare definition: no formula of a derivative is shared."""
    problem = ExactProblem(*shape, Fraction(epsilon), Fraction(1, 3) / Fraction(epsilon) ** 2)
    unit = float(problem.alpha) ** -0.5
    Z = unit * np.random.default_rng(seed).standard_normal((problem.dim, problem.num_samples))
    with mpmath.workdps(120), ctx.workprec(212):
        rows = [[mpmath.mpf(x) for x in row] for row in Z.tolist()]
        step = mpmath.mpf(10) ** -30 * unit

        def at(*moves):
            moved = [list(row) for row in rows]
            for (i, j), steps in moves:
                moved[i][j] += steps * step
            return exact_value(problem, moved)

        def matches(found: arb, wanted, scale) -> None:
            middle = mpmath.mpf(found.mid().str(70, radius=False))
            assert abs(middle - wanted / scale) <= mpmath.mpf(10) ** -40 * (1 + abs(middle)), (middle, wanted / scale)

        alpha = mpmath.mpf(problem.alpha.numerator) / problem.alpha.denominator
        b, balls = BallProblem(problem), as_balls(Z)
        matches(b.value(balls), at(), 1)
        places = [(i, j) for i in range(problem.dim) for j in range(problem.num_samples)]
        for place, found in zip(places, b.gradient(balls), strict=True):
            matches(found, (at((place, 1)) - at((place, -1))) / (2 * step), alpha)
        hessian = b.hessian(balls)
        for r, first in enumerate(places):
            for c, second in enumerate(places[: r + 1]):
                corners = [s * t * at((first, s), (second, t)) for s in (1, -1) for t in (1, -1)]
                matches(hessian[r, c], sum(corners) / (4 * step**2), alpha)
                assert hessian[r, c].mid() == hessian[c, r].mid()


@given(cases(), st.integers(2, 6))
@settings(max_examples=30)
def test_a_wide_ball_encloses_the_derivatives_at_every_point_in_it(case, digits):
    p, Z = case
    width = 10.0**-digits * (1 + np.abs(Z).max())
    random = np.random.default_rng(1)
    with ctx.workprec(106):
        b = BallProblem(exact_problem(p))
        wide, D = as_balls(Z, width), as_balls(random.standard_normal(Z.shape))
        try:
            value, gradient, hessian, curvature = b.value(wide), b.gradient(wide), b.hessian(wide), b.curvature(wide, D)
        except ZeroDivisionError:
            return
        for _ in range(3):
            inside = as_balls(Z + width * random.uniform(-0.99, 0.99, Z.shape))
            assert value.overlaps(b.value(inside)) or not value.is_finite()
            assert all(x.overlaps(y) for x, y in zip(gradient, b.gradient(inside), strict=True))
            assert all(x.overlaps(y) for x, y in zip(hessian.entries(), b.hessian(inside).entries(), strict=True))
            assert curvature.overlaps(b.curvature(inside, D))


@pytest.mark.parametrize("name", SPECIMENS)
def test_points_of_families_are_critical_and_have_the_value_of_theory(name):
    problem, family = SPECIMENS[name]
    known = catalog_family(problem, family)
    with ctx.workprec(212):
        b = BallProblem(problem)
        Z = b.point(family)
        assert all(entry.contains(0) for entry in b.gradient(Z))
        assert max((float(entry.rad()) for entry in b.gradient(Z)), default=0.0) < 1e-40 * max(1, float(problem.alpha) ** -0.5)
        found = float(b.value(Z))
    assert found == pytest.approx(known.value, rel=1e-6, abs=1e-13)
    singular = np.linalg.svd(floats(Z.entries()).reshape(Z.nrows(), -1), compute_uv=False)[: known.rank]
    np.testing.assert_allclose(singular, known.singular_values, rtol=1e-3 if name == "next to the limit" else 1e-7)


@given(st.fractions(min_value=-(10**6), max_value=10**6))
def test_a_rational_is_enclosed(number):
    with ctx.workprec(53):
        found = ball(number)
        assert (found * number.denominator).contains(number.numerator)


@pytest.mark.parametrize(
    ("family", "words"),
    [
        (orthogonal((0, 0, 0, 1)), "names class 4 of 3"),
        (orthogonal((2, 2, 1)), "rank 5 does not fit into dim = 4"),
        (ExactFamily((Block("+", (2,), 3),)), "class 2 has only 2 columns"),
        (ExactFamily((Block("+", (1, 2, 3)),)), "every class fills"),
        (ExactFamily((Block("+", (2, 1, 3), 1, "triangle"),)), "close no triangle"),
        (ExactFamily((Block("+", (2,)), Block("+", (1, 2)))), "above its threshold"),
    ],
)
def test_families_that_do_not_exist_are_refused(family, words):
    problem = ExactProblem(4, (5, 2, 2), Fraction(1, 2), Threshold(Fraction(95, 100), 1))
    with pytest.raises(CertificateError, match=words):
        BallProblem(problem).point(family)


def test_a_huge_problem_is_refused_before_memory_is_taken():
    problem = ExactProblem(10**6, (10**6, 10**6), Fraction(1, 2), Threshold(Fraction(1, 2), 1))
    with pytest.raises(CertificateError, match="points are built up to"):
        BallProblem(problem).point(orthogonal((1, 1)))


def test_a_large_problem_has_its_curvature_without_large_matrices():
    """No matrix with a row for each sample and a column for each sample: 20,000 samples would fill the memory."""
    problem = at_fraction(2, (10_000, 10_000))
    p = float_parameters(problem)
    random = np.random.default_rng(0)
    Z, D = random.standard_normal((2, *p.shape)) / np.sqrt(p.alpha * 100)
    with ctx.workprec(106):
        b = BallProblem(problem)
        curvature = float(b.curvature(as_balls(Z), as_balls(D)))
        norm = np.linalg.norm(floats(b.gradient(as_balls(Z))))
    step = 1e-4
    slopes = [(closed_form.gradient(p, Z + s * D) * D).sum() for s in (step, -step)]
    assert curvature * p.alpha == pytest.approx((slopes[0] - slopes[1]) / (2 * step), rel=1e-5)
    assert norm * p.alpha == pytest.approx(np.linalg.norm(closed_form.gradient(p, Z)), rel=1e-10)
