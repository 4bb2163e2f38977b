"""Squares that neither overflow nor vanish. NumPy, float64."""

from __future__ import annotations

import numpy as np


def exponent(array: np.ndarray) -> int:
    """The power of two that brings the greatest entry to [0.5, 1): scaling by `np.ldexp(array, -exponent)` rounds nothing."""
    return int(np.frexp(np.abs(array).max(initial=0))[1])


def scaled(array: np.ndarray) -> np.ndarray:
    """The array times a power of two, its greatest entry in [0.5, 1)."""
    return np.ldexp(array, -exponent(array))
