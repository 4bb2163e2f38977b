"""The columns of a study's rows, and how a result becomes one."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import typing
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mcr2_landscape.study.arrow import pa
from mcr2_landscape.study.task import SEED, Signature
from mcr2_landscape.study.values import describe_type, item_of, without_none

# What describes a row beside its parameters and results.
_CIRCUMSTANCES = {
    "code": pa.string(),
    "dtype": pa.string(),
    "device": pa.string(),
    "versions": pa.string(),
    "worker": pa.string(),
    "seconds": pa.float64(),
    "finished": pa.timestamp("us", tz="UTC"),
}
_FAILURE = ("kind", "error", "traceback")


def row_schema(signature: Signature) -> pa.Schema:
    """The columns of results: the unit's identity, parameters, seed, results, and the circumstances."""
    return _schema(signature, {name: _arrow_type(kind) for name, kind in signature.results.items()})


def failure_schema(signature: Signature) -> pa.Schema:
    """The columns of failures: kind "raised" (the task did) or "died" (its process did), the last line, the traceback."""
    return _schema(signature, {name: pa.string() for name in _FAILURE})


def plain_result(result: Any, signature: Signature, arrays: dict[str, bytes]) -> dict[str, Any]:
    """The results of a unit by column. An array becomes its hash, and its file's content goes into `arrays`.

    **Raises:** `TypeError` for a value that is not of its column's type, or something else than the task's dataclass.
    """
    if not dataclasses.is_dataclass(result) or {f.name for f in dataclasses.fields(result)} != set(signature.results):
        raise TypeError(f"the task returned {type(result).__name__}, which is not the dataclass that it promises")
    return {name: _plain(getattr(result, name), kind, name, arrays) for name, kind in signature.results.items()}


def table_of(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Rows as a table, column by column."""
    columns = [pa.array([row[field.name] for row in rows], type=field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def writable(text: str) -> str:
    """A text that has a form in UTF-8: names of files may hold bytes that have none, and are written as \\udcff here."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _schema(signature: Signature, middle: Mapping[str, pa.DataType]) -> pa.Schema:
    fields: dict[str, pa.DataType] = {"unit": pa.string()}
    fields |= {name: _arrow_type(kind) for name, kind in signature.parameters.items()}
    if signature.seeded:
        fields[SEED] = pa.int64()
    roles = {"parameters": [name for name in fields if name != "unit"], "results": list(middle)}
    schema = pa.schema(list((fields | dict(middle) | _CIRCUMSTANCES).items()))
    return schema.with_metadata({"columns": json.dumps(roles)})


_ARROW = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string(), np.ndarray: pa.string()}
_KINDS = {bool: (bool, np.bool_), int: (int, np.integer), float: (int, float, np.integer, np.floating), str: (str,)}


def _arrow_type(kind: Any) -> pa.DataType:
    kind = without_none(kind)
    if typing.get_origin(kind) is typing.Literal:
        return pa.string()
    item = item_of(kind)
    return _ARROW[kind] if item is None else pa.list_(_arrow_type(item))


def _plain(value: Any, kind: Any, name: str, arrays: dict[str, bytes]) -> Any:
    inner = without_none(kind)
    if value is None and inner is not kind:
        return None
    if inner is np.ndarray:
        return _stored(np.asarray(value), name, arrays)
    item = item_of(inner)
    if item is not None and isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(entry, item, name, arrays) for entry in value]
    wrong = isinstance(value, bool) and inner is not bool
    if item is None and isinstance(value, _KINDS[inner]) and not wrong:
        converted = inner(value)
        if inner is int and not -(2**63) <= converted < 2**63:
            raise TypeError(f"result {name}: found {converted}; integers of a column have 64 bits")
        return writable(converted) if isinstance(converted, str) else converted
    raise TypeError(f"result {name}: found {type(value).__name__}; the task promises {describe_type(kind)}")


def _stored(array: np.ndarray, name: str, arrays: dict[str, bytes]) -> str:
    if array.dtype.hasobject:
        raise TypeError(f"result {name}: found an array of Python objects, which is never stored; use numbers")
    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    digest = hashlib.sha256(content.getvalue()).hexdigest()
    arrays[digest] = content.getvalue()
    return digest
