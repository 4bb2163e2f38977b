"""Degenerate points, in exact arithmetic over Q(√rho).

At lambda = lambda_k the class k has the double root x with alpha x = 1/√rho_k. A point whose used classes all have the size
m_k lies, up to the factor √x, in the rationals: in standard position it is √x P with a partial permutation P, and the
matrices of its Hessian are over Q(√rho_k). So its gradient, the inertia of its Hessian and the third derivative along the
scaling of one block are computed without any rounding: nothing about the landscape is assumed but the formulas of the
objective's derivatives (see `balls`).

Let Z be critical, its Hessian without a positive eigenvalue, and D in the kernel with D³F[D, D, D] = c ≠ 0. Then F(Z + tD) =
F(Z) + c t³/6 + O(t⁴): larger than F(Z) for small t of the sign of c. So Z is neither a local maximizer nor a strict saddle.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from flint import ctx, fmpz_mat

from mcr2_landscape.certify.balls import ball
from mcr2_landscape.certify.exact import CertificateError, Disproved, ExactFamily, ExactProblem, Threshold

LARGEST = 160  # unknowns: exact elimination beyond that takes minutes


@dataclass(frozen=True)
class Surd:
    """a + b √square with rational a and b."""

    a: Fraction
    b: Fraction
    square: Fraction

    def _other(self, value: Surd | int | Fraction) -> Surd:
        return value if isinstance(value, Surd) else Surd(Fraction(value), Fraction(0), self.square)

    def __add__(self, value: Surd | int | Fraction) -> Surd:
        other = self._other(value)
        return Surd(self.a + other.a, self.b + other.b, self.square)

    __radd__ = __add__

    def __neg__(self) -> Surd:
        return Surd(-self.a, -self.b, self.square)

    def __sub__(self, value: Surd | int | Fraction) -> Surd:
        return self + (-self._other(value))

    def __rsub__(self, value: Surd | int | Fraction) -> Surd:
        return self._other(value) - self

    def __mul__(self, value: Surd | int | Fraction) -> Surd:
        other = self._other(value)
        return Surd(self.a * other.a + self.b * other.b * self.square, self.a * other.b + self.b * other.a, self.square)

    __rmul__ = __mul__

    def __truediv__(self, value: Surd | int | Fraction) -> Surd:
        other = self._other(value)
        norm = other.a * other.a - other.b * other.b * self.square
        if norm == 0 and other.sign() == 0:
            raise ZeroDivisionError("division by zero in the quadratic field")
        if norm == 0:  # √square is rational, and b √square = −a or a
            return self * Surd(1 / (other.a + other.b * _root(self.square)), Fraction(0), self.square)
        return self * Surd(other.a / norm, -other.b / norm, self.square)

    def __rtruediv__(self, value: Surd | int | Fraction) -> Surd:
        return self._other(value) / self

    def sign(self) -> int:
        """−1, 0 or 1, exactly."""
        signs = [(number > 0) - (number < 0) for number in (self.a, self.b)]
        if signs[0] * signs[1] >= 0:
            return signs[0] or signs[1]
        difference = self.a * self.a - self.b * self.b * self.square
        return signs[0] * ((difference > 0) - (difference < 0))

    def __float__(self) -> float:
        with ctx.workprec(848):  # the two parts may cancel
            return float(ball(self.a) + ball(self.b) * ball(self.square).sqrt())

    def __str__(self) -> str:
        return f"{self.a} + {self.b} √({self.square})" if self.b else str(self.a)


def _root(square: Fraction) -> Fraction:
    return Fraction(math.isqrt(square.numerator), math.isqrt(square.denominator))


@dataclass(frozen=True)
class Degenerate:
    """What is proved of a degenerate point: exact inertia of the Hessian, dimension of the orbit, and the derivatives d³F/dt³
    at t = 0 when the block of class `of_class` is scaled by 1 + t."""

    zero: int
    negative: int
    orbit_dimension: int
    third_derivative: Surd


def degenerate(problem: ExactProblem, family: ExactFamily, of_class: int) -> Degenerate:
    """Prove that a point at a double root is critical, that its Hessian has no positive eigenvalue, and that scaling the
    block of `of_class` changes F with the third power.

    **Raises:** `CertificateError` where that is not so, or the problem is not of the kind that this arithmetic treats.
    """
    weight, n = problem.regularization, problem.dim * problem.num_samples
    if n > LARGEST:
        raise CertificateError(f"problem: {n} unknowns; exact elimination takes at most {LARGEST}")
    if not isinstance(weight, Threshold) or weight.fraction != 1:
        raise CertificateError("regularization: expected a threshold itself (fraction 1): double roots exist nowhere else")
    rho = problem.ratios[weight.of_class - 1]
    used = [k for k, rank in enumerate(family.class_ranks(len(problem.sizes))) if rank]
    if any(block.shape != "line" or len(block.classes) != 1 for block in family.blocks):
        raise CertificateError("subject: expected lines of one class each")
    if any(problem.ratios[k] != rho for k in used) or of_class - 1 not in used:
        raise CertificateError(
            f"subject: expected used classes of the size of class {weight.of_class}, class {of_class} among them"
        )
    pattern = _pattern(problem, family)
    root = Surd(Fraction(0), Fraction(1), rho)
    u, ell = root / rho, (root - 1) / (root + 1)  # u = alpha x
    H = _hessian(problem, pattern, u, ell)
    spans = _spans(problem.sizes)
    _check_gradient(problem, pattern, u, ell, spans)
    start, stop = spans[of_class - 1]
    m = problem.num_samples
    scaling = {i * m + j for i, j in pattern if start <= j < stop}
    for row in H:
        if sum((entry for place, entry in row.items() if place in scaling), u * 0).sign() != 0:
            raise CertificateError("subject: scaling the block is no null direction of the Hessian")
    third = _third(u, rho) * len(scaling)
    if third.sign() == 0:
        raise CertificateError("subject: the third derivative vanishes")
    positive, zero, negative = _inertia(H, u * 0)
    if positive:
        raise Disproved(f"subject: the Hessian has {positive} positive eigenvalues: a strict saddle")
    return Degenerate(zero, negative, _orbit_dimension(problem, pattern), third)


def _spans(sizes: tuple[int, ...]) -> list[tuple[int, int]]:
    ends = [sum(sizes[: k + 1]) for k in range(len(sizes))]
    return [(end - size, end) for end, size in zip(ends, sizes, strict=True)]


def _pattern(problem: ExactProblem, family: ExactFamily) -> list[tuple[int, int]]:
    """The (row, column) of the ones of P: consecutive rows, and each class's columns in order."""
    free = [start for start, _ in _spans(problem.sizes)]
    places: list[tuple[int, int]] = []
    for block in family.blocks:
        k = block.classes[0] - 1
        for _ in range(block.count):
            if len(places) >= problem.dim or free[k] >= _spans(problem.sizes)[k][1]:
                raise CertificateError("subject: more directions than dimensions or than columns of a class")
            places.append((len(places), free[k]))
            free[k] += 1
    return places


