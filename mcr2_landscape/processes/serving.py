"""What runs inside a worker process: answer messages until the connection closes or the parent is gone."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection


def serve(connection: Connection, prepare: Callable[[], Callable[[bytes], bytes]]) -> None:
    """Answer what comes down the connection until it is closed. The target of a worker process.

    `prepare` is called once, here, and returns the function that answers: whatever it keeps lives as long as the process.
    """
    # Ctrl-C reaches every process of a terminal; the parent decides what it means, and ends the workers itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The parent may have made SIGTERM mean something else for itself.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # Standard output belongs to the results: what is printed here goes beside them.
    sys.stdout.flush()
    os.dup2(2, 1)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    answer = prepare()
    while True:
        try:
            message = connection.recv_bytes()
        except (EOFError, OSError):
            return
        reply = answer(message)
        try:
            connection.send_bytes(reply)
        except OSError:
            return


def _end_with_parent() -> None:
    """A parent that was killed cannot end its workers, which would compute on for nobody."""
    from multiprocessing import parent_process
    from multiprocessing.connection import wait

    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
