"""How the theorems of docs/theory.md are checked. A keyword argument of a check is the formula that it puts to the test; a
wrong one must change the verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mcr2_landscape import closed_form
from mcr2_landscape.catalog import Family, Sign, orthogonal_family
from mcr2_landscape.certify import float_parameters
from mcr2_landscape.claims import Outcome, Part, Plot, Run, Series, evidence
from mcr2_landscape.claims.evidence import Sample
from mcr2_landscape.closed_form import Parameters
from mcr2_landscape.verdict import Evidence, Kind, Verdict
from paper_checks.landscape_theory.statements import (
    THRESHOLD_TABLE,
    Space,
    index_formula,
    nullity_formula,
    problem,
)


def numerical(name: str, worst: float, tolerance: float, what: str, *, samples: int, seeds: Any, unit: str = "") -> Part:
    """A part that holds if the worst error seen is within the tolerance, and refutes a hundred times beyond it."""
    beyond = Verdict.REFUTED if worst > 100 * tolerance else Verdict.UNDECIDED
    verdict = Verdict.HOLDS if worst <= tolerance else beyond
    figures = {"tolerance": tolerance, "worst": worst, "samples": samples, "seeds": seeds}
    return Part(name, verdict, Evidence.NUMERICAL, f"{what}: worst {worst:.2g}{unit} over {samples} samples.", figures)


def counted(name: str, samples: int, exceptions: Sequence[str], what: str, *, seeds: Any, open_points: int = 0) -> Part:
    """A part that is refuted by one exception, and holds without any if at most a twentieth of the points could not be
    decided."""
    if exceptions:
        verdict = Verdict.REFUTED
    else:
        verdict = Verdict.HOLDS if samples and 20 * open_points <= samples + open_points else Verdict.UNDECIDED
    words = f"{what}: {samples} points, " + (
        f"{len(exceptions)} exceptions, the first {exceptions[0]}" if exceptions else "no exception"
    )
    words += f"; {open_points} more could not be decided." if open_points else "."
    figures = {"samples": samples, "exceptions": len(exceptions), "undecided": open_points, "seeds": seeds}
    return Part(name, verdict, Evidence.NUMERICAL, words, figures)


def _random_points(seed: int, count: int) -> list[tuple[Parameters, np.ndarray]]:
    """Random problems and points, scaled so that every term of the objective matters."""
    rng = np.random.default_rng(seed)
    shapes = [(3, (2, 4)), (4, (1, 3, 2))]
    found = []
    for number in range(count):
        dim, sizes = shapes[number % len(shapes)]
        p = Parameters(dim, sizes, float(10 ** rng.uniform(-1, 1)), 1.0)
        p = Parameters(dim, sizes, p.epsilon, float(p.alpha * 10 ** rng.uniform(-2, 0)))
        found.append((p, 10 ** rng.uniform(-1, 0.7) / np.sqrt(p.alpha) * rng.standard_normal(p.shape)))
    return found


def derivatives(
    run: Run,
    *,
    gradient: Callable[[Parameters, np.ndarray], np.ndarray] = closed_form.gradient,
    hessian: Callable[[Parameters, np.ndarray], np.ndarray] = closed_form.hessian_matrix,
) -> Outcome:
    """Closed forms against automatic differentiation of the value, whose program has nothing in common with them."""
    import jax
    import jax.numpy as jnp

    def value(Z: Any, sizes: tuple[int, ...], alpha: Any, regularization: Any) -> Any:
        def logdet(block: Any, scale: Any) -> Any:
            return jnp.linalg.slogdet(jnp.eye(block.shape[0], dtype=block.dtype) + scale * block @ block.T)[1]

        total, start, m = 0.5 * logdet(Z, alpha) - 0.5 * regularization * jnp.sum(Z * Z), 0, sum(sizes)
        for size in sizes:
            total -= 0.5 * (size / m) * logdet(Z[:, start : start + size], alpha * (m / size))
            start += size
        return total

    with jax.enable_x64(True):
        first = jax.jit(jax.grad(value), static_argnums=1)
        second = jax.jit(jax.hessian(value), static_argnums=1)
        worst = [0.0, 0.0]
        points = _random_points(run.seed, run.choose(30, 120, 1500))
        for p, Z in points:
            alpha, weight = jnp.asarray(p.alpha), jnp.asarray(p.regularization)
            scale = closed_form.gradient_and_scale(p, Z)[1]
            difference = np.abs(gradient(p, Z) - np.asarray(first(jnp.asarray(Z), p.sizes, alpha, weight))).max()
            worst[0] = max(worst[0], float(difference) / scale)
            H = np.asarray(second(jnp.asarray(Z), p.sizes, alpha, weight)).reshape(Z.size, Z.size)
            worst[1] = max(worst[1], float(np.abs(hessian(p, Z) - H).max()) / (9 / 8 * p.alpha + p.regularization))
    parts = [
        numerical(
            f"{name} against automatic differentiation", error, 1e-10, "relative error", samples=len(points), seeds=run.seed
        )
        for name, error in zip(("gradient", "Hessian"), worst, strict=True)
    ]
    return Outcome.of(parts)


def proof(run: Run, name: str = "proof, step by step") -> Part:
    """The claim's identities, as one part: exact if all are certified."""
    parts = [part for part in run.certify() if part.verdict is not Verdict.HOLDS]
    cases = [case for case in run.claim.cases if case.statement.kind == "identity"]
    if parts:
        return Part(name, Verdict.UNDECIDED, Evidence.EXACT, " ".join(part.summary for part in parts))
    words = " ".join(case.words for case in cases)
    return Part(
        name,
        Verdict.HOLDS,
        Evidence.EXACT,
        f"{len(cases)} identities, each with a certificate. {words}",
        {"identities": len(cases)},
    )


