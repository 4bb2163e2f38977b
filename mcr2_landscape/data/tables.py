"""Tables with one row a sample: text with separators, and parquet."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mcr2_landscape.data.arrays import Content, Names
from mcr2_landscape.extras import missing_extra
from mcr2_landscape.validation import InputError

_LABEL_COLUMNS = ("labels", "label")


class _Layout(NamedTuple):
    """How a text table is written: separator, column names (empty without a header line), number of columns, lines to skip."""

    separator: str | None
    header: tuple[str, ...]
    num_columns: int
    skip: int


def read_csv(path: Path, names: Names) -> Content:
    """Features and labels of a text table."""
    if names.features is not None:
        raise InputError(f"{path}: every column but the label column is a feature; leave features_name (--features-name) out")
    layout = _layout(path)
    columns = list(range(layout.num_columns))
    label = _label_column(path, layout.header, layout.num_columns, names)
    notes: list[str] = []
    if label is not None:
        columns.remove(label)
    if columns and layout.header and columns[0] == 0 and layout.header[0].strip() == "" and _is_row_number(path, layout):
        columns.remove(0)
        notes.append("the first column has no name and counts the rows; it was left out")
    if not columns:
        raise InputError(f"{path}: has the label column only; the other columns have to be features")
    features = _load_numbers(path, layout, columns)
    labels = None if label is None else parse_labels(_load_text(path, layout, label))
    return Content(features, labels, [layout.header[column] for column in columns] if layout.header else (), notes)


def read_csv_labels(path: Path, name: str | None) -> Any:
    """Labels alone: the only column of a text table, or one by name."""
    layout = _layout(path, labels_only=True)
    if layout.num_columns == 1:
        return parse_labels(_load_text(path, layout, 0))
    column = _label_column(path, layout.header, layout.num_columns, Names(None, name, with_labels=True))
    return parse_labels(_load_text(path, layout, column or 0))


def read_parquet(path: Path, names: Names) -> Content:
    """Features and labels of a parquet table."""
    table = _open_parquet(path)
    header = tuple(name for name in table.column_names if not name.startswith("__index_level_"))
    if not header:
        raise InputError(f"{path}: the table has no columns; write it again with one column a feature")
    label = _label_column(path, header, len(header), names)
    labels = None if label is None else _parquet_labels(table.column(header[label]))
    columns = [name for position, name in enumerate(header) if position != label]
    if names.features is not None:
        if names.features not in header:
            raise InputError(f"{path}: has no column {names.features!r}; it holds {_listing(header)}")
        columns = [names.features]
    if not columns:
        raise InputError(f"{path}: has the label column only; the other columns have to be features")
    if len(columns) == 1 and _is_list(table.schema.field(columns[0]).type):
        return Content(_parquet_lists(path, table.column(columns[0]), columns[0]), labels)
    return Content(_parquet_numbers(path, table, columns), labels, columns)


def read_parquet_labels(path: Path, name: str | None) -> Any:
    """Labels alone: the only column of a parquet table, or one by name."""
    table = _open_parquet(path)
    header = tuple(table.column_names)
    column = 0 if len(header) == 1 else _label_column(path, header, len(header), Names(None, name, with_labels=True))
    return _parquet_labels(table.column(header[column or 0]))


def parse_labels(texts: np.ndarray) -> np.ndarray:
    """Text labels as integers if all of them are, as numbers if all are, else as they are."""
    for kind in (np.int64, np.float64):
        try:
            return texts.astype(kind)
        except (ValueError, OverflowError):
            continue
    return texts


def _label_column(path: Path, header: Sequence[str], num_columns: int, names: Names) -> int | None:
    """The position of the label column, `None` where the labels come from elsewhere."""
    if names.labels is None:
        if not names.with_labels:
            return None
        return next((header.index(name) for name in _LABEL_COLUMNS if name in header), num_columns - 1)
    if names.labels in header:
        return list(header).index(names.labels)
    try:
        position = int(names.labels)
    except ValueError:
        if not names.with_labels:
            return None
        what = f"the columns {_listing(header)}" if header else f"{num_columns} columns without names; give a number from 0"
        raise InputError(f"{path}: has no label column {names.labels!r}; it has {what}") from None
    if not -num_columns <= position < num_columns:
        raise InputError(f"{path}: has no column number {position}; it has {num_columns} columns, numbered from 0")
    return position % num_columns


def _listing(names: Sequence[str]) -> str:
    return ", ".join(names[:12]) + (f", and {len(names) - 12} more" if len(names) > 12 else "")


def _layout(path: Path, *, labels_only: bool = False) -> _Layout:
    """Find the separator and the header line from the first two lines that are not blank."""
    with path.open(encoding="utf-8-sig", errors="strict", newline="") as file:
        try:
            lines = [(number, line) for number, line in zip(range(1000), file, strict=False) if line.strip()][:2]
        except UnicodeDecodeError:
            raise InputError(f"{path}: is no text in UTF-8; write a CSV file, or another format under its own ending") from None
    if not lines:
        raise InputError(f"{path}: holds blank lines only; write it again")
    separator = _separator(lines[0][1])
    # One label a line may hold spaces.
    whole = labels_only and separator is None
    rows = [[line.strip()] if whole else _split(line, separator) for _, line in lines]
    if len(rows) == 1 and not labels_only and len(rows[0]) > 1 and not any(_is_number(cell) for cell in rows[0]):
        raise InputError(f"{path}: holds a header line and no data rows; write it again with one row a sample")
    has_header = _is_header(rows[0], rows[1], labels_only) if len(rows) > 1 else False
    header = tuple(cell.strip() for cell in rows[0]) if has_header else ()
    skip = lines[1][0] if has_header else lines[0][0]
    return _Layout(separator, header, len(rows[0]), skip)


def _separator(line: str) -> str | None:
    counts = {separator: line.count(separator) for separator in ",;\t"}
    best = max(counts, key=lambda separator: counts[separator])
    return best if counts[best] else None


def _split(line: str, separator: str | None) -> list[str]:
    line = line.rstrip("\r\n")
    if separator is None:
        return line.split() or [""]
    return next(csv.reader([line], delimiter=separator))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return not cell.strip()
    return True


def _is_header(first: list[str], second: list[str], labels_only: bool) -> bool:
    if labels_only and len(first) == 1:
        return first[0].strip().lower() in _LABEL_COLUMNS or (not _is_number(first[0]) and _is_number(second[0]))
    numeric = [_is_number(cell) for cell in first]
    if not any(numeric):
        return True
    if any(not here and _is_number(below) for here, below in zip(numeric, second, strict=False)):
        return True
    # Column numbers as names, the default of data frames: 0,1,2,…,label
    numbers = [cell.strip() for cell, is_number in zip(first, numeric, strict=True) if is_number and cell.strip()]
    return len(numbers) > 1 and not all(numeric) and numbers == [str(k) for k in range(len(numbers))]


def _is_row_number(path: Path, layout: _Layout) -> bool:
    try:
        column = _load(path, layout, [0], np.float64).ravel()
    except ValueError:
        return False
    return bool((column == np.arange(column.size)).all())


def _load(path: Path, layout: _Layout, columns: Sequence[int], kind: Any) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Input line .* contained no data", category=UserWarning)
        return np.loadtxt(
            path,
            dtype=kind,
            comments=None,
            delimiter=layout.separator,
            quotechar='"',
            skiprows=layout.skip,
            usecols=list(columns),
            ndmin=2,
            encoding="utf-8-sig",
        )


def _load_numbers(path: Path, layout: _Layout, columns: Sequence[int]) -> np.ndarray:
    try:
        return _load(path, layout, columns, np.float64)
    except ValueError as error:
        raise InputError(_explain(path, layout, columns, error)) from None


def _explain(path: Path, layout: _Layout, columns: Sequence[int], error: ValueError) -> str:
    """Find the first bad cell: NumPy's own message counts neither header lines nor left-out columns."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        for number, line in enumerate(file, start=1):
            if number <= layout.skip or not line.strip():
                continue
            cells = _split(line, layout.separator)
            if len(cells) != layout.num_columns:
                return f"{path}: line {number} has {len(cells)} columns, the first has {layout.num_columns}; repair that line"
            for column in columns:
                try:
                    float(cells[column])
                except ValueError:
                    name = f"{layout.header[column]!r}" if layout.header else f"number {column}"
                    found = "an empty cell" if not cells[column].strip() else f"{cells[column]!r}"
                    return (
                        f"{path}: line {number}, column {name}: found {found}, no number; repair it, or name the label "
                        "column with labels_name (--labels-name)"
                    )
    return f"{path}: cannot be read ({error})"


