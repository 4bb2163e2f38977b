"""The numbers of directions that lead up, down and nowhere, in every regime, against dense eigenvalues."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mcr2_landscape as ml
from mcr2_landscape import curvature
from mcr2_landscape.closed_form import Parameters, hessian_matrix
from mcr2_landscape.landscape import bracketing
from mcr2_landscape.testing import parameters, points, seeds


def problem_of(p: Parameters) -> ml.MCR2:
    return ml.MCR2(p.dim, p.sizes, p.epsilon, p.regularization)


def within(bracket, number):
    return bracket[0] <= number <= bracket[1]


def truth(problem, Z, tolerance):
    values = np.linalg.eigvalsh(problem.hessian_matrix(Z))
    return int((values > tolerance).sum()), int((np.abs(values) <= tolerance).sum()), int((values < -tolerance).sum())


class TestDenseCore:
    @given(st.data())
    @settings(max_examples=40)
    def test_counts_are_those_of_the_dense_hessian(self, data):
        p = data.draw(parameters(wide_epsilon=False, fractions=(1e-2, 2.0)))
        Z = data.draw(points(p))
        found = ml.inertia(problem_of(p), Z, theory=False)
        positive, band, negative = truth(problem_of(p), Z, found.tolerance)
        assert found.inertia.total == Z.size
        assert (found.inertia.positive, found.inertia.negative) == (positive, negative)
        assert found.inertia.zero + found.inertia.undecided == band
        assert found.regime == "dense core"

    def test_no_zero_is_proved_away_from_critical_points(self):
        problem = ml.MCR2(4, (5, 6), 0.5, 0.1)
        Z = np.random.default_rng(0).standard_normal(problem.shape)
        assert ml.inertia(problem, Z).inertia.zero == 0

    def test_theory_and_numbers_agree_at_every_orthogonal_family(self):
        problem = ml.MCR2(5, (3, 4, 4), 0.5, 0.2)
        for large, small in (((1, 2, 1), (0, 0, 1)), ((2, 1, 2), (0, 0, 0)), ((0, 0, 0), (0, 0, 0)), ((0, 1, 0), (1, 0, 2))):
            Z = problem.orthogonal_family(large, small).point(key=1)
            exact, numerical = ml.inertia(problem, Z), ml.inertia(problem, Z, theory=False)
            assert (exact.regime, numerical.regime) == ("closed form", "dense core")
            assert exact.decided
            assert exact.inertia.positive == numerical.inertia.positive
            assert exact.inertia.zero == numerical.inertia.zero + numerical.inertia.undecided
            assert exact.inertia.negative == numerical.inertia.negative

    def test_what_truncation_may_have_turned_is_undecided(self):
        problem = ml.MCR2(5, (20, 30, 30), 0.5, 0.02)
        random = np.random.default_rng(3)
        Z = problem.orthogonal_family((1, 1, 1), (0, 1, 0)).point(key=0)
        noisy = Z + 1e-6 * random.standard_normal(Z.shape)  # off the critical point, so that the orbit's zeros have moved
        full = ml.inertia(problem, noisy, theory=False)
        cut = ml.inertia(problem, noisy, theory=False, truncation=1e-4)
        assert cut.rank == 4 < full.rank == 5
        assert 0 < cut.truncation < cut.tolerance < 1e-3
        assert cut.inertia.undecided > full.inertia.undecided
        for name in ("positive", "negative"):
            exactly = getattr(full.inertia, name)
            assert within(getattr(cut, name), exactly), name

    def test_many_small_singular_values_are_cut_off_where_the_core_would_be_too_large(self):
        problem = ml.MCR2(6, (20, 30), 0.5, 0.1)
        random = np.random.default_rng(4)
        Z = np.concatenate([random.standard_normal((6, 1)) @ np.ones((1, m)) for m in problem.sizes], axis=1)
        noisy = Z + 1e-9 * random.standard_normal(Z.shape)
        found = ml.inertia(problem, noisy, dense_limit=8)
        assert (found.regime, found.ranks) == ("dense core", (1, 1))
        assert found.truncation > 0
        positive, _, negative = truth(problem, noisy, found.tolerance)
        assert within(found.positive, positive)
        assert within(found.negative, negative)


class TestBrackets:
    """`dense_limit=1` leaves every part of the reduction to products."""

    shapes = ((4, (5, 6)), (5, (3, 4, 4)))

    @given(st.data())
    @settings(max_examples=10)
    def test_they_contain_the_truth(self, data):
        p = data.draw(parameters(shapes=self.shapes, wide_epsilon=False, fractions=(0.05, 1.0)))
        Z = np.random.default_rng(data.draw(seeds())).standard_normal(p.shape) / np.sqrt(p.alpha)
        found = ml.inertia(problem_of(p), Z, dense_limit=1, max_products=data.draw(st.sampled_from([20, 200])))
        positive, band, negative = truth(problem_of(p), Z, found.tolerance)
        assert found.regime == "block Lanczos"
        assert within(found.positive, positive)
        assert within(found.zero, band)
        assert within(found.negative, negative)
        assert found.inertia.total == Z.size

    @pytest.mark.parametrize(("large", "small"), [((1, 2, 1), (0, 0, 0)), ((1, 1, 1), (0, 1, 0))])
    def test_the_orbit_is_deflated_at_critical_points(self, large, small):
        problem = ml.MCR2(5, (3, 4, 4), 0.5, 0.2)
        family = problem.orthogonal_family(large, small)
        found = ml.inertia(problem, family.point(key=0), theory=False, dense_limit=1)
        assert found.decided, found.reason
        assert (found.inertia.positive, found.inertia.zero) == (family.index, family.nullity)
        assert 0 < found.failure <= 1e-11

    def test_a_function_of_many_unknowns(self):
        size = 400
        scales = np.concatenate([np.full(7, 1.0), np.full(size - 7, -1.0)])
        saddle = ml.Landscape.from_function(lambda z: jnp.sum(jnp.asarray(scales) * z**2), example=np.ones(size))
        found = ml.inertia(saddle, np.zeros(size), dense_limit=50)
        assert (found.regime, found.decided) == ("block Lanczos", True)
        assert (found.inertia.positive, found.inertia.zero, found.inertia.negative) == (7, 0, size - 7)

    def test_no_memory_leaves_the_part_open(self, monkeypatch):
        problem = ml.MCR2(4, (5, 6), 0.5, 0.1)
        Z = np.random.default_rng(0).standard_normal(problem.shape)
        monkeypatch.setattr(bracketing, "available", lambda: 1000)
        found = ml.inertia(problem, Z, dense_limit=20)
        positive, _, negative = truth(problem, Z, found.tolerance)
        assert within(found.positive, positive)
        assert within(found.negative, negative)
        assert "no memory" in found.reason


class TestNoise:
    """Critical points as an optimizer leaves them: noise makes every rank full and moves equal singular values apart. Whatever
    is said to be decided must be what the family has."""

    problem = ml.MCR2(6, (7, 8, 9), 0.5, 0.03)
    families = (((2, 1, 1), (0, 0, 0)), ((1, 1, 1), (1, 0, 0)), ((2, 2, 2), (0, 0, 0)), ((1, 0, 2), (0, 1, 0)))

    def check(self, found, family):
        total = self.problem.shape[0] * self.problem.shape[1]
        exact = (family.index, family.nullity, total - family.index - family.nullity)
        for name, number in zip(("positive", "zero", "negative"), exact, strict=True):
            assert within(getattr(found, name), number), (name, found)
        assert found.inertia.zero <= family.nullity

    @given(st.sampled_from(families), st.floats(-15, -9.5), seeds(), st.sampled_from([8000, 1]))
    @settings(max_examples=20)
    def test_brackets_contain_what_the_family_has(self, ranks, exponent, seed, dense_limit):
        family = self.problem.orthogonal_family(*ranks)
        Z = family.point(key=seed % 1000)
        noisy = Z + 10**exponent * np.random.default_rng(seed).standard_normal(Z.shape)
        found = ml.inertia(self.problem, noisy, theory=False, dense_limit=dense_limit)
        self.check(found, family)

    @pytest.mark.parametrize("dense_limit", [8000, 1])
    def test_singular_values_that_have_moved_apart(self, dense_limit):
        family = self.problem.orthogonal_family((2, 2, 2), (0, 0, 0))
        Z = family.point(key=0)
        parts = [np.linalg.svd(block, full_matrices=False) for block in self.problem.parameters.blocks(Z)]
        spread = 1 + 3e-9 * np.array([1.0, -1.0])
        Z = np.concatenate([(U[:, :2] * (s[:2] * spread)) @ Vt[:2] for U, s, Vt in parts], axis=1)
        self.check(ml.inertia(self.problem, Z, theory=False, dense_limit=dense_limit), family)

    def test_what_ascent_leaves_is_classified(self):
        random = np.random.default_rng(0)
        for limit in (4096, 4):
            for _ in range(3):
                end = ml.ascend(self.problem, 0.7 * random.standard_normal(self.problem.shape), rtol=1e-12)
                assert end.converged
                found = ml.classify(self.problem, end.point, dense_limit=limit)
                assert found.kind is ml.Kind.LOCAL_MAXIMIZER, found.reason

    def test_the_orbit_at_what_ascent_leaves(self):
        start = np.random.default_rng(1).standard_normal(self.problem.shape)
        end = ml.ascend(self.problem, start, rtol=1e-12).point
        orbit = curvature.orbit_at(self.problem, end)
        top = curvature.eigenpairs(self.problem.hessian(end), deflate=orbit)
        assert top.values[0] < -top.residuals[0]
        assert top.num_products <= 40


class TestLargeCores:
    """Recognized points beyond the dense limit: theory's inertia, cross-checked with one eigenvalue."""

    problem = ml.MCR2(5, (3, 4, 4), 0.5, 0.2)

    @pytest.mark.parametrize(("large", "small"), [((1, 2, 1), (0, 0, 0)), ((1, 1, 1), (0, 1, 0)), ((2, 1, 1), (0, 0, 1))])
    def test_kind_and_inertia_are_the_family_s(self, large, small):
        family = self.problem.orthogonal_family(large, small)
        found = ml.classify(self.problem, family.point(key=0), dense_limit=4)
        assert found.kind is family.kind
        assert (found.inertia.positive, found.inertia.zero) == (family.index, family.nullity)
        assert "agrees" in found.reason

    def test_a_saddle_that_theory_calls_maximizer_is_undecided(self, monkeypatch):
        family = self.problem.orthogonal_family((1, 1, 1), (0, 1, 0))
        Z = family.point(key=0)
        maximizer = self.problem.orthogonal_family((1, 2, 1), (0, 0, 0))

        class Wrong:
            residual = 0.0

        Wrong.family = maximizer
        monkeypatch.setattr(ml.MCR2, "recognize", lambda self, Z: Wrong)
        found = ml.classify(self.problem, Z, dense_limit=4)
        assert found.kind is ml.Kind.UNDECIDED
        assert "does not agree" in found.reason


