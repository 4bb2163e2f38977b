"""Precision by scope: the library never changes JAX's process-wide settings."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from mcr2_landscape.validation import InputError, check_shape, positive_real


def positive_leaf(name: str, value: Any) -> Any:
    """A checked Python float, which JAX traces weakly typed, so that it takes the dtype of what it meets; a tracer as it is.

    **Raises:** `InputError` unless it is one finite number above zero (or traced).
    """
    return value if isinstance(value, Tracer) else positive_real(name, value)


def traced_array(name: str, value: Any, shape: tuple[int | None, ...] | None = None) -> jax.Array:
    """`value` as a floating JAX array for a function that is traced.

    NumPy float64 is refused while 64-bit mode is off: JAX would drop to float32 without a word. Python numbers, lists and
    integer arrays take the default floating type. Values are not looked at (they may be tracers).

    **Raises:** `InputError`.
    """
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype == np.float64 and not jax.config.read("jax_enable_x64"):
        raise InputError(
            f"{name}: found float64 while JAX's 64-bit mode is off, which would silently round to float32; call "
            'jax.config.update("jax_enable_x64", True) at the start of the program, or pass float32'
        )
    if isinstance(value, (str, bytes)) or value is None:
        raise InputError(f"{name}: found {value!r}; pass a numeric array")
    try:
        array = jnp.asarray(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: cannot be read as an array ({error}); pass real numbers in rows of equal length") from None
    if jnp.issubdtype(array.dtype, jnp.complexfloating):
        raise InputError(f"{name}: found {array.dtype}; pass real numbers")
    if not jnp.issubdtype(array.dtype, jnp.floating):
        array = array.astype(jnp.result_type(float))
    if shape is not None:
        check_shape(name, array.shape, shape)
    return array
