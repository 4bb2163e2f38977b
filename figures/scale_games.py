"""How long a routing game takes to evaluate, by the number of players."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import BLUE, VERMILION, shared_legend

from .timings import log_both, paint_times

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

_FORMS = {"counts": ("by counts", BLUE, "o", "-"), "tables": ("by tables of all actions", VERMILION, "^", "--")}
_PARTS = {"value": "values", "q": "Q-functions and values", "response": "best responses"}


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    from matplotlib.ticker import NullLocator

    panels = canvas.subplots(1, 3, sharex=True, sharey=True)
    for axes, (part, title) in zip(panels, _PARTS.items(), strict=True):
        for form, (name, color, marker, dashes) in _FORMS.items():
            table = tables["games"].where(form=form)
            if len(table):
                paint_times(axes, table, "num_players", part, label=name, color=color, marker=marker, linestyle=dashes)
        log_both(axes)
        players = sorted(set(tables["games"].columns["num_players"]))
        shown = [number for number in players if number & (number - 1) == 0][::2]
        axes.set_xticks(shown, [str(number) for number in shown])
        axes.xaxis.set_minor_locator(NullLocator())
        slopes = tables["slopes"]
        for slope, first in zip(slopes[f"{part}_slope"], slopes.columns["first"], strict=True):  # none with few players alone
            title += f"\ncounts: slope {slope:.2f} from N = {first} on"
        axes.set_title(title, fontsize=8)
    panels[0].set_ylabel("CPU milliseconds, one core")
    canvas.supxlabel("N (players)", fontsize=9)
    shared_legend(canvas, 2)


_SLOPES = ", ".join(f"regr_slope(ln({part}_middle), ln(num_players)) AS {part}_slope" for part in _PARTS)

FIGURE = Figure(
    name="scale_games",
    group="scale",
    title="Routing games with many players",
    caption=(
        "By counts of players on each route, values, Q-functions and best responses of all players take a power of their "
        "number between the first and the second, and a few hundred players take tens of milliseconds. By tables each further "
        "player doubles what there is to write down, so that they are faster for a few players alone, and out of reach for "
        "dozens."
    ),
    size=(7.2, 2.9),
    tables={
        "games": Select(
            "game_times",
            "SELECT unit, form, num_players, repeats, entries, "
            + ", ".join(f"{part}_{word}" for part in _PARTS for word in ("low", "middle", "high"))
            + " FROM rows ORDER BY form, num_players, seed",
            least=2,
        ),
        "slopes": Select(
            "game_times",
            f"SELECT count(*) AS units, min(num_players) AS first, {_SLOPES} FROM rows "
            "WHERE form = 'counts' AND num_players >= 64 HAVING count(DISTINCT num_players) > 1",
            least=0,
        ),
    },
    paint=paint,
)
