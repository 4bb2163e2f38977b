"""Existence and inertia: what is proved agrees with theory, and what is false is refused."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from flint import arb, arb_mat, ctx
from hypothesis import given, settings
from hypothesis import strategies as st

from mcr2_landscape.certify import CertificateError, ExactFamily, ExactProblem, Undecided, orthogonal
from mcr2_landscape.certify.balls import BallProblem
from mcr2_landscape.certify.critical import elements, enclose, tangents
from mcr2_landscape.certify.elimination import congruence
from mcr2_landscape.certify.make import exact_problem, float_parameters
from mcr2_landscape.testing import seeds, spectra, symmetric_matrix

from .problems import SPECIMENS, at_fraction, catalog_family, families


def check_family(problem, family: ExactFamily) -> None:
    known = catalog_family(problem, family)
    if known.nullity > known.orbit_dimension:
        with pytest.raises(Undecided):
            enclose(problem, family, known.orbit_dimension)
        with pytest.raises(CertificateError):
            enclose(problem, family, known.nullity)
        return
    found = enclose(problem, family, known.orbit_dimension)
    assert (found.positive, found.zero) == (known.index, known.nullity)
    assert found.positive + found.zero + found.negative == problem.dim * problem.num_samples
    assert found.contraction < 1
    unit = max(float(float_parameters(problem).alpha) ** -0.5, max(float(z.abs_upper()) for z in found.box.entries()))
    assert float(found.distance) <= 1e-10 * unit  # the curvature goes down to 1e-8 alpha, and is squared on the way


@given(families())
@settings(max_examples=60)
def test_certified_inertia_is_that_of_theory(case):
    check_family(*case)


@pytest.mark.parametrize("name", SPECIMENS)
def test_certified_inertia_of_every_kind_of_family(name):
    problem, family = SPECIMENS[name]
    known = catalog_family(problem, family)
    assert known.nullity == known.orbit_dimension, "a specimen for which there is a proof was meant"
    check_family(problem, family)


@pytest.mark.parametrize("name", ["large", "mixed", "shared line", "weighted triangle", "filled triangle", "next to the limit"])
def test_certified_inertia_at_rotated_stored_points(name):
    problem, family = SPECIMENS[name]
    known = catalog_family(problem, family)
    stored = exact_problem(float_parameters(problem))  # the float64 lambda is another number than the algebraic one
    Z = known.point(key=5)
    found = enclose(stored, tuple(Z.ravel().tolist()), known.orbit_dimension)
    assert (found.positive, found.zero) == (known.index, known.nullity)
    # Rounding the entries of Z moves the critical point at most by the inverse of the smallest curvature.
    assert float(found.distance) < 1e-7 * np.linalg.norm(Z)


@pytest.mark.parametrize("name", [name for name in SPECIMENS if name not in ("zero", "one sample a class", "one dimension")])
@pytest.mark.parametrize("error", [-2, -1, 1, 2])
def test_a_wrong_orbit_dimension_is_refused(name, error):
    problem, family = SPECIMENS[name]
    dimension = catalog_family(problem, family).orbit_dimension + error
    with pytest.raises(CertificateError):
        enclose(problem, family, dimension)


@pytest.mark.parametrize(("dim", "sizes", "ranks"), [(3, (1, 1, 2), (0, 0, 2)), (2, (3, 3), (1, 0)), (4, (3, 3), (2, 1))])
def test_a_double_root_has_no_proof_of_inertia(dim, sizes, ranks):
    """The nullity exceeds the orbit's dimension there: any number of zeros would be wrong."""
    problem = at_fraction(dim, sizes, "1")
    family = orthogonal(ranks)
    float_point = float_parameters(at_fraction(dim, sizes, "999999999999999999999999/1000000000000000000000000"))
    x = 1 / (float_point.alpha * np.sqrt(sum(sizes) / max(sizes)))
    Z = np.zeros(float_point.shape)
    columns = np.repeat(np.cumsum((0, *sizes[:-1])), ranks) + np.concatenate([np.arange(r) for r in ranks])
    Z[np.arange(sum(ranks)), columns] = np.sqrt(x)
    for dimension in range(problem.dim * problem.num_samples + 1):
        with pytest.raises(CertificateError):
            enclose(problem, tuple(Z.ravel().tolist()), dimension)
    with pytest.raises(Undecided, match="threshold"):
        enclose(problem, family, 3)


