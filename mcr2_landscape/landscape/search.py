"""Critical points of every index, from many starts."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.landscape import solver
from mcr2_landscape.landscape.admission import check_blocks, check_landscape
from mcr2_landscape.landscape.classify import CriticalPoint, classify
from mcr2_landscape.landscape.distinct import group
from mcr2_landscape.landscape.inertia import curvature_scale
from mcr2_landscape.landscape.progress import Progress
from mcr2_landscape.randomness import generator
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, float64_matrix, positive_integer, positive_real
from mcr2_landscape.verdict import Kind

MAX_UNKNOWNS = 1500
_LANE_NUMBERS = (
    4096  # unknowns times lanes: a lane that has ended still computes until it is refilled, so large problems get few
)
_CHUNK_SECONDS = 0.5
_CLIMB_STEPS = 60


@dataclass(frozen=True)
class SearchResult(Record):
    """What a search found.

    `distinct`: one classified point for each orbit, by decreasing value, with the number of starts that ended there in `count`.
    `num_converged` starts reached the tolerance; `unconverged` says how many others ended how: "stalled" at a stationary point
    of ‖∇F‖² that is not critical, or "steps exhausted". `unlisted`: positions in `distinct` of points that theory does not
    list. `interrupted`: Ctrl-C stopped the search; what was found until then is here.
    """

    distinct: tuple[CriticalPoint, ...]
    num_starts: int
    num_converged: int
    unconverged: dict[str, int]
    num_steps: int
    seconds: float
    interrupted: bool
    unlisted: tuple[int, ...] = field(default=())

    @property
    def families(self) -> tuple[str | None, ...]:
        """The family label of each distinct point."""
        return tuple(point.family for point in self.distinct)


def find_critical_points(
    landscape: Any,
    *,
    key: Any,
    num_starts: int = 200,
    rtol: float = 1e-12,
    max_steps: int = 200,
    max_kicks: int = 4,
    starts: Any = None,
    progress: bool | Callable[[int, int, int], None] = False,
) -> SearchResult:
    """Find critical points of every index.

    Levenberg–Marquardt on ∇F = 0 from each start (see `mcr2_landscape.landscape.solver`): a critical point attracts whatever
    its index, so that saddles are reached like maximizers. Every fourth start first takes 60 steps of gradient ascent, which
    leads to maximizers of large rank that the first method seldom meets. Not reached: orbits whose basin no start falls into;
    nothing here says that the list is complete. A start that stalls at a non-zero gradient is kicked (perturbed by about a
    third, then twice, four and eight times as much, its ranks kept where the landscape knows how) up to `max_kicks` times, and
    counts as unconverged after that.

    Points are polished to a relative gradient norm of `rtol`, merged modulo symmetry by invariants and value, and classified.

    **Arguments:** `landscape`: an `MCR2`, a `ConstrainedMCR2` or a `Landscape`; classes with more samples than dimensions are
    compressed first (exact). `key`: a JAX key or integer seed. `starts`: points (num_starts, *shape) to start from instead of
    random ones. `progress`: show a bar, or a function of (done, total, converged).

    **Returns:** `SearchResult`. The same JAX key or seed gives the same result.

    Where a symmetry is declared without invariants, orbits are told apart by value and Hessian eigenvalues alone; degenerate
    points, which no solver places sharply, may appear several times.

    **Raises:** `InputError` for a landscape with more than 1,500 unknowns after compression, or arguments out of range.
    """
    check_landscape(landscape)
    num_starts = positive_integer("num_starts", num_starts)
    max_kicks = positive_integer("max_kicks", max_kicks, minimum=0)
    rtol, max_steps = positive_real("rtol", rtol), positive_integer("max_steps", max_steps)
    small = landscape.narrowed() if hasattr(landscape, "narrowed") else landscape
    unknowns = int(np.prod(small.shape))
    if unknowns > MAX_UNKNOWNS:
        raise InputError(
            f"landscape: {unknowns} unknowns, beyond the {MAX_UNKNOWNS} that a dense search takes; ascend from chosen points "
            "with ascend(), or search a problem of smaller dim"
        )
    random = generator(key)
    began = time.perf_counter()
    with jax.enable_x64(True), Progress.of(progress, num_starts, "searching") as bar:
        if starts is None:
            points = small.random_starts(random, num_starts)
        else:
            points = _given_starts(landscape, small, starts)
            num_starts = len(points)
        seeds = random.integers(0, 2**63, size=num_starts)
        runner = _Runner(small, points, seeds, rtol, max_steps, max_kicks, bar)
        interrupted = runner.run()
        polished: list[tuple[np.ndarray, float]] = []
        try:
            for number in sorted(runner.found):  # by start, not by when it ended: that depends on the machine
                polished.append(_polish(small, runner.found[number], rtol))
        except KeyboardInterrupt:
            interrupted = True
            runner.outcomes["interrupted"] = runner.outcomes.get("interrupted", 0) + len(runner.found) - len(polished)
    good = [point for point, residual in polished if residual <= max(rtol, 1e-12)]
    runner.outcomes["not polished"] = len(polished) - len(good)
    distinct, cut_short = _distinct(landscape, small, good)
    interrupted = interrupted or cut_short
    unlisted = tuple(i for i, point in enumerate(distinct) if point.family is None) if hasattr(landscape, "recognize") else ()
    unconverged = {name: count for name, count in runner.outcomes.items() if count}
    return SearchResult(
        tuple(distinct),
        num_starts,
        len(good),
        unconverged,
        runner.total_steps,
        time.perf_counter() - began,
        interrupted,
        unlisted,
    )


class _Runner:
    """Keeps a fixed number of lanes busy: a lane whose start has ended takes the next one, so that one compiled program
    serves."""

    def __init__(self, landscape, points, seeds, rtol, max_steps, max_kicks, bar):
        self.landscape, self.points, self.seeds = landscape, points, seeds
        self.rtol, self.max_steps, self.max_kicks, self.bar = rtol, max_steps, max_kicks, bar
        self.found: dict[int, np.ndarray] = {}
        self.outcomes = {"stalled": 0, "steps exhausted": 0}
        self.total_steps = 0

    def run(self) -> bool:
        """Work through all starts; true if Ctrl-C cut it short."""
        lanes_wanted = min(256, max(4, _LANE_NUMBERS // int(np.prod(self.landscape.shape))))
        width = min(lanes_wanted, len(self.points))
        owners = np.arange(width)
        kicks = np.zeros(width, dtype=int)
        queue = iter(range(width, len(self.points)))
        rtol, limit = jnp.asarray(self.rtol), jnp.asarray(self.max_steps)
        chunk = 8
        try:
            lanes = _begin(self.landscape, jnp.asarray(self._climbed(owners, self.points[:width])))
            while (owners >= 0).any():
                clock = time.perf_counter()
                lanes = jax.block_until_ready(solver.advance(self.landscape, lanes, jnp.asarray(chunk), rtol, limit))
                elapsed = time.perf_counter() - clock
                fresh, replace = self._collect(lanes, owners, kicks, queue)
                if replace.any():
                    fresh = self._climbed(np.where(replace & (kicks == 0), owners, -1), fresh)
                    lanes = solver.refill(self.landscape, lanes, jnp.asarray(fresh), jnp.asarray(replace))
                chunk = 1 if elapsed > 2 * _CHUNK_SECONDS else min(8, chunk + 1)
        except KeyboardInterrupt:
            self.outcomes["interrupted"] = len(self.points) - len(self.found) - sum(self.outcomes.values())
            return True
        return False

    def _climbed(self, owners: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Every fourth start climbs first."""
        counts = np.where((owners >= 0) & (owners % 4 == 0), _CLIMB_STEPS, 0)
        if not counts.any():
            return points
        bound = curvature_scale(self.landscape)
        step = jnp.asarray(1 / bound if bound > 0 else 0.0)
        return np.array(solver.climb(self.landscape, jnp.asarray(points), jnp.asarray(counts), step))

    def _collect(self, lanes: solver.Lanes, owners: np.ndarray, kicks: np.ndarray, queue: Iterator[int]):
        """Take what has ended off the lanes; give each its next start, a kick, or rest."""
        residual, steps = np.asarray(lanes.residual), np.asarray(lanes.steps)
        since, points = np.asarray(lanes.since_progress), np.asarray(lanes.points)
        fresh, replace = points.copy(), np.zeros(len(owners), dtype=bool)
        for lane in np.flatnonzero(owners >= 0):
            number = int(owners[lane])
            stalled = since[lane] >= solver.STALL
            if residual[lane] <= self.rtol or (stalled and residual[lane] <= 1e-9):
                self.found[number] = points[lane]
            elif stalled and kicks[lane] < self.max_kicks:
                kicks[lane] += 1
                fresh[lane] = self._kick(points[lane], number, int(kicks[lane]))
                replace[lane] = True
                self.total_steps += int(steps[lane])
                continue
            elif stalled:
                self.outcomes["stalled"] += 1
            elif steps[lane] >= self.max_steps:
                self.outcomes["steps exhausted"] += 1
            else:
                continue
            self.total_steps += int(steps[lane])
            owners[lane] = next(queue, -1)
            if owners[lane] >= 0:
                fresh[lane] = self.points[owners[lane]]
                replace[lane] = True
                kicks[lane] = 0
            self.bar.update(len(self.found) + sum(self.outcomes.values()), len(self.found))
        return fresh, replace

    def _kick(self, point: np.ndarray, number: int, kick: int) -> np.ndarray:
        random = np.random.default_rng([int(self.seeds[number]), kick])
        strength = 0.35 * 2 ** (kick - 1)
        if hasattr(self.landscape, "perturb"):
            return self.landscape.perturb(point, random, strength)
        size = strength * max(float(np.linalg.norm(point)), 1e-3) / np.sqrt(point.size)
        moved = point + size * random.standard_normal(point.shape)
        return moved if self.landscape.constraint is None else np.asarray(self.landscape.constraint.project(jnp.asarray(moved)))


