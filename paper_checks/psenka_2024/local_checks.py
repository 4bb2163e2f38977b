"""How the claims on what is found around a point are checked: the dimension, and the tangent space.

A keyword argument of a check is what it puts to the test; a wrong one must change the verdict.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from mcr2_landscape.claims import Outcome, Part, Plot, Run, Series
from mcr2_landscape.data import manifolds
from mcr2_landscape.data.manifolds import Manifold
from mcr2_landscape.flatnet import estimate_dimension
from mcr2_landscape.flatnet.local import refine
from mcr2_landscape.verdict import Evidence, Verdict
from paper_checks.yu_2023.common import all_of, refuted, some_of, together

_CENTERS = 15
WIDTHS = (0.4, 3.0)  # of kernels, for points up to 1 from the center
_SMALL = 1e-5  # the slope of a line that is nearly the tangent


def diameter(points: np.ndarray) -> float:
    """The greatest distance."""
    squares = np.sum(points * points, axis=1)
    return float(np.sqrt((squares[:, None] + squares - 2 * points @ points.T).max()))


def public_rule(points: np.ndarray, center: np.ndarray, radius: float) -> int:
    """The smallest d at which no point's weighted normal part is further than 0.3 · `radius` from its best quadratic."""
    gamma, offsets = np.log(2) / radius**2, points - center
    first = np.exp(-gamma * np.sum(offsets**2, axis=1))
    k = np.exp(-gamma * np.sum((points - first @ points / first.sum()) ** 2, axis=1))[:, None]
    directions = np.linalg.svd(k * offsets, full_matrices=False)[2].T
    for d in range(1, directions.shape[1]):
        U, (a, b) = directions[:, :d], np.triu_indices(d)
        for _ in range(4):
            c = offsets @ U
            linear = np.linalg.lstsq(k * np.hstack([c, c[:, a] * c[:, b]]), k * (offsets - c @ U.T), rcond=1e-10)[0][:d]
            U = np.linalg.qr(U + linear.T)[0]
        c = offsets @ U
        q, normal = k * c[:, a] * c[:, b], k * (offsets - c @ U.T)
        error = normal - q @ np.linalg.lstsq(q, normal, rcond=1e-4)[0]
        if np.linalg.norm(error, axis=1).max() <= 0.3 * radius:
            return d
    return directions.shape[1]


def hard(seed: int) -> Iterator[Manifold]:
    """A roll whose sheets lie near each other, and a manifold with few points for its dimension."""
    yield manifolds.swiss_roll(600, key=seed)
    yield manifolds.gaussian_process_manifold(6, 50, 500, key=seed)


def easy(seed: int) -> Iterator[Manifold]:
    """Manifolds with points enough around each."""
    yield manifolds.sine_curve(50, key=seed)
    yield manifolds.sphere_cap(np.pi / 3, 300, key=seed)
    for d in (2, 3):
        yield manifolds.gaussian_process_manifold(d, 30, 400, key=seed)


def dimension_mode(run: Run, *, data: Callable[[int], Iterator[Manifold]] = hard) -> Outcome:
    """The mode of the public code's rule over random centers."""
    random, wrong, count, rounds = np.random.default_rng(run.seed), [], 0, run.choose(1, 5, 20)
    for seed in range(rounds):
        for manifold in data(seed):
            X = manifold.points
            radius = 0.15 * diameter(X)
            found = Counter(public_rule(X, X[i], radius) for i in random.choice(len(X), _CENTERS, replace=False))
            mode, votes = found.most_common(1)[0]
            count += 1
            if mode != manifold.dimension:
                wrong.append(f"{mode} at {votes} of {_CENTERS} centers instead of {manifold.dimension} ({manifold.source})")
    return together(Part.counted("mode", count, wrong, "manifolds whose dimension it finds", seeds=list(range(rounds))))


def dimension(run: Run, *, data: Callable[[int], Iterator[Manifold]] | None = None) -> Outcome:
    """The library's estimate on `data`, or on those easy for either rule and rolls; and beside it where it fails."""
    wrong, other, count, others, rounds = [], [], 0, 0, run.choose(2, 8, 60)

    def known(seed: int) -> Iterator[Manifold]:
        yield from easy(seed)
        yield manifolds.swiss_roll(600, key=seed)

    def unlike(seed: int) -> Iterator[Manifold]:
        yield manifolds.random_manifold(2, 10, 300, key=seed, alpha=20.0)
        yield manifolds.gaussian_process_manifold(7, 30, 400, key=seed)

    for seed in range(rounds):
        for manifold in (data or known)(seed):
            found = estimate_dimension(manifold.points, key=seed)
            count += 1
            if found.dimension != manifold.dimension:
                wrong.append(f"{found.dimension} by {found.rule} ({manifold.source})")
        for manifold in unlike(seed) if seed < run.choose(1, 8, 60) else ():
            found, others = estimate_dimension(manifold.points, key=seed), others + 1
            if found.dimension != manifold.dimension:
                other.append(f"{found.dimension} by {found.rule} ({manifold.source})")
    which = list(range(rounds))
    return together(
        Part.counted("dimension", count, wrong, "manifolds whose dimension is found", seeds=which),
        some_of("elsewhere", others, other, "with stronger bends or fewer points for their dimension it is missed", which),
    )


