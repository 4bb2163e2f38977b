"""The script that times flattening gates its figures."""

import dataclasses
import json

import numpy as np
import pytest

from experiments import flatnet_speed as speed
from experiments.measured_rows import kept, line, status
from mcr2_landscape.bench.timing import Quartiles
from mcr2_landscape.data.manifolds import circular_arc

ANCHOR = speed.Anchor(10, 60.0, 0.02)


def test_seconds_count_with_a_tenth_of_the_error_alone():
    seconds = [0.1, 0.15, 0.2]
    found = speed.ratio_row("arc", ANCHOR, "layers and refit, coarse", seconds, [1e-3, 2e-3, 0.5])
    assert found["found"].median == pytest.approx(400)
    assert kept(found), "the median error is a tenth"
    assert not kept(speed.ratio_row("arc", ANCHOR, "layers and refit, coarse", seconds, [1e-3, 2.1e-3, 3e-3]))
    slow = speed.ratio_row("arc", ANCHOR, "layers and refit, coarse", [0.3] * 3, [1e-4] * 3)
    assert slow["right"]
    assert "MISSED" in line(slow)
    whole = speed.ratio_row("arc", ANCHOR, "whole fit", [0.3] * 3, [1e-4] * 3)
    assert whole["least"] is None, "no goal was set for what examines as well"


def test_contestants_run_in_turns_on_their_own_seeds(monkeypatch):
    arc, seeds = circular_arc(1.0, 30, key=0, num_held_out=20), []
    real = {name: speed.CONTESTANTS[name] for name in ("layers and refit, coarse", "whole fit")}

    def watched(name):
        return lambda manifold, seed: seeds.append((name, seed)) or real[name](manifold, seed)

    monkeypatch.setattr(speed, "CONTESTANTS", {name: watched(name) for name in real})
    monkeypatch.setattr(speed, "ANCHORS", {"arc": (ANCHOR, ANCHOR._replace(error=1e-12))})
    drawn = []
    monkeypatch.setattr(speed, "_MANIFOLDS", {"arc": lambda key: drawn.append(key) or arc})
    rows = speed.anchor_rows(1)
    assert drawn == [speed.FIRST_KEY - 1, speed.FIRST_KEY]
    assert seeds == [(name, key) for key in drawn for name in real]
    assert "a tenth of it in 1 of 1 rounds" in rows[0]["note"]
    assert [row["right"] for row in rows] == [True, True, False, False], "the second anchor asks for too small an error"
    assert status(rows) == 1


def test_large_fits_are_gated_on_the_dimension_and_the_error(monkeypatch):
    seconds, clock = speed.large_rows((1,), 4, 60)
    assert kept(seconds)
    assert kept(clock)
    assert seconds["found"] > 0
    monkeypatch.setattr(speed, "held_out_error", lambda *_: 0.06)
    assert not any(row["right"] for row in speed.large_rows((1,), 4, 60))


def test_the_local_fit_is_gated_on_its_loss():
    time, limit = speed.local_fit_rows(2, 50, 4, (2,))
    assert time["right"]
    assert limit["found"].median > 0
    points = np.random.default_rng(0).standard_normal((50, 4))
    model = speed.flatnet.local_fit(points, points[0], 1.0, 2)
    assert speed.weighted_error(model, points) <= 1e-12
    assert speed.weighted_error(dataclasses.replace(model, coefficients=1.001 * model.coefficients), points) > 1e-8
    products = speed.LocalProducts(50, 4, 2)
    assert products.flops == 4 * 50 * (6 * 4 * 2 + 6**2 + 2 * 6 * 4) + 50 * (4**2 + 2 * 6 * 4)
    assert len(products.run()) == 7


def test_what_cannot_be_written_or_measured_is_said_before_the_work(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(speed, "measure", lambda rounds: pytest.fail("measured"))
    for arguments, says in (([str(tmp_path)], "is a directory"), ([str(tmp_path / "a" / "b")], "does not exist")):
        assert speed.main(arguments) == 2
        assert says in capsys.readouterr().err
    assert speed.main(["--rounds", "0"]) == 2
    assert "rounds: found 0" in capsys.readouterr().err


def test_the_file(tmp_path, monkeypatch, capsys):
    rows = [speed.row("x", Quartiles(1.0, 2.0, 3.0), least=1.5)]
    monkeypatch.setattr(speed, "measure", lambda rounds: rows * rounds)
    assert speed.main([str(tmp_path / "figures.json"), "--rounds", "2"]) == 0
    found = json.loads((tmp_path / "figures.json").read_text())
    assert (len(found["figures"]), found["rounds"]) == (2, 2)
    assert "scikit-learn" in capsys.readouterr().out