def test_the_spectrum_of_a_large_point_is_that_of_the_small_one():
    """A million unknowns: multiplicities add up, and the eigenvalues are those of the same blocks in few columns."""
    problem = ml.MCR2(64, (4096,) * 4, 0.5, 1.0)
    problem = ml.MCR2(64, (4096,) * 4, 0.5, 0.3 * problem.regularization_limit)
    random = np.random.default_rng(0)
    U = np.linalg.qr(random.standard_normal((64, 6)))[0]
    w = [0.5 * random.standard_normal((6, 2)) for _ in range(4)]
    V = [np.linalg.qr(random.standard_normal((4096, 2)))[0] for _ in range(4)]
    Z = np.concatenate([U @ own @ right.T for own, right in zip(w, V, strict=True)], axis=1)
    found = ml.spectrum(problem, Z)
    assert (found.dimension, found.rank, found.ranks) == (64 * 4 * 4096, 6, (2, 2, 2, 2))
    p = problem.parameters
    few = Parameters(p.dim, p.sizes, p.epsilon, p.regularization, (3, 3, 3, 3))
    narrow = np.zeros(few.shape)
    for block, own in zip(few.blocks(narrow), w, strict=True):
        block[:, :2] = U @ own
    dense = np.linalg.eigvalsh(hessian_matrix(few, narrow))
    gaps = np.abs(found.eigenvalues[:, None] - dense[None, :])
    assert gaps.min(axis=0).max() <= 10 * found.error
    assert gaps.min(axis=1).max() <= 10 * found.error


