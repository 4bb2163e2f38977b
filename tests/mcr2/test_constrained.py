"""Riemannian derivatives of the constrained problem against differentiation along curves."""

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
