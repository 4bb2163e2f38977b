"""The game of single-subspace pursuit: derivatives on the Stiefel manifolds, the optimum, all best responses, equilibria."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mcr2_landscape.ctrl import stiefel
from mcr2_landscape.ctrl.single import SingleSubspaceGame
from mcr2_landscape.testing import seeds
from mcr2_landscape.validation import InputError

from . import problems

AMBIENT, RANK, SAMPLES = 5, 3, 8
DIMS = (3, 6)  # compiled ones: rows orthonormal, columns orthonormal
EXPONENTS = st.floats(-0.7, 1)


def spectrum_data(seed, values, ambient, samples=SAMPLES):
    """X (samples, d_x) with these singular values."""
    U, V = problems.orthonormal(seed, samples, len(values)), problems.orthonormal([seed, 1], ambient, len(values))
    return (U * values) @ V.T


def case(seed, dim=3, exponent=0.0):
    random = np.random.default_rng(seed)
    X = random.standard_normal((SAMPLES, RANK)) @ random.standard_normal((RANK, AMBIENT))
    game = SingleSubspaceGame(X, dim=dim, epsilon=10**exponent)
    F, G = problems.orthonormal([seed, 2], dim, AMBIENT), problems.orthonormal([seed, 3], AMBIENT, dim)
    return game, X, F, G, random.standard_normal(F.shape), random.standard_normal(G.shape)


@st.composite
def games(draw, *, ties=False):
    """Games of any shape with their data: host functions only, nothing is compiled."""
    seed, rank = draw(seeds()), draw(st.integers(1, 4))
    ambient, dim = rank + draw(st.integers(0, 2)), draw(st.integers(1, 6))
    if ties:
        values = sorted((draw(st.sampled_from([3.0, 2.0, 0.5])) for _ in range(rank)), reverse=True)
    else:
        values = np.cumprod([3.0, *(draw(st.floats(0.3, 0.9)) for _ in range(rank - 1))])
    X = spectrum_data(seed, np.array(values), ambient, samples=7)
    return SingleSubspaceGame(X, dim=dim, epsilon=10 ** draw(EXPONENTS)), X


def orthonormality(A):
    gram = A @ A.T if A.shape[0] <= A.shape[1] else A.T @ A
    return np.abs(gram - np.eye(min(A.shape))).max()


# -- values and derivatives ---------------------------------------------------------------------------------------------------


@given(seed=seeds(), dim=st.sampled_from(DIMS), exponent=EXPONENTS)
def test_values_are_those_of_the_definition(seed, dim, exponent):
    game, X, F, G, *_ = case(seed, dim, exponent)
    Z = F @ X.T
    rate, distance = problems.rate(Z, dim, game.epsilon), problems.pair_reduction(Z, F @ G @ Z, dim, game.epsilon)
    assert float(game.expressiveness(F)) == pytest.approx(rate, rel=1e-11, abs=1e-11)
    assert float(game.distance(F, G)) == pytest.approx(distance, rel=1e-10, abs=1e-11)
    assert float(game.encoder_utility(F, G)) == pytest.approx(rate + distance, rel=1e-11, abs=1e-11)
    assert float(game.decoder_utility(F, G)) == pytest.approx(-distance, rel=1e-10, abs=1e-11)
    assert distance >= -1e-12
    assert float(game.distance(F, F.T)) == pytest.approx(0, abs=1e-12)


@given(seed=seeds(), dim=st.sampled_from(DIMS), exponent=EXPONENTS)
def test_derivatives_are_those_of_the_definition(seed, dim, exponent):
    game, X, F, G, V, W = case(seed, dim, exponent)
    first, second = game.gradient(F, G), game.hvp(F, G, V, W)
    expected = problems.encoder_utility_along(X, np.zeros(SAMPLES), F, G, V, W, game.epsilon, separate=False)
    found = [float(np.sum(V * part.encoder) - np.sum(W * part.decoder)) for part in (first, second)]
    size = [
        np.linalg.norm(part.encoder) * np.linalg.norm(V) + np.linalg.norm(part.decoder) * np.linalg.norm(W)
        for part in (first, second)
    ]
    assert abs(found[0] - expected[0]) <= 1e-11 * size[0]
    assert abs(found[1] - expected[1]) <= 1e-9 * size[1]


def retracted(game, F, G, V, W, t):
    return game.project(F + t * V), game.project_decoder(G + t * W)


def tangent(Y, E):
    return np.asarray(stiefel.tangent(jnp.asarray(Y), jnp.asarray(E)))


@given(seed=seeds(), dim=st.sampled_from(DIMS))
def test_riemannian_gradient(seed, dim):
    game, _, F, G, V, W = case(seed, dim)
    V, W = tangent(F, V), tangent(G, W)
    first = game.riemannian_gradient(F, G)
    for own, at in zip(first, (F, G), strict=True):  # tangent: the symmetric part vanishes
        inner = own.T @ at if at.shape[0] >= at.shape[1] else at @ own.T
        assert np.abs(inner + inner.T).max() <= 1e-12
    t = 1e-5
    ahead, behind = retracted(game, F, G, V, W, t), retracted(game, F, G, V, W, -t)
    for number, utility in enumerate((game.encoder_utility, game.decoder_utility)):
        other = 1 - number  # the other player stays
        pairs = [list(pair) for pair in (ahead, behind)]
        for pair in pairs:
            pair[other] = (F, G)[other]
        slope = (float(utility(*pairs[0])) - float(utility(*pairs[1]))) / (2 * t)
        assert slope == pytest.approx(float(np.sum(first[number] * (V, W)[number])), rel=1e-6, abs=1e-8)


@given(seed=seeds(), dim=st.sampled_from(DIMS))
def test_riemannian_hessian(seed, dim):
    game, _, F, G, V, W = case(seed, dim)
    V, W = tangent(F, V), tangent(G, W)
    found = game.riemannian_hvp(F, G, V, W)
    t = 1e-5
    ahead, behind = (game.riemannian_gradient(*retracted(game, F, G, V, W, side * t)) for side in (1, -1))
    for own, plus, minus, at in zip(found, ahead, behind, (F, G), strict=True):
        expected = tangent(at, (np.asarray(plus) - np.asarray(minus)) / (2 * t))
        assert np.linalg.norm(own - expected) <= 1e-6 * (1 + np.linalg.norm(expected))


def test_both_orientations_agree_for_square_matrices():
    Y = problems.orthonormal(0, 4, 4)
    E = np.random.default_rng(0).standard_normal((4, 4))
    rows = Y @ E.T  # sym(EYᵀ)Y in place of Y sym(YᵀE)
    assert np.allclose(tangent(Y, E), E - 0.5 * (rows + rows.T) @ Y, atol=1e-13)


def test_in_float32_and_at_once():
    game, _, F, G, V, W = case(0)
    single = jax.jit(jax.vmap(lambda F, G: game.riemannian_hvp(F, G, V.astype(np.float32), W.astype(np.float32))))(
        *(jnp.asarray(np.stack([A, A]), dtype=np.float32) for A in (F, G))
    )
    double = game.riemannian_hvp(F, G, V, W)
    for many, one in zip(single, double, strict=True):
        assert many.dtype == np.float32
        assert np.linalg.norm(many[1] - np.asarray(one, dtype=np.float32)) <= 1e-4 * np.linalg.norm(one)
    # nothing of that trace is kept
    assert np.isfinite(float(game.encoder_utility(F.astype(np.float32), G.astype(np.float32))))


@pytest.mark.parametrize("spoil", ["normal part left", "all of it taken", "half of it taken"])
def test_planted_riemannian_gradients_are_caught(spoil):
    game, _, F, G, *_ = case(0)
    E, right = np.asarray(game.gradient(F, G).encoder), np.asarray(game.riemannian_gradient(F, G).encoder)
    wrong = {"normal part left": E, "all of it taken": E - E @ F.T @ F, "half of it taken": E - 0.5 * E @ F.T @ F}[spoil]
    assert np.abs(right @ F.T + F @ right.T).max() <= 1e-12
    tangential = np.abs(wrong @ F.T + F @ wrong.T).max() <= 1e-6
    V = tangent(F, np.random.default_rng(0).standard_normal(F.shape))
    assert np.sum(V * E) == pytest.approx(np.sum(V * right), rel=1e-10)
    assert not tangential or abs(np.sum(V * wrong) - np.sum(V * E)) > 1e-3 * abs(np.sum(V * E))


# -- the optimum --------------------------------------------------------------------------------------------------------------


@given(game=games(), seed=seeds())
def test_no_encoder_exceeds_the_optimum(game, seed):
    game, X = game
    found = game.optimum()
    for i in range(5):
        F = problems.orthonormal([seed, i], game.dim, game.ambient_dim)
        assert problems.rate(F @ X.T, game.dim, game.epsilon) <= found.value * (1 + 1e-12)
    assert found.kept == min(game.dim, game.rank)
    assert found.lost == game.rank - found.kept


@settings(max_examples=8)
@given(seed=seeds())
def test_no_ascent_exceeds_the_optimum(seed):
    game, X, F, *_ = case(seed, 3)
    b = game.dim / (SAMPLES * game.epsilon**2)

    def value_and_gradient(F):
        Z = F @ X.T
        E = np.linalg.inv(np.eye(game.dim) + b * Z @ Z.T)
        return problems.rate(Z, game.dim, game.epsilon), b * E @ Z @ X

    best = problems.pursue(value_and_gradient, game.project, F, first=1.0)
    assert best <= game.optimum().value * (1 + 1e-12)
    assert best == pytest.approx(game.optimum().value, rel=1e-5)


@given(game=games(ties=True), key=seeds())
def test_equilibria(game, key):
    game, X = game
    found = game.solve(key=key)
    F, G = found.encoder, found.decoder
    assert max(orthonormality(F), orthonormality(G)) <= 1e-12
    assert abs(found.gap) <= 1e-12 * found.upper_bound
    assert problems.rate(F @ X.T, game.dim, game.epsilon) == pytest.approx(game.optimum().value, rel=1e-11)
    assert np.allclose(
        np.linalg.svd(F @ X.T, compute_uv=False)[: game.optimum().kept], game.optimum().singular_values, rtol=1e-10
    )
    assert problems.pair_reduction(F @ X.T, F @ G @ F @ X.T, game.dim, game.epsilon) <= 1e-11
    # S is recovered where it fits: gf maps it onto itself, isometrically and along Σ's eigenspaces
    Z = X.T
    if game.dim >= game.rank:
        again = G @ F @ Z
        assert np.linalg.norm(again @ again.T - Z @ Z.T) <= 1e-9 * np.linalg.norm(Z @ Z.T)
    assert np.allclose(np.linalg.norm(F @ G @ F @ Z), np.linalg.norm(F @ Z), rtol=1e-10)


@given(seed=seeds(), key=seeds(), dim=st.integers(3, 6))
def test_a_simple_spectrum_leaves_signs(seed, key, dim):
    X = spectrum_data(seed, np.array([3.0, 2.0, 1.0]), 5)
    game = SingleSubspaceGame(X, dim=dim, epsilon=1.0)
    found = game.solve(key=key)
    axes = game.factor / game.values
    signs = axes.T @ found.decoder @ found.encoder @ axes
    assert np.abs(np.abs(signs) - np.eye(3)).max() <= 1e-9


def test_a_point_need_not_be_recovered():
    X = spectrum_data(0, np.array([3.0, 2.0, 1.0]), 5)
    game = SingleSubspaceGame(X, dim=4, epsilon=1.0)
    errors = [game.verify_equilibrium(*(own.encoder, own.decoder)) for own in (game.solve(key=key) for key in range(6))]
    assert all(own.stackelberg == "holds" and own.subspace_error <= 1e-9 for own in errors)
    assert max(own.reconstruction_error for own in errors) > 0.5


def test_too_few_dimensions_keep_the_principal_ones():
    X = spectrum_data(0, np.array([5.0, 3.0, 1.0]), 5)
    game = SingleSubspaceGame(X, dim=2, epsilon=1.0)
    F = game.solve(key=0).encoder
    principal = game.factor[:, :2] / game.values[:2]
    assert np.allclose(F.T @ F, principal @ principal.T, atol=1e-12)
    assert (game.optimum().kept, game.optimum().lost, game.optimum().unique) == (2, 1, "holds")


@pytest.mark.parametrize(
    ("values", "dim", "unique"),
    [((2, 1, 1), 2, "refuted"), ((2, 1, 1), 1, "holds"), ((2, 1, 1), 3, "holds"), ((2, 1, 1 - 1e-10), 2, "undecided")],
)
def test_whether_what_is_kept_is_one_subspace(values, dim, unique):
    assert SingleSubspaceGame(spectrum_data(1, np.array(values, float), 4), dim=dim, epsilon=1.0).optimum().unique == unique


# -- best responses -----------------------------------------------------------------------------------------------------------


def tangent_basis(Y):
    """The tangent space of the Stiefel manifold at Y, as rows."""
    P = np.stack([tangent(Y, E.reshape(Y.shape)).ravel() for E in np.eye(Y.size)])
    U, s, _ = np.linalg.svd(P)
    return U[:, s > 0.5].T


@given(game=games(ties=True), key=seeds(), best=st.booleans())
def test_dimension_is_the_nullity(game, key, best):
    game, _ = game
    F = game.solve(key=key).encoder if best else problems.orthonormal(key, game.dim, game.ambient_dim)
    found = game.best_response(F)
    assume(found.dimension is not None)
    P = F @ game.factor @ game.factor.T @ F.T
    for G in (found.decoder, found.sample(key)):
        M, T = F @ G, tangent_basis(G)
        if T.shape[0] == 0:
            assert found.dimension == 0
            continue
        rows = [(F @ W @ P @ M.T + M @ P @ W.T @ F.T).ravel() for W in T.reshape(-1, *G.shape)]
        values = np.linalg.svd(np.stack(rows), compute_uv=False) / np.linalg.norm(P)
        assume(not ((values > 1e-10) & (values < 1e-6)).any())
        # the condition MPMᵀ = P is squared where G must stay isometric: there its differential vanishes as well
        tight = contraction_constraints(game, F, G, T)
        assert (
            T.shape[0] - np.linalg.matrix_rank(np.concatenate([np.stack(rows).T / np.linalg.norm(P), tight]), 1e-8)
            == found.dimension
        )


def contraction_constraints(game, F, G, T):
    """‖FGw‖ ≤ ‖w‖ is an equality on f(S): to first order Gw stays where F is isometric (or w where Gᵀ is)."""
    U, s, _ = np.linalg.svd(F @ game.factor, full_matrices=False)
    W = U[:, s > 1e-9 * s[0]]
    dG = T.reshape(-1, *G.shape)
    outside = np.eye(game.ambient_dim) - F.T @ F if game.dim <= game.ambient_dim else np.zeros((game.ambient_dim,) * 2)
    leaves = np.stack([(outside @ D @ W).ravel() for D in dG])
    lost = (
        np.stack([((np.eye(game.dim) - G.T @ G) @ D.T @ G @ W).ravel() for D in dG]) if game.dim > game.ambient_dim else leaves
    )
    return np.concatenate([leaves, lost], axis=1).T


@given(game=games(ties=True), key=seeds(), best=st.booleans())
def test_members_and_others(game, key, best):
    game, X = game
    F = game.solve(key=key).encoder if best else problems.orthonormal(key, game.dim, game.ambient_dim)
    found = game.best_response(F)
    assert np.array_equal(found.decoder, F.T)
    for G in (found.decoder, found.sample(key)):
        assert orthonormality(G) <= 1e-12
        assert game.is_best_response(F, G)
        assert problems.pair_reduction(F @ X.T, F @ G @ F @ X.T, game.dim, game.epsilon) <= 1e-11
    # another point of the manifold is one only if its distance is zero
    other = problems.orthonormal([key, 7], game.ambient_dim, game.dim)
    distance = problems.pair_reduction(F @ X.T, F @ other @ F @ X.T, game.dim, game.epsilon)
    if distance > 1e-9:
        assert not game.is_best_response(F, other)
    if distance < 1e-20:
        assert game.is_best_response(F, other, rtol=1e-6)


def test_every_member_is_reached():
    # an eigenspace of dimension two turns freely, the third axis is up to its sign, the rest is free
    X = spectrum_data(3, np.array([2.0, 2.0, 1.0]), 4)
    game = SingleSubspaceGame(X, dim=4, epsilon=1.0)
    F = game.solve(key=0).encoder
    found = game.best_response(F)
    assert found.multiplicities == (2, 1)
    assert found.dimension == 1
    members = [found.sample(key) for key in range(40)]
    axes = game.factor / game.values
    turns = np.array([axes.T @ G @ F @ axes for G in members])
    assert {round(float(turn[2, 2])) for turn in turns} == {-1, 1}
    assert {round(float(np.linalg.det(turn[:2, :2]))) for turn in turns} == {-1, 1}
    assert np.abs(turns[:, :2, 2]).max() <= 1e-10
    assert np.ptp(turns[:, 0, 0]) > 1


@pytest.mark.parametrize(("gap", "dimension"), [(0.0, 1), (1e-10, None), (1e-4, 0)])
def test_a_spectrum_that_rounding_does_not_tell(gap, dimension):
    X = spectrum_data(0, np.array([1 + gap, 1.0]), 2)
    game = SingleSubspaceGame(X, dim=2, epsilon=1.0)
    found = game.best_response(np.eye(2))
    assert found.dimension == dimension
    assert game.is_best_response(np.eye(2), found.sample(0))


def test_an_encoder_that_sees_nothing():
    X = np.outer([1.0, 2.0, -1.0], [1.0, 0.0, 0.0])
    game = SingleSubspaceGame(X, dim=1, epsilon=1.0)
    F = np.array([[0.0, 1.0, 0.0]])
    found = game.best_response(F)
    assert (found.dimension, found.multiplicities) == (2, ())
    assert game.is_best_response(F, found.sample(0))
    assert game.is_best_response(F, np.array([[1.0], [0.0], [0.0]]))
    assert game.verify_equilibrium(F, found.sample(0)).stackelberg == "refuted"


# -- equilibria ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dim", DIMS)
def test_stackelberg_but_not_nash(dim):
    game, *_ = case(0, dim)
    found = game.solve(key=1)
    report = game.verify_equilibrium(found.encoder, found.decoder)
    assert (report.stackelberg, report.local_nash) == ("holds", "refuted")
    assert max(report.gradient_norms) <= 1e-10
    # along e^{tΩ}F the rate stays, and the distance grows like t²
    Omega = np.random.default_rng(0).standard_normal((dim, dim))
    Omega = Omega - Omega.T
    V = Omega @ found.encoder
    moved = [game.project(found.encoder + t * V + t**2 / 2 * Omega @ V) for t in (1e-3, 2e-3)]
    gains = [float(game.encoder_utility(F, found.decoder)) - found.value for F in moved]
    assert gains[0] > 0
    assert gains[1] / gains[0] == pytest.approx(4, rel=0.05)
    assert report.curvature * np.linalg.norm(V) ** 2 / 2 >= 0.99 * gains[0] / 1e-6


def test_nash_where_nothing_turns():
    X = spectrum_data(0, np.array([3.0, 2.0, 1.0]), 5)
    game = SingleSubspaceGame(X, dim=1, epsilon=1.0)
    found = game.solve(key=0)
    report = game.verify_equilibrium(found.encoder, found.decoder)
    assert (report.stackelberg, report.local_nash) == ("holds", "holds")
    assert report.curvature < 0
    one = SingleSubspaceGame(np.ones((3, 1)), dim=1, epsilon=1.0)
    assert one.verify_equilibrium(np.eye(1), -np.eye(1)).local_nash == "holds"


def test_what_is_no_equilibrium():
    game, *_ = case(0, 3)
    found, other = game.solve(key=1), case(5, 3)
    off = game.verify_equilibrium(found.encoder, other[3])  # a decoder that is no answer
    assert (off.stackelberg, off.local_nash) == ("refuted", "refuted")
    assert off.response_error > 1e-3
    F = other[2]  # an encoder that is not optimal, answered
    report = game.verify_equilibrium(F, game.best_response(F).sample(0))
    assert report.stackelberg == "refuted"
    assert report.gap > 1e-3
    assert report.response_error <= 1e-10


@pytest.mark.parametrize("tilt", [1e-2, 1e-3, 1e-4, 1e-5])
def test_an_encoder_off_the_principal_directions_is_refuted(tilt):
    """The value lacks tilt² alone: at 1e-5 a ten-thousandth of a millionth, and the slope tells."""
    X = spectrum_data(0, np.array([4.0, 3.0, 2.0, 1.0]), 6)
    game = SingleSubspaceGame(X, dim=2, epsilon=0.5)
    U = np.linalg.svd(X.T)[0].T
    F = np.stack([U[0], np.cos(tilt) * U[1] + np.sin(tilt) * U[2]])
    report = game.verify_equilibrium(F, F.T)
    assert (report.stackelberg, report.local_nash) == ("refuted", "refuted")
    assert game.verify_equilibrium(U[:2], U[:2].T).stackelberg == "holds"


@pytest.mark.parametrize("gap", [1e-3, 1e-5, 1e-7, 1e-9])
def test_the_next_direction_instead_of_the_last_one_is_refuted(gap):
    X = spectrum_data(0, np.array([4.0, 3.0, 2.0, 2.0 * (1 - gap), 1.0]), 6)
    game = SingleSubspaceGame(X, dim=3, epsilon=0.5)
    U = np.linalg.svd(X.T)[0].T
    report = game.verify_equilibrium(U[[0, 1, 3]], U[[0, 1, 3]].T)
    assert report.stackelberg == "refuted", report.reason
    assert report.gap > 0


def test_what_the_manifold_s_tolerance_hides_is_undecided():
    X = spectrum_data(0, np.array([4.0, 3.0, 2.0, 1.0]), 6)
    game = SingleSubspaceGame(X, dim=2, epsilon=0.5)
    found = game.solve(key=0)
    off = found.encoder * (1 - 4e-10)
    report = game.verify_equilibrium(off, off.T)
    assert report.stackelberg == "undecided", report.reason


def test_large_games_by_lanczos_agree_with_dense_ones(monkeypatch):
    from mcr2_landscape.ctrl import single_equilibrium

    game, *_ = case(0, 3)
    found = game.solve(key=1)
    dense = game.verify_equilibrium(found.encoder, found.decoder).curvature
    monkeypatch.setattr(single_equilibrium, "_DENSE", 0)
    assert game.verify_equilibrium(found.encoder, found.decoder).curvature == pytest.approx(dense, rel=1e-5)


# -- hypotheses, symmetries, bad input ----------------------------------------------------------------------------------------


def test_hypotheses():
    X = spectrum_data(0, np.array([2.0, 1.0, 1.0]), 5)
    dimension, unique, simple = SingleSubspaceGame(X, dim=2, epsilon=1.0).hypotheses()
    assert (dimension.verdict, dimension.margin) == ("refuted", -1)
    assert unique.verdict == "refuted"
    assert unique.margin == pytest.approx(0, abs=1e-12)
    assert (simple.verdict, simple.margin) == ("holds", pytest.approx(0.5))
    dimension, unique, simple = SingleSubspaceGame(X, dim=3, epsilon=1.0).hypotheses()
    assert (dimension.verdict, dimension.margin, unique.verdict) == ("holds", 0, "holds")
    assert simple.verdict == "refuted"
    assert "2 and 3" in simple.detail


@given(seed=seeds())
def test_order_of_samples_and_rotations_do_not_matter(seed):
    game, X, *_ = case(seed)
    random = np.random.default_rng([seed, 4])
    turned = X[random.permutation(SAMPLES)] @ problems.orthonormal([seed, 5], AMBIENT, AMBIENT)
    assert SingleSubspaceGame(turned, dim=3, epsilon=1.0).optimum().value == pytest.approx(game.optimum().value, rel=1e-11)
    finer = SingleSubspaceGame(X * 7, dim=3, epsilon=7.0)
    assert finer.optimum().value == pytest.approx(game.optimum().value, rel=1e-11)


@given(seed=seeds(), dim=st.sampled_from([2, 5, 7]), weight=st.floats(-6, 6).map(lambda x: 10**x))
def test_projection_is_the_nearest(seed, dim, weight):
    game = SingleSubspaceGame(np.eye(5), dim=dim, epsilon=1.0)
    random = np.random.default_rng(seed)
    A = weight * random.standard_normal((dim, 5))
    found = game.project(A)
    assert orthonormality(found) <= 1e-12
    assert np.allclose(game.project(found), found, atol=1e-12)
    assert np.allclose(game.project_decoder(A.T), found.T, atol=1e-12)
    for _ in range(10):
        other = problems.orthonormal(int(random.integers(2**31)), dim, 5)
        assert np.sum(A * found) >= np.sum(A * other)


@pytest.mark.parametrize("epsilon", [1e-6, 1e6])
def test_huge_and_tiny_precision(epsilon):
    X = spectrum_data(0, np.array([3.0, 2.0, 1.0]), 5)
    game = SingleSubspaceGame(X, dim=3, epsilon=epsilon)
    found = game.solve(key=0)
    assert 0 < found.value < np.inf
    assert abs(found.gap) <= 1e-12 * found.value
    report = game.verify_equilibrium(found.encoder, found.decoder)
    assert report.stackelberg == "holds"


def test_bad_input():
    game, X, F, G, V, W = case(0)
    with pytest.raises(InputError, match="dim: found 0"):
        SingleSubspaceGame(X, dim=0, epsilon=1.0)
    for epsilon in (0.0, -1.0, np.nan):
        with pytest.raises(InputError, match="epsilon"):
            SingleSubspaceGame(X, dim=3, epsilon=epsilon)
    with pytest.raises(InputError, match="epsilon"):
        SingleSubspaceGame(X, dim=3, epsilon=1e-90)
    with pytest.raises(InputError, match="NaN"):
        SingleSubspaceGame(X * np.nan, dim=3, epsilon=1.0)
    with pytest.raises(InputError, match="zero"):
        SingleSubspaceGame(0 * X, dim=3, epsilon=1.0)
    with pytest.raises(InputError, match="F: found shape"):
        game.encoder_utility(F.T, G)
    with pytest.raises(InputError, match="G: found float32, but F is float64"):
        game.encoder_utility(F, G.astype(np.float32))
    with pytest.raises(InputError, match=r"V: found shape"):
        game.hvp(F, G, V.T, W)
    with pytest.raises(InputError, match=r"F: found rows that are not orthonormal.*project\(F\)"):
        game.best_response(2 * F)
    with pytest.raises(InputError, match=r"G: found columns that are not orthonormal.*project_decoder\(G\)"):
        game.verify_equilibrium(F, 2 * G)
    with pytest.raises(InputError, match=r"F: its image .* is too large beside epsilon for derivatives"):
        game.gradient(1e200 * F, G)
    for rows, words in (
        (np.zeros((4, 3)), "^X: all samples are zero; pass others"),
        (np.ones(4), r"X: found shape \(4,\); pass one row a sample"),
        (1e200 * X, "X: the largest entry is .* whose square leaves the range of float64; rescale X"),
    ):
        with pytest.raises(InputError, match=words):
            SingleSubspaceGame(rows, dim=3, epsilon=1.0)
    with pytest.raises(InputError, match="above every singular value of X"):
        SingleSubspaceGame(X, dim=3, epsilon=1.0, rank_tolerance=1e9)
    with pytest.raises(InputError, match="without full rank"):
        game.project(np.ones((3, 5)))
    with pytest.raises(InputError, match="without full rank"):
        game.project(np.zeros((3, 5)))
    with pytest.raises(InputError, match="float32"):
        game.project(F.astype(np.float32))
    with pytest.raises(InputError, match="key"):
        game.solve(key=None)
    with pytest.raises(InputError, match="rtol"):
        game.is_best_response(F, G, rtol=0.0)
    wide, _, F, G, *_ = case(0, 6)
    with pytest.raises(InputError, match="too large"):
        wide.encoder_utility(1e12 * F, 1e12 * G)
    assert SingleSubspaceGame(X.astype(np.float32), dim=3, epsilon=1.0).rank == RANK
    assert SingleSubspaceGame(X + 1e-7 * np.ones_like(X) * np.arange(5), dim=3, epsilon=1.0, rank_tolerance=1e-3).rank == RANK


def test_planted_dimensions_are_caught():
    X = spectrum_data(3, np.array([2.0, 2.0, 1.0]), 6)
    game = SingleSubspaceGame(X, dim=5, epsilon=1.0)
    found = game.best_response(game.solve(key=0).encoder)
    m, p, q = 3, 3, 2
    assert found.dimension == 1 + p * q - q * (q + 1) // 2
    assert found.dimension != m * (m - 1) // 2 + p * q - q * (q + 1) // 2  # one orthogonal group for all of f(S)
    assert found.dimension != 1 + p * q  # decoders that are not on the manifold
