"""Closed-loop transcription with networks: the losses against autodiff and closed forms, the trainings against their bounds."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcr2_landscape import InputError
from mcr2_landscape.ctrl import SubspaceGame
from mcr2_landscape.data import LabeledFeatures, subspace_mixture
from mcr2_landscape.rates import rate_reduction, rate_reduction_between
from mcr2_landscape.testing import seeds
from mcr2_landscape.training import Stopped, train_transcription
from mcr2_landscape.training.transcription import (
    LinearVAE,
    Transcriber,
    TranscriptionLoss,
    best_negative_elbo,
    negative_elbo,
    transcription_utilities,
    two_rates,
)

# Training compiles, which takes long on a busy machine.
pytestmark = pytest.mark.timeout(120)

AMBIENT, DIM, CLASSES = 5, 3, 3
LABELS = np.array([2, 0, 1, 1, 2, 0, 0, 2, 1])


def model_and_batch(seed, *, depth=1, normalize=True, labels=LABELS):
    key = jax.random.key(seed)
    model = Transcriber(AMBIENT, DIM, width=4, depth=depth, normalize=normalize, key=key, dtype=jnp.float64)
    inputs = np.random.default_rng(seed).standard_normal((len(labels), AMBIENT))
    return model, {"inputs": jnp.asarray(inputs), "labels": jnp.asarray(labels)}


def utilities(model, batch, epsilon, labels=LABELS):
    """Q and Σ D_j by the library's coding rates, class by class."""
    Z = model.encode(batch["inputs"])
    again = model.encode(model.decode(Z))
    names, codes = np.unique(labels, return_inverse=True)
    distances = [rate_reduction_between(Z[codes == k].T, again[codes == k].T, epsilon) for k in range(names.size)]
    return rate_reduction(Z.T, codes, epsilon), sum(distances)


@jax.jit
def _loss_gradient(parameters, batch, epsilon):
    loss = eqx.tree_at(lambda own: own.epsilon, TranscriptionLoss(CLASSES, 1.0), epsilon)
    return jax.value_and_grad(lambda p: loss(eqx.combine(p, _static()), batch), has_aux=True)(parameters)


def _static(**changes):
    return eqx.filter(model_and_batch(0, **changes)[0], eqx.is_array, inverse=True)


@jax.jit
def _player_gradients(parameters, batch, epsilon):
    """Each player's own, by autodiff with the other as a constant of the function."""

    def value(encoder, decoder, weight):
        model = eqx.combine(parameters, _static())
        model = eqx.tree_at(lambda own: (own.encoder, own.decoder), model, (encoder, decoder))
        Q, D = utilities(model, batch, epsilon)
        return weight * Q + D

    whole = eqx.combine(parameters, _static())
    parts = [eqx.partition(part, eqx.is_array) for part in (whole.encoder, whole.decoder)]
    (encoder, first), (decoder, second) = parts
    up = jax.grad(lambda p: value(eqx.combine(p, first), whole.decoder, 1.0))(encoder)
    down = jax.grad(lambda p: value(whole.encoder, eqx.combine(p, second), 0.0))(decoder)
    return up, down


@given(seeds(), st.floats(0.3, 3))
def test_each_player_climbs_its_own_utility(seed, epsilon):
    model, batch = model_and_batch(seed)
    parameters = eqx.filter(model, eqx.is_array)
    (value, metrics), gradient = _loss_gradient(parameters, batch, jnp.asarray(epsilon))
    up, down = _player_gradients(parameters, batch, jnp.asarray(epsilon))
    Q, D = utilities(model, batch, epsilon)
    np.testing.assert_allclose(metrics["expressiveness"], Q, atol=1e-11)
    np.testing.assert_allclose(metrics["distance"], D, atol=1e-11)
    np.testing.assert_allclose(value, -Q, atol=1e-11)
    for found, expected in zip(jax.tree.leaves(gradient.encoder), jax.tree.leaves(up), strict=True):
        np.testing.assert_allclose(found, -np.asarray(expected), atol=1e-9)
    for found, expected in zip(jax.tree.leaves(gradient.decoder), jax.tree.leaves(down), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-9)
    # planted: with the players' parts of D exchanged, both gradients would be others
    assert max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(down)) > 1e-6


