"""How many eigenvalues are positive, negative, near zero: brackets that contain the numbers, decided where they close."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mcr2_landscape.curvature.frame import PANEL
from mcr2_landscape.curvature.krylov import Meter
from mcr2_landscape.curvature.space import Space, dimension_of, make_space, operator_of, precision_of
from mcr2_landscape.curvature.sweep import Sweep, Target
from mcr2_landscape.memory import require
from mcr2_landscape.randomness import generator
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, positive_integer, positive_real

_ALL = ("all", "positive", "negative")
_SMALLEST = 1e-200  # the scale of an operator that maps a random vector to zero
Bracket = tuple[int, int]


@dataclass(frozen=True)
class SignBracket(Record):
    """Numbers of eigenvalues above `tolerance` (`positive`), below minus it (`negative`) and between (`zero`), each as (at
    least, at most); equal where decided.

    `dimension` is that of the space that the counts refer to: the operator's own subspace less what was deflated; `None` where
    it could not be told. "At least" rests on Ritz values and rounding alone, "at most" also on random starts, which mislead
    with probability `failure` at most (0 where none was needed). `largest` and `smallest` are the extreme Ritz values,
    `num_products` the products H v spent, and `reason` says in words what is open and why.
    """

    positive: Bracket
    zero: Bracket
    negative: Bracket
    dimension: int | None
    tolerance: float
    failure: float
    largest: float
    smallest: float
    num_products: int
    reason: str

    _derived = ("decided",)

    @property
    def decided(self) -> bool:
        """All three numbers are known."""
        return all(low == high for low, high in (self.positive, self.zero, self.negative))


def sign_bracket(
    H: Any,
    *,
    tolerance: float | None = None,
    deflate: Any = None,
    dimension: int | None = None,
    which: str = "all",
    max_products: int = 2000,
    steps: int = 200,
    failure: float = 1e-12,
    key: Any = 0,
) -> SignBracket:
    """Count the eigenvalues of H by sign, from products alone.

    From one end of the spectrum, eigenvectors beyond ± the tolerance are found by Lanczos runs and locked; runs from fresh
    random vectors, orthogonal to them, then show that nothing is left there, except with probability `failure`. What is not
    found and not excluded stays open: the bracket's ends differ. The work is proportional to the smaller of the counts from
    either end (a product or ten for each eigenvalue that is locked). Where the cluster of zeros is a known one, the tangent
    space of a symmetry orbit at a critical point, deflate it: a maximizer is then decided in some tens of products. Host
    function, deterministic for a given key.

    **Arguments:** `tolerance`: what an eigenvalue must exceed to have a sign; by default √eps times the largest in magnitude,
    at least four times what the dtype resolves. `which`: "all", or "positive" or "negative" to stop when that number is
    decided. `dimension`: of the space counted in, where the constraint set has too many normals, or the deflation does not say
    its `dimension`, for it to be found here. `steps`: of one run at most, each keeps a row of n numbers. `deflate`,
    `max_products`: as in `eigenpairs`.

    **Returns:** `SignBracket`.

    **Raises:** `InputError` as `eigenpairs`; for a tolerance below what the dtype resolves: float32 does not decide a sign
    there.

    Sources: for "at least" the interlacing theorem of Cauchy, and Kahan's residual bound for the zeros (Parlett, *The Symmetric
    Eigenvalue Problem*, theorems 10.1.1 and 11.5.1); for "at most" Weyl's inequality and `mcr2_landscape.curvature.chance`.
    """
    H = operator_of(H)
    if which not in _ALL:
        raise InputError(f"which: found {which!r}; pass 'all', 'positive' or 'negative'")
    given, max_products, steps = checked_limits(H, tolerance, max_products, steps, failure)
    random = generator(key)
    with precision_of(H):
        space = make_space(H, deflate, random)
        if dimension is None:
            dimension = dimension_of(space, random)
        elif positive_integer("dimension", dimension) > H.size:
            raise InputError(f"dimension: found {dimension}, more than the {H.size} unknowns")
        sweep = Sweep(space, random, Meter(max_products), failure, dimension, min(steps, H.size))
        count = _Count(sweep, given, H.size)
        reason = count.pursue(which)
        return count.result(reason, failure)


def checked_limits(
    H: Any, tolerance: float | None, max_products: int, steps: int, failure: float
) -> tuple[float | None, int, int]:
    """The tolerance, if one is given, the products and the steps of runs that may mislead with probability `failure`.

    **Raises:** `InputError` for numbers out of range, and for steps whose rows do not fit.
    """
    max_products = positive_integer("max_products", max_products, minimum=2)
    steps = positive_integer("steps", steps, minimum=2)
    if not 0 < positive_real("failure", failure) < 1:
        raise InputError(f"failure: found {failure:g}; pass a probability, for instance 1e-12")
    given = None if tolerance is None else positive_real("tolerance", tolerance)
    check_memory(H, steps)
    return given, max_products, steps


def check_memory(H: Any, steps: int, others: int = 4 * PANEL) -> None:
    """Refuse runs whose rows do not fit, with `others` beside them.

    **Raises:** `InputError`.
    """
    rows = min(steps, H.size) + others
    require(
        "steps",
        np.dtype(H.dtype).itemsize * float(H.size) * rows,
        f"a run keeps up to {rows} rows of {H.size:,} numbers; pass fewer steps, restrict the operator, or use the exact "
        "spectrum of a landscape that has one (mcr2_landscape.spectrum)",
    )


def check_resolved(space: Space, name: str, value: float, scale: float) -> None:
    """Refuse a tolerance that rounding alone exceeds.

    **Raises:** `InputError`.
    """
    least = space.resolution * scale
    if value < least:
        cure = "pass at least that" if space.dtype == np.float64 else "make the operator in float64, or pass at least that"
        raise InputError(
            f"{name}: found {value:.1e}, but {space.dtype} decides no sign below {least:.1e} with {space.size:,} unknowns and "
            f"eigenvalues up to {scale:.1e}; {cure}"
        )


class _Count:
    """The evidence for a bracket, and the order in which more of it is gathered."""

    def __init__(self, sweep: Sweep, tolerance: float | None, size: int):
        self.sweep, self.given, self.size = sweep, tolerance, size

    @property
    def tolerance(self) -> float:
        """What was given, or the default at the scale seen so far."""
        space, scale = self.sweep.space, self.sweep.meter.scale
        if self.given is not None:
            check_resolved(space, "tolerance", self.given, scale)
            return self.given
        relative = max(float(np.sqrt(np.finfo(space.dtype).eps)), 4 * space.resolution)
        return relative * max(scale, _SMALLEST)

    def level(self, end: int, lower: bool) -> float:
        """What is left when the locked rows are taken out must not be beyond this, for the counts between those rows to bound
        the counts beyond ± the tolerance: the tolerance less the coupling (Weyl)."""
        return end * ((-1 if lower else 1) * self.tolerance - self.sweep.coupling)

    def target(self, end: int, lower: bool = False) -> Target:
        """The level as a target."""
        return Target(end, lambda: self.level(end, lower), lambda: self.level(end, True))

    def pursue(self, which: str) -> str:
        """Gather evidence until the numbers are known, the fewest eigenvalues first: the reason for the end, in words."""
        sweep = self.sweep
        sweep.look((self.target(1), self.target(-1)))
        ends = {"all": (1, -1), "positive": (1,), "negative": (-1,)}[which]
        stages = [(self.estimate(end, lower), end, lower) for end in ends for lower in (False, True)]
        for estimate, end, lower in sorted(stages, key=lambda stage: stage[0]):
            if which != "all" and lower:
                continue
            if self.known(which):
                break
            if estimate > sweep.meter.left:
                side = "positive" if end > 0 else "negative"
                sweep.reason = (
                    f"about {estimate:,.0f} eigenvalues are {side}{' or near zero' if lower else ''}, too many to find"
                )
                continue
            sweep.run(self.target(end, lower), self.tolerance / 32)
        if self.known(which):
            return "all numbers are decided" if which == "all" else f"the number of {which} eigenvalues is decided"
        if sweep.reason:
            return sweep.reason
        if sweep.dimension is None:
            return "the dimension of the space could not be told; pass dimension"
        return f"an eigenvalue is too near to ±{self.tolerance:.3g} to tell on which side it lies"

    def estimate(self, end: int, lower: bool) -> float:
        """About how many eigenvalues are beyond the level, from the first run's share of them."""
        values, weights = self.sweep.density
        share = float(weights[end * (values - self.level(end, lower)) > 0].sum())
        return share * (self.sweep.dimension or self.size)

    def known(self, which: str) -> bool:
        """Is what was asked for decided?"""
        brackets = self.brackets()
        chosen = {"all": brackets, "positive": brackets[:1], "negative": brackets[2:]}[which]
        return all(low == high for low, high in chosen)

    def brackets(self) -> tuple[Bracket, Bracket, Bracket]:
        """Positive, zero, negative, from all evidence so far."""
        sweep, size = self.sweep, self.sweep.dimension
        margin, most = sweep.rounding, self.sweep.dimension or self.size
        # at most: beyond + tolerance, and beyond − tolerance, for each end
        beyond = {(end, lower): self._at_most(end, lower, most) for end in (1, -1) for lower in (False, True)}
        least = {
            end: max((int((end * v > self.tolerance + margin).sum()) for v in sweep.ritz_sets), default=0) for end in (1, -1)
        }
        zero = int((np.abs(sweep.values) + sweep.coupling <= self.tolerance).sum())
        if size is not None:
            for end in (1, -1):
                least[end] = max(least[end], size - beyond[-end, True])
            zero = max(zero, size - beyond[1, False] - beyond[-1, False])
        top, bottom = (min(beyond[end, False], beyond[end, True] - zero, most - least[-end] - zero) for end in (1, -1))
        zeros = min(beyond[1, True] - least[1], beyond[-1, True] - least[-1], most - least[1] - least[-1])
        return (least[1], top), (zero, zeros), (least[-1], bottom)

    def _at_most(self, end: int, lower: bool, most: int) -> int:
        level = self.level(end, lower)
        if not self.sweep.shown(level, end):
            return most
        return int((end * (self.sweep.values - level) >= 0).sum())

    def result(self, reason: str, failure: float) -> SignBracket:
        """The bracket as a record."""
        sweep = self.sweep
        positive, zero, negative = self.brackets()
        sets = sweep.ritz_sets or [np.zeros(1)]
        return SignBracket(
            positive,
            zero,
            negative,
            sweep.dimension,
            self.tolerance,
            failure if sweep.used_chance else 0.0,
            max(float(values[-1]) for values in sets),
            min(float(values[0]) for values in sets),
            sweep.meter.done,
            reason,
        )