def scalar_equation(run: Run) -> Outcome:
    """The identities, each with a certificate, and once more by computer algebra."""
    import sympy

    s, q, ell, rho = sympy.symbols("s q ell rho", positive=True)
    h = (sympy.log(1 + s) - sympy.log(1 + rho * s) / rho - ell * s) / 2
    y = rho * s
    slope = sympy.simplify(sympy.diff(h, rho) - (sympy.log(1 + y) - y / (1 + y)) / (2 * rho**2))
    critical = sympy.numer(sympy.together(2 * sympy.diff(h, s)))
    quadratic = ell * rho * s**2 - (rho - 1 - ell * (1 + rho)) * s + ell
    same = sympy.expand(critical + quadratic) == 0 or sympy.expand(critical - quadratic) == 0
    double = sympy.simplify((1 / (1 + s) - 1 / (1 + q**2 * s)).subs(s, 1 / q) - (q - 1) / (q + 1))
    verdict = Verdict.HOLDS if slope == 0 and same and double == 0 else Verdict.REFUTED
    algebra = Part(
        "computer algebra",
        verdict,
        Evidence.EXACT,
        "From h alone: h' = 0 is the quadratic, s = 1/√ρ solves it at the threshold, and ∂h/∂ρ is the bracket over 2ρ².",
    )
    return Outcome.of([proof(run), algebra], certificates=run.certificates)


def _spaces(family: Family) -> list[Space]:
    return [Space(e.dimension, e.ranks, e.sign is Sign.LARGE, e.symmetric_commutant, e.double) for e in family.eigenspaces]


