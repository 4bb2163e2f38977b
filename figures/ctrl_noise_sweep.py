"""What each way of playing the game reaches, over the strength of the noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import GRAY, INK, shared_legend

from .ctrl_parts import METHODS, ORDER, paint_spread, spread

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

_PANELS = {
    "kept": "dimensions kept",
    "gap": "optimum − value (nats)",
    "residual": "largest distance of gf(x) to S",
    "violation": "constraint exceeded by",
}
_SUM = "CAST(list_sum(kept) AS INTEGER)"
_ROWS = f"""
    SELECT count(*) AS units, method, noise, {spread(_SUM, "kept")}, {spread("feasible_gap", "gap")},
        {spread("largest_residual_gf", "residual")}, {spread("sample_violation", "violation")},
        min(upper_bound) AS upper_bound, median(largest_residual_x) AS residual_of_x,
        max(CAST(list_sum(ranks) AS INTEGER)) AS ranks
    FROM ordered_rows GROUP BY method, noise ORDER BY {ORDER}, noise
"""


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    rows = tables["methods"]
    noises = sorted(set(rows.columns["noise"]))
    panels = canvas.subplots(2, 2, sharex=True).ravel()
    for k, ((method,), own) in enumerate(rows.groups("method")):
        color, marker, dashes, words = METHODS[method]
        at = np.array([noises.index(noise) for noise in own.columns["noise"]]) + 0.09 * (k - 1.5)
        look = {"color": color, "marker": marker, "markersize": 4, "linestyle": dashes, "linewidth": 1.1, "label": words}
        for axes, name in zip(panels, _PANELS, strict=True):
            if name in ("gap", "violation"):
                paint_spread(axes, at, own, name, own["upper_bound"] if name == "gap" else 0.0, **look)
                continue
            middle = own[name]
            bars = np.stack([middle - own[f"{name}_least"], own[f"{name}_largest"] - middle])
            axes.errorbar(at, middle, bars, elinewidth=0.8, **look)
    for (_,), own in list(rows.groups("method"))[:1]:
        at = [noises.index(noise) for noise in own.columns["noise"]]
        panels[0].plot(at, own["ranks"], color=INK, linewidth=0.8, linestyle=(0, (1, 2)), zorder=0, label="all there are")
        panels[2].plot(
            at, own["residual_of_x"], color=GRAY, linewidth=0.9, linestyle=(0, (3, 2)), zorder=0, label="of x itself"
        )
    for axes, words in zip(panels, _PANELS.values(), strict=True):
        axes.set_ylabel(words)
    panels[0].set_ylim(0, 1.15 * max(rows.columns["kept_largest"]))
    panels[2].set_ylim(0, 1.03)
    panels[2].set_xticks(range(len(noises)), [f"{noise:g}" for noise in noises])
    canvas.supxlabel("noise ν (‖e‖² in the mean)", fontsize=9)
    shared_legend(canvas, 6)


FIGURE = Figure(
    name="ctrl_noise_sweep",
    group="ctrl",
    title="What is kept, over the strength of the noise",
    caption=(
        "Medians over the draws, with the least and the largest: told from the noise by the widest gap in the spectra, all "
        "dimensions of all classes are kept, and the game of what is left has the same optimum at any noise, which exact "
        "play attains, ascent approaches, and the schedule of the paper's code (reference) misses (what is zero, or "
        "below it by rounding, stands at 1e-16; a cross would mark a value above the optimum by more). What grows with the "
        "noise is the distance of gf(x) to the subspaces of the game and, on the samples as they are, the encoder's norm."
    ),
    size=(7.2, 4.4),
    tables={"methods": Select("ctrl_noise", _ROWS, least=2)},
    paint=paint,
    claims=("ctrl.optimum", "ctrl.injectivity"),
)
