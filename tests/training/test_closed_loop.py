"""The closed loop on images: who moves when, what is measured on the test images, and that a training can be interrupted."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mcr2_landscape.csc.transcriber import ConvTranscriber
from mcr2_landscape.data import digit_images
from mcr2_landscape.training import closed_loop
from mcr2_landscape.training.closed_loop import train_closed_loop
from mcr2_landscape.training.results import Stopped
from mcr2_landscape.training.transcription import ClosedLoopLoss, transcription_utilities
from mcr2_landscape.validation import InputError
from mcr2_landscape.verdict import Verdict
from mcr2_landscape.whitebox.segmentation import Interval

TRAIN, TEST = digit_images().subset(slice(0, 80)).split(0.25, key=0)
SMALL = {"dim": 4, "channels": (4,), "batch_size": 32, "num_steps": 6, "decoder_steps": 2, "record_every": 1, "key": 3}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return train_closed_loop(TRAIN, TEST, checkpoint=tmp_path_factory.mktemp("whole"), **SMALL)


def test_numbers_are_those_of_the_test_images(found):
    inputs = found.prepare(TEST.images)
    model = found.model
    features = np.asarray(model.encode(jnp.asarray(inputs)), np.float64)
    decoded = np.asarray(model.decode(jnp.asarray(features, jnp.float32)), np.float64)
    image = np.asarray(model.encode(jnp.asarray(decoded, jnp.float32)), np.float64)
    scale = 4 / found.epsilon**2

    def rate(*parts):
        Z = np.concatenate(parts)
        return 0.5 * np.linalg.slogdet(np.eye(4) + scale / len(Z) * Z.T @ Z)[1]

    assert found.distance == pytest.approx(rate(features, image) - (rate(features) + rate(image)) / 2, rel=1e-3)
    assert found.expressiveness == pytest.approx(0, abs=1e-9)
    assert found.consistency == pytest.approx(np.mean(np.sum((features - image) ** 2, axis=1)), rel=1e-4)
    errors = np.mean((inputs - decoded) ** 2, axis=(1, 2, 3))
    assert found.pixels == pytest.approx(errors.mean(), rel=1e-5)
    means = np.mean((inputs - found.prepare(TRAIN.images).mean(axis=0)) ** 2, axis=(1, 2, 3))
    assert found.mean_image == pytest.approx(means.mean(), rel=1e-5)
    own = {label: found.prepare(TRAIN.images[TRAIN.labels == label]).mean(axis=0) for label in np.unique(TRAIN.labels)}
    class_means = np.stack([own[label] for label in TEST.labels])
    assert found.class_means == pytest.approx(np.mean((inputs - class_means) ** 2), rel=1e-5)
    middle, low, high = found.difference.mean, found.difference.low, found.difference.high
    assert middle == pytest.approx((errors - means).mean(), rel=1e-4)
    assert high - low == pytest.approx(2 * 1.96 * (errors - means).std(ddof=1) / len(errors) ** 0.5, rel=1e-3)
    # The batches' metrics are there too.
    assert set(found.training.metrics) == {"expressiveness", "distance", "consistency", "pixels"}
    assert found.initial["pixels"] != found.pixels


def test_the_game_of_the_classes_is_played_for_the_rates_of_its_classes():
    """One step on all images of two classes, whose numbers are neither 0 nor 1: what is measured in it, and of the network
    afterwards, are the rates of the network's features, written down here."""
    data = TRAIN.subset(np.isin(TRAIN.labels, (3, 7)))  # also those of the test, so that fewer programs are compiled
    small = {"dim": 3, "channels": (2,), "unrolled_steps": 1, "num_steps": 1, "batch_size": 100, "record_every": 1, "key": 3}
    found = train_closed_loop(data, data, mode="classes", learning_rate=1e-12, **small)
    model, scale = found.model, 3 / found.epsilon**2
    features, _, image = (
        np.asarray(part, np.float64) for part in closed_loop._stages(model, jnp.asarray(found.prepare(data.images)))
    )

    def rate(*parts):
        Z = np.concatenate(parts)
        return 0.5 * np.linalg.slogdet(np.eye(3) + scale / len(Z) * Z.T @ Z)[1]

    pairs = [(features[data.labels == label], image[data.labels == label]) for label in (3, 7)]
    reduction = rate(features) - sum(len(own) / len(features) * rate(own) for own, _ in pairs)
    distance = sum(rate(own, other) - (rate(own) + rate(other)) / 2 for own, other in pairs)
    assert min(reduction, distance) > 1e-3
    for metrics in (found.training.metrics, vars(found), found.initial):
        assert metrics["expressiveness"] == pytest.approx(reduction, rel=1e-4)
        assert metrics["distance"] == pytest.approx(distance, rel=1e-3)
    # Both players' terms cancel in the value of the loss: minus the rate reduction is left.
    assert found.training.loss == pytest.approx(-reduction, rel=1e-4)


def test_an_unfinished_training_has_no_verdict(found):
    assert found.verdict is Verdict.REFUTED, "all of its six steps were made"
    unfinished = dataclasses.replace(found.training, stopped=Stopped.TIME)
    assert dataclasses.replace(found, training=unfinished).verdict is Verdict.UNDECIDED


