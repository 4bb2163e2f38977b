"""Ctrl-C and a polite end, heard where it suits."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any


class Interruption:
    """While it is entered, the first Ctrl-C sets `requested`, and a second one raises `KeyboardInterrupt` at once.

    Python's own handler would raise wherever the interpreter happens to be: between work that is done and the line that notes
    it, too. Only that handler is replaced, and put back afterwards; a program that has a handler of its own, or ignores the
    signal, keeps its way, and so does every thread but the main one.
    """

    def __init__(self) -> None:
        self.requested = False
        self._earlier: Any = None

    def check(self) -> None:
        """Be interrupted here, if it was asked for.

        **Raises:** `KeyboardInterrupt`.
        """
        if self.requested:
            raise KeyboardInterrupt

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            found = signal.getsignal(signal.SIGINT)
            if found is signal.default_int_handler:
                self._earlier = found
                signal.signal(signal.SIGINT, self._hear)
        return self

    def __exit__(self, *exception: Any) -> None:
        if self._earlier is not None:
            signal.signal(signal.SIGINT, self._earlier)
            self._earlier = None

    def _hear(self, number: int, frame: Any) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True


@contextlib.contextmanager
def termination_as_interruption() -> Iterator[None]:
    """Hear a batch system's polite signal, SIGTERM, as Ctrl-C is heard. For programs; in their main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    earlier = signal.signal(signal.SIGTERM, lambda number, frame: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, earlier)
