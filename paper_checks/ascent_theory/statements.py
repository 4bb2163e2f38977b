"""Theorems on gradient ascent for regularized MCR² that this project proves or has drawn from others, as data.

Notation as in `paper_checks.landscape_theory.statements`.
"""

from __future__ import annotations

from mcr2_landscape.claims import Case, Claim, Form, Role
from mcr2_landscape.verdict import Verdict
from paper_checks.landscape_theory.statements import SOURCE, identity

_CHECKS = "paper_checks.ascent_theory.checks"

CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="mcr2.curvature-bound",
        title="A global bound on the curvature, and monotone ascent",
        source=f"{SOURCE}; definitions",
        form=Form.OWN,
        statement=(
            "At every Z the eigenvalues of the Hessian lie in [−(9/8)α − λ, (9/8)α − λ]. So gradient ascent with a step of at "
            "most 1/((9/8)α + λ) never lowers F."
        ),
        formula="r(s) = ½log(1 + s²):  −1/8 ≤ r''(s) ≤ 1;   −(9/8)α − λ ≤ eig H(Z) ≤ (9/8)α − λ",
        hypotheses=("any Z", "λ > 0"),
        expected=Verdict.HOLDS,
        check=f"{_CHECKS}:curvature_bound",
        cases=(
            Case(
                "lower",
                identity("(1 - u)/(1 + u)**2 + 1/8", "(u - 3)**2/(8*(1 + u)**2)"),
                role=Role.LEMMA,
                words="With u = s², r'' = (1−u)/(1+u)² is at least −1/8, with equality at u = 3.",
            ),
            Case(
                "upper",
                identity("1 - (1 - u)/(1 + u)**2", "u*(u + 3)/(1 + u)**2"),
                role=Role.LEMMA,
                words="It is at most 1, for u ≥ 0.",
            ),
        ),
    ),
    Claim(
        id="mcr2.ascent-from-random-starts",
        title="Ascent from random starts ends at a local maximizer",
        source="Wang et al. (ICML 2024), consequence drawn from the benign landscape",
        form=Form.OWN,
        statement=(
            "From random starts ascent converges to a local maximizer: orthogonal blocks with large roots, or Z = 0, "
            "to which starts of small norm collapse."
        ),
        hypotheses=("0 < λ < λ_max", "starts with independent normal entries"),
        expected=Verdict.HOLDS,
        check=f"{_CHECKS}:ascent_from_random_starts",
        group="ascend",
    ),
    Claim(
        id="mcr2.local-rate",
        title="The linear rate near a maximizer",
        source=f"{SOURCE}, spectrum",
        form=Form.OWN,
        statement=(
            "Near a local maximizer gradient ascent with step η contracts the gradient, and with it the distance to its "
            "orbit, by max |1 − η|κ|| over the non-zero eigenvalues κ of the exact spectrum."
        ),
        formula="‖∇F(Z_{t+1})‖ ≈ max_κ |1 − η|κ|| · ‖∇F(Z_t)‖",
        hypotheses=("0 < λ < λ_max", "η < 2/max|κ|"),
        expected=Verdict.HOLDS,
        check=f"{_CHECKS}:local_rate",
    ),
    Claim(
        id="mcr2.saddle-escape-rate",
        title="The rate of escape from a strict saddle",
        source=f"{SOURCE}, spectrum",
        form=Form.OWN,
        statement=(
            "From a generic start near a strict saddle gradient ascent with step η leaves it along the steepest directions by "
            "the factor 1 + ηκ a step, κ the largest eigenvalue of the exact spectrum."
        ),
        formula="‖P(Z_{t+1} − Z*)‖ ≈ (1 + ηκ_max) · ‖P(Z_t − Z*)‖,   P the projector on the eigenspace of κ_max",
        hypotheses=("λ > 0", "κ_max > 0"),
        expected=Verdict.HOLDS,
        check=f"{_CHECKS}:saddle_escape_rate",
    ),
)
