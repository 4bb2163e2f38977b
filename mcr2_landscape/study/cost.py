"""What a study will cost, from a timed sample of its units."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mcr2_landscape.errors import InputError
from mcr2_landscape.processes import ProcessExecutor
from mcr2_landscape.record import Record
from mcr2_landscape.study.chunk import ChunkResult, compute_chunk
from mcr2_landscape.study.space import Study

_SHORT = 0.05  # seconds: units that take less are timed many at a time, as they are computed
_MANY = 500


@dataclass(frozen=True)
class Cost(Record):
    """What was measured, and what it comes to.

    **Fields:** `units`, all of them; `done` before; `left`; `jobs`; `timed`, units in the sample; `first_seconds`: the first
    unit, start-up and compilation included; `unit_seconds`: mean of the others, with `least_seconds` and `most_seconds`;
    `seconds`: for everything that is left; `unit_bytes` and `bytes`: on the disk; `failed`: how many of the sample raised an
    error, with the first one's words in `error`.
    """

    units: int
    done: int
    left: int
    jobs: int
    timed: int
    first_seconds: float
    unit_seconds: float
    least_seconds: float
    most_seconds: float
    seconds: float
    unit_bytes: float
    bytes: float
    failed: int
    error: str | None


def estimate(study: Study, numbers: np.ndarray, *, jobs: int | None = None, units: int = 8, seconds: float = 60.0) -> Cost:
    """Time a sample of the units that are left, in one worker process, one after the other.

    **Arguments:** `numbers`: the units that are left; the sample is spread evenly over them. `jobs`: processes to plan for.
    `units`: the size of the sample. `seconds`: stop after so long. Units so short that handing them out counts are timed
    many at a time.

    **Raises:** `InputError` for numbers out of range; `WorkerDied` where the process ends.
    """
    if units < 1 or not seconds > 0:
        raise InputError(f"--units, --seconds: found {units} and {seconds}; both are above zero")
    total, left = len(study), len(numbers)
    executor = ProcessExecutor(jobs, worker_memory=study.task.memory)
    width = executor.max_workers
    if not left:
        executor.kill()
        return Cost(total, total, 0, width, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0, None)
    sample = numbers[np.unique(np.linspace(0, left - 1, min(units + 1, left)).round().astype(int))]
    # The first is only a warm-up: taken from the middle, where the grid is as expensive as it is on average.
    first, rest = sample[len(sample) // 2], np.delete(sample, len(sample) // 2)
    times: list[float] = []
    results: list[ChunkResult] = []

    def timed(chosen: np.ndarray) -> float:
        began = time.perf_counter()
        results.append(executor.submit(compute_chunk, study.description, study.digest, tuple(map(int, chosen))).result())
        return (time.perf_counter() - began) / len(chosen)

    began = time.perf_counter()
    try:
        first_seconds = timed(np.array([first]))
        for number in rest:
            if time.perf_counter() - began > seconds:
                break
            times.append(timed(np.array([number])))
        if times and np.mean(times) < _SHORT and left > _MANY:
            spread = numbers[np.linspace(0, left - 1, _MANY).round().astype(int)]
            times = [timed(spread)]
    finally:
        executor.kill()
    times = times or [first_seconds]
    each = float(np.mean(times))
    rows = sum(0 if r.rows is None else r.rows.num_rows for r in results)
    failures = [r.failures for r in results if r.failures is not None]
    unit_bytes = _bytes(results) / max(rows, 1)
    return Cost(
        units=total,
        done=total - left,
        left=left,
        jobs=width,
        timed=sum(0 if t is None else t.num_rows for r in results for t in (r.rows, r.failures)),
        first_seconds=first_seconds,
        unit_seconds=each,
        least_seconds=min(times),
        most_seconds=max(times),
        seconds=first_seconds + each * max(0, left - 1) / min(width, left),
        unit_bytes=unit_bytes,
        bytes=unit_bytes * left,
        failed=sum(table.num_rows for table in failures),
        error=failures[0].column("error")[0].as_py() if failures else None,
    )


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
