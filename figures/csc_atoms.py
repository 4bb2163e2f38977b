"""Atoms that were learned from images, the random ones that they began as, and the objective on the way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import BLUE, GRAY

from .csc_parts import DATA, ORDER, mosaic, paint_mosaic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

_FIRST = "SELECT * FROM ordered_rows QUALIFY row_number() OVER (PARTITION BY data ORDER BY seed) = 1"
_ATOMS = f"SELECT unit, data, sparsity, usage, dead, atoms, random_atoms FROM ({_FIRST}) ORDER BY {ORDER}"
_HISTORY = f"""
    SELECT unit, data, seed, unnest(range(0, len(history))) AS alternation, unnest(history) AS objective FROM ordered_rows
    ORDER BY {ORDER}, seed, alternation
"""
_ROWS = 3  # of atoms


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    found, history = tables["atoms"], tables["history"]
    panels = canvas.subplots(len(found), 3, squeeze=False, width_ratios=[1.2, 1.2, 1])
    for k, (learned, random, descent) in enumerate(panels):
        data, usage = found.columns["data"][k], found.columns["usage"][k]
        for axes, name, words in ((learned, "atoms", "learned"), (random, "random_atoms", "at the start")):
            atoms = np.asarray(found.columns[name][k])
            atoms = atoms / np.abs(atoms).max(axis=(1, 2), keepdims=True)
            wide = -(-len(atoms) // _ROWS)
            pictures, _, _ = mosaic([list(atoms[first : first + wide]) for first in range(0, len(atoms), wide)])
            paint_mosaic(axes, pictures, cmap="PuOr", vmin=-1, vmax=1)
            axes.set_title(f"{DATA[data]}: {words}", fontsize=8.5)
        learned.set_xlabel(f"first of {len(usage)}: {100 * usage[0]:.0f} % of Σ|c|", fontsize=7.5)
        for (seed,), own in history.where(data=data).groups("seed"):
            first = seed == history.columns["seed"][0]
            descent.plot(own["alternation"], own["objective"], color=BLUE if first else GRAY, linewidth=1.4 if first else 0.7)
        descent.set_yscale("log")
        descent.minorticks_off()
        _few_ticks(descent, history.where(data=data)["objective"])
        descent.set_ylabel("objective\nof a pixel")
        descent.locator_params(axis="x", integer=True, nbins=5)
    panels[-1, 2].set_xlabel("alternation")


def _few_ticks(axes: Axes, values: np.ndarray) -> None:
    """Where less than a decade is covered: the ends in numbers."""
    low, high = float(values.min()), float(values.max())
    axes.set_yticks([low, high], [f"{low:.2g}", f"{high:.2g}"])


FIGURE = Figure(
    name="csc_atoms",
    group="csc",
    title="Atoms learned from digits and from textures",
    caption=(
        "Atoms learned from handwritten digits and from crops of brick and grass, in the order of how much of Σ|c| is "
        "theirs, the random ones that they began as, each on its own scale from orange (negative) to violet (positive), "
        "and the objective of learning after each alternation of codes and atoms (gray: other seeds). Strokes, spots and "
        "edges take the place of noise, and the objective falls most in the first alternation, in which the codes leave "
        "zero, and never rises."
    ),
    size=(7.2, 3.6),
    tables={
        "atoms": Select("csc_images", _ATOMS, arrays=("atoms", "random_atoms")),
        "history": Select("csc_images", _HISTORY),
    },
    paint=paint,
    claims=("csc.learning",),
)
