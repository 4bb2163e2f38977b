"""Each kind of statement: proved where it is true, refused with a `CertificateError` where it is not."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
from fractions import Fraction

import numpy as np
import pytest
from flint import arb, arb_mat, ctx

from mcr2_landscape.catalog.scalar import value_threshold
from mcr2_landscape.certify import (
    Block,
    Certificate,
    CertificateError,
    Disproved,
    ExactFamily,
    ExactProblem,
    Point,
    Statement,
    Threshold,
    Undecided,
    certify_approximate_saddle,
    certify_statement,
    check,
    orthogonal,
)
from mcr2_landscape.certify.balls import BallProblem
from mcr2_landscape.certify.exact import number_text
from mcr2_landscape.certify.make import exact_problem, float_parameters
from mcr2_landscape.closed_form import Parameters, hessian_matrix
from mcr2_landscape.closed_form import value as objective

from .problems import SPECIMENS, at_fraction, catalog_family

RADIUS = "1/1000000000"
SADDLES = [name for name, case in SPECIMENS.items() if catalog_family(*case).index]
MAXIMIZERS = [name for name in SPECIMENS if name not in SADDLES]


def statement(name: str, kind: str, **assertion) -> Statement:
    return Statement(kind, *SPECIMENS[name], {"radius": RADIUS} | assertion)


def inertia(name: str, *, positive: int = 0, zero: int = 0, negative: int = 0) -> Statement:
    """The true inertia, plus what is given."""
    problem, family = SPECIMENS[name]
    known = catalog_family(problem, family)
    rest = problem.dim * problem.num_samples - known.index - known.nullity
    counts = {"positive": known.index + positive, "zero": known.nullity + zero, "negative": rest + negative}
    return statement(name, "inertia", **counts)


def with_assertion(certificate: Certificate, **changes) -> Certificate:
    changed = dataclasses.replace(certificate.statement, assertion=dict(certificate.statement.assertion) | changes)
    return dataclasses.replace(certificate, statement=changed)


def test_every_specimen_has_a_kind():
    assert len(SADDLES) > 5
    assert len(MAXIMIZERS) > 2


@pytest.mark.parametrize("name", SPECIMENS)
def test_inertia(name):
    proof = certify_statement(inertia(name)).proof
    known = catalog_family(*SPECIMENS[name])
    assert f"exactly {known.index} positive, {known.nullity} zero" in proof.sentence


@pytest.mark.parametrize(
    "error",
    [
        {"positive": 1},
        {"positive": -1},
        {"negative": 1},
        {"negative": -1},
        {"positive": 1, "negative": -1},
        {"positive": -1, "negative": 1},
        {"zero": 1, "negative": -1},
        {"zero": -1, "negative": 1},
        {"zero": 1, "positive": -1},
        {"zero": -1, "positive": 1},
    ],
)
@pytest.mark.parametrize("name", ["small", "mixed", "weighted triangle"])
def test_wrong_inertia_is_refused(name, error):
    with pytest.raises(CertificateError):
        certify_statement(inertia(name, **error))


@pytest.mark.parametrize("name", MAXIMIZERS)
def test_local_maximizer(name):
    zero = catalog_family(*SPECIMENS[name]).nullity
    assert "is a local maximizer" in certify_statement(statement(name, "local maximizer", zero=zero)).proof.sentence
    with pytest.raises(CertificateError):
        certify_statement(statement(name, "local maximizer", zero=zero + 1))
    with pytest.raises(CertificateError):
        certify_statement(statement(name, "strict saddle"))


@pytest.mark.parametrize("name", SADDLES)
def test_strict_saddle(name):
    made = certify_statement(statement(name, "strict saddle"))
    assert made.proof.figures["curvature"] > 0
    zero = catalog_family(*SPECIMENS[name]).nullity
    with pytest.raises(CertificateError, match="strict saddle"):
        certify_statement(statement(name, "local maximizer", zero=zero))


@pytest.mark.parametrize("name", SADDLES)
def test_a_direction_of_descent_or_along_the_orbit_proves_no_saddle(name):
    problem, family = SPECIMENS[name]
    made = certify_statement(statement(name, "strict saddle"))
    with ctx.workprec(106):
        Z = BallProblem(problem).point(family)
    rows = np.array([float(entry) for entry in Z.entries()]).reshape(problem.dim, -1)
    lowest = np.linalg.eigh(hessian_matrix(float_parameters(problem), rows))[1][:, 0]
    turned = np.zeros_like(rows)
    turned[0], turned[1] = rows[1], -rows[0]
    for direction, refusal in ((lowest, Undecided), (turned.ravel(), Undecided), (0 * lowest, CertificateError)):
        witness = dict(made.certificate.witness) | {"direction": tuple(direction.tolist())}
        with pytest.raises(refusal, match="direction"):
            check(dataclasses.replace(made.certificate, witness=witness))


def test_the_direction_must_ascend_over_the_whole_neighborhood(monkeypatch):
    """Widen what is known of the point until the form is no longer of one sign."""
    checker = importlib.import_module("mcr2_landscape.certify.check")
    made = certify_statement(statement("mixed", "strict saddle"))
    enclose = checker.enclose

    def wide(*arguments):
        found = enclose(*arguments)
        box = arb_mat(found.box.nrows(), found.box.ncols(), [arb(entry, 0.3) for entry in found.box.entries()])
        return dataclasses.replace(found, box=box)

    monkeypatch.setattr(checker, "enclose", wide)
    with pytest.raises(Undecided):
        check(made.certificate)


@pytest.mark.parametrize("kind", ["critical point", "inertia", "local maximizer"])
@pytest.mark.parametrize("radius", ["1/1" + "0" * 60, "0", "-1"])
def test_a_radius_that_is_too_small_is_refused(kind, radius):
    zero = catalog_family(*SPECIMENS["large"]).nullity
    assertions = {
        "critical point": {"orbit_dimension": zero},
        "inertia": dict(inertia("large").assertion),
        "local maximizer": {"zero": zero},
    }
    certify_statement(statement("large", kind, **(assertions[kind] | {"radius": RADIUS})))
    with pytest.raises(CertificateError):
        certify_statement(statement("large", kind, **(assertions[kind] | {"radius": radius})))


def test_a_point_that_is_not_the_critical_one_is_refused_within_its_radius():
    problem, family = SPECIMENS["mixed"]
    known = catalog_family(problem, family)
    Z = known.point(key=0)
    stored = exact_problem(float_parameters(problem))
    assertion = {"radius": "1/10000", "orbit_dimension": known.orbit_dimension}

    def claim(entries):
        return Certificate(Statement("critical point", stored, Point(tuple(entries.ravel().tolist())), assertion))

    check(claim(Z))
    for wrong in (1.001 * Z, Z + 1e-3, np.random.default_rng(0).standard_normal(Z.shape)):
        with pytest.raises(Undecided):
            check(claim(wrong))


def degenerate(problem: ExactProblem, ranks, of_class: int, excess: int) -> Statement:
    family = ranks if isinstance(ranks, ExactFamily) else orthogonal(ranks)
    return Statement("degenerate", problem, family, {"of_class": of_class, "excess_nullity": excess})


@pytest.mark.parametrize(
    ("dim", "sizes", "ranks", "of_class", "excess"),
    [
        (4, (3, 3), (2, 2), 1, 6),
        (4, (3, 3), (0, 1), 2, 1),
        (3, (4, 3, 2), (2, 0, 0), 1, 3),  # rho = 9/4 has a rational root
        (4, (1, 1, 8), (0, 0, 2), 3, 3),
        (1, (1, 1), (1, 0), 1, 1),  # no group at all
    ],
)
def test_degenerate(dim, sizes, ranks, of_class, excess):
    proof = certify_statement(degenerate(at_fraction(dim, sizes, "1"), ranks, of_class, excess)).proof
    assert "neither a local maximizer nor a strict saddle" in proof.sentence
    assert proof.figures["third_derivative"] < 0


def test_the_third_derivative_is_that_of_the_objective():
    """d = 4, sizes 3, 3, eps = 0.6, ranks 2, 2 (docs/theory.md): F((1+t)Z) − F(Z) is −c t³ in each class."""
    problem = at_fraction(4, (3, 3), "1", "3/5")
    third = certify_statement(degenerate(problem, (2, 2), 1, 6)).proof.figures["third_derivative"]
    assert 2 * third / 6 * 0.01**3 == pytest.approx(-1.57e-7, rel=0.02)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (degenerate(at_fraction(4, (3, 3), "1"), (2, 2), 1, 5), "proved is 6"),
        (degenerate(at_fraction(4, (3, 3), "1"), (2, 2), 1, 7), "proved is 6"),
        (degenerate(at_fraction(4, (3, 3), "999999999/1000000000"), (2, 2), 1, 6), "threshold itself"),
        (degenerate(at_fraction(4, (3, 3), "1000000001/1000000000"), (2, 2), 1, 6), "threshold itself"),
        (degenerate(ExactProblem(4, (3, 3), Fraction(1, 2), Fraction(1)), (2, 2), 1, 6), "threshold itself"),
        (degenerate(at_fraction(4, (3, 3), "1"), (2, 0), 2, 3), "class 2 among them"),
        (degenerate(at_fraction(4, (2, 4), "1"), (1, 1), 2, 1), "used classes of the size"),
        (degenerate(at_fraction(4, (3, 3), "1"), (0, 0), 1, 1), "class 1 among them"),
        (degenerate(at_fraction(4, (3, 3), "1"), (2, 2, 1), 1, 6), "names class 3 of 2"),
        (degenerate(at_fraction(4, (3, 3), "1"), (3, 2), 1, 6), "more directions"),
        (degenerate(at_fraction(4, (2, 2, 2), "1"), ExactFamily((Block("+", (1, 2)),)), 1, 1), "lines of one class"),
        (degenerate(at_fraction(20, (9, 9), "1"), (2, 2), 1, 6), "at most 160"),
    ],
)
def test_what_is_not_degenerate_is_refused(statement, words):
    with pytest.raises(CertificateError, match=words):
        check(Certificate(statement))


def test_a_strict_saddle_is_not_degenerate(monkeypatch):
    """With another third class at its small root the point has an ascent direction. The exact arithmetic is only for used
    classes of one size, so the sign of the Hessian is turned instead."""
    from mcr2_landscape.certify import quadratic

    hessian = quadratic._hessian
    turned = lambda *arguments: [{j: -x for j, x in row.items()} for row in hessian(*arguments)]  # noqa: E731
    monkeypatch.setattr(quadratic, "_hessian", turned)
    with pytest.raises(Disproved, match="positive eigenvalues"):
        check(Certificate(degenerate(at_fraction(4, (3, 3), "1"), (2, 2), 1, 6)))


def test_a_point_off_the_double_root_is_not_critical(monkeypatch):
    from mcr2_landscape.certify import quadratic

    check_gradient = quadratic._check_gradient
    monkeypatch.setattr(quadratic, "_check_gradient", lambda p, q, u, ell, s: check_gradient(p, q, u * 2, ell, s))
    with pytest.raises(Disproved, match="gradient is not zero"):
        check(Certificate(degenerate(at_fraction(4, (3, 3), "1"), (2, 2), 1, 6)))


def ascending(problem, *chain) -> Certificate:
    plain = [q if isinstance(q, (str, dict)) else {"value_at": q.to_plain()} for q in chain]
    return Certificate(Statement("inequality", problem, None, {"ascending": plain}))


EQUAL = at_fraction(7, (4, 4, 4), "9/10", "2/5")


def test_inequalities():
    best, printed = orthogonal(()), orthogonal((4, 3, 0))
    proof = check(ascending(EQUAL, "-1/10", printed, "-1/50", best, "1/10"))
    assert "F(the point with 4 large directions of class 1, 3 large directions of class 2) < -0.02 < F(0)" in proof.sentence
    known = catalog_family(EQUAL, printed).value
    low, high = Fraction(known) - Fraction(1, 10**12), Fraction(known) + Fraction(1, 10**12)
    check(ascending(EQUAL, str(low), printed, str(high)))


@pytest.mark.parametrize("ratio", ["11/10", "3", "1000"])
def test_value_thresholds(ratio):
    known = Fraction(value_threshold(Fraction(ratio))) / Fraction(
        (float(Fraction(ratio)) ** 0.5 - 1) / (float(Fraction(ratio)) ** 0.5 + 1)
    )
    low, high = (str(known * (1 + Fraction(s, 10**10))) for s in (-1, 1))
    check(ascending(None, low, {"value_threshold": ratio}, high))
    for chain in ((high, {"value_threshold": ratio}), ({"value_threshold": ratio}, low)):
        with pytest.raises(Disproved, match="not below"):
            check(ascending(None, *chain))


@pytest.mark.parametrize(
    ("problem", "chain"),
    [
        (EQUAL, (orthogonal(()), orthogonal((4, 3, 0)))),
        (EQUAL, (orthogonal((4, 3, 0)), orthogonal((4, 3, 0)))),
        (EQUAL, (orthogonal((4, 3, 0)), orthogonal((3, 4, 0)))),
        (EQUAL, ("1", "1")),
        (EQUAL, ("2", "1")),
        (EQUAL, ("1",)),
        (EQUAL, ("0", orthogonal(()))),
        (EQUAL, (orthogonal((4, 4, 4)), "1")),
        (EQUAL, (orthogonal((0, 0, 0, 1)), "1")),
        (None, (orthogonal(()), "1")),
        (None, ({"value_threshold": "3"}, {"value_threshold": "4"})),
        (None, ({"value_threshold": "1"}, "1")),
        (None, ({"value_threshold": "3"}, "1")),
        (None, ("0", {"value_threshold": "3"})),
        (None, ({"value_threshold": "3"}, "2")),
        (EQUAL, ({"value_threshold": "3"}, orthogonal(()))),
        (None, ({"value_at": 3}, "1")),
        (None, ({}, "1")),
        (EQUAL, ("1", {"value_threshold": "3"}, "2")),
        (EQUAL, ("1", "2")),
        (None, ("nan", "1")),
        (None, ("1/0", "1")),
    ],
)
def test_false_inequalities_are_refused(problem, chain):
    with pytest.raises(CertificateError):
        check(ascending(problem, *chain))


def rate_reduction(moments, sizes=(10, 10), epsilon_squared="13/10"):
    plain = [[[str(number) for number in row] for row in P] for P in moments]
    return {
        "rate_reduction": {
            "dim": len(plain[0]),
            "sizes": list(sizes),
            "epsilon_squared": epsilon_squared,
            "moments": plain,
        }
    }


def diagonal(*numbers):
    return [[number if i == j else 0 for j in range(len(numbers))] for i, number in enumerate(numbers)]


def test_logarithms():
    # log 2 = 0.6931…, log(9/8) = 2 log 3 − 3 log 2
    check(ascending(None, "6931/10000", {"logs": [["1", "2"]]}, "6932/10000"))
    check(ascending(None, {"logs": [["2", "3"], ["-3", "2"]]}, "1178/10000"))
    with pytest.raises(Disproved):
        check(ascending(None, {"logs": [["1", "2"]]}, "6931/10000"))
    with pytest.raises(Undecided):  # equal, which no ball shows
        check(ascending(None, {"logs": [["2", "2"]]}, {"logs": [["1", "4"]]}))


def test_rate_reductions():
    """One direction a class against two: the values of the theory, and those of the library at random points."""
    one, two = (diagonal(10, 0, 0, 0), diagonal(0, 10, 0, 0)), (diagonal(5, 5, 0, 0), diagonal(0, 0, 5, 5))
    check(ascending(None, "20953/100000", rate_reduction(two), "20954/100000", "228886/1000000", rate_reduction(one)))
    rng = np.random.default_rng(0)
    for _ in range(5):
        blocks = [rng.integers(-2, 3, size=(3, 2)) for _ in range(3)]
        sizes = tuple(int(np.sum(block**2)) + 2 for block in blocks)
        moments = [(block @ block.T).tolist() for block in blocks]
        widths = tuple(block.shape[1] for block in blocks)
        p = Parameters(3, sizes, 0.5, 1.0, widths)
        known = Fraction(objective(p, np.concatenate(blocks, axis=1).astype(float), regularized=False))
        low, high = (str(known + Fraction(s, 10**12)) for s in (-1, 1))
        check(ascending(None, low, rate_reduction(moments, sizes, "1/4"), high))


@pytest.mark.parametrize(
    ("quantity", "says"),
    [
        ({"logs": []}, "logs"),
        ({"logs": [["1", "0"]]}, "above zero"),
        ({"logs": [["1", "-2"]]}, "above zero"),
        ({"logs": [["1"]]}, "logs"),
        (rate_reduction([diagonal(11, 0), diagonal(0, 1)]), "trace above the class's 10"),
        (rate_reduction([diagonal(2, -1), diagonal(0, 1)]), "positive semidefinite"),
        (rate_reduction([[[0, 1], [1, 0]], diagonal(0, 1)]), "positive semidefinite"),
        (rate_reduction([[[1, 2], [2, 1]], diagonal(0, 1)]), "positive semidefinite"),
        (rate_reduction([[[1, 1], [0, 1]], diagonal(0, 1)]), "symmetric"),
        (rate_reduction([diagonal(1, 1)]), "moments"),
        (rate_reduction([diagonal(1, 1), diagonal(1, 1, 1)]), "moments"),
        (rate_reduction([diagonal(1, 0), diagonal(0, 1)], epsilon_squared="0"), "epsilon_squared"),
        (rate_reduction([diagonal(0.5, 0), diagonal(0, 1)]), "moments"),
        (rate_reduction([diagonal(1, 0), diagonal(0, 1)], sizes=(10,)), "sizes"),
    ],
)
def test_quantities_that_are_none_are_refused(quantity, says):
    with pytest.raises(CertificateError, match=says):
        check(ascending(None, quantity, "100"))


def test_an_inequality_has_no_subject():
    certificate = ascending(None, "1", "2")
    wrong = dataclasses.replace(certificate.statement, subject=orthogonal(()))
    with pytest.raises(CertificateError, match="subject"):
        check(dataclasses.replace(certificate, statement=wrong))


def approximate():
    problem, family = SPECIMENS["mixed"]
    p = float_parameters(problem)
    Z = catalog_family(problem, family).point(key=2) + 1e-5
    direction = np.linalg.eigh(hessian_matrix(p, Z))[1][:, -1].reshape(p.shape)
    return certify_approximate_saddle(p, Z, direction)


def test_approximate_strict_saddle():
    made = approximate()
    bounds = made.certificate.statement.assertion
    refusals = {"gradient_norm": (Disproved, "the gradient norm is"), "curvature": (Undecided, "along it is")}
    for name, factor in (("gradient_norm", Fraction(9995, 10000)), ("curvature", Fraction(10005, 10000))):
        refusal, words = refusals[name]
        with pytest.raises(refusal, match=words):
            check(with_assertion(made.certificate, **{name: str(Fraction(bounds[name]) * factor)}))
        check(with_assertion(made.certificate, **{name: str(Fraction(bounds[name]) / factor)}))
    for name, value in (("curvature", "0"), ("curvature", "-1"), ("gradient_norm", "-1"), ("gradient_norm", 0.1)):
        with pytest.raises(CertificateError):
            check(with_assertion(made.certificate, **{name: value}))


def test_an_approximate_saddle_needs_a_direction_of_ascent():
    made = approximate()
    D = np.array(made.certificate.witness["direction"])
    for direction in (0 * D, np.roll(D, 1), np.ones_like(D)):
        with pytest.raises(CertificateError):
            check(dataclasses.replace(made.certificate, witness={"direction": tuple(direction.tolist())}))


def test_the_direction_of_a_false_witness_disproves_nothing():
    made = approximate()
    p = float_parameters(made.certificate.statement.problem)
    Z = np.reshape(made.certificate.statement.subject.entries, p.shape)
    lowest = np.linalg.eigh(hessian_matrix(p, Z))[1][:, 0]
    with pytest.raises(Undecided, match="direction"):
        check(dataclasses.replace(made.certificate, witness={"direction": tuple(lowest.tolist())}))


@pytest.mark.timeout(10)
def test_a_large_problem_is_refused_before_it_is_computed():
    d, m = 400, 1000
    problem = ExactProblem(d, (m // 2, m // 2), Fraction(1), Fraction(1, 10))
    claim = {"gradient_norm": "1", "curvature": "1"}
    subject, zeros = Point((0.5,) * (d * m)), (0.0,) * (d * m)
    with pytest.raises(CertificateError, match="at most"):
        check(Certificate(Statement("approximate strict saddle", problem, subject, claim), {"direction": subject.entries}))
    problem = ExactProblem(300, (250, 250), Fraction(1), Fraction(1, 10))
    subject, zeros = Point((0.5,) * 150_000), (0.0,) * 150_000
    with pytest.raises(CertificateError, match="found zero"):
        check(Certificate(Statement("approximate strict saddle", problem, subject, claim), {"direction": zeros}))


def test_a_gradient_that_is_exactly_zero_is_bounded():
    """alpha = 1, rho = 4, lambda = 3/10: the small root is s = 1/4, and Z = 1/2 a float."""
    problem = ExactProblem(4, (1, 3), Fraction(1), Fraction(3, 10))
    entries = (0.5,) + (0.0,) * 15
    claim = {"gradient_norm": "1/1" + "0" * 25, "curvature": "1/100"}
    witness = {"direction": entries}
    check(Certificate(Statement("approximate strict saddle", problem, Point(entries), claim), witness))
    made = certify_approximate_saddle(problem, np.reshape(entries, (4, 4)), np.reshape(entries, (4, 4)))
    assert float(Fraction(made.certificate.statement.assertion["gradient_norm"])) < 1e-25


def test_the_length_of_the_direction_does_not_matter():
    made = approximate()
    for length in (1e-100, 1e100):
        direction = tuple(length * x for x in made.certificate.witness["direction"])
        check(dataclasses.replace(made.certificate, witness={"direction": direction}))


def test_another_statement_than_the_expected_one_is_refused():
    made = certify_statement(inertia("mixed"))
    check(made.certificate, inertia("mixed"))
    problem, family = SPECIMENS["mixed"]
    others = [
        inertia("small"),
        statement("mixed", "strict saddle"),
        dataclasses.replace(inertia("mixed"), problem=dataclasses.replace(problem, epsilon=Fraction(1, 3))),
        dataclasses.replace(
            inertia("mixed"), problem=dataclasses.replace(problem, regularization=Threshold(Fraction(2, 5), 1))
        ),
        dataclasses.replace(inertia("mixed"), subject=ExactFamily(family.blocks[:-1])),
        dataclasses.replace(inertia("mixed"), assertion=dict(inertia("mixed").assertion) | {"radius": "1/10"}),
    ]
    for other in others:
        with pytest.raises(CertificateError, match="something else"):
            check(made.certificate, other)


@pytest.mark.parametrize(
    "wrong",
    [
        Statement("global maximizer", *SPECIMENS["large"], {}),
        Statement(["inertia"], *SPECIMENS["large"], {}),  # type: ignore[arg-type]
        Statement("inertia", None, None, inertia("large").assertion),
        Statement("inertia", SPECIMENS["large"][0], None, inertia("large").assertion),
        Statement("inertia", *SPECIMENS["large"], {}),
        Statement("inertia", *SPECIMENS["large"], dict(inertia("large").assertion) | {"more": 1}),
        Statement("inertia", *SPECIMENS["large"], dict(inertia("large").assertion) | {"zero": True}),
        Statement("inertia", *SPECIMENS["large"], dict(inertia("large").assertion) | {"zero": 14.0}),
        Statement("inertia", *SPECIMENS["large"], dict(inertia("large").assertion) | {"radius": 0.5}),
        Statement("critical point", SPECIMENS["large"][0], Point((1.0,)), {"radius": "1", "orbit_dimension": 0}),
        Statement("critical point", SPECIMENS["large"][0], Point(("0.1",) * 48), {"radius": "1", "orbit_dimension": 0}),  # type: ignore[arg-type]
        Statement("critical point", SPECIMENS["large"][0], Point((float("nan"),) * 48), {"radius": "1", "orbit_dimension": 0}),
        Statement("critical point", SPECIMENS["large"][0], Point((1e300,) * 48), {"radius": "1", "orbit_dimension": 0}),
        Statement("degenerate", SPECIMENS["large"][0], Point((1.0,) * 48), {"of_class": 1, "excess_nullity": 1}),
        Statement("approximate strict saddle", *SPECIMENS["large"], {"gradient_norm": "1", "curvature": "1"}),
    ],
)
def test_statements_that_are_not_well_formed_are_refused(wrong):
    with pytest.raises(CertificateError):
        check(Certificate(wrong))


@pytest.mark.parametrize("size", ["1" + "0" * 300, "1/1" + "0" * 300, "1" + "0" * 399, "1/1" + "0" * 398])
def test_numbers_beyond_floats_are_no_accident(size):
    """The point and the bounds are exact or ball numbers; only words about them are floats."""
    problem = dataclasses.replace(SPECIMENS["large"][0], epsilon=Fraction(size))
    zero = catalog_family(*SPECIMENS["large"]).nullity
    claim = Statement("critical point", problem, orthogonal((1, 1, 2)), {"radius": size, "orbit_dimension": zero})
    with contextlib.suppress(Undecided):
        assert "0.0" not in check(Certificate(claim)).sentence


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (Fraction(1, 10**9), "1e-09"),
        (Fraction(3, 7), "3/7"),
        (Fraction(12), "12"),
        (Fraction(-5, 2), "-2.5"),
        (Fraction(0.1), "0.1 (float64)"),
        (Fraction(10**23 - 1, 10**23), "about 1.0000000"),
        (1 + Fraction(1, 3**40), "about 1.0000000"),
        (Fraction(1, 10**400), "about 1E-400"),
        (Fraction(10**399), "about 1.0000000E+399"),
    ],
)
def test_numbers_are_shown_for_what_they_are(number, words):
    assert number_text(number) == words
