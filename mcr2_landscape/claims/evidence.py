"""Numerical evidence on landscapes that several claims share: critical points found and constructed, and ascents.

Everything here is made once for each process and profile (see `Run.shared`), since the compiled programs are what takes time.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mcr2_landscape.catalog import Family
from mcr2_landscape.claims.run import Run
from mcr2_landscape.closed_form import Parameters
from mcr2_landscape.landscape import ascend, classify, find_critical_points
from mcr2_landscape.landscape.ascend import Ascent
from mcr2_landscape.landscape.classify import CriticalPoint
from mcr2_landscape.mcr2 import MCR2, ConstrainedMCR2

Shape = tuple[int, tuple[int, ...]]

# Where each kind of evidence takes its randomness from; the parts of a verdict name it.
FOUND_SEEDS = "1000 i + j for the j-th lambda of the i-th shape"
CONSTRUCTED_SEED, CLIMB_SEED = 7, 11


@dataclass(frozen=True)
class Sample:
    """A classified critical point, and the family that theory says it belongs to (`None` if it lists none)."""

    problem: MCR2
    point: CriticalPoint
    family: Family | None

    @property
    def counts(self) -> tuple[int, int]:
        """The numbers of eigenvalues that are positive, and that are zero to within the precision of the computation; theory
        has no part in them."""
        inertia = self.point.inertia
        return inertia.positive, inertia.zero + inertia.undecided

    @property
    def words(self) -> str:
        """The point's problem, for a reader."""
        p = self.problem.parameters
        sizes = ",".join(map(str, p.sizes))
        label = "a point that theory does not list" if self.family is None else self.family.label
        return f"{label} at d = {p.dim}, sizes {sizes}, ε = {p.epsilon:g}, λ = {p.regularization:.6g}"


@dataclass(frozen=True)
class Climb:
    """One ascent: where it started (`scale` is the root mean square of the entries of √α Z at the start) and where it ended."""

    problem: MCR2
    scale: float
    ascent: Ascent
    end: CriticalPoint

    @property
    def collapsed(self) -> bool:
        """Whether it ended at Z = 0."""
        return not self.end.point.any()


def random_points(seed: int, count: int) -> list[tuple[Parameters, np.ndarray]]:
    """Problems and points drawn at random, scaled so that every term of the objective matters."""
    rng = np.random.default_rng(seed)
    shapes = [(3, (2, 4)), (4, (1, 3, 2))]
    found = []
    for number in range(count):
        dim, sizes = shapes[number % len(shapes)]
        p = Parameters(dim, sizes, float(10 ** rng.uniform(-1, 1)), 1.0)
        p = Parameters(dim, sizes, p.epsilon, float(p.alpha * 10 ** rng.uniform(-2, 0)))
        found.append((p, 10 ** rng.uniform(-1, 0.7) / np.sqrt(p.alpha) * rng.standard_normal(p.shape)))
    return found


def at_fraction(shape: Shape, epsilon: float, fraction: float) -> MCR2:
    """The problem whose lambda is this fraction of lambda_max."""
    dim, sizes = shape
    return MCR2(dim, sizes, epsilon, fraction * MCR2(dim, sizes, epsilon, 1.0).regularization_limit)


def found_points(run: Run) -> list[Sample]:
    """Critical points of every index that a search finds: several problems, lambda below lambda_max, between the thresholds of
    the classes, and above them all."""
    return run.shared("found points", lambda: _found(run))


def _found(run: Run) -> list[Sample]:
    every: Sequence[Shape] = [(3, (1, 2, 4)), (3, (2, 2, 2)), (3, (2, 3)), (4, (3, 4, 5)), (4, (2, 2, 2, 3)), (5, (2, 3))]
    shapes = every[: run.choose(2, 5, 6)]
    starts = run.choose(50, 200, 1000)
    samples = []
    for number, shape in enumerate(shapes):
        limits = np.sort(at_fraction(shape, 0.5, 1.0).thresholds().existence)
        between = [float(np.sqrt(x * y)) / limits[0] for x, y in itertools.pairwise(np.unique(limits))]
        fractions = [*run.choose((0.4,), (0.1, 0.4, 0.9), (0.01, 0.1, 0.4, 0.7, 0.99)), *between]
        fractions += [float(factor * limits[-1] / limits[0]) for factor in (1.02, 3.0, 30.0)]
        for place, fraction in enumerate(fractions):
            problem = at_fraction(shape, 0.5, float(fraction))
            found = find_critical_points(problem, key=1000 * number + place, num_starts=starts)
            samples += [_sample(problem, point) for point in found.distinct]
    return samples