def _load_text(path: Path, layout: _Layout, column: int) -> np.ndarray:
    try:
        if layout.separator is None and layout.num_columns == 1:
            with path.open(encoding="utf-8-sig") as file:
                lines = [line.strip() for number, line in enumerate(file) if number >= layout.skip]
            while lines and not lines[-1]:
                lines.pop()
            return np.array(lines)
        return np.char.strip(_load(path, layout, [column], str).ravel())
    except ValueError as error:
        raise InputError(_explain(path, layout, [], error)) from None


def _open_parquet(path: Path) -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise missing_extra("reading a .parquet file", "pyarrow", "data") from None
    try:
        return pyarrow.parquet.read_table(path)
    except pyarrow.ArrowException as error:
        said = str(error).split("\n", 1)[0]
        raise InputError(f"{path}: is no parquet file, or one that is damaged or cut off ({said})") from None


def _is_list(kind: Any) -> bool:
    import pyarrow.types as kinds

    return kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind)


def _is_numeric(kind: Any) -> bool:
    import pyarrow.types as kinds

    return kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_boolean(kind)


def _parquet_numbers(path: Path, table: Any, columns: Sequence[str]) -> np.ndarray:
    bad = [name for name in columns if not _is_numeric(table.schema.field(name).type)]
    if bad:
        raise InputError(
            f"{path}: the columns {_listing(bad)} are no numbers; drop them, or name the label column with "
            "labels_name (--labels-name)"
        )
    arrays = [np.asarray(table.column(name).to_numpy()) for name in columns]
    # A column with missing cells comes as floating-point numbers with NaN, or as objects where it is boolean.
    arrays = [array.astype(np.float64) if array.dtype == object else array for array in arrays]
    return np.stack(arrays, axis=1)


def _parquet_lists(path: Path, column: Any, name: str) -> np.ndarray:
    rows = column.to_pylist()
    lengths = {-1 if row is None else len(row) for row in rows}
    if len(lengths) != 1 or lengths == {-1}:
        raise InputError(f"{path}: the lists of column {name!r} have different lengths; every sample needs all its features")
    kind = column.type.value_type
    if not _is_numeric(kind):
        raise InputError(f"{path}: the lists of column {name!r} hold {kind}; they have to be numbers")
    return np.array(rows, dtype=kind.to_pandas_dtype())


def _parquet_labels(column: Any) -> Any:
    labels = column.to_pylist()
    array = np.array(labels) if all(isinstance(label, (int, str, float)) for label in labels) else None
    # np.array would turn a mixture of kinds into text without a word.
    if array is not None and len({type(label) for label in labels}) == 1:
        return array
    objects = np.empty(len(labels), dtype=object)
    objects[:] = labels
    return objects