@given(seeds(), st.sampled_from(["large", "mixed", "triangle"]))
@settings(max_examples=15)
def test_points_that_are_not_critical_are_refused(seed, name):
    problem, family = SPECIMENS[name]
    p, known = float_parameters(problem), catalog_family(problem, family)
    random = np.random.default_rng(seed)
    Z = random.standard_normal(p.shape) / np.sqrt(p.alpha)
    with pytest.raises(Undecided):
        enclose(problem, tuple(Z.ravel().tolist()), known.orbit_dimension)


@pytest.mark.parametrize("name", ["large", "mixed", "weighted triangle"])
def test_a_scaled_point_is_enclosed_only_at_its_distance(name):
    problem, family = SPECIMENS[name]
    known = catalog_family(problem, family)
    stored = exact_problem(float_parameters(problem))
    Z = known.point(key=1)
    try:
        found = enclose(stored, tuple((1.001 * Z).ravel().tolist()), known.orbit_dimension)
    except Undecided:
        return
    assert float(found.distance) > 0.9e-3 * np.linalg.norm(Z)


@pytest.mark.parametrize("factor", [-1.0, 0.98, 1.02])
@pytest.mark.parametrize("name", ["large", "mixed", "weighted triangle"])
def test_a_wrong_gradient_finds_no_critical_point(monkeypatch, name, factor):
    """With the classes' term of the derivatives off by a factor, the family's points are not critical; what is found then, if
    anything, is far away."""
    problem, family = SPECIMENS[name]
    known = catalog_family(problem, family)
    parts = BallProblem._parts

    def wrong(self, Z):
        for sign, *rest in parts(self, Z):
            yield (sign if sign == 1 else factor * sign, *rest)

    monkeypatch.setattr(BallProblem, "_parts", wrong)
    try:
        found = enclose(problem, family, known.orbit_dimension)
    except CertificateError:
        return
    assert float(found.distance) > 1e-4


@pytest.mark.parametrize("name", ["large", "small", "mixed", "shared line", "weighted triangle"])
def test_a_wrong_hessian_is_refused(monkeypatch, name):
    """The orbit's tangent is then no null space of it, whatever dimension is asserted; one part in a million is enough."""
    problem, family = SPECIMENS[name]
    known = catalog_family(problem, family)
    hessian = BallProblem.hessian

    def wrong(self, Z):
        right = hessian(self, Z)
        n = right.nrows()
        return right + arb_mat(n, n, [arb(int(i == j)) / 10**6 for i in range(n) for j in range(n)])

    monkeypatch.setattr(BallProblem, "hessian", wrong)
    for dimension in range(1, known.orbit_dimension + 2):
        with pytest.raises(CertificateError):
            enclose(problem, family, dimension)


@given(spectra(), seeds())
def test_congruence_has_the_signs_of_the_spectrum(spectrum, seed):
    """Sylvester's law, for spectra without zeros, clusters among them, and for sparse matrices with an empty diagonal."""
    spectrum = np.where(np.abs(spectrum) < 1e-6, 1.0, spectrum)
    M = symmetric_matrix(spectrum, seed)
    for rows in (M, np.block([[np.zeros_like(M), M], [M, np.zeros_like(M)]])):
        values = np.linalg.eigvalsh(rows)
        with ctx.workprec(106):
            target = arb_mat([[arb(x) for x in row] for row in rows.tolist()])
            Q, signs = congruence(target)
            left = (Q.transpose() * target * Q).tolist()
        assert signs.count(1) == (values > 0).sum()
        error = np.array([[float(x) for x in row] for row in left]) - np.diag(signs)
        assert np.abs(error).sum(axis=1).max() < 0.1


