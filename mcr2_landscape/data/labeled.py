"""What every loader returns, and the checks that all of them share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, check_finite


@dataclass(frozen=True)
class LabeledFeatures(Record):
    """Features with a label for each sample.

    **Fields:** `features`, (samples, features) float64; `labels`, one a sample: an array of integers or strings, or a list
    where they are of several kinds; `feature_names`, empty where the file has none; `source`, where they come from in words;
    `dtype`, the type in which the features were stored; `notes`, sentences on what was done to them on the way; `settings`, the
    numbers "epsilon" and "regularization" that they were trained with, where the file says so.
    """

    features: np.ndarray = field(repr=False, metadata={"json": False})
    labels: Any = field(repr=False, metadata={"json": False})
    feature_names: tuple[str, ...] = field(default=(), repr=False)
    source: str = ""
    dtype: str = "float64"
    notes: tuple[str, ...] = ()
    settings: Mapping[str, float] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        """(samples, features)."""
        return self.features.shape[0], self.features.shape[1]


def check_labeled(
    features: Any,
    labels: Any,
    *,
    source: str,
    feature_names: Sequence[str] = (),
    notes: Sequence[str] = (),
    settings: Mapping[str, float] | None = None,
) -> LabeledFeatures:
    """Both as `LabeledFeatures`, if they fit together.

    **Raises:** `InputError` for features that are not real numbers in a matrix, NaN or infinity (which rows), labels that
    are no classes, or two different numbers of samples. Each message begins with `source`.
    """
    array = _matrix(features, source)
    classes = check_labels(labels, source)
    if len(classes) != array.shape[0]:
        hint = "; the features look transposed: rows are samples" if len(classes) == array.shape[1] else ""
        raise InputError(f"{source}: found {len(classes)} labels for {array.shape[0]} samples; give one label a sample{hint}")
    stored = np.asarray(features).dtype.name
    said = list(notes)
    if array.dtype != np.float64:
        array = array.astype(np.float64)
        if stored.startswith(("float", "bfloat")):
            said.append(f"the features are stored as {stored} and were converted to float64; they carry that type's rounding")
    check_finite(f"{source}: features", array)
    names = tuple(map(str, feature_names))
    return LabeledFeatures(array, classes, names, source, stored, tuple(said), dict(settings or {}))


def _matrix(features: Any, source: str) -> np.ndarray:
    array = np.asarray(features)
    if array.dtype.name in ("bfloat16", "float8_e4m3fn", "float8_e5m2"):
        array = array.astype(np.float32)
    if array.dtype.kind not in "fiub":
        raise InputError(f"{source}: found features of type {array.dtype}; they have to be real numbers")
    if array.ndim != 2:
        cure = (
            "X.reshape(len(X), -1) makes one row a sample" if array.ndim > 2 else "they have to be a matrix, one row a sample"
        )
        raise InputError(f"{source}: found features of shape {array.shape}; {cure}")
    if 0 in array.shape:
        raise InputError(f"{source}: found features of shape {array.shape}; give at least one sample and one feature")
    return array


def check_labels(labels: Any, source: str) -> Any:
    """Labels as a one-dimensional array of integers or strings (a list where Python objects of several kinds were given).

    Integers stored as floating-point numbers become integers. One column counts as one dimension.

    **Raises:** `InputError` for a matrix of labels, missing labels (which samples), or numbers that are measurements.
    """
    array = np.asarray(labels)
    if array.dtype == object:
        return _check_objects(array, source)
    if array.ndim == 2 and 1 in array.shape:
        array = array.ravel()
    if array.ndim != 1:
        hint = "; if each row has a single one in the place of its class, pass labels.argmax(axis=1)" if array.ndim == 2 else ""
        raise InputError(f"{source}: found labels of shape {array.shape}; give one a sample{hint}")
    if array.size == 0:
        raise InputError(f"{source}: found no labels; give one a sample")
    if array.dtype.kind == "b":
        return array.astype(np.int64)
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8", "replace")
    if array.dtype.kind not in "fiuU":
        raise InputError(f"{source}: found labels of type {array.dtype}; pass integers or strings")
    if array.dtype.kind == "f":
        array = _whole_numbers(array, source)
    if array.dtype.kind == "U":
        _refuse_missing(np.char.strip(array) == "", source)
    return array


def _check_objects(array: np.ndarray, source: str) -> Any:
    if array.ndim != 1:
        raise InputError(f"{source}: found labels of shape {array.shape}; give one a sample")
    items = array.tolist()
    _refuse_missing(np.array([item is None or item != item for item in items]), source)
    if all(isinstance(item, str) for item in items):
        return np.array(items)
    return items


def _whole_numbers(array: np.ndarray, source: str) -> np.ndarray:
    _refuse_missing(np.isnan(array), source)
    whole = np.isfinite(array) & (array == np.round(array)) & (np.abs(array) < 2.0**53)
    if whole.all():
        return array.astype(np.int64)
    distinct = np.unique(array).size
    if distinct > max(2, array.size // 2):
        raise InputError(
            f"{source}: found {distinct} different numbers such as {float(array[~whole][0]):g} as labels of {array.size} "
            "samples; they look like a feature. Say where the labels are with labels_name (--labels-name)"
        )
    return array


def _refuse_missing(missing: np.ndarray, source: str) -> None:
    places = np.flatnonzero(missing)
    if places.size:
        shown = ", ".join(map(str, places[:8])) + (", …" if places.size > 8 else "")
        raise InputError(f"{source}: found no label for {places.size} samples (row {shown}); every sample needs one")
