"""What a check gives back: a verdict composed of parts, each with its evidence."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

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

    @staticmethod
    def measured(
        name: str,
        errors: Sequence[float],
        tolerance: float,
        what: str,
        *,
        seeds: Any,
        refuted_beyond: float = 100.0,
        essential: bool = True,
    ) -> Part:
        """Numerical evidence from an error for each sample: holds if all are within the tolerance, refutes if one is more than
        `refuted_beyond` times as large, and is undecided between, or where an error is not a number or there is none.

        **Arguments:** `what` the errors are, for the summary; `seeds` from which the samples come.
        """
        errors = [float(error) for error in errors]
        # Not max alone: every comparison with NaN is false, and it would pass over one.
        worst = math.nan if any(map(math.isnan, errors)) else max(errors, default=math.nan)
        beyond = Verdict.REFUTED if worst > refuted_beyond * tolerance else Verdict.UNDECIDED
        verdict = Verdict.HOLDS if worst <= tolerance else beyond
        figures = {"tolerance": tolerance, "worst": worst, "samples": len(errors), "seeds": seeds}
        words = f"{what}: worst {worst:.2g} over {len(errors)} samples."
        return Part(name, verdict, Evidence.NUMERICAL, words, figures, essential)

    @staticmethod
    def counted(
        name: str, samples: int, exceptions: Sequence[str], what: str, *, seeds: Any, undecided: int = 0, essential: bool = True
    ) -> Part:
        """Numerical evidence from samples that each agree or not: one exception refutes; without any it holds, if there are
        samples and at most a twentieth of all could not be decided.

        **Arguments:** `samples`: how many were decided; `exceptions` in words; `what` was looked at, for the summary; `seeds`
        from which the samples come; `undecided`: how many more there were.
        """
        if exceptions:
            verdict = Verdict.REFUTED
        else:
            verdict = Verdict.HOLDS if samples and 20 * undecided <= samples + undecided else Verdict.UNDECIDED
        seen = f"{len(exceptions)} exceptions, the first {exceptions[0]}" if exceptions else "no exception"
        words = f"{what}: {samples} points, {seen}" + (f"; {undecided} more could not be decided." if undecided else ".")
        figures = {"samples": samples, "exceptions": len(exceptions), "undecided": undecided, "seeds": seeds}
        return Part(name, verdict, Evidence.NUMERICAL, words, figures, essential)


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
    part where it does not); `summary`; `parts`; `counter_example` in words; `plots`.
    """

    verdict: Verdict
    evidence: Evidence
    summary: str
    parts: tuple[Part, ...]
    counter_example: str | None = None
    plots: tuple[Plot, ...] = ()

    def __post_init__(self) -> None:
        _vocabulary(self)

    @staticmethod
    def of(parts: Iterable[Part], summary: str = "", *, plots: Iterable[Plot] = ()) -> Outcome:
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
        return Outcome(verdict, evidence, words, parts, counter_example, tuple(plots))


def _vocabulary(record: Part | Outcome) -> None:
    """The words for verdict and evidence as what they name: a mere word "refuted" would not be seen to refute."""
    object.__setattr__(record, "verdict", Verdict(record.verdict))
    object.__setattr__(record, "evidence", Evidence(record.evidence))
