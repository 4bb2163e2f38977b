"""Gradient dynamics of the game: each step against a plain loop, where they end, and the projection that is none."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcr2_landscape.ctrl import SingleSubspaceGame, SubspaceGame
from mcr2_landscape.ctrl.dynamics import perturbed, play
from mcr2_landscape.ctrl.multiplicity import capacity_of, value_of
from mcr2_landscape.testing import seeds
from mcr2_landscape.validation import InputError

SEEDS = 16
METHODS = ("gdmax", "alternating", "simultaneous", "extragradient")


@functools.cache
def game():
    """Two classes of 10 samples on planes that share most of their directions; the optimum is 0.89579."""
    random = np.random.default_rng(0)
    shared = random.standard_normal((6, 2))
    classes = [(0.7 * shared + 0.3 * random.standard_normal((6, 2))) @ random.standard_normal((2, 10)) for _ in range(2)]
    return SubspaceGame(np.concatenate(classes, axis=1).T, [0] * 10 + [1] * 10, dim=4, epsilon=0.3**0.5)


def starts(seed):
    """Encoders and decoders that every test runs from, so that the batch has one shape."""
    random = np.random.default_rng(seed)
    return random.standard_normal((SEEDS, 4, 6)), 0.3 * random.standard_normal((SEEDS, 6, 4))


def value_with(*multiplicities):
    """Q of mutually orthogonal classes with so many equal directions."""
    return sum(value_of(m, capacity_of(0.5, 4, 0.3**0.5), 0.5) for m in multiplicities)


def plain_loop(own, F, G, method, rates, num_steps, decoder_steps):
    """One start, on the host, through the game's own gradients and projection."""
    slow, fast = rates
    F = own.project(F)

    def answer(F, G):
        return np.array(own.gradient(F, G).decoder)

    for _ in range(num_steps):
        if method == "gdmax":
            F = own.project(F + slow * np.array(own.gradient(F, np.linalg.pinv(F, rcond=1e-10)).encoder))
            G = np.linalg.pinv(F, rcond=1e-10)
            continue
        if method == "alternating":
            for _ in range(decoder_steps):
                G = G + fast * answer(F, G)
            F = own.project(F + slow * np.array(own.gradient(F, G).encoder))
            continue
        there, reply = F, G
        if method == "extragradient":
            there = own.project(F + slow * np.array(own.gradient(F, G).encoder))
            reply = G + fast * answer(F, G)
        up, down = (np.array(part) for part in own.gradient(there, reply))
        F, G = own.project(F + slow * up), G + fast * down
    return F, G


# in features each method compiles for some seconds more
@pytest.mark.parametrize("coordinates", ["whitened", pytest.param("features", marks=pytest.mark.slow)])
@pytest.mark.parametrize("method", METHODS)
def test_each_step_is_what_a_plain_loop_does(method, coordinates):
    F, G = starts(1)
    rates = (0.5, 0.05) if coordinates == "whitened" else (0.01, 0.5)
    used = {} if method == "gdmax" else {"decoder_rate": rates[1]}
    used |= {"decoder_steps": 3} if method == "alternating" else {}
    found = play(
        game(),
        starts=(F, G),
        method=method,
        coordinates=coordinates,
        encoder_rate=rates[0],
        num_steps=3,
        record_every=2,
        **used,
    )
    assert found.steps.tolist() == [0, 2, 3]
    assert (found.encoder_rate, found.decoder_rate) == (rates[0], used.get("decoder_rate"))
    joined = game().spans.joined
    for lane in (0, 5):
        if coordinates == "features":
            end = plain_loop(game(), F[lane], G[lane], method, rates, 3, 3)
        else:
            dual = np.linalg.pinv(joined)
            A, B = plain_loop(game().whitened(), F[lane] @ joined, dual @ G[lane], method, rates, 3, 3)
            end = A @ dual, joined @ B
        assert np.abs(found.encoders[lane] - end[0]).max() <= 1e-9 * np.abs(end[0]).max()
        if method == "gdmax":  # the decoder is a best response, one of many
            assert game().is_best_response(found.encoders[lane], found.decoders[lane])
        else:
            assert np.abs(found.decoders[lane] - end[1]).max() <= 1e-9 * np.abs(end[1]).max()
        # the record is of the pair that is returned
        assert abs(float(game().expressiveness(*end[:1])) - found.expressiveness[lane, -1]) <= 1e-9
        if method != "gdmax":
            assert abs(float(np.sum(game().distances(*end))) - found.distance[lane, -1]) <= 1e-9
        assert game().feasibility(found.encoders[lane]).max() <= 1 + 1e-9


