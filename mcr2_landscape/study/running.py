"""A study run from beginning to end: its store locked, its description remembered, its units computed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager

from mcr2_landscape.errors import InputError
from mcr2_landscape.study.chunk import StudyStopped
from mcr2_landscape.study.coordinator import State, run_units
from mcr2_landscape.study.engines import Engine, check_address, dask, local
from mcr2_landscape.study.opening import Opened
from mcr2_landscape.study.store import Store, StoreError


def run_study(
    opened: Opened,
    *,
    jobs: int | None = None,
    scheduler: str | None = None,
    retry_failed: bool = False,
    watch: Callable[[State], None] | None = None,
    began: Callable[[str], None] | None = None,
) -> State:
    """Compute what the store of a study does not have yet; see `run_units`.

    **Arguments:** `jobs`: processes here; or `scheduler`: the address of a Dask scheduler. `began` is called with words on what
    computes, once it is there.

    **Raises:** `InputError` for a store that another run writes to, a scheduler that does not answer or is lost, a full disk.
    What was done by then is kept.
    """
    if jobs is not None and scheduler is not None:
        raise InputError("--jobs, --scheduler: give one of them")
    if jobs is not None and jobs < 1:
        raise InputError(f"--jobs: found {jobs}; it must be at least 1")
    if scheduler is not None:
        check_address(scheduler)
    study = opened.study
    store = Store.create(opened.place, study)
    try:
        store.acquire()
        try:
            store.remember(opened.text, study.description.size)
            place: AbstractContextManager[Engine] = local(jobs, study.task.memory) if scheduler is None else dask(scheduler)
            with place as engine:
                if began is not None:
                    began(engine.words)
                return run_units(
                    store,
                    study,
                    engine.executor,
                    width=engine.width,
                    retry_failed=retry_failed,
                    watch=watch,
                    alive=engine.alive,
                )
        finally:
            with contextlib.suppress(OSError, InputError):  # it only saves time
                store.refresh_index()
            store.release()
    except StudyStopped as error:
        words = f"study {study.description.name}: stopped: {error}; what is done is kept: study resume goes on"
        raise InputError(words) from error
    except StoreError as error:
        words = f"store {store.path}: cannot be written ({error.strerror or error})"
        raise InputError(f"{words}; what is on the disk is kept: free some space, and resume") from error
