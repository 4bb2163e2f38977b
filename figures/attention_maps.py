"""What the class token attends to in textured shapes: every head of a layer, trained beside random, and the true masks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import INK, VERMILION

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

_SHOWN = 3  # images of each network
_WORDS = ("before training", "trained")
# Of CRATE, and of the same network with the transformer's two halves, that of the first seed.
_SQL = """
    SELECT unit, network, attention, sparsification, heads, mosaic_layer, list_transform(attention_fixed, lambda own: own[2])
            AS fixed_head, list_transform([1, 2], lambda stage: attention_iou[stage][mosaic_layer[stage] + 1]) AS head_iou,
        list_transform(attention_fixed_iou, lambda own: own[1]) AS fixed_iou, mosaic_images, mosaic_truth, mosaic_maps
    FROM ordered_rows WHERE mosaic_maps IS NOT NULL AND (attention, sparsification) IN (('mssa', 'ista'), ('mhsa', 'mlp'))
    QUALIFY row_number() OVER (PARTITION BY attention, sparsification ORDER BY seed) = 1 ORDER BY attention DESC
"""


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    found = tables["mosaics"]
    heads = max(found.columns["heads"])
    blocks = canvas.subfigures(len(found), 1, squeeze=False)[:, 0]
    for k, block in enumerate(blocks):
        row = {name: column[k] for name, column in found.columns.items()}
        # Two narrow columns stay empty.
        widths = [1, 1, 0.12, *(1,) * heads, 0.12, *(1,) * heads]
        panels = block.subplots(
            _SHOWN, len(widths), squeeze=False, gridspec_kw={"wspace": 0.03, "hspace": 0.03, "width_ratios": widths}
        )
        for axes in panels.flat:
            axes.set_axis_off()
        panels = np.delete(panels, (2, 3 + heads), axis=1)
        for j, line in enumerate(panels):
            picture(line[0], row["mosaic_images"][j])
            line[1].imshow(row["mosaic_truth"][j], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            # Trained first.
            for place, stage in enumerate((1, 0)):
                for head in range(row["heads"]):
                    axes = line[2 + place * heads + head]
                    axes.imshow(row["mosaic_maps"][stage][j][head], cmap="magma", vmin=0, interpolation="nearest")
        _titles(panels[0], row, heads)
        words = "above each head its intersection over union with the truth"
        block.suptitle(f"{row['attention'].upper()} + {row['sparsification'].upper()}: {words}", fontsize=8)


def picture(axes: Axes, image: np.ndarray) -> None:
    """An image (C, H, W) of one channel or three."""
    shown = np.clip(np.moveaxis(image, 0, -1), 0, 1)
    kind: dict[str, Any] = {"cmap": "gray", "vmin": 0, "vmax": 1} if shown.shape[-1] == 1 else {}
    axes.imshow(shown.squeeze(-1) if shown.shape[-1] == 1 else shown, interpolation="nearest", **kind)


def _titles(line: Any, row: Mapping[str, Any], heads: int) -> None:
    line[0].set_title("\nimage", fontsize=7, loc="center")  # a line for what stands above the heads
    line[1].set_title("truth", fontsize=7, loc="center")
    for place, stage in enumerate((1, 0)):
        first = line[2 + place * heads]
        words = f"{_WORDS[stage]}, layer {row['mosaic_layer'][stage] + 1}"
        above = first.annotate(
            words, (0, 1), xytext=(0, 15), xycoords="axes fraction", textcoords="offset points", fontsize=7.5
        )
        above.set_in_layout(False)  # it reaches over several columns
        for head, value in enumerate(row["head_iou"][stage]):
            chosen = head == row["fixed_head"][stage]
            color, weight = (VERMILION, "bold") if chosen else (INK, "normal")
            line[2 + place * heads + head].set_title(f"{value:.2f}", fontsize=7, loc="center", color=color, weight=weight)


FIGURE = Figure(
    name="attention_maps",
    group="whitebox",
    title="What the class token attends to",
    caption=(
        "Test images with figures of one texture on ground of another in the same grays, their true masks, and the class "
        "token's attention to patches in every head of one layer of the trained network and of one, often another, of the same "
        "network before training, each named above its heads; each map has its own scale. The numbers are the intersection "
        "over union with the truth of the patches that hold most of the attention, mean over the evaluation images, bold where "
        "the head is the one that was chosen on other images, as each network's layer was."
    ),
    size=(7.2, 5.2),
    tables={
        "mosaics": Select("transformer_shapes", _SQL, arrays=("mosaic_images", "mosaic_truth", "mosaic_maps")),
    },
    paint=paint,
    claims=("crate.emergence",),
)
