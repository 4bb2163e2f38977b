"""Encoder and decoder of several stages: lengths and scales, shapes of any size, and the steps that are taken."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcr2_landscape.csc.geometry import Geometry
from mcr2_landscape.csc.patches import analysis
from mcr2_landscape.csc.programs import duality_gap
from mcr2_landscape.csc.stages import stage_gaps
from mcr2_landscape.csc.transcriber import ConvTranscriber, at_one, safe_step, unit
from mcr2_landscape.validation import InputError

from . import problems

KEY = jax.random.key(0)
# One with sides that the stride does not divide, several channels and an even kernel; one of squares, tied.
MODELS = (
    ConvTranscriber((2, 7, 9), 5, channels=(3, 4), kernel=4, stride=2, padding=1, key=KEY, dtype=jnp.float64),
    ConvTranscriber((1, 6, 6), 4, channels=(3,), kernel=3, stride=2, padding=1, tied=True, key=KEY, dtype=jnp.float64),
)


@pytest.mark.parametrize("model", MODELS)
def test_features_have_length_one_and_do_not_know_the_scale(model):
    shape = (3, model.encoder[0].shape[1], *model.sizes[0])
    images = jax.random.normal(jax.random.key(1), shape, jnp.float64)
    encode = eqx.filter_jit(model.encode)
    features = encode(images)
    assert features.shape == (3, model.encoder[-1].shape[0])
    np.testing.assert_allclose(jnp.sum(features**2, axis=1), 1, rtol=1e-14)
    np.testing.assert_allclose(encode(7.5 * images), features, atol=1e-13)
    # Each sample by itself: no statistics of the batch.
    np.testing.assert_allclose(encode(images[::-1]), features[::-1], atol=1e-12)
    np.testing.assert_allclose(encode(images.at[0].set(1.0))[1:], features[1:], atol=1e-12)
    decoded = eqx.filter_jit(model.decode)(features)
    assert decoded.shape == shape
    assert bool(jnp.isfinite(decoded).all())
    assert float(jnp.abs(features[0] - features[1]).max()) > 0.01


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_scale_is_not_known_down_to_the_least_normal_numbers(dtype):
    model = jax.tree.map(lambda leaf: leaf.astype(dtype), MODELS[1])
    random, limits = np.random.default_rng(5), np.finfo(dtype)
    size = (6, 1, 6, 6)
    images = (random.uniform(1, 2, size) * random.choice([-1, 1], size)).astype(dtype)
    exponents = np.linspace(limits.minexp, limits.maxexp - 1, len(images)).astype(int)
    scaled = np.ldexp(dtype(1), exponents)[:, None, None, None] * images
    black, faint = 0 * images, np.full(size, limits.tiny / 4, dtype)
    encode = eqx.filter_jit(model.encode)  # once, for images of all kinds
    features, same, others, zero, least = np.split(
        np.asarray(encode(np.concatenate([images, scaled, dtype(0.7) * scaled, black, faint]))), 5
    )
    np.testing.assert_array_equal(same, features)  # powers of two round nothing
    np.testing.assert_allclose(others[1:], features[1:], atol=40 * limits.eps)  # the first have numbers below the least
    assert not zero.any()
    assert np.isfinite(least).all()
    # Gradients are those of the quotient, 1/c at c times the image, and finite everywhere.
    weights = random.standard_normal(size).astype(dtype)
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(at_one(x) * weights)))
    rms = np.sqrt(np.mean(images.astype(np.float64) ** 2, axis=(1, 2, 3), keepdims=True))
    unit_size = images / rms
    expected = (weights - unit_size * np.mean(unit_size * weights, axis=(1, 2, 3), keepdims=True)) / rms
    np.testing.assert_allclose(gradient(images), expected, atol=20 * limits.eps)
    for exponent in (limits.minexp // 2 + 2, -30, 30):
        scale = np.ldexp(dtype(1), exponent)
        np.testing.assert_allclose(scale * gradient(scale * images), expected, atol=20 * limits.eps)
    spike = black.copy()
    spike[:, 0, 2, 3] = limits.tiny  # whose quotient has slopes that are too large for its dtype
    for few in (scaled, faint, spike):
        assert np.isfinite(gradient(few)).all()
    np.testing.assert_array_equal(gradient(black), weights)
    assert features.dtype == gradient(images).dtype == dtype


def test_a_tied_decoder_has_the_atoms_of_the_encoder():
    untied, tied = MODELS
    assert tied.decoder.atoms is None
    assert untied.decoder.atoms is not None
    assert [atoms.shape for atoms in untied.decoder.atoms] == [atoms.shape for atoms in untied.encoder[::-1]]
    features = jnp.eye(4, dtype=jnp.float64)[:1]
    # The first synthesis of a unit vector is its atom, of which what is negative is cut off.
    atom = jax.nn.relu(tied.encoder[-1][0])
    scaled = atom / jnp.sqrt(jnp.mean(atom**2))
    geometry = tied.geometries[0]
    codes = jax.ShapeDtypeStruct((1, 1, 6, 6), jnp.float64)
    synthesis = jax.linear_transpose(lambda x: analysis(x, tied.encoder[0], geometry, False), codes)
    found = np.asarray(synthesis(scaled[None])[0])
    np.testing.assert_allclose(tied.decode(features), found / np.sqrt(np.mean(found**2)), atol=1e-9)


def test_images_come_back_at_one_scale():
    """The encoder does not know the scale of an image, so that no player could learn the decoder's."""
    model = MODELS[1]
    features = model.encode(jax.random.normal(KEY, (2, 1, 6, 6), jnp.float64))
    louder = eqx.tree_at(lambda own: own.decoder.gain, model, 10 * model.decoder.gain)
    np.testing.assert_allclose(louder.decode(features), model.decode(features), atol=1e-9)
    np.testing.assert_allclose(jnp.mean(model.decode(features) ** 2, axis=(1, 2, 3)), 1, rtol=1e-9)


