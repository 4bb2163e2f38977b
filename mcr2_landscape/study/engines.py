"""What computes: processes on this machine, or a Dask cluster."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcr2_landscape.errors import InputError
from mcr2_landscape.extras import missing_extra
from mcr2_landscape.processes import ProcessExecutor

_CONNECT_SECONDS = 20
_WORKERS_SECONDS = 120  # a batch system starts workers when it has room for them
_RECOUNT_SECONDS = 5.0
_SCHEMES = ("tcp", "tls", "ucx", "ucxx", "ws", "wss")


@dataclass(frozen=True)
class Engine:
    """An executor with what the interface does not say.

    **Fields:** `executor`; `width`: how many calls it runs at the same time now, which may change; `alive`: whether it still
    has something to compute with; `words`: its name.
    """

    executor: Executor
    width: Callable[[], int]
    alive: Callable[[], bool]
    words: str


@contextlib.contextmanager
def local(jobs: int | None, memory: int) -> Iterator[Engine]:
    """`jobs` processes on this machine (by default one a core, as far as `memory` bytes for each allow). Leaving the context
    ends them, whatever they are at."""
    executor = ProcessExecutor(jobs, worker_memory=memory)
    try:
        count = executor.max_workers
        yield Engine(executor, lambda: count, lambda: True, f"{count} process{'es' if count > 1 else ''} here")
    finally:
        executor.kill()


@contextlib.contextmanager
def dask(address: str) -> Iterator[Engine]:
    """A Dask cluster: its scheduler's address (``tcp://host:8786``), or the file that ``dask scheduler --scheduler-file`` has
    written. Its workers need this package, and one thread each. They may come and go.

    **Raises:** `InputError` where no scheduler answers, or no worker comes.
    """
    try:
        import distributed
    except ImportError:
        raise missing_extra("a study on a cluster", "distributed", "cluster") from None
    file = check_address(address)
    with _quiet():
        try:
            client = distributed.Client(**file, timeout=_CONNECT_SECONDS, set_as_default=False)  # pyright: ignore[reportArgumentType]
        except (OSError, ValueError, TypeError) as error:
            words = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(
                f"--scheduler {address}: no Dask scheduler answers there ({words}); start one: dask scheduler"
            ) from None
        try:
            try:
                client.wait_for_workers(1, timeout=_WORKERS_SECONDS)
            except TimeoutError:
                raise InputError(
                    f"--scheduler {address}: the scheduler has no workers; start some: dask worker {address} --nthreads 1"
                ) from None
            width = _Counted(client, address)
            width()
            # Calls are pure, but which process computed what is part of a row: an earlier call's result is never taken again.
            executor = client.get_executor(pure=False, retries=0)
            yield Engine(executor, width, lambda: client.status == "running", f"{width()} workers of {address}")
            executor.shutdown(wait=False)
        finally:
            with contextlib.suppress(Exception):  # a scheduler that is gone cannot be told anything
                client.close(timeout=2)


class _Counted:
    """The threads of a cluster's workers, counted anew now and then."""

    def __init__(self, client: Any, address: str):
        self._client, self._address, self._count, self._when = client, address, 0, -math.inf

    def __call__(self) -> int:
        if time.monotonic() - self._when > _RECOUNT_SECONDS:
            threads: dict[str, int] = {}
            with contextlib.suppress(OSError):  # a scheduler that is lost: `alive` says so
                threads = self._client.nthreads()
            if wide := [worker for worker, count in threads.items() if count > 1]:
                # Several threads of one process can wait for each other for ever inside JAX.
                raise InputError(
                    f"--scheduler {self._address}: the worker {wide[0]} has {threads[wide[0]]} threads; start workers with "
                    "--nthreads 1, as many as there are cores (--nworkers)"
                )
            self._count = len(threads)
            self._when = time.monotonic()
        return self._count


def check_address(address: str) -> dict[str, str]:
    """What Dask's client takes for an address, or for a scheduler's file.

    **Raises:** `InputError` for what is neither: the client would wait for it, in vain.
    """
    path = Path(address)
    if path.is_file():
        try:
            if isinstance(json.loads(path.read_text(encoding="utf-8"))["address"], str):
                return {"scheduler_file": address}
        except (OSError, ValueError, KeyError, TypeError):
            pass
        raise InputError(f"--scheduler {address}: is no scheduler's file; dask scheduler --scheduler-file writes one")
    found = re.fullmatch(r"(\w+)://(.+):(\d+)/?", address)
    if found is None or found[1] not in _SCHEMES or int(found[3]) > 65535:
        raise InputError(f"--scheduler {address}: is neither an address, such as tcp://host:8786, nor a file that is there")
    return {"address": address}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """A lost scheduler is said once, by the run, and not by a traceback of the client's as well."""
    logger = logging.getLogger("distributed.client")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
