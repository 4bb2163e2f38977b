"""Singular values of X, f(X), gf(X), fgf(X), of all classes and of each, by method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.ctrl_pictures import paint_spectrum
from mcr2_landscape.report.style import INK, shared_legend

from .ctrl_parts import FIRST_GAMES, METHODS, ORDER, spectra

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

_SHOWN = 20  # singular values


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    games = tables["games"]
    classes = len(games.columns["class_sizes"][0])
    panels = canvas.subplots(len(games), 1 + classes, squeeze=False, sharex="col", sharey="col")
    for row, ((method,), game) in zip(panels, games.groups("method"), strict=True):
        own = tables["singular_values"].where(method=method)
        for k, axes in enumerate(row):
            stages = {stage: values["singular_value"] for (stage,), values in own.where(**{"class": k}).groups("stage")}
            paint_spectrum(axes, stages)
            level = game.columns["optimal_singular_values"][0]
            if k and level is not None:
                axes.axhline(level[k - 1], color=INK, linewidth=0.7, linestyle=(0, (1, 2)), zorder=0, label="optimum")
            if axes in panels[0]:
                axes.set_title("all classes" if k == 0 else f"class {k}")
        row[0].set_ylabel(METHODS[method][3])
    canvas.supylabel("singular value", fontsize=9)
    canvas.supxlabel("number of the singular value", fontsize=9)
    shared_legend(canvas, 5)


FIGURE = Figure(
    name="ctrl_spectra",
    group="ctrl",
    title="Singular values of X, f(X), gf(X) and fgf(X)",
    caption=(
        "One row for each way of playing the game of noisy subspaces: an optimal encoder makes all singular values of a "
        "class that count equal (dotted lines), and the decoder's answer keeps fgf(X) on f(X), whatever those of X are. The "
        "further a method is from the equilibrium, the further its values are from the lines, and those of fgf(X) from "
        "those of f(X)."
    ),
    size=(7.2, 6.6),
    tables={
        "games": Select(
            "ctrl_noise",
            f"SELECT unit, method, noise, dim, class_sizes, optimal_singular_values FROM ({FIRST_GAMES}) ORDER BY {ORDER}",
        ),
        "singular_values": Select(
            "ctrl_noise",
            f"SELECT * FROM ({spectra(FIRST_GAMES, 'unit, method')}) WHERE number <= {_SHOWN} "
            "ORDER BY unit, class, len(stage), stage, number",
        ),
    },
    paint=paint,
    claims=("ctrl.optimum", "ctrl.decoder-eliminated", "ctrl.last-singular-value.printed"),
)
