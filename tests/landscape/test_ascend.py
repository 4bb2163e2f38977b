"""Ascent: never down, to the tolerance, to local maximizers."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

import mcr2_landscape as ml
from mcr2_landscape.testing import ZOO, seeds

PROBLEM = ml.MCR2(4, (5, 3, 2), 0.5, 0.2)


@given(seed=seeds())
@settings(max_examples=15)
def test_ascent_climbs_to_a_local_maximizer_below_the_global_one(seed):
    start = np.random.default_rng(seed).standard_normal(PROBLEM.shape)
    result = ml.ascend(PROBLEM, start, rtol=1e-12)
    assert result.converged, result.reason
    assert result.relative_gradient_norm <= 2e-12
    values = result.history["value"]
    assert (np.diff(values) >= -1e-13 * (1 + np.abs(values[1:]))).all()
    assert ml.classify(PROBLEM, result.point).kind is ml.Kind.LOCAL_MAXIMIZER
    assert result.value <= PROBLEM.global_maximum().value + 1e-12


@given(seed=seeds())
@settings(max_examples=10)
def test_the_bounded_step_never_lowers_the_value(seed):
    """Plain ascent with step 1/((9/8) alpha + lambda), from the curvature bound."""
    Z = np.random.default_rng(seed).standard_normal(PROBLEM.shape)
    before = PROBLEM.evaluate(Z)[0]
    for _ in range(30):
        Z = Z + PROBLEM.evaluate(Z)[1] / PROBLEM.curvature_scale()
        after = PROBLEM.evaluate(Z)[0]
        assert after >= before - 1e-14
        before = after


def test_ascent_keeps_row_spaces():
    start = np.random.default_rng(0).standard_normal(PROBLEM.shape)
    end = ml.ascend(PROBLEM, start).point
    for a, b in zip(PROBLEM.parameters.blocks(start), PROBLEM.parameters.blocks(end), strict=True):
        assert np.linalg.matrix_rank(np.vstack([a, b]), tol=1e-7) <= np.linalg.matrix_rank(a, tol=1e-9)


def test_small_starts_collapse_to_zero():
    start = 1e-3 * np.random.default_rng(0).standard_normal(PROBLEM.shape)
    end = ml.ascend(PROBLEM, start)
    assert np.linalg.norm(end.point) < 1e-6
    assert abs(end.value) < 1e-10


@pytest.mark.parametrize("specimen", ZOO[:3], ids=lambda specimen: specimen.name)
def test_zoo(specimen):
    landscape = specimen.make()
    start = landscape.random_starts(5, 1)[0]
    end = ml.ascend(landscape, start, rtol=1e-10)
    assert end.converged, end.reason
    assert ml.classify(landscape, end.point).index == 0


def test_budget_and_unbounded_landscapes():
    start = np.random.default_rng(0).standard_normal(PROBLEM.shape)
    short = ml.ascend(PROBLEM, start, max_steps=3)
    assert not short.converged
    assert "gradients spent" in short.reason
    runaway = ml.Landscape.from_function(lambda z: jnp.sum(jnp.exp(z)), example=np.ones(2))
    with pytest.raises(ml.InputError, match="stops being finite"):
        ml.ascend(runaway, np.ones(2))


def test_the_history_is_dense_at_the_beginning():
    start = np.random.default_rng(1).standard_normal(PROBLEM.shape)
    gradients = ml.ascend(PROBLEM, start).history["gradients"]
    assert (np.diff(gradients[:10]) == 1).all()


def test_a_start_far_out_shrinks_to_a_maximizer_instead_of_jumping_to_zero():
    top = PROBLEM.global_maximum()
    end = ml.ascend(PROBLEM, 1000 * top.family.point(key=0))
    assert end.converged
    assert end.value == pytest.approx(top.value, rel=1e-9)


def test_what_is_measured_on_the_way_is_measured_at_the_recorded_points_of_the_whole_landscape():
    wide = ml.MCR2(2, (5, 3), 0.5, 0.2)  # climbs in two columns a class
    start = np.random.default_rng(2).standard_normal(wide.shape)
    seen = {"own": lambda Z: wide.evaluate(Z)[0], "widths": lambda Z: np.linalg.norm(Z, axis=0)}
    result = ml.ascend(wide, start, measure=seen)
    history = result.history
    assert history["widths"].shape == (history["gradients"].size, 8)
    np.testing.assert_allclose(history["own"], history["value"], atol=1e-13)
    np.testing.assert_allclose(history["widths"][0], np.linalg.norm(start, axis=0), rtol=1e-12)
    np.testing.assert_allclose(history["widths"][-1], np.linalg.norm(result.point, axis=0), rtol=1e-12)
    np.testing.assert_array_equal(result.point, ml.ascend(wide, start).point)
    with pytest.raises(ml.InputError, match="measure: found the name 'value'"):
        ml.ascend(wide, start, measure={"value": np.sum})
