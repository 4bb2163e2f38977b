"""What computes: processes on this machine, or a Dask cluster."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass

from mcr2_landscape.errors import InputError
from mcr2_landscape.extras import missing_extra
from mcr2_landscape.processes import ProcessExecutor

_CONNECT_SECONDS = 20


@dataclass(frozen=True)
class Engine:
    """An executor with what the interface does not say: how many calls it runs at the same time, whether it still has something
    to compute with, and its name in words."""

    executor: Executor
    width: int
    alive: Callable[[], bool]
    words: str


@contextlib.contextmanager
def local(jobs: int | None, memory: int) -> Iterator[Engine]:
    """`jobs` processes on this machine (by default one a core, as far as `memory` bytes for each allow). Leaving the context
    ends them, whatever they are at."""
    executor = ProcessExecutor(jobs, worker_memory=memory)
    try:
        count = executor.max_workers
        yield Engine(executor, count, lambda: True, f"{count} process{'es' if count > 1 else ''} here")
    finally:
        executor.kill()


@contextlib.contextmanager
def dask(address: str) -> Iterator[Engine]:
    """The Dask cluster whose scheduler has this address (``tcp://host:8786``). Its workers need this package, with one thread
    each.

    **Raises:** `InputError` where no scheduler answers, or it has no workers.
    """
    try:
        import distributed
    except ImportError:
        raise missing_extra("a study on a cluster", "distributed", "cluster") from None
    try:
        client = distributed.Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        words = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"--scheduler {address}: no Dask scheduler answers there ({words}); start one: dask scheduler"
        ) from None
    try:
        threads: dict[str, int] = client.nthreads()  # pyright: ignore[reportAssignmentType]
        if not threads:
            raise InputError(
                f"--scheduler {address}: the scheduler has no workers; start some: dask worker {address} --nthreads 1"
            )
        width = sum(threads.values())
        # Calls are pure, but which process computed what is part of a row: never take an earlier call's result for a new one.
        executor = client.get_executor(pure=False, retries=0)
        yield Engine(executor, width, lambda: client.status == "running", f"{len(threads)} workers of {address}")
        executor.shutdown(wait=False)
    finally:
        with contextlib.suppress(Exception):  # a scheduler that is gone cannot be told anything
            client.close(timeout=2)
