"""Which maximizer random starts reach, by their scale and λ: collapse to zero included."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import BLUE, GRAY, GREEN, LAMBDA_MAX, ORANGE, PALE, PURPLE, SKY, VERMILION, YELLOW

from .landscape_parts import NEAR

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

_OUTCOMES = (
    ("zero", "zero", PALE, ""),
    ("fewer directions", "local maximizer, dimensions left over", SKY, "////"),
    ("all directions", "local maximizer, all dimensions used", BLUE, ""),
    ("global maximizer", "global maximizer", ORANGE, "...."),
    ("other", "none of these", VERMILION, "xxxx"),
)
_COLORS = (BLUE, ORANGE, GREEN, SKY, PURPLE, YELLOW)
_HATCHES = ("", "....", "\\\\\\\\", "////", "xxxx", "----")


def _stack(axes: Axes, table: Table, key: str, looks: list[tuple[str, str, str, str]]) -> None:
    scales = sorted(set(table.columns["scale"]))
    base = np.zeros(len(scales))
    for value, label, color, hatch in looks:
        own = table.where(**{key: value})
        if not len(own):
            continue
        shares = dict(zip(own.columns["scale"], own.columns["share"], strict=True))
        height = np.array([shares.get(scale, 0.0) for scale in scales])
        axes.bar(
            range(len(scales)), height, bottom=base, width=0.86, color=color, hatch=hatch, edgecolor="white", linewidth=0.3,
            label=label,
        )  # fmt: skip
        base = base + height
    step = -(-len(scales) // 6)
    axes.set_xticks(range(0, len(scales), step), [f"{scale:.2g}" for scale in scales[::step]], fontsize=7)
    axes.set_ylim(0, 1)
    axes.set_xlim(-0.6, len(scales) - 0.4)


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    outcomes, ends = tables["outcomes"], tables["ends"]
    strengths = sorted(set(outcomes.columns["relative_regularization"]))
    panels = canvas.subplots(2, len(strengths), squeeze=False, sharey=True)
    # The most frequent ends, in the order of their number in all.
    names = list(dict.fromkeys(name for _, name in sorted(zip(ends.columns["place"], ends.columns["end"], strict=True))))
    colors = [(PALE, "") if name == "zero" else (GRAY, "") if name == "others" else None for name in names]
    looks, free = [], iter(zip(_COLORS, _HATCHES, strict=True))
    for name, fixed in zip(names, colors, strict=True):
        color, hatch = fixed or next(free)
        looks.append((name, name, color, hatch))
    for column, strength in zip(panels.T, strengths, strict=True):
        _stack(column[0], outcomes.where(relative_regularization=strength), "outcome", list(_OUTCOMES))
        _stack(column[1], ends.where(relative_regularization=strength), "end", looks)
        column[0].set_title(f"λ = {strength:g} {LAMBDA_MAX}")
    for row, title, looked in zip(panels, ("what the end is", "ranks of the end"), (list(_OUTCOMES), looks), strict=True):
        row[0].set_ylabel("share of starts")
        named: dict[str, Any] = {}
        for axes in row:
            named |= {name: handle for handle, name in zip(*axes.get_legend_handles_labels(), strict=True)}
        # From top to bottom as the bars are stacked.
        labels = [look[1] for look in looked if look[1] in named][::-1]
        row[-1].legend(
            [named[label] for label in labels], [label.replace("local maximizer, ", "local maximizer,\n") for label in labels],
            loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=7.5, title=title, title_fontsize=8, alignment="left",
            handleheight=1.4,
        )  # fmt: skip
    problem = f"d = {outcomes.columns['dim'][0]}, sizes {', '.join(map(str, outcomes.columns['sizes'][0]))}"
    canvas.supxlabel(f"scale of the start (standard deviation of the entries of √α Z); {problem}", fontsize=9)


_OUTCOME = """
    CASE WHEN outcome = 'zero' THEN 'zero' WHEN outcome = 'global maximizer' THEN 'global maximizer'
        WHEN outcome = 'local maximizer' AND list_sum(ranks) < dim THEN 'fewer directions'
        WHEN outcome = 'local maximizer' THEN 'all directions' ELSE 'other' END
"""
# Ends by their ranks: zero, the six that are most frequent, and all others.
_ENDS = f"""
    SELECT *, CASE WHEN list_sum(ranks) = 0 THEN 'zero' ELSE list_aggregate(ranks, 'string_agg', ', ') END AS named
    FROM ({NEAR})
"""
_PLACED = f"""
    SELECT named, CASE WHEN named = 'zero' THEN 0 ELSE row_number() OVER (ORDER BY named = 'zero', n DESC, named) END AS place
    FROM (SELECT named, count(*) AS n FROM ({_ENDS}) GROUP BY named)
"""
_SHARE = "count(*) / sum(count(*)) OVER (PARTITION BY relative_regularization, scale) AS share"

FIGURE = Figure(
    name="basins",
    group="mcr2",
    title="Which maximizer random starts reach",
    caption=(
        "Small starts collapse to zero, the more of them the larger λ is, and larger starts reach a local maximizer, in most "
        "cases not the global one (upper row). Starts of middle size end with few directions, larger ones mostly with "
        "directions of every class, and how often with which hardly depends on the scale beyond that (lower row)."
    ),
    size=(7.2, 4.4),
    tables={
        "outcomes": Select(
            "ascent",
            f"SELECT count(*) AS units, any_value(dim) AS dim, any_value(sizes) AS sizes, relative_regularization, scale, "
            f"{_OUTCOME} AS outcome, {_SHARE} FROM ({NEAR}) GROUP BY relative_regularization, scale, 6 "
            "ORDER BY relative_regularization, scale, outcome",
        ),
        "ends": Select(
            "ascent",
            "SELECT sum(units)::BIGINT AS units, relative_regularization, scale, "
            "CASE WHEN place <= 6 THEN named ELSE 'others' END AS end, least(place, 7) AS place, sum(share) AS share FROM "
            f"(SELECT count(*) AS units, relative_regularization, scale, named, {_SHARE} FROM ({_ENDS}) "
            f"GROUP BY relative_regularization, scale, named) JOIN ({_PLACED}) USING (named) "
            "GROUP BY relative_regularization, scale, 4, 5 ORDER BY relative_regularization, scale, place",
        ),
    },
    paint=paint,
    claims=("mcr2.ascent-from-random-starts", "mcr2.benign-landscape.corrected", "mcr2.global-maximizers.corrected"),
)