@given(seeds())
def test_linear_maps_play_the_game_of_subspaces(seed):
    """Without normalization the loss is the game's, whose gradients are in closed form."""
    model, batch = model_and_batch(seed, depth=0, normalize=False)
    game = SubspaceGame(np.asarray(batch["inputs"]), LABELS, dim=DIM, epsilon=0.8, rank_tolerance=1e-12)
    F, G = model.encoder.weight, model.decoder.weight
    expected = game.gradient(F, G)
    (value, metrics), found = _linear_gradient(eqx.filter(model, eqx.is_array), batch)
    np.testing.assert_allclose(value, -game.expressiveness(F), atol=1e-10)
    np.testing.assert_allclose(metrics["distance"], np.sum(game.distances(F, G)), atol=1e-10)
    np.testing.assert_allclose(found.encoder.weight, -np.asarray(expected.encoder), atol=1e-9)
    np.testing.assert_allclose(found.decoder.weight, -np.asarray(expected.decoder), atol=1e-9)
    # planted: normalized features are another game
    normalized = eqx.tree_at(lambda own: own.encoder.weight, model_and_batch(seed, depth=0)[0], F)
    Q, _ = utilities(normalized, batch, 0.8)
    assert abs(float(Q) - float(game.expressiveness(F))) > 1e-6


@jax.jit
def _linear_gradient(parameters, batch):
    loss = TranscriptionLoss(CLASSES, 0.8)
    static = _static(depth=0, normalize=False)
    return jax.value_and_grad(lambda p: loss(eqx.combine(p, static), batch), has_aux=True)(parameters)


def test_a_class_without_samples_adds_nothing():
    labels = np.where(LABELS == 1, 0, LABELS)
    model, batch = model_and_batch(4, labels=labels)
    (value, metrics), gradient = _loss_gradient(eqx.filter(model, eqx.is_array), batch, jnp.asarray(0.7))
    Q, D = utilities(model, batch, 0.7, labels)
    np.testing.assert_allclose([-value, metrics["distance"]], [Q, D], atol=1e-12)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_features_have_length_one_and_linear_maps_no_bias():
    model, batch = model_and_batch(0, depth=0)
    np.testing.assert_allclose(np.linalg.norm(model.encode(batch["inputs"]), axis=1), 1.0)
    np.testing.assert_allclose(model.encode(-batch["inputs"]), -np.asarray(model.encode(batch["inputs"])), atol=1e-15)
    nonlinear, _ = model_and_batch(0)
    assert np.abs(nonlinear.encode(-batch["inputs"]) + nonlinear.encode(batch["inputs"])).max() > 1e-3


# -- the linear variational autoencoder ---------------------------------------------------------------------------------------


def autoencoder(seed, inputs=4, dim=2):
    random = np.random.default_rng(seed)
    model = LinearVAE(inputs, dim, key=jax.random.key(seed), dtype=jnp.float64)
    numbers = tuple(jnp.asarray(0.5 * random.standard_normal(shape)) for shape in ((dim,), ()))
    return eqx.tree_at(lambda own: (own.log_variances, own.log_noise), model, numbers)


def gaussian_elbo(model, X):
    """log p(x) less the divergence from the exact posterior, in the mean: the bound's other form, from whole Gaussians."""
    V, W = np.asarray(model.encoder.weight), np.asarray(model.decoder.weight)
    variances, noise = np.exp(np.asarray(model.log_variances)), float(np.exp(model.log_noise))
    n, d = W.shape
    C = W @ W.T + noise * np.eye(n)
    evidence = -0.5 * (np.linalg.slogdet(2 * np.pi * C)[1] + np.mean(np.sum(X @ np.linalg.inv(C) * X, axis=1)))
    precision = np.eye(d) + W.T @ W / noise
    means = X @ W @ np.linalg.inv(precision) / noise
    off = X @ V.T - means
    divergence = 0.5 * (
        np.trace(precision * variances[None, :])
        - d
        - np.linalg.slogdet(precision)[1]
        - np.sum(np.log(variances))
        + np.mean(np.sum(off @ precision * off, axis=1))
    )
    return evidence - divergence


@given(seeds())
def test_the_bound_is_that_of_gaussians(seed):
    model, X = autoencoder(seed), np.random.default_rng(seed).standard_normal((6, 4))
    value, metrics = negative_elbo(model, {"inputs": jnp.asarray(X)})
    np.testing.assert_allclose(value, -gaussian_elbo(model, X), rtol=1e-10)
    decoded = np.asarray(model.decode(model.encode(jnp.asarray(X))))
    np.testing.assert_allclose(metrics["reconstruction"], np.mean((X - decoded) ** 2), rtol=1e-12)
    # planted: without the spread of the posterior the bound would be too good
    small = eqx.tree_at(lambda own: own.log_variances, model, model.log_variances - 1)
    assert abs(float(negative_elbo(small, {"inputs": jnp.asarray(X)})[0]) - float(value)) > 1e-4


