"""What the figures on sparse codes share: the images' names, and many small pictures in one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mcr2_landscape.report.style import BLUE, GREEN, VERMILION

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DATA = {"digits": "digits", "pictures": "crops of pictures", "noise": "noise"}
ORDER = "CASE data " + " ".join(f"WHEN '{name}' THEN {k}" for k, name in enumerate(DATA)) + " END"
# Color, marker, dashes and name of what is coded with which atoms.
ATOMS = {
    "random": (VERMILION, "s", (0, (4, 1.5)), "random atoms, unseen images"),
    "learned": (BLUE, "o", "solid", "learned atoms, unseen images"),
    "training": (GREEN, "^", (0, (1, 1)), "learned atoms, their own images"),
}


def mosaic(pictures: Sequence[Sequence[np.ndarray]], gap: int = 1) -> tuple[np.ma.MaskedArray, list[float], list[float]]:
    """Rows of pictures of one size, with masked gaps between them; the middles of the rows and of the columns."""
    height, width = np.shape(pictures[0][0])
    rows, columns = len(pictures), max(map(len, pictures))
    shape = rows * (height + gap) - gap, columns * (width + gap) - gap
    out = np.ma.MaskedArray(np.zeros(shape), mask=np.ones(shape, dtype=bool))
    for i, line in enumerate(pictures):
        for j, picture in enumerate(line):
            out[i * (height + gap) : i * (height + gap) + height, j * (width + gap) : j * (width + gap) + width] = picture
    middles = [[k * (side + gap) + (side - 1) / 2 for k in range(count)] for side, count in ((height, rows), (width, columns))]
    return out, middles[0], middles[1]


def paint_mosaic(axes: Axes, pictures: np.ma.MaskedArray, **look: Any) -> None:
    """A mosaic without ticks and frame."""
    axes.imshow(pictures, interpolation="nearest", rasterized=True, **look)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
