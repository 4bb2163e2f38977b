"""Claims checked in worker processes: a check that raises, hangs up or dies is an error of its claim, and the rest goes on."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import connection as connections
from typing import Any

from mcr2_landscape.claims.claim import Claim
from mcr2_landscape.claims.run import Profile
from mcr2_landscape.claims.schedule import Schedule, groups_of
from mcr2_landscape.claims.worker import Reply, serve

# One thread for each worker, set before NumPy and JAX are imported there: several threads of one process can wait for each
# other for ever inside JAX on two cores, and the workers share the cores already. A worker must not take all memory of a GPU
# for itself.
_SETTINGS = {"NPROC": "1", "OPENBLAS_NUM_THREADS": "1", "JAX_ENABLE_X64": "1", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
_TICK = 0.5  # seconds between two looks at the clock for those who watch


@dataclass(frozen=True)
class Checked:
    """A claim with what its check came to."""

    claim: Claim
    reply: Reply


def default_jobs(claims: Sequence[Claim]) -> int:
    """One worker a core, as long as each has a group of claims to itself."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, len(groups_of(claims))))


def check_claims(
    claims: Sequence[Claim],
    profile: Profile | str = Profile.STANDARD,
    *,
    jobs: int | None = None,
    seconds: Mapping[str, float] | None = None,
    watch: Callable[[tuple[Claim, ...]], None] | None = None,
) -> Generator[Checked]:
    """Check claims in worker processes, each as soon as it ends.

    **Arguments:** `jobs`: how many workers, `default_jobs` by default. `seconds`: how long claims took before, by id (see
    `Schedule`). `watch` is called about twice a second with the claims that are being checked.

    Leaving the iteration early (`close`, an exception, Ctrl-C) ends the workers. The processes are spawned: a script that calls
    this needs the usual ``if __name__ == "__main__":``.
    """
    profile = Profile(profile)
    count = default_jobs(claims) if jobs is None else max(1, min(jobs, len(claims)))
    pool = _Pool(Schedule(claims, seconds), profile, count)
    try:
        while pool.busy():
            if watch is not None:
                watch(pool.running)
            yield from pool.wait(_TICK)
    finally:
        pool.close()


class _Worker:
    """A process, the connection to it, and what it is at."""

    def __init__(self, number: int):
        self.number = number
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self.process = context.Process(target=serve, args=(other,), name=f"claims-{number}", daemon=True)
        with _for_workers():
            self.process.start()
        other.close()  # so that the end of the process closes the connection
        self.claim: Claim | None = None
        self.began = 0.0

    def give(self, message: bytes, claim: Claim) -> None:
        self.claim, self.began = claim, time.perf_counter()
        with contextlib.suppress(OSError):  # it has died: the connection is at its end, which is found when it is read
            self.connection.send_bytes(message)

    def receive(self) -> tuple[Reply, bool]:
        """The reply, and whether the process lives."""
        try:
            if self.connection.poll():
                return pickle.loads(self.connection.recv_bytes()), True
        except (EOFError, OSError):
            pass
        except Exception as error:  # a certificate of a class that cannot be made here
            return Reply(
                None, (), self._elapsed(), f"what the check returned cannot be read: {type(error).__name__}: {error}"
            ), True
        self.process.join(1)
        if self.process.is_alive():  # it has closed the connection, and could not answer any more
            self.process.kill()
            self.process.join()
        return Reply(None, (), self._elapsed(), _death(self.process.exitcode)), False

    def _elapsed(self) -> float:
        return time.perf_counter() - self.began


class _Pool:
    def __init__(self, schedule: Schedule, profile: Profile, count: int):
        self._schedule, self._profile = schedule, profile
        self._numbers = 0
        self._workers: list[_Worker] = []
        self._count = count
        self._unsendable: list[Checked] = []

    @property
    def running(self) -> tuple[Claim, ...]:
        return tuple(worker.claim for worker in self._workers if worker.claim is not None)

    def busy(self) -> bool:
        """Give work to whoever has none; whether there is any left to wait for."""
        for worker in [worker for worker in self._workers if worker.claim is None]:
            if worker.process.is_alive():
                self._next(worker)
            else:  # it died after its reply: no claim's fault
                self._drop(worker)
        while self._schedule and len(self._workers) < self._count:
            worker = _Worker(self._numbers)
            self._numbers += 1
            self._workers.append(worker)
            self._next(worker)
        return bool(self.running or self._unsendable)

    def wait(self, timeout: float) -> Iterator[Checked]:
        done, self._unsendable = self._unsendable, []
        yield from done
        working = [worker for worker in self._workers if worker.claim is not None]
        if not working:
            return
        # The sentinel too: a process that a check has left behind may hold the connection open after the worker's end.
        places: dict[Any, _Worker] = {worker.connection: worker for worker in working}
        places |= {worker.process.sentinel: worker for worker in working}
        ready = connections.wait(list(places), 0 if done else timeout)
        for worker in dict.fromkeys(places[place] for place in ready):
            claim = worker.claim
            assert claim is not None
            reply, alive = worker.receive()
            worker.claim = None
            if not alive:
                self._drop(worker)
            yield Checked(claim, reply)

    def close(self) -> None:
        for worker in self._workers:
            worker.connection.close()
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(2)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.process.close()
        self._workers = []

    def _drop(self, worker: _Worker) -> None:
        self._schedule.release(worker.number)
        self._workers.remove(worker)
        worker.connection.close()

    def _next(self, worker: _Worker) -> None:
        while (claim := self._schedule.take(worker.number)) is not None:
            try:
                message = pickle.dumps((claim, self._profile))
            except Exception as error:
                words = f"the claim cannot be sent to a worker process: {type(error).__name__}: {error}"
                self._unsendable.append(Checked(claim, Reply(None, (), 0.0, words)))
                continue
            worker.give(message, claim)
            return


def _death(status: int | None) -> str:
    if status is not None and status < 0:
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = f"signal {-status}"
        reason = "; out of memory is a frequent reason" if name == "SIGKILL" else ""
        return f"the process that checked this claim was ended by {name}{reason}"
    return f"the process that checked this claim ended with status {status} before it had a result"


@contextlib.contextmanager
def _for_workers() -> Iterator[None]:
    """The environment of a worker, while it is started. Ctrl-C is held back meanwhile: a worker inherits that, and so does not
    hear it before it has made up its mind to ignore it."""
    before = {name: os.environ.get(name) for name in _SETTINGS}
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if hasattr(signal, "pthread_sigmask") else None
    os.environ.update(_SETTINGS)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        if blocked is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
