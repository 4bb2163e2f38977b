"""Yu, Buchanan, Pai, Chu, Wu, Tong, Haeffele, Ma, *White-Box Transformers via Sparse Rate Reduction* (NeurIPS 2023): what the
derivation of its layers rests on, as recalled, and what is really needed.

The paper's own text was not to hand: equations are quoted as its public code and the authors' textbook have them, and a claim
that fails here fails under the hypotheses that are listed. Tokens are columns, Z (d, N); bases U_k (d, p), V_k = U_kᵀZ;
alpha = p/(N ε²). In the scalar formulas a = alpha, and x is an eigenvalue of alpha V_k V_kᵀ.
"""

from __future__ import annotations

from mcr2_landscape.certify import Statement
from mcr2_landscape.claims import Case, Claim, Form, Role
from mcr2_landscape.verdict import Verdict
from paper_checks.landscape_theory.statements import identity

PAPER = "Yu, Buchanan, Pai et al., White-Box Transformers via Sparse Rate Reduction (NeurIPS 2023)"
_RATES = "paper_checks.yu_2023.rate_checks"
_ATTENTION = "paper_checks.yu_2023.attention_checks"
_SPARSE = "paper_checks.yu_2023.sparse_checks"
_LAYERS = "paper_checks.yu_2023.layer_checks"

# What a statement needs to be read on its own.
_RATE = (
    " R_c(Z|U) = Σ_k ½ logdet(I + αV_kᵀV_k) for tokens Z (d, N), bases U_k (d, p) with orthonormal columns, V_k = U_kᵀZ and "
    "α = p/(Nε²)."
)
_CORE = (
    " MSSA = Σ_k U_k V_k softmax(V_kᵀV_k/T) with the softmax down each column; T is 1 as derived and √p in the published code; "
    "factors that do not depend on the tokens are a step size."
)
_MIXTURE = (
    "8 orthogonal subspaces of p ∈ {4, 16} dimensions that span the space",
    "n tokens of each, with standard normal coefficients, plus normal noise of deviation σ ∈ {0.1, 0.5} in every direction",
)
_SPARSE_OBJECTIVE = " The objective of codes A for a target Y and a dictionary D is F(A) = λ‖A‖₁ + ½‖Y − DA‖_F²."
_HOOKED = (
    " The published measure takes U_kᵀLN(z) of what enters a layer, scales each to length one, and has ε² = 1/100; the "
    "networks are small, with the published layers."
)


def ascending(*quantities: str | list[tuple[str, str]]) -> Statement:
    """Numbers, and sums Σ c log q given as pairs (c, q), that strictly ascend."""
    chain = [q if isinstance(q, str) else {"logs": [list(term) for term in q]} for q in quantities]
    return Statement("inequality", None, None, {"ascending": chain})


# V = [[s, t], [u, v]]: both sides of an entry of ∇R_c, over the determinant of I + aVVᵀ.
_DETERMINANT = "(1 + a*(s**2 + t**2 + u**2 + v**2) + a**2*(s*v - t*u)**2)"
_DERIVATIVE = f"(a*s + a**2*(s*v - t*u)*v)/{_DETERMINANT}"

CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="crate.gradient",
        title="The gradient of the coding rate against subspaces",
        source=f"{PAPER}, section 2.3",
        form=Form.PRINTED,
        statement=(
            "∇R_c(Z|U) = α Σ_k U_k V_k (I_N + αV_kᵀV_k)⁻¹, and the same with p × p inverses, α Σ_k U_k (I_p + αV_kV_kᵀ)⁻¹V_k."
            + _RATE
        ),
        expected=Verdict.HOLDS,
        check=f"{_RATES}:check_gradient",
        cases=(
            Case(
                "determinant",
                identity("(1 + a*(s**2 + t**2))*(1 + a*(u**2 + v**2)) - a**2*(s*u + t*v)**2", _DETERMINANT),
                Role.INSTANCE,
                "For V = [[s, t], [u, v]] this is det(I + aVVᵀ); half its derivative by s is a s + a²(sv − tu)v.",
            ),
            Case(
                "rows",
                identity(f"a*((1 + a*(u**2 + v**2))*s - a*(s*u + t*v)*u)/{_DETERMINANT}", _DERIVATIVE),
                Role.INSTANCE,
                "The first entry of a(I + aVVᵀ)⁻¹V is the derivative of ½ logdet(I + aVVᵀ) by s.",
            ),
            Case(
                "columns",
                identity(f"a*(s*(1 + a*(t**2 + v**2)) - t*a*(s*t + u*v))/{_DETERMINANT}", _DERIVATIVE),
                Role.INSTANCE,
                "And so is the first entry of aV(I + aVᵀV)⁻¹.",
            ),
        ),
        group="crate-rates",
    ),
    Claim(
        id="crate.gradient-filter",
        title="The gradient treats all tokens alike",
        source="docs/whitebox.md",
        form=Form.OWN,
        statement=(
            "∇R_c(Z|U) = LZ with L = α Σ_k U_k (I + αV_kV_kᵀ)⁻¹U_kᵀ: one linear map for all tokens, which depends on them "
            "through the second moments ZZᵀ alone. A gradient step makes no assignment of single tokens to subspaces." + _RATE
        ),
        expected=Verdict.HOLDS,
        check=f"{_RATES}:one_filter",
        cases=(
            Case(
                "two-tokens",
                identity("(v*(1 + a*w**2) - w*a*v*w)/((1 + a*v**2)*(1 + a*w**2) - a**2*v**2*w**2)", "v/(1 + a*(v**2 + w**2))"),
                Role.INSTANCE,
                "Of tokens v, w on a line, the first of [v, w](I + a[v, w]ᵀ[v, w])⁻¹ is v times what multiplies w as well.",
            ),
        ),
        group="crate-rates",
    ),
    Claim(
        id="crate.attention-filter",
        title="Softmax attention is no such map",
        source="docs/whitebox.md",
        form=Form.OWN,
        statement=(
            "MSSA(Z) = LZ for no matrix L, one that depends on the tokens included: attention and the exact gradient are maps "
            "of different kinds." + _CORE
        ),
        hypotheses=("tokens (1, 0) on a line, exactly", "random tokens, more than there are dimensions"),
        expected=Verdict.HOLDS,
        check=f"{_RATES}:no_filter",
        cases=(
            Case(
                "token-at-zero",
                identity("(1/2)*x + (1/2)*0 - m*0", "x/2"),
                Role.INSTANCE,
                "With tokens x and 0 on a line the second one's logits are equal: attention returns x/2, a linear map m zero.",
            ),
        ),
        group="crate-rates",
    ),
    Claim(
        id="crate.neumann.printed",
        title="The first-order Neumann form approximates the gradient",
        source=f"{PAPER}, section 2.3, before the softmax",
        form=Form.PRINTED,
        statement=("α Σ_k U_kV_k(I − αV_kᵀV_k) approximates ∇R_c(Z|U), so that a small step against it lowers R_c." + _RATE),
        expected=Verdict.REFUTED,
        check=f"{_RATES}:neumann_printed",
        cases=(
            Case(
                "opposite",
                ascending("-2", "0", "2/3"),
                Role.COUNTER_EXAMPLE,
                "One token v on a line with x = αv² = 2: v times the approximation is x(1 − x) = −2, v times the gradient "
                "x/(1 + x) = 2/3. The step is an ascent.",
            ),
            Case(
                "error",
                identity("(1 - x)/(1/(1 + x)) - 1", "-x**2"),
                Role.LEMMA,
                "In each direction the relative error is exactly x², beyond one for x > 1.",
            ),
        ),
        group="crate-rates",
    ),
    Claim(
        id="crate.neumann.corrected",
        title="The first-order Neumann form is within ρ² of the gradient",
        source="docs/whitebox.md",
        form=Form.CORRECTED,
        statement=(
            "With ρ = α max_k ‖V_k‖₂² the error of α Σ_k U_kV_k(I − αV_kᵀV_k) is at most ρ²‖∇R_c‖_F for mutually orthogonal "
            "subspaces, with equality where all non-zero singular values are equal, and at most ρ² Σ_k of the norms of the "
            "gradient's terms for others. For mutually orthogonal subspaces its inner product with ∇R_c is at least (1 − "
            "ρ²)‖∇R_c‖²: a small step against it lowers R_c." + _RATE
        ),
        hypotheses=("ρ < 1",),
        expected=Verdict.HOLDS,
        corrects="crate.neumann.printed",
        check=f"{_RATES}:neumann_corrected",
        cases=(
            Case(
                "remainder",
                identity("1/(1 + x)", "1 - x + x**2/(1 + x)"),
                Role.INSTANCE,
                "What the first order leaves out of a direction's factor 1/(1 + x) is x² times that factor.",
            ),
            Case(
                "descent",
                identity("(1 - x)*(1/(1 + x))", "(1 - x**2)*(1/(1 + x))**2"),
                Role.INSTANCE,
                "A direction adds to the inner product with the gradient 1 − x² times what it adds to the gradient's square.",
            ),
        ),
        group="crate-rates",
    ),
    Claim(
        id="crate.rate-gain.printed",
        title="The rate reduction is an information gain",
        source=f"{PAPER}, the reading of R(Z) − R_c(Z|U)",
        form=Form.PRINTED,
        statement="R(Z) − R_c(Z|U) ≥ 0, with R(Z) = ½ logdet(I + (d/(Nε²))ZZᵀ)." + _RATE,
        expected=Verdict.REFUTED,
        check=f"{_RATES}:gain_printed",
        cases=(
            Case(
                "diagonal-token",
                ascending([("1/2", "17"), ("-1", "5")], "0"),
                Role.COUNTER_EXAMPLE,
                "One token (1, 1) and the two axes as subspaces, ε = ½: ½ log(1 + 2·2·4) − 2·½ log(1 + 4).",
            ),
        ),
        group="crate-rates",
    ),
    Claim(
        id="crate.rate-gain.corrected",
        title="Bounds of the rate reduction",
        source="docs/whitebox.md",
        form=Form.CORRECTED,
        statement=(
            "For K mutually orthogonal subspaces that span the space, R(Z) − R_c(Z|U) ≤ ½ rank(Z) log K. It is at least zero "
            "if V_kV_lᵀ = 0 for all k ≠ l, as where each token lies in one of the subspaces; without this no number bounds it "
            "from below." + _RATE
        ),
        hypotheses=("[U_1 … U_K] orthogonal, d = Kp",),
        expected=Verdict.HOLDS,
        corrects="crate.rate-gain.printed",
        check=f"{_RATES}:gain_corrected",
        cases=(
            Case(
                "constants",
                identity("k*(1 + x) - (1 + k*x)", "k - 1"),
                Role.LEMMA,
                "1 + Kx ≤ K(1 + x), for each of rank(Z) eigenvalues: logdet(I + KαZZᵀ) ≤ logdet(I + αZZᵀ) + rank(Z) log K; and "
                "logdet(I + αZZᵀ) ≤ 2R_c by Fischer's inequality, with equality for V_kV_lᵀ = 0.",
            ),
            Case(
                "without-bound",
                identity("(1 + 4*x)/(1 + x)**2", "4/(1 + x) - 3/(1 + x)**2"),
                Role.LEMMA,
                "One token (1, 1) and the two axes, x = 1/ε²: R − R_c = ½ log((1 + 4x)/(1 + x)²) is below ½ log(4/(1 + x)), "
                "which falls below every number as ε → 0.",
            ),
            Case(
                "without-bound-in-numbers",
                ascending([("1/2", "4000000000001"), ("-1", "1000000000001")], "-13"),
                Role.INSTANCE,
                "At ε = 10⁻⁶ it is below −13.",
            ),
        ),
        group="crate-rates",
    ),
    Claim(
        id="crate.compression.printed",
        title="The block Z + MSSA lowers the coding rate",
        source=f"{PAPER}, the self-attention block as its public code has it",
        form=Form.PRINTED,
        statement="Z ↦ Z + κ MSSA(Z|U) is a descent step on R_c(Z|U)." + _RATE + _CORE,
        expected=Verdict.REFUTED,
        check=f"{_ATTENTION}:compression_printed",
        cases=(
            Case(
                "one-token",
                identity("(1 + x*(1 + k)**2) - (1 + x)", "k*x*(2 + k)"),
                Role.COUNTER_EXAMPLE,
                "Of one token in subspaces that span the space MSSA is the token itself: each term ½ log(1 + x), x = α‖v_k‖² "
                "> 0, becomes ½ log(1 + (1 + κ)²x), for every κ > 0, at every ε and T.",
            ),
            Case(
                "in-numbers",
                ascending([("1/2", "2")], [("1/2", "5")]),
                Role.COUNTER_EXAMPLE,
                "At x = 1 and κ = 1.",
            ),
        ),
        group="crate-attention",
    ),
    Claim(
        id="crate.compression.corrected",
        title="The step with its first-order term lowers the coding rate",
        source=f"{PAPER}, section 2.3, before the term is dropped",
        form=Form.CORRECTED,
        statement=(
            "Z ↦ (1 − t)Z + t MSSA(Z|U) lowers R_c(Z|U) in every one of the settings below, for t = 1/10 and 1/2, T = 1 and "
            "√p, and ε = 1/10, 1/2, 1. At three times the tokens' scale it raises R_c in some of them: there a token attends "
            "to itself and its nearest." + _RATE + _CORE
        ),
        hypotheses=(*_MIXTURE, "n ∈ {4, 32}", "all of that times 1/10 or 1: tokens no larger than the derivation's own"),
        expected=Verdict.HOLDS,
        corrects="crate.compression.printed",
        check=f"{_ATTENTION}:compression_corrected",
        group="crate-attention",
    ),
    Claim(
        id="crate.compression-limit",
        title="What attention does to the coding rate where precision is high",
        source="docs/whitebox.md",
        form=Form.OWN,
        statement=(
            "If every V_k has full column rank (N ≤ p) and the U_k together are orthogonal, then as ε → 0 the step Z + MSSA "
            "adds Σ_k logdet(I + S_k) ≥ K log 2 to R_c, S_k = softmax(V_kᵀV_k/T), and (1 − t)Z + t MSSA adds Σ_k logdet((1 − "
            "t)I + tS_k) ≤ 0, for 0 < t ≤ 1 and every T: the eigenvalues of S_k are in [0, 1], and one of them is "
            "1." + _RATE + _CORE
        ),
        hypotheses=("N ≤ p", "V_k of full column rank", "ε → 0"),
        expected=Verdict.HOLDS,
        check=f"{_ATTENTION}:compression_limit",
        cases=(
            Case(
                "added",
                identity("(1 + q)*(1 + r) - (1 - q)*(1 - r)", "2*(1 + (q + r - 1))"),
                Role.INSTANCE,
                "For two tokens, S = [[q, 1 − r], [1 − q, r]] has the eigenvalues 1 and q + r − 1, and det(I + S) = 2(q + r) "
                "≥ 2.",
            ),
            Case(
                "in-between",
                identity("(1 - t + t*q)*(1 - t + t*r) - t**2*(1 - q)*(1 - r)", "1 - t*(2 - q - r)"),
                Role.INSTANCE,
                "det((1 − t)I + tS) = 1 − t(2 − q − r) ≤ 1, since q and r are at most 1.",
            ),
        ),
        group="crate-attention",
    ),
    Claim(
        id="crate.compression-normalized",
        title="After normalization the block lowers the coding rate",
        source="docs/whitebox.md",
        form=Form.OWN,
        statement=(
            "For tokens X of norm √d, R_c of X + MSSA(X|U) brought back to norm √d is below that of X in every one of the "
            "settings below, for T = 1 and √p and ε = 1/10, 1/2, 1; and so it is where each head's part of each token is "
            "brought to norm one, at ε = 1/10, as the public code measures it. What falls is R_c of the tokens' directions. "
            "Where attention sees tokens a tenth as large as standard normal ones, and they are normalized only then, R_c "
            "rises in some." + _RATE + _CORE
        ),
        hypotheses=(*_MIXTURE, "n ∈ {4, 32}", "each token then scaled to norm √d, before attention as well as after it"),
        expected=Verdict.HOLDS,
        check=f"{_ATTENTION}:normalized",
        group="crate-attention",
    ),
    Claim(
        id="crate.gradient-step.printed",
        title="A long step of exact gradient descent lowers the coding rate after normalization",
        source=f"a reading of {PAPER}: each block is a step of gradient descent",
        form=Form.OWN,
        statement=(
            "For tokens X of norm √d, R_c of X − η∇R_c(X|U) brought back to norm √d is below that of X for every step at most "
            "half as long as X, η‖∇R_c‖ ≤ ½‖X‖." + _RATE
        ),
        hypotheses=(*_MIXTURE, "n ∈ {4, 32}", "each token scaled to norm √d before the step and after it"),
        expected=Verdict.REFUTED,
        check=f"{_ATTENTION}:gradient_step_printed",
        cases=(
            Case(
                "overshoots",
                ascending([("1", "320272/349281")], "0", [("1/2", "985")], [("1/2", "5886769/33149"), ("1/2", "809329/33149")]),
                Role.COUNTER_EXAMPLE,
                "One token (7/5, 1/5) of norm √2 with the axes as subspaces at α = 100, so that R_c = ½ log 197 + ½ log 5. The "
                "gradient is (140/197, 4), and the step η = 1/6, of length 0.68 < √2/2, leads to (3787/2955, −7/15). The small "
                "coordinate has become larger, and on the sphere α times the squares are 200 (3787/2955)²/s and 200 (7/15)²/s "
                "with the sum s of the two. The first number is the logarithm of 4η²‖∇R_c‖²/‖X‖² = 2((140/197)² + 16)/36.",
            ),
        ),
        group="crate-attention",
    ),
    Claim(
        id="crate.gradient-step.corrected",
        title="A step of exact gradient descent up to 1/α lowers the coding rate",
        source="docs/whitebox.md",
        form=Form.CORRECTED,
        statement=(
            "If the U_k together are orthogonal, a step η takes each eigenvalue b of V_kV_kᵀ to b(1 − ηα/(1 + αb))², so R_c of "
            "the tokens as they are falls for every 0 < η < 2/α, and no direction changes its sign for η ≤ 1/α. There, "
            "in every one of the settings below, R_c of the tokens brought back to norm √d falls too; at ten times that step "
            "it rises in some." + _RATE
        ),
        formula="b ↦ b(1 − ηα/(1 + αb))²",
        hypotheses=(*_MIXTURE, "n ∈ {4, 32}", "each token scaled to norm √d before the step and after it"),
        expected=Verdict.HOLDS,
        corrects="crate.gradient-step.printed",
        check=f"{_ATTENTION}:gradient_step",
        cases=(
            Case(
                "eigenvalue",
                identity("b*(1 - e*a/(1 + a*b))**2 - b", "-b*(e*a/(1 + a*b))*(2 - e*a/(1 + a*b))"),
                Role.INSTANCE,
                "An eigenvalue falls where 0 < ηα/(1 + αb) < 2.",
            ),
        ),
        group="crate-attention",
    ),
    Claim(
        id="crate.temperature",
        title="Dividing the logits by √p brings attention nearer to the gradient",
        source=f"{PAPER}, as its public code has it",
        form=Form.OWN,
        statement=(
            "cos(−∇R_c, MSSA − Z) is larger at T = √p than at T = 1 in every draw of the settings below, at ε = 1/2. With few "
            "tokens (n = 4, p = 16) it is smaller in some." + _RATE + _CORE
        ),
        hypotheses=(*_MIXTURE, "n = 32"),
        expected=Verdict.HOLDS,
        check=f"{_ATTENTION}:temperature",
        group="crate-attention",
    ),
    Claim(
        id="crate.free-output",
        title="With a free output map the block starts as neither descent nor ascent",
        source=f"{PAPER}, as its public code has it",
        form=Form.OWN,
        statement=(
            "At the published initialization (U and the output maps W_k uniform within ±1/√d, independent) the cosine between "
            "−∇R_c and Σ_k W_k V_k softmax(V_kᵀV_k/√p) has mean zero, W and −W being equally likely: its 99.9% interval over "
            "draws holds zero and is within ±0.02. With W_k = U_k it is below −2/5." + _RATE
        ),
        hypotheses=("d = 64, four heads of 16 dimensions, 64 tokens of norm √d", "ε = 1/2"),
        expected=Verdict.HOLDS,
        check=f"{_ATTENTION}:free_output",
        group="crate-attention",
    ),
    Claim(
        id="crate.ista.printed",
        title="A step of ISTA from Z lowers the sparse coding objective",
        source=f"{PAPER}, section 2.4",
        form=Form.PRINTED,
        statement=(
            "ReLU(Z + ηDᵀ(Z − DZ) − ηλ), started at the target Z itself, is a proximal gradient step that lowers F."
            + _SPARSE_OBJECTIVE
        ),
        expected=Verdict.REFUTED,
        check=f"{_SPARSE}:ista_printed",
        cases=(
            Case(
                "warm-start",
                identity("z**2/2 - l*z", "z*(z - 2*l)/2"),
                Role.COUNTER_EXAMPLE,
                "With D = 1 and the token −z < 0 the step from the token ends at 0, and F goes from λz to ½z²: it rises for z "
                "> 2λ, for every step η.",
            ),
            Case(
                "warm-start-in-numbers",
                ascending("1/10", "1/2"),
                Role.COUNTER_EXAMPLE,
                "At the published η = λ = 1/10 and z = 1: ReLU(−1 + 0 − 1/100) = 0, F goes from 1/10 to 1/2.",
            ),
            Case(
                "long-step",
                identity("l*e*(y - l) + (y - e*(y - l))**2/2 - y**2/2", "(y - l)**2*e*(e - 2)/2"),
                Role.COUNTER_EXAMPLE,
                "From the feasible A = 0, with D = 1 and y > λ, the step η changes F by ½(y − λ)²η(η − 2): it rises for η > 2.",
            ),
        ),
        group="crate-sparse",
    ),
    Claim(
        id="crate.ista.corrected",
        title="A step of ISTA from codes without negative entries lowers the objective",
        source="Beck and Teboulle (2009), for the objective with the constraint A ≥ 0",
        form=Form.CORRECTED,
        statement=(
            "A ↦ A' = ReLU(A + ηDᵀ(Y − DA) − ηλ) has F(A) − F(A') ≥ (1/η − ‖D‖²/2)‖A' − A‖² from every A ≥ 0: it lowers F for "
            "η < 2/‖D‖² unless A is a minimizer. From the warm start A = Z, which has negative entries, F with the constraint "
            "goes from infinite to finite in one step and does not rise after it." + _SPARSE_OBJECTIVE
        ),
        hypotheses=("A ≥ 0", "0 < η < 2/‖D‖²"),
        expected=Verdict.HOLDS,
        corrects="crate.ista.printed",
        check=f"{_SPARSE}:ista_corrected",
        cases=(
            Case(
                "inside",
                identity(
                    "l*A + (y - c*A)**2/2 - l*(A + e*(c*(y - c*A) - l)) - (y - c*(A + e*(c*(y - c*A) - l)))**2/2",
                    "(1/e - c**2/2)*(e*(c*(y - c*A) - l))**2",
                ),
                Role.INSTANCE,
                "In one dimension, D = c, where A' > 0: the decrease is (1/η − c²/2)(A' − A)².",
            ),
            Case(
                "clipped",
                identity("(c*(y - c*A) + (A + u)/e)*A + (y - c*A)**2/2 - y**2/2", "(1/e - c**2/2)*A**2 + A*u/e"),
                Role.INSTANCE,
                "Where A' = ReLU(−u) = 0, u ≥ 0, λ being c(y − cA) + (A + u)/η: it is larger by Au/η.",
            ),
        ),
        group="crate-sparse",
    ),
    Claim(
        id="crate.ista-initialization",
        title="The published dictionary starts with a step below 2/‖D‖²",
        source=f"{PAPER}, as its public code has it",
        form=Form.OWN,
        statement=(
            "At η = 1/10 and the Kaiming-uniform initialization of a (d, d) dictionary, entries uniform within ±√(6/d), η‖D‖² "
            "is below 2, and within 8 % of 4/5 from d = 192 on, η times the edge (2/d)(√d + √d)² of the spectrum as d grows. "
            "CRATE-α's dictionaries are in `crate-alpha.step-size.corrected`." + _SPARSE_OBJECTIVE
        ),
        hypotheses=("before training",),
        expected=Verdict.HOLDS,
        check=f"{_SPARSE}:initialization",
        cases=(
            Case(
                "square",
                identity("(1/10)*(2/d)*4*d", "4/5"),
                Role.INSTANCE,
                "(√d + √d)² = 4d.",
            ),
        ),
        group="crate-sparse",
    ),
    Claim(
        id="crate.layers.printed",
        title="Each layer of a trained CRATE lowers R_c and makes its tokens sparser",
        source=f"{PAPER}, section 3.2 and figure 3, and the README of its public code; here of small networks on the digits",
        form=Form.PRINTED,
        statement=(
            "Along the layers of a trained CRATE, R_c(Z^l|U^l), measured as in the published figure, and the share of entries "
            "of Z^l that are not zero fall from layer to layer, in the mean over test images." + _HOOKED
        ),
        hypotheses=("a CRATE trained to classify", "test images"),
        expected=Verdict.REFUTED,
        check=f"{_LAYERS}:layers_printed",
        group="crate-layers",
    ),
    Claim(
        id="crate.layers.corrected",
        title="Over all layers, attention compresses projections of length one and expands raw tokens",
        source="docs/whitebox.md",
        form=Form.CORRECTED,
        statement=(
            "Summed over layers, the attention halves lower R_c of each layer's projections, scaled to length one, and raise "
            "R_c of the tokens as they are, both against the layer's own bases and in the mean over test images; at random "
            "initialization as well as after training." + _HOOKED
        ),
        hypotheses=("a CRATE as published, trained to classify or random", "test images"),
        expected=Verdict.HOLDS,
        corrects="crate.layers.printed",
        check=f"{_LAYERS}:layers_corrected",
        group="crate-layers",
    ),
    Claim(
        id="crate.layers.random-start",
        title="Tokens that become sparser with depth are no sign of learning",
        source="docs/whitebox.md",
        form=Form.OWN,
        statement=(
            "In a CRATE of random initialization the share of entries that are not zero falls from the first layer's output to "
            "the last one's, by more than half of what it falls by after training." + _HOOKED
        ),
        hypotheses=("a CRATE as published", "test images"),
        expected=Verdict.HOLDS,
        check=f"{_LAYERS}:random_start",
        group="crate-layers",
    ),
    Claim(
        id="crate.layers.proximal",
        title="After training, the sparsification half is still a proximal gradient step",
        source="docs/whitebox.md",
        form=Form.OWN,
        statement=(
            "In every layer of a CRATE trained to classify η‖D‖² is below 2, and the objective of ISTA at the layer's codes is "
            "below that at the positive part of the tokens it starts from, in the mean over test images." + _SPARSE_OBJECTIVE
        ),
        hypotheses=("a CRATE as published, trained to classify",),
        expected=Verdict.HOLDS,
        check=f"{_LAYERS}:proximal_after_training",
        group="crate-layers",
    ),
)
