"""`mcr2-landscape study plan`: what it measures, and that it counts as status does."""

from __future__ import annotations

import json

import pytest

from mcr2_landscape.pace import duration

from .conftest import TROUBLE


def test_plan_measures_without_storing(run, file, tmp_path):
    status, out, err = run("plan", file, "--size", "full", "--jobs", "2", "--units", "3", "--json", "plan.json")
    assert status == 0, err
    found = json.loads((tmp_path / "plan.json").read_text())["result"]
    assert (found["units"], found["left"], found["jobs"], found["failed"]) == (18, 18, 2, 0)
    assert found["timed"] == 3
    assert found["seconds"] > 0
    assert found["bytes"] > 18 * 100
    assert "time with 2 processes" in out
    assert not (tmp_path / "studies").exists()
    assert run("run", file, "--size", "quick")[0] == 0
    run("plan", file, "--size", "full", "--json", "plan.json")
    found = json.loads((tmp_path / "plan.json").read_text())["result"]
    assert (found["units"], found["done"], found["left"]) == (18, 4, 14)


def test_a_plan_is_about_what_a_run_takes(run, tmp_path):
    path = tmp_path / "naps.toml"
    path.write_text('name = "naps"\ntask = "outside.nap"\nparameters.length = 0.1\ngrid.n = {range = [0, 60]}\n')
    assert run("plan", path, "--jobs", "2", "--json", "plan.json")[0] == 0
    found = json.loads((tmp_path / "plan.json").read_text())["result"]
    assert 0.1 <= found["unit_seconds"] < 0.15
    # 60 units of 0.1 s in two processes
    assert 3.0 <= found["seconds"] - found["start_seconds"] < 4.5


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.1234, "0.123 s"), (59.0, "59 s"), (61.4, "1 min 1 s"), (7261.0, "2 h 1 min"), (200_000.0, "2.3 days")],
)
def test_how_long_is_written_for_people(seconds, words):
    assert duration(seconds) == words


def test_a_plan_says_that_units_fail(run, tmp_path):
    path = tmp_path / "trouble.toml"
    path.write_text('name = "t"\ntask = "outside.trouble"\nparameters.what = "raise"\ngrid.n = [1, 2, 3]\n')
    status, _, err = run("plan", path, "--jobs", "1")
    assert status == 0
    assert "3 of the units timed failed: ValueError: no luck with" in err


def test_a_plan_where_a_process_dies_says_so(run, tmp_path):
    path = tmp_path / "trouble.toml"
    path.write_text('name = "t"\ntask = "outside.trouble"\nparameters.what = "kill"\ngrid.n = [1]\n')
    status, _, err = run("plan", path, "--jobs", "1")
    assert status == 2
    assert "the process of a unit that was timed was ended by SIGKILL" in err


def test_repeated_draws_and_failures_are_counted_alike_by_plan_and_status(run, tmp_path):
    path = tmp_path / "draws.toml"
    path.write_text(
        'name = "d"\ntask = "outside.trouble"\nparameters.what = "nothing"\n[sample]\ncount = 200\nn = {integers = [1, 5]}\n'
    )

    def figures():
        run("plan", path, "--json", "plan.json", "--units", "1")
        run("status", path, "--json", "status.json")
        plan = json.loads((tmp_path / "plan.json").read_text())["result"]
        (status,) = json.loads((tmp_path / "status.json").read_text())["result"]
        assert status["repeated"] == 195
        return [(f["units"], f["done"], f["left"]) for f in (plan, status)]

    assert figures() == [(5, 0, 5)] * 2
    assert "5 units: 5 done" in run("run", path)[1]
    assert figures() == [(5, 5, 0)] * 2
    path.write_text(TROUBLE.replace('"kill"', '"raise"'))
    assert run("run", path, "--jobs", "1")[0] == 1
    run("plan", path, "--json", "plan.json")
    plan = json.loads((tmp_path / "plan.json").read_text())["result"]
    assert (plan["units"], plan["done"], plan["failed_before"], plan["left"]) == (10, 1, 9, 0)
