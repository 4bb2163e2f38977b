from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcr2_landscape.validation import InputError
from mcr2_landscape.whitebox.halves import Sparsification, SubspaceAttention
from mcr2_landscape.whitebox.layers import Trace, run
from mcr2_landscape.whitebox.network import Crate, build
from mcr2_landscape.whitebox.parameters import parameters, with_parameters
from mcr2_landscape.whitebox.weights import torch_state

from . import reference
from .models import IMAGES, derived, published, random_images, random_model

CLASSIFIERS = {
    "crate": published("crate"),
    "alpha": published("crate-alpha"),
    "vit": published("vit"),
    "derived": derived(),
    "flipped sign": derived(output_scale=-0.5, normalization="rms", threshold="soft", output_bias=True),
    "learned steps": published("crate", steps="learned", first_order=True, temperature=0.7, positions="sincos"),
    "one dictionary": published("crate-alpha", decoupled=False, residual=False, iterations=3, ratio=2, head_dim=3),
    "MSSA and MLP": published("crate", sparsification="mlp", embedding="linear"),
    "MHSA and ISTA": published("crate", attention="mhsa", qkv_bias=False, compression_step=0.3),
    "no attention": published("crate", attention="none"),
    "attention only": published("crate", sparsification="none", normalization="none", output="tied", output_bias=False),
}
SEEDS = st.integers(0, 2**32 - 1)


@eqx.filter_jit
def logits_and_trace(model, images):
    return model(images), model.trace(images)


@pytest.fixture(scope="module")
def crate():
    return random_model(CLASSIFIERS["crate"])


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_networks_are_those_of_the_definitions(name):
    architecture = CLASSIFIERS[name]
    model, images = random_model(architecture), random_images()
    logits, trace = logits_and_trace(model, images)
    state = torch_state(model)
    for i, image in enumerate(images):
        expected, parts = reference.classify(image, architecture, state)
        assert reference.agrees(logits[i], expected)
        for part in Trace._fields:
            found = getattr(trace, part)
            assert (found is None) == (parts[part] is None)
            assert found is None or reference.agrees(found[:, i], parts[part]), part


@given(SEEDS)
def test_crate_is_that_of_the_definition_for_all_weights(seed):
    model, images = random_model(CLASSIFIERS["crate"], seed), random_images(seed)
    expected, _ = reference.classify(images[1], CLASSIFIERS["crate"], torch_state(model))
    assert reference.agrees(logits_and_trace(model, images)[0][1], expected)


def _transposed(name):
    return lambda state: state | {name: state[name].T}


def _scaled(name, factor):
    return lambda state: state | {name: factor * state[name]}


@pytest.mark.parametrize(
    "damage",
    [
        _transposed("transformer.layers.1.1.fn.weight"),
        _transposed("transformer.layers.0.0.fn.qkv.weight"),
        _transposed("transformer.layers.0.0.fn.to_out.0.weight"),
        _scaled("transformer.layers.1.0.fn.to_out.0.bias", 0),
        _scaled("transformer.layers.0.0.fn.to_out.0.weight", -1),
        _scaled("transformer.layers.0.1.norm.bias", 0),
        _scaled("pos_embedding", 1 + 1e-9),
    ],
)
def test_a_network_that_differs_is_noticed(crate, damage):
    images = random_images()
    logits, _ = logits_and_trace(crate, images)
    expected, _ = reference.classify(images[0], CLASSIFIERS["crate"], damage(torch_state(crate)))
    assert not reference.agrees(logits[0], expected)


@pytest.mark.parametrize(
    "switch",
    [
        {"sparsity": -0.1},
        {"temperature": 1.0},
        {"norm_epsilon": 1e-06},
        {"first_order": True, "compression_step": 0.5},
        {"output_scale": -1.0},
        {"threshold": "soft"},
    ],
    ids=str,
)
def test_every_switch_matters(crate, switch):
    images = random_images()
    expected, _ = reference.classify(images[0], CLASSIFIERS["crate"].replace(**switch), torch_state(crate))
    assert not reference.agrees(logits_and_trace(crate, images)[0][0], expected)


