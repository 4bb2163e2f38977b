"""How the claims on the encoder's problem are checked: optimum, thresholds, local maxima. A keyword argument of a check is what
it puts to the test; a wrong one must change the verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise

import numpy as np
import scipy.optimize

from mcr2_landscape import closed_form
from mcr2_landscape.claims import Outcome, Part, Plot, Run, Series, evidence
from mcr2_landscape.closed_form import Parameters
from mcr2_landscape.ctrl.multiplicity import full_rank_threshold
from mcr2_landscape.ctrl.optimum import Optimum, optimum_of, upper_bound
from mcr2_landscape.landscape.classify import CriticalPoint
from mcr2_landscape.mcr2 import ConstrainedMCR2
from mcr2_landscape.study.tasks.ctrl_survey import SmallSpheres
from mcr2_landscape.verdict import Evidence, Kind
from paper_checks.pai_2022.cases import COARSE, FINE, GROWING, RATIONAL, TIES, beside_a_line, tie_interval
from paper_checks.pai_2022.common import fact, log_det, refuting

SEED = 7
Found = list[tuple[ConstrainedMCR2, CriticalPoint]]
_SIZES, _RANKS, _DIM = (10, 10), (2, 2), 4
_ZERO = 1e-3  # of n_j: what a class that is zero may have left, as near to it as the gradient tells


def _around_the_tie(offset: float) -> float:
    """ε² at which N/r of the shared problem is (1 + offset) ρ_2(½)."""
    return _DIM * float(np.sqrt(0.5)) / (2 * (1 + offset) * full_rank_threshold(2, 0.5))


def _on_balls(run: Run) -> Found:
    """Critical points of the encoder's problem for one shape at several precisions, on both sides of the threshold: one
    compiled program serves all."""

    def work() -> Found:
        squares = [float(s.epsilon_squared) for s in (COARSE, FINE, RATIONAL)] + [_around_the_tie(t) for t in (-0.03, 0.03)]
        squares += run.choose([], [0.1, 0.3, 2.0], [0.03, 0.1, 0.3, 0.6, 1.0, 2.0, 3.0, 6.0])
        found: Found = []
        for square in squares:
            where = ConstrainedMCR2(_DIM, _SIZES, float(np.sqrt(square)), "balls").with_ranks(_RANKS)
            points = evidence.constrained_points(where, run.choose(24, 100, 600), SEED)
            # at Q = 0 all classes have the same second moments: minima, and a singular set of them
            found += [(where, point) for point in points if point.value > 1e-7]
        return found

    return run.shared("ctrl on balls", work)


def _words(where: ConstrainedMCR2, point: CriticalPoint) -> str:
    values, cosine = evidence.block_structure(where, point.point)
    listed = "; ".join(", ".join(f"{y:.4g}" for y in own) or "none" for own in values)
    return f"a {point.kind} at ε² = {where.parameters.epsilon**2:.6g} with y = {listed} and cosine {cosine:.1e}"


def _optimum_at(where: ConstrainedMCR2) -> Optimum:
    p = where.parameters
    return optimum_of(p.sizes, p.widths, p.dim, p.epsilon)


def _best(run: Run) -> list[tuple[ConstrainedMCR2, float, np.ndarray]]:
    """At each precision the best of all points found and of the ends of ascents, with its value."""

    def work() -> list[tuple[ConstrainedMCR2, float, np.ndarray]]:
        best: dict[float, tuple[ConstrainedMCR2, float, np.ndarray]] = {}
        for where, point in _on_balls(run):
            epsilon = where.parameters.epsilon
            if epsilon not in best or point.value > best[epsilon][1]:
                best[epsilon] = where, point.value, point.point
        random = np.random.default_rng(SEED)
        for epsilon, (where, value, _) in best.items():
            p = where.parameters
            ends = climbed(p, 10 * random.standard_normal((run.choose(24, 48, 200), *where.shape)), 1500)
            values = [closed_form.value(p, end, regularized=False) for end in ends]
            top = int(np.argmax(values))
            if values[top] > value:
                best[epsilon] = where, values[top], ends[top]
        return list(best.values())

    return run.shared("ctrl best on balls", work)


def shape_by_algebra(slope: str = "(1 - c**2)*y/(2*(1 + c*y)*(1 + y/c))") -> bool:
    """H' in closed form, from the objective by computer algebra; the identities of the claim go on from there."""
    import sympy
    from sympy.parsing.sympy_parser import parse_expr

    y, c = sympy.symbols("y c", positive=True)
    height = (sympy.log(1 + c * y) - c**2 * sympy.log(1 + y / c)) / 2
    return sympy.simplify(sympy.diff(height, y) - parse_expr(slope, local_dict={"y": y, "c": c})) == 0


