"""The utilities and their derivatives, against their definitions and automatic differentiation, and near a best response."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcr2_landscape.ctrl import SubspaceGame, utilities
from mcr2_landscape.testing import seeds

from . import problems

SIZES, RANKS, AMBIENT, DIM = (5, 3, 4), (2, 1, 2), 6, 4
EXPONENTS = st.floats(-0.5, 1)


def case(seed, exponent=0.0, weight=0.5):
    X, labels = problems.subspace_data(seed, SIZES, RANKS, AMBIENT)
    random = np.random.default_rng([seed, 1])
    epsilon = 10**exponent
    F = weight * random.standard_normal((DIM, AMBIENT))
    G = 0.5 * random.standard_normal((AMBIENT, DIM))
    V, W = random.standard_normal(F.shape), random.standard_normal(G.shape)
    return SubspaceGame(X, labels, dim=DIM, epsilon=epsilon), X, labels, F, G, V, W


@given(seed=seeds(), exponent=EXPONENTS)
def test_values_are_those_of_the_definition(seed, exponent):
    game, X, labels, F, G, *_ = case(seed, exponent)
    Q, distances = problems.utilities(X, labels, F, G, game.epsilon)
    size = 1 + abs(Q) + distances.sum()
    assert float(game.expressiveness(F)) == pytest.approx(Q, abs=1e-11 * size)
    assert np.allclose(game.distances(F, G), distances, rtol=0, atol=1e-11 * size)
    assert float(game.encoder_utility(F, G)) == pytest.approx(Q + distances.sum(), abs=1e-11 * size)
    assert float(game.decoder_utility(F, G)) == pytest.approx(-distances.sum(), abs=1e-11 * size)


@given(seed=seeds(), exponent=st.floats(-2, 2), weight=st.floats(-3, 2).map(lambda x: 10**x))
def test_distances_are_not_negative(seed, exponent, weight):
    game, _, _, F, G, *_ = case(seed, exponent, weight)
    found = np.asarray(game.distances(F, G))
    assert (found >= -1e-12).all()
    assert float(game.expressiveness(F)) >= -1e-12


@given(seed=seeds(), exponent=EXPONENTS)
def test_distances_vanish_only_at_equal_second_moments(seed, exponent):
    game, _, _, F, *_ = case(seed, exponent)
    exact = np.linalg.pinv(F)
    assert np.abs(game.distances(F, exact)).max() <= 1e-12
    turned = game.best_response(F).sample(seed)
    assert np.abs(game.distances(F, turned)).max() <= 1e-11
    # planted: a class whose moments differ, and no other
    C = game.spans.factors[1]
    direction = np.linalg.lstsq((F @ C).T, np.ones((1, 1)), rcond=None)[0].T  # 1 on f(X_1)
    others = np.concatenate([F @ C for j, C in enumerate(game.spans.factors) if j != 1], axis=1)
    seen = direction - direction @ others @ np.linalg.pinv(others)
    if others.shape[1] >= DIM:  # the other classes fill everything: all of them move
        off = exact + 0.1 * np.ones((AMBIENT, 1)) @ direction
        assert float(jnp.sum(game.distances(F, off))) > 1e-8
    else:
        assert seen.shape == direction.shape


@given(seed=seeds(), exponent=EXPONENTS)
def test_gradients_are_those_of_automatic_differentiation(seed, exponent):
    game, _, _, F, G, *_ = case(seed, exponent)
    found, (encoder, decoder) = game.gradient(F, G), automatic_gradients(game.data(np.float64), F, G)
    assert np.linalg.norm(found.encoder - encoder) <= 1e-10 * np.linalg.norm(encoder)
    assert np.linalg.norm(found.decoder - decoder) <= 1e-10 * np.linalg.norm(decoder)


@jax.jit
def automatic_gradients(data, F, G):
    return jax.grad(utilities.encoder_utility, 1)(data, F, G), jax.grad(utilities.decoder_utility, 2)(data, F, G)


@jax.jit
def automatic_hvp(data, F, G, V, W):
    return jax.jvp(lambda F, G: automatic_gradients(data, F, G), (F, G), (V, W))[1]


@given(seed=seeds(), exponent=EXPONENTS)
def test_hessian_products_are_those_of_automatic_differentiation(seed, exponent):
    game, _, _, F, G, V, W = case(seed, exponent)
    found, expected = game.hvp(F, G, V, W), automatic_hvp(game.data(np.float64), F, G, V, W)
    for own, other in zip(found, expected, strict=True):
        assert np.linalg.norm(own - other) <= 1e-10 * np.linalg.norm(other)


@given(seed=seeds(), exponent=st.floats(-2.5, -1))
def test_derivatives_at_fine_precision_lose_what_the_text_says(seed, exponent):
    game, _, _, F, G, V, W = case(seed, exponent)
    data = game.data(np.float64)
    condition = 1 + float(data.bs.max()) * max(
        np.linalg.norm(F @ C) ** 2 + np.linalg.norm(F @ G @ F @ C) ** 2 for C in game.spans.factors
    )
    rounding = 4 * np.finfo(np.float64).eps * condition
    pairs = zip(
        (*game.gradient(F, G), *game.hvp(F, G, V, W)),
        (*automatic_gradients(data, F, G), *automatic_hvp(data, F, G, V, W)),
        strict=True,
    )
    for number, (own, other) in enumerate(pairs):
        bound = rounding if number < 2 else rounding * condition
        assert np.linalg.norm(own - other) <= max(bound, 1e-13) * np.linalg.norm(other)


def along(game, F, G, V, W):
    """What the closed forms say of the encoder's utility along (V, W)."""
    first, second = game.gradient(F, G), game.hvp(F, G, V, W)
    return np.array([np.sum(V * part.encoder) - np.sum(W * part.decoder) for part in (first, second)])


