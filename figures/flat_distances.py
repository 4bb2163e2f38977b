"""How distances between codes relate to those between points and along the manifold, for all pairs of points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import INK

from .flat_parts import FIRST, MANIFOLDS, ORDER, manifold_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

_KINDS = {"ambient": "straight line", "geodesic": "way along it"}
_MOST = 4.0  # factors beyond have the last color
_SQL = f"""
    SELECT unit, manifold, extent, dimension, ambient_quantiles, geodesic_quantiles, ambient_ratios, geodesic_ratios
    FROM ({FIRST}) ORDER BY {ORDER}, extent
"""


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    from matplotlib.colors import LogNorm

    found = tables["ratios"]
    panels = canvas.subplots(3, len(found), squeeze=False, height_ratios=[1, 1, 0.42])
    image = None
    for k in range(len(found)):
        row = {name: column[k] for name, column in found.columns.items()}
        for axes, (kind, words) in zip(panels[:2, k], _KINDS.items(), strict=True):
            ratios = np.asarray(row[f"{kind}_ratios"])
            # The diagonal, a point with itself, and points that coincide have no ratio.
            shown = np.ma.masked_where((ratios <= 0) | np.eye(len(ratios), dtype=bool), ratios)
            norm = LogNorm(1 / _MOST, _MOST)
            image = axes.imshow(shown, cmap="RdBu", norm=norm, interpolation="nearest", rasterized=True)
            axes.set_facecolor(INK)
            axes.set_xticks([])
            axes.set_yticks([])
            if k == 0:
                axes.set_ylabel(f"code over\n{words}")
        panels[0, k].set_title(manifold_name(row["manifold"], row["extent"]), fontsize=8.5, loc="center")
        _quantiles(panels[2, k], row, first=k == 0)
    if image is not None:
        bar = canvas.colorbar(image, ax=list(panels[:2].flat), shrink=0.75, pad=0.015, extend="both")
        bar.set_ticks([0.25, 0.5, 1, 2, 4], labels=["¼", "½", "1", "2", "4"])
        bar.minorticks_off()
        bar.set_label("ratio over its median")


def _quantiles(axes: Axes, row: Mapping[str, object], *, first: bool) -> None:
    """From the least to the greatest ratio of all pairs, and thick what holds the middle nine tenths."""
    color = MANIFOLDS[str(row["manifold"])][0]
    for y, kind in enumerate(_KINDS):
        least, low, high, largest = np.asarray(row[f"{kind}_quantiles"], dtype=float)
        axes.hlines(y, least, largest, color=color, linewidth=1.0)
        axes.hlines(y, low, high, color=color, linewidth=4.5)
    axes.axvline(1, color=INK, linewidth=0.7, linestyle=(0, (1, 2)), zorder=0)
    axes.set_xscale("log")
    axes.set_xlim(0.02, 12)
    axes.set_xticks([0.1, 1, 10], ["0.1", "1", "10"])
    axes.minorticks_off()
    axes.set_ylim(1.6, -0.6)
    axes.set_yticks(range(2), ["line", "way"] if first else ["", ""])
    axes.set_xlabel("ratio", fontsize=8)
    if first:
        axes.set_ylabel("code over")


FIGURE = Figure(
    name="flat_distances",
    group="flatnet",
    title="How flattening stretches distances",
    caption=(
        "The distance between two codes over that between the points on a straight line, and over that along the "
        "manifold, for points in the order of their first coordinate, in units of the median (the diagonal, a point with "
        "itself, is masked), and below over all pairs from the least to the greatest ratio, with the middle nine tenths "
        "thick. Distances on the sine and the cap change by little, those on half a roll by more, and an arc of 1.5 π is "
        "stretched several times as much at its ends (blue) as in its middle, and not kept in order where red and blue "
        "meet."
    ),
    size=(7.2, 4.9),
    tables={"ratios": Select("flat_flow", _SQL, arrays=("ambient_ratios", "geodesic_ratios"))},
    paint=paint,
    claims=("flatnet.injective",),
)
