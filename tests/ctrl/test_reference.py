"""The reference schedule: both forms against each other and against a loop of JAX's own derivatives and optax's Adam."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcr2_landscape.ctrl import SubspaceGame, batches, utilities
from mcr2_landscape.ctrl.reference import compressed_slope, data_of, dense_slope, reference_run
from mcr2_landscape.testing import seeds
from mcr2_landscape.validation import InputError

DIM, AMBIENT, SIZES, EPSILON = 4, 6, (12, 10, 8), 0.7
LABELS = np.repeat([0, 1, 2], SIZES)


def halves(seed):
    """Two batches of 15 with half of each class, so that all have one shape."""
    random = np.random.default_rng(seed)
    parts = [np.split(random.permutation(np.flatnonzero(j == LABELS)), 2) for j in range(3)]
    return tuple(random.permutation(np.concatenate(own)) for own in zip(*parts, strict=True))


CHOSEN = halves(9)


@functools.cache
def samples(noise=0.0):
    """Three classes of ranks 2, 2 and 1, with noise of full rank."""
    random = np.random.default_rng(0)
    parts = [
        random.standard_normal((size, r)) @ random.standard_normal((r, 6)) for size, r in zip(SIZES, (2, 2, 1), strict=True)
    ]
    return np.concatenate(parts) + noise * random.standard_normal((30, 6))


def run(X, **settings):
    used = {"key": 0, "dim": DIM, "epsilon": EPSILON, "batch_size": 15, "num_epochs": 1, "decoder_steps": 6} | settings
    return reference_run(X, LABELS, **used)


def from_samples(F, G, parts):
    """Q and Σ D_j straight from their definitions, for the samples (n_j, d_x) of each class."""

    def rate(Z):
        return 0.5 * jnp.linalg.slogdet(jnp.eye(DIM) + DIM / (Z.shape[1] * EPSILON**2) * Z @ Z.T)[1]

    images = [F @ X.T for X in parts]
    joined = jnp.concatenate(images, axis=1)
    value, distance = rate(joined), 0.0
    for Z in images:
        answer = F @ (G @ Z)
        value = value - Z.shape[1] / joined.shape[1] * rate(Z)
        distance = distance + rate(jnp.concatenate([Z, answer], axis=1)) - 0.5 * rate(Z) - 0.5 * rate(answer)
    return value, distance


VALUES = jax.jit(from_samples)
DOWN = jax.jit(jax.grad(lambda G, F, parts: from_samples(F, G, parts)[1]))
UP = jax.jit(jax.grad(lambda F, G, parts: -sum(from_samples(F, G, parts))))


def parts_of(X, labels):
    return tuple(X[labels == j] for j in range(3))


def whole_game():
    return SubspaceGame(samples(), LABELS, dim=DIM, epsilon=EPSILON)


def batch_game(chosen):
    return SubspaceGame(samples()[chosen], LABELS[chosen], dim=DIM, epsilon=EPSILON)


START = tuple(2 * np.random.default_rng(1).standard_normal(shape) for shape in ((DIM, AMBIENT), (AMBIENT, DIM)))


@functools.cache
def plain(constraint):
    """The schedule with derivatives by JAX from the definitions, and optax's Adam."""
    F, G = (jnp.asarray(own) for own in START)
    with jax.numpy_dtype_promotion("standard"):  # optax mixes its counters with what it scales
        slow, fast = optax.adam(1e-2), optax.adam(1e-3)
        slow_state, fast_state = slow.init(F), fast.init(G)
        for chosen in CHOSEN:
            parts = parts_of(samples()[chosen], LABELS[chosen])
            for _ in range(6):
                move, fast_state = fast.update(DOWN(G, F, parts), fast_state)
                G = G + move
            move, slow_state = slow.update(UP(F, G, parts), slow_state)
            game = batch_game(chosen) if constraint == "batch" else whole_game()
            F = jnp.asarray(game.project(np.asarray(F + move)))
    return np.asarray(F), np.asarray(G)