@jax.jit
def _begin(landscape: Any, points: jax.Array) -> solver.Lanes:
    return solver.start(landscape, points)


def _given_starts(landscape: Any, small: Any, starts: Any) -> np.ndarray:
    array = float64_matrix("starts", starts, (None, *landscape.shape))
    if len(array) == 0:
        raise InputError("starts: found none; pass at least one point, or leave it out for random ones")
    for number, point in enumerate(array):
        check_blocks(landscape, point, f"starts[{number}]")
    if small.shape != landscape.shape:
        array = np.stack([landscape.compress(point)[1] for point in array])
    if small.constraint is not None:
        array = np.stack([np.asarray(small.constraint.project(jnp.asarray(point))) for point in array])
    return array


def _polish(landscape: Any, Z: np.ndarray, rtol: float) -> tuple[np.ndarray, float]:
    """Newton steps with the pseudo-inverse on the host, as long as they lower the gradient."""
    best, residual = Z, _residual(landscape, Z)
    for _ in range(4):
        if residual <= min(rtol, 1e-13):
            break
        values, vectors = np.linalg.eigh(landscape.hessian_matrix(best))
        gradient = landscape.evaluate(best)[1].ravel()
        keep = np.abs(values) > 1e-9 * np.abs(values).max()
        step = -(vectors[:, keep] @ ((vectors[:, keep].T @ gradient) / values[keep])).reshape(Z.shape)
        trial = best + step
        if landscape.constraint is not None:
            trial = np.asarray(landscape.constraint.retract(jnp.asarray(best), jnp.asarray(step)))
        new = _residual(landscape, trial)
        if not new < residual:
            break
        best, residual = trial, new
    return best, residual


