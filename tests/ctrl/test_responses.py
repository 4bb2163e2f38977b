"""The set of best responses: members, others, and its dimension counted independently."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcr2_landscape.ctrl import SubspaceGame
from mcr2_landscape.ctrl.responses import response_error, responses_to
from mcr2_landscape.testing import seeds
from mcr2_landscape.validation import InputError

from . import problems


@st.composite
def situations(draw, *, independent=True):
    """A game, its data, and an encoder of random rank that keeps a random part of each class."""
    seed = draw(seeds())
    ranks = tuple(draw(st.lists(st.integers(1, 3), min_size=2, max_size=3)))
    ambient = sum(ranks) + draw(st.integers(0, 2))
    kept = tuple(draw(st.integers(0, rank)) for rank in ranks)
    room = draw(st.integers(0, 2))
    dim = max(1, sum(kept) + room) if independent else draw(st.integers(1, max(1, sum(kept) - 1)))
    sizes = tuple(rank + 2 for rank in ranks)
    X, labels = problems.subspace_data(seed, sizes, ranks, ambient)
    random = np.random.default_rng([seed, 1])
    game = SubspaceGame(X, labels, dim=dim, epsilon=10 ** draw(st.floats(-0.5, 0.5)))
    # coefficients of the kept rank for each class, then the encoder with them, plus something that no sample sees
    A = [random.standard_normal((dim, m)) @ random.standard_normal((m, r)) for m, r in zip(kept, ranks, strict=True)]
    F = np.concatenate(A, axis=1) @ np.linalg.pinv(game.spans.joined)
    if ambient > sum(ranks) and draw(st.booleans()):
        U = game.spans.span
        F = F + random.standard_normal(F.shape) @ (np.eye(ambient) - U @ U.T)
    return game, X, labels, F, kept


def conditions(game, F, G):
    """The linearization at G of G ↦ (M P_j Mᵀ)_j, a matrix (K d_z², d_x d_z)."""
    M, columns = F @ G, []
    moments = [F @ C @ C.T @ F.T for C in game.spans.factors]
    for W in np.eye(G.size).reshape(G.size, *G.shape):
        dM = F @ W
        columns.append(np.concatenate([(dM @ P @ M.T + M @ P @ dM.T).ravel() for P in moments]))
    return np.stack(columns, axis=1)


def nullity(J):
    values = np.linalg.svd(J, compute_uv=False)
    if values.size == 0 or values[0] == 0:
        return J.shape[1]
    kept = values > 1e-8 * values[0]
    assert not ((values > 1e-11 * values[0]) & ~kept).any(), "the count is not plain"
    return J.shape[1] - int(kept.sum())


@given(situation=situations(), key=seeds())
def test_dimension_is_the_nullity(situation, key):
    game, _, _, F, kept = situation
    found = game.best_response(F)
    assert found.ranks == kept
    assert found.rank == np.linalg.matrix_rank(F, 1e-9)
    if F.any() and sum(kept):
        for G in (found.decoder, found.sample(key)):
            values = np.linalg.svd(conditions(game, F, G), compute_uv=False)
            ratios = values / values[0]
            if not ((ratios > 1e-11) & (ratios < 1e-7)).any():
                assert nullity(conditions(game, F, G)) == found.dimension
    else:
        assert found.dimension == F.size


def distance_hessian(X, labels, F, G, epsilon):
    """D's Hessian in G by second derivatives of the definition along all pairs of directions."""
    size, zero = G.size, np.zeros_like(F)
    basis = np.eye(size).reshape(size, *G.shape)

    def curvature(W):
        return problems.encoder_utility_along(X, labels, F, G, zero, W, epsilon)[1]

    diagonal = np.array([curvature(W) for W in basis])
    H = np.diag(diagonal)
    for i in range(size):
        for j in range(i):
            H[i, j] = H[j, i] = 0.5 * (curvature(basis[i] + basis[j]) - diagonal[i] - diagonal[j])
    return H


@given(seed=seeds())
def test_dimension_is_the_nullity_of_the_hessian(seed):
    X, labels = problems.subspace_data(seed, (4, 3), (2, 1), 4)
    game = SubspaceGame(X, labels, dim=3, epsilon=0.7)
    F = np.random.default_rng([seed, 1]).standard_normal((3, 4))
    found = game.best_response(F)
    values = np.linalg.eigvalsh(distance_hessian(X, labels, F, found.sample(seed), game.epsilon))
    # (4 − 3) 3 + 1: one direction outside of the data for each of three images, one rotation in the first class
    assert found.dimension == 4
    assert np.abs(values[: found.dimension]).max() <= 1e-10 * values[-1]
    assert values[found.dimension] > 1e-9 * values[-1]


