"""The one bridge from (samples, features) and labels of any kind to (dim, samples) in class blocks."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Set
from typing import Any

import numpy as np

from mcr2_landscape.validation import InputError, float64_matrix


def sort_features(X: Any, labels: Any) -> tuple[np.ndarray, tuple[int, ...], np.ndarray]:
    """Sort samples by class (stable; classes in the order of `np.unique`).

    **Returns:** Z (features, samples) float64, the class sizes, and the order with `Z = X[order].T`.

    **Raises:** `InputError` naming what does not fit.
    """
    features, sizes, order = grouped(X, labels)
    return np.ascontiguousarray(features[order].T), sizes, order


def grouped(X: Any, labels: Any) -> tuple[np.ndarray, tuple[int, ...], np.ndarray]:
    """What `sort_features` sorts, without the sorted copy: X (samples, features) float64, the class sizes, and the order.

    **Raises:** `InputError` naming what does not fit.
    """
    features = float64_matrix("X", X, (None, None), refuse_float32=False)
    if 0 in features.shape:
        raise InputError(f"X: found shape {features.shape}; pass at least one sample and one feature")
    codes, names = encode_labels(labels)
    if codes.size != features.shape[0]:
        hint = "; X looks transposed: rows are samples here" if codes.size == features.shape[1] else ""
        raise InputError(f"labels: found {codes.size} for {features.shape[0]} samples (rows of X); pass one a sample{hint}")
    sizes = np.bincount(codes, minlength=len(names))
    if len(names) < 2:
        raise InputError(
            f"labels: found the single class {names[0]!r}; pass at least two classes: with one the rate reduction "
            "is zero everywhere"
        )
    order = np.argsort(codes, kind="stable")
    return features, tuple(int(size) for size in sizes), order


def encode_labels(labels: Any) -> tuple[np.ndarray, list[Any]]:
    """Class numbers 0 … K−1 of shape (samples,), and the class names in that order. Kinds that do not sort together keep the
    order in which they appear.

    **Raises:** `InputError` for labels that are missing (NaN, None), nested, or no sequence.
    """
    # Sets and mappings have no order that could match the samples'.
    if isinstance(labels, (str, bytes, Set, Mapping)) or not hasattr(labels, "__len__"):
        raise InputError(f"labels: found {type(labels).__name__}; pass a sequence with one label a sample")
    array = np.asarray(labels) if hasattr(labels, "dtype") else None
    if array is not None and array.ndim != 1:
        raise InputError(f"labels: found shape {array.shape}; pass one label a sample, shape (samples,)")
    if len(labels) == 0:
        raise InputError("labels: found none; pass one label a sample")
    items = array.tolist() if array is not None else list(labels)
    for position, item in enumerate(items):
        if _missing(item):
            raise InputError(f"labels: found {item} at sample {position}; every sample needs a label")
    try:
        names = list(dict.fromkeys(items))
    except TypeError:
        raise InputError("labels: found a label that cannot be hashed; pass strings, numbers or tuples") from None
    with contextlib.suppress(TypeError):  # kinds that do not compare: the order of appearance is as good as any
        names.sort()
    number = {name: code for code, name in enumerate(names)}
    return np.array([number[item] for item in items], dtype=np.int64), names


def _missing(item: Any) -> bool:
    """None, NaN of any kind (which alone differs from itself), or a marker that refuses to be compared, such as pandas' NA."""
    try:
        return item is None or bool(item != item)
    except TypeError:
        return True
    except ValueError:  # an array: whether it can be a label is decided where it is hashed
        return False
