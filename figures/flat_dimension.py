"""Over the dimension of a manifold: the error of decoding held-out points, and what its dimension is taken for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import BLUE, GREEN, INK, ORANGE, VERMILION

from .ctrl_parts import spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

_FAMILIES = {"gaussian-process": "Gaussian processes", "random": "products of Fourier series"}
_ERRORS = {"plane_error": ("principal directions", VERMILION, "s"), "held_out_error": ("flattened", BLUE, "o")}
_ESTIMATES = {
    "estimate": ("this library", BLUE, "o"),
    "likelihood": ("maximum likelihood", GREEN, "^"),
    "two_nearest": ("two nearest neighbors", ORANGE, "s"),
}
_SQL = f"""
    SELECT count(*) AS units, manifold, dimension, any_value(num_points) AS num_points, any_value(num_features) AS num_features,
        {", ".join(spread(name, name) for name in (*_ERRORS, *_ESTIMATES, "tail"))},
        count(*) FILTER (WHERE verdict = 'holds') AS holds, count(*) FILTER (WHERE verdict = 'refuted') AS refuted
    FROM rows GROUP BY manifold, dimension ORDER BY manifold, dimension
"""


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    families = list(tables["manifolds"].groups("manifold"))
    panels = canvas.subplots(2, len(families), squeeze=False)
    for column, ((name,), own) in zip(panels.T, families, strict=True):
        errors, estimates = column
        _points(errors, own, _ERRORS)
        errors.set_yscale("log")
        errors.minorticks_off()
        size = f"N = {own.columns['num_points'][0]}, D = {own.columns['num_features'][0]}"
        errors.set_title(f"{_FAMILIES[name]}, {size}{_draws(own)}", fontsize=8.5, pad=14)
        errors.set_ylabel("error of held-out points")
        _points(estimates, own, _ESTIMATES)
        ends = np.array([0.5, own["dimension"].max() + 0.5])
        estimates.plot(ends, ends, color=INK, linewidth=0.8, linestyle=(0, (1, 2)), zorder=0, label="true")
        estimates.set_ylabel("estimated dimension")
        estimates.set_xlabel("dimension d")
        for axes in column:
            axes.set_xticks(own["dimension"], [f"{d:g}" for d in own["dimension"]])
            axes.set_xlim(ends[0], ends[1])
        _verdicts(errors, own)
        whole = np.unique(own["dimension"])
        apart = np.append(True, np.diff(whole) > 0.06 * (ends[1] - ends[0]))  # else their numbers run into each other
        estimates.set_yticks(whole[apart], [f"{d:g}" for d in whole[apart]])
    for line in panels:
        line[0].legend(loc="best", handletextpad=0.3)


def _points(axes: Axes, own: Table, names: Mapping[str, tuple[str, str, str]]) -> None:
    """Medians over the draws, from the least to the largest, side by side."""
    step = 0.012 * float(np.ptp(own["dimension"]) + 1)
    for k, (name, (words, color, marker)) in enumerate(names.items()):
        at = own["dimension"] + step * (2 * k - len(names) + 1)
        axes.vlines(at, own[f"{name}_least"], own[f"{name}_largest"], color=color, linewidth=0.9)
        axes.plot(at, own[name], color=color, marker=marker, markersize=4.5, linewidth=1.0, label=words)


def _draws(own: Table) -> str:
    """How many draws each dimension has, if all have as many."""
    units = set(own.columns["units"])
    return f", {min(units)} draw{'s' * (min(units) > 1)}" if len(units) == 1 else ""


def _verdicts(axes: Axes, own: Table) -> None:
    """Above each dimension how many of the fits hold by their verdict, and of how many where the title does not say it."""
    alike = bool(_draws(own))
    look = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "fontsize": 7}
    for d, held, count in zip(own["dimension"], own.columns["holds"], own.columns["units"], strict=True):
        axes.annotate(f"{held}" if alike else f"{held}/{count}", (d, 1), xytext=(0, 3), ha="center", **look)
    axes.annotate("holds", (axes.get_xlim()[0], 1), xytext=(-3, 3), ha="right", **look)


FIGURE = Figure(
    name="flat_dimension",
    group="flatnet",
    title="More and more dimensions: errors of decoding, and estimates",
    caption=(
        "Above, the relative error of held-out points decoded from codes of as many numbers as the manifold has "
        "dimensions, beside that of as many principal directions, with how many of the fits hold by their verdict, and "
        "below the dimension as estimated by this library and, with scikit-dimension, by maximum likelihood and by the "
        "two nearest neighbors (medians over draws, bars from the least to the largest). On Gaussian processes of few "
        "dimensions flattening has by far the smaller error, which is over towards twenty with 2,000 points (full size); "
        "products of many Fourier series lie near planes of fewer dimensions, which all estimates take for theirs."
    ),
    size=(7.2, 4.6),
    tables={"manifolds": Select("flat_dimension", _SQL)},
    paint=paint,
    claims=("flatnet.dimension.printed", "flatnet.dimension.corrected"),
)
