"""Dai et al., *Closed-Loop Transcription via Convolutional Sparse Coding* (2023): its layer.

Claims are as recalled, of the layer as public code of its kind has it (SDNet: two proximal gradient steps from zero for
λ‖z‖₁ + (μ/2)‖z‖² + ½‖x − Dz‖², atoms of norm one), or this project's own. Those of the closed loop's training are elsewhere.
"""

from __future__ import annotations

from fractions import Fraction

from mcr2_landscape.claims import Case, Claim, Form, Role
from mcr2_landscape.verdict import Verdict
from paper_checks.landscape_theory.statements import identity
from paper_checks.yu_2023.statements import ascending

PAPER = "Dai et al. (2023)"
CODE = "the public code of SDNet, whose layer this is"
_HERE = "paper_checks.dai_2023"
_PROGRAMS, _ITERATIONS = f"{_HERE}.program_checks", f"{_HERE}.iteration_checks"
_LEARNING, _DISTANCE = f"{_HERE}.learning_checks", f"{_HERE}.distance_checks"
_LOOP = f"{_HERE}.loop_checks"

_PROGRAM = (
    " P(z) = λ‖z‖₁ + (μ/2)‖z‖² + ½‖x − Dz‖², with z ≥ 0 where that is asked for; Dz places atoms of norm one at every "
    "position, each s-th one, of an image with zeros around it."
)
_STEPS = " Steps: c ↦ the soft threshold at λs of a − s Dᵀ(Da − x), from zero, a = c for ISTA and extrapolated for FISTA."
_RATE = " ΔR(Z, Ẑ) = R([Z, Ẑ]) − ½R(Z) − ½R(Ẑ) with R(Z) = ½ logdet(I + d/(nε²) ZZᵀ), as many columns in Z as in Ẑ."

# The atom (3/5, 4/5) at both positions of three pixels: DᵀD has the eigenvectors (1, 1) and (1, −1).
_HIGH, _LOW = Fraction(37, 25), Fraction(13, 25)


def _too_long() -> tuple[str, str]:
    """P of the zero code, and after an ISTA step of 0.9/_LOW, for x = D(1, 1) and λ = 1/100."""
    weight, step = Fraction(1, 100), Fraction(9, 10) / _LOW
    code = step * (_HIGH - weight)
    return str(_HIGH), str(2 * weight * code + _HIGH * (1 - code) ** 2)


