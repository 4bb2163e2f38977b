"""Ascent on spheres beside ascent of the regularized problem: the ranks found, and what they are worth on spheres."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import BLUE, GREEN, INK, LAMBDA_MAX, ORANGE, PURPLE, VERMILION, shared_legend

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

_LOOKS = ((BLUE, "o", ""), (VERMILION, "^", "////"), (GREEN, "s", "...."), (ORANGE, "v", "xxxx"), (PURPLE, "D", "----"))


def _name(problem: str, strength: float) -> str:
    return "spheres" if problem == "spheres" else f"λ = {strength:g} {LAMBDA_MAX}"


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    ranks, values = tables["ranks"], tables["values"]
    cases = list(ranks.groups("dim", "sizes"))
    panels = canvas.subplots(len(cases), 2, squeeze=False, gridspec_kw={"width_ratios": [1.35, 1]})
    for (left, right), ((dim, sizes), own) in zip(panels, cases, strict=True):
        names = [name for _, name in sorted(set(zip(own.columns["place"], own.columns["named"], strict=True)))]
        problems = list(own.groups("problem", "relative_regularization"))
        problems.sort(key=lambda entry: (entry[0][0] != "spheres", entry[0][1]))
        width = 0.8 / len(problems)
        for k, ((key, one), (color, marker, hatch)) in enumerate(zip(problems, _LOOKS, strict=False)):
            at = [names.index(name) + (k + 0.5) * width - 0.4 for name in one.columns["named"]]
            left.bar(at, one["share"], width=0.92 * width, color=color, hatch=hatch, edgecolor="white", linewidth=0.3,
                     label=_name(*key))  # fmt: skip
            reached = values.where(dim=dim, sizes=list(sizes), problem=key[0], relative_regularization=key[1])
            right.scatter(
                reached["value"], np.full(len(reached), len(problems) - k), s=8 + 150 * reached["share"], color=color,
                marker=marker, alpha=0.75, edgecolor="white", linewidth=0.4,
            )  # fmt: skip
        proved = values.where(dim=dim, sizes=list(sizes), problem="spheres")
        if len(proved):
            right.axvline(1.0, color=INK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
            word = "global maximum" if proved.columns["maximum_proved"][0] else "best of orthogonal classes"
            right.set_title(f"line: {word}", fontsize=8)
        right.set_yticks(range(len(problems), 0, -1), [_name(*key) for key, _ in problems])
        right.set_ylim(0.4, len(problems) + 0.6)
        left.set_xticks(range(len(names)), [name.replace(", ", "\n") for name in names], fontsize=7.5)
        left.set_ylabel("share of starts")
        left.set_ylim(0, 1)
        left.set_title(f"d = {dim}, sizes {', '.join(map(str, sizes))}", fontsize=9)
    panels[-1, 0].set_xlabel("ranks of the classes at the end")
    panels[-1, 1].set_xlabel("ΔR on spheres / its best known value")
    shared_legend(canvas, 5)


# Where a class has vanished there is no point on spheres to compare.
_ENDS = "SELECT *, list_aggregate(ranks, 'string_agg', ', ') AS named FROM rows"
_BEST = """
    SELECT dim, sizes, epsilon, any_value(maximum) AS best, bool_and(maximum_proved) AS maximum_proved
    FROM rows WHERE problem = 'spheres' GROUP BY dim, sizes, epsilon
"""
# The most frequent ranks of each size of problem, and all others.
_PLACED = f"""
    SELECT dim, sizes, named, row_number() OVER (PARTITION BY dim, sizes ORDER BY count(*) DESC, named) AS place
    FROM ({_ENDS}) GROUP BY dim, sizes, named
"""
_MOST = 8

FIGURE = Figure(
    name="constrained_regularized",
    group="mcr2",
    title="Ascent on spheres beside ascent of the regularized problem",
    caption=(
        "On the left, how often starts of the same distribution end with which ranks: where the dimensions suffice for all "
        "classes (above) nearly always with full ones, whichever the problem, and in fewer dimensions with many kinds. On the "
        "right, what these ends are worth when every class is scaled to its sphere (larger markers for more starts): the same "
        "above, while below those of the regularized problem spread further down, and an end right of the line would be new "
        "where that is not proved to be the global maximum."
    ),
    size=(7.2, 4.8),
    tables={
        "ranks": Select(
            "constrained",
            f"SELECT sum(units)::BIGINT AS units, dim, sizes, problem, relative_regularization, "
            f"CASE WHEN place <= {_MOST} THEN named ELSE 'others' END AS named, least(place, {_MOST} + 1) AS place, "
            "sum(share) AS share FROM (SELECT count(*) AS units, dim, sizes, problem, relative_regularization, named, "
            "count(*) / sum(count(*)) OVER (PARTITION BY dim, sizes, problem, relative_regularization) AS share "
            f"FROM ({_ENDS}) GROUP BY dim, sizes, problem, relative_regularization, named) JOIN ({_PLACED}) "
            "USING (dim, sizes, named) GROUP BY dim, sizes, problem, relative_regularization, 6, 7 "
            "ORDER BY dim DESC, sizes, problem DESC, relative_regularization, place",
        ),
        "values": Select(
            "constrained",
            "SELECT count(*) AS units, r.dim, r.sizes, r.problem, r.relative_regularization, "
            "round(r.rate_reduction_on_spheres / b.best, 6) AS value, min(r.gap) AS least_gap, max(r.gap) AS greatest_gap, "
            "count(*) / sum(count(*)) OVER (PARTITION BY r.dim, r.sizes, r.problem, r.relative_regularization) AS share, "
            f"bool_and(b.maximum_proved) AS maximum_proved FROM rows r JOIN ({_BEST}) b USING (dim, sizes, epsilon) "
            "WHERE r.rate_reduction_on_spheres IS NOT NULL GROUP BY r.dim, r.sizes, r.problem, r.relative_regularization, 6 "
            "ORDER BY r.dim DESC, r.sizes, r.problem DESC, r.relative_regularization, value",
        ),
    },
    paint=paint,
    claims=(
        "mcr2.constrained-maximizers",
        "mcr2.constrained-overlap",
        "mcr2.constrained-crowded",
        "mcr2.constrained-regularized-equivalence",
    ),
)
