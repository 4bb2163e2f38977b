"""Solutions with their certificates: optimality conditions, dual bounds, scaling, and scikit-learn as oracle."""

from __future__ import annotations

import itertools
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import ElasticNet, Lasso

from mcr2_landscape import InputError, csc
from mcr2_landscape.csc import iterations, solver, support
from mcr2_landscape.landscape.progress import Progress
from mcr2_landscape.testing import seeds

from . import problems

SPARSITY = st.floats(-3, 0).map(lambda e: 10**e)  # of lambda_max
PROGRAMS = st.sampled_from([(0.0, False), (0.0, True), (0.3, False), (1e-3, True)])


def solved(seed, fraction, program, **changes):
    ridge, nonnegative = program
    dictionary, x, D = problems.small(seed)
    lam = fraction * csc.lambda_max(dictionary, x, nonnegative=nonnegative)
    solution = csc.solve(dictionary, x, sparsity=lam, ridge=ridge, nonnegative=nonnegative, max_steps=20, **changes)
    return solution, lam, x, D


@settings(max_examples=12)
@given(seed=seeds(), fraction=SPARSITY, program=PROGRAMS)
def test_optimality_conditions_and_certificate(seed, fraction, program):
    ridge, nonnegative = program
    found, lam, x, D = solved(seed, fraction, program)
    assert found.converged.all(), found.advice
    assert (found.relative_gap <= 1e-12).all()
    for n, z in enumerate(found.codes.reshape(3, -1)):
        r = x[n].ravel() - D @ z
        v = D.T @ r - ridge * z
        assert found.objective[n] == pytest.approx(problems.value(D, x[n], z, lam[n], ridge), rel=1e-13)
        on = z != 0
        # a gap g leaves √g in the conditions at worst
        assert np.abs(v[on] - lam[n] * np.sign(z[on])).max(initial=0) <= 1e-6 * lam[n] + 1e-9
        assert (v if nonnegative else np.abs(v)).max() <= lam[n] * (1 + 1e-6)
        assert not nonnegative or z.min() >= 0


@settings(max_examples=12)
@given(seed=seeds(), fraction=SPARSITY, program=PROGRAMS, spread=st.floats(-8, 1))
@example(seed=0, fraction=10**-0.0625, program=(0.0, False), spread=-2.0)  # a residual that is feasible with room to spare
@example(seed=0, fraction=0.01, program=(0.0, True), spread=0.0)  # many small codes of a small sparsity
def test_no_code_is_below_the_dual_value(seed, fraction, program, spread):
    ridge, nonnegative = program
    found, lam, x, D = solved(seed, fraction, program)
    random = np.random.default_rng([seed, 1])
    z = found.codes + 10**spread * random.standard_normal(found.codes.shape) * (random.random(found.codes.shape) < 0.1)
    z = np.maximum(z, 0) if nonnegative else z
    values = np.array([problems.value(D, x[n], z[n], lam[n], ridge) for n in range(3)])
    assert (values >= found.dual_value).all()
    # the gap of any code bounds what is missing to the solution's objective
    dictionary = problems.small(seed)[0]
    gaps = csc.duality_gap(dictionary, x, z, sparsity=lam, ridge=ridge, nonnegative=nonnegative)
    assert (gaps.objective - found.objective <= gaps.duality_gap + found.duality_gap).all()
    # and in numbers with more digits the gap to the dual point of the residual, which is rounded, is what it says at most
    exact = D.astype(np.longdouble)
    with jax.enable_x64(True):
        residuals = (x - np.asarray(dictionary.synthesize(found.codes, size=problems.SIZE))).reshape(3, -1)
    for n, code in enumerate(found.codes.reshape(3, -1).astype(np.longdouble)):
        image, r = x[n].ravel().astype(np.longdouble), residuals[n].astype(np.longdouble)
        v = exact.T @ r
        value = lam[n] * np.abs(code).sum() + ridge / 2 * code @ code + ((image - exact @ code) ** 2).sum() / 2
        peak = max(v.max(), 0) if nonnegative else np.abs(v).max()
        shrunk = np.maximum(v - lam[n], 0) if nonnegative else np.maximum(np.abs(v) - lam[n], 0)
        s = max(0, min(r @ image / (r @ r), lam[n] / peak))
        bounds = [s * r @ image - s**2 * r @ r / 2]
        if ridge:
            bounds.append(r @ image - r @ r / 2 - shrunk @ shrunk / (2 * ridge))
        assert -1e-17 * value <= float(value - max(bounds)) <= found.duality_gap[n]


