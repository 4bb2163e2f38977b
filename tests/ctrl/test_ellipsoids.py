"""The product of ellipsoids as a constraint set, and the encoder's problem on it against the library's own on balls."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mcr2_landscape as ml
from mcr2_landscape import ctrl
from mcr2_landscape.ctrl.solve import value_of_encoder
from mcr2_landscape.testing import seeds

DIM, WIDTH, RANKS = 3, 5, (2, 3)


def ellipsoids(seed):
    """Two constraints that share directions, and a point of the set."""
    random = np.random.default_rng(seed)
    factors = [random.standard_normal((WIDTH, rank)) for rank in RANKS]
    constraint = ctrl.Ellipsoids(factors, 10 ** random.uniform(-1, 1, 2))
    return constraint, factors, np.asarray(constraint.project(jnp.asarray(random.standard_normal((DIM, WIDTH))))), random


def violation(constraint, Z):
    return np.abs(np.einsum("da,kab,db->k", Z, constraint.moments, Z) - 1).max()


@given(seeds())
def test_the_projection_is_feasible_and_idempotent_and_moves_along_normals(seed):
    constraint, _, Z, random = ellipsoids(seed)
    assert violation(constraint, Z) <= 1e-11
    assert np.allclose(constraint.project(jnp.asarray(Z)), Z, atol=1e-11 * np.linalg.norm(Z))
    start = Z * (1 + 0.3 * random.standard_normal(Z.shape))
    P = np.asarray(constraint.project(jnp.asarray(start)))
    if violation(constraint, P) > 1e-11:
        return  # none is nearest along normals: what is near always has one (below)
    normals = constraint.normals(P)
    gap = (start - P).ravel()
    assert np.linalg.norm(gap - normals @ (normals.T @ gap)) <= 1e-9 * (1 + np.linalg.norm(start))


@given(seeds())
def test_tangents_are_orthogonal_to_normals_and_the_retraction_agrees_with_them(seed):
    constraint, _, Z, random = ellipsoids(seed)
    D, other = random.standard_normal((2, *Z.shape))
    T = np.asarray(constraint.tangent(jnp.asarray(Z), jnp.asarray(D)))
    assert np.abs(constraint.normals(Z).T @ T.ravel()).max() <= 1e-10 * np.linalg.norm(D)
    assert np.allclose(constraint.tangent(jnp.asarray(Z), jnp.asarray(T)), T, atol=1e-10)
    second = np.asarray(constraint.tangent(jnp.asarray(Z), jnp.asarray(other)))
    assert np.sum(T * other) == pytest.approx(np.sum(D * second), abs=1e-9)
    T = T * np.linalg.norm(Z) / np.linalg.norm(T)
    errors = []
    for t in (1e-2, 1e-3):
        moved = np.asarray(constraint.retract(jnp.asarray(Z), jnp.asarray(t * T)))
        assert violation(constraint, moved) <= 1e-11
        errors.append(np.linalg.norm(moved - Z - t * T))
    assert errors[1] <= 0.02 * errors[0]


@given(seeds())
@settings(max_examples=10)
def test_the_projection_is_differentiated_at_its_solution(seed):
    constraint, _, Z, random = ellipsoids(seed)
    weights, D = random.standard_normal((2, *Z.shape))
    start = Z * 1.05

    def function(point):
        return jnp.sum(jnp.asarray(weights) * constraint.project(point))

    slope = float(np.sum(np.asarray(jax.grad(function)(jnp.asarray(start))) * D))
    h = 1e-5
    seen = (float(function(jnp.asarray(start + h * D))) - float(function(jnp.asarray(start - h * D)))) / (2 * h)
    assert slope == pytest.approx(seen, rel=1e-5, abs=1e-6)


@given(seeds())
@settings(max_examples=10)
def test_spheres_are_ellipsoids(seed):
    """Factors that are columns of the identity make the library's own set."""
    random = np.random.default_rng(seed)
    factors = np.split(np.eye(WIDTH), [2], axis=1)
    radii = 10 ** random.uniform(-1, 1, 2)
    ours, theirs = ctrl.Ellipsoids(factors, radii), ml.Spheres(RANKS, radii.tolist())
    Z, D = jnp.asarray(random.standard_normal((2, DIM, WIDTH)))
    assert np.allclose(ours.project(Z), theirs.project(Z), atol=1e-11)
    Z = theirs.project(Z)
    assert np.allclose(ours.tangent(Z, D), theirs.tangent(Z, D), atol=1e-10)
    scaled = np.asarray(ours.multipliers(Z, D)) / radii**2
    assert np.allclose(scaled, theirs.multipliers(Z, D), atol=1e-9)


@pytest.mark.parametrize(
    ("factors", "radii", "words"),
    [
        ([], [], "radii: found 0"),
        ([np.eye(2)], [1.0, 1.0], "radii: found 2 for 1"),
        ([np.eye(2), np.eye(3)], [1.0, 1.0], r"factors\[1\]: found 3 rows"),
        ([np.zeros((2, 1))], [1.0], r"factors\[0\]: is zero"),
        ([np.eye(2)], [0.0], r"radii\[0\]"),
    ],
)
def test_bad_sets_are_named(factors, radii, words):
    with pytest.raises(ml.InputError, match=words):
        ctrl.Ellipsoids(factors, radii)


