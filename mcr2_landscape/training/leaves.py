"""The leaves of a pytree, told apart."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.validation import InputError


def is_array(leaf: Any) -> bool:
    """Whether it is an array or a NumPy number."""
    return isinstance(leaf, (jax.Array, np.ndarray, np.generic))


def is_key(leaf: Any) -> bool:
    """Whether it is an array of typed random keys."""
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def is_floating(leaf: Any) -> bool:
    """Whether it is an array of real floating-point numbers."""
    return is_array(leaf) and jnp.issubdtype(leaf.dtype, jnp.floating)


def check_integers(name: str, array: np.ndarray) -> None:
    """Refuse integers that JAX, in its present mode, would cut to 32 bits without a word.

    **Raises:** `InputError`.
    """
    if array.dtype.kind not in "iu" or array.dtype.itemsize <= 4 or not array.size or jax.config.read("jax_enable_x64"):
        return
    limits = np.iinfo(np.uint32 if array.dtype.kind == "u" else np.int32)
    if array.min() < limits.min or array.max() > limits.max:
        raise InputError(f"{name}: found integers beyond 32 bits; renumber them, or train with precision='float64'")
