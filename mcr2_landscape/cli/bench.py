"""`mcr2-landscape bench`."""

from __future__ import annotations

from mcr2_landscape.cli.options import File, check_count, check_seed


def bench(
    *,
    sizes: str | None = None,
    points: str | None = None,
    quick: bool = False,
    peers: bool = True,
    inertia: bool = True,
    rounds: int | None = None,
    seed: int = 0,
    json: File = None,
) -> int:
    """Time Hessian products and the inertia against their own limit and against other libraries, on one core.

    Every product is compared with a host oracle first; what is off by more than 1e-10 is listed as wrong and not timed. The
    others run in turns, in one process on one pinned core, and their CPU time is quoted: medians, and quartiles of the ratios.
    Peers that are not installed are listed with the command that installs them. The exit status is 1 if a result of ours is
    wrong.

    Parameters
    ----------
    sizes
        Some of small, medium, large between commas, (d, m, K) = (64, 512, 4), (256, 4096, 8), (512, 16384, 10), or others as
        d:m:K; by default all three, with --quick the first two.
    points
        Some of generic, low-rank, mid-rank, critical, perturbed between commas; by default all.
    quick
        Three rounds, at generic and low-rank points.
    peers
        Take other libraries along.
    inertia
        Time the complete inertia too.
    rounds
        How many rounds, 9 by default.
    seed
        Seed of points and directions.
    json
        Write everything to this JSON file; - is standard output.
    """
    import dataclasses
    import sys

    from mcr2_landscape.bench.launch import benchmark
    from mcr2_landscape.cli.benching import plan_of
    from mcr2_landscape.cli.output import Output
    from mcr2_landscape.cli.rows import StatusLine

    check_seed(seed)
    if rounds is not None:
        check_count("--rounds", rounds)
    plan = plan_of(sizes, points, quick=quick, peers=peers, inertia=inertia, seed=seed)
    if rounds is not None:
        plan = dataclasses.replace(plan, rounds=rounds)
    output = Output(json, None)
    from mcr2_landscape.report import benchmarks
    from mcr2_landscape.report.documents import document

    line = StatusLine(sys.stderr)
    try:
        found = benchmark(plan, line.show)
    finally:
        line.clear()
    plain = document("bench", found, configuration=plan, key=seed)
    output.files(plain, None)
    for point in found["points"]:
        output.table(benchmarks.point_table(point))
    if found["inertias"]:
        output.table(benchmarks.inertia_table(found["inertias"]))
    output.table(benchmarks.memory_table(found["points"]))
    output.table(benchmarks.conditions_table(found["conditions"]))
    ours = [entry for point in found["points"] for entry in point["entries"] if entry["name"].startswith("mcr2_landscape")]
    right = all(entry["state"] == "timed" for entry in ours) and all(own["right"] for own in found["inertias"])
    return 0 if right else 1
