"""The process in which contestants are timed: `python -m mcr2_landscape.bench.pinned`, which `benchmark` starts.

The plan comes as JSON on standard input. Lines of JSON go to standard output, {"say": words} while at work and {"done":
figures} at the end. Whatever other libraries print goes to standard error.

This process is on one core before JAX and PyTorch are imported; its environment, made by the parent, asks for one thread.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, TextIO


def pin() -> int | None:
    """Stay on one core, the last of those allowed (the first serves most interrupts); its number, `None` where the system has
    no such call."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    return core


def main() -> int:
    """Read the plan, measure, and write what was found."""
    lines = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    core = pin()

    import jax

    jax.config.update("jax_enable_x64", True)
    if "torch" in sys.modules:
        raise RuntimeError("PyTorch was imported before its threads were set")
    from mcr2_landscape.bench.measure import measure
    from mcr2_landscape.bench.plan import Plan
    from mcr2_landscape.record import to_plain

    _one_thread_for_torch()
    found = measure(Plan(**json.load(sys.stdin)), lambda words: _write(lines, {"say": words}))
    _write(lines, {"done": to_plain({**found, "conditions": conditions(core)})})
    return 0


def conditions(core: int | None) -> dict[str, Any]:
    """Under what the figures were taken: date, device, versions, the settings that this process was started with."""
    import datetime

    from mcr2_landscape.bench.launch import SETTINGS
    from mcr2_landscape.provenance import describe_device, versions

    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "device": describe_device(),
        "core": core,
        "load": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "settings": {name: os.environ.get(name) for name in SETTINGS},
        "versions": {**versions(), **peer_versions()},
    }


def peer_versions() -> dict[str, str]:
    """The versions of the other libraries that are installed."""
    import importlib.metadata

    found = {}
    names = ("torch", "pyhessian", "hessian-eigenthings", "curvlinops-for-pytorch", "pymanopt")
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _one_thread_for_torch() -> None:
    try:
        import torch  # pyright: ignore[reportMissingImports]
    except ImportError:
        return
    torch.set_num_threads(1)


def _write(lines: TextIO, message: dict[str, Any]) -> None:
    lines.write(json.dumps(message) + "\n")
    lines.flush()


if __name__ == "__main__":
    sys.exit(main())
