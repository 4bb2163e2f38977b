"""Value against Morse index: the critical points that were found, over the levels that theory lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mcr2_landscape.report.style import GRAY, INK, KINDS, ORANGE, PALE, draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def value_against_index(survey: Mapping[str, Any]) -> Figure:
    """The picture of a survey's or a catalog's plain form (`to_dict`, or the "result" of its JSON file).

    Bars are families of the catalog (light ones where a search found no member), markers the points found, their area growing
    with the number of starts that ended there.
    """
    listed, points = survey.get("listed") or [], survey.get("found") or []

    def paint(figure: Figure) -> None:
        from matplotlib.ticker import MaxNLocator

        axes = figure.subplots()
        index, value = _column(listed, "index"), _column(listed, "value")
        if any(family.get("found") is not None for family in listed):
            paint_levels(axes, index, value, found=np.array([bool(family["found"]) for family in listed], dtype=bool))
        else:
            paint_levels(axes, index, value, kinds=[family["kind"] for family in listed])
        kinds = [point["kind"] for point in points]
        paint_points(axes, _column(points, "index"), _column(points, "value"), kinds, _column(points, "count"))
        axes.axhline(survey["maximum"], color=INK, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
        axes.annotate(
            "global maximum", (1.0, survey["maximum"]), xycoords=("axes fraction", "data"), xytext=(0, 3),
            textcoords="offset points", ha="right", va="bottom", fontsize=8,
        )  # fmt: skip
        axes.set_xlabel("Morse index (number of ascent directions)")
        axes.set_ylabel("F")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.margins(x=0.05, y=0.08)
        figure.legend(loc="outside upper center", ncols=4)

    return draw((6.8, 4.4), paint)


def _column(rows: Sequence[Mapping[str, Any]], name: str) -> np.ndarray:
    return np.array([np.nan if row.get(name) is None else row[name] for row in rows], dtype=np.float64)


def paint_levels(
    axes: Axes, index: np.ndarray, value: np.ndarray, *, found: np.ndarray | None = None, kinds: Sequence[str] = ()
) -> None:
    """A bar for each level: by whether it was `found`, or by its kind."""
    if found is not None:
        # Levels that were found are drawn last: families of equal value lie on each other.
        groups = [("listed, not found", PALE, ~found), ("listed and found", GRAY, found)]
    else:
        groups = [(kind, color, np.array([own == kind for own in kinds])) for kind, (color, _) in KINDS.items()]
    for name, color, rows in groups:
        if rows.any():
            at = index[rows]
            axes.hlines(value[rows], at - 0.38, at + 0.38, color=color, linewidth=1.6, label=name, zorder=2)


def paint_points(
    axes: Axes,
    index: np.ndarray,
    value: np.ndarray,
    kinds: Sequence[str],
    count: np.ndarray,
    *,
    families: Sequence[str | None] | None = None,
) -> None:
    """A marker for each point by its kind, whose area grows with `count`; a cross at the right edge for each without an index
    (NaN). With `families`, a ring around those that are in none."""
    for kind, (color, marker) in KINDS.items():
        rows = np.array([own == kind for own in kinds], dtype=bool) & np.isfinite(index)
        if rows.any():
            axes.scatter(
                index[rows], value[rows], s=10 + 14 * np.log1p(count[rows]), color=color, marker=marker,
                edgecolor="white", linewidth=0.4, label=kind, zorder=4, alpha=0.9,
            )  # fmt: skip
    unknown = ~np.isfinite(index)
    unlisted = np.array([own is None for own in families or [""] * len(index)], dtype=bool)
    across = axes.get_yaxis_transform()
    if unknown.any():
        axes.scatter(
            np.ones(int(unknown.sum())), value[unknown], s=24, color=INK, marker="x", linewidth=1.0, clip_on=False,
            transform=across, label="index unknown (right edge)", zorder=4,
        )  # fmt: skip
    looks: dict[str, Any] = {"facecolor": "none", "edgecolor": ORANGE, "linewidth": 1.2, "zorder": 5, "clip_on": False}
    name: str | None = "in no family"
    for rows, way in ((unlisted & ~unknown, axes.transData), (unlisted & unknown, across)):
        if rows.any():
            at = np.where(unknown, 1.0, index)[rows]
            axes.scatter(at, value[rows], s=30 + 14 * np.log1p(count[rows]), transform=way, label=name, **looks)
            name = None
