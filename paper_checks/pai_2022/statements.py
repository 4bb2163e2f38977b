"""Pai, Psenka, Chiu, Wu, Dobriban, Ma, *Pursuit of a Discriminative Representation for Multiple Subspaces via Sequential Games*
(arXiv 2206.09120): its theorems as recalled, and what docs/ctrl.md proves of the games.

The paper's own text was not to hand. Where a statement "as recalled" is refuted, this says that the conclusion fails under
these hypotheses, and no more.

Classes X_j of n_j samples span S_j of dimension r_j; γ_j = n_j/n, a = d_z/ε², N_j = a√γ_j; f(x) = Fx, g(z) = Gz, M = FG,
P_j = FX_jX_jᵀFᵀ. The encoder maximizes Q = ΔR(FX) plus Σ D_j, D_j = ΔR(FX_j, FGFX_j), over ‖FX_j‖² ≤ n_j; the decoder
minimizes Σ D_j. With A_j = FX_j in coordinates of its row space, of r_j columns, the encoder's problem is ΔR on balls. One
direction of square s adds h_j(s) = ½[log(1 + as/n) − γ_j log(1 + as/n_j)] and, with y = as√γ_j/n_j, h_j(s) = H_j(y).
"""

from __future__ import annotations

from fractions import Fraction

from mcr2_landscape.certify import Statement, orthogonal
from mcr2_landscape.claims import Case, Claim, Form, Role
from mcr2_landscape.verdict import Verdict
from paper_checks.landscape_theory.statements import identity
from paper_checks.pai_2022 import cases
from paper_checks.pai_2022.cases import COARSE, FILLED, FINE, RATIONAL, ascending, equal_directions, even, logs, rate

PAPER = "Pai, Psenka, Chiu, Wu, Dobriban, Ma (arXiv 2206.09120)"
THEORY = "docs/ctrl.md"
_ENCODER = "paper_checks.pai_2022.encoder_checks"
_DECODER = "paper_checks.pai_2022.decoder_checks"
_JOINT = "paper_checks.pai_2022.joint_checks"
_SPHERES = "paper_checks.pai_2022.sphere_checks"

# What a statement needs to be read on its own.
_GAME = (
    " The encoder f(x) = Fx has the utility Q + Σ D_j over ‖FX_j‖² ≤ n_j, Q = ΔR(FX), D_j = ΔR(FX_j, FGFX_j); the decoder "
    "g(z) = Gz answers with the utility −Σ D_j. S_j is the span of the n_j samples X_j, r_j its dimension, n = Σ n_j, γ_j = "
    "n_j/n."
)
_HEIGHT = (
    " With a = d_z/ε² and N_j = a√γ_j, m orthogonal directions of a class that share ‖FX_j‖² = n_j evenly add m H(N_j/m) to Q, "
    "H(y) = ½[log(1 + √γ y) − γ log(1 + y/√γ)] for γ = γ_j."
)
_RATE = (
    " ΔR = ½logdet(I + bΣA_jA_jᵀ) − ½Σ γ_j logdet(I + b_jA_jA_jᵀ) for A_j of d_z rows and r_j columns, γ_j = n_j/n, n = Σ n_j, "
    "b = d_z/(nε²), b_j = b/γ_j; y stands for the squared singular values of A_j times √(bb_j)."
)

# c = √γ: with D(y) = (1 + cy)(1 + y/c), H' = ½(1 − c²) y/D and H'' = ½(1 − c²)(1 − y²)/D².
_SLOPE = Case(
    "slope",
    identity("(c/(1 + c*y) - c/(1 + y/c))/2", "(1 - c**2)*y/(2*(1 + c*y)*(1 + y/c))"),
    Role.LEMMA,
    "H'(y) = ½(1 − γ)y/((1 + √γ y)(1 + y/√γ)) is positive: each class is on the boundary of its ball at a maximum.",
)
_BEND = Case(
    "bend",
    identity(
        "(1 + (c + 1/c)*y + y**2 - y*(c + 1/c + 2*y))/((1 + c*y)**2*(1 + y/c)**2)", "(1 - y**2)/((1 + c*y)**2*(1 + y/c)**2)"
    ),
    Role.LEMMA,
    "H'' has the sign of 1 − y²: convex up to y = 1, concave beyond.",
)
_TWO_VALUES = Case(
    "two-values",
    identity(
        "x/((1 + c*x)*(1 + x/c)) - y/((1 + c*y)*(1 + y/c))",
        "(x - y)*(1 - x*y)/((1 + c*x)*(1 + x/c)*(1 + c*y)*(1 + y/c))",
    ),
    Role.LEMMA,
    "Two values x ≠ y of one class have the same slope only if xy = 1.",
)
_EXCHANGE = Case(
    "exchange",
    identity(
        "(1 - y**2)/((1 + c*y)**2*(1 + y/c)**2) + (1 - 1/y**2)/((1 + c/y)**2*(1 + 1/(c*y))**2)",
        "(1 - y**2)**2/((1 + c*y)**2*(1 + y/c)**2)",
    ),
    Role.LEMMA,
    "H''(y) + H''(1/y) has the sign of (1 − y²)²: moving norm between such values raises Q at second order.",
)
_SHAPE = (_SLOPE, _BEND, _TWO_VALUES, _EXCHANGE)


