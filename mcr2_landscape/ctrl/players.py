"""Encoders and decoders as they come in: checked, with messages in the terms of the games."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from mcr2_landscape.precision import traced_array
from mcr2_landscape.validation import InputError, float64_matrix

# What the library says of data, and what is meant where it is a player.
_WORDS = (
    ("rows are dimensions and columns samples here", "F is (d_z, d_x) and G (d_x, d_z)"),
    ("remove or repair those rows", "pass finite entries"),
)
_LARGEST = 1e75  # norms of second moments are fourth powers


def host_matrix(name: str, value: Any, shape: tuple[int | None, ...]) -> np.ndarray:
    """`float64_matrix` for a player.

    **Raises:** `InputError` for a wrong shape, float32 or NaN.
    """
    return _reworded(lambda: float64_matrix(name, value, shape))


def traced_matrix(name: str, value: Any, shape: tuple[int | None, ...]) -> jax.Array:
    """`traced_array` for a player.

    **Raises:** `InputError` for a wrong shape or dtype, or NaN.
    """
    return _reworded(lambda: traced_array(name, value, shape))


def _reworded(check: Callable[[], Any]) -> Any:
    try:
        return check()
    except InputError as error:
        words = str(error)
    for found, meant in _WORDS:
        words = words.replace(found, meant)
    raise InputError(words)


def check_range(F: np.ndarray, G: np.ndarray | None, factors: tuple[np.ndarray, ...]) -> None:
    """Refuse players whose images' second moments leave the range of float64.

    **Raises:** `InputError`.
    """
    data, largest = max(float(np.abs(C).max()) for C in factors), float(np.abs(F).max(initial=0.0))
    own = 0.0 if G is None else float(np.abs(G).max(initial=0.0))
    image = largest * data  # Python's floats overflow to infinity in products
    if not image <= _LARGEST:
        raise InputError(f"F: found entries of up to {largest:.3g}, at which f(X) leaves the range of float64; scale F down")
    if not image * (largest * own) <= _LARGEST:
        raise InputError(
            f"G: with F's entries of up to {largest:.3g} and its own of up to {own:.3g} fgf(X) leaves the range of float64; "
            "scale them down"
        )


def finite_slopes(found: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
    """Gradients or their derivatives, if they are numbers, or traced.

    **Raises:** `InputError`.
    """
    if not any(isinstance(part, Tracer) for part in found) and not all(np.isfinite(np.asarray(part)).all() for part in found):
        raise InputError(
            f"F: its image f(X), or fgf(X), is too large beside epsilon for derivatives in {found[0].dtype}; scale F and G "
            "down, or pass a larger epsilon or float64"
        )
    return found
