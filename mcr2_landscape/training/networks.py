"""A small network that maps samples to features."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mcr2_landscape.memory import available
from mcr2_landscape.validation import InputError, positive_integer

_ROWS = 8192
_UNREAD = 2**40  # bytes, where the machine's memory cannot be read
_LAYERS = 1000  # each is an operation of its own in the compiled program


class Encoder(eqx.Module):
    """A multilayer perceptron: `depth` hidden layers of `width` units with leaky ReLU, then a linear map to `dim` features.

    **Arguments:** `num_inputs`; `dim`; `num_classes`: with it, `head` is a linear map from features to logits, for
    cross-entropy; `key`: the parameters, uniform within ±1/√(inputs of the layer); `dtype` of the parameters.

    **Raises:** `InputError` for sizes below one, or a network that the machine's memory cannot hold.
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
        _check_size(num_inputs, dim, width, depth, num_classes, np.dtype(dtype).itemsize)
        body, top = jax.random.split(key)
        self.layers = eqx.nn.MLP(
            num_inputs,
            dim,
            width,
            depth,
            # Leaky: units that are zero for a sample would map many samples to the very same features.
            activation=jax.nn.leaky_relu,
            dtype=dtype,
            key=body,
        )
        self.head = None if num_classes is None else eqx.nn.Linear(dim, num_classes, dtype=dtype, key=top)

    def __call__(self, x: Float[Array, " n"]) -> Float[Array, " d"]:
        """The features of one sample."""
        return self.layers(x)


def _check_size(num_inputs: Any, dim: Any, width: Any, depth: Any, num_classes: Any, bytes_each: int) -> None:
    inputs, dim = positive_integer("num_inputs", num_inputs), positive_integer("dim", dim)
    width, depth = positive_integer("width", width), positive_integer("depth", depth, minimum=0)
    count = (inputs + 1) * width + (depth - 1) * (width + 1) * width + (width + 1) * dim if depth else (inputs + 1) * dim
    if num_classes is not None:
        count += (dim + 1) * positive_integer("num_classes", num_classes, minimum=2)
    memory = available() or _UNREAD
    if count * bytes_each > memory:
        raise InputError(
            f"width: found {width} units in {depth} hidden layers to {dim} features: {count:,} parameters take "
            f"{count * bytes_each / 2**30:,.1f} GiB, and {memory / 2**30:,.1f} are free; pass less"
        )
    if depth > _LAYERS:
        raise InputError(f"depth: found {depth}; pass at most {_LAYERS}")


def encode(model: Any, inputs: np.ndarray) -> np.ndarray:
    """The features of all samples, (samples, dim), in the dtype of `inputs`; products at the device's full precision."""
    with jax.default_matmul_precision("highest"):
        parts = [_encode(model, jnp.asarray(inputs[start : start + _ROWS])) for start in range(0, len(inputs), _ROWS)]
    return np.concatenate([np.asarray(part) for part in parts])


@eqx.filter_jit
def _encode(model: Any, inputs: jax.Array) -> jax.Array:
    return jax.vmap(model)(inputs)