def _diagonals(problem: ExactProblem, pattern: list[tuple[int, int]], u: Surd):
    """For all of Z and for each class: scale (1 or rho_k), diagonals of A and M, the ones of P in it, its columns. A and M are
    diagonal, as P Pᵀ and PᵀP are."""
    one = u * 0 + 1
    spans = [(0, problem.num_samples), *_spans(problem.sizes)]
    for scale, (start, stop) in zip((Fraction(1), *problem.ratios), spans, strict=True):
        inside = [(i, j) for i, j in pattern if start <= j < stop]
        small = one / (1 + u * scale)
        A = [small if any(i == row for row, _ in inside) else one for i in range(problem.dim)]
        M = {j: small if any(j == column for _, column in inside) else one for j in range(start, stop)}
        yield scale, A, M, inside


def _hessian(problem: ExactProblem, pattern: list[tuple[int, int]], u: Surd, ell: Surd) -> list[dict[int, Surd]]:
    """H/alpha as sparse rows: A ⊗ M − alpha P̂ P̂ᵀ-terms of the whole, less those of each class, less ell."""
    d, m = problem.dim, problem.num_samples
    rows: list[dict[int, Surd]] = [{} for _ in range(d * m)]

    def add(row: int, column: int, value: Surd) -> None:
        rows[row][column] = rows[row].get(column, u * 0) + value

    for number, (scale, A, M, inside) in enumerate(_diagonals(problem, pattern, u)):
        sign = 1 if number == 0 else -1
        for i in range(d):
            for j, entry in M.items():
                add(i * m + j, i * m + j, sign * (A[i] * entry))
        for i, q in inside:  # alpha (A Z)_iq (A Z)_pj = scale u A_i A_p for ones of P at (i, q) and (p, j)
            for p, j in inside:
                add(i * m + j, p * m + q, -sign * (scale * u * A[i] * A[p]))
    for place in range(d * m):
        add(place, place, -ell)
    return [{column: value for column, value in row.items() if value.sign()} for row in rows]


