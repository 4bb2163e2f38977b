"""Ctrl-C and SIGTERM, heard where it suits."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class Interruptions:
    """While this context is entered, the first Ctrl-C or SIGTERM is only noted, and `check` raises it: code between two checks
    is never left half-done. A second one does not wait. Outside the main thread nothing changes."""

    def __init__(self) -> None:
        self._noted = False
        self._before: dict[int, Any] = {}

    def check(self) -> None:
        """Be interrupted here, if it was asked for.

        **Raises:** `KeyboardInterrupt`.
        """
        if self._noted:
            raise KeyboardInterrupt

    def __enter__(self) -> Interruptions:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *exception: Any) -> None:
        for number, handler in self._before.items():
            # None: a handler that was not installed from Python, which cannot be put back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._noted:
            raise KeyboardInterrupt
        self._noted = True