class Parabola(NamedTuple):
    """Points (c, b c²) with weights w, (N,)."""

    b: float
    c: np.ndarray
    w: np.ndarray

    def slopes(self, start: float, steps: int) -> np.ndarray:
        """Of the line that the library's refinement makes of one through the origin with the slope `start`, step by step."""
        points = np.column_stack([self.c, self.b * self.c**2])
        weighted = (points - self.w @ points / self.w.sum()) * self.w[:, None]
        found, basis = [start], np.array([[1.0], [start]]) / np.hypot(1, start)
        for _ in range(steps):
            basis = refine(points, self.w, weighted, basis, 1, 1e-15)[0]
            found.append(float(basis[1, 0] / basis[0, 0]))
        return np.array(found)

    def factor(self) -> float:
        """−2b²β, β the coefficient of c in the weighted regression of c³ on 1, c, c²."""
        columns = np.column_stack([np.ones_like(self.c), self.c, self.c**2]) * self.w[:, None]
        return float(-2 * self.b**2 * np.linalg.lstsq(columns, self.w * self.c**3, rcond=None)[0][1])


def parabola(random: np.random.Generator, widths: tuple[float, float] = WIDTHS) -> Parabola:
    """With a kernel of random width about the points' weighted mean."""
    c, b, gamma = random.uniform(-0.6, 1, 60), random.uniform(0.3, 1.5), np.log(2) / random.uniform(*widths) ** 2
    points = np.column_stack([c, b * c * c])
    near = np.exp(-gamma * np.sum(points**2, axis=1))
    return Parabola(b, c, np.exp(-gamma * np.sum((points - near @ points / near.sum()) ** 2, axis=1)))


def fivefold(run: Run, *, widths: tuple[float, float] = WIDTHS, points: Sequence[float] = (-1, -0.5, 0, 0.5, 1)) -> Outcome:
    """The certified counter-example by the library; and slopes of lines near the tangent of random parabolas, after a step."""
    random, slower, count = np.random.default_rng(run.seed), [], run.choose(60, 400, 4000)
    example = Parabola(1.0, np.array(points), np.ones(len(points)))
    slopes = example.slopes(_SMALL, 1)
    grown = [f"{slopes[1] / slopes[0]:.6g}"] if abs(slopes[1] / slopes[0] + 1.7) < 1e-3 else []
    for _ in range(count):
        slopes = parabola(random, widths).slopes(_SMALL, 1)
        if abs(slopes[1] / slopes[0]) > 0.2:
            slower.append(f"a factor {slopes[1] / slopes[0]:.3f}")
    seen = Verdict.REFUTED if slower else Verdict.UNDECIDED
    words = f"The slope is not divided by five near the tangents of {len(slower)} of {count} parabolas."
    figures = {"samples": count, "exceptions": len(slower), "seeds": run.seed}
    return refuted(
        run,
        all_of("library", 1, grown, "examples in which the slope does not become −1.7 times what it was", None),
        Part("parabolas", seen, Evidence.NUMERICAL, words, figures, essential=False),
    )


def _factors(predicted: list[float], seen: list[float]) -> Plot:
    return Plot(
        "What one refinement multiplies a small error of the tangent line by, for parabolas and kernels of random width, "
        "against the formula. Left of −1 the tangent is left.",
        "The points lie on the diagonal, most of them between −0.7 and 0, and a few beyond −1.",
        "−2b²β",
        "factor seen",
        (Series("parabolas", predicted, seen, "points"),),
        diagonal=True,
    )


def refinement(run: Run, *, power: int = 2) -> Outcome:
    """The factor of the library's steps near the tangent of random parabolas against the formula, with b to `power`; where it
    is below one, whether many steps find the tangent, and where it is above, whether they leave it."""
    random, predicted, seen, stray, decided = np.random.default_rng(run.seed), [], [], [], {"found": 0, "left": 0}
    count = run.choose(60, 400, 4000)
    for _ in range(count):
        own = parabola(random)
        slopes, factor = own.slopes(_SMALL, 1), own.factor()
        predicted.append(factor * own.b ** (power - 2))
        seen.append(float(slopes[1] / slopes[0]))
        if abs(factor) < 0.9:
            decided["found"] += 1
            last = own.slopes(_SMALL, 150)[-1] if decided["found"] <= count // 6 else 0.0
            if abs(last) > 1e-9:
                stray.append(f"slope {last:.2g} though the factor is {factor:.3f}")
        elif abs(factor) > 1.1:
            decided["left"] += 1
            last = np.abs(own.slopes(_SMALL, 20)).max()
            if last < 2 * _SMALL:
                stray.append(f"slopes of at most {last:.2g} though the factor is {factor:.3f}")
    words = f"{decided['found']} parabolas whose tangent is found, and {decided['left']} whose tangent is left"
    errors = np.abs(np.subtract(seen, predicted)).tolist()
    return together(
        run.certify(),
        Part.measured("factor", errors, 2e-3, "the slope's factor less the formula", seeds=run.seed, refuted_beyond=10),
        Part.counted("many steps", decided["found"] + decided["left"], stray, words, seeds=run.seed),
        plots=[_factors(predicted[:100], seen[:100])],
    )
