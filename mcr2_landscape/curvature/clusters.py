"""How often each extreme eigenvalue is repeated: clusters with their multiplicities, decided or open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mcr2_landscape.curvature.chance import farthest
from mcr2_landscape.curvature.krylov import Krylov, Meter
from mcr2_landscape.curvature.signs import check_resolved, checked_limits
from mcr2_landscape.curvature.space import dimension_of, make_space, operator_of, precision_of
from mcr2_landscape.curvature.sweep import Sweep, Target
from mcr2_landscape.randomness import generator
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, positive_integer


@dataclass(frozen=True)
class Cluster(Record):
    """Eigenvalues that lie within `tolerance` of their neighbors, from `low` to `high` to within `error`: `multiplicity` of
    them at least, and exactly where `decided`."""

    low: float
    high: float
    error: float
    multiplicity: int
    decided: bool


@dataclass(frozen=True)
class Clusters(Record):
    """The clusters at one end, the most extreme first. `bound`: no other eigenvalue lies beyond it, except with probability
    `failure` (`None` where there is no bound). `num_products` and `reason`: products H v spent, and why no more."""

    clusters: tuple[Cluster, ...]
    bound: float | None
    tolerance: float
    failure: float
    num_products: int
    reason: str


def eigenvalue_clusters(
    H: Any,
    *,
    which: str = "largest",
    num_clusters: int = 1,
    tolerance: float | None = None,
    deflate: Any = None,
    max_products: int = 2000,
    steps: int = 200,
    failure: float = 1e-12,
    key: Any = 0,
) -> Clusters:
    """The `num_clusters` extreme eigenvalues at one end with their multiplicities.

    A first run from a random vector finds one copy of each extreme eigenvalue, and where the next cluster begins. Runs that are
    orthogonal to all copies found so far then find the others, whatever the multiplicity, and a bound on what is left decides
    that none is missed. A cluster that the bound does not pass is returned with `decided` false: its multiplicity is a lower
    bound. Host function, deterministic for a given key.

    **Arguments:** `which`: "largest" or "smallest". `tolerance`: eigenvalues within it are one cluster; by default √eps times
    the largest in magnitude, at least four times what the dtype resolves. The others as in `sign_bracket`.

    **Raises:** `InputError` as `sign_bracket`.

    Sources: as `sign_bracket`.
    """
    H = operator_of(H)
    if which not in ("largest", "smallest"):
        raise InputError(f"which: found {which!r}; pass 'largest' or 'smallest'")
    num_clusters = positive_integer("num_clusters", num_clusters)
    given, max_products, steps = checked_limits(H, tolerance, max_products, steps, failure)
    random = generator(key)
    end = 1 if which == "largest" else -1
    with precision_of(H):
        space = make_space(H, deflate, random)
        sweep = Sweep(space, random, Meter(max_products), failure, dimension_of(space, random), min(steps, H.size))
        level, scale = _level(sweep, end, num_clusters, given)
        gap = _gap(sweep, given, scale)
        reason = "products were spent before an extreme pair was found"
        if level is not None:
            shown = sweep.run(Target(end, lambda: level, lambda: level), gap / 32)
            reason = "all clusters are complete" if shown else sweep.reason
        clusters, bound = _clusters(sweep, end, gap)
        used = failure if bound is not None and not sweep.emptied else 0.0
        return Clusters(tuple(clusters[:num_clusters]), bound, gap, used, sweep.meter.done, reason)


def _gap(sweep: Sweep, given: float | None, scale: float) -> float:
    if given is not None:
        check_resolved(sweep.space, "tolerance", given, scale)
        return given
    return max(float(np.sqrt(np.finfo(sweep.space.dtype).eps)), 4 * sweep.space.resolution) * max(scale, 1e-200)


def _level(sweep: Sweep, end: int, num_clusters: int, given: float | None) -> tuple[float | None, float]:
    """A level between the clusters that are wanted and the next one, as far as a first run shows it; and the scale."""
    run = Krylov(sweep.space, sweep.random, sweep.meter, block=1, refill=False)
    values = np.zeros(0)
    while not run.ended and run.T.shape[0] < sweep.steps and sweep.affords(run):
        run.step()
        values, _, residuals = run.ritz()
        if end > 0:
            values, residuals = values[::-1], residuals[::-1]
        gap = _gap(sweep, given, sweep.meter.scale)
        firsts = np.flatnonzero(np.abs(np.diff(values, prepend=np.inf)) > gap)
        # the next cluster must be there too, to about the distance of its neighbor: the level goes between the two
        if firsts.size > num_clusters:
            last, following = firsts[num_clusters] - 1, firsts[num_clusters]
            distance = abs(values[last] - values[following])
            if (residuals[: last + 1] <= gap / 32).all() and residuals[following] <= distance / 4:
                return float(0.5 * (values[last] + values[following])), sweep.meter.scale
    if values.size == 0:
        return None, sweep.meter.scale
    # Everything that the vector sees is wanted, or steps ran out: what is beyond all of it, or beyond the last that is seen.
    return float(values[-1] - end * (_gap(sweep, given, sweep.meter.scale) + sweep.rounding)), sweep.meter.scale


def _clusters(sweep: Sweep, end: int, gap: float) -> tuple[list[Cluster], float | None]:
    values = sweep.values[::-1] if end > 0 else sweep.values
    bound: float | None = None
    if not sweep.emptied:
        found = farthest(sweep.starts[end], end, sweep.failure, sweep.remaining)
        bound = None if not np.isfinite(found) else found + end * sweep.coupling
    groups = np.split(values, np.flatnonzero(np.abs(np.diff(values)) > gap) + 1) if values.size else []
    clusters = []
    for group in groups:
        # what is left is not beyond the bound, so that a whole gap lies between it and the cluster
        clear = sweep.emptied or (bound is not None and end * (group[-1] - bound) > gap + sweep.coupling)
        low, high = float(group.min()), float(group.max())
        clusters.append(Cluster(low, high, sweep.coupling, group.size, bool(clear)))
    return clusters, bound
