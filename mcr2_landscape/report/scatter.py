"""Value against Morse index: the critical points that were found, over the levels that theory lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mcr2_landscape.report.style import GRAY, INK, KINDS, PALE, draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def value_against_index(survey: Mapping[str, Any]) -> Figure:
    """The picture of a survey's or a catalog's plain form (`to_dict`, or the "result" of its JSON file).

    Bars are families of the catalog (light ones where a search found no member), markers the points found, their area growing
    with the number of starts that ended there.
    """

    def paint(figure: Figure) -> None:
        from matplotlib.ticker import MaxNLocator

        axes = figure.subplots()
        _levels(axes, survey.get("listed") or [])
        _points(axes, survey.get("found") or [])
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


def _levels(axes: Axes, listed: list[Mapping[str, Any]]) -> None:
    if any(family.get("found") is not None for family in listed):
        # Levels that were found are drawn last: families of equal value lie on each other.
        groups = [("listed, not found", PALE, [f for f in listed if not f["found"]])]
        groups.append(("listed and found", GRAY, [f for f in listed if f["found"]]))
    else:
        groups = [(kind, color, [f for f in listed if f["kind"] == kind]) for kind, (color, _) in KINDS.items()]
    for name, color, rows in groups:
        if rows:
            index = np.array([row["index"] for row in rows], dtype=float)
            value = np.array([row["value"] for row in rows], dtype=float)
            axes.hlines(value, index - 0.38, index + 0.38, color=color, linewidth=1.6, label=name, zorder=2)


def _points(axes: Axes, found: list[Mapping[str, Any]]) -> None:
    for kind, (color, marker) in KINDS.items():
        rows = [point for point in found if point["kind"] == kind and point["index"] is not None]
        if rows:
            sizes = 10 + 14 * np.log1p([row["count"] for row in rows])
            axes.scatter(
                [row["index"] for row in rows], [row["value"] for row in rows], s=sizes, color=color, marker=marker,
                edgecolor="white", linewidth=0.4, label=kind, zorder=4, alpha=0.9,
            )  # fmt: skip
