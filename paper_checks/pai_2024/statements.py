"""Pai, Buchanan, Wu, Yu, Ma, *Masked Completion via Structured Diffusion with White-Box Transformers* (ICLR 2024): denoising by
compression, and decoders that run it backwards.

The paper's formal statements were not to hand: claims are as recalled, and a refutation is one under the hypotheses that are
given here. Tokens are columns z = U_k a + sigma w with a ~ N(0, lambda I_p), w ~ N(0, I_d); n_k have class k.
"""

from __future__ import annotations

from mcr2_landscape.claims import Case, Claim, Form, Role
from mcr2_landscape.verdict import Verdict
from paper_checks.landscape_theory.statements import identity

PAPER = "Pai et al. (ICLR 2024)"
_MIXTURES = "paper_checks.pai_2024.mixture_checks"
_COMPRESSION = "paper_checks.pai_2024.compression_checks"
_INVERSES = "paper_checks.pai_2024.inverse_checks"

_MODEL = " Tokens are z = U_k a + sigma w, k uniform, a ~ N(0, lambda I_p), w ~ N(0, I_d), U_k orthonormal."
_RATE = " R_c(Z|U) = Σ_k ½ logdet(I + alpha Zᵀ U_k U_kᵀ Z), alpha = p/(N eps²)."

# Two tokens, one of each of two classes, p = 2, U = [e1 e2 | e3 e4]: (1, 0, s, 0) and (s, 0, 1, 0), whose noise lies in the
# slices that the tokens span, or (1, 0, 0, s) and (0, s, 1, 0), whose noise lies outside. −∇R_c/alpha of the first is
# −(1, 0, s, 0)/(1 + a(1 + s²)), or −(1/(1 + a), 0, 0, s/(1 + a s²)); the way to its subspace is −s in the place of the noise.
_INSIDE = identity(
    "(s*s/(1 + a*(1 + s**2)))**2/(s**2*((1/(1 + a*(1 + s**2)))**2 + (s/(1 + a*(1 + s**2)))**2))", "s**2/(1 + s**2)"
)
_OUTSIDE = identity(
    "(s*s/(1 + a*s**2))**2/(s**2*((1/(1 + a))**2 + (s/(1 + a*s**2))**2))",
    "s**2*(1 + a)**2/((1 + a*s**2)**2 + s**2*(1 + a)**2)",
)

# D = [[3, −4], [4, 3]]/5 and the code (1, 0): the token is (3, 4)/5. Without lambda a step e gives (1 − e)(3, 4)/5 + e(1, 0),
# whose entries are positive: the squared distance of D times that from the token.
_TURNED = identity(
    "((3*((1 - e)*3/5 + e) - 4*((1 - e)*4/5))/5 - 3/5)**2 + ((4*((1 - e)*3/5 + e) + 3*((1 - e)*4/5))/5 - 4/5)**2",
    "4/5*(1 - e)**2",
)

CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="crate-mae.responsibilities.printed",
        title="The softmax of squared projections is the posterior",
        source=f"{PAPER}, as recalled; the authors' textbook, chapter 4",
        form=Form.PRINTED,
        statement="The posterior probability of component k is softmax_k(‖U_kᵀz‖²/(2 sigma²))." + _MODEL,
        hypotheses=("lambda = 1",),
        expected=Verdict.REFUTED,
        check=f"{_MIXTURES}:printed_responsibilities",
        cases=(
            Case(
                "two-lines",
                identity(
                    "(x**2 - y**2)/(2*v) - (-(x**2/(l + v) + y**2/v)/2 + (x**2/v + y**2/(l + v))/2)",
                    "(x**2 - y**2)/(2*(l + v))",
                ),
                Role.COUNTER_EXAMPLE,
                "With the two axes of the plane as subspaces and v = sigma², the printed log odds at (x, y) are more than "
                "those of the Gaussians by (x² − y²)/(2(lambda + v)), not zero unless |x| = |y|.",
            ),
        ),
        group="crate-mae",
    ),
    Claim(
        id="crate-mae.responsibilities.corrected",
        title="The posterior has the factor lambda/(lambda + sigma²)",
        source="Bayes' rule",
        form=Form.CORRECTED,
        statement=(
            "The posterior probability of component k is softmax_k(lambda ‖U_kᵀz‖²/(2 sigma² (lambda + sigma²))), of subspaces "
            "in any position. The printed softmax is its limit as lambda → ∞ at fixed z, with an error that falls as 1/lambda."
            + _MODEL
        ),
        expected=Verdict.HOLDS,
        corrects="crate-mae.responsibilities.printed",
        check=f"{_MIXTURES}:responsibilities",
        cases=(
            Case(
                "two-lines",
                identity(
                    "-(x**2/(l + v) + y**2/v)/2 + (x**2/v + y**2/(l + v))/2",
                    "l/(l + v)*(x**2 - y**2)/(2*v)",
                ),
                words="With the two axes of the plane the Gaussians' log odds are lambda/(lambda + v) times the printed ones.",
            ),
        ),
        group="crate-mae",
    ),
    Claim(
        id="crate-mae.tweedie",
        title="The score is the way to the posterior mean",
        source=f"{PAPER}, Tweedie's formula",
        form=Form.PRINTED,
        statement=(
            "E[x | z] = z + sigma² ∇ log density(z), and it is lambda/(lambda + sigma²) Σ_k r_k U_k U_kᵀ z with the posterior "
            "probabilities r_k." + _MODEL
        ),
        expected=Verdict.HOLDS,
        check=f"{_MIXTURES}:tweedie",
        group="crate-mae",
    ),
    Claim(
        id="crate-mae.nearest-subspace.printed",
        title="Compression points to the nearest subspace",
        source=f"{PAPER}, theorem 1, as recalled (its formal regime was not to hand)",
        form=Form.PRINTED,
        statement=(
            "As sigma → 0, −∇R_c at each token points to the nearest subspace: its cosine with P_own z − z tends to one, P_own "
            "the projection on the token's subspace." + _MODEL + _RATE
        ),
        hypotheses=("Kp = d, the subspaces orthogonal to one another", "any eps, any n_k"),
        expected=Verdict.REFUTED,
        check=f"{_COMPRESSION}:printed_nearest",
        cases=(
            Case(
                "noise-inside",
                _INSIDE,
                Role.COUNTER_EXAMPLE,
                "p = 2 and one token a class, (1, 0, s, 0) and (s, 0, 1, 0): at every eps −∇R_c is a multiple of −z, and cos² "
                "with the way to the subspace is s²/(1 + s²), which tends to zero with s.",
            ),
            Case(
                "fixed-precision",
                _OUTSIDE,
                Role.COUNTER_EXAMPLE,
                "Tokens (1, 0, 0, s) and (0, s, 1, 0): cos² is at most s²(1 + a)², a = alpha, and tends to zero with s at "
                "every fixed eps.",
            ),
        ),
        group="crate-mae",
    ),
    Claim(
        id="crate-mae.nearest-subspace.corrected",
        title="Compression removes the noise that no token's signal stands in the way of: √(1 − n/p)",
        source="docs/whitebox.md",
        form=Form.CORRECTED,
        statement=(
            "As sigma → 0 with p sigma² ≪ eps² ≪ sigma, −∇R_c/alpha → Σ_{j≠k} Q_j (P_own − I) z at a class-k token, Q_j the "
            "projection on the part of subspace j off the slice that its own n_j tokens span. So cos² with P_own z − z is a "
            "Beta variable of mean Σ_{j≠k}(p − n_j)₊/(d − p): the cosine √(1 − n/p) for equal n < p and Kp = d, the "
            "relative error √(n/p), and one step 1/alpha multiplies signal over noise by √(p/n), all in mean square: they "
            "are one quantity, noise over signal being multiplied by the relative error, √(1 − cos²). At n ≥ p nothing of it "
            "is left, and the cosine tends to zero. At eps² = sigma the limit also has −(N eps²/p) U_k (V_k⁺)ᵀ, V_k = U_kᵀ Z "
            "of the class's own tokens." + _MODEL + _RATE
        ),
        formula=(
            "cos² ~ Beta(½ Σ_{j≠k}(p − n_j)₊, ½(d − p − Σ_{j≠k}(p − n_j)₊)),   E cos² = 1 − n/p,   "
            "|mean cos − √(1 − n/p)| < 0.02 for n/p ≤ ½ at eps² = sigma = 1e-4"
        ),
        hypotheses=("subspaces orthogonal to one another", "p sigma² ≪ eps² ≪ sigma → 0", "tokens in general position"),
        expected=Verdict.HOLDS,
        corrects="crate-mae.nearest-subspace.printed",
        check=f"{_COMPRESSION}:nearest",
        cases=(
            Case("noise-inside", _INSIDE, Role.LEMMA, "Noise within the slices is kept: −∇R_c is a multiple of −z."),
            Case(
                "noise-outside",
                _OUTSIDE,
                Role.LEMMA,
                "Noise outside is removed: cos² tends to one where a s → ∞ and a s² → 0, a = alpha.",
            ),
        ),
        group="crate-mae",
    ),
    Claim(
        id="crate-mae.shrinkage",
        title="With many tokens compression shrinks, and does not denoise",
        source="derived in this project",
        form=Form.OWN,
        statement=(
            "For n ≥ p tokens a class, as sigma → 0 and then eps → 0, cos² of −∇R_c with −z is a Beta variable, whose mean is "
            "1 − (p − 1)/n: pure shrinkage for n ≫ p. ∇R_c has no part off the span of all subspaces, so that for Kp < d noise "
            "there is never touched: with n ≫ p and Kp < d no step up to the longest that overshoots no direction raises "
            "signal over noise, and for Kp = d none by more than a fifth, at p = 8, n = 256, sigma = 0.003, "
            "where for Kp < d the posterior mean raises it a millionfold and more." + _MODEL + _RATE
        ),
        formula="cos²(−∇R_c, −z) ~ Beta(½(n − p + 1), ½(p − 1))",
        hypotheses=("subspaces orthogonal to one another", "equal n ≥ p"),
        expected=Verdict.HOLDS,
        check=f"{_COMPRESSION}:many_tokens",
        group="crate-mae",
    ),
    Claim(
        id="crate-mae.inverse.printed",
        title="The decoder's layer inverts the encoder's",
        source=f"{PAPER}, as recalled, with the step of networks",
        form=Form.PRINTED,
        statement="Y ↦ Y − M(Y) is the inverse of Z ↦ Z + M(Z), M(Z) = Σ_k U_k V_k softmax(V_kᵀ V_k), V_k = U_kᵀ Z.",
        hypotheses=("the same subspaces in both", "no normalization between"),
        expected=Verdict.REFUTED,
        check=f"{_INVERSES}:printed_inverse",
        cases=(
            Case(
                "one-token",
                identity("(z + 1*z) - 1*(z + 1*z)", "0"),
                Role.COUNTER_EXAMPLE,
                "One token in a space that orthogonal subspaces span has M(z) = z: the round trip takes every z to zero.",
            ),
        ),
        group="crate-mae",
    ),
    Claim(
        id="crate-mae.inverse.corrected",
        title="The decoder's layer inverts the encoder's to second order",
        source="Taylor's formula",
        form=Form.CORRECTED,
        statement=(
            "With a step k, Y = Z + kM(Z) and X = Y − kM(Y), X − Z = −k² M′(Z)M(Z) + O(k³), for attention at the temperatures "
            "1 and √p and for M = −∇R_c/alpha: measured orders from k = 1/16 down are in [1.9, 2.15]."
        ),
        formula="‖X − Z‖ = k² ‖M′(Z) M(Z)‖ + O(k³)",
        hypotheses=("the same subspaces in both", "small k"),
        expected=Verdict.HOLDS,
        corrects="crate-mae.inverse.printed",
        check=f"{_INVERSES}:inverse",
        cases=(
            Case(
                "one-token",
                identity("(z + k*z) - k*(z + k*z)", "z - k**2*z"),
                words="One token in a space that orthogonal subspaces span has M(z) = z: the error is k² exactly.",
            ),
        ),
        group="crate-mae",
    ),
    Claim(
        id="crate-mae.dictionary-inverse.printed",
        title="The dictionary inverts the sparsification",
        source=f"{PAPER}, as recalled, with the step of the public code",
        form=Form.PRINTED,
        statement=(
            "A token Z = DA with a code A ≥ 0 comes back from D · ReLU(Z + eta Dᵀ(Z − DZ) − eta lambda), D orthonormal, at "
            "eta = lambda = 0.1."
        ),
        hypotheses=("D square and orthonormal", "A ≥ 0"),
        expected=Verdict.REFUTED,
        check=f"{_INVERSES}:printed_dictionary",
        cases=(
            Case(
                "two-atoms",
                _TURNED,
                Role.COUNTER_EXAMPLE,
                "D = [[3, −4], [4, 3]]/5 and the code (1, 0): with lambda = 0 the squared error of the round trip is (4/5)(1 "
                "− eta)² of one, 0.648 at eta = 0.1.",
            ),
        ),
        group="crate-mae",
    ),
    Claim(
        id="crate-mae.dictionary-inverse.corrected",
        title="The dictionary inverts a whole step without a threshold",
        source="the step's definition",
        form=Form.CORRECTED,
        statement=(
            "At eta = 1 the step gives ReLU(A − lambda): D brings Z = DA back exactly for lambda = 0, and with the error "
            "‖min(A, lambda)‖ for lambda > 0."
        ),
        hypotheses=("D square and orthonormal", "A ≥ 0", "eta = 1"),
        expected=Verdict.HOLDS,
        corrects="crate-mae.dictionary-inverse.printed",
        check=f"{_INVERSES}:dictionary",
        cases=(
            Case(
                "two-atoms", _TURNED, words="The error of the two atoms' example, (4/5)(1 − eta)², vanishes at eta = 1 alone."
            ),
        ),
        group="crate-mae",
    ),
)
