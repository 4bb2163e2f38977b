"""The most memory that a call occupies beyond what was there before it (Linux)."""

from __future__ import annotations

import contextlib
import ctypes
import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_bytes(call: Callable[[], Any]) -> tuple[Any, int | None]:
    """The result of the call, and the bytes by which the process grew at most while it ran; `None` where the kernel does not
    say."""
    _give_back()
    try:
        _RESET.write_text("5")  # the high-water mark begins anew
        before = _kilobytes("VmRSS")
    except (OSError, ValueError, LookupError):
        return call(), None
    result = call()
    return result, 1024 * max(0, _kilobytes("VmHWM") - before)


def _give_back() -> None:
    """Free memory goes back to the system: what a call takes from what others have left would not show."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # the GNU library's own
        ctypes.CDLL(None).malloc_trim(0)


def _kilobytes(name: str) -> int:
    words = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines() if ":" in line)
    return int(words[name].split()[0])