def test_the_bound_is_what_samples_of_the_posterior_say():
    model, random = autoencoder(3), np.random.default_rng(0)
    X = random.standard_normal((3, 4))
    means, spread = np.asarray(model.encode(jnp.asarray(X))), np.exp(np.asarray(model.log_variances) / 2)
    noise = float(np.exp(model.log_noise))
    z = means + spread * random.standard_normal((100_000, 1, 2))
    error = np.sum((X - np.asarray(model.decode(jnp.asarray(z.reshape(-1, 2)))).reshape(-1, 3, 4)) ** 2, axis=2)
    likelihood = -0.5 * (error / noise + 4 * np.log(2 * np.pi * noise))
    prior = -0.5 * np.sum(z**2 + np.log(2 * np.pi), axis=2)
    posterior = -0.5 * np.sum(((z - means) / spread) ** 2 + np.log(2 * np.pi) + 2 * np.log(spread), axis=2)
    draws = np.mean(likelihood + prior - posterior, axis=1)
    error = 5 * np.std(draws) / np.sqrt(len(draws))
    assert float(negative_elbo(model, {"inputs": jnp.asarray(X)})[0]) == pytest.approx(-np.mean(draws), abs=error)


def principal_components(X, dim):
    """The autoencoder that probabilistic principal component analysis is."""
    _, s, Vt = np.linalg.svd(X, full_matrices=False)
    values, U = s**2 / len(X), Vt.T[:, :dim]
    noise = float(np.mean(np.pad(values, (0, X.shape[1] - values.size))[dim:]))
    W = U * np.sqrt(values[:dim] - noise)
    model = LinearVAE(X.shape[1], dim, key=jax.random.key(0), dtype=jnp.float64)
    parts = (W.T / values[:dim, None], W, np.log(noise / values[:dim]), np.log(noise))
    return eqx.tree_at(
        lambda own: (own.encoder.weight, own.decoder.weight, own.log_variances, own.log_noise),
        model,
        tuple(map(jnp.asarray, parts)),
    )


_elbo_gradient = jax.jit(jax.value_and_grad(lambda parameters, X: negative_elbo(parameters, {"inputs": X})[0]))


@given(seeds())
def test_its_optimum_is_probabilistic_principal_component_analysis(seed):
    random = np.random.default_rng(seed)
    X = random.standard_normal((12, 4)) @ random.standard_normal((4, 4))
    X -= X.mean(axis=0)
    least = best_negative_elbo(X, 2)
    value, gradient = _elbo_gradient(principal_components(X, 2), jnp.asarray(X))
    assert float(value) == pytest.approx(least, abs=1e-9 * (1 + abs(least)))
    # relative to the noise's inverse, which multiplies the weights' gradients
    assert max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(gradient)) < 1e-6 * (1 + np.abs(X).max() ** 2 / _noise(X))
    for other in range(3):
        assert float(_elbo_gradient(autoencoder(seed % 1000 + other), jnp.asarray(X))[0]) > least


def _noise(X):
    return float(np.mean(np.sort(np.linalg.eigvalsh(X.T @ X / len(X)))[:2]))


def test_the_best_bound_of_data_that_fit_is_none():
    X = np.random.default_rng(0).standard_normal((8, 2)) @ np.random.default_rng(1).standard_normal((2, 5))
    assert best_negative_elbo(X, 2) is best_negative_elbo(X, 5) is None
    assert best_negative_elbo(X, 1) is not None
    with pytest.raises(InputError, match="dim"):
        best_negative_elbo(X, 0)
    with pytest.raises(InputError, match="inputs"):
        best_negative_elbo(np.full((2, 2), np.nan), 1)


# -- trainings ----------------------------------------------------------------------------------------------------------------

SMALL: dict[str, Any] = {"dim": 8, "width": 16, "num_steps": 400, "record_every": 100}


@pytest.fixture(scope="module")
def data():
    return subspace_mixture(key=1, sizes=(12, 16, 20), ambient_dim=10, ranks=(1, 2, 2), noise=0.01)


@pytest.fixture(scope="module")
def trained(data):
    options = {"linear": {}, "two-layer": {}, "vae": {"encoder_rate": 1e-2, "num_steps": 2000}}
    return {name: train_transcription(data, network=name, **{**SMALL, **own}) for name, own in options.items()}