def fusion_frames(run: Run, *, share: Callable[[Parameters, int], float] = lambda p, k: p.sizes[k]) -> Outcome:
    """Certified points of several kinds of frames; and at found points the frame's equations, taken from singular value and
    eigenvalue decompositions alone."""
    worst, count, starts, unlisted, exceptions = 0.0, 0, 0, 0, []
    for sample in evidence.found_points(run):
        error, orthogonal = _frame_error(sample, share)
        worst, count, starts = max(worst, error), count + 1, starts + sample.point.count
        if sample.family is None:
            unlisted += 1
        elif orthogonal != sample.family.is_orthogonal or (len(sample.problem.sizes) == 2 and not orthogonal):
            exceptions.append(sample.words)
    parts = run.certify()
    parts.append(
        numerical(
            "equations of a frame at found points", worst, 1e-6, "relative error", samples=count, seeds=evidence.FOUND_SEEDS
        )
    )
    what = f"orbits, found from {starts} starts, in families that theory lists"
    listed = count - unlisted
    parts.append(counted("listed families", listed, exceptions, what, seeds=evidence.FOUND_SEEDS, open_points=unlisted))
    return Outcome.of(parts, certificates=run.certificates)


def _frame_error(sample: Sample, share: Callable[[Parameters, int], float]) -> tuple[float, bool]:
    """How far Z is from Σ x_k P_k = μI with x_k proportional to the share of class k, and from (★); and whether it is
    orthogonal."""
    p, Z = sample.problem.parameters, sample.point.point
    values, vectors = np.linalg.eigh(p.alpha * Z @ Z.T)
    resolvent = 1 / (1 + values)
    order = np.argsort(resolvent)
    cuts = np.flatnonzero(np.diff(resolvent[order]) > 1e-5) + 1
    worst = 0.0
    for group in np.split(order, cuts):
        E, mu = vectors[:, group], float(values[group].mean())
        if mu < 1e-7:
            continue
        parts = [p.alpha * E.T @ block @ block.T @ E for block in p.blocks(Z)]
        weight, used = 0.0, []
        for k, part in enumerate(parts):
            eigenvalues = np.linalg.eigvalsh(part)
            high = eigenvalues[eigenvalues > 1e-5 * mu]
            if high.size:
                used.append((k, float(high.mean())))
                weight += high.size * p.sizes[k]
                worst = max(worst, float(np.ptp(high)) / mu)
        if not used:
            return 1.0, False
        first = used[0][1] / share(p, used[0][0])
        worst = max(worst, *(abs(x / share(p, k) / first - 1) for k, x in used))
        ratio = group.size * p.num_samples / weight
        a = 1 / (1 + mu)
        star = p.ell * ratio / (ratio - 1)
        worst = max(worst, abs(a * (1 + p.ell - a) - star) / star * min(1.0, star))
    return worst, evidence.block_structure(sample.problem, Z)[1] < 1e-5


def index_formula_holds(
    run: Run,
    *,
    index: Callable[[int, Sequence[Space]], int] = index_formula,
    nullity: Callable[[int, Sequence[int], Sequence[Space]], int] = nullity_formula,
) -> Outcome:
    """Certified inertia at constructed frames of every kind, and numerical inertia at random members of listed families and at
    found points."""
    parts = run.certify()
    plots = []
    for name, samples in (("constructed", evidence.constructed_points(run)), ("found", evidence.found_points(run))):
        pairs, exceptions, blurred, starts = [], [], 0, 0
        for sample in samples:
            starts += sample.point.count
            if sample.family is None:
                blurred += 1
                continue
            spaces = _spaces(sample.family)
            if any(space.double for space in spaces):
                continue
            p = sample.problem.parameters
            predicted = index(p.dim, spaces), nullity(p.dim, p.sizes, spaces)
            theory = sample.family.index, sample.family.nullity
            if predicted != sample.counts:
                # A band that holds more than the predicted zeros is unresolved only where theory agrees with the prediction.
                if predicted == theory and sample.counts[1] > predicted[1] and sample.counts[0] <= predicted[0]:
                    blurred += 1
                else:
                    exceptions.append(f"{sample.words}: predicted {predicted}, counted {sample.counts}")
            pairs.append((predicted[0], sample.counts[0]))
        seeds = evidence.FOUND_SEEDS if name == "found" else evidence.CONSTRUCTED_SEED
        what = "index and nullity as predicted" + (f", at orbits found from {starts} starts" if name == "found" else "")
        parts.append(counted(f"{name} points", len(pairs), exceptions, what, seeds=seeds, open_points=blurred))
        spots = Counter(pairs)
        x, y = zip(*spots, strict=True) if spots else ((), ())
        plots.append(Series(f"{name} points", x, y, "points"))
    plot = Plot(
        "Index by the formula, and positive eigenvalues counted in floating point: all points lie on the diagonal.",
        "Scatter plot of counted against predicted index; the points lie on the diagonal.",
        "index by the formula",
        "positive eigenvalues",
        tuple(plots),
        diagonal=True,
    )
    return Outcome.of(parts, plots=[plot], certificates=run.certificates)


