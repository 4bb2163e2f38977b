"""Closed-loop transcription with networks: the utilities of the subspace games for an encoder and a decoder that are no linear
maps, and a linear variational autoencoder beside them; losses for `fit`."""

from __future__ import annotations

import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mcr2_landscape.extras import missing_extra
from mcr2_landscape.rates import logdet_one_plus
from mcr2_landscape.training.losses import on_spheres
from mcr2_landscape.training.networks import Encoder
from mcr2_landscape.validation import float64_matrix, positive_integer, positive_real

_HIGHEST = jax.lax.Precision.HIGHEST
_ROUNDING = 1e-12  # of the largest variance


class Transcriber(eqx.Module):
    """An encoder and a decoder: multilayer perceptrons with `depth` hidden layers of `width` units, or linear maps without a
    bias (depth 0).

    Features are brought to length one, with which ‖f(X_j)‖² = n_j. Without that (`normalize=False`) nothing bounds an
    encoder: the utilities can be evaluated, not trained.

    **Arguments:** `num_inputs`: d_x; `dim`: d_z; `key`: the parameters.

    **Raises:** `InputError` for sizes below one, or networks beyond the machine's memory.
    """

    encoder: Any
    decoder: Any
    normalize: bool = eqx.field(static=True)

    def __init__(
        self,
        num_inputs: int,
        dim: int,
        *,
        width: int = 256,
        depth: int = 1,
        normalize: bool = True,
        key: Any,
        dtype: Any = jnp.float32,
    ):
        first, second = jax.random.split(key)
        # Checks the sizes, in both cases.
        self.encoder = Encoder(num_inputs, dim, width=width, depth=depth, key=first, dtype=dtype)
        self.decoder = Encoder(dim, num_inputs, width=width, depth=depth, key=second, dtype=dtype)
        if depth == 0:
            self.encoder = eqx.nn.Linear(num_inputs, dim, use_bias=False, dtype=dtype, key=first)
            self.decoder = eqx.nn.Linear(dim, num_inputs, use_bias=False, dtype=dtype, key=second)
        self.normalize = normalize

    def encode(self, inputs: Float[Array, "m n"]) -> Float[Array, "m d"]:
        """f of each sample, of length one."""
        features = jax.vmap(self.encoder)(inputs)
        return on_spheres(features) if self.normalize else features

    def decode(self, features: Float[Array, "m d"]) -> Float[Array, "m n"]:
        """g of each feature."""
        return jax.vmap(self.decoder)(features)


class TranscriptionLoss(eqx.Module):
    """Both players' utilities in one loss: its gradient by the encoder's parameters is minus that of ΔR(f(X)) + Σ_j ΔR(f(X_j),
    fgf(X_j)), by the decoder's that of Σ_j ΔR(f(X_j), fgf(X_j)). Minimized, each player climbs its own utility, at the same
    time; the optimizer may give them different rates.

    Its value is −ΔR(f(X)), what the value function of the game has left. Metrics: "expressiveness" ΔR(f(X)) and "distance"
    Σ_j ΔR(f(X_j), fgf(X_j)).

    **Raises:** `InputError` for numbers out of range.

    Source: Pai et al. (arXiv 2206.09120), the utilities of multiple-subspace pursuit.
    """

    num_classes: int = eqx.field(static=True)
    epsilon: np.ndarray
    plays_images: bool = eqx.field(static=True, default=False)  # whether ΔR(fgf(X)) is part of both utilities

    def __init__(self, num_classes: int, epsilon: float):
        self.num_classes = positive_integer("num_classes", num_classes, minimum=2)
        self.epsilon = np.asarray(positive_real("epsilon", epsilon))

    def __call__(self, model: Transcriber, batch: dict[str, jax.Array], key: Any = None) -> tuple[jax.Array, dict[str, Any]]:
        """The loss of a batch, and its metrics. A class without samples in the batch adds nothing."""
        return self.played(model, batch)[:2]

    def played(
        self, model: Any, batch: dict[str, jax.Array]
    ) -> tuple[jax.Array, dict[str, Any], tuple[jax.Array, jax.Array, jax.Array]]:
        """The loss, its metrics, and f(X), gf(X) and fgf(X) of the batch."""
        inputs = batch["inputs"]
        memberships = jax.nn.one_hot(batch["labels"], self.num_classes, axis=0, dtype=inputs.dtype)
        still = jax.tree.map(lambda leaf: jax.lax.stop_gradient(leaf) if eqx.is_inexact_array(leaf) else leaf, model)
        features = model.encode(inputs)

        # The encoder moves, the decoder stands still …
        decoded = still.decode(features)
        image = model.encode(decoded)
        # … and the other way round. A decoder that is tied to the encoder has its parameters, which stand still here too.
        fixed = jax.lax.stop_gradient(features)
        answering = eqx.tree_at(lambda own: own.encoder, model, still.encoder)
        answer = still.encode(answering.decode(fixed))
        values, distances, image_values = _utilities([(features, image), (fixed, answer)], memberships, self.epsilon)
        expressiveness, (distance, answered) = values[0], jnp.sum(distances, axis=1)
        played = distance
        if self.plays_images:
            played, answered = distance + image_values[0], answered + image_values[1]
        loss = answered - played - expressiveness
        return loss, {"expressiveness": expressiveness, "distance": distance}, (features, decoded, image)


