"""What a search must find, must not return, and how it ends."""

import importlib
import itertools
import json

import jax.numpy as jnp
import numpy as np
import pytest

import mcr2_landscape as ml
from mcr2_landscape.landscape import distinct, solver
from mcr2_landscape.testing import ZOO


def problem_at(dim, sizes, epsilon, fraction):
    limit = ml.MCR2(dim, sizes, epsilon, 1.0).regularization_limit
    return ml.MCR2(dim, sizes, epsilon, fraction * limit)


def test_three_equal_classes():
    """d = 3, sizes 2, 2, 2, eps = ½, lambda = 0.4 lambda_max: at least 85% converge, at least 65 families, 6 not orthogonal."""
    problem = problem_at(3, (2, 2, 2), 0.5, 0.4)
    result = ml.find_critical_points(problem, key=0, num_starts=500)
    assert result.num_converged >= 0.85 * 500
    assert result.num_converged + sum(result.unconverged.values()) == 500
    assert len(set(result.families)) == len(result.distinct) >= 65
    orthogonal = {family.label for family in problem.catalog(fusion=False)}
    assert sum(family not in orthogonal for family in result.families) >= 6
    assert result.unlisted == ()
    assert all(point.relative_gradient_norm <= 1e-12 for point in result.distinct)
    assert all(point.kind is not ml.Kind.UNDECIDED for point in result.distinct)
    json.dumps(result.to_dict(), allow_nan=False)


def test_two_thousand_starts_find_every_orthogonal_family():
    problem = problem_at(3, (2, 2, 2), 0.5, 0.4)
    result = ml.find_critical_points(problem, key=1, num_starts=2000)
    missing = {family.label for family in problem.catalog(fusion=False)} - set(result.families)
    assert not missing


def test_two_classes_have_orthogonal_families_only():
    problem = problem_at(4, (2, 5), 0.7, 0.3)
    result = ml.find_critical_points(problem, key=0, num_starts=300)
    orthogonal = {family.label for family in problem.catalog()}
    assert set(result.families) <= orthogonal
    assert len(result.distinct) > 10
    top = problem.global_maximum()
    assert result.distinct[0].value <= top.value + 1e-12
    assert result.distinct[0].value == pytest.approx(top.value, rel=1e-10)


def test_above_the_last_threshold_only_zero_is_left():
    problem = ml.MCR2(3, (2, 2, 2), 0.5, 1.01 * ml.MCR2(3, (2, 2, 2), 0.5, 1.0).thresholds().existence.max())
    result = ml.find_critical_points(problem, key=0, num_starts=100)
    assert [point.family for point in result.distinct] == ["zero"]


def test_the_same_key_gives_the_same_result():
    problem = problem_at(3, (2, 2, 2), 0.5, 0.4)
    first, second = (ml.find_critical_points(problem, key=3, num_starts=60) for _ in range(2))
    assert [point.value for point in first.distinct] == [point.value for point in second.distinct]
    assert [point.count for point in first.distinct] == [point.count for point in second.distinct]


@pytest.mark.parametrize("specimen", [s for s in ZOO if s.orbits], ids=lambda specimen: specimen.name)
def test_zoo(specimen):
    result = ml.find_critical_points(specimen.make(), key=0, num_starts=200)
    assert len(result.distinct) == specimen.orbits


def test_a_stall_is_reported_and_never_returned():
    """z³ + z has no critical point: every start stalls at the inflection, where ‖∇f‖ is least."""
    landscape = ml.Landscape.from_function(lambda z: jnp.sum(z**3 + z), example=np.ones(1))
    result = ml.find_critical_points(landscape, key=0, num_starts=20, max_kicks=1)
    assert result.distinct == ()
    assert result.num_converged == 0
    assert sum(result.unconverged.values()) == 20


