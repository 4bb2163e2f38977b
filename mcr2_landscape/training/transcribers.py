"""Encoders and decoders trained by closed-loop transcription, and a linear variational autoencoder beside them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.ctrl.optimum import upper_bound
from mcr2_landscape.data import LabeledFeatures
from mcr2_landscape.extras import missing_extra
from mcr2_landscape.record import Record
from mcr2_landscape.training.inputs import check_key
from mcr2_landscape.training.loop import fit
from mcr2_landscape.training.losses import on_spheres
from mcr2_landscape.training.results import Status, Training
from mcr2_landscape.training.standardization import standardized
from mcr2_landscape.training.transcription import (
    LinearVAE,
    Transcriber,
    TranscriptionLoss,
    best_negative_elbo,
    negative_elbo,
    transcription_utilities,
    two_rates,
)
from mcr2_landscape.validation import InputError, positive_integer, positive_real

NETWORKS = ("linear", "two-layer", "vae")
_PRECISIONS = ("float32", "float64")


@dataclass(frozen=True)
class TranscriptionTraining(Record):
    """A trained encoder and decoder, and what they make of the data.

    **Fields:** `training`, of the networks; `network`, `dim`, `sizes` (samples of each class, in the order of the sorted
    labels), `epsilon`. The inputs are the data less `center` (zero but for "vae"), over `spread`.

    In float64, samples in the order of the data: `features` f(X) and `again` fgf(X), (samples, dim), of length one, and
    `decoded` gf(X), (samples, d_x), in the units of the data. `expressiveness` ΔR(f(X)) and `distances` ΔR(f(X_j), fgf(X_j)),
    shape (K,), of those features. `upper_bound`: no encoder of any kind exceeds it with ‖f(X_j)‖² ≤ n_j; `gap`: what is
    missing to it. `reconstruction_error`: ‖gf(X) − X‖/‖X‖.

    `negative_elbo` and `best_negative_elbo`, the least that any linear variational autoencoder reaches on these inputs: for
    "vae" alone, and the second only where it is finite.

    All numbers are NaN, and arrays empty, where training diverged and the networks give infinite features.
    """

    training: Training
    network: str
    dim: int
    sizes: tuple[int, ...]
    epsilon: float
    center: np.ndarray = field(repr=False, metadata={"json": False})
    spread: float
    features: np.ndarray = field(repr=False, metadata={"json": False})
    decoded: np.ndarray = field(repr=False, metadata={"json": False})
    again: np.ndarray = field(repr=False, metadata={"json": False})
    expressiveness: float
    distances: np.ndarray
    upper_bound: float
    gap: float
    reconstruction_error: float
    negative_elbo: float | None
    best_negative_elbo: float | None


def train_transcription(
    data: LabeledFeatures,
    *,
    network: str = "two-layer",
    dim: int = 20,
    epsilon: float = 1.0,
    width: int = 128,
    num_steps: int = 2000,
    encoder_rate: float = 1e-4,
    decoder_rate: float = 1e-2,
    batch_size: int | None = None,
    key: Any = 0,
    precision: str = "float32",
    record_every: int = 10,
    max_seconds: float | None = None,
    progress: bool | Callable[[Status], Any] = False,
    stop: Callable[[Status], bool] | None = None,
) -> TranscriptionTraining:
    """Train an encoder and a decoder on labeled data, by Adam for both players at the same time.

    **Arguments:** `data`: any labeled features. `network`: "linear" (linear maps without a bias, the features then brought to
    length one, which the game of linear subspaces does not do: its constraint is ‖F X_j‖² ≤ n_j), "two-layer" (multilayer
    perceptrons with one hidden layer of `width` units each, features of length one), or "vae" (`LinearVAE`, which maximizes its
    evidence lower bound and knows no classes). `dim`: d_z; `epsilon`: the coding precision, for "vae" of the numbers alone.
    `encoder_rate`, `decoder_rate`: of the two Adams; "vae" has one, of `encoder_rate`. `precision`: "float32" or "float64".
    All others are as for `fit`.

    The inputs are divided by one number, so that their squares are one on average. They are centered for "vae" alone: subspaces
    contain the origin.

    **Returns:** `TranscriptionTraining`.

    **Raises:** `InputError` for data of a single class or of zeros, an unknown network, numbers out of range, networks beyond
    the machine's memory, and as `fit`.

    Source: Pai et al. (arXiv 2206.09120), the utilities of multiple-subspace pursuit.
    """
    try:
        import optax  # noqa: F401
    except ImportError:
        raise missing_extra("training", "optax", "solvers") from None
    for name, value, allowed in (("network", network, NETWORKS), ("precision", precision, _PRECISIONS)):
        if value not in allowed:
            raise InputError(f"{name}: found {value!r}; pass one of {', '.join(allowed)}")
    dim, epsilon = positive_integer("dim", dim), positive_real("epsilon", epsilon)
    rates = positive_real("encoder_rate", encoder_rate), positive_real("decoder_rate", decoder_rate)
    inputs, codes, _, center, spread = standardized(data, centered=network == "vae")
    sizes = tuple(int(size) for size in np.bincount(codes))
    real = np.dtype(np.float64 if precision == "float64" else np.float32)
    with jax.enable_x64(real == np.float64):
        start, order = jax.random.split(check_key(key))
        if network == "vae":
            model: Any = LinearVAE(inputs.shape[1], dim, key=start, dtype=real)
            loss: Any = negative_elbo
            optimizer = _adam(rates[0])
        else:
            depth = 0 if network == "linear" else 1
            model = Transcriber(inputs.shape[1], dim, width=width, depth=depth, key=start, dtype=real)
            loss, optimizer = TranscriptionLoss(len(sizes), epsilon), two_rates(*rates)
    training = fit(
        model,
        loss,
        {"inputs": inputs.astype(real), "labels": codes.astype(np.int32)},
        optimizer=optimizer,
        num_steps=num_steps,
        key=order,
        batch_size=batch_size,
        precision=precision,
        record_every=record_every,
        max_seconds=max_seconds,
        progress=progress,
        stop=stop,
    )
    with jax.enable_x64(real == np.float64), jax.default_matmul_precision("highest"):
        given = jnp.asarray(inputs.astype(real))
        seen = tuple(np.asarray(part, dtype=np.float64) for part in _stages(training.model, given))
        elbo = float(negative_elbo(training.model, {"inputs": given})[0]) if network == "vae" else None
    features, decoded, again = seen
    known: dict[str, Any] = {
        "training": training,
        "network": network,
        "dim": dim,
        "sizes": sizes,
        "epsilon": epsilon,
        "center": center,
        "spread": spread,
        # A nonlinear encoder gives a class any rank that its samples and d_z have room for.
        "upper_bound": upper_bound(sizes, tuple(min(size, dim) for size in sizes), dim, epsilon),
        "negative_elbo": elbo,
        "best_negative_elbo": best_negative_elbo(inputs, dim) if network == "vae" else None,
    }
    if not all(np.isfinite(part).all() for part in seen):
        nothing, unknown = np.zeros((0, 0)), float("nan")
        return TranscriptionTraining(
            **known,
            features=nothing,
            decoded=nothing,
            again=nothing,
            expressiveness=unknown,
            distances=np.full(len(sizes), unknown),
            gap=unknown,
            reconstruction_error=unknown,
        )
    with jax.enable_x64(True):
        unit = [on_spheres(jnp.asarray(part)) for part in (features, again)]
        members = jnp.asarray((codes[None, :] == np.arange(len(sizes))[:, None]).astype(np.float64))
        found, distances = _utilities(*unit, members, jnp.asarray(epsilon))
        features, again = (np.array(part) for part in unit)
    return TranscriptionTraining(
        **known,
        features=features,
        decoded=spread * decoded + center,
        again=again,
        expressiveness=float(found),
        distances=np.array(distances),
        gap=known["upper_bound"] - float(found),
        reconstruction_error=float(spread * np.linalg.norm(decoded - inputs) / np.linalg.norm(data.features)),
    )


_utilities = jax.jit(transcription_utilities)


@eqx.filter_jit
def _stages(model: Any, inputs: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """f(X), gf(X), fgf(X)."""
    Z = model.encode(inputs)
    images = model.decode(Z)
    return Z, images, model.encode(images)


@functools.lru_cache(maxsize=16)
def _adam(rate: float) -> Any:
    import optax

    return optax.adam(rate)
