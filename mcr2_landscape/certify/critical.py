"""Existence and exact inertia of a critical point near a given one, modulo the symmetry O(d) × Π O(m_k), in ball arithmetic.

**The system.** Let ξ_1 … ξ_q be generators of the group, T(Z) the matrix with columns ξ_j Z, and T0 any matrix with q columns. In place
of ∇F = 0, whose zeros are never isolated, consider

    G(Z) = ∇F(Z)/alpha + T0 T0ᵀ (Z − Z0),       derivative   M(Z) = H(Z)/alpha + T0 T0ᵀ.

*A zero of G at which W = T(Z)ᵀ T0 is nonsingular is a critical point.* F is constant on orbits, so ∇F(Z) is orthogonal to every ξ_j Z.
Multiplying G(Z) = 0 by T(Z)ᵀ leaves W y = 0 with y = T0ᵀ(Z − Z0); hence y = 0, and ∇F(Z) = 0.

**Existence.** Q is a matrix with Qᵀ M Q close to a diagonal Σ of signs ±1. In coordinates Z = Z0 + Q w the map w ↦ w − Σ Qᵀ G has the
derivative I − Σ QᵀMQ, whose maximum norm is at most kappa = ‖QᵀMQ − Σ‖_∞. If kappa < 1 on the box ‖w‖_∞ ≤ r, and eta + kappa r ≤ r with
eta = ‖Qᵀ G(Z0)‖_∞, it maps the box into itself and contracts (Banach): there is exactly one zero of G in the box. Nothing has to be
assumed of Q: that it is nonsingular follows, as QᵀMQ is.

**Inertia.** At that point H has at least the q independent null vectors T(Z) (W is nonsingular). As M = H/alpha + T0 T0ᵀ is nonsingular
and T0 T0ᵀ has rank at most q, the nullity of H is at most q. So it is exactly q: the orbit's tangent space is the whole kernel, and the
orbit a Morse–Bott critical manifold. T0 T0ᵀ is positive semidefinite: n₋(M) ≤ n₋(H) and n₊(M) ≤ n₊(H) + q. Both are equalities, since
n₊(M) + n₋(M) = n and n₊(H) + n₋(H) = n − q. The signs of M are those of Σ: QᵀMQ differs from it by less than one in the maximum norm, so
every matrix between them is diagonally dominant, and by Sylvester's law M has the inertia of QᵀMQ.

The symmetric matrices here are exactly symmetric: the Hessian is built from its upper triangle. All of Z0, T0, Q are chosen with
ordinary floats and then taken as the exact numbers that they are; nothing that is proved depends on how good they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import mul

from flint import arb, arb_mat, ctx

from mcr2_landscape.certify.balls import BallProblem, apply_generator, generator_pairs, squared_norm
from mcr2_landscape.certify.exact import CertificateError, ExactFamily, ExactProblem

LARGEST = 640  # unknowns d·m: dense matrices beyond that take minutes
PRECISIONS = (106, 212, 424, 848)


class Undecided(CertificateError):
    """What was asserted could not be proved, with what was reached; a higher precision or a better point may."""


@dataclass(frozen=True)
class Enclosure:
    """A critical point that exists.

    **Fields:** `box`: balls that hold it, as a (d, m) matrix; `distance`: an upper bound of its Frobenius distance from the given
    point; `positive`, `zero`, `negative`: the exact inertia of the Hessian; `contraction` (kappa) and `precision` in bits.
    """

    box: arb_mat
    distance: arb
    positive: int
    zero: int
    negative: int
    contraction: float
    precision: int


def enclose(problem: ExactProblem, subject: ExactFamily | Sequence[float], orbit_dimension: int) -> Enclosure:
    """Prove that there is a critical point near `subject`, and count the signs of its Hessian's eigenvalues.

    **Arguments:** `subject`: a family, whose standard point is built, or the entries of a point in C order. `orbit_dimension`: q,
    which then is the nullity as well.

    **Raises:** `Undecided` where no precision of `PRECISIONS` is enough; `CertificateError` for a subject that does not fit.
    """
    unknowns = problem.dim * problem.num_samples
    if unknowns > LARGEST:
        raise CertificateError(f"problem: {unknowns} unknowns; at most {LARGEST} can be counted, an approximate saddle needs none")
    if orbit_dimension > unknowns:
        raise CertificateError(f"zero: found {orbit_dimension}; there are only {unknowns} unknowns")
    reason = ""
    for bits in PRECISIONS:
        with ctx.workprec(bits):
            try:
                return _attempt(BallProblem(problem), subject, orbit_dimension, bits)
            except (Undecided, ZeroDivisionError) as error:
                reason = str(error) if isinstance(error, Undecided) else "a matrix could not be inverted in balls"
    raise Undecided(f"{reason}, at {PRECISIONS[-1]} bits")


def _attempt(b: BallProblem, subject: ExactFamily | Sequence[float], q: int, bits: int) -> Enclosure:
    given = b.point(subject) if isinstance(subject, ExactFamily) else _matrix(subject, b.dim)
    d, m = given.nrows(), given.ncols()
    start = given.mid()
    generators, tangent = _tangent(b.problem, start, q)
    transposed = tangent.transpose()
    pull = tangent * transposed if q else arb_mat(d * m, d * m)
    center = b.hessian(start).mid() + pull
    Q, signs = _congruence(center)
    # Newton's method with the inverse Q Σ Qᵀ of the matrix at the start; T0ᵀ (Z − Z0) is zero as each step makes its own Z0.
    for _ in range(3):
        residual = _transformed(Q, b.gradient(start))
        step = Q * arb_mat(d * m, 1, [-sign * entry for sign, entry in zip(signs, residual, strict=True)])
        moved = (start + arb_mat(d, m, step.entries())).mid()
        if not _largest(_transformed(Q, b.gradient(moved))) < _largest(residual) / 2:
            break
        start = moved
    eta = _largest(_transformed(Q, b.gradient(start)))
    radius = 2 * eta + arb(2) ** -(2 * bits // 3)
    radius = radius.abs_upper()
    widths = [radius * sum((abs(entry) for entry in row), arb(0)) for row in Q.tolist()]
    box = arb_mat(d, m, [arb(z, width.abs_upper()) for z, width in zip(start.entries(), widths, strict=True)])
    N = Q.transpose() * (b.hessian(box) + pull) * Q
    kappa = _distance(N, signs)
    if not kappa < 1:
        raise Undecided(f"the Hessian over the box is not close to a nonsingular one (contraction {_shown(kappa)}, radius {_shown(radius)})")
    if not eta + kappa * radius <= radius:
        raise Undecided(f"no contraction: residual {_shown(eta)}, contraction {_shown(kappa)}, radius {_shown(radius)}")
    if q:
        rows = box.tolist()
        turned = [apply_generator(generator, rows, arb(0)) for generator in generators]
        (arb_mat(turned) * tangent).inv()  # succeeds only if nonsingular
    gap = [abs(z - g) + width for z, g, width in zip(start.entries(), given.entries(), widths, strict=True)]
    positive = signs.count(1)
    distance = squared_norm(gap).sqrt().abs_upper()
    if positive < q:
        raise Undecided("fewer positive directions than the orbit has: its dimension is overstated")
    return Enclosure(box, distance, positive - q, q, len(signs) - positive, float(kappa.abs_upper()), bits)


def _matrix(entries: Sequence[float], rows: int) -> arb_mat:
    return arb_mat(rows, len(entries) // rows, [arb(entry) for entry in entries])


def _tangent(problem: ExactProblem, Z: arb_mat, q: int) -> tuple[list[tuple[int, int, int]], arb_mat]:
    """q generators whose tangent vectors at Z are well independent, and nearly orthonormal columns T0 that span the same space, by
    the modified Gram–Schmidt process with pivoting in floats."""
    if q == 0:
        return [], arb_mat(0, 0)
    rows = [[float(entry) for entry in row] for row in Z.tolist()]
    names = list(generator_pairs(problem))
    if len(names) < q:
        raise CertificateError(f"zero: found {q}; the symmetry group has only {len(names)} dimensions")
    vectors = [apply_generator(name, rows, 0.0) for name in names]
    squares = [sum(map(mul, v, v)) for v in vectors]
    chosen: list[tuple[int, int, int]] = []
    basis: list[list[float]] = []
    for _ in range(q):
        best = max(range(len(vectors)), key=squares.__getitem__)
        vector, name = vectors.pop(best), names.pop(best)
        squares.pop(best)
        for other in basis:  # once more, against what rounding brought back
            inner = sum(map(mul, vector, other))
            vector = [x - inner * y for x, y in zip(vector, other, strict=True)]
        length = math.sqrt(sum(map(mul, vector, vector)))
        if not length > 0:
            raise Undecided("the orbit's dimension is smaller than asserted")
        unit = [x / length for x in vector]
        basis.append(unit)
        chosen.append(name)
        for place, other in enumerate(vectors):
            inner = sum(map(mul, other, unit))
            if inner:
                vectors[place] = other = [x - inner * y for x, y in zip(other, unit, strict=True)]
                squares[place] = sum(map(mul, other, other))
    return chosen, arb_mat([[arb(x) for x in vector] for vector in basis]).transpose()


def _congruence(matrix: arb_mat) -> tuple[arb_mat, list[int]]:
    """Q and signs with Qᵀ · matrix · Q nearly diagonal with these signs: symmetric elimination in floats, and once or twice more on
    what it has left where the matrix is so ill conditioned that floats are not enough."""
    Q, signs = _eliminate([[float(entry) for entry in row] for row in matrix.tolist()])
    for _ in range(3):
        left = Q.transpose() * matrix * Q
        if _distance(left, signs) < 0.01:
            break
        more, signs = _eliminate([[float(entry) for entry in row] for row in left.tolist()])
        Q = (Q * more).mid()
    return Q, signs


def _eliminate(rows: list[list[float]]) -> tuple[arb_mat, list[int]]:
    """Symmetric elimination with diagonal pivots. Where the diagonal is small beside its row, a rotation by 45 degrees in that pair
    of coordinates brings the entry onto it.

    Coordinate i stands for the vector units[i] + Σ_t coefficients[i][t] · (unit vector of the t-th pivot).
    """
    n = len(rows)
    units = [[float(i == j) for j in range(n)] for i in range(n)]
    coefficients: list[list[float]] = [[] for _ in range(n)]
    done: list[tuple[list[float], list[float]]] = []
    signs: list[int] = []
    half = math.sqrt(0.5)
    while rows:
        size = len(rows)
        p = max(range(size), key=lambda i: abs(rows[i][i]))
        sizes = [abs(entry) for entry in rows[p]]
        sizes[p] = 0.0
        j = max(range(size), key=sizes.__getitem__)
        if abs(rows[p][p]) < 0.4 * sizes[j]:
            for table in (rows, units, coefficients):
                first, second = table[p], table[j]
                table[p] = [half * (x + y) for x, y in zip(first, second, strict=True)]
                table[j] = [half * (x - y) for x, y in zip(first, second, strict=True)]
            for row in rows:
                row[p], row[j] = half * (row[p] + row[j]), half * (row[p] - row[j])
            p = p if abs(rows[p][p]) >= abs(rows[j][j]) else j
        pivot_row, unit, own = rows.pop(p), units.pop(p), coefficients.pop(p)
        pivot = pivot_row.pop(p)
        if not (math.isfinite(pivot) and abs(pivot) > 1e-300):
            raise Undecided("the Hessian is singular beyond the orbit, as far as floats show")
        own.append(1.0)
        for place, row in enumerate(rows):
            factor = row.pop(p) / pivot
            if factor:
                rows[place] = [x - factor * y for x, y in zip(row, pivot_row, strict=True)]
                coefficients[place].append(0.0)
                coefficients[place] = [x - factor * y for x, y in zip(coefficients[place], own, strict=True)]
            else:
                coefficients[place].append(0.0)
        scale = 1 / math.sqrt(abs(pivot))
        done.append((unit, [scale * x for x in own]))
        signs.append(1 if pivot > 0 else -1)
    U = arb_mat([[arb(x) for x in unit] for unit, _ in done]).transpose()
    C = arb_mat([[arb(x) for x in own] + [arb(0)] * (n - len(own)) for _, own in done]).transpose()
    return (U * C).mid(), signs


def _transformed(Q: arb_mat, gradient: Sequence[arb]) -> list[arb]:
    return (Q.transpose() * arb_mat(len(gradient), 1, list(gradient))).entries()


def _largest(entries: Sequence[arb]) -> arb:
    largest = arb(0)
    for entry in entries:
        bound = entry.abs_upper()
        largest = bound if bound > largest else largest
    return largest


def _distance(matrix: arb_mat, signs: Sequence[int]) -> arb:
    """An upper bound of ‖matrix − diag(signs)‖_∞."""
    sums = []
    for i, row in enumerate(matrix.tolist()):
        total = arb(0)
        for j, entry in enumerate(row):
            total += abs(entry - signs[i] if i == j else entry)
        if not total.is_finite():
            raise Undecided("the Hessian over the box is not finite")
        sums.append(total)
    return _largest(sums)


def _shown(bound: arb) -> str:
    return f"{float(bound.abs_upper()):.1e}"
