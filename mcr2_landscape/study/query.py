"""Rows of a store as tables of DuckDB, which reads the parts where they are."""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from mcr2_landscape.errors import InputError
from mcr2_landscape.extras import missing_extra
from mcr2_landscape.files import check_writable
from mcr2_landscape.study.arrow import pa
from mcr2_landscape.study.columns import failure_schema, row_schema
from mcr2_landscape.study.pending import first_of_each
from mcr2_landscape.study.space import DIGEST_BYTES, Study
from mcr2_landscape.study.store import FAILURES, ROWS, Store, read_part

FORMATS = {
    ".csv": "FORMAT csv, HEADER",
    ".parquet": "FORMAT parquet, COMPRESSION zstd",
    ".json": "FORMAT json, ARRAY true",
    ".jsonl": "FORMAT json",
}


_MEMORY = "512MB"
# What a table without any part has.
_LEAST = pa.schema({"unit": pa.string(), "finished": pa.timestamp("us", tz="UTC")})


class Query:
    """A connection with the tables `rows` (results), `ordered_rows` (the same in the study's order) and `failures` (the last
    attempt of each unit without a result). A context manager.

    **Arguments:** `store`; `study`: only its units; `None`: every row there is, those of earlier descriptions and versions
    included.

    **Raises:** `InputError` for a part that cannot be read.
    """

    def __init__(self, store: Store, study: Study | None):
        try:
            import duckdb
        except ImportError:
            raise missing_extra("a query", "duckdb", "study") from None
        self._duckdb = duckdb
        self.connection = duckdb.connect()
        self.connection.execute("SET TimeZone = 'UTC'")
        # What does not fit goes to the disk: a sorted export of a million rows would else take as much memory as there is.
        self._spill = tempfile.TemporaryDirectory(prefix="mcr2-landscape-")
        self.connection.execute(f"SET temp_directory = {quoted(self._spill.name)}")
        self.connection.execute(f"SET memory_limit = '{_MEMORY}'")
        try:
            self._define(store, study)
        except BaseException:
            self.__exit__()
            raise

    def _define(self, store: Store, study: Study | None) -> None:
        schemas = {ROWS: row_schema, FAILURES: failure_schema}
        for kind, schema in schemas.items():
            if parts := store.parts(kind):
                files = ", ".join(quoted(str(path)) for path in parts)
                # Folders of the store's path that look like x=1 are no columns.
                source = f"read_parquet([{files}], union_by_name = true, hive_partitioning = false)"
            else:
                source = f"no_{kind}"
                empty = _LEAST if study is None else schema(study.signature)
                self.connection.register(source, empty.empty_table())
            columns = "*" if study is None else self._cast(source, schema(study.signature))
            self._run(f"CREATE VIEW all_{kind} AS SELECT {columns} FROM {source}")
        if study is not None:
            self.connection.register("units", _units(study, store.identities(study)))
            self._run("CREATE VIEW rows AS SELECT * FROM all_rows SEMI JOIN units USING (unit)")
            self._run("CREATE VIEW ordered_rows AS SELECT r.* FROM all_rows r JOIN units u USING (unit) ORDER BY u.number")
            tried = "(SELECT * FROM all_failures SEMI JOIN units USING (unit))"
        else:
            self._run("CREATE VIEW rows AS SELECT * FROM all_rows")
            self._run("CREATE VIEW ordered_rows AS SELECT * FROM all_rows")
            tried = "all_failures"
        self._run(
            f"CREATE VIEW failures AS SELECT f.* FROM {tried} f ANTI JOIN rows USING (unit) "
            "QUALIFY row_number() OVER (PARTITION BY unit ORDER BY finished DESC) = 1"
        )

    def __enter__(self) -> Query:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.connection.close()
        self._spill.cleanup()

    def count(self, table: str) -> int:
        """The rows of a table."""
        # All of the answer is taken: what is left of one keeps the connection from answering the next question.
        return int(self._run(f"SELECT count(*) FROM {table}").fetchall()[0][0])

    def select(self, sql: str, limit: int | None = None) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        """The names of the columns, and the rows that a query answers.

        **Raises:** `InputError` where DuckDB refuses the query, in its words.
        """
        answer = self._run(sql) if sql.strip() else None
        if answer is None or answer.description is None:
            raise InputError(f"--sql: found {sql!r}, which answers no rows; write a SELECT")
        names = tuple(column[0] for column in answer.description)
        return names, answer.fetchall() if limit is None else answer.fetchmany(limit)

    def write(self, sql: str, path: Path, what: str = "--out") -> None:
        """Write what a query answers to a file, whole or not at all.

        **Raises:** `InputError` for an ending without a format, a place that cannot be written, or a query that is refused.
        """
        if path.suffix not in FORMATS:
            raise InputError(f"{what} {path}: found the ending {path.suffix or 'none'!r}; use one of {', '.join(FORMATS)}")
        check_writable(path, what)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        try:
            # The line's end: a query may end in a comment.
            self._run(f"COPY ({sql.rstrip().rstrip(';')}\n) TO {quoted(str(temporary))} ({FORMATS[path.suffix]})")
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except OSError as error:
            raise InputError(f"{what} {path}: cannot be written ({error.strerror or error})") from None
        finally:
            temporary.unlink(missing_ok=True)

    def _cast(self, source: str, schema: pa.Schema) -> str:
        """The columns of today's task, in its types: parts of earlier versions of it can have others."""
        names = {row[0] for row in self._run(f"DESCRIBE SELECT * FROM {source}").fetchall()}
        columns = []
        for field in schema:
            column = identifier(field.name) if field.name in names else "NULL"
            columns.append(f"TRY_CAST({column} AS {_sql_type(field.type)}) AS {identifier(field.name)}")
        return ", ".join(columns)

    def table(self, sql: str) -> pa.Table:
        """What a query answers, as an Arrow table.

        **Raises:** `InputError` where DuckDB refuses the query, in its words.
        """
        try:
            return self.connection.sql(sql).to_arrow_table()
        except self._duckdb.Error as error:
            raise InputError(f"query: {error}") from None

    def _run(self, sql: str) -> Any:
        try:
            return self.connection.execute(sql)
        except self._duckdb.Error as error:
            raise InputError(f"query: {error}") from None


