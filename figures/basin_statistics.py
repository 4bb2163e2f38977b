"""Values reached, distinct ends, and gradients spent by ascent from random starts, by scale and λ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import BLUE, GREEN, INK, LAMBDA_MAX, VERMILION, shared_legend

from .landscape_parts import NEAR

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

_LOOKS = ((BLUE, "o", "solid"), (VERMILION, "^", (0, (5, 1.5))), (GREEN, "s", (0, (1, 1))))


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    from matplotlib.ticker import MaxNLocator

    panels = canvas.subplots(1, 3)
    for ((strength,), own), (color, marker, dashes) in zip(
        tables["starts"].groups("relative_regularization"), _LOOKS, strict=False
    ):
        scale = own["scale"]
        for axes, name in ((panels[0], "value"), (panels[1], "ends"), (panels[2], "gradients")):
            if name != "ends":
                axes.fill_between(scale, own[f"{name}_low"], own[f"{name}_high"], color=color, alpha=0.16, linewidth=0)
            axes.plot(
                scale, own[name], color=color, marker=marker, linestyle=dashes, markersize=4, linewidth=1.3,
                label=f"λ = {strength:g} {LAMBDA_MAX}",
            )  # fmt: skip
    starts = sorted({int(n) for n in tables["starts"].columns["units"]})
    for axes in panels:
        axes.set_xscale("log")
    panels[0].axhline(1.0, color=INK, linewidth=0.8, linestyle=(0, (4, 3)), label="global maximum")
    panels[0].set_ylabel("value reached / maximum")
    panels[1].set_ylabel(f"distinct ends of {' or '.join(map(str, starts))} starts")
    panels[1].yaxis.set_major_locator(MaxNLocator(integer=True))
    panels[2].set_ylabel("gradients spent")
    for axes in panels:
        axes.set_ylim(bottom=0)
    problem = f"d = {tables['starts'].columns['dim'][0]}, sizes {', '.join(map(str, tables['starts'].columns['sizes'][0]))}"
    canvas.supxlabel(f"scale of the start (standard deviation of the entries of √α Z); {problem}", fontsize=9)
    shared_legend(canvas, 4)


FIGURE = Figure(
    name="basin_statistics",
    group="mcr2",
    title="How good, how many and how dear the ends of ascent are",
    caption=(
        "The value reached (median, with a band for the middle four fifths of the starts) rises from zero to a share of the "
        "maximum that hardly depends on the scale any more, and is the lower the nearer λ is to λ_max. Starts in between, "
        "where some classes collapse, end in the greatest variety of families and spend the most gradients."
    ),
    size=(7.2, 2.9),
    tables={
        "starts": Select(
            "ascent",
            "SELECT count(*) AS units, any_value(dim) AS dim, any_value(sizes) AS sizes, relative_regularization, scale, "
            "quantile_cont(value / maximum, 0.1) AS value_low, median(value / maximum) AS value, "
            "quantile_cont(value / maximum, 0.9) AS value_high, count(DISTINCT ranks) AS ends, "
            "quantile_cont(num_gradients, 0.1) AS gradients_low, median(num_gradients) AS gradients, "
            f"quantile_cont(num_gradients, 0.9) AS gradients_high FROM ({NEAR}) "
            "GROUP BY relative_regularization, scale ORDER BY relative_regularization, scale",
        )
    },
    paint=paint,
    claims=("mcr2.ascent-from-random-starts", "mcr2.global-maximizers.corrected"),
)