@settings(max_examples=6)
@given(seeds())
def test_gdmax_never_descends_and_never_passes_the_optimum(seed):
    found = play(game(), key=seed, num_steps=150, record_every=1)
    assert np.diff(found.expressiveness, axis=1).min() >= -1e-12
    assert found.expressiveness.max() <= found.optimum + 1e-12
    assert found.violation.max() <= 1e-12
    assert np.abs(found.distance).max() <= 1e-10
    assert found.response_error.max() <= 1e-6
    # far beyond the curvature's bound it would have been seen to descend
    assert np.diff(play(game(), key=seed, num_steps=20, record_every=1, encoder_rate=1e3).expressiveness, axis=1).min() < -1e-3


def test_where_gdmax_ends():
    found = play(game(), key=0, num_seeds=SEEDS, num_steps=1500)
    assert abs(found.optimum - 0.8957922103258141) <= 1e-14
    best = np.abs(found.gaps) <= 1e-9
    assert best.sum() == 12
    # the others have lost a direction of one class: local maxima
    assert np.abs(found.expressiveness[~best, -1] - value_with(2, 1)).max() <= 1e-9
    assert found.encoder_gradient[:, -1].max() <= 1e-9


def test_where_simultaneous_ascent_of_equal_rates_ends():
    found = play(game(), key=0, num_seeds=SEEDS, num_steps=6000, method="simultaneous", encoder_rate=0.03, ratio=1)
    best = np.abs(found.gaps) <= 1e-6
    assert best.sum() == 15
    assert abs(found.expressiveness[~best, -1] - value_with(2, 1)) <= 1e-6
    assert found.response_error[:, -1].max() <= 1e-4


def test_rescaling_the_classes_leads_to_a_wrong_point_and_the_projection_does_not():
    """A Euclidean step in F changes the classes' coefficients by multiples of each other's gradients. Scaling them back is no
    projection: at its fixed points it is these mixtures, not the gradients, that are normal to the constraints."""
    wrong = play(game(), key=0, num_seeds=SEEDS, num_steps=1500, coordinates="features", projection="rescaling")
    right = play(game(), key=0, num_seeds=SEEDS, num_steps=1000, coordinates="features")
    assert (np.abs(right.gaps) <= 1e-4).sum() == 12
    assert np.ptp(wrong.expressiveness[:, -1]) <= 1e-9
    assert abs(wrong.expressiveness[0, -1] - 0.6638771) <= 1e-6
    assert wrong.violation.max() <= 1e-12
    # it has converged: nothing moves there; and still it is not critical, as one projected step shows
    before = play(game(), key=0, num_seeds=SEEDS, num_steps=1000, coordinates="features", projection="rescaling")
    assert np.abs(before.expressiveness[:, -1] - wrong.expressiveness[:, -1]).max() <= 1e-6
    onward = play(game(), starts=wrong.encoders, num_steps=200, record_every=1, coordinates="features")
    assert onward.expressiveness[:, 1].min() > wrong.expressiveness[:, -1].max() + 1e-4
    assert (onward.expressiveness[:, -1] > 0.7).all()
    assert np.diff(onward.expressiveness, axis=1).min() >= -1e-9
    # in whitened coordinates scaling is the projection
    same = [play(game(), key=3, num_seeds=SEEDS, num_steps=40, projection=name).encoders for name in ("exact", "rescaling")]
    assert np.abs(same[0] - same[1]).max() <= 1e-9 * np.abs(same[0]).max()


def test_more_decoder_steps_are_nearer_to_best_responses():
    F, _ = starts(4)
    ends = [
        play(game(), starts=F, method="alternating", decoder_steps=own, num_steps=3, encoder_rate=0.1) for own in (1, 30, 3000)
    ]
    exact = play(game(), starts=F, num_steps=3, encoder_rate=0.1)
    errors = [own.response_error[:, -1] for own in ends]
    assert (errors[1] < errors[0]).all()
    assert (errors[2] < errors[1]).all()
    gaps = [np.abs(own.expressiveness - exact.expressiveness)[:, -1] for own in ends]
    assert gaps[2].max() <= 0.01
    assert gaps[2].max() < 0.1 * gaps[0].max()


def test_spheres_hold_equality():
    found = play(game(), starts=0.1 * starts(5)[0], constraint="spheres", num_steps=5)
    assert found.violation.max() <= 1e-12
    for own in found.encoders:
        assert np.abs(game().feasibility(own) - 1).max() <= 1e-9
    inside = play(game(), starts=0.1 * starts(5)[0], num_steps=1, record_every=1)
    assert (inside.expressiveness[:, 0] < found.expressiveness[:, 0]).all()


