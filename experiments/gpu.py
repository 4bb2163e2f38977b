"""All benchmarks and numerical tests on a CUDA device: `python -m mcr2_landscape.experiments.gpu --out DIR`.

It writes DIR/gpu.json and DIR/gpu.md: device, driver, versions, date, and

- Hessian products of every form and of the other libraries, in turns, wall time, each compared with the host oracle first
  (`mcr2_landscape.bench`, here with PyTorch on the device where it can be);
- each form's own time, one call at a time and many in a row, beside its limit and the goals for an H200;
- the device's measured rate of products in float64, and a problem of d = 4096, m = 262,144, K = 100, its memory foreseen;
- that processor and device agree to 1e-10;
- the test suite's result with JAX on the device (in a checkout, where the tests are).

The exit status is 1 if a result is wrong, 2 without a CUDA device. `--dry-run` runs the same on whatever device there is, at
tiny sizes: the figures then mean nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # a program's settings, before JAX is imported
    os.environ.setdefault("NPROC", "1")
    os.environ.setdefault("JAX_ENABLE_X64", "1")
    # JAX would take most of the device's memory at once, and leave none to PyTorch and to the tests' processes.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.bench.limits import Limit
from mcr2_landscape.bench.measure import limit_of, measure
from mcr2_landscape.bench.oracle import difference
from mcr2_landscape.bench.pinned import peer_versions
from mcr2_landscape.bench.plan import POINTS, SIZES, TOLERANCE, Plan
from mcr2_landscape.bench.points import make_point, make_problem
from mcr2_landscape.bench.timing import Quartiles, in_turns
from mcr2_landscape.provenance import describe_device, versions
from mcr2_landscape.record import to_plain
from mcr2_landscape.report.benchmarks import inertia_table, point_table
from mcr2_landscape.report.tables import Table

HUGE = (4096, 262_144, 100)
TINY, TINY_HUGE = {"tiny": (16, 160, 4)}, (24, 480, 40)
GOALS = {("large", "fused"): 0.70, ("large", "mid-rank"): 0.30, ("large", "low-rank"): 0.10}  # ms, on an H200
_FORMS = {"generic": "by shape", "mid-rank": "mid-rank", "low-rank": "low-rank"}
_SHARE = 0.6  # of the device's measured rate, that the huge problem is to reach
TESTS = ("tests/mcr2", "tests/curvature", "tests/landscape", "tests/bench")


def driver() -> str:
    """The devices and their driver as the driver's own tool says."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        found = subprocess.run(query, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return "not known: nvidia-smi does not answer"
    return "; ".join(found.stdout.strip().splitlines()) or "not known: nvidia-smi names none"


def product_rate(size: int) -> float:
    """Flops a second of products of square float64 matrices, the best of some."""
    matrix = jax.random.normal(jax.random.key(0), (size, size), jnp.float64)
    product = jax.jit(lambda a: jnp.matmul(a, a, precision=jax.lax.Precision.HIGHEST))
    return 2 * size**3 / min(seconds_in_a_row(lambda: product(matrix), 3) for _ in range(4))


def seconds_in_a_row(call: Callable[[], Any], count: int) -> float:
    """Seconds of one of `count` calls that are issued without waiting in between."""
    jax.block_until_ready(call())
    began = time.perf_counter()
    results = [call() for _ in range(count)]
    jax.block_until_ready(results)
    return (time.perf_counter() - began) / count


def forms(sizes: dict[str, tuple[int, int, int]], rounds: int, rate: float) -> list[dict[str, Any]]:
    """Each form beside its limit, at the points that it is for: milliseconds of a call that is waited for, and of one of
    many."""
    rows = []
    for size, shape in sizes.items():
        problem = make_problem(*shape)
        for kind, form in _FORMS.items():
            H = problem.hessian(jnp.asarray(make_point(problem, kind, 0)), form=form)
            D = jax.random.normal(jax.random.key(1), H.shape, H.dtype)
            limit: Limit = limit_of(H, problem)
            limit.run()
            jax.block_until_ready(H.mv(D))
            calls = {"ours": lambda H=H, D=D: jax.block_until_ready(H.mv(D)), "limit": limit.run}
            times = in_turns(calls, rounds, 0.02, time.perf_counter)
            in_a_row = min(seconds_in_a_row(lambda H=H, D=D: H.mv(D), 8) for _ in range(3))
            rows.append(
                {
                    "size": size,
                    "form": H.form,
                    "milliseconds": Quartiles.of([1e3 * t for t in times["ours"]]),
                    "limit": Quartiles.of([1e3 * t for t in times["limit"]]),
                    "in_a_row": 1e3 * in_a_row,
                    "share_of_rate": (H.flops or 0) / in_a_row / rate,
                    "goal": GOALS.get((size, H.form)),
                }
            )
    return rows


