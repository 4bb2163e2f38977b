"""What the optimizers of `ascend` need at small and at moderate lambda:
`python -m mcr2_landscape.experiments.optimizers [OUT.json]`.

The problem has d = 50, m = 300, three classes and epsilon = ½. A row is a method from twenty starts of one kind; the bound, a
median of 100 gradient-equivalents, counts a Hessian product as two gradients, and refused trials like accepted ones. A start
counts as converged if the relative gradient norm, evaluated anew on the host in NumPy, is at most 1e-12; a row is "ok" only if
all are. Counts do not depend on how busy the machine is, so that nothing is timed here.
"""

from __future__ import annotations

import collections
import json
import os
import sys
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # a program's setting, before JAX is imported
    os.environ.setdefault("NPROC", "1")

import numpy as np

from mcr2_landscape.landscape import ascend
from mcr2_landscape.mcr2 import MCR2
from mcr2_landscape.provenance import versions

DIM, EPSILON, STARTS = 50, 0.5, 20
SIZES = ((100, 100, 100), (50, 100, 150))
FRACTIONS = (0.5, 0.1, 0.01)
METHODS = ("barzilai-borwein", "newton-cg")
RTOL, BOUND = 1e-12, 100


def problem(sizes: tuple[int, ...], fraction: float) -> MCR2:
    """With lambda a fraction of lambda_max."""
    limit = MCR2(DIM, sizes, EPSILON, 1.0).regularization_limit
    return MCR2(DIM, sizes, EPSILON, fraction * limit)


def starts(where: MCR2, kind: str) -> list[np.ndarray]:
    """Twenty points: independent normal entries, or those of `MCR2.random_starts`, of random ranks."""
    if kind == "low rank":
        return list(where.random_starts(0, STARTS))
    return [np.random.default_rng(seed).standard_normal(where.shape) for seed in range(STARTS)]


def measure() -> list[dict[str, Any]]:
    """A row for each problem, kind of start and method."""
    rows = []
    for sizes in SIZES:
        for fraction in FRACTIONS:
            where = problem(sizes, fraction)
            best = where.global_maximum().value
            for kind in ("normal", "low rank"):
                points = starts(where, kind)
                for method in METHODS:
                    found = [ascend(where, start, rtol=RTOL, method=method) for start in points]
                    costs = [result.gradient_equivalents for result in found]
                    values = [result.value for result in found]
                    converged = sum(_relative(where, result.point) <= RTOL for result in found)
                    ranks = collections.Counter(result.ranks for result in found).most_common(1)[0][0]
                    rows.append(
                        {
                            "sizes": sizes,
                            "fraction": fraction,
                            "starts": kind,
                            "method": method,
                            "converged": converged,
                            "median": float(np.median(costs)),
                            "max": max(costs),
                            "gradients": float(np.median([result.num_gradients for result in found])),
                            "products": float(np.median([result.num_products for result in found])),
                            "value": [min(values), float(np.median(values)), max(values)],
                            "global_maximum": best,
                            "ranks": ranks,
                            "ok": converged == STARTS and float(np.median(costs)) <= BOUND,
                        }
                    )
    return rows


def _relative(where: MCR2, Z: np.ndarray) -> float:
    _, gradient, scale = where.evaluate(Z)
    return float(np.linalg.norm(gradient)) / scale


def main(arguments: list[str]) -> int:
    """Print the table; write it as JSON where a path is given. 1 if a row falls short."""
    rows = measure()
    print(f"d = {DIM}, epsilon = {EPSILON:g}, {STARTS} starts, to {RTOL:g}; bound on the median: {BOUND} gradient-equivalents")
    for r in rows:
        low, middle, high = r["value"]
        print(
            f"{r['sizes']!s:16} λ/λ_max {r['fraction']:4g}  {r['starts']:8}  {r['method']:16}  {r['converged']:2}/{STARTS}  "
            f"median {r['median']:5g}  max {r['max']:4}  ({r['gradients']:g} gradients, {r['products']:g} products)  "
            f"F {low:.3f} … {middle:.3f} … {high:.3f} of {r['global_maximum']:.3f}, often {r['ranks']}  "
            f"{'ok' if r['ok'] else 'FALLS SHORT'}",
            flush=True,
        )
    print(", ".join(f"{name} {version}" for name, version in versions().items()))
    if arguments:
        Path(arguments[0]).write_text(json.dumps({"figures": rows, "versions": versions()}, indent=1) + "\n")
    return 0 if all(r["ok"] for r in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
