"""How long the CTRL games take on one core: `python -m mcr2_landscape.experiments.ctrl_speed [OUT.json] [--large]`.

CPU seconds of this process, pinned to one core where the system allows it. What is compared runs in turn, A B A B …, and is
quoted as medians. Every figure is gated: it counts only with the result that it is a figure for. The setting is that of the
paper's first figure: 3 × 500 samples, d_x = 50, d_z = 40, ranks 3, 4 and 5, batches of 50 and 1,000 decoder steps for each step
of the encoder. `--large` adds d_x = 4096 with 10 classes of 10,000 samples of rank 20 (3.3 GB of data).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# before NumPy and JAX are imported: threads that wait for work would be counted as work
os.environ |= {"NPROC": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

import jax
import numpy as np

from mcr2_landscape.ctrl import SubspaceGame
from mcr2_landscape.ctrl.batches import FORMS
from mcr2_landscape.ctrl.dynamics import play
from mcr2_landscape.ctrl.reference import reference_run
from mcr2_landscape.provenance import versions

_FIGURE = {"dim": 40, "epsilon": 1.0}
_BATCH, _STEPS = 50, 6


def subspaces(
    sizes: tuple[int, ...], ranks: tuple[int, ...], ambient: int, own: float, key: int
) -> tuple[np.ndarray, np.ndarray]:
    """Samples (n, ambient) and labels: bases that share all but `own` of their columns."""
    random = np.random.default_rng(key)
    shared = random.standard_normal((ambient, max(ranks)))
    parts = []
    for size, rank in zip(sizes, ranks, strict=True):
        basis = (1 - own) * shared[:, :rank] + own * random.standard_normal((ambient, rank))
        parts.append(random.standard_normal((size, rank)) @ basis.T)
    return np.concatenate(parts), np.repeat(np.arange(len(sizes)), sizes)


def pin() -> str:
    """Keep this process on one core; in words what came of it."""
    if not hasattr(os, "sched_setaffinity"):
        return "not pinned: this system does not do it"
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    return f"pinned to core {core}"


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of this process, and the result."""
    began = time.process_time()
    found = work()
    return time.process_time() - began, found


def interleaved(works: dict[str, Callable[[], Any]], rounds: int = 5) -> tuple[dict[str, float], dict[str, Any]]:
    """Median CPU seconds of each, run in turn, and the last results; a first round, which compiles, is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    results: dict[str, Any] = {}
    for number in range(rounds + 1):
        for name, work in works.items():
            spent, results[name] = timed(work)
            if number:
                seconds[name].append(spent)
    return {name: statistics.median(own) for name, own in seconds.items()}, results


def optimality(game: SubspaceGame, F: np.ndarray, found: Any) -> float:
    """How far the conditions of the projection are from holding, from the matrices themselves: stationarity of F' relative to
    F; ‖F' X_j‖²/n_j ≤ 1, with equality where a multiplier is positive."""
    bent = sum(
        mu / size * found.F @ C @ C.T for mu, size, C in zip(found.multipliers, game.sizes, game.spans.factors, strict=True)
    )
    stationary = np.linalg.norm(found.F + bent - F) / np.linalg.norm(F)
    used = game.feasibility(found.F) - 1
    slack = np.where(found.multipliers > 0, np.abs(used), np.maximum(used, 0)).max()
    return float(max(stationary, slack, -found.multipliers.min()))


