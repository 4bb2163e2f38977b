"""What a study itself costs, here: `python -m mcr2_landscape.experiments.bookkeeping [UNITS] [OUT.json]`.

UNITS (1,000,000 by default) units of the task `nothing` are hashed, planned, recorded, counted, half forgotten and resumed,
and exported, each step in a fresh process whose memory is measured. A figure counts only if the rows are right: each unit
once, with its sum.

Recording is compared with SQLite, the simplest store that survives a kill, writing the same rows in transactions of as many
as a part has; and with the disk itself, taking as many bytes in as many files, each brought to the disk. They take turns.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from mcr2_landscape.provenance import describe_device, versions

UNITS = 1_000_000
ROUNDS = 3
RECORDED = 200_000  # rows in each turn of the comparison


def description(units: int) -> str:
    """A study of so many units, ten thousand for each seed."""
    numbers = min(units, 10_000)
    return f'name = "bookkeeping"\ntask = "nothing"\nseeds = {units // numbers}\ngrid.number = {{range = [0, {numbers}]}}\n'


def step(code: str, *arguments: str | Path | int) -> dict[str, Any]:
    """Run `code` in a fresh interpreter; what it prints as JSON in its last line, with wall seconds and peak megabytes."""
    ending = "\nimport resource\nprint(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)\n"
    began = time.perf_counter()
    found = subprocess.run(
        [sys.executable, "-c", code + ending, *map(str, arguments)],
        env=os.environ | {"NPROC": "1"},
        capture_output=True,
        text=True,
    )
    seconds = time.perf_counter() - began
    if found.returncode:
        raise RuntimeError(found.stderr)
    answer, megabytes = found.stdout.strip().splitlines()[-2:]
    return {"seconds": seconds, "megabytes": int(megabytes), "answer": json.loads(answer)}


HASH = """
import json, sys, time
from mcr2_landscape.study.opening import open_study
study = open_study(sys.argv[1]).study
began = time.perf_counter()
identities = study.identities()
print(json.dumps([time.perf_counter() - began, len({row.tobytes() for row in identities})]))
"""

COMMAND = """
import contextlib, io, json, sys
from mcr2_landscape.cli import main
with contextlib.redirect_stdout(io.StringIO()) as out:
    status = main(["study", *sys.argv[1:]])
print(json.dumps([status, out.getvalue()]))
"""

COUNT = """
import json, sys
import pyarrow.parquet as pq
table = pq.read_table(sys.argv[1], columns=["unit", "number", "seed", "answer"])
total = table.column("number").to_numpy() + table.column("seed").to_numpy()
right = bool((total == table.column("answer").to_numpy()).all())
print(json.dumps([table.num_rows, len(set(table.column("unit").to_pylist())), right]))
"""

RECORD = """
import json, pickle, sys, time
from mcr2_landscape.study.chunk import compute_chunk
from mcr2_landscape.study.journal import Journal
from mcr2_landscape.study.opening import open_study
from mcr2_landscape.study.store import Store
opened = open_study(sys.argv[1], store=sys.argv[2])
count = int(sys.argv[3])
study = opened.study
description = pickle.dumps(study.description)
chunks = [compute_chunk(description, study.digest, range(i, i + 1000)) for i in range(0, count, 1000)]
store = Store.create(opened.place, study)
store.acquire()
journal = Journal(store)
began = time.perf_counter()
for chunk in chunks:
    journal.add(chunk)
journal.flush()
seconds = time.perf_counter() - began
print(json.dumps([seconds, len(store.recorded("rows"))]))
"""


def compare(folder: Path, file: Path) -> dict[str, Any]:
    """Rows a second: our store, SQLite, and the disk's limit, in turns. Medians."""
    found: dict[str, list[float]] = {"store": [], "sqlite": [], "disk": []}
    for turn in range(ROUNDS):
        place = folder / f"turn-{turn}"
        seconds, count = step(RECORD, file, place, RECORDED)["answer"]
        assert count == RECORDED
        found["store"].append(RECORDED / seconds)
        parts = sorted((place / "rows").glob("*.parquet"))
        found["sqlite"].append(RECORDED / sqlite_seconds(parts, folder / f"turn-{turn}.db"))
        found["disk"].append(RECORDED / disk_seconds([path.read_bytes() for path in parts], folder / f"disk-{turn}"))
        shutil.rmtree(place)
    return {name: statistics.median(rates) for name, rates in found.items()}


def sqlite_seconds(parts: list[Path], path: Path) -> float:
    """Seconds for the same rows in a SQLite table with the unit as its key, a transaction for each part."""
    import pyarrow.parquet as pq

    tables = [pq.read_table(part) for part in parts]
    columns = tables[0].column_names
    rows = [[tuple(map(str, row.values())) for row in table.to_pylist()] for table in tables]
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"CREATE TABLE rows ({', '.join(columns)}, PRIMARY KEY (unit))")
    began = time.perf_counter()
    for part in rows:
        with connection:
            connection.executemany(f"INSERT INTO rows VALUES ({', '.join('?' * len(columns))})", part)
    seconds = time.perf_counter() - began
    (count,) = connection.execute("SELECT count(*) FROM rows").fetchone()
    assert count == sum(table.num_rows for table in tables)
    connection.close()
    return seconds