def _derivation(slope: str | None = None) -> Part:
    true = shape_by_algebra() if slope is None else shape_by_algebra(slope)
    return fact("the slope of H", true, Evidence.EXACT, "H' is derived from the objective by computer algebra.")


def recalled_precision(run: Run, *, slope: str | None = None, constants: Sequence[tuple[int, int]] = GROWING) -> Outcome:
    """The counter-example, and for each constant one: a whole problem with ε⁴ ≤ γ_j d_z²/(cr_j)² for both classes, by squares
    of rational numbers; the library's optimum beside them."""
    met = []
    for c, k in constants:
        problem = beside_a_line(c, k)
        ratios = [
            (problem.a / rank) ** 2 * share for rank, share in zip(problem.ranks, problem.shares, strict=True)
        ]  # of (N_j/r_j)²
        met.append(
            ratios[0] == c**2 <= ratios[1] and problem.dim >= sum(problem.ranks) and problem.shares[0] == Fraction(1, k**2)
        )
    words = (
        "Beside a class of rank one with all other samples, d_z = 3, the classes of the constants meet ε⁴ ≤ γ_j d_z²/(cr_j)²."
    )
    whole = fact("whole problems", bool(met) and all(met), Evidence.EXACT, words)
    parts = refuting(run, "the recalled precision is not enough", [_derivation(slope), whole])
    best = optimum_of(COARSE.sizes, COARSE.ranks, COARSE.dim, float(COARSE.epsilon_squared) ** 0.5)
    lost = sum(best.lost)
    words = f"The library's optimum there is {best.value:.9f} with multiplicities {best.multiplicities}."
    parts.append(fact("the library's optimum", lost == 2 and abs(best.value - 0.228886926) < 1e-9, Evidence.NUMERICAL, words))
    return Outcome.of(parts)


def injectivity(run: Run, *, threshold: Callable[[int, float], float] = full_rank_threshold) -> Outcome:
    """The enclosures; the library's thresholds in them; and on both sides of one, whether the best point found keeps all."""
    outside = []
    for rank, share, lower in TIES:
        low, high = (float(end) for end in tie_interval(lower))
        gamma = float(Fraction(share))
        found = rank * threshold(rank, gamma) / gamma**0.5
        if not low <= found <= high:
            outside.append(f"ρ_{rank}({share}) = {threshold(rank, gamma):.9f}")
    library = Part.counted("the library's thresholds", len(TIES), outside, "thresholds within the enclosures", seeds=None)
    exceptions, count = [], 0
    for where, _, end in _best(run):
        p = where.parameters
        ratio = p.dim / p.epsilon**2 * 0.5**0.5 / 2
        count += 1
        values = [own[own > 1e-4] for own in evidence.block_structure(where, end)[0]]
        if all(own.size == 2 for own in values) != (ratio > threshold(2, 0.5)):
            exceptions.append(f"y = {values} at N/r = {ratio:.4f}")
    search = Part.counted("best points found", count, exceptions, "all kept exactly above ρ", seeds=SEED)
    shares = np.geomspace(1e-3, 0.9, 60)
    plot = Plot(
        "The ratio N/r above which a class of rank r keeps all its directions. The precision that is recalled says 1.",
        "Three curves that fall from about 2 to 4 at small shares; that of a larger rank is above.",
        "share γ of the class",
        "N/r",
        tuple(Series(f"ρ_{r}", shares.tolist(), [threshold(r, float(g)) for g in shares]) for r in (2, 3, 10)),
        log="x",
    )
    return Outcome.of([*run.certify(), library, search], plots=[plot])


def last_singular_value(run: Run, *, slope: str | None = None) -> Outcome:
    """Two different values leave a direction of ascent, by identities and computer algebra; no maximizer found has them."""
    parts = refuting(run, "two values in a class", [_derivation(slope)])
    maximizers = [(where, point) for where, point in _on_balls(run) if point.kind is Kind.LOCAL_MAXIMIZER]
    unequal = [
        _words(where, point)
        for where, point in maximizers
        if any(own.size > 1 and np.ptp(own) > 1e-5 * own[0] for own in evidence.block_structure(where, point.point)[0])
    ]
    what = "maximizers found, all with equal values in each class"
    parts.append(Part.counted("found maximizers", len(maximizers), unequal, what, seeds=SEED, essential=False))
    return Outcome.of(parts)


