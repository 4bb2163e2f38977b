"""Riemannian derivatives of the constrained problem against differentiation along curves."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import mcr2_landscape as ml
from mcr2_landscape.testing import seeds

SHAPE = (3, (2, 1, 4))
SETS = ("spheres", "balls", "unit columns")


def case(kind, seed):
    problem = ml.ConstrainedMCR2(*SHAPE, 0.5, kind)
    Z = np.random.default_rng(seed).standard_normal(problem.shape)
    Z = np.asarray(problem.constraint.project(jnp.asarray(Z)))
    if kind == "balls":
        Z = Z.copy()
        Z[:, :2] *= 0.5  # the first class inside its ball
    return problem, Z


@given(kind=st.sampled_from(SETS), seed=seeds())
def test_traced_and_host_agree(kind, seed):
    problem, Z = case(kind, seed)
    value, gradient, scale = problem.evaluate(Z)
    assert float(problem.value(Z)) == pytest.approx(value, rel=1e-11)
    assert np.linalg.norm(problem.gradient(Z) - gradient) <= 1e-12 * scale
    assert float(problem.gradient_scale(Z)) == pytest.approx(scale, rel=1e-11)
    assert np.abs(problem.hessian(Z).as_matrix() - problem.hessian_matrix(Z)).max() <= 1e-12 * problem.curvature_scale()


@given(kind=st.sampled_from(SETS), seed=seeds())
def test_derivatives_along_the_constraint(kind, seed):
    problem, Z = case(kind, seed)
    # A boundary class that wants inwards is free, but the curves of the check stay on its sphere: no such point is drawn.
    assume(kind != "balls" or float(problem.multipliers(Z)[1:].min()) > 0)
    check = ml.check_derivatives(problem, Z, key=seed)
    assert check.verdict == "holds", check.reason


def test_balls_hold_only_what_pushes_outwards():
    problem, Z = case("balls", 0)
    multipliers = np.asarray(problem.multipliers(Z))
    assert multipliers[0] == 0
    assert (multipliers >= 0).all()
    free = np.asarray(jax.grad(problem.value)(jnp.asarray(Z)))[:, :2]
    assert np.allclose(np.asarray(problem.gradient(Z))[:, :2], free, atol=1e-12)


def test_an_unknown_set_is_named():
    with pytest.raises(ml.InputError, match="constraint: found 'cube'"):
        ml.ConstrainedMCR2(*SHAPE, 0.5, "cube")


def test_an_infeasible_point_is_refused():
    problem, Z = case("spheres", 0)
    with pytest.raises(ml.InputError, match="off the constraint set"):
        ml.classify(problem, 2 * Z)


# -- points whose classes have low ranks, in coordinates of their row spaces ---------------------------------------------------

RANKS = (2, 1, 2)


def compressed(kind, seed):
    """A problem, a feasible point A in coordinates, and bases V_k (m_k, r_k): the point stands for Z = [A_k V_kᵀ]_k."""
    problem = ml.ConstrainedMCR2(*SHAPE, 0.5, kind)
    small = problem.with_ranks(RANKS)
    random = np.random.default_rng(seed)
    A = np.array(small.constraint.project(jnp.asarray(100 * random.standard_normal(small.shape))))
    if kind == "balls":
        A[:, :2] *= 0.5
    bases = [np.linalg.qr(random.standard_normal((size, rank)))[0] for size, rank in zip(SHAPE[1], RANKS, strict=True)]
    return problem, small, A, bases


def expanded(A, bases):
    ends = np.cumsum(RANKS)[:-1]
    return np.concatenate([block @ V.T for block, V in zip(np.split(A, ends, axis=1), bases, strict=True)], axis=1)


@given(kind=st.sampled_from(SETS[:2]), seed=seeds())
def test_low_ranks_are_the_same_problem(kind, seed):
    problem, small, A, bases = compressed(kind, seed)
    Z = expanded(A, bases)
    assert small.shape == (SHAPE[0], sum(RANKS))
    (value, gradient, scale), (whole, full, _) = small.evaluate(A), problem.evaluate(Z)
    assert value == pytest.approx(whole, rel=1e-11, abs=1e-13)
    assert float(small.value(A)) == pytest.approx(whole, rel=1e-11, abs=1e-13)
    assert np.linalg.norm(expanded(gradient, bases) - full) <= 1e-11 * scale
    assert np.linalg.norm(small.gradient(A) - gradient) <= 1e-12 * scale
    assert np.allclose(small.multipliers(A), problem.multipliers(Z), rtol=1e-10, atol=1e-13)
    # the Hessian along directions that stay in the coordinates
    D = np.random.default_rng([seed, 1]).standard_normal(A.shape)
    found, expected = small.hessian_matrix(A) @ D.ravel(), problem.hessian_matrix(Z) @ expanded(D, bases).ravel()
    assert np.linalg.norm(expanded(found.reshape(A.shape), bases).ravel() - expected) <= 1e-11 * small.curvature_scale() * 10
    assert np.linalg.norm(np.asarray(small.hessian(A).mv(D)).ravel() - found) <= 1e-11 * small.curvature_scale() * 10


@pytest.mark.parametrize("kind", SETS[:2])
def test_low_ranks_keep_the_radii_of_the_sizes(kind):
    _, small, A, _ = compressed("spheres", 0)
    norms = [np.sum(block**2) for block in np.split(A, np.cumsum(RANKS)[:-1], axis=1)]
    assert norms == pytest.approx(SHAPE[1])  # not those of the ranks
    small = ml.ConstrainedMCR2(*SHAPE, 0.5, kind).with_ranks(RANKS)
    starts = small.random_starts(0, 3)
    assert starts.shape == (3, *small.shape)
    assert all(np.allclose(small.constraint.project(jnp.asarray(start)), start, atol=1e-12) for start in starts)
    assert ml.ConstrainedMCR2(*SHAPE, 0.5, kind).with_ranks(SHAPE[1]).shape == (SHAPE[0], sum(SHAPE[1]))


@given(seed=seeds())
def test_derivatives_at_low_ranks(seed):
    _, small, A, _ = compressed("spheres", seed)
    check = ml.check_derivatives(small, A, key=seed)
    assert check.verdict == "holds", check.reason


def two_classes(y, dim=4, sizes=(10, 10)):
    """Orthogonal classes of rank two in the problem of ε² = 0.8; the first has squared singular values y and 10 − y."""
    problem = ml.ConstrainedMCR2(dim, sizes, 0.8**0.5).with_ranks((2, 2))
    A = np.diag(np.sqrt([y, 10 - y, 5.0, 5.0]))
    return problem, A


def test_equal_values_are_a_maximizer_and_unequal_ones_a_saddle():
    problem, A = two_classes(5.0)
    assert float(problem.value(A)) == pytest.approx(0.3690974639372895, rel=1e-13)
    assert ml.classify(problem, A).kind == "local maximizer"
    # the values at which a class's slopes agree: their product is that of the inflection's square, n √γ/a each
    a = 4 / 0.8
    inflection = 20 * 0.5**0.5 / a
    y = 5 + np.sqrt(25 - inflection**2)
    problem, A = two_classes(y)
    assert float(problem.value(A)) < 0.3690974639372895
    assert ml.classify(problem, A).kind == "strict saddle"


def test_ranks_that_are_none():
    problem = ml.ConstrainedMCR2(*SHAPE, 0.5)
    ranks: Any
    for ranks in ((3, 1, 2), (0, 1, 2), (2, 1), (2, 1, 2.5)):
        with pytest.raises(ml.InputError, match=r"widths|ranks"):
            problem.with_ranks(ranks)
    with pytest.raises(ml.InputError, match="ranks: columns of unit length"):
        ml.ConstrainedMCR2(*SHAPE, 0.5, "unit columns").with_ranks(RANKS)
    with pytest.raises(ml.InputError, match="epsilon: traced"):
        jax.jit(lambda epsilon: ml.ConstrainedMCR2(*SHAPE, epsilon).with_ranks(RANKS).value(jnp.zeros((3, 5))))(0.5)


def test_a_planted_width_is_caught():
    problem, small, A, bases = compressed("spheres", 0)
    # were alpha_k taken from the ranks, the value would be another one
    wrong = ml.ConstrainedMCR2(SHAPE[0], RANKS, 0.5)
    assert abs(float(wrong.value(A)) - float(small.value(A))) > 1e-3
    assert float(problem.value(expanded(A, bases))) == pytest.approx(float(small.value(A)), rel=1e-11)