def _ties(rank: int) -> tuple[Case, ...]:
    """Below the interval r − 1 directions are better than r, above it r are."""
    found = []
    for own, share, lower in cases.TIES:
        if own != rank:
            continue
        low, high = cases.tie_interval(lower)
        gamma, name = Fraction(share), f"rank-{rank}-share-{share.replace('/', '-')}"
        words = f"ρ_{rank}({share})·{rank}/√γ is above {float(low):.8f}."
        found.append(
            Case(f"{name}-below", ascending(logs(even(low, gamma, rank)), logs(even(low, gamma, rank - 1))), words=words)
        )
        words = f"ρ_{rank}({share})·{rank}/√γ is below {float(high):.8f}."
        found.append(
            Case(f"{name}-above", ascending(logs(even(high, gamma, rank - 1)), logs(even(high, gamma, rank))), words=words)
        )
    return tuple(found)


def _growing() -> tuple[Case, ...]:
    found = []
    for c, k in cases.GROWING:
        a, gamma = Fraction(2 * c * k), Fraction(1, k**2)
        words = f"With γ = 1/{k}² and N/r = {c}, r = 2, one direction adds more than two: ε⁴ ≤ γ d²/({c}r)² is not enough."
        statement = ascending(logs(even(a, gamma, 2)), logs(even(a, gamma, 1)))
        found.append(Case(f"constant-{c}", statement, Role.COUNTER_EXAMPLE, words))
    return tuple(found)


_CROSSING = tuple(Fraction(end, 10**7) for end in cases.CROSSOVER)


def _frame(a: Fraction) -> cases.Logs:
    return [(Fraction(1), 1 + a / 2), (Fraction(-1, 2), 1 + a)]