def figure_rows() -> list[dict[str, Any]]:
    """The figures of the first setting."""
    X, labels = subspaces((500, 500, 500), (3, 4, 5), 50, 0.1, 0)
    rows: list[dict[str, Any]] = []
    # as many samples of each class in every batch: one shape, and so one compilation, whatever the form
    random = np.random.default_rng(1)
    counts = (17, 17, _BATCH - 34)
    chosen = [
        np.concatenate([random.choice(np.flatnonzero(labels == j), own, replace=False) for j, own in enumerate(counts)])
        for _ in range(_STEPS)
    ]

    def schedule(form: str) -> Callable[[], Any]:
        return lambda: reference_run(X, labels, **_FIGURE, key=0, form=form, chosen=chosen)

    seconds, found = interleaved({form: schedule(form) for form in FORMS})
    one, other = (found[form] for form in FORMS)
    apart = max(
        np.abs(one.encoder - other.encoder).max() / np.abs(one.encoder).max(),
        np.abs(one.decoder - other.decoder).max() / np.abs(one.decoder).max(),
        np.abs(one.batch_distance - other.batch_distance).max(),
    )
    for form, bound in zip(FORMS, (0.05, 0.3), strict=True):
        note = f"1,000 decoder steps, projection; the forms differ by {apart:.1e} after {_STEPS} encoder steps"
        rows.append(row(f"encoder step, {form}", seconds[form] / _STEPS, bound, apart <= 1e-10, note))
    rows[-1]["note"] += f"; {seconds['dense'] / seconds['compressed']:.1f} times the compressed form"

    game = SubspaceGame(X, labels, **_FIGURE)
    points = [
        size * np.random.default_rng(own).standard_normal((40, 50)) for own, size in enumerate((0.03, 0.1, 0.3, 1.0, 3.0))
    ]
    seconds, found = interleaved({"projection": lambda: [game.projection(F, atol=5e-10) for F in points]}, 9)
    error = max(optimality(game, F, own) for F, own in zip(points, found["projection"], strict=True))
    note = f"optimality conditions to {error:.1e}, {max(int(own.steps) for own in found['projection'])} steps at most"
    rows.append(row("projection, to 1e-9", seconds["projection"] / len(points), 3e-3, error <= 1e-9, note))

    seconds, found = interleaved({"optimum": game.optimum})
    right = abs(found["optimum"].value - 3.961863935915628) <= 1e-12
    rows.append(row("optimum", seconds["optimum"], 1, right, f"{found['optimum'].value:.15g}"))
    seconds, found = interleaved({"ascent": lambda: play(game, key=0, num_seeds=4, num_steps=1000, rtol=1e-9)}, 3)
    gap = float(np.min(found["ascent"].gaps))
    note = f"4 starts, {found['ascent'].steps[-1]} steps; the best ends {gap:.1e} below the optimum"
    rows.append(row("GDmax, exact responses, whitened", seconds["ascent"], 10, abs(gap) <= 1e-9, note))
    if hasattr(game, "solve"):
        seconds, found = interleaved({"solve": lambda: game.solve(key=0)}, 3)
        rows.append(equilibrium_row("equilibrium", game, found["solve"], seconds["solve"], 1))
    return rows


def large_rows() -> list[dict[str, Any]]:
    """d_x = 4096, 10 classes of 10,000 samples, rank 20."""
    X, labels = subspaces((10_000,) * 10, (20,) * 10, 4096, 0.5, 0)
    seconds, game = timed(lambda: SubspaceGame(X, labels, dim=256, epsilon=0.5))
    more, optimum = timed(game.optimum)
    note = f"game {seconds:.1f} s, optimum {more:.2g} s; ranks {set(game.ranks)}, value {optimum.value:.12g}"
    right = optimum.decided and set(game.ranks) == {20}
    rows = [row("d_x = 4096, 100,000 samples: optimum", seconds + more, 60, right, note)]
    if hasattr(game, "solve"):
        spent, found = timed(lambda: game.solve(key=0))
        rows.append(equilibrium_row("d_x = 4096, 100,000 samples: equilibrium", game, found, seconds + spent, 60))
    return rows


def equilibrium_row(name: str, game: SubspaceGame, found: Any, seconds: float, bound: float) -> dict[str, Any]:
    F, G = np.asarray(found.F), np.asarray(found.G)
    with jax.enable_x64(True):
        gap = game.optimum().value - float(game.expressiveness(F))
    over = float(game.feasibility(F).max() - 1)
    right = abs(gap) <= 1e-9 and over <= 1e-9 and game.is_best_response(F, G)
    return row(name, seconds, bound, right, f"gap {gap:.1e}, constraint exceeded by {max(over, 0):.1e}")


def row(name: str, seconds: float, bound: float, right: bool, note: str) -> dict[str, Any]:
    return {"what": name, "seconds": seconds, "bound": bound, "right": bool(right), "note": note}


def main(arguments: list[str]) -> int:
    """Print the table; write it as JSON where a path is given. 1 if a bound is missed or a result wrong."""
    parser = argparse.ArgumentParser(prog="ctrl_speed")
    parser.add_argument("out", nargs="?", type=Path)
    parser.add_argument("--large", action="store_true", help="also d_x = 4096 with 100,000 samples")
    asked = parser.parse_args(arguments)
    print(pin())
    rows = figure_rows() + (large_rows() if asked.large else [])
    for r in rows:
        verdict = "ok" if r["right"] and r["seconds"] <= r["bound"] else "MISSED"
        print(f"{r['what']:42} {r['seconds']:9.4f} s CPU  (bound {r['bound']:g} s)  {verdict:6}  {r['note']}")
    print(f"{os.cpu_count()} cores; " + ", ".join(f"{name} {version}" for name, version in versions().items()))
    if asked.out:
        asked.out.write_text(json.dumps({"figures": rows, "versions": versions(), "cores": os.cpu_count()}, indent=1) + "\n")
    return 0 if all(r["right"] and r["seconds"] <= r["bound"] for r in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