def _residual(landscape: Any, Z: np.ndarray) -> float:
    _, gradient, scale = landscape.evaluate(Z)
    norm = float(np.linalg.norm(gradient))
    return norm / scale if scale > 0 else norm


def _distinct(landscape: Any, small: Any, points: list[np.ndarray]) -> tuple[list[CriticalPoint], bool]:
    """One classified representative, the one with the smallest gradient, for each orbit; and whether Ctrl-C cut the
    classification short."""
    if not points:
        return [], False
    invariants = [small.invariants(point) for point in points]
    values = [small.evaluate(point)[0] for point in points]
    result: list[CriticalPoint] = []
    cut_short = False
    try:
        for members in group(invariants, values):
            best = min(members, key=lambda number: _residual(small, points[number]))
            full = _widen(landscape, small, points[best])
            result.append(dataclasses.replace(classify(landscape, full), count=len(members)))
    except KeyboardInterrupt:
        cut_short = True
    result = _merge_labels([point for point in result if point.kind is not Kind.NOT_CRITICAL])
    sign = 1 if landscape.minimize else -1
    return sorted(result, key=lambda point: sign * point.value), cut_short


def _merge_labels(points: list[CriticalPoint]) -> list[CriticalPoint]:
    """One point for each family that theory recognizes; invariants alone cannot tell a zero singular value from 1e-14."""
    merged: dict[Any, CriticalPoint] = {}
    for number, point in enumerate(points):
        name = point.family if point.family is not None else number
        first = merged.get(name)
        merged[name] = point if first is None else dataclasses.replace(first, count=first.count + point.count)
    return list(merged.values())


def _widen(landscape: Any, small: Any, Z: np.ndarray) -> np.ndarray:
    """The point of the full landscape whose left-out columns are zero."""
    if small.shape == landscape.shape:
        return Z
    p, q = small.parameters, landscape.parameters
    full = np.zeros(landscape.shape)
    for source, target in zip(p.blocks(Z), q.blocks(full), strict=True):
        target[:, : source.shape[1]] = source
    return full