def _after_two_steps() -> tuple[str, str]:
    """Half of min P for x = D(1, −1) and λ = 13/250, and by how much two steps of 0.9/_HIGH miss min P."""
    weight, shrink = Fraction(13, 250), (1 - Fraction(9, 10) * _LOW / _HIGH) ** 2
    code = 1 - weight / _LOW
    least = 2 * weight * code + _LOW * (1 - code) ** 2
    return str(least / 2), str(_LOW * (shrink * code) ** 2)


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="csc.adjoint",
        title="Analysis is the exact adjoint of synthesis",
        source="docs/csc.md; the layer's convolution and transposed convolution",
        form=Form.OWN,
        statement=(
            "⟨Dᵀx, z⟩ = ⟨x, Dz⟩ for every kernel, stride, padding and image size, where the stride leaves rows over too, and "
            "both are products with one matrix." + _PROGRAM
        ),
        expected=Verdict.HOLDS,
        check=f"{_ITERATIONS}:adjoint",
        cases=(
            Case(
                "stride-one",
                identity("(a*x + b*y)*u + (a*y + b*t)*v", "x*a*u + y*(a*v + b*u) + t*b*v"),
                words="The atom (a, b) at both positions of the pixels (x, y, t), with codes (u, v).",
            ),
            Case(
                "row-left-over",
                identity("(a*x + b*y)*u + (a*t + b*w)*v", "x*a*u + y*b*u + t*a*v + w*b*v + q*0"),
                words="At stride two on five pixels, of which no position reaches the last: Dz is zero there.",
            ),
        ),
        group="csc",
    ),
    Claim(
        id="csc.step-size.printed",
        title="Power iteration gives a safe step",
        source=f"a reading of {CODE}",
        form=Form.PRINTED,
        statement="Fifty power iterations find ‖D‖², or more, so that ISTA descends at 0.9 over what they find." + _STEPS,
        expected=Verdict.REFUTED,
        check=f"{_ITERATIONS}:power",
        cases=(
            Case(
                "rise",
                ascending(*_too_long()),
                Role.COUNTER_EXAMPLE,
                "The atom (3, 4)/5 at both positions of three pixels: from (1, −1), an eigenvector of DᵀD, power iteration, "
                "exact, stays at 13/25 where ‖D‖² = 37/25; for x = D(1, 1) and λ = 1/100 the first step raises the objective.",
            ),
            Case(
                "eigenvector",
                identity("1 - (3/5)*(4/5)", "13/25"),
                Role.LEMMA,
                "Both entries of DᵀD(1, −1), up to the sign.",
            ),
        ),
        group="csc",
    ),
    Claim(
        id="csc.step-size.corrected",
        title="The bound by the symbol gives a safe step",
        source="docs/csc.md",
        form=Form.CORRECTED,
        statement=(
            "‖D‖² is at most the maximum over frequencies of the largest squared singular value of the symbol, for images of "
            "every size; the library's bound is that maximum, at most 1.0012 times too large." + _PROGRAM
        ),
        hypotheses=("in floating point: eigenvalues of small matrices",),
        expected=Verdict.HOLDS,
        corrects="csc.step-size.printed",
        check=f"{_ITERATIONS}:certified_bound",
        cases=(
            Case(
                "one-atom",
                identity("(a + b)**2 - (a**2 + b**2 + 2*a*b*c)", "2*a*b*(1 - c)"),
                words="For an atom (a, b), ab > 0, |a + b exp(iω)|² with c = cos ω is largest at ω = 0.",
            ),
            Case(
                "two-positions",
                identity("(a + b)**2 - (a**2 + b**2 + a*b)", "a*b"),
                words="At two positions of three pixels ‖D‖² = a² + b² + ab is less: small images have smaller norms.",
            ),
        ),
        group="csc",
    ),
    Claim(
        id="csc.iteration-bounds",
        title="ISTA descends, and both methods keep their bounds",
        source="Beck, Teboulle (2009)",
        form=Form.PRINTED,
        statement=(
            "At the step 1/‖D‖², ISTA never raises P, P(c_k) − min P ≤ ‖D‖²‖z*‖²/(2k) for ISTA and 2‖D‖²‖z*‖²/(k + 1)² for "
            "FISTA." + _PROGRAM + _STEPS
        ),
        expected=Verdict.HOLDS,
        check=f"{_ITERATIONS}:bounds",
        cases=(
            Case(
                "gap",
                identity(
                    "l*z + (y - d*z)**2/2 - l*w - (y - d*w)**2/2",
                    "d**2*(z - w)**2/2",
                    "d*(y - d*w) - l",
                ),
                words="One atom with positive codes, w optimal: P(z) − min P = d²(z − w)²/2.",
            ),
            Case(
                "contraction",
                identity("z + s*(d*(y - d*z) - l) - w", "(1 - s*d**2)*(z - w)", "d*(y - d*w) - l"),
                words="A step multiplies the distance by 1 − sd².",
            ),
        ),
        group="csc",
    ),
    Claim(
        id="csc.encoder.printed",
        title="The encoder solves the program",
        source=f"{PAPER}, as recalled: the layer's output is the minimizer of its program",
        form=Form.PRINTED,
        statement="The layer's output, two steps of size 0.9/‖D‖², is the minimizer of P." + _PROGRAM + _STEPS,
        expected=Verdict.REFUTED,
        check=f"{_ITERATIONS}:encoder_printed",
        cases=(
            Case(
                "two-steps",
                ascending(*_after_two_steps()),
                Role.COUNTER_EXAMPLE,
                "The atom (3, 4)/5 at both positions of three pixels, x = D(1, −1) and λ = 13/250: both codes stay of one size "
                "and opposite sign, and after two steps P is above its minimum by more than half of it.",
            ),
        ),
        group="csc",
    ),
    Claim(
        id="csc.encoder.corrected",
        title="The encoder nears the solution with depth",
        source="docs/csc.md; Beck, Teboulle (2009)",
        form=Form.CORRECTED,
        statement=(
            "From 2 to 10, 100 and 500 steps of FISTA the gap P(c_n) − min P falls each time; it is at most "
            "2‖z*‖²/(s(n + 1)²)." + _PROGRAM + _STEPS
        ),
        hypotheses=("s = 1/L with the certified bound L of ‖D‖²",),
        expected=Verdict.HOLDS,
        corrects="csc.encoder.printed",
        check=f"{_ITERATIONS}:encoder",
        cases=(
            Case(
                "two-steps",
                identity(
                    "(z + s*(d*(y - d*z) - l)) + s*(d*(y - d*(z + s*(d*(y - d*z) - l))) - l) - w",
                    "(1 - s*d**2)**2*(z - w)",
                    "d*(y - d*w) - l",
                ),
                words="One atom with positive codes: two steps, which have no momentum yet, leave (1 − sd²)² of the distance.",
            ),
        ),
        group="csc",
    ),
    Claim(
        id="csc.public-layer.printed",
        title="The public layer is FISTA",
        source=f"a reading of {CODE}",
        form=Form.PRINTED,
        statement="The layer's steps, with FISTA's extrapolation, are those of FISTA at every depth." + _STEPS,
        expected=Verdict.REFUTED,
        check=f"{_ITERATIONS}:layer_printed",
        cases=(
            Case(
                "third-step",
                identity(
                    "99/100 + B*(99/100 - 9/10) + 9/10*(1 - 99/100) - (1/10*(99/100 + B*(99/100 - 9/10)) + 9/10)",
                    "81*B/1000",
                ),
                Role.COUNTER_EXAMPLE,
                "One atom whose code is to be 1, sd² = 9/10: from c_1 = 9/10 and c_2 = 99/100 the layer takes the gradient at "
                "c_2, FISTA at the extrapolated point. The results differ by 0.081 B, the momentum being B = 0.28.",
            ),
        ),
        group="csc",
    ),
    Claim(
        id="csc.public-layer.corrected",
        title="The public layer is FISTA for two steps, and slower later",
        source="docs/csc.md",
        form=Form.CORRECTED,
        statement=(
            "ISTA, FISTA and the layer agree for two steps. From the third on the layer differs, its gradient taken before the "
            "extrapolation; after 200 steps its gap is larger than FISTA's." + _STEPS
        ),
        hypotheses=("the last: small random problems",),
        expected=Verdict.HOLDS,
        corrects="csc.public-layer.printed",
        check=f"{_ITERATIONS}:layer",
        cases=(
            Case(
                "no-momentum",
                identity("c + (1 - 1)/t*(c - b)", "c"),
                words="The first extrapolation, (t_0 − 1)/t_1 with t_0 = 1, is none.",
            ),
            Case(
                "later",
                identity("a - s*(g*c - h) - (a - s*(g*a - h))", "s*g*(a - c)"),
                words="Afterwards the difference is sd² times the extrapolation.",
            ),
        ),
        group="csc",
    ),
    Claim(
        id="csc.optimality",
        title="Solutions are certified by a dual point",
        source="Fenchel's duality",
        form=Form.OWN,
        statement=(
            "With r = x − Dz, every z has a dual point on the line of r whose value is at most min P. Library solutions have a "
            "gap of at most 2·10⁻¹² in units of ½‖x‖², Dᵀr − μz = λ sign z where z is not zero, and |Dᵀr| ≤ λ elsewhere "
            "(Dᵀr ≤ λ for nonnegative codes); long iterations find nothing lower." + _PROGRAM
        ),
        hypotheses=("μ = 0, signed or nonnegative codes, and μ > 0", "in floating point"),
        expected=Verdict.HOLDS,
        check=f"{_PROGRAMS}:optimality",
        cases=(
            Case(
                "soft-threshold",
                identity("l*((d*x - l)/d**2) + (x - (d*x - l)/d)**2/2", "x**2/2 - (x - l/d)**2/2"),
                words="One atom, dx > λ: at the soft threshold z = (dx − λ)/d² the residual is feasible; both values agree.",
            ),
            Case(
                "ridge",
                identity(
                    "l*z + m*z**2/2 + (x - d*z)**2/2",
                    "(x - d*z)*x - (x - d*z)**2/2 - (d*(x - d*z) - l)**2/(2*m)",
                    "d*(x - d*z) - l - m*z",
                ),
                words="The same at z = (dx − λ)/(d² + μ), with the conjugate of the ridge.",
            ),
        ),
        group="csc",
    ),
    Claim(
        id="csc.projection",
        title="What is left over is a projection",
        source="docs/csc.md",
        form=Form.OWN,
        statement=(
            "For μ = 0, x − Dz* is the projection of x on {θ: ‖Dᵀθ‖_∞ ≤ λ}. So the fit Dz*, unlike the codes, depends on x "
            "firmly nonexpansively: ⟨Δf, Δx⟩ ≥ ‖Δf‖²." + _PROGRAM
        ),
        hypotheses=("μ = 0", "one λ for all images"),
        expected=Verdict.HOLDS,
        check=f"{_PROGRAMS}:projection",
        cases=(
            Case(
                "both",
                identity("((x - l) - (y - l))*(x - y) - ((x - l) - (y - l))**2", "0"),
                words="One atom, d = 1, both codes positive.",
            ),
            Case(
                "one",
                identity("(x - l)*(x - y) - (x - l)**2", "(x - l)*(l - y)"),
                words="One of them zero, y ≤ λ < x.",
            ),
            Case(
                "opposite",
                identity("((x - l) - (y + l))*(x - y) - ((x - l) - (y + l))**2", "2*l*((x - l) - (y + l))"),
                words="Of opposite signs, y < −λ and λ < x.",
            ),
        ),
        group="csc",
    ),
    Claim(
        id="csc.ridge-stability",
        title="With a ridge the codes are stable",
        source="docs/csc.md",
        form=Form.OWN,
        statement="For μ > 0, ‖Δz*‖ ≤ ‖Δx‖/(2√μ), and some changes come to nine tenths of it." + _PROGRAM,
        hypotheses=("μ > 0",),
        expected=Verdict.HOLDS,
        check=f"{_PROGRAMS}:ridge",
        cases=(
            Case(
                "one-direction",
                identity("1/(2*m) - d/(d**2 + m**2)", "(d - m)**2/(2*m*(d**2 + m**2))"),
                words="A direction of singular value d is multiplied by d/(d² + μ), with m = √μ: the most at d = m.",
            ),
        ),
        group="csc",
    ),
    Claim(
        id="csc.zero-code",
        title="From λ_max on the code is zero, and codes scale with images",
        source="docs/csc.md",
        form=Form.OWN,
        statement=(
            "z* = 0 if and only if λ ≥ λ_max = ‖Dᵀx‖_∞. The solution at ax and aλ is a times that at x and λ, its objective a² "
            "times." + _PROGRAM
        ),
        hypotheses=("signed codes, μ = 0", "where solutions are unique"),
        expected=Verdict.HOLDS,
        check=f"{_PROGRAMS}:zero_code",
        cases=(
            Case(
                "slope",
                identity("l*z + (x - d*z)**2/2 - x**2/2", "(l - d*x)*z + d**2*z**2/2"),
                words="One atom: beside zero P rises for both signs of z if and only if λ ≥ |dx|.",
            ),
            Case(
                "codes",
                identity("(d*(a*x) - a*l)/d**2", "a*((d*x - l)/d**2)"),
                words="The soft threshold scales.",
            ),
            Case(
                "objective",
                identity("(a*l)*(a*z) + (a*x - d*(a*z))**2/2", "a**2*(l*z + (x - d*z)**2/2)"),
                words="And so does P, with a².",
            ),
        ),
        group="csc",
    ),
    Claim(
        id="csc.recovery",
        title="Sparse codes are recovered from noisy images",
        source=f"{PAPER}, as recalled: codes and reconstructions are stable to noise",
        form=Form.OWN,
        statement=(
            "In a dictionary of six random 4 × 4 atoms, images of 12 × 11 pixels made of four spikes of size one to two, with "
            "noise of deviation σ drawn from 0 to 0.03: at λ = max(4σ, 0.01), with a probability of at least 0.7 no spike is "
            "missed and the error ‖z* − z‖ is at most 3λ√4. The support is not recovered: other codes appear beside spikes."
        ),
        hypotheses=(
            "a statement on draws of spikes and noise for each of the dictionaries that were drawn, not on all dictionaries",
            "99.9 % confidence in each",
        ),
        expected=Verdict.HOLDS,
        check=f"{_PROGRAMS}:recovery",
        group="csc",
    ),
    Claim(
        id="csc.rate-distance.printed",
        title="An objective of zero means the images come back",
        source=f"{PAPER}, as recalled: the closed loop aligns samples with their transcriptions without a pixel loss",
        form=Form.PRINTED,
        statement=(
            "Where the closed loop's objective ΔR(Z, Ẑ), Z = f(X), Ẑ = f(g(f(X))), is zero for an injective encoder f, "
            "g(f(x)) = x for every sample." + _RATE
        ),
        expected=Verdict.REFUTED,
        check=f"{_DISTANCE}:printed",
        cases=(
            Case(
                "rotation",
                identity(
                    "(1 + a*(p**2 + q**2))*(1 + a*(q**2 + p**2)) - a**2*(p*q - q*p)**2",
                    "(1 + a)**2",
                    "p**2 + q**2 - 1",
                ),
                Role.COUNTER_EXAMPLE,
                "The samples (1, 0) and (0, 1), f the identity and g a rotation by (p, q): second moments stay the identity, "
                "and all three rates are equal.",
            ),
            Case(
                "apart",
                ascending("0", "4/5"),
                Role.LEMMA,
                "For (p, q) = (3, 4)/5 each sample moves by the squared distance (1 − p)² + q² = 4/5.",
            ),
        ),
        group="csc-distance",
    ),
    Claim(
        id="csc.rate-distance.corrected",
        title="An objective of zero means equal second moments",
        source="strict concavity of logdet",
        form=Form.CORRECTED,
        statement=(
            "ΔR(Z, Ẑ) ≥ 0, and zero if and only if ZZᵀ = ẐẐᵀ: it sees second moments alone, not samples. Rotating both leaves "
            "it as it is; near zero it is of second order." + _RATE
        ),
        formula="ΔR = tr((S⁻¹αΔ)²)/16 + …, S = I + αZZᵀ, Δ = ẐẐᵀ − ZZᵀ, α = d/(nε²)",
        expected=Verdict.HOLDS,
        corrects="csc.rate-distance.printed",
        check=f"{_DISTANCE}:moments",
        cases=(
            Case(
                "one-dimension",
                identity("(1 + a*(x + y)/2)**2 - (1 + a*x)*(1 + a*y)", "a**2*(x - y)**2/4"),
                words="For moments x and y on a line, exp(4ΔR) is one plus this over (1 + αx)(1 + αy): one only for x = y.",
            ),
        ),
        group="csc-distance",
    ),
    Claim(
        id="csc.decoder-steps",
        title="A decoder's step closes the loop of an encoder that stands still",
        source=f"{PAPER}, the inner problem of its game; the whole game has no function that always falls: study csc_loop",
        form=Form.OWN,
        statement=(
            "The gradient by the decoder of what both players play for is that of ΔR(f(X), fgf(X)) with f fixed, and short "
            "steps against it lower that rate distance, each time; for a game of all images together, encoders of "
            "convolutional sparse coding and untied decoders." + _RATE
        ),
        hypotheses=("the encoder stands still", "steps halved until they lower it by a tenth of what the slope says"),
        expected=Verdict.HOLDS,
        check=f"{_LOOP}:decoder_steps",
        group="csc-distance",
    ),
    Claim(
        id="csc.learning",
        title="Learning never raises its objective",
        source="docs/csc.md",
        form=Form.OWN,
        statement=(
            "P summed over images is not raised by ISTA on the codes, by a projected gradient step on the atoms of a size of "
            "at most the reciprocal curvature, or by scaling atoms back to the sphere with their codes." + _PROGRAM
        ),
        hypotheses=("atoms inside the unit ball between",),
        expected=Verdict.HOLDS,
        check=f"{_LEARNING}:learning",
        cases=(
            Case(
                "atoms",
                identity("c*(w - t*c*(w - v) - v)**2/2 - c*(w - v)**2/2", "-t*(1 - c*t/2)*(c*(w - v))**2"),
                words="A misfit of curvature c in one number of an atom: a step t lowers it for ct < 2.",
            ),
            Case(
                "sphere",
                identity("l*z + m*z**2/2 - l*(n*z) - m*(n*z)**2/2", "(1 - n)*z*(l + m*z*(1 + n)/2)"),
                words="An atom of norm n ≤ 1 scaled to one, its codes z ≥ 0 by n: λ and the ridge lose this.",
            ),
            Case("fit", identity("(w/n)*(n*z)", "w*z"), words="And the fit stays as it is."),
        ),
        group="csc",
    ),
    Claim(
        id="csc.generalization",
        title="Learned atoms serve unseen images",
        source=f"{PAPER}, as recalled: the learned model generalizes to unseen data sets",
        form=Form.OWN,
        statement=(
            "Six 4 × 4 atoms learned from eight 12 × 11 patches of two pictures of textures (brick, grass) code six or twelve "
            "patches of each of four other pictures with a lower objective than random atoms do, picture by picture, and with "
            "a smaller error and fewer nonzero codes taken together."
        ),
        hypotheses=("patches without their means, those of little contrast left out", "λ = 0.05", "scikit-image's pictures"),
        expected=Verdict.HOLDS,
        check=f"{_LEARNING}:generalization",
        group="csc",
    ),
)
