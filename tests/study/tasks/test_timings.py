"""The tasks that measure time: what they measure is right, or they raise; how fast it is, is no matter here."""

from __future__ import annotations

import numpy as np
import pytest

from mcr2_landscape.bench import measure, oracle
from mcr2_landscape.bench.limits import flops_of
from mcr2_landscape.bench.points import make_point, make_problem
from mcr2_landscape.landscape import inertia
from mcr2_landscape.study.tasks import game_times as games
from mcr2_landscape.study.tasks.game_times import game_times
from mcr2_landscape.study.tasks.inertia_times import inertia_times
from mcr2_landscape.study.tasks.product_times import product_times
from mcr2_landscape.study.tasks.timings import WrongResult, spreads
from mcr2_landscape.validation import InputError

pytestmark = pytest.mark.timeout(120)
SHAPE = {"dim": 8, "samples": 16, "classes": 2}


def check_spreads(row, *names):
    for name in names:
        low, middle, high = (getattr(row, f"{name}_{word}") for word in ("low", "middle", "high"))
        assert 0 < low <= middle <= high


def test_spreads_are_those_of_the_calls(monkeypatch):
    from mcr2_landscape.bench import timing

    monkeypatch.setattr(timing, "in_turns", lambda calls, rounds, seconds, clock: {"a": [3.0, 1.0, 2.0, 8.0]})
    assert spreads({"a": lambda: None}, 4) == {"a_low": 1.0, "a_middle": 2.5, "a_high": 8.0}


def test_a_product():
    row = product_times(**SHAPE, point="generic", rounds=3, seed=0)
    assert (row.form, row.unknowns, row.moved, row.repeats) == ("fused", 128, 3 * 128 * 8, 3)
    assert row.difference < 1e-12
    problem = make_problem(*SHAPE.values())
    with measure.jax.enable_x64(True):
        H = problem.hessian(measure.jnp.asarray(make_point(problem, "generic", 0)))
    assert row.flops == H.flops
    assert row.flop_rate > 1e6
    assert row.copy_rate > 1e6
    check_spreads(row, "product", "limit")
    assert flops_of([]) == 0


def test_a_wrong_product_is_an_error(monkeypatch):
    whole = oracle.Oracle.product
    monkeypatch.setattr(oracle.Oracle, "product", lambda self, D: whole(self, D) * (1 + 1e-9))
    with pytest.raises(WrongResult, match=r"fused product is off by 1\.0e-09"):
        product_times(**SHAPE, point="generic", rounds=1, seed=0)


def test_an_inertia():
    row = inertia_times(**SHAPE, dense_limit=200, rounds=3, seed=0)
    problem = make_problem(*SHAPE.values())
    counts = inertia(problem, make_point(problem, "low-rank", 0)).inertia
    assert (row.positive, row.zero, row.negative) == (counts.positive, counts.zero, counts.negative)
    assert row.positive + row.zero + row.negative == row.unknowns == 128
    assert row.core == 4, "ranks of 1 and 1"
    assert row.peak is None or row.peak >= 8 * row.unknowns
    check_spreads(row, "inertia", "eigenvalues", "dense")
    beyond = inertia_times(**SHAPE, point="critical", dense_limit=100, rounds=1, seed=0)
    assert (beyond.dense_low, beyond.dense_middle, beyond.dense_high) == (None, None, None)
    assert beyond.zero > 0


def test_a_wrong_inertia_is_an_error(monkeypatch):
    trace = oracle.Oracle.trace
    monkeypatch.setattr(oracle.Oracle, "trace", lambda self: trace(self) * (1 + 1e-9))
    with pytest.raises(WrongResult, match="of 128 are wrong or undecided"):
        inertia_times(**SHAPE, rounds=1, seed=0)


def test_a_wrong_inertia_at_a_critical_point_is_an_error(monkeypatch):
    from mcr2_landscape.bench import measure

    counted = measure.inertia

    def another_theory(problem, Z, *, theory=True):
        return counted(problem, np.zeros_like(Z) if theory else Z, theory=theory)

    monkeypatch.setattr(measure, "inertia", another_theory)
    with pytest.raises(WrongResult, match="of 128 are wrong or undecided"):
        inertia_times(**SHAPE, point="critical", rounds=1, seed=0)


def test_an_inertia_that_the_dense_hessian_contradicts_is_an_error(monkeypatch):
    from mcr2_landscape.mcr2 import MCR2

    dense = MCR2.hessian_matrix
    monkeypatch.setattr(MCR2, "hessian_matrix", lambda self, Z: -np.asarray(dense(self, Z)))
    with pytest.raises(WrongResult, match="the dense Hessian has"):
        inertia_times(**SHAPE, rounds=1, seed=0)


@pytest.mark.parametrize("form", ["counts", "tables"])
@pytest.mark.parametrize("common_interest", [True, False])
def test_a_game(form, common_interest):
    row = game_times(num_players=3, form=form, common_interest=common_interest, rounds=3, seed=1)
    assert row.entries == 4 * 2**3 * (3 + 4)
    assert row.difference < 1e-13
    assert row.repeats == 3
    check_spreads(row, "value", "q", "response")


def test_a_wrong_game_is_an_error(monkeypatch):
    found = games.evaluation_error
    monkeypatch.setattr(
        games, "evaluation_error", lambda game, policy, player, q, gain: found(game, policy, player, q, 2 * gain)
    )
    with pytest.raises(WrongResult, match="of 3 players by counts are off by"):
        game_times(num_players=3, rounds=1, seed=1)


def test_mistakes():
    for call, says in (
        (lambda: product_times(dim=1, samples=16, classes=2, point="generic", seed=0), "sizes: found this"),
        (lambda: product_times(**SHAPE, point="generic", rounds=0, seed=0), "rounds, seconds: found 0"),
        (lambda: inertia_times(dim=8, samples=1, classes=2, seed=0), "sizes: found this"),
        (lambda: game_times(num_players=1, seed=0), "num_players: found 1"),
        (lambda: game_times(num_players=2, rounds=0, seed=0), "rounds: found 0"),
    ):
        with pytest.raises(InputError, match=says):
            call()
