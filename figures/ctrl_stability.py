"""Simultaneous ascent beside an equilibrium: it returns above a ratio of rates, and leaves below it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import BLUE, GRAY, GREEN, INK, ORANGE, PURPLE, SKY, VERMILION

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

_LOOKS = (
    *((BLUE, "o", "solid"), (ORANGE, "s", (0, (5, 1.5))), (GREEN, "^", (0, (4, 1.5, 1, 1.5)))),
    *((PURPLE, "D", (0, (2, 1))), (SKY, "v", "solid")),
)
_DASHES = ("solid", (0, (5, 1.5)), (0, (2, 1)), (0, (1, 1)))
_RATES = """
    SELECT count(*) AS units, sizes, subspace_ranks, epsilon, relative_ratio, min(threshold) AS threshold,
        min(formula) AS formula, median(predicted_share) AS predicted, median(measured_share) AS measured,
        min(measured_share) AS measured_least, max(measured_share) AS measured_largest
    FROM rows GROUP BY sizes, subspace_ranks, epsilon, relative_ratio
    ORDER BY list_sum(subspace_ranks), len(sizes), sizes, relative_ratio
"""
# Of the smallest game and one seed, three ascents on either side: the nearest ones to the threshold but one.
_CURVES = """
    SELECT unit, sizes, relative_ratio, unnest(curve_time) AS time, unnest(curve_gradient) AS gradient FROM (
        SELECT * FROM (
            SELECT * FROM ordered_rows
            QUALIFY dense_rank() OVER (ORDER BY list_sum(subspace_ranks), len(sizes), sizes, seed) = 1
        ) QUALIFY row_number() OVER (PARTITION BY relative_ratio > 1 ORDER BY abs(ln(relative_ratio))) BETWEEN 2 AND 4
    ) ORDER BY relative_ratio, time
"""


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    left, right = canvas.subplots(1, 2)
    sides = {True: 0, False: 0}
    for (ratio,), own in tables["curves"].groups("relative_ratio"):
        above = ratio > 1
        color, dashes = (BLUE if above else VERMILION), _DASHES[sides[above] % len(_DASHES)]
        sides[above] += 1
        left.semilogy(own["time"], own["gradient"], color=color, linestyle=dashes, linewidth=1.3, label=f"κ = {ratio:g} κ*")
    left.set_xlim(left=0)
    left.minorticks_off()
    left.set_xlabel("time, times the fastest rate")
    left.set_ylabel("‖∇$_G$ D‖, over that at the start")
    left.legend(fontsize=7.5, ncols=1, loc="center right")
    games = tables["rates"].groups("sizes", "subspace_ranks", "epsilon")
    for (color, marker, dashes), ((sizes, ranks, _), own) in zip(_LOOKS, games, strict=False):
        words = f"n = {', '.join(map(str, sizes))}; r = {', '.join(map(str, ranks))}: κ* = {own.columns['threshold'][0]:.4f}"
        right.plot(own["relative_ratio"], own["predicted"], color=color, linestyle=dashes, linewidth=1.2)
        right.plot(own["relative_ratio"], own["measured"], color=color, marker=marker, markersize=4, linestyle="")
        right.vlines(own["relative_ratio"], own["measured_least"], own["measured_largest"], color=color, linewidth=2.0)
        right.plot([], [], color=color, linestyle=dashes, marker=marker, markersize=4, linewidth=1.2, label=words)
    right.axhline(0.0, color=GRAY, linewidth=0.8, zorder=0)
    right.axvline(1.0, color=INK, linewidth=0.8, linestyle=(0, (1, 2)), zorder=0)
    right.set_xlabel("ratio κ of decoder's to encoder's rate, over κ*")
    right.set_ylabel("rate of growth, over the fastest rate")
    right.legend(fontsize=7, loc="upper right")


FIGURE = Figure(
    name="ctrl_stability",
    group="ctrl",
    title="From which ratio of rates on simultaneous ascent is stable",
    caption=(
        "Ascents that start beside an equilibrium, along the leading mode of the linearization there, move away below the "
        "ratio κ* at which its spectrum crosses the imaginary axis, and return above it (left, one game). The rates at which "
        "the simulated ascents grow and decay (markers: medians; bars: least to largest over the seeds) are those of the "
        "leading eigenvalue (lines), which changes sign at κ* in every game (right)."
    ),
    size=(7.2, 3.4),
    tables={"rates": Select("ctrl_stability", _RATES, least=2), "curves": Select("ctrl_stability", _CURVES, least=2)},
    paint=paint,
    claims=("ctrl.timescale-threshold", "ctrl.stackelberg-not-nash"),
)
