"""Precision by scope: the library never changes JAX's process-wide settings."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from mcr2_landscape.validation import InputError, check_finite, check_shape, positive_real


def positive_leaf(name: str, value: Any) -> Any:
    """A checked Python float, which JAX traces weakly typed, so that it takes the dtype of what it meets; a tracer as it is.

    **Raises:** `InputError` unless it is one finite number above zero (or traced).
    """
    if not isinstance(value, Tracer):
        return positive_real(name, value)
    if value.shape != ():
        raise InputError(f"{name}: found a traced array of shape {value.shape}; pass one number (jax.vmap runs over several)")
    return value


def refuse_traced(names: str, *values: Any) -> None:
    """Refuse numbers that are traced, for functions that need their values.

    **Raises:** `InputError`.
    """
    if any(isinstance(value, Tracer) for value in values):
        raise InputError(
            f"{names}: traced here, but the closed-form theory needs the value; call it outside jit, vmap and grad"
        )


def traced_array(name: str, value: Any, shape: tuple[int | None, ...] | None = None, *, finite: bool = True) -> jax.Array:
    """`value` as a floating JAX array for a function that is traced.

    NumPy float64 is refused while 64-bit mode is off: JAX would drop to float32 without a word. Python numbers, lists and
    integer arrays take the default floating type. Values are looked at where they are known (not traced): they must be finite,
    unless `finite` is false.

    **Raises:** `InputError`.
    """
    found = _numpy_dtypes(value)
    if np.dtype(np.longdouble) in found and np.dtype(np.longdouble) != np.float64:
        raise InputError(f"{name}: found {np.dtype(np.longdouble)}, which JAX does not have; pass float32 or float64")
    if np.dtype(np.float64) in found and not jax.config.read("jax_enable_x64"):
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
    if array.dtype not in (jnp.float32, jnp.float64):
        raise InputError(f"{name}: found {array.dtype}, too coarse for a log-determinant; pass float32 or float64")
    if shape is not None:
        check_shape(name, array.shape, shape)
    if finite and not isinstance(array, Tracer):
        check_finite(name, np.asarray(array))
    return array


def _numpy_dtypes(value: Any) -> set[np.dtype]:
    """The dtypes of the NumPy arrays and numbers in `value`, an array or nested lists of them."""
    leaves = jax.tree_util.tree_leaves(value) if isinstance(value, (list, tuple)) else [value]
    return {leaf.dtype for leaf in leaves if isinstance(leaf, (np.ndarray, np.generic))}
