"""How long the checker takes for a certificate, here: `python -m mcr2_landscape.experiments.certificates [OUT.json]`.

Each certificate is written, read back and checked, in one process and one thread, start-up apart. A figure counts only if the
numbers of positive and zero eigenvalues that are proved are those that theory gives.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import flint

from mcr2_landscape.catalog import Family, orthogonal_family
from mcr2_landscape.certify import (
    Certificate,
    ExactProblem,
    Point,
    Statement,
    Threshold,
    certify_approximate_saddle,
    certify_statement,
    check,
    orthogonal,
    read,
    write,
)
from mcr2_landscape.certify.make import exact_problem, float_parameters
from mcr2_landscape.provenance import versions

RADIUS = "1/100000000"
# (dim, sizes, large roots, small roots) at 0.4 of the limit; unknowns 24 … 300
SADDLES = (
    (4, (2, 2, 2), (1, 1, 1), (0, 0, 1)),
    (6, (3, 3, 2), (1, 1, 1), (1, 1, 0)),
    (10, (4, 3, 3), (2, 1, 2), (1, 1, 1)),
    (10, (7, 7, 6), (2, 2, 2), (1, 1, 1)),
    (15, (7, 7, 6), (3, 4, 4), (2, 1, 1)),
)
BOUNDS = {24: 0.5, 48: 0.5, 100: 0.5, 200: 5.0, 300: 5.0}


def point_statements(problem: ExactProblem, subject: Any, family: Family) -> list[Statement]:
    """The statements about a critical point that are true of this family."""
    rest = problem.dim * problem.num_samples - family.index - family.nullity
    radius = {"radius": RADIUS}
    counts = {"positive": family.index, "zero": family.nullity, "negative": rest}
    found = [Statement("inertia", problem, subject, radius | counts)]
    if not family.index:
        found.append(Statement("local maximizer", problem, subject, radius | {"zero": family.nullity}))
    return found


def certificates() -> list[tuple[int, str, Certificate]]:
    """Unknowns, subject, and the certificate."""
    found: list[tuple[int, str, Certificate]] = []
    for dim, sizes, large, small in SADDLES:
        problem = ExactProblem(dim, sizes, Fraction(1, 2), Threshold(Fraction(2, 5), sizes.index(max(sizes)) + 1))
        p = float_parameters(problem)
        n = dim * sum(sizes)
        saddle = orthogonal_family(p, large=large, small=small)
        maximizer = orthogonal_family(p, large=large)
        for family, exact in ((saddle, orthogonal(large, small)), (maximizer, orthogonal(large))):
            Z = family.point(key=3)
            stored = Point(tuple(Z.ravel().tolist()))
            for statement in point_statements(problem, exact, family):
                found.append((n, "family", Certificate(statement)))
            for statement in point_statements(exact_problem(p), stored, family):
                found.append((n, "stored point", Certificate(statement)))
        found.append(
            (
                n,
                "family",
                certify_statement(
                    Statement("strict saddle", problem, orthogonal(large, small), {"radius": RADIUS})
                ).certificate,
            )
        )
        # The blocks at the small root, scaled, are a direction of ascent.
        Z = orthogonal_family(p, large=[0] * len(sizes), small=small).point(key=3)
        found.append((n, "stored point", certify_approximate_saddle(p, Z, Z).certificate))
    double = ExactProblem(15, (5, 5), Fraction(1, 2), Threshold(Fraction(1), 1))
    excess = {"of_class": 1, "excess_nullity": 20}
    found.append((150, "family", Certificate(Statement("degenerate", double, orthogonal((4, 4)), excess))))
    return found


def measure(rounds: int = 3) -> list[dict[str, Any]]:
    """Median seconds for each certificate, and whether it was proved."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for n, subject, certificate in certificates():
            path = write(certificate, Path(folder) / "certificate.json")
            seconds, proved, bits = [], True, None
            for _ in range(rounds):
                began = time.perf_counter()
                try:
                    bits = check(read(path), certificate.statement).figures.get("precision")
                except ValueError as error:  # a CertificateError
                    proved = False
                    print(f"{n} {subject} {certificate.statement.kind}: {error}", file=sys.stderr)
                seconds.append(time.perf_counter() - began)
            row = {"unknowns": n, "subject": subject, "kind": certificate.statement.kind, "bits": bits, "proved": proved}
            rows.append(row | {"seconds": round(statistics.median(seconds), 4), "bound": BOUNDS.get(n, 5.0)})
    return rows


def main(arguments: list[str]) -> int:
    """Print the table; write it as JSON where a path is given. 1 if a bound is missed or a certificate refused."""
    rows = measure()
    for r in rows:
        verdict = "ok" if r["proved"] and r["seconds"] <= r["bound"] else "MISSED"
        bits = f"{r['bits']} bits" if r["bits"] else "exact"
        what = f"{r['unknowns']:4}  {r['subject']:13} {r['kind']:26}"
        print(f"{what} {r['seconds']:8.3f} s  (bound {r['bound']:g} s)  {bits:8}  {verdict}")
    used = versions() | {"python-flint": flint.__version__}
    print(f"{os.cpu_count()} cores; " + ", ".join(f"{name} {version}" for name, version in used.items()))
    if arguments:
        Path(arguments[0]).write_text(json.dumps({"figures": rows, "versions": used, "cores": os.cpu_count()}, indent=1) + "\n")
    return 0 if all(r["proved"] and r["seconds"] <= r["bound"] for r in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
