"""Pictures that claims bring as data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mcr2_landscape.report.style import BLUE, GRAY, GREEN, INK, ORANGE, PURPLE, SKY, VERMILION, draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Color, marker and dashes change together, so that none has to be told apart alone.
_LOOKS = (
    *((BLUE, "o", "-"), (VERMILION, "^", "--"), (GREEN, "s", "-."), (ORANGE, "D", ":")),
    *((PURPLE, "v", "-"), (SKY, "P", "--"), (INK, "X", "-.")),
)


def draw_plot(plot: Mapping[str, Any]) -> Figure:
    """The picture of a `Plot` in its plain form. Numbers that are missing (`None`) leave a gap."""

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        log = plot.get("log", "")
        if "x" in log:
            axes.set_xscale("log", nonpositive="mask")
        if "y" in log:
            axes.set_yscale("log", nonpositive="mask")
        for number, series in enumerate(plot["series"]):
            _draw_series(axes, series, _LOOKS[number % len(_LOOKS)])
        if plot.get("diagonal", False):
            _draw_diagonal(axes)
        axes.set_xlabel(plot["x_label"])
        axes.set_ylabel(plot["y_label"])
        if len(plot["series"]) > 1:
            figure.legend(loc="outside upper center", ncols=4 if len(plot["series"]) in (4, 7) else 3)

    return draw((6.4, 3.8), paint)


def _draw_series(axes: Axes, series: Mapping[str, Any], look: tuple[str, str, str]) -> None:
    color, marker, dashes = look
    x, y = (np.array(series[name], dtype=float) for name in ("x", "y"))  # None becomes NaN
    if series.get("style", "line") == "line":
        # Few points are marked: a line through them says more than was computed.
        axes.plot(
            x, y, color=color, linestyle=dashes, marker=marker if x.size <= 12 else "", markersize=4, label=series["name"]
        )
    else:
        axes.scatter(
            x, y, s=22, color=color, marker=marker, edgecolor="white", linewidth=0.4, alpha=0.85, label=series["name"], zorder=3
        )


def _draw_diagonal(axes: Axes) -> None:
    low = max(axes.get_xlim()[0], axes.get_ylim()[0])
    high = min(axes.get_xlim()[1], axes.get_ylim()[1])
    if low < high:
        axes.plot([low, high], [low, high], color=GRAY, linewidth=0.9, linestyle=":", zorder=1)