def test_the_record_does_not_change_the_run_and_the_pace_does_not_either():
    every = [play(game(), key=7, num_steps=150, record_every=own) for own in (1, 40, 150)]
    assert [own.steps.size for own in every] == [151, 5, 2]
    for own in every[1:]:
        assert (own.encoders == every[0].encoders).all()
        assert (own.expressiveness == every[0].expressiveness[:, own.steps]).all()


def test_it_ends_at_a_tolerance_and_when_interrupted():
    ended = play(game(), key=0, num_steps=5000, record_every=100, rtol=1e-7)
    assert ended.steps[-1] < 5000
    assert max(ended.encoder_gradient[:, -1].max(), ended.decoder_gradient[:, -1].max()) <= 1e-7
    assert "at most" in ended.reason
    calls = []

    def stop(done, total, _):
        calls.append((done, total))
        if done >= 100:
            raise KeyboardInterrupt

    found = play(game(), key=0, num_steps=5000, record_every=25, progress=stop)
    assert found.interrupted
    assert found.steps[-1] == calls[-1][0] == 100
    assert calls[0][1] == 5000
    assert found.encoders.shape == (SEEDS, 4, 6)
    assert "gaps" in found.to_dict()


# -- stability ----------------------------------------------------------------------------------------------------------------


def equilibrium():
    """The optimum with F⁺."""
    A = np.linalg.qr(np.random.default_rng(2).standard_normal((4, 4)))[0] * np.sqrt(5.0)
    F = game().encoder_of(A)
    return F, game().best_response(F).decoder


def linearization(F, G):
    """The flow's at (F, G) for rates of one, whitened, along the spheres' product: (32, 32), the encoder's 16 rows first."""
    own = game().whitened()
    A, B = F @ game().spans.joined, np.linalg.pinv(game().spans.joined) @ G
    masks = np.repeat(np.eye(2), 2, axis=1)[:, None, :]

    @jax.jit
    def flow(both):
        moving = both[:16].reshape(4, 4)
        up, answer = own.gradient(moving, both[16:].reshape(4, 4))
        for mask in masks:
            block = moving * mask
            up = up - jnp.sum(up * block) / jnp.sum(block * block) * block
        return jnp.concatenate([up.ravel(), answer.ravel()])

    jacobian = np.array(jax.jacfwd(flow)(jnp.concatenate([A.ravel(), B.ravel()])))
    tangent = np.eye(32)
    for mask in masks:
        normal = np.concatenate([(A * mask).ravel() / np.linalg.norm(A * mask), np.zeros(16)])
        tangent -= np.outer(normal, normal)
    return tangent @ jacobian @ tangent


def growth(linear, ratio):
    """The largest real part of an eigenvalue where the decoder moves `ratio` times as fast."""
    return float(np.linalg.eigvals(np.repeat([1.0, ratio], 16)[:, None] * linear).real.max())


@pytest.mark.slow
def test_an_equilibrium_is_left_below_a_ratio_of_rates_and_kept_above():
    """The ratio is where the linearization stops to grow; far below, the encoder runs away from what the decoder answers."""
    F, G = equilibrium()
    linear = linearization(F, G)
    low, high = 1e-4, 1e2
    assert growth(linear, low) > 1e-6 > growth(linear, high)
    for _ in range(40):
        middle = np.sqrt(low * high)
        low, high = (middle, high) if growth(linear, middle) > 1e-6 else (low, middle)
    assert abs(game().verify_equilibrium(F, G).stability_ratio / high - 1) <= 1e-3
    near = perturbed(game(), F, G, key=0, num_seeds=SEEDS, scale=1e-4)
    # the encoder's rate is small against the inverse of its curvature, so that steps follow the flow
    settings = {"starts": near, "method": "simultaneous", "encoder_rate": 0.05}
    below, above = (play(game(), ratio=factor * high, num_steps=4000, **settings) for factor in (0.7, 1.4))
    assert (below.distance[:, -1] > 1e4 * below.distance[:, 0]).all()
    assert (above.distance[:, -1] < 1e-2 * above.distance[:, 0]).all()
    assert np.abs(above.gaps).max() <= 1e-6


