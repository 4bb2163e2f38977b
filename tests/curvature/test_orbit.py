"""The orbit's tangent space in closed form against a dense projector."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mcr2_landscape as ml
from mcr2_landscape.curvature.orbit import orbit_at


def orthogonal_point(dim, sizes, values, seed=0):
    """Class blocks in orthogonal spaces with the given singular values."""
    random = np.random.default_rng(seed)
    U = np.linalg.qr(random.standard_normal((dim, dim)))[0]
    blocks, start = [], 0
    for size, own in zip(sizes, values, strict=True):
        V = np.linalg.qr(random.standard_normal((size, size)))[0][:, : len(own)]
        blocks.append((U[:, start : start + len(own)] * np.array(own)) @ V.T)
        start += len(own)
    return np.concatenate(blocks, axis=1)


@eqx.filter_jit
def removed(orbit, Ds):
    return jax.vmap(orbit.remove)(Ds)


def projector(orbit, shape):
    n = shape[0] * shape[1]
    return np.asarray(removed(orbit, jnp.eye(n).reshape(n, *shape))).reshape(n, n)


def dense_projector(problem, Z, clear=1e-4):
    """The complement of the tangent space; directions that are zero up to 1e-4 of the longest do not count to it."""
    left, values, _ = np.linalg.svd(problem.orbit_tangent(Z))
    tangent = left[:, : int((values > clear * values.max(initial=0)).sum())]
    return np.eye(Z.size) - tangent @ tangent.T, tangent.shape[1]


CASES = {
    "maximizer, unequal sizes": (6, (1, 8, 3), ([1.0], [0.5, 0.5], [2.0, 2.0])),
    "saddle, two roots in a class": (6, (3, 8, 4), ([1.0, 0.3], [0.5, 0.5, 0.2], [])),
    "an empty class": (5, (2, 3, 2), ([], [1.0, 1.0], [0.7])),
    "r = d, full classes": (4, (2, 2), ([1.0, 0.5], [0.7, 0.7])),
    "all values distinct": (5, (4, 4), ([1.0, 0.8, 0.1], [0.9, 0.4])),
    "a class in its whole space": (3, (3, 5), ([], [1.0, 1.0, 1.0])),
    "decades": (5, (3, 4), ([1.0, 0.03], [10.0, 0.5])),
}


@pytest.mark.parametrize("name", CASES)
def test_the_projector_is_the_dense_one(name):
    dim, sizes, values = CASES[name]
    problem = ml.MCR2(dim, sizes, 0.5, 0.1)
    Z = orthogonal_point(dim, sizes, values)
    orbit = orbit_at(problem, Z)
    found = projector(orbit, Z.shape)
    wanted, dimension = dense_projector(problem, Z)
    assert orbit.dimension == dimension
    assert np.abs(found - wanted).max() <= 1e-12
    assert np.abs(found - found.T).max() <= 1e-13
    assert np.abs(found @ found - found).max() <= 1e-13
    assert np.trace(found) == pytest.approx(Z.size - dimension, abs=1e-10)


def test_values_that_are_nearly_equal_count_as_equal():
    problem = ml.MCR2(5, (4, 4), 0.5, 0.1)
    exact, near, apart = (
        orbit_at(problem, orthogonal_point(5, (4, 4), ([1.0, 1.0 + shift], [0.7]))) for shift in (0.0, 1e-9, 1e-4)
    )
    assert exact.dimension == near.dimension == apart.dimension - 1
    assert np.abs(projector(exact, problem.shape) - projector(near, problem.shape)).max() <= 1e-8


@pytest.mark.parametrize(("large", "small"), [((2, 1, 2), (0, 0, 0)), ((1, 0, 2), (1, 2, 0)), ((0, 0, 0), (0, 0, 0))])
def test_at_critical_points_the_tangent_lies_in_the_kernel(large, small):
    problem = ml.MCR2(6, (4, 4, 5), 0.5, 0.05)
    family = problem.orthogonal_family(large, small)
    Z = family.point(key=1)
    orbit = orbit_at(problem, Z)
    assert orbit.dimension == family.orbit_dimension == family.nullity
    keep = projector(orbit, Z.shape)
    assert np.abs(keep - dense_projector(problem, Z)[0]).max() <= 1e-10
    H = problem.hessian_matrix(Z)
    assert np.abs(H - keep @ H @ keep).max() <= 1e-12 * problem.curvature_scale()


def test_several_buckets_in_a_loop(monkeypatch):
    from mcr2_landscape import stacking

    monkeypatch.setattr(stacking, "_STACKED", 0)
    problem = ml.MCR2(7, (9, 2, 10, 1), 0.5, 0.1)
    Z = orthogonal_point(7, (9, 2, 10, 1), ([1.0, 1.0, 0.5], [2.0], [0.7, 0.7], [1.0]), seed=1)
    assert np.abs(projector(orbit_at(problem, Z), Z.shape) - dense_projector(problem, Z)[0]).max() <= 1e-12


def test_constrained_problems_have_the_same_orbits():
    problem = ml.ConstrainedMCR2(5, (3, 4), 0.5, "spheres")
    Z = orthogonal_point(5, (3, 4), ([1.0, 1.0], [0.5, 0.5]))
    assert np.abs(projector(orbit_at(problem, Z), Z.shape) - dense_projector(problem, Z)[0]).max() <= 1e-12


@pytest.mark.parametrize(
    ("Z", "message"),
    [
        (np.ones((4, 6)), "cosines up to 1.0e"),
        (np.random.default_rng(0).standard_normal((4, 6)), "the closed form is for orthogonal classes"),
        (np.ones((4, 7)), r"Z: found shape \(4, 7\)"),
        (np.ones((4, 6), np.float32), "Z: found float32"),
        (np.full((4, 6), np.nan), "Z: found NaN"),
    ],
)
def test_points_that_it_is_not_for(Z, message):
    with pytest.raises(ml.InputError, match=message):
        orbit_at(ml.MCR2(4, (3, 3), 0.5, 0.1), Z)


def test_classes_that_are_slightly_askew():
    problem = ml.MCR2(4, (3, 3), 0.5, 0.1)
    Z = orthogonal_point(4, (3, 3), ([1.0], [1.0]))
    wanted = projector(orbit_at(problem, Z), Z.shape)
    tilt = np.random.default_rng(0).standard_normal((4, 4))
    near = Z + 1e-8 * np.concatenate([tilt @ Z[:, :3], -tilt @ Z[:, 3:]], axis=1)
    assert np.abs(projector(orbit_at(problem, near), Z.shape) - wanted).max() <= 1e-6
    with pytest.raises(ml.InputError, match="cosines up to"):
        orbit_at(problem, Z + 1e-5 * np.concatenate([tilt @ Z[:, :3], -tilt @ Z[:, 3:]], axis=1))
