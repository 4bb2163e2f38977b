"""What a check gives back: a verdict composed of parts, each with its evidence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mcr2_landscape.certify import Certificate
from mcr2_landscape.record import Record
from mcr2_landscape.verdict import Evidence, Verdict

_STRENGTH = (Evidence.NUMERICAL, Evidence.EXACT, Evidence.CERTIFIED)


@dataclass(frozen=True)
class Part(Record):
    """One thing that was looked at.

    **Fields:** `name`; `verdict` on the claim as far as this part goes; `evidence`; `summary`, one sentence; `figures`: for
    numerical evidence the tolerance, the sample size, the seeds and the worst case seen. `essential`: whether the claim's
    verdict rests on it; others are seen beside it.
    """

    name: str
    verdict: Verdict
    evidence: Evidence
    summary: str
    figures: Mapping[str, Any] = field(default_factory=dict)
    essential: bool = True

    def __post_init__(self) -> None:
        _vocabulary(self)


@dataclass(frozen=True)
class Series(Record):
    """Numbers to draw under one name: a line, or points."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    style: str = "line"


@dataclass(frozen=True)
class Plot(Record):
    """A picture as data: the report draws it. `alternative` says in words what is to be seen. `log`: axes with a logarithmic
    scale, out of "x", "y", "xy"; `diagonal`: draw the line y = x."""

    caption: str
    alternative: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    log: str = ""
    diagonal: bool = False


@dataclass(frozen=True)
class Outcome(Record):
    """The verdict on a claim.

    **Fields:** `verdict` and `evidence` (that of the weakest essential part where the claim holds, of the strongest refuting
    part where it does not); `summary`; `parts`; `counter_example` in words; `plots`; `certificates` that have passed the
    checker.
    """

    verdict: Verdict
    evidence: Evidence
    summary: str
    parts: tuple[Part, ...]
    counter_example: str | None = None
    plots: tuple[Plot, ...] = ()
    certificates: tuple[Certificate, ...] = field(default=(), metadata={"json": False})

    def __post_init__(self) -> None:
        _vocabulary(self)

    @staticmethod
    def of(
        parts: Iterable[Part],
        summary: str = "",
        *,
        plots: Iterable[Plot] = (),
        certificates: Iterable[Certificate] = (),
    ) -> Outcome:
        """The verdict that parts add up to: refuted if an essential part refutes, else undecided if one is undecided or there
        is none, else holds."""
        parts = tuple(parts)
        essential = [part for part in parts if part.essential]
        refuting = [part for part in essential if part.verdict is Verdict.REFUTED]
        open_parts = [part for part in essential if part.verdict is Verdict.UNDECIDED]
        if refuting:
            strongest = max(refuting, key=lambda part: _STRENGTH.index(part.evidence))
            verdict, evidence = Verdict.REFUTED, strongest.evidence
            counter_example = strongest.summary
        elif open_parts or not essential:
            verdict, evidence, counter_example = Verdict.UNDECIDED, Evidence.NUMERICAL, None
        else:
            verdict, counter_example = Verdict.HOLDS, None
            evidence = min((part.evidence for part in essential), key=_STRENGTH.index)
        deciding = refuting or open_parts or essential
        words = summary or " ".join(part.summary for part in deciding[:3]) or "Nothing was looked at."
        return Outcome(verdict, evidence, words, parts, counter_example, tuple(plots), tuple(certificates))


def _vocabulary(record: Part | Outcome) -> None:
    """The words for verdict and evidence as what they name: a mere word "refuted" would not be seen to refute."""
    object.__setattr__(record, "verdict", Verdict(record.verdict))
    object.__setattr__(record, "evidence", Evidence(record.evidence))