def _check_gradient(problem, pattern, u, ell, spans) -> None:
    """∇F/alpha = √x (A P − A_k P − ell P): zero entry by entry."""
    diagonals = list(_diagonals(problem, pattern, u))
    for i, j in pattern:
        k = next(number for number, (start, stop) in enumerate(spans) if start <= j < stop)
        if (diagonals[0][1][i] - diagonals[k + 1][1][i] - ell).sign() != 0:
            raise Disproved("subject: the gradient is not zero")


def _third(u: Surd, rho: Fraction) -> Surd:
    """d³/dc³ at c = 1 of ½ log(1 + u c²) − log(1 + rho u c²)/(2 rho) − (ell/2) u c², for one direction: with v in place of u,
    (½ log(1 + v c²))''' = 2 v² (v − 3)/(1 + v)³."""

    def part(v: Surd) -> Surd:
        return 2 * v * v * (v - 3) / ((1 + v) * (1 + v) * (1 + v))

    return part(u) - part(rho * u) / rho


def _inertia(rows: list[dict[int, Surd]], zero: Surd) -> tuple[int, int, int]:
    """Exact numbers of positive, zero and negative eigenvalues of a sparse symmetric matrix, by symmetric elimination: a
    diagonal pivot, or where the diagonal is zero the sum of two coordinates."""
    H = {i: dict(row) for i, row in enumerate(rows)}
    counts = [0, 0, 0]
    while H:
        p = next((i for i in H if i in H[i]), None)
        if p is None:
            p = next((i for i in H if H[i]), None)
            if p is None:
                counts[1] += len(H)
                break
            # With a zero diagonal, adding coordinate j to coordinate p puts 2 H_pj on it.
            j = next(iter(H[p]))
            for column, value in list(H[j].items()):
                _add(H, p, column, value)
            for i in H:
                if j in H[i]:
                    _add(H, i, p, H[i][j])
        pivot = H[p][p]
        counts[0 if pivot.sign() > 0 else 2] += 1
        row = H.pop(p)
        row.pop(p)
        for i in row:
            factor = row[i] / pivot
            H[i].pop(p)
            for j, value in row.items():
                _add(H, i, j, zero - factor * value)
    return counts[0], counts[1], counts[2]


def _add(H: dict[int, dict[int, Surd]], i: int, j: int, value: Surd) -> None:
    total = H[i][j] + value if j in H[i] else value
    if total.sign():
        H[i][j] = total
    else:
        H[i].pop(j, None)


def _orbit_dimension(problem: ExactProblem, pattern: list[tuple[int, int]]) -> int:
    """The exact rank of the tangent vectors, integers up to the factor √x."""
    ones = set(pattern)
    rows = [[int((i, j) in ones) for j in range(problem.num_samples)] for i in range(problem.dim)]
    return fmpz_mat([apply_generator(generator, rows) for generator in generator_pairs(problem)]).rank()


def generator_pairs(problem: ExactProblem) -> Iterator[tuple[int, int, int]]:
    """The generators of O(d) × Π O(m_k): (0, i, j) turns rows i < j, (k, i, j) columns i < j of class k."""
    for k, (start, stop) in enumerate(((0, problem.dim), *_spans(problem.sizes))):
        for i in range(start, stop):
            yield from ((k, i, j) for j in range(i + 1, stop))


def apply_generator(generator: tuple[int, int, int], rows: Sequence[Sequence[int]]) -> list[int]:
    """Ω Z or Z Ψ for one generator, the entries in C order."""
    kind, i, j = generator
    d, m = len(rows), len(rows[0])
    result = [0] * (d * m)
    if kind == 0:
        for c in range(m):
            result[i * m + c], result[j * m + c] = rows[j][c], -rows[i][c]
    else:
        for r in range(d):
            result[r * m + i], result[r * m + j] = -rows[r][j], rows[r][i]
    return result
