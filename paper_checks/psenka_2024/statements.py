"""Psenka, Pai, Raman, Sastry, Ma, *Representation Learning via Manifold Flattening and Reconstruction* (JMLR 2024).

The paper's text was not to hand. Claims are as recalled, of layers as the public code has them, or this project's own; where a
reading fails, the corrected claim says what holds. In the formulas of cases k is κ at a point, g is γ, n, a, b are coordinates
of the normal part P(x − μ), and c is a tangential one.
"""

from __future__ import annotations

from mcr2_landscape.claims import Case, Claim, Form, Role
from mcr2_landscape.verdict import Verdict
from paper_checks.landscape_theory.statements import identity

PAPER = "Psenka et al. (JMLR 2024)"
_LAYERS = "paper_checks.psenka_2024.layer_checks"
_NETWORKS = "paper_checks.psenka_2024.network_checks"
_LOCAL = "paper_checks.psenka_2024.local_checks"

# What a statement needs to be read on its own.
_LAYER = (
    " A layer is f(x) = (x − κ(x)P(x − μ) − m)/s with κ(x) = α exp(−γ‖x − μ‖²), 0 ≤ α < 1, P = I − UUᵀ for an orthonormal U "
    "(D, d), and s > 0."
)
_DECODER = (
    " Its decoder is g(z) = y + κ W[1, c, q(c)] with y = sz + m, c = Uᵀ(y − z_c) for the layer's center z_c, q the monomials "
    "of degree two, and κ = κ(f⁻¹(z))."
)
_NETWORK = " Layers f_1, …, f_L are applied in this order; g_l is the decoder of f_l, an approximate inverse."
_DATA = (
    "a sine curve, a sphere cap of 60° and arcs of at most 1.1 π, evenly spaced or drawn",
    "the library's layers, α at most 0.15, made until the tail is 10⁻⁷",
)
_RULE = (
    " The rule: around a point z_c, with the kernel k_i = 2^(−‖x_i − μ‖²/r²), r = 0.15 diameters, the smallest d at which "
    "max_i ‖k_i(P(x_i − z_c) − Vq(c_i))‖ ≤ 0.3 r for the best V and a fitted tangent space."
)

# κ of the first layer at (0, 1) and at (0, 1/2): α 2^(−4) and α 2^(−1) for α = 1/2 and γ = 4 log 2. In the second, about
# (0, 125/96) with γ = 9 log 2, it is 1/4 at the distance 1/3 and 1/2 at the mean.
_ENCODED = "(1 - 1/32) - (1/4)*((1 - 1/32) - 125/96) - 65/96"

CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="flatnet.layer",
        title="A layer keeps tangential coordinates and shrinks the normal part",
        source=f"{PAPER}, as recalled; its public code's layer",
        form=Form.PRINTED,
        statement="Before the shift and the scale, Uᵀf(x) = Uᵀx and P(f(x) − μ) = (1 − κ(x))P(x − μ), for every x." + _LAYER,
        expected=Verdict.HOLDS,
        check=f"{_LAYERS}:layer",
        cases=(
            Case(
                "tangential",
                identity("(3/5)*(x - k*(x - 3/5*(3/5*x + 4/5*y))) + (4/5)*(y - k*(y - 4/5*(3/5*x + 4/5*y)))", "3/5*x + 4/5*y"),
                words="In the plane with U = (3, 4)/5 and μ = 0: the tangential coordinate is kept, whatever κ.",
            ),
            Case(
                "normal",
                identity(
                    "(4/5)*(x - k*(x - 3/5*(3/5*x + 4/5*y))) - (3/5)*(y - k*(y - 4/5*(3/5*x + 4/5*y)))",
                    "(1 - k)*(4/5*x - 3/5*y)",
                ),
                words="There the other coordinate is multiplied by 1 − κ.",
            ),
        ),
        group="flatnet",
    ),
    Claim(
        id="flatnet.diffeomorphism",
        title="For α < 1 every layer is a diffeomorphism of the whole space",
        source="docs/flatnet.md",
        form=Form.OWN,
        statement=(
            "f is smooth and maps R^D onto R^D one to one with a smooth inverse. Before shift and scale, with t = ‖P(x − "
            "μ)‖²: its determinant is the formula's and positive, the derivative along the normal part is at least 1 − α, "
            "and x = y + P(y − μ)κ/(1 − κ)." + _LAYER
        ),
        formula="det Df = (1 − κ)^(D−d−1) (1 − κ(1 − 2γt))",
        expected=Verdict.HOLDS,
        check=f"{_LAYERS}:diffeomorphism",
        cases=(
            Case(
                "determinant",
                identity(
                    "(1 - k + 2*g*k*a**2)*(1 - k + 2*g*k*b**2) - (2*g*k*a*b)**2", "(1 - k)*(1 - k*(1 - 2*g*(a**2 + b**2)))"
                ),
                words=(
                    "The normal block of Df is (1 − κ)I + 2γκnnᵀ, and what tangential coordinates do to it stands below the "
                    "diagonal: for two normal coordinates."
                ),
            ),
            Case(
                "bound",
                identity("1 - k*(1 - 2*g*t) - (1 - k)", "2*g*k*t"),
                words="The derivative along the normal part exceeds 1 − κ ≥ 1 − α by 2γκt ≥ 0.",
            ),
            Case(
                "inverse",
                identity("(n - k*n) + (n - k*n)*k/(1 - k)", "n"),
                words="The normal part is found again from what is left of it.",
            ),
        ),
        group="flatnet",
    ),
    Claim(
        id="flatnet.local-error",
        title="A tangent space leaves an error of second order, a quadratic one of third",
        source=f"after {PAPER}, whose local theorem was not to hand; Taylor's theorem",
        form=Form.OWN,
        statement=(
            "For a graph x = x_0 + Uc + Nh(c) over the tangent space of a C³ manifold, ‖h(c)‖ ≤ M_2‖c‖²/2 and ‖h(c) − ½II(c, "
            "c)‖ ≤ M_3‖c‖³/6, M_p a bound of the p-th derivative. So do the residuals of the library's fits fall with their "
            "radius."
        ),
        expected=Verdict.HOLDS,
        check=f"{_LAYERS}:local_error",
        cases=(
            Case(
                "circle",
                identity("(1 - (1 - t**2)/(1 + t**2)) - (1/2)*(2*t/(1 + t**2))**2", "(1/8)*(2*t/(1 + t**2))**4*(1 + t**2)**2"),
                words=(
                    "At c = 2t/(1 + t²) a circle's height less c²/2 is c⁴(1 + t²)²/8: of fourth order, since it has no cubic "
                    "term."
                ),
            ),
        ),
        group="flatnet",
    ),
    Claim(
        id="flatnet.round-trip",
        title="What a layer's round trip is off by, exactly",
        source="docs/flatnet.md; the public code's line search for α",
        form=Form.OWN,
        statement=(
            "g(f(x)) − x = κ(x)(W[1, c, q(c)] − P(x − μ)) for every x. So half its mean square is α² times the loss of the "
            "layer's local fit, and at most the threshold for α² ≤ threshold/loss." + _LAYER + _DECODER
        ),
        hypotheses=("the library's threshold, 4·10⁻⁶ of the mean square of the entries",),
        expected=Verdict.HOLDS,
        check=f"{_LAYERS}:round_trip",
        cases=(
            Case(
                "identity",
                identity("(x - k*n) + k*w - x", "k*(w - n)"),
                words="κ and c are found again from f(x): what is put back is κw, what was taken away κn.",
            ),
            Case(
                "size",
                identity("(k*r/a)**2*a**2", "(k*r)**2"),
                words="With κ = α k_0 the squared error is α² times the weighted squared residual k_0²r² of the fit.",
            ),
        ),
        group="flatnet",
    ),
    Claim(
        id="flatnet.quadratic",
        title="On a quadratic manifold a round trip is exact",
        source=f"after {PAPER}, as recalled",
        form=Form.OWN,
        statement=(
            "Where the manifold is the graph of a quadratic over the tangent space at z_c, and U and W are that space and "
            "quadratic, g(f(x)) = x on it, for every α and γ." + _LAYER + _DECODER
        ),
        expected=Verdict.HOLDS,
        check=f"{_LAYERS}:quadratic",
        cases=(
            Case(
                "parabola",
                identity("(b*c**2 - k*(b*c**2 - m)) + k*(b*c**2 - m)", "b*c**2"),
                words="On the parabola (c, bc²) with μ = (·, m) and W[1, c, q(c)] = (0, bc² − m).",
            ),
        ),
        group="flatnet",
    ),
    Claim(
        id="flatnet.decoder-order.printed",
        title="The decoder that applies g_1 first inverts the encoder",
        source=f"the public code of {PAPER}: both sequences of layers are appended to",
        form=Form.PRINTED,
        statement=(
            "z ↦ g_L(… g_1(z)) inverts x ↦ f_L(… f_1(x)) where each g_l inverts its f_l." + _NETWORK + _LAYER + _DECODER
        ),
        expected=Verdict.REFUTED,
        check=f"{_NETWORKS}:appended",
        cases=(
            Case(
                "two-layers",
                identity(f"(({_ENCODED}) + (1/4)*1 + 65/96) + (1/2)*(-1/3)", "109/96"),
                Role.COUNTER_EXAMPLE,
                "Two layers in the plane with U = (1, 0) at the point (0, 1): α = ½, γ = 4 log 2, μ = 0, W constant 1, and α "
                "= ½, γ = 9 log 2, μ = (0, 125/96), W constant −1/3, m = (0, 65/96). They take 1 to 31/32 and 3/8, and each "
                "decoder alone is exact there. g_1 takes 3/8 = f_1(1/2) to 5/8, and g_2 takes 5/8, the mean after the layer, "
                "to 109/96, not to 1.",
            ),
        ),
        group="flatnet",
    ),
    Claim(
        id="flatnet.decoder-order.corrected",
        title="The decoder applies g_L first",
        source="docs/flatnet.md; the composition's inverse",
        form=Form.CORRECTED,
        statement=(
            "z ↦ g_1(… g_L(z)) inverts x ↦ f_L(… f_1(x)) where each g_l inverts its f_l, and the library's decoder is that "
            "map. A decoder refitted for this order decodes worse in the other one." + _NETWORK
        ),
        hypotheses=_DATA,
        expected=Verdict.HOLDS,
        corrects="flatnet.decoder-order.printed",
        check=f"{_NETWORKS}:reversed_order",
        cases=(
            Case(
                "two-layers",
                identity(f"(({_ENCODED}) + 65/96 + (1/4)*(-1/3)) + (1/32)*1", "1"),
                words="The same layers and point: g_2 takes 3/8 back to 31/32, and g_1 that to 1.",
            ),
        ),
        group="flatnet",
    ),
    Claim(
        id="flatnet.accumulation",
        title="How errors of the layers add up in the decoder",
        source="docs/flatnet.md; the triangle inequality",
        form=Form.OWN,
        statement=(
            "Decoded in the right order, a point's error is at most Σ_l (Π_{j<l} Λ_j) e_l: e_l the error of g_l alone, Λ_j a "
            "bound of ‖Dg_j‖ between what reaches g_j and what should." + _NETWORK
        ),
        hypotheses=(*_DATA, "Λ_j the greatest norm at both ends and in the middle"),
        expected=Verdict.HOLDS,
        check=f"{_NETWORKS}:accumulation",
        cases=(
            Case(
                "two-layers",
                identity("u*(v*0 + e) + d", "u*e + d"),
                words="Two layers: the recursion E ← ΛE + e from E = 0 gives Λ_1e_2 + e_1.",
            ),
        ),
        group="flatnet",
    ),
    Claim(
        id="flatnet.error-sum",
        title="The layers' thresholds add up to the decoder's error",
        source=f"a reading of {PAPER}: a threshold for each layer's reconstruction",
        form=Form.OWN,
        statement=(
            "Half the mean square error of the decoder, even in the right order and from the whole f_L(…), is at most the "
            "sum of the layers', each of which its threshold bounds." + _NETWORK
        ),
        hypotheses=_DATA,
        expected=Verdict.REFUTED,
        check=f"{_NETWORKS}:error_sum",
        group="flatnet",
    ),
    Claim(
        id="flatnet.refit",
        title="The decoder refitted in closed form decodes better",
        source="docs/flatnet.md",
        form=Form.OWN,
        statement=(
            "With W of each layer, from the last to the first, refitted by least squares to the decoded points, the relative "
            "error from codes of d dimensions is lower, of held-out points too." + _DECODER
        ),
        hypotheses=_DATA,
        expected=Verdict.HOLDS,
        check=f"{_NETWORKS}:refit",
        group="flatnet",
    ),
    Claim(
        id="flatnet.flattening",
        title="Layers flatten what can be flattened",
        source=f"after {PAPER}, as recalled: the variance beyond d dimensions vanishes",
        form=Form.OWN,
        statement=(
            "The part of the variance outside d dimensions falls below 10⁻⁶, of held-out points too, from above 10⁻³."
            + _NETWORK
        ),
        hypotheses=_DATA,
        expected=Verdict.HOLDS,
        check=f"{_NETWORKS}:flattening",
        group="flatnet",
    ),
    Claim(
        id="flatnet.injective",
        title="What is flat is injective",
        source=f"a reading of {PAPER}: layers are invertible and the flat points have d dimensions",
        form=Form.OWN,
        statement=(
            "Where diffeomorphisms of R^D take the points of a curve to a line, up to a tail of 10⁻⁶, the code along that "
            "line is one to one on them." + _LAYER
        ),
        expected=Verdict.REFUTED,
        check=f"{_NETWORKS}:flat_is_injective",
        cases=(
            Case(
                "one-code",
                identity("(3/5 - k*0) - (3/5 - j*0)", "0"),
                Role.COUNTER_EXAMPLE,
                "The points (3/5, ±4/5) of an arc, and layers with U = (1, 0) and μ = 0, as many as one likes: the first "
                "coordinate is the code, and it stays the same for both.",
            ),
            Case(
                "flat",
                identity("4/5 - k*(4/5) - (-4/5 - k*(-4/5))", "(8/5)*(1 - k)"),
                Role.LEMMA,
                "Each layer multiplies their distance by 1 − κ, and κ ≥ α e^(−γ) on the circle: it vanishes, though never "
                "quite.",
            ),
        ),
        group="flatnet",
    ),
    Claim(
        id="flatnet.injective.corrected",
        title="Weak layers keep the order along arcs up to 1.1 π",
        source="docs/flatnet.md",
        form=Form.CORRECTED,
        statement=(
            "The code of one dimension keeps the order along the curve, without one step back: a matter of the layers, which "
            "must be checked. With α up to ½ and a threshold of 10⁻³, some arcs of 1.1 π fold."
        ),
        hypotheses=_DATA,
        expected=Verdict.HOLDS,
        corrects="flatnet.injective",
        check=f"{_NETWORKS}:unfolded",
        group="flatnet",
    ),
    Claim(
        id="flatnet.dimension.printed",
        title="The mode of the public rule is the dimension",
        source=f"the public code of {PAPER}: the mode of the layers' dimensions",
        form=Form.PRINTED,
        statement=(
            "Without noise, the mode over points of the dimension that the public code's rule finds is the manifold's." + _RULE
        ),
        hypotheses=(
            "a swiss roll of 600 points, and Gaussian-process manifolds of 6 dimensions in 50, 500 points",
            "the points as they are, before any layer, and tangent spaces by weighted regression",
        ),
        expected=Verdict.REFUTED,
        check=f"{_LOCAL}:dimension_mode",
        group="flatnet",
    ),
    Claim(
        id="flatnet.dimension.corrected",
        title="Votes of quadratics over few neighbors find the dimension",
        source="docs/flatnet.md",
        form=Form.CORRECTED,
        statement=(
            "The library's rule finds it: the smallest d for which most of nine centers find all else explained by a "
            "quadratic over about three points for each coefficient, and two nearest neighbors where none is. It is no rule "
            "for every manifold: manifolds with stronger bends, or of seven dimensions with 400 points, are seen beside it."
        ),
        hypotheses=(
            "a sine curve, sphere caps, Gaussian-process manifolds of 2 and 3 dimensions in 30 (400 points), swiss rolls (600)",
            "no noise",
        ),
        expected=Verdict.HOLDS,
        corrects="flatnet.dimension.printed",
        check=f"{_LOCAL}:dimension",
        group="flatnet",
    ),
    Claim(
        id="flatnet.tangent-refinement",
        title="Each refinement divides the error of the tangent space by five",
        source="one measurement taken for a rule",
        form=Form.OWN,
        statement=(
            "U ← qr(U + B), B the linear coefficients of the weighted regression of the normal part on 1, c, q(c), "
            "multiplies the angle to the tangent space of a quadratic manifold by at most 0.2."
        ),
        expected=Verdict.REFUTED,
        check=f"{_LOCAL}:fivefold",
        cases=(
            Case(
                "five-points",
                identity("-2*1**2*(1 + 1/16 + 1/16 + 1)/(1 + 1/4 + 1/4 + 1)", "-17/10"),
                Role.COUNTER_EXAMPLE,
                "Points of the parabola (c, c²) at c = ±1, ±1/2, 0 with equal weights: by the formula of the corrected claim "
                "a small slope becomes −1.7 times what it was. The true tangent is left.",
            ),
        ),
        group="flatnet",
    ),
    Claim(
        id="flatnet.tangent-refinement.corrected",
        title="By what factor refinements of the tangent space converge, or do not",
        source="docs/flatnet.md",
        form=Form.CORRECTED,
        statement=(
            "On a parabola (c, bc²) with given weights, the slope of a line near the tangent at the origin is multiplied by "
            "−2b²β, to first order, β the coefficient of c in the weighted regression of c³ on 1, c, c². Where that is below "
            "one in size the tangent is found; above, it is left: the radius has to be small against that of curvature."
        ),
        formula="t ↦ −2b²β t + O(t²)",
        expected=Verdict.HOLDS,
        corrects="flatnet.tangent-refinement",
        check=f"{_LOCAL}:refinement",
        cases=(
            Case(
                "normal-part",
                identity(
                    "b*c**2 - t*c",
                    "b*(c + t*b*c**2)**2 - t*(c + t*b*c**2) - 2*t*b**2*c**3 + t**2*(b*c**2 - b**3*c**4)",
                ),
                words=(
                    "Off the line of slope t the points lie by bc² − tc, at c + tbc² along it, both over √(1 + t²). Beside "
                    "what features of the line's own coordinate explain, the coefficient −t among them, −2tb²c³ is left to "
                    "first order."
                ),
            ),
            Case(
                "five-points",
                identity("(1 + 1/16 + 1/16 + 1)/(1 + 1/4 + 1/4 + 1)", "17/20"),
                words="β = Σc⁴/Σc² at symmetric points with equal weights: 17/20 at ±1, ±1/2, 0.",
            ),
        ),
        group="flatnet",
    ),
)
