"""All eigenvalues beyond a level: found, locked, and bounded from the other side by chance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mcr2_landscape.curvature.chance import MOST_STARTS, Start, nothing_beyond, overlap_of
from mcr2_landscape.curvature.krylov import Krylov, Locked, Meter
from mcr2_landscape.curvature.space import Space
from mcr2_landscape.memory import available

_BLOCK = 8
_PATIENCE = 20  # steps after the extreme pair that others beyond the level are waited for


@dataclass
class Target:
    """A level, and a lower one (for `end` +1) that is aimed at for as long as no Ritz value exceeds it. Both are functions: the
    scale that they depend on is learned on the way."""

    end: int
    level: Callable[[], float]
    lower: Callable[[], float]

    def aim(self, values: np.ndarray) -> float:
        """The level that these Ritz values leave to be shown."""
        lower = self.lower()
        return lower if (self.end * (lower - values)).min(initial=np.inf) > 0 else self.level()

    def beyond(self, values: np.ndarray, margin: float) -> np.ndarray:
        """Which of the values are clearly beyond the level."""
        return self.end * (values - self.level()) > margin


class Sweep:
    """Runs that lock what they find beyond a level, until runs from fresh random vectors show that nothing is left there.

    Each run is orthogonal to what is locked, so that of a repeated eigenvalue it finds copies that are not yet there: one from
    a single vector, up to eight from a block. Runs from single vectors are kept as evidence for what is left (see `chance`),
    until more is locked.
    """

    def __init__(
        self, space: Space, random: np.random.Generator, meter: Meter, failure: float, dimension: int | None, steps: int
    ):
        self.space, self.random, self.meter, self.steps = space, random, meter, steps
        self.dimension = dimension
        self.allowed_failure = failure
        self.locked = Locked.nothing(space)
        self.starts: dict[int, list[Start]] = {1: [], -1: []}
        self.emptied = False
        self.attempts = 1
        self.used_chance = False
        self.reason = ""
        self.ritz_sets: list[np.ndarray] = []  # by Cauchy's interlacing each bounds counts beyond a level from below
        self.density = (np.zeros(0), np.zeros(0))

    @property
    def rounding(self) -> float:
        """What an eigenvalue may be off by."""
        return self.space.resolution * self.meter.scale + self.meter.error

    @property
    def coupling(self) -> float:
        """How far eigenvalues are, at most, from those between the locked rows and those on the rest: rounding, and what the
        locked rows' products have outside of them."""
        return float(np.linalg.norm(self.locked.outside)) + self.rounding

    @property
    def values(self) -> np.ndarray:
        """Ritz values of the locked rows, ascending."""
        return np.linalg.eigvalsh(self.locked.T)

    @property
    def failure(self) -> float:
        """The probability that the present evidence may mislead with: shared among the two ends, the numbers of starts that
        might have sufficed or been one too many, and the attempts after more was locked."""
        shares = 2 * MOST_STARTS * (MOST_STARTS + 1)
        return self.allowed_failure * 6 / (np.pi * self.attempts) ** 2 / shares

    @property
    def remaining(self) -> int:
        """The dimension of what is left, or a bound on it."""
        return max(2, (self.dimension or self.space.size) - self.locked.count)

    def shown(self, level: float, end: int) -> bool:
        """Is nothing left beyond the level?"""
        if self.emptied:
            return True
        holds = nothing_beyond(self.starts[end], level, end, self.failure, self.remaining)
        self.used_chance |= holds
        return holds

    def look(self, targets: tuple[Target, Target]) -> None:
        """A first run from a single vector: evidence for the end that it can clear, an estimate of the density for both. It
        ends where neither can be cleared, as both have eigenvalues beyond their levels."""
        run = Krylov(self.space, self.random, self.meter, block=1, refill=False)
        overlap = overlap_of(self.failure, 2, self.remaining)
        cleared: list[int] = []
        while not cleared and not run.ended and self.affords(run) and run.T.shape[0] < self.steps:
            run.step()
            values, Y, _ = run.ritz()
            start = self._start(run, values, Y)
            cleared = [t.end for t in targets if start.blind_to(t.aim(values), t.end) < overlap]
            if run.T.shape[0] >= 10 and all(target.beyond(values, self.rounding).any() for target in targets):
                break
        if run.T.size:
            self._note(run)
            values, Y, _ = run.ritz()
            self.density = (values, Y[0] ** 2)
            for end in cleared:
                self.starts[end].append(self._start(run, values, Y))

    def run(self, target: Target, tolerance: float) -> bool:
        """Lock what is beyond the target's level, to a residual of `tolerance`, until nothing is left: whether that was
        shown."""
        streak = 0  # of runs that found as many as they could: the eigenvalue is repeated, or there are many
        while not self.shown(target.level(), target.end):
            if len(self.starts[target.end]) >= MOST_STARTS:
                self.reason = f"an eigenvalue may be too near to {target.level():.3g} for what rounding leaves"
                return False
            if self._out_of_memory():
                return False
            size = _BLOCK if streak > 1 and self.remaining > 2 * _BLOCK else 1
            run = Krylov(self.space, self.random, self.meter, block=size, locked=self.locked, refill=False)
            if run.ended:
                self.emptied = True
                self.dimension = self.locked.count
                return True
            kept = self._drive(run, target, tolerance)
            if run.T.size:
                self._note(run)
            if kept is None:
                self.reason = f"products or steps were spent before all beyond {target.level():.3g} was found or excluded"
                return False
            if kept.shape[1]:
                self.locked = run.lock(kept)
                self.starts = {1: [], -1: []}
                self.attempts += 1
            elif size == 1:
                self.starts[target.end].append(self._start(run, *run.ritz()[:2]))
            streak = streak + 1 if kept.shape[1] >= size else 0
        return True

    def affords(self, run: Krylov) -> bool:
        """May the run take another step?"""
        return self.meter.done + run.rows + (1 if self.meter.done == 0 else 0) <= self.meter.allowed

    def _start(self, run: Krylov, values: np.ndarray, Y: np.ndarray) -> Start:
        off = np.append(np.diag(run.T, 1), np.linalg.norm(run.C[:, -1]))
        return Start(values, Y[0], off, run.floor, run.meter.rounding)

    def _drive(self, run: Krylov, target: Target, tolerance: float) -> np.ndarray | None:
        """Step the run: the coefficients of what is to be locked (none where nothing is beyond the level), or `None` where
        steps or products were spent before either was clear."""
        waited, step = 0, 0
        limit = self.steps if run.block == 1 else max(2, self.steps // run.block)
        overlap = overlap_of(self.failure, max(2, len(self.starts[target.end]) + 1), self.remaining)
        while step < limit and self.affords(run):
            run.step()
            step += 1
            if not run.ended and step < limit and step % (2 if step <= 20 and run.block == 1 else 4):
                continue
            values, Y, residuals = run.ritz()
            beyond = target.beyond(values, self.rounding)
            done = residuals <= tolerance
            if run.ended:
                return Y[:, beyond]
            if beyond.any():
                waited += bool(done[-1 if target.end > 0 else 0])
                if (done[beyond].all() and (run.block == 1 or step > 1)) or waited > _PATIENCE:
                    return Y[:, beyond & done]
            elif run.block == 1 and self._start(run, values, Y).blind_to(target.aim(values), target.end) < overlap:
                return Y[:, :0]
        return self._settled(run, target, tolerance) if run.T.size else None

    def _settled(self, run: Krylov, target: Target, tolerance: float) -> np.ndarray | None:
        """What may be locked at an early end; `None` where something beyond the level has not converged, and where nothing is
        excluded."""
        values, Y, residuals = run.ritz()
        keep = target.beyond(values, self.rounding) & (residuals <= tolerance)
        return Y[:, keep] if keep.any() or (run.block > 1 and self.meter.left > 2) else None

    def _note(self, run: Krylov) -> None:
        """Keep the Ritz values of the locked rows and the run's together."""
        self.ritz_sets.append(np.linalg.eigvalsh(np.block([[self.locked.T, run.K], [run.K.T, run.T]])))

    def _out_of_memory(self) -> bool:
        needed = self.space.dtype.itemsize * float(self.space.size) * (self.steps + 4 * _BLOCK)
        found = available()
        if found is None or needed <= found:
            return False
        self.reason = f"{self.locked.count} eigenvectors are locked, and another run does not fit into memory"
        return True