@given(st.sampled_from([((3, 2, 3, 3), (1, 1)), ((4, 1, 4, 4), (2, 2)), ((2, 3, 2, 3), (2, 1))]), st.integers(0, 99))
def test_steps_are_short_enough(form, seed):
    """Against the largest singular value of the dictionary as a matrix, on an image that no border spoils."""
    shape, stride = form
    atoms = np.random.default_rng(seed).standard_normal(shape)
    atoms /= np.linalg.norm(atoms.reshape(shape[0], -1), axis=1)[:, None, None, None]
    geometry = Geometry(shape[2:], stride, (0, 0))
    pixels = jnp.eye(shape[1] * 64, dtype=jnp.float64).reshape(-1, shape[1], 8, 8)
    matrix = np.asarray(analysis(pixels, jnp.asarray(atoms), geometry, False)).reshape(len(pixels), -1)
    norm = np.linalg.norm(matrix, 2) ** 2
    step = float(safe_step(jnp.asarray(atoms), stride))
    assert step * norm < 1
    assert step * norm > 0.4, "not much too short either"


def test_steps_are_short_enough_for_waves_between_the_frequencies_of_a_grid():
    wave = np.cos(3 * np.pi / 8 * np.arange(4))
    atoms = np.repeat(np.outer(wave, wave)[None, None] / np.sum(wave**2), 3, axis=0)
    from mcr2_landscape.csc import ConvDictionary

    bound = ConvDictionary(atoms).lipschitz_bound()
    assert float(safe_step(jnp.asarray(atoms))) * bound < 1.02


def test_atoms_are_used_at_norm_one():
    atoms = 3 * jax.random.normal(KEY, (2, 1, 3, 3), jnp.float64)
    np.testing.assert_allclose(np.linalg.norm(unit(atoms).reshape(2, -1), axis=1), 1)


def test_gaps_of_each_stage_are_those_of_its_program():
    model = MODELS[1]
    images = np.random.default_rng(4).standard_normal((3, 1, 6, 6))
    found = stage_gaps(model, images, (1, 2, 40))
    assert found.gap.shape == found.relative.shape == (2, 3, 3)
    assert (found.gap > -1e-15).all()
    assert (found.relative[:, 0] > found.relative[:, 1]).all()
    assert (found.gap[:, 2] < 0.1 * found.gap[:, 1]).all()
    assert found.dead == () and not found.silent.any() and not found.advice  # noqa: PT018
    # The second stage is measured at what the first one really gives, its own code being that of the network.
    for place, stage in enumerate(model.stages(jnp.asarray(images))):
        said = duality_gap(stage.dictionary, stage.given, stage.code, sparsity=0.1, nonnegative=place == 0)
        np.testing.assert_allclose(found.gap[place, 1], said.duality_gap, rtol=1e-9)
        np.testing.assert_allclose(jnp.mean(stage.given**2, axis=(1, 2, 3)), 1, rtol=1e-9)
    # Of a black image nothing comes through.
    black = stage_gaps(model, images * np.array([1, 0, 1])[:, None, None, None], (1, 2, 40))
    assert black.silent.tolist() == [1, 1]
    assert black.dead == ()
    assert not black.gap[:, :, 1].any()
    # A network whose second stage answers to no image, and one whose first does not.
    basis = np.linalg.qr(np.reshape(model.stages(jnp.asarray(images))[1].given, (3, -1)).T)[0]
    atoms = np.reshape(model.encoder[1], (4, -1))
    across = jnp.asarray(atoms - atoms @ basis @ basis.T).reshape(model.encoder[1].shape)
    partly = stage_gaps(eqx.tree_at(lambda own: own.encoder[1], model, across), images, (1, 2, 40))
    assert (partly.dead, partly.silent.tolist()) == ((1,), [0, 3])
    assert "stage 1 (of 0 to 1) has the code zero for every image" in partly.advice
    np.testing.assert_array_equal(partly.gap[0], found.gap[0])
    wholly = stage_gaps(eqx.tree_at(lambda own: own.encoder[0], model, -jnp.abs(model.encoder[0])), abs(images), (1, 2, 40))
    assert wholly.dead == (0, 1)
    with pytest.raises(InputError, match="depths: found 3"):
        stage_gaps(model, images, 3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="images: cannot be read"):
        stage_gaps(model, [[1.0, 2.0], [3.0]])


