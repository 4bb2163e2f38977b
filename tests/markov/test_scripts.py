"""The scripts that measure learning run, gate their figures, and say what they did not measure."""

import json

import jax
import numpy as np
import pytest

from experiments import markov_gpu, markov_speed
from mcr2_landscape import markov
from mcr2_landscape.markov import runs

GOOD = {"right": True, "note": "", "what": "x"}


def test_the_same_code_runs_without_a_device(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(markov_gpu, "TINY", (markov_gpu.Size(5, 20, 12, 8),))
    assert markov_gpu.main(["--out", str(tmp_path / "figures"), "--dry-run"]) == 0
    found = json.loads((tmp_path / "figures" / "markov_gpu.json").read_text())
    assert found["dry_run"]
    assert not found["measured"]
    assert {"date", "device", "driver", "versions"} <= found.keys()
    (row,) = found["learning"]
    assert row["right"]
    assert row["off_plain_loop"] <= 1e-12
    assert (row["same_bits"], row["share_of_seeds"]) == (True, 1.0), "device and processor are one here"
    assert row["record_bytes"] == 660
    assert row["foreseen_bytes"] > 3 * 640, "state, result and records at least"
    words, said = (tmp_path / "figures" / "markov_gpu.md").read_text(), capsys.readouterr()
    assert "dry run: the figures mean nothing" in words
    if jax.default_backend() != "gpu":
        assert "no GPU: nothing measured" in words
        assert "no GPU: nothing measured" in said.err
    assert "markov_gpu.md" in said.out


def test_without_a_device_it_says_what_is_needed(tmp_path, capsys):
    if jax.default_backend() == "gpu":
        pytest.skip("there is one")
    assert markov_gpu.main(["--out", str(tmp_path / "figures")]) == 2
    said = capsys.readouterr().err
    assert "no GPU: nothing measured" in said
    assert "mcr2_landscape[cuda]" in said
    assert not (tmp_path / "figures").exists()


@pytest.mark.parametrize(("off", "share"), [(1e-11, 1.0), (0.0, 0.99)])
def test_a_wrong_result_is_status_1(off, share, tmp_path, monkeypatch):
    monkeypatch.setattr(markov_gpu, "TINY", (markov_gpu.Size(5, 20, 12, 8),))
    monkeypatch.setattr(markov_gpu, "distance", lambda *_: off)
    monkeypatch.setattr(markov_gpu, "apart", lambda *_: (False, share))
    monkeypatch.setattr(markov_gpu, "foreseen", lambda *_: 1.0)
    assert markov_gpu.main(["--out", str(tmp_path), "--dry-run"]) == 1


def test_all_seeds_together_as_on_an_accelerator(monkeypatch):
    game, arguments = markov.routing_game(), {"key": 2, "num_seeds": 600, "num_steps": 40, "record_every": 20}
    expected = markov.learn(game, **arguments)
    plan = runs.Plan.of(game, 600, 20, 660)
    monkeypatch.setattr(runs, "_platform", lambda: "gpu")
    assert plan.groups == 2
    assert runs.Plan.of(game, 600, 20, 660).groups == 1
    for own, other in zip(markov.learn(game, **arguments).recorded, expected.recorded, strict=True):
        np.testing.assert_allclose(own, other, rtol=0, atol=1e-12)


def test_bounds_from_below_and_from_above():
    rate, seconds = {**GOOD, "rate": 2.0, "bound": 1.0}, {**GOOD, "seconds": 1.0, "bound": 2.0}
    assert markov_speed.kept(rate)
    assert markov_speed.kept(seconds)
    assert "MISSED" not in markov_speed.line(rate) + markov_speed.line(seconds)
    for wrong in ({**rate, "bound": 3.0}, {**seconds, "bound": 0.5}, {**rate, "right": False}, {**seconds, "right": False}):
        assert not markov_speed.kept(wrong)
        assert "MISSED" in markov_speed.line(wrong)


def test_decisions_and_evaluations_are_gated(monkeypatch):
    monkeypatch.setattr(markov_speed, "_DECIDED", ((3, 60.0),))
    monkeypatch.setattr(markov_speed, "_EVALUATED", ((16, 60.0),))
    monkeypatch.setattr(markov_speed, "_ROUNDS", 1)
    decided, evaluated = markov_speed.decision_rows(), markov_speed.evaluation_rows()
    assert all(map(markov_speed.kept, decided + evaluated))
    assert len(decided) == 5
    monkeypatch.setattr(markov_speed, "_KINDS", {"common interest": {"common_interest": False}})
    assert not any(row["right"] for row in markov_speed.decision_rows()), "which is no potential game"


@pytest.mark.parametrize("common", [True, False])
def test_another_way_to_evaluate(common):
    game = markov.routing_game(num_players=5, common_interest=common, slopes=(3, 5), discount=0.7)
    policy = game.random_policy(key=1)
    q, gains = game.to_tables().q_value(policy), game.to_tables().nash_gap(policy).gains
    for player in range(5):
        assert markov_speed.evaluation_error(game, policy, player, q[player], gains[player]) <= 1e-13
    assert markov_speed.evaluation_error(game, policy, 0, q[0] + [0, 1e-6], gains[0]) > 1e-9
    assert markov_speed.evaluation_error(game, policy, 0, q[0], gains[0] + [0, 0, 1e-6, 0]) > 1e-9
