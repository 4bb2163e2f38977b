"""Ctrl-C as a wish that the training loop hears between two chunks."""

from __future__ import annotations

import signal
import threading
from typing import Any


class Interruption:
    """While it is entered, the first Ctrl-C sets `requested`, and a second one raises `KeyboardInterrupt` at once.

    Python's own handler would raise wherever the interpreter happens to be, between a chunk that is computed and the name that
    it is given too: the state would be lost. Only that handler is replaced, and put back afterwards; a program that has a
    handler of its own, or ignores the signal, keeps its way, and so does every thread but the main one.
    """

    def __init__(self) -> None:
        self.requested = False
        self._earlier: Any = None

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
