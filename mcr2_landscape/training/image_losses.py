"""Losses of networks for images: classification, masked completion, and rate reduction of the class token.

Batches are dictionaries with "images" (m, C, H, W) and, but for completion, "labels" 0 … K−1.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.training.losses import fine, mcr2
from mcr2_landscape.validation import InputError, positive_integer, positive_real, real

TASKS = ("classification", "completion", "features")


class Classification(eqx.Module):
    """Cross-entropy of a classifier's logits against smoothed labels; its metric is "accuracy" on the batch.

    **Arguments:** `smoothing`: the probability that is spread over all classes, at least 0 and below 1.

    **Raises:** `InputError` for another smoothing.
    """

    smoothing: np.ndarray

    def __init__(self, smoothing: float = 0.1):
        if not 0 <= real("label_smoothing", smoothing) < 1:
            raise InputError(f"label_smoothing: found {smoothing:g}; pass a number from 0 to 1, 1 left out")
        self.smoothing = np.asarray(float(smoothing))

    def __call__(self, model: Any, batch: dict[str, jax.Array], key: Any = None) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The loss of a batch, and its accuracy."""
        logits, labels = fine(model(batch["images"])), batch["labels"]
        scores = jax.nn.log_softmax(logits, axis=1)
        right = -jnp.mean(jnp.take_along_axis(scores, labels[:, None], axis=1))
        smoothing = jnp.asarray(self.smoothing, dtype=logits.dtype)
        hits = jnp.argmax(logits, axis=1).astype(labels.dtype) == labels
        loss = (1 - smoothing) * right - smoothing * jnp.mean(scores)
        return loss, {"accuracy": jnp.mean(hits.astype(logits.dtype))}


class Completion(eqx.Module):
    """The mean squared error of an autoencoder on masked patches, each step with a masking of its own."""

    def __call__(self, model: Any, batch: dict[str, jax.Array], key: Any) -> jax.Array:
        """The loss of a batch."""
        return fine(model.loss(batch["images"], key=key))


class ClassTokenRates(eqx.Module):
    """−ΔR of the class tokens that leave the last layer, each on the unit sphere; its metric is "rate_reduction".

    **Arguments:** `num_classes`; `epsilon`, the coding precision.

    **Raises:** `InputError` for numbers out of range.
    """

    num_classes: int = eqx.field(static=True)
    epsilon: np.ndarray

    def __init__(self, num_classes: int, epsilon: float = 0.5):
        self.num_classes = positive_integer("num_classes", num_classes, minimum=2)
        self.epsilon = np.asarray(positive_real("epsilon", epsilon))

    def __call__(self, model: Any, batch: dict[str, jax.Array], key: Any = None) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The loss of a batch, and its rate reduction."""
        features = model.features(batch["images"]).class_token
        loss = mcr2(features, batch["labels"], self.epsilon, self.num_classes)
        return loss, {"rate_reduction": -loss}
