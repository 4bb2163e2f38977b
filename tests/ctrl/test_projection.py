"""The projection on the feasible encoders: optimality conditions, an independent solver, and scales far apart."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st

from mcr2_landscape.ctrl import SubspaceGame
from mcr2_landscape.ctrl.projection import project
from mcr2_landscape.testing import seeds
from mcr2_landscape.validation import InputError

from . import problems

SIZES, RANKS, AMBIENT, DIM = (5, 3, 4), (2, 1, 2), 6, 4
WEIGHTS = st.floats(-6, 6).map(lambda x: 10**x)


def case(seed, weight=1.0, *, shared=0.0, class_weights=(1.0, 1.0, 1.0)):
    X, labels = problems.subspace_data(seed, SIZES, RANKS, AMBIENT, shared=shared)
    X = X * np.asarray(class_weights)[labels][:, None]
    F = weight * np.random.default_rng([seed, 1]).standard_normal((DIM, AMBIENT))
    return SubspaceGame(X, labels, dim=DIM, epsilon=1.0), X, labels, F


def constraint_values(X, labels, F):
    """‖F X_j‖²/n_j, sample by sample."""
    return np.array([np.sum((F @ X[labels == j].T) ** 2) / np.sum(labels == j) for j in range(len(SIZES))])


def optimality_error(X, labels, F, found, multipliers):
    """By how much the conditions of Karush, Kuhn and Tucker fail for min ½‖F' − F‖² with ‖F'X_j‖²/n_j ≤ 1, whose multipliers
    are half of these."""
    values = constraint_values(X, labels, found)
    pull = sum(mu * found @ X[labels == j].T @ X[labels == j] / np.sum(labels == j) for j, mu in enumerate(multipliers))
    stationarity = np.linalg.norm(found - F + pull) / np.linalg.norm(F)
    slack = [abs(value - 1) if mu > 0 else max(value - 1, 0) for mu, value in zip(multipliers, values, strict=True)]
    return max(stationarity, max(slack), max(-multipliers.min(), 0))


@given(seed=seeds(), weight=WEIGHTS, shared=st.sampled_from([0.0, 3.0, 30.0]))
def test_optimality_conditions(seed, weight, shared):
    game, X, labels, F = case(seed, weight, shared=shared)
    found = game.projection(F)
    # what rounding the entries of F' leaves open, times the pull of the multipliers
    pull = sum(
        mu * np.linalg.norm(X[labels == j], 2) ** 2 / size
        for j, (mu, size) in enumerate(zip(found.multipliers, SIZES, strict=True))
    )
    rounding = 8 * np.finfo(np.float64).eps * np.linalg.norm(found.F) / np.linalg.norm(F) * pull
    assert optimality_error(X, labels, F, found.F, found.multipliers) <= 1e-9 + rounding
    assert found.violation <= 1e-9
    assert found.steps <= 25


@given(seed=seeds(), exponents=st.tuples(*[st.floats(-4, 4)] * 3))
def test_classes_of_different_units(seed, exponents):
    game, X, labels, F = case(seed, class_weights=10.0 ** np.array(exponents))
    found = game.projection(F)
    assert optimality_error(X, labels, F, found.F, found.multipliers) <= 1e-8


@settings(max_examples=6)
@given(seed=seeds(), weight=st.floats(0.3, 10))
def test_an_independent_solver_finds_the_same(seed, weight):
    game, X, labels, F = case(seed % 8, weight)  # eight games: the solver is slow
    found = game.project(F)
    result = scipy.optimize.minimize(
        lambda f: 0.5 * np.sum((f - F.ravel()) ** 2),
        0.1 * F.ravel() / np.sqrt(constraint_values(X, labels, F).max()),
        jac=lambda f: f - F.ravel(),
        constraints={
            "type": "ineq",
            "fun": lambda f: 1 - constraint_values(X, labels, f.reshape(F.shape)),
            "jac": lambda f: np.stack(
                [
                    (-2 * f.reshape(F.shape) @ X[labels == j].T @ X[labels == j] / np.sum(labels == j)).ravel()
                    for j in range(len(SIZES))
                ]
            ),
        },
        method="SLSQP",
        options={"maxiter": 500, "ftol": 1e-14},
    )
    assert constraint_values(X, labels, result.x.reshape(F.shape)).max() <= 1 + 1e-6
    nearest = np.sum((found - F) ** 2)
    assert nearest <= 2 * result.fun * (1 + 1e-6) + 1e-9
    assert np.linalg.norm(result.x.reshape(F.shape) - found) <= 1e-3 * np.linalg.norm(F)


def test_no_step_leads_back_to_where_the_last_one_came_from():
    """Two classes with nearly one direction: a Newton step across the ridge halves the slope while the dual falls."""
    game, X, labels, F = case(2, 0.01, shared=30.0)
    found = game.projection(F)
    assert found.violation <= 1e-9
    assert found.steps <= 25
    assert optimality_error(X, labels, F, found.F, found.multipliers) <= 1e-9


@pytest.mark.parametrize("seed", range(4))
def test_a_conic_solver_agrees(seed):
    cvxpy = pytest.importorskip("cvxpy", reason="the extra peers has it")
    game, X, labels, F = case(seed, 3.0)
    unknown = cvxpy.Variable(F.shape)
    limits = [cvxpy.norm(unknown @ X[labels == j].T, "fro") <= np.sqrt(np.sum(labels == j)) for j in range(len(SIZES))]
    problem = cvxpy.Problem(cvxpy.Minimize(cvxpy.sum_squares(unknown - F)), limits)
    problem.solve(solver="CLARABEL", tol_gap_abs=1e-9, tol_gap_rel=1e-9, tol_feas=1e-9)
    found = game.project(F)
    assert np.linalg.norm(unknown.value - found) <= 1e-5 * np.linalg.norm(F)
    assert np.linalg.norm(unknown.value - F) > 0.1 * np.linalg.norm(F)  # the constraints were active


@given(seed=seeds(), weight=WEIGHTS)
def test_nearest_of_feasible_points(seed, weight):
    game, X, labels, F = case(seed, weight)
    found = game.project(F)
    random = np.random.default_rng([seed, 2])
    for _ in range(20):
        other = found + 10 ** random.uniform(-6, 1) * np.linalg.norm(found) * random.standard_normal(F.shape)
        other /= max(1, np.sqrt(constraint_values(X, labels, other).max()))
        # the projection of a convex set: ⟨F − F', other − F'⟩ ≤ 0
        assert np.sum((F - found) * (other - found)) <= 1e-9 * np.linalg.norm(F) * np.linalg.norm(other - found)


@given(seed=seeds(), weight=WEIGHTS)
def test_twice_is_once(seed, weight):
    game, _, _, F = case(seed, weight)
    once = game.project(F)
    assert np.linalg.norm(game.project(once) - once) <= 1e-9 * np.linalg.norm(once)


@given(seed=seeds(), shrink=st.floats(0, 1 - 1e-9))
def test_feasible_points_stay(seed, shrink):
    game, X, labels, F = case(seed)
    inside = F * np.sqrt(shrink / constraint_values(X, labels, F).max())
    found = game.projection(inside)
    assert np.array_equal(found.F, inside)
    assert (found.multipliers == 0).all()


@given(seed=seeds(), weight=WEIGHTS)
def test_what_data_do_not_see_stays(seed, weight):
    game, _, _, F = case(seed, weight)
    outside = np.eye(AMBIENT) - game.spans.span @ game.spans.span.T
    assert np.linalg.norm((game.project(F) - F) @ outside) <= 1e-12 * np.linalg.norm(F)


@given(seed=seeds(), which=st.integers(0, 2), weight=WEIGHTS)
def test_a_class_whose_image_is_zero(seed, which, weight):
    game, X, labels, F = case(seed, weight)
    U = game.spans.bases[which]
    F = F - F @ U @ U.T
    found = game.projection(F)
    assert optimality_error(X, labels, F, found.F, found.multipliers) <= 1e-9
    assert (game.project(np.zeros_like(F)) == 0).all()


def test_under_jit_and_vmap():
    game, X, labels, _ = case(0)
    data, sizes = game.data(np.float64), jnp.asarray(np.array(SIZES, dtype=np.float64))
    Fs = jnp.asarray(np.random.default_rng(0).standard_normal((5, DIM, AMBIENT)))
    span = jnp.asarray(game.spans.span)
    many = jax.jit(jax.vmap(lambda F: project(F, data.factors, sizes, span, 1e-12)))(Fs)
    for i in range(5):
        assert optimality_error(X, labels, np.asarray(Fs[i]), np.asarray(many.F[i]), np.asarray(many.multipliers[i])) <= 1e-9


def test_in_float32():
    game, X, labels, F = case(0, 10.0)
    data = game.data(np.float32)
    single, sizes, span = (jnp.asarray(np.asarray(A, dtype=np.float32)) for A in (F, SIZES, game.spans.span))
    found = project(single, data.factors, sizes, span, jnp.float32(1e-5))
    assert found.F.dtype == np.float32
    assert optimality_error(X, labels, F, np.asarray(found.F, dtype=float), np.asarray(found.multipliers, dtype=float)) <= 1e-3


@pytest.mark.parametrize("spoil", ["flipped sign", "dropped class", "rescaled"])
def test_planted_violations_are_caught(spoil):
    game, X, labels, F = case(1, 10.0)
    found = game.projection(F)
    multipliers = found.multipliers.copy()
    if spoil == "flipped sign":
        multipliers = -multipliers
    elif spoil == "dropped class":
        multipliers[int(multipliers.argmax())] = 0
    moments = sum(mu * X[labels == j].T @ X[labels == j] / np.sum(labels == j) for j, mu in enumerate(multipliers))
    wrong = F @ np.linalg.inv(np.eye(AMBIENT) + moments)
    if spoil == "rescaled":  # each class to the boundary, which is feasible but not nearest
        wrong = F / np.sqrt(constraint_values(X, labels, F).max())
    assert optimality_error(X, labels, F, found.F, found.multipliers) <= 1e-9
    assert optimality_error(X, labels, F, wrong, multipliers) > 1e-3


@given(seed=seeds(), far=st.floats(3, 15), exponents=st.tuples(*[st.floats(-1.5, 1.5)] * 3))
def test_from_far_away(seed, far, exponents):
    """Within Col X, where what F does beyond leaves no rounding."""
    game, X, labels, F = case(seed, class_weights=10 ** np.array(exponents))
    near = F @ game.spans.span @ game.spans.span.T
    found = game.projection(10**far * near)
    values = constraint_values(X, labels, found.F)
    assert values.max() <= 1 + 1e-9
    assert np.abs(values - 1)[found.multipliers > 0].max() <= 1e-9
    assert optimality_error(X, labels, 10**far * near, found.F, found.multipliers) <= 1e-9
    assert found.violation <= 1e-9


def test_what_rounding_leaves_is_measured_and_told():
    """Beyond Col X F' keeps entries as large as F's, whose rounding the data see."""
    game, X, labels, F = case(0)
    found = game.projection(1e8 * F)
    off = np.abs(constraint_values(X, labels, found.F) - 1).max()
    assert 1e-12 < off < 1e-6
    assert 0.1 * off < found.violation < 10 * off  # which products are rounded how is another matter
    with pytest.raises(InputError, match=r"F: found entries of up to .*e\+15, so large that rounding leaves the projection"):
        game.project(1e15 * F)


def test_bad_input():
    game, _, _, F = case(0)
    with pytest.raises(InputError, match="F: found shape"):
        game.project(F.T)
    with pytest.raises(InputError, match="float32"):
        game.project(F.astype(np.float32))
    with pytest.raises(InputError, match="NaN"):
        game.project(F * np.nan)
    with pytest.raises(InputError, match="atol"):
        game.project(F, atol=0.0)
