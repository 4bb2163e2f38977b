"""Measures of layers, against the definitions on each image and layer."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mcr2_landscape import InputError
from mcr2_landscape import whitebox as wb
from mcr2_landscape.whitebox.layer_measures import METRICS

ARCHITECTURE = wb.Architecture.published(8, 3, 2, num_classes=3, image_size=8, patch=4, channels=1)


def rate(tokens: np.ndarray, U: np.ndarray, epsilon: float) -> float:
    alpha = U.shape[2] / (len(tokens) * epsilon**2)
    return sum(0.5 * np.linalg.slogdet(np.eye(U.shape[2]) + alpha * (tokens @ B).T @ (tokens @ B))[1] for B in U)


def normalized(tokens: np.ndarray, epsilon: float = 1e-5) -> np.ndarray:
    centered = tokens - tokens.mean(axis=1, keepdims=True)
    return centered / np.sqrt((centered**2).mean(axis=1, keepdims=True) + epsilon)


def hooked(tokens: np.ndarray, U: np.ndarray) -> float:
    """As the published measure: eps² = 0.01, projections of length one, no further basis."""
    total = 0.0
    for B in U:
        V = normalized(tokens) @ B
        V = V / np.linalg.norm(V, axis=1, keepdims=True)
        total += 0.5 * np.linalg.slogdet(np.eye(B.shape[1]) + B.shape[1] / (len(V) * 0.01) * V.T @ V)[1]
    return total


@pytest.fixture(scope="module")
def network():
    model: Any = wb.Crate(ARCHITECTURE, key=jax.random.key(0), dtype=jnp.float64)
    images = np.random.default_rng(0).random((3, 1, 8, 8))
    trace = model.trace(jnp.asarray(images))
    subspaces = np.asarray(model.layers.attention.subspaces)
    bases = subspaces.reshape(3, 8, 2, 4).transpose(0, 2, 1, 3)
    return model, images, jax.tree.map(np.asarray, trace), bases


@pytest.mark.parametrize("metric", METRICS)
def test_rates_are_the_definition(network, metric):
    model, images, trace, bases = network
    found = wb.layerwise(model, images, metric=metric, epsilon=0.7 if metric != "as hooked" else None, batch=2)
    assert found.before.shape == (3, 3)

    def measured(tokens: np.ndarray, U: np.ndarray) -> float:
        if metric == "as hooked":
            return hooked(tokens, U)
        if metric == "sphere":
            tokens = tokens / np.linalg.norm(tokens, axis=1, keepdims=True) * np.sqrt(8)
        return rate(tokens, U, 0.7)

    for layer in range(3):
        for image in range(3):
            at = layer, image
            before = measured(trace.tokens[at], bases[layer])
            assert found.before[at] == pytest.approx(before, rel=1e-9)
            assert found.after[at] == pytest.approx(measured(trace.attended[at], bases[layer]), rel=1e-9)
            assert found.common[at] == pytest.approx(measured(trace.tokens[at], bases[-1]), rel=1e-9)
            # Against the bases of another layer it would be another number.
            assert layer == 2 or abs(found.common[at] - before) > 1e-6 * before
    assert found.descends == tuple((found.after - found.before).mean(axis=1) < 0)


def test_alignment_sparsity_and_objectives_are_the_definition(network):
    model, images, trace, bases = network
    found = wb.layerwise(model, images, epsilon=0.7)
    D = np.asarray(model.layers.sparsification.dictionary)
    for layer in range(3):
        for image in range(3):
            at = layer, image
            Z, moved = trace.tokens[at].T, trace.attended[at].T
            descent = -np.asarray(wb.coding_rate_given_gradient(Z, bases[layer], 0.7))
            cosine = np.sum(descent * (moved - Z)) / np.linalg.norm(descent) / np.linalg.norm(moved - Z)
            assert found.alignment[at] == pytest.approx(cosine, rel=1e-9, abs=1e-12)
            largest = max(np.linalg.norm(B.T @ Z, 2) for B in bases[layer])
            assert found.ratio[at] == pytest.approx(4 / (5 * 0.49) * largest**2, rel=1e-9)
            assert found.nonzero[at] == pytest.approx(np.mean(trace.outputs[at] != 0))
            X = normalized(trace.attended[at]).T
            for name, codes in (("objective", np.maximum(X, 0)), ("objective_after", trace.codes[at].T)):
                expected = float(wb.lasso_objective(codes, X, D[layer], 0.1)) / 5
                assert getattr(found, name)[at] == pytest.approx(expected, rel=1e-9)
    np.testing.assert_allclose(found.step_bound, [0.1 * np.linalg.norm(d, 2) ** 2 for d in D], rtol=1e-9)
    assert np.array_equal(found.nonzero, found.nonzero_codes)


def test_maps_and_features_are_those_of_the_trace(network):
    model, images, trace, _ = network
    maps = wb.attention_maps(model, images, batch=2)
    np.testing.assert_allclose(maps, trace.class_attention, rtol=1e-12)
    assert maps.shape == (3, 3, 2, 4)
    assert (maps.sum(axis=-1) < 1).all()  # the class token attends to itself as well
    np.testing.assert_allclose(wb.token_features(model, images), trace.outputs[..., 1:, :], rtol=1e-12)
    np.testing.assert_allclose(wb.class_features(model, images), trace.outputs[..., 0, :], rtol=1e-12)


def test_other_networks_have_no_subspaces(network):
    _, images, _, _ = network
    model = wb.Crate(wb.twin(ARCHITECTURE), key=jax.random.key(0), dtype=jnp.float64)
    found = wb.layerwise(model, images)
    for name in ("before", "after", "common", "alignment", "ratio", "objective"):
        assert np.isnan(getattr(found, name)).all()
    assert found.nonzero.min() == 1
    assert np.isnan(found.step_bound).all()
    assert wb.attention_maps(model, images).shape == (3, 3, 2, 4)


def test_bad_input_is_named(network):
    model, images, _, _ = network
    for call, message in (
        (lambda: wb.layerwise(model, images, metric="raw"), "metric: found 'raw'"),
        (lambda: wb.layerwise(model, images[0]), "images: found shape"),
        (lambda: wb.layerwise(model, images, epsilon=0.0), "epsilon: found 0"),
        (lambda: wb.attention_maps(model, images[:0]), "images: found shape"),
        (lambda: wb.token_features(model, images * np.nan), "images: "),
        (lambda: wb.class_features(model, (255 * images).astype(np.uint8)), "images: found uint8"),
    ):
        with pytest.raises(InputError, match=message):
            call()


def test_float64_is_not_rounded_without_a_word(network):
    _, images, _, _ = network
    with jax.enable_x64(False):
        model = wb.Crate(ARCHITECTURE, key=jax.random.key(0))
        for function in (wb.layerwise, wb.attention_maps, wb.layer_positions):
            with pytest.raises(InputError, match="found float64"):
                function(model, images)


def test_tokens_too_large_for_the_precision_are_refused():
    """Equal tokens of a huge length: the factorization fails in float32, which is no falling rate."""
    model = wb.Crate(ARCHITECTURE.replace(embedding="linear"), key=jax.random.key(0), dtype=jnp.float32)
    images = np.full((2, 1, 8, 8), 1e7, np.float32)
    with pytest.raises(InputError, match="R_c is not finite in layer 1"):
        wb.layerwise(model, images)
