"""A small network that maps samples to features."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mcr2_landscape.validation import positive_integer

_ROWS = 8192


class Encoder(eqx.Module):
    """A multilayer perceptron: `depth` hidden layers of `width` units with leaky ReLU, then a linear map to `dim` features.

    **Arguments:** `num_inputs`; `dim`; `num_classes`: with it, `head` is a linear map from features to logits, for
    cross-entropy; `key`: the parameters, uniform within ±1/√(inputs of the layer); `dtype` of the parameters.

    **Raises:** `InputError` for sizes below one.
    """

    layers: eqx.nn.MLP
    head: eqx.nn.Linear | None

    def __init__(
        self,
        num_inputs: int,
        dim: int,
        *,
        width: int = 256,
        depth: int = 2,
        num_classes: int | None = None,
        key: Any,
        dtype: Any = jnp.float32,
    ):
        body, top = jax.random.split(key)
        self.layers = eqx.nn.MLP(
            positive_integer("num_inputs", num_inputs),
            positive_integer("dim", dim),
            positive_integer("width", width),
            positive_integer("depth", depth, minimum=0),
            # Leaky: units that are zero for a sample would map many samples to the very same features.
            activation=jax.nn.leaky_relu,
            dtype=dtype,
            key=body,
        )
        classes = None if num_classes is None else positive_integer("num_classes", num_classes, minimum=2)
        self.head = None if classes is None else eqx.nn.Linear(dim, classes, dtype=dtype, key=top)

    def __call__(self, x: Float[Array, " n"]) -> Float[Array, " d"]:
        """The features of one sample."""
        return self.layers(x)


def encode(model: Any, inputs: np.ndarray) -> np.ndarray:
    """The features of all samples, (samples, dim), in the dtype of `inputs`; products at the device's full precision."""
    with jax.default_matmul_precision("highest"):
        parts = [_encode(model, jnp.asarray(inputs[start : start + _ROWS])) for start in range(0, len(inputs), _ROWS)]
    return np.concatenate([np.asarray(part) for part in parts])


@eqx.filter_jit
def _encode(model: Any, inputs: jax.Array) -> jax.Array:
    return jax.vmap(model)(inputs)