@given(situation=situations(), key=seeds())
def test_members_are_best_responses(situation, key):
    game, X, labels, F, _ = situation
    found = game.best_response(F)
    assert np.allclose(F @ found.decoder @ F, F, atol=1e-9)
    for G in (found.decoder, *(found.sample(key, scale=scale) for scale in (0.0, 1.0, 10.0))):
        assert G.shape == (game.ambient_dim, game.dim)
        assert game.is_best_response(F, G, rtol=1e-7)
        _, distances = problems.utilities(X, labels, F, G, game.epsilon)
        assert np.abs(distances).max() <= 1e-8


@given(situation=situations(independent=False), key=seeds())
def test_dependent_images_leave_the_dimension_open(situation, key):
    game, _, _, F, kept = situation
    found = game.best_response(F)
    assert found.ranks == tuple(min(k, game.dim) for k in kept)
    if sum(found.ranks) <= game.dim:
        return
    assert found.dimension is None
    assert game.is_best_response(F, found.decoder)
    assert game.is_best_response(F, found.sample(key), rtol=1e-7)


@given(situation=situations(), key=seeds(), size=st.floats(-3, 0).map(lambda x: 10**x))
def test_others_are_not(situation, key, size):
    game, X, labels, F, kept = situation
    if not sum(kept):
        return
    found = game.best_response(F)
    G = found.sample(key)
    J = conditions(game, F, G)
    steepest = np.linalg.svd(J)[2][0].reshape(G.shape)
    moved = G + size * np.linalg.norm(G) * steepest
    assert not game.is_best_response(F, moved)
    assert problems.utilities(X, labels, F, moved, game.epsilon)[1].sum() > 0
    # one class scaled by less than one: a contraction is no isometry
    assert not game.is_best_response(F, (1 - 1e-3 * size) * G)


@given(seed=seeds())
def test_members_differ_from_the_pseudo_inverse(seed):
    X, labels = problems.subspace_data(seed, (5, 4), (3, 2), 6)
    game = SubspaceGame(X, labels, dim=6, epsilon=1.0)
    F = np.random.default_rng(seed).standard_normal((6, 6))
    G = game.best_response(F).sample(seed)
    A = F @ game.spans.factors[0]
    moved = F @ G @ A
    # f(S_j) goes to itself, its points do not
    assert np.linalg.norm(moved - A) > 1e-3 * np.linalg.norm(A)
    assert np.linalg.norm(moved - A @ np.linalg.pinv(A) @ moved) <= 1e-8 * np.linalg.norm(A)


def test_the_same_key_gives_the_same_member():
    X, labels = problems.subspace_data(0, (5, 4), (3, 2), 6)
    found = responses_to(
        np.random.default_rng(0).standard_normal((5, 6)), SubspaceGame(X, labels, dim=5, epsilon=1.0).spans.factors
    )
    assert np.array_equal(found.sample(3), found.sample(3))
    assert not np.array_equal(found.sample(3), found.sample(4))
    with pytest.raises(InputError, match="key"):
        found.sample(None)


def test_an_encoder_that_sees_nothing_is_answered_by_all():
    X, labels = problems.subspace_data(0, (5, 4), (2, 1), 4)
    game = SubspaceGame(X, labels, dim=3, epsilon=1.0)
    F = np.zeros((3, 4))
    found = game.best_response(F)
    assert (found.dimension, found.ranks, found.rank) == (12, (0, 0), 0)
    assert game.is_best_response(F, found.sample(0))
    assert game.is_best_response(F, np.random.default_rng(0).standard_normal((4, 3)))


@given(seed=seeds())
def test_an_encoder_that_sees_no_data_but_for_rounding(seed):
    X, labels = problems.subspace_data(seed, (5, 4), (2, 1), 5)
    game = SubspaceGame(X, labels, dim=2, epsilon=1.0)
    U, random = game.spans.span, np.random.default_rng([seed, 1])
    F = random.standard_normal((2, 5)) @ (np.eye(5) - U @ U.T)
    found = game.best_response(F)
    assert (found.dimension, found.ranks, found.rank) == (10, (0, 0), 2)
    assert game.is_best_response(F, random.standard_normal((5, 2)))


def test_a_small_direction_that_is_lost_is_seen():
    # one class has a direction 1e-6 of the other; at a fine precision losing it costs much
    F = np.diag([1.0, 1e-6, 1.0])
    factors = (np.eye(3)[:, :2], np.eye(3)[:, 2:])
    exact = np.linalg.inv(F)
    lost = exact @ np.diag([1.0, 0.0, 1.0])
    scales = np.full(2, 1e16)
    assert response_error(F, lost, factors, np.zeros(2)) < 1e-8  # the plain norm is blind
    assert response_error(F, lost, factors, scales) > 0.1
    assert response_error(F, exact, factors, scales) < 1e-8


