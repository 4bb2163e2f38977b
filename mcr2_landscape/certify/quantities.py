"""The quantities that an *inequality* compares: each exact, each with an enclosure by balls.

A quantity is one of

* a rational number;
* {"value_at": family}: F at the family's points, of the statement's problem;
* {"value_threshold": rho}: the fraction of lambda_k at which a direction of ratio rho has the value zero;
* {"logs": [[c, q], …]}: Σ c log q with rational c and q > 0;
* {"rate_reduction": {"dim", "sizes", "epsilon_squared", "moments"}}: ΔR of class blocks A_j with A_jA_jᵀ the given `moments`,
  rational symmetric matrices d × d, each shown to be positive semidefinite of trace at most n_j: a feasible point of the
  problem on balls, up to rotations of its rows' spaces, if the blocks have as many columns as the ranks that are named. The
  entries of each have a common denominator of at most 400 digits, which bounds the time that exact elimination takes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

from flint import arb, fmpq, fmpq_mat, fmpz

from mcr2_landscape.certify.balls import BallProblem, ball
from mcr2_landscape.certify.exact import (
    CertificateError,
    ExactFamily,
    ExactProblem,
    fields,
    integer,
    items,
    number_text,
    rational,
)

_MOST_LOGS, _LARGEST_DIM, _LARGEST_DENOMINATOR = 200, 20, 10**400


class Quantity(Protocol):
    """What an inequality compares: an enclosure at the working precision, and words (`str`)."""

    def enclosure(self) -> arb:
        """A ball that holds it, at the working precision."""
        ...


@dataclass(frozen=True)
class Number:
    """A rational number."""

    number: Fraction

    def enclosure(self) -> arb:
        """A ball that holds it."""
        return ball(self.number)

    def __str__(self) -> str:
        return number_text(self.number)


@dataclass(frozen=True)
class ValueAt:
    """F at the points of a family."""

    problem: ExactProblem
    subject: ExactFamily

    def enclosure(self) -> arb:
        """A ball that holds it."""
        b = BallProblem(self.problem)
        return b.value(b.point(self.subject))

    def __str__(self) -> str:
        return f"F({self.subject})" if self.subject.blocks else "F(0)"


@dataclass(frozen=True)
class ValueThreshold:
    """lambda°/lambda_k at the ratio rho. It has no enclosure: a number is compared with it by the sign of h there (see
    `height`)."""

    ratio: Fraction

    def enclosure(self) -> arb:
        """**Raises:** `CertificateError`."""
        raise CertificateError("ascending: a threshold is compared with a number between 0 and 1")

    def __str__(self) -> str:
        return f"λ°/λ_k at rho = {number_text(self.ratio)}"

    def height(self, fraction: Fraction) -> arb:
        """h_rho(s₊) = ½ [log(1 + s) − log(1 + rho s)/rho − ell s] at ell = fraction · (√rho − 1)/(√rho + 1).

        It falls strictly as lambda grows, since its derivative by ell is −s₊/2 (h is stationary at s₊). It is positive for
        small lambda, where s₊ ~ (rho − 1)/(rho ell) and h ~ ½(1 − 1/rho) log s₊, and negative at lambda_k, where h falls on all
        of s > 0 from h(0) = 0. So there is one zero, and a fraction in (0, 1) is below it exactly if h is positive there.
        """
        rho = ball(self.ratio)
        ell = ball(fraction) * (rho.sqrt() - 1) / (rho.sqrt() + 1)
        beta = rho - 1 - ell * (1 + rho)
        s = (beta + (beta * beta - 4 * rho * ell * ell).sqrt()) / (2 * rho * ell)
        return ((1 + s).log() - (1 + rho * s).log() / rho - ell * s) / 2


@dataclass(frozen=True)
class Logs:
    """Σ c log q."""

    terms: tuple[tuple[Fraction, Fraction], ...]

    def enclosure(self) -> arb:
        """A ball that holds it."""
        return sum((ball(c) * ball(q).log() for c, q in self.terms), arb(0))

    def __str__(self) -> str:
        words = [f"{number_text(c)} log({number_text(q)})" for c, q in self.terms]
        return " + ".join(words).replace("+ -", "− ")


@dataclass(frozen=True)
class RateReduction:
    """ΔR = ½ logdet(I + b Σ P_j) − Σ (n_j/2n) logdet(I + b_j P_j) with b = d/(n ε²), b_j = d/(n_j ε²)."""

    dim: int
    sizes: tuple[int, ...]
    epsilon_squared: Fraction
    moments: tuple[tuple[tuple[Fraction, ...], ...], ...]

    def enclosure(self) -> arb:
        """A ball that holds it: logarithms of exact determinants."""
        n = sum(self.sizes)
        whole = [[sum((P[i][j] for P in self.moments), Fraction(0)) for j in range(self.dim)] for i in range(self.dim)]
        found = self._log_det(whole, n) / 2
        for size, P in zip(self.sizes, self.moments, strict=True):
            found -= ball(Fraction(size, 2 * n)) * self._log_det(P, size)
        return found

    def _log_det(self, P: Sequence[Sequence[Fraction]], size: int) -> arb:
        scale = Fraction(self.dim) / (size * self.epsilon_squared)
        entries = [int(i == j) + scale * P[i][j] for i in range(self.dim) for j in range(self.dim)]
        determinant = fmpq_mat(self.dim, self.dim, [fmpq(x.numerator, x.denominator) for x in map(Fraction, entries)]).det()
        return ball(Fraction(int(determinant.p), int(determinant.q))).log()

    def __str__(self) -> str:
        ranks = ",".join(str(_rank(P)) for P in self.moments)
        return (
            f"ΔR at the given point with ranks ({ranks}), d = {self.dim}, n = {self.sizes}, "
            f"ε² = {number_text(self.epsilon_squared)}"
        )


def parse_quantity(problem: ExactProblem | None, entry: Any) -> Quantity:
    """Read one quantity.

    **Raises:** `CertificateError` for what is none.
    """
    if not isinstance(entry, Mapping):
        return Number(rational("ascending", entry))
    if "value_threshold" in entry:
        ratio = rational("value_threshold", fields("quantity", entry, ("value_threshold",))["value_threshold"])
        if ratio <= 1:
            raise CertificateError(f"value_threshold: found {ratio}; rho = m/m_k is greater than one")
        return ValueThreshold(ratio)
    if "logs" in entry:
        return _logs(fields("quantity", entry, ("logs",))["logs"])
    if "rate_reduction" in entry:
        return _rate_reduction(fields("quantity", entry, ("rate_reduction",))["rate_reduction"])
    if problem is None:
        raise CertificateError("problem: missing; a value of F is about one")
    return ValueAt(problem, ExactFamily.from_plain(fields("quantity", entry, ("value_at",))["value_at"]))


def _logs(value: Any) -> Logs:
    terms = []
    for entry in items("logs", value, minimum=1, maximum=_MOST_LOGS):
        c, q = items("logs", entry, minimum=2, maximum=2)
        factor, argument = rational("logs", c), rational("logs", q)
        if argument <= 0:
            raise CertificateError(f"logs: found the logarithm of {argument}; it needs a number above zero")
        terms.append((factor, argument))
    return Logs(tuple(terms))


def _rate_reduction(value: Any) -> RateReduction:
    entry = fields("rate_reduction", value, ("dim", "sizes", "epsilon_squared", "moments"))
    dim = integer("dim", entry["dim"], 1, _LARGEST_DIM)
    sizes = tuple(integer("sizes", size, 1) for size in items("sizes", entry["sizes"], minimum=2, maximum=_LARGEST_DIM))
    epsilon_squared = rational("epsilon_squared", entry["epsilon_squared"])
    if epsilon_squared <= 0:
        raise CertificateError(f"epsilon_squared: found {epsilon_squared}; it is greater than zero")
    moments = []
    for size, matrix in zip(sizes, items("moments", entry["moments"], minimum=len(sizes), maximum=len(sizes)), strict=True):
        rows = [items("moments", row, minimum=dim, maximum=dim) for row in items("moments", matrix, minimum=dim, maximum=dim)]
        P = tuple(tuple(rational("moments", number) for number in row) for row in rows)
        if any(P[i][j] != P[j][i] for i in range(dim) for j in range(i)):
            raise CertificateError("moments: found a matrix that is not symmetric")
        _common_denominator(P)
        if sum(P[i][i] for i in range(dim)) > size:
            raise CertificateError(f"moments: found a trace above the class's {size} samples")
        if any(abs(number) > size for row in P for number in row):  # this bounds the elimination's numbers as well
            raise CertificateError("moments: found an entry above the trace: the matrix is not positive semidefinite")
        _rank(P)
        moments.append(P)
    return RateReduction(dim, sizes, epsilon_squared, tuple(moments))


def _common_denominator(P: Sequence[Sequence[Fraction]]) -> int:
    """Of the entries.

    **Raises:** `CertificateError` if it is too large.
    """
    found = 1
    for row in P:
        found = math.lcm(found, *(number.denominator for number in row))
        if found > _LARGEST_DENOMINATOR:
            raise CertificateError("moments: found a matrix whose entries have a common denominator of more than 400 digits")
    return found


def _rank(P: Sequence[Sequence[Fraction]]) -> int:
    """The rank of a positive semidefinite matrix, by elimination of integers (Bareiss): what is left after k pivots are minors
    of order k + 1, so that the divisions leave no remainder.

    **Raises:** `CertificateError` for another matrix.
    """
    denominator = _common_denominator(P)
    left = [[fmpz(int(number * denominator)) for number in row] for row in P]
    rank, before = 0, fmpz(1)
    while True:
        pivot = next((i for i, row in enumerate(left) if row[i] != 0), None)
        if pivot is None:
            if any(number != 0 for row in left for number in row):
                raise CertificateError("moments: found a matrix that is not positive semidefinite")
            return rank
        own = left[pivot]
        top = own[pivot]
        if top < 0:
            raise CertificateError("moments: found a matrix that is not positive semidefinite")
        left = [
            [(row[j] * top - row[pivot] * own[j]) // before for j in range(len(own)) if j != pivot]
            for i, row in enumerate(left)
            if i != pivot
        ]
        rank, before = rank + 1, top
