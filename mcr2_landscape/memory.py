"""How much memory there is, so that nothing is begun that does not fit."""

from __future__ import annotations

import os
from pathlib import Path

from mcr2_landscape.errors import InputError

_GROUPS, _MEMBERSHIP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
_MACHINE = Path("/proc/meminfo")


def available() -> int | None:
    """Bytes that can still be used on this machine and in this control group (a container, a batch job). `None` where neither
    can be read."""
    found = [amount for amount in (_machine(), _control_group(_GROUPS, _MEMBERSHIP)) if amount is not None]
    return min(found, default=None)


def require(name: str, needed: float, alternatives: str) -> None:
    """Refuse work that does not fit into what `available` says.

    **Raises:** `InputError` that names the argument, says what is needed and what there is, and gives the alternatives.
    """
    found = available()
    if found is not None and needed > found:
        raise InputError(f"{name}: needs {_gigabytes(needed)}, and {_gigabytes(found)} of memory are available; {alternatives}")


def _gigabytes(amount: float) -> str:
    return f"{amount / 1e9:.3g} GB"


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
        return _said_by_the_kernel(_MACHINE)
    return psutil.virtual_memory().available


def _said_by_the_kernel(file: Path) -> int | None:
    try:
        words = dict(line.split(":", 1) for line in file.read_text().splitlines())
        return 1024 * int(words["MemAvailable"].split()[0])
    except (OSError, ValueError, KeyError, IndexError):  # not Linux
        return None


def _control_group(groups: Path, membership: Path) -> int | None:
    """What is left of the tightest limit of the process's control group and those that it lies in, in either layout. Pages of
    files that nobody has looked at lately do not count: the kernel gives them up when memory is asked for."""
    found = []
    for folder, names in _folders(groups, membership):
        limit, usage = (_number(folder / name) for name in names)
        if limit is not None and usage is not None:
            found.append(max(0, limit - usage + _inactive(folder / "memory.stat")))
    return min(found, default=None)


def _folders(groups: Path, membership: Path) -> list[tuple[Path, tuple[str, str]]]:
    """The control groups, innermost first, each with the names of its limit and its usage."""
    second, first = ("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")
    try:
        lines = [line.split(":", 2) for line in membership.read_text().splitlines()]
    except OSError:
        lines = []
    own = {controllers: Path(path.lstrip("/")) for _, controllers, path in (line for line in lines if len(line) == 3)}
    found = []
    for root, path, names in ((groups, own.get("", Path()), second), (groups / "memory", own.get("memory", Path()), first)):
        # A container may see its own group as the root, whatever the path says.
        found += [(folder, names) for folder in dict.fromkeys((root / path, *(root / p for p in path.parents), root))]
    return found


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # no such group, or the limit is the word "max"
        return None


def _inactive(path: Path) -> int:
    try:
        words = dict(line.split() for line in path.read_text().splitlines())
        return int(words.get("inactive_file", words.get("total_inactive_file", 0)))
    except (OSError, ValueError):
        return 0
