"""Buchanan, Pai, Wang, Ma, *Learning Deep Representations of Data Distributions* (2025): formulas of its chapters on white-box
transformers that are checked as printed, and as they are right.

Notation as in `paper_checks.yu_2023.statements`.
"""

from __future__ import annotations

from mcr2_landscape.claims import Case, Claim, Form, Role
from mcr2_landscape.verdict import Verdict
from paper_checks.landscape_theory.statements import identity

BOOK = "Buchanan, Pai, Wang, Ma, Learning Deep Representations of Data Distributions (2025)"
_CHECKS = "paper_checks.buchanan_2025.algebra_checks"

_EXPANSION = (
    " ∇R_c = α Σ_k U_kV_k(I + αV_kᵀV_k)⁻¹ for bases U_k (d, p) with orthonormal columns and V_k = U_kᵀZ; ρ = α max_k ‖V_k‖₂²; "
    "the softmax of the printed operator is left out."
)
_STEP = " The objective of codes A for a target Y and a dictionary D is F(A) = λ‖A‖₁ + ½‖Y − DA‖_F² over A ≥ 0."

CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="book.neumann-series.printed",
        title="The Neumann series, summed from k = 1",
        source=f"{BOOK}, chapter 4, exercise",
        form=Form.PRINTED,
        statement="(I − A)⁻¹ = Σ_{k≥1} Aᵏ for ‖A‖ < 1.",
        hypotheses=("‖A‖ < 1",),
        expected=Verdict.REFUTED,
        check=f"{_CHECKS}:neumann_printed",
        cases=(
            Case(
                "off-by-one",
                identity("1/(1 - x) - x/(1 - x)", "1"),
                Role.COUNTER_EXAMPLE,
                "For numbers the series from k = 1 is x/(1 − x): short of 1/(1 − x) by 1, for every |x| < 1.",
            ),
        ),
        group="book",
    ),
    Claim(
        id="book.neumann-series.corrected",
        title="The Neumann series, summed from k = 0",
        source=f"{BOOK}, chapter 4, exercise",
        form=Form.CORRECTED,
        statement=("(I − A)⁻¹ = Σ_{k≥0} Aᵏ for ‖A‖ < 1; the first m terms leave Aᵐ(I − A)⁻¹, at most ‖A‖ᵐ/(1 − ‖A‖)."),
        hypotheses=("‖A‖ < 1",),
        expected=Verdict.HOLDS,
        corrects="book.neumann-series.printed",
        check=f"{_CHECKS}:neumann_corrected",
        cases=(
            Case(
                "four-terms",
                identity("1/(1 - x) - (1 + x + x**2 + x**3)", "x**4/(1 - x)"),
                Role.INSTANCE,
                "What four terms leave of 1/(1 − x).",
            ),
        ),
        group="book",
    ),
    Claim(
        id="book.attention-factor.printed",
        title="The printed gradient with the printed attention is a first-order expansion",
        source=f"{BOOK}, chapter 4, the gradient of R_c in terms of multi-head attention, whose own factor is α",
        form=Form.PRINTED,
        statement=(
            "With the factor α of the attention operator put into the printed formula of the gradient, α Σ_k U_kV_k − "
            "α³ Σ_k U_kV_kV_kᵀV_k agrees with ∇R_c up to a relative error O(ρ²)." + _EXPANSION
        ),
        hypotheses=("α ≠ 1",),
        expected=Verdict.REFUTED,
        check=f"{_CHECKS}:factor_printed",
        cases=(
            Case(
                "first-order",
                identity("(1 - a*x)/(1/(1 + x)) - 1", "(1 - a)*x - a*x**2"),
                Role.COUNTER_EXAMPLE,
                "For one token v on a line, x = αv²: the relative error has the first-order term (1 − α)x.",
            ),
        ),
        group="book",
    ),
    Claim(
        id="book.attention-factor.corrected",
        title="The first-order expansion has the factor α²",
        source=f"{BOOK}, chapter 4, the gradient step",
        form=Form.CORRECTED,
        statement="α Σ_k U_kV_k − α² Σ_k U_kV_kV_kᵀV_k agrees with ∇R_c up to a relative error of at most ρ²." + _EXPANSION,
        hypotheses=("mutually orthogonal subspaces",),
        expected=Verdict.HOLDS,
        corrects="book.attention-factor.printed",
        check=f"{_CHECKS}:factor_corrected",
        cases=(
            Case(
                "second-order",
                identity("(1 - x)/(1/(1 + x)) - 1", "-x**2"),
                Role.INSTANCE,
                "For one token v on a line, x = αv²: the relative error is −x².",
            ),
        ),
        group="book",
    ),
    Claim(
        id="book.ista-sign.printed",
        title="The sparse step with the sign + of its threshold",
        source=f"{BOOK}, chapter 7, three formulas of the sparse coding block",
        form=Form.PRINTED,
        statement="ReLU(A − βDᵀ(DA − Y) + βλ) is a proximal gradient step on F: it does not raise F for β ≤ 1/‖D‖²." + _STEP,
        hypotheses=("A ≥ 0", "0 < β ≤ 1/‖D‖²", "λ > 0"),
        expected=Verdict.REFUTED,
        check=f"{_CHECKS}:sign_printed",
        cases=(
            Case(
                "from-the-minimizer",
                identity("l*(b*l) + (0 - b*l)**2/2", "b*l**2*(2 + b)/2"),
                Role.COUNTER_EXAMPLE,
                "With D = 1 and Y = 0 the minimizer is A = 0, where F = 0; the step goes to βλ, where F is βλ²(2 + β)/2 > 0.",
            ),
        ),
        group="book",
    ),
    Claim(
        id="book.ista-sign.corrected",
        title="The sparse step with the sign − of its threshold",
        source="Yu et al. (2023), section 2.4, and the public code",
        form=Form.CORRECTED,
        statement=(
            "ReLU(A − βDᵀ(DA − Y) − βλ) does not raise F for A ≥ 0 and β ≤ 1/‖D‖², stays at a minimizer, and has non-zero "
            "entries only where ReLU(A − βDᵀ(DA − Y) + βλ) has them, in random draws fewer; after some steps from the same "
            "start its F is lower." + _STEP
        ),
        hypotheses=("A ≥ 0", "0 < β ≤ 1/‖D‖²", "λ > 0"),
        expected=Verdict.HOLDS,
        corrects="book.ista-sign.printed",
        check=f"{_CHECKS}:sign_corrected",
        cases=(
            Case(
                "decrease",
                identity(
                    "l*A + (y - c*A)**2/2 - l*(A + b*(c*(y - c*A) - l)) - (y - c*(A + b*(c*(y - c*A) - l)))**2/2",
                    "(1/b - c**2/2)*(b*(c*(y - c*A) - l))**2",
                ),
                Role.INSTANCE,
                "In one dimension, D = c, where the result is positive: F falls by (1/β − c²/2) times the step's square.",
            ),
        ),
        group="book",
    ),
    Claim(
        id="book.dictionary-shape.printed",
        title="An overcomplete dictionary of shape (s, d)",
        source=f"{BOOK}, chapter 7, the overcomplete sparse coding block",
        form=Form.PRINTED,
        statement="With D of shape (s, d), s > d, tokens Y (d, N) and codes A (s, N), ReLU(A − βDᵀ(DA − Y) − βλ) is defined.",
        hypotheses=("s > d",),
        expected=Verdict.REFUTED,
        check=f"{_CHECKS}:shape_printed",
        group="book",
    ),
    Claim(
        id="book.dictionary-shape.corrected",
        title="An overcomplete dictionary of shape (d, s)",
        source="Yang et al. (2024), section 3.2, and the public code",
        form=Form.CORRECTED,
        statement=(
            "With D of shape (d, s), tokens Y (d, N) and codes A (s, N), ReLU(A − βDᵀ(DA − Y) − βλ) is defined, of shape (s, "
            "N)."
        ),
        expected=Verdict.HOLDS,
        corrects="book.dictionary-shape.printed",
        check=f"{_CHECKS}:shape_corrected",
        group="book",
    ),
)
