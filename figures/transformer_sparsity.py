"""What fraction of outputs and codes is not zero over the layers, before and after training, and whether steps are short."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import INK

from .transformer_parts import by_layer, paint_stages, stage_legend, whole_layers

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

_PANELS = {
    "nonzero": "layer's output:\nfraction not zero",
    "nonzero_codes": "codes:\nfraction not zero",
    "objective_change": "sparsification half:\nchange of its objective",
    "step_bound": "eta‖D‖²",
}


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    layers = tables["layers"]
    panels = canvas.subplots(2, 2, sharex=True)
    for axes, (name, words) in zip(panels.flat, _PANELS.items(), strict=True):
        paint_stages(axes, layers, name)
        axes.set_ylabel(words, fontsize=8)
        whole_layers(axes)
        if name in ("nonzero", "nonzero_codes"):
            axes.set_ylim(-0.02, 1.05)
    panels[1, 0].axhline(0, color=INK, linewidth=0.8, linestyle=(0, (1, 2)), zorder=0)
    panels[1, 1].axhline(2, color=INK, linewidth=0.8, linestyle=(0, (1, 2)), zorder=0)
    panels[1, 1].set_ylim(0, None)
    for axes in panels[1]:
        axes.set_xlabel("layer")
    stage_legend(canvas, list(dict.fromkeys(layers.columns["network"])))


FIGURE = Figure(
    name="transformer_sparsity",
    group="whitebox",
    title="Sparsity over the layers, before and after training",
    caption=(
        "Above, what fraction of a layer's output and of its codes is not zero, of CRATE, whose output are the codes, and of "
        "CRATE-α, which adds to its tokens what the codes decode to (means over test images and seeds, with 95 % intervals "
        "over seeds where there are several); what the dashed curves do as well is no work of training. Below, what the "
        "sparsification half changes of its own objective, a token, and eta‖D‖², below two (dotted) where a step along the "
        "proximal gradient cannot raise that objective."
    ),
    size=(7.2, 4.6),
    tables={
        "layers": Select(
            "transformer_digits",
            by_layer(
                ("nonzero", "nonzero_codes", "objective_change", "step_bound"),
                "width = 'equal' AND network IN ('CRATE', 'CRATE-α')",
            ),
            least=2,
        )
    },
    paint=paint,
    claims=(
        "crate.layers.printed",
        "crate.layers.random-start",
        "crate.layers.proximal",
        "crate.ista-initialization",
        "crate-alpha.sparsity.printed",
        "crate-alpha.sparsity.corrected",
        "crate-alpha.step-size.corrected",
    ),
)