_SQL_TYPES = {pa.bool_(): "BOOLEAN", pa.int64(): "BIGINT", pa.float64(): "DOUBLE", pa.string(): "VARCHAR"}


def _sql_type(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"{_sql_type(kind.value_type)}[]"
    return "TIMESTAMPTZ" if pa.types.is_timestamp(kind) else _SQL_TYPES[kind]


def quoted(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A column's name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def column_names(store: Store) -> dict[str, list[str]]:
    """The names of the columns by role ("parameters" with the seed, "results"), from the store's newest part.

    **Raises:** `InputError` for a store without rows.
    """
    parts = store.parts(ROWS)
    if not parts:
        raise InputError(f"store {store.path}: has no rows")
    schema = read_part(parts[-1], ["unit"]).schema
    try:
        return json.loads((schema.metadata or {})[b"columns"])
    except (KeyError, ValueError):
        raise InputError(f"{parts[-1]}: was not written by a study; remove it from the store") from None


def as_text(identities: np.ndarray) -> pa.StringArray:
    """Identities as hexadecimal text."""
    text = np.ascontiguousarray(identities).tobytes().hex().encode("ascii")
    ends = np.arange(len(identities) + 1, dtype=np.int32) * (2 * DIGEST_BYTES)
    return pa.StringArray.from_buffers(len(identities), pa.py_buffer(ends), pa.py_buffer(text))


def _units(study: Study, identities: np.ndarray) -> pa.Table:
    """Each identity once, with the number of its first unit."""
    numbers = np.flatnonzero(first_of_each(identities)) if study.may_repeat else np.arange(len(identities))
    return pa.table({"unit": as_text(identities[numbers]), "number": pa.array(numbers)})


def comma(names: Iterable[str]) -> str:
    """Columns as SQL lists them."""
    return ", ".join(map(identifier, names))
