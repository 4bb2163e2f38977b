"""Features from a file, in the format that its name says."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from mcr2_landscape.data import arrays, tables
from mcr2_landscape.data.labeled import LabeledFeatures, check_labeled
from mcr2_landscape.validation import InputError


class _Format(NamedTuple):
    """How to read a file's features with its labels, and how to read a file of labels alone."""

    both: Callable[[Path, arrays.Names], arrays.Content]
    labels: Callable[[Path, str | None], Any]


_FORMATS = {
    ".npz": _Format(arrays.read_npz, arrays.read_npz_labels),
    ".npy": _Format(arrays.read_npy, arrays.read_npy_labels),
    ".safetensors": _Format(arrays.read_safetensors, arrays.read_safetensors_labels),
    ".csv": _Format(tables.read_csv, tables.read_csv_labels),
    ".tsv": _Format(tables.read_csv, tables.read_csv_labels),
    ".txt": _Format(tables.read_csv, tables.read_csv_labels),
    ".parquet": _Format(tables.read_parquet, tables.read_parquet_labels),
}


def load_features(
    path: str | os.PathLike[str],
    labels: str | os.PathLike[str] | None = None,
    features_name: str | None = None,
    labels_name: str | None = None,
) -> LabeledFeatures:
    """Read labeled features.

    **Arguments:** `path`: a file whose name ends in

    * ``.npz`` or ``.safetensors``: the arrays `features_name` (default "features"), shape (samples, features), and
      `labels_name` (default "labels"), shape (samples,); and, where the features were trained with them, the numbers
      "epsilon" and "regularization";
    * ``.npy``: the features alone; `labels` is then needed;
    * ``.csv``, ``.tsv`` or ``.txt``: a table with one row a sample, with or without a line of column names. `labels_name` is
      the name of the label column, or its number from 0 (−1 is the last); by default the column "labels" or "label", else
      the last;
    * ``.parquet``: a table, the label column as for CSV. The other columns are features; or `features_name` is one column that
      holds lists of equal length.

    `labels`: a second file, with labels alone, in any of these formats (a ``.txt`` with one a line, for instance). The first
    file then holds features only, apart from a column or an array that `labels_name` names.

    **Returns:** `LabeledFeatures`, in float64. Nothing in a file is ever executed: arrays of Python objects are refused.

    **Raises:** `InputError`, which names the file and says what was found and what to do.
    """
    path = Path(path)
    names = arrays.Names(features_name, labels_name, with_labels=labels is None)
    with reading(path, "features"):
        content = _format(path).both(path, names)
    classes, source = content.labels, str(path)
    if labels is not None:
        label_path = Path(labels)
        with reading(label_path, "labels"):
            classes = _format(label_path).labels(label_path, labels_name)
        source = f"{path} with the labels of {label_path}"
    if classes is None:
        raise InputError(f"{path}: holds no labels; give a second file with them (labels=..., or --labels FILE)")
    return check_labeled(
        content.features,
        classes,
        source=source,
        feature_names=content.feature_names,
        notes=content.notes,
        settings=content.settings,
    )


def _format(path: Path) -> _Format:
    found = _FORMATS.get(path.suffix.lower())
    if found is None:
        raise InputError(
            f"{path}: found the ending {path.suffix or 'none'!r}; convert to one of {', '.join(_FORMATS)}. "
            'For instance, in Python: numpy.savez("features.npz", features=X, labels=y) with X of shape (samples, features)'
        )
    return found


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Turn what goes wrong while a file is read into an `InputError` that names the file."""
    try:
        if path.is_dir():
            raise InputError(f"{path}: is a directory; give the file with the {what}")
        if not path.exists():
            raise InputError(f"{path}: no such file; give the path of the file with the {what}")
        if path.is_file() and path.stat().st_size == 0:
            raise InputError(f"{path}: the file is empty; write it again")
        yield
    except InputError:
        raise
    except MemoryError:
        raise InputError(f"{path}: does not fit into memory, or its header is damaged; use fewer samples or features") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except ValueError as error:
        raise InputError(f"{path}: cannot be read ({_first_line(error)})") from None


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0] or type(error).__name__
