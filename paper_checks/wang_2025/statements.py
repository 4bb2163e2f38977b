"""Wang, Lu, Yu, Pai, Qu, Ma, *Attention-Only Transformers via Unrolled Subspace Denoising* (2025): signal over noise, layer by
layer.

The formal statement was not to hand: the theorem is as recalled from the authors' textbook. Class-k tokens are z = U_k a +
Σ_{j≠k} U_j e_j with a ~ N(0, I_p), e_j ~ N(0, delta² I_p), U_k orthonormal and orthogonal to one another; a layer is
Z + eta Σ_k U_k V_k phi(V_kᵀ V_k), V_k = U_kᵀ Z, phi the column softmax in which weights above tau become tau, all others zero.
"""

from __future__ import annotations

from fractions import Fraction

from mcr2_landscape.claims import Case, Claim, Form, Role
from mcr2_landscape.verdict import Verdict
from paper_checks.pai_2022.cases import ascending, logs

PAPER = "Wang et al. (2025)"
_CHECKS = "paper_checks.wang_2025.snr_checks"

_MODEL = (
    " Class-k tokens are U_k a + Σ_{j≠k} U_j e_j, a ~ N(0, I_p), e_j ~ N(0, delta² I_p), U_k orthonormal and orthogonal to one "
    "another; a layer is Z + eta Σ_k U_k V_k phi(V_kᵀ V_k), V_k = U_kᵀ Z, where the column softmax's weights above tau become "
    "tau and all others zero."
)

# Two tokens, K = 2, p = 1: coordinates (3, 1/10) and (1/10, 3), eta = 1/2, tau = 3/4, N = 2: a weight is above tau where its
# logit is above the other by log 3. The signals are 3 (11/8)^l before layer l + 1 and the noise has not changed: in its own
# head the gap is 9 (11/8)^{2l} − (3/10)(11/8)^l, in the other head the other token's is ahead by (3/10)(11/8)^l − 1/100.
_LOG3 = logs([(Fraction(1), Fraction(3))])
_OWN_GAP = "87/10"
_FIFTH, _SIXTH = (str(Fraction(3, 10) * Fraction(11, 8) ** place - Fraction(1, 100)) for place in (4, 5))

CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="aot.snr.printed",
        title="Every layer multiplies signal over noise by 1 + eta tau",
        source=f"{PAPER}, theorem 1, as recalled; the authors' textbook, chapter 4",
        form=Form.PRINTED,
        statement=(
            "For N large, delta of the order √(log N/p) and tau in (½, 1), every layer l = 1, …, L, of any depth L, multiplies "
            "‖U_k U_kᵀ Z_k‖/‖(I − U_k U_kᵀ) Z_k‖ by 1 + eta tau, Z_k the tokens of class k." + _MODEL
        ),
        hypotheses=("any number of layers", "eta = ½, tau = ¾; p = 64, K = 4, N = 256, delta = 0.1 for random tokens"),
        expected=Verdict.REFUTED,
        check=f"{_CHECKS}:printed",
        cases=(
            Case(
                "sixth-layer",
                ascending(_LOG3, _SIXTH),
                Role.COUNTER_EXAMPLE,
                "p = 1, K = 2, tokens (3, 1/10) and (1/10, 3), eta = ½, tau = ¾: at the sixth layer each token attends with a "
                "weight above tau to the other's signal in the other's head, since its logit, (3/10)(11/8)⁵ − 1/100 above its "
                "own, is ahead by more than log 3. It takes in eta tau times that signal as noise.",
            ),
        ),
        group="aot",
    ),
    Claim(
        id="aot.snr.corrected",
        title="Layers multiply signal over noise by 1 + eta tau until noise attends to signal",
        source="derived in this project",
        form=Form.CORRECTED,
        statement=(
            "Let ω = log((N − 1)tau/(1 − tau)), tau ≥ ½. A layer multiplies every token's signal over noise by exactly 1 + eta "
            "tau if in its own head each token's own logit is above all others by more than ω, and if in all other heads its "
            "logits spread over at most ω. With s = 1 + eta tau own gaps grow from layer to layer, and spreads at most by the "
            "factor s: if the first layer's gaps are above ω and its spreads, zero counted among the logits, at most b ≤ ω, "
            "the first 1 + ⌊log(ω/b)/log s⌋ layers are exact. So N and p have to be large, or delta small, depending on L."
            + _MODEL
        ),
        formula="G_ii − max_{l≠i} G_li > ω  ⟹  weight > tau;   max_l G_li − min_l G_li ≤ ω  ⟹  all weights ≤ tau",
        hypotheses=("½ ≤ tau < 1", "the conditions on the first layer's logits"),
        expected=Verdict.HOLDS,
        corrects="aot.snr.printed",
        check=f"{_CHECKS}:corrected",
        cases=(
            Case(
                "own-head",
                ascending(_LOG3, _OWN_GAP),
                words="p = 1, K = 2, tokens (3, 1/10) and (1/10, 3): at the first layer own gaps are above ω = log 3.",
            ),
            Case(
                "fifth-layer",
                ascending(_FIFTH, _LOG3),
                words="At the fifth layer the other head's logits spread over less than ω: five layers are exact.",
            ),
        ),
        group="aot",
    ),
    Claim(
        id="aot.snr-rescaled",
        title="With a temperature or normalized tokens every layer multiplies signal over noise by 1 + eta tau",
        source="derived in this project",
        form=Form.OWN,
        statement=(
            "With logits over the temperature (1 + eta tau)^{2l} at layer l + 1 the conditions on the first layer's logits "
            "carry over to all layers: own signals' logits stay, all others shrink. With tokens scaled to the norm √p before "
            "each layer every layer is exact as well in all draws whose first layer meets the conditions." + _MODEL
        ),
        hypotheses=("½ ≤ tau < 1", "the conditions on the first layer's logits"),
        expected=Verdict.HOLDS,
        check=f"{_CHECKS}:rescaled",
        group="aot",
    ),
)
