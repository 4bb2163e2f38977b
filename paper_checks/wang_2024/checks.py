"""How the theorems of Wang et al. (ICML 2024) and their corrected forms are checked. A keyword argument of a check is what it
puts to the test; a wrong one must change the verdict."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction

import numpy as np

from mcr2_landscape import closed_form
from mcr2_landscape.catalog import GlobalMaximum, global_maximum, orthogonal_family, thresholds
from mcr2_landscape.catalog.scalar import class_ratio
from mcr2_landscape.certify import ExactProblem, float_parameters
from mcr2_landscape.claims import Outcome, Part, Plot, Run, Series, evidence
from mcr2_landscape.claims.evidence import Sample
from mcr2_landscape.closed_form import Parameters
from mcr2_landscape.verdict import Evidence, Kind, Verdict
from paper_checks.wang_2024.statements import DEGENERATE, GLOBAL_FAILURES, printed_ranks

RANGE_SEED = 13


def critical_equation(
    run: Run, *, equation: Callable[[Parameters, np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray] | None = None
) -> Outcome:
    """At found points: the equation with resolvents as inverse matrices, and left singular vectors as eigenvectors."""

    def printed(p: Parameters, A: np.ndarray, A_k: np.ndarray, Z: np.ndarray, Z_k: np.ndarray) -> np.ndarray:
        return p.alpha * A @ Z_k - p.alpha * A_k @ Z_k - p.regularization * Z_k

    test, residuals, commutators = equation or printed, [], []
    for sample in evidence.found_points(run):
        p, Z = sample.problem.parameters, sample.point.point
        size = float(np.linalg.norm(Z))
        if size < 1e-6 / np.sqrt(p.alpha):
            continue
        A = np.linalg.inv(np.eye(p.dim) + p.alpha * Z @ Z.T)
        for alpha_k, Z_k in zip(p.alphas, p.blocks(Z), strict=True):
            A_k = np.linalg.inv(np.eye(p.dim) + alpha_k * Z_k @ Z_k.T)
            residuals.append(np.linalg.norm(test(p, A, A_k, Z, Z_k)) / (p.alpha * size))
            # Z_k Z_kᵀ commutes with ZZᵀ: they have common eigenvectors.
            left, right = Z @ Z.T @ Z_k @ Z_k.T, Z_k @ Z_k.T @ Z @ Z.T
            commutators.append(np.linalg.norm(left - right) / size**4)
    seeds = evidence.FOUND_SEEDS
    parts = [
        Part.measured("equation at found points", residuals, 1e-9, "relative residual of a block", seeds=seeds),
        Part.measured("common eigenvectors", commutators, 1e-7, "relative commutator of a block", seeds=seeds),
    ]
    return Outcome.of(parts)


def local_maximizers_printed(run: Run) -> Outcome:
    """Certified local maximizers that the printed range of ranks leaves out, and a certified degenerate point that it lets
    in."""
    return Outcome.of(run.certify())


def corrected_form(sample: Sample) -> bool:
    """Orthogonal blocks, every squared singular value x_k⁺: read from the point itself."""
    p, roots = sample.problem.parameters, sample.problem.roots()
    values, cosine = evidence.block_structure(sample.problem, sample.point.point)
    if cosine > 1e-5:
        return False
    for k, own in enumerate(values):
        x = own / np.sqrt(p.alpha * p.alphas[k])
        if x.size and not np.allclose(x, roots[k, 1], rtol=1e-5):
            return False
    return True


def local_maximizers_corrected(run: Run, *, form: Callable[[Sample], bool] = corrected_form) -> Outcome:
    """Certified instances of either direction; and at found and constructed points, the form against the numerical kind."""
    parts = run.certify()
    for name, samples in (("found", evidence.found_points(run)), ("constructed", evidence.constructed_points(run))):
        exceptions, count, blurred = [], 0, 0
        for sample in samples:
            if sample.problem.regularization >= sample.problem.regularization_limit:
                continue
            if sample.point.kind is Kind.UNDECIDED:
                blurred += 1
                continue
            count += 1
            if form(sample) != (sample.counts[0] == 0):
                exceptions.append(f"{sample.words}: a {sample.point.kind}")
        seeds = evidence.FOUND_SEEDS if name == "found" else evidence.CONSTRUCTED_SEED
        what = "maximizers are those of the form"
        parts.append(Part.counted(f"{name} points", count, exceptions, what, seeds=seeds, undecided=blurred))
    return Outcome.of(parts)


def _values(p: Parameters, candidates: Iterable[Sequence[int]]) -> list[float]:
    return [orthogonal_family(p, large=list(ranks)).value for ranks in candidates]


def global_maximizers_printed(run: Run) -> Outcome:
    """Certified inequalities; and where in the printed range it fails, over random problems."""
    return Outcome.of([_printed_range(run, _must_fail, essential=False), *run.certify()], plots=_global_plots())


def _printed_range(run: Run, predicted: Callable[[Parameters], bool], *, essential: bool) -> Part:
    """Where the printed statement is wrong, by comparing values, against where it is predicted to be."""
    rng, exceptions, failing, count = np.random.default_rng(RANGE_SEED), [], 0, run.choose(200, 1000, 10_000)
    for _ in range(count):
        sizes = tuple(int(size) for size in rng.integers(1, 6, int(rng.integers(2, 5))))
        where = evidence.at_fraction((int(rng.integers(1, 9)), sizes), 0.5, float(rng.uniform(0.8, 0.999)))
        p = where.parameters
        exact = ExactProblem(p.dim, p.sizes, Fraction(p.epsilon), Fraction(p.regularization))
        best = max(_values(p, printed_ranks(exact)))
        failed = best < global_maximum(p).value - 1e-12
        failing += failed
        if failed != predicted(p):
            exceptions.append(f"d = {p.dim}, sizes {p.sizes}, λ = {p.regularization:.6g}: {'fails' if failed else 'true'}")
    words = (
        f"the printed statement is wrong exactly where a class that it must use has λ > λ_k°: {failing} of {count} problems "
        "with λ from 0.8 to 0.999 of λ_max"
    )
    return Part.counted("range of the printed form", count, exceptions, words, seeds=RANGE_SEED, essential=essential)


def _must_fail(p: Parameters) -> bool:
    """Whether a class that must be given directions, d being larger than the sizes of strictly smaller classes together, costs
    more than it gives."""
    limits = thresholds(p).value
    return any(
        p.regularization > limits[k] and p.dim > sum(other for other in p.sizes if other < size)
        for k, size in enumerate(p.sizes)
    )


def _global_plots() -> list[Plot]:
    plots = []
    for name, exact, better in GLOBAL_FAILURES[:2]:
        printed = next(printed_ranks(exact))
        limit = float_parameters(exact).regularization / float(exact.regularization.fraction)  # type: ignore[union-attr]
        x = np.linspace(0.6, 0.9999, 60)
        lines = []
        for words, ranks in ((f"printed, ranks {printed}", printed), (f"better, ranks {better}", better)):
            parameters = [Parameters(exact.dim, exact.sizes, float(exact.epsilon), float(t * limit)) for t in x]
            lines.append(Series(words, x.tolist(), [orthogonal_family(p, large=list(ranks)).value for p in parameters]))
        plots.append(
            Plot(
                f"F at the printed global maximizers and at better points, {exact.dim} dimensions, sizes {exact.sizes} "
                f"({name}).",
                "Two curves that cross within the printed range of λ; beyond the crossing the printed one is lower.",
                "λ/λ_max",
                "F",
                tuple(lines),
            )
        )
    return plots


def global_maximizers_corrected(
    run: Run,
    *,
    maximum: Callable[[Parameters], GlobalMaximum] = global_maximum,
    fails: Callable[[Parameters], bool] | None = None,
) -> Outcome:
    """The proof's two inequalities, by identities and by computer algebra; certified examples; brute force over all orthogonal
    families, for the value and for the ranks that attain it; every listed family of other kinds; ascents; and where the printed
    form is wrong."""
    parts = [*run.certify(), _convexity()]
    rng, differences, others, exceptions = np.random.default_rng(run.seed), [], [], []
    count = run.choose(60, 300, 3000)
    for _ in range(count):
        sizes = tuple(int(size) for size in rng.integers(1, 5, int(rng.integers(2, 4))))
        shape = (int(rng.integers(1, 6)), sizes)
        where = evidence.at_fraction(
            shape, float(10 ** rng.uniform(-0.5, 0.5)), float(rng.choice([0.01, 0.5, 0.9, 0.97, 1.3, 2.0]))
        )
        p, found = where.parameters, maximum(where.parameters)
        top = found.value
        best, attained = _brute_force(p)
        differences.append(abs(best - top))
        # The family's own value, too: that of its ranks, and not only a number beside it.
        if found.family.ranks not in attained or found.unique != (len(attained) == 1) or abs(found.family.value - best) > 1e-11:
            words = f"d = {p.dim}, sizes {p.sizes}, λ = {p.regularization:.6g}"
            exceptions.append(f"{words}: ranks {found.family.ranks}, unique {found.unique}; brute force {sorted(attained)}")
        listed = itertools.islice((family for family in where.catalog() if not family.is_orthogonal), 20)
        others += [np.maximum(0.0, family.value - top) for family in listed]
    ends = [np.maximum(0.0, climb.end.value - maximum(climb.problem.parameters).value) for climb in evidence.climbs(run)]
    whose = "the ranks of brute force, and whether others do"
    parts += [
        Part.measured("brute force over ranks", differences, 1e-11, "difference of the maxima", seeds=run.seed),
        Part.counted("ranks that attain it", count, exceptions, whose, seeds=run.seed),
        Part.measured("points that are not orthogonal", others, 1e-11, "excess over it", seeds=run.seed),
        Part.measured("ascents", ends, 1e-10, "excess over it", seeds=evidence.CLIMB_SEED),
        _printed_range(run, fails or _must_fail, essential=True),
    ]
    return Outcome.of(parts)


def _convexity() -> Part:
    """T3's two derivatives from the value itself."""
    import sympy

    s, t, y = sympy.symbols("s t y", positive=True)
    share = t * sympy.log(1 + s / t)
    slope = sympy.simplify(sympy.diff(share, t).subs(s, y * t) - (sympy.log(1 + y) - y / (1 + y)))
    curvature = sympy.simplify(sympy.diff(share, t, 2) + s**2 / t**3 / (1 + s / t) ** 2)
    verdict = Verdict.HOLDS if slope == 0 and curvature == 0 else Verdict.REFUTED
    words = "From t log(1 + s/t) alone: its first derivative by t is log(1+y) − y/(1+y), y = s/t, its second −(s²/t³)/(1+s/t)²."
    return Part("computer algebra", verdict, Evidence.EXACT, words)