@settings(max_examples=8)
@given(seed=seeds(), fraction=SPARSITY, program=st.sampled_from([(0.0, False), (0.0, True)]), scale=st.floats(-6, 6))
def test_scaling_image_and_sparsity_scales_the_code(seed, fraction, program, scale):
    dictionary, x, _ = problems.small(seed)
    found, lam, x, _ = solved(seed, fraction, program)
    scaled = csc.solve(dictionary, 10**scale * x, sparsity=10**scale * lam, nonnegative=program[1], max_steps=20)
    assert scaled.converged.all()
    norm = np.linalg.norm(found.codes)
    assert np.linalg.norm(scaled.codes / 10**scale - found.codes) <= 1e-5 * norm
    np.testing.assert_allclose(scaled.objective, 10 ** (2 * scale) * found.objective, rtol=1e-11)


@settings(max_examples=8)
@given(seed=seeds(), nonnegative=st.booleans(), below=st.floats(1e-5, 0.5))
def test_the_code_is_zero_exactly_from_lambda_max_on(seed, nonnegative, below):
    dictionary, x, D = problems.small(seed)
    peak = csc.lambda_max(dictionary, x, nonnegative=nonnegative)
    v = x.reshape(3, -1) @ D
    np.testing.assert_allclose(peak, (v if nonnegative else np.abs(v)).max(axis=1), rtol=1e-14)
    at = csc.solve(dictionary, x, sparsity=peak, nonnegative=nonnegative, max_steps=20)
    assert at.zero_is_optimal.all()
    assert at.converged.all()
    assert not at.codes.any()
    assert "3 of 3 images" in at.advice
    under = csc.solve(dictionary, x, sparsity=(1 - below) * peak, nonnegative=nonnegative, max_steps=20)
    assert not under.zero_is_optimal.any()
    assert under.codes.reshape(3, -1).any(axis=1).all()
    assert (under.objective < 0.5 * np.sum(x**2, axis=(1, 2, 3))).all()


@settings(max_examples=6)
@given(seed=seeds(), fraction=SPARSITY, change=st.floats(-4, 1))
def test_fitted_values_are_firmly_nonexpansive(seed, fraction, change):
    dictionary, x, D = problems.small(seed)
    lam = fraction * float(csc.lambda_max(dictionary, x).max())
    moved = x + 10**change * np.random.default_rng([seed, 2]).standard_normal(x.shape)
    pair = [csc.solve(dictionary, images, sparsity=lam, max_steps=20) for images in (x, moved)]
    fits = [solution.codes.reshape(3, -1) @ D.T for solution in pair]
    dx, df = (moved - x).reshape(3, -1), fits[1] - fits[0]
    # a gap g leaves √(2g) in a fitted value
    slack = 4 * np.sqrt(2 * sum(s.duality_gap for s in pair)) * np.linalg.norm(dx, axis=1)
    assert (np.sum(df * dx, axis=1) >= np.sum(df**2, axis=1) - slack).all()
    # the residual is the projection of the image on {θ : |Dᵀθ| ≤ λ}: no other point of it is nearer
    theta = 0.9 * (moved.reshape(3, -1) - fits[1])
    r = x.reshape(3, -1) - fits[0]
    assert (np.sum((x.reshape(3, -1) - r) * (theta - r), axis=1) <= 1e-5 * np.sum(x**2)).all()


