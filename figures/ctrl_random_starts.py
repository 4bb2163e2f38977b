"""Which maxima random starts reach on spheres, and the kinds of critical points where the ranks do not fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import BLUE, GRAY, INK, VERMILION

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

_SHOWN = 6
# The maxima that theory lists for each game, the highest first, with the starts of all seeds that ended there.
_MAXIMA = f"""
    SELECT count(*) AS units, dim, sizes, subspace_ranks, epsilon, position, any_value(kept) AS kept, any_value(share) AS share,
        CAST(sum(starts) AS BIGINT) AS starts, CAST(sum(all_starts) AS BIGINT) AS all_starts, max(maxima) AS maxima,
        sum(starts) / sum(all_starts) AS frequency
    FROM (
        SELECT dim, sizes, subspace_ranks, epsilon, unnest(range(1, len(listed_kept) + 1)) AS position,
            unnest(listed_kept) AS kept, unnest(listed_share) AS share, unnest(listed_count) AS starts,
            num_starts AS all_starts, len(listed_kept) AS maxima
        FROM rows WHERE "constraint" = 'spheres' QUALIFY dense_rank() OVER (ORDER BY dim, epsilon) <= 2
    ) WHERE position <= {_SHOWN} GROUP BY dim, sizes, subspace_ranks, epsilon, position ORDER BY dim, sizes, epsilon, position
"""
_KINDS = {
    "local_maximizers": ("local maximizers", BLUE),
    "strict_saddles": ("strict saddles", VERMILION),
    "flat": ("degenerate,\nnothing higher near", GRAY),
    "limits_of_saddles": ("limits of saddles", GRAY),
    "exceptions": ("exceptions", INK),
}
_SURVEY = "SELECT count(*) AS units, " + ", ".join(f"CAST(sum({name}) AS BIGINT) AS {name}" for name in _KINDS) + " FROM rows"


def _maxima(axes: Axes, own: Table) -> None:
    at = np.arange(len(own))
    axes.barh(at, own["frequency"], 0.62, color=[BLUE if share == max(own["share"]) else VERMILION for share in own["share"]])
    for y, frequency, starts in zip(at, own["frequency"], own.columns["starts"], strict=True):
        axes.annotate(str(starts), (frequency, y), xytext=(3, 0), textcoords="offset points", va="center", fontsize=7)
    words = [
        f"{', '.join(map(str, kept))}: {share:.1%}"
        for kept, share in zip(own.columns["kept"], own.columns["share"], strict=True)
    ]
    axes.set_yticks(at, words, fontsize=7.5)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.25 * max(own["frequency"]))
    axes.set_xlabel("share of the starts")
    ranks = ", ".join(map(str, own.columns["subspace_ranks"][0]))
    axes.set_title(f"d = {own.columns['dim'][0]}, r = {ranks}:\n{own.columns['maxima'][0]} local maxima", fontsize=8.5)


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    games = list(tables["maxima"].groups("dim", "sizes", "epsilon"))
    panels = canvas.subplots(1, len(games) + 1, squeeze=False)[0]
    for axes, (_, own) in zip(panels, games, strict=False):
        _maxima(axes, own)
    panels[0].set_ylabel("dimensions kept: value over optimum")
    survey, axes = tables["survey"], panels[-1]
    counts = [survey.columns[name][0] for name in _KINDS]
    axes.barh(range(len(_KINDS)), counts, 0.62, color=[color for _, color in _KINDS.values()])
    for y, count in enumerate(counts):
        axes.annotate(f"{count:,}", (count, y), xytext=(3, 0), textcoords="offset points", va="center", fontsize=7)
    axes.set_yticks(range(len(_KINDS)), [words for words, _ in _KINDS.values()], fontsize=7.5)
    axes.invert_yaxis()
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xlim(0, 30 * max(counts))
    axes.set_xlabel("critical points")
    axes.set_title(f"Σ rank > d:\n{survey.columns['units'][0]:,} random games", fontsize=8.5)


FIGURE = Figure(
    name="ctrl_random_starts",
    group="ctrl",
    title="Which maxima random starts reach, and what else is critical",
    caption=(
        "Ascents on spheres end at local maxima of the list that theory gives, many of them lower than the optimum "
        "(vermilion; numbers: starts that ended there; of long lists the highest six maxima). Where the ranks do not fit "
        "into the dimensions (right), the critical points that a search finds are local maximizers, strict saddles, or "
        "degenerate, and no exception contradicts that these are limits of saddles or have nothing higher near them."
    ),
    size=(7.2, 3.2),
    tables={"maxima": Select("ctrl_random_starts", _MAXIMA, least=2), "survey": Select("ctrl_survey", _SURVEY)},
    paint=paint,
    claims=(
        "ctrl.no-other-maxima.printed",
        "ctrl.local-maxima",
        "ctrl.strict-saddles-on-spheres",
        "ctrl.survey-on-spheres",
    ),
)
