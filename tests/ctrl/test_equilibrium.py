"""Reports on pairs of encoder and decoder: equilibria with every condition, and planted violations of each."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from hypothesis import example, given, settings
from hypothesis import strategies as st

import mcr2_landscape as ml
from mcr2_landscape import ctrl
from mcr2_landscape.ctrl import frames, second_order, stability, utilities
from mcr2_landscape.ctrl.solve import orthogonal_coefficients
from mcr2_landscape.testing import seeds

HOLDS, REFUTED, UNDECIDED = ml.Verdict.HOLDS, ml.Verdict.REFUTED, ml.Verdict.UNDECIDED


def game_of(sizes=(10, 10), ranks=(2, 2), dim=4, square=0.8, key=0):
    """Random independent classes in one dimension more than they span; the precision is the square root of `square`."""
    random = np.random.default_rng(key)
    parts = [
        random.standard_normal((size, rank)) @ random.standard_normal((rank, sum(ranks) + 1))
        for size, rank in zip(sizes, ranks, strict=True)
    ]
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return ctrl.SubspaceGame(np.concatenate(parts), labels, dim=dim, epsilon=square**0.5)


@pytest.fixture(scope="module")
def game():
    return game_of()


@pytest.fixture(scope="module")
def solved(game):
    return game.solve(key=0)


def encoder(game, counts, key=0):
    return game.encoder_of(orthogonal_coefficients(game, counts, np.random.default_rng(key)))


def answered(game, F):
    return game.verify_equilibrium(F, game.best_response(F).decoder)


def test_an_equilibrium_meets_every_condition_but_nash(game, solved):
    report = game.verify_equilibrium(solved.F, solved.G)
    assert report.value == pytest.approx(0.3690974639372895, abs=1e-12)
    assert (report.feasible, report.best_response, report.stackelberg, report.injective) == (HOLDS,) * 4
    assert report.kind is ml.Kind.LOCAL_MAXIMIZER
    assert "none left over" in report.kind_reason  # definite across the orbit: Morse–Bott
    assert report.kept == (2, 2)
    assert report.nash is REFUTED
    assert report.encoder_curvature > 0.01
    assert np.abs(report.distances).max() <= 1e-12
    assert report.stability_ratio == pytest.approx(1 / 25, rel=1e-6)
    json.dumps(report.to_dict(), allow_nan=False)


@given(seeds())
@settings(max_examples=5)
def test_every_best_response_makes_an_equilibrium(game, solved, seed):
    G = game.best_response(solved.F).sample(seed)
    report = game.verify_equilibrium(solved.F, G)
    assert (report.best_response, report.stackelberg, report.nash) == (HOLDS, HOLDS, REFUTED)


# -- planted violations -------------------------------------------------------------------------------------------------------


def test_an_infeasible_encoder_is_refuted(game, solved):
    report = game.verify_equilibrium(1.01 * solved.F, solved.G / 1.01)
    assert (report.feasible, report.stackelberg, report.nash) == (REFUTED,) * 3
    assert report.violations == pytest.approx(0.0201, rel=1e-6)
    assert report.kind is ml.Kind.UNDECIDED
    assert report.stability_ratio is None


def test_another_decoder_is_refuted(game, solved):
    report = game.verify_equilibrium(solved.F, 0.9 * solved.G)
    assert (report.best_response, report.stackelberg, report.nash) == (REFUTED,) * 3
    assert report.distances.min() > 1e-4
    nothing = game.verify_equilibrium(solved.F, 0 * solved.G)  # critical for the decoder, though the worst that it can do
    assert (nothing.best_response, nothing.stackelberg, nothing.nash) == (REFUTED, REFUTED, UNDECIDED)


def test_a_local_maximum_that_is_not_global_is_refuted_with_its_gap(game):
    report = answered(game, encoder(game, (1, 1)))
    assert report.kind is ml.Kind.LOCAL_MAXIMIZER
    assert report.stackelberg is REFUTED
    assert report.gap == pytest.approx(0.3690974639372895 - report.value, abs=1e-12)
    assert report.gap > 0.01
    assert (report.injective, report.lost) == (REFUTED, (1, 1))


def test_unequal_singular_values_make_a_strict_saddle(game):
    """Values y and 1/y, in units of the inflection at one, in either class: critical, never a maximum."""
    N = 4 / 0.8 * np.sqrt(0.5)  # ‖A_j‖² in those units
    large = (N + np.sqrt(N * N - 4)) / 2
    A = np.zeros((4, 4))
    A[0, 0], A[1, 1] = np.sqrt(10 * np.array([large, 1 / large]) / N)
    A[2, 2], A[3, 3] = np.sqrt([5, 5])
    report = answered(game, game.encoder_of(A))
    assert report.kind is ml.Kind.STRICT_SADDLE
    assert report.value == pytest.approx(0.3578355, abs=1e-7)
    assert (report.stackelberg, report.injective) == (REFUTED, HOLDS)
    both = A.copy()
    both[2, 2], both[3, 3] = A[0, 0], A[1, 1]
    assert answered(game, game.encoder_of(both)).kind is ml.Kind.STRICT_SADDLE


def test_an_encoder_that_is_not_critical_is_refuted(game):
    F = game.project(10 * np.random.default_rng(0).standard_normal((4, 5)))
    report = answered(game, F)
    assert report.kind is ml.Kind.NOT_CRITICAL
    assert (report.stackelberg, report.nash) == (REFUTED, REFUTED)
    assert report.stability_ratio is None


@pytest.fixture(scope="module")
def narrow():
    return game_of(ranks=(2, 1), dim=2, square=0.5)


def test_a_collapsed_class_may_be_a_strict_local_maximum_on_balls(narrow):
    game = narrow
    report = answered(game, game.encoder_of(np.sqrt(5) * np.eye(2, 3)))
    assert report.value == pytest.approx(0.1438410, abs=1e-7)
    assert report.attainable == pytest.approx(0.2938933, abs=1e-7)
    assert report.kind is ml.Kind.LOCAL_MAXIMIZER
    assert report.stackelberg is REFUTED
    assert report.kept == (2, 0)


def test_a_collapsed_class_is_no_maximum_where_a_direction_is_free(narrow):
    """Zero is degenerate there, and the fourth order leads up."""
    game = narrow
    A = np.zeros((2, 3))
    A[0, 0] = np.sqrt(10)
    report = answered(game, game.encoder_of(A))
    assert report.kind is ml.Kind.DEGENERATE
    assert "not a maximizer, fourth order" in report.kind_reason


def test_large_problems_get_their_cheap_answers(monkeypatch, game, solved):
    monkeypatch.setattr(second_order, "MAX_CLASSIFIED", 10)
    monkeypatch.setattr(second_order, "MAX_UNKNOWNS", 10)
    report = game.verify_equilibrium(solved.F, solved.G)
    assert report.stackelberg is HOLDS
    assert report.kind is ml.Kind.UNDECIDED
    assert report.nash is REFUTED  # by the rotation of two classes into each other
    assert report.stability_ratio is None
    assert "more than the 10" in report.stability_reason
    with pytest.raises(ml.InputError, match="more than the 10"):
        ctrl.envelope_residual(game, solved.F, solved.G)


def test_bad_arguments_are_named(game, solved):
    with pytest.raises(ml.InputError, match="F: found shape"):
        game.verify_equilibrium(solved.F.T, solved.G)
    with pytest.raises(ml.InputError, match="G: found float32"):
        game.verify_equilibrium(solved.F, solved.G.astype(np.float32))
    with pytest.raises(ml.InputError, match="attainable"):
        game.verify_equilibrium(solved.F, solved.G, attainable=np.nan)


@pytest.mark.parametrize("factor", [0.0, 0.9])
def test_an_encoder_in_the_interior_is_refuted(game, solved, factor):
    """No class is active there."""
    report = answered(game, factor * solved.F)
    assert (report.feasible, report.stackelberg) == (HOLDS, REFUTED)
    assert report.nash is (REFUTED if factor else UNDECIDED)


@pytest.mark.parametrize("epsilon", [1e5, 1e8])
def test_zero_is_no_equilibrium_however_coarse_the_precision(monkeypatch, epsilon):
    """Values are far below any absolute tolerance."""
    monkeypatch.setattr(second_order, "MAX_CLASSIFIED", 0)
    monkeypatch.setattr(second_order, "MAX_NUMBERS", 0)
    game = game_of(square=epsilon**2)
    found = game.solve(key=0)
    assert found.verdict is HOLDS
    assert found.value == pytest.approx(game.optimum().value, rel=1e-10)
    assert answered(game, found.F).stackelberg is HOLDS
    assert answered(game, 0 * found.F).stackelberg is REFUTED
    assert answered(game, 0.999 * found.F).stackelberg is REFUTED


@pytest.mark.parametrize("decades", [8, 9])
def test_singular_values_far_apart_leave_it_open_and_refute_nothing(monkeypatch, decades):
    """The library's own optimum is not refuted for what rounding makes of it; one that is plainly worse is."""
    monkeypatch.setattr(second_order, "MAX_NUMBERS", 0)
    random = np.random.default_rng(0)
    scales = np.logspace(0, -decades, 3)[:, None]
    X = [random.standard_normal((30, 3)) @ (scales * random.standard_normal((3, 7))) for _ in range(2)]
    game = ctrl.SubspaceGame(np.concatenate(X), np.repeat([0, 1], 30), dim=6, epsilon=0.5)
    found = game.solve(key=0)
    assert found.verdict is UNDECIDED
    report = game.verify_equilibrium(found.F, found.G)
    assert REFUTED not in (report.feasible, report.best_response, report.stackelberg, report.nash)
    assert report.stackelberg is UNDECIDED
    assert game.verify_equilibrium(0.9 * found.F, found.G / 0.9).stackelberg is REFUTED