@settings(max_examples=8)
@given(seed=seeds(), ridge=st.floats(-2, 1).map(lambda e: 10**e), change=st.floats(-4, 1))
def test_a_ridge_bounds_how_far_codes_move(seed, ridge, change):
    dictionary, x, _ = problems.small(seed)
    moved = x + 10**change * np.random.default_rng([seed, 3]).standard_normal(x.shape)
    pair = [csc.solve(dictionary, images, sparsity=0.1, ridge=ridge, max_steps=20) for images in (x, moved)]
    distance = np.linalg.norm((pair[1].codes - pair[0].codes).reshape(3, -1), axis=1)
    slack = 2 * np.sqrt(2 * (pair[0].duality_gap + pair[1].duality_gap) / ridge)
    assert (distance <= np.linalg.norm((moved - x).reshape(3, -1), axis=1) / (2 * np.sqrt(ridge)) + slack).all()


@settings(max_examples=8)
@given(seed=seeds(), fraction=st.floats(0.05, 0.9), ridge=st.sampled_from([0.0, 0.2]), nonnegative=st.booleans())
def test_scikit_learn_finds_the_same(seed, fraction, ridge, nonnegative):
    found, lam, x, D = solved(seed, fraction, (ridge, nonnegative))
    samples = D.shape[0]
    for n in range(3):
        common: dict = {"fit_intercept": False, "tol": 1e-14, "max_iter": 100_000, "positive": nonnegative}
        total = (lam[n] + ridge) / samples
        model = ElasticNet(alpha=total, l1_ratio=lam[n] / (lam[n] + ridge), **common) if ridge else Lasso(alpha=total, **common)
        z = model.fit(D, x[n].ravel()).coef_
        theirs = problems.value(D, x[n], z, lam[n], ridge)
        assert found.objective[n] == pytest.approx(theirs, rel=1e-12)
        np.testing.assert_allclose(found.codes[n].ravel(), z, atol=1e-5)


def test_dependent_atoms_strides_and_channels():
    random = np.random.default_rng(3)
    atoms = problems.unit_atoms(random, 3, 1, 3, 3)
    copies = csc.ConvDictionary(np.concatenate([atoms, atoms, -atoms]), 1, 1)
    x = random.standard_normal((2, 1, 9, 11))  # wider than high
    found = csc.solve(copies, x, sparsity=0.01)
    assert found.converged.all()
    alone = csc.solve(csc.ConvDictionary(atoms, 1, 1), x, sparsity=0.01)
    np.testing.assert_allclose(found.objective, alone.objective, rtol=1e-12)
    strided = csc.ConvDictionary(problems.unit_atoms(random, 8, 2, 4, 3), (2, 1), (1, 2))
    images = random.standard_normal((2, 2, 9, 8))
    found = csc.solve(strided, images, sparsity=[0.05, 0.5])
    assert found.converged.all()
    D = problems.dense(np.asarray(strided.atoms), (2, 1), (1, 2), (9, 8))
    assert found.objective[1] == pytest.approx(problems.value(D, images[1], found.codes[1], 0.5), rel=1e-12)


def test_bands_that_are_too_large_are_not_factored(monkeypatch):
    dictionary, x, _ = problems.small(8)
    expected = csc.solve(dictionary, x, sparsity=0.05, max_steps=20)
    monkeypatch.setattr(support, "_MOST_WORK", 0)
    found = csc.solve(dictionary, x, sparsity=0.05, max_steps=20)
    assert found.converged.all()
    np.testing.assert_allclose(found.objective, expected.objective, rtol=1e-12)


