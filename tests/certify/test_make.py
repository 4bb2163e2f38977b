"""Certificates made from points that a search finds, or that a user has."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

import mcr2_landscape as ml
from mcr2_landscape import certify
from mcr2_landscape.certify import CertificateError, Undecided, certify_approximate_saddle, certify_point, certify_statement
from mcr2_landscape.certify.make import exact_problem, float_parameters
from mcr2_landscape.closed_form import Parameters
from mcr2_landscape.errors import InputError

from .problems import SPECIMENS, at_fraction, catalog_family

P = float_parameters(at_fraction(3, (2, 3)))


def saddle() -> np.ndarray:
    return ml.MCR2(3, (2, 3), P.epsilon, P.regularization).orthogonal_family(large=[1, 0], small=[0, 1]).point(key=0)


@pytest.mark.parametrize(
    ("dim", "sizes", "fraction"), [pytest.param(3, (2, 2, 2), 0.4, marks=pytest.mark.slow), (2, (1, 2, 3), 0.1)]
)
def test_certificates_agree_with_classify_at_found_points(dim, sizes, fraction):
    limit = ml.MCR2(dim, sizes, 0.5, 1.0).regularization_limit
    problem = ml.MCR2(dim, sizes, 0.5, fraction * limit)
    result = ml.find_critical_points(problem, key=0, num_starts=40)
    assert len(result.distinct) > 5
    proved = 0
    for point in result.distinct:
        family = problem.recognize(point.point).family
        try:
            made = certify_point(problem, point.point, kind="inertia")
        except Undecided:
            assert family.nullity > family.orbit_dimension
            continue
        counts = made.certificate.statement.assertion
        assert (counts["positive"], counts["zero"]) == (point.inertia.positive, point.inertia.zero)
        kind = certify_point(problem, point.point).certificate.statement.kind
        assert kind == ("strict saddle" if point.inertia.positive else "local maximizer")
        proved += 1
    assert proved > 5


@pytest.mark.parametrize("name", SPECIMENS)
def test_points_of_every_kind_are_certified(name):
    problem, family = SPECIMENS[name]
    known = catalog_family(problem, family)
    p = float_parameters(problem)
    counts = certify_point(p, known.point(key=1), kind="inertia").certificate.statement.assertion
    assert (counts["positive"], counts["zero"]) == (known.index, known.nullity)


@pytest.mark.parametrize("kind", ["critical point", "inertia", "strict saddle"])
def test_kinds(kind):
    made = certify_point(P, saddle(), kind=kind)
    assert made.certificate.statement.kind == kind
    assert certify.check(made.certificate) == made.proof


def test_a_rough_point_is_polished():
    Z = saddle()
    rough = Z + 1e-4 * np.random.default_rng(0).standard_normal(Z.shape)
    made = certify_point(P, rough)
    assert made.certificate.statement.kind == "strict saddle"
    assert made.proof.figures["distance"] < 1e-12
    assert np.linalg.norm(np.array(made.certificate.statement.subject.entries) - rough.ravel()) < 1e-2


def test_the_radius_is_relative_to_the_size_of_the_point():
    Z = saddle()
    made = certify_point(P, Z, radius="1/1000000000000")
    size = 1 + int(np.ceil(np.linalg.norm(Z)))
    assert Fraction(made.certificate.statement.assertion["radius"]) == Fraction(size, 10**12)
    with pytest.raises(Undecided, match="was found within"):
        certify_point(P, Z, radius=Fraction(1, 10**30))


def test_a_saddle_is_no_maximizer_and_a_maximizer_no_saddle():
    with pytest.raises(CertificateError, match="strict saddle"):
        certify_point(P, saddle(), kind="local maximizer")
    with pytest.raises(Undecided, match="direction"):
        certify_point(P, np.zeros(P.shape), kind="strict saddle")


def test_what_is_not_decided_says_why():
    """At the collapsed triangle of sizes 1, 2, 3 the kernel is larger than the orbit's tangent space."""
    problem = float_parameters(at_fraction(2, (1, 2, 3), "1/10"))
    family = ml.MCR2(2, (1, 2, 3), problem.epsilon, problem.regularization)
    collapsed = next(f for f in family.catalog() if f.nullity > f.orbit_dimension)
    with pytest.raises(Undecided, match=r"at 848 bits"):
        certify_point(problem, collapsed.point(key=0))


