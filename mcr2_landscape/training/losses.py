"""Losses of labeled features: cross-entropy, the rate reduction of Yu et al., the regularized one of Wang et al.

Features are (samples, features) here, as a network gives them; labels are integers 0 … K−1 and may be traced, so that a
minibatch need not hold every class: a class without samples adds nothing to the rate of the classes, which is the limit of its
term. Features of less than float32 are converted to float32 first: nothing coarser carries a log-determinant.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from mcr2_landscape.rates import rate_reduction
from mcr2_landscape.validation import InputError, positive_integer, positive_real

LOSSES = ("regularized", "mcr2", "cross-entropy")


def check_loss(name: str) -> str:
    """`name`, if it is one of `LOSSES`.

    **Raises:** `InputError` otherwise.
    """
    if name not in LOSSES:
        raise InputError(f"loss: found {name!r}; pass one of {', '.join(LOSSES)}")
    return name


@jax.jit
def cross_entropy(logits: Float[Array, "m k"], labels: Int[Array, " m"]) -> Float[Array, ""]:
    """The mean over samples of −log softmax(logits)[label]."""
    scores = jax.nn.log_softmax(fine(logits), axis=1)
    return -jnp.mean(jnp.take_along_axis(scores, labels[:, None], axis=1))


def mcr2(features: Float[Array, "m d"], labels: Int[Array, " m"], epsilon: Any, num_classes: int) -> Float[Array, ""]:
    """−ΔR of the features, each projected on the unit sphere.

    Source: Yu, Chan, You, Song, Ma (NeurIPS 2020), equation (8), with unit columns.
    """
    return -_reduction(on_spheres(features), labels, epsilon, num_classes)


def regularized(
    features: Float[Array, "m d"],
    labels: Int[Array, " m"],
    epsilon: Any,
    regularization: Any,
    num_classes: int,
    num_samples: int | None = None,
) -> Float[Array, ""]:
    """−F = −(ΔR − (lambda/2)‖Z‖²), without any normalization.

    `num_samples`: the samples of the whole data set where the features are a minibatch of it. The rates are those of the
    minibatch's own second moments, and the penalty is scaled to the whole: (lambda/2)(num_samples/m)‖Z‖², so that the weight
    beside the rates does not depend on the size of the batch.

    Source: Wang, Liu, Pai, Yu, Zhu, Qu, Ma (ICML 2024), equation (5).
    """
    features = fine(features)
    penalty = _penalty(features, regularization, num_samples)
    return penalty - _reduction(features, labels, epsilon, num_classes)


@jax.jit
def on_spheres(features: Float[Array, "m d"]) -> Float[Array, "m d"]:
    """Each sample divided by its length; one that is zero stays zero, with the derivative zero, and one with an entry that is
    not finite becomes NaN."""
    features = fine(features)
    # Squares of what is large or small would leave the range. The length divided out makes no difference to the derivative.
    largest = jax.lax.stop_gradient(jnp.max(jnp.abs(features), axis=1, keepdims=True))
    zero = largest == 0
    scaled = jnp.where(zero, jnp.zeros_like(features), features) / jnp.where(zero, jnp.ones_like(largest), largest)
    squares = jnp.sum(scaled * scaled, axis=1, keepdims=True)
    return scaled * jax.lax.rsqrt(jnp.where(zero, jnp.ones_like(squares), squares))


class FeatureLoss(eqx.Module):
    """One of `LOSSES` for `fit`: of a model that maps one sample to its features, and of batches with "inputs" and "labels".

    **Arguments:** `name`: "regularized", "mcr2" or "cross-entropy" (of `model.head`, which maps features to logits).
    `num_classes`; `epsilon`, the coding precision of the two rate reductions; `regularization`, lambda of the first;
    `num_samples` of the whole data set. Numbers are traced: a sweep over them is one compilation.

    It returns the loss with the metric "rate_reduction" (of the features that the loss sees) or "accuracy".

    **Raises:** `InputError` for an unknown name or numbers out of range.
    """

    name: str = eqx.field(static=True)
    num_classes: int = eqx.field(static=True)
    num_samples: int = eqx.field(static=True)
    epsilon: np.ndarray
    regularization: np.ndarray

    def __init__(self, name: str, num_classes: int, num_samples: int, epsilon: float = 0.5, regularization: float = 1.0):
        self.name = check_loss(name)
        self.num_classes = positive_integer("num_classes", num_classes, minimum=2)
        self.num_samples = positive_integer("num_samples", num_samples)
        # NumPy's, not Python's: numbers that a compiled program takes as arguments, in the precision that it runs in.
        self.epsilon = np.asarray(positive_real("epsilon", epsilon))
        self.regularization = np.asarray(positive_real("regularization", regularization))

    def __call__(self, model: Any, batch: dict[str, jax.Array], key: Any = None) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The loss of a batch, and its metric."""
        features, labels = jax.vmap(model)(batch["inputs"]), batch["labels"]
        if self.name == "cross-entropy":
            logits = jax.vmap(model.head)(features)
            right = jnp.argmax(logits, axis=1).astype(labels.dtype) == labels
            return cross_entropy(logits, labels), {"accuracy": jnp.mean(right.astype(jnp.float32))}
        features = on_spheres(features) if self.name == "mcr2" else fine(features)
        reduction = _reduction(features, labels, self.epsilon, self.num_classes)
        loss = -reduction
        if self.name == "regularized":
            loss = _penalty(features, self.regularization, self.num_samples) - reduction
        return loss, {"rate_reduction": reduction}


def fine(array: jax.Array) -> jax.Array:
    """At least float32."""
    return array.astype(jnp.float32) if jnp.finfo(array.dtype).bits < 32 else array


def _penalty(features: jax.Array, regularization: Any, num_samples: int | None) -> jax.Array:
    share = 1.0 if num_samples is None else num_samples / features.shape[0]
    return 0.5 * share * jnp.asarray(regularization, dtype=features.dtype) * jnp.sum(features * features)


def _reduction(features: jax.Array, labels: jax.Array, epsilon: Any, num_classes: int) -> jax.Array:
    """ΔR. Compiled, so that the memberships are traced: as known values they would be refused where a class has no samples."""
    return _traced_reduction(features, labels, jnp.asarray(epsilon, dtype=features.dtype), num_classes)


def _traced_reduction_impl(features: jax.Array, labels: jax.Array, epsilon: Any, num_classes: int) -> jax.Array:
    memberships = labels[None, :] == jnp.arange(num_classes, dtype=labels.dtype)[:, None]
    return rate_reduction(features.T, memberships.astype(features.dtype), epsilon)


_traced_reduction = jax.jit(_traced_reduction_impl, static_argnums=3)
