"""Where tokens are in the landscape of their layer's own objective, and whether the layer climbs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import INK

from .transformer_parts import by_layer, paint_stages, stage_legend, whole_layers

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

# Two lines of panels: the name of a column, and what it is.
_PANELS = (
    {
        "relative_gradient": "relative gradient,\nlayer's input",
        "relative_gradient_attended": "after the\nattention half",
        "relative_gradient_after": "layer's output",
    },
    {
        "ascending": "curved upwards\nat the input",
        "descending": "curved downwards\nat the input",
        "value_change": "change of R − R$_c$\nby the layer",
    },
)
_NUMBERS = (
    "relative_gradient",
    "relative_gradient_attended",
    "relative_gradient_after",
    "value_change_attended",
    "value_change",
)
_SHARES = {
    name: f"unnest(list_transform(inertia_{sign}[{{stage}}], lambda own: list_avg(own) / inertia_dimension))"
    for name, sign in (("ascending", "positive"), ("level", "zero"), ("descending", "negative"), ("undecided", "undecided"))
}


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    layers = tables["layers"]
    panels = canvas.subplots(2, 3, sharex=True)
    for line, names in zip(panels, _PANELS, strict=True):
        for axes, (name, words) in zip(line, names.items(), strict=True):
            paint_stages(axes, layers, name)
            axes.set_title(words, fontsize=8)
            axes.tick_params(labelsize=7)
            whole_layers(axes)
    low, high = min(axes.get_ylim()[0] for axes in panels[0]), max(axes.get_ylim()[1] for axes in panels[0])
    for axes in panels[0]:
        axes.set_ylim(low, high)
    panels[0, 0].set_ylabel("‖∇R − ∇R$_c$‖ over\n‖∇R‖ + ‖∇R$_c$‖", fontsize=8)
    panels[1, 0].set_ylabel("share of directions; nats (right)", fontsize=8)
    for axes in panels[1, :2]:
        axes.set_ylim(0, 1)
    panels[1, 2].axhline(0, color=INK, linewidth=0.8, linestyle=(0, (1, 2)), zorder=0)
    for axes in panels[1]:
        axes.set_xlabel("layer")
    stage_legend(canvas, list(dict.fromkeys(layers.columns["network"])))


FIGURE = Figure(
    name="transformer_landscape",
    group="whitebox",
    title="Tokens in the landscape of their layer's own objective",
    caption=(
        "For the objective R − R_c of each layer, at the tokens of a few test images: the gradient relative to its two terms, "
        "0 at a critical point and 1 where nothing cancels, at the layer's input, after its attention half and at its output "
        "(means, with 95 % intervals over seeds where there are several). Below, the share of directions in which the "
        "objective curves upwards and downwards at the input, and what the whole layer changes of it, above the dotted "
        "zero where it climbs as it is meant to."
    ),
    size=(7.2, 4.6),
    tables={
        "layers": Select(
            "transformer_digits",
            by_layer(
                _NUMBERS,
                "width = 'equal' AND network IN ('CRATE', 'CRATE-α', 'CRATE, as derived')",
                **_SHARES,
            ),
            least=2,
        )
    },
    paint=paint,
    claims=("crate.gradient", "crate.rate-gain.corrected", "crate.compression.printed"),
)
