"""Positions of a layer's tokens in the landscape of its own objective, against the library's other measures."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mcr2_landscape as ml
from mcr2_landscape import InputError
from mcr2_landscape import whitebox as wb

ARCHITECTURE = wb.Architecture.published(4, 2, 2, num_classes=3, image_size=8, patch=4, channels=1)


@pytest.fixture(scope="module")
def network() -> tuple[Any, np.ndarray]:
    return wb.Crate(ARCHITECTURE, key=jax.random.key(0), dtype=jnp.float64), np.random.default_rng(0).random((2, 1, 8, 8))


def test_the_numbers_are_those_of_each_layers_objective(network):
    model, images = network
    found = wb.layer_positions(model, images, epsilon=0.7)
    trace = jax.tree.map(np.asarray, model.trace(jnp.asarray(images)))
    bases = np.asarray(model.layers.attention.subspaces).reshape(2, 4, 2, 2).transpose(0, 2, 1, 3)
    for layer in range(2):
        for image in range(2):
            at = layer, image
            before, attended, after = (part[at].T for part in (trace.tokens, trace.attended, trace.outputs))
            U = bases[layer]

            def objective(Z: np.ndarray, U: np.ndarray = U) -> float:
                return float(wb.sparse_rate_reduction(Z, U, 0.7, 0.0))

            assert found.value[at] == pytest.approx(objective(before), rel=1e-10)
            assert found.after_attention[at] == pytest.approx(objective(attended), rel=1e-10)
            assert found.after_layer[at] == pytest.approx(objective(after), rel=1e-10)
            rises = np.asarray(jax.grad(lambda Z: ml.coding_rate(Z, 0.7))(jnp.asarray(before)))
            falls = np.asarray(wb.coding_rate_given_gradient(before, U, 0.7))
            norms = np.linalg.norm(rises) + np.linalg.norm(falls)
            assert found.relative_gradient[at] == pytest.approx(np.linalg.norm(rises - falls) / norms, rel=1e-9)
            other = np.asarray(jax.grad(lambda Z: ml.coding_rate(Z, 0.7))(jnp.asarray(after)))
            own = np.asarray(wb.coding_rate_given_gradient(after, U, 0.7))
            expected = np.linalg.norm(other - own) / (np.linalg.norm(other) + np.linalg.norm(own))
            assert found.relative_gradient_after[at] == pytest.approx(expected, rel=1e-9)
            # The slope is the derivative of f along the step, in units of both lengths.
            step = attended - before
            rate = (objective(before + 1e-6 * step) - objective(before - 1e-6 * step)) / 2e-6
            expected = rate / np.linalg.norm(rises - falls) / np.linalg.norm(step)
            assert found.attention_slope[at] == pytest.approx(expected, abs=1e-6)
            signs = wb.token_inertia(before, U, 0.7)
            assert (found.ascending[at], found.descending[at]) == (signs.positive, signs.negative)
            counted = (found.ascending, found.descending, found.flat, found.undecided)
            assert sum(part[at] for part in counted) == before.size


def test_nothing_is_counted_where_it_would_take_long(network):
    model, images = network
    found = wb.layer_positions(model, images, limit=15)
    assert (found.ascending == -1).all()
    assert np.isfinite(found.value).all()


def test_bad_input_is_named(network):
    model, images = network
    twin = wb.Crate(wb.twin(ARCHITECTURE), key=jax.random.key(0))
    for call, message in (
        (lambda: wb.layer_positions(twin, images), "model: found no subspaces"),
        (lambda: wb.layer_positions(model, images[0]), "images: found shape"),
        (lambda: wb.layer_positions(model, images, epsilon=-1), "epsilon: found -1"),
    ):
        with pytest.raises(InputError, match=message):
            call()
