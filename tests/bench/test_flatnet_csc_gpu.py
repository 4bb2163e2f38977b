"""The script for a device runs without one, gates its figures, and says what it did not measure."""

import json

import jax
import pytest

from experiments import flatnet_csc_gpu as script


@pytest.mark.timeout(120)
def test_the_same_code_runs_without_a_device(tmp_path, capsys):
    assert script.main(["--out", str(tmp_path / "figures"), "--dry-run"]) == 0
    found = json.loads((tmp_path / "figures" / "flatnet_csc_gpu.json").read_text())
    assert found["dry_run"]
    assert not found["measured"]
    assert {"date", "device", "driver", "versions"} <= found.keys()
    assert [row["dtype"] for row in found["flattening"]] == ["float64", "float32"]
    for row in (*found["flattening"], *found["coding"]):
        assert row["off"] <= (1e-12 if row["dtype"] == "float64" else 1e-4)
        assert (row["off"] > 1e-10) == (row["dtype"] == "float32"), "it is computed in its dtype"
    assert found["solving"]["gap"] <= 1e-10
    words, said = (tmp_path / "figures" / "flatnet_csc_gpu.md").read_text(), capsys.readouterr()
    assert "dry run: the figures mean nothing" in words
    if jax.default_backend() != "gpu":
        assert "no GPU: nothing measured" in words
        assert "no GPU: nothing measured" in said.err
    assert "flatnet_csc_gpu.md" in said.out


def test_without_a_device_it_says_what_is_needed(tmp_path, capsys):
    if jax.default_backend() == "gpu":
        pytest.skip("there is one")
    assert script.main(["--out", str(tmp_path / "figures")]) == 2
    assert "mcr2_landscape[cuda]" in capsys.readouterr().err
    assert not (tmp_path / "figures").exists()


def test_any_wrong_part_is_status_1(tmp_path, monkeypatch):
    good = {"flattening": [{"right": True}], "coding": [{"right": True}], "solving": {"right": True}}
    assert script.right(good)
    for wrong in ({"flattening": [{"right": False}]}, {"coding": [{"right": False}]}, {"solving": {"right": False}}):
        assert not script.right({**good, **wrong})
    monkeypatch.setattr(script, "measure_all", lambda *_, **__: {**good, "solving": {"right": False}})
    monkeypatch.setattr(script, "markdown", lambda found: "")
    assert script.main(["--out", str(tmp_path), "--dry-run"]) == 1


def test_a_loop_with_another_step_is_seen(monkeypatch):
    real = script.plain_fista
    monkeypatch.setattr(script, "plain_fista", lambda *given: real(given[0], given[1], given[2], given[3], 0.9 * given[4]))
    assert not any(row["right"] for row in script.coding(script.TINY))


def test_a_decoder_that_is_off_is_seen(monkeypatch):
    real = script.flatnet.FlatNetwork.decode_rows
    monkeypatch.setattr(script.flatnet.FlatNetwork, "decode_rows", lambda self, codes: 1.01 * real(self, codes))
    assert not any(row["right"] for row in script.flattening(script.TINY))
