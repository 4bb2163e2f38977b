"""The pictures of an examined game."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mcr2_landscape.report.style import (
    BLUE,
    GRAY,
    GREEN,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    draw,
    paint_cosines,
    shared_legend,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mcr2_landscape.ctrl.examination import Examination

PANELS = 12  # classes with a panel of their own
_COLUMNS = 4
_LABELED = 30
_NUMBERED = 10
_FLOOR = 1e-3  # of the largest singular value: less is not drawn

# Color, marker and dashes change together, so that none has to be told apart alone.
# f(X) is larger, since it lies under fgf(X) at an equilibrium.
_STAGES = {
    "X": (GRAY, "o", ":", 2.5),
    "f(X)": (BLUE, "s", "-", 5.0),
    "gf(X)": (GREEN, "^", "--", 3.0),
    "fgf(X)": (ORANGE, "D", "-.", 2.2),
}


def _short(name: str, length: int = 16) -> str:
    return name if len(name) < length else name[: length - 2] + "…"


def _panels(figure: Figure, count: int, first: int = 0, **shared: Any) -> list[Axes]:
    total = first + count
    columns = min(_COLUMNS, total)
    panels = np.atleast_1d(figure.subplots(-(-total // columns), columns, squeeze=False, **shared)).ravel().tolist()
    for axes in panels[total:]:
        axes.set_visible(False)
    return panels[:total]


def _whole_numbers(axes: Axes, last: int) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axes.set_xlim(left=axes.get_xlim()[0] if last > 2 else 0.5, right=axes.get_xlim()[1] if last > 2 else last + 0.5)


def _height(count: int, each: float) -> float:
    return 0.6 + each * -(-count // _COLUMNS)


def paint_spectrum(axes: Axes, values: Mapping[str, np.ndarray]) -> None:
    """Singular values by stage, X, f(X), gf(X), fgf(X), over their numbers; what is tiny beside the largest is left out."""
    top = max(float(own.max(initial=0.0)) for own in values.values())
    for stage, own in values.items():
        color, marker, dashes, size = _STAGES[stage]
        seen = np.where(own > _FLOOR * top, own, np.nan)
        axes.plot(
            np.arange(1, own.size + 1),
            seen,
            color=color,
            marker=marker if own.size <= 30 else "",
            markersize=size,
            linestyle=dashes,
            linewidth=1.2,
            label=stage,
        )
    _whole_numbers(axes, max(own.size for own in values.values()))
    axes.set_yscale("log")
    axes.minorticks_off()
    axes.set_ylim(_FLOOR * top, 2 * top)


def paint_distances(axes: Axes, own: np.ndarray, other: np.ndarray, edges: np.ndarray) -> None:
    """Histograms of distances to the own subspace and to the nearest other one: counts of the bins between the edges."""
    for counts, color, hatch, label in (
        (own, BLUE, "", "its own class"),
        (other, ORANGE, "///", "the nearest other class"),
    ):
        axes.stairs(counts, edges, fill=True, color=color, alpha=0.65, hatch=hatch, edgecolor="white", label=label)


def spectra(result: Examination) -> Figure:
    """The singular values of X, f(X), gf(X) and fgf(X), of all classes together and of each."""
    images, shown = result.images, result.classes[:PANELS]

    def paint(figure: Figure) -> None:
        panels = _panels(figure, len(shown), first=1)
        paint_spectrum(panels[0], images.spectra)
        panels[0].set_title("all classes")
        for j, (axes, c) in enumerate(zip(panels[1:], shown, strict=True)):
            paint_spectrum(axes, {stage: own[j] for stage, own in images.class_spectra.items()})
            if c.kept:
                axes.axhline(c.level, color=INK, linewidth=0.7, linestyle=(0, (1, 2)), zorder=0)
            axes.set_title(f"class {_short(c.name)}")
        figure.supxlabel("number of the singular value", fontsize=9)
        figure.supylabel("singular value", fontsize=9)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=4)

    return draw((8.2, _height(len(shown) + 1, 1.7)), paint)


def cosines(result: Examination) -> Figure:
    """|cos| between samples by class: of X, f(X) and fgf(X)."""
    images = result.images
    counts = np.bincount(images.cosine_classes, minlength=len(result.classes))
    edges = np.concatenate([[0], np.cumsum(counts)]) - 0.5

    def paint(figure: Figure) -> None:
        panels = figure.subplots(1, 3)
        image = None
        for axes, (stage, values) in zip(panels, images.cosines.items(), strict=True):
            image = paint_cosines(axes, values, counts.tolist())
            axes.set_title(stage)
            _name_classes(axes, 0.5 * (edges[1:] + edges[:-1]), [c.name for c in result.classes], y=axes is panels[0])
        figure.colorbar(image, ax=panels, shrink=0.8, label="|cosine|").outline.set_visible(False)  # pyright: ignore

    return draw((8.4, 3.0), paint)


def _name_classes(axes: Axes, places: np.ndarray, names: Sequence[str], *, y: bool = True) -> None:
    words = [_short(name, 10) for name in names]
    if len(words) <= _LABELED:
        axes.set_xticks(places, words, rotation=90 if max(map(len, words)) > 3 else 0)
        axes.set_yticks(places if y else [], words if y else [])
    else:
        axes.set_xticks([])
        axes.set_yticks([])
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def residuals(result: Examination) -> Figure:
    """Distances of gf(x) and fgf(x) to the class's own subspace, and to the nearest other one, relative to their norms."""
    images = result.images
    split = len(result.classes) <= _COLUMNS
    groups = [(f"class {_short(c.name)}", images.sample_classes == j) for j, c in enumerate(result.classes)]
    groups = groups if split else [("all classes", np.ones(images.sample_classes.size, dtype=bool))]
    stages = {"gf(X)": "gf(x) to S", "fgf(X)": "fgf(x) to f(S)"}
    bins = np.linspace(0, 1, 41)

    def paint(figure: Figure) -> None:
        grid = figure.subplots(
            *((len(stages), len(groups)) if split else (1, len(stages))), sharex=True, sharey="row", squeeze=False
        )
        for row, (stage, words) in enumerate(stages.items()):
            for column, (name, members) in enumerate(groups):
                axes = grid[row, column] if split else grid[0, row]
                seen = [values[stage][members] for values in (images.own, images.other)]
                own, other = (np.histogram(np.minimum(part[np.isfinite(part)], 1.0), bins)[0] for part in seen)
                paint_distances(axes, own, other, bins)
                axes.set_title(f"{words}, {name}" if column == 0 or not split else name)
        figure.supxlabel("distance, relative to the norm", fontsize=9)
        figure.supylabel("samples", fontsize=9)
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=2)

    return draw((8.2, 3.6 if split else 2.4), paint)