def test_derivatives_without_digits_decide_nothing():
    game = game_of(square=1e-18)
    found = game.solve(key=0)
    report = game.verify_equilibrium(found.F, found.G)
    assert report.nash is UNDECIDED
    assert REFUTED not in (report.best_response, report.stackelberg)


# -- second order -------------------------------------------------------------------------------------------------------------


def test_second_derivatives_are_those_of_the_utilities(game, solved):
    frame = frames.frame_of(game, solved.F, game.best_response(solved.F).sample(0))
    blocks = second_order.blocks_of(frame)
    data, F, G = frame.data, jnp.asarray(frame.F), jnp.asarray(frame.G)
    assert float(utilities.expressiveness(data, F)) == pytest.approx(solved.value, abs=1e-12)

    random, h = np.random.default_rng(0), 1e-5
    V, W = random.standard_normal(frame.F.shape), random.standard_normal(frame.G.shape)

    def difference(V, W):
        ends = [second_order.first_order(data, F + t * V, G + t * W)[1:] for t in (h, -h)]
        return [np.asarray(plus - minus).ravel() / (2 * h) for plus, minus in zip(*ends, strict=True)]

    for ours, theirs in (
        (blocks.own @ V.ravel(), difference(V, 0 * W)[0]),
        (blocks.mixed @ W.ravel(), difference(0 * V, W)[0]),
        (-blocks.mixed.T @ V.ravel(), difference(V, 0 * W)[1]),
        (-blocks.decoder @ W.ravel(), difference(0 * V, W)[1]),
    ):
        assert np.linalg.norm(ours - theirs) <= 1e-6 * np.linalg.norm(theirs)
    ends = [utilities.expressiveness_gradient(data, F + t * V) for t in (h, -h)]
    seen = np.asarray(ends[0] - ends[1]).ravel() / (2 * h)
    assert np.linalg.norm(blocks.expressive @ V.ravel() - seen) <= 1e-6 * np.linalg.norm(seen)