@given(seed=seeds(), exponent=EXPONENTS)
def test_derivatives_are_those_of_the_definition(seed, exponent):
    game, X, labels, F, G, V, W = case(seed, exponent)
    expected = problems.encoder_utility_along(X, labels, F, G, V, W, game.epsilon)
    size = np.array([np.linalg.norm(V) + np.linalg.norm(W), np.linalg.norm(V) ** 2 + np.linalg.norm(W) ** 2])
    scale = np.array([np.linalg.norm(part) for part in (game.gradient(F, G).encoder, game.hvp(F, G, V, W).encoder)])
    assert (np.abs(along(game, F, G, V, W) - expected) <= 1e-10 * (np.abs(expected) + size * scale)).all()


@given(seed=seeds())
def test_hessian_is_symmetric_where_it_is_one(seed):
    game, _, _, F, G, V, W = case(seed)
    other = np.random.default_rng([seed, 2])
    V2, W2 = other.standard_normal(V.shape), other.standard_normal(W.shape)
    zero = np.zeros_like(W)  # of G's shape; its transpose is of F's
    # each player's own block
    first, second = game.hvp(F, G, V, zero).encoder, game.hvp(F, G, V2, zero).encoder
    assert float(np.sum(first * V2)) == pytest.approx(float(np.sum(second * V)), rel=1e-9, abs=1e-9)
    first, second = game.hvp(F, G, zero.T, W).decoder, game.hvp(F, G, zero.T, W2).decoder
    assert float(np.sum(first * W2)) == pytest.approx(float(np.sum(second * W)), rel=1e-9, abs=1e-9)
    # the mixed blocks are each other's transpose, with the sign turned
    first, second = game.hvp(F, G, zero.T, W).encoder, game.hvp(F, G, V, zero).decoder
    assert float(np.sum(first * V)) == pytest.approx(-float(np.sum(second * W)), rel=1e-9, abs=1e-9)


@given(seed=seeds())
def test_expressiveness_gradient_is_the_gradient_at_a_best_response(seed):
    game, _, _, F, *_ = case(seed)
    own = utilities.expressiveness_gradient(game.data(np.float64), jnp.asarray(F))
    found = game.gradient(F, np.linalg.pinv(F))
    assert np.linalg.norm(found.encoder - own) <= 1e-11 * np.linalg.norm(own)
    assert np.linalg.norm(found.decoder) <= 1e-11 * np.linalg.norm(own)


@given(seed=seeds(), distance=st.floats(-5, -1).map(lambda x: 10**x))
def test_little_cancels_near_a_best_response_in_float32(seed, distance):
    game, _, _, F, _, _, W = case(seed)
    random = np.random.default_rng([seed, 3])
    F = np.linalg.qr(random.standard_normal((AMBIENT, DIM)))[0].T  # well conditioned: F⁺ = Fᵀ
    G = F.T + distance * W
    single = np.asarray(game.gradient(*(np.asarray(A, dtype=np.float32) for A in (F, G))).decoder)
    assert single.dtype == np.float32
    # the same point in float64: what rounding F and G to float32 moves is no error of the gradient
    double = np.asarray(game.gradient(*(A.astype(np.float32).astype(np.float64) for A in (F, G))).decoder)
    products = 64 * np.finfo(np.float32).eps / distance
    assert np.linalg.norm(single - double) <= max(1e-4, products) * np.linalg.norm(double)


