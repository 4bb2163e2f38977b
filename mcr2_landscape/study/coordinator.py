"""The coordinator: hands the units of a study to an executor, and is the one who writes what comes back."""

from __future__ import annotations

import os
import pickle
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from dataclasses import dataclass

from mcr2_landscape.processes import Interruption, WorkerDied
from mcr2_landscape.study.chunk import ChunkResult, StudyStopped, circumstances, compute_chunk, failure_row
from mcr2_landscape.study.columns import failure_schema, table_of
from mcr2_landscape.study.journal import Journal
from mcr2_landscape.study.pending import Pending
from mcr2_landscape.study.space import Study
from mcr2_landscape.study.store import Store

_TICK = 0.25  # seconds between two looks at the clock
_CHUNK_SECONDS = 1.0  # a chunk is as many units as take about so long …
_MOST_UNITS = 1_000  # … and no more than this
_MOST_DEATHS = 3  # of processes that compute this unit alone, before it counts as failed
_PROBE_SECONDS = 120


class Unavailable(StudyStopped):
    """What computes is gone: the scheduler, or every process dies."""


@dataclass(frozen=True)
class State:
    """How far a run is.

    **Fields:** `total`, all units; `before`, units that were done before this run; `done` and `failed`, by this run; `left`;
    `seconds` since it began; `rate`, units a second lately (`None` before the first); `width`, calls at the same time now.
    """

    total: int
    before: int
    done: int
    failed: int
    left: int
    seconds: float
    rate: float | None
    width: int

    @property
    def seconds_left(self) -> float | None:
        """Seconds that the rest will take at this rate."""
        return self.left / self.rate if self.rate else None


def run_units(
    store: Store,
    study: Study,
    executor: Executor,
    *,
    width: Callable[[], int],
    retry_failed: bool = False,
    watch: Callable[[State], None] | None = None,
    alive: Callable[[], bool] | None = None,
) -> State:
    """Compute every unit of a study that the store does not have.

    **Arguments:** `store`, whose lock is held. `executor`, anything with the interface of `concurrent.futures.Executor` whose
    processes have this package. `width`: how many calls it runs at the same time now. `retry_failed`: compute units again that
    raised an error before; those whose process died are always computed again. `watch` is called about four times a second.
    `alive`: whether the executor still has something to compute with.

    **Returns:** `State` at the end.

    Ctrl-C (in the main thread) is heard between two looks at the clock: what has come back is written, and `KeyboardInterrupt`
    raised. A second one does not wait.

    **Raises:** `StoreError` where the disk refuses; `StudyStopped` where nothing can compute (`Unavailable`), or workers have
    other code (`Mismatch`).
    """
    pending = Pending.of(store, study, retry_failed=retry_failed)
    with Interruption() as interruption:
        return _Run(store, study, pending, executor, width, watch, alive, interruption).run()