@settings(max_examples=10)
@given(seeds(), st.sampled_from([1e-6, 1e-2]))
def test_disturbances_have_the_size_asked_for(seed, scale):
    F, G = equilibrium()
    near = perturbed(game(), F, G, key=seed, num_seeds=3, scale=scale)
    joined = game().spans.joined
    for own in near[0]:
        assert abs(np.linalg.norm((own - F) @ joined) / np.linalg.norm(F @ joined) / scale - 1) <= 1e-6
        assert np.linalg.norm((own - F) - (own - F) @ joined @ np.linalg.pinv(joined)) <= 1e-9
    dual = np.linalg.pinv(joined)
    for own in near[1]:
        assert abs(np.linalg.norm(dual @ (own - G)) / np.linalg.norm(dual @ G) / scale - 1) <= 1e-6
    assert (perturbed(game(), F, G, key=seed, num_seeds=3, scale=scale)[0] == near[0]).all()


# -- input --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "key: found neither"),
        ({"key": 0, "starts": np.zeros((1, 4, 6))}, "key: found both"),
        ({"key": 0, "method": "sgd"}, "method: found 'sgd'"),
        ({"key": 0, "coordinates": "polar"}, "coordinates: found 'polar'"),
        ({"key": 0, "constraint": "cubes"}, "constraint: found 'cubes'"),
        ({"key": 0, "projection": "oblique"}, "projection: found 'oblique'"),
        ({"key": 0, "constraint": "spheres", "coordinates": "features"}, 'constraint: found "spheres" in features'),
        ({"key": 0, "ratio": 1.0}, "ratio: found one, but under gdmax"),
        ({"key": 0, "decoder_rate": 1.0}, "decoder_rate: found one, but under gdmax"),
        ({"key": 0, "method": "simultaneous", "decoder_rate": 1.0, "ratio": 1.0}, "ratio: found one beside"),
        ({"key": 0, "method": "simultaneous", "decoder_steps": 3}, "decoder_steps: found one"),
        ({"key": 0, "num_steps": 0}, "num_steps: found 0"),
        ({"key": 0, "encoder_rate": -1.0}, "encoder_rate: found -1"),
        ({"key": 0, "rtol": 0.0}, "rtol: found 0"),
        ({"starts": np.zeros((2, 4, 5))}, "starts: found shape"),
        ({"starts": np.full((2, 4, 6), np.nan)}, "starts: found NaN"),
        ({"starts": (np.zeros((2, 4, 6)), np.zeros((1, 6, 4)))}, r"starts\[1\]: found shape"),
        ({"starts": (np.zeros((2, 4, 6)),)}, "starts: found a tuple of 1"),
        ({"starts": np.zeros((4, 6))}, r"starts: found shape \(4, 6\); pass S encoders, shape \(S, 4, 6\)"),
        ({}, "key: found neither it nor starts"),
        ({"key": 0, "progress": 1}, "progress: found 1"),
    ],
)
def test_bad_input_is_named(settings, words):
    with pytest.raises(InputError, match=words):
        play(game(), **settings)


def test_dependent_classes_are_refused_in_whitened_coordinates_alone():
    X = np.random.default_rng(0).standard_normal((20, 2)) @ np.random.default_rng(1).standard_normal((2, 6))
    same = SubspaceGame(X, [0] * 10 + [1] * 10, dim=4, epsilon=0.3**0.5)
    with pytest.raises(InputError, match="dependent"):
        play(same, key=0)
    with pytest.raises(InputError, match="dependent"):
        perturbed(same, np.ones((4, 6)), np.ones((6, 4)), key=0)


def test_another_game_is_named():
    single = SingleSubspaceGame(np.random.default_rng(0).standard_normal((9, 4)), dim=2, epsilon=1.0)
    with pytest.raises(InputError, match="game: found SingleSubspaceGame; pass a SubspaceGame"):
        play(single, key=0)


def test_whitened_a_long_step_ends_on_the_boundary_in_its_own_direction():
    """F + (1e20 ∇Q, scaled down, less itself) was nothing: Q = 0 without a word."""
    F, G = starts(0)
    found = [play(game(), starts=(F, G), encoder_rate=rate, num_steps=1).expressiveness[:, -1] for rate in (1e12, 1e20)]
    assert found[0].min() > 0
    assert found[1] == pytest.approx(found[0], rel=1e-6)
    with pytest.raises(InputError, match=r"encoder_rate: found 1e\+200 .* leaves nothing of the iterates"):
        play(game(), starts=(F, G), encoder_rate=1e200, num_steps=1)


def test_rates_that_overflow_are_named():
    F, G = starts(0)
    with pytest.raises(InputError, match=r"encoder_rate: found .* overflow"):
        play(game(), starts=(F, G), method="simultaneous", encoder_rate=1.0, decoder_rate=1e150, num_steps=20)