def huge(shape: tuple[int, int, int], rate: float) -> dict[str, Any]:
    """A problem that fills the device, by its shape alone: nothing of it is ever on the host."""
    problem = make_problem(*shape)
    factor = jax.jit(lambda p, Z: p.hessian(Z))
    struct = jax.ShapeDtypeStruct(problem.shape, jnp.float64)
    operator = jax.eval_shape(factor, problem, struct)
    product = jax.jit(lambda H, D: H.product(D))
    foreseen = max(_bytes(factor, problem, struct), _bytes(product, operator, struct) + 8 * problem.dim * problem.shape[1])
    limit = (jax.devices()[0].memory_stats() or {}).get("bytes_limit")
    found: dict[str, Any] = {"shape": shape, "form": operator.form, "foreseen_gigabytes": foreseen / 1e9}
    if limit is not None and foreseen > limit:
        return {**found, "reason": f"not run: the device has {limit / 1e9:.1f} GB for it"}
    make = jax.jit(lambda key: jax.random.normal(key, problem.shape, jnp.float64) / np.sqrt(min(problem.sizes)))
    H, D = jax.block_until_ready(factor(problem, make(jax.random.key(0)))), make(jax.random.key(1))
    seconds = min(seconds_in_a_row(lambda: product(H, D), 1) for _ in range(3))
    image = product(H, D)
    # ⟨E, H D⟩ = ⟨H E, D⟩ for another direction: what can be checked without a second machine of this size
    E = make(jax.random.key(2))
    left, right = float(jnp.vdot(E, image)), float(jnp.vdot(product(H, E), D))
    scale = float(jnp.linalg.norm(E) * jnp.linalg.norm(image))
    found |= {"seconds": seconds, "share_of_rate": H.flops / seconds / rate, "asymmetry": abs(left - right) / scale}
    return {**found, "goal": _SHARE, "right": bool(np.isfinite(scale)) and abs(left - right) <= TOLERANCE * scale}


def _bytes(function: Any, *arguments: Any) -> int:
    """Arguments, result and what is needed in between, as the compiler foresees."""
    found = function.lower(*arguments).compile().memory_analysis()
    return found.argument_size_in_bytes + found.output_size_in_bytes + found.temp_size_in_bytes


def agreement(sizes: Sequence[tuple[int, int, int]]) -> list[dict[str, Any]]:
    """How far value, gradient and products on the device are from those on the processor, relative."""
    rows = []
    for shape in sizes:
        problem = make_problem(*shape)
        for kind in POINTS:
            Z = make_point(problem, kind, 0)
            D = np.random.default_rng(1).standard_normal(Z.shape)
            there, here = (_results(problem, Z, D, device) for device in (jax.devices()[0], jax.devices("cpu")[0]))
            for name, expected in here.items():
                # At a critical point the gradient is nothing but rounding: it is compared with its own terms.
                scale = float(problem.gradient_scale(jnp.asarray(Z))) if name == "gradient" else None
                off = difference(there[name], expected)
                if scale is not None:
                    off = float(np.linalg.norm(there[name] - expected)) / scale
                rows.append({"shape": shape, "point": kind, "what": name, "difference": off, "right": off <= TOLERANCE})
    return rows


def _results(problem: Any, Z: np.ndarray, D: np.ndarray, device: Any) -> dict[str, np.ndarray]:
    with jax.default_device(device):
        point, direction = jax.device_put(Z, device), jax.device_put(D, device)
        found = {"value": np.asarray(problem.value(point)), "gradient": np.asarray(problem.gradient(point))}
        for form in _FORMS.values():
            found[f"product, {form}"] = np.asarray(problem.hessian(point, form=form).mv(direction))
    return found


def run_tests(paths: Sequence[str]) -> dict[str, Any]:
    """The suite's numerical tests in a process of its own, with JAX on its default device."""
    root = Path(__file__).resolve().parent.parent
    present = [path for path in paths if (root / path).exists()]
    if not present:
        return {"ran": False, "summary": "not run: the tests are in a checkout, and this is an installation", "right": True}
    command = [sys.executable, "-m", "pytest", "-q", "-o", "timeout=300", "-p", "no:cacheprovider", *present]
    found = subprocess.run(command, cwd=root, capture_output=True, text=True)
    lines = found.stdout.strip().splitlines() or [found.stderr.strip()[-300:]]
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    return {"ran": True, "paths": present, "summary": lines[-1], "failed": failed, "right": found.returncode == 0}


def measure_all(*, dry: bool, tests: Sequence[str], say: Callable[[str], None]) -> dict[str, Any]:
    """Everything, as plain data."""
    sizes = TINY if dry else SIZES
    say("the device's rate")
    rate = product_rate(64 if dry else 8192)
    plan = Plan(sizes=dict(sizes), clock="wall", rounds=3 if dry else 15, seconds=0.0 if dry else 0.02)
    if dry:
        plan = dataclasses.replace(plan, points=("generic", "low-rank"))
    benchmark = measure(plan, say)
    say("forms")
    own = forms(dict(sizes), 3 if dry else 25, rate)
    say("the huge problem")
    filling = huge(TINY_HUGE if dry else HUGE, rate)
    say("agreement of processor and device")
    together = agreement(list(sizes.values()) if dry else [SIZES["small"], SIZES["medium"]])
    jax.clear_caches()
    say("tests")
    suite = run_tests(tests)
    return to_plain(
        {
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "device": describe_device(),
            "driver": driver(),
            "versions": {**versions(), **peer_versions()},
            "dry_run": dry,
            "product_rate": rate,
            "points": benchmark["points"],
            "inertias": benchmark["inertias"],
            "forms": own,
            "huge": filling,
            "agreement": together,
            "tests": suite,
        }
    )


