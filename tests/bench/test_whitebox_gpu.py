"""The script for a device runs without one, gates its figures, and says what it did not measure."""

import json

import jax
import pytest

from experiments import whitebox_gpu

TINY = whitebox_gpu.TINY._replace(tokens=(8, 40))


@pytest.mark.timeout(120)
def test_the_same_code_runs_without_a_device(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(whitebox_gpu, "TINY", TINY)
    monkeypatch.setattr(whitebox_gpu, "ARCHITECTURES", {"CRATE": whitebox_gpu.ARCHITECTURES["CRATE"]})
    assert whitebox_gpu.main(["--out", str(tmp_path / "figures"), "--dry-run"]) == 0
    found = json.loads((tmp_path / "figures" / "whitebox_gpu.json").read_text())
    assert found["dry_run"]
    assert not found["measured"]
    assert {"date", "device", "driver", "versions"} <= found.keys()
    assert whitebox_gpu.right(found)
    assert found["forward"]["device_off_processor"] <= 1e-6
    assert [row["steps"] for row in found["trainings"]["rows"]] == [3, 3]
    assert all(0 < row["ious"]["attention"][0] <= row["ceiling"] for row in found["trainings"]["rows"])
    (summary,) = found["trainings"]["summaries"]
    assert (summary["seeds"], summary["complete"]) == (2, 2)
    assert summary["test_accuracy"]["low"] <= summary["test_accuracy"]["mean"] <= summary["test_accuracy"]["high"]
    words, said = (tmp_path / "figures" / "whitebox_gpu.md").read_text(), capsys.readouterr()
    assert "dry run: the figures mean nothing" in words
    if jax.default_backend() != "gpu":
        assert "no GPU: nothing measured" in words
        assert "no GPU: nothing measured" in said.err
    assert "whitebox_gpu.md" in said.out


def test_without_a_device_it_says_what_is_needed(tmp_path, capsys):
    if jax.default_backend() == "gpu":
        pytest.skip("there is one")
    assert whitebox_gpu.main(["--out", str(tmp_path / "figures")]) == 2
    assert "mcr2_landscape[cuda]" in capsys.readouterr().err
    assert not (tmp_path / "figures").exists()


def test_a_law_that_does_not_hold_is_seen(monkeypatch):
    assert all(row["right"] for row in whitebox_gpu.law(TINY))
    own = whitebox_gpu.wb.coding_rate_given_gradient
    monkeypatch.setattr(whitebox_gpu.wb, "coding_rate_given_gradient", lambda Z, U, epsilon: own(Z, U, 1e3 * epsilon))
    assert not all(row["right"] for row in whitebox_gpu.law(TINY)), "eps² is not small beside the noise"


def test_any_wrong_part_is_status_1(tmp_path, monkeypatch):
    good = {"forward": {"right": True}, "law": [{"right": True}], "trainings": {"rows": [{"right": True}]}}
    assert whitebox_gpu.right(good)
    for wrong in ({"forward": {"right": False}}, {"law": [{"right": False}]}, {"trainings": {"rows": [{"right": False}]}}):
        assert not whitebox_gpu.right({**good, **wrong})
    monkeypatch.setattr(whitebox_gpu, "measure_all", lambda *_, **__: {**good, "law": [{"right": False}]})
    monkeypatch.setattr(whitebox_gpu, "markdown", lambda found: "")
    assert whitebox_gpu.main(["--out", str(tmp_path), "--dry-run"]) == 1


def test_without_time_a_training_is_left_out():
    found = whitebox_gpu.trainings(TINY._replace(seconds=0.0), lambda words: None)
    assert {row["stopped"] for row in found["rows"]} == {"not run: no time left"}
    assert {summary["seeds"] for summary in found["summaries"]} == {0}


def test_intervals_are_over_seeds():
    assert whitebox_gpu.interval([0.5]) == {"mean": 0.5, "low": None, "high": None}
    found = whitebox_gpu.interval([1.0, 2.0, 3.0])
    assert found["high"] == pytest.approx(2 + 4.302653 / 3**0.5)
