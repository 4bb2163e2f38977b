"""A figure drawn: the picture, the numbers behind it, and where each is from, beside each other."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mcr2_landscape.errors import InputError
from mcr2_landscape.files import check_writable, make_folder, write_bytes, write_json, write_text
from mcr2_landscape.gallery.figure import Figure, Table
from mcr2_landscape.report import style

PRINT_DPI = 300
_THUMBNAIL_DPI, _PREVIEW_DPI = 55, 130


@dataclass(frozen=True)
class Drawn:
    """What was written for a figure: names of files in the folder.

    **Fields:** `figure`; `picture`; `data`, CSV files; `provenance`, a JSON file; `origins`: the studies with size and number
    of rows, in words; `thumbnail` and `preview`, PNG pictures for pages, as `data:` addresses.
    """

    figure: Figure
    picture: str
    data: tuple[str, ...]
    provenance: str
    origins: tuple[str, ...]
    thumbnail: str
    preview: str


def check_folder(folder: Path) -> None:
    """Make the folder of the figures.

    **Raises:** `InputError` where nothing can be written into it: found before anything is drawn.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out {folder}: is no folder; give another name")
    try:
        make_folder(folder)
    except OSError as error:
        raise InputError(f"--out {folder}: cannot be made ({error.strerror or error}); give another place") from None
    check_writable(folder / "index.html", "--out")


def draw_figure(
    figure: Figure, tables: Mapping[str, Table], folder: Path, *, form: str, font: str | None = None, dpi: int = PRINT_DPI
) -> Drawn:
    """Draw a figure into a folder, each file whole or not at all.

    **Arguments:** `form`: "svg", "pdf" or "png"; `font`: the name of a font family that is there (see
    `report.style.check_font`); `dpi`: dots an inch of a PNG, and of what is no line in the other forms.

    **Raises:** `InputError` where a file cannot be written, or where a study that is not complete lacks what is painted.
    """
    try:
        canvas = style.draw(figure.size, lambda own: figure.paint(own, tables), font=font)
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        # A study that was stopped early may lack rows that no table's least number speaks of.
        incomplete = [name for name, table in tables.items() if not table.origin.get("complete", True)]
        if not incomplete:
            raise
        studies = ", ".join(dict.fromkeys(str(tables[name].origin["study"]) for name in incomplete))
        raise InputError(
            f"figure {figure.name}: cannot be drawn from the rows that there are ({error}); the study {studies} is not "
            "complete: mcr2-landscape study resume computes the rest"
        ) from error
    picture, data = f"{figure.name}.{form}", []
    content = io.BytesIO()
    style.save(canvas, content, form=form, dpi=dpi, font=font)
    write_bytes(folder / picture, content.getvalue(), "--out")
    for name, table in tables.items():
        for ending, text in _csv(table).items():
            file = ".".join([figure.name, *([name] if len(tables) > 1 else []), *([ending] if ending else []), "csv"])
            write_text(folder / file, text, "--out")
            data.append(file)
    provenance = f"{figure.name}.json"
    plain = {
        "figure": figure.name,
        "title": figure.title,
        "caption": figure.caption,
        "files": [picture, *data],
        "tables": {name: dict(table.origin) for name, table in tables.items()},
    }
    write_json(folder / provenance, plain, "--out")
    small, large = (style.embed(canvas, form="png", dpi=dpi, font=font) for dpi in (_THUMBNAIL_DPI, _PREVIEW_DPI))
    return Drawn(figure, picture, tuple(data), provenance, _origins(tables), small, large)


def _origins(tables: Mapping[str, Table]) -> tuple[str, ...]:
    found = {}
    for table in tables.values():
        origin = table.origin
        size = f", {origin['size']}" if origin.get("size") else ""
        found[origin["study"]] = f"{origin['study']}{size}: {origin['rows']:,} rows"
    return tuple(found.values())


def _csv(table: Table) -> dict[str, str]:
    """The table as CSV: numbers in full, lists as JSON; arrays in long form, one file a column of them."""
    arrays = [name for name, column in table.columns.items() if any(isinstance(value, np.ndarray) for value in column)]
    plain = [name for name in table.columns if name not in arrays]
    out = {"": _written([plain, *zip(*(table.columns[name] for name in plain), strict=True)])}
    for name in arrays:
        axes = max(value.ndim for value in table.columns[name] if value is not None)
        numbered = ["row", "column"] if axes <= 2 else [f"axis_{k}" for k in range(1, axes + 1)]
        rows: list[list[Any]] = [["unit", *numbered, name]]
        for unit, array in zip(table.columns["unit"], table.columns[name], strict=True):
            if array is not None:
                rows += [[unit, *place, float(value)] for place, value in np.ndenumerate(np.atleast_2d(array))]
        out[name] = _written(rows)
    return out


def _written(rows: list[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([[_cell(value) for value in row] for row in rows])
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return json.dumps(value)
    if isinstance(value, float):
        return repr(value)
    return value
