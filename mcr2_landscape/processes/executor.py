"""A pool of worker processes behind the interface `concurrent.futures.Executor`.

The standard library's own pool gives up as a whole when one process dies, and hands no one the blame. Here the call that the
dead process was at fails with `WorkerDied`, another process takes its place, and all other calls go on.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import pickle
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from multiprocessing import connection as connections
from typing import Any

from mcr2_landscape import memory
from mcr2_landscape.processes.worker import Worker, WorkerDied, cores

_TICK = 0.5  # seconds between two looks at the memory while calls are held back
_RESERVE = 0.05  # a call is held back while less than this part of the limit for all workers is left


class ProcessExecutor(Executor):
    """Calls in spawned processes, one at a time in each, each with one thread.

    **Arguments:** `max_workers`: how many processes, by default as many as there are cores or as have room. `worker_memory`:
    bytes that one process is expected to need. A process that occupies twice as much after a call is replaced by a fresh one
    (compiled programs pile up), and while memory is nearly exhausted no more than one call runs at a time.

    Functions and arguments are pickled; functions are those of modules. The processes are spawned: a script needs the usual
    ``if __name__ == "__main__":``.
    """

    def __init__(self, max_workers: int | None = None, *, worker_memory: int = 1 << 30):
        room = memory.available()
        fitting = cores() if room is None else min(cores(), room // worker_memory)
        self.max_workers = max(1, fitting if max_workers is None else max_workers)
        self._worker_memory = worker_memory
        self._calls: deque[tuple[Future[Any], bytes]] = deque()
        self._lock = threading.Lock()
        self._ending = self._killing = self._awake = False
        self._waker, self._woken = multiprocessing.Pipe(duplex=False)[::-1]
        self._manager = threading.Thread(target=self._manage, name="process-executor", daemon=True)
        self._numbers = itertools.count()
        self._idle: list[Worker] = []
        self._busy: dict[Worker, Future[Any]] = {}
        self._manager.start()

    @property
    def processes(self) -> tuple[int, ...]:
        """The process numbers of the workers that live now."""
        return tuple(worker.process.pid or 0 for worker in [*self._idle, *self._busy])

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As the interface has it. What cannot be pickled raises here."""
        message = pickle.dumps((fn, args, kwargs))
        future: Future[Any] = Future()
        with self._lock:
            if self._ending:
                raise RuntimeError("the executor has been shut down")
            self._calls.append((future, message))
            self._wake()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As the interface has it."""
        with self._lock:
            self._ending = True
            waiting = [future for future, _ in self._calls] if cancel_futures else []
            self._wake()
        for future in waiting:  # outside: whoever hears of it may call this executor
            future.cancel()
        if wait:
            self._manager.join()

    def kill(self) -> None:
        """End every process at once, whatever it is at; calls that have not ended are cancelled or fail with `WorkerDied`."""
        self._killing = True
        self.shutdown(wait=True, cancel_futures=True)

    def _wake(self) -> None:
        """With the lock held. One message at most is under way: a pipe that fills up would block."""
        if not self._awake:
            self._awake = True
            with contextlib.suppress(OSError):  # the manager has ended already
                self._waker.send_bytes(b".")

    # -- in the manager's thread ----------------------------------------------------------------------------------------------

    def _manage(self) -> None:
        try:
            while not self._killing:
                self._hand_out()
                with self._lock:
                    if self._ending and not self._calls and not self._busy:
                        break
                self._wait()
        except BaseException as error:  # a defect, or no process can be started any more: nobody must wait for ever
            self._fail_all(error)
        finally:
            self._fail_all(WorkerDied("was ended together with the executor"), cancel=True)
            workers = [*self._idle, *self._busy]
            self._idle, self._busy = [], {}
            for worker in workers:
                worker.ask_to_end()
            for worker in workers:
                worker.close()
            self._waker.close()
            self._woken.close()

    def _hand_out(self) -> None:
        while len(self._busy) < self.max_workers and not (self._busy and self._scarce()):
            with self._lock:
                if not self._calls:
                    return
                future, message = self._calls.popleft()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                worker = self._next_worker()
            except BaseException as error:  # no process can be started
                future.set_exception(error)
                raise
            self._busy[worker] = future
            worker.send(message)

    def _next_worker(self) -> Worker:
        while self._idle:
            worker = self._idle.pop()
            if worker.is_alive():
                return worker
            worker.close()  # it died between two calls: nobody's fault
        return Worker(answering, f"worker-{next(self._numbers)}")

    def _scarce(self) -> bool:
        room = memory.available()
        return room is not None and room < _RESERVE * self.max_workers * self._worker_memory

    def _wait(self) -> None:
        places: dict[Any, Worker | None] = {self._woken: None}
        for worker in self._busy:
            places |= {worker.connection: worker, worker.sentinel: worker}
        ready = connections.wait(list(places), _TICK if self._calls else None)
        for worker in dict.fromkeys(places[place] for place in ready):
            if worker is None:
                with self._lock:
                    self._woken.recv_bytes()
                    self._awake = False
            else:
                self._collect(worker)

    def _collect(self, worker: Worker) -> None:
        future = self._busy.pop(worker)
        try:
            good, content, occupied = pickle.loads(worker.receive())
        except WorkerDied as error:
            worker.close()
            future.set_exception(error)
            return
        except Exception as error:  # a result of a class that cannot be made here
            good, content, occupied = False, error, None
        if occupied is not None and occupied > 2 * self._worker_memory:
            worker.close()
        else:
            self._idle.append(worker)
        if good:
            future.set_result(content)
        else:
            future.set_exception(content)

    def _fail_all(self, error: BaseException, *, cancel: bool = False) -> None:
        with self._lock:
            self._ending = True
            calls, self._calls = list(self._calls), deque()
        for future, _ in calls:
            if cancel:
                future.cancel()
            if future.set_running_or_notify_cancel():
                future.set_exception(error)
        for future in self._busy.values():
            if not future.done():
                future.set_exception(error)


def answering() -> Callable[[bytes], bytes]:
    """What a worker of this pool does with a message: call the function in it."""
    return _answer


def _answer(message: bytes) -> bytes:
    try:
        function, args, kwargs = pickle.loads(message)
        return pickle.dumps((True, function(*args, **kwargs), memory.used()))
    except Exception as error:
        import traceback

        error.add_note("".join(traceback.format_exception(error)))
        try:
            return pickle.dumps((False, error, memory.used()))
        except Exception:  # an exception that cannot be pickled
            return pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}"), memory.used()))
