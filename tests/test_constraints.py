"""Constraint sets: nearest points, tangent spaces, retractions, normals."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mcr2_landscape as ml
from mcr2_landscape.testing import seeds

SETS = {
    "sphere": ml.Sphere(2.0),
    "spheres": ml.Spheres((2, 3), (1.0, 2.0)),
    "balls": ml.Balls((2, 3), (1.0, 2.0)),
    "unit columns": ml.UnitColumns(5),
}


def draw(name, seed):
    random = np.random.default_rng(seed)
    Z = np.asarray(SETS[name].project(jnp.asarray(3 * random.standard_normal((3, 5)))))
    return SETS[name], Z, random.standard_normal((3, 5))


@given(name=st.sampled_from(sorted(SETS)), seed=seeds())
def test_projection_is_idempotent_and_tangency_is_orthogonal_to_normals(name, seed):
    constraint, Z, D = draw(name, seed)
    assert np.allclose(constraint.project(jnp.asarray(Z)), Z, atol=1e-14)
    tangent = np.asarray(constraint.tangent(jnp.asarray(Z), jnp.asarray(D)))
    normals = constraint.normals(Z)
    assert np.allclose(normals.T @ normals, np.eye(normals.shape[1]), atol=1e-13)
    assert np.abs(normals.T @ tangent.ravel()).max(initial=0) <= 1e-13
    # tangent and normal parts together are the vector
    assert np.allclose(tangent.ravel() + normals @ (normals.T @ D.ravel()), D.ravel(), atol=1e-13)


@given(name=st.sampled_from(["sphere", "spheres", "unit columns"]), seed=seeds())
def test_retraction_agrees_to_first_order(name, seed):
    constraint, Z, D = draw(name, seed)
    tangent = np.asarray(constraint.tangent(jnp.asarray(Z), jnp.asarray(D)))
    errors = [
        np.linalg.norm(constraint.retract(jnp.asarray(Z), jnp.asarray(t * tangent)) - Z - t * tangent) for t in (1e-3, 1e-4)
    ]
    assert errors[1] <= 0.02 * errors[0] + 1e-14


def test_the_inside_of_a_ball_has_no_normals():
    ball, Z, D = draw("balls", 0)
    inside = 0.5 * Z
    assert ball.normals(inside).shape == (15, 0)
    assert np.array_equal(ball.tangent(jnp.asarray(inside), jnp.asarray(D)), D)
    assert np.array_equal(ball.project(jnp.asarray(inside)), inside)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ml.Sphere(0.0), "radius: found 0"),
        (lambda: ml.Spheres((2, 0), (1.0, 1.0)), r"sizes\[1\]: found 0"),
        (lambda: ml.Spheres((2, 3), (1.0,)), "radii: found 1 for 2 groups"),
        (lambda: ml.Balls((2,), (-1.0,)), r"radii\[0\]: found -1"),
        (lambda: ml.Spheres(3, 1.0), "sizes: found 3"),  # pyright: ignore[reportArgumentType]
        (lambda: ml.Spheres((), ()), "sizes: found none"),
        (lambda: ml.Balls((2,), (1.0,)).project(jnp.ones((3, 5))), r"Z: found shape \(3, 5\)"),
        (lambda: ml.Spheres((2,), (1.0,)).tangent(jnp.ones((3, 5)), jnp.ones((3, 5))), r"Z: found shape \(3, 5\)"),
        (lambda: ml.UnitColumns(2.5), "num_columns: found 2.5"),
    ],
)
def test_bad_sets_are_named(make, message):
    with pytest.raises(ml.InputError, match=message):
        make()
