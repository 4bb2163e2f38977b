"""`mcr2-landscape study …`, as a user meets it."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mcr2_landscape.study import Store

from .conftest import SUMS, TROUBLE, rows_of


def test_from_quick_to_full_nothing_is_done_twice(run, file, tmp_path):
    status, out, err = run("run", file)
    assert status == 0, err
    assert "4 units: 4 done (4 in this run" in out
    store = tmp_path / "studies" / "sums"
    quick = rows_of(store)
    status, out, err = run("run", file, "--size", "full")
    assert status == 0, err
    assert "18 units: 18 done (14 in this run" in out
    rows = rows_of(store)
    assert len(rows) == 18
    assert [row for row in rows if row in quick] == quick
    status, out, _ = run("resume", store)
    assert "18 done (0 in this run" in out
    status, out, _ = run("status")
    assert "sums" in out
    assert "full" in out
    run("status", file, "--json", tmp_path / "status.json")
    (found,) = json.loads((tmp_path / "status.json").read_text())["result"]
    assert (found["units"], found["done"], found["left"], found["others"], found["size"]) == (18, 18, 0, 0, "full")
    run("status", file, "--size", "quick", "--json", tmp_path / "status.json")
    (found,) = json.loads((tmp_path / "status.json").read_text())["result"]
    assert (found["units"], found["done"], found["others"], found["size"]) == (4, 4, 14, "quick")


def test_export_in_every_format_holds_the_same_rows(run, file, tmp_path):
    assert run("run", file, "--size", "full", "--store", "s")[0] == 0
    for ending in ("csv", "parquet", "json", "jsonl"):
        status, _, err = run("export", "s", "--out", f"out.{ending}")
        assert status == 0, err
        assert f"wrote 18 rows to out.{ending}" in err
    parquet = pq.read_table(tmp_path / "out.parquet").to_pylist()
    listed = json.loads((tmp_path / "out.json").read_text())
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert listed == lines
    for plain in (parquet, listed):
        assert [(r["x"], r["n"], r["seed"], r["total"], r["powers"], r["missing"]) for r in plain] == [
            (x, n, seed, x + n + 3, [x**k for k in range(n % 4)], n if n % 2 else None)
            for seed in range(3)
            for x in (0.5, 2.0)
            for n in (1, 2, 3)
        ]
    with open(tmp_path / "out.csv", newline="") as lines:
        table = list(csv.DictReader(lines))
    assert [(float(r["x"]), float(r["total"])) for r in table] == [(r["x"], r["total"]) for r in parquet]
    store = Store(tmp_path / "s")
    for row in parquet:
        np.testing.assert_array_equal(store.array(row["draws"]), np.random.default_rng([row["seed"], row["n"]]).random(5))
    assert not list(tmp_path.glob("*.part"))


def test_queries(run, file, tmp_path):
    assert run("run", file, "--size", "full", "--store", "s")[0] == 0
    status, out, _ = run("export", "s", "--sql", "SELECT n, max(total) AS most FROM rows GROUP BY n ORDER BY n")
    assert status == 0
    assert out.split() == ["3", "rows", "n", "most", "1", "6", "2", "7", "3", "8"]
    status, _, err = run("export", "s", "--sql", "SELECT n, seed FROM rows WHERE x > 1", "--out", "some.csv")
    assert status == 0, err
    assert len((tmp_path / "some.csv").read_text().splitlines()) == 10
    assert run("export", "s", "--sql", "SELECT n FROM rows -- all", "--out", "n.csv")[0] == 0
    assert len((tmp_path / "n.csv").read_text().splitlines()) == 19
    for words, error in (
        (("--sql", "SELECT colour FROM rows"), "colour"),
        (("--sql", "nonsense"), "query:"),
        (("--sql", ""), "which answers no rows"),
        (("--sql", "  -- nothing"), "--sql"),
        ((), "--out, --sql"),
        (("--out", "rows.xls"), "the ending '.xls'"),
        (("--out", "missing/rows.csv"), "does not exist"),
        (("--all", "--size", "quick", "--out", "o.csv"), "--all, --size"),
    ):
        status, _, err = run("export", "s", *words)
        assert status == 2, words
        assert error in err
        assert "Traceback" not in err


def test_units_that_fail_are_recorded_exported_apart_and_retried_on_request(run, tmp_path, monkeypatch):
    path = tmp_path / "trouble.toml"
    path.write_text(TROUBLE)
    flag = tmp_path / "flag"
    flag.touch()
    monkeypatch.setenv("OUTSIDE_FLAG", str(flag))
    status, out, err = run("run", path, "--store", "s", "--jobs", "1")
    assert status == 1, err
    assert "10 units: 1 done (1 in this run" in out
    assert "8 raised an error, the process of 1 died" in out
    assert "--retry-failed" in out
    failures = {row["n"]: row for row in rows_of(tmp_path / "s", "failures")}
    assert {n: row["kind"] for n, row in failures.items()} == {n: "died" if n == 5 else "raised" for n in range(2, 11)}
    assert failures[2]["error"] == "ValueError: no luck with 2"
    assert 'raise ValueError(f"no luck with {n}")' in failures[2]["traceback"]
    assert failures[3]["error"] == "TypeError: result answer: found str; the task promises int"
    assert "SIGKILL" in failures[5]["error"]
    assert "not the dataclass that it promises" in failures[6]["error"]
    assert failures[7]["error"] == f"TypeError: result answer: found {10**20}; integers of a column have 64 bits"
    assert failures[8]["error"] == "FileNotFoundError: caf\\udce9.txt"
    assert failures[9]["error"] == "Wordless: (an error that cannot say what it is)"
    assert failures[10]["error"] == "SystemExit: 3"
    status, _, err = run("export", "s", "--out", "rows.csv")
    assert "wrote 1 rows to rows.csv" in err
    assert "wrote 9 failed units to rows.failures.csv" in err

    flag.unlink()
    status, out, _ = run("resume", "s", "--jobs", "1")
    assert status == 1
    assert "1 done (0 in this run" in out  # what raised waits until it is asked for
    status, out, _ = run("resume", "s", "--jobs", "1", "--retry-failed")
    assert status == 1
    assert "2 done (1 in this run" in out
    assert {row["n"] for row in rows_of(tmp_path / "s")} == {1, 4}
    _, out, _ = run("export", "s", "--sql", "SELECT n, kind FROM failures ORDER BY n")
    assert out.split()[4:] == [word for n in (2, 3, 5, 6, 7, 8, 9, 10) for word in (str(n), "died" if n == 5 else "raised")]


def test_progress_says_how_fast_and_how_long(run, tmp_path, monkeypatch):
    from mcr2_landscape.cli import studying

    monkeypatch.setattr(studying, "_QUIET_SECONDS", 0.0)
    path = tmp_path / "naps.toml"
    path.write_text('name = "naps"\ntask = "outside.nap"\nchunk = 2\nparameters.length = 0.05\ngrid.n = {range = [0, 40]}\n')
    status, _, err = run("run", path, "--jobs", "2")
    assert status == 0
    lines = [re.fullmatch(r"(\d+) of 40 done; ([\d.]+) units/s, (.+) left", line) for line in err.splitlines()]
    found = [line for line in lines if line]
    assert len(found) > 3
    done, rate = int(found[-2][1]), float(found[-2][2])
    assert 4 <= done <= 40
    assert 10 < rate < 40  # two processes, 20 a second each
    counts = [int(line[1]) for line in found]
    assert counts == sorted(counts)


def test_folders_that_look_like_columns_are_none(run, file):
    store = "x=9/lam=7/s"
    assert run("run", file, "--store", store)[0] == 0
    _, out, _ = run("export", store, "--sql", "SELECT DISTINCT x FROM rows ORDER BY x")
    assert out.split() == ["2", "rows", "x", "0.5", "2"]
    assert run("export", store, "--sql", "SELECT lam FROM rows")[0] == 2


def test_a_folder_without_a_store_does_not_hide_a_study_of_the_package(run, tmp_path):
    (tmp_path / "bookkeeping").mkdir()
    status, _, err = run("status", "bookkeeping")
    assert status == 0, err


def test_seeds_written_otherwise_are_other_seeds(run, tmp_path):
    path = tmp_path / "s.toml"
    text = 'name = "s"\ntask = "outside.nothing"\nseeds = 2\ngrid.a = [1, 2]\n'
    path.write_text(text)
    assert run("run", path)[0] == 0
    path.write_text(text.replace("seeds = 2", "seeds = [0, 2]"))
    _, out, _ = run("run", path)
    assert "4 units: 4 done (2 in this run" in out
    assert sorted(row["seed"] for row in rows_of(tmp_path / "studies" / "s")) == [0, 0, 1, 1, 2, 2]


def test_a_first_run_that_was_killed_leaves_a_folder_that_can_be_used(run, file, tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / ".store.json.abc.part").write_text("{")
    assert run("run", file, "--store", "s")[0] == 0
    assert not list((tmp_path / "s").rglob("*.part"))


def test_a_changed_file_is_said(run, file, tmp_path):
    assert run("run", file)[0] == 0
    file.write_text(SUMS.replace("[1, 2, 3]", "[1, 2]"))
    for words in (("status", file), ("export", file, "--sql", "SELECT 1"), ("resume", file)):
        _, _, err = run(*words)
        assert "has changed since" in err


def test_a_damaged_store_does_not_hide_the_others(run, file, tmp_path):
    assert run("run", file)[0] == 0
    (tmp_path / "studies" / "broken").mkdir()
    (tmp_path / "studies" / "broken" / "store.json").write_text("[]")
    status, out, err = run("status")
    assert status == 2
    assert "sums" in out
    assert "broken" in err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: (s / "store.json").write_text("{"), "is damaged"),
        (
            lambda s: (s / "store.json").write_text(
                json.dumps({"format": 2, "study": "sums", "task": "outside.sum", "made_by": "mcr2_landscape 9.9"})
            ),
            "has format 2, made by mcr2_landscape 9.9",
        ),
        (lambda s: truncate(Store(s).parts("rows")[0]), "cannot be read"),
        (lambda s: (s / "description.json").unlink(), "holds no description yet"),
        (lambda s: (s / "description.json").write_bytes(b"\xff\xfe"), "is damaged"),
        (lambda s: pq.write_table(pa.table({"a": [1]}), s / "rows" / "9.parquet"), "it has no column unit"),
        (lambda s: (s / "store.json").unlink(), "is a folder without a store"),
    ],
)
def test_a_store_that_is_damaged_or_too_new_is_said(run, file, tmp_path, change, words):
    assert run("run", file, "--store", "s")[0] == 0
    change(tmp_path / "s")
    commands = (("status", "s"), ("resume", "s"), ("plan", "s"), ("export", "s", "--out", "o.csv"), ("diff", "s", "s"))
    for command in commands:
        status, _, err = run(*command)
        if command[0] in ("export", "diff"):  # which need not see the damage
            assert status in (0, 1, 2), (command, err)
        else:
            assert status == 2, (command, err)
            assert words in err


def truncate(path):
    path.write_bytes(path.read_bytes()[:-50])


def test_mistakes_on_the_command_line(run, file, tmp_path):
    (tmp_path / "other.toml").write_text(SUMS.replace('"sums"', '"other"'))
    assert run("run", file, "--store", "s")[0] == 0
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thing").touch()
    for words, error in (
        (("run", "sumz.toml"), "no such file"),
        (("run", "survay"), "no study here"),
        (("run", "other.toml", "--store", "s"), "holds the study 'sums', and this is 'other'"),
        (("run", file, "--store", "full"), "holds something else than a store"),
        (("run", file, "--store", file), "is no folder"),
        (("run", file, "--jobs", "0"), "--jobs: found 0"),
        (("run", file, "--jobs", "1", "--scheduler", "tcp://127.0.0.1:1"), "--jobs, --scheduler"),
        (("run", file, "--size", "huge"), "size"),
        (("run", file, "--scheduler", "foo"), "--scheduler foo: is neither an address"),
        (("run", file, "--scheduler", "http://x:1"), "is neither an address"),
        (("run", file, "--scheduler", "tcp://x:99999"), "is neither an address"),
        (("run", file, "--scheduler", file), "is no scheduler's file"),
        (("status", "nowhere"), "no study here"),
        (("status",), "no store in studies/"),
        (("resume", file), "has no results yet"),
        (("export", file, "--out", "o.csv"), "has no results yet"),
        (("diff", "s", "nowhere"), "no study here"),
        (("diff", "s", "s", "--rtol", "-1"), "--rtol: found -1"),
        (("diff", "s", "s", "--atol", "nan"), "--atol: found nan"),
        (("plan", file, "--units", "0"), "--units"),
    ):
        status, out, err = run(*words)
        assert status == 2, (words, out, err)
        assert error in err, (words, err)
        assert "Traceback" not in err


@pytest.mark.parametrize(
    ("library", "words"),
    [
        ("msgspec", ("run", "bookkeeping")),
        ("pyarrow", ("run", "bookkeeping")),
        ("filelock", ("run", "bookkeeping")),
        ("duckdb", ("export", "s", "--sql", "SELECT 1")),
        ("distributed", ("run", "bookkeeping", "--scheduler", "tcp://127.0.0.1:9")),
    ],
)
def test_a_missing_library_is_named_with_the_command_that_installs_it(
    run, file, user_environment, tasks, tmp_path, library, words
):
    if "s" in words:
        assert run("run", file, "--store", "s")[0] == 0
    program = f"import sys; sys.modules[{library!r}] = None; from mcr2_landscape.cli import main; sys.exit(main(sys.argv[1:]))"
    found = subprocess.run(
        [sys.executable, "-c", program, "study", *words],
        env=user_environment | {"PYTHONPATH": tasks},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert found.returncode == 2, found.stderr
    extra = "cluster" if library == "distributed" else "study"
    assert found.stderr.count("\n") <= 2
    assert f'needs {library}, which is not installed; run: pip install "mcr2_landscape[{extra}]"' in found.stderr


def test_an_unknown_key_is_named_with_the_nearest(run, tmp_path):
    (tmp_path / "s.toml").write_text(SUMS.replace("seeds = 2", "seed = 2"))
    status, _, err = run("run", "s.toml")
    assert status == 2
    assert "s.toml: found the unknown key 'seed'; the nearest is 'seeds'" in err


def test_a_column_has_the_type_that_the_task_gives_it_now(run, file, tmp_path):
    assert run("run", file, "--store", "s")[0] == 0
    store = Store(tmp_path / "s")
    table = pq.read_table(store.parts("rows")[0])
    place = table.schema.get_field_index("large")
    older = table.set_column(place, "large", pa.array(["no"] * table.num_rows)).drop_columns(["missing"])
    units = pa.array([unit[::-1] for unit in older.column("unit").to_pylist()])
    store.write_part(store.new_part("rows"), older.set_column(0, "unit", units))
    status, _, err = run("export", "s", "--out", "rows.parquet")
    assert status == 0, err
    found = pq.read_table(tmp_path / "rows.parquet")
    assert found.num_rows == 4
    assert (str(found.schema.field("large").type), str(found.schema.field("missing").type)) == ("bool", "int64")
    assert found.column("large").to_pylist() == [row["total"] > 3 for row in found.to_pylist()]


def test_changed_code_is_computed_anew_and_old_rows_are_told_apart(finish, file, tmp_path, tasks):
    import os
    import shutil
    from pathlib import Path

    package = next(Path(p) for p in tasks.split(os.pathsep) if (Path(p) / "outside_tasks").is_dir())
    copy = tmp_path / "copy"
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
    path = tasks.replace(str(package), str(copy))
    assert finish("run", file, "--store", "s", PYTHONPATH=path)[0] == 0
    work = copy / "outside_tasks" / "work.py"
    work.write_text(work.read_text().replace("total = (x + n", "total = 100 + (x + n"))
    status, out, _ = finish("run", file, "--store", "s", PYTHONPATH=path)
    assert status == 0
    assert "4 done (4 in this run" in out
    _, out, err = finish("status", "s", PYTHONPATH=path)
    assert "4 rows are of earlier descriptions or versions" in err
    _, out, _ = finish("export", "s", "--sql", "SELECT min(total) FROM rows", PYTHONPATH=path)
    assert float(out.split()[-1]) > 100
    finish("export", "s", "--all", "--out", "all.parquet", PYTHONPATH=path)
    assert pq.read_table(tmp_path / "all.parquet").num_rows == 8
