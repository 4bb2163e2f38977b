"""Ascent: never below the start, to the tolerance, to local maximizers, with every evaluation counted."""

import collections
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mcr2_landscape as ml
from mcr2_landscape.operators import SymmetricOperator
from mcr2_landscape.testing import ZOO, seeds

METHODS = ("barzilai-borwein", "newton-cg")
PROBLEM = ml.MCR2(4, (5, 3, 2), 0.5, 0.2)
LIMIT = PROBLEM.regularization_limit
SPHERES = ml.ConstrainedMCR2(4, (5, 3, 2), 0.5)


@pytest.mark.parametrize("method", METHODS)
@given(seed=seeds(), fraction=st.sampled_from((0.01, 0.1, 0.5, 0.9)), suited=st.booleans())
@settings(max_examples=15)
def test_ascent_climbs_to_a_local_maximizer_below_the_global_one(method, seed, fraction, suited):
    problem = ml.MCR2(4, (5, 3, 2), 0.5, fraction * LIMIT)
    start = problem.random_starts(seed, 1)[0] if suited else np.random.default_rng(seed).standard_normal(problem.shape)
    result = ml.ascend(problem, start, rtol=1e-12, method=method)
    assert result.converged, result.reason
    assert result.relative_gradient_norm <= 2e-12
    values = result.history["value"]
    assert (values >= values[0] - 1e-13 * (1 + abs(values[0]))).all()
    assert result.value <= problem.global_maximum().value + 1e-12
    end = ml.classify(problem, result.point)
    assert end.kind is ml.Kind.LOCAL_MAXIMIZER
    # The numerical ranks are those of the family.
    assert problem.orthogonal_family(result.ranks).value == pytest.approx(result.value, abs=1e-10)


class _Counted(SymmetricOperator):
    inner: SymmetricOperator
    factor: Any

    shape = property(lambda self: self.inner.shape)
    dtype = property(lambda self: self.inner.dtype)
    form = property(lambda self: "counted")

    def product(self, D):
        jax.debug.callback(COUNT, "product")
        return self.factor * self.inner.product(D)


CALLS = collections.Counter()


def COUNT(name):
    CALLS[name] += 1


class Instrumented(eqx.Module):
    """Another landscape, with calls counted: its gradient plus `offset` (on the host, plus `host_offset`), its Hessian times
    `factor`. These are traced: one compilation for all tests."""

    inner: Any
    offset: Any
    factor: Any
    host_offset: Any

    def __init__(self, inner, *, offset=0.0, factor=1.0, host_offset=0.0):
        self.inner, self.offset, self.factor, self.host_offset = (
            inner,
            np.array(offset),
            np.array(factor),
            np.array(host_offset),
        )

    minimize = property(lambda self: self.inner.minimize)
    constraint = property(lambda self: self.inner.constraint)
    shape = property(lambda self: self.inner.shape)

    def value(self, Z):
        jax.debug.callback(COUNT, "value")
        return self.inner.value(Z)

    def gradient(self, Z):
        jax.debug.callback(COUNT, "gradient")
        return self.inner.gradient(Z) + self.offset

    def hessian(self, Z):
        return _Counted(self.inner.hessian(Z), self.factor)

    def gradient_scale(self, Z):
        return self.inner.gradient_scale(Z)

    def evaluate(self, Z):
        value, gradient, scale = self.inner.evaluate(Z)
        return value, gradient + self.host_offset, scale

    def hessian_matrix(self, Z):
        return self.inner.hessian_matrix(Z)

    def orbit_tangent(self, Z):
        return self.inner.orbit_tangent(Z)

    def invariants(self, Z):
        return self.inner.invariants(Z)


START = np.random.default_rng(3).standard_normal(PROBLEM.shape)


@pytest.mark.parametrize("method", METHODS)
def test_every_evaluation_is_counted(method):
    CALLS.clear()
    result = ml.ascend(Instrumented(PROBLEM), START, rtol=1e-11, method=method)
    jax.effects_barrier()
    assert result.converged, result.reason
    assert (CALLS["gradient"], CALLS["product"]) == (result.num_gradients, result.num_products)
    assert CALLS["value"] == result.num_gradients
    assert result.gradient_equivalents == result.num_gradients + 2 * result.num_products
    assert (result.num_products > 0) == (method == "newton-cg")
    history = result.history
    assert (history["gradients"][-1], history["products"][-1]) == (result.num_gradients, result.num_products)
    assert result.to_dict()["gradient_equivalents"] == result.gradient_equivalents
    assert result.ranks is None  # this landscape does not say what its classes are


@pytest.mark.parametrize("method", METHODS)
def test_a_wrong_gradient_is_noticed(method):
    result = ml.ascend(Instrumented(PROBLEM, offset=1e-2), START, method=method)
    assert not result.converged
    assert "the value did not" in result.reason
    assert "check_derivatives" in result.reason
    assert result.relative_gradient_norm > 1e-4


@pytest.mark.parametrize("factor", [-1.0, 4.0])
def test_a_wrong_hessian_is_noticed(factor):
    result = ml.ascend(Instrumented(PROBLEM, factor=factor), START, method="newton-cg", rtol=1e-12)
    assert not result.converged
    assert "did not change as the Hessian's products say" in result.reason


@pytest.mark.parametrize("method", METHODS)
def test_two_gradients_that_differ_are_noticed(method):
    """The last word has the gradient that is evaluated on the host."""
    result = ml.ascend(Instrumented(PROBLEM, host_offset=1e-3), START, method=method)
    assert not result.converged
    assert "two gradients differ" in result.reason


