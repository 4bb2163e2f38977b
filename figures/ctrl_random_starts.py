"""Which maxima random starts reach on spheres, and the kinds of critical points where the ranks do not fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import BLUE, GRAY, INK, VERMILION

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

_SHOWN = 6
_GAMES = """
    SELECT * FROM rows WHERE "constraint" = 'spheres' QUALIFY dense_rank() OVER (ORDER BY dim, epsilon) <= 2
"""
# The maxima that theory lists for each game, the highest first, with the starts of all seeds that ended there.
_MAXIMA = f"""
    SELECT count(*) AS units, dim, sizes, subspace_ranks, epsilon, position, any_value(kept) AS kept, any_value(share) AS share,
        CAST(sum(starts) AS BIGINT) AS starts, CAST(sum(all_starts) AS BIGINT) AS all_starts, max(maxima) AS maxima,
        sum(starts) / sum(all_starts) AS frequency
    FROM (
        SELECT dim, sizes, subspace_ranks, epsilon, unnest(range(1, len(listed_kept) + 1)) AS position,
            unnest(listed_kept) AS kept, unnest(listed_share) AS share, unnest(listed_count) AS starts,
            num_starts AS all_starts, len(listed_kept) AS maxima
        FROM ({_GAMES})
    ) WHERE position <= {_SHOWN} GROUP BY dim, sizes, subspace_ranks, epsilon, position ORDER BY dim, sizes, epsilon, position
"""
# The starts that ended elsewhere: at maxima further down the list, or at none of it.
_ELSEWHERE = f"""
    SELECT count(*) AS units, dim, sizes, subspace_ranks, epsilon, max(len(listed_kept)) AS maxima,
        CAST(sum(coalesce(list_sum(listed_count[{_SHOWN + 1}:]), 0)) AS BIGINT) AS further,
        CAST(sum(num_unlisted) AS BIGINT) AS unlisted, CAST(sum(num_starts) AS BIGINT) AS all_starts,
        further / all_starts AS further_frequency, unlisted / all_starts AS unlisted_frequency
    FROM ({_GAMES}) GROUP BY dim, sizes, subspace_ranks, epsilon ORDER BY dim, sizes, epsilon
"""
_KINDS = {
    "local_maximizers": ("local maximizers", BLUE),
    "strict_saddles": ("strict saddles", VERMILION),
    "flat": ("degenerate,\nnothing higher near", GRAY),
    "limits_of_saddles": ("limits of saddles", GRAY),
    "exceptions": ("exceptions", INK),
}
_SUMS = ", ".join(f"CAST(sum({name}) AS BIGINT) AS {name}" for name in _KINDS)
_SURVEY = f"SELECT count(*) AS units, {_SUMS} FROM rows HAVING count(*) > 0"


def _maxima(axes: Axes, own: Table, elsewhere: Table) -> None:
    # Words, share of the starts, their number, color.
    bars: list[tuple[str, float, int, str]] = []
    columns = (own.columns[name] for name in ("kept", "share", "frequency", "starts"))
    for kept, share, frequency, starts in zip(*columns, strict=True):
        color = BLUE if share == max(own["share"]) else VERMILION
        bars.append((f"{', '.join(map(str, kept))}: {share:.1%}", frequency, starts, color))
    if own.columns["maxima"][0] > len(own):
        bars.append(("further down", elsewhere["further_frequency"][0], elsewhere.columns["further"][0], VERMILION))
    bars.append(("none of the list", elsewhere["unlisted_frequency"][0], elsewhere.columns["unlisted"][0], INK))
    at = range(len(bars))
    axes.barh(at, [frequency for _, frequency, _, _ in bars], 0.62, color=[color for *_, color in bars])
    for y, (_, frequency, starts, _) in zip(at, bars, strict=True):
        axes.annotate(str(starts), (frequency, y), xytext=(3, 0), textcoords="offset points", va="center", fontsize=7)
    axes.set_yticks(at, [words for words, *_ in bars], fontsize=7.5)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.25 * max(frequency for _, frequency, _, _ in bars))
    axes.set_xlabel("share of the starts")
    ranks = ", ".join(map(str, own.columns["subspace_ranks"][0]))
    axes.set_title(f"d = {own.columns['dim'][0]}, r = {ranks}:\n{own.columns['maxima'][0]} local maxima", fontsize=8.5)


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    games = list(tables["maxima"].groups("dim", "sizes", "epsilon"))
    panels = canvas.subplots(1, len(games) + 1, squeeze=False)[0]
    elsewhere = tables["elsewhere"].groups("dim", "sizes", "epsilon")
    for axes, (_, own), (_, other) in zip(panels, games, elsewhere, strict=False):
        _maxima(axes, own, other)
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
        "Where ascents on spheres end: at local maxima of the list that theory gives, many of them lower than the optimum "
        "(vermilion; numbers: starts that ended there; of long lists the highest six maxima and all others together), where "
        "the last bar counts the ends at none of the list. Where the ranks do not fit "
        "into the dimensions (right), the critical points that a search finds are local maximizers, strict saddles, or "
        "degenerate, and no exception contradicts that these are limits of saddles or have nothing higher near them."
    ),
    size=(7.2, 3.2),
    tables={
        "maxima": Select("ctrl_random_starts", _MAXIMA, least=2),
        "elsewhere": Select("ctrl_random_starts", _ELSEWHERE),
        "survey": Select("ctrl_survey", _SURVEY),
    },
    paint=paint,
    claims=(
        "ctrl.no-other-maxima.printed",
        "ctrl.local-maxima",
        "ctrl.strict-saddles-on-spheres",
        "ctrl.survey-on-spheres",
    ),
)
