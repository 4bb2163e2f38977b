"""How the claims on critical points that are neither local maxima nor strict saddles are checked. A keyword argument of a check
is what it puts to the test; a wrong one must change the verdict."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.optimize
from flint import fmpq, fmpq_mat

from mcr2_landscape.claims import Outcome, Part, Run
from mcr2_landscape.study.tasks.ctrl_survey import CtrlSurvey, SmallSpheres, ctrl_survey, kind_of
from mcr2_landscape.verdict import Evidence, Verdict
from paper_checks.pai_2022 import cases
from paper_checks.pai_2022.cases import SingularFrame
from paper_checks.pai_2022.common import fact, refuting

Matrix = list[list[Fraction]]


# -- exact inertia ------------------------------------------------------------------------------------------------------------
#
# A_j = Σ_i √s_i u_i v_iᵀ with coordinate vectors u_i, and Ȧ_j = Σ_i √s_i x_i v_iᵀ: then P_j, Ṗ_j = Σ s_i (x_i u_iᵀ + u_i x_iᵀ)
# and P̈_j = 2 Σ s_i x_i x_iᵀ are rational, and with a multiplier μ_j of each sphere the second derivative of the Lagrangian is
#
#     ½ b tr EP̈ − ½ b² tr (EṖ)² − Σ_j [½ b tr E_jP̈_j − ½ b b_j tr (E_jṖ_j)² + ½ μ_j tr P̈_j],   E_j = (I + b_jP_j)⁻¹,
#
# a rational quadratic form in the x_i, on Σ_i s_i ⟨u_i, x_i⟩ = 0 for each class (γ_j b_j = b). E and E_j are diagonal.


class ExactSpheres:
    """A point on the spheres: for each class its axes u_i and squares s_i.

    **Raises:** `ValueError` for squares that do not add up to n_j, an axis that a class has twice, or fewer of them than the
    class has columns: the Hessian along columns of zeros is not part of the form.
    """

    def __init__(self, setting: cases.Setting, lines: list[list[tuple[int, Fraction]]]):
        self.setting, self.lines = setting, lines
        for own, size, rank in zip(lines, setting.sizes, setting.ranks, strict=True):
            if sum(s for _, s in own) != size or not len({axis for axis, _ in own}) == len(own) == rank:
                raise ValueError("lines: found a class off its sphere, or without a line of its own for each column")
        self.dim, n = setting.dim, sum(setting.sizes)
        self.b = setting.a / n
        self.bs = [setting.a / size for size in setting.sizes]
        self.columns = [(j, axis, s) for j, own in enumerate(lines) for axis, s in own]
        whole = [sum((s for _, at, s in self.columns if at == axis), Fraction(0)) for axis in range(self.dim)]
        self.whole = [1 / (1 + self.b * x) for x in whole]
        self.classes = [
            [1 / (1 + scale * sum((s for at, s in own if at == axis), Fraction(0))) for axis in range(self.dim)]
            for own, scale in zip(lines, self.bs, strict=True)
        ]

    def multipliers(self) -> list[Fraction] | None:
        """μ_j, if the point is critical: b(E − E_j) has one eigenvalue on the columns of each class."""
        found = []
        for j, own in enumerate(self.lines):
            values = {self.b * (self.whole[axis] - self.classes[j][axis]) for axis, _ in own}
            if len(values) != 1:
                return None
            found.append(values.pop())
        return found

    def inertia(self) -> tuple[int, int, int]:
        """How many eigenvalues are positive, zero and negative, along the spheres.

        **Raises:** `ValueError` where the point is not critical.
        """
        multipliers = self.multipliers()
        if multipliers is None:
            raise ValueError("the point is not critical")
        size = len(self.columns) * self.dim
        Q = [[Fraction(0)] * size for _ in range(size)]
        for p in range(size):
            for q in range(p + 1):
                Q[p][q] = Q[q][p] = self._form(divmod(p, self.dim), divmod(q, self.dim), multipliers)
        return _signs(_restricted(Q, self._tangent()))

    def _form(self, p: tuple[int, int], q: tuple[int, int], multipliers: list[Fraction]) -> Fraction:
        """The bilinear form of x_i = e_k with i, k = p, and of q."""
        (i, k), (n, m) = p, q
        (j, u, s), (other, v, t) = self.columns[i], self.columns[n]
        # tr(E D_p E D_q) for D_p = s (e_k e_uᵀ + e_u e_kᵀ)
        pairs = (int(u == m) * int(k == v) + int(k == m) * int(u == v)) * 2 * s * t
        found = -(self.b**2) * self.whole[k] * self.whole[u] * pairs / 2
        if j == other:
            own = self.classes[j]
            found += self.b * self.bs[j] * own[k] * own[u] * pairs / 2
            if i == n and k == m:
                found += s * (self.b * (self.whole[k] - own[k]) - multipliers[j])
        return found

    def _tangent(self) -> Matrix:
        """Rows that span the directions along the spheres: all entries of the x_i but those along u_i, and of these the ones
        that add up to zero in each class."""
        size, rows = len(self.columns) * self.dim, []
        radial: dict[int, list[tuple[int, Fraction]]] = {}
        for i, (j, u, s) in enumerate(self.columns):
            for k in range(self.dim):
                if k == u:
                    radial.setdefault(j, []).append((i * self.dim + k, s))
                else:
                    rows.append([Fraction(int(at == i * self.dim + k)) for at in range(size)])
        for own in radial.values():
            (first, s), rest = own[0], own[1:]
            for at, t in rest:
                row = [Fraction(0)] * size
                row[first], row[at] = 1 / s, -1 / t
                rows.append(row)
        return rows

    def orbit_dimension(self) -> int:
        """Of the symmetry orbit: ΩA_j is x_i = Ωu_i; A_jS with S = v_kv_iᵀ − v_iv_kᵀ, times √(s_is_k), is x_i = s_ku_k and x_k
        = −s_iu_i."""
        size, rows = len(self.columns) * self.dim, []
        for k in range(self.dim):
            for m in range(k):
                row = [Fraction(0)] * size
                for i, (_, u, _) in enumerate(self.columns):
                    if u == k:
                        row[i * self.dim + m] = Fraction(1)
                    if u == m:
                        row[i * self.dim + k] = Fraction(-1)
                rows.append(row)
        for i, (j, u, s) in enumerate(self.columns):
            for k, (other, v, t) in enumerate(self.columns[:i]):
                if j == other:
                    row = [Fraction(0)] * size
                    row[i * self.dim + v], row[k * self.dim + u] = t, -s
                    rows.append(row)
        return fmpq_mat(len(rows), size, [fmpq(x.numerator, x.denominator) for row in rows for x in row]).rank()

    def moments(self) -> cases.Moments:
        """A_jA_jᵀ."""
        rows = []
        for own in self.lines:
            squares = dict(own)
            rows.append([squares.get(axis, 0) for axis in range(self.dim)])
        return cases.diagonal(rows)

    def floating(self) -> tuple[SmallSpheres, np.ndarray]:
        """The same in floating point."""
        s = self.setting
        where = SmallSpheres(s.dim, s.sizes, s.ranks, float(s.epsilon_squared) ** 0.5)
        A, starts = np.zeros(where.shape), np.cumsum([0, *s.ranks])
        for start, own in zip(starts[:-1], self.lines, strict=True):
            for number, (axis, square) in enumerate(own):
                A[axis, start + number] = float(square) ** 0.5
        return where, A


def _restricted(Q: Matrix, rows: Matrix) -> Matrix:
    half = [[sum((x * Q[i][j] for i, x in enumerate(row) if x), Fraction(0)) for j in range(len(Q))] for row in rows]
    return [[sum((x * own[j] for j, x in enumerate(row) if x), Fraction(0)) for row in rows] for own in half]


def _signs(Q: Matrix) -> tuple[int, int, int]:
    """The inertia of a symmetric matrix: all roots of its characteristic polynomial are real, so that by Descartes' rule the
    positive ones are as many as the changes of sign among its coefficients."""
    size = len(Q)
    coefficients = fmpq_mat(size, size, [fmpq(x.numerator, x.denominator) for row in Q for x in row]).charpoly().coeffs()
    zero = next(i for i, c in enumerate(coefficients) if c != 0)
    signs = [c > 0 for c in coefficients if c != 0]
    positive = sum(x != y for x, y in pairwise(signs))
    return positive, zero, size - zero - positive


def frame_point(frame: SingularFrame) -> ExactSpheres:
    """The critical point, with axes e1 … e4 numbered from 0."""
    s, p, far = frame.square, Fraction(frame.small), frame.large - frame.square
    return ExactSpheres(frame.setting, [[(0, s), (2, far)], [(1, s), (3, far)], [(0, p)], [(1, p)]])


def exchanged(frame: SingularFrame) -> Fraction:
    """Half the second derivative of ΔR in t on the curve on which the plane's part of P stays as it is: t of the square moves
    from e3 into the plane for the first class, back to e4 for the second. Over b²."""
    setting = frame.setting
    b, own, share = setting.a / sum(setting.sizes), setting.a / frame.large, setting.shares[0]
    far = frame.large - frame.square
    return (1 / (1 + own * far) ** 2 + 1 / (1 + own * frame.square) ** 2) / (2 * share) - 1 / (2 * (1 + b * far) ** 2)


def turned_saddle(frame: SingularFrame, double: tuple[Fraction, Fraction]) -> bool:
    """Whether the frame whose first two lines are turned together, cosine and sine of twice the angle being `double`, is
    critical with the same value, and a strict saddle.

    The plane's part of P is ½(τI + w), w = Σ ‖a_j‖² e^{iφ_j} in the basis of its trace-free symmetric matrices, φ_j twice the
    angle of line j. Here φ = (φ, φ + π, 0, π): w = 0, so that P and the spectra of all P_j are those of the point, and critical
    as it is. Along t of the square into the plane for the first class and out of it for the second, with φ_1 − φ_2 turning at
    the speed x and φ_3 − φ_4 at y, ẇ = e^{iφ}(2 + isx) + ipy. This vanishes for py = −2/sin φ, sx = −py cos φ; then only the
    squares count at second order, and the second derivative is that of `exchanged`.
    """
    (c, s), p = double, Fraction(frame.small)
    if c * c + s * s != 1 or s == 0:
        return False
    y = -2 / (p * s)
    x = -p * y * c / frame.square
    # real and imaginary part of e^{iφ}(2 + i s x) + i p y
    moved = (2 * c - s * frame.square * x, 2 * s + c * frame.square * x + p * y)
    return moved == (0, 0) and exchanged(frame) > 0


def branch_slope(frame: SingularFrame) -> Fraction:
    """The derivative in s of the difference between the multipliers of both directions of the first class, over b: where it is
    not zero the point goes on for other ε, its square s a smooth function of ε."""
    a, s, far = frame.setting.a, frame.square, frame.large - frame.square
    b, own = a / sum(frame.setting.sizes), a / frame.large
    inside = -b / (1 + b * (s + frame.small)) ** 2 + own / (1 + own * s) ** 2
    return inside - b / (1 + b * far) ** 2 + own / (1 + own * far) ** 2


def _on_the_spheres(run: Run, point: ExactSpheres) -> bool:
    """Whether all points of the claim's chains have ‖A_j‖² = n_j and rank A_j ≤ r_j, where the certificate shows no more than
    ‖A_j‖² ≤ n_j; and the first of each is the point itself."""
    chains = [case.statement.assertion["ascending"] for case in run.claim.cases if "ascending" in case.statement.assertion]
    setting, found = point.setting, []
    for chain in chains:
        found.append(chain[0] == cases.rate(setting, point.moments()))
        for quantity in chain:
            entry = quantity["rate_reduction"]
            for size, rank, P in zip(setting.sizes, setting.ranks, entry["moments"], strict=True):
                exact = fmpq_mat(len(P), len(P), [_rational(text) for row in P for text in row])
                trace = sum((Fraction(row[i]) for i, row in enumerate(P)), Fraction(0))
                found.append(trace == size and exact.rank() <= rank)
            found.append(entry["sizes"] == list(setting.sizes))
            found.append(entry["dim"] == setting.dim and Fraction(entry["epsilon_squared"]) == setting.epsilon_squared)
    return bool(chains) and all(found)


def _rational(text: str) -> fmpq:
    number = Fraction(text)
    return fmpq(number.numerator, number.denominator)


def saddles_on_spheres(run: Run, *, frame: SingularFrame = cases.SINGULAR_FRAME) -> Outcome:
    """Exactly: the point is critical, its Hessian has no positive eigenvalue, and along the curve the second derivative by t is
    positive. Certified: higher values near it. Beside it, the same at other precisions, and what the survey's own eyes see.

    For ε near ½ the point's eigenvalues have the same signs: with s = s(ε) ten stay negative by continuity, and the ten zeros
    stay zeros, being the orbit's and those of turns of the lines that leave w at first order (see `turned_saddle`).
    """
    point = frame_point(frame)
    critical = point.multipliers() is not None
    inertia = point.inertia() if critical else (-1, -1, -1)
    orbit, rise, slope = point.orbit_dimension(), exchanged(frame), branch_slope(frame)
    turned = [turned_saddle(frame, cases.circle(Fraction(1, k))) for k in (2, 10, 1000, 10**6)]
    facts = [
        fact("critical", critical, Evidence.EXACT, "In rational arithmetic it is critical."),
        fact(
            "on the spheres",
            _on_the_spheres(run, point),
            Evidence.EXACT,
            "The curve begins at the point, with ‖A_j‖² = n_j and no more than r_j directions throughout.",
        ),
        fact(
            "inertia",
            inertia[0] == 0 and inertia[1] > orbit,
            Evidence.EXACT,
            f"Its Hessian has {inertia[0]} positive, {inertia[1]} zero and {inertia[2]} negative eigenvalues; its symmetry "
            f"orbit has dimension {orbit}.",
        ),
        fact("ascent", rise > 0, Evidence.EXACT, f"Along the curve ΔR rises by {rise} b² t² + O(t⁴)."),
        fact(
            "limit of saddles",
            all(turned),
            Evidence.EXACT,
            "With the first two lines turned together by any angle it is critical too, of the same value, and a strict saddle.",
        ),
        fact(
            "a range of precisions",
            slope != 0,
            Evidence.EXACT,
            "The multipliers of a class's two directions part at first order in s, so that for each ε near 1/2 there is such a "
            "point.",
        ),
        fact(
            "crowded",
            len(point.columns) > point.dim and all(_values_differ(own) for own in point.lines),
            Evidence.EXACT,
            f"Its ranks add up to {len(point.columns)}, in {point.dim} dimensions, and no class has equal values.",
        ),
    ]
    parts = refuting(run, "a singular frame", facts)
    where, A = point.floating()
    kind, _ = kind_of(where, A, np.random.default_rng(run.seed))
    words = f"In floating point, by ascents and critical points from near it, it is a {kind}."
    parts.append(fact("seen in floating point", kind == "limit of saddles", Evidence.NUMERICAL, words))
    parts.append(_range_of_precisions(run, frame))
    return Outcome.of(parts)


def _values_differ(own: list[tuple[int, Fraction]]) -> bool:
    squares = [s for _, s in own]
    return len(set(squares)) == len(squares)


def _range_of_precisions(run: Run, frame: SingularFrame) -> Part:
    """The same point for other ε, its square s such that both directions of a class have one multiplier."""
    good, count = 0, 0
    for square in np.linspace(0.2, 0.3, run.choose(6, 12, 60)):
        found = _critical_square(frame, float(square))
        if found is None:
            continue
        count += 1
        where = SmallSpheres(4, frame.setting.sizes, frame.setting.ranks, float(np.sqrt(square)))
        s, far, p = found, frame.large - found, float(frame.small)
        A = np.zeros((4, 6))
        A[0, 0], A[2, 1], A[1, 2], A[3, 3], A[0, 4], A[1, 5] = np.sqrt([s, far, s, far, p, p])
        gradient, scale, _ = where.gradient(A)
        top = float(np.linalg.eigvalsh(where.hessian(A))[-1]) / where.bound
        good += bool(np.linalg.norm(gradient) < 1e-12 * scale and top < 1e-10)
    words = f"At {good} of {count} values of ε² from 0.2 to 0.3 there is such a point without positive eigenvalue."
    return fact("other precisions", count > 0 and good == count, Evidence.NUMERICAL, words)


def _critical_square(frame: SingularFrame, epsilon_squared: float) -> float | None:
    a = 4 / epsilon_squared
    b, own = a / sum(frame.setting.sizes), a / frame.large

    def difference(s: Any) -> Any:
        far = frame.large - s
        return 1 / (1 + b * (s + frame.small)) - 1 / (1 + own * s) - 1 / (1 + b * far) + 1 / (1 + own * far)

    near = float(frame.square)
    grid = np.linspace(0.3 * near, (frame.large - frame.small) / 2 * 0.999, 4000)
    values = difference(grid)
    roots = grid[:-1][np.sign(values[:-1]) != np.sign(values[1:])]
    if roots.size == 0:
        return None
    low = float(roots[np.abs(roots - near).argmin()])
    return scipy.optimize.root_scalar(difference, bracket=(low, low + float(grid[1] - grid[0])), xtol=1e-15).root


def inflection(run: Run, *, count: int = 2) -> Outcome:
    """Exactly: orthogonal classes of two directions at y = 1 have no positive eigenvalue, but more zeros than the orbit;
    certified: unequal values add more."""
    # a = 4, γ = (1/4, 3/4): N_1 = 2, so that two directions of class 1 have y = 1. The other class has one.
    setting = cases.Setting(3, (4, 12), Fraction(3, 4), (count, 1))
    lines = [[(axis, Fraction(4, count)) for axis in range(count)], [(2, Fraction(12))]]
    point = ExactSpheres(setting, lines)
    inertia = point.inertia() if point.multipliers() is not None else (-1, -1, -1)
    orbit = point.orbit_dimension()
    words = f"Its Hessian has {inertia[0]} positive eigenvalues, and {inertia[1]} zeros where the orbit has dimension {orbit}."
    facts = [fact("inertia", inertia[0] == 0 and inertia[1] > orbit, Evidence.EXACT, words)]
    return Outcome.of(refuting(run, "equal values at the inflection", facts))


def saddles_on_balls(run: Run, *, square: Fraction = Fraction(10)) -> Outcome:
    """Exactly: with A_2 = 0 the Hessian along A_2 is b(E − I), E = (I + bP_1)⁻¹, without positive eigenvalues, and zero on what
    A_1 leaves free; certified: values beside it are higher. And the local maximum with a collapsed class."""
    b = Fraction(4, 20)  # d = 2, ε² = 1/2, n = 20
    values = [b * (1 / (1 + b * x) - 1) for x in (square, Fraction(0))]
    words = f"The eigenvalues along A_2 are {values[0]} and {values[1]}, and A_1, a line, can only be turned."
    facts = [fact("no positive eigenvalue", max(values) <= 0, Evidence.EXACT, words)]
    # A_1 = √5 I, A_2 = 0 with r = (2, 1): y_1 = 5 √(b b_1) = √2 > 1, and along A_2 all eigenvalues are negative
    filled = [b * (1 / (1 + b * 5) - 1)] * 2
    inflection_squared = 25 * b * 2 * b
    words = (
        f"At A_1 = √5 I, A_2 = 0 the eigenvalues along A_2 are {filled[0]}, and y_1² = {inflection_squared} > 1: a strict "
        "local maximum."
    )
    facts.append(fact("a collapsed class", max(filled) < 0 and inflection_squared > 1, Evidence.EXACT, words))
    return Outcome.of(refuting(run, "a class that is zero", facts))


def survey(run: Run, *, task: Callable[..., CtrlSurvey] = ctrl_survey) -> Outcome:
    """Random problems with d < Σ r_j; the study `ctrl_survey` looks at more of them."""
    problems = run.choose(12, 100, 3000)
    rows = [
        task(num_starts=run.choose(6, 12, 30), max_dim=run.choose(4, 4, 5), seed=1000 + number) for number in range(problems)
    ]
    crowded = sum(row.num_crowded for row in rows)
    exceptions = [
        f"d = {row.dim}, sizes {row.sizes}, ranks {row.ranks}, ε = {row.epsilon:.6g}: value {row.exception}"
        for row in rows
        if row.exceptions
    ]
    part = Part.counted("found points", crowded, exceptions, "no exception beside limits of saddles", seeds="1000 + number")
    names = ("local_maximizers", "strict_saddles", "flat", "limits_of_saddles", "exceptions")
    figures = {**part.figures, "problems": problems, **{name: sum(getattr(row, name) for row in rows) for name in names}}
    kinds = ", ".join(f"{figures[name]} {name.replace('_', ' ')}" for name in names)
    words = f"{problems} problems: {kinds}. "
    if exceptions:  # in floating point: the evidence is numerical, and an exact look at the point comes next
        return Outcome.of([Part(part.name, Verdict.REFUTED, part.evidence, words + f"The first: {exceptions[0]}.", figures)])
    words += "A survey does not prove the statement; it stays open."
    return Outcome.of([Part(part.name, Verdict.UNDECIDED, part.evidence, words, figures)])
