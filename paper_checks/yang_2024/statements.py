"""Yang, Li, Pai, Zhou, Ma, Yu, Xie, *Scaling White-Box Transformers for Vision* (NeurIPS 2024): overcomplete dictionaries.

Claims are as recalled, and of the networks as the public code has them: codes A_0 = 0, A_{t+1} = ReLU(A_t − eta Dᵀ(D A_t − z) −
eta lambda) for two steps with a dictionary D of 4d atoms, and z + D1 A_2 as the layer's output.
"""

from __future__ import annotations

from mcr2_landscape.claims import Case, Claim, Form, Role
from mcr2_landscape.verdict import Verdict
from paper_checks.landscape_theory.statements import identity

PAPER = "Yang et al. (NeurIPS 2024)"
_CHECKS = "paper_checks.yang_2024.dictionary_checks"

_LAYER = (
    " A layer takes a normalized token z (d entries) to codes A_2 of 4d atoms by two steps A ↦ ReLU(A − eta Dᵀ(DA − z) − eta "
    "lambda) from zero, and puts out the token plus D1 A_2; eta = lambda = 0.1."
)
_OBJECTIVE = " The objective is lambda ‖A‖_1 + ½‖z − DA‖², A ≥ 0."

CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="crate-alpha.descent",
        title="Steps from zero never raise the objective",
        source=f"{PAPER}, as recalled; proximal gradient",
        form=Form.PRINTED,
        statement=(
            "For eta‖D‖₂² < 2 both steps lower the objective, each by at least (1/eta − ‖D‖₂²/2)‖ΔA‖²." + _LAYER + _OBJECTIVE
        ),
        hypotheses=("eta‖D‖₂² < 2",),
        expected=Verdict.HOLDS,
        check=f"{_CHECKS}:descent",
        cases=(
            Case(
                "active",
                identity(
                    "l*(a - e*(l - d*(y - d*a))) + (y - d*(a - e*(l - d*(y - d*a))))**2/2 - l*a - (y - d*a)**2/2",
                    "-(1/e - d**2/2)*(e*(l - d*(y - d*a)))**2",
                ),
                words="One atom whose code stays positive: the objective falls by exactly (1/eta − d²/2)(ΔA)².",
            ),
            Case(
                "clipped",
                identity(
                    "y**2/2 - l*a - (y - d*a)**2/2",
                    "-(1/e - d**2/2)*a**2 - a*(e*(l - d*(y - d*a)) - a)/e",
                ),
                words=(
                    "One atom whose code a is clipped to zero, a ≤ eta g with the slope g = lambda − d(y − da): it falls by "
                    "that and a(eta g − a)/eta ≥ 0."
                ),
            ),
        ),
        group="crate-alpha",
    ),
    Claim(
        id="crate-alpha.step-size",
        title="Step sizes start within 1/‖D‖²",
        source=f"a reading of {PAPER} and its public code",
        form=Form.OWN,
        statement="At both published initializations eta ≤ 1/‖D‖₂², the step size of the proximal gradient." + _LAYER,
        hypotheses=("entries uniform within ±√(6/fan), the fan 4d (torch) or d (flax)",),
        expected=Verdict.REFUTED,
        check=f"{_CHECKS}:printed_step",
        group="crate-alpha",
    ),
    Claim(
        id="crate-alpha.step-size.corrected",
        title="Step sizes start within 2/‖D‖², where the objective still falls",
        source="the edge of Marchenko and Pastur",
        form=Form.CORRECTED,
        statement=(
            "At both published initializations eta‖D‖₂² < 2 and the two steps do not raise the objective: as d → ∞ it is 0.45 "
            "(torch) and 1.8 (flax), within 6 % at d = 192 and 384." + _LAYER + _OBJECTIVE
        ),
        formula="eta‖D‖₂² → (2 eta/fan)(√d + √(4d))² = 18 eta d/fan",
        hypotheses=("entries uniform within ±√(6/fan), the fan 4d (torch) or d (flax)", "before training"),
        expected=Verdict.HOLDS,
        corrects="crate-alpha.step-size",
        check=f"{_CHECKS}:step",
        cases=(
            Case("torch", identity("(1/10)*(2/(4*d))*9*d", "9/20"), words="(√d + √(4d))² = 9d: the edge for the fan 4d."),
            Case("flax", identity("(1/10)*(2/d)*9*d", "9/5"), words="And for the fan d."),
        ),
        group="crate-alpha",
    ),
    Claim(
        id="crate-alpha.sparsity.printed",
        title="The layer sparsifies its tokens",
        source=f"{PAPER}, as recalled: the sparsity term of the sparse rate reduction",
        form=Form.PRINTED,
        statement="The step lowers the number of nonzero entries of tokens, the term ‖Z‖_0 of the sparse rate reduction."
        + _LAYER,
        hypotheses=("both published initializations",),
        expected=Verdict.REFUTED,
        check=f"{_CHECKS}:printed_sparsity",
        cases=(
            Case(
                "filled-zero",
                identity("0 + 4/5*((1/5/10 - 1/100) - ((1/5/10 - 1/100) - 1/5)/10 - 1/100)", "19/1250"),
                Role.COUNTER_EXAMPLE,
                "The token (1, 0), whose layer norm is (1, −1), the first atoms (4, 3)/5 of D and (3, 4)/5 of D1, all others "
                "zero, so that their codes are: the first has A_1 = 0.02 − 0.01, A_2 = 0.01 − 0.1(0.01 − 0.2) − 0.01 = 0.019, "
                "and the token's zero becomes 0.8 A_2 = 0.0152.",
            ),
        ),
        group="crate-alpha",
    ),
    Claim(
        id="crate-alpha.sparsity.corrected",
        title="About half of the codes are zero",
        source="the public code's networks, before training",
        form=Form.CORRECTED,
        statement=(
            "At both initializations between 40 % and 55 % of the codes A_2 of 32 tokens are not zero, and the share falls "
            "from lambda = 0.1 to 0.3 and from 0.3 to 1." + _LAYER
        ),
        hypotheses=("before training", "normalized Gaussian tokens", "d = 48"),
        expected=Verdict.HOLDS,
        corrects="crate-alpha.sparsity.printed",
        check=f"{_CHECKS}:sparsity",
        group="crate-alpha",
    ),
    Claim(
        id="crate-alpha.compression",
        title="Attention compresses in a trained CRATE-α",
        source=f"a reading of {PAPER}: the attention half is that of CRATE, a step of compression",
        form=Form.OWN,
        statement=(
            "Summed over layers, the attention halves of a trained CRATE-α lower R_c of each layer's projections, scaled to "
            "length one, as those of CRATE do."
        ),
        hypotheses=("small networks, trained on the digits of this package", "the public code's measure, ε = 1/10"),
        expected=Verdict.REFUTED,
        check="paper_checks.yang_2024.layer_checks:compression",
        group="crate-alpha",
    ),
)
