"""The exact problems, points and chains of values behind the claims on the games of linear subspaces.

n: sizes of the classes, d = d_z, a = d/ε², γ_j = n_j/n. The standard library only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from mcr2_landscape.certify import ExactProblem, Statement

Moments = list[list[list[Fraction]]]
Logs = list[tuple[Fraction, Fraction]]


@dataclass(frozen=True)
class Setting:
    """An encoder's problem: its `dim`, `sizes`, ε² and the classes' ranks."""

    dim: int
    sizes: tuple[int, ...]
    epsilon_squared: Fraction
    ranks: tuple[int, ...]

    @property
    def a(self) -> Fraction:
        """d/ε²."""
        return self.dim / self.epsilon_squared

    @property
    def shares(self) -> tuple[Fraction, ...]:
        """γ_j."""
        return tuple(Fraction(size, sum(self.sizes)) for size in self.sizes)


# Two classes of rank two in four dimensions: at the first precision one direction a class is best, at the second two are.
COARSE = Setting(4, (10, 10), Fraction(13, 10), (2, 2))
FINE = Setting(4, (10, 10), Fraction(4, 5), (2, 2))
# As the second, with a rational ε.
RATIONAL = Setting(4, (10, 10), Fraction(81, 100), (2, 2))
# Where the optimal directions of a class fill the space, a collapsed class beside it is a strict local maximum.
FILLED = Setting(2, (10, 10), Fraction(1, 2), (2, 1))


def diagonal(rows: Sequence[Sequence[Any]]) -> Moments:
    """Second moments A_jA_jᵀ that are diagonal, one row of entries a class."""
    size = len(rows[0])
    return [[[Fraction(row[i]) if i == j else Fraction(0) for j in range(size)] for i in range(size)] for row in rows]


# Two directions of each class, of square 5, one of the second class leaning towards the first.
OBLIQUE: Moments = diagonal([(5, 5, 0, 0), (0, Fraction(1, 2), Fraction(9, 2), 5)])
OBLIQUE[1][1][2] = OBLIQUE[1][2][1] = Fraction(3, 2)


def equal_directions(setting: Setting, counts: Sequence[int]) -> Moments:
    """Mutually orthogonal classes of so many equal singular values √(n_j/m_j)."""
    rows, start = [], 0
    for size, count in zip(setting.sizes, counts, strict=True):
        rows.append([Fraction(size, count) if start <= i < start + count else 0 for i in range(setting.dim)])
        start += count
    return diagonal(rows)


def rate(setting: Setting, moments: Moments) -> dict[str, Any]:
    """ΔR at these second moments, as a quantity of an inequality."""
    return {
        "rate_reduction": {
            "dim": setting.dim,
            "sizes": list(setting.sizes),
            "epsilon_squared": str(setting.epsilon_squared),
            "moments": [[[str(entry) for entry in row] for row in P] for P in moments],
        }
    }


def logs(terms: Logs) -> dict[str, Any]:
    """Σ c log q, as a quantity of an inequality."""
    return {"logs": [[str(c), str(q)] for c, q in terms]}


def directions(a: Fraction, share: Fraction, squares: Sequence[Any]) -> Logs:
    """Σ h(s), what a class of that share adds with these squared singular values, given over n_j."""
    return [
        term
        for t in map(Fraction, squares)
        for term in ((Fraction(1, 2), 1 + a * share * t), (-share / 2, 1 + a * t))
    ]  # fmt: skip


def even(a: Fraction, share: Fraction, count: int) -> Logs:
    """m H(N/m) = m h(n_j/m)."""
    return [(count * c, q) for c, q in directions(a, share, [Fraction(1, count)])]


def ascending(*quantities: Any) -> Statement:
    """These quantities strictly ascend."""
    return Statement("inequality", None, None, {"ascending": list(quantities)})


# -- thresholds ---------------------------------------------------------------------------------------------------------------

# (r, γ, 10⁸ times the lower end): of a = d/ε² at which r and r − 1 directions of a class tie, an interval of width 10⁻⁸.
# ρ_r = a √γ/r.
TIES: tuple[tuple[int, str, int], ...] = (
    (2, "1/2", 435735562),
    (2, "1/3", 536550524),
    (2, "1/4", 622808268),
    (2, "1/10", 1008539151),
    (2, "1/100", 3510515738),
    (3, "1/2", 752930667),
    (3, "1/3", 927313545),
    (3, "1/4", 1076587286),
    (3, "1/10", 1744680483),
    (3, "1/100", 6085469835),
)


def tie_interval(lower: int) -> tuple[Fraction, Fraction]:
    """Both ends."""
    return Fraction(lower, 10**8), Fraction(lower + 1, 10**8)


# (c, k): with γ = 1/k² and N = 2c one direction is better than two although N/r = c.
GROWING: tuple[tuple[int, int], ...] = ((2, 60), (3, 5500), (5, 3 * 10**10))


def beside_a_line(c: int, k: int) -> Setting:
    """A whole problem with such a class of rank two, of the share 1/k² and N/r = c; all other samples are in a class of rank
    one."""
    return Setting(3, (2, 2 * k**2 - 2), Fraction(3, 2 * c * k), (2, 1))


# Where the tight frame of three lines in a plane and two orthogonal lines tie, over 10⁷.
CROSSOVER = (18512958, 18512959)


# -- a local maximum below the global one -------------------------------------------------------------------------------------


def matched(setting: Setting, count: int) -> ExactProblem:
    """The regularized problem with the same critical points of `count` equal directions a class, classes being of equal size:
    λ = α(1/(1 + s) − 1/(1 + ρs)) with s = α n_j/m. A local maximizer of F = ΔR − (λ/2)‖Z‖² on the boundary of the balls is one
    of ΔR on the balls, since ‖Z‖² is no larger at any other point of them.

    **Raises:** `ValueError` for classes of unequal size, or an irrational ε.
    """
    (size,) = set(setting.sizes)
    root = Fraction(round(float(setting.epsilon_squared.numerator) ** 0.5), round(setting.epsilon_squared.denominator**0.5))
    if root**2 != setting.epsilon_squared:
        raise ValueError(f"epsilon_squared: found {setting.epsilon_squared}; its root is irrational")
    n = sum(setting.sizes)
    alpha, rho = setting.a / n, Fraction(n, size)
    s = alpha * size / count
    return ExactProblem(setting.dim, setting.sizes, root, alpha * (1 / (1 + s) - 1 / (1 + rho * s)))


# -- a critical point on spheres that is neither a maximum nor a strict saddle -------------------------------------------------


@dataclass(frozen=True)
class SingularFrame:
    """Four classes in four dimensions, of sizes (N, N, p, p) and ranks (2, 2, 1, 1). In the plane of e1, e2 each class has one
    direction: the first and the third, of squares s and p, on e1, the second and the fourth on e2. The first two have another
    direction each, of square N − s, on e3 and e4.
    """

    large: int
    small: int
    square: Fraction
    epsilon: Fraction

    @property
    def setting(self) -> Setting:
        """The problem."""
        return Setting(4, (self.large, self.large, self.small, self.small), self.epsilon**2, (2, 2, 1, 1))

    def moments(self, tangent: Fraction = Fraction(0)) -> Moments:
        """The second moments on a curve through the point. In the plane the lines are at the angles θ_j at which
        Σ ‖a_j‖² e^{2iθ_j} = 0, so that P does not change there; t of the square moves between e3 and the plane for the first
        class, and back for the second. `tangent` = tan θ, twice the third class's angle being −2θ, parametrizes the curve.
        """
        s, p = self.square, Fraction(self.small)
        if tangent == 0:
            t, turned, other = Fraction(0), (Fraction(1), Fraction(0)), (Fraction(1), Fraction(0))
        else:
            other = circle(-tangent)
            half = p * -other[1] / (2 * s + p - p * other[0])
            turned = circle(half)
            t = p * -other[1] / turned[1] - s
        far = self.large - s
        first, second, third, fourth = (
            _in_plane(s + t, turned), _in_plane(s - t, (Fraction(-1), Fraction(0))), _in_plane(p, other),
            _in_plane(p, (Fraction(-1), Fraction(0))),
        )  # fmt: skip
        first[2][2], second[3][3] = far - t, far + t
        return [first, second, third, fourth]


def circle(tangent: Fraction) -> tuple[Fraction, Fraction]:
    """cos and sin of twice the angle with that tangent."""
    return (1 - tangent**2) / (1 + tangent**2), 2 * tangent / (1 + tangent**2)


def _in_plane(square: Fraction, double: tuple[Fraction, Fraction]) -> list[list[Fraction]]:
    """A line's second moment in the first two of four dimensions, from cos and sin of twice its angle."""
    cosine, sine = double
    P = [[Fraction(0)] * 4 for _ in range(4)]
    P[0][0], P[1][1], P[0][1] = square * (1 + cosine) / 2, square * (1 - cosine) / 2, square * sine / 2
    P[1][0] = P[0][1]
    return P


SINGULAR_FRAME = SingularFrame(20, 2, Fraction(25, 4), Fraction(1, 2))


# -- the decoder ------------------------------------------------------------------------------------------------------------

# A rotation by t after the encoder I, of classes with P_1 = 2 e1 e1ᵀ and P_2 = e2 e2ᵀ, turns what the decoder I returns by t
# more: the images and what is decoded of each class, as two classes of equal size, have this ΔR.
TURNED = ("1/10", "1/100", "1/1000")  # tan(t/2)


def turned_pair(tangent: str) -> dict[str, Any]:
    """D_1 = ΔR(f(X_1), fgf(X_1)) after that rotation; d = 2, n_1 = 2, ε² = 1."""
    lines = []
    for times in (1, 2):
        c, s = circle(Fraction(tangent))
        cosine, sine = (c, s) if times == 1 else (c * c - s * s, 2 * c * s)
        lines.append([[2 * cosine**2, 2 * cosine * sine], [2 * cosine * sine, 2 * sine**2]])
    return rate(Setting(2, (2, 2), Fraction(1), (1, 1)), lines)
