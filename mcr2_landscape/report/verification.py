"""The page of `verify`: for someone who knows the paper but not the code. It is made from the JSON document alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

from mcr2_landscape.claims.storage import relative
from mcr2_landscape.report.page import Page, Picture, flat
from mcr2_landscape.report.plots import draw_plot
from mcr2_landscape.report.style import embed
from mcr2_landscape.report.tables import text

# Each verdict has a sign and a word, so that its color is never alone.
_MARKS = {"holds": "✓", "refuted": "✗", "undecided": "?", "error": "!"}
_FORMS = {
    "printed": "as printed",
    "corrected": "with corrected hypotheses",
    "own": "stated by this toolkit",
}
_MEANINGS = {
    (
        "holds",
        "certified",
    ): "It is proved for every instance below, in ball arithmetic or exact rational numbers; the proofs are stored as "
    "certificates, which can be checked without what found them.",
    ("holds", "exact"): "It follows from closed forms or symbolic identities.",
    (
        "holds",
        "numerical",
    ): "It was seen in floating point numbers, at the tolerances and sample sizes below. That is evidence, not proof.",
    (
        "refuted",
        "certified",
    ): "The counter-example is proved, in ball arithmetic or exact rational numbers; the proof is stored as a "
    "certificate, which can be checked without what found it.",
    ("refuted", "exact"): "The counter-example follows from closed forms or symbolic identities.",
    (
        "refuted",
        "numerical",
    ): "The counter-example was seen in floating point numbers, at the tolerance below. It is evidence, not proof.",
}
_UNDECIDED = "What was looked at settles the question neither way."
_MOST_ENTRIES = 12  # of a list among the figures of a part


@dataclass(frozen=True)
class Badge:
    """A verdict to be shown: its word, its sign, and whether it is the expected one."""

    word: str
    mark: str
    expected: bool = True


@dataclass(frozen=True)
class Link:
    """Words that lead somewhere; without an address they are only words."""

    words: str
    address: str = ""


@dataclass(frozen=True)
class PartView:
    """A part of a verdict: `figures` are pairs of a name and a value in words."""

    name: str
    badge: Badge
    evidence: str
    summary: str
    figures: tuple[tuple[str, str], ...]
    essential: bool


@dataclass(frozen=True)
class ClaimView:
    """A claim as the page shows it."""

    id: str
    anchor: str
    title: str
    source: str
    form: str
    badge: Badge
    evidence: str
    meaning: str
    statement: str
    formula: str
    hypotheses: tuple[str, ...]
    summary: str
    counter_example: str | None
    expectation: str
    relations: tuple[tuple[str, Link], ...]
    parts: tuple[PartView, ...]
    pictures: tuple[Picture, ...]
    certificates: tuple[Link, ...]
    command: str
    error: str | None
    seconds: str


@dataclass(frozen=True)
class VerificationPage(Page):
    """A report with one section for each claim."""

    template: ClassVar[str] = "verification"
    claims: tuple[ClaimView, ...] = field(default=())


def verification_page(document: Mapping[str, Any], base: Path, folder: Path) -> VerificationPage:
    """The page of a verification document.

    **Arguments:** `base`: the folder that the document's paths are relative to. `folder`: the one in which the page will lie.
    """
    entries: Sequence[Mapping[str, Any]] = document["claims"]
    ids = {item["id"] for item in entries}
    number = document["counts"]
    patterns = ", ".join(document["configuration"]["patterns"])
    return VerificationPage(
        title="What is claimed, and what was found",
        subtitle=f"{number['claims']} claims{f' matching {patterns}' if patterns else ''}, checked at the profile "
        f"“{document['configuration']['profile']}”",
        facts=(
            ("hold", str(number["holds"])),
            ("refuted", str(number["refuted"])),
            ("undecided", str(number["undecided"])),
            ("errors", str(number["errors"])),
        ),
        findings=tuple(_findings(document)),
        warning="" if document["complete"] else "The run was interrupted: claims that it did not get to are missing here.",
        claims=tuple(_claim(item, ids, base, folder) for item in entries),
        provenance=flat(document["provenance"]),
    )


def _findings(document: Mapping[str, Any]) -> list[str]:
    entries = document["claims"]
    words = []
    groups = (
        ("printed", "As printed in their source"),
        ("corrected", "With corrected hypotheses"),
        ("own", "Stated by this toolkit"),
    )
    for form, name in groups:
        chosen = [item for item in entries if item["form"] == form]
        if chosen:
            found = [(verdict, [item["title"] for item in chosen if _verdict(item) == verdict]) for verdict in _MARKS]
            counted = ", ".join(f"{len(titles)} {verdict}" for verdict, titles in found if titles)
            refuted = dict(found)["refuted"]
            words.append(f"{name}: {counted}" + (f" ({'; '.join(refuted)})." if refuted else "."))
    certificates = sum(len(item["certificates"]) for item in entries)
    if certificates:
        words.append(
            f"Certificates of instances and counter-examples, each of which can be checked again by itself: {certificates}."
        )
    differing = [item["id"] for item in entries if not item["as_expected"]]
    words.append("Not as expected: " + ", ".join(differing) + "." if differing else "Every verdict is the expected one.")
    return words + [f"A provider of claims failed: {error['words']}" for error in document["provider_errors"]]


def _claim(item: Mapping[str, Any], ids: set[str], base: Path, folder: Path) -> ClaimView:
    verdict = _verdict(item)
    paths = [relative(base / path, folder) for path in item["certificates"]]
    counter_example = item["counter_example"]
    return ClaimView(
        id=item["id"],
        anchor=_anchor(item["id"]),
        title=item["title"],
        source=item["source"],
        form=_FORMS[item["form"]],
        badge=badge(verdict, expected=item["as_expected"]),
        evidence="" if verdict == "error" else item["evidence"],
        meaning="" if verdict == "error" else _MEANINGS.get((verdict, item["evidence"]), _UNDECIDED),
        statement=item["statement"],
        formula=item["formula"],
        hypotheses=tuple(item["hypotheses"]),
        summary=_beyond_parts(item),
        counter_example=counter_example,
        expectation="" if item["as_expected"] else f"Expected: {item['expected'] or 'any verdict'}.",
        relations=tuple(_relations(item, ids)),
        parts=tuple(_part(part) for part in item["parts"]),
        pictures=tuple(_picture(plot) for plot in item["plots"]),
        certificates=tuple(Link(Path(path).stem, quote(path)) for path in paths),
        command=_command(item["id"], paths),
        error=item["error"],
        seconds=f"{item['seconds']:.1f} s",
    )


def _beyond_parts(item: Mapping[str, Any]) -> str:
    """The summary, unless it only says over again what stands in the table of parts and in the counter-example."""
    rest = item["summary"]
    for words in (item["counter_example"], *(part["summary"] for part in item["parts"])):
        rest = rest.replace(words, "") if words else rest
    return item["summary"] if rest.strip() and not item["counter_example"] else rest.strip()


def _verdict(item: Mapping[str, Any]) -> str:
    return item["verdict"] if item["error"] is None else "error"


def badge(verdict: str, *, expected: bool = True) -> Badge:
    """The badge of a verdict."""
    return Badge(verdict, _MARKS[verdict], expected)


def _anchor(claim_id: str) -> str:
    return f"claim-{claim_id}"


def _relations(item: Mapping[str, Any], ids: set[str]) -> list[tuple[str, Link]]:
    found = []
    for name, words in (("corrects", "Corrects"), ("corrected_by", "Corrected by")):
        other = item.get(name)
        if other:
            found.append((words, Link(other, f"#{_anchor(other)}" if other in ids else "")))
    return found


def _part(part: Mapping[str, Any]) -> PartView:
    figures = tuple((str(name).replace("_", " "), _figure(value)) for name, value in part.get("figures", {}).items())
    return PartView(
        part["name"], badge(part["verdict"]), part["evidence"], part["summary"], figures, part.get("essential", True)
    )


def _figure(value: Any) -> str:
    """A value among the figures of a part, in words."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_figure(item)}" for name, item in value.items())
    if isinstance(value, (list, tuple)):
        shown = ", ".join(_figure(item) for item in value[:_MOST_ENTRIES])
        return f"({shown}, … {len(value)} in all)" if len(value) > _MOST_ENTRIES else f"({shown})"
    return text(value, 4)


def _picture(plot: Mapping[str, Any]) -> Picture:
    figure = draw_plot(plot)
    return Picture(embed(figure), plot["caption"], plot["alternative"], round(96 * figure.get_figwidth()))


def _command(claim_id: str, paths: Sequence[str]) -> str:
    """The command that checks the certificates of a claim again, from the folder of the page."""
    if not paths:
        return ""
    return f"mcr2-landscape verify {claim_id} --recheck {_word(Path(paths[0]).parent.parent.as_posix())}"


def _word(path: str) -> str:
    import shlex

    return shlex.quote(path)