@given(seed=seeds(), exponent=st.floats(-4, 2))
def test_in_the_scaled_norm_the_distance_is_quadratic(seed, exponent):
    X, labels = problems.subspace_data(seed, (5, 4), (2, 1), 4)
    epsilon = 10**exponent
    game = SubspaceGame(X, labels, dim=3, epsilon=epsilon)
    random = np.random.default_rng([seed, 1])
    F = random.standard_normal((3, 4))
    scales = 3 / (np.array(game.sizes) * epsilon**2)
    exact = game.best_response(F).decoder
    assert response_error(F, exact, game.spans.factors, scales) <= 1e-7
    W = random.standard_normal(exact.shape)
    errors = [response_error(F, exact + t * W, game.spans.factors, scales) for t in (1e-5, 1e-6)]
    if errors[1] > 1e-9 and errors[0] < 0.1:
        assert errors[0] / errors[1] == pytest.approx(10, rel=0.2)


def test_what_leaves_the_range_of_float64_is_no_best_response():
    """1e100 F with the answer to F: squares of squares overflowed, and NaN was no error."""
    X, labels = problems.subspace_data(0, (5, 4), (2, 1), 4)
    game = SubspaceGame(X, labels, dim=3, epsilon=1.0)
    F = np.random.default_rng(0).standard_normal((3, 4))
    G = game.best_response(F).decoder
    assert game.is_best_response(F, G)
    assert not game.is_best_response(1e20 * F, G)
    for call in (
        lambda: game.is_best_response(1e100 * F, G),
        lambda: game.verify_equilibrium(1e200 * F, G),
        lambda: game.best_response(1e200 * F),
        lambda: game.project(1e200 * F),
    ):
        with pytest.raises(InputError, match=r"F: found entries of up to .* f\(X\) leaves the range of float64"):
            call()
    with pytest.raises(InputError, match=r"G: with F's entries of up to .* fgf\(X\) leaves the range"):
        game.response_error(F, 1e80 * G)


@pytest.mark.parametrize("scale", [np.nan, np.inf, -1.0, "x"])
def test_a_bad_scale_of_a_random_member_is_named(scale):
    X, labels = problems.subspace_data(0, (5, 4), (2, 1), 4)
    responses = SubspaceGame(X, labels, dim=3, epsilon=1.0).best_response(np.ones((3, 4)))
    with pytest.raises(InputError, match="scale: found"):
        responses.sample(0, scale=scale)


def test_tolerances_below_rounding_decide_nothing():
    X, labels = problems.subspace_data(0, (5, 4), (2, 1), 4)
    game = SubspaceGame(X, labels, dim=3, epsilon=1.0)
    F = np.ones((3, 4))
    for rtol in (0.0, 1e-16, 1.0, -1.0, np.nan):
        with pytest.raises(InputError, match="rtol"):
            game.is_best_response(F, F.T, rtol=rtol)
    with pytest.raises(InputError, match="G: found shape"):
        game.is_best_response(F, F)
    with pytest.raises(InputError, match=r"F: .*NaN"):
        game.best_response(F * np.nan)
    with pytest.raises(InputError, match="float32"):
        game.best_response(F.astype(np.float32))


def test_planted_dimensions_are_caught():
    X, labels = problems.subspace_data(0, (5, 4), (3, 2), 7)
    game = SubspaceGame(X, labels, dim=6, epsilon=1.0)
    F = np.random.default_rng(0).standard_normal((6, 7))
    counted = nullity(conditions(game, F, game.best_response(F).sample(1)))
    m, rank = (3, 2), 6
    assert counted == game.best_response(F).dimension == 3 + 1 + (7 - rank) * 5 + 7 * (6 - 5)
    assert counted != sum(k * (k + 1) // 2 for k in m) + (7 - rank) * 5 + 7  # symmetric in place of skew
    assert counted != 10 + (7 - rank) * 5 + 7  # one orthogonal group of all images
    assert counted != 4 + (7 - rank) * 6 + 7 * (6 - 6)  # of FGF = F alone


def test_members_need_no_matrix_of_the_ambient_space_squared():
    ambient = 3000
    X, labels = problems.subspace_data(0, (10, 12), (2, 3), ambient)
    game = SubspaceGame(X, labels, dim=6, epsilon=1.0)
    F = game.solve(key=0).F
    tracemalloc.start()
    try:
        G = game.best_response(F).sample(1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 0.1 * 8 * ambient**2
    assert game.is_best_response(F, G)
