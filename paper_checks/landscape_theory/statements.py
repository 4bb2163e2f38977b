"""Theorems on the landscape of regularized MCR² that this project proves (docs/theory.md), as data.

Notation: Z = [Z_1 … Z_K] in R^{d×m}, alpha = d/(m eps²), alpha_k = d/(m_k eps²), rho_k = m/m_k, ell = lambda/alpha; lambda_k =
alpha (√rho_k − 1)/(√rho_k + 1); lambda_max is the smallest lambda_k. In the scalar formulas s = alpha x, x a squared singular
value of class k; a = 1/(1 + s), b = 1/(1 + rho s).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from mcr2_landscape.certify import Block, ExactFamily, ExactProblem, Statement, Threshold, orthogonal
from mcr2_landscape.claims import Case, Claim, Form, Role
from mcr2_landscape.verdict import Verdict

SOURCE = "mcr2_landscape, docs/theory.md"
_CHECKS = "paper_checks.landscape_theory.checks"
_RADIUS = {"radius": "1/1000000000"}


class Space(NamedTuple):
    """An eigenspace of Z Zᵀ with a positive eigenvalue: dimension n, ranks p_k of the classes, whether its root is the large
    one, the dimension t of the symmetric matrices that commute with all projectors P_k, and whether the root is double."""

    n: int
    ranks: tuple[int, ...]
    large: bool
    commutant: int
    double: bool = False


def index_formula(dim: int, spaces: Sequence[Space]) -> int:
    """The Morse index by the inertia theorem; eigenspaces by ascending eigenvalue."""
    within = sum(sum(p * (p + 1) // 2 for p in e.ranks) - (e.commutant if e.large else 0) for e in spaces)
    between, below = 0, dim - sum(e.n for e in spaces)
    for e in spaces:
        between += below * (sum(e.ranks) - e.n)
        below += e.n
    return within + between


def nullity_formula(dim: int, sizes: Sequence[int], spaces: Sequence[Space]) -> int:
    """The number of zero eigenvalues by the inertia theorem."""
    rank = sum(e.n for e in spaces)
    class_ranks = [sum(e.ranks[k] for e in spaces) for k in range(len(sizes))]
    total = (dim - rank) * rank + sum(r * (m - r) for r, m in zip(class_ranks, sizes, strict=True))
    for i, e in enumerate(spaces):
        total += sum(p * (p - 1) // 2 + p * (e.n - p) for p in e.ranks) - e.n * (e.n + 1) // 2 + e.commutant
        total += e.commutant if e.double else 0
        total += sum(sum(p * q for p, q in zip(e.ranks, f.ranks, strict=True)) + e.n * f.n for f in spaces[:i])
    return total


def spaces_of(problem: ExactProblem, family: ExactFamily) -> tuple[Space, ...]:
    """The eigenspaces of a family, by ascending eigenvalue: blocks of equal ratio n m/Σ p_k m_k and equal sign share one. Small
    roots lie below large ones; a large root grows with the ratio, a small one falls."""
    groups: dict[tuple[bool, Fraction], list[Block]] = {}
    for block in family.blocks:
        ranks = block.ranks(len(problem.sizes))
        weight = sum(p * m for p, m in zip(ranks, problem.sizes, strict=True))
        ratio = Fraction(block.dimension * problem.num_samples, weight)
        groups.setdefault((block.sign == "+", ratio if block.sign == "+" else -ratio), []).append(block)
    found = []
    for (large, _), blocks in sorted(groups.items()):
        ranks = tuple(sum(b.count * b.ranks(len(problem.sizes))[k] for b in blocks) for k in range(len(problem.sizes)))
        commutant = sum(b.count * (b.count + 1) // 2 for b in blocks)
        found.append(Space(sum(b.count * b.dimension for b in blocks), ranks, large, commutant))
    return tuple(found)


def inertia_of(problem: ExactProblem, family: ExactFamily) -> dict[str, int]:
    """Positive, zero and negative eigenvalues by the theorem."""
    spaces = spaces_of(problem, family)
    positive, zero = index_formula(problem.dim, spaces), nullity_formula(problem.dim, problem.sizes, spaces)
    return {"positive": positive, "zero": zero, "negative": problem.dim * problem.num_samples - positive - zero}


def problem(dim: int, sizes: Sequence[int], epsilon: str, fraction: str, of_class: int = 0) -> ExactProblem:
    """A problem whose lambda is a fraction of a threshold, by default lambda_max (that of the largest class)."""
    k = of_class or max(range(len(sizes)), key=lambda j: sizes[j]) + 1
    return ExactProblem(dim, tuple(sizes), Fraction(epsilon), Threshold(Fraction(fraction), k))


def _line(*classes: int, sign: str = "+", count: int = 1) -> Block:
    return Block(sign, classes, count)


def _triangle(*classes: int, sign: str = "+", count: int = 1, filled: tuple[int, ...] = ()) -> Block:
    return Block(sign, classes, count, "triangle", filled)


def _family(*blocks: Block) -> ExactFamily:
    return ExactFamily(blocks)


# One of every kind that a checker can build: roots large, small and mixed; lines shared by two and by three classes;
# triangles with equal and unequal sides, large and small, twice, inside a plane that a class fills; several eigenspaces; rank
# zero and full; sizes from one. (Polygons with more sides have moduli: no certificate of their inertia exists.)
FRAMES: tuple[tuple[str, ExactProblem, ExactFamily], ...] = (
    ("zero", problem(3, (2, 2, 2), "1/2", "2/5"), _family()),
    ("large", problem(4, (3, 3), "3/5", "1/2"), orthogonal((2, 2))),
    ("one-class", problem(4, (3, 4, 5), "1/2", "2/5"), orthogonal((0, 3, 0))),
    ("full-rank", problem(4, (1, 1, 8), "1/2", "19/20"), orthogonal((1, 1, 2))),
    ("small", problem(4, (3, 3), "3/5", "1/2"), orthogonal((0, 0), (2, 1))),
    ("mixed", problem(5, (3, 4), "1/2", "1/3"), orthogonal((1, 2), (1, 1))),
    ("near-threshold", problem(4, (2, 3), "1/2", "999999/1000000"), orthogonal((1, 2), (0, 1))),
    ("tiny-lambda", problem(4, (2, 3), "1/2", "1/1000000"), orthogonal((1, 2), (1, 0))),
    ("pair-line", problem(4, (3, 4, 5), "1/2", "2/5"), _family(_line(1, 2))),
    ("pair-line-small", problem(4, (3, 4, 5), "1/2", "2/5"), _family(_line(1, 2, sign="-"))),
    ("pair-lines", problem(4, (2, 2, 3), "1/2", "1/5"), _family(_line(1, 2, count=2))),
    ("three-share-a-line", problem(3, (1, 2, 2, 2), "7/10", "1/10"), _family(_line(1, 2, 3), _line(4))),
    ("triangle", problem(4, (2, 2, 2), "1/2", "2/5"), _family(_triangle(1, 2, 3))),
    ("triangle-small", problem(3, (2, 2, 2), "1/2", "1/5"), _family(_triangle(1, 2, 3, sign="-"))),
    ("triangle-unequal", problem(4, (3, 4, 5), "1/2", "2/5"), _family(_triangle(1, 2, 3))),
    ("triangles", problem(5, (2, 2, 2), "1/2", "1/5"), _family(_triangle(1, 2, 3, count=2))),
    ("triangle-and-lines", problem(4, (3, 4, 5), "1/2", "1/5"), _family(_triangle(1, 2, 3), _line(1, sign="-"), _line(3))),
    ("filled-plane", problem(4, (2, 2, 2, 3), "1/2", "1/10"), _family(_triangle(1, 2, 3, filled=(4,)))),
    ("two-spaces", problem(4, (2, 3, 3), "2/5", "1/5"), _family(_line(1, 2), _line(3), _line(2, sign="-"))),
)


def _inertia_cases() -> tuple[Case, ...]:
    return tuple(
        Case(name, Statement("inertia", where, family, _RADIUS | inertia_of(where, family))) for name, where, family in FRAMES
    )


def _critical_cases(*names: str) -> tuple[Case, ...]:
    return tuple(
        Case(name, Statement("critical point", where, family, _RADIUS | {"orbit_dimension": inertia_of(where, family)["zero"]}))
        for name, where, family in FRAMES
        if name in names
    )


def identity(left: str, right: str, *where: str) -> Statement:
    """An identity of rational functions, under conditions."""
    return Statement("identity", None, None, {"left": left, "right": right, "where": list(where)})


_WITHIN_CLASS = identity("rho/(1 + rho*s)**2 - 1/(1 + s)**2", "(rho - 1)*(1 - rho*s**2)/((1 + s)**2*(1 + rho*s)**2)")
_MIXED_PAIR = identity("rho/((1 + rho*s)*(1 + rho*t)) - 1/((1 + s)*(1 + t))", "0", "rho*s*t - 1")

# λ°/λ_k to five digits, as printed in the table of docs/theory.md's source of numbers.
THRESHOLD_TABLE: tuple[tuple[str, str, str], ...] = (
    ("11/10", "864905/1000000", "864915/1000000"),
    ("3/2", "865645/1000000", "865655/1000000"),
    ("2", "867125/1000000", "867135/1000000"),
    ("3", "870465/1000000", "870475/1000000"),
    ("5", "876525/1000000", "876535/1000000"),
    ("10", "887385/1000000", "887395/1000000"),
    ("100", "931635/1000000", "931645/1000000"),
    ("1000", "966675/1000000", "966685/1000000"),
)

CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="mcr2.derivatives",
        title="Gradient and Hessian in closed form",
        source=f"{SOURCE}, definitions",
        form=Form.OWN,
        statement="The derivatives of the regularized rate reduction are given by resolvents of ZZᵀ and Z_k Z_kᵀ.",
        formula=(
            "A = (I + αZZᵀ)⁻¹,  A_k = (I + α_k Z_k Z_kᵀ)⁻¹\n"
            "∇F(Z)_k = αA Z_k − αA_k Z_k − λZ_k\n"
            "H[D]_k  = αA D_k − α²A(DZᵀ + ZDᵀ)A Z_k − αA_k D_k + αα_k A_k(D_k Z_kᵀ + Z_k D_kᵀ)A_k Z_k − λD_k"
        ),
        hypotheses=("any Z", "ε > 0, λ > 0"),
        expected=Verdict.HOLDS,
        check=f"{_CHECKS}:derivatives",
        group="autodiff",
    ),
    Claim(
        id="mcr2.scalar-equation",
        title="The critical equation of one direction, and its roots",
        source=f"{SOURCE}, structure; Wang et al. (ICML 2024), the quadratic in the singular values",
        form=Form.OWN,
        statement=(
            "A direction of class k is critical at the squared singular value x = s/α exactly if a − b = ℓ, a quadratic in s "
            "whose roots have the product 1/ρ_k. They are positive and real exactly for λ ≤ λ_k, where both equal 1/√ρ_k. "
            "What a direction adds to F at fixed s grows with ρ_k."
        ),
        formula="a = 1/(1+s), b = 1/(1+ρs):  a − b = ℓ  ⟺  ℓρs² − (ρ − 1 − ℓ(1+ρ))s + ℓ = 0;   s₋s₊ = 1/ρ;   ∂h/∂ρ > 0",
        hypotheses=("ρ > 1", "ℓ > 0"),
        expected=Verdict.HOLDS,
        check=f"{_CHECKS}:scalar_equation",
        cases=(
            Case(
                "quadratic",
                identity(
                    "(1/(1 + s) - 1/(1 + rho*s) - ell)*(1 + s)*(1 + rho*s)",
                    "-(ell*rho*s**2 - (rho - 1 - ell*(1 + rho))*s + ell)",
                ),
                words="The critical equation is a quadratic.",
            ),
            Case(
                "roots-exchange",
                identity("1/(1 + 1/(rho*s)) - 1/(1 + 1/s)", "1/(1 + s) - 1/(1 + rho*s)"),
                words="With s, 1/(ρs) is a root too: the product of the roots is 1/ρ.",
            ),
            Case(
                "discriminant",
                identity(
                    "(q**2 - 1 - ell*(1 + q**2))**2 - 4*q**2*ell**2",
                    "((q - 1) - ell*(q + 1))*(q + 1)*((q + 1) - ell*(q - 1))*(q - 1)",
                ),
                words="With q = √ρ the discriminant vanishes at ℓ = (q−1)/(q+1), the threshold, and at its inverse.",
            ),
            Case(
                "below-the-threshold",
                identity("(q**2 - 1) - (q - 1)/(q + 1)*(1 + q**2)", "2*q*(q - 1)/(q + 1)"),
                words=(
                    "ρ − 1 − ℓ(1+ρ), which has the sign of both roots, falls with ℓ, and at ℓ = (q−1)/(q+1) it is positive: "
                    "up to there the roots are positive."
                ),
            ),
            Case(
                "beyond-the-inverse",
                identity("(q**2 - 1) - (q + 1)/(q - 1)*(1 + q**2)", "-2*q*(q + 1)/(q - 1)"),
                words="At ℓ = (q+1)/(q−1), from which on the roots are real again, it is negative: they are negative.",
            ),
            Case(
                "double-root",
                identity("1/(1 + 1/q) - 1/(1 + q)", "(q - 1)/(q + 1)"),
                words="With q = √ρ: s = 1/q is critical at the threshold.",
            ),
            Case(
                "value-slope",
                identity("1/(1 + y) - 1/(1 + y)**2", "y/(1 + y)**2"),
                words=(
                    "With y = ρs, ∂h/∂ρ = [log(1+y) − y/(1+y)]/(2ρ²) at fixed s; the bracket is zero at y = 0 and has the "
                    "slope y/(1+y)² > 0."
                ),
            ),
        ),
    ),
    Claim(
        id="mcr2.fusion-frames",
        title="Every critical point is a sum of weighted tight fusion frames",
        source=f"{SOURCE}, structure theorem",
        form=Form.OWN,
        statement=(
            "Z is critical exactly if on each eigenspace of ZZᵀ with eigenvalue μ > 0 every class has one squared singular "
            "value x_k ∝ m_k, the classes' projectors add up to Σ x_k P_k = μI, and a = 1/(1+αμ) solves a quadratic. Two "
            "classes can only be orthogonal."
        ),
        formula="Σ_k x_k P_k = μ I_E,   a(1 + ℓ − a) = ℓ ρ_E/(ρ_E − 1)   with   ρ_E = n m / Σ_k p_k m_k          (★)",
        hypotheses=("λ > 0",),
        expected=Verdict.HOLDS,
        check=f"{_CHECKS}:fusion_frames",
        cases=(
            *_critical_cases("mixed", "pair-line", "triangle", "triangle-unequal", "filled-plane", "two-spaces"),
            Case(
                "star",
                identity(
                    "(a - 1/(1 + rho*(1 - a)/a) - ell)*(a + rho*(1 - a))",
                    "(rho - 1)*a*(1 + ell - a) - ell*rho",
                ),
                role=Role.LEMMA,
                words="(★) is the critical equation a − b = ℓ with b = 1/(1 + ρs), s = (1 − a)/a.",
            ),
        ),
        group="search",
    ),
    Claim(
        id="mcr2.index-formula",
        title="Index and nullity at every critical point",
        source=f"{SOURCE}, inertia theorem",
        form=Form.OWN,
        statement=(
            "The numbers of positive and zero eigenvalues of the Hessian at a critical point are explicit functions of the "
            "dimensions n_E, the ranks p_k, the signs of the roots and the commutants t_E of its eigenspaces."
        ),
        formula=(
            "index   = Σ_E [Σ_k p_k(p_k+1)/2 − t_E·1{large}] + Σ_{μ_E<μ_E'} n_E(p_E' − n_E')\n"
            "nullity = Σ_E [Σ_k (p_k(p_k−1)/2 + p_k(n−p_k)) − n(n+1)/2 + t_E] + Σ_{E<E'} [Σ_k p_k p_k' + nn'] "
            "+ (d−r)r + Σ_k r_k(m_k−r_k)"
        ),
        hypotheses=("λ > 0", "no eigenspace with a double root"),
        expected=Verdict.HOLDS,
        check=f"{_CHECKS}:index_formula_holds",
        cases=(
            *_inertia_cases(),
            Case(
                "between-eigenspaces",
                identity("(1/b + 1/c - 2)/(b + c - 2*b*c)", "(1/c - 1/b)/(b - c)"),
                role=Role.LEMMA,
                words=(
                    "With α_k x = 1/b − 1 and α_k y = 1/c − 1: (x + y)/(b + c − 2bc) = (y − x)/(b − c). So the Schur "
                    "complement that pairs two eigenspaces vanishes."
                ),
            ),
            Case(
                "commutant",
                identity("b*(1 - b) - a*(1 - a)", "ell*(2*a - 1 - ell)", "a - b - ell"),
                role=Role.LEMMA,
                words="The t_E eigenvalues of the commutant have the sign of a − (1 + ℓ)/2: negative at large roots.",
            ),
        ),
        group="search",
    ),
    Claim(
        id="mcr2.exact-spectrum",
        title="The whole spectrum at orthogonal critical points",
        source=f"{SOURCE}, spectrum of the orthogonal families",
        form=Form.OWN,
        statement=(
            "At a critical point with orthogonal blocks every eigenvalue of the Hessian and its multiplicity are known in "
            "closed form; the index is Σ_k r_k⁻(r_k⁻+1)/2."
        ),
        formula=(
            "−λ: (d−r)Σ(m_k−r_k);   α(a_p−1) − λ: m_k−r_k for each p, k ≠ c(p);   −αa_p a_q(s_p+s_q): pairs of two classes;\n"
            "α(ρ_k b_p b_q − a_p a_q)(s_p+s_q): pairs p ≤ q of a class;   0: the rest"
        ),
        hypotheses=("λ > 0", "orthogonal blocks"),
        expected=Verdict.HOLDS,
        check=f"{_CHECKS}:exact_spectrum",
        cases=(
            Case(
                "within-a-class",
                _WITHIN_CLASS,
                role=Role.LEMMA,
                words="The factor of a pair of equal roots, with the sign of 1 − ρs².",
            ),
            Case(
                "mixed-pair", _MIXED_PAIR, role=Role.LEMMA, words="The factor of a large and a small root of one class is zero."
            ),
        ),
    ),
    Claim(
        id="mcr2.morse-bott",
        title="Orthogonal critical orbits are Morse–Bott",
        source=f"{SOURCE}, orbits",
        form=Form.OWN,
        statement=(
            "At an orthogonal critical point, saddles included, the kernel of the Hessian is the tangent space of its "
            "symmetry orbit: the orbit is a non-degenerate critical manifold."
        ),
        formula="nullity = dim orbit = Σ_k[r_k(m_k−r_k) + (d−r)r_k + r_k(r_k−1)/2] + Σ_{k<l} r_k r_l + Σ_k r_k⁺r_k⁻",
        hypotheses=("no used class at λ = λ_k",),
        expected=Verdict.HOLDS,
        check=f"{_CHECKS}:morse_bott",
        cases=_critical_cases(
            *("zero", "large", "one-class", "full-rank", "small", "mixed", "near-threshold", "tiny-lambda"),
        ),
    ),
    Claim(
        id="mcr2.vanishing-classes",
        title="Classes beyond their threshold vanish",
        source=f"{SOURCE}, classes that vanish",
        form=Form.OWN,
        statement=(
            "At every critical point Z_k = 0 for each class with λ > λ_k; above the largest threshold Z = 0 is the only "
            "critical point."
        ),
        formula="λ > λ_k  ⟹  Z_k = 0",
        hypotheses=("λ > 0",),
        expected=Verdict.HOLDS,
        check=f"{_CHECKS}:vanishing_classes",
        group="search",
    ),
    Claim(
        id="mcr2.value-threshold",
        title="Where a direction begins to cost more than it gives",
        source=f"{SOURCE}, value thresholds",
        form=Form.OWN,
        statement=(
            "The value h_k(x_k⁺) of a direction at its large root is positive for λ below some λ_k° < λ_k and negative above. "
            "The table encloses λ_k°/λ_k, to five digits, for the listed ρ_k."
        ),
        formula="h_k(x_k⁺(λ)) > 0  ⟺  λ < λ_k°;   λ_k°/λ_k = 0.87047 (ρ = 3), …, 0.96668 (ρ = 1000)",
        hypotheses=(f"ρ_k ∈ {{{', '.join(ratio for ratio, *_ in THRESHOLD_TABLE)}}}",),
        expected=Verdict.HOLDS,
        check=f"{_CHECKS}:value_threshold",
        cases=tuple(
            Case(
                f"rho-{ratio.replace('/', '-')}",
                Statement("inequality", None, None, {"ascending": [low, {"value_threshold": ratio}, high]}),
            )
            for ratio, low, high in THRESHOLD_TABLE
        ),
    ),
)