def test_images_in_groups_are_those_together(monkeypatch):
    dictionary, x, _ = problems.small(9, images=5)
    together = csc.solve(dictionary, x, sparsity=0.1, max_steps=20)
    monkeypatch.setattr(solver, "_GROUP", 2 * together.codes[0].size)
    calls = []
    apart = csc.solve(dictionary, x, sparsity=0.1, max_steps=20, progress=lambda *call: calls.append(call))
    assert apart.converged.all()
    np.testing.assert_allclose(apart.objective, together.objective, rtol=1e-12)
    assert calls[-1] == (5, 5, 5)
    assert all(a <= b for a, b in itertools.pairwise(calls))
    told = []

    class Told(Progress):
        def expect(self, seconds, doing="", *, whole=True):
            told.append((seconds, doing))
            assert whole or doing == "first-order steps"

    csc.solve(dictionary, x, sparsity=0.1, max_steps=20, progress=Told(0))
    first = [seconds for seconds, doing in told if doing == "first-order steps"]
    assert min(first) >= 0  # of three groups
    assert (None, "1 Newton step of an image") in told
    assert told[-1] == (0.0, "")


def test_no_new_program_for_another_number_of_images_above_lambda_max(monkeypatch):
    dictionary, x, _ = problems.small(9, images=5)
    peak = csc.lambda_max(dictionary, x)
    factors = np.array([0.5, 0.4, 0.3, 0.2, 0.1])
    whole = csc.solve(dictionary, x, sparsity=factors * peak, max_steps=20)
    programs: Any = iterations._chunk
    compiled = programs._cache_size()
    for zeros in (1, 4, 5):
        some = np.where(np.arange(5) < zeros, 1.0, factors)
        found = csc.solve(dictionary, x, sparsity=some * peak, max_steps=20)
        assert found.zero_is_optimal.sum() == zeros
        np.testing.assert_allclose(found.objective[zeros:], whole.objective[zeros:], rtol=1e-12)
    assert programs._cache_size() == compiled
    # Where steps cost more than compiling, few images do not go as many.
    monkeypatch.setattr(solver, "_COMPILING", 0)
    sizes = []
    monkeypatch.setattr(
        solver._Work, "_first_order", lambda self, group, clock: sizes.append(len(group)) or np.zeros(len(group), bool)
    )
    for zeros in (0, 1, 3, 4, 5):
        csc.solve(dictionary, x, sparsity=np.where(np.arange(5) < zeros, 1.0, factors) * peak)
    assert sizes == [5, 5, 3, 1]


@pytest.mark.parametrize("exponent", [-460, 460])
def test_the_ends_of_the_range_are_the_middle_scaled(exponent):
    dictionary, x, _ = problems.small(9, images=5)
    middle, end = (csc.solve(dictionary, c * x, sparsity=0.1 * c, max_steps=20) for c in (1.0, 2.0**exponent))
    assert end.converged.all()
    np.testing.assert_array_equal(end.codes, 2.0**exponent * middle.codes)
    # Rounding is a product of two norms: a product of four would be zero or infinite here.
    np.testing.assert_allclose(end.rounding, 4.0**exponent * middle.rounding, rtol=1e-12)
    np.testing.assert_array_equal(end.relative_gap, middle.relative_gap)


def test_what_is_not_reached_is_said():
    dictionary, x, _ = problems.small(10)
    cut = csc.solve(dictionary, x, sparsity=0.01, max_steps=3, max_newton_steps=0)
    assert not cut.converged.any()
    assert "3 of 3 images have not reached a gap of 1e-12" in cut.advice
    assert (cut.objective - csc.solve(dictionary, x, sparsity=0.01).objective <= cut.duality_gap).all()
    hidden = csc.solve(dictionary, x, sparsity=0.01, gap=1e-17, max_steps=3)
    assert not hidden.converged.any()
    assert "rounding hides a gap of 1e-17" in hidden.advice
    assert (hidden.duality_gap >= hidden.rounding).all()
    more = csc.solve(dictionary, x, sparsity=0.01, start=cut.codes, max_steps=20)
    assert more.converged.all()
    assert more.to_dict()["converged"] == [True] * 3
    black = csc.solve(dictionary, 0 * x, sparsity=0.01)
    assert black.converged.all()
    assert not black.duality_gap.any()


