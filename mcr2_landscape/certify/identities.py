"""Identities between rational functions, checked as polynomial identities over the rationals.

The assertion is left = right wherever the denominators in both and, if there are side conditions, the conditions' polynomials r_i vanish.
The proof: (left − right) · (product of their denominators) = Σ cofactor_i · r_i as polynomials.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from fractions import Fraction

from mcr2_landscape.certify.exact import CertificateError, shown

_LONGEST, _MOST_TERMS, _HIGHEST_POWER = 2000, 50_000, 24

Monomial = tuple[tuple[str, int], ...]
Polynomial = Mapping[Monomial, Fraction]
ONE: Polynomial = {(): Fraction(1)}


def check_identity(left: str, right: str, where: Sequence[str], cofactors: Sequence[str]) -> None:
    """Check an identity (see the module).

    **Arguments:** expressions of names, integers, ``+ - * /``, parentheses and ``**`` with an integer exponent. `where`: polynomials
    that vanish. `cofactors`: one polynomial for each of them.

    **Raises:** `CertificateError` where the identity does not hold, or an expression is none of these.
    """
    if len(where) != len(cofactors):
        raise CertificateError(f"cofactors: found {len(cofactors)} for {len(where)} conditions; expected one each")
    rest = difference(left, right)
    for condition, cofactor in zip(where, cofactors, strict=True):
        factors = []
        for name, text in (("where", condition), ("cofactors", cofactor)):
            numerator, denominator = _fraction(name, text)
            if any(monomial for monomial in denominator):
                raise CertificateError(f"{name}: found {shown(text)}; expected a polynomial")
            factors.append(_product(numerator, {(): 1 / denominator[()]}))
        rest = _sum(rest, _product(*factors), -1)
    if rest:
        raise CertificateError(f"the identity {left} = {right} does not hold: {len(rest)} terms are left over")


def difference(left: str, right: str) -> Polynomial:
    """(left − right) times the denominators of both, as they are written.

    **Raises:** `CertificateError` for what is no expression.
    """
    (p, q), (r, s) = _fraction("left", left), _fraction("right", right)
    return _sum(_product(p, s), _product(r, q), -1)


def polynomial_text(polynomial: Polynomial) -> str:
    """A polynomial as an expression."""
    terms = ["*".join([f"({value})", *(f"{name}**{power}" for name, power in key)]) for key, value in polynomial.items()]
    return " + ".join(terms) or "0"


def _fraction(name: str, text: str) -> tuple[Polynomial, Polynomial]:
    if not isinstance(text, str) or len(text) > _LONGEST:
        raise CertificateError(f"{name}: found {shown(text)}; expected an expression of at most {_LONGEST} letters")
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise CertificateError(f"{name}: found {shown(text)}; it is no expression") from None
    try:
        return _evaluate(name, tree.body)
    except RecursionError:
        raise CertificateError(f"{name}: the expression is nested too deeply") from None


def _evaluate(name: str, node: ast.expr) -> tuple[Polynomial, Polynomial]:
    if isinstance(node, ast.Constant) and type(node.value) is int and abs(node.value) < 10**30:
        return ({(): Fraction(node.value)} if node.value else {}), ONE
    if isinstance(node, ast.Name):
        return {((node.id, 1),): Fraction(1)}, ONE
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        p, q = _evaluate(name, node.operand)
        return (_sum({}, p, -1) if isinstance(node.op, ast.USub) else p), q
    if isinstance(node, ast.BinOp):
        p, q = _evaluate(name, node.left)
        if isinstance(node.op, ast.Pow):
            exponent = node.right
            if isinstance(exponent, ast.Constant) and type(exponent.value) is int and 0 <= exponent.value <= _HIGHEST_POWER:
                top, bottom = ONE, ONE
                for _ in range(exponent.value):
                    top, bottom = _product(top, p), _product(bottom, q)
                return top, bottom
            raise CertificateError(f"{name}: exponents are integers from 0 to {_HIGHEST_POWER}")
        r, s = _evaluate(name, node.right)
        if isinstance(node.op, (ast.Add, ast.Sub)):
            sign = 1 if isinstance(node.op, ast.Add) else -1
            if q == s:
                return _sum(p, r, sign), q
            return _sum(_product(p, s), _product(r, q), sign), _product(q, s)
        if isinstance(node.op, ast.Mult):
            return _product(p, r), _product(q, s)
        if isinstance(node.op, ast.Div):
            if not r:
                raise CertificateError(f"{name}: division by zero")
            return _product(p, s), _product(q, r)
    raise CertificateError(f"{name}: only names, integers, + - * / and ** are allowed")


def _sum(first: Polynomial, second: Polynomial, sign: int) -> Polynomial:
    total = dict(first)
    for monomial, coefficient in second.items():
        value = total.get(monomial, Fraction(0)) + sign * coefficient
        if value:
            total[monomial] = value
        else:
            total.pop(monomial, None)
    return total


def _product(first: Polynomial, second: Polynomial) -> Polynomial:
    if len(first) * len(second) > 40 * _MOST_TERMS:
        raise CertificateError("identity: too many terms")
    total: dict[Monomial, Fraction] = {}
    for left, a in first.items():
        for right, b in second.items():
            powers = dict(left)
            for variable, power in right:
                powers[variable] = powers.get(variable, 0) + power
            monomial = tuple(sorted(powers.items()))
            value = total.get(monomial, Fraction(0)) + a * b
            if value:
                total[monomial] = value
            else:
                total.pop(monomial, None)
    if len(total) > _MOST_TERMS:
        raise CertificateError("identity: too many terms")
    return total