def test_the_verdict_is_that_of_the_interval(found):
    for difference, verdict in (((-0.2, -0.3, -0.1), "holds"), ((0.2, 0.1, 0.3), "refuted"), ((0.0, -0.1, 0.1), "undecided")):
        assert dataclasses.replace(found, difference=Interval(*difference)).verdict == verdict


def test_an_interrupted_training_ends_in_the_same_bits(found, tmp_path):
    first = train_closed_loop(TRAIN, TEST, checkpoint=tmp_path, stop=lambda status: True, **SMALL)
    again = train_closed_loop(TRAIN, TEST, checkpoint=tmp_path, resume=True, **SMALL)
    assert again.training.step == found.training.step == 6
    assert first.training.step < 6
    for one, other in zip(jax.tree.leaves(found.model), jax.tree.leaves(again.model), strict=True):
        np.testing.assert_array_equal(one, other)
    assert again.pixels == found.pixels


@pytest.mark.parametrize("every", [1, 3])
def test_the_encoder_moves_at_every_so_many_steps_of_the_decoder(every):
    class Players(eqx.Module):
        encoder: jax.Array
        decoder: jax.Array

    players = Players(jnp.ones(2, jnp.float32), jnp.ones(2, jnp.float32))
    optimizer = closed_loop._two_players(0.1, 12, every)
    plain = optax.adam(optax.linear_schedule(0.1, 0.0, 12 // every), b1=0.5, b2=0.999)
    with jax.numpy_dtype_promotion("standard"):  # as `fit` has it for optax
        _check_moves(players, optimizer, plain, every)


def _check_moves(players, optimizer, plain, every):
    state, alone, expected = optimizer.init(players), plain.init(players.encoder), players.encoder
    for step in range(7):
        gradient = jnp.asarray([1.0 + step, -2.0], jnp.float32)
        before = players
        updates, state = optimizer.update(type(players)(gradient, gradient), state, players)
        players = optax.apply_updates(players, updates)
        if step % every == 0:
            moved, alone = plain.update(gradient, alone)
            expected = expected + moved
        np.testing.assert_allclose(players.encoder, expected, rtol=1e-6)
        assert bool((players.encoder != before.encoder).all()) == (step % every == 0)
        assert bool((players.decoder != before.decoder).all())


@pytest.mark.parametrize("tied", [False, True])
def test_the_loss_is_both_utilities(tied):
    """Its gradient by the encoder is minus the utility's, by the decoder the utility's: tied atoms are the encoder's alone."""
    model = ConvTranscriber((1, 4, 4), 3, channels=(2,), steps=1, tied=tied, key=jax.random.key(2), dtype=jnp.float64)
    inputs = jax.random.normal(jax.random.key(5), (12, 1, 4, 4), jnp.float64)
    labels = jnp.arange(12, dtype=jnp.int32) % 2
    members = jax.nn.one_hot(labels, 2, axis=0, dtype=jnp.float64)

    def utility(own, decoding):
        features = own.encode(inputs)
        image = own.encode(decoding.decode(features))
        value, distances = transcription_utilities(features, image, members, 0.7)
        return value + transcription_utilities(image, image, members, 0.7)[0] + jnp.sum(distances)

    def encoders(parts):
        return utility(eqx.tree_at(lambda own: own.encoder, model, parts), model)

    def decoders(part):
        return utility(model, eqx.tree_at(lambda own: own.decoder, model, part))

    batch = {"inputs": inputs, "labels": labels}
    gradient = eqx.filter_jit(eqx.filter_grad(lambda own: ClosedLoopLoss(2, 0.7)(own, batch)[0]))(model)
    up, down = (
        eqx.filter_jit(eqx.filter_grad(encoders))(model.encoder),
        eqx.filter_jit(eqx.filter_grad(decoders))(model.decoder),
    )
    for found, wanted in ((gradient.encoder, jax.tree.map(jnp.negative, up)), (gradient.decoder, down)):
        for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-10)


def test_bad_input():
    with pytest.raises(InputError, match="sparsity: found 100, at which every feature is zero"):
        train_closed_loop(TRAIN, TEST, sparsity=100.0, **SMALL)
    with pytest.raises(InputError, match="test: found no images"):
        train_closed_loop(TRAIN, TEST.subset(slice(0, 0)), **SMALL)
    unlabeled = dataclasses.replace(TRAIN, labels=None)
    with pytest.raises(InputError, match='train: found no labels; pass labels, or mode="binary"'):
        train_closed_loop(unlabeled, TEST, mode="classes", **SMALL)
    with pytest.raises(InputError, match="mode: found 'both'"):
        train_closed_loop(TRAIN, TEST, mode="both", **SMALL)
    with pytest.raises(InputError, match="test: found images of shape"):
        train_closed_loop(TRAIN, dataclasses.replace(TEST, images=TEST.images[:, :, :4]), **SMALL)
    with pytest.raises(InputError, match="single class"):
        train_closed_loop(TRAIN.subset(TRAIN.labels == 3), TEST, mode="classes", **SMALL)
    with pytest.raises(InputError, match="decoder_steps"):
        train_closed_loop(TRAIN, TEST, **{**SMALL, "decoder_steps": 0})
    with pytest.raises(InputError, match="of one value"):
        train_closed_loop(dataclasses.replace(TRAIN, images=np.zeros_like(TRAIN.images)), TEST, **SMALL)
