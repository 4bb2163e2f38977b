"""How long the things take that people wait for, on this machine: `python -m mcr2_landscape.experiments.speed [OUT.json]`.

Every timing is of a fresh process where start-up is part of what is waited for, and each is gated: a figure counts only with
the result that it is a figure for. Comparisons are interleaved, A B A B …, and quoted as medians.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mcr2_landscape.provenance import versions

SEARCH = """
import sys, time; began = time.perf_counter()
import jax; jax.config.update("jax_enable_x64", True)
import mcr2_landscape as ml
limit = ml.MCR2(3, (2, 2, 2), 0.5, 1.0).regularization_limit
problem = ml.MCR2(3, (2, 2, 2), 0.5, 0.4 * limit)
began = time.perf_counter()
result = ml.find_critical_points(problem, key=0, num_starts=int(sys.argv[1]))
seconds = time.perf_counter() - began
orthogonal = {family.label for family in problem.catalog(fusion=False)}
found = set(result.families)
print(seconds, result.num_converged, len(found), len(found - orthogonal), len(orthogonal - found))
"""

CLASSIFY = """
import time, sys, numpy as np, mcr2_landscape as ml
dim, sizes = eval(sys.argv[1])
limit = ml.MCR2(dim, sizes, 0.5, 1.0).regularization_limit
problem = ml.MCR2(dim, sizes, 0.5, 0.4 * limit)
ranks = [min(size, dim // len(sizes)) for size in sizes]
family = problem.orthogonal_family(large=[rank - 1 for rank in ranks], small=[1] * len(ranks))
Z = family.point(key=0)
ml.classify(problem, Z)
began = time.perf_counter()
found = ml.classify(problem, Z)
print(time.perf_counter() - began, found.kind == family.kind and found.index == family.index)
"""


def python(code: str, *arguments: str) -> tuple[float, list[str]]:
    """Run `code` in a fresh interpreter; its wall time in seconds and the words of its last line."""
    began = time.perf_counter()
    out = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=os.environ | {"NPROC": "1"}, capture_output=True, text=True, check=True
    )
    return time.perf_counter() - began, (out.stdout.strip().splitlines() or [""])[-1].split()


def interleaved(a: Callable[[], float], b: Callable[[], float], rounds: int = 7) -> tuple[float, float]:
    """Medians of a and b, run in turn."""
    pairs = [(a(), b()) for _ in range(rounds)]
    return statistics.median(x for x, _ in pairs), statistics.median(y for _, y in pairs)


def command(*arguments: str) -> float:
    """Wall seconds of one call of the installed command."""
    began = time.perf_counter()
    script = Path(sys.executable).with_name("mcr2-landscape")
    subprocess.run([str(script), *arguments], capture_output=True, check=True)
    return time.perf_counter() - began


def measure() -> list[dict[str, Any]]:
    """All figures, with the bound each is to keep and whether the result behind it was right."""
    rows: list[dict[str, Any]] = []

    def row(name: str, seconds: float, bound: float, right: bool, note: str) -> None:
        rows.append({"what": name, "seconds": round(seconds, 3), "bound": bound, "right": right, "note": note})

    _, (seconds, converged, families, others, _) = python(SEARCH, "500")
    right = int(converged) >= 425 and int(families) >= 65 and int(others) >= 6
    row(
        "search, 500 starts, with compilation",
        float(seconds),
        10,
        right,
        f"{converged} converged, {families} families, {others} not orthogonal",
    )
    _, (seconds, converged, families, _, missing) = python(SEARCH, "2000")
    row(
        "search, 2000 starts",
        float(seconds),
        40,
        missing == "0",
        f"{converged} converged, {families} families, {missing} orthogonal ones missing",
    )
    for shape in ("(44, (15, 15, 15))", "(20, (30, 40, 30))", "(5, (100, 150, 150))"):
        _, (seconds, right_kind) = python(CLASSIFY, shape)
        row(f"classify, dim and sizes {shape}", float(seconds), 2, right_kind == "True", "compile time apart")
    jax, both = interleaved(
        lambda: python("import jax")[0],
        lambda: python("import jax, mcr2_landscape as ml; ml.MCR2; ml.classify; ml.find_critical_points")[0],
    )
    row("import, beyond jax's own", both - jax, 0.3, True, f"import jax alone {jax:.2f} s")
    row("mcr2-landscape --help", statistics.median(command("--help") for _ in range(5)), 0.4, True, "median of 5")
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.html"
        seconds = command("analyze", "digits", "--report", str(report))
        row(
            "analyze digits with report",
            seconds,
            60,
            report.stat().st_size > 10_000,
            f"report of {report.stat().st_size // 1000} kB",
        )
    return rows


def main(arguments: list[str]) -> int:
    """Print the table; write it as JSON where a path is given. 1 if a bound is missed or a result wrong."""
    rows = measure()
    for r in rows:
        verdict = "ok" if r["right"] and r["seconds"] <= r["bound"] else "MISSED"
        print(f"{r['what']:45} {r['seconds']:8.3f} s  (bound {r['bound']:g} s)  {verdict:6}  {r['note']}")
    print(f"{os.cpu_count()} cores; " + ", ".join(f"{name} {version}" for name, version in versions().items()))
    if arguments:
        Path(arguments[0]).write_text(
            json.dumps({"figures": rows, "versions": versions(), "cores": os.cpu_count()}, indent=1) + "\n"
        )
    return 0 if all(r["right"] and r["seconds"] <= r["bound"] for r in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
