"""|cos| between samples, before and after the encoder, and after decoder and encoder once more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import paint_cosines

from .ctrl_parts import FIRST_GAMES, METHODS, ORDER, counts

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

_ARRAYS = ("cosines_x", "cosines_f", "cosines_fgf")


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    games = tables["games"]
    panels = canvas.subplots(2, 1 + len(games), squeeze=False)
    image = paint_cosines(panels[0, 0], games.columns["cosines_x"][0], games.columns["shown"][0])
    panels[0, 0].set_title("X", fontsize=7.5)
    panels[1, 0].set_axis_off()
    for k, (column, method) in enumerate(zip(panels[:, 1:].T, games.columns["method"], strict=True)):
        for axes, name, words in zip(column, _ARRAYS[1:], ("f(X)", "fgf(X)"), strict=True):
            image = paint_cosines(axes, games.columns[name][k], games.columns["shown"][k])
            axes.set_title(f"{words}, {METHODS[method][3]}", fontsize=7.5)
    place = panels[1, 0].inset_axes((0.0, 0.55, 1.0, 0.1))
    bar = canvas.colorbar(image, cax=place, orientation="horizontal", label="|cosine|", ticks=[0, 0.5, 1])
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    canvas.supxlabel("class of the sample", fontsize=9)
    canvas.supylabel("class of the sample", fontsize=9)


FIGURE = Figure(
    name="ctrl_cosines",
    group="ctrl",
    title="Cosines between samples before and after the encoder",
    caption=(
        "Samples of leaning subspaces have cosines of any size across classes, and an optimal encoder makes the classes "
        "orthogonal (white blocks off the diagonal), also after decoder and encoder once more. What the paper's schedule "
        "leaves between the classes is seen in the last column."
    ),
    size=(7.2, 3.0),
    tables={
        "games": Select(
            "ctrl_noise",
            f"SELECT unit, method, noise, dim, {counts()} AS shown, {', '.join(_ARRAYS)} FROM ({FIRST_GAMES}) ORDER BY {ORDER}",
            arrays=_ARRAYS,
        )
    },
    paint=paint,
    claims=("ctrl.optimum", "ctrl.decoder-eliminated"),
)
