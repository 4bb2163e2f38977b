"""Over the ratio of the largest class and λ: the thresholds, and where the printed and the corrected theorem hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import BLUE, GRAY, INK, LAMBDA_K, LAMBDA_MAX, PURPLE, VERMILION, shared_legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

# The largest class has the least ratio and the least thresholds: λ_max is its own.
_POINTS = """
    SELECT *, list_min(ratios) AS ratio, regularization / alpha AS ell, list_min(value_thresholds) AS crossing FROM rows
"""
# Neighboring λ with the same verdict make one interval of a problem. Problems of the same ratio stand beside each other.
_INTERVALS = """
    SELECT *, ratio * pow(1.035, beside - (1 + max(beside) OVER (PARTITION BY ratio)) / 2) AS place FROM (
        SELECT count(*) AS units, dim, sizes, any_value(ratio) AS ratio, verdict, min(ell) AS first, max(ell) AS last,
            min(relative_regularization) AS first_relative, max(relative_regularization) AS last_relative,
            any_value(beside) AS beside
        FROM (
            SELECT *, dense_rank() OVER (PARTITION BY ratio ORDER BY dim, sizes, epsilon) AS beside,
                row_number() OVER (PARTITION BY dim, sizes, epsilon ORDER BY ell)
                - row_number() OVER (PARTITION BY dim, sizes, epsilon, verdict ORDER BY ell) AS island
            FROM (SELECT *, {theorem}_verdict AS verdict FROM ({points}))
        )
        GROUP BY dim, sizes, epsilon, verdict, island
    ) ORDER BY ratio, dim, sizes, first
"""
_VERDICTS = {
    "holds": (BLUE, 1.2, "solid"),
    "fails": (VERMILION, 2.6, "solid"),
    "undecided": (PURPLE, 2.0, "dashed"),
    "silent": (GRAY, 1.2, "dotted"),
}


def _verdicts(axes: Axes, table: Table, first: str, last: str) -> None:
    for verdict, (color, width, dashes) in _VERDICTS.items():
        own = table.where(verdict=verdict)
        if not len(own):
            continue
        # A dot at both ends: an interval may be a single point.
        for end in (first, last):
            axes.scatter(own["place"], own[end], s=1.5 * width, color=color, zorder=2, linewidth=0)
        axes.vlines(
            own["place"], own[first], own[last], color=color, linewidth=width, linestyle=dashes, zorder=2, label=verdict
        )


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    from matplotlib.ticker import NullFormatter, ScalarFormatter

    panels = canvas.subplots(1, 3, gridspec_kw={"width_ratios": [1, 1, 1]})
    thresholds = tables["thresholds"]
    ratio = thresholds["ratio"]
    for axes, theorem in zip(panels[:2], ("printed", "corrected"), strict=True):
        _verdicts(axes, tables[theorem], "first", "last")
        axes.plot(ratio, thresholds["existence"], color=INK, linewidth=1.2, zorder=3, label=f"{LAMBDA_K}: existence")
        axes.plot(
            ratio,
            thresholds["crossing"],
            color=INK,
            linewidth=1.2,
            linestyle=(0, (4, 2)),
            zorder=3,
            label=f"{LAMBDA_K}°: value",
        )
        axes.set_title(f"{theorem} theorem")
    panels[0].set_ylabel("λ / α")
    close = panels[2]
    _verdicts(close, tables["printed"], "first_relative", "last_relative")
    close.plot(ratio, thresholds["existence_relative"], color=INK, linewidth=1.2, zorder=3)
    close.plot(ratio, thresholds["crossing_relative"], color=INK, linewidth=1.2, linestyle=(0, (4, 2)), zorder=3)
    close.set_ylim(0.80, 1.06)
    close.set_ylabel(f"λ / {LAMBDA_MAX}")
    close.set_title(f"printed, near {LAMBDA_MAX}")
    for axes in panels:
        axes.set_xscale("log")
        axes.set_xticks([1, 1.5, 2, 3, 5, 8])
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.tick_params(which="minor", length=0)
    canvas.supxlabel("ρ = m/m$_k$ of the largest class", fontsize=9)
    shared_legend(canvas, 6)


_THRESHOLDS = f"""
    SELECT count(*) AS units, ratio, min(crossing / alpha) AS crossing, min(regularization_limit / alpha) AS existence,
        min(crossing / regularization_limit) AS crossing_relative, 1e0 AS existence_relative
    FROM ({_POINTS}) GROUP BY ratio ORDER BY ratio
"""

FIGURE = Figure(
    name="phase_diagram",
    group="mcr2",
    title="Where the theorems on global maximizers hold, over λ and the ratio of the largest class",
    caption=(
        "Each bar is a problem, over all λ that were tried, those of the same ρ side by side around it: between λ_k°, where a "
        "direction of its largest class begins to cost more than it gives, and λ_k, where it ceases to exist, the printed "
        "theorem names points that are not global maximizers (except where d is so small that the largest class is not "
        "needed, as in bars without a thick part), and beyond λ_max = λ_k it is silent. The corrected theorem names the "
        "maximum, as all numbers of directions tried out give it, at every point."
    ),
    size=(7.2, 3.4),
    tables={
        "printed": Select("phase", _INTERVALS.format(theorem="printed", points=_POINTS)),
        "corrected": Select("phase", _INTERVALS.format(theorem="corrected", points=_POINTS)),
        "thresholds": Select("phase", _THRESHOLDS, least=2),
    },
    paint=paint,
    claims=(
        "mcr2.global-maximizers.printed",
        "mcr2.global-maximizers.corrected",
        "mcr2.value-threshold",
        "mcr2.vanishing-classes",
    ),
)