def differences(data, at):
    """The decoder's gradient with C̄_j − Ê_j as the difference that it is on paper."""
    across = (data.bs / 2)[:, None, None] * (at.middles - at.images)
    return -at.F.T @ jnp.sum(across @ at.image @ jnp.swapaxes(at.A, -1, -2), axis=0)


def test_the_difference_on_paper_loses_more():
    errors = []
    for seed in range(8):
        game, _, _, _, _, _, W = case(seed)
        F = np.linalg.qr(np.random.default_rng(seed).standard_normal((AMBIENT, DIM)))[0].T
        F, G = (np.asarray(A, dtype=np.float32) for A in (F, F.T + 1e-4 * W))
        double = np.asarray(game.gradient(F.astype(np.float64), G.astype(np.float64)).decoder)
        data = game.data(np.float32)
        planted = np.asarray(differences(data, utilities.point_at(data, jnp.asarray(F), jnp.asarray(G))))
        kept = np.asarray(game.gradient(F, G).decoder)
        errors.append([np.linalg.norm(own - double) / np.linalg.norm(double) for own in (kept, planted)])
    kept, planted = np.mean(errors, axis=0)
    assert kept < 1e-3
    assert planted > 2 * kept


def test_many_pairs_at_once():
    game, _, _, F, G, V, W = case(0)
    scales = np.linspace(0.5, 1.5, 3)
    Fs, Gs = (jnp.asarray(scales[:, None, None] * A[None]) for A in (F, G))

    @jax.jit
    @jax.vmap
    def everything(F, G):
        return game.encoder_utility(F, G), *game.gradient(F, G), *game.hvp(F, G, V, W)

    many = everything(Fs, Gs)
    for i in range(3):
        one = game.encoder_utility(Fs[i], Gs[i]), *game.gradient(Fs[i], Gs[i]), *game.hvp(Fs[i], Gs[i], V, W)
        assert all(np.allclose(own[i], other, rtol=1e-9, atol=1e-12) for own, other in zip(many, one, strict=True))


@pytest.mark.parametrize("weight", [0.0, 1e-200, 1e-8, 30.0])
def test_no_nan_at_the_ends(weight):
    game, _, _, F, G, V, W = case(0)
    for A, B in ((weight * F, G), (F, weight * G), (weight * F, weight * G)):
        numbers = (game.expressiveness(A), game.distances(A, B), *game.gradient(A, B), *game.hvp(A, B, V, W))
        assert all(bool(jnp.isfinite(number).all()) for number in numbers)


@pytest.mark.parametrize("epsilon", [1e-5, 1e-3, 1e3, 1e8, 1e60])
def test_huge_and_tiny_precision(epsilon):
    X, labels = problems.subspace_data(0, SIZES, RANKS, AMBIENT)
    game = SubspaceGame(X, labels, dim=DIM, epsilon=epsilon)
    _, _, _, F, G, V, W = case(0)
    numbers = (game.expressiveness(F), game.distances(F, G), *game.gradient(F, G), *game.hvp(F, G, V, W))
    assert all(bool(jnp.isfinite(number).all()) for number in numbers)
    assert (np.asarray(game.distances(F, G)) >= -1e-12 * max(1, epsilon**-2)).all()


# -- planted violations: each must be seen by the comparison that the properties above make ----------------------------------


def planted_gradients(change):
    """`utilities.gradients` on a point whose parts `change` has spoiled."""

    def spoiled(data, F, G):
        return utilities.gradients(data, change(utilities.point_at(data, jnp.asarray(F), jnp.asarray(G))))

    return spoiled


VIOLATIONS = {
    "a factor of two": lambda at: at._replace(across=2 * at.across),
    "a flipped sign": lambda at: at._replace(own=-at.own),
    "a dropped class": lambda at: at._replace(classes=at.classes.at[1].set(0)),
    "own and across exchanged": lambda at: at._replace(own=at.across, across=at.own),
    "M not transposed": lambda at: at._replace(M=at.M.T),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_a_planted_gradient_is_caught(name):
    game, X, labels, F, G, V, W = case(0)
    expected = problems.encoder_utility_along(X, labels, F, G, V, W, game.epsilon)[0]
    encoder, decoder = planted_gradients(VIOLATIONS[name])(game.data(np.float64), F, G)
    assert abs(np.sum(V * encoder) - np.sum(W * decoder) - expected) > 1e-4 * abs(expected)


def test_the_unspoiled_gradient_passes_the_same_check():
    game, X, labels, F, G, V, W = case(0)
    expected = problems.encoder_utility_along(X, labels, F, G, V, W, game.epsilon)[0]
    encoder, decoder = planted_gradients(lambda at: at)(game.data(np.float64), F, G)
    assert np.sum(V * encoder) - np.sum(W * decoder) == pytest.approx(expected, rel=1e-10)
