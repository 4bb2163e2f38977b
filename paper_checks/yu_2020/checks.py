"""How the statements on rate reduction under norm constraints are checked. A keyword argument of a check is what it puts to the
test; a wrong one must change the verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mcr2_landscape import closed_form
from mcr2_landscape.claims import Outcome, Part, Run, evidence
from mcr2_landscape.claims.evidence import Shape
from mcr2_landscape.landscape import classify
from mcr2_landscape.landscape.classify import CriticalPoint
from mcr2_landscape.mcr2 import MCR2, ConstrainedMCR2
from mcr2_landscape.verdict import Evidence, Kind, Verdict

Found = list[tuple[ConstrainedMCR2, CriticalPoint]]
Setting = tuple[Shape, float]  # dim and sizes, epsilon
SEED = 5
FEWEST = 5  # maximizers that a survey has to see


def _search(run: Run, name: str, settings: Sequence[Setting], constraint: str, starts: int) -> Found:
    """Distinct critical points with ΔR > 0: where it is zero all classes have the same second moments, and the set of minima is
    singular."""

    def work() -> Found:
        found: Found = []
        for shape, epsilon in settings:
            where = ConstrainedMCR2(*shape, epsilon, constraint)
            points = evidence.constrained_points(where, starts, SEED)
            found += [(where, point) for point in points if point.value > 1e-7]
        return found

    return run.shared(name, work)


def _on_spheres(run: Run) -> Found:
    settings: Sequence[Setting] = [
        ((4, (2, 2)), 0.3),
        ((4, (2, 2)), 1.5),
        ((3, (1, 1, 1)), 0.5),  # three classes: critical points that are not orthogonal
        ((5, (2, 3)), 0.6),
        ((3, (1, 2)), 0.5),
        ((4, (1, 1, 2)), 0.5),
        ((6, (2, 2, 2)), 0.5),
        ((6, (3, 3)), 0.4),
    ]
    return _search(run, "spheres", settings[: run.choose(3, 6, 8)], "spheres", run.choose(60, 200, 1000))


def _words(where: ConstrainedMCR2, point: CriticalPoint) -> str:
    values, cosine = evidence.block_structure(where, point.point)
    listed = "; ".join(", ".join(f"{y:.4g}" for y in own) for own in values)
    sizes = ",".join(map(str, where.sizes))
    return f"a {point.kind} at d = {where.dim}, sizes {sizes}, ε = {where.epsilon:g} with y = {listed} and cosine {cosine:.1e}"


def predicted_maximizer(where: ConstrainedMCR2, point: CriticalPoint) -> bool:
    """Orthogonal blocks with equal non-zero singular values, each with r_k = 1 or y_k > 1."""
    values, cosine = evidence.block_structure(where, point.point)
    return cosine < 1e-5 and all(np.ptp(y) < 1e-5 * y[0] and (y.size == 1 or y[0] > 1) for y in values)


def _crowded(where: ConstrainedMCR2, point: CriticalPoint) -> bool:
    """Whether the ranks of the classes add up to more than the dimension."""
    return sum(y.size for y in evidence.block_structure(where, point.point)[0]) > where.dim


def exchange_curvature(s: Any, t: Any, rho: Any) -> Any:
    """The second derivative of the Lagrangian along D (see the statements), s, t = αx and ρst = 1; of numbers or symbols."""
    return 2 * (rho - 1) / rho * (s - t) ** 2 / ((1 + s) * (1 + t)) ** 2


def _exchange() -> bool:
    """That formula by computer algebra. Along Z + τD the two singular values are √x_p + τ√x_q and √x_q − τ√x_p, and the
    Lagrangian is the sum of h over both; the multiplier is that of the critical equation."""
    import sympy

    s, rho = sympy.symbols("s rho", positive=True)
    tau = sympy.Symbol("tau", real=True)
    t = 1 / (rho * s)
    ell = 1 / (1 + s) - 1 / (1 + rho * s)

    def h(u: Any) -> Any:
        return (sympy.log(1 + u) - sympy.log(1 + rho * u) / rho - ell * u) / 2

    value = h((sympy.sqrt(s) + tau * sympy.sqrt(t)) ** 2) + h((sympy.sqrt(t) - tau * sympy.sqrt(s)) ** 2)
    slope, curvature = (sympy.diff(value, tau, order).subs(tau, 0) for order in (1, 2))
    return sympy.simplify(slope) == 0 and sympy.simplify(curvature - exchange_curvature(s, t, rho)) == 0


def _exchange_in_floats(run: Run, curvature: Callable[[Any, Any, Any], Any]) -> Part:
    """The formula against the Hessian of the regularized problem, that of the Lagrangian, at points with two values."""
    rng, errors = np.random.default_rng(run.seed), []
    for _ in range(run.choose(20, 100, 1000)):
        dim, size, other = 4, int(rng.integers(2, 5)), int(rng.integers(1, 5))
        rho = (size + other) / size
        s = float(10 ** rng.uniform(-2, 2)) / np.sqrt(rho)
        t = 1 / (rho * s)
        p = MCR2(dim, (size, other), float(10 ** rng.uniform(-0.5, 0.5)), 1.0).parameters
        p = MCR2(dim, p.sizes, p.epsilon, p.alpha * (1 / (1 + s) - 1 / (1 + rho * s))).parameters
        U, V = (np.linalg.qr(rng.standard_normal((n, n)))[0][:, :2] for n in (dim, size))
        roots = np.sqrt(np.array([s, t]) / p.alpha)
        Z, D = np.zeros(p.shape), np.zeros(p.shape)
        Z[:, :size] = U * roots @ V.T
        D[:, :size] = U * (roots[::-1] * [1, -1]) @ V.T
        measured = D.ravel() @ closed_form.hessian_matrix(p, Z) @ D.ravel()
        errors.append(abs(measured - curvature(s, t, rho)) / (s + t))
    return Part.measured("second derivative along D", errors, 1e-11, "error relative to α‖D‖²", seeds=run.seed, essential=False)


def last_singular_value(run: Run, *, curvature: Callable[[Any, Any, Any], Any] = exchange_curvature) -> Outcome:
    """Two different values in one class leave a direction of ascent, by identities and computer algebra; the formula against
    Hessians at such points; and no maximizer found has them."""
    exact, compared = run.certify_proof(), _exchange_in_floats(run, curvature)
    # The comparison would bring an error in the derivation to light; nothing is refuted then.
    proved = exact.verdict is Verdict.HOLDS and _exchange() and compared.verdict is Verdict.HOLDS
    words = (
        "A critical point with orthogonal blocks and two different non-zero singular values in one class is a strict saddle: "
        f"the second case never occurs. {exact.summary} The second derivative along D is derived from the objective by "
        "computer algebra."
    )
    refuted = Verdict.REFUTED if proved else Verdict.UNDECIDED
    parts = [Part("two values in a class", refuted, Evidence.EXACT, words, exact.figures), compared]
    unequal = [
        _words(where, point)
        for where, point in _on_spheres(run)
        if point.kind is Kind.LOCAL_MAXIMIZER
        and any(np.ptp(y) > 1e-5 * y[0] for y in evidence.block_structure(where, point.point)[0])
    ]
    seen = sum(point.kind is Kind.LOCAL_MAXIMIZER for _, point in _on_spheres(run))
    what = "maximizers, all with equal values in each class"
    parts.append(Part.counted("found maximizers", seen, unequal, what, seeds=SEED, essential=False))
    return Outcome.of(parts)


def maximizers_on_spheres(
    run: Run, *, predicted: Callable[[ConstrainedMCR2, CriticalPoint], bool] = predicted_maximizer
) -> Outcome:
    """Found critical points with d ≥ Σ r_k: local maximizers are exactly those of the form, all others strict saddles."""
    exceptions, count, blurred = [], 0, 0
    for where, point in _on_spheres(run):
        if _crowded(where, point):
            continue
        if point.kind is Kind.UNDECIDED:
            blurred += 1
            continue
        count += 1
        kind = Kind.LOCAL_MAXIMIZER if predicted(where, point) else Kind.STRICT_SADDLE
        if point.kind is not kind:
            exceptions.append(_words(where, point))
    part = Part.counted("found points", count, exceptions, "maximizers are those of the form", seeds=SEED, undecided=blurred)
    return Outcome.of([run.certify_proof(), part])


def overlap(run: Run, *, last: Callable[[np.ndarray], np.ndarray] = np.min) -> Outcome:
    """More classes than dimensions: maximizers overlap, and only in the last eigenspace of ZZᵀ."""
    # Sides that close only a flat triangle, such as 1, 1, 2, make degenerate maximizers, which no search can classify.
    shapes: Sequence[Shape] = [
        (3, (1, 1, 1, 2)),
        (2, (1, 1, 1)),
        (2, (2, 2, 2)),
        (3, (1, 1, 1, 1)),
        (2, (2, 3, 4)),
        (3, (2, 2, 2, 3)),
    ]
    scales = (0.2, 0.3, 0.5, 0.7, 1.0)
    settings = [(shape, epsilon) for shape in shapes[: run.choose(1, 4, 6)] for epsilon in scales]
    exceptions, deficient, count, blurred, informative = [], [], 0, 0, 0
    for where, point in _search(run, "overlap", settings, "spheres", run.choose(60, 150, 600)):
        if point.kind is Kind.UNDECIDED:
            blurred += 1
        if point.kind is not Kind.LOCAL_MAXIMIZER or not _crowded(where, point):
            continue
        count += 1
        values = np.linalg.eigvalsh(point.point @ point.point.T)
        if values[0] < 1e-8 * values[-1]:
            deficient.append(_words(where, point))
        elif values[-1] - values[0] > 1e-5 * values[-1]:  # with a single eigenspace there is nothing to see
            informative += 1
            if not _overlaps_only_last(where, point, last):
                exceptions.append(_words(where, point))
    full = "maximizers that are not orthogonal, of full rank"
    overlaps = "those of several eigenspaces: overlaps in the smallest"
    return Outcome.of(
        [
            Part.counted("full rank", count, deficient, full, seeds=SEED, undecided=blurred),
            Part.counted("overlaps", informative, exceptions, overlaps, seeds=SEED),
        ]
    )


def _overlaps_only_last(where: ConstrainedMCR2, point: CriticalPoint, last: Callable[[np.ndarray], np.ndarray]) -> bool:
    Z = point.point
    values, vectors = np.linalg.eigh(Z @ Z.T)
    where_last = np.abs(values - last(values)) < 1e-5 * values[-1]
    others = vectors[:, ~where_last]
    bases = []
    for block in where.parameters.blocks(Z):
        U, s, _ = np.linalg.svd(block, full_matrices=False)
        U = U[:, s > 1e-6 * s[0]]
        inside = others.T @ U  # the part of the class's column space in the other eigenspaces
        left, t, _ = np.linalg.svd(inside, full_matrices=False)
        if ((t > 1e-4) & (t < 1 - 1e-4)).any():
            return False
        bases.append(left[:, t > 0.5])
    return all(np.abs(a.T @ b).max(initial=0.0) < 1e-4 for i, a in enumerate(bases) for b in bases[:i])


def _open_survey(run: Run, found: Found, form: Callable[[ConstrainedMCR2, CriticalPoint], bool], what: str) -> Outcome:
    """A statement that nobody has proved: refuted by an exception, else open, with what was seen."""
    maximizers = [(where, point) for where, point in found if point.kind is Kind.LOCAL_MAXIMIZER]
    if len(maximizers) < FEWEST:
        raise RuntimeError(f"the search found {len(maximizers)} maximizers; a survey of fewer than {FEWEST} says nothing")
    exceptions = [_words(where, point) for where, point in maximizers if not form(where, point)]
    blurred = sum(point.kind is Kind.UNDECIDED for _, point in found)
    part = Part.counted("found maximizers", len(maximizers), exceptions, what, seeds=SEED, undecided=blurred)
    if part.verdict is Verdict.HOLDS:
        words = f"{part.summary} A survey does not prove the statement; it stays open."
        part = Part(part.name, Verdict.UNDECIDED, part.evidence, words, part.figures)
    return Outcome.of([part])


def crowded(run: Run, *, form: Callable[[ConstrainedMCR2, CriticalPoint], bool] | None = None) -> Outcome:
    """Found maximizers where the ranks of the classes could add up to more than the dimension."""
    shapes: Sequence[Shape] = [(3, (3, 3)), (2, (2, 3)), (3, (2, 2, 2)), (3, (1, 1, 4)), (4, (4, 4)), (4, (2, 3, 4))]
    settings = [(shape, epsilon) for shape in shapes[: run.choose(1, 4, 6)] for epsilon in (0.2, 0.5, 1.0)]
    found = _search(run, "crowded", settings, "spheres", run.choose(60, 150, 800))
    orthogonal = form or (lambda where, point: not _crowded(where, point) and predicted_maximizer(where, point))
    return _open_survey(run, found, orthogonal, "maximizers, all with orthogonal blocks")


def unit_columns(run: Run, *, form: Callable[[ConstrainedMCR2, CriticalPoint], bool] | None = None) -> Outcome:
    """Found maximizers with unit columns."""
    shapes: Sequence[Shape] = [(4, (2, 2)), (5, (2, 3)), (4, (1, 1, 2)), (6, (3, 3)), (6, (2, 2, 2)), (6, (3, 4))]
    settings = [(shape, epsilon) for shape in shapes[: run.choose(1, 4, 6)] for epsilon in (0.3, 0.6, 1.5)]
    found = _search(run, "unit columns", settings, "unit columns", run.choose(60, 150, 800))
    uncrowded = [(where, point) for where, point in found if not _crowded(where, point)]
    return _open_survey(run, uncrowded, form or predicted_maximizer, "maximizers with orthogonal blocks and equal values")


def equivalence(run: Run, *, matched: Callable[[float, float, float], float] | None = None) -> Outcome:
    """The same points classified in either problem: on the spheres, and for the regularized one at the matched λ."""
    rng, exceptions, count = np.random.default_rng(run.seed), [], 0
    shapes = ((4, 2, 2), (5, 2, 3), (6, 3, 2))[: run.choose(2, 3, 3)]  # dimension, classes, samples of each
    rank = 2
    match = matched or (lambda alpha, s, rho: alpha * (1 / (1 + s) - 1 / (1 + rho * s)))
    for _ in range(run.choose(12, 60, 500)):
        dim, classes, size = shapes[int(rng.integers(len(shapes)))]
        epsilon = float(10 ** rng.uniform(-0.6, 0.6))
        spheres = ConstrainedMCR2(dim, (size,) * classes, epsilon, "spheres")
        p = spheres.parameters
        s = p.alpha * size / rank
        if abs(s * np.sqrt(p.ratios[0]) - 1) < 1e-3:
            continue
        Z = _equal_blocks(dim, size, classes, rank, rng)
        regularized = MCR2(dim, (size,) * classes, epsilon, match(p.alpha, s, float(p.ratios[0])))
        kinds = classify(spheres, Z).kind, classify(regularized, Z).kind
        expected = Kind.LOCAL_MAXIMIZER if s * np.sqrt(p.ratios[0]) > 1 else Kind.STRICT_SADDLE
        count += 1
        if kinds != (expected, expected):
            exceptions.append(
                f"d = {dim}, {classes} classes of size {size}, ε = {epsilon:.4g}: {kinds[0]} on spheres, {kinds[1]} regularized"
            )
    part = Part.counted("matched points", count, exceptions, "the same kind in either problem", seeds=run.seed)
    return Outcome.of([run.certify_proof(), part])


def _equal_blocks(dim: int, size: int, classes: int, rank: int, rng: np.random.Generator) -> np.ndarray:
    """Random orthogonal blocks √(m_k/r) U_k V_kᵀ, shape (d, m)."""
    U = np.linalg.qr(rng.standard_normal((dim, dim)))[0]
    blocks = []
    for k in range(classes):
        V = np.linalg.qr(rng.standard_normal((size, rank)))[0]
        blocks.append(np.sqrt(size / rank) * U[:, k * rank : (k + 1) * rank] @ V.T)
    return np.concatenate(blocks, axis=1)
