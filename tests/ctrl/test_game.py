"""The game on labeled data: it depends on nothing but coefficients, agrees with the library's constrained problem, and refuses
what it cannot be asked."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mcr2_landscape import ctrl
from mcr2_landscape.ctrl import SubspaceGame, utilities
from mcr2_landscape.testing import seeds
from mcr2_landscape.validation import InputError

from . import problems

SIZES, RANKS, AMBIENT, DIM = (5, 3, 4), (2, 1, 2), 6, 4
EXPONENTS = st.floats(-0.5, 1)


def case(seed, exponent=0.0):
    X, labels = problems.subspace_data(seed, SIZES, RANKS, AMBIENT)
    random = np.random.default_rng([seed, 1])
    F, G = random.standard_normal((DIM, AMBIENT)), 0.5 * random.standard_normal((AMBIENT, DIM))
    return SubspaceGame(X, labels, dim=DIM, epsilon=10**exponent), X, labels, F, G


def conditioned(game):
    """Whether going to coefficients and back costs few digits."""
    s = np.linalg.svd(game.spans.joined, compute_uv=False)
    return s[-1] > 1e-4 * s[0]


@given(seed=seeds(), exponent=EXPONENTS)
def test_expressiveness_is_the_constrained_problem_s_value(seed, exponent):
    game, _, _, F, _ = case(seed, exponent)
    A = game.coefficients(F)
    for constraint in ("balls", "spheres"):
        problem = game.reduced(constraint)
        assert problem.shape == (DIM, sum(RANKS))
        assert float(problem.value(A)) == pytest.approx(float(game.expressiveness(F)), rel=1e-10, abs=1e-12)
    # with the chain rule so do the gradients: Q(F) = value(F C)
    whole = jax.grad(lambda A: game.reduced("balls").value(A))(jnp.asarray(A))
    expected = np.asarray(whole) @ game.spans.joined.T
    found = np.asarray(game.gradient(F, np.linalg.pinv(F)).encoder)
    assert np.linalg.norm(found - expected) <= 1e-9 * np.linalg.norm(expected)


@given(seed=seeds())
def test_feasible_sets_correspond(seed):
    game, X, labels, F, _ = case(seed)
    values = np.array([np.sum((F @ X[labels == j].T) ** 2) / size for j, size in enumerate(SIZES)])
    assert np.allclose(game.feasibility(F), values, rtol=1e-10)
    A = game.coefficients(game.project(3 * F))
    blocks = np.split(A, np.cumsum(RANKS)[:-1], axis=1)
    assert all(np.sum(block**2) <= size * (1 + 1e-9) for block, size in zip(blocks, SIZES, strict=True))
    assert np.allclose(game.reduced("balls").constraint.project(jnp.asarray(A)), A, rtol=1e-8, atol=1e-12)


@given(seed=seeds())
def test_encoders_and_coefficients_are_one_to_one(seed):
    game, _, _, F, _ = case(seed)
    assume(conditioned(game))
    A = np.random.default_rng(seed).standard_normal((DIM, sum(RANKS)))
    assert np.allclose(game.coefficients(game.encoder_of(A)), A, atol=1e-9)
    U = game.spans.span
    assert np.allclose(game.encoder_of(game.coefficients(F)), F @ U @ U.T, atol=1e-8)  # the one of least norm


@given(first=seeds(), second=seeds())
def test_the_geometry_of_the_data_drops_out(first, second):
    game, *_ = case(first)
    other, *_ = case(second)
    assume(conditioned(game) and conditioned(other))
    A = np.random.default_rng([first, second]).standard_normal((DIM, sum(RANKS)))
    values = [float(own.expressiveness(own.encoder_of(A))) for own in (game, other)]
    assert values[0] == pytest.approx(values[1], rel=1e-8)
    assert game.optimum().value == other.optimum().value


@given(seed=seeds(), exponent=EXPONENTS)
def test_the_whitened_game_has_the_same_utilities(seed, exponent):
    game, _, _, F, G = case(seed, exponent)
    assume(conditioned(game))
    white = game.whitened()
    C = game.spans.joined
    U = game.spans.span
    F, G = F @ U @ U.T, U @ U.T @ G  # on the span of the data; beyond it the decoder writes what nobody reads
    A, B = F @ C, np.linalg.pinv(C) @ G
    assert white.ambient_dim == sum(RANKS)
    assert float(white.encoder_utility(A, B)) == pytest.approx(float(game.encoder_utility(F, G)), rel=1e-8)
    assert np.allclose(white.distances(A, B), game.distances(F, G), rtol=1e-7, atol=1e-10)
    # F = A C⁺, G = C B
    back = A @ np.linalg.pinv(C), C @ B
    assert float(game.encoder_utility(*back)) == pytest.approx(float(white.encoder_utility(A, B)), rel=1e-8)
    # there the constraint sets are balls, so that the projection is to scale each class
    found = white.project(3 * A)
    blocks = zip(np.split(3 * A, np.cumsum(RANKS)[:-1], axis=1), SIZES, strict=True)
    expected = np.concatenate([block * min(1, np.sqrt(size) / np.linalg.norm(block)) for block, size in blocks], axis=1)
    assert np.allclose(found, expected, rtol=1e-9, atol=1e-12)


@given(seed=seeds(), relabeled=st.permutations([4, 0, 9]))
def test_order_of_samples_and_names_do_not_matter(seed, relabeled):
    game, X, labels, F, G = case(seed)
    order = np.random.default_rng(seed).permutation(len(labels))
    other = SubspaceGame(X[order], np.array(relabeled)[labels][order], dim=DIM, epsilon=1.0)
    for utility in ("expressiveness", "encoder_utility", "decoder_utility"):
        arguments = (F,) if utility == "expressiveness" else (F, G)
        found, expected = float(getattr(other, utility)(*arguments)), float(getattr(game, utility)(*arguments))
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-10)
    position = {name: i for i, name in enumerate(other.spans.names)}
    distances = np.asarray(other.distances(F, G))
    assert np.allclose([distances[position[name]] for name in relabeled], game.distances(F, G), rtol=1e-8, atol=1e-10)
    assert other.optimum().value == pytest.approx(game.optimum().value, rel=1e-13)
    assert np.allclose(other.project(F), game.project(F), atol=1e-8)


@given(seed=seeds())
def test_rotating_what_the_encoder_gives_changes_nothing(seed):
    game, _, _, F, G = case(seed)
    Q = problems.orthonormal(seed, DIM, DIM)
    for utility in (game.encoder_utility, game.decoder_utility):
        assert float(utility(Q @ F, G @ Q.T)) == pytest.approx(float(utility(F, G)), rel=1e-9, abs=1e-10)


def test_values_in_the_middle_of_training_are_traced():
    game, _, _, F, G = case(0)
    fresh, *_ = case(0)

    @jax.jit
    def step(F, G):
        gradients = fresh.gradient(F, G)  # the first call of this game is under a trace
        return F + 1e-3 * gradients.encoder, G + 1e-3 * gradients.decoder

    moved = step(jnp.asarray(F), jnp.asarray(G))
    assert float(fresh.expressiveness(F)) == pytest.approx(float(game.expressiveness(F)))  # nothing of the trace was kept
    assert all(np.isfinite(part).all() for part in moved)


def test_float32_agrees_with_float64():
    game, _, _, F, G = case(0)
    single = [np.asarray(A, dtype=np.float32) for A in (F, G)]
    assert game.encoder_utility(*single).dtype == np.float32
    assert float(game.encoder_utility(*single)) == pytest.approx(float(game.encoder_utility(F, G)), rel=1e-4)
    for one, two in zip(game.gradient(*single), game.gradient(F, G), strict=True):
        assert one.dtype == np.float32
        assert np.linalg.norm(np.asarray(one, dtype=float) - np.asarray(two)) <= 1e-3 * np.linalg.norm(two)


def test_float32_data_make_a_game():
    X, labels = problems.subspace_data(0, (20, 15), (2, 1), 6)
    game = SubspaceGame(X.astype(np.float32), labels, dim=3, epsilon=1.0)
    assert game.ranks == (2, 1)
    assert game.optimum().value == pytest.approx(SubspaceGame(X, labels, dim=3, epsilon=1.0).optimum().value, rel=1e-12)


def test_bad_games():
    X, labels = problems.subspace_data(0, SIZES, RANKS, AMBIENT)

    def refused(message, X=X, labels=labels, **options):
        with pytest.raises(InputError, match=message):
            SubspaceGame(X, labels, **({"dim": DIM, "epsilon": 1.0} | options))

    refused("dim: found 0", dim=0)
    refused("dim", dim=2.5)
    refused("epsilon", epsilon=0.0)
    refused("epsilon", epsilon=-1.0)
    refused("epsilon", epsilon=np.inf)
    refused("epsilon: found 1e-90", epsilon=1e-90)
    refused("NaN", X=np.where(X > 1, np.nan, X))
    refused("labels", labels=labels[1:])
    refused("class", labels=np.zeros(len(labels), int))
    refused("class 1 are zero", X=X * (labels != 1)[:, None])


def test_dependent_classes_are_named_where_independence_is_needed():
    Q = problems.orthonormal(0, 5, 5)
    random = np.random.default_rng(0)
    X = np.concatenate([random.standard_normal((4, 2)) @ Q[[0, 1]], random.standard_normal((4, 2)) @ Q[[1, 2]]])
    game = SubspaceGame(X, np.repeat(["cats", "dogs"], 4), dim=4, epsilon=1.0)
    for call in (game.optimum, game.reduced, game.whitened, lambda: game.encoder_of(np.zeros((4, 4)))):
        with pytest.raises(InputError, match=r"dependent.*cats and dogs.*in 1 dimension"):
            call()
    # the rest works for them too
    F, G = random.standard_normal((4, 5)), random.standard_normal((5, 4))
    assert np.isfinite(float(game.encoder_utility(F, G)))
    assert (game.feasibility(game.project(F)) <= 1 + 1e-9).all()
    assert game.is_best_response(F, game.best_response(F).decoder)
    assert game.hypotheses()[0].verdict == "refuted"


def test_bad_arguments():
    game, _, _, F, G = case(0)
    for call, message in (
        (lambda: game.encoder_utility(F.T, G), r"F: found shape .* it looks transposed: F is \(d_z, d_x\) and G \(d_x, d_z\)"),
        (lambda: game.feasibility(F * np.nan), "F: found NaN in .*; pass finite entries"),
        (lambda: game.gradient(1e200 * F, G), "F: its image .* is too large beside epsilon for derivatives"),
        (lambda: game.hvp(1e200 * F, G, F, G), "F: its image .* is too large beside epsilon for derivatives"),
        (lambda: game.decoder_utility(F, F), "G: found shape"),
        (lambda: game.gradient(F * np.nan, G), "F: found NaN"),
        (lambda: game.gradient(F.astype(np.float32), G), "G: found float64, but F is float32"),
        (lambda: game.hvp(F, G, F.T, G), "V: found shape"),
        (lambda: game.hvp(F, G, F, G * np.inf), "W: found infinity"),
        (lambda: game.project(F.astype(np.float32)), "F: found float32"),
        (lambda: game.reduced("cubes"), "constraint: found 'cubes'"),
        (lambda: game.reduced("unit columns"), "unit length"),
        (lambda: game.encoder_of(F), "A: found shape"),
        (lambda: game.coefficients(F * np.nan), "F: found NaN"),
    ):
        with pytest.raises(InputError, match=message):
            call()


def test_names_of_the_package():
    assert ctrl.full_rank_threshold(2, 0.5) == pytest.approx(1.540558, abs=5e-7)
    assert ctrl.optimal_multiplicity(20, 2, 0.5, 4, 1.3**0.5).multiplicity == 1
    assert "ranks=(2, 1, 2)" in repr(case(0)[0])


@pytest.mark.parametrize("spoil", ["scale of b", "size of a class", "classes not apart"])
def test_planted_reductions_are_caught(spoil):
    game, _, _, F, _ = case(0)
    A, right = game.coefficients(F), float(game.expressiveness(F))
    if spoil == "scale of b":
        from mcr2_landscape import ConstrainedMCR2

        wrong = ConstrainedMCR2(DIM, SIZES, 2.0).with_ranks(RANKS).value(A)
    elif spoil == "size of a class":
        from mcr2_landscape import ConstrainedMCR2

        wrong = ConstrainedMCR2(DIM, (4, 4, 4), 1.0).with_ranks(RANKS).value(A)
    else:
        wrong = game.reduced().value(A[:, ::-1].copy())
    assert abs(float(wrong) - right) > 1e-3 * right


def test_the_order_of_moves_matters():
    """Maximin is max Q; whatever the decoder commits to first, some rotation of an optimal encoder gets clearly more. Decoders
    that were made to lose as little as possible against many rotations do too."""
    X, labels = problems.subspace_data(3, (8, 8), (1, 1), 3)
    game = SubspaceGame(X, labels, dim=3, epsilon=0.7)
    end = game.solve(key=0)
    assert end.decided
    random = np.random.default_rng(0)
    rotations = np.stack([np.linalg.qr(random.standard_normal((3, 3)))[0] for _ in range(200)])
    encoders = jnp.asarray(rotations @ end.F)
    data = game.data(np.float64)

    def lost(G):
        """The mean of the largest distances over rotations of the encoder: the leader's gain."""
        found = jax.vmap(lambda F: jnp.sum(utilities.distances(data, F, G)))(encoders)
        return jax.nn.logsumexp(40 * found) / 40, jnp.max(found)

    step = jax.jit(jax.value_and_grad(lost, has_aux=True))
    for start in (end.G, np.zeros_like(end.G), *(scale * random.standard_normal(end.G.shape) for scale in (0.1, 1.0))):
        G = jnp.asarray(start)
        for _ in range(200):
            (_, gain), slope = step(G)
            G = G - 0.05 * slope
        assert gain > 0.3
        best = max(float(game.encoder_utility(F, G)) for F in encoders)  # all feasible, each with Q = max Q
        assert best >= end.value + 0.3
    # planted: against the encoder that moves first nothing is lost
    assert float(jnp.sum(game.distances(end.F, end.G))) < 1e-12
