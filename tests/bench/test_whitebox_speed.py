"""The script that times white-box transformers gates its figures, and says what is not measured."""

import json
import sys
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import whitebox_speed as speed
from experiments.measured_rows import kept, line, status
from mcr2_landscape import whitebox as wb
from mcr2_landscape.bench.timing import Quartiles
from mcr2_landscape.bench.transformer_limits import forward_products, rate_products
from mcr2_landscape.validation import InputError

SMALL: dict[str, Any] = {"dim": 8, "depth": 2, "heads": 2, "image_size": 16, "patch": 4, "channels": 1, "num_classes": 3}
IMAGES = np.random.default_rng(0).standard_normal((2, 1, 16, 16)).astype(np.float32)


@pytest.fixture(scope="module")
def model():
    return wb.Crate(wb.Architecture.published(**SMALL), key=jax.random.key(0))


@pytest.mark.parametrize("off", [1e-3, 0.0])
def test_a_planted_wrong_network_is_listed_and_not_timed(model, monkeypatch, off):
    logits = np.asarray(model(IMAGES))
    monkeypatch.setattr(speed, "has_torch", lambda: True)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(set_num_threads=lambda count: None))
    monkeypatch.setattr(speed, "torch_call", lambda model, images, *, fused: lambda: logits * (1 + off * fused))
    time, limit, fused, written = speed.forward_rows(model, IMAGES, 3, "small")
    assert isinstance(time["found"], Quartiles)
    assert limit["found"].median > 0
    assert (fused["right"], fused["found"] is None) == (off == 0, off > 0)
    assert written["right"]
    assert isinstance(written["found"], Quartiles)
    if off:
        assert "WRONG" in line(fused)
        assert status([fused]) == 1


def test_without_pytorch_the_rest_runs_and_the_status_is_2(model, monkeypatch):
    monkeypatch.setattr(speed, "has_torch", lambda: False)
    rows = speed.forward_rows(model, IMAGES, 3, "small")
    assert [row["found"] is None for row in rows] == [False, False, True, True]
    assert "mcr2_landscape[peers]" in line(rows[2])
    assert all(row["found"] is None for row in speed.double_rows(("crate",)))
    assert status(rows[2:]) == 2


@pytest.mark.parametrize("family", speed.FAMILIES)
def test_plain_pytorch_agrees(family):
    pytest.importorskip("torch")
    (row,) = speed.double_rows((family,))
    assert kept(row)
    assert row["found"] < 1e-12


def test_the_rate_is_gated_on_its_result_and_on_its_memory():
    sizes = (12, 256, 2, 4)
    time, _, memory = speed.rate_rows(*sizes, 3)
    assert time["right"]
    assert kept(memory)

    def off(Z, U):
        value, gradient = speed.rate_and_gradient(Z, U)
        return value, gradient.at[0, 0].add(1.0)

    assert not speed.rate_rows(*sizes, 3, off)[0]["right"]

    def by_tokens(Z, U):  # N × N for every head
        V = jnp.einsum("kdp,dn->kpn", U, Z)
        alpha = U.shape[2] / (Z.shape[1] * speed.EPSILON**2)
        gram = alpha * jnp.matmul(jnp.swapaxes(V, 1, 2), V)
        whole = jnp.eye(Z.shape[1], dtype=Z.dtype)[None] + gram
        return 0.5 * jnp.sum(jnp.linalg.slogdet(whole)[1]), speed.rate_and_gradient(Z, U)[1]

    time, _, memory = speed.rate_rows(*sizes, 3, by_tokens)
    assert time["right"]
    assert not kept(memory)
    assert "MISSED" in line(memory)


@pytest.mark.parametrize(("accuracy", "step", "right"), [(0.95, 5, True), (0.5, 5, False), (None, 5, False), (0.95, 4, False)])
def test_a_training_that_learns_nothing_or_stops_is_wrong(monkeypatch, accuracy, step, right):
    training = SimpleNamespace(step=step, session_seconds=0.5)
    found = SimpleNamespace(training=training, test_accuracy=accuracy, parameters=100)
    monkeypatch.setattr(speed, "train_images", lambda *_, **__: found)
    monkeypatch.setattr(speed, "forward_products", lambda *_: rate_products(12, 256, 2, 4))
    rate, of_limit = speed.training_rows(5, 1, {"dim": 8, "depth": 1, "heads": 2})
    assert rate["found"] == 2 * step
    assert of_limit["found"] > 0
    assert kept(rate) == right


def test_the_limit_is_what_the_network_multiplies(model):
    limit = forward_products(model.architecture, 2)
    # In a layer four products with d × d matrices and two of the heads; the patches, and the head of the class token.
    expected = 2 * 2 * (2 * (4 * 17 * 64 + 2 * 17 * 17 * 8) + 16 * 16 * 8 + 8 * 3)
    assert limit.flops == expected
    counted = limit.program.lower(*limit.operands).compile().cost_analysis()
    assert counted["flops"] == pytest.approx(expected, rel=0.02)
    _, tokens, heads, gram, _ = limit.run()
    np.testing.assert_allclose(np.linalg.norm(tokens), np.linalg.norm(limit.operands[2]), rtol=1e-5)
    np.testing.assert_allclose(heads, limit.operands[4], atol=1e-5)
    np.testing.assert_allclose(gram, limit.operands[5], atol=1e-5)
    assert rate_products(12, 256, 2, 4).flops == 2 * 2 * 256 * (2 * 12 * 4 + 2 * 4 * 4)
    for switches in ({"attention": "mhsa"}, {"head_dim": 2}):
        with pytest.raises(InputError, match="architecture: the "):
            forward_products(model.architecture.replace(**switches), 2)


def test_goals_and_the_file(tmp_path, monkeypatch, capsys):
    reached = speed.row("x", Quartiles(0.7, 0.9, 1.0), least=0.8)
    for rows, expected in (([reached], 0), ([{**reached, "least": 0.95}], 1), ([{**reached, "right": False}], 1)):
        monkeypatch.setattr(speed, "measure", lambda rounds, rows=rows: rows)
        assert speed.main([str(tmp_path / "figures.json")]) == expected
    assert json.loads((tmp_path / "figures.json").read_text())["figures"][0]["found"]["median"] == 0.9
    assert "jax" in capsys.readouterr().out
    assert not kept(speed.row("y", 2.0, most=1.0))
