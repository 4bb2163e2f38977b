"""Accuracy of white-box transformers and their twins at equal width and depth and at equal parameters, and that of controls,
beside what they have more or less than CRATE with the same seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import GRAY, INK

from .transformer_parts import ORDER, differences, interval, look_of, trained

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

_DATA = {"digits": "digits", "mnist": "MNIST", "shapes": "shapes"}
_SQL = f"""
    SELECT count(*) AS units, network, attention, sparsification, control, width, token_dim,
        CAST(avg(parameters) AS INTEGER) AS parameters,
        any_value(learning_rate) AS learning_rate, any_value(num_train) AS num_train, any_value(num_test) AS num_test,
        {interval("test_accuracy", "accuracy")}, avg(train_accuracy) AS train_accuracy
    FROM {trained()} GROUP BY network, attention, sparsification, control, width, token_dim
    ORDER BY {ORDER}, network, width, token_dim
"""
_DIFFERENCES = (
    differences(
        {"test_accuracy": "accuracy"},
        "network, attention, sparsification, control, width, token_dim",
        "network = 'CRATE' AND width = 'equal'",
    )
    + f" ORDER BY {ORDER}, network, width, token_dim"
)
_ZERO: Any = {"color": INK, "linewidth": 0.8, "linestyle": (0, (1, 2)), "zorder": 0}
_FILL = {"equal": None, "equal parameters": "white"}


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    above, below = canvas.subfigures(2, 1, squeeze=False, height_ratios=[1.75, 1])[:, 0]
    panels = above.subplots(2, len(_DATA), sharex="col", height_ratios=[1.2, 1])
    for k, (name, words) in enumerate(_DATA.items()):
        found, less = tables[name], tables[f"differences_{name}"]
        panels[1, k].axhline(0, **_ZERO)
        for axes, table in zip(panels[:, k], (found, less), strict=True):
            for j, own in _rows(table.where(control="none")):
                _point(axes, own, own["parameters"], own["accuracy"], j, upright=True)
            # Not narrower than a tenth, which would make much of little.
            low, high = axes.get_ylim()
            axes.set_ylim(min(low, (low + high) / 2 - 0.05), max(high, (low + high) / 2 + 0.05))
        panels[1, k].set_xlim(0, 1.15 * max(found["parameters"]))
        panels[1, k].xaxis.set_major_locator(MaxNLocator(nbins=3))
        panels[1, k].xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        panels[1, k].set_xlabel("parameters")
        seeds = max(found.columns["units"])
        counts = f"{found.columns['num_train'][0]:,} images, {seeds} seed{'s' * (seeds > 1)}"
        panels[0, k].set_title(f"{words}: {counts}", fontsize=8)
    panels[0, 0].set_ylabel("accuracy on test images", fontsize=8)
    panels[1, 0].set_ylabel("less CRATE's,\nwithin a seed", fontsize=8)
    _controls(below, tables["digits"], tables["differences_digits"])
    _legend(canvas, [table.where(control="none") for table in (tables[name] for name in _DATA)])


def _controls(block: Any, found: Table, less: Table) -> None:
    """CRATE with its controls one below the other: their accuracy, and what it is less CRATE's."""
    own = [row for _, row in _rows(found) if row.columns["control"][0] != "none" or row.columns["network"][0] == "CRATE"]
    names = [row.columns["network"][0] for row in own]
    panels = block.subplots(1, 2, sharey=True)
    for axes, table in zip(panels, (found, less), strict=True):
        for place, name in enumerate(names):
            for _, row in _rows(table.where(network=name)):
                _point(axes, row, row["accuracy"], np.array([float(place)]), place, upright=False)
        axes.grid(axis="x", color=GRAY, alpha=0.25, linewidth=0.6)
    panels[0].set_yticks(range(len(names)), names, fontsize=7.5)
    panels[0].set_ylim(len(names) - 0.5, -0.5)
    panels[0].set_ylabel("control", fontsize=8)
    panels[0].set_xlabel("accuracy on test images, digits", fontsize=8)
    panels[1].axvline(0, **_ZERO)
    panels[1].set_xlabel("less CRATE's, within a seed", fontsize=8)


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
        "Above, the accuracy on test images over the number of parameters, and below it what it is less that of CRATE (dotted) "
        "with the same seed: networks of equal width and depth (filled), and of the width that brings them nearest to the "
        "parameters of CRATE (open), on shapes with nothing but the two halves exchanged. At the bottom, CRATE on the digits "
        "beside itself with parts frozen, tied, turned round or left out, as the names say; each network is shown at that one "
        "of the learning rates tried that has the lowest training loss, and since a seed is also the split of the images, "
        "networks are compared within seeds, in means over seeds with 95 % intervals by Student's t where there are several."
    ),
    size=(7.2, 6.4),
    tables={name: Select(f"transformer_{name}", _SQL) for name in _DATA}
    # A store may hold CRATE alone.
    | {f"differences_{name}": Select(f"transformer_{name}", _DIFFERENCES, least=0) for name in _DATA},
    paint=paint,
)