@pytest.mark.parametrize("method", METHODS)
@given(seed=seeds())
@settings(max_examples=6)
def test_ascent_on_spheres(method, seed):
    start = SPHERES.random_starts(seed, 1)[0]
    result = ml.ascend(SPHERES, start, rtol=1e-12, method=method)
    assert result.converged, result.reason
    for block, size in zip(SPHERES.parameters.blocks(result.point), SPHERES.sizes, strict=True):
        assert np.linalg.norm(block) ** 2 == pytest.approx(size, rel=1e-13)
    assert result.value >= SPHERES.evaluate(start)[0] - 1e-12
    assert len(result.ranks) == 3


@pytest.mark.parametrize("method", METHODS)
def test_small_lambda_costs_about_as_much_as_a_large_one(method):
    """The metric takes the condition out: without it some hundreds to thousands of gradients at lambda_max/100."""
    costs = {}
    for fraction in (0.5, 0.01):
        problem = ml.MCR2(4, (5, 3, 2), 0.5, fraction * LIMIT)
        starts = [np.random.default_rng(seed).standard_normal(problem.shape) for seed in range(8)]
        results = [ml.ascend(problem, start, rtol=1e-12, method=method) for start in starts]
        assert all(result.converged for result in results)
        costs[fraction] = np.median([result.gradient_equivalents for result in results])
    assert max(costs.values()) <= 100
    assert costs[0.01] <= 3 * costs[0.5]


@pytest.mark.parametrize("method", METHODS)
def test_another_regularization_and_another_start_compile_nothing(method):
    from mcr2_landscape.landscape import barzilai_borwein, newton_cg

    def run(fraction, seed):
        problem = ml.MCR2(4, (5, 3, 2), 0.5, fraction * LIMIT)
        return ml.ascend(problem, problem.random_starts(seed, 1)[0], method=method)

    run(0.3, 0)
    programs = (barzilai_borwein.begin, barzilai_borwein.climb, newton_cg.begin, newton_cg.climb)
    sizes = [program._cache_size() for program in programs]
    first = run(0.02, 1)
    assert [program._cache_size() for program in programs] == sizes
    np.testing.assert_array_equal(first.point, run(0.02, 1).point)


@pytest.mark.parametrize("method", METHODS)
def test_interruption_returns_what_was_reached(method):
    def stop(done, total, good):
        if done > 8:
            raise KeyboardInterrupt

    result = ml.ascend(PROBLEM, START, method=method, progress=stop)
    assert result.interrupted
    assert (result.converged, result.reason) == (False, "interrupted")
    assert result.value > PROBLEM.evaluate(START)[0]
    assert {len(column) for column in result.history.values()} == {len(result.history["value"])}


def test_bad_input():
    with pytest.raises(ml.InputError, match="method: found 'adam'; pass one of 'barzilai-borwein', 'newton-cg'"):
        ml.ascend(PROBLEM, START, method="adam")
    with pytest.raises(ml.InputError, match="rtol: found 0"):
        ml.ascend(PROBLEM, START, rtol=0)
    with pytest.raises(ml.InputError, match="max_steps"):
        ml.ascend(PROBLEM, START, max_steps=0)
    with pytest.raises(ml.InputError, match="float32"):
        ml.ascend(PROBLEM, START.astype(np.float32))


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


@pytest.mark.parametrize("method", METHODS)
def test_ascent_keeps_row_spaces(method):
    start = np.random.default_rng(0).standard_normal(PROBLEM.shape)
    end = ml.ascend(PROBLEM, start, method=method).point
    for a, b in zip(PROBLEM.parameters.blocks(start), PROBLEM.parameters.blocks(end), strict=True):
        assert np.linalg.matrix_rank(np.vstack([a, b]), tol=1e-7) <= np.linalg.matrix_rank(a, tol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_small_starts_collapse_to_zero(method):
    start = 1e-3 * np.random.default_rng(0).standard_normal(PROBLEM.shape)
    end = ml.ascend(PROBLEM, start, method=method)
    assert end.converged, end.reason
    assert np.linalg.norm(end.point) < 1e-6
    assert abs(end.value) < 1e-10
    assert end.ranks == (0, 0, 0)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("specimen", ZOO[:3], ids=lambda specimen: specimen.name)
def test_zoo(specimen, method):
    landscape = specimen.make()
    for start in landscape.random_starts(5, 5):
        end = ml.ascend(landscape, start, rtol=1e-12, method=method)
        assert end.converged, end.reason
        assert end.relative_gradient_norm <= 2e-12
        assert ml.classify(landscape, end.point).index == 0


@pytest.mark.parametrize("method", METHODS)
def test_budget(method):
    short = ml.ascend(PROBLEM, START, max_steps=3, method=method)
    assert not short.converged
    assert "gradients spent" in short.reason
    assert short.num_gradients == 3
    for most in (20, 40):  # a step's last trial may go beyond
        assert ml.ascend(PROBLEM, START, max_steps=most, rtol=1e-14, method=method).gradient_equivalents <= most + 2


def test_an_unbounded_landscape_is_refused():
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
    np.testing.assert_allclose(history["widths"][-1], np.linalg.norm(result.point, axis=0), rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(result.point, ml.ascend(wide, start).point)
    with pytest.raises(ml.InputError, match="measure: found the name 'value'"):
        ml.ascend(wide, start, measure={"value": np.sum})