@pytest.mark.parametrize("form", batches.FORMS)
@pytest.mark.parametrize("constraint", ["data", pytest.param("batch", marks=pytest.mark.slow)])
def test_it_is_what_a_plain_loop_does(form, constraint):
    settings = {"form": form, "constraint": constraint, "start": START, "chosen": CHOSEN}
    found = run(samples(), **settings)
    F, G = plain(constraint)
    assert np.abs(found.encoder - F).max() <= 1e-9
    assert np.abs(found.decoder - G).max() <= 1e-9
    # one step more would have been seen
    assert np.abs(run(samples(), **settings, decoder_steps=7).decoder - G).max() > 1e-4
    value, distance = VALUES(F, G, parts_of(samples(), LABELS))
    assert abs(found.expressiveness[-1] - float(value)) <= 1e-8
    assert abs(found.distance[-1] - float(distance)) <= 1e-8
    assert abs(found.violation[-1] - max(0, whole_game().feasibility(F).max() - 1)) <= 1e-8
    if constraint == "data":
        assert found.violation.max() <= 1e-9
    else:
        assert batch_game(CHOSEN[-1]).feasibility(found.encoder).max() <= 1 + 1e-9


@settings(max_examples=8)
@given(seeds(), st.sampled_from([0.0, 1e-3]))
def test_both_forms_agree(seed, noise):
    X = samples(noise)
    one, other = (
        run(X, key=seed, form=form, decoder_steps=40, chosen=halves(seed) + halves(seed + 1)) for form in batches.FORMS
    )
    for name in ("encoder", "decoder", "batch_expressiveness", "batch_distance", "expressiveness", "distance", "violation"):
        assert np.abs(getattr(one, name) - getattr(other, name)).max() <= 1e-10, name
    assert one.counts.shape == (4, 3)
    assert (one.counts.sum(axis=1) == 15).all()
    assert np.isfinite(one.feasible_value)
    assert "encoder" not in one.to_dict()


@given(seeds(), st.sampled_from([0.1, 1.0, 3.0]))
def test_slopes_are_the_distance_s_gradient(seed, size):
    random = np.random.default_rng(seed)
    tolerance = 1e-12 * max(1, size**6)  # rounding grows with what is inverted, and P̂_j = F G P_j (F G)ᵀ
    F, G = (jnp.asarray(size * random.standard_normal(shape)) for shape in ((DIM, AMBIENT), (AMBIENT, DIM)))
    found = []
    for form in batches.FORMS:
        blocks, counts = batches.collect(samples(), LABELS, [CHOSEN[0]], form)
        data, _ = data_of(whole_game(), blocks[0], counts[0])
        found.append(np.array(SLOPES[form](data, F, G)))
        expected = np.array(DISTANCE_SLOPE(data, F, G))
        assert np.abs(found[-1] - expected).max() <= tolerance
    assert np.abs(found[0] - found[1]).max() <= tolerance


SLOPES = {
    "compressed": jax.jit(lambda data, F, G: compressed_slope(data, F)(G)),
    "dense": jax.jit(lambda data, F, G: dense_slope(data, F)(G)),
}
DISTANCE_SLOPE = jax.jit(jax.grad(lambda data, F, G: jnp.sum(utilities.distances(data, F, G)), argnums=2))


def test_adam_knows_its_coordinates():
    """In rotated coordinates of the data the game is the same, and Adam's path is not: moments must not be compressed."""
    X, turn = samples(), np.linalg.qr(np.random.default_rng(3).standard_normal((AMBIENT, AMBIENT)))[0]
    random = np.random.default_rng(1)
    F, G = random.standard_normal((DIM, AMBIENT)), random.standard_normal((AMBIENT, DIM))
    straight = run(X, start=(F, G), chosen=CHOSEN)
    turned = run(X @ turn, start=(F @ turn, turn.T @ G), chosen=CHOSEN)
    assert np.abs(turn @ turned.decoder - straight.decoder).max() > 1e-4


