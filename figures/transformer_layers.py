"""The rate R_c over the layers of trained transformers, by three metrics, and what each attention half changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import INK

from .transformer_parts import by_layer, paint_stages, stage_legend, whole_layers

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

_METRICS = {"derived": "as derived", "sphere": "on spheres", "hooked": "as published"}
_PARTS = ("before", "common", "change")
_ROWS = {
    "before": "R$_c$ of a layer's input",
    "common": "R$_c$, last layer's\nsubspaces",
    "change": "change by the\nattention half",
}
_COLUMNS = [f"{metric}_{part}" for metric in _METRICS for part in _PARTS]
_OF_SIGN = ("CRATE, tied output", "CRATE, flipped sign")


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    layers = tables["layers"]
    present = list(dict.fromkeys(layers.columns["network"]))
    free, tied = [name for name in present if name not in _OF_SIGN], [name for name in present if name in _OF_SIGN]
    rows = [*((part, free, words) for part, words in _ROWS.items())]
    if tied:
        rows.append(("change", tied, "change, map back\ntied to subspaces"))
    panels = canvas.subplots(len(rows), len(_METRICS), sharex=True, squeeze=False)
    for line, (part, networks, words) in zip(panels, rows, strict=True):
        for axes, metric in zip(line, _METRICS, strict=True):
            paint_stages(axes, layers, f"{metric}_{part}", networks)
            if part == "change":
                axes.axhline(0, color=INK, linewidth=0.8, linestyle=(0, (1, 2)), zorder=0)
            axes.tick_params(labelsize=7)
            whole_layers(axes)
        line[0].set_ylabel(words, fontsize=8)
    for axes, words in zip(panels[0], _METRICS.values(), strict=True):
        axes.set_title(words)
    for axes in panels[-1]:
        axes.set_xlabel("layer")
    stage_legend(canvas, [*free, *tied])


FIGURE = Figure(
    name="transformer_layers",
    group="whitebox",
    title="The rate R_c over the layers, before and after training",
    caption=(
        "R_c in nats of the tokens that enter a layer, against its own subspaces and against those of the last layer, and what "
        "the layer's attention half changes of it, in the last row for the networks that the others leave out, whose map back "
        "is their subspaces or minus these: for tokens as they are, at the length √d, and as the published figures have it "
        "(means over test images and seeds, with 95 % intervals over seeds where there are several). Layers that compress "
        "would show as changes below the dotted zero, or as solid curves that fall in the second row (in the first, every "
        "layer's subspaces make another function), and what the dashed curves do as well is no work of training."
    ),
    size=(7.2, 6.2),
    tables={
        "layers": Select(
            "transformer_digits",
            by_layer(
                _COLUMNS,
                f"width = 'equal' AND network IN ({', '.join(repr(name) for name in ('CRATE', 'CRATE-α', *_OF_SIGN))})",
            ),
            least=2,
        )
    },
    paint=paint,
    claims=(
        "crate.layers.printed",
        "crate.layers.corrected",
        "crate.layers.random-start",
        "crate.compression.printed",
        "crate.compression-normalized",
    ),
)
