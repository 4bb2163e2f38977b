"""Images that were not learned from, and what their codes make of them at several sparsities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mcr2_landscape.gallery.figure import Figure, Select, Table

from .csc_parts import ATOMS, DATA, ORDER, mosaic, paint_mosaic

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

_KINDS = {"learned": "learned", "random": "random"}
_SQL = f"""
    SELECT unit, data, sparsity, sparsities, learned_error, learned_active, random_error, random_active, shown_images,
        shown_learned, shown_random
    FROM ordered_rows QUALIFY row_number() OVER (PARTITION BY data ORDER BY seed) = 1 ORDER BY {ORDER}
"""


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    found = tables["images"]
    panels = canvas.subplots(1, len(found), squeeze=False)[0]
    for k, axes in enumerate(panels):
        row = {name: column[k] for name, column in found.columns.items()}
        images = np.asarray(row["shown_images"])
        lines, labels, colors = [list(images)], ["image"], ["black"]
        for kind, word in _KINDS.items():
            for place, (sparsity, shown) in enumerate(zip(row["sparsities"], np.asarray(row[f"shown_{kind}"]), strict=True)):
                error, active = row[f"{kind}_error"][place], row[f"{kind}_active"][place]
                lines.append(list(shown))
                labels.append(f"{word}, λ = {sparsity:g}\n{active:.2f} codes, {100 * error:.2g} % lost")
                colors.append(ATOMS[kind][0])
        pictures, middles, _ = mosaic(lines)
        paint_mosaic(axes, pictures, cmap="gray", vmin=0, vmax=1)
        axes.set_yticks(middles, labels, fontsize=6.5)
        axes.tick_params(length=0)
        for label, color in zip(axes.get_yticklabels(), colors, strict=True):
            label.set_color(color)
        axes.set_title(DATA[row["data"]], fontsize=8.5, loc="center")


FIGURE = Figure(
    name="csc_reconstructions",
    group="csc",
    title="Unseen images from their sparse codes",
    caption=(
        "The six of the unseen images that have the most contrast, and what their codes make of them, with learned atoms "
        "and with random ones, at several sparsities λ, each image's mean put back; beside each row how many codes a "
        "pixel has that are not zero, and which part of the squares of all unseen images, less their means, is lost. The "
        "larger λ, the fewer codes and the flatter the images, and with learned atoms less is lost at the same λ nearly "
        "throughout."
    ),
    size=(7.2, 4.3),
    tables={"images": Select("csc_images", _SQL, arrays=("shown_images", "shown_learned", "shown_random"))},
    paint=paint,
    claims=("csc.generalization",),
)