@given(st.integers(0, 3), seeds())
def test_elimination_again_repairs_what_floats_lose(decades, seed):
    """Condition numbers up to 1e24: one elimination in floats is not enough there."""
    scale = np.logspace(0, -4 * decades, 6)
    M = symmetric_matrix(np.array([-3.0, -1.0, -0.5, 0.5, 1.0, 2.0]), seed)
    with ctx.workprec(212):
        D = arb_mat([[arb(float(s)) if i == j else arb(0) for j in range(6)] for i, s in enumerate(scale)])
        R = arb_mat(
            [[arb(x) for x in row] for row in np.linalg.qr(np.random.default_rng(seed).standard_normal((6, 6)))[0].tolist()]
        )
        target = (R * D * arb_mat([[arb(x) for x in row] for row in M.tolist()]) * D * R.transpose()).mid()
        Q, signs = congruence(target)
        left = (Q.transpose() * target * Q).tolist()
    assert signs.count(1) == 3
    error = np.array([[float(x) for x in row] for row in left]) - np.diag(signs)
    assert np.abs(error).sum(axis=1).max() < 0.1


@given(seeds())
def test_tangents_are_moved_by_the_group(seed):
    """Each column is a skew matrix times Z plus each block times a skew matrix, so F does not change along it."""
    problem = at_fraction(3, (2, 1, 3))
    p = float_parameters(problem)
    Z = np.random.default_rng(seed).standard_normal(p.shape)
    with ctx.workprec(106):
        columns = tangents(BallProblem(problem), elements(problem, 4), arb_mat([[arb(x) for x in row] for row in Z.tolist()]))
    from mcr2_landscape.closed_form import gradient, orbit_tangent

    found = np.array([[float(x) for x in row] for row in columns.tolist()])
    basis = np.linalg.qr(orbit_tangent(p, Z))[0]
    assert np.linalg.norm(found) > 1
    residual = found - basis @ (basis.T @ found)
    assert np.abs(residual).max() < 1e-12 * np.abs(found).max()
    assert np.abs(gradient(p, Z).ravel() @ found).max() < 1e-12 * np.linalg.norm(found) * np.linalg.norm(gradient(p, Z))


def test_more_unknowns_than_can_be_counted_are_refused():
    problem = at_fraction(30, (20, 20))
    with pytest.raises(CertificateError, match="at most 640"):
        enclose(problem, orthogonal((1, 1)), 10)


def test_a_number_of_entries_that_does_not_fit_is_refused():
    with pytest.raises(CertificateError, match="expected 6 numbers"):
        enclose(at_fraction(2, (1, 2)), (1.0,) * 5, 0)


def test_precision_is_raised_where_it_must_be():
    """The two roots are 1e-30 apart, relative to their size: 106 bits tell nothing."""
    close = Fraction(10**60 - 1, 10**60)
    problem = at_fraction(2, (2, 3), str(close))
    family = orthogonal((0, 1))
    found = enclose(problem, family, catalog_family(at_fraction(2, (2, 3)), family).orbit_dimension)
    assert found.precision > 106
    assert found.positive == 0


@pytest.mark.timeout(10)
def test_elimination_ends_where_only_rounding_errors_are_left():
    """Two rotations undid each other for ever here."""
    problem = ExactProblem(3, (3, 3), Fraction(1), Fraction(1, 10**30))
    places = {1: "-0x1.2f21bc7c7de02p-41", 5: "0x1.d998f9e84b423p-47", 6: "0x1.b71665f21f0ebp-40", 8: "0x1.f732d44abe5f4p-39"}
    places |= {10: "-0x1.c6565dc752daap-59", 11: "-0x1.6f9a5f9adf281p-44", 14: "0x1.00185aaebd6c0p-6"}
    places |= {15: "-0x1.3b4bd6370f36dp-5", 17: "-0x1.400268dfa7605p-14"}
    with pytest.raises(Undecided):
        enclose(problem, [float.fromhex(places.get(i, "0x0p+0")) for i in range(18)], 0)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("seed", range(4))
def test_elimination_ends_on_singular_matrices(seed):
    rng = np.random.default_rng(seed)
    for _ in range(300):
        n = int(rng.integers(2, 14))
        B = np.ldexp(rng.standard_normal((n, int(rng.integers(1, n)))), rng.integers(-60, 1, (n, 1)))
        try:
            Q, signs = congruence(arb_mat((B @ B.T).tolist()))
        except Undecided:
            continue
        assert (Q.nrows(), Q.ncols(), len(signs)) == (n, n, n)