@pytest.mark.parametrize(
    ("dim", "square", "response", "zero"),
    [
        (4, 0.8, None, True),  # full row rank
        (4, 0.8, 0, True),
        (5, 0.8, None, True),  # rank below d_z, but gf = id on Col X
        (5, 0.8, 0, False),
        (4, 1.3, None, False),  # a dimension lost in either class
    ],
)
def test_the_leader_sees_its_value_alone_where_the_decoder_can_follow(dim, square, response, zero):
    game = game_of(dim=dim, square=square)
    F = game.solve(key=0).F
    responses = game.best_response(F)
    residual = ctrl.envelope_residual(game, F, responses.decoder if response is None else responses.sample(response))
    assert residual <= 1e-9 if zero else 0.1 < residual < 0.9


def ratio_of(sizes, square, m=2, dim=4):
    """The larger of 1/(s_i s_j)² of two classes and, within one, 1/s⁴ + 8 h''(s²) (1 + x)²/x² x = b_j s²: docs/ctrl.md."""
    n, a = sum(sizes), dim / square
    found = [m * m / (sizes[0] * sizes[1])]
    for size in sizes:
        x, gamma = a / m, size / n
        bent = 0.5 * (gamma * (a / size) ** 2 / (1 + x) ** 2 - (a / n) ** 2 / (1 + gamma * x) ** 2)
        found.append(m * m / size**2 + 8 * bent * (1 + x) ** 2 / x**2)
    return max(found)


