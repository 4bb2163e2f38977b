"""The theorems of docs/theory.md at points that a search finds, beside those that are constructed in tests/catalog."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mcr2_landscape as ml
from mcr2_landscape.testing import seeds

SHAPES = [(3, (2, 2, 2)), (4, (3, 4, 5)), (3, (1, 2, 4))]


def problem_at(dim, sizes, epsilon, fraction):
    limit = ml.MCR2(dim, sizes, epsilon, 1.0).thresholds().existence.max()
    return ml.MCR2(dim, sizes, epsilon, fraction * limit)


@pytest.mark.parametrize(("epsilon", "fraction"), [(0.5, 0.1), (0.5, 0.45), (1.3, 0.02)])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_found_point_is_listed_and_has_the_predicted_inertia(shape, epsilon, fraction):
    """T1 and its corollary: exact index and nullity at all points found, none of them outside the catalog, each a local
    maximizer (orthogonal, large roots) or a strict saddle."""
    problem = problem_at(*shape, epsilon, fraction)
    result = ml.find_critical_points(problem, key=0, num_starts=80)
    assert result.num_converged > 60
    for point in result.distinct:
        assert point.family is not None, "a critical point that theory does not list"
        family = problem.recognize(point.point).family
        assert (point.inertia.positive, point.inertia.zero) == (family.index, family.nullity), point.reason
        assert point.kind is (ml.Kind.LOCAL_MAXIMIZER if family.index == 0 else ml.Kind.STRICT_SADDLE)
        if point.kind is ml.Kind.LOCAL_MAXIMIZER:
            assert family.is_orthogonal
            assert not any(family.small)
        rank = np.linalg.matrix_rank(point.point, tol=1e-9)
        assert problem.regularization * np.sum(point.point**2) < rank or rank == 0
        assert point.value <= problem.global_maximum().value + 1e-10


@given(shape=st.sampled_from(SHAPES[:2]), fraction=st.floats(0.01, 1.2), seed=seeds())
@settings(max_examples=12)
def test_no_ascent_exceeds_the_global_maximum(shape, fraction, seed):
    """T3, at every lambda, beyond the limit too."""
    problem = problem_at(*shape, 0.5, fraction)
    start = problem.random_starts(seed, 1)[0]
    end = ml.ascend(problem, start)
    assert end.value <= problem.global_maximum().value + 1e-10


@given(shape=st.sampled_from(SHAPES[::2]), fraction=st.floats(0.2, 1.2), seed=seeds())
@settings(max_examples=8)
def test_a_class_beyond_its_threshold_vanishes(shape, fraction, seed):
    """T2: at every critical point Z_k = 0 for each class with lambda > lambda_k."""
    problem = problem_at(*shape, 0.5, fraction)
    gone = problem.regularization > problem.thresholds().existence * (1 + 1e-6)
    result = ml.find_critical_points(problem, key=seed, num_starts=20)
    for point in result.distinct:
        for beyond, block in zip(gone, problem.parameters.blocks(point.point), strict=True):
            assert not beyond or np.abs(block).max() < 1e-6


def blocks_of(problem, Z):
    """For each class, y = x √(alpha alpha_k) of its non-zero singular values x^{1/2}; and whether the blocks are orthogonal."""
    p = problem.parameters
    blocks = list(p.blocks(Z))
    values = []
    for a, block in zip(p.alphas, blocks, strict=True):
        s = np.linalg.svd(block, compute_uv=False)
        values.append(s[s > 1e-6] ** 2 * np.sqrt(p.alpha * a))
    cross = max(np.abs(a.T @ b).max() for i, a in enumerate(blocks) for b in blocks[:i])
    return values, cross < 1e-7


@pytest.mark.parametrize(("shape", "epsilon"), [((4, (2, 2)), 0.3), ((4, (2, 2)), 1.5), ((5, (2, 3)), 0.6)], ids=str)
def test_maximizers_on_spheres_have_equal_singular_values(shape, epsilon):
    """T4, d ≥ Σ rank: the local maximizers are exactly the orthogonal blocks with equal non-zero singular values and r_k = 1 or
    y_k > 1. "The last singular value differs" never happens at one."""
    problem = ml.ConstrainedMCR2(*shape, epsilon, "spheres")
    result = ml.find_critical_points(problem, key=0, num_starts=80)
    kinds = set()
    for point in result.distinct:
        if point.kind is ml.Kind.UNDECIDED or point.value < 1e-8:
            continue  # ΔR = 0, the singular set of minima
        values, orthogonal = blocks_of(problem, point.point)
        expected = orthogonal and all(np.ptp(y) < 1e-5 * y[0] and (y.size == 1 or y[0] > 1) for y in values)
        assert (point.kind is ml.Kind.LOCAL_MAXIMIZER) == expected, (point.kind, values, orthogonal)
        kinds.add(point.kind)
    assert kinds == {ml.Kind.LOCAL_MAXIMIZER, ml.Kind.STRICT_SADDLE}


def test_balls_end_on_their_boundary():
    """ΔR grows with every class: a maximizer over the balls lies on the spheres, and is one of theirs."""
    balls, spheres = (ml.ConstrainedMCR2(4, (2, 2), 0.5, kind) for kind in ("balls", "spheres"))
    end = ml.ascend(balls, 0.5 * balls.random_starts(3, 1)[0], rtol=1e-9)
    assert end.converged, end.reason
    norms = [np.sum(block**2) for block in balls.parameters.blocks(end.point)]
    assert np.allclose(norms, balls.sizes, rtol=1e-8)
    assert ml.classify(balls, end.point).kind is ml.classify(spheres, end.point).kind is ml.Kind.LOCAL_MAXIMIZER


def test_unit_columns():
    problem = ml.ConstrainedMCR2(4, (2, 2), 0.5, "unit columns")
    end = ml.ascend(problem, problem.random_starts(0, 1)[0], rtol=1e-11)
    assert end.converged, end.reason
    assert np.allclose(np.linalg.norm(end.point, axis=0), 1)
    found = ml.classify(problem, end.point)
    assert found.kind is ml.Kind.LOCAL_MAXIMIZER, found.reason
    assert found.inertia.total == 16 - 4
