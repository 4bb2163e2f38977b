"""Rows on their way to the disk: kept for a few seconds, then written as one part."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

from mcr2_landscape.study.arrow import pa
from mcr2_landscape.study.chunk import ChunkResult
from mcr2_landscape.study.store import FAILURES, ROWS, Store

MOST_ROWS = 2_000
LONGEST = 5.0  # seconds that a row waits at most
MOST_BYTES = 64 << 20  # of arrays that wait


class Journal:
    """Takes in what chunks came to, and writes it to the store: what is not yet written when the program is killed is computed
    again. `flush` after a `StoreError` tries again with everything that is not yet written."""

    def __init__(self, store: Store):
        self._store = store
        self._tables: dict[str, list[pa.Table]] = {ROWS: [], FAILURES: []}
        self._parts: list[tuple[Path, pa.Table]] = []
        self._arrays: dict[str, bytes] = {}
        self._bytes = 0
        self._since: float | None = None

    @property
    def waiting(self) -> int:
        """Rows and failures that are not yet on the disk."""
        tables = itertools.chain(*self._tables.values(), (table for _, table in self._parts))
        return sum(table.num_rows for table in tables)

    def add(self, result: ChunkResult) -> None:
        """Take in what a chunk came to.

        **Raises:** `StoreError` where the disk refuses.
        """
        for kind, table in ((ROWS, result.rows), (FAILURES, result.failures)):
            if table is not None:
                self._tables[kind].append(table)
        self._arrays |= result.arrays
        self._bytes += sum(map(len, result.arrays.values()))
        self._since = time.monotonic() if self._since is None else self._since
        self.flush_if_due()

    def flush_if_due(self) -> None:
        """Write if enough is waiting, or has waited long enough. Errors as `flush`."""
        if self._since is None:
            return
        if self.waiting >= MOST_ROWS or self._bytes >= MOST_BYTES or time.monotonic() - self._since >= LONGEST:
            self.flush()

    def flush(self) -> None:
        """Write everything that is waiting.

        **Raises:** `StoreError` where the disk refuses.
        """
        for digest in list(self._arrays):  # before the rows that name them
            self._store.write_array(digest, self._arrays[digest])
            del self._arrays[digest]
        self._bytes = 0
        for kind, tables in self._tables.items():
            if not tables:
                continue
            whole = pa.concat_tables(tables)
            self._tables[kind] = []
            for start in range(0, whole.num_rows, MOST_ROWS):
                self._parts.append((self._store.new_part(kind), whole.slice(start, MOST_ROWS)))
        # A part keeps its name when writing failed: an attempt that has come further than its error says is written over.
        while self._parts:
            self._store.write_part(*self._parts[0])
            self._parts.pop(0)
        self._since = None
