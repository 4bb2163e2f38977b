"""The pictures of an examined network for images."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mcr2_landscape.report.style import BLUE, GRAY, GREEN, INK, ORANGE, PURPLE, VERMILION, draw, shared_legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mcr2_landscape.training.image_examination import ImageExamination
    from mcr2_landscape.training.image_layers import LayerRow
    from mcr2_landscape.training.results import Training

HEADS = 6  # maps that are shown of an image
_METRICS = {"as derived": "tokens as they are", "sphere": "tokens of one length", "as hooked": "as published figures measure"}
# Color, marker and dashes change together, so that none has to be told apart alone.
_STATES: dict[str, dict[str, Any]] = {
    "trained": {"color": BLUE, "marker": "o", "linestyle": "-"},
    "random": {"color": GRAY, "marker": "s", "linestyle": "--"},
}
_LABELS = {"trained": "the network", "random": "the same at random initialization"}


def has_rates(result: ImageExamination) -> bool:
    """Whether there are subspaces to measure a rate against."""
    return any(math.isfinite(row.change) for row in result.layers)


def history(training: Training) -> Figure:
    """The loss, and its first metric, over the steps."""
    found = training.history
    metrics = [name for name in found if name not in ("step", "loss", "gradient_norm", "seconds")]

    def paint(figure: Figure) -> None:
        panels = np.atleast_1d(figure.subplots(1, 2)).ravel()
        shown = ["loss", metrics[0] if metrics else "gradient_norm"]
        for axes, name, color in zip(panels, shown, (BLUE, GREEN), strict=True):
            values, steps = np.asarray(found[name]), np.asarray(found["step"])
            axes.plot(steps, values, color=color, marker="o" if steps.size <= 12 else "", markersize=3)
            axes.set_title(name.replace("_", " ") + (" on the batch" if name != "gradient_norm" else ""))
            axes.set_xlabel("step")

    return draw((6.6, 2.4), paint)


def rates(result: ImageExamination) -> Figure:
    """R_c by layer and metric, and what the attention half changes of it; two standard errors about each point below."""
    metrics = [metric for metric in _METRICS if result.rows("trained", metric)]

    def paint(figure: Figure) -> None:
        grid = figure.subplots(2, len(metrics), squeeze=False, sharex=True)
        for column, metric in enumerate(metrics):
            for state in ("random", "trained"):
                rows = result.rows(state, metric)
                _line(grid[0, column], rows, "before", state)
                _line(grid[1, column], rows, "change", state, errors=True)
            grid[0, column].set_title(_METRICS[metric])
            grid[1, column].axhline(0, color=INK, linewidth=0.8, zorder=0)
            _layers(grid[1, column], result)
        grid[0, 0].set_ylabel("R$_c$ before the layer")
        grid[1, 0].set_ylabel("change by attention")
        shared_legend(figure, 2)

    return draw((8.2, 4.4), paint)


def halves(result: ImageExamination) -> Figure:
    """What is measured of the two halves: nonzero entries, step size, alignment with the gradient, and the Neumann ratio."""
    rows = result.rows("trained")
    parts: list[tuple[str, str, float | None]] = [("nonzero", "nonzero entries of tokens", None)]
    if any(math.isfinite(row.nonzero_codes) and row.nonzero_codes != row.nonzero for row in rows):
        parts.append(("nonzero_codes", "nonzero entries of codes", None))
    if any(math.isfinite(row.step_bound) for row in rows):
        parts.append(("step_bound", "step size η‖D‖²", 2.0))
    if any(math.isfinite(row.objective_change) for row in rows):
        parts.append(("objective_change", "change of the objective", 0.0))
    if has_rates(result):
        parts += [("alignment", "cosine with −∇R$_c$", 0.0), ("ratio", "ρ of the Neumann series", 1.0)]

    def paint(figure: Figure) -> None:
        columns = min(3, len(parts))
        panels = np.atleast_1d(figure.subplots(-(-len(parts) // columns), columns, squeeze=False)).ravel()
        for axes, (name, title, line) in zip(panels, parts, strict=False):
            for state in ("random", "trained"):
                _line(axes, result.rows(state), name, state, errors=name != "step_bound")
            if line is not None:
                axes.axhline(line, color=VERMILION if line else INK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
            axes.set_title(title)
            if name.startswith("nonzero"):
                axes.set_ylim(0, 1.04)
            if name == "step_bound":
                axes.set_ylim(bottom=0)
            if name == "ratio":
                axes.set_yscale("log")
            _layers(axes, result)
        for axes in panels[len(parts) :]:
            axes.set_visible(False)
        shared_legend(figure, 2)

    return draw((8.2, 0.5 + 2.2 * -(-len(parts) // 3)), paint)


def positions(result: ImageExamination) -> Figure:
    """Where the tokens of single images sit in the landscape of each layer."""
    found = result.positions["trained"]
    numbers = np.arange(1, len(found.value) + 1)
    counted = bool((found.ascending >= 0).all())
    random = result.positions.get("random")

    def paint(figure: Figure) -> None:
        panels = np.atleast_1d(figure.subplots(1, 3 if counted else 2)).ravel()
        if random is not None:
            _cloud(panels[0], numbers - 0.12, random.relative_gradient, GRAY, "s", "the same at random initialization")
        _cloud(panels[0], numbers + 0.12, found.relative_gradient, BLUE, "o", "the network")
        panels[0].set_ylim(0, 1.04)
        panels[0].set_title("relative gradient of f")
        _cloud(panels[1], numbers - 0.12, found.after_attention - found.value, GREEN, "^", "over the attention half")
        _cloud(panels[1], numbers + 0.12, found.after_layer - found.value, PURPLE, "D", "over the layer")
        panels[1].axhline(0, color=INK, linewidth=0.8, zorder=0)
        panels[1].set_title("change of f")
        if counted:
            _cloud(panels[2], numbers - 0.12, found.ascending, VERMILION, "^", "f bends upwards")
            _cloud(panels[2], numbers + 0.12, found.descending, ORANGE, "v", "f bends downwards")
            panels[2].set_title("directions")
            panels[2].set_ylim(bottom=0)
        for axes in panels:
            _layers(axes, result)
        shared_legend(figure, 3)

    return draw((8.2, 2.9), paint)


def mosaic(result: ImageExamination) -> Figure:
    """Test images, the truth if it is known, the cut's mask, and the class token's attention by head."""
    seen = result.pictures
    assert seen.maps is not None
    heads = _shown_heads(result)
    columns: list[tuple[str, str]] = [("image", "image")]
    if seen.truth is not None:
        columns.append(("truth", "truth"))
    if seen.cuts is not None:
        columns.append(("cut", "cut"))
    names = [f"head {head + 1}" for head in heads]
    total = len(columns) + len(heads)

    def paint(figure: Figure) -> None:
        assert seen.maps is not None
        grid = figure.subplots(len(seen.images), total, squeeze=False)
        for row, image in enumerate(seen.images):
            for column, (kind, title) in enumerate(columns):
                if kind == "image":
                    _image(grid[row, column], image)
                elif kind == "truth":
                    assert seen.truth is not None
                    _plane(grid[row, column], seen.truth[row].astype(float), "Greys_r", 1.0)
                else:
                    assert seen.cuts is not None
                    _plane(grid[row, column], seen.cuts[row].astype(float), "Greys_r", 1.0)
                if row == 0:
                    grid[0, column].set_title(title, fontsize=8, loc="center")
            for place, head in enumerate(heads):
                axes = grid[row, len(columns) + place]
                _plane(axes, seen.maps[row, head], "viridis", float(seen.maps[row, head].max()) or 1.0)
                if row == 0:
                    chosen = result.segmentation is not None and head == result.segmentation.attention.fixed[1]
                    axes.set_title(names[place] + (" *" if chosen else ""), fontsize=8, loc="center")

    return draw((min(8.2, 0.2 + 0.95 * total), 0.3 + 0.95 * len(seen.images)), paint)


def _shown_heads(result: ImageExamination) -> list[int]:
    """The first heads, and the chosen one in the last one's place where it is not among them."""
    assert result.pictures.maps is not None
    count = result.pictures.maps.shape[1]
    heads = list(range(min(HEADS, count)))
    if result.segmentation is not None and result.segmentation.attention.fixed[1] not in heads:
        heads[-1] = result.segmentation.attention.fixed[1]
    return heads


