"""Studies on a real Dask scheduler with several worker processes on this machine."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .conftest import rows_of

TEXT = """
name = "naps"
task = "outside.nap"
[parameters]
length = 0.02
[grid]
n = {range = [0, 400]}
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "naps.toml"
    path.write_text(TEXT)
    return path


@pytest.fixture
def cluster(tasks, user_environment, tmp_path):
    """A scheduler and three workers, as a user starts them: a list of processes, the scheduler first, and the address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    environment = user_environment | {"PYTHONPATH": tasks, "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "5s"}

    def start(*words: str) -> subprocess.Popen[bytes]:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen([sys.executable, "-m", "dask", *words], env=environment, cwd=tmp_path, **quiet)

    processes = [start("scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")]
    options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(tmp_path))
    processes += [start("worker", address, "--name", str(number), *options) for number in range(3)]
    yield processes, address
    for process in reversed(processes):
        process.kill()
        process.wait()


def wait_for_workers(address: str, count: int) -> None:
    import distributed

    with distributed.Client(address, timeout=30, set_as_default=False) as client:
        client.wait_for_workers(count, timeout=30)


def check(store, count=400):
    rows = rows_of(store)
    assert {row["n"]: row["answer"] for row in rows} == {n: n * n for n in range(count)}
    assert len(rows) == count
    assert rows_of(store, "failures") == []


@pytest.mark.timeout(120)
def test_a_worker_killed_on_the_way_changes_nothing(command, cluster, file, tmp_path):
    processes, address = cluster
    wait_for_workers(address, 3)
    run = command("run", file, "--store", tmp_path / "store", "--scheduler", address)
    deadline = time.monotonic() + 40
    while not list((tmp_path / "store").glob("holder.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(2.5)
    assert run.poll() is None
    processes[1].kill()
    out, err = run.communicate(timeout=60)
    assert run.returncode == 0, err
    assert f"with 3 workers of {address}" in err
    assert "400 done" in out
    check(tmp_path / "store")
    workers = {row["worker"] for row in all_rows(tmp_path / "store")}
    assert len(workers) >= 2  # the rows really come from several processes


def all_rows(store):
    from mcr2_landscape.study import Store
    from mcr2_landscape.study.store import read_part

    return [row for path in Store(store).parts("rows") for row in read_part(path).to_pylist()]


@pytest.mark.timeout(120)
def test_a_scheduler_that_dies_stops_the_run_and_the_rest_is_computed_here(command, finish, cluster, file, tmp_path):
    processes, address = cluster
    wait_for_workers(address, 3)
    store = tmp_path / "store"
    file.write_text(TEXT.replace("0.02", "0.05"))
    run = command("run", file, "--store", store, "--scheduler", address)
    deadline = time.monotonic() + 40
    while not list(store.glob("holder.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(3.5)
    assert run.poll() is None
    processes[0].kill()
    _, err = run.communicate(timeout=60)
    assert run.returncode == 2, err
    assert "what is done is kept" in err
    assert len(rows_of(store)) < 400
    status, _, err = finish("resume", store, "--jobs", "2")
    assert status == 0, err
    check(store)


@pytest.mark.filterwarnings("ignore")  # of the cluster's client, which closes what it opened only later
def test_a_scheduler_that_is_not_there_is_said(run, file, monkeypatch):
    from mcr2_landscape.study import engines

    monkeypatch.setattr(engines, "_CONNECT_SECONDS", 1)
    status, _, err = run("run", file, "--scheduler", "tcp://127.0.0.1:9")
    assert status == 2
    assert "no Dask scheduler answers there" in err


@pytest.mark.filterwarnings("ignore")
def test_a_scheduler_without_workers_is_said(cluster, run, file, monkeypatch):
    from mcr2_landscape.study import engines

    processes, address = cluster
    for process in processes[1:]:
        process.kill()
        process.wait()
    monkeypatch.setattr(engines, "_WORKERS_SECONDS", 1)
    status, _, err = run("run", file, "--scheduler", address)
    assert status == 2
    assert "the scheduler has no workers" in err


RECIPE = Path(__file__).parents[2] / "docs" / "studies.md"

SRUN = """#!/usr/bin/env bash
# Stands for Slurm's: as many copies of the command as tasks are asked for.
copies=1
while [[ $1 == --* ]]; do [[ $1 == --ntasks=* ]] && copies=${1#*=}; shift; done
for ((i = 0; i < copies; i++)); do "$@" & done
trap 'kill $(jobs -p) 2>/dev/null' TERM EXIT
wait
"""


@pytest.mark.timeout(120)
def test_the_recipe_for_slurm_is_one_that_runs(tasks, user_environment, file, tmp_path):
    blocks = re.findall(r"```bash\n(#!.*?)```", RECIPE.read_text(encoding="utf-8"), re.DOTALL)
    (script,) = [block for block in blocks if "#SBATCH" in block]
    (tmp_path / "job.sh").write_text(script)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "srun").write_text(SRUN)
    (tmp_path / "bin" / "srun").chmod(0o755)
    found = user_environment["PATH"]
    path = os.pathsep.join([str(tmp_path / "bin"), str(Path(sys.executable).parent), found])
    settings = {"PYTHONPATH": tasks, "SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "PATH": path, "STUDY": str(file)}
    settings |= {"STORE": str(tmp_path / "store")}
    job = subprocess.Popen(
        ["bash", str(tmp_path / "job.sh")],
        env=user_environment | settings,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        out, _ = job.communicate(timeout=100)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(job.pid, 9)
    assert job.returncode == 0, out
    check(tmp_path / "store")
    assert len({row["worker"] for row in all_rows(tmp_path / "store")}) == 2
