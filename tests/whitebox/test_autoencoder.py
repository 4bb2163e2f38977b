from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcr2_landscape.validation import InputError
from mcr2_landscape.whitebox.architecture import Architecture
from mcr2_landscape.whitebox.autoencoder import MaskedAutoencoder, Masking, masking_of
from mcr2_landscape.whitebox.initialization import sines_and_cosines
from mcr2_landscape.whitebox.parameters import parameters, with_parameters
from mcr2_landscape.whitebox.patches import patchify, unpatchify
from mcr2_landscape.whitebox.weights import torch_state

from . import reference
from .models import derived, published, random_images, random_model

AUTOENCODERS = {
    "crate-mae": published("crate-mae"),
    "mae": published("vit-mae", decoder_depth=3, decoder_dim=12, decoder_heads=3, mask_ratio=0.5),
    "derived": derived(decoder="tied", steps="learned", normalization="layer"),
    "as coded, with a transformer": published("crate-mae", decoder="transformer", normalized_targets=True),
    "own decoder, with the first-order term": published("crate-mae", first_order=True, compression_step=0.3, steps="learned"),
}
NOISE = np.random.default_rng(5).uniform(size=(2, 6))


@eqx.filter_jit
def loss_and_completion(model, images, masking):
    return model(images, masking=masking)


def masking_for(architecture, noise=NOISE):
    return masking_of(jnp.asarray(noise), architecture.num_visible)


@pytest.fixture(scope="module")
def crate_mae():
    return random_model(AUTOENCODERS["crate-mae"])


@pytest.mark.parametrize("name", AUTOENCODERS)
def test_autoencoders_are_those_of_the_definitions(name):
    architecture = AUTOENCODERS[name]
    model, images = random_model(architecture), random_images()
    loss, completion = loss_and_completion(model, images, masking_for(architecture))
    state, losses = torch_state(model), []
    for i in range(2):
        predicted, mask, error = reference.complete(images[i], NOISE[i], architecture, state)
        assert reference.agrees(completion.patches[i], predicted)
        assert np.array_equal(completion.masking.masked[i], mask == 1)
        losses.append(error)
    assert reference.agrees(loss, np.mean(losses))


@pytest.mark.parametrize(
    "damage",
    [
        lambda state: state | {"decoder_blocks.1.layers.0.0.fn.weight": state["decoder_blocks.1.layers.0.0.fn.weight"].T},
        lambda state: (
            state | {"decoder_blocks.0.layers.0.1.fn.to_out.0.bias": -state["decoder_blocks.0.layers.0.1.fn.to_out.0.bias"]}
        ),
        lambda state: state | {"decoder_pos_embed": state["pos_embed"]},
        lambda state: state | {"mask_token": 0 * state["mask_token"]},
    ],
)
def test_an_autoencoder_that_differs_is_noticed(crate_mae, damage):
    images = random_images()
    _, completion = loss_and_completion(crate_mae, images, masking_for(crate_mae.architecture))
    predicted, _, _ = reference.complete(images[0], NOISE[0], crate_mae.architecture, damage(torch_state(crate_mae)))
    assert not reference.agrees(completion.patches[0], predicted)


@given(st.lists(st.integers(0, 1000), min_size=6, max_size=6, unique=True))
def test_the_patches_of_most_noise_are_masked(noise):
    masked, visible = masking_of(jnp.asarray(noise), 2)
    assert list(visible) == [noise.index(value) for value in sorted(noise)[:2]]
    assert list(np.flatnonzero(~np.asarray(masked))) == sorted(int(place) for place in visible)


def test_masking_of_published_size_keeps_a_quarter(crate_mae):
    architecture = published("crate-mae", image_size=224, patch=16)
    assert (architecture.num_patches, architecture.num_visible) == (196, 49)
    one, other = (crate_mae.mask(jax.random.key(seed), (2,)) for seed in (0, 1))
    assert one.masked.shape == (2, 6)
    assert np.array_equal(np.sum(~one.masked, axis=1), [1, 1])
    assert not all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("name", ["crate-mae", "mae"])
def test_masked_pixels_are_not_seen_and_the_loss_sees_no_others(name):
    model, images = random_model(AUTOENCODERS[name]), random_images()
    masking = masking_for(model.architecture)
    masked = np.asarray(masking.masked)
    other = np.array(patchify(jnp.asarray(images), 4))
    other[masked] += np.random.default_rng(6).normal(size=(masked.sum(), 32))
    changed = np.asarray(unpatchify(jnp.asarray(other), (2, 3), 4))
    loss, completion = loss_and_completion(model, images, masking)
    loss_changed, completion_changed = loss_and_completion(model, changed, masking)
    assert np.array_equal(completion.patches, completion_changed.patches)
    for total, patches in ((loss, np.asarray(patchify(jnp.asarray(images), 4))), (loss_changed, other)):
        errors = np.mean((np.asarray(completion.patches) - patches) ** 2, axis=2)
        assert reference.agrees(total, errors[masked].mean(), 1e-14)
        assert not reference.agrees(total, errors.mean(), 1e-6)  # a loss over all patches would be noticed


