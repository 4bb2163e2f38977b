"""What holds of every figure: what it says, what it needs, and that its files hold its tables and where they are from."""

from __future__ import annotations

import csv
import io
import json
import re

import numpy as np
import pytest

from mcr2_landscape.claims import load as load_claims
from mcr2_landscape.figures import NAMES, load
from mcr2_landscape.gallery.drawing import PRINT_DPI, draw_figure
from mcr2_landscape.gallery.figure import GROUPS
from mcr2_landscape.report import style
from mcr2_landscape.study.opening import shipped

# A unit compiles what it needs, which takes long on a busy machine.
pytestmark = pytest.mark.timeout(120)
FIGURES = {figure.name: figure for figure in load()}
CLAIMS = {claim.id for claim in load_claims().claims}
figures = pytest.mark.parametrize("name", NAMES)


@figures
def test_it_says_what_to_see(name):
    figure = FIGURES[name]
    assert figure.group in GROUPS
    assert figure.title
    assert len(re.findall(r"[.!?](?= |$)", figure.caption)) == 2, "two sentences"
    assert set(figure.claims) <= CLAIMS
    assert set(figure.studies) <= set(shipped())
    assert figure.size[0] <= 7.2, "inches: a page's width"


@figures
def test_its_files_and_axes(name, tables_of, tmp_path):
    """One test, since drawing takes most of the time: numbers and where they are from, names of the axes, the same bytes."""
    figure = FIGURES[name]
    tables = tables_of(figure)
    drawn = draw_figure(figure, tables, tmp_path, form="svg")
    assert_numbers(figure, tables, drawn, tmp_path)
    canvas = style.draw(figure.size, lambda own: figure.paint(own, tables))
    assert_axes(canvas)
    again = io.BytesIO()
    style.save(canvas, again, form="svg", dpi=PRINT_DPI)
    assert again.getvalue() == (tmp_path / drawn.picture).read_bytes(), "the same rows give the same picture"


def assert_numbers(figure, tables, drawn, folder):
    """Each table begins with the identity of the row or the number of rows, and the files hold exactly the tables."""
    origin = json.loads((folder / drawn.provenance).read_text())
    assert set(origin["tables"]) == set(tables)
    for key, table in tables.items():
        assert next(iter(table.columns)) in ("unit", "units")
        assert origin["tables"][key]["study"] == figure.tables[key].study
        assert origin["tables"][key]["versions"]
        arrays = [column for column, values in table.columns.items() if any(isinstance(v, np.ndarray) for v in values)]
        for column in arrays:
            assert_array(figure, tables, key, column, folder)
        plain = [column for column in table.columns if column not in arrays]
        file = f"{figure.name}.csv" if len(tables) == 1 else f"{figure.name}.{key}.csv"
        with open(folder / file, newline="") as text:
            rows = list(csv.DictReader(text))
        assert len(rows) == len(table)
        for column in plain:
            for row, value in zip(rows, table.columns[column], strict=True):
                if isinstance(value, float):
                    assert float(row[column]) == value or np.isnan(value), "in full"
                elif isinstance(value, list):
                    assert json.loads(row[column]) == value
                else:
                    assert row[column] == ("" if value is None else str(value))


def assert_array(figure, tables, key, column, folder):
    """Each array of the store stands in the file of its column, entry by entry."""
    name = figure.name if len(tables) == 1 else f"{figure.name}.{key}"
    with open(folder / f"{name}.{column}.csv", newline="") as text:
        rows = iter(list(csv.DictReader(text)))
    for unit, array in zip(tables[key].columns["unit"], tables[key].columns[column], strict=True):
        for place, value in np.ndenumerate(np.atleast_2d(np.zeros((0, 0)) if array is None else array)):
            row = next(rows)
            words = ("row", "column") if len(place) == 2 else [f"axis_{k + 1}" for k in range(len(place))]
            assert (row["unit"], *(int(row[word]) for word in words)) == (unit, *place)
            assert float(row[column]) == value
    assert next(rows, None) is None


def assert_axes(canvas):
    """Every panel that shows something has names for both axes, its own, the row's or the column's, or the figure's."""
    for way in ("x", "y"):
        shared = getattr(canvas, f"get_sup{way}label")()
        for axes in canvas.axes:
            drawn = axes.get_visible() and axes.axison and (axes.lines or axes.collections or axes.patches or axes.images)
            if not drawn or shared or axes.images or axes.get_label() == "<colorbar>":
                continue
            # Panels beside each other may share the name of the left one's axis.
            row = [other for other in canvas.axes if same_band(axes, other, way)]
            assert any(getattr(other, f"get_{way}label")() for other in row), f"{way} axis of {axes.get_title(loc='left')!r}"


def same_band(axes, other, way):
    """Whether two panels lie in the same row (for their y axes), or in the same column."""
    one, two = axes.get_position(), other.get_position()
    return abs(one.y0 - two.y0) < 0.02 if way == "y" else abs(one.x0 - two.x0) < 0.02
