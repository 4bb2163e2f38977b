"""The pictures of flattened points."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from mcr2_landscape.report.style import BLUE, GRAY, GREEN, INK, ORANGE, PALE, VERMILION, draw, shared_legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mcr2_landscape.flatnet.examination import FlatExamination

_LEAST = 1e-18  # of what is drawn on a logarithmic axis
_LINES = 6  # directions of the spectrum that are drawn beyond those of the plane
_PICTURES = 9


def spectrum(found: FlatExamination) -> Figure:
    """The share of the variance in each principal direction by layer, and all that is outside the plane."""
    report = found.report
    d, shares = report.dimension, np.maximum(found.spectra, _LEAST)

    def paint(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        for place in range(min(shares.shape[1], d + _LINES)):
            inside = place < d
            label = "inside the plane" if place == 0 else "outside it" if place == d else None
            left.plot(
                found.depths, shares[:, place], color=BLUE if inside else VERMILION, linestyle="-" if inside else "--",
                linewidth=1.5 if inside else 1.0, marker="" if len(found.depths) > 1 else "o", label=label,
            )  # fmt: skip
        left.set_title("share of each direction")
        right.plot(np.arange(len(report.tails)), np.maximum(report.tails, _LEAST), color=VERMILION, linestyle="--",
                   marker="" if len(report.tails) > 1 else "o")  # fmt: skip
        right.axhline(report.flatness, color=INK, linewidth=0.9, linestyle=":", label="allowed")
        if report.held_out_tail is not None and found.fitted:
            right.plot(report.num_layers, max(report.held_out_tail, _LEAST), color=GREEN, marker="D", markersize=5,
                       linestyle="", label="held-out points", clip_on=False)  # fmt: skip
        right.set_title("all that is outside the plane")
        for axes in (left, right):
            axes.set_yscale("log")
            axes.set_xlabel("layers")
            _whole(axes)
        left.set_ylabel("share of the variance")
        shared_legend(figure, 4)

    return draw((7.6, 3.0), paint)


def round_trips(found: FlatExamination) -> Figure:
    """Error of each layer's round trip beside its threshold, and the strength and reach of the layers."""
    trips = found.report.trips
    numbers = np.arange(1, len(trips.errors) + 1)
    built = len(found.radii) > 0

    def paint(figure: Figure) -> None:
        panels = np.atleast_1d(figure.subplots(1, 3 if built else 1)).ravel()
        panels[0].plot(numbers, np.maximum(trips.errors, _LEAST), color=BLUE, marker=".", markersize=4, linestyle="",
                       label="round trip")  # fmt: skip
        if np.isfinite(trips.thresholds).all():
            panels[0].plot(numbers, trips.thresholds, color=INK, linewidth=0.9, linestyle=":", label="threshold")
        panels[0].set_yscale("log")
        panels[0].set_title("half mean square error")
        if built:
            panels[1].plot(numbers, found.alphas, color=ORANGE, marker=".", markersize=4, linestyle="")
            panels[1].set_ylim(bottom=0)
            panels[1].set_title("strength α")
            panels[2].plot(numbers, found.radii, color=GREEN, marker=".", markersize=4, linestyle="")
            panels[2].set_title("radius")
            panels[2].set_ylim(bottom=0)
        for axes in panels:
            axes.set_xlabel("layer")
            _whole(axes)
        shared_legend(figure, 4)

    return draw((7.6 if built else 4.2, 2.7), paint)


def projections(found: FlatExamination) -> Figure:
    """The points along their first principal directions, above as they came, below flattened, if there is any layer."""
    d = found.report.dimension
    width = min(found.before.shape[1], found.after.shape[1])
    pairs = [(0, min(1, width - 1))]
    if width > 2:
        pairs.append((0, min(max(2, d), width - 1)))
    rows = [(found.before, "as they came"), (found.after, "flattened")][: 2 if found.report.num_layers else 1]
    color = np.argsort(np.argsort(found.codes[:, 0])) / max(1, len(found.codes) - 1)

    def paint(figure: Figure) -> None:
        grid = figure.subplots(len(rows), len(pairs), squeeze=False)
        for row, (points, word) in enumerate(rows):
            for column, (first, second) in enumerate(pairs):
                axes = grid[row, column]
                axes.scatter(points[:, first], points[:, second], c=color, cmap="viridis", s=9, linewidth=0, rasterized=True)
                axes.set_title(word)
                axes.set_xlabel(f"direction {first + 1}")
                axes.set_ylabel(f"direction {second + 1}")
                _same_scale(axes, points[:, first], points[:, second])
                _few_ticks(axes)

    return draw((3.3 * len(pairs), 3.1 * len(rows)), paint)