class ClosedLoopLoss(TranscriptionLoss):
    """Both play for ΔR(f(X)) + ΔR(fgf(X)) + Σ_j ΔR(f(X_j), fgf(X_j)): the encoder raises it, the decoder lowers what depends on
    it. With one class the game is the binary one: the first two are zero. The public code takes gf(X) as given in the
    encoder's step; here that step goes through g, which stands still.

    Further metrics are of single samples: "consistency", the mean of ‖f(x) − fgf(x)‖², and "pixels", the mean squared error of
    gf(x), which no player sees.

    Source: Dai et al., *CTRL: Closed-Loop Transcription to an LDR via Minimaxing Rate Reduction* (2022).
    """

    def __init__(self, num_classes: int, epsilon: float):
        self.plays_images = True
        self.num_classes = positive_integer("num_classes", num_classes)
        self.epsilon = np.asarray(positive_real("epsilon", epsilon))

    def __call__(self, model: Any, batch: dict[str, jax.Array], key: Any = None) -> tuple[jax.Array, dict[str, Any]]:
        """The loss of a batch, and its metrics."""
        loss, metrics, (features, decoded, image) = self.played(model, batch)
        metrics["consistency"] = jnp.mean(jnp.sum((features - image) ** 2, axis=1))
        metrics["pixels"] = jnp.mean((batch["inputs"] - decoded) ** 2)
        return loss, metrics


def transcription_utilities(
    features: Float[Array, "m d"], image: Float[Array, "m d"], memberships: Float[Array, "k m"], epsilon: Any
) -> tuple[Float[Array, ""], Float[Array, " k"]]:
    """ΔR(f(X)), and ΔR(f(X_j), fgf(X_j)) of each class, of any features and their images. A class without members adds nothing.

    **Arguments:** all of one dtype; `memberships`: one where the sample is the class's, zero elsewhere.
    """
    values, distances, _ = _utilities([(features, image)], memberships, epsilon)
    return values[0], distances[0]


