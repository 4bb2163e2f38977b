import json

import pytest

jax = pytest.importorskip("jax")

from experiments import gpu  # noqa: E402
from mcr2_landscape.bench.contestants import chosen  # noqa: E402


@pytest.mark.timeout(120)
@pytest.mark.filterwarnings("ignore")  # other libraries', where they are installed
def test_the_same_code_runs_without_a_device(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(gpu, "TINY", {"tiny": (6, 24, 2)})
    monkeypatch.setattr(gpu, "TINY_HUGE", (6, 40, 10))
    monkeypatch.setattr("mcr2_landscape.bench.measure.chosen", lambda names: chosen(()))
    assert gpu.main(["--out", str(tmp_path / "figures"), "--dry-run", "--tests"]) == 0
    found = json.loads((tmp_path / "figures" / "gpu.json").read_text())
    assert found["dry_run"]
    assert {"date", "device", "driver", "versions"} <= found.keys()
    assert {row["form"] for row in found["forms"]} == {"fused", "mid-rank", "low-rank"}
    assert found["huge"]["right"]
    assert found["huge"]["foreseen_gigabytes"] > 0
    assert len(found["agreement"]) == 25
    assert all(row["right"] for row in found["agreement"])
    assert {entry["state"] for point in found["points"] for entry in point["entries"]} == {"timed"}
    words = (tmp_path / "figures" / "gpu.md").read_text()
    assert "dry run" in words
    assert "| size | form |" in words
    assert "Tests: not run" in words
    assert "gpu.md" in capsys.readouterr().out


def test_without_a_device_it_says_what_is_needed(tmp_path, capsys):
    if jax.default_backend() == "gpu":
        pytest.skip("there is one")
    assert gpu.main(["--out", str(tmp_path / "figures")]) == 2
    assert "mcr2_landscape[cuda]" in capsys.readouterr().err
    assert not (tmp_path / "figures").exists()


def test_a_wrong_result_is_status_1():
    entry = {"name": "mcr2_landscape", "state": "timed"}
    good = {"points": [{"entries": [entry]}], "agreement": [], "inertias": [], "huge": {}, "tests": {"right": True}}
    assert gpu.right(good)
    assert not gpu.right({**good, "points": [{"entries": [{**entry, "state": "wrong"}]}]})
    assert not gpu.right({**good, "agreement": [{"right": False}]})
    assert not gpu.right({**good, "tests": {"right": False}})


def test_in_a_checkout_the_tests_run_in_a_process_of_their_own(monkeypatch):
    calls = []

    class Done:
        stdout, stderr, returncode = "FAILED tests/x.py::test_y\n1 failed in 0.1s\n", "", 1

    monkeypatch.setattr(gpu.subprocess, "run", lambda command, **options: calls.append(command) or Done())
    found = gpu.run_tests(["tests/bench", "tests/no_such_folder"])
    assert calls[0][-1] == "tests/bench"
    assert not found["right"]
    assert found["failed"] == ["FAILED tests/x.py::test_y"]
    assert found["summary"] == "1 failed in 0.1s"
