"""The verdicts on a fit: by which points, and what a few of them can and cannot decide."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from mcr2_landscape.flatnet import BuildOptions, Stop, fit_network
from mcr2_landscape.verdict import Verdict

from .points import CAP, SINE, UNIT


def test_points_held_back_are_seen_by_nothing_but_the_verdict():
    """Wherever they are moved to, layers, dimension, ridge and decoder keep their bits."""
    points, options = CAP.points[:80].copy(), BuildOptions(max_iterations=6)
    first = fit_network(points, key=0, options=options, validation_fraction=0.2)
    assert len(first.validation) == first.report.num_held_out == 16
    assert first.report.data.samples == 64
    np.testing.assert_allclose(first.codes, first.network.encode_rows(points), atol=1e-13)
    points[first.validation] += np.random.default_rng(0).standard_normal((16, 3))
    moved = fit_network(points, key=0, options=options, validation_fraction=0.2)
    np.testing.assert_array_equal(moved.validation, first.validation)
    for one, other in zip(jax.tree.leaves(first.network), jax.tree.leaves(moved.network), strict=True):
        np.testing.assert_array_equal(one, other)
    same = ("left_out_error", "ridge", "dimension", "neighborhoods", "error")
    assert all(getattr(first.report, name) == getattr(moved.report, name) for name in same)
    assert first.report.held_out_error < 0.01 < moved.report.held_out_error
    assert first.report.held_out_tail < moved.report.held_out_tail
    # Planted: a point that the fit does see.
    points[np.setdiff1d(np.arange(80), first.validation)[0]] += 0.01
    seen = fit_network(points, key=0, options=options, validation_fraction=0.2).network
    assert np.abs(seen.decoder.stacked.coefficients[0] - first.network.decoder.stacked.coefficients[0]).max() > 1e-6


def test_no_copy_of_a_point_held_back_is_fitted_and_enough_are_left():
    points = np.repeat(CAP.points[:20], 3, axis=0)
    found = fit_network(points, 2, key=0, options=BuildOptions(max_iterations=2), validation_fraction=0.5)
    assert len(found.validation) == 30
    others = np.delete(points, found.validation, axis=0)
    assert not (points[found.validation][:, None] == others[None]).all(axis=2).any()
    few = fit_network(np.eye(4), 3, key=0, validation_fraction=0.9)
    assert (len(few.validation), few.report.num_held_out, few.report.held_out_error) == (0, 0, None)


def test_held_out_points_off_the_plane_are_not_flat():
    """The layers see no direction that the points fitted do not reach; the verdict does."""
    points, later = (np.column_stack([x, np.zeros(len(x))]) for x in (SINE.points, SINE.held_out))
    inside = fit_network(points, 1, key=0, held_out=later).report
    assert inside.data.span == 2
    assert inside.flat is inside.verdict is Verdict.HOLDS
    later[:, 2] = 0.1 * np.random.default_rng(0).standard_normal(len(later))
    report = fit_network(points, 1, key=0, held_out=later).report
    assert report.flat is report.verdict is Verdict.REFUTED
    assert report.held_out_tail > 1e-4
    assert "held-out points are not as flat" in report.reasons[1]


def test_the_build_goes_on_until_the_verdict_can_be_that_of_flat_points():
    """However little the options ask for."""
    report = fit_network(SINE.points, 1, key=0, options=BuildOptions(flatness=0.5)).report
    assert report.flat is Verdict.HOLDS
    assert report.stop is Stop.FLAT
    assert report.tail <= 1e-7


def test_decoding_holds_only_where_other_points_say_so():
    """Not on those that were fitted, nor with as many coefficients as points."""
    report = fit_network(SINE.points, 1, key=0, refit=False, tolerance=0.5).report
    assert report.error < 0.5
    assert report.decodable is report.verdict is Verdict.UNDECIDED
    assert any("no points but those fitted" in reason for reason in report.reasons)
    assert fit_network(SINE.points, 1, key=0, refit=False, tolerance=1e-3).report.decodable is Verdict.REFUTED
    few = np.random.default_rng(0).standard_normal((9, 4))  # ten features
    report = fit_network(few, 3, key=0).report
    assert report.verdict is not Verdict.HOLDS
    assert (report.stop, report.num_layers) == (Stop.STARVED, 0)
    assert "no radius covers more points than the 10 coefficients of a quadratic over 3 dimensions" in report.reasons[0]
    # Ten points lie in some plane of nine dimensions, which says nothing of others.
    few = fit_network(np.random.default_rng(0).standard_normal((10, 20)), 9, key=0).report
    assert (few.num_layers, few.flat) == (0, Verdict.HOLDS)
    assert few.decodable is Verdict.REFUTED
    line = np.outer(np.arange(20.0), [1, 2])
    assert fit_network(line, key=0).report.verdict is Verdict.HOLDS


def test_a_few_held_out_points_decide_nothing_alone():
    """Twelve points of a cap are too few to decode others; one that lies well would say otherwise."""
    points = UNIT[:12]
    few, many = (fit_network(points, 2, key=0, tolerance=1e-3, held_out=points[[0] * count]).report for count in (9, 10))
    assert few.flat is many.flat is Verdict.HOLDS
    assert few.held_out_error < 1e-3 < few.left_out_error
    assert few.decodable is few.verdict is Verdict.REFUTED
    assert "on points left out of the refit" in few.reasons[-1]
    assert many.decodable is Verdict.HOLDS


@pytest.mark.parametrize("count", [1, 9, 10])
@pytest.mark.parametrize("refit", [False, True])
def test_a_few_held_out_points_refute_nothing_and_carry_nothing_alone(refit, count):
    """Neither where they are decoded well nor where they are not: without a refit there are no others."""
    near, off, lucky = SINE.held_out[:count], SINE.held_out[:count] + np.array([0, 9.0]), SINE.held_out[[58] * count]
    ways = {"key": 0, "refit": refit, "flatness": 1e3, "options": BuildOptions(flatness=0.5)}  # the sine's own plane
    good, bad = (fit_network(SINE.points, 1, tolerance=0.5, held_out=later, **ways).report for later in (near, off))
    assert good.flat is bad.flat is Verdict.HOLDS
    assert max(good.error, good.held_out_error) < 0.5 < bad.held_out_error
    assert good.decodable is (Verdict.HOLDS if refit or count == 10 else Verdict.UNDECIDED)
    assert bad.decodable is bad.verdict is (Verdict.REFUTED if count == 10 else Verdict.UNDECIDED)
    assert bad.judged_error == bad.held_out_error
    assert "on held-out points" in bad.reasons[-1]
    if good.decodable is Verdict.UNDECIDED:
        assert f"no points but those fitted and {count} held out; hold ten or more back" in good.reasons[-1]
    if count < 10:
        assert "fewer than 10 held-out points decide nothing: hold more back" in bad.reasons[-1]
    # Many points that are decoded badly do decide, whatever a few others say.
    report = fit_network(SINE.points, 1, tolerance=0.01, held_out=lucky, **ways).report
    assert report.held_out_error < 0.01 < min(report.error, report.left_out_error or 1)
    assert report.decodable is (Verdict.HOLDS if count == 10 else Verdict.REFUTED)