def _brute_force(p: Parameters) -> tuple[float, set[tuple[int, ...]]]:
    """The largest Σ (r_k⁺ h(x_k⁺) + r_k⁻ h(x_k⁻)) over all ranks, with the scalar function evaluated at roots of the quadratic
    that `numpy.roots` finds; and the ranks that attain it."""
    capacities = [min(size, p.dim) for size in p.sizes]
    heights = []
    for k in range(p.num_classes):
        rho, ell = float(class_ratio(p, k)), p.ell
        s = np.roots([ell * rho, -(rho - 1 - ell * (1 + rho)), ell])
        s = s[np.isreal(s)].real
        s = s[s > 0]
        heights.append(max((float(0.5 * (np.log1p(t) - np.log1p(rho * t) / rho - ell * t)) for t in s), default=-np.inf))
    values = {
        ranks: sum((r * h for r, h in zip(ranks, heights, strict=True) if r), 0.0)
        for ranks in itertools.product(*(range(capacity + 1) for capacity in capacities))
        if sum(ranks) <= p.dim
    }
    best = max(values.values())
    return best, {ranks for ranks, value in values.items() if value > best - 1e-11}


def benign_landscape_printed(run: Run) -> Outcome:
    """Certified degenerate points at the end of the printed range, and a picture of F along the scaling of a block."""
    series = []
    for _, exact, ranks in DEGENERATE[:3:2]:
        p = float_parameters(exact)
        Z = np.zeros(p.shape)
        k = next(number for number, rank in enumerate(ranks) if rank)
        start, row = sum(p.sizes[:k]), 0
        x = 1 / np.sqrt(p.alpha * p.alphas)
        offset = 0
        for j, rank in enumerate(ranks):
            for column in range(rank):
                Z[row, offset + column] = np.sqrt(x[j])
                row += 1
            offset += p.sizes[j]
        t = np.linspace(-0.3, 0.3, 61)
        moved = []
        for step in t:
            W = Z.copy()
            W[:, start : start + p.sizes[k]] *= 1 + step
            moved.append(closed_form.value(p, W) - closed_form.value(p, Z))
        series.append(Series(f"d = {p.dim}, sizes {p.sizes}", t.tolist(), moved))
    plot = Plot(
        "F along the scaling of one block by 1 + t at a degenerate point (λ = λ_max): it rises on one side with the third "
        "power of t.",
        "Curves with a flat inflection point at t = 0: higher on the left, lower on the right.",
        "t",
        "F − F(Z)",
        tuple(series),
    )
    return Outcome.of(run.certify(), plots=[plot])


