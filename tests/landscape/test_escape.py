"""Escape: from every strict saddle up to a higher critical point that cannot be left, and refused from everything else."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mcr2_landscape as ml
from mcr2_landscape.landscape import Escape
from mcr2_landscape.testing import ZOO, seeds

SHAPE = (4, (2, 2, 2))
LIMIT = ml.MCR2(*SHAPE, 0.5, 1.0).regularization_limit
PROBLEMS = {fraction: ml.MCR2(*SHAPE, 0.5, fraction * LIMIT) for fraction in (0.01, 0.4)}
FAMILIES = {fraction: list(problem.catalog()) for fraction, problem in PROBLEMS.items()}
SADDLES = {fraction: [family for family in families if family.index > 0] for fraction, families in FAMILIES.items()}
MAXIMIZERS = [family for family in FAMILIES[0.4] if family.index == 0]


def assert_escaped(landscape, saddle: float, found: Escape) -> None:
    assert found.escaped, found.reason
    up = -1 if landscape.minimize else 1
    values = [saddle]
    for departure, climb in zip(found.departures, found.ascents, strict=True):
        assert departure.value == pytest.approx(values[-1], abs=1e-9)
        assert up * departure.curvature > departure.residual
        values += [departure.left_value, climb.value]
    assert (np.diff(up * np.array(values)) > 0).all(), values
    assert ml.classify(landscape, found.point).index == 0


@given(fraction=st.sampled_from(sorted(PROBLEMS)), pick=st.floats(0, 1, exclude_max=True), seed=seeds())
@settings(max_examples=20)
def test_every_constructed_strict_saddle_is_left(fraction, pick, seed):
    saddles = SADDLES[fraction]
    family = saddles[int(pick * len(saddles))]
    found = ml.escape(PROBLEMS[fraction], family.point(key=seed))
    assert_escaped(PROBLEMS[fraction], family.value, found)
    assert found.ranks is not None


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("fraction", sorted(PROBLEMS))
def test_all_constructed_strict_saddles_are_left(fraction):
    for family in SADDLES[fraction]:
        assert_escaped(PROBLEMS[fraction], family.value, ml.escape(PROBLEMS[fraction], family.point(key=1)))


@given(pick=st.floats(0, 1, exclude_max=True), seed=seeds())
@settings(max_examples=8)
def test_a_maximizer_is_not_left(pick, seed):
    family = MAXIMIZERS[int(pick * len(MAXIMIZERS))]
    Z = family.point(key=seed)
    found = ml.escape(PROBLEMS[0.4], Z)
    assert not found.escaped
    assert "no direction of escape" in found.reason
    np.testing.assert_array_equal(found.point, Z)
    assert found.departures == found.ascents == ()


@pytest.mark.parametrize("method", ["barzilai-borwein", "newton-cg"])
def test_ascent_from_a_saddle_stays_and_escape_does_not(method):
    problem, family = PROBLEMS[0.4], SADDLES[0.4][0]
    Z = family.point(key=0)
    assert ml.ascend(problem, Z, method=method).value == pytest.approx(family.value, abs=1e-12)
    found = ml.escape(problem, Z, method=method)
    assert_escaped(problem, family.value, found)
    assert found.num_products >= found.departures[0].num_products > 0
    assert found.num_gradients > sum(climb.num_gradients for climb in found.ascents)
    np.testing.assert_array_equal(found.point, ml.escape(problem, Z, method=method).point)


@pytest.mark.parametrize("specimen", ZOO[:4], ids=lambda specimen: specimen.name)
def test_zoo(specimen):
    landscape = specimen.make()
    for known in specimen.points:
        Z = np.array(known.point)
        found = ml.escape(landscape, Z)
        if known.kind is ml.Kind.STRICT_SADDLE:
            assert_escaped(landscape, landscape.evaluate(Z)[0], found)
        else:
            assert not found.escaped
            assert "no direction of escape" in found.reason


def test_on_spheres():
    """At a large epsilon a class gains by giving up a direction."""
    spheres = ml.ConstrainedMCR2(4, (2, 2), 2.0)
    Z = np.eye(4)
    found = ml.escape(spheres, Z)
    assert_escaped(spheres, spheres.evaluate(Z)[0], found)
    assert found.ranks == (1, 1)


def test_a_point_that_is_not_critical_is_refused_and_said():
    Z = np.random.default_rng(0).standard_normal(PROBLEMS[0.4].shape)
    found = ml.escape(PROBLEMS[0.4], Z)
    assert not found.escaped
    assert "not critical" in found.reason
    np.testing.assert_array_equal(found.point, Z)


def test_a_curvature_that_the_value_does_not_show_is_refused():
    """A landscape whose derivatives belong to another function."""

    @jax.custom_jvp
    def f(z):
        return -jnp.sum(z**2)

    f.defjvp(lambda primals, tangents: (f(primals[0]), 2 * jnp.sum(primals[0] * tangents[0])))
    landscape = ml.Landscape.from_function(f, example=np.ones(3))
    found = ml.escape(landscape, np.zeros(3))
    assert not found.escaped
    assert "does not change as that says" in found.reason


def test_interruption_and_bad_input():
    def stop(done, total, good):
        raise KeyboardInterrupt

    problem, Z = PROBLEMS[0.4], SADDLES[0.4][0].point(key=0)
    found = ml.escape(problem, Z, progress=stop)
    assert found.interrupted
    assert not found.escaped
    assert len(found.departures) == 1
    assert found.to_dict()["reason"] == "interrupted"
    with pytest.raises(ml.InputError, match="method: found 'sgd'"):
        ml.escape(problem, Z, method="sgd")
    with pytest.raises(ml.InputError, match="max_saddles"):
        ml.escape(problem, Z, max_saddles=0)
    with pytest.raises(ml.InputError, match="float32"):
        ml.escape(problem, Z.astype(np.float32))
