"""Accuracy of white-box transformers and their twins at equal width and depth and at equal parameters, and that of controls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import GRAY

from .transformer_parts import ORDER, interval, look_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

_DATA = {"digits": "digits", "mnist": "MNIST", "shapes": "shapes"}
_SQL = f"""
    SELECT count(*) AS units, network, attention, sparsification, control, width, token_dim,
        CAST(avg(parameters) AS INTEGER) AS parameters, any_value(num_train) AS num_train, any_value(num_test) AS num_test,
        {interval("test_accuracy", "accuracy")}, avg(train_accuracy) AS train_accuracy
    FROM rows GROUP BY network, attention, sparsification, control, width, token_dim ORDER BY {ORDER}, network, width, token_dim
"""
_FILL = {"equal": None, "equal parameters": "white"}


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    grid = canvas.add_gridspec(2, len(_DATA), height_ratios=[1.3, 1])
    for k, (name, words) in enumerate(_DATA.items()):
        axes, found = canvas.add_subplot(grid[0, k]), tables[name]
        for j, own in _rows(found.where(control="none")):
            _point(axes, own, own["parameters"], own["accuracy"], j, upright=True)
        axes.set_xlim(0, 1.15 * max(found["parameters"]))
        axes.xaxis.set_major_locator(MaxNLocator(nbins=3))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        # Not narrower than a tenth, which would make much of little.
        low, high = axes.get_ylim()
        axes.set_ylim(min(low, (low + high) / 2 - 0.05), max(high, (low + high) / 2 + 0.05))
        axes.set_xlabel("parameters")
        axes.set_title(f"{words}: {found.columns['num_train'][0]:,} images", fontsize=8)
        if k == 0:
            axes.set_ylabel("accuracy on test images")
    controls, found = canvas.add_subplot(grid[1, :]), tables["digits"]
    own = [(j, row) for j, row in _rows(found) if row.columns["control"][0] != "none" or row.columns["network"][0] == "CRATE"]
    for place, (j, row) in enumerate(own):
        _point(controls, row, row["accuracy"], np.array([float(place)]), j, upright=False)
    controls.set_yticks(range(len(own)), [row.columns["network"][0] for _, row in own], fontsize=7.5)
    controls.set_ylim(len(own) - 0.5, -0.5)
    controls.set_xlabel("accuracy on test images, digits")
    controls.set_ylabel("control", fontsize=8)
    controls.grid(axis="x", color=GRAY, alpha=0.25, linewidth=0.6)
    _legend(canvas, [table.where(control="none") for table in (tables[name] for name in _DATA)])


def _rows(table: Table) -> list[tuple[int, Table]]:
    """The table row by row, with a number."""
    return [(k, Table({name: [column[k]] for name, column in table.columns.items()})) for k in range(len(table))]


def _point(axes: Axes, own: Table, x: Any, y: Any, number: int, *, upright: bool) -> None:
    color, marker = look_of(own.columns["network"][0])
    low, high = own["accuracy_low"], own["accuracy_high"]
    (axes.vlines if upright else axes.hlines)(x if upright else y, low, high, color=color, linewidth=1.0)
    fill = _FILL[own.columns["width"][0]] or color
    axes.plot(x, y, color=color, marker=marker, markersize=5, markerfacecolor=fill, linestyle="", zorder=3 + number)


def _legend(canvas: Canvas, tables: list[Table]) -> None:
    from matplotlib.lines import Line2D

    handles: dict[str, Line2D] = {}
    for name in dict.fromkeys(name for table in tables for name in table.columns["network"]):
        color, marker = look_of(name)
        handles[name] = Line2D([], [], color=color, marker=marker, markersize=5, linestyle="")
    for words, fill in (("equal width", GRAY), ("parameters of CRATE", "white")):
        handles[words] = Line2D([], [], color=GRAY, marker="o", markersize=5, linestyle="", markerfacecolor=fill)
    canvas.legend(
        list(handles.values()), list(handles), loc="outside upper center", ncols=7, columnspacing=1.0, handletextpad=0.1
    )


FIGURE = Figure(
    name="transformer_accuracy",
    group="whitebox",
    title="Accuracy at equal width and depth, and at equal parameters",
    caption=(
        "Above, the accuracy on test images over the number of parameters: networks of equal width and depth (filled), and of "
        "the width that brings them nearest to the parameters of CRATE (open), on shapes with nothing but the two halves "
        "exchanged; means over seeds, with 95 % intervals by Student's t where there are several, and in the titles how many "
        "images they were trained with. Below, CRATE on the digits beside itself with parts frozen, tied, turned round or left "
        "out, as the names say."
    ),
    size=(7.2, 4.8),
    tables={name: Select(f"transformer_{name}", _SQL) for name in _DATA},
    paint=paint,
    claims=("crate.free-output",),
)
