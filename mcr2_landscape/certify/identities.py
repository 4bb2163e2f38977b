"""Identities between rational functions, checked as polynomial identities over the rationals.

The assertion is left = right wherever the denominators in both do not vanish and, if there are side conditions, their
polynomials r_i do. The proof: (left − right) · (product of their denominators) = Σ cofactor_i · r_i as polynomials. Where no
denominator vanishes, neither does their product, and the right-hand side is zero wherever all r_i are.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction

from mcr2_landscape.certify.exact import CertificateError, Disproved, shown

# Short texts can stand for huge polynomials and numbers, such as ((2**24)**24)**24: what they cost is bounded as they are
# expanded.
_LONGEST, _HIGHEST_POWER, _MOST_WORK, _MOST_BITS, _MOST_NAMES = 2000, 24, 100_000, 4096, 20
# ASCII only: the parser takes some letters for others (ﬁ for fi), and skips comments.
_LETTERS = re.compile(r"[A-Za-z0-9_+\-*/() ]*")
_OTHER_NUMBER = re.compile(r"(?<![A-Za-z0-9_])[0-9]+[A-Za-z_]")  # 0xe, 1_0: not what a reader takes them for

Monomial = tuple[tuple[str, int], ...]
Polynomial = Mapping[Monomial, Fraction]
Ratio = tuple[Polynomial, Polynomial]
ONE: Polynomial = {(): Fraction(1)}


def check_identity(left: str, right: str, where: Sequence[str], cofactors: Sequence[str]) -> None:
    """Check an identity (see the module).

    **Arguments:** expressions of names, integers, ``+ - * /``, parentheses and ``**`` with an integer exponent. `where`:
    polynomials that vanish. `cofactors`: one polynomial for each of them.

    **Raises:** `CertificateError` where the identity does not hold, or an expression is none of these.
    """
    if len(where) != len(cofactors):
        raise CertificateError(f"cofactors: found {len(cofactors)} for {len(where)} conditions; expected one each")
    expansion = _Expansion()
    rest = expansion.difference(left, right)
    for condition, cofactor in zip(where, cofactors, strict=True):
        if not any(expansion.polynomial("where", condition)):
            raise CertificateError(f"where: found {shown(condition)}, a constant; expected a condition")
        factors = [expansion.polynomial(name, text) for name, text in (("where", condition), ("cofactors", cofactor))]
        rest = expansion.sum(rest, expansion.product(*factors), -1)
    if rest:
        # With conditions, other cofactors may do.
        refusal = CertificateError if where else Disproved
        raise refusal(f"the identity {left} = {right} does not hold: {len(rest)} terms are left over")


def difference(left: str, right: str) -> Polynomial:
    """(left − right) times the denominators of both, as they are written.

    **Raises:** `CertificateError` for what is no expression.
    """
    return _Expansion().difference(left, right)


def polynomial_text(polynomial: Polynomial) -> str:
    """A polynomial as an expression."""
    terms = ["*".join([f"({value})", *(f"{name}**{power}" for name, power in key)]) for key, value in polynomial.items()]
    return " + ".join(terms) or "0"


class _Expansion:
    """Expressions expanded into polynomials, as long as all of it together stays within bounds."""

    def __init__(self) -> None:
        self._work, self._names = 0, set[str]()

    def difference(self, left: str, right: str) -> Polynomial:
        (p, q), (r, s) = self._ratio("left", left), self._ratio("right", right)
        return self.sum(self.product(p, s), self.product(r, q), -1)

    def polynomial(self, name: str, text: str) -> Polynomial:
        numerator, denominator = self._ratio(name, text)
        if any(denominator):  # a monomial other than ()
            raise CertificateError(f"{name}: found {shown(text)}; expected a polynomial")
        return self.product(numerator, {(): 1 / denominator[()]})

    def _ratio(self, name: str, text: str) -> Ratio:
        if not isinstance(text, str) or len(text) > _LONGEST or not _LETTERS.fullmatch(text):
            words = f"expected an expression of at most {_LONGEST} letters, digits, + - * / and parentheses"
            raise CertificateError(f"{name}: found {shown(text)}; {words}")
        if _OTHER_NUMBER.search(text):
            raise CertificateError(f"{name}: found {shown(text)}; numbers are decimal integers")
        try:
            try:
                tree = ast.parse(text.strip(), mode="eval")
            except (SyntaxError, ValueError, MemoryError):
                raise CertificateError(f"{name}: found {shown(text)}; it is no expression") from None
            return self._evaluate(name, tree.body)
        except RecursionError:
            raise CertificateError(f"{name}: the expression is nested too deeply") from None

    def _evaluate(self, name: str, node: ast.expr) -> Ratio:
        if isinstance(node, ast.Constant) and type(node.value) is int and abs(node.value) < 10**30:
            return ({(): Fraction(node.value)} if node.value else {}), ONE
        if isinstance(node, ast.Name):
            self._names.add(node.id)
            if len(self._names) > _MOST_NAMES:
                raise CertificateError(f"{name}: more than {_MOST_NAMES} names; too large to expand")
            return {((node.id, 1),): Fraction(1)}, ONE
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
            p, q = self._evaluate(name, node.operand)
            return (self.sum({}, p, -1) if isinstance(node.op, ast.USub) else p), q
        if isinstance(node, ast.BinOp):
            p, q = self._evaluate(name, node.left)
            if isinstance(node.op, ast.Pow):
                return self._power(name, p, q, node.right)
            r, s = self._evaluate(name, node.right)
            if isinstance(node.op, (ast.Add, ast.Sub)):
                sign = 1 if isinstance(node.op, ast.Add) else -1
                if q == s:
                    return self.sum(p, r, sign), q
                return self.sum(self.product(p, s), self.product(r, q), sign), self.product(q, s)
            if isinstance(node.op, ast.Mult):
                return self.product(p, r), self.product(q, s)
            if isinstance(node.op, ast.Div):
                if not r:
                    raise CertificateError(f"{name}: division by zero")
                return self.product(p, s), self.product(q, r)
        raise CertificateError(f"{name}: only names, integers, + - * / and ** are allowed")

    def _power(self, name: str, p: Polynomial, q: Polynomial, exponent: ast.expr) -> Ratio:
        if not (isinstance(exponent, ast.Constant) and type(exponent.value) is int and 0 <= exponent.value <= _HIGHEST_POWER):
            raise CertificateError(f"{name}: exponents are integers from 0 to {_HIGHEST_POWER}")
        top, bottom = ONE, ONE
        for _ in range(exponent.value):
            top, bottom = self.product(top, p), self.product(bottom, q)
        return top, bottom

    def sum(self, first: Polynomial, second: Polynomial, sign: int) -> Polynomial:
        self._count(len(first) + len(second))
        total = dict(first)
        for monomial, coefficient in second.items():
            _add(total, monomial, sign * coefficient)
        return total

    def product(self, first: Polynomial, second: Polynomial) -> Polynomial:
        self._count(len(first) * len(second))
        total: dict[Monomial, Fraction] = {}
        for left, a in first.items():
            for right, b in second.items():
                powers = dict(left)
                for variable, power in right:
                    powers[variable] = powers.get(variable, 0) + power
                _add(total, tuple(sorted(powers.items())), a * b)
        return total

    def _count(self, steps: int) -> None:
        self._work += steps + 1
        if self._work > _MOST_WORK:
            raise CertificateError("identity: too large to expand")


def _add(total: dict[Monomial, Fraction], monomial: Monomial, coefficient: Fraction) -> None:
    value = total.get(monomial, Fraction(0)) + coefficient
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > _MOST_BITS:
        raise CertificateError("identity: too large to expand")
    if value:
        total[monomial] = value
    else:
        total.pop(monomial, None)
