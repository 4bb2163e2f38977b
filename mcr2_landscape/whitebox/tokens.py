"""Checks of tokens, bases and dictionaries."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from mcr2_landscape.precision import traced_array
from mcr2_landscape.validation import InputError, real


def tokens(name: str, value: Any) -> jax.Array:
    """Tokens as columns, (d, N) with d and N at least one.

    **Raises:** `InputError` for another shape, NaN, infinity, or NumPy float64 while JAX's 64-bit mode is off.
    """
    return _filled(name, traced_array(name, value, (None, None)), "one dimension and one token")


def bases(name: str, value: Any, Z: jax.Array) -> jax.Array:
    """K bases of p columns for tokens Z, (K, d, p), p at most d.

    **Raises:** `InputError` as `tokens`; also for bases of other dimensions or another dtype than the tokens'.
    """
    U = traced_array(name, value)
    if U.ndim != 3 or U.shape[1] != Z.shape[0]:
        hint = "; one basis alone is U[None]" if U.ndim == 2 and U.shape[0] == Z.shape[0] else ""
        raise InputError(f"{name}: found shape {U.shape}; pass (heads, {Z.shape[0]}, p), one basis of columns a head{hint}")
    if U.shape[2] > U.shape[1]:
        raise InputError(f"{name}: found {U.shape[2]} columns in {U.shape[1]} dimensions; a basis has at most as many")
    return _alike(name, _filled(name, U, "one head and one column"), Z)


def dictionary(name: str, value: Any, Z: jax.Array, atoms: int | None = None) -> jax.Array:
    """A dictionary for tokens Z, (d, atoms); `atoms`: how many there have to be.

    **Raises:** `InputError` as `bases`.
    """
    D = traced_array(name, value, (Z.shape[0], atoms))
    return _alike(name, _filled(name, D, "one atom"), Z)


def codes_of(name: str, value: Any, D: jax.Array, Z: jax.Array) -> jax.Array:
    """Codes of tokens Z in a dictionary D, (atoms, N).

    **Raises:** `InputError` as `bases`.
    """
    return _alike(name, traced_array(name, value, (D.shape[1], Z.shape[1])), Z)


def orthonormal_bases(name: str, value: Any, Z: jax.Array) -> jax.Array:
    """`bases`, each with orthonormal columns where the values are known.

    **Raises:** `InputError` as `bases`; also for columns that are not orthonormal to within rounding.
    """
    U = bases(name, value, Z)
    if not isinstance(U, Tracer):
        array = np.asarray(U)
        deviation = float(np.abs(np.swapaxes(array, 1, 2) @ array - np.eye(array.shape[2], dtype=array.dtype)).max())
        if deviation > 1e3 * float(np.finfo(array.dtype).eps) * array.shape[1]:
            raise InputError(
                f"{name}: found columns that are not orthonormal (UᵀU differs from the identity by {deviation:.2g}); "
                "orthonormalize each basis, for instance with numpy.linalg.qr"
            )
    return U


def real_leaf(name: str, value: Any, *, minimum: float) -> Any:
    """A number of at least `minimum` as a float, or a traced one as it is.

    **Raises:** `InputError` otherwise.
    """
    if isinstance(value, Tracer):
        if value.shape != ():
            raise InputError(f"{name}: found a traced array of shape {value.shape}; pass one number")
        return value
    number = real(name, value)
    if number < minimum:
        raise InputError(f"{name}: found {number:g}; it must be at least {minimum:g}")
    return number


def finite_result(name: str, result: jax.Array) -> jax.Array:
    """`result`, if its values are finite or traced.

    **Raises:** `InputError` where tokens were too large beside epsilon for the dtype.
    """
    if not isinstance(result, Tracer) and not np.isfinite(np.asarray(result)).all():
        raise InputError(
            f"{name}: Z is too large beside epsilon for {result.dtype}; scale Z down, pass a larger epsilon or float64"
        )
    return result


def _filled(name: str, array: jax.Array, needed: str) -> jax.Array:
    if 0 in array.shape:
        raise InputError(f"{name}: found shape {array.shape}; pass at least {needed}")
    return array


def _alike(name: str, array: jax.Array, Z: jax.Array) -> jax.Array:
    if array.dtype != Z.dtype:
        raise InputError(f"{name}: found {array.dtype}, the tokens are {Z.dtype}; convert one of them")
    return array
