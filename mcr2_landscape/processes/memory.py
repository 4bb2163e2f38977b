"""How much memory there is, so that no more processes compute at a time than fit."""

from __future__ import annotations

import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def available() -> int | None:
    """Bytes that can still be used on this machine and in this control group (a container, a batch job). `None` where neither
    can be read."""
    found = [amount for amount in (_machine(), _control_group(_CGROUP)) if amount is not None]
    return min(found, default=None)


def used() -> int | None:
    """Bytes of memory that this process occupies, or `None` where that cannot be read."""
    try:
        import psutil
    except ImportError:
        return None
    return psutil.Process(os.getpid()).memory_info().rss


def _machine() -> int | None:
    try:
        import psutil
    except ImportError:
        return None
    return psutil.virtual_memory().available


def _control_group(root: Path) -> int | None:
    """What is left of the limit of the control group, in either of the two layouts."""
    for limit, usage in (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes")):
        try:
            return max(0, int((root / limit).read_text()) - int((root / usage).read_text()))
        except (OSError, ValueError):  # no such group, or the limit is the word "max"
            continue
    return None
