"""Networks trained on images: what comes out, resumption, parts that are frozen, and what is refused."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np
import pytest

from mcr2_landscape import InputError
from mcr2_landscape import whitebox as wb
from mcr2_landscape.data import LabeledImages, digit_images
from mcr2_landscape.training import Stopped, initial_network, train_images

SIZES: dict[str, Any] = {"image_size": 8, "patch": 4, "channels": 1}
CRATE = wb.Architecture.published(8, 2, 2, num_classes=10, **SIZES)
MAE = wb.Architecture.published(8, 2, 2, family="crate-mae", decoder_depth=1, **SIZES)
TRAIN, TEST = digit_images().subset(slice(0, 96)), digit_images().subset(slice(96, 160))
SHORT: Any = {"num_steps": 6, "batch_size": 32, "key": 1, "record_every": 1}


def leaves(model: Any) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(model) if hasattr(leaf, "dtype")]


def same(one: Any, other: Any) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(leaves(one), leaves(other), strict=True))


@pytest.fixture(scope="module")
def trained():
    return train_images(CRATE, TRAIN, TEST, **SHORT)


def test_the_numbers_are_those_of_the_network(trained):
    logits = np.asarray(trained.model(trained.prepare(TEST.images)), dtype=np.float64)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert trained.test_loss == pytest.approx(-np.log(probabilities[np.arange(64), TEST.labels]).mean(), rel=1e-5)
    assert np.array_equal(trained.hits, logits.argmax(axis=1) == TEST.labels)
    assert trained.test_accuracy == trained.hits.mean()
    assert trained.parameters == wb.count_parameters(CRATE)
    assert trained.training.history["loss"][0] > 0
    pixels = trained.prepare(TRAIN.images)
    np.testing.assert_allclose([pixels.mean(), pixels.std()], [0, 1], atol=1e-5)
    assert trained.to_dict()["architecture"]["dim"] == 8


@pytest.mark.parametrize("architecture", [CRATE, MAE], ids=["classification", "completion"])
def test_a_resumed_training_ends_in_the_same_bits(architecture, trained, tmp_path):
    whole = trained if architecture is CRATE else train_images(architecture, TRAIN, **SHORT)
    folder = tmp_path / "kept"
    part = train_images(architecture, TRAIN, **SHORT, checkpoint=folder, max_seconds=1e-6)
    assert part.training.stopped is Stopped.TIME
    assert 0 < part.training.step < 6
    again = train_images(architecture, TRAIN, **SHORT, checkpoint=folder, resume=True)
    assert again.training.stopped is Stopped.FINISHED
    assert same(whole.model, again.model)
    assert not same(whole.model, part.model)


def test_frozen_parts_keep_their_bits(trained):
    """The bases and the rest start from the same key."""
    frozen = train_images(CRATE, TRAIN, **SHORT, frozen=("subspaces", "dictionary"))
    initial: Any = initial_network(CRATE, key=1).layers
    np.testing.assert_array_equal(frozen.model.layers.attention.subspaces, initial.attention.subspaces)
    np.testing.assert_array_equal(frozen.model.layers.sparsification.dictionary, initial.sparsification.dictionary)
    assert np.abs(frozen.model.layers.attention.output - initial.attention.output).max() > 1e-5
    assert np.abs(trained.model.layers.attention.subspaces - initial.attention.subspaces).max() > 1e-5


def test_fixed_positions_do_not_decay():
    """They have no gradient, but AdamW would shrink them."""
    found = train_images(MAE, TRAIN, **SHORT, learning_rate=1e-2, weight_decay=1.0)
    initial: Any = initial_network(MAE, key=1)
    np.testing.assert_array_equal(found.model.decoder_positions, initial.decoder_positions)
    assert np.abs(found.model.prediction - initial.prediction).max() > 1e-5


def test_learned_steps_do_not_decay():
    from mcr2_landscape.training.images import _decays

    chosen = _decays(initial_network(CRATE.replace(steps="learned"), key=0))
    assert not any(jax.tree.leaves(chosen.layers.steps))
    assert chosen.layers.attention.subspaces


def test_a_loss_that_is_not_finite_ends_it_in_the_state_before(tmp_path):
    result = train_images(CRATE, TRAIN, TEST, **SHORT, learning_rate=1e38, warmup=0.0, checkpoint=tmp_path / "kept")
    assert result.training.stopped is Stopped.DIVERGED
    assert "in step" in result.training.reason
    assert all(np.isfinite(leaf).all() for leaf in leaves(result.model))
    assert (tmp_path / "kept" / "training.checkpoint").exists()


def test_features_are_trained_by_their_rate_reduction():
    result = train_images(CRATE, TRAIN, TEST, task="features", **SHORT)
    assert result.train_loss is not None
    assert result.train_loss < 0
    assert result.test_accuracy is None
    tokens = np.asarray(result.model.features(result.prepare(TEST.images)).class_token, dtype=np.float64)
    Z = (tokens / np.linalg.norm(tokens, axis=1, keepdims=True)).T
    import mcr2_landscape as ml

    assert TEST.labels is not None
    labels = np.unique(TEST.labels, return_inverse=True)[1]
    assert result.test_loss == pytest.approx(-float(ml.rate_reduction(Z, labels, 0.5)), rel=1e-4)


NOTHING = LabeledImages(np.zeros((4, 1, 8, 8), np.float32), np.array([0, 1, 0, 1], np.int64))
THREES = TRAIN.subset(np.asarray(TRAIN.labels) == 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: train_images(CRATE, TRAIN, task="completion"), '"completion" for a classifier'),
        (lambda: train_images(MAE, TRAIN, task="features"), '"features" for an autoencoder'),
        (lambda: train_images(CRATE, TRAIN, task="sorting"), "task: found 'sorting'"),
        (lambda: train_images(CRATE, THREES), "the single class 3"),
        (lambda: train_images(CRATE, dataclasses.replace(TRAIN, labels=None)), "without labels"),
        (lambda: train_images(CRATE.replace(num_classes=5), TRAIN), "labels from 0 to 9 for 5 classes"),
        (lambda: train_images(CRATE.replace(image_size=16), TRAIN), "train: found images of 1 × 8 × 8"),
        (lambda: train_images(CRATE, NOTHING), "of one value"),
        (lambda: train_images(CRATE, TRAIN.images), "train: found ndarray"),
        (lambda: train_images(CRATE, dataclasses.replace(TRAIN, labels=np.asarray(TRAIN.labels) + 0.5)), "train: "),
        (lambda: train_images(CRATE, dataclasses.replace(TRAIN, images=TRAIN.images * np.nan)), "train: "),
        (lambda: train_images(CRATE, TRAIN, frozen=("head",)), "frozen: found 'head'"),
        (
            lambda: train_images(CRATE.replace(output="tied"), TRAIN, frozen=("output",)),
            "which this architecture does not have",
        ),
        (lambda: train_images(CRATE, TRAIN, label_smoothing=1.0), "label_smoothing: found 1"),
        (lambda: train_images(CRATE, TRAIN, warmup=1.0), "warmup: found 1"),
        (lambda: train_images(CRATE, TRAIN, learning_rate=0), "learning_rate: found 0"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()
