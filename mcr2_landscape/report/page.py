"""One HTML page that needs no other file and no network."""

from __future__ import annotations

import importlib.resources
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from mcr2_landscape.files import write_text
from mcr2_landscape.report.tables import Table


@dataclass(frozen=True)
class Picture:
    """A picture as a `data:` address, with a caption, what it shows in words for those who cannot see it, and its width in
    pixels."""

    source: str
    caption: str
    alternative: str
    width: int


@dataclass(frozen=True)
class Section:
    """A heading with text, pictures and tables under it."""

    title: str
    text: str = ""
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True)
class Page:
    """A report: what it is about, key numbers, what was found, what to change, and the sections."""

    template: ClassVar[str] = "report"
    title: str
    subtitle: str
    facts: tuple[tuple[str, str], ...] = ()
    findings: tuple[str, ...] = ()
    advice: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    warning: str = ""
    sections: tuple[Section, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)


def render(page: Page) -> str:
    """The page as HTML."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_template),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(f"{page.template}.html.jinja").render(page=page)


def flat(provenance: Mapping[str, Any]) -> dict[str, str]:
    """A provenance as names and words, for the foot of a page."""
    found = {}
    for name, value in provenance.items():
        if isinstance(value, Mapping):
            found.update({str(key): str(item) for key, item in value.items()})
        elif value is not None:
            found[name.replace("_", " ")] = str(value)
    return found


def _template(name: str) -> str:
    # By way of importlib.resources: the package may lie in a zip file.
    return importlib.resources.files("mcr2_landscape.report").joinpath("templates", name).read_text(encoding="utf-8")


def write_page(path: str | os.PathLike[str], page: Page) -> None:
    """Write the page, whole or not at all.

    **Raises:** `InputError` where it cannot be written.
    """
    write_text(path, render(page), "report")
