"""Claims checked in worker processes: a check that raises, hangs up or dies is an error of its claim, and the rest goes on."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import connection as connections
from typing import Any

from mcr2_landscape.claims.claim import Claim
from mcr2_landscape.claims.run import Profile
from mcr2_landscape.claims.schedule import Schedule, groups_of
from mcr2_landscape.claims.worker import Reply, answering
from mcr2_landscape.processes import Worker, WorkerDied, cores

_TICK = 0.5  # seconds between two looks at the clock for those who watch


@dataclass(frozen=True)
class Checked:
    """A claim with what its check came to."""

    claim: Claim
    reply: Reply


def default_jobs(claims: Sequence[Claim]) -> int:
    """One worker a core, as long as each has a group of claims to itself."""
    return max(1, min(cores(), len(groups_of(claims))))


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


class _Checker:
    """A worker, and what it is at."""

    def __init__(self, number: int):
        self.number = number
        self.worker = Worker(answering, f"claims-{number}")
        self.claim: Claim | None = None
        self.began = 0.0

    def give(self, message: bytes, claim: Claim) -> None:
        self.claim, self.began = claim, time.perf_counter()
        self.worker.send(message)

    def receive(self) -> tuple[Reply, bool]:
        """The reply, and whether the process lives."""
        try:
            return pickle.loads(self.worker.receive()), True
        except WorkerDied as death:
            return self._error(f"the process that checked this claim {death}"), False
        except Exception as error:  # a certificate of a class that cannot be made here
            return self._error(f"what the check returned cannot be read: {type(error).__name__}: {error}"), True

    def _error(self, words: str) -> Reply:
        return Reply(None, (), time.perf_counter() - self.began, words)


class _Pool:
    def __init__(self, schedule: Schedule, profile: Profile, count: int):
        self._schedule, self._profile = schedule, profile
        self._numbers = 0
        self._workers: list[_Checker] = []
        self._count = count
        self._unsendable: list[Checked] = []

    @property
    def running(self) -> tuple[Claim, ...]:
        return tuple(worker.claim for worker in self._workers if worker.claim is not None)

    def busy(self) -> bool:
        """Give work to whoever has none; whether there is any left to wait for."""
        for worker in [worker for worker in self._workers if worker.claim is None]:
            if worker.worker.is_alive():
                self._next(worker)
            else:  # it died after its reply: no claim's fault
                self._drop(worker)
        while self._schedule and len(self._workers) < self._count:
            worker = _Checker(self._numbers)
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
        places: dict[Any, _Checker] = {worker.worker.connection: worker for worker in working}
        places |= {worker.worker.sentinel: worker for worker in working}
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
            worker.worker.ask_to_end()
        for worker in self._workers:
            worker.worker.close()
        self._workers = []

    def _drop(self, worker: _Checker) -> None:
        self._schedule.release(worker.number)
        self._workers.remove(worker)
        worker.worker.close()

    def _next(self, worker: _Checker) -> None:
        while (claim := self._schedule.take(worker.number)) is not None:
            try:
                message = pickle.dumps((claim, self._profile))
            except Exception as error:
                words = f"the claim cannot be sent to a worker process: {type(error).__name__}: {error}"
                self._unsendable.append(Checked(claim, Reply(None, (), 0.0, words)))
                continue
            worker.give(message, claim)
            return
