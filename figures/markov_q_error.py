"""How far learned values are from theirs, against how far policies are from an equilibrium."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import GRAY

from .learning import FLOOR, SETTINGS, STUDY, setting_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

_COLUMNS = ("gap_first", "gap_middle", "gap_third", "q_error_first", "q_error_middle", "q_error_third")


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    axes = canvas.subplots()
    paths, ends = tables["paths"], tables["ends"]
    for name, (_, color, marker, dashes) in SETTINGS.items():
        path, end = paths.where(setting=name), ends.where(setting=name)
        if not len(end):
            continue
        axes.plot(path["q_error_middle"], path["gap_middle"].clip(FLOOR), color=color, linestyle=dashes, linewidth=1.2)
        x, y = end["q_error_middle"], end["gap_middle"].clip(FLOOR)
        axes.errorbar(
            x,
            y,
            xerr=[x - end["q_error_first"], end["q_error_third"] - x],
            yerr=[y - end["gap_first"].clip(FLOOR), end["gap_third"].clip(FLOOR) - y],
            color=color,
            marker=marker,
            linestyle=dashes,
            markersize=7 if marker in "*xP" else 5.5,
            markeredgewidth=1.5 if marker == "x" else 0.6,
            markeredgecolor=color if marker == "x" else "white",
            elinewidth=0.9,
            label=name,
            zorder=4,
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    low, high = axes.get_xlim()
    axes.plot([low, high], [low, high], color=GRAY, linewidth=0.8, linestyle=(0, (1, 2)), label="gap = error", zorder=1)
    axes.set_xlim(low, high)
    axes.set_xlabel("largest |q − Q̃| (units of value), median of the learners")
    axes.set_ylabel("Nash gap (units of value), median of the\nlearners (0.001 and less at 0.001)")
    canvas.legend(loc="outside right upper", title="setting", title_fontsize=8, alignment="left")


FIGURE = Figure(
    name="markov_q_error",
    group="markov",
    title="Gaps are small although values are not learned",
    caption=(
        "Each line is a setting over time, down to its marker at the end (bars are quartiles over learners): all lie below "
        "the diagonal, most of them far below, so that gaps become small while the learned values stay wrong. Where the step "
        "sizes meet all conditions half of the learners are at an equilibrium with values as wrong as at the beginning, and "
        "among the settings of the first game it is exploration that brings values nearest to theirs."
    ),
    size=(7.2, 3.9),
    tables={
        "paths": Select(
            STUDY,
            "SELECT unit, setting, step, gap_middle, q_error_middle FROM (SELECT unit, "
            f"{setting_name()} AS setting, unnest(curve_step) AS step, unnest(gap_middle) AS gap_middle, "
            "unnest(q_error_middle) AS q_error_middle FROM rows WHERE setting IS NOT NULL "
            "QUALIFY row_number() OVER (PARTITION BY setting ORDER BY seed) = 1) WHERE step > 0 ORDER BY setting, step",
            least=2,
        ),
        "ends": Select(
            STUDY,
            f"SELECT unit, {setting_name()} AS setting, " + ", ".join(f"{name}[-1] AS {name}" for name in _COLUMNS) + " "
            "FROM rows WHERE setting IS NOT NULL "
            "QUALIFY row_number() OVER (PARTITION BY setting ORDER BY seed) = 1 ORDER BY setting",
        ),
    },
    paint=paint,
    claims=("mpg.learned-values", "mpg.visits.printed", "mpg.convergence"),
)
