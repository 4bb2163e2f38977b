"""How the theorems on gradient ascent are checked: the bound on the curvature, where ascents end, and how fast. A
keyword argument of a check is the formula that it puts to the test; a wrong one must change the verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from mcr2_landscape import closed_form
from mcr2_landscape.catalog import orthogonal_family
from mcr2_landscape.certify import float_parameters
from mcr2_landscape.claims import Outcome, Part, Plot, Run, Series, evidence
from mcr2_landscape.closed_form import Parameters
from mcr2_landscape.verdict import Evidence, Kind, Verdict
from paper_checks.landscape_theory.statements import problem


def curvature_bound(run: Run, *, bound: float = 9 / 8) -> Outcome:
    """The two inequalities of the proof as identities; eigenvalues at points that are made to come near the bound; ascent at
    1/L."""
    rng = np.random.default_rng(run.seed)
    excess, ratios = [], []
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
        excess.append(np.maximum(0.0, top - bound))
        ratios.append((1.0 + size, top))
    for p, Z in evidence.random_points(run.seed, run.choose(60, 300, 3000)):
        values = np.linalg.eigvalsh(closed_form.hessian_matrix(p, Z)) + p.regularization
        excess.append(np.maximum(0.0, np.abs(values).max() / p.alpha - bound))
    eigenvalues = Part.measured("eigenvalues", excess, 1e-12, "excess over the bound, in α", seeds=run.seed)
    drops = []
    for _ in range(run.choose(10, 40, 400)):
        ((p, Z),) = evidence.random_points(int(rng.integers(2**32)), 1)
        step, value = 1 / (bound * p.alpha + p.regularization), closed_form.value(p, Z)
        for _ in range(40):
            Z = Z + step * closed_form.gradient(p, Z)
            following = closed_form.value(p, Z)
            drops.append(np.maximum(0.0, value - following))
            value = following
    ascent = Part.measured("ascent at the step 1/L", drops, 1e-12, "decrease of F in a step", seeds=run.seed)
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
    return Outcome.of([run.certify_proof(), eigenvalues, ascent], plots=[plot])


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
    what = "ascents that ended at a local maximizer"
    part = Part.counted("ends of ascents", done, exceptions, what, seeds=evidence.CLIMB_SEED, undecided=unfinished)
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
    what = "relative error of the logarithm of the factor"
    part = Part.measured(name, errors, tolerance, what, seeds=run.seed, refuted_beyond=5)
    plot = Plot(
        f"Predicted and measured {name}.",
        "Scatter plot of measured against predicted factors; the points lie on the diagonal.",
        f"{name}, exact spectrum",
        "measured",
        (Series("runs", [float(x) for x, _ in pairs], [float(y) for _, y in pairs], "points"),),
        diagonal=True,
    )
    return Outcome.of([part], plots=[plot])
