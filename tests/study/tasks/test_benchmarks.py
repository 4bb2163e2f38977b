"""The benchmark scripts in experiments/ do what they measure, at small sizes. How fast that is, is no matter here."""

import jax
import pytest

from experiments import bookkeeping, training

pytestmark = pytest.mark.timeout(120)


@pytest.mark.slow  # a dozen interpreters start
def test_the_rows_behind_the_costs_of_a_study_are_right(tmp_path, monkeypatch):
    monkeypatch.setattr(bookkeeping, "ROUNDS", 1)
    monkeypatch.setattr(bookkeeping, "RECORDED", 2000)
    rows = bookkeeping.measure(2000, tmp_path)
    assert len(rows) == 14
    assert [row["what"] for row in rows if not row["right"]] == []


SHAPE = (64, 16, 1, 10, 96)


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(training, "STEPS", 20)
    monkeypatch.setattr(training, "ROUNDS", 1)
    monkeypatch.setattr(training, "SHAPES", (SHAPE,))
    # Programs run with standard promotion of types; the suite's is strict, in which optax does not.
    with jax.numpy_dtype_promotion("standard"):
        yield


def test_both_loops_end_at_the_same_parameters(few):
    (row,) = training.measure()
    assert row["right"]
    assert row["difference"] < 1e-5
    assert row["ratio"] == pytest.approx(row["steps_per_second"] / row["by_hand"])
    assert row["of_limit"] > 0


def test_in_bfloat16_the_peer_computes_in_bfloat16(few):
    model, data = training.problem(SHAPE)
    ours = training.ours(model, data, "bfloat16")()
    same, other = (training.by_hand(model, data, precision)() for precision in ("bfloat16", "float32"))
    assert training.apart(ours, same) < 1e-4 < training.apart(ours, other)