@given(sizes=st.tuples(st.integers(4, 60), st.integers(4, 60)), square=st.floats(0.05, 2.0))
@example(sizes=(4, 9), square=0.625)  # the pair within the small class decides
@example(sizes=(10, 10), square=0.8)
@settings(max_examples=6)
def test_the_stability_ratio_is_set_by_the_singular_values(sizes, square):
    """With G = F⁺ and nothing lost."""
    game = game_of(sizes=sizes, square=square)
    found = game.solve(key=0)
    report = game.verify_equilibrium(found.F, found.G)
    if found.multiplicities == (2, 2):
        assert report.stability_ratio == pytest.approx(ratio_of(sizes, square), rel=1e-5), report.stability_reason
    elif game.optimum().tied == (None, None):
        assert report.stability_ratio is not None, report.stability_reason
        ratio = report.stability_ratio
        if ratio == np.inf:
            assert growth(game, found.F, found.G, 1.0) > 1e-7
        else:
            assert growth(game, found.F, found.G, 1.1 * ratio or 1.0) < 1e-7
            assert ratio == 0 or growth(game, found.F, found.G, 0.9 * ratio) > 1e-7


@pytest.mark.parametrize("sizes", [(1000, 1000), (40, 4000), (10_000, 10_000)])
def test_the_stability_ratio_of_large_and_of_very_unequal_classes(sizes):
    game = game_of(sizes=sizes, square=0.05)
    found = game.solve(key=0)
    assert found.multiplicities == (2, 2)
    report = game.verify_equilibrium(found.F, found.G)
    assert report.stability_ratio == pytest.approx(ratio_of(sizes, 0.05), rel=1e-5), report.stability_reason


def growth(game, F, G, ratio):
    """The largest real part of the derivative of simultaneous ascent in whitened coordinates, encoder on spheres, by automatic
    differentiation of the utilities as the definition has them; what is on the manifold of equilibria has zero."""
    A, H = F @ game.spans.joined, np.linalg.lstsq(game.spans.joined, G, rcond=None)[0]
    own = np.split(np.arange(A.shape[1]), np.cumsum(game.ranks)[:-1])
    n, d = sum(game.sizes), game.dim
    rates = [d / (size * game.epsilon**2) for size in game.sizes]

    def rate(b, P):
        return 0.5 * jnp.linalg.slogdet(jnp.eye(d) + b * P)[1]

    def distance(A, H):
        P = [A[:, c] @ A[:, c].T for c in own]
        seen = [A @ H @ p @ H.T @ A.T for p in P]
        return sum(rate(b, (p + q) / 2) - rate(b, p) / 2 - rate(b, q) / 2 for b, p, q in zip(rates, P, seen, strict=True))

    def utility(A, H):
        P = [A[:, c] @ A[:, c].T for c in own]
        whole = rate(d / (n * game.epsilon**2), sum(P))
        return whole - sum(size / n * rate(b, p) for size, b, p in zip(game.sizes, rates, P, strict=True)) + distance(A, H)

    def flow(point):
        A, H = point[:A_size].reshape(d, -1), point[A_size:].reshape(-1, d)
        up = jax.grad(utility)(A, H)
        for c, size in zip(own, game.sizes, strict=True):
            up = up.at[:, c].add(-A[:, c] * jnp.sum(A[:, c] * up[:, c]) / size)
        return jnp.concatenate([up.ravel(), -ratio * jax.grad(distance, argnums=1)(A, H).ravel()])

    A_size = A.size
    J = np.array(jax.jacfwd(flow)(jnp.concatenate([jnp.asarray(A).ravel(), jnp.asarray(H).ravel()])))
    # the normal directions of the spheres are no directions of the flow
    normal = np.zeros((len(own), J.shape[0]))
    for row, c in zip(normal, own, strict=True):
        row[:A_size].reshape(d, -1)[:, c] = A[:, c]
    basis = scipy.linalg.null_space(normal)
    return float(np.linalg.eigvals(basis.T @ J @ basis).real.max())