@pytest.mark.parametrize("name", ["crate-mae", "mae", "derived"])
def test_gradient_of_every_parameter(name):
    model, images = random_model(AUTOENCODERS[name]), random_images()
    masking = masking_for(model.architecture)

    @jax.jit
    @jax.value_and_grad
    def objective(values):
        return with_parameters(model, values).loss(images, masking=masking)

    values = parameters(model)
    _, gradient = objective(values)
    rng, step = np.random.default_rng(3), 1e-6
    idle = {"positions", "decoder_positions"} if model.architecture.positions == "sincos" else set()
    if name == "crate-mae":
        idle |= {"decoder_embedding", "decoder_embedding_bias"}  # held and never used, as published
    for place, value in values.items():
        assert np.any(gradient[place]) == (place not in idle), place
        if place in idle:
            continue
        direction = rng.normal(size=value.shape)
        up, down = (objective(values | {place: value + s * step * jnp.asarray(direction)})[0] for s in (1, -1))
        slope, expected = float(np.sum(np.asarray(gradient[place]) * direction)), float(up - down) / (2 * step)
        assert abs(slope - expected) <= 1e-6 * max(1.0, abs(expected)), place


@pytest.mark.parametrize(("sizes", "batched"), [((1, 1, 1, 2), False), ((2, 3, 2, 2), True), ((3, 2, 4, 1), False)])
def test_patches_are_put_together_again(sizes, batched):
    rows, columns, patch, channels = sizes
    images = np.random.default_rng(7).normal(size=(*(3,) * batched, channels, rows * patch, columns * patch))
    patches = patchify(jnp.asarray(images), patch)
    first = images[0] if batched else images
    expected = np.stack([reference.flat(part) for part in reference.cut(first, patch)])
    assert np.array_equal(patches[0] if batched else patches, expected)
    assert np.array_equal(unpatchify(patches, (rows, columns), patch), images)


def test_the_random_masking_comes_from_the_key(crate_mae):
    images, key = random_images(), jax.random.key(8)
    by_key = eqx.filter_jit(lambda model, images: model(images, key=key))(crate_mae, images)
    by_masking = loss_and_completion(crate_mae, images, crate_mae.mask(key, (2,)))
    assert reference.agrees(by_key[0], by_masking[0], 1e-14)
    assert np.array_equal(by_key[1].masking.masked, by_masking[1].masking.masked)


def test_positions_are_fixed_sines_and_cosines():
    positions = np.asarray(sines_and_cosines((2, 3), 8, jnp.float64))
    assert not positions[0].any()
    for number, (row, column) in enumerate((r, c) for r in range(2) for c in range(3)):
        angles = np.array([1.0, 0.01])
        parts = [part(coordinate * angles) for coordinate in (column, row) for part in (np.sin, np.cos)]
        assert reference.agrees(positions[number + 1], np.concatenate(parts))


def test_bad_arguments_of_autoencoders(crate_mae):
    images, masking = random_images(), masking_for(crate_mae.architecture)
    for given_parts in ({}, {"key": jax.random.key(0), "masking": masking}):
        with pytest.raises(InputError, match="pass either a key"):
            crate_mae(images, **given_parts)
    with pytest.raises(InputError, match=r"masking\.masked: found shape \(2, 6\), expected \(6,\)"):
        crate_mae(images[0], masking=masking)
    with pytest.raises(InputError, match=r"masking\.visible: found shape"):
        crate_mae(images, masking=Masking(masking.masked, masking.masked))
    with pytest.raises(InputError, match='decoder: found "none"'):
        MaskedAutoencoder(published("crate"), key=jax.random.key(0))
    with pytest.raises(InputError, match="which patches of 3 × 3 do not divide"):
        patchify(jnp.zeros((1, 8, 8)), 3)
    with pytest.raises(InputError, match="patches: found 6 of 4 numbers; expected 4"):
        unpatchify(jnp.zeros((6, 4)), (2, 2), 2)


def test_maskings_are_those_of_float32_in_less():
    """Noise of 128 levels would be equal in many patches, and the first ones would stay visible more often."""
    architecture = Architecture.published(8, 1, 2, family="crate-mae", image_size=32, patch=4, channels=1)
    model = MaskedAutoencoder(architecture, key=jax.random.key(0), dtype=jnp.float32)
    coarse = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16) if eqx.is_inexact_array(leaf) else leaf, model)
    found, other = (one.mask(jax.random.key(1), (200,)).masked for one in (model, coarse))
    assert np.array_equal(np.asarray(found), np.asarray(other))