def test_arguments_are_checked():
    problem = ml.MCR2(3, (2, 3), 0.5, 0.1)
    Z = np.ones(problem.shape)
    with pytest.raises(ml.InputError, match="Z: found float32"):
        ml.inertia(problem, Z.astype(np.float32))
    with pytest.raises(ml.InputError, match="Z: found NaN"):
        ml.spectrum(problem, np.full(problem.shape, np.nan))
    with pytest.raises(ml.InputError, match="dense_limit"):
        ml.inertia(problem, Z, dense_limit=0)
    with pytest.raises(ml.InputError, match="truncation"):
        ml.spectrum(problem, Z, truncation=-1.0)
    bowl = ml.Landscape.from_function(lambda z: -jnp.sum(z**2), example=np.ones(30))
    with pytest.raises(ml.InputError, match="truncation: only a landscape with class blocks"):
        ml.spectrum(bowl, np.zeros(30), truncation=0.1)
    with pytest.raises(ml.InputError, match=r"Z: 30 unknowns, more than the 10 of dense_limit"):
        ml.spectrum(bowl, np.zeros(30), dense_limit=10)
    wide = np.random.default_rng(0).standard_normal(problem.shape)
    with pytest.raises(ml.InputError, match=r"Z: its core has 15 rows .* take inertia"):
        ml.spectrum(problem, wide, dense_limit=10)
