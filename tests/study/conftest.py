from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CIRCUMSTANCES = ("code", "device", "versions", "worker", "seconds", "finished")


SUMS = """
name = "sums"
task = "outside.sum"
title = "Sums of a few numbers"
seeds = 2
[grid]
x = [0.5, 2.0]
n = [1, 2, 3]
[quick]
grid.n = [1]
[full]
seeds = 3
"""

TROUBLE = """
name = "trouble"
task = "outside.trouble"
[[cases]]
n = 1
what = "nothing"
[[cases]]
n = 2
what = "raise"
[[cases]]
n = 3
what = "wrong"
[[cases]]
n = 4
what = "flag"
[[cases]]
n = 5
what = "kill"
[[cases]]
n = 6
what = "unpicklable"
[[cases]]
n = 7
what = "huge"
[[cases]]
n = 8
what = "odd file"
[[cases]]
n = 9
what = "wordless"
[[cases]]
n = 10
what = "leave"
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "sums.toml"
    path.write_text(SUMS)
    return path


@pytest.fixture
def tasks(outside):
    """The tasks of the outside package, registered."""
    return outside("outside_tasks", outside="tasks:TASKS")


@pytest.fixture
def study(tasks, tmp_path):
    """A function that writes a study's file and opens it, with its results in the folder `store`."""
    from mcr2_landscape.study.opening import open_study

    def write(text: str, store: str = "store", size: str | None = None):
        path = tmp_path / "study.toml"
        path.write_text(text, encoding="utf-8")
        return open_study(path, size, tmp_path / store)

    return write


@pytest.fixture
def command(tasks, user_environment, tmp_path):
    """A function that starts `mcr2-landscape study …` as a process of its own."""
    program = Path(sys.executable).with_name("mcr2-landscape")

    def start(*words: str | Path, **settings: str) -> subprocess.Popen[str]:
        environment = user_environment | {"PYTHONPATH": tasks} | settings
        return subprocess.Popen(
            [str(program), "study", *map(str, words)],
            env=environment,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    return start


@pytest.fixture
def finish(command):
    """A function that runs `mcr2-landscape study …` to its end as a process of its own: status, standard output and error."""

    def run(*words: str | Path, **settings: str) -> tuple[int, str, str]:
        process = command(*words, **settings)
        try:
            out, err = process.communicate(timeout=35)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            raise
        return process.returncode, out, err

    return run


@pytest.fixture
def run(tasks, tmp_path, monkeypatch, capsys):
    """A function that runs `mcr2-landscape study …` in this process: status, standard output and error."""
    from mcr2_landscape.cli import main

    monkeypatch.chdir(tmp_path)

    def here(*words: str | Path) -> tuple[int, str, str]:
        status = main(["study", *map(str, words)])
        found = capsys.readouterr()
        return status, found.out, found.err

    return here


def rows_of(store: Path, kind: str = "rows") -> list[dict]:
    """The rows of a store without what depends on when and where, ordered by unit."""
    from mcr2_landscape.study.store import Store, read_part

    rows = [row for path in Store(store).parts(kind) for row in read_part(path).to_pylist()]
    plain = [{name: value for name, value in row.items() if name not in CIRCUMSTANCES} for row in rows]
    return sorted(plain, key=lambda row: row["unit"])
