"""What is to be measured, as data: no JAX is imported for it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from mcr2_landscape.errors import InputError
from mcr2_landscape.record import Record

SIZES = {"small": (64, 512, 4), "medium": (256, 4096, 8), "large": (512, 16384, 10)}
POINTS = ("generic", "low-rank", "mid-rank", "critical", "perturbed")
OURS = "mcr2_landscape"
BY_SHAPE = "mcr2_landscape, by shape"
LIMIT = "limit: its matrix products alone"
TOLERANCE = 1e-10  # relative, in the Frobenius norm: what a product may differ from the oracle's


@dataclass(frozen=True)
class Plan(Record):
    """A benchmark. **Fields:** `sizes`: (d, m, K) by name; `points`, of `POINTS`; `contestants`: names to take part, beside our
    own and the limit, all if `None`; `rounds` in turns; `seconds`, the least that one timing lasts; `inertia`: whether the
    complete inertia is timed too; `clock`: "cpu" (the process's CPU time) or "wall"; `key`: the seed of points and directions.

    **Raises:** `InputError` for an unknown point or clock, an empty list, or a number out of range.
    """

    sizes: dict[str, tuple[int, int, int]] = field(default_factory=lambda: dict(SIZES))
    points: tuple[str, ...] = POINTS
    contestants: tuple[str, ...] | None = None
    rounds: int = 9
    seconds: float = 0.03
    inertia: bool = True
    clock: str = "cpu"
    key: int = 0

    def __post_init__(self) -> None:
        # a plan that was written to JSON has lists
        object.__setattr__(self, "sizes", {name: tuple(shape) for name, shape in self.sizes.items()})
        object.__setattr__(self, "points", tuple(self.points))
        if self.contestants is not None:
            object.__setattr__(self, "contestants", tuple(self.contestants))
        if not self.sizes or not self.points:
            raise InputError("sizes, points: found none; name at least one size and one kind of point")
        for name, (dim, samples, classes) in self.sizes.items():
            if min(dim, classes) < 2 or samples < classes:
                raise InputError(
                    f"sizes: found {name} = {(dim, samples, classes)}; pass d, K of at least 2 and m of at least K"
                )
        for name in self.points:
            if name not in POINTS:
                raise InputError(f"points: found {name!r}; pass some of " + ", ".join(POINTS))
        if self.clock not in ("cpu", "wall"):
            raise InputError(f"clock: found {self.clock!r}; pass 'cpu' or 'wall'")
        if self.rounds < 1 or not math.isfinite(self.seconds) or self.seconds < 0:
            raise InputError(
                f"rounds, seconds: found {self.rounds}, {self.seconds:g}; pass at least one round of a finite time"
            )

    @property
    def quick(self) -> Plan:
        """The same with few rounds, at two kinds of points."""
        kept = tuple(name for name in self.points if name in ("generic", "low-rank")) or self.points
        return Plan(self.sizes, kept, self.contestants, 3, 0.01, self.inertia, self.clock, self.key)


def class_sizes(samples: int, classes: int) -> tuple[int, ...]:
    """m split as evenly as it goes."""
    return tuple(samples // classes + (k < samples % classes) for k in range(classes))


def class_rank(dim: int, classes: int) -> int:
    """Of a class at a point of low rank: an eighth of its share of the dimensions, at most 5. All classes together have 8 at
    (64, K = 4), 32 at (256, K = 8), 50 at (512, K = 10)."""
    return max(1, min(dim // (8 * classes), 5))
