"""The inertia at a point as a record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mcr2_landscape.record import Record
from mcr2_landscape.reduction import Reduction
from mcr2_landscape.verdict import Inertia

Bracket = tuple[int, int]


@dataclass(frozen=True)
class InertiaCount(Record):
    """The inertia at a point, as far as it is decided.

    **Fields:** `inertia`: what is decided; its `zero` are the eigenvalues that are proved zero at the critical point nearby, by
    theory or by the symmetry orbit; none away from critical points. `positive`, `zero`, `negative`: (at least, at most) of
    each. `tolerance`: what an eigenvalue had to exceed to have a sign, of which `truncation` is Weyl's bound on what singular
    values that count as zero may change; `failure`: the probability that random starts misled (0 where none were used).
    `regime`: "closed form", "dense core", "dense" or "block Lanczos"; `cost`: what was computed, in words. `top_eigenvalue`
    and `bottom_eigenvalue`: the largest and the smallest seen. `family`: the label of the theory's critical points that the
    point belongs to. `rank`, `ranks`: of Z and its class blocks, `cut` the largest singular value that counted as zero; `None`
    for landscapes without class blocks. `reason`: in words, what the numbers rest on and what is open. (`sharp`: the tolerance
    is that of rounding alone; `conflict`: more zeros are proved than seen.)
    """

    inertia: Inertia
    positive: Bracket
    zero: Bracket
    negative: Bracket
    tolerance: float
    truncation: float
    failure: float
    regime: str
    cost: str
    reason: str
    top_eigenvalue: float | None = None
    bottom_eigenvalue: float | None = None
    family: str | None = None
    rank: int | None = None
    ranks: tuple[int, ...] | None = None
    cut: float | None = None
    sharp: bool = field(default=True, repr=False, metadata={"json": False})
    conflict: bool = field(default=False, repr=False, metadata={"json": False})

    _derived = ("decided",)

    @property
    def decided(self) -> bool:
        """Whether all three numbers are known."""
        return all(low == high for low, high in (self.positive, self.zero, self.negative))


def ranks_of(reduction: Reduction | None) -> dict[str, Any]:
    """The fields of `InertiaCount` that a reduction fills."""
    if reduction is None:
        return {}
    return {"rank": reduction.rank, "ranks": reduction.ranks, "cut": reduction.factors.cut}
