"""The pages of the gallery: every figure at a glance, and one page a paper with the verdicts of its claims."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from mcr2_landscape.files import write_text
from mcr2_landscape.gallery.drawing import Drawn
from mcr2_landscape.gallery.figure import GROUPS
from mcr2_landscape.report.page import Page, write_page
from mcr2_landscape.report.verification import Badge, badge

INDEX, MARKDOWN = "index.html", "README.md"


@dataclass(frozen=True)
class ClaimLine:
    """A claim in the gallery: its verdict, or `None` where it was not checked."""

    id: str
    title: str
    form: str
    badge: Badge | None
    evidence: str


@dataclass(frozen=True)
class Card:
    """A figure as a page shows it."""

    name: str
    title: str
    caption: str
    image: str
    width: int
    files: tuple[str, ...]
    origins: tuple[str, ...]
    command: str
    claims: tuple[ClaimLine, ...]


@dataclass(frozen=True)
class GalleryPage(Page):
    """A page of cards in groups: `groups` are title, address and cards of each; `claims` of the paper."""

    template: ClassVar[str] = "gallery"
    groups: tuple[tuple[str, str, tuple[Card, ...]], ...] = field(default=())
    claims: tuple[ClaimLine, ...] = field(default=())
    home: str = ""


def write_gallery(
    drawn: Sequence[Drawn],
    folder: Path,
    *,
    claims: Sequence[Any],
    verdicts: Mapping[str, Mapping[str, Any]],
    provenance: Mapping[str, str],
) -> list[str]:
    """Write the index, in HTML and in Markdown, and a page for each paper of which there is a figure; the names of the files.

    **Arguments:** `claims`: all claims there are; `verdicts` of those that were checked, by id: "verdict", "evidence" and
    "as_expected".

    **Raises:** `InputError` where a file cannot be written.
    """
    lines = {claim.id: _line(claim, verdicts.get(claim.id)) for claim in claims}
    names, groups = [INDEX], []
    for group, (title, prefix) in GROUPS.items():
        own = [one for one in drawn if one.figure.group == group]
        if not own:
            continue
        address = f"{group}.html"
        groups.append((title, address, tuple(_card(one, lines, large=False) for one in own)))
        of_paper = tuple(line for line in lines.values() if prefix and line.id.startswith(prefix))
        page = GalleryPage(
            title=title,
            subtitle=f"{len(own)} figures" + (f", and what was found of {len(of_paper)} claims" if of_paper else ""),
            facts=_facts(of_paper),
            groups=(("", "", tuple(_card(one, lines, large=True) for one in own)),),
            claims=of_paper,
            home=INDEX,
            provenance=provenance,
        )
        write_page(folder / address, page)
        names.append(address)
    index = GalleryPage(
        title="Gallery",
        subtitle=f"{len(drawn)} figures, each with the numbers behind it; mcr2-landscape figures NAME draws one again",
        groups=tuple(groups),
        provenance=provenance,
    )
    write_page(folder / INDEX, index)
    write_text(folder / MARKDOWN, _markdown(groups), "--out")
    return [*names, MARKDOWN]


def _markdown(groups: Sequence[tuple[str, str, tuple[Card, ...]]]) -> str:
    """The index for those who read it where Markdown is shown."""
    words = "Made by `mcr2-landscape figures`, which also writes the numbers, and `index.html` for a browser."
    lines = ["# Gallery", "", words, ""]
    for title, address, cards in groups:
        lines += [f"## {title}", "", f"`{address}` has them larger, with the verdicts of the claims that they show.", ""]
        for card in cards:
            picture = card.files[0]
            shown = f"[{picture}]({picture})" if picture.endswith(".pdf") else f"![{card.title}]({picture})"
            lines += [f"### {card.title}", "", shown, "", card.caption, ""]
            lines += [f"`{card.command}`; from {'; '.join(card.origins)}.", ""]
    return "\n".join(lines).rstrip() + "\n"


def _facts(lines: Sequence[ClaimLine]) -> tuple[tuple[str, str], ...]:
    if not lines:
        return ()
    words = [line.badge.word if line.badge else "not checked" for line in lines]
    kinds = ("holds", "refuted", "undecided", "not checked")
    return tuple((f"claims: {kind}", str(words.count(kind))) for kind in kinds)


def _line(claim: Any, found: Mapping[str, Any] | None) -> ClaimLine:
    if found is None:
        return ClaimLine(claim.id, claim.title, str(claim.form), None, "")
    expected = found["as_expected"] is not False
    return ClaimLine(claim.id, claim.title, str(claim.form), badge(found["verdict"], expected=expected), found["evidence"])


def _card(one: Drawn, lines: Mapping[str, ClaimLine], *, large: bool) -> Card:
    figure = one.figure
    return Card(
        name=figure.name,
        title=figure.title,
        caption=figure.caption,
        image=one.preview if large else one.thumbnail,
        width=round(96 * figure.size[0]) if large else 320,
        files=(one.picture, *one.data, one.provenance),
        origins=one.origins,
        command=f"mcr2-landscape figures {figure.name}",
        claims=tuple(lines[name] for name in figure.claims if name in lines) if large else (),
    )