def _orthogonal_members(run: Run, count: int) -> list[tuple[Family, np.ndarray]]:
    """Random orthogonal families with a random member."""
    rng = np.random.default_rng(run.seed)
    members = []
    while len(members) < count:
        classes = int(rng.integers(2, 5))
        sizes = tuple(int(size) for size in rng.integers(1, 6, classes))
        dim = int(rng.integers(1, 7))
        where = evidence.at_fraction((dim, sizes), float(10 ** rng.uniform(-1, 1)), float(rng.uniform(0.05, 0.95)))
        left, large, small = dim, [], []
        for size in sizes:
            own = int(rng.integers(0, min(size, left) + 1))
            up = int(rng.integers(0, own + 1))
            large.append(up)
            small.append(own - up)
            left -= own
        family = orthogonal_family(where.parameters, large=large, small=small)
        members.append((family, family.point(key=rng)))
    return members


def exact_spectrum(run: Run, *, table: Callable[[Family], Any] = lambda family: family.spectrum()) -> Outcome:
    """The table against dense eigenvalues at random members."""
    worst, members = 0.0, _orthogonal_members(run, run.choose(60, 400, 4000))
    for family, Z in members:
        p = family.parameters
        spectrum = table(family)
        predicted = np.sort(np.repeat(spectrum.eigenvalues, spectrum.multiplicities))
        computed = np.linalg.eigvalsh(closed_form.hessian_matrix(p, Z))
        scale = 9 / 8 * p.alpha + p.regularization
        if predicted.size != computed.size:
            worst = np.inf
            break
        worst = max(worst, float(np.abs(predicted - computed).max()) / scale)
    dense = numerical("table against dense eigenvalues", worst, 1e-11, "relative error", samples=len(members), seeds=run.seed)
    return Outcome.of([proof(run), dense], certificates=run.certificates)


def morse_bott(run: Run, *, dimension: Callable[[Family], int] = lambda family: family.orbit_dimension) -> Outcome:
    """Certificates prove nullity = orbit dimension; beside them, ranks of tangent vectors and eigenvalues at random members."""
    exceptions, members = [], _orthogonal_members(run, run.choose(60, 400, 4000))
    for family, Z in members:
        p = family.parameters
        values = np.linalg.eigvalsh(closed_form.hessian_matrix(p, Z))
        nullity = int((np.abs(values) < 1e-11 * (9 / 8 * p.alpha + p.regularization)).sum())
        if not nullity == dimension(family) == _tangent_rank(p, Z):
            exceptions.append(
                f"{family.label}: nullity {nullity}, orbit dimension {dimension(family)}, rank {_tangent_rank(p, Z)}"
            )
    parts = [
        *run.certify(),
        counted("random members", len(members), exceptions, "nullity equals orbit dimension", seeds=run.seed),
    ]
    return Outcome.of(parts, certificates=run.certificates)


def _tangent_rank(p: Parameters, Z: np.ndarray) -> int:
    generators = closed_form.orbit_tangent(p, Z)
    norms = np.linalg.norm(generators, axis=0)
    kept = generators[:, norms > 1e-9 * max(float(np.linalg.norm(Z)), 1e-300)]
    if not kept.size:
        return 0
    return int(np.linalg.matrix_rank(kept / np.linalg.norm(kept, axis=0), tol=1e-7))