def benign_landscape_corrected(run: Run, *, saddle: Callable[[Sample], bool] | None = None) -> Outcome:
    """Certified instances; at found and constructed points, at λ below and beyond λ_max: a positive eigenvalue, or a maximizer
    with no zero eigenvalue beyond its orbit's."""
    is_saddle = saddle or (lambda sample: sample.counts[0] > 0)
    parts = run.certify()
    for name, samples in (("found", evidence.found_points(run)), ("constructed", evidence.constructed_points(run))):
        exceptions, count = [], 0
        for sample in samples:
            limits = sample.problem.thresholds().existence
            if np.isclose(sample.problem.regularization, limits, rtol=1e-9).any():
                continue
            count += 1
            cosine = evidence.block_structure(sample.problem, sample.point.point)[1]
            orthogonal = cosine < 1e-5
            if not orthogonal and not is_saddle(sample):
                exceptions.append(f"{sample.words}: not orthogonal and no saddle")
            elif orthogonal and not is_saddle(sample):
                orbit = sample.family.orbit_dimension if sample.family is not None else -1
                if sample.counts[1] != orbit:
                    exceptions.append(f"{sample.words}: {sample.counts[1]} zero eigenvalues, orbit dimension {orbit}")
        seeds = evidence.FOUND_SEEDS if name == "found" else evidence.CONSTRUCTED_SEED
        parts.append(Part.counted(f"{name} points", count, exceptions, "maximizers or strict saddles", seeds=seeds))
    return Outcome.of(parts)