def constructed_points(run: Run) -> list[Sample]:
    """Random members of families of every kind that theory lists, with sizes from one, lambda from 1e-6 of lambda_max to
    almost all of it."""
    return run.shared("constructed points", lambda: _constructed(run))


def _constructed(run: Run) -> list[Sample]:
    rng = np.random.default_rng(CONSTRUCTED_SEED)
    shapes: Sequence[Shape] = [(3, (2, 2, 2)), (4, (3, 4, 5)), (4, (1, 1, 8)), (5, (3, 4)), (5, (2, 2, 2, 3)), (2, (1, 1))]
    fractions, count = run.choose((0.2, 0.999), (1e-6, 0.2, 0.6, 0.999), (1e-6, 1e-3, 0.2, 0.6, 0.999)), run.choose(12, 40, 300)
    samples = []
    for shape in shapes:
        for fraction in fractions:
            problem = at_fraction(shape, float(10 ** rng.uniform(-0.5, 0.3)), fraction)
            families = list(itertools.islice(problem.catalog(), 20 * count))
            for place in rng.permutation(len(families))[:count]:
                family = families[int(place)]
                samples.append(Sample(problem, classify(problem, family.point(key=rng)), family))
    return samples


def _sample(problem: MCR2, point: CriticalPoint) -> Sample:
    known = problem.recognize(point.point)
    return Sample(problem, point, None if known is None else known.family)


def climbs(run: Run) -> list[Climb]:
    """Ascents from random starts over a range of initial scales, below lambda_max."""
    return run.shared("climbs", lambda: _climbs(run))


SCALES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)


def _climbs(run: Run) -> list[Climb]:
    rng = np.random.default_rng(CLIMB_SEED)
    every: Sequence[Shape] = [(4, (2, 3, 3)), (5, (4, 4)), (6, (3, 3, 3))]
    shapes = every[: run.choose(1, 2, 3)]
    fractions = run.choose((0.3, 0.9), (0.05, 0.3, 0.9), (0.01, 0.05, 0.3, 0.6, 0.9))
    repeats = run.choose(3, 8, 40)
    result = []
    for shape in shapes:
        for fraction in fractions:
            problem = at_fraction(shape, 0.5, fraction)
            unit = 1 / np.sqrt(problem.parameters.alpha)
            for scale in SCALES:
                for _ in range(repeats):
                    start = scale * unit * rng.standard_normal(problem.shape)
                    ascent = ascend(problem, start, rtol=1e-11)
                    # Beside zero the gradient is −λZ, as small as Z itself: relative to it, it does not become small.
                    end = ascent.point if np.linalg.norm(ascent.point) > 1e-9 * unit else np.zeros(problem.shape)
                    result.append(Climb(problem, scale, ascent, classify(problem, end)))
    return result


def constrained_points(problem: ConstrainedMCR2, starts: int, key: int) -> list[CriticalPoint]:
    """Distinct critical points of a constrained problem."""
    return list(find_critical_points(problem, key=key, num_starts=starts).distinct)


def block_structure(problem: Any, Z: np.ndarray) -> tuple[list[np.ndarray], float]:
    """For each class the values y = x √(α α_k) of its non-zero squared singular values x, descending; and the largest cosine
    between columns of different classes."""
    p = problem.parameters
    values, units = [], []
    for alpha_k, block in zip(p.alphas, p.blocks(Z), strict=True):
        U, s, _ = np.linalg.svd(block, full_matrices=False)
        keep = s > max(1e-9 * float(np.linalg.norm(Z)), 1e-8 / np.sqrt(p.alpha))
        values.append(s[keep] ** 2 * np.sqrt(p.alpha * alpha_k))
        units.append(U[:, keep])
    cosines = [np.abs(a.T @ b).max(initial=0.0) for i, a in enumerate(units) for b in units[:i]]
    return values, float(max(cosines, default=0.0))
