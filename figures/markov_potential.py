"""The potential along the learning dynamics, beside the team optimum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import INK

from .learning import SETTINGS, STUDY, band_legend, curves, names, paint_band, row_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

_SHOWN = ("1: common interest", "2: step sizes exchanged", "3: τ = 1e-3", "4: eight players")


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    panels = canvas.subplots(1, len(_SHOWN), sharex=True)
    for axes, name in zip(panels, _SHOWN, strict=True):
        table = tables[name[0]]
        paint_band(axes, table, "step", "potential", SETTINGS[name][1])
        axes.axhline(table["optimum"][0], color=INK, linewidth=0.9, linestyle=(0, (4, 2)))
        axes.set_xscale("log")
        axes.set_title(name, fontsize=8)
    low = min(axes.get_ylim()[0] for axes in panels[:3])
    high = max(axes.get_ylim()[1] for axes in panels[:3])
    for axes in panels[:3]:  # the same game: the same scale
        axes.set_ylim(low, high)
    for axes in panels[1:3]:
        axes.tick_params(labelleft=False)
    panels[0].set_ylabel("potential (units of value)")
    canvas.supxlabel("time (steps)", fontsize=9)
    band_legend(canvas, more={"team optimum": (INK, "--")})


FIGURE = Figure(
    name="markov_potential",
    group="markov",
    title="The potential along the dynamics",
    caption=(
        "In the paper's settings with common interest the potential, averaged over the first state, rises towards the team "
        "optimum, and more slowly with eight players. With the step sizes exchanged it stops where the learners are locked "
        "in: most of them below the optimum for good."
    ),
    size=(7.2, 2.7),
    tables={
        name[0]: Select(STUDY, curves(row_of(name), *names("potential"), beside="unit, optimum"), least=2) for name in _SHOWN
    },
    paint=paint,
    claims=("mpg.stage-potentials.corrected", "mpg.visits.printed"),
)
