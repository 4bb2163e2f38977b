"""Yu, Chan, You, Song, Ma, *Learning Diverse and Discriminative Representations via the Principle of Maximal Coding Rate
Reduction* (NeurIPS 2020): rate reduction under norm constraints, and what docs/theory.md proves of it.

On a maximum of ΔR = R − R_c under ‖Z_k‖² = m_k each class has its own multiplier λ_k. With s = αx for a squared singular value
x of class k, a = 1/(1 + s), b = 1/(1 + ρ_k s), y_k = √ρ_k s; r_k is the rank of Z_k and r that of Z.
"""

from __future__ import annotations

from mcr2_landscape.claims import Case, Claim, Form, Role
from mcr2_landscape.verdict import Verdict
from paper_checks.landscape_theory.statements import identity

PAPER = "Yu, Chan, You, Song, Ma (NeurIPS 2020)"
_THEORY = "docs/theory.md, with fixed norms"
_CHECKS = "paper_checks.yu_2020.checks"

_EXCHANGE = Case(
    "exchange",
    identity(
        "rho*s*t*((1 - rho*s**2)/((1 + s)**2*(1 + rho*s)**2) + (1 - rho*t**2)/((1 + t)**2*(1 + rho*t)**2))",
        "(s - t)**2/((1 + s)**2*(1 + t)**2)",
        "rho*s*t - 1",
    ),
    role=Role.LEMMA,
    words=(
        "The second derivative along D = √x_q u_p v_pᵀ − √x_p u_q v_qᵀ, which moves norm from one singular value to another "
        "and is tangent to every sphere, is 2(ρ−1)/ρ times this: positive unless s = t."
    ),
)

CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="mcr2.constrained-last-singular-value.printed",
        title="On spheres, the last singular value of a class may differ",
        source=f"{PAPER}, theorem on optimal representations, as recalled",
        form=Form.PRINTED,
        statement=(
            "The theorem, as recalled, leaves two cases for a class at a maximizer of ΔR under ‖Z_k‖² = m_k: all non-zero "
            "singular values equal, or the largest r_k − 1 equal and the last one smaller. Checked here is whether the second "
            "case occurs, at a local maximizer with orthogonal blocks. That it never does takes nothing from the alternative, "
            "which is true, but makes it sharper."
        ),
        formula="σ_1(Z_k) = … = σ_{r−1}(Z_k) > σ_r(Z_k) > 0 for some problem",
        hypotheses=("‖Z_k‖² = m_k", "orthogonal blocks"),
        expected=Verdict.REFUTED,
        check=f"{_CHECKS}:last_singular_value",
        cases=(
            Case(
                "two-values",
                identity(
                    "1/(1 + s) - 1/(1 + rho*s) - (1/(1 + t) - 1/(1 + rho*t))",
                    "(rho - 1)*(s - t)*(1 - rho*s*t)/((1 + s)*(1 + t)*(1 + rho*s)*(1 + rho*t))",
                ),
                role=Role.LEMMA,
                words="Different values s ≠ t of a class have the same multiplier only if ρst = 1.",
            ),
            _EXCHANGE,
        ),
        group="spheres",
    ),
    Claim(
        id="mcr2.constrained-maximizers",
        title="On spheres, all non-zero singular values of a class are equal",
        source=f"{PAPER}, theorem on optimal representations, corrected; {_THEORY}",
        form=Form.CORRECTED,
        statement=(
            "For d ≥ Σ rank Z_k the local maximizers of ΔR under ‖Z_k‖² = m_k are exactly the points with mutually orthogonal "
            "blocks, equal non-zero singular values in each block, and r_k = 1 or y_k > 1. Every critical point that is not "
            "orthogonal is a strict saddle."
        ),
        formula="Z_k = √(m_k/r_k) U_k V_kᵀ,   U_kᵀU_l = 0,   r_k = 1 or √(αα_k) m_k/r_k > 1",
        hypotheses=("‖Z_k‖² = m_k", "d ≥ Σ r_k", "ΔR > 0"),
        expected=Verdict.HOLDS,
        corrects="mcr2.constrained-last-singular-value.printed",
        check=f"{_CHECKS}:maximizers_on_spheres",
        cases=(_EXCHANGE,),
        group="spheres",
    ),
    Claim(
        id="mcr2.constrained-overlap",
        title="On spheres, classes overlap only where they must",
        source=_THEORY,
        form=Form.OWN,
        statement=(
            "A local maximizer of ΔR under ‖Z_k‖² = m_k that is not orthogonal has full row rank d, and different classes "
            "meet only in the eigenspace of ZZᵀ with the smallest eigenvalue."
        ),
        hypotheses=("‖Z_k‖² = m_k", "d < Σ r_k"),
        expected=Verdict.HOLDS,
        check=f"{_CHECKS}:overlap",
        group="spheres",
    ),
    Claim(
        id="mcr2.constrained-crowded",
        title="On spheres, maximizers are orthogonal whenever they can be",
        source=f"{_THEORY}; open",
        form=Form.OWN,
        statement=(
            "If there are no more classes than dimensions, every local maximizer of ΔR under ‖Z_k‖² = m_k has Σ r_k ≤ d and "
            "orthogonal blocks. No proof is known."
        ),
        hypotheses=("‖Z_k‖² = m_k", "K ≤ d < Σ min{m_k, d}"),
        expected=Verdict.UNDECIDED,
        check=f"{_CHECKS}:crowded",
        group="spheres",
    ),
    Claim(
        id="mcr2.unit-columns",
        title="With unit columns the maximizers are those on spheres",
        source=f"{PAPER}, equation (8) with unit columns; open",
        form=Form.OWN,
        statement=(
            "If every column of Z lies on the unit sphere and d ≥ Σ r_k, local maximizers of ΔR have orthogonal blocks with "
            "equal non-zero singular values. No proof is known."
        ),
        hypotheses=("unit columns", "d ≥ Σ r_k"),
        expected=Verdict.UNDECIDED,
        check=f"{_CHECKS}:unit_columns",
        group="columns",
    ),
    Claim(
        id="mcr2.constrained-regularized-equivalence",
        title="The constrained and the regularized problem at matched λ",
        source=f"{_THEORY}; Wang et al. (ICML 2024), motivation of the regularized problem",
        form=Form.OWN,
        statement=(
            "For classes of equal size and equal rank r ≥ 2 with K r ≤ d, the orthogonal points with ‖Z_k‖² = m_k and equal "
            "singular values are critical for the regularized problem at λ = α(a − b). There they are local maximizers "
            "exactly if they are on the spheres, that is for y > 1."
        ),
        formula="λ = α(1/(1+s) − 1/(1+ρs)),   s = α m_k/r,   large root ⟺ y = √ρ s > 1",
        hypotheses=("m_1 = … = m_K", "r_1 = … = r_K = r ≥ 2", "K r ≤ d"),
        expected=Verdict.HOLDS,
        check=f"{_CHECKS}:equivalence",
        cases=(
            Case(
                "root",
                identity("(1 - rho*s**2)*(rho - 1)", "rho*(1 + s)**2 - (1 + rho*s)**2"),
                role=Role.LEMMA,
                words=(
                    "Within a class the second derivatives have the sign of 1 − ρs² = 1 − y² for either problem: negative at "
                    "the large root, y > 1, positive at the small one."
                ),
            ),
        ),
        group="spheres",
    ),
)