# -- batches ------------------------------------------------------------------------------------------------------------------


@given(seeds(), st.integers(7, 30))
def test_batches_cover_every_epoch_and_hold_all_classes(seed, size):
    names = ["a", "b", "c"]
    # the last batch of an epoch must be able to hold three classes
    size = size if 30 % size == 0 or 30 % size >= 3 else 15
    chosen = batches.draw(LABELS, names, size, 2, np.random.default_rng(seed))
    each = -(-30 // size)
    for epoch in (chosen[:each], chosen[each:]):
        assert sorted(np.concatenate(epoch).tolist()) == list(range(30))
    assert all(set(LABELS[own]) == {0, 1, 2} for own in chosen)
    for form in batches.FORMS:
        blocks, counts = batches.collect(samples(), LABELS, chosen, form)
        for own, stack, count in zip(chosen, blocks, counts, strict=True):
            for j in range(3):
                X = samples()[own[LABELS[own] == j]]
                assert count[j] == X.shape[0]
                assert np.abs(stack[j] @ stack[j].T - X.T @ X).max() <= 1e-12 * np.abs(X.T @ X).max()


def test_orders_that_leave_a_class_out_are_drawn_again():
    """Batches of five lack some class in most orders: without the second draw they would be games of fewer classes."""
    random = np.random.default_rng(0)
    orders = [random.permutation(30).reshape(-1, 5) for _ in range(50)]
    complete = [all(len(set(LABELS[own])) == 3 for own in order) for order in orders]
    assert 0 < sum(complete) < 25 or not any(complete)
    chosen = batches.draw(LABELS, ["a", "b", "c"], 6, 1, np.random.default_rng(0))
    assert all(len(set(LABELS[own])) == 3 for own in chosen)


def test_a_shorter_last_batch_counts_its_own_samples():
    found = run(samples(), batch_size=20)
    assert found.counts.sum(axis=1).tolist() == [20, 10]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"batch_size": 2}, "batch_size: found 2: in 1000 random orders some batch always lacked a class"),
        ({"chosen": (np.arange(12),)}, r"chosen\[0\]: found no sample of class 1"),
        ({"chosen": (np.arange(30), np.arange(22))}, r"chosen\[1\]: found no sample of class 2"),
        ({"chosen": (np.array([0, 99]),)}, r"chosen\[0\]: .*pass lists of sample numbers from 0 to 29"),
        ({"chosen": ()}, "chosen: found no batch"),
        ({"chosen": 5}, "chosen: found int; pass lists of sample numbers"),
        ({"chosen": [[0, [1]]]}, r"chosen\[0\]: found lists of different lengths"),
        ({"form": "sparse"}, "form: found 'sparse'"),
        ({"constraint": "none"}, "constraint: found 'none'"),
        ({"decoder_steps": 0}, "decoder_steps: found 0"),
        ({"encoder_rate": 0.0}, "encoder_rate: found 0"),
        ({"start": np.zeros((4, 6))}, "start: found ndarray"),
        ({"start": (np.zeros((4, 5)), np.zeros((6, 4)))}, "F: found shape"),
        ({"key": None}, "key: found NoneType"),
        ({"progress": 1}, "progress: found 1"),
        ({"encoder_rate": 1e30, "chosen": CHOSEN + CHOSEN}, r"encoder_rate: found 1e\+30 and decoder_rate .* overflow"),
    ],
)
def test_bad_input_is_named(settings, words):
    with pytest.raises(InputError, match=words):
        run(samples(), **settings)


def test_interrupted_it_returns_the_steps_done():
    def stop(done, *_):
        if done == 2:
            raise KeyboardInterrupt

    found = run(samples(), chosen=CHOSEN + CHOSEN, progress=stop)
    assert found.interrupted
    assert found.expressiveness.size == found.counts.shape[0] == 2
    whole = run(samples(), chosen=CHOSEN + CHOSEN)
    assert (found.expressiveness == whole.expressiveness[:2]).all()
