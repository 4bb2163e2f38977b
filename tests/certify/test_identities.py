"""Identities of rational functions: true ones proved, false ones refused, and no text takes long."""

from __future__ import annotations

import contextlib
import time

import pytest
import sympy
from hypothesis import assume, given
from hypothesis import strategies as st

from mcr2_landscape.certify import Certificate, CertificateError, Statement, certify_statement, check
from mcr2_landscape.certify.identities import check_identity


def identity(left, right, *where) -> Statement:
    return Statement("identity", None, None, {"left": left, "right": right, "where": list(where)})


@st.composite
def expressions(draw, depth: int = 3) -> str:
    if depth == 0 or draw(st.booleans()):
        return draw(st.sampled_from(["x", "y", "ell", "1", "2", "3"]))
    operation = draw(st.sampled_from(["+", "-", "*", "/", "**", "negate"]))
    first = draw(expressions(depth=depth - 1))
    if operation == "negate":
        return f"(-{first})"
    if operation == "**":
        return f"({first})**{draw(st.integers(0, 3))}"
    return f"({first} {operation} {draw(expressions(depth=depth - 1))})"


def is_defined(text: str) -> bool:
    """Whether no denominator is zero identically. Computer algebra cancels some of those unseen."""
    with contextlib.suppress(CertificateError):
        check_identity(text, text, [], [])
        return True
    return False


NAMES = {name: sympy.Symbol(name) for name in ("x", "y", "ell")}


@given(expressions(), expressions())
def test_the_verdict_is_that_of_computer_algebra(left, right):
    first, second = (sympy.sympify(text, locals=NAMES) for text in (left, right))
    assume(is_defined(left) and is_defined(right))
    assert not first.has(sympy.zoo, sympy.nan)
    if sympy.cancel(first - second) == 0:
        check_identity(left, right, [], [])
    else:
        with pytest.raises(CertificateError, match="does not hold"):
            check_identity(left, right, [], [])


@given(expressions())
def test_what_computer_algebra_makes_of_an_expression_is_equal_to_it(text):
    assume(is_defined(text))
    top, bottom = sympy.fraction(sympy.together(sympy.sympify(text, locals=NAMES)))
    form = f"({sympy.expand(top)})/({sympy.expand(bottom)})"
    check_identity(text, form, [], [])
    with pytest.raises(CertificateError, match="does not hold"):
        check_identity(text, f"{form} + 1", [], [])


def test_identities_under_conditions():
    proof = certify_statement(identity("b*(1 - b) - a*(1 - a)", "ell*(2*a - 1 - ell)", "a - b - ell")).proof
    assert "whenever a - b - ell = 0" in proof.sentence
    assert certify_statement(identity("x*y", "z", "x - 1", "y - z")).certificate.witness["cofactors"]
    made = certify_statement(identity("rho/((1 + rho*s)*(1 + rho*t)) - 1/((1 + s)*(1 + t))", "0", "rho*s*t - 1"))
    cofactor = made.certificate.witness["cofactors"][0]
    for wrong in ("0", "1", f"{cofactor} + 1", f"-({cofactor})", f"2*({cofactor})"):
        with pytest.raises(CertificateError, match="does not hold"):
            check(Certificate(made.certificate.statement, {"cofactors": [wrong]}))
    for wrong in ([], [cofactor, "0"], None, [None], ["1/s"], "0"):
        with pytest.raises(CertificateError):
            check(Certificate(made.certificate.statement, {"cofactors": wrong}))


@pytest.mark.parametrize(
    ("left", "right", "where"),
    [
        ("x", "y", ()),
        ("1/x", "1/(x + 1)", ()),
        ("(x + y)**2", "x**2 + y**2", ()),
        ("x*y", "1", ("x*y - 2",)),
        ("x", "0", ("x**2",)),  # true over the reals, but no polynomial combination shows it
        ("1", "2", ()),
        ("x", "y", ("z - z",)),
        ("x", "x + 1", ("1",)),  # true, as nothing satisfies the condition
    ],
)
def test_false_identities_are_refused(left, right, where):
    with pytest.raises(CertificateError):
        certify_statement(identity(left, right, *where))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x +",
        "x = 1",
        "x if y else z",
        "f(x)",
        "x.real",
        "x[0]",
        "'x'",
        "1.5*x",
        "x # y",
        "x\n+ y",
        "ﬁ",
        "α",
        "x**y",
        "x**-1",
        "x**25",
        "x**True",
        "True",
        "None",
        "lambda: x",
        "(yield)",
        "__import__",
        "0x",
        "0xe + x",
        "0o17",
        "0b1",
        "1_0",
        "+".join(f"x{i}" for i in range(21)),
        "1if",
        "x/0",
        "x/(y - y)",
        "9" * 31,
        "9" * 1999,
        "(" * 300 + "x" + ")" * 300,
        "-" * 1999 + "x",
        "x" * 2001,
        "((2**24)**24)**24",
        "((((((2**24)**24)**24)**24)**24)**24)**24",
        "(a + b + c + d + e + f + g)**24",
        "+".join(["(a + b + c)**24*(d + e)**24"] * 60),
        None,
        3,
        ["x"],
    ],
)
def test_what_is_no_expression_is_refused_soon(text):
    began = time.process_time()
    claim = {"left": text, "right": "x", "where": []}
    if text == "__import__":
        claim["right"] = "y"  # a name like any other
    with pytest.raises(CertificateError):
        check(Certificate(Statement("identity", None, None, claim), {"cofactors": []}))
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("text", "words"),
    [("x/0", "division by zero"), ("x**-1", "exponents are"), ("((2**24)**24)**24", "too large"), ("f(x)", "only names")],
)
def test_the_reason_is_told(text, words):
    with pytest.raises(CertificateError, match=words):
        check_identity(text, "x", [], [])


def test_names_with_digits_are_names():
    check_identity("x1 + x_2*X3e5", "X3e5*x_2 + x1", [], [])


def test_many_names_in_one_term_are_refused_soon():
    """The work of a product grows with the length of its terms."""
    text = "*".join(f"(a{i} + 1)" for i in range(9)) + "*" + "*".join(f"x{i}" for i in range(300))
    began = time.process_time()
    with pytest.raises(CertificateError, match="too large"):
        check_identity(text, "x", [], [])
    assert time.process_time() - began < 1


def test_an_identity_has_no_problem():
    from .problems import SPECIMENS

    problem, family = SPECIMENS["large"]
    claim = {"left": "x", "right": "x", "where": []}
    for statement in (Statement("identity", problem, None, claim), Statement("identity", None, family, claim)):
        with pytest.raises(CertificateError, match="an identity has none"):
            check(Certificate(statement, {"cofactors": []}))