def test_gaps_of_each_stage_against_dense_matrices():
    """FISTA and the dual bound written down with matrices: what the gaps are, and that no code is nearer than they say."""
    model, images = MODELS[1], np.random.default_rng(4).standard_normal((3, 1, 6, 6))
    found = stage_gaps(model, images, (1, 2, 40))
    for place, stage in enumerate(model.stages(jnp.asarray(images))):
        own = stage.dictionary
        D = problems.dense(np.asarray(own.atoms), own.stride, own.padding, (stage.given.shape[2], stage.given.shape[3]))
        x, step, lam = np.asarray(stage.given).reshape(3, -1), float(stage.step), 0.1
        z = a = np.zeros((3, D.shape[1]))
        t, objectives, gaps = 1.0, {}, {}
        for n in range(1, 2001):
            v = a + step * (x - a @ D.T) @ D
            new = np.maximum(v - lam * step, 0) if stage.nonnegative else np.sign(v) * np.maximum(np.abs(v) - lam * step, 0)
            following = (1 + np.sqrt(1 + 4 * t**2)) / 2
            a, z, t = new + (t - 1) / following * (new - z), new, following
            r = x - z @ D.T
            objectives[n] = lam * np.abs(z).sum(axis=1) + np.sum(r**2, axis=1) / 2
            peak = (r @ D).max(axis=1, initial=0) if stage.nonnegative else np.abs(r @ D).max(axis=1)
            scale = np.clip(np.sum(r * x, axis=1) / np.sum(r**2, axis=1), 0, lam / peak)
            gaps[n] = objectives[n] - scale * np.sum(r * x, axis=1) + scale**2 * np.sum(r**2, axis=1) / 2
        best = np.min([*objectives.values()], axis=0)
        for d, depth in enumerate(found.depths):
            np.testing.assert_allclose(found.objective[place, d], objectives[depth], rtol=1e-12)
            np.testing.assert_allclose(found.gap[place, d], gaps[depth], rtol=1e-9, atol=1e-13)
            assert (found.gap[place, d] >= objectives[depth] - best).all()
            assert (found.gap[place, d] > 0).all()
        np.testing.assert_allclose(found.scale[place], np.sum(x**2, axis=1) / 2, rtol=1e-12)


@pytest.mark.parametrize("shape", [(2, 1, 6, 7), (2, 2, 6, 6), (1, 6, 6), (0, 1, 6, 6), (2, 1, 12, 12)])
def test_images_of_another_size_are_refused_where_they_are_traced(shape):
    with pytest.raises(InputError, match=r"inputs: found shape .*; this network takes \(images, 1, 6, 6\)"):
        jax.eval_shape(MODELS[1].encode, jax.ShapeDtypeStruct(shape, jnp.float64))


def test_a_seed_is_a_key():
    seeded = ConvTranscriber((1, 6, 6), 4, channels=(3,), kernel=3, tied=True, key=0, dtype=jnp.float64)
    for one, other in zip(jax.tree.leaves(seeded), jax.tree.leaves(MODELS[1]), strict=True):
        np.testing.assert_array_equal(one, other)


def test_bad_input():
    bad: list[tuple[dict[str, Any], str]] = [
        ({"image_shape": (1, 8.5, 8)}, r"image_shape\[1\]: found 8.5"),
        ({"image_shape": 8}, "image_shape: found 8"),
        ({"channels": 3}, "channels: found 3"),
        ({"channels": (3, 2.0)}, r"channels\[1\]: found 2.0"),
        ({"dim": 2.0}, "dim: found 2.0"),
        ({"tied": "no"}, "tied: found 'no'"),
        ({"key": -1}, "key: found the seed -1"),
        ({"key": None}, "key: found NoneType"),
        ({"key": jax.random.split(KEY)}, "key: found"),
    ]
    for changes, message in bad:
        given: dict[str, Any] = {"image_shape": (1, 8, 8), "dim": 4, "channels": (2,), "key": KEY} | changes
        with pytest.raises(InputError, match=message):
            ConvTranscriber(**given)
    with pytest.raises(InputError, match=r"features: found shape \(2, 3\); this network takes \(images, 4\)"):
        MODELS[1].decode(jnp.zeros((2, 3)))
    with pytest.raises(InputError, match="kernels of 4 × 4"):
        ConvTranscriber((1, 3, 3), 4, channels=(4, 4), padding=0, key=KEY)
    with pytest.raises(InputError, match="channels: found none"):
        ConvTranscriber((1, 8, 8), 4, channels=(), key=KEY)
    with pytest.raises(InputError, match="sparsity"):
        ConvTranscriber((1, 8, 8), 4, sparsity=0.0, key=KEY)
    with pytest.raises(InputError, match="image_shape: found"):
        ConvTranscriber((8, 8), 4, key=KEY)  # type: ignore[arg-type]