def _random_problem(random: np.random.Generator) -> Parameters:
    ranks = tuple(int(r) for r in random.integers(1, 4, size=int(random.integers(2, 5))))
    sizes = tuple(int(r * random.integers(1, 5)) for r in ranks)
    dim = int(random.integers(1, sum(ranks) + 3))
    return Parameters(dim, sizes, float(np.sqrt(dim / 10 ** random.uniform(-0.5, 2))), 1.0, ranks)


def climbed(p: Parameters, A: np.ndarray, num_steps: int) -> np.ndarray:
    """Gradient ascent on the balls, from many starts (…, d, w) at once."""
    starts = np.cumsum([0, *p.widths])
    blocks = [slice(low, high) for low, high in pairwise(starts)]
    eye, A = np.eye(p.dim), _in_balls(p, A)
    for _ in range(num_steps):
        whole = np.linalg.inv(eye + p.alpha * A @ np.swapaxes(A, -1, -2))
        up = np.empty_like(A)
        for own, scale in zip(blocks, p.alphas, strict=True):
            B = A[..., own]
            up[..., own] = p.alpha * (whole - np.linalg.inv(eye + scale * B @ np.swapaxes(B, -1, -2))) @ B
        A = _in_balls(p, A + up / (9 / 8 * p.alpha))
    return A


def _in_balls(p: Parameters, A: np.ndarray) -> np.ndarray:
    A, start = A.copy(), 0
    for width, size in zip(p.widths, p.sizes, strict=True):
        own = A[..., start : start + width]
        norm = np.sqrt(np.sum(own**2, axis=(-2, -1), keepdims=True))
        own *= np.minimum(1.0, np.sqrt(size) / np.maximum(norm, 1e-300))
        start += width
    return A


def optimum(
    run: Run,
    *,
    predicted: Callable[..., Optimum] = optimum_of,
    bound: Callable[..., float] = upper_bound,
) -> Outcome:
    """The certified instances; the best point found against the closed form; feasible points, and ascents from them, against
    the upper bound, in problems of all shapes."""
    errors, above = [], []
    for where, value, _ in _best(run):
        p = where.parameters
        difference = value - predicted(p.sizes, p.widths, p.dim, p.epsilon).value
        errors.append(abs(difference))
        above.append(max(0.0, difference))
    random = np.random.default_rng(run.seed)
    for number in range(run.choose(200, 1000, 20_000)):
        p = _random_problem(random)
        A = _in_balls(p, 10 ** random.uniform(-1, 2) * random.standard_normal((p.dim, sum(p.widths))))
        if number % 10 == 0:
            A = climbed(p, A, 100)
        value = closed_form.value(p, A, regularized=False)
        above.append(max(0.0, value - bound(p.sizes, p.widths, p.dim, p.epsilon)))
        best = predicted(p.sizes, p.widths, p.dim, p.epsilon)
        if best.decided:
            above.append(max(0.0, value - best.value))
    attained = Part.measured("attained by search", errors, 1e-9, "optimum less the best value found", seeds=SEED)
    exceeded = Part.measured(
        "never exceeded", above, 1e-12, "excess over the optimum or its upper bound", seeds=[SEED, run.seed], refuted_beyond=10
    )
    return Outcome.of([*run.certify(), _essential(_derivation()), attained, exceeded])


def _essential(part: Part) -> Part:
    return Part(part.name, part.verdict, part.evidence, part.summary, part.figures)