def _utilities(
    pairs: list[tuple[jax.Array, jax.Array]], memberships: jax.Array, epsilon: Any
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """ΔR(f(X)) (p,), ΔR(f(X_j), fgf(X_j)) of each class (p, k), and ΔR(fgf(X)) (p,) of p pairs of features and images."""
    samples, dim = pairs[0][0].shape
    epsilon = jnp.asarray(epsilon, dtype=pairs[0][0].dtype)
    sizes = jnp.sum(memberships, axis=1)
    scales = (dim / (jnp.maximum(sizes, 1) * epsilon**2))[:, None, None]
    # One stacked factorization of everything: several in one program can wait for one another for ever where a processor has
    # few threads (jaxlib 0.10).
    stacks = []
    for features, image in pairs:
        P, images = _moments(features, memberships), _moments(image, memberships)
        whole = dim / (samples * epsilon**2) * jnp.stack([jnp.sum(P, axis=0), jnp.sum(images, axis=0)])
        stacks.append(jnp.concatenate([whole, scales * P, scales * images, scales / 2 * (P + images)]))
    logdets = logdet_one_plus(jnp.stack(stacks))
    own, other, both = jnp.moveaxis(logdets[:, 2:].reshape(len(pairs), 3, len(sizes)), 1, 0)
    shares = (sizes / samples)[None, :]
    values = 0.5 * (logdets[:, 0] - jnp.sum(shares * own, axis=1))
    image_values = 0.5 * (logdets[:, 1] - jnp.sum(shares * other, axis=1))
    return values, 0.5 * both - 0.25 * (own + other), image_values


def _moments(features: jax.Array, memberships: jax.Array) -> jax.Array:
    """Z_jᵀ Z_j of each class, (K, d, d)."""
    classes, samples, dim = *memberships.shape, features.shape[1]
    # As one product: a batch of them takes a multiple of its time on a processor.
    apart = (memberships.T[:, :, None] * features[:, None, :]).reshape(samples, classes * dim)
    return jnp.matmul(apart.T, features, precision=_HIGHEST).reshape(classes, dim, dim)


class LinearVAE(eqx.Module):
    """A variational autoencoder with a linear encoder, a diagonal posterior covariance that is the same for all samples, a
    linear decoder and Gaussian noise of a learned variance. The inputs are taken to be centered.

    **Arguments:** as for `Transcriber`.

    Source: Lucas, Tucker, Grosse, Norouzi, *Don't blame the ELBO! A linear VAE perspective on posterior collapse* (NeurIPS
    2019).
    """

    encoder: eqx.nn.Linear
    decoder: eqx.nn.Linear
    log_variances: jax.Array
    log_noise: jax.Array

    def __init__(self, num_inputs: int, dim: int, *, key: Any, dtype: Any = jnp.float32):
        first, second = jax.random.split(key)
        num_inputs, dim = positive_integer("num_inputs", num_inputs), positive_integer("dim", dim)
        self.encoder = eqx.nn.Linear(num_inputs, dim, use_bias=False, dtype=dtype, key=first)
        self.decoder = eqx.nn.Linear(dim, num_inputs, use_bias=False, dtype=dtype, key=second)
        self.log_variances = jnp.zeros(dim, dtype)
        self.log_noise = jnp.zeros((), dtype)

    def encode(self, inputs: Float[Array, "m n"]) -> Float[Array, "m d"]:
        """The posterior means."""
        return jnp.matmul(inputs, self.encoder.weight.T, precision=_HIGHEST)

    def decode(self, features: Float[Array, "m d"]) -> Float[Array, "m n"]:
        """The mean image of each feature."""
        return jnp.matmul(features, self.decoder.weight.T, precision=_HIGHEST)


def negative_elbo(model: LinearVAE, batch: dict[str, jax.Array], key: Any = None) -> tuple[jax.Array, dict[str, Any]]:
    """Minus the evidence lower bound, in nats a sample; in closed form, since everything is linear and Gaussian. Metric:
    "reconstruction", the mean squared error of the posterior means' images."""
    inputs = batch["inputs"]
    means, variances = model.encode(inputs), jnp.exp(model.log_variances)
    error = jnp.mean(jnp.sum((inputs - model.decode(means)) ** 2, axis=1))
    spread = jnp.sum(model.decoder.weight**2 * variances[None, :])
    noise, num_inputs = jnp.exp(model.log_noise), inputs.shape[1]
    likelihood = 0.5 * ((error + spread) / noise + num_inputs * (model.log_noise + jnp.log(2 * jnp.pi)))
    divergence = 0.5 * jnp.sum(jnp.mean(means**2, axis=0) + variances - 1 - model.log_variances)
    return likelihood + divergence, {"reconstruction": error / num_inputs}


def best_negative_elbo(inputs: Any, dim: int) -> float | None:
    """The least `negative_elbo` that any `LinearVAE` reaches on centered inputs (samples, d_x): minus the largest likelihood of
    probabilistic principal component analysis. `None` where the inputs have rank `dim` or less: the likelihood is unbounded.

    **Raises:** `InputError` for inputs that are no matrix of finite numbers, or `dim` below one.

    Source: Tipping and Bishop, *Probabilistic principal component analysis* (1999); Lucas et al. (2019).
    """
    X = float64_matrix("inputs", inputs, (None, None), refuse_float32=False)
    dim, width = positive_integer("dim", dim), X.shape[1]
    values = np.zeros(width)
    singular = np.linalg.svd(X, compute_uv=False)
    values[: singular.size] = singular**2 / X.shape[0]
    if dim >= width or values[dim] <= _ROUNDING * values[0]:
        return None
    noise = float(np.mean(values[dim:]))
    return 0.5 * float(np.sum(np.log(values[:dim])) + (width - dim) * np.log(noise) + width * (1 + np.log(2 * np.pi)))


@functools.lru_cache(maxsize=16)
def two_rates(encoder_rate: float, decoder_rate: float) -> Any:
    """An Adam for each player of a `Transcriber`. One object for one pair of rates, so that a second training compiles nothing.

    **Raises:** `InputError` for rates that are not positive, or where optax is missing.
    """
    try:
        import optax
    except ImportError:
        raise missing_extra("training", "optax", "solvers") from None
    rates = {"encoder": positive_real("encoder_rate", encoder_rate), "decoder": positive_real("decoder_rate", decoder_rate)}
    return optax.multi_transform({name: optax.adam(rate) for name, rate in rates.items()}, players_of)


def players_of(parameters: Any) -> Any:
    """Whose each parameter is, of a model with an `encoder` and a `decoder`."""

    def named(name: str, part: Any) -> Any:
        return jax.tree.map(lambda _: name, part)

    return eqx.tree_at(
        lambda tree: (tree.encoder, tree.decoder),
        parameters,
        (named("encoder", parameters.encoder), named("decoder", parameters.decoder)),
    )