def vanishing_classes(run: Run, *, threshold: Callable[[Parameters, int], float] | None = None) -> Outcome:
    """Found points at lambda between the thresholds and above them all."""
    exceptions, beyond, above = [], 0, 0
    for sample in evidence.found_points(run):
        p = sample.problem.parameters
        limits = sample.problem.thresholds().existence if threshold is None else [threshold(p, k) for k in range(p.num_classes)]
        gone = [p.regularization > limit * (1 + 1e-6) for limit in limits]
        scale = np.sqrt(p.alpha)
        for k, block in enumerate(p.blocks(sample.point.point)):
            if gone[k]:
                beyond += 1
                if scale * np.abs(block).max() > 1e-6:
                    exceptions.append(f"class {k + 1} of {sample.words}")
        above += all(gone)
    part = counted(
        "found points", beyond, exceptions, "blocks of classes beyond their threshold, all zero", seeds=evidence.FOUND_SEEDS
    )
    last = Part(
        "above the last threshold",
        Verdict.HOLDS if above else Verdict.UNDECIDED,
        Evidence.NUMERICAL,
        f"{above} points were found where every class is beyond its threshold; all their blocks are among those of the first "
        "part.",
        {"samples": above},
    )
    return Outcome.of([part, last])


def value_threshold(run: Run) -> Outcome:
    """Certified intervals; and a picture of the value of a direction as lambda grows."""
    from fractions import Fraction

    from mcr2_landscape.catalog.scalar import direction_value, existence_threshold

    series = []
    for text, *_ in THRESHOLD_TABLE[1::2]:
        ratio = Fraction(text)
        limit = existence_threshold(ratio)
        x = np.linspace(0.7, 1.0, 61)
        y = [direction_value(ratio, Fraction(t * limit)) for t in x]
        kept = [(float(t), float(v) / limit) for t, v in zip(x, y, strict=True) if v is not None]
        series.append(Series(f"ρ = {text}", [t for t, _ in kept], [v for _, v in kept]))
    plot = Plot(
        "The value of a direction at its large root, over ℓ at the threshold: it crosses zero before the direction ceases to "
        "exist.",
        "Falling curves that cross zero between 0.86 and 0.97 of the threshold.",
        "λ/λ_k",
        "h(x⁺)/(λ_k/α)",
        tuple(series),
    )
    return Outcome.of(run.certify(), plots=[plot], certificates=run.certificates)


def curvature_bound(run: Run, *, bound: float = 9 / 8) -> Outcome:
    """The two inequalities of the proof as identities; eigenvalues at points that are made to come near the bound; ascent at
    1/L."""
    rng = np.random.default_rng(run.seed)
    worst, count, ratios = -np.inf, 0, []
    for size in (1, 2, 10, 100, 1000):
        # One direction of the smallest class with α_k x = 3: its own term curves by +α/8, the whole by almost α.
        p = Parameters(2, (1, size), 1.0, 1e-3)
        Z = np.zeros(p.shape)
        Z[0, 0] = np.sqrt(3 / p.alphas[0])
        small = Parameters(2, (1, size), 1.0, 1e-3, (1, min(size, 2)))
        top = (
            float(np.linalg.eigvalsh(closed_form.hessian_matrix(small, Z[:, : 1 + min(size, 2)]))[-1] + p.regularization)
            / p.alpha
        )
        worst, count = max(worst, top - bound), count + 1
        ratios.append((1.0 + size, top))
    for p, Z in _random_points(run.seed, run.choose(60, 300, 3000)):
        values = np.linalg.eigvalsh(closed_form.hessian_matrix(p, Z)) + p.regularization
        worst, count = max(worst, float(np.abs(values).max()) / p.alpha - bound), count + 1
    eigenvalues = numerical("eigenvalues", max(worst, 0.0), 1e-12, "excess over the bound, in α", samples=count, seeds=run.seed)
    drop, steps = 0.0, 0
    for _ in range(run.choose(10, 40, 400)):
        ((p, Z),) = _random_points(int(rng.integers(2**32)), 1)
        step, value = 1 / (bound * p.alpha + p.regularization), closed_form.value(p, Z)
        for _ in range(40):
            Z = Z + step * closed_form.gradient(p, Z)
            following = closed_form.value(p, Z)
            drop, value, steps = max(drop, value - following), following, steps + 1
    ascent = numerical("ascent at the step 1/L", drop, 1e-12, "largest decrease of F", samples=steps, seeds=run.seed)
    plot = Plot(
        "The largest eigenvalue, over α, at a point with one direction of a class: it comes near 9/8 as the class's share of "
        "the samples falls.",
        "A rising curve that approaches 1.125.",
        "ρ = m/m_k",
        "(largest eigenvalue + λ)/α",
        (
            Series("one direction with α_k x = 3", [x for x, _ in ratios], [y for _, y in ratios]),
            Series("bound", [2, 1001], [bound, bound]),
        ),
        log="x",
    )
    return Outcome.of([proof(run), eigenvalues, ascent], plots=[plot], certificates=run.certificates)