@pytest.mark.parametrize("name", ["learned steps", "alpha", "vit"])
def test_gradient_of_every_parameter(name):
    model, images = random_model(CLASSIFIERS[name]), random_images()
    weights = np.random.default_rng(2).normal(size=(2, 3))

    @jax.jit
    @jax.value_and_grad
    def objective(values):
        return jnp.sum(jnp.asarray(weights) * with_parameters(model, values)(images))

    values = parameters(model)
    _, gradient = objective(values)
    rng, step = np.random.default_rng(3), 1e-6
    for place, value in values.items():
        direction = rng.normal(size=value.shape)
        if name == "learned steps" and place == "positions":
            assert not np.any(gradient[place])  # fixed
            continue
        up, down = (objective(values | {place: value + s * step * jnp.asarray(direction)})[0] for s in (1, -1))
        slope, expected = float(np.sum(np.asarray(gradient[place]) * direction)), float(up - down) / (2 * step)
        assert abs(slope - expected) <= 1e-6 * max(1.0, abs(expected)), place


def test_layers_in_a_row_give_what_the_loop_gives(crate):
    images = random_images()
    unrolled = random_model(CLASSIFIERS["crate"], unroll=2)
    assert reference.agrees(logits_and_trace(unrolled, images)[0], logits_and_trace(crate, images)[0], 1e-14)


def test_one_image_a_batch_and_a_map_over_images_agree(crate):
    images = random_images()
    logits, trace = logits_and_trace(crate, images)
    mapped = jax.jit(lambda images: jax.vmap(lambda image: crate(image))(images))(images)
    single = jax.jit(lambda image: (crate(image), crate.features(image)))(images[0])
    assert reference.agrees(mapped, logits, 1e-14)
    assert reference.agrees(single[0], logits[0], 1e-14)
    assert reference.agrees(single[1].class_token, trace.outputs[-1, 0, 0], 1e-14)
    assert reference.agrees(single[1].tokens, trace.outputs[-1, 0, 1:], 1e-14)


@given(SEEDS, st.permutations(range(7)))
def test_layers_do_not_know_the_order_of_tokens(crate_layers, seed, order):
    layers, go = crate_layers
    tokens = np.random.default_rng(seed).normal(size=(7, 8))
    assert reference.agrees(go(layers, tokens[order]), go(layers, tokens)[np.array(order)], 1e-13)


@pytest.fixture(scope="module")
def crate_layers(crate):
    return crate.layers, eqx.filter_jit(lambda layers, tokens: run(layers, jnp.asarray(tokens), 2, 1))


def test_a_start_is_orthonormal_where_it_is_derived():
    model = eqx.filter_jit(build)(derived(dim=12), key=jax.random.key(0), dtype=jnp.float64)
    values = parameters(model)
    subspaces, dictionaries = values["layers.attention.subspaces"], values["layers.sparsification.dictionary"]
    for layer in range(2):
        U, D = np.asarray(subspaces[layer]), np.asarray(dictionaries[layer])
        for matrix in (U, D):
            assert reference.agrees(matrix.T @ matrix, np.eye(12))
    assert not np.allclose(subspaces[0], subspaces[1])


def test_published_start():
    architecture, key = published("crate", dim=32, heads=4), jax.random.key(1)
    D = np.asarray(Sparsification.initial(architecture, 32, key, np.float32).dictionary)
    U = np.asarray(SubspaceAttention.initial(architecture, 32, 4, key, np.float32).subspaces)
    assert 0.98 * np.sqrt(6 / 32) < np.abs(D).max() <= np.sqrt(6 / 32) * (1 + 1e-6)
    assert 0.98 * np.sqrt(1 / 32) < np.abs(U).max() <= np.sqrt(1 / 32) * (1 + 1e-6)
    assert D.dtype == U.dtype == np.float32


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 2, 8, 8)), r"found shape \(2, 2, 8, 8\), expected \(…, 2, 8, 12\)"),
        (np.zeros((8, 12, 2)), "channels come first"),
        (np.zeros(IMAGES, np.uint8), "found uint8; pass floating numbers"),
    ],
)
def test_images_that_do_not_fit_are_refused(crate, images, message):
    with pytest.raises(InputError, match=message):
        crate(images)


def test_float64_is_not_rounded_without_a_word(crate):
    with jax.enable_x64(False), pytest.raises(InputError, match="images: found float64"):
        crate(random_images())


def test_bad_arguments_of_networks():
    with pytest.raises(InputError, match="key: found int"):
        Crate(CLASSIFIERS["crate"], key=3)
    with pytest.raises(InputError, match="a classifier has none"):
        Crate(published("crate-mae"), key=jax.random.key(0))
