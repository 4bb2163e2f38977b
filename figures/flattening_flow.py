"""Curves and surfaces after some of FlatNet's layers, and how the part of their variance off a line or plane falls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import INK

from .flat_parts import FIRST, MANIFOLDS, ORDER, manifold_name, no_frame

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

_COLUMNS = 4
_FLOWS = f"""
    SELECT unit, manifold, extent, dimension, num_layers, verdict, inversions, stages, held_out_tail, held_out_error, places,
        positions FROM ({FIRST}) ORDER BY {ORDER}, extent
"""
_TAILS = f"""
    SELECT unit, manifold, extent, unnest(range(0, len(tails))) AS layer, unnest(tails) AS tail FROM ({FIRST})
    ORDER BY {ORDER}, extent, layer
"""


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    flows, tails = tables["flows"], tables["tails"]
    high = 1 / len(flows)
    canvas.set_layout_engine("none")
    for k in range(len(flows)):
        row = {name: column[k] for name, column in flows.columns.items()}
        # Where panels stand is said here: the layout of pictures with one scale would not be the same each time.
        low = 1 - (k + 1) * high
        line = [canvas.add_axes((0.04 + 0.17 * j, low + 0.14 * high, 0.16, 0.6 * high)) for j in range(_COLUMNS)]
        _stages(line, row)
        axes, (color, _) = canvas.add_axes((0.83, low + 0.26 * high, 0.16, 0.58 * high)), MANIFOLDS[row["manifold"]]
        own = tails.where(unit=row["unit"])
        axes.plot(own["layer"], own["tail"], color=color, linewidth=1.2)
        axes.plot(row["num_layers"], row["held_out_tail"], color=INK, marker="x", markersize=5, linestyle="", zorder=5)
        axes.set_yscale("log")
        axes.set_ylim(1e-8, 1)
        axes.set_yticks([1e-8, 1e-4, 1])
        axes.minorticks_off()
        axes.set_xlim(left=0)
        axes.locator_params(axis="x", nbins=4)
        axes.set_ylabel("part off\nthe plane" if row["dimension"] > 1 else "part off\nthe line", fontsize=8)
        axes.set_xlabel("layer", fontsize=8, labelpad=1)


def _stages(line: Sequence[Axes], row: Mapping[str, Any]) -> None:
    places, positions = np.asarray(row["places"]), np.asarray(row["positions"])
    # One scale for the two directions and for all stages, by the panels' own sides.
    middle = (positions.min(axis=(0, 1)) + positions.max(axis=(0, 1))) / 2
    sides = np.array([line[0].bbox.width, line[0].bbox.height])
    reach = sides * np.max(1.08 * np.abs(positions - middle).max(axis=(0, 1)) / sides)
    for j, axes in enumerate(line):
        no_frame(axes)
        if j > 0:
            axes.set_axis_off()  # the first one's names are all of theirs
        if j >= len(positions):
            continue
        along, across = positions[j].T
        size = 7 if row["dimension"] == 1 else 2.5
        axes.scatter(along, across, c=places, cmap="viridis", s=size, linewidths=0, rasterized=True)
        axes.set_xlim(middle[0] - reach[0], middle[0] + reach[0])
        axes.set_ylim(middle[1] - reach[1], middle[1] + reach[1])
        layers = row["stages"][j]
        axes.set_title("before" if layers == 0 else f"{layers} layers" if layers > 1 else "1 layer", fontsize=7.5, loc="center")
    line[0].set_ylabel("off it", fontsize=8)
    line[0].set_xlabel("along it", fontsize=8)
    words = f"{manifold_name(row['manifold'], row['extent'])}: {row['verdict']}"
    if row["inversions"]:
        words += f", {row['inversions']} steps go back"
    line[0].annotate(words, (0, 1), xytext=(0, 17), xycoords="axes fraction", textcoords="offset points", fontsize=8.5)


FIGURE = Figure(
    name="flattening_flow",
    group="flatnet",
    title="Curves and surfaces flattened layer by layer",
    caption=(
        "Points before the layers and after some of them, in the direction of the line or plane that is reached which "
        "follows the first coordinate (color) most, and perpendicular to it, surfaces seen from the side; beside them the "
        "part of the variance off the line or plane after each layer, of other points after the last as a cross, and in "
        "each title the verdict of the fit. Sine, cap and half a roll become flat without a fold, while an arc of 1.5 π "
        "does not keep its order: it becomes flat after many layers (full size), by a fold."
    ),
    size=(7.2, 6.4),
    tables={
        "flows": Select("flat_flow", _FLOWS, arrays=("places", "positions")),
        "tails": Select("flat_flow", _TAILS),
    },
    paint=paint,
    claims=("flatnet.flattening", "flatnet.injective", "flatnet.injective.corrected"),
)
