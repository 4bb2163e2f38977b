"""What one direction adds to F over its squared singular value, across λ and for several ratios."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import BLUE, GRAY, GREEN, INK, LAMBDA_K, ORANGE, PURPLE, VERMILION, shared_legend

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

# The ratios nearest to four, and in each the λ nearest to some: that nearest to λ_k°, and λ_k, among them.
_CHOSEN = """
    SELECT r.*, place, abs(relative_regularization - crossing / existence) < 1e-5 AS crosses FROM (
        SELECT t.place, n.ratio, arg_min(r.unit, abs(r.relative_regularization
            - coalesce(t.target, r.crossing / r.existence))) AS unit
        FROM (VALUES (1, 0.6), (2, 0.8), (3, NULL), (4, 0.95), (5, 1.0), (6, 1.1)) AS t(place, target)
        CROSS JOIN (SELECT DISTINCT arg_min(ratio, abs(ln(ratio / wanted))) AS ratio
            FROM rows CROSS JOIN (VALUES (1.25), (2), (3), (10)) AS w(wanted) GROUP BY wanted) AS n
        JOIN rows r ON r.ratio = n.ratio GROUP BY ALL
    ) JOIN rows r USING (unit)
"""
_LOOKS = {
    1: (BLUE, "solid"),
    2: (GREEN, (0, (6, 1.5))),
    3: (INK, "solid"),
    4: (VERMILION, (0, (3, 1.2))),
    5: (PURPLE, (0, (4, 1.5, 1, 1.5))),
    6: (GRAY, (0, (1, 1))),
}


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    curves, profiles = tables["curves"], tables["profiles"]
    panels = canvas.subplots(2, 2, squeeze=False).ravel()
    ratios = list(profiles.groups("ratio"))
    for axes, ((ratio,), own) in zip(panels, ratios, strict=False):
        axes.axhline(0.0, color=GRAY, linewidth=0.8, zorder=1)
        for (unit,), one in own.groups("unit"):
            curve, place, crosses = curves.where(unit=unit), one.columns["place"][0], one.columns["crosses"][0]
            color, dashes = _LOOKS[place]
            relative = one["relative_regularization"][0]
            name = f"{LAMBDA_K}°" if crosses else LAMBDA_K if abs(relative - 1) < 1e-9 else f"{relative:.4g} {LAMBDA_K}"
            axes.plot(curve["s"], curve["height"], color=color, linestyle=dashes, linewidth=1.4, zorder=2, label=f"λ = {name}")
            axes.scatter(one["small_root"], one["small_height"], s=20, color=color, marker="v", zorder=3)
            axes.scatter(one["large_root"], one["large_height"], s=20, color=color, marker="^", zorder=3)
            if crosses:
                axes.scatter(
                    one["large_root"], one["large_height"], s=80, facecolor="none", edgecolor=ORANGE, linewidth=1.6, zorder=4,
                    label="the maximum crosses zero",
                )  # fmt: skip
        axes.set_xscale("log")
        # From a little above the highest maximum to as far below: what falls further has no more to show.
        top = float(own["highest"][0])
        axes.set_ylim(-1.1 * top, 1.25 * top)
        axes.set_xlim(own["least"][0] / 8, own["greatest"][0] * 1.6)
        axes.set_title(f"ρ = {ratio:.4g}, {LAMBDA_K}° = {own['crossing_relative'][0]:.4g} {LAMBDA_K}")
    for axes in panels[len(ratios) :]:
        axes.set_axis_off()
    for k in range(0, len(ratios), 2):
        panels[k].set_ylabel("h(s) (nats)")
    canvas.supxlabel("s = αx, the squared singular value of the direction (in units of 1/α)", fontsize=9)
    shared_legend(canvas, 4)


FIGURE = Figure(
    name="direction_profile",
    group="mcr2",
    title="What one direction adds to F, over its squared singular value",
    caption=(
        "Below λ_k the curve of a direction has a minimum at the small root (pointing down) and a maximum at the large one "
        "(pointing up), which join at λ_k and are gone above it. Between λ_k° (above each panel; a ring where the curve at "
        "that λ is drawn) and λ_k the maximum lies below h(0) = 0, so that a direction costs more than it gives although the "
        "printed theorem still fills it."
    ),
    size=(7.2, 5.2),
    tables={
        "profiles": Select(
            "profiles",
            "SELECT unit, ratio, place, relative_regularization, crossing / existence AS crossing_relative, crosses, "
            "small_root, large_root, small_height, large_height, max(large_height) OVER own AS highest, min(small_root) OVER "
            "own AS least, "
            f"max(large_root) OVER own AS greatest FROM ({_CHOSEN}) WINDOW own AS (PARTITION BY ratio) ORDER BY ratio, place",
        ),
        "curves": Select(
            "profiles",
            "SELECT * FROM (SELECT unit, unnest(s) AS s, unnest(height) AS height "
            f"FROM ({_CHOSEN})) WHERE s > 0 ORDER BY unit, s",
        ),
    },
    paint=paint,
    claims=("mcr2.scalar-equation", "mcr2.value-threshold", "mcr2.global-maximizers.printed"),
)
