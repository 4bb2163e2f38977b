"""From features as they come to features that are analyzed: checks, centering, normalization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mcr2_landscape.data.normalization import unit_classes, unit_samples
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
    zeros = int((~Z.any(axis=0)).sum())
    if normalize == "samples":
        Z = unit_samples(Z.T, centered=center).T
    if normalize == "classes":
        Z = unit_classes(Z.T, np.repeat(np.arange(len(sizes)), sizes), names).T
    return Prepared(Z, names, sizes, constant, zeros, duplicates, mixed)


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