def test_interruption_keeps_what_was_found(monkeypatch):
    problem = problem_at(3, (2, 2, 2), 0.5, 0.4)
    calls = itertools.count()
    advance = solver.advance

    def interrupted(*arguments):
        if next(calls) == 3:
            raise KeyboardInterrupt
        return advance(*arguments)

    monkeypatch.setattr(solver, "advance", interrupted)
    result = ml.find_critical_points(problem, key=0, num_starts=500)
    assert result.interrupted
    assert 0 < result.num_converged < 500
    assert result.unconverged["interrupted"] > 0
    assert result.num_converged + sum(result.unconverged.values()) == 500


@pytest.mark.parametrize("name", ["_polish", "classify"])
def test_interruption_after_the_search_keeps_what_is_done(monkeypatch, name):
    module = importlib.import_module("mcr2_landscape.landscape.search")
    calls, original = itertools.count(), getattr(module, name)

    def interrupted(*arguments):
        if next(calls) == 5:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(module, name, interrupted)
    result = ml.find_critical_points(problem_at(3, (2, 2, 2), 0.5, 0.4), key=0, num_starts=60)
    assert result.interrupted
    assert 0 < len(result.distinct) <= 5


def test_the_result_does_not_depend_on_the_clock(monkeypatch):
    module = importlib.import_module("mcr2_landscape.landscape.search")
    problem = problem_at(3, (2, 2, 2), 0.5, 0.4)
    results = []
    for tick in (0.001, 2.0):
        ticks = itertools.count()
        monkeypatch.setattr(module.time, "perf_counter", lambda ticks=ticks, tick=tick: tick * next(ticks))
        results.append(ml.find_critical_points(problem, key=0, num_starts=300))
    first, second = results
    assert [point.count for point in first.distinct] == [point.count for point in second.distinct]
    assert all(np.array_equal(a.point, b.point) for a, b in zip(first.distinct, second.distinct, strict=True))


def test_progress_is_told():
    seen = []
    problem = problem_at(3, (2, 2, 2), 0.5, 0.4)
    ml.find_critical_points(problem, key=0, num_starts=50, progress=lambda *numbers: seen.append(numbers))
    assert seen[-1][:2] == (50, 50)
    assert [done for done, _, _ in seen] == sorted(done for done, _, _ in seen)


def test_merging_tells_small_singular_values_from_zero():
    rows = [np.array([1e4, 1e-4]), np.array([1e4, 0.0]), np.array([1e4 * (1 + 1e-9), 1e-4]), np.array([1e4, 1.1e-4])]
    assert distinct.group(rows, [0.0] * 4) == [[0, 2], [1], [3]]
    assert distinct.group([np.ones(2), np.ones(2)], [0.0, 1e-3]) == [[0], [1]]


def test_starts_can_be_given_and_wide_classes_are_compressed():
    problem = problem_at(2, (5, 4), 0.5, 0.4)
    family = problem.orthogonal_family(large=(1, 1))
    near = family.point(key=0) + 1e-3 * np.random.default_rng(0).standard_normal(problem.shape)
    result = ml.find_critical_points(problem, key=0, starts=near[None])
    assert result.num_starts == 1
    assert result.families == (family.label,)
    assert result.distinct[0].point.shape == problem.shape


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"key": None}, "key: found NoneType"),
        ({"key": 0, "num_starts": 0}, "num_starts: found 0"),
        ({"key": 0, "rtol": -1.0}, "rtol: found -1"),
        ({"key": 0, "starts": np.ones((2, 3, 3))}, r"starts: found shape"),
        ({"key": 0, "starts": np.ones((0, 3, 6))}, r"starts: found none"),
        ({"key": 0, "max_kicks": -1}, "max_kicks: found -1"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ml.InputError, match=message):
        ml.find_critical_points(ml.MCR2(3, (2, 2, 2), 0.5, 0.1), **options)


def test_a_problem_too_large_is_refused_with_the_alternative():
    with pytest.raises(ml.InputError, match=r"unknowns, beyond .* ascend"):
        ml.find_critical_points(ml.MCR2(100, (50, 50), 0.5, 0.1), key=0)