def _pair(a: Fraction) -> cases.Logs:
    return [(Fraction(1), 1 + a / 3), (Fraction(-1, 3), 1 + a)]


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="ctrl.precision.printed",
        title="The encoder is injective on every class, under the precision as recalled",
        source=f"{PAPER}, theorem on multiple-subspace pursuit, as recalled",
        form=Form.PRINTED,
        statement=(
            "If the classes are independent, d_z ≥ Σ r_j and ε⁴ ≤ γ_j d_z²/r_j² for all j, every equilibrium encoder is "
            "injective on each S_j. Refuted: an injective equilibrium has r_j equal singular values in each class, and lies "
            "below one direction a class in the example. No constant repairs it: ε⁴ ≤ γ_j d_z²/(cr_j)² says N_j/r_j ≥ c, and "
            "a class of rank two with N/r = c and √γ < c/(2e^{c²}), beside one of rank one with all other samples, keeps one "
            "direction." + _GAME + _HEIGHT
        ),
        formula="ε⁴ ≤ γ_j d_z²/r_j²  ⟹  rank f(X_j) = r_j",
        hypotheses=("Σ r_j = rank X", "d_z ≥ Σ r_j", "ε⁴ ≤ γ_j d_z²/r_j²"),
        expected=Verdict.REFUTED,
        check=f"{_ENCODER}:recalled_precision",
        cases=(
            Case(
                "hypothesis",
                ascending(str(COARSE.epsilon_squared**2), str(Fraction(1, 2) * Fraction(COARSE.dim, 2) ** 2)),
                Role.LEMMA,
                "ε⁴ < γ_j d_z²/r_j² for n = (10, 10), r = (2, 2), d_z = 4, ε² = 13/10.",
            ),
            *_SHAPE,
            Case(
                "one-direction-each",
                ascending(
                    "2095315/10000000",
                    rate(COARSE, equal_directions(COARSE, (2, 2))),
                    "2095317/10000000",
                    "2288869/10000000",
                    rate(COARSE, equal_directions(COARSE, (1, 1))),
                ),
                Role.COUNTER_EXAMPLE,
                "There two equal directions a class, the best of the injective critical encoders, are worth less than one.",
            ),
            *_growing(),
            Case(
                "linear-part",
                identity("(1 + x)**2 - (1 + 2*x)", "x**2"),
                Role.LEMMA,
                "2 log(1 + x) − log(1 + 2x) = log(1 + x²/(1 + 2x)) ≤ x², at x = c√γ.",
            ),
            Case(
                "logarithmic-part",
                identity("(1 + z)**2 - z*(1 + 2*z)/2", "1 + 3*z/2"),
                Role.LEMMA,
                "2 log(1 + z) − log(1 + 2z) > log(z/2), at z = c/√γ. So 4H(c) − 2H(2c) ≤ γ(c² − log(c/(2√γ))).",
            ),
        ),
        group="ctrl-balls",
    ),
    Claim(
        id="ctrl.injectivity",
        title="When the encoder is injective on every class",
        source=f"{THEORY}, injectivity",
        form=Form.CORRECTED,
        statement=(
            "For independent classes and d_z ≥ Σ r_j every equilibrium encoder is injective on S_j if and only if r_j = 1 or "
            "N_j/r_j > ρ_{r_j}(γ_j), where ρ_r solves r H(y) = (r − 1) H(yr/(r − 1)). At equality r_j and r_j − 1 directions "
            "tie. There is one solution: the last direction adds N∫(H − yH')dy/y² over N/r < y < N/(r − 1), and H − yH' falls, "
            "then rises, from 0 to ∞." + _GAME + _HEIGHT
        ),
        formula="rank f(X_j) = r_j  ⟺  r_j = 1 or N_j/r_j > ρ_{r_j}(γ_j)",
        hypotheses=("Σ r_j = rank X", "d_z ≥ Σ r_j"),
        expected=Verdict.HOLDS,
        corrects="ctrl.precision.printed",
        check=f"{_ENCODER}:injectivity",
        cases=(*_SHAPE, *_ties(2), *_ties(3)),
        group="ctrl-balls",
    ),
    Claim(
        id="ctrl.last-singular-value.printed",
        title="The last singular value of a class may differ",
        source=f"{PAPER}, theorem on multiple-subspace pursuit, second alternative, as recalled",
        form=Form.PRINTED,
        statement=(
            "The theorem, as recalled, leaves two cases for a class at an equilibrium: all singular values of f(X_j) equal, "
            "or all but the last, which is smaller. Checked here is whether the second occurs. It never does: not at an "
            "optimum, nor at a local one. That takes nothing from the alternative, which is true, but makes it sharper." + _GAME
        ),
        formula="σ_1(f(X_j)) = … = σ_{r−1}(f(X_j)) > σ_r(f(X_j)) > 0 at some equilibrium",
        hypotheses=("Σ r_j = rank X", "d_z ≥ Σ r_j"),
        expected=Verdict.REFUTED,
        check=f"{_ENCODER}:last_singular_value",
        cases=(
            *_SHAPE,
            Case(
                "example",
                ascending(
                    logs(cases.directions(FINE.a, Fraction(1, 2), ("9123106/10000000", "876895/10000000"))),
                    "17892/100000",
                    "18454/100000",
                    logs(even(FINE.a, Fraction(1, 2), 2)),
                ),
                Role.LEMMA,
                "For n = (10, 10), r = (2, 2), d_z = 4, ε² = 4/5 two different values have squares 5 ± √17; they add less, "
                "even rounded up, than two of √5.",
            ),
        ),
        group="ctrl-balls",
    ),
    Claim(
        id="ctrl.optimum",
        title="The equilibria in closed form",
        source=f"{THEORY}, the optimum",
        form=Form.CORRECTED,
        statement=(
            "Let m*_j be a maximizer of m H(N_j/m) over 1 ≤ m ≤ r_j. If Σ m*_j ≤ d_z, the optimal encoders are those with "
            "mutually orthogonal f(S_j), each f(X_j) having m*_j equal singular values √(n_j/m*_j) and no others. For any "
            "d_z, Σ m*_j H(N_j/m*_j) is an upper bound, by Fischer's inequality; and so is the maximum over all sets T of "
            "classes of ½δ log(1 + aγ_T/δ) − ½γ_T log(1 + a), γ_T = Σ_T γ_j, δ = min(d_z, Σ_T r_j)." + _GAME + _HEIGHT
        ),
        formula="max Q = Σ m*_j H_j(N_j/m*_j)",
        hypotheses=("Σ r_j = rank X", "d_z ≥ Σ m*_j"),
        expected=Verdict.HOLDS,
        corrects="ctrl.last-singular-value.printed",
        check=f"{_ENCODER}:optimum",
        cases=(
            *_SHAPE,
            Case(
                "collapsed",
                ascending(
                    rate(COARSE, equal_directions(COARSE, (2, 2))),
                    rate(COARSE, equal_directions(COARSE, (2, 1))),
                    rate(COARSE, equal_directions(COARSE, (1, 1))),
                ),
                words="At ε² = 13/10 one direction a class is best.",
            ),
            Case(
                "full",
                ascending(
                    rate(FINE, equal_directions(FINE, (1, 1))),
                    rate(FINE, equal_directions(FINE, (2, 1))),
                    "3690974/10000000",
                    rate(FINE, equal_directions(FINE, (2, 2))),
                    "3690975/10000000",
                ),
                words="At ε² = 4/5 two are.",
            ),
            Case(
                "oblique",
                ascending(
                    rate(FINE, cases.OBLIQUE),
                    rate(FINE, equal_directions(FINE, (2, 2))),
                ),
                words="Classes that are not orthogonal are worth less.",
            ),
            Case(
                "shares",
                identity("a*g*(1/(1 + a*s/q) - 1/(1 + a*t))/2", "a**2*g*(t - s/q)/(2*(1 + a*s/q)*(1 + a*t))"),
                Role.LEMMA,
                "With ‖A_i‖² = t_in_i and classes i of the share s = Σγ_it_i spread evenly over q dimensions, the derivative "
                "of ½q log(1 + as/q) − ½Σγ_i log(1 + at_i) in t_j has the sign of t_j − s/q.",
            ),
        ),
        group="ctrl-balls",
    ),
    Claim(
        id="ctrl.no-other-maxima.printed",
        title="All local maxima are global, under the hypotheses as recalled",
        source=f"{PAPER}, landscape of the encoder's problem, as one may read it",
        form=Form.PRINTED,
        statement=(
            "If the classes are independent, d_z ≥ Σ r_j and ε⁴ ≤ γ_j d_z²/r_j², every local maximum of the encoder's "
            "problem is global. Refuted, also where every optimum is injective: one direction a class is a local maximum "
            "always. (The theorem, as recalled, does not say it.)" + _GAME
        ),
        hypotheses=("Σ r_j = rank X", "d_z ≥ Σ r_j", "ε⁴ ≤ γ_j d_z²/r_j²"),
        expected=Verdict.REFUTED,
        check=f"{_ENCODER}:other_maxima",
        cases=(
            Case(
                "hypothesis",
                ascending(str(RATIONAL.epsilon_squared**2), str(Fraction(1, 2) * Fraction(RATIONAL.dim, 2) ** 2)),
                Role.LEMMA,
                "ε⁴ < γ_j d_z²/r_j² for n = (10, 10), r = (2, 2), d_z = 4, ε = 9/10.",
            ),
            Case(
                "local-maximum",
                Statement(
                    "local maximizer", cases.matched(RATIONAL, 1), orthogonal((1, 1)), {"radius": "1/1000000000", "zero": 23}
                ),
                Role.LEMMA,
                "One direction of square 10 in each class is a local maximizer of ΔR − (λ/2)‖Z‖² at the matched λ, hence of "
                "ΔR on the balls: ‖Z‖² is largest there.",
            ),
            Case(
                "higher",
                ascending(
                    rate(RATIONAL, equal_directions(RATIONAL, (1, 1))),
                    rate(RATIONAL, equal_directions(RATIONAL, (2, 1))),
                    rate(RATIONAL, equal_directions(RATIONAL, (2, 2))),
                ),
                Role.COUNTER_EXAMPLE,
                "Two directions each are worth more.",
            ),
        ),
        group="ctrl-balls",
    ),
    Claim(
        id="ctrl.local-maxima",
        title="The local maxima of the encoder's problem",
        source=f"{THEORY}; docs/theory.md, with fixed norms",
        form=Form.CORRECTED,
        statement=(
            "For d_z ≥ Σ r_j the points with mutually orthogonal f(X_j) of m_j equal singular values √(n_j/m_j) are local "
            "maxima on the balls exactly if m_j = 1 or N_j/m_j > 1 for every j, none of them being zero; and a search finds "
            "no others. N_j = d_z√γ_j/ε²." + _GAME
        ),
        hypotheses=("Σ r_j = rank X", "d_z ≥ Σ r_j", "N_j ≠ m_j for m_j > 1"),
        expected=Verdict.HOLDS,
        corrects="ctrl.no-other-maxima.printed",
        check=f"{_ENCODER}:local_maxima",
        cases=_SHAPE,
        group="ctrl-balls",
    ),
    Claim(
        id="ctrl.strict-saddles-on-balls",
        title="On balls every critical point is a local maximum or a strict saddle",
        source="conjecture; see the landscape of ΔR on spheres",
        form=Form.OWN,
        statement=(
            "Every critical point of ΔR on the balls ‖A_j‖² ≤ n_j is a local maximum or has a positive eigenvalue. Refuted: "
            "at a class A_j = 0 the Hessian is b(E − I) ≤ 0, E = (I + bΣP_i)⁻¹, and along a direction that the others leave "
            "free ΔR grows with the fourth power. Where the others fill the space, it can be a strict local maximum below the "
            "optimum." + _RATE
        ),
        expected=Verdict.REFUTED,
        check=f"{_SPHERES}:saddles_on_balls",
        cases=(
            Case(
                "fourth-power",
                identity("(b/(1 + b*s) - g*(b/g)/(1 + b*s/g))/2", "b**2*(1 - g)*s/(2*(g + b*s)*(1 + b*s))"),
                Role.LEMMA,
                "h'(s) > 0 for s > 0, and h'(s) ~ ½b²(1/γ − 1)s: with s = t² the value grows like t⁴.",
            ),
            Case(
                "collapsed-class",
                ascending(
                    *[
                        rate(cases.Setting(2, (10, 10), Fraction(1, 2), (1, 1)), cases.diagonal([[10, 0], [0, square]]))
                        for square in ("0", "1/1000000", "1/1000", "1")
                    ]
                ),
                Role.COUNTER_EXAMPLE,
                "n = (10, 10), r = (1, 1), d_z = 2, ε² = 1/2: near A_2 = 0 there are higher values.",
            ),
            Case(
                "filled",
                ascending(
                    "1438410/10000000",
                    rate(FILLED, cases.diagonal([[5, 5], [0, 0]])),
                    "1438411/10000000",
                    "2938933/10000000",
                    rate(FILLED, cases.diagonal([[10, 0], [0, 10]])),
                ),
                Role.LEMMA,
                "n = (10, 10), r = (2, 1): the strict local maximum A_1 = √5 I, A_2 = 0 is below one direction each.",
            ),
        ),
    ),
    Claim(
        id="ctrl.strict-saddles-on-spheres",
        title="On spheres every critical point is a local maximum or a strict saddle, in few dimensions too",
        source="conjecture; docs/theory.md proves it for d_z ≥ Σ rank A_j and y ≠ 1",
        form=Form.OWN,
        statement=(
            "Every critical point of ΔR on the spheres ‖A_j‖² = n_j with d_z < Σ rank A_j, no class having several equal "
            "values y = 1, is a local maximum or has a positive eigenvalue. Refuted: d_z = 4, n = (20, 20, 2, 2), r = (2, 2, "
            "1, 1), ε = 1/2. In a plane the four classes have lines of squares 25/4, 25/4, 2, 2, two on either axis: a tight "
            "frame at which the set of tight frames is singular. The classes of rank two have 55/4 each on an axis of their "
            "own. No eigenvalue is positive; moving t of the square of the first class from its axis into the plane, and of "
            "the second back, lowers ΔR at second order, unless the lines turn by O(√t): then it rises like t². It is "
            "critical, with another square than 25/4, for a whole range of ε; and a limit of strict saddles: the same with the "
            "lines of the first two classes turned together by any angle that is no multiple of π/2." + _RATE
        ),
        hypotheses=("‖A_j‖² = n_j", "d_z < Σ rank A_j"),
        expected=Verdict.REFUTED,
        check=f"{_SPHERES}:saddles_on_spheres",
        cases=(
            Case(
                "singular-frame",
                ascending(
                    *[
                        rate(cases.SINGULAR_FRAME.setting, cases.SINGULAR_FRAME.moments(Fraction(tangent)))
                        for tangent in ("0", "1/1000", "1/100", "1/10", "1/4")
                    ]
                ),
                Role.COUNTER_EXAMPLE,
                "On a curve that begins at the critical point, at distances falling to it, the values are higher.",
            ),
        ),
    ),
    Claim(
        id="ctrl.inflection-on-spheres",
        title="On spheres equal values at the inflection are no exception",
        source="conjecture; see docs/theory.md, with fixed norms, y = 1",
        form=Form.OWN,
        statement=(
            "Also where a class has several equal values y = 1, every critical point of ΔR on spheres is a local maximum or "
            "has a positive eigenvalue. Refuted: for orthogonal classes of one or two directions, one of them with two at y = "
            "1, the Hessian has no positive eigenvalue, and H(1 + u) + H(1 − u) > 2H(1) for 0 < |u| < 1, H(y) = ½[log(1 + √γ "
            "y) − γ log(1 + y/√γ)], γ that class's." + _RATE
        ),
        hypotheses=("‖A_j‖² = n_j", "d_z√γ_j/ε² = m_j ≥ 2 for a class of m_j equal values"),
        expected=Verdict.REFUTED,
        check=f"{_SPHERES}:inflection",
        cases=(
            Case(
                "fourth-power",
                identity(
                    "(1 + u)/((1 + c*(1 + u))*(1 + (1 + u)/c)) - (1 - u)/((1 + c*(1 - u))*(1 + (1 - u)/c))",
                    "2*u**3/((1 + c*(1 + u))*(1 + (1 + u)/c)*(1 + c*(1 - u))*(1 + (1 - u)/c))",
                ),
                Role.LEMMA,
                "The derivative of H(1 + u) + H(1 − u) is (1 − γ)u³ over what is positive.",
            ),
            Case(
                "two-directions",
                ascending(
                    *[
                        logs(
                            cases.directions(Fraction(4), Fraction(1, 4), (Fraction(1, 2) * (1 + u), Fraction(1, 2) * (1 - u)))
                        )
                        for u in (Fraction(0), Fraction(1, 1000), Fraction(1, 100), Fraction(1, 10))
                    ]
                ),
                Role.COUNTER_EXAMPLE,
                "γ = 1/4, a = 4, m = 2, so that N = m: unequal values add more.",
            ),
        ),
    ),
    Claim(
        id="ctrl.survey-on-spheres",
        title="On spheres, in few dimensions, critical points are local maxima, strict saddles, or limits of these",
        source=f"{THEORY}; open",
        form=Form.OWN,
        statement=(
            "For d_z < Σ r_j and all but finitely many ε, every critical point of ΔR on spheres is a local maximum, a strict "
            "saddle, or a limit of strict saddles. No proof is known; a search looks for exceptions." + _RATE
        ),
        hypotheses=("‖A_j‖² = n_j", "d_z < Σ r_j"),
        expected=Verdict.UNDECIDED,
        check=f"{_SPHERES}:survey",
    ),
    Claim(
        id="ctrl.crossover",
        title="Three lines in a plane: a tight frame, or a class given up",
        source=f"{THEORY}, fewer dimensions",
        form=Form.OWN,
        statement=(
            "For three classes of equal size and rank one in a plane, a = 2/ε², the optimum is the tight frame for a < a* "
            "and two orthogonal lines with a collapsed class for a > a*, where log(1 + a/2) − ½log(1 + a) = log(1 + a/3) − "
            "⅓log(1 + a); 1.8512958 < a* < 1.8512959."
        ),
        formula="max Q = max{log(1 + a/2) − ½log(1 + a), log(1 + a/3) − ⅓log(1 + a)}",
        hypotheses=("K = 3", "r_j = 1", "n_1 = n_2 = n_3", "d_z = 2"),
        expected=Verdict.HOLDS,
        check=f"{_ENCODER}:crossover",
        cases=(
            Case("frame-below", ascending(logs(_pair(_CROSSING[0])), logs(_frame(_CROSSING[0]))), words="a* > 1.8512958."),
            Case("collapse-above", ascending(logs(_frame(_CROSSING[1])), logs(_pair(_CROSSING[1]))), words="a* < 1.8512959."),
            Case(
                "one-crossing",
                identity("1/(2*(1 + a/2)) - 1/(3*(1 + a/3)) - 1/(6*(1 + a))", "a*(1 - a)/(6*(1 + a)*(2 + a)*(3 + a))"),
                Role.LEMMA,
                "The difference is zero at a = 0, rises up to a = 1 and falls from there on: it has one zero.",
            ),
            Case(
                "shares",
                identity("a*g*(1/(1 + a*s/q) - 1/(1 + a*t))/2", "a**2*g*(t - s/q)/(2*(1 + a*s/q)*(1 + a*t))"),
                Role.LEMMA,
                "By the bound over sets of classes (docs/ctrl.md, fewer dimensions), since what bounds Q falls, then rises in "
                "the square of each class: three lines are worth log(1 + a/2) − ½log(1 + a), two log(1 + a/3) − ⅓log(1 + a), "
                "and one half as much as two.",
            ),
        ),
    ),
    Claim(
        id="ctrl.coherent",
        title="Two planes with a common line: the encoder gives it up",
        source=f"{THEORY}; the hypothesis of independent classes",
        form=Form.OWN,
        statement=(
            "S_1 = ⟨e_1, e_2⟩, S_2 = ⟨e_2, e_3⟩ with X_jX_jᵀ their projectors, n = (10, 10), d_z = 4, ε² = 1/2: the optimum is "
            "log 5 − log 3, and f(e_2) = 0 there. With W = (I + 2b f_2f_2ᵀ)⁻¹ the factors of f_2 cancel: Q is "
            "½logdet(I + b[f_1 f_3]ᵀW[f_1 f_3]) − ¼Σ log(1 + 2b f_iᵀWf_i), i = 1, 3. By Hadamard's inequality this is at most "
            "h(g_1) + h(g_3), g_i = f_iᵀWf_i ≤ ‖f_i‖² ≤ 10, h(s) = ½log(1 + bs) − ¼log(1 + 2bs), which increases; 2h(10) = log "
            "5 − log 3, and g_i = 10 only for f_2 = 0. Here f_i = f(e_i), b = d_z/(nε²) = 2/5." + _GAME
        ),
        expected=Verdict.HOLDS,
        check=f"{_ENCODER}:coherent",
        cases=(
            Case(
                "class-factor",
                identity("(1 + 2*b*x)*(1 + 2*b*y) - 4*b**2*k**2", "(1 + 2*b*y)*(1 + 2*b*(x - 2*b*k**2/(1 + 2*b*y)))"),
                Role.LEMMA,
                "det(I + 2bP_1), with x = ‖f_1‖², y = ‖f_2‖², k = ⟨f_1, f_2⟩, has the factor 1 + 2by.",
            ),
            Case(
                "whole-factor",
                identity(
                    "(1 + b*x)*(1 + 2*b*y)*(1 + b*z) + 4*b**3*k*l*m - (1 + b*x)*2*b**2*l**2 - (1 + 2*b*y)*b**2*m**2"
                    " - (1 + b*z)*2*b**2*k**2",
                    "(1 + 2*b*y)*((1 + b*(x - 2*b*k**2/(1 + 2*b*y)))*(1 + b*(z - 2*b*l**2/(1 + 2*b*y)))"
                    " - b**2*(m - 2*b*k*l/(1 + 2*b*y))**2)",
                ),
                Role.LEMMA,
                "So has det(I + bP), with z = ‖f_3‖², l = ⟨f_2, f_3⟩, m = ⟨f_1, f_3⟩.",
            ),
            Case(
                "value",
                ascending(
                    "5108256/10000000",
                    rate(cases.Setting(4, (10, 10), Fraction(1, 2), (2, 2)), cases.diagonal([[10, 0, 0, 0], [0, 10, 0, 0]])),
                    "5108257/10000000",
                ),
                words="Two orthogonal lines attain log 5 − log 3 = 0.51082562….",
            ),
            Case(
                "increasing",
                identity("b/(2*(1 + b*s)) - b/(2*(1 + 2*b*s))", "b**2*s/(2*(1 + b*s)*(1 + 2*b*s))"),
                Role.LEMMA,
                "h' > 0 for s > 0.",
            ),
        ),
    ),
    Claim(
        id="ctrl.decoder-eliminated",
        title="The decoder can be eliminated",
        source=f"{PAPER}, and {THEORY}, general theorem",
        form=Form.OWN,
        statement=(
            "ΔR(Z_1, Z_2) ≥ 0 for equal sizes, with equality exactly if Z_1Z_1ᵀ = Z_2Z_2ᵀ. For every encoder F, of any rank "
            "and for classes in any position, G = F⁺ has D = 0: a best response. So the encoder's value function is Q, and "
            "the equilibria are the maximizers of Q with decoders that have D = 0." + _GAME
        ),
        formula="D_j = ¼ Σ log((1 + μ)²/(4μ)),   μ the eigenvalues of (I + b_jP_j)⁻¹(I + b_jP̂_j)",
        expected=Verdict.HOLDS,
        check=f"{_DECODER}:decoder_eliminated",
        cases=(
            Case(
                "mean", identity("(1 + u)**2 - 4*u", "(1 - u)**2"), Role.LEMMA, "(1 + μ)² ≥ 4μ, with equality exactly at μ = 1."
            ),
            Case(
                "distance",
                ascending("0", *[cases.turned_pair(tangent) for tangent in reversed(cases.TURNED)]),
                words="Lines that are turned apart have a positive distance, growing with the angle.",
            ),
        ),
    ),
    Claim(
        id="ctrl.best-responses.printed",
        title="The best responses are the G with FGF = F, as recalled",
        source=f"{PAPER}, equilibria of multiple-subspace pursuit, as recalled",
        form=Form.PRINTED,
        statement=(
            "G is a best response to F if and only if FGF = F on the data. Refuted: with P = diag(u², v²), any rotation in the "
            "coordinates in which P is the identity leaves P as it is. So f(S_j) is recovered, each f(x) need not be. P = "
            "FX_j(FX_j)ᵀ, M = FG." + _GAME
        ),
        expected=Verdict.REFUTED,
        check=f"{_DECODER}:recalled_responses",
        cases=(
            *(
                Case(
                    name,
                    identity(left, right, *where),
                    Role.LEMMA,
                    f"Entry {name} of MPMᵀ = P for M = [[c, −su/v], [sv/u, c]], c² + s² = 1.",
                )
                for name, left, right, where in (
                    ("1-1", "c**2*u**2 + (s*u/v)**2*v**2", "u**2", ("c**2 + s**2 - 1",)),
                    ("1-2", "c*u**2*(s*v/u) - (s*u/v)*v**2*c", "0", ()),
                    ("2-2", "(s*v/u)**2*u**2 + c**2*v**2", "v**2", ("c**2 + s**2 - 1",)),
                )
            ),
        ),
    ),
    Claim(
        id="ctrl.best-responses",
        title="The decoder's best responses",
        source=f"{THEORY}, best responses",
        form=Form.CORRECTED,
        statement=(
            "G is a best response to F exactly if M = FG satisfies MP_jMᵀ = P_j for all j: M maps f(S_j) to itself as an "
            "isometry of the inner product P_j⁺. For independent f(S_j), m_j = rank f(X_j), these G form a set of the "
            "dimension below, and D grows quadratically away from it. P_j = FX_j(FX_j)ᵀ." + _GAME
        ),
        formula="Σ m_j(m_j − 1)/2 + (d_x − rank F) Σ m_j + d_x(d_z − Σ m_j)",
        expected=Verdict.HOLDS,
        corrects="ctrl.best-responses.printed",
        check=f"{_DECODER}:best_responses",
    ),
    Claim(
        id="ctrl.single-subspace",
        title="One subspace: it is recovered, its points need not be",
        source=f"{PAPER}, theorem on single-subspace pursuit, as recalled",
        form=Form.PRINTED,
        statement=(
            "At the equilibria of single-subspace pursuit with d_z ≥ d_S, F and G on Stiefel manifolds, f is injective on S "
            "and fgf(S) = f(S). x need not be recovered: gf is ±1 along each principal direction of simple variance. The "
            "encoder f(x) = Fx, first to move, has the utility R(FX) + ΔR(FX, FGFX), the decoder g(z) = Gz the utility "
            "−ΔR(FX, FGFX)."
        ),
        hypotheses=("one class", "d_z ≥ d_S"),
        expected=Verdict.HOLDS,
        check=f"{_DECODER}:single_subspace",
        cases=(
            Case(
                "rotations",
                identity("c*s*u - s*c*v", "c*s*(u - v)"),
                Role.LEMMA,
                "The off-diagonal entry of MPMᵀ for a rotation M and P = diag(u, v), u ≠ v, vanishes at c = 0 or s = 0 alone; "
                "c = 0 exchanges u and v.",
            ),
        ),
    ),
    Claim(
        id="ctrl.envelope.printed",
        title="The envelope identity, at any encoder",
        source="second-order conditions of Stackelberg equilibria, as one may carry them over from the literature on learning",
        form=Form.PRINTED,
        statement=(
            "At (F, F⁺) the Schur complement D_ff − D_fg D_gg⁺ D_gf of D = Σ D_j is zero, so that the leader's total second "
            "derivative is that of Q. (No source is known to print it for these games.) Refuted for rank F < d_z: X_1 = e_1, "
            "X_2 = e_1 + e_2, F = diag(1, 0) leaves β²/(4(1 + β)), β = d_z/(n_2ε²), along V = e_2e_2ᵀ, where D_gf V = 0."
            + _GAME
        ),
        formula="D_ff − D_fg D_gg⁺ D_gf = 0",
        expected=Verdict.REFUTED,
        check=f"{_DECODER}:recalled_envelope",
        cases=(
            Case(
                "along-v",
                identity("(1 + b)*(1 + b*t/2) - (b/2)**2*t", "(1 + b) + b*t/2 + b**2*t/4"),
                Role.LEMMA,
                "det(I + (β/2)(P + P̂)) at P = (1, τ)(1, τ)ᵀ, P̂ = e_1e_1ᵀ, t = τ²: D_2 = ½log of it − ¼log(1 + β + βt) − "
                "¼log(1 + β).",
            ),
            Case(
                "second-derivative",
                identity("(b/2 + b**2/4)/(1 + b) - b/(2*(1 + b))", "b**2/(4*(1 + b))"),
                Role.LEMMA,
                "Its second derivative in τ at 0.",
            ),
        ),
        group="ctrl-envelope",
    ),
    Claim(
        id="ctrl.envelope.corrected",
        title="The envelope identity, at encoders of full row rank",
        source=f"{THEORY}, equilibria",
        form=Form.CORRECTED,
        statement=(
            "At (F, F⁺) with F of full row rank, or at (F, G) with gf the identity on the span of the data, "
            "D_ff − D_fg D_gg⁺ D_gf = 0. The value function is Q whatever F is." + _GAME
        ),
        formula="D_ff − D_fg D_gg⁺ D_gf = 0",
        hypotheses=("rank F = d_z, or gf = id on Col X",),
        expected=Verdict.HOLDS,
        corrects="ctrl.envelope.printed",
        check=f"{_DECODER}:envelope",
        group="ctrl-envelope",
    ),
    Claim(
        id="ctrl.stackelberg-not-nash",
        title="The Stackelberg equilibria are no Nash equilibria",
        source=f"{THEORY}, equilibria",
        form=Form.OWN,
        statement=(
            "At an equilibrium with two orthogonal f(S_j) ≠ 0 the encoder gains by moving alone, whichever best response the "
            "decoder plays: along F → e^{tΩ}F with a rotation that mixes two of them Q is constant and D grows at second "
            "order." + _GAME
        ),
        hypotheses=("K ≥ 2", "orthogonal f(S_j)"),
        expected=Verdict.HOLDS,
        check=f"{_JOINT}:not_nash",
        cases=(
            Case(
                "angle",
                identity(
                    "(1 + b*u/2 + b*u*c**2/2)*(1 + b*u*s**2/2) - (b*u*c*s/2)**2",
                    "1 + b*u + b**2*u**2*s**2/4",
                    "c**2 + s**2 - 1",
                ),
                Role.LEMMA,
                "det(I + (b/2)(P + P̂)) for two lines of square u at an angle with sine s: D = ½log(1 + b²u²s²/(4(1 + bu))).",
            ),
            Case(
                "turned",
                ascending("0", *[cases.turned_pair(tangent) for tangent in reversed(cases.TURNED)]),
                words="F = G = I, P_1 = 2e_1e_1ᵀ, P_2 = e_2e_2ᵀ: after a rotation of F alone D_1 is positive.",
            ),
        ),
        group="ctrl-stability",
    ),
    Claim(
        id="ctrl.order-of-moves",
        title="The order of moves matters",
        source=f"{THEORY}, equilibria",
        form=Form.OWN,
        statement=(
            "Where the optimum keeps two classes or more, minimax exceeds maximin. There is a c > 0 such that for every "
            "decoder G, committed to first, some feasible encoder has Q + Σ D_j ≥ max Q + c; the encoder that moves first has "
            "max Q." + _GAME
        ),
        hypotheses=("K ≥ 2", "the optimum keeps two classes"),
        expected=Verdict.HOLDS,
        check=f"{_JOINT}:order_of_moves",
        group="ctrl-stability",
    ),
    Claim(
        id="ctrl.timescale-threshold",
        title="From which ratio of rates on simultaneous ascent is stable",
        source=f"{THEORY}, equilibria",
        form=Form.OWN,
        statement=(
            "Near an equilibrium simultaneous gradient ascent is linearly stable only above a ratio of the decoder's rate to "
            "the encoder's, at which the spectrum of the linearization crosses the imaginary axis; it depends on the data's "
            "covariances. Below it some starts near the equilibrium move away from it, above it they return." + _GAME
        ),
        formula="max Re spec [[Hess Q + D_ff, D_fg], [−κD_gf, −κD_gg]] on the tangent spaces = 0 at κ = κ*",
        hypotheses=("K ≥ 2",),
        expected=Verdict.HOLDS,
        check=f"{_JOINT}:timescale_threshold",
        group="ctrl-stability",
    ),
)