class _Run:
    def __init__(
        self,
        store: Store,
        study: Study,
        pending: Pending,
        executor: Executor,
        width: Callable[[], int],
        watch: Callable[[State], None] | None,
        alive: Callable[[], bool] | None,
        interruption: Interruption,
    ):
        self._study, self._executor, self._width = study, executor, width
        self._watch, self._alive, self._interruption = watch, alive, interruption
        self._journal = Journal(store)
        self._pending = pending
        self._numbers = iter(pending.numbers)
        self._description = pickle.dumps(study.description)
        self._turn = False
        self._alone: deque[int] = deque()  # units whose process died, one by one so that the guilty one is found
        self._deaths: dict[int, int] = {}
        self._fruitless = 0  # deaths since anything came back
        self._flying: dict[Future[ChunkResult], tuple[int, ...]] = {}
        self._began = time.monotonic()
        self._done = self._failed = 0
        self._pace = _Pace()

    def run(self) -> State:
        try:
            while True:
                self._hand_out()
                if not self._flying:
                    break
                ready, _ = wait(self._flying, timeout=_TICK, return_when=FIRST_COMPLETED)
                for future in ready:
                    self._collect(future)
                self._journal.flush_if_due()
                self._interruption.check()
                if self._watch is not None:
                    self._watch(self.state())
                if self._alive is not None and not self._alive():
                    raise Unavailable("the executor has lost its connection")
        finally:
            for future in self._flying:
                future.cancel()
            self._journal.flush()
            if self._watch is not None:
                self._watch(self.state())
        return self.state()

    def state(self) -> State:
        pending = self._pending
        left = len(pending.numbers) - self._done - self._failed
        elapsed = time.monotonic() - self._began
        return State(
            pending.total, pending.done, self._done, self._failed, left, elapsed, self._pace.rate(elapsed), self._width()
        )

    def _hand_out(self) -> None:
        width = max(1, self._width())
        while len(self._flying) < 2 * width:  # one more each than it is at, so that none waits for this process
            numbers = self._next(width)
            if not numbers:
                return
            study = self._study
            try:
                future = self._executor.submit(compute_chunk, self._description, study.digest, numbers)
            except (RuntimeError, OSError) as error:  # shut down, or it has lost its scheduler
                raise Unavailable(str(error)) from error
            self._flying[future] = numbers

    def _next(self, width: int) -> tuple[int, ...]:
        # In turns: units whose processes die, one after the other, must not keep the others waiting.
        self._turn = not self._turn
        fresh = () if self._alone and self._turn else self._fresh(width)
        if fresh or not self._alone:
            return fresh
        return (self._alone.popleft(),)

    def _fresh(self, width: int) -> tuple[int, ...]:
        left = len(self._pending.numbers) - self._done - self._failed
        size = self._study.description.chunk or self._pace.chunk(left, width)
        return tuple(int(number) for _, number in zip(range(size), self._numbers, strict=False))

    def _collect(self, future: Future[ChunkResult]) -> None:
        numbers = self._flying.pop(future)
        try:
            result = future.result()
        except (WorkerDied, CancelledError) as death:
            self._bury(numbers, str(death) or "was lost")
            return
        except Exception as error:
            if type(error).__name__ in ("KilledWorker", "CommClosedError"):  # Dask's words for the same
                self._bury(numbers, f"was lost ({error})".splitlines()[0])
                return
            if isinstance(error, OSError):
                raise Unavailable(f"no process can be started ({error.strerror or error})") from error
            raise
        self._fruitless = 0
        self._done += 0 if result.rows is None else result.rows.num_rows
        self._failed += 0 if result.failures is None else result.failures.num_rows
        self._pace.note(len(numbers), result.seconds, time.monotonic() - self._began)
        self._journal.add(result)

    def _bury(self, numbers: tuple[int, ...], words: str) -> None:
        """The process at these units died: each gets a process of its own next, up to a limit."""
        if len(numbers) > 1:
            self._alone.extend(numbers)
        for number in numbers if len(numbers) == 1 else ():
            self._deaths[number] = self._deaths.get(number, 0) + 1
            if self._deaths[number] < _MOST_DEATHS:
                self._alone.appendleft(number)
            else:
                self._give_up(number, words)
        self._fruitless += 1
        if self._fruitless >= 10 + _MOST_DEATHS * self._width():
            self._probe(words)

    def _probe(self, words: str) -> None:
        """Many processes died one after the other: the units' fault, or can nothing be computed at all?"""
        try:
            self._executor.submit(os.getpid).result(timeout=_PROBE_SECONDS)
        except Exception:
            raise Unavailable(
                f"{self._fruitless} processes died one after the other, and then one with nothing to do; the last one {words}"
            ) from None
        self._fruitless = 0

    def _give_up(self, number: int, words: str) -> None:
        study = self._study
        unit = study.unit(number)
        error = f"the process that computed this unit {words} ({self._deaths[number]} times)"
        row = failure_row(study, unit, study.identify(unit).hex(), "died", error, "", float("nan")) | circumstances(study)
        self._failed += 1
        self._journal.add(ChunkResult(None, table_of([row], failure_schema(study.signature)), {}, 0.0))


class _Pace:
    """How fast units go, lately."""

    def __init__(self) -> None:
        self._each: float | None = None  # seconds of one process for one unit
        self._marks: deque[tuple[float, int]] = deque([(0.0, 0)], maxlen=64)

    def note(self, units: int, seconds: float, elapsed: float) -> None:
        each = seconds / units
        # The first chunk compiles; what comes later soon outweighs it.
        self._each = each if self._each is None else 0.7 * self._each + 0.3 * each
        self._marks.append((elapsed, self._marks[-1][1] + units))

    def rate(self, elapsed: float) -> float | None:
        first, before = self._marks[0]
        count = self._marks[-1][1] - before
        return count / (elapsed - first) if count and elapsed > first else None

    def chunk(self, left: int, width: int) -> int:
        if self._each is None:
            return 1
        fitting = int(_CHUNK_SECONDS / max(self._each, 1e-9))
        return max(1, min(fitting, _MOST_UNITS, -(-left // (2 * width))))