@pytest.mark.parametrize(
    ("Z", "words"),
    [
        (np.zeros((3, 5), np.float32), "float32"),
        (np.full((3, 5), np.nan), "NaN"),
        (np.full((3, 5), np.inf), "infinity"),
        (np.zeros((5, 3)), "transposed"),
        (np.zeros((3, 4)), "shape"),
        (np.zeros((3, 5), complex), "real numbers"),
        (None, "numeric array"),
        ("Z", "numeric array"),
    ],
)
def test_points_of_the_wrong_kind_are_refused(Z, words):
    with pytest.raises(InputError, match=words):
        certify_point(P, Z)
    with pytest.raises(InputError, match=words):
        certify_approximate_saddle(P, saddle(), Z)


def test_other_wrong_input_is_refused():
    with pytest.raises(InputError, match="kind: found 'maximum'"):
        certify_point(P, saddle(), kind="maximum")
    with pytest.raises(InputError, match="radius"):
        certify_point(P, saddle(), radius=1e-9)
    with pytest.raises(InputError, match="found zero"):
        certify_approximate_saddle(P, saddle(), np.zeros(P.shape))
    with pytest.raises(CertificateError, match="must be greater than zero"):
        certify_approximate_saddle(P, np.zeros(P.shape), np.ones(P.shape))
    large = Parameters(30, (20, 20), 0.5, 0.1)
    with pytest.raises(InputError, match="at most 640"):
        certify_point(large, np.zeros(large.shape))


def test_problems_of_each_kind():
    problem = ml.MCR2(3, (2, 3), P.epsilon, P.regularization)
    assert exact_problem(problem) == exact_problem(P)
    assert exact_problem(P).epsilon == Fraction(P.epsilon)
    assert exact_problem(exact_problem(P)) == exact_problem(P)
    assert certify_point(problem, saddle()).certificate == certify_point(P, saddle()).certificate
    for wrong in (ml.ConstrainedMCR2(3, (2, 3), 0.5), None, 3, "MCR2"):
        with pytest.raises(InputError, match="regularized problem"):
            exact_problem(wrong)
    narrow = Parameters(3, (2, 3), 0.5, 0.1, (1, 1))
    with pytest.raises(InputError, match="fewer columns"):
        certify_point(narrow, np.zeros((3, 2)))


def test_a_statement_without_a_family_has_no_witness():
    with pytest.raises(CertificateError, match="certify_point"):
        certify_statement(certify.Statement("strict saddle", at_fraction(2, (1, 2)), None, {"radius": "1"}))


def test_names_are_loaded_when_used():
    assert "certify_point" in dir(certify)
    with pytest.raises(AttributeError, match="no attribute 'certify_everything'"):
        certify.certify_everything  # noqa: B018


CHECKING = """
import sys
from mcr2_landscape.certify import check, read
heavy = {"numpy", "scipy", "jax", "sympy", "matplotlib", "pandas"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
for path in sys.argv[1:]:
    check(read(path))
assert not heavy & set(sys.modules), heavy & set(sys.modules)
print("checked", len(sys.argv) - 1)
"""


def test_checking_needs_neither_numpy_nor_jax(tmp_path):
    from .test_files import certificates

    paths = [certify.write(c, tmp_path / f"{i}.json") for i, c in enumerate(certificates().values())]
    ran = subprocess.run([sys.executable, "-c", CHECKING, *map(str, paths)], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == f"checked {len(paths)}"