def completions(result: ImageExamination) -> Figure:
    """Test images, what the network sees of them, and what it makes of that."""
    seen = result.pictures
    assert seen.hidden is not None
    assert seen.completions is not None

    def paint(figure: Figure) -> None:
        assert seen.hidden is not None
        assert seen.completions is not None
        grid = figure.subplots(3, len(seen.images), squeeze=False)
        for column, image in enumerate(seen.images):
            _image(grid[0, column], image)
            _image(grid[1, column], np.where(seen.hidden[column][None], 0.5, image))
            _image(grid[2, column], seen.completions[column])
        for row, name in enumerate(("image", "visible", "completed")):
            grid[row, 0].set_ylabel(name)

    return draw((0.4 + 1.1 * len(seen.images), 3.5), paint)


def overlaps(result: ImageExamination) -> Figure:
    """Intersection over union by layer (and head), of the network and at random, beside the masks that need no network."""
    found = result.segmentation
    assert found is not None
    styles = (("all-foreground", GRAY, ":"), ("center-prior", ORANGE, "--"), ("color-cut", GREEN, "-."),
              ("color-means", PURPLE, (0, (1, 3))))  # fmt: skip

    def paint(figure: Figure) -> None:
        left, right = figure.subplots(1, 2, sharey=True)
        for axes, probe, title in ((left, found.attention, "attention, by head"), (right, found.cuts, "normalized cuts")):
            numbers = np.arange(1, len(probe.iou) + 1)
            _cloud(axes, numbers - 0.12, probe.random_iou.reshape(len(numbers), -1), GRAY, "s",
                   "the same at random initialization")  # fmt: skip
            _cloud(axes, numbers + 0.12, probe.iou.reshape(len(numbers), -1), BLUE, "o", "the network")
            place = probe.fixed[0]
            axes.plot(place + 1.12, probe.iou[probe.fixed], marker="o", markersize=11, markerfacecolor="none",
                      markeredgecolor=VERMILION, linestyle="", label="chosen on other images")  # fmt: skip
            for name, color, dashes in styles:
                axes.axhline(found.baselines[name].mean, color=color, linestyle=dashes, linewidth=1.1, label=name, zorder=0)
            axes.set_title(title)
            _layers(axes, result)
        left.set_ylabel("intersection over union")
        left.set_ylim(bottom=0)
        shared_legend(figure, 4)

    return draw((8.2, 3.3), paint)