def other_maxima(run: Run) -> Outcome:
    """The local maximizer's certificate with the values; that its multiplier is that of the point on the balls; what the search
    sees of it."""
    problems = [case.statement.problem for case in run.claim.cases if case.statement.problem is not None]
    exact = problems[0]
    alpha = exact.dim / (sum(exact.sizes) * exact.epsilon**2)
    s, rho = alpha * exact.sizes[0], Fraction(sum(exact.sizes), exact.sizes[0])
    # the critical equation at the square n_j, which is the large root as rho s² > 1
    matches = exact.regularization == alpha * (1 / (1 + s) - 1 / (1 + rho * s)) and rho * s**2 > 1
    matches = matches and exact.epsilon**2 == RATIONAL.epsilon_squared and exact.dim == RATIONAL.dim
    matches = matches and tuple(exact.sizes) == RATIONAL.sizes
    words = "λ is the multiplier of the balls at squares of 10, the large root of the critical equation."
    parts = refuting(run, "a local maximum below the global one", [fact("matched λ", matches, Evidence.EXACT, words)])
    low = [
        point
        for where, point in _on_balls(run)
        if point.kind is Kind.LOCAL_MAXIMIZER and point.value < _optimum_at(where).value - 1e-6
    ]
    words = f"The search finds {len(low)} local maxima below the optimum, from {sum(point.count for point in low)} starts."
    parts.append(fact("found by search", bool(low), Evidence.NUMERICAL, words))
    return Outcome.of(parts)


def predicted_maximum(values: Sequence[np.ndarray], cosine: float) -> bool:
    """Orthogonal classes of equal values, none zero, each with m_j = 1 or y > 1."""
    return cosine < 1e-5 and all(y.size and np.ptp(y) < 1e-5 * y[0] and (y.size == 1 or y[0] > 1) for y in values)


def local_maxima(run: Run, *, form: Callable[[Sequence[np.ndarray], float], bool] = predicted_maximum) -> Outcome:
    """What the search finds on balls; and constructed points of all shapes, by the signs of their Hessians' eigenvalues."""
    exceptions, count, blurred = [], 0, 0
    for where, point in _on_balls(run):
        values, cosine = evidence.block_structure(where, point.point)
        blocks = where.parameters.blocks(point.point)
        zero = any(np.sum(own**2) < _ZERO * size for own, size in zip(blocks, where.sizes, strict=True))
        if point.kind in (Kind.UNDECIDED, Kind.DEGENERATE):
            blurred += not zero  # beside a class that is zero ΔR is of the fourth power (see ctrl.strict-saddles-on-balls)
            continue
        count += 1
        if (point.kind is Kind.LOCAL_MAXIMIZER) != (not zero and form(values, cosine)):
            exceptions.append(_words(where, point))
    found = Part.counted("found points", count, exceptions, "maxima exactly of the form", seeds=SEED, undecided=blurred)
    random, exceptions, count = np.random.default_rng(run.seed), [], 0
    for _ in range(run.choose(60, 300, 4000)):
        where, A, values = _constructed(random)
        if any(own.size > 1 and abs(own[0] - 1) < 1e-2 for own in values):
            continue
        count += 1
        _, _, multipliers = where.gradient(A)
        spectrum = np.linalg.eigvalsh(where.hessian(A)) / where.bound
        zeros = int((np.abs(spectrum) <= 1e-7).sum()) - len(values)
        maximum = bool(multipliers.min() > 0 and spectrum[-1] <= 1e-7 and zeros == where.orbit_dimension(A))
        if maximum != form(values, 0.0):
            listed = "; ".join(", ".join(f"{y:.4g}" for y in own) for own in values)
            exceptions.append(f"y = {listed} at d = {where.dim}, sizes {where.parameters.sizes}")
    made = Part.counted("constructed points", count, exceptions, "maxima exactly of the form", seeds=run.seed)
    return Outcome.of([*run.certify(), found, made])


def _constructed(random: np.random.Generator) -> tuple[SmallSpheres, np.ndarray, list[np.ndarray]]:
    """A problem with d ≥ Σ r_j, and a point of it with orthogonal classes of equal values."""
    ranks = random.integers(1, 4, size=int(random.integers(2, 4)))
    counts = [int(random.integers(1, rank + 1)) for rank in ranks]
    sizes = tuple(int(rank * random.integers(1, 4)) for rank in ranks)
    dim = int(ranks.sum() + random.integers(0, 2))
    where = SmallSpheres(dim, sizes, tuple(ranks.tolist()), float(np.sqrt(dim / 10 ** random.uniform(0, 1.5))))
    A, start, values = np.zeros(where.shape), 0, []
    p = where.parameters
    for block, size, count, alpha in zip(p.blocks(A), sizes, counts, p.alphas, strict=True):
        V = np.linalg.qr(random.standard_normal((block.shape[1], count)))[0]
        block[start : start + count] = np.sqrt(size / count) * V.T
        start += count
        values.append(np.full(count, size / count * float(np.sqrt(p.alpha * alpha))))
    return where, A, values


