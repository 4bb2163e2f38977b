"""From features as they come to features that are analyzed: checks, centering, normalization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mcr2_landscape.mcr2.features import encode_labels, sort_features
from mcr2_landscape.validation import InputError

NORMALIZATIONS = ("none", "samples", "classes", "scale")


@dataclass(frozen=True)
class Prepared:
    """Features in class order: Z (dim, samples), the class names and sizes, what was found in the data."""

    Z: np.ndarray
    names: tuple[str, ...]
    sizes: tuple[int, ...]
    constant_columns: tuple[int, ...]
    zero_samples: int
    duplicates: int
    mixed_duplicates: int


def prepare(X: Any, labels: Any, *, normalize: str, center: bool) -> Prepared:
    """Check, center and normalize ("scale" is left to the caller: its factor depends on the problem).

    **Raises:** `InputError` for what makes an analysis meaningless: all samples equal, a zero sample that is to be normalized.
    """
    if normalize not in NORMALIZATIONS:
        raise InputError(f"normalize: found {normalize!r}; pass one of {', '.join(NORMALIZATIONS)}")
    Z, sizes, _ = sort_features(X, labels)
    names = tuple(str(name) for name in encode_labels(labels)[1])
    if len(set(names)) < len(names):  # 1 and "1" are two classes
        names = tuple(repr(name) for name in encode_labels(labels)[1])
    low, high = Z.min(axis=1), Z.max(axis=1)
    constant = tuple(np.flatnonzero(low == high).tolist())
    if len(constant) == Z.shape[0]:
        what = "zero" if not Z.any() else "the same"
        raise InputError(
            f"X: all {Z.shape[1]} samples are {what}; there is nothing to analyze: check how the features were stored"
        )
    duplicates, mixed = _duplicates(Z, sizes)
    if center:
        Z = Z - Z.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(Z, axis=0)
    zeros = int((norms == 0).sum())
    if normalize == "samples":
        if zeros:
            raise InputError(
                f"X: {zeros} samples are zero{' after centering' if center else ''} and have no direction to normalize; "
                "remove them, "
                "or normalize by class (normalize='classes')"
            )
        Z = Z / norms
    if normalize == "classes":
        Z = _normalize_classes(Z, sizes, names)
    return Prepared(Z, names, sizes, constant, zeros, duplicates, mixed)


def _normalize_classes(Z: np.ndarray, sizes: tuple[int, ...], names: tuple[str, ...]) -> np.ndarray:
    blocks = np.split(Z, np.cumsum(sizes)[:-1], axis=1)
    for name, block in zip(names, blocks, strict=True):
        if not block.any():
            raise InputError(f"X: all samples of class {name!r} are zero; remove the class, or do not normalize by class")
    return np.concatenate([block * (np.sqrt(block.shape[1]) / np.linalg.norm(block)) for block in blocks], axis=1)


def _duplicates(Z: np.ndarray, sizes: tuple[int, ...]) -> tuple[int, int]:
    """How many samples equal an earlier one, and how many of them one of another class. Zeros are counted elsewhere."""
    owners = np.repeat(np.arange(len(sizes)), sizes)
    first: dict[bytes, int] = {}
    count = mixed = 0
    for owner, column in zip(owners.tolist(), np.ascontiguousarray(Z.T + 0.0), strict=True):  # + 0.0 makes −0 a 0
        if column.any():
            count += 1
            mixed += first.setdefault(column.tobytes(), owner) != owner
    return count - len(first), mixed