def ascent_from_random_starts(run: Run, *, ends: tuple[Kind, ...] = (Kind.LOCAL_MAXIMIZER,)) -> Outcome:
    """Where ascents end, by initial scale."""
    exceptions, done, unfinished = [], 0, 0
    table: dict[float, Counter[str]] = {scale: Counter() for scale in evidence.SCALES}
    for climb in evidence.climbs(run):
        if not climb.ascent.converged:
            unfinished += 1
            continue
        done += 1
        if climb.end.kind not in ends:
            exceptions.append(f"{climb.end.kind} {climb.end.family} from scale {climb.scale:g}: {climb.end.reason}")
        table[climb.scale]["zero" if climb.collapsed else "other"] += 1
    part = counted(
        "ends of ascents",
        done,
        exceptions,
        "ascents that ended at a local maximizer",
        seeds=evidence.CLIMB_SEED,
        open_points=unfinished,
    )
    shares = {scale: count["zero"] / max(1, count.total()) for scale, count in table.items()}
    collapse = Part(
        "collapse to zero",
        Verdict.HOLDS,
        Evidence.NUMERICAL,
        "Share of ascents that end at Z = 0, by the root mean square entry of √α Z at the start: "
        + ", ".join(f"{scale:g}: {share:.0%}" for scale, share in shares.items())
        + ".",
        {
            "collapsed": {f"{scale:g}": share for scale, share in shares.items()},
            "tolerance": None,
            "seeds": evidence.CLIMB_SEED,
        },
        essential=False,
    )
    plot = Plot(
        "Share of ascents that collapse to Z = 0. Starts of small norm lie in its basin.",
        "The share falls from one at small initial scales to zero at large ones.",
        "root mean square entry of √α Z at the start",
        "share that ends at Z = 0",
        (Series("share", list(shares), list(shares.values())),),
        log="x",
    )
    return Outcome.of([part, collapse], plots=[plot])


RATE_PROBLEMS = (
    (problem(4, (3, 4), "1/2", "3/10"), (2, 1), (1, 2)),
    (problem(3, (2, 2, 2), "1/2", "2/5"), (1, 1, 1), (0, 1, 1)),
    (problem(5, (2, 3, 4), "1", "1/2"), (2, 1, 1), (1, 1, 1)),
)


