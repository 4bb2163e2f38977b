"""What exploration mends, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import BLUE, GREEN, INK, PURPLE

from .learning import band_legend, brief, names, paint_band

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    sweep = tables["sweep"]
    gap, error, visits = canvas.subplots(1, 3, sharex=True)
    paint_band(gap, sweep, "exploration", "gap", BLUE, marker="o")
    gap.plot(sweep["exploration"], sweep["largest_gap"], color=INK, linestyle=":", marker="^", markersize=4, linewidth=1)
    paint_band(error, sweep, "exploration", "q_error", GREEN, marker="s")
    visits.plot(sweep["exploration"], sweep["least_visited"], color=PURPLE, marker="D", markersize=4)
    for at, seen, share in zip(sweep["exploration"], sweep["least_visited"], sweep["share_untried"], strict=True):
        if share > 0:
            words = f"never, for {brief(100 * share)} %\nof the learners"
            visits.annotate(words, (at, seen), xytext=(9, -1), textcoords="offset points", fontsize=7.5, va="center")
    for axes, title, label in (
        (gap, "Nash gap", "units of value"),
        (error, "largest |q − Q̃|", "units of value"),
        (visits, "least tried pair", "times tried (steps), median"),
    ):
        axes.set_title(title)
        axes.set_ylabel(label)
        axes.set_xscale("log")
    for axes in (gap, error):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    visits.set_yscale("symlog", linthresh=1)  # a pair may never be tried
    visits.margins(y=0.12)
    for axes in (gap, error, visits):
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    canvas.supxlabel("exploration ε (probability)", fontsize=9)
    band_legend(canvas, more={"largest": (INK, ":")})


FIGURE = Figure(
    name="markov_exploration",
    group="markov",
    title="Exploration: what it mends and what it costs",
    caption=(
        "With little exploration a tail of learners stays far from an equilibrium, as some pair of a state and an own action "
        "is hardly tried; with more of it the tail shrinks and the largest |q − Q̃| falls. Beyond that the median gap rises "
        "with ε, and the bands narrow around it: all learners are kept from an equilibrium alike."
    ),
    size=(7.2, 2.8),
    tables={
        "sweep": Select(
            "markov_exploration",
            "SELECT unit, exploration, num_learners, num_steps, "
            + ", ".join(f"{name}[-1] AS {name}" for prefix in ("gap", "q_error") for name in names(prefix))
            + ", largest_gap, least_visited, share_untried FROM rows "
            "QUALIFY row_number() OVER (PARTITION BY exploration ORDER BY seed) = 1 ORDER BY exploration",
            least=2,
        )
    },
    paint=paint,
    claims=("mpg.visits.corrected", "mpg.convergence.corrected"),
)
