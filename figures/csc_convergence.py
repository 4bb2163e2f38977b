"""The objective of iterations above that of the solution, step by step, beside the bounds of theory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import BLUE, GREEN, INK, ORANGE, PALE, VERMILION

from .csc_parts import DATA, ORDER
from .ctrl_parts import spread

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

_METHODS = {
    "ista": (VERMILION, "ISTA"),
    "public": (ORANGE, "public layer"),
    "fista": (BLUE, "FISTA"),
    "restarted": (GREEN, "FISTA with restarts"),
}
_BOUNDS = {"ista": (VERMILION, "bound of ISTA"), "fista": (BLUE, "bound of FISTA")}
_PARTS = [*(f"{name}_gap" for name in _METHODS), *(f"{name}_bound" for name in _BOUNDS)]
_CURVES = f"""
    SELECT count(*) AS units, data, step, max(uncertainty) AS uncertainty, {", ".join(spread(name, name) for name in _PARTS)}
    FROM (
        SELECT data, uncertainty, unnest(steps) AS step, {", ".join(f"unnest({name}) AS {name}" for name in _PARTS)} FROM rows
    ) GROUP BY data, step ORDER BY {ORDER}, step
"""
_RATIOS = f"SELECT unit, data, seed, ista_ratio, fista_ratio, ista_rises, fista_rises FROM ordered_rows ORDER BY {ORDER}, seed"
_FLOOR = 1e-15


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    curves, ratios = tables["curves"], tables["ratios"]
    data = list(curves.groups("data"))
    panels = canvas.subplots(1, len(data) + 1, squeeze=False, width_ratios=[*(1.3,) * len(data), 0.8])[0]
    for axes, ((name,), own) in zip(panels, data, strict=False):
        for method, (color, words) in _METHODS.items():
            low, middle, high = (np.maximum(own[f"{method}_gap{end}"], _FLOOR) for end in ("_least", "", "_largest"))
            axes.fill_between(own["step"], low, high, color=color, alpha=0.15, linewidth=0)
            axes.plot(own["step"], middle, color=color, linewidth=1.3, label=words)
        for method, (color, words) in _BOUNDS.items():
            axes.plot(own["step"], own[f"{method}_bound"], color=color, linewidth=1.0, linestyle=(0, (4, 2)), label=words)
        axes.axhspan(_FLOOR, max(float(own["uncertainty"].max()), _FLOOR), color=PALE, linewidth=0, label="not resolved")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_ylim(_FLOOR, 100)
        axes.set_yticks([1e-12, 1e-8, 1e-4, 1])
        axes.minorticks_off()
        axes.set_xlabel("step k")
        axes.set_title(DATA[name], fontsize=8.5)
    panels[0].set_ylabel("(P(c$_k$) − min P)/min P")
    last, names = panels[-1], [name for (name,), _ in data]
    for j, (method, (color, _)) in enumerate(_BOUNDS.items()):
        for k, name in enumerate(names):
            own = ratios.where(data=name)
            x = j + 0.16 * (2 * k - len(names) + 1)
            last.plot(
                np.full(len(own), x),
                own[f"{method}_ratio"],
                color=color,
                marker="os"[k % 2],
                markersize=4,
                markerfacecolor=color if k == 0 else "white",
                linestyle="",
            )
    last.axhline(1, color=INK, linewidth=0.9, linestyle=(0, (1, 2)))
    last.set_ylim(0, 1.08)
    last.set_xlim(-0.6, len(_BOUNDS) - 0.4)
    last.set_xticks(range(len(_BOUNDS)), ["ISTA", "FISTA"])
    last.set_ylabel("greatest gap over its bound")
    last.set_xlabel("filled: digits,\nopen: noise" if names == ["digits", "noise"] else "method")
    handles, labels = panels[0].get_legend_handles_labels()
    canvas.legend(handles, labels, loc="outside upper center", ncols=4)


FIGURE = Figure(
    name="csc_convergence",
    group="csc",
    title="Iterations against their bounds",
    caption=(
        "The objective P after k steps from zero above that of a certified solution, for digits and for noise with random "
        "atoms (medians over seeds, bands from the least to the largest; gray, what the certificate leaves open), the "
        "bounds L‖c*‖²/(2k) of ISTA and 2L‖c*‖²/(k + 1)² of FISTA, and the greatest gap over its bound, at any step, of "
        "each program. Both stay well below their bounds, the layer of public code is as fast as FISTA at first and "
        "slower later, and restarts, of which no bound here speaks, are fastest in the end."
    ),
    size=(7.2, 3.3),
    tables={"curves": Select("csc_convergence", _CURVES), "ratios": Select("csc_convergence", _RATIOS)},
    paint=paint,
    claims=("csc.iteration-bounds", "csc.public-layer.printed", "csc.public-layer.corrected", "csc.encoder.corrected"),
)