def test_an_interruption_keeps_what_was_reached(monkeypatch):
    dictionary, x, _ = problems.small(11)
    real = solver.proximal_points

    def interrupted(columns, image, *rest):
        points = real(columns, image, *rest)
        if np.array_equal(image, columns.flatten(x[1])):
            raise KeyboardInterrupt
        return points

    monkeypatch.setattr(solver, "proximal_points", interrupted)
    found = csc.solve(dictionary, x, sparsity=0.01, max_steps=3)
    assert found.interrupted
    assert found.converged.tolist() == [True, False, False]
    assert "interrupted" in found.advice


def test_without_64_bit_mode_it_computes_in_64_bits():
    dictionary, x, _ = problems.small(12)
    atoms = np.array(dictionary.atoms)
    with jax.enable_x64(False):
        found = csc.solve(csc.ConvDictionary(atoms, 1, 1), x, sparsity=0.1, max_steps=20)
    assert found.converged.all()
    assert found.codes.dtype == np.float64


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sparsity": 0.0}, "sparsity: found 0; it must be greater than zero"),
        ({"sparsity": [0.1, 0.2]}, r"sparsity: found shape \(2,\).*3 images"),
        ({"sparsity": float("nan")}, "sparsity: found nan"),
        ({"sparsity": 1e200}, r"sparsity: found 1e\+200; pass 1e\+140 at most"),
        ({"ridge": -1}, "ridge: found -1"),
        ({"nonnegative": 1}, "nonnegative: found 1"),
        ({"gap": 0}, "gap: found 0"),
        ({"max_steps": -1}, "max_steps: found -1"),
        ({"start": np.zeros((3, 4, 9, 9))}, "start: found shape"),
        ({"start": -np.ones((3, 4, 9, 8)), "nonnegative": True}, "start: found -1, where codes are nonnegative"),
        ({"images": np.zeros((3, 9, 8))}, r"images: found shape \(3, 9, 8\)"),
        ({"images": np.zeros((3, 2, 9, 8))}, "of 2 channels, where the dictionary has 1"),
        ({"images": np.full((3, 1, 9, 8), np.inf)}, "images: found infinity in 3 of 3 rows"),
        ({"images": np.full((3, 1, 9, 8), [[[[1.0]]], [[[0.0]]], [[[1e-170]]]]), "sparsity": 1e-171}, "1e-170 of image 2"),
        ({"images": np.full((3, 1, 9, 8), 1e160), "sparsity": 1e100}, r"images: found the largest number 1e\+160 of image 0"),
        ({"images": [[[[1.0, 2.0], [3.0]]]]}, "images: cannot be read as an array"),
        ({"start": np.full((3, 4, 9, 8), 1e160)}, r"start: found 1e\+160"),
        ({"images": np.zeros((0, 1, 9, 8))}, "images: found shape"),
        ({"dictionary": np.zeros((4, 1, 3, 3))}, "dictionary: found ndarray; pass a ConvDictionary"),
    ],
)
def test_bad_input_is_named(changes, message):
    dictionary, x, _ = problems.small(0)
    given = {"dictionary": dictionary, "images": x, "sparsity": 0.1} | changes
    with pytest.raises(InputError, match=message):
        csc.solve(given.pop("dictionary"), given.pop("images"), **given)


def test_codes_outside_of_the_constraint_have_no_finite_objective():
    dictionary, x, _ = problems.small(0)
    codes = -np.ones((3, 4, 9, 8))
    assert np.isinf(csc.objective(dictionary, x, codes, sparsity=0.1, nonnegative=True)).all()
    assert np.isfinite(csc.objective(dictionary, x, codes, sparsity=0.1)).all()