def disk_seconds(contents: list[bytes], folder: Path) -> float:
    """Seconds for as many bytes in as many files, each brought to the disk."""
    folder.mkdir()
    began = time.perf_counter()
    for number, content in enumerate(contents):
        with open(folder / str(number), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    seconds = time.perf_counter() - began
    shutil.rmtree(folder)
    return seconds


def measure(units: int, folder: Path) -> list[dict[str, Any]]:
    """All figures with their bounds, and whether the rows behind them are right."""
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = []
    megabytes = []

    def row(what: str, figure: float, unit: str, bound: float, right: bool, *, least: bool = False) -> None:
        kept = figure >= bound if least else figure <= bound
        rows.append(
            {"what": what, "figure": figure, "unit": unit, "bound": bound, "kept": kept, "right": right, "least": least}
        )

    file, store = folder / "study.toml", folder / "store"
    file.write_text(description(units))
    found = step(HASH, file)
    seconds, distinct = found["answer"]
    row("hashing", units / seconds, "units/s", 20_000, distinct == units, least=True)
    found = step(COMMAND, "plan", file, "--store", store)
    row("plan", found["seconds"], "s", 10, found["answer"][0] == 0)
    jobs = str(os.cpu_count() or 1)
    found = step(COMMAND, "run", file, "--store", store, "--jobs", jobs)
    megabytes.append(found["megabytes"])
    counted = step(COUNT, store / "rows")["answer"]
    right = counted == [units, units, True]
    row(f"run with {jobs} processes, all included", units / found["seconds"], "units/s", 20_000, right, least=True)
    found = step(COMMAND, "status", store)
    megabytes.append(found["megabytes"])
    row("status", found["seconds"], "s", 2, f"{units:,}" in found["answer"][1])
    found = step(COMMAND, "export", store, "--out", folder / "out.parquet")
    megabytes.append(found["megabytes"])
    row("export to Parquet", found["seconds"], "s", 30, step(COUNT, folder / "out.parquet")["answer"] == [units, units, True])
    found = step(COMMAND, "export", store, "--sql", "SELECT count(*), sum(answer) FROM rows")
    row("export --sql, a sum", found["seconds"], "s", 10, str(units) in found["answer"][1])
    parts = sorted((store / "rows").glob("*.parquet"))
    forgotten = 0
    for part in parts[::2]:
        forgotten += pq.read_metadata(part).num_rows
        part.unlink()
    for identities in (store / "plans").glob("*"):
        identities.unlink()  # as if the code or the file had changed
    found = step(RESUME, store)
    megabytes.append(found["megabytes"])
    left = found["answer"][1]
    row("resume of a half-done study, to its first unit", found["seconds"], "s", 10, left == forgotten)
    found = step(COMMAND, "resume", store, "--jobs", jobs)
    megabytes.append(found["megabytes"])
    right = step(COUNT, store / "rows")["answer"] == [units, units, True]
    row(f"resume to the end, {left:,} units", left / found["seconds"], "units/s", 0, right, least=True)
    row("memory of the coordinator, most of all steps", max(megabytes), "MB", 1000, True)
    rates = compare(folder, file)
    row("recording alone (rows to parts on the disk)", rates["store"], "rows/s", 20_000, True, least=True)
    row("  SQLite, same rows and transactions", rates["sqlite"], "rows/s", 0, True, least=True)
    row("  the disk's limit, same bytes and files", rates["disk"], "rows/s", 0, True, least=True)
    row("  ratio to SQLite", rates["store"] / rates["sqlite"], "", 0, True, least=True)
    row("  part of the disk's limit", rates["store"] / rates["disk"], "", 0, True, least=True)
    return rows


# The first unit of the rest is handed out: what comes before is the cost of finding out what is done.
RESUME = """
import json, sys, time
from mcr2_landscape.study.opening import open_study
from mcr2_landscape.study.pending import Pending
from mcr2_landscape.study.store import Store
opened = open_study(sys.argv[1])
store = Store(opened.place)
store.acquire()
pending = Pending.of(store, opened.study)
print(json.dumps([int(pending.numbers[0]), len(pending.numbers)]))
"""


def main(arguments: list[str]) -> int:
    """Print the table; write it as JSON where a path is given. 1 if a bound is missed or a row wrong."""
    units = int(arguments[0]) if arguments and arguments[0].isdigit() else UNITS
    out = [word for word in arguments if not word.isdigit()]
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(units, Path(folder))
    for r in rows:
        bound = f"(at {'least' if r['least'] else 'most'} {r['bound']:,g})" if r["bound"] else ""
        verdict = "ok" if r["kept"] and r["right"] else "MISSED" if r["right"] else "WRONG"
        print(f"{r['what']:50} {r['figure']:>12,.4g} {r['unit']:8} {bound:22} {verdict}")
    print(f"{units:,} units; {describe_device()}; " + ", ".join(f"{name} {version}" for name, version in versions().items()))
    if out:
        Path(out[0]).write_text(json.dumps({"figures": rows, "units": units, "versions": versions()}, indent=1) + "\n")
    return 0 if all(r["kept"] and r["right"] for r in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
