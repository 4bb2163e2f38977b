"""Measured rates of ascent near maximizers and saddles against the exact spectrum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import BLUE, GRAY, INK, VERMILION, plain_logarithms, shared_legend

from .landscape_parts import mark_off_scale

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

_LOOKS = {"yes": ("as predicted", BLUE, "o"), "undecided": ("undecided", GRAY, "X"), "no": ("not as predicted", VERMILION, "^")}


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    panels = canvas.subplots(2, 2, sharex="col", gridspec_kw={"height_ratios": [1.7, 1]})
    rates = tables["rates"]
    for column, measures in zip(panels.T, ("approach", "escape"), strict=True):
        above, below = column
        own = rates.where(measures=measures)
        if not len(own):
            below.set_axis_off()
            above.set_axis_off()
            continue
        low, high = (float(end(own["predicted"])) for end in (np.nanmin, np.nanmax))
        above.plot([low, high], [low, high], color=INK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1, label="prediction")
        below.axhline(0.0, color=INK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
        for agreement, (label, color, marker) in _LOOKS.items():
            some = own.where(agreement=agreement)
            if not len(some):
                continue
            mark_off_scale(above, some["predicted"], some["measured"], color=INK, label="factor on the wrong side of one")
            for axes, value, bar in ((above, "measured", "uncertainty"), (below, "error", "error_uncertainty")):
                axes.errorbar(
                    some["predicted"], some[value], yerr=some[bar], color=color, marker=marker, markersize=4,
                    markerfacecolor="none", linestyle="none", linewidth=0.9, capsize=1.5, label=label, zorder=2,
                )  # fmt: skip
        above.set_xscale("log")
        above.set_yscale("log")
        plain_logarithms(above.xaxis)
        plain_logarithms(above.yaxis)
        tolerance = float(own["tolerance"][0])
        for bound in (-tolerance, tolerance):
            below.axhline(bound, color=GRAY, linewidth=0.8, linestyle=(0, (1, 1)), zorder=1)
        below.set_yscale("symlog", linthresh=1e-6, linscale=0.7)
        # All differences with their bars, and the bounds, on both sides of zero.
        reach = max(3 * tolerance, 3 * float(np.nanmax(np.abs(own["error"]) + np.nan_to_num(own["error_uncertainty"]))))
        ends = [10.0**k for k in range(-4, 12, 2) if 10.0**k <= reach]
        below.set_yticks([*(-end for end in reversed(ends)), 0.0, *ends])
        below.set_ylim(-reach, reach)
        below.tick_params(which="minor", length=0)
    panels[0, 0].set_title("approach of a maximizer")
    panels[0, 1].set_title("escape from a strict saddle")
    panels[0, 0].set_ylabel("measured |log factor| a step")
    panels[1, 0].set_ylabel("relative difference")
    canvas.supxlabel("predicted |log factor| a step, from the exact spectrum", fontsize=9)
    shared_legend(canvas, 4)


FIGURE = Figure(
    name="rates",
    group="mcr2",
    title="Measured rates of ascent against those of the exact spectrum",
    caption=(
        "The factors by which the gradient shrinks near a maximizer, and the distance from a strict saddle grows, lie on the "
        "diagonal that the exact spectrum predicts (a start for each marker, of several families, λ and steps; a triangle at "
        "the lower edge if its factor is on the wrong side of one). Below, on a scale that is linear within a millionth, are "
        "the relative differences with their uncertainties, and color and marker say whether both are within the tolerance "
        "(dotted)."
    ),
    size=(7.2, 4.6),
    tables={
        "rates": Select(
            "rates",
            "SELECT unit, measures, family, dim, sizes, relative_regularization, relative_step, tolerance, agreement, "
            "abs(ln(predicted)) AS predicted, sign(ln(predicted)) * ln(measured) AS measured, uncertainty, "
            "ln(measured) / ln(predicted) - 1 AS error, relative_uncertainty AS error_uncertainty "
            "FROM ordered_rows WHERE measured IS NOT NULL",
        )
    },
    paint=paint,
    claims=("mcr2.local-rate", "mcr2.saddle-escape-rate", "mcr2.exact-spectrum"),
)
