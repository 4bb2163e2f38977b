"""Value against Morse index of the critical points that a search found, over the levels that the catalog lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.scatter import paint_levels, paint_points
from mcr2_landscape.report.style import INK, shared_legend

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

# One problem for each number of classes: that of the fewest dimensions, at the λ nearest to 0.4 λ_max.
_CHOSEN = """
    SELECT * FROM rows QUALIFY row_number() OVER (
        PARTITION BY len(sizes)
        ORDER BY abs(relative_regularization - 0.4), relative_regularization, dim, sizes, epsilon, seed, unit
    ) = 1
"""


def _entries(of: str, *names: str) -> str:
    """The entries of lists, in their order, problem by problem."""
    lists = ", ".join(f"unnest({of}_{name}) AS {of}_{name}" for name in names)
    return (
        f"SELECT * EXCLUDE (classes, position) FROM (SELECT unit, len(sizes) AS classes, "
        f"generate_subscripts({of}_value, 1) AS position, {lists} FROM ({_CHOSEN})) ORDER BY classes, position"
    )


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    from matplotlib.ticker import MaxNLocator

    problems = list(tables["problems"].groups("unit"))
    panels = canvas.subplots(1, len(problems), squeeze=False)[0]
    for axes, ((unit,), problem) in zip(panels, problems, strict=True):
        levels, points = (tables[name].where(unit=unit) for name in ("levels", "points"))
        paint_levels(axes, levels["listed_index"], levels["listed_value"], found=levels["listed_found"].astype(bool))
        paint_points(
            axes, points["found_index"], points["found_value"], points.columns["found_kind"], points["found_count"],
            families=points.columns["found_family"],
        )  # fmt: skip
        axes.axhline(problem["maximum"][0], color=INK, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1, label="global maximum")
        sizes = ", ".join(str(size) for size in problem.columns["sizes"][0])
        axes.set_title(f"K = {len(problem.columns['sizes'][0])}: sizes {sizes}, d = {problem.columns['dim'][0]}")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axes.margins(x=0.05, y=0.08)
    panels[0].set_ylabel("F (nats)")
    canvas.supxlabel("Morse index (number of ascent directions)", fontsize=9)
    shared_legend(canvas, 4)


FIGURE = Figure(
    name="value_against_index",
    group="mcr2",
    title="Value against Morse index of all critical points found",
    caption=(
        "Markers are the critical points that a search found (larger where more starts ended there), bars the levels that the "
        "catalog lists (light where none was found): a ring is around a point outside of the catalog, and a cross at the right "
        "edge stands for one without an index, as the sign of an eigenvalue cannot be told. Points of index zero are local "
        "maximizers, of which only those on the dashed line are global, and every point of a higher index is a strict saddle, "
        "from which as many directions lead up."
    ),
    size=(7.2, 3.2),
    tables={
        "problems": Select(
            "survey", f"SELECT unit, dim, sizes, epsilon, relative_regularization, maximum FROM ({_CHOSEN}) ORDER BY len(sizes)"
        ),
        "levels": Select("survey", _entries("listed", "family", "value", "index", "found")),
        "points": Select("survey", _entries("found", "value", "index", "family", "kind", "count")),
    },
    paint=paint,
    claims=("mcr2.benign-landscape.printed", "mcr2.benign-landscape.corrected", "mcr2.index-formula"),
)
