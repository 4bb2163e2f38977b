"""What differs between the results of two stores."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from mcr2_landscape.errors import InputError
from mcr2_landscape.record import Record
from mcr2_landscape.study.query import Query, column_names, comma, identifier
from mcr2_landscape.study.store import Store

_EXAMPLES = 5


@dataclass(frozen=True)
class ColumnDifference(Record):
    """A column whose values differ in `count` units. `largest` is the largest relative difference of numbers (`None` for other
    columns); `examples` are units with both values."""

    column: str
    count: int
    largest: float | None
    examples: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Difference(Record):
    """Two stores compared.

    **Fields:** `common`, units with results in both; `only_first` and `only_second`, units with results in one of them;
    `columns`, those that differ; `columns_only_first` and `columns_only_second`.
    """

    common: int
    only_first: int
    only_second: int
    columns: tuple[ColumnDifference, ...]
    columns_only_first: tuple[str, ...]
    columns_only_second: tuple[str, ...]

    @property
    def none(self) -> bool:
        """Whether both hold the same."""
        return not (self.only_first or self.only_second or self.columns or self.columns_only_first or self.columns_only_second)


def compare(first: Store, second: Store, rtol: float = 0.0, atol: float = 0.0) -> Difference:
    """Compare two stores of one task, unit by unit: a unit is its parameters and its seed, whatever code computed it. Where a
    store has several rows for one (of several versions), the newest counts. Arrays in files are compared by their hashes.

    **Arguments:** `rtol`: relative difference of floating-point numbers that counts as none; `atol`: absolute difference that
    does, for what is zero but for rounding.

    **Raises:** `InputError` for stores of different tasks or with different parameters, or one without rows.
    """
    if first.manifest["task"] != second.manifest["task"]:
        raise InputError(
            f"{second.path}: holds results of task {second.manifest['task']}, and {first.path} of task "
            f"{first.manifest['task']}; compare stores of one task"
        )
    for name, value in (("--rtol", rtol), ("--atol", atol)):
        if not value >= 0 or math.isinf(value):
            raise InputError(f"{name}: found {value}; it must be zero or more")
    own, other = column_names(first), column_names(second)
    keys = own["parameters"]
    if set(keys) != set(other["parameters"]):
        words = ", ".join(sorted(set(keys) ^ set(other["parameters"])))
        raise InputError(f"{second.path}: has other parameters than {first.path} ({words}); compare stores of one version")
    shared = [name for name in own["results"] if name in other["results"]]
    wanted = comma([*keys, *shared, "finished"])
    with Query(first, None) as query:
        with Query(second, None) as query_second:
            query.connection.register("others", query_second.table(f"SELECT {wanted} FROM rows"))
        for name, source in (("a", "rows"), ("b", "others")):
            # The newest row of each; a task without parameters has one unit.
            query.select(
                f"CREATE TABLE {name} AS SELECT {comma([*keys, *shared])} FROM {source} "
                f"QUALIFY row_number() OVER (PARTITION BY {comma(keys) or '1'} ORDER BY finished DESC) = 1"
            )
        same = " AND ".join(f"a.{identifier(key)} IS NOT DISTINCT FROM b.{identifier(key)}" for key in keys) or "true"

        def number(sql: str) -> int:
            return int(query.select(sql)[1][0][0])

        columns = (_compare_column(query, column, keys, same, rtol, atol) for column in shared)
        return Difference(
            number(f"SELECT count(*) FROM a JOIN b ON {same}"),
            number(f"SELECT count(*) FROM a WHERE NOT EXISTS (FROM b WHERE {same})"),
            number(f"SELECT count(*) FROM b WHERE NOT EXISTS (FROM a WHERE {same})"),
            tuple(column for column in columns if column is not None),
            tuple(sorted(set(own["results"]) - set(other["results"]))),
            tuple(sorted(set(other["results"]) - set(own["results"]))),
        )


def _compare_column(query: Query, column: str, keys: list[str], same: str, rtol: float, atol: float) -> ColumnDifference | None:
    name = identifier(column)
    _, rows = query.select(
        f"SELECT {', '.join([f'a.{name}', f'b.{name}', *(f'a.{identifier(key)}' for key in keys)])} FROM a JOIN b ON {same} "
        f"WHERE a.{name} IS DISTINCT FROM b.{name}"
    )
    differing = [(row, apart) for row in rows if (apart := _apart(row[0], row[1], atol)) is None or apart > rtol]
    if not differing:
        return None
    known = [apart for _, apart in differing if apart is not None]
    examples = tuple(
        {"first": row[0], "second": row[1]} | dict(zip(keys, row[2:], strict=True)) for row, _ in differing[:_EXAMPLES]
    )
    return ColumnDifference(column, len(differing), max(known, default=None), examples)


def _apart(first: Any, second: Any, atol: float) -> float | None:
    """The relative difference of two numbers, or the largest of two lists of them; `None` where they cannot be compared so."""
    if isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        each = [_apart(a, b, atol) for a, b in zip(first, second, strict=True)]
        return None if any(apart is None for apart in each) else max((a for a in each if a is not None), default=0.0)
    if first == second:
        return 0.0
    if not (isinstance(first, float) and isinstance(second, float)):
        return None
    if math.isnan(first) and math.isnan(second):
        return 0.0
    if not (math.isfinite(first) and math.isfinite(second)):
        return None
    return 0.0 if abs(first - second) <= atol else abs(first - second) / max(abs(first), abs(second))