@pytest.mark.parametrize("network", ["linear", "two-layer", "vae"])
def test_the_numbers_are_those_of_the_features(data, trained, network):
    found = trained[network]
    assert found.training.stopped is Stopped.FINISHED
    assert found.sizes == (12, 16, 20)
    for rows in (found.features, found.again):
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0)
    members = jnp.asarray((data.labels[None, :] == np.arange(3)[:, None]).astype(np.float64))
    Q, D = transcription_utilities(jnp.asarray(found.features), jnp.asarray(found.again), members, 1.0)
    assert found.expressiveness == pytest.approx(float(Q), abs=1e-10)
    np.testing.assert_allclose(found.distances, D, atol=1e-10)
    assert found.expressiveness == pytest.approx(float(rate_reduction(found.features.T, data.labels, 1.0)), abs=1e-10)
    assert 0 < found.gap == pytest.approx(found.upper_bound - found.expressiveness)
    assert found.decoded.shape == data.features.shape
    off = np.linalg.norm(found.decoded - data.features) / np.linalg.norm(data.features)
    assert found.reconstruction_error == pytest.approx(off, rel=1e-5)


def test_the_players_learn(trained):
    for network in ("linear", "two-layer"):
        history = trained[network].training.history
        assert history["expressiveness"][-1] > history["expressiveness"][0] + 0.1
        assert trained[network].distances.sum() < 0.05 * history["distance"][0]
        assert trained[network].negative_elbo is trained[network].best_negative_elbo is None
    found = trained["vae"]
    assert found.training.loss < found.training.history["loss"][0]
    assert found.best_negative_elbo < found.negative_elbo == pytest.approx(found.training.loss, rel=0.05, abs=0.1)
    assert found.reconstruction_error < 0.2


def test_the_decoder_does_not_follow_at_equal_rates(data, trained):
    equal = train_transcription(data, **SMALL, encoder_rate=1e-2, decoder_rate=1e-2)
    assert equal.distances.sum() > 20 * trained["two-layer"].distances.sum()


def test_it_is_the_same_every_time(data, trained):
    again = train_transcription(data, network="linear", **SMALL)
    assert again.features.tobytes() == trained["linear"].features.tobytes()
    other = train_transcription(data, network="linear", **SMALL, key=1)
    assert np.abs(other.features - again.features).max() > 1e-3
    assert two_rates(1e-4, 1e-2) is two_rates(1e-4, 1e-2)


def test_a_network_whose_features_are_not_finite(data):
    found = train_transcription(data, network="vae", **{**SMALL, "encoder_rate": 1e30})
    assert found.training.stopped is Stopped.DIVERGED
    assert found.features.size == found.decoded.size == found.again.size == 0
    assert np.isnan([found.expressiveness, found.gap, found.reconstruction_error, *found.distances]).all()
    assert found.to_dict()["gap"] is None


def test_the_inputs_are_centered_for_the_autoencoder_alone(data, trained):
    np.testing.assert_allclose(trained["vae"].center, data.features.mean(axis=0))
    for network in ("linear", "two-layer"):
        assert not trained[network].center.any()
        assert trained[network].spread == pytest.approx(np.sqrt(np.mean(data.features**2)))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"network": "deep"}, "network: found 'deep'; pass one of linear, two-layer, vae"),
        ({"precision": "bfloat16"}, "precision: found 'bfloat16'"),
        ({"dim": 0}, "dim: found 0"),
        ({"epsilon": 0.0}, "epsilon: found 0"),
        ({"encoder_rate": -1.0}, "encoder_rate: found -1"),
        ({"decoder_rate": 0.0}, "decoder_rate: found 0"),
        ({"num_steps": 0}, "num_steps: found 0"),
        ({"width": 10**12}, "width: found 1000000000000"),
        ({"batch_size": 99}, "batch_size: found 99"),
        ({"key": "a"}, "key: found str"),
    ],
)
def test_mistakes(data, changes, says):
    with pytest.raises(InputError, match=says):
        train_transcription(data, **{**SMALL, **changes})


def test_data_that_cannot_be_trained_on(data):
    for features, labels, says in (
        (np.eye(3), np.zeros(3, int), "the single class 0"),
        (np.zeros((4, 2)), np.arange(4) % 2, "all 4 samples are zero"),
        (np.eye(3), np.arange(2), "found 2 labels for 3 samples"),
        (np.full((4, 2), np.nan), np.arange(4) % 2, "found NaN"),
    ):
        with pytest.raises(InputError, match=says):
            train_transcription(LabeledFeatures(features, labels), **SMALL)
    still = dataclasses.replace(data, features=np.ones(data.shape))
    with pytest.raises(InputError, match=f"all {len(still.features)} samples are the same"):
        train_transcription(still, **SMALL, network="vae")


def test_without_optax_the_extra_is_named(data, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "optax", None)
    with pytest.raises(InputError, match=r'optax, which is not installed; run: pip install "mcr2_landscape\[solvers\]"'):
        train_transcription(data, **SMALL)
