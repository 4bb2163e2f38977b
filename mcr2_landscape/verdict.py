"""The vocabulary of answers: verdicts with their evidence, kinds of points, inertia."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from mcr2_landscape.record import Record


class Verdict(enum.StrEnum):
    """The answer to a question of truth. There is no guess among them."""

    HOLDS = "holds"
    REFUTED = "refuted"
    UNDECIDED = "undecided"


class Evidence(enum.StrEnum):
    """What a verdict rests on: a stored proof in ball or rational arithmetic; a closed form, a symbolic identity or what the
    checker has found false; or floating point numbers with a stated tolerance."""

    CERTIFIED = "certified"
    EXACT = "exact"
    NUMERICAL = "numerical"


class Kind(enum.StrEnum):
    """What a point of a landscape is, modulo its symmetry."""

    LOCAL_MAXIMIZER = "local maximizer"
    LOCAL_MINIMIZER = "local minimizer"
    STRICT_SADDLE = "strict saddle"
    DEGENERATE = "degenerate"
    NOT_CRITICAL = "not critical"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Inertia(Record):
    """Numbers of Hessian eigenvalues by sign. `zero` counts only eigenvalues that are proved zero (by the dimension of the
    symmetry orbit, or by theory at a recognized point); what the working precision cannot sign is `undecided`."""

    positive: int
    zero: int
    negative: int
    undecided: int = 0

    @property
    def total(self) -> int:
        """The dimension of the space that the counts refer to."""
        return self.positive + self.zero + self.negative + self.undecided