def test_bad_points_are_named():
    constraint, _, Z, _ = ellipsoids(0)
    with pytest.raises(ml.InputError, match=r"Z: found shape \(3, 4\)"):
        constraint.project(jnp.asarray(Z[:, :4]))
    with pytest.raises(ml.InputError, match="D: found shape"):
        constraint.tangent(jnp.asarray(Z), jnp.asarray(Z[:2]))


# -- the encoder's problem ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def independent():
    """Ranks 2 and 1 in d_z = 2 dimensions: too few for all of them."""
    random = np.random.default_rng(0)
    X = np.concatenate([random.standard_normal((10, r)) @ random.standard_normal((r, 4)) for r in (2, 1)])
    game = ctrl.SubspaceGame(X, np.repeat([0, 1], 10), dim=2, epsilon=0.5**0.5)
    game.landscape()
    return game


@given(seed=seeds(), scale=st.floats(0.1, 1.0))
@settings(max_examples=10)
def test_points_and_encoders_belong_together(independent, seed, scale):
    game, problem = independent, independent.landscape()
    F = scale * game.project(np.random.default_rng(seed).standard_normal((2, 4)))
    Z = problem.point(F)
    assert violation(problem.landscape.constraint, Z) <= 1e-11
    span = game.spans.span
    assert np.allclose(problem.encoder(Z), F @ span @ span.T, atol=1e-9 * np.linalg.norm(F))
    assert float(problem.landscape.value(Z)) == pytest.approx(value_of_encoder(game, F), abs=1e-10)
    held = np.linalg.norm(Z[:, 3:], axis=0) == 0
    assert list(held) == list(game.feasibility(F) >= 1 - 1e-9)


def test_an_infeasible_encoder_has_no_point(independent):
    F = 1.1 * independent.solve(key=0).F
    with pytest.raises(ml.InputError, match=r"F: ‖F X_j‖²/n_j is 1\.21"):
        independent.landscape().point(F)


def test_derivatives_along_the_set(independent):
    problem = independent.landscape()
    for Z in problem.landscape.random_starts(1, 2):
        check = ml.check_derivatives(problem.landscape, Z, key=0)
        assert check.verdict == "holds", check.reason


def test_kinds_are_those_on_balls(independent):
    """A maximizer with all classes on the boundary, one with a collapsed class, and a point that must leave the boundary."""
    game, problem = independent, independent.landscape()
    best = game.solve(key=0).F
    collapsed = game.encoder_of(np.sqrt(5) * np.eye(2, 3))
    for F in (best, collapsed):
        ours = ml.classify(problem.landscape, problem.point(F))
        theirs = ml.classify(game.reduced("balls"), game.coefficients(F))
        assert ours.kind is theirs.kind is ml.Kind.LOCAL_MAXIMIZER, ours.reason
        assert ours.value == pytest.approx(theirs.value, abs=1e-12)
    assert ours.value == pytest.approx(0.1438410, abs=1e-7)
    # both classes on one line: the second is held where it would rather shrink
    parallel = game.encoder_of(np.sqrt(10) * np.array([[1.0, 0, 1.0], [0, 0, 0]]))
    ours = ml.classify(problem.landscape, problem.point(parallel))
    assert ours.kind is not ml.Kind.LOCAL_MAXIMIZER
    assert ours.index is None or ours.index >= 1


def test_symmetries_are_orthogonal_to_the_gradient_and_leave_the_invariants(independent):
    problem = independent.landscape().landscape
    for Z in problem.random_starts(3, 2):
        gradient, tangents = problem.evaluate(Z)[1].ravel(), problem.orbit_tangent(Z)
        assert tangents.shape[1] > 0
        assert np.abs(tangents.T @ gradient).max() <= 1e-10 * np.linalg.norm(gradient) * np.linalg.norm(tangents, axis=0).max()
        step = 1e-6 * tangents[:, 0].reshape(Z.shape) / np.linalg.norm(tangents[:, 0])
        assert np.allclose(problem.invariants(Z + step), problem.invariants(Z), atol=1e-9)
        planted = tangents + 1e-3 * gradient[:, None] / np.linalg.norm(gradient)
        assert np.abs(planted.T @ gradient).max() > 1e-4 * np.linalg.norm(gradient)


def cached(compiled: Any):
    return compiled._cache_size()


def test_games_of_equal_shapes_share_what_is_compiled(independent):
    from mcr2_landscape.ctrl import encoders

    problem = independent.landscape().landscape
    problem.evaluate(problem.example)
    before = cached(encoders._gradient)
    factors = tuple(2 * np.asarray(C) for C in independent.spans.factors)
    spans = dataclasses.replace(independent.spans, factors=factors, values=tuple(2 * s for s in independent.spans.values))
    other = ctrl.SubspaceGame.from_spans(spans, dim=independent.dim, epsilon=2 * independent.epsilon).landscape().landscape
    assert other.evaluate(other.example)[0] != problem.evaluate(problem.example)[0]
    assert cached(encoders._gradient) == before
