"""The pictures of a convolutional dictionary and its codes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mcr2_landscape.report.sparse_tables import label
from mcr2_landscape.report.style import BLUE, GRAY, GREEN, INK, ORANGE, PALE, VERMILION, draw, plain_logarithms, shared_legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mcr2_landscape.csc.examination import SparseExamination

_MOST_ATOMS = 100
_LEAST = 1e-18  # of what is drawn on a logarithmic axis
# Color, marker and dashes change together, so that none has to be told apart alone.
_LOOKS: tuple[dict[str, Any], ...] = (
    {"color": GRAY, "marker": "s", "linestyle": ":"},
    {"color": BLUE, "marker": "o", "linestyle": "-"},
    {"color": VERMILION, "marker": "^", "linestyle": "--"},
)


def atoms(found: SparseExamination) -> Figure:
    """The atoms as tiles, by falling weight, each on a scale of its own about zero."""
    order = np.argsort(-found.weight, kind="stable")[:_MOST_ATOMS]
    columns = min(10, max(4, math.ceil(math.sqrt(2 * len(order)))))
    rows = -(-len(order) // columns)

    def paint(figure: Figure) -> None:
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, number in zip(grid, order, strict=False):
            atom = found.atoms[number]
            top = float(np.abs(atom).max()) or 1.0
            if len(atom) == 1:
                axes.imshow(atom[0], cmap="gray", vmin=-top, vmax=top, interpolation="nearest", rasterized=True)
            else:
                axes.imshow(np.moveaxis(0.5 + atom[:3] / (2 * top), 0, -1), interpolation="nearest", rasterized=True)
            axes.set_title(f"{number + 1}: {found.weight[number]:.1%}", fontsize=7, loc="center")
            _bare(axes)
        for axes in grid[len(order) :]:
            axes.set_visible(False)

    return draw((0.2 + 0.86 * columns, 0.2 + 1.0 * rows), paint)


def shown_atoms(found: SparseExamination) -> int:
    """How many atoms the picture holds."""
    return min(_MOST_ATOMS, found.atom_shape[0])


def reconstructions(found: SparseExamination) -> Figure:
    """Test images with their indices in the data, what their codes give, and the difference."""
    low, high = min(0.0, float(found.images.min())), max(1e-300, float(found.images.max()))
    left = found.images - found.reconstructions
    top = float(np.abs(left).max()) or 1.0

    def paint(figure: Figure) -> None:
        grid = figure.subplots(3, len(found.images), squeeze=False)
        for column, number in enumerate(found.shown):
            for row, part in enumerate((found.images, found.reconstructions)):
                _image(grid[row, column], part[column], low, high)
            _image(grid[2, column], left[column], -top, top)
            grid[0, column].set_title(f"{found.rows[number]}", fontsize=8, loc="center")
            grid[2, column].set_xlabel(f"{found.errors[number]:.1%}", fontsize=8)
        for row, name in enumerate(("image", "Dz", "difference")):
            grid[row, 0].set_ylabel(name)

    return draw((0.4 + 0.95 * len(found.images), 3.4), paint)


def objective(found: SparseExamination) -> Figure:
    """The objective of learning over the alternations, and by how much each lowered it."""
    assert found.learned is not None
    values = np.asarray(found.learned.objective)
    marker = "o" if len(values) <= 40 else ""

    def paint(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        left.plot(np.arange(len(values)), values, color=BLUE, marker=marker, markersize=3)
        left.set_yscale("log")
        plain_logarithms(left.yaxis)
        left.set_title("objective")
        drops = (values[:-1] - values[1:]) / values[:-1]
        right.plot(np.arange(1, len(values)), np.where(drops > 0, drops, np.nan), color=GREEN, marker=marker, markersize=3)
        right.set_yscale("log")
        right.set_title("part by which an alternation lowers it")
        for axes in (left, right):
            axes.set_xlabel("alternation")
            _whole(axes)

    return draw((7.2, 2.7), paint)


def curve(found: SparseExamination) -> Figure:
    """Error against the share of codes that are not zero, and both against λ."""
    lam = np.array([one.sparsity for one in found.curve])
    error, active = (100 * np.array([getattr(one, name) for one in found.curve]) for name in ("error", "active"))

    def paint(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        left.plot(lam, error, color=BLUE, marker="o", markersize=4, label="relative error")
        left.plot(lam, active, color=ORANGE, marker="s", markersize=4, linestyle="--", label="codes not zero")
        left.axvline(found.solution.sparsity[0], color=INK, linewidth=0.9, linestyle=":", label="λ of the program")
        left.set_xscale("log")
        plain_logarithms(left.xaxis)
        left.set_xlabel("λ")
        left.set_ylabel("%")
        left.set_ylim(bottom=0)
        right.plot(active, error, color=BLUE, marker="o", markersize=4)
        for x, y, value in zip(active, error, lam, strict=True):
            right.annotate(f"λ = {value:.2g}", (x, y), (6, 4), textcoords="offset points", fontsize=7.5)
        right.set_xlabel("codes not zero, %")
        right.set_ylabel("relative error, %")
        right.set_ylim(bottom=0, top=1.1 * max(float(error.max()), 1e-300))
        right.set_xlim(0, 1.25 * max(float(active.max()), 1e-300))
        shared_legend(figure, 3)

    return draw((7.2, 3.0), paint)


def depth(found: SparseExamination) -> Figure:
    """By how much unrolled encoders miss the optimum, by depth: medians, with the range over images."""
    encoder = found.encoder
    relative = np.maximum(encoder.relative, _LEAST)
    values = encoder.solution.objective
    uncertainty = float(np.median(encoder.uncertainty / np.where(values > 0, values, 1)))

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for look, method, rows in zip(_LOOKS, encoder.methods, relative, strict=False):
            axes.plot(encoder.depths, np.median(rows, axis=1), markersize=4, label=label(method), **look)
            axes.fill_between(encoder.depths, rows.min(axis=1), rows.max(axis=1), color=look["color"], alpha=0.12, linewidth=0)
        if uncertainty > relative.min() / 1e3:
            axes.axhline(max(uncertainty, _LEAST), color=INK, linewidth=0.9, linestyle=":", label="the optimum's own gap")
        axes.set_xscale("log")
        axes.set_yscale("log")
        plain_logarithms(axes.xaxis)
        axes.set_xlabel("steps of the encoder")
        axes.set_ylabel("objective above the optimum, relative")
        shared_legend(figure, 4)

    return draw((6.0, 3.4), paint)


def usage(found: SparseExamination) -> Figure:
    """How many test images use each atom, and its share of Σ|z|."""
    numbers = np.arange(1, len(found.usage) + 1)

    def paint(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        left.bar(numbers, 100 * found.usage, color=BLUE, width=0.8)
        left.set_ylabel("test images that use it, %")
        left.set_ylim(0, 105)
        right.bar(numbers, 100 * found.weight, color=ORANGE, width=0.8)
        right.axhline(100 / len(numbers), color=INK, linewidth=0.9, linestyle=":", label="all alike")
        right.set_ylabel("share of Σ|z|, %")
        for axes in (left, right):
            axes.set_xlabel("atom")
            _whole(axes)
        shared_legend(figure, 1)

    return draw((7.2, 2.6), paint)


def certificates(found: SparseExamination) -> Figure:
    """The duality gap of each test image, with its part for rounding, beside the gap that was asked for."""
    solution = found.solution
    order = np.argsort(solution.relative_gap, kind="stable")
    scale = np.where(solution.relative_gap > 0, solution.duality_gap / np.maximum(solution.relative_gap, 1e-300), 1.0)
    rounding = (solution.rounding / scale)[order]
    numbers = np.arange(1, found.num_test + 1)

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        axes.plot(numbers, np.maximum(solution.relative_gap[order], _LEAST), color=BLUE, marker="o", markersize=3.5,
                  linestyle="", label="duality gap")  # fmt: skip
        axes.plot(numbers, np.maximum(rounding, _LEAST), color=GRAY, marker="_", markersize=5, linestyle="",
                  label="its part for rounding")  # fmt: skip
        axes.axhline(solution.gap, color=INK, linewidth=0.9, linestyle=":", label="asked for")
        axes.set_yscale("log")
        axes.set_xlabel("test images, by their gap")
        axes.set_ylabel("gap, of ½‖x‖²")
        _whole(axes)
        shared_legend(figure, 3)

    return draw((6.0, 2.8), paint)


def _image(axes: Axes, image: np.ndarray, low: float, high: float) -> None:
    shown = np.clip((image - low) / ((high - low) or 1.0), 0, 1)
    if len(shown) in (3, 4):
        axes.imshow(np.moveaxis(shown[:3], 0, -1), interpolation="nearest", rasterized=True)
    else:
        axes.imshow(shown[0], cmap="gray", vmin=0, vmax=1, interpolation="nearest", rasterized=True)
    _bare(axes)


def _bare(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_edgecolor(PALE)


def _whole(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
