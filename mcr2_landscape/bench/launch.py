"""Start the pinned process, follow it, and bring its figures back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from mcr2_landscape.bench.plan import Plan
from mcr2_landscape.record import to_plain

# One thread in every library, from before it is imported. The last one asks the allocator for huge pages: with the default,
# each fresh result of 67 MB costs every contestant about 40 ms of page faults, which would hide what is measured.
SETTINGS = {
    "NPROC": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
    "JAX_ENABLE_X64": "1",
    "JAX_PLATFORMS": "cpu",
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}


class BenchmarkFailed(RuntimeError):
    """The pinned process ended without figures; its own words are on standard error."""


def benchmark(plan: Plan, say: Callable[[str], None] = lambda words: None) -> dict[str, Any]:
    """Measure what the plan asks for in a process of its own, on the processor.

    **Arguments:** `say` is called with what is at work.

    **Returns:** plain data: `points` (see `mcr2_landscape.bench.measure.PointResult`), `inertias` (`InertiaResult`) and
    `conditions`: date, device, core, load, settings and versions.

    **Raises:** `BenchmarkFailed` where the process died.
    """
    environment = {**os.environ, **SETTINGS}
    own = os.environ.get("XLA_FLAGS")
    if own:
        environment["XLA_FLAGS"] = f"{own} {SETTINGS['XLA_FLAGS']}"
    command = [sys.executable, "-m", "mcr2_landscape.bench.pinned"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    found = None
    try:
        with process.stdin:
            json.dump(to_plain(plan), process.stdin)
        for line in process.stdout:
            message = json.loads(line)
            if "say" in message:
                say(message["say"])
            else:
                found = message["done"]
    except BaseException:
        process.kill()
        raise
    finally:
        process.stdout.close()
        status = process.wait()
    if found is None:
        raise BenchmarkFailed(f"the measuring process ended with status {status} before it had all figures")
    return found
