"""The tables behind a figure, read from the stores of the studies."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from mcr2_landscape.errors import InputError
from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.study.opening import Opened, open_study
from mcr2_landscape.study.query import Query
from mcr2_landscape.study.store import Store

_UNKNOWN_COLUMN = re.compile(r'column "([^"]+)" not found', re.IGNORECASE)


class Stores:
    """The stores that figures are read from.

    **Arguments:** `folder`: one that holds a store for each study, by name, or a store itself.

    **Raises:** `InputError` for a folder that is neither. A context manager: connections are kept until its end.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._only = Store(folder).manifest["study"] if Store.exists(folder) else None
        if self._only is None and folder.exists() and not folder.is_dir():
            raise InputError(f"--from {folder}: is no folder; give a store, or the folder that holds the stores")
        self._open: dict[str, tuple[Opened, Query]] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Stores:
        return self

    def __exit__(self, *exception: Any) -> None:
        self._stack.close()

    def place(self, study: str) -> Path:
        """Where the store of a study is, or would be."""
        return self.folder if self._only == study else self.folder / study

    def has(self, study: str) -> bool:
        """Whether there is a store of this study."""
        return study == self._only if self._only is not None else Store.exists(self.folder / study)

    def rows(self, study: str, sql: str) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        """The columns' names and the rows that a question to a study's store answers."""
        return self._query(study)[1].select(sql)

    def tables(self, figure: Figure) -> dict[str, Table]:
        """What the figure draws.

        **Raises:** `InputError` where a store, a column or enough rows are missing, with the study that makes them.
        """
        return {name: self._table(figure, name, select) for name, select in figure.tables.items()}

    def _table(self, figure: Figure, name: str, select: Select) -> Table:
        makes = f"mcr2-landscape study run {select.study} makes it, or mcr2-landscape figures {figure.name} --run quick"
        if not self.has(select.study):
            raise InputError(f"figure {figure.name}: no store of the study {select.study} in {self.folder}; {makes}")
        opened, query = self._query(select.study)
        try:
            answer = query.table(select.sql)
        except InputError as error:
            found = _UNKNOWN_COLUMN.search(str(error))
            what = f"the column {found.group(1)}" if found else f"what is asked for ({error})"
            raise InputError(
                f"figure {figure.name}: the store {opened.place} lacks {what}; the store of another task? {makes}"
            ) from None
        if answer.num_rows < select.least:
            others = query.count("all_rows") - query.count("rows")
            hint = f"; {others:,} rows are of earlier code or descriptions and do not count" if others else ""
            raise InputError(
                f"figure {figure.name}: {answer.num_rows} rows for {name!r} in {opened.place}, and it needs {select.least} at "
                f"least{hint}; mcr2-landscape study resume {opened.place} computes what is missing"
            )
        wide = [name for name, kind in zip(answer.column_names, answer.schema.types, strict=True) if str(kind)[:7] == "decimal"]
        if wide:
            raise InputError(f"figure {figure.name}: the column {wide[0]} is a decimal; cast it, to BIGINT for instance")
        columns = answer.to_pydict()
        store = opened.store()
        for column in select.arrays:
            columns[column] = [None if digest is None else store.array(digest) for digest in columns[column]]
        return Table(columns, self._origin(select, opened, query))

    def _query(self, study: str) -> tuple[Opened, Query]:
        if study not in self._open:
            opened = open_study(self.place(study))
            self._open[study] = opened, self._stack.enter_context(Query(opened.store(), opened.study))
        return self._open[study]

    def _origin(self, select: Select, opened: Opened, query: Query) -> Mapping[str, Any]:
        facts = query.select(
            "SELECT count(*), min(finished), max(finished), list_sort(list(DISTINCT versions)), "
            "list_sort(list(DISTINCT device)) FROM rows"
        )[1][0]
        description = opened.study.description
        complete = query.count("rows") == len(np.unique(opened.store().identities(opened.study), axis=0))
        return {
            "study": select.study,
            "size": description.size,
            "description": opened.study.digest,
            "sql": select.sql,
            "rows": facts[0],
            "complete": complete,
            "first": None if facts[1] is None else facts[1].isoformat(),
            "last": None if facts[2] is None else facts[2].isoformat(),
            "versions": facts[3],
            "devices": facts[4],
        }


def needed(figures: Sequence[Figure]) -> tuple[str, ...]:
    """The studies of all these figures."""
    return tuple(dict.fromkeys(study for figure in figures for study in figure.studies))