def crossover(run: Run, *, formula: Callable[[float], float] | None = None) -> Outcome:
    """The enclosure; the library's upper bound against the larger of both; and ascents in the plane, which reach it and no
    more."""
    value = formula or (
        lambda a: max(np.log1p(a / 2) - 0.5 * np.log1p(a), np.log1p(a / 3) - np.log1p(a) / 3)
    )  # fmt: skip
    random, gaps, above = np.random.default_rng(run.seed), [], []
    points = run.choose((0.5, 1.7, 2.0, 20.0), (0.2, 0.5, 1, 1.7, 1.84, 1.86, 2, 5, 20, 100), np.geomspace(0.1, 200, 60))
    for a in points:
        p = Parameters(2, (2, 2, 2), float(np.sqrt(2 / a)), 1.0, (1, 1, 1))
        above.append(abs(upper_bound(p.sizes, p.widths, p.dim, p.epsilon) - value(a)))
        starts = 3 * random.standard_normal((run.choose(12, 24, 80), 2, 3))
        for number, start in enumerate(starts[::2]):
            start[:, number % 3] = 0  # collapsed classes stay so: their gradient is zero
        ends = [closed_form.value(p, end, regularized=False) for end in climbed(p, starts, 1500)]
        gaps.append(abs(max(ends) - value(a)))
        above.append(max(0.0, max(ends) - value(a)))
    attained = Part.measured("reached by ascent", gaps, 1e-8, "optimum less the best end", seeds=run.seed)
    exceeded = Part.measured("upper bound", above, 1e-12, "difference to the upper bound, or excess over it", seeds=run.seed)
    axis = np.geomspace(0.2, 10, 80)
    plot = Plot(
        "Three lines in a plane: the tight frame and the collapsed class cross at a* = 1.8513.",
        "Two rising curves that cross near a = 1.85.",
        "a = d_z/ε²",
        "Q",
        (
            Series("tight frame", axis.tolist(), (np.log1p(axis / 2) - 0.5 * np.log1p(axis)).tolist()),
            Series("two lines, one class collapsed", axis.tolist(), (np.log1p(axis / 3) - np.log1p(axis) / 3).tolist()),
        ),
        log="x",
    )
    return Outcome.of([*run.certify(), attained, exceeded], plots=[plot])


def coherent(run: Run, *, value: float = float(np.log(5) - np.log(3))) -> Outcome:
    """The factors of f(e_2) cancel, by identities; constrained maximization over F from random starts ends at the value, with
    f(e_2) = 0, and never above."""
    b = 4 / (20 * 0.5)

    def gain(flat: np.ndarray) -> float:
        F = flat.reshape(4, 3)
        first, second = F[:, :2] @ F[:, :2].T, F[:, 1:] @ F[:, 1:].T
        eye = np.eye(4)
        classes = log_det(eye + 2 * b * first) + log_det(eye + 2 * b * second)
        return 0.5 * log_det(eye + b * (first + second)) - 0.25 * classes

    def room(flat: np.ndarray) -> np.ndarray:
        squares = np.sum(flat.reshape(4, 3) ** 2, axis=0)
        return np.array([10 - squares[0] - squares[1], 10 - squares[1] - squares[2]])

    random, ends, kept = np.random.default_rng(run.seed), [], []
    for _ in range(run.choose(6, 20, 200)):
        start = random.standard_normal(12) * 1.2
        found = scipy.optimize.minimize(
            lambda flat: -gain(flat),
            start,
            method="SLSQP",
            constraints={"type": "ineq", "fun": room},
            options={"maxiter": 300, "ftol": 1e-14},
        )
        excess = max(0.0, -float(room(found.x).min()))
        ends.append(gain(found.x) - excess)
        kept.append(float(np.linalg.norm(found.x.reshape(4, 3)[:, 1])))
    best = int(np.argmax(ends))
    attained = Part.measured("reached", [abs(ends[best] - value)], 1e-6, "value less the best end", seeds=run.seed)
    exceeded = Part.measured(
        "never exceeded", [max(0.0, end - value) for end in ends], 1e-7, "excess of the ends", seeds=run.seed
    )
    given_up = Part.measured("the common line", [kept[best]], 1e-2, "‖f(e_2)‖ at the best end", seeds=run.seed)
    return Outcome.of([*run.certify(), attained, exceeded, given_up])