@pytest.mark.parametrize(
    ("sizes", "square", "stable"), [((4, 4), 2.0, True), ((10, 10), 2.0, False), ((40, 40_000), 0.8, False)]
)
def test_with_a_dimension_lost_a_fast_decoder_helps_or_it_does_not(sizes, square, stable):
    game = game_of(sizes=sizes, square=square)
    found = game.solve(key=0)
    assert found.multiplicities[0] == 1
    report = game.verify_equilibrium(found.F, found.G)
    assert report.stability_ratio is not None, report.stability_reason
    assert np.isfinite(report.stability_ratio) == stable, report.stability_reason
    ratios = report.stability_ratio * np.array([0.9, 1.1]) if stable else np.array([1e-4, 1e-2, 1, 1e2, 1e4])
    rates = [growth(game, found.F, found.G, ratio) for ratio in ratios]
    if stable:
        assert rates[0] > 1e-6 > rates[1], rates
    else:
        assert min(rates) > 1e-6, rates


def test_both_sides_of_the_ratio_are_confirmed_by_the_flow(game, solved):
    """A small perturbation of the equilibrium under simultaneous steps in whitened coordinates, encoder on spheres."""
    G = game.best_response(solved.F).sample(3)
    report = game.verify_equilibrium(solved.F, G)
    ratio = report.stability_ratio
    assert 0 < ratio < np.inf
    frame = frames.frame_of(game, solved.F, G)
    data, radii = frame.data, jnp.sqrt(jnp.asarray(np.array(frame.sizes, dtype=np.float64)))
    masks = jnp.asarray(np.stack([(C != 0).any(axis=1) for C in frame.factors]).astype(np.float64))  # columns of each class
    free = 1 - masks.sum(axis=0)

    def normalize(F):
        norms = jnp.sqrt(masks @ jnp.sum(F * F, axis=0))
        return F * (((radii / norms) @ masks) + free)[None, :]

    @jax.jit
    def run(F, G, ratio, step, count):
        def body(_, state):
            F, G, most = state
            most = jnp.maximum(most, jnp.sum(utilities.distances(data, F, G)))
            encoder, decoder = utilities.gradients(data, utilities.point_at(data, F, G))
            inner = masks @ jnp.sum(F * encoder, axis=0) / radii**2
            return normalize(F + step * (encoder - F * (inner @ masks)[None, :])), G + step * ratio * decoder, most

        F, G, most = jax.lax.fori_loop(0, count, body, (F, G, jnp.zeros(())))
        return most, jnp.sum(utilities.distances(data, F, G))

    random = np.random.default_rng(0)
    F = normalize(jnp.asarray(frame.F * (1 + 1e-5 * random.standard_normal(frame.F.shape))))
    G = jnp.asarray(frame.G * (1 + 1e-5 * random.standard_normal(frame.G.shape)))
    before = float(jnp.sum(utilities.distances(data, F, G)))
    assert before > 1e-13
    for factor in (0.5, 2.0):
        most, after = map(float, run(F, G, jnp.asarray(factor * ratio), jnp.asarray(0.05), jnp.asarray(20_000)))
        # leaving this equilibrium, the players may well come to another one
        assert (most > 100 * before) if factor < 1 else (max(after, 0) < 1e-3 * before), (factor, before, most, after)


def test_the_linearization_agrees_with_its_exponential(game, solved):
    report = game.verify_equilibrium(solved.F, solved.G)
    frame = frames.frame_of(game, solved.F, solved.G)
    linear = stability.linearization(game, solved.F, solved.G)
    assert not isinstance(linear, str)
    start = np.random.default_rng(0).standard_normal(linear.basis.shape[1])
    for factor in (0.8, 1.25):
        J = linear.at(factor * report.stability_ratio)
        time = 30 / abs(linear.abscissa(factor * report.stability_ratio))
        end = np.linalg.norm(scipy.linalg.expm(time * J) @ start)
        assert (end > 1e3) if factor < 1 else (end < 1e-3)
    assert linear.jacobian.shape[0] == 2 * frame.F.size - 2
