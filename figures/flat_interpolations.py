"""Straight lines between codes of FlatNet, decoded, beside straight lines between the points: what they pass."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import BLUE, GRAY, INK, PALE, VERMILION, plain_logarithms

from .csc_parts import mosaic, paint_mosaic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

_NAMES = {"sine": "sine curve", "arc": "arc", "squares": "a square moved", "digits": "digits of one class"}
_ORDER = "CASE data " + " ".join(f"WHEN '{name}' THEN {k}" for k, name in enumerate(_NAMES)) + " END"
_FIRST = "SELECT * FROM ordered_rows QUALIFY row_number() OVER (PARTITION BY data ORDER BY seed) = 1"
_KINDS = {"flat": ("between codes, decoded", BLUE, "o"), "straight": ("between points", VERMILION, "s")}
_SHOWN = f"""
    SELECT unit, data, extent, dimension, verdict, held_out_error, shown_flat, shown_straight, shown_points FROM ({_FIRST})
    ORDER BY {_ORDER}
"""
# Of all seeds: medians over pairs, and over seeds from the least 5 % to the greatest 95 %.
_QUANTILES = ", ".join(
    f"{how}({kind}_distance[number][{quantile}]) AS {kind}_{end}"
    for kind in _KINDS
    for end, quantile, how in (("low", 1, "min"), ("median", 2, "median"), ("high", 3, "max"))
)
_DISTANCES = f"""
    SELECT count(*) AS units, data, spot AS place, {_QUANTILES}, median(typical_distance) AS typical FROM (
        SELECT *, unnest(place) AS spot, unnest(range(1, len(place) + 1)) AS number FROM rows
    ) GROUP BY data, spot, number ORDER BY {_ORDER}, number
"""


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    shown, distances = tables["shown"], tables["distances"]
    above, below = canvas.subfigures(2, 1, squeeze=False, height_ratios=[1.05, 1])[:, 0]
    rows = _rows(shown)
    widths = np.array([1.0 if _flat(row) else 1.35 for row in rows])
    widths /= widths.sum()
    for left, width, row in zip(np.cumsum(widths) - widths, widths, rows, strict=True):
        (_curve if _flat(row) else _images)(above, row, float(left), float(width))
    panels = below.subplots(1, len(shown), squeeze=False)[0]
    for k, (axes, (data,)) in enumerate(zip(panels, (key for key, _ in distances.groups("data")), strict=True)):
        _distances(axes, distances.where(data=data), _NAMES[data], first=k == 0)
    handles, labels = panels[0].get_legend_handles_labels()
    below.legend(handles, labels, loc="outside lower center", ncols=len(labels))


def _rows(table: Table) -> list[dict[str, Any]]:
    return [{name: column[k] for name, column in table.columns.items()} for k in range(len(table))]


def _flat(row: Mapping[str, Any]) -> bool:
    return np.asarray(row["shown_points"]).shape[1] == 2


def _title(row: Mapping[str, Any]) -> str:
    # Short: pictures are narrow.
    return f"{_NAMES[row['data']].removesuffix(' of one class')}, d = {row['dimension']}: {row['verdict']}"


# Where pictures stand is said here: a layout of so many would not be the same each time.


def _curve(block: Any, row: Mapping[str, Any], left: float, width: float) -> None:
    axes = block.add_axes((left + 0.055, 0.17, width - 0.065, 0.72))
    points = np.asarray(row["shown_points"])
    axes.plot(points[:, 0], points[:, 1], color=PALE, linewidth=3, zorder=1)
    for pair in range(len(row["shown_flat"])):
        for kind, (_, color, marker) in _KINDS.items():
            x, y = np.asarray(row[f"shown_{kind}"])[pair].T
            axes.plot(x, y, color=color, marker=marker, markersize=2.6, linewidth=0.8, zorder=3)
    axes.set_xlabel("x₁", labelpad=1)
    axes.set_ylabel("x₂", labelpad=0)
    axes.locator_params(nbins=4)
    axes.set_title(_title(row), fontsize=7)


def _images(block: Any, row: Mapping[str, Any], left: float, width: float) -> None:
    flat, straight = (np.asarray(row[f"shown_{kind}"]) for kind in _KINDS)
    pairs, places, pixels = flat.shape
    side, few = math.isqrt(pixels), list(range(0, places, 2))
    largest = max(float(flat.max()), float(straight.max()), 1e-12)
    pictures = [[own[pair, place].reshape(side, side) for place in few] for pair in range(pairs) for own in (flat, straight)]
    shown, middles, _ = mosaic(pictures)
    axes = block.add_axes((left + 0.035, 0.04, width - 0.04, 0.85))
    axes.set_facecolor(PALE)
    paint_mosaic(axes, shown, cmap="gray_r", vmin=0, vmax=largest)
    words = ["codes", "points"] * pairs
    axes.set_yticks(middles, words, fontsize=7, rotation=90, va="center")
    axes.tick_params(length=0)
    for label, kind in zip(axes.get_yticklabels(), list(_KINDS.values()) * pairs, strict=True):
        label.set_color(kind[1])
    axes.set_title(_title(row), fontsize=7)


def _distances(axes: Axes, own: Table, title: str, *, first: bool) -> None:
    for kind, (words, color, marker) in _KINDS.items():
        axes.fill_between(own["place"], own[f"{kind}_low"], own[f"{kind}_high"], color=color, alpha=0.18, linewidth=0)
        axes.plot(own["place"], own[f"{kind}_median"], color=color, marker=marker, markersize=3, linewidth=1.2, label=words)
    axes.axhline(own["typical"][0], color=GRAY, linewidth=0.9, linestyle=(0, (4, 2)), label="points themselves", zorder=1)
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    if high < 30 * low:
        plain_logarithms(axes.yaxis)
    else:
        axes.minorticks_off()
    axes.set_xticks([0, 0.5, 1], ["0", "½", "1"])
    axes.set_xlabel("place t on the line")
    axes.set_title(title, fontsize=8, color=INK)
    if first:
        axes.set_ylabel("distance to the nearest\nof other points")


FIGURE = Figure(
    name="flat_interpolations",
    group="flatnet",
    title="Lines between codes stay on a manifold that is flattened",
    caption=(
        "Lines between the codes of two points, decoded, and between the points themselves, of the pairs farthest apart "
        "(above, with the verdict of the fit), and, for many pairs, the distance from places on them to the nearest of "
        "many points that no fit has seen, in units of the points' spread (median, and 5 to 95 % of the pairs; dashed, "
        "that of the fitted points). On curves and pictures of a moved square lines between codes stay on the manifold as "
        "well as points are decoded, and those between points leave it, while for digits, which are not flattened, "
        "neither is nearer to unseen digits than the other."
    ),
    size=(7.2, 4.8),
    tables={
        "shown": Select("flat_interpolation", _SHOWN, arrays=("shown_flat", "shown_straight", "shown_points")),
        "distances": Select("flat_interpolation", _DISTANCES),
    },
    paint=paint,
    claims=("flatnet.flattening",),
)
