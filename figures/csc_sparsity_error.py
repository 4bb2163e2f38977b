"""How much of unseen images is lost at how many codes, with learned and with random atoms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import BLUE, INK, plain_logarithms, shared_legend

from .csc_parts import ATOMS, DATA, ORDER
from .ctrl_parts import spread

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

_PARTS = [f"{kind}_{part}" for kind in ATOMS for part in ("error", "active")]
_SQL = f"""
    SELECT count(*) AS units, data, sparsity, own, max(worst_gap) AS worst_gap,
        {", ".join(spread(name, name) for name in _PARTS)},
        {spread("learned_objective / random_objective", "objective_ratio")}
    FROM (
        SELECT data, sparsity, worst_gap, unnest(sparsities) AS own,
            {", ".join(f"unnest({name}) AS {name}" for name in (*_PARTS, "learned_objective", "random_objective"))}
        FROM rows
    ) GROUP BY data, sparsity, own ORDER BY {ORDER}, own
"""


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    data = list(tables["curves"].groups("data"))
    panels = canvas.subplots(1, len(data) + 1, squeeze=False, width_ratios=[*(1.25,) * len(data), 1])[0]
    for axes, ((name,), own) in zip(panels, data, strict=False):
        for kind, (color, marker, dashes, words) in ATOMS.items():
            x, y = own[f"{kind}_active"], own[f"{kind}_error"]
            axes.hlines(y, own[f"{kind}_active_least"], own[f"{kind}_active_largest"], color=color, linewidth=0.8)
            axes.vlines(x, own[f"{kind}_error_least"], own[f"{kind}_error_largest"], color=color, linewidth=0.8)
            axes.plot(x, y, color=color, marker=marker, markersize=4, linestyle=dashes, linewidth=1.2, label=words)
        axes.set_xscale("log")
        axes.set_yscale("log")
        plain_logarithms(axes.xaxis)
        plain_logarithms(axes.yaxis)
        axes.set_xlabel("codes of a pixel")
        axes.set_title(DATA[name], fontsize=8.5)
    panels[0].set_ylabel("part of the squares lost")
    looks = ((BLUE, "o"), (INK, "D"))
    for k, ((name,), own) in enumerate(data):
        color, marker = looks[k % len(looks)]
        at = own["own"]
        panels[-1].vlines(at, own["objective_ratio_least"], own["objective_ratio_largest"], color=color, linewidth=0.8)
        look = {"color": color, "marker": marker, "markerfacecolor": color if k == 0 else "white"}
        panels[-1].plot(at, own["objective_ratio"], markersize=4, linewidth=1.2, **look)
        panels[-1].annotate(
            DATA[name], (at[-1], own["objective_ratio"][-1]), xytext=(0, 7), textcoords="offset points", fontsize=7, ha="right"
        )
        panels[-1].axvline(own["sparsity"][0], color=color, linewidth=0.7, linestyle=(0, (1, 2)))
    panels[-1].set_xscale("log")
    plain_logarithms(panels[-1].xaxis)
    panels[-1].set_ylim(min(0.6, 0.95 * float(np.min(tables["curves"]["objective_ratio_least"]))), 1.02)
    panels[-1].axhline(1, color=INK, linewidth=0.8, linestyle=(0, (1, 2)))
    panels[-1].set_xlabel("λ")
    panels[-1].set_ylabel("objective, learned\nover random atoms")
    shared_legend(canvas, 3)


FIGURE = Figure(
    name="csc_sparsity_error",
    group="csc",
    title="Learned atoms lose less of unseen images with as many codes",
    caption=(
        "For several sparsities λ, the part of the images' squares (less their means) that is lost over the number of "
        "codes of a pixel that are not zero, and the objective of learned over that of random atoms on unseen images, "
        "where a dotted line marks the λ of learning (medians over seeds, bars from the least to the largest, where there "
        "are several). Learned atoms lose less of unseen images than random ones with as many codes, of digits about what "
        "they lose of their own images, and of pictures of other things than the textures that they are from as well."
    ),
    size=(7.2, 2.9),
    tables={"curves": Select("csc_images", _SQL)},
    paint=paint,
    claims=("csc.generalization",),
)