def angles(result: Examination) -> Figure:
    """The smallest principal angle between each two classes, in degrees."""
    count = len(result.classes)
    shown = np.where(np.eye(count, dtype=bool), np.nan, result.angles)

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        image = axes.imshow(shown, cmap="Blues_r", vmin=0, vmax=90, interpolation="nearest", rasterized=True)
        _name_classes(axes, np.arange(count), [c.name for c in result.classes])
        if count <= _NUMBERED:
            for i, j in zip(*np.nonzero(np.isfinite(shown)), strict=True):
                value = float(shown[i, j])
                axes.text(j, i, f"{value:.0f}", ha="center", va="center", fontsize=7, color="white" if value < 45 else INK)
        bar = figure.colorbar(image, ax=axes, shrink=0.8, label="degrees", ticks=[0, 30, 60, 90])
        bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]

    return draw((3.9, 3.2), paint)


def profiles(result: Examination) -> Figure:
    """What m equal directions of each class add, m H(N/m), with the rank and the best number marked."""
    shown = result.classes[:PANELS]

    def paint(figure: Figure) -> None:
        for axes, c in zip(_panels(figure, len(shown)), shown, strict=True):
            inside = c.profile_counts <= c.rank
            axes.plot(
                c.profile_counts, c.profile_values, color=SKY, linewidth=1.0, linestyle=(0, (3, 2)), label="beyond the rank"
            )
            axes.plot(
                c.profile_counts[inside],
                c.profile_values[inside],
                color=BLUE,
                marker="o" if inside.sum() <= 30 else "",
                markersize=3,
                linewidth=1.2,
                label="m H(N/m)",
            )
            axes.axvline(c.rank, color=GRAY, linewidth=0.9, linestyle=":", label="rank r")
            for number in (c.optimal, c.tied):
                if number is not None:
                    height = float(np.interp(number, c.profile_counts, c.profile_values))
                    axes.plot(number, height, color=VERMILION, marker="*", markersize=11, linestyle="", label="best number m*")
            if c.kept != c.optimal:
                height = float(np.interp(c.kept, c.profile_counts, c.profile_values))
                axes.plot(c.kept, height, color=PURPLE, marker="v", markersize=6, linestyle="", label="kept")
            axes.set_title(f"class {_short(c.name)}")
        figure.supxlabel("number m of directions", fontsize=9)
        figure.supylabel("adds to the utility", fontsize=9)
        shared_legend(figure, 5)

    return draw((8.2, _height(len(shown), 1.8)), paint)
