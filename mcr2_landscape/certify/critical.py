"""Existence and exact inertia of a critical point near a given one, modulo the symmetry O(d) × Π O(m_k), in ball arithmetic.

**The system.** Let ξ_1 … ξ_q be elements of the group's Lie algebra, T(Z) the matrix with columns ξ_j Z, and T0 any matrix
with q columns. In place of ∇F = 0, whose zeros are never isolated, consider

    G(Z) = ∇F(Z)/alpha + T0 T0ᵀ (Z − Z0),       derivative   M(Z) = H(Z)/alpha + T0 T0ᵀ.

*A zero of G at which W = T(Z)ᵀ T0 is nonsingular is a critical point.* F is constant on orbits, so ∇F(Z) is orthogonal to every
ξ_j Z. Multiplying G(Z) = 0 by T(Z)ᵀ leaves W y = 0 with y = T0ᵀ(Z − Z0); hence y = 0, and ∇F(Z) = 0.

**Existence.** Q is a square matrix with Qᵀ M Q close to a diagonal Σ of signs ±1. In coordinates Z = Z0 + Q w the map
w ↦ w − Σ Qᵀ G has the derivative I − Σ QᵀMQ, whose maximum norm is at most kappa = ‖QᵀMQ − Σ‖_∞ (largest row sum of absolute
values). If kappa < 1 on the box ‖w‖_∞ ≤ r, and eta + kappa r ≤ r with eta = ‖Qᵀ G(Z0)‖_∞, it maps the box into itself and
contracts (Banach): it has exactly one fixed point, where Qᵀ G = 0. As QᵀMQ is nonsingular, being closer to Σ than one, so is
Q, and G = 0.

**Inertia.** At that point H has at least the q independent null vectors T(Z) (W is nonsingular). As M = H/alpha + T0 T0ᵀ is
nonsingular and T0 T0ᵀ has rank at most q, the nullity of H is at most q. So it is exactly q: the orbit's tangent space is the
whole kernel, and the orbit a Morse–Bott critical manifold. T0 T0ᵀ is positive semidefinite: n₋(M) ≤ n₋(H) and n₊(M) ≤ n₊(H) +
q. Both are equalities, since n₊(M) + n₋(M) = n and n₊(H) + n₋(H) = n − q. The signs of M are those of Σ: QᵀMQ differs from it
by less than one in the maximum norm, so every matrix between them is strictly diagonally dominant, and by Sylvester's law M
has the inertia of QᵀMQ.

Z0, T0 and Q are chosen with ordinary numerics and then taken as the exact numbers that they are, and the ξ_j are drawn at
random: nothing that is proved depends on how good they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from flint import arb, arb_mat, ctx

from mcr2_landscape.certify.balls import BallProblem, columns, squared_norm
from mcr2_landscape.certify.elimination import congruence
from mcr2_landscape.certify.exact import CertificateError, ExactFamily, ExactProblem, Undecided

LARGEST = 640  # unknowns d·m: dense matrices beyond that take minutes
PRECISIONS = (106, 212, 424, 848)


@dataclass(frozen=True)
class Enclosure:
    """A critical point that exists.

    **Fields:** `box`: balls that hold it, as a (d, m) matrix; `distance`: an upper bound of its Frobenius distance from the
    given point; `positive`, `zero`, `negative`: the exact inertia of the Hessian; `contraction` (kappa) and `precision` in
    bits.
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

    **Arguments:** `subject`: a family, whose standard point is built, or the entries of a point in C order.
    `orbit_dimension`: q, which then is the nullity as well.

    **Raises:** `Undecided` where no precision of `PRECISIONS` is enough; `CertificateError` for a subject that does not fit.
    """
    unknowns = problem.dim * problem.num_samples
    if unknowns > LARGEST:
        words = f"{unknowns} unknowns; at most {LARGEST} can be counted, an approximate saddle needs none"
        raise CertificateError(f"problem: {words}")
    largest = sum(size * (size - 1) // 2 for size in (problem.dim, *problem.sizes))
    if orbit_dimension > min(largest, unknowns):
        raise CertificateError(
            f"zero: found {orbit_dimension}; no orbit has more than {min(largest, unknowns)} dimensions here"
        )
    reason = ""
    for bits in PRECISIONS:
        with ctx.workprec(bits):
            try:
                b = BallProblem(problem)
                given = b.point(subject) if isinstance(subject, ExactFamily) else matrix(problem, "point", subject)
                return _attempt(b, given, orbit_dimension, bits)
            except Undecided as error:
                reason = str(error)
            except ZeroDivisionError:
                reason = "a matrix could not be inverted in balls"
    raise Undecided(f"{reason}, at {PRECISIONS[-1]} bits")


def matrix(problem: ExactProblem, name: str, entries: Sequence[float]) -> arb_mat:
    """The (d, m) matrix of exactly these floats.

    **Raises:** `CertificateError` where their number is another, or they are no floats.
    """
    d, m = problem.dim, problem.num_samples
    fits = isinstance(entries, (tuple, list)) and len(entries) == d * m
    if not fits or not all(isinstance(entry, float) for entry in entries):
        raise CertificateError(f"{name}: expected {d * m} numbers")
    return arb_mat(d, m, [arb(entry) for entry in entries])


def _attempt(b: BallProblem, given: arb_mat, q: int, bits: int) -> Enclosure:
    d, m = given.nrows(), given.ncols()
    unit = (1 / b.alpha).sqrt().mid()  # the size of Z: alpha Z Zᵀ has no unit
    start = given.mid()
    algebra = elements(b.problem, q)
    turned = tangents(b, algebra, start)
    frame = _orthonormalizer(turned, unit)
    T0 = (turned * frame).mid()
    pull = T0 * T0.transpose() if q else arb_mat(d * m, d * m)
    Q, signs = congruence((b.hessian(start) + pull).mid())
    # Newton's method with the inverse Q Σ Qᵀ of the matrix at the start; T0ᵀ (Z − Z0) is zero, as each step makes its own Z0.
    residual = _transformed(Q, b.gradient(start))
    for _ in range(12):
        step = Q * arb_mat(d * m, 1, [-sign * entry for sign, entry in zip(signs, residual, strict=True)])
        moved = (start + arb_mat(d, m, step.entries())).mid()
        following = _transformed(Q, b.gradient(moved))
        if not _largest(following) < _largest(residual) / 2:
            break
        start, residual = moved, following
    eta = _largest(residual)
    radius = (2 * eta + unit * arb(2) ** (10 - bits)).abs_upper()
    widths = [(radius * sum((abs(entry) for entry in row), arb(0))).abs_upper() for row in Q.tolist()]
    box = arb_mat(d, m, [arb(z, width) for z, width in zip(start.entries(), widths, strict=True)])
    H = b.hessian(box)
    kappa = _distance(Q.transpose() * (H + pull) * Q, signs)
    if not kappa < 1:
        words = f"(contraction {_shown(kappa)}, radius {_shown(radius)})"
        raise Undecided(f"the Hessian over the box is not close to a nonsingular one {words}")
    if not eta + kappa * radius <= radius:
        words = f"residual {_shown(eta)}, contraction {_shown(kappa)}, radius {_shown(radius)}"
        raise Undecided(f"no contraction: {words}")
    if q:
        turned = tangents(b, algebra, box)
        # W is nonsingular over the box, as frameᵀ W is close to the identity.
        if not _distance((turned * frame).transpose() * T0, [1] * q) < 1:
            raise Undecided("the orbit's dimension is smaller than asserted, or not to be told at this precision")
        # H vanishes along the orbit at the critical point. The proof does not need this: it would bring an error in the
        # formulas to light.
        if not all(entry.contains(0) for entry in (H * turned).entries()):
            raise CertificateError("the Hessian does not vanish along the orbit: the formulas of the derivatives disagree")
    positive = signs.count(1)
    if positive < q:
        raise CertificateError("fewer positive directions than the orbit has: the formulas of the derivatives disagree")
    gap = [(abs(z - g) + width).abs_upper() for z, g, width in zip(start.entries(), given.entries(), widths, strict=True)]
    distance = squared_norm(gap).sqrt().abs_upper()
    return Enclosure(box, distance, positive - q, q, len(signs) - positive, float(kappa), bits)


def elements(problem: ExactProblem, count: int) -> list[arb_mat]:
    """Random elements of the Lie algebra as the rows of four matrices u, v (count, d), x, y (count, m): Ω = u vᵀ − v uᵀ on
    the left, and Ψ_k = x_k y_kᵀ − y_k x_kᵀ with the parts of x and y that belong to class k on its right."""
    random = Random(0)
    lengths = (problem.dim, problem.dim, problem.num_samples, problem.num_samples)
    return [arb_mat(count, length, [arb(random.gauss(0, 1)) for _ in range(count * length)]) for length in lengths]


def tangents(b: BallProblem, elements: list[arb_mat], Z: arb_mat) -> arb_mat:
    """T(Z): the columns Ω Z + (Z_k Ψ_k)_k, one for each element; shape (d m, count)."""
    u, v, x, y = elements
    left, right = (u * Z).tolist(), (v * Z).tolist()  # uᵀZ, vᵀZ
    u, v = u.tolist(), v.tolist()
    rows = [
        [a * r - c * s for a, c in zip(ui, vi, strict=True) for r, s in zip(ri, si, strict=True)]
        for ui, vi, ri, si in zip(u, v, right, left, strict=True)
    ]
    m = Z.ncols()
    for start, stop in b.spans:
        block, x_k, y_k = columns(Z, start, stop), columns(x, start, stop), columns(y, start, stop)
        turned = zip(
            (x_k * block.transpose()).tolist(), (y_k * block.transpose()).tolist(), x_k.tolist(), y_k.tolist(), strict=True
        )
        for row, (xs, ys, x_row, y_row) in zip(rows, turned, strict=True):  # xs = Z_k x, ys = Z_k y
            for i, (p, r) in enumerate(zip(xs, ys, strict=True)):
                for place, (s, t) in enumerate(zip(x_row, y_row, strict=True), i * m + start):
                    row[place] += p * t - r * s
    return arb_mat(len(rows), b.dim * m, [entry for row in rows for entry in row]).transpose()


def _orthonormalizer(turned: arb_mat, unit: arb) -> arb_mat:
    """R, with T R nearly orthonormal. T is divided by the size of Z, so that floats can hold its squares."""
    q = turned.ncols()
    if q == 0:
        return arb_mat(0, 0)
    scaled = turned * (1 / unit)
    R, signs = congruence((scaled.transpose() * scaled).mid())
    if -1 in signs:
        raise Undecided("the orbit's dimension is smaller than asserted, as far as floats show")
    return (R * (1 / unit)).mid()


def _transformed(Q: arb_mat, gradient: Sequence[arb]) -> list[arb]:
    return (Q.transpose() * arb_mat(len(gradient), 1, list(gradient))).entries()


def _largest(entries: Sequence[arb]) -> arb:
    """An upper bound of the absolute values, exact."""
    largest = arb(0)
    for entry in entries:
        if not entry.is_finite():  # every comparison with such a ball is false, which must not read as "not larger"
            raise Undecided("a number is not finite at this precision")
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
        sums.append(total)
    return _largest(sums)


def _shown(bound: arb) -> str:
    return f"{float(bound.abs_upper()):.1e}"
