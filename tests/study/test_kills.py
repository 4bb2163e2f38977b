"""Real processes, killed at random times: the study ends with the rows of an undisturbed run."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import psutil
import pytest

from mcr2_landscape.study import Store
from mcr2_landscape.study.store import read_part

from .conftest import rows_of

TEXT = """
name = "naps"
task = "outside.nap"
[parameters]
length = 0.004
[grid]
n = {range = [0, 900]}
"""
UNITS = 900


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "naps.toml"
    path.write_text(TEXT)
    return path


def expected():
    return {n: n * n for n in range(UNITS)}


def check(store: Path):
    rows = rows_of(store)
    assert len(rows) == len({row["unit"] for row in rows}) == UNITS
    assert {row["n"]: row["answer"] for row in rows} == expected()
    assert rows_of(store, "failures") == []
    assert not list(store.rglob("*.part"))


def workers_of(process) -> list[psutil.Process]:
    try:
        return [child for child in psutil.Process(process.pid).children() if "spawn_main" in " ".join(child.cmdline())]
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return []


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 6))])
def test_the_program_killed_at_random_times(command, finish, file, tmp_path, seed):
    draw = random.Random(seed)
    store = tmp_path / "store"
    kills = 0
    while kills < 6:
        words = ("resume", store) if kills % 2 and Store.exists(store) else ("run", file, "--store", store)
        process = command(*words, "--jobs", "2")
        began = time.monotonic()
        delay = draw.uniform(0.5, 3.0)
        while process.poll() is None and time.monotonic() - began < delay:
            time.sleep(0.01)
        if process.poll() is None:
            os.kill(process.pid, draw.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT]))
            kills += 1
        out, err = process.communicate(timeout=20)
        # Python puts the default handlers back before it ends: a program that is done can still be killed by Ctrl-C.
        if process.returncode == 0 or (process.returncode == -signal.SIGINT and "900 done" in out):
            break
        assert process.returncode in (-9, -15, 130), err
    assert kills
    status, out, err = finish("run", file, "--store", store, "--jobs", "2")
    assert status == 0, err
    assert "900 done" in out
    check(store)


@pytest.mark.parametrize("seed", [5, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(6, 10))])
def test_workers_killed_at_random_times(command, file, tmp_path, seed):
    """Two kills: a third, on a machine so busy that processes are slow to start, can fall on a unit that two have hit before,
    and such a unit counts as failed."""
    draw = random.Random(seed)
    store = tmp_path / "store"
    process = command("run", file, "--store", store, "--jobs", "2")
    kills = 0
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(draw.uniform(0.3, 0.9))
        if kills < 2 and (found := workers_of(process)):
            draw.choice(found).kill()
            kills += 1
    _, err = process.communicate(timeout=5)
    assert process.returncode == 0, err
    assert kills >= 2
    check(store)


def test_the_check_catches_a_double_row_and_a_lost_one(finish, file, tmp_path):
    store = tmp_path / "store"
    assert finish("run", file, "--store", store)[0] == 0
    check(store)
    part = Store(store).parts("rows")[0]
    copy = part.with_name("9" + part.name[1:])
    copy.write_bytes(part.read_bytes())
    with pytest.raises(AssertionError):
        check(store)
    copy.unlink()
    part.unlink()
    with pytest.raises(AssertionError):
        check(store)


def test_ctrl_c_keeps_what_is_done_and_ends_the_workers(command, finish, file, tmp_path):
    store = tmp_path / "store"
    file.write_text(TEXT.replace("0.004", "0.05"))
    process = command("run", file, "--store", store, "--jobs", "2")
    deadline = time.monotonic() + 20
    while len(workers_of(process)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(2.5)
    workers = workers_of(process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: every process hears it
    out, err = process.communicate(timeout=10)
    assert process.returncode == 130, (out, err)
    assert "units were computed and kept" in err
    assert "Traceback" not in err
    assert rows_of(store)
    assert int(err.split("interrupted: ")[1].split()[0]) == len(rows_of(store))
    assert not any(worker.is_running() for worker in workers)


def test_a_second_run_on_one_store_is_refused_and_a_dead_one_does_not_hold_it(command, finish, file, tmp_path):
    store = tmp_path / "store"
    file.write_text(TEXT.replace("0.004", "0.05"))
    first = command("run", file, "--store", store, "--jobs", "1")
    deadline = time.monotonic() + 20
    while not (store / "holder.json").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    status, _, err = finish("run", file, "--store", store)
    assert status == 2
    assert f"another run writes to it (process {first.pid} on " in err
    _, out, _ = finish("status", store)
    assert f"process {first.pid}" in out
    first.kill()
    first.communicate(timeout=10)
    file.write_text(TEXT.replace("0.004", "0.05").replace("900", "3"))
    status, out, err = finish("run", file, "--store", store)
    assert status == 0, err
    assert "3 units: 3 done" in out


def test_a_disk_that_is_full_is_said_and_the_rest_goes_on_later(command, finish, file, tmp_path):
    """A limit on the size of files stands for the full disk: the kernel refuses the write in the same place."""
    import resource
    import sys

    store = tmp_path / "store"
    program = Path(sys.executable).with_name("mcr2-landscape")
    wrapper = tmp_path / "limited.py"
    wrapper.write_text(
        "import os, resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4000, resource.RLIM_INFINITY))\n"
        f"os.execv({str(program)!r}, ['mcr2-landscape', 'study', *sys.argv[1:]])\n"
    )
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    import subprocess

    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    found = subprocess.run(
        [sys.executable, str(wrapper), "run", str(file), "--store", str(store), "--jobs", "1"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=35,
    )
    assert found.returncode == 2, found.stderr
    assert f"store {store}: cannot be written (File too large)" in found.stderr
    assert "Traceback" not in found.stderr
    assert not list(store.rglob("*.part"))
    assert finish("resume", store)[0] == 0
    check(store)


def test_every_row_says_where_it_comes_from(finish, file, tmp_path):
    file.write_text(TEXT.replace("900", "4"))
    store = tmp_path / "store"
    assert finish("run", file, "--store", store)[0] == 0
    (part,) = Store(store).parts("rows")
    for row in read_part(part).to_pylist():
        assert row["code"].startswith("outside_tasks 1.0 ")
        assert row["dtype"] == "float64"
        assert '"numpy"' in row["versions"]
        assert '"source"' in row["versions"]
        assert row["device"].startswith("cpu")
        assert row["seconds"] >= 0.004
