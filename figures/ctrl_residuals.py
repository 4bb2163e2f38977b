"""Histograms of the distances of gf(x) and fgf(x) to the own subspace and to the nearest other one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.ctrl_pictures import paint_distances
from mcr2_landscape.report.style import shared_legend

from .ctrl_parts import FIRST_GAMES, METHODS, ORDER

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

_IMAGES = {"x": "x to S", "gf": "gf(x) to S", "fgf": "fgf(x) to f(S)"}


def _samples() -> str:
    """All classes together: the number of samples in each bin."""
    parts = []
    for image in _IMAGES:
        for other in ("own", "other"):
            classes = f"SELECT unit, method, residual_edges, unnest(residuals_{image}_{other}) AS samples FROM ({FIRST_GAMES})"
            bins = (
                "SELECT unit, method, unnest(range(1, len(samples) + 1)) AS bin, unnest(samples) AS samples, "
                f"unnest(residual_edges[1:-2]) AS lower, unnest(residual_edges[2:]) AS upper FROM ({classes})"
            )
            parts.append(
                f"SELECT unit, method, '{image}' AS image, '{other}' AS subspace, bin, any_value(lower) AS lower, "
                f"any_value(upper) AS upper, CAST(sum(samples) AS BIGINT) AS samples FROM ({bins}) GROUP BY unit, method, bin"
            )
    return f"SELECT * FROM ({' UNION ALL '.join(parts)}) ORDER BY {ORDER}, image, subspace, bin"


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    samples = tables["samples"]
    methods = list(samples.groups("method"))
    panels = canvas.subplots(len(_IMAGES), len(methods), squeeze=False, sharex=True, sharey=True)
    for column, ((method,), own) in zip(panels.T, methods, strict=True):
        for axes, (image, words) in zip(column, _IMAGES.items(), strict=True):
            both = {name: own.where(image=image, subspace=name) for name in ("own", "other")}
            edges = np.append(both["own"]["lower"], both["own"]["upper"][-1:])
            paint_distances(axes, both["own"]["samples"], both["other"]["samples"], edges)
            axes.set_yscale("symlog", linthresh=10)
            axes.set_yticks([0, 10, 100], ["0", "10", "100"])
            axes.minorticks_off()
            if axes in panels[:, 0]:
                axes.set_ylabel(words)
        column[0].set_title(METHODS[method][3])
    canvas.supxlabel("distance to the subspace, relative to the norm", fontsize=9)
    canvas.supylabel("samples (logarithmic above 10)", fontsize=9)
    shared_legend(canvas, 2)


FIGURE = Figure(
    name="ctrl_residuals",
    group="ctrl",
    title="Distances of gf(x) and fgf(x) to the subspaces",
    caption=(
        "Histograms over all samples, by method: at an equilibrium gf(x) is as near to its own subspace S as noise lets x "
        "be, and fgf(x) near f(S) and far from the features of every other class. The schedule of the paper's code "
        "(reference) leaves gf(x) further from its own subspace than any other method."
    ),
    size=(7.2, 4.4),
    tables={"samples": Select("ctrl_noise", _samples())},
    paint=paint,
    claims=("ctrl.optimum", "ctrl.best-responses"),
)
