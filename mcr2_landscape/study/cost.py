"""What a study will cost, from a timed sample of its units."""

from __future__ import annotations

import io
import pickle
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mcr2_landscape.errors import InputError
from mcr2_landscape.processes import ProcessExecutor, WorkerDied
from mcr2_landscape.record import Record
from mcr2_landscape.study.arrow import pa, pq
from mcr2_landscape.study.chunk import ChunkResult, compute_chunk
from mcr2_landscape.study.pending import Pending
from mcr2_landscape.study.space import Study

_SHORT = 0.05  # seconds: units that take less are timed many at a time, as they are computed
_MANY = 500
_SERIAL = 0.001  # seconds: below this the process that hands out and writes is the one that all wait for


@dataclass(frozen=True)
class Cost(Record):
    """What was measured, and what it comes to.

    **Fields:** `units`, all of them; `done` before, and `failed_before`; `left`; `jobs`; `timed`, units in the sample;
    `unit_seconds`: mean of a unit, what is compiled once apart, with `least_seconds` and `most_seconds`; `start_seconds`: what
    the sample took beyond that: the start of a process, and compilation; `seconds`: for everything that is left, give or take
    `uncertainty` (the standard error of the mean); `unit_bytes` and `bytes`: on the disk; `failed`: how many of the sample
    raised an error, with the first one's words in `error`.
    """

    units: int
    done: int
    failed_before: int
    left: int
    jobs: int
    timed: int
    unit_seconds: float
    least_seconds: float
    most_seconds: float
    start_seconds: float
    seconds: float
    uncertainty: float
    unit_bytes: float
    bytes: float
    failed: int
    error: str | None


def estimate(study: Study, pending: Pending, *, jobs: int | None = None, units: int = 8, seconds: float = 60.0) -> Cost:
    """Time a sample of the units that are left, in one worker process, one after the other.

    Each is computed twice: the first time compiles what the second finds compiled. Units so short that handing them out counts
    are timed many at a time.

    **Arguments:** `pending`: what is left; the sample is spread evenly over it. `jobs`: processes to plan for. `units`: the
    size of the sample. `seconds`: begin no more units after so long.

    **Raises:** `InputError` for numbers out of range, or where the process of a unit ends.
    """
    if units < 1 or not seconds > 0:
        raise InputError(f"--units, --seconds: found {units} and {seconds:g}; both are above zero")
    executor = ProcessExecutor(jobs, worker_memory=study.task.memory)
    try:
        sample = _Sample(study, executor)
        sample.take(_spread(pending.numbers, units), seconds)
        if sample.seconds and np.mean(sample.seconds) < _SHORT and len(pending.numbers) > _MANY:
            sample.take_together(_spread(pending.numbers, _MANY))
    except WorkerDied as death:
        words = f"study {study.description.name}: the process of a unit that was timed {death}"
        raise InputError(f"{words}; study run records such units as failed") from None
    finally:
        executor.kill()
    return sample.cost(pending, executor.max_workers)


def _spread(numbers: np.ndarray, count: int) -> np.ndarray:
    """So many of the numbers, or all of them, from the first to the last."""
    return numbers[np.unique(np.linspace(0, len(numbers) - 1, min(count, len(numbers))).round().astype(int))]


class _Sample:
    def __init__(self, study: Study, executor: ProcessExecutor):
        self._study, self._executor = study, executor
        self._description = pickle.dumps(study.description)
        self._results: list[ChunkResult] = []
        self.seconds: list[float] = []  # of each unit
        self._start = 0.0

    def take(self, numbers: np.ndarray, limit: float) -> None:
        began = time.perf_counter()
        for number in numbers:
            if self.seconds and time.perf_counter() - began > limit:
                break
            first, result = self._timed([number])
            self._results.append(result)
            # A unit that takes so long alone is not computed again: whatever was compiled is a small part of it.
            again = first if time.perf_counter() - began > limit else self._timed([number])[0]
            self.seconds.append(min(first, again))
            self._start += max(0.0, first - again)

    def take_together(self, numbers: np.ndarray) -> None:
        whole, result = self._timed(list(numbers))
        self._results.append(result)
        self.seconds = [whole / len(numbers)]

    def cost(self, pending: Pending, width: int) -> Cost:
        left = len(pending.numbers)
        each = float(np.mean(self.seconds)) if self.seconds else 0.0
        rows = sum(0 if result.rows is None else result.rows.num_rows for result in self._results)
        failures = [result.failures for result in self._results if result.failures is not None]
        failed = sum(table.num_rows for table in failures)
        unit_bytes = _bytes(self._results) / max(rows, 1)
        rounds = left / (1 if each < _SERIAL else max(1, min(width, left)))
        count = len(self.seconds)
        spread = float(np.std(self.seconds, ddof=1)) / count**0.5 if count > 1 else 0.0
        return Cost(
            units=pending.total,
            done=pending.done,
            failed_before=pending.raised,
            left=left,
            jobs=width,
            timed=rows + failed,
            unit_seconds=each,
            least_seconds=min(self.seconds, default=0.0),
            most_seconds=max(self.seconds, default=0.0),
            start_seconds=self._start,
            seconds=self._start + each * rounds,
            uncertainty=spread * rounds,
            unit_bytes=unit_bytes,
            bytes=unit_bytes * left,
            failed=failed,
            error=failures[0].column("error")[0].as_py() if failures else None,
        )

    def _timed(self, numbers: Sequence[int]) -> tuple[float, ChunkResult]:
        began = time.perf_counter()
        call = self._executor.submit(compute_chunk, self._description, self._study.digest, tuple(map(int, numbers)))
        result = call.result()
        return time.perf_counter() - began, result


def _bytes(results: list[ChunkResult]) -> int:
    """Bytes on the disk, beyond those that a part has without rows."""
    tables = [result.rows for result in results if result.rows is not None]
    arrays = sum(len(content) for result in results for content in result.arrays.values())
    if not tables:
        return arrays
    whole = pa.concat_tables(tables)
    return arrays + max(0, _parquet_bytes(whole) - _parquet_bytes(whole.slice(0, 0)))


def _parquet_bytes(table: pa.Table) -> int:
    content = io.BytesIO()
    pq.write_table(table, content, compression="zstd")
    return content.tell()
