"""Lengths that labeled data are brought to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mcr2_landscape.validation import InputError


def unit_samples(rows: np.ndarray, *, centered: bool = False) -> np.ndarray:
    """Each row (samples, features) divided by its length. `centered`: whether the mean was subtracted before, for the message.

    **Raises:** `InputError` for rows that are zero.
    """
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    zeros = int((norms == 0).sum())
    if zeros:
        raise InputError(
            f"X: {zeros} samples are zero{' after centering' if centered else ''} and have no direction to normalize; remove "
            "them, or normalize by class (normalize='classes')"
        )
    return rows / norms


def unit_classes(rows: np.ndarray, codes: np.ndarray, names: Sequence[Any]) -> np.ndarray:
    """Rows (samples, features) of the classes `codes`, 0 … K−1, scaled so that each class's mean squared length is one.

    **Raises:** `InputError` for a class of zeros.
    """
    squares = np.bincount(codes, weights=np.sum(rows * rows, axis=1), minlength=len(names))
    for name, square in zip(names, squares, strict=True):
        if square == 0:
            raise InputError(f"X: all samples of class {name!r} are zero; remove the class, or do not normalize by class")
    return rows * np.sqrt(np.bincount(codes, minlength=len(names)) / squares)[codes, None]