def _line(axes: Axes, rows: tuple[LayerRow, ...], name: str, state: str, *, errors: bool = False) -> None:
    numbers = np.array([row.layer for row in rows], dtype=float)
    values = np.array([getattr(row, name) for row in rows])
    axes.plot(numbers, values, markersize=4, linewidth=1.3, label=_LABELS[state], **_STATES[state])
    if errors:
        spread = 2 * np.nan_to_num(np.array([getattr(row, f"{name}_error") for row in rows]))
        axes.errorbar(numbers, values, spread, color=_STATES[state]["color"], linestyle="", linewidth=1.0, capsize=2)


def _cloud(axes: Axes, numbers: np.ndarray, values: np.ndarray, color: str, marker: str, label: str) -> None:
    """A point an image (or head) at each layer, (layers, points)."""
    at = np.repeat(numbers, values.shape[1])
    axes.plot(at, values.ravel(), color=color, marker=marker, markersize=3.2, linestyle="", alpha=0.8, label=label)


def _layers(axes: Axes, result: ImageExamination) -> None:
    from matplotlib.ticker import MaxNLocator

    depth = result.architecture.depth
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.set_xlim(0.6, depth + 0.4)
    axes.set_xlabel("layer")


def _image(axes: Axes, image: np.ndarray) -> None:
    shown = np.clip(image, 0, 1)
    if len(shown) == 1:
        _plane(axes, shown[0], "gray", 1.0)
        return
    axes.imshow(np.moveaxis(shown[:3], 0, -1), interpolation="nearest", rasterized=True)
    _bare(axes)


def _plane(axes: Axes, values: np.ndarray, colors: str, top: float) -> None:
    axes.imshow(values, cmap=colors, vmin=0, vmax=top, interpolation="nearest", rasterized=True)
    _bare(axes)


def _bare(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