def local_rate(run: Run, *, rate: Callable[[float, np.ndarray], float] | None = None) -> Outcome:
    """Gradient ascent from near maximizers, once slower and once faster than 1/L, against the spectrum in closed form."""
    predicted_rate = rate or (lambda step, nonzero: float(np.abs(1 - step * np.abs(nonzero)).max()))
    pairs, rng = [], np.random.default_rng(run.seed)
    for exact, large, _ in RATE_PROBLEMS:
        family = orthogonal_family(float_parameters(exact), large=large)
        p, values = family.parameters, family.spectrum().eigenvalues
        nonzero = values[np.abs(values) > 0]
        for factor in run.choose((0.9, 1.6), (0.5, 0.9, 1.3, 1.6), (0.3, 0.5, 0.7, 0.9, 1.1, 1.3, 1.6, 1.8)):
            step = factor / float(np.abs(nonzero).max())
            Z = family.point(key=rng)
            Z = Z + 1e-3 * np.linalg.norm(Z) * rng.standard_normal(Z.shape) / np.sqrt(Z.size)
            norms = []
            for _ in range(20_000):
                G = closed_form.gradient(p, Z)
                norms.append(float(np.linalg.norm(G)))
                if norms[-1] < 1e-11 * norms[0]:
                    break
                Z = Z + step * G
            late = norms[len(norms) // 2 : max(len(norms) // 2 + 2, int(0.9 * len(norms)))]
            measured = (late[-1] / late[0]) ** (1 / (len(late) - 1))
            pairs.append((predicted_rate(step, nonzero), measured))
    return _rates("contraction a step", pairs, run, 0.01)


def saddle_escape_rate(run: Run, *, rate: Callable[[float, float], float] = lambda step, kappa: 1 + step * kappa) -> Outcome:
    """Gradient ascent from near strict saddles: growth along the steepest directions while the distance is still small, against
    the largest eigenvalue in closed form."""
    pairs, rng = [], np.random.default_rng(run.seed)
    for exact, large, small in RATE_PROBLEMS:
        counts = [max(0, up - down) for up, down in zip(large, small, strict=True)]
        family = orthogonal_family(float_parameters(exact), large=counts, small=small)
        p, kappa = family.parameters, float(family.spectrum().eigenvalues[-1])
        step = 1 / (9 / 8 * p.alpha + p.regularization)
        for _ in range(run.choose(2, 6, 40)):
            start = family.point(key=rng)
            values, vectors = np.linalg.eigh(closed_form.hessian_matrix(p, start))
            steepest = vectors[:, values > values[-1] - 1e-6 * abs(values[-1])]
            # A generic start: displaced in all directions.
            Z = start + 1e-12 * np.linalg.norm(start) * rng.standard_normal(start.shape)
            sizes = []
            for _ in range(20_000):
                sizes.append(float(np.linalg.norm(steepest.T @ (Z - start).ravel())))
                if sizes[-1] > 1e-4 * np.linalg.norm(start):
                    break
                Z = Z + step * closed_form.gradient(p, Z)
            late = sizes[int(0.75 * len(sizes)) : int(0.97 * len(sizes))]
            pairs.append((rate(step, kappa), (late[-1] / late[0]) ** (1 / (len(late) - 1))))
    return _rates("growth a step", pairs, run, 0.01)


def _rates(name: str, pairs: Sequence[tuple[float, float]], run: Run, tolerance: float) -> Outcome:
    """The logarithms of predicted and measured factors, compared relative to their size."""
    errors = [abs(np.log(measured) / np.log(predicted) - 1) if predicted > 0 else np.inf for predicted, measured in pairs]
    worst = float(max(errors))
    verdict = Verdict.HOLDS if worst <= tolerance else (Verdict.REFUTED if worst > 5 * tolerance else Verdict.UNDECIDED)
    figures = {"tolerance": tolerance, "worst": worst, "samples": len(pairs), "seeds": run.seed}
    words = f"Rates (logarithms of the factor a step) differ by at most {worst:.1%} over {len(pairs)} runs."
    part = Part(name, verdict, Evidence.NUMERICAL, words, figures)
    plot = Plot(
        f"Predicted and measured {name}.",
        "Scatter plot of measured against predicted factors; the points lie on the diagonal.",
        f"{name}, exact spectrum",
        "measured",
        (Series("runs", [float(x) for x, _ in pairs], [float(y) for _, y in pairs], "points"),),
        diagonal=True,
    )
    return Outcome.of([part], plots=[plot])