def errors(found: FlatExamination) -> Figure:
    """The distribution of the errors of single points, with the error that is allowed on average."""
    parts = [(found.errors, "fitted" if found.fitted else "these points", BLUE, "-")]
    if found.num_held_out:
        parts.append((found.held_out_errors, "held out", VERMILION, "--"))

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for values, label, color, dashes in parts:
            ordered = np.sort(np.maximum(values, _LEAST))
            share = np.arange(1, len(ordered) + 1) / len(ordered)
            axes.step(ordered, share, where="post", color=color, linestyle=dashes, label=label)
            axes.axvline(max(float(values.mean()), _LEAST), color=color, linestyle=dashes, linewidth=0.8)
        axes.axvline(found.report.tolerance, color=INK, linewidth=0.9, linestyle=":", label="allowed on average")
        axes.set_xscale("log")
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("relative error of a point")
        axes.set_ylabel("share of points below")
        shared_legend(figure, 3)

    return draw((5.2, 3.0), paint)


def line(found: FlatExamination) -> Figure:
    """The decoded line through the flat space over the points, along their first principal directions."""
    width = found.before.shape[1]
    pairs = [(0, min(1, width - 1))] + ([(0, 2)] if width > 2 else [])
    decoded, straight = ((part - found.center) @ found.directions for part in (found.line.decoded, found.line.straight))

    def paint(figure: Figure) -> None:
        panels = np.atleast_1d(figure.subplots(1, len(pairs))).ravel()
        for axes, (first, second) in zip(panels, pairs, strict=True):
            axes.plot(found.before[:, first], found.before[:, second], color=GRAY, alpha=0.5, marker="o", markersize=2.5,
                      markeredgewidth=0, linestyle="", label="points", rasterized=True)  # fmt: skip
            axes.plot(straight[:, first], straight[:, second], color=ORANGE, linestyle="--", label="straight in space")
            axes.plot(decoded[:, first], decoded[:, second], color=BLUE, marker="o", markersize=2.2, linewidth=1.2,
                      label="straight in the flat space, decoded")  # fmt: skip
            axes.set_xlabel(f"direction {first + 1}")
            axes.set_ylabel(f"direction {second + 1}")
            _few_ticks(axes)
        shared_legend(figure, 3)

    return draw((3.9 * len(pairs) if len(pairs) > 1 else 5.4, 3.3), paint)


def images(found: FlatExamination) -> Figure:
    """Points that are pictures: some of them, what is decoded from their codes, and both lines in pictures."""
    assert found.image_size is not None
    chosen = np.unique(np.round(np.linspace(0, len(found.points) - 1, min(_PICTURES, len(found.points)))).astype(int))
    chosen = chosen[np.argsort(found.codes[chosen, 0], kind="stable")]
    steps = np.round(np.linspace(0, len(found.line.decoded) - 1, len(chosen))).astype(int)
    rows = (
        ("point", found.points[chosen]),
        ("decoded", found.decoded[chosen]),
        ("line, flat", found.line.decoded[steps]),
        ("line, space", found.line.straight[steps]),
    )
    low, high = float(found.points.min()), float(found.points.max())

    def paint(figure: Figure) -> None:
        grid = figure.subplots(len(rows), len(chosen), squeeze=False)
        for row, (name, points) in enumerate(rows):
            for column, point in enumerate(points):
                _picture(grid[row, column], point.reshape(found.image_size), low, high)
            grid[row, 0].set_ylabel(name)

    return draw((0.5 + 0.82 * len(chosen), 3.5), paint)


def _picture(axes: Axes, image: np.ndarray, low: float, high: float) -> None:
    shown = np.clip((image - low) / ((high - low) or 1.0), 0, 1)
    if len(shown) == 1:
        axes.imshow(shown[0], cmap="gray", vmin=0, vmax=1, interpolation="nearest", rasterized=True)
    else:
        axes.imshow(np.moveaxis(shown, 0, -1), interpolation="nearest", rasterized=True)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_edgecolor(PALE)


def _same_scale(axes: Axes, x: np.ndarray, y: np.ndarray) -> None:
    """Both axes as wide as the wider one, so that what is flat looks flat."""
    half = 0.55 * max(float(np.ptp(x)), float(np.ptp(y)), 1e-300)
    for place, values in ((axes.set_xlim, x), (axes.set_ylim, y)):
        middle = (float(values.min()) + float(values.max())) / 2
        place(middle - half, middle + half)
    axes.set_box_aspect(1)


def _few_ticks(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(nbins=5))


def _whole(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))


def has_layers(found: FlatExamination) -> bool:
    """Whether there is any layer to show."""
    return len(found.report.trips.errors) > 0 and math.isfinite(float(found.report.trips.errors.max()))
