"""One worker process, seen from its parent."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator

from mcr2_landscape.processes.serving import serve

# One thread for each worker, set before NumPy and JAX are imported there: several threads of one process can wait for each
# other for ever inside JAX on two cores, and the workers share the cores already. A worker must not take all memory of a GPU
# for itself.
SETTINGS = {
    "NPROC": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "JAX_ENABLE_X64": "1",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
}
_ENVIRONMENT = threading.Lock()


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class WorkerDied(Exception):
    """A worker's process is gone. Its text is a predicate: "was ended by SIGKILL …"."""


class Worker:
    """A spawned process that answers messages, one at a time.

    **Arguments:** `prepare`: a function of a module, which returns the function that answers (see `serve`). `name`: what the
    process is called.

    A process that a task has left behind may hold the connection open after the worker's end: wait for `sentinel` too.
    """

    def __init__(self, prepare: Callable[[], Callable[[bytes], bytes]], name: str):
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self.process = context.Process(target=serve, args=(other, prepare), name=name, daemon=True)
        with _for_workers():
            self.process.start()
        other.close()  # so that the end of the process closes the connection

    @property
    def sentinel(self) -> int:
        """What `multiprocessing.connection.wait` takes, ready once the process has ended."""
        return self.process.sentinel

    def is_alive(self) -> bool:
        """Whether the process lives."""
        return self.process.is_alive()

    def send(self, message: bytes) -> None:
        """Send a message. To a process that has died it is lost, which shows when its answer is read."""
        with contextlib.suppress(OSError):
            self.connection.send_bytes(message)

    def receive(self) -> bytes:
        """The answer, once the connection or the sentinel is ready.

        **Raises:** `WorkerDied` where there is none.
        """
        with contextlib.suppress(EOFError, OSError):
            if self.connection.poll():
                return self.connection.recv_bytes()
        self.process.join(1)
        if self.process.is_alive():  # it has closed the connection, and could not answer any more
            self.process.kill()
            self.process.join()
        raise WorkerDied(_death(self.process.exitcode))

    def close(self) -> None:
        """End the process, whatever it is at."""
        self.ask_to_end()
        self.process.join(2)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.process.close()

    def ask_to_end(self) -> None:
        """Begin to end the process, so that several can end at the same time."""
        self.connection.close()
        self.process.terminate()


def _death(status: int | None) -> str:
    if status is not None and status < 0:
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = f"signal {-status}"
        return f"was ended by {name}" + ("; out of memory is a frequent reason" if name == "SIGKILL" else "")
    return f"ended with status {status} before it had a result"


@contextlib.contextmanager
def _for_workers() -> Iterator[None]:
    """The environment of a worker, while it is started. Ctrl-C is held back meanwhile: a worker inherits that, and so does not
    hear it before it has made up its mind to ignore it."""
    with _ENVIRONMENT:  # of the whole process: two threads would put each other's values back
        yield from _with_settings()


def _with_settings() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in SETTINGS}
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if hasattr(signal, "pthread_sigmask") else None
    os.environ.update(SETTINGS)
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