def right(found: dict[str, Any]) -> bool:
    """Whether every result behind the figures is."""
    ours = [e for point in found["points"] for e in point["entries"] if e["name"].startswith("mcr2_landscape")]
    checks = [row["right"] for row in (*found["agreement"], *found["inertias"])]
    checks += [entry["state"] == "timed" for entry in ours]
    return all([*checks, found["huge"].get("right", True), found["tests"]["right"]])


def markdown(found: dict[str, Any]) -> str:
    """The figures for people."""
    title = "# Measured on a device" + (" (dry run: the figures mean nothing)" if found["dry_run"] else "")
    head = [f"- {name}: {found[name]}" for name in ("date", "device", "driver")]
    head.append("- versions: " + ", ".join(f"{name} {version}" for name, version in found["versions"].items()))
    head.append(f"- products of float64 matrices: {found['product_rate'] / 1e12:.3g} Tflop/s, measured")
    rows = []
    for row in found["forms"]:
        goal = None if row["goal"] is None else f"≤ {row['goal']:g}" + ("" if row["in_a_row"] <= row["goal"] else ", missed")
        share = f"{100 * row['share_of_rate']:.0f} %"
        ours, limit = row["milliseconds"]["median"], row["limit"]["median"]
        rows.append((row["size"], row["form"], f"{ours:.4g}", f"{row['in_a_row']:.4g}", f"{limit:.4g}", goal, share))
    columns = ("size", "form", "ms, waited for", "ms, in a row", "limit, ms", "goal on an H200, ms", "of the rate")
    tables = [Table.of("Forms of the Hessian's product", columns, rows, left=(0, 1))]
    tables.append(Table.of("A problem that fills the device", ("what", "value"), list(found["huge"].items()), left=(0, 1)))
    apart = [(str(r["shape"]), r["point"], r["what"], f"{r['difference']:.1e}", r["right"]) for r in found["agreement"]]
    columns = ("d, m, K", "point", "what", "difference", f"at most {TOLERANCE:g}")
    tables.append(Table.of("Device and processor", columns, apart, left=(0, 1, 2)))
    tables += [point_table(point) for point in found["points"]]
    tables.append(inertia_table(found["inertias"]))
    suite = found["tests"]
    words = [f"Tests: {suite['summary']}", *(f"- {line}" for line in suite.get("failed", ()))]
    return "\n".join([title, "", *head, "", *(line for table in tables for line in markdown_table(table)), *words, ""])


def markdown_table(table: Table) -> list[str]:
    """The lines of a table in Markdown, an empty one at the end."""
    marks = ["---" if position in table.left else "---:" for position in range(len(table.columns))]
    lines = [f"**{table.caption}**", ""]
    return lines + ["| " + " | ".join(cells) + " |" for cells in (table.columns, marks, *table.rows)] + [""]


def main(arguments: list[str] | None = None) -> int:
    """Measure, and write both files."""
    parser = argparse.ArgumentParser(prog="python -m mcr2_landscape.experiments.gpu", description="All benchmarks on a device.")
    parser.add_argument("--out", required=True, help="the folder for gpu.json and gpu.md")
    parser.add_argument("--dry-run", action="store_true", help="tiny sizes, on whatever device there is")
    parser.add_argument("--tests", nargs="*", default=list(TESTS), help="what pytest runs; none: no tests")
    options = parser.parse_args(arguments)
    if jax.default_backend() != "gpu" and not options.dry_run:
        print(
            f"error: JAX computes on {jax.default_backend()} here; this needs a CUDA device and JAX built for it: "
            'pip install "mcr2_landscape[cuda]" (or --dry-run, to see that it runs)',
            file=sys.stderr,
        )
        return 2
    if not jax.config.read("jax_enable_x64"):
        print("error: JAX's 64-bit mode is off; set JAX_ENABLE_X64=1", file=sys.stderr)
        return 2
    folder = Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    found = measure_all(dry=options.dry_run, tests=options.tests, say=lambda words: print(words, file=sys.stderr, flush=True))
    (folder / "gpu.json").write_text(json.dumps(found, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    (folder / "gpu.md").write_text(markdown(found), encoding="utf-8")
    print(f"wrote {folder / 'gpu.json'} and {folder / 'gpu.md'}")
    return 0 if right(found) else 1


if __name__ == "__main__":
    raise SystemExit(main())
