"""Images of which most patches are hidden, completed by masked autoencoders, the losses beside baselines, and what they are
less those of CRATE-MAE with the same seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import BLUE, GRAY, INK, SKY, VERMILION

from .attention_maps import picture
from .transformer_parts import differences, interval, trained

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

_LOOKS = {"CRATE-MAE": (BLUE, "o"), "CRATE-MAE, tied decoder": (SKY, "^"), "MAE": (VERMILION, "s")}
_ORDER = "CASE network " + " ".join(f"WHEN '{name}' THEN {k}" for k, name in enumerate(_LOOKS)) + " END"
_ARRAYS = ("shown_images", "shown_masked", "shown_completions")
_EXAMPLES = f"""
    SELECT unit, data, network, mask_ratio, {", ".join(_ARRAYS)} FROM {trained("ordered_rows")}
    WHERE autoencoder IN ('crate-mae', 'mae') AND width = 'equal'
    QUALIFY row_number() OVER (PARTITION BY data, network ORDER BY seed) = 1 ORDER BY data, {_ORDER}
"""
_BASELINES = {
    "mean_image_loss": "mean image",
    "visible_mean_loss": "mean of the visible",
    "patch_mean_loss": "each patch's own mean",
}
_LOSSES = f"""
    SELECT count(*) AS units, data, network, width, CAST(avg(parameters) AS INTEGER) AS parameters,
        {interval("test_loss", "loss")}, avg(initial_loss) AS initial_loss,
        any_value(learning_rate) AS learning_rate, {", ".join(f"avg({n}) AS {n}" for n in _BASELINES)},
        {interval("probe_tokens[2]", "probe")}, avg(probe_tokens[1]) AS initial_probe, avg(probe_pixels) AS probe_pixels
    FROM {trained()} GROUP BY data, network, width ORDER BY data, {_ORDER}, width
"""
_DIFFERENCES = (
    differences(
        {"test_loss": "loss", "probe_tokens[2]": "probe"},
        "data, network, width",
        "network = 'CRATE-MAE' AND width = 'equal'",
        within="data, seed",
    )
    + f" ORDER BY data, {_ORDER}, width"
)


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    examples, losses, less = (tables[name] for name in ("examples", "losses", "differences"))
    data = list(dict.fromkeys(losses.columns["data"]))
    above, below = canvas.subfigures(2, 1, squeeze=False, height_ratios=[1.05, 1])[:, 0]
    blocks = above.subfigures(1, len(data), squeeze=False)[0]
    for name, block in zip(data, blocks, strict=True):
        _examples(block, examples.where(data=name), 8 // len(data), name)
    panels = below.subplots(2, 2 * len(data), squeeze=False, height_ratios=[1.2, 1])
    for k, name in enumerate(data):
        _losses(panels[0, 2 * k], losses.where(data=name), first=k == 0)
        _probes(panels[0, 2 * k + 1], losses.where(data=name))
        panels[0, 2 * k].set_title(name, fontsize=8)
        _differences(panels[1, 2 * k : 2 * k + 2], less.where(data=name), first=k == 0)
    _legend(canvas)


def _examples(block: Canvas, own: Table, count: int, title: str) -> None:
    networks = list(own.columns["network"])
    # Where they stand is said here: the layout of many pictures beside panels would not be the same each time.
    rows, left, top = 2 + len(networks), 0.16 / (block.bbox.width / block.figure.dpi), 0.93
    wide, high = (1 - left) / count, top / rows
    panels = np.array(
        [
            [block.add_axes((left + j * wide, top - (k + 1) * high, 0.96 * wide, 0.96 * high)) for j in range(count)]
            for k in range(rows)
        ]
    )
    block.text(0.5, 0.99, title, fontsize=8, ha="center", va="top")
    for j in range(count):
        image, masked = own.columns["shown_images"][0][j], own.columns["shown_masked"][0][j] > 0
        picture(panels[0, j], image)
        picture(panels[1, j], np.where(masked, 0.5, image))
        for k in range(len(networks)):
            picture(panels[2 + k, j], own.columns["shown_completions"][k][j])
    for axes, words in zip(panels[:, 0], ("image", "visible", *networks), strict=True):
        axes.set_ylabel(words, fontsize=7)
    for axes in panels.flat:
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_visible(False)


def _heights(own: Table) -> tuple[np.ndarray, list[str]]:
    names = [
        name.replace(", ", ",\n") + ("" if width == "equal" else ",\nequal parameters")
        for name, width in zip(own.columns["network"], own.columns["width"], strict=True)
    ]
    return np.arange(len(names)), names


def _losses(axes: Axes, own: Table, *, first: bool) -> None:
    at, names = _heights(own)
    _points(axes, own, "loss", at)
    axes.plot(own["initial_loss"], at, color=GRAY, marker="x", markersize=4, linestyle="")
    for (name, _), dashes in zip(_BASELINES.items(), _DASHES, strict=True):
        axes.axvline(float(own[name].mean()), color=INK, linewidth=0.9, linestyle=dashes, zorder=0)
    axes.set_yticks(at, names, fontsize=6.5)
    axes.set_ylim(len(at) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.set_xlabel("loss on hidden patches", fontsize=8)
    if first:
        axes.set_ylabel("network", fontsize=8)


def _probes(axes: Axes, own: Table) -> None:
    at, _ = _heights(own)
    _points(axes, own, "probe", at)
    axes.plot(own["initial_probe"], at, color=GRAY, marker="x", markersize=4, linestyle="")
    axes.axvline(float(own["probe_pixels"].mean()), color=INK, linewidth=0.9, linestyle=(0, (5, 1.5, 1, 1.5)), zorder=0)
    axes.set_yticks(at, [""] * len(at))
    axes.set_ylim(len(at) - 0.5, -0.5)
    axes.set_xlabel("accuracy of a probe", fontsize=8)


def _differences(pair: Any, own: Table, *, first: bool) -> None:
    """What networks have more or less than CRATE-MAE, which is the dotted zero."""
    if not len(own):
        for axes in pair:
            axes.set_axis_off()
        return
    at, names = _heights(own)
    for axes, name, words in zip(pair, ("loss", "probe"), ("loss", "accuracy"), strict=True):
        _points(axes, own, name, at)
        axes.axvline(0, color=INK, linewidth=0.8, linestyle=(0, (1, 2)), zorder=0)
        axes.set_yticks(at, names if name == "loss" else [""] * len(at), fontsize=6.5)
        axes.set_ylim(len(at) - 0.5, -0.5)
        axes.margins(x=0.15)
        axes.set_xlabel(f"{words} less\nCRATE-MAE's,\nwithin a seed", fontsize=7.5)
    if first:
        pair[0].set_ylabel("network", fontsize=8)


def _points(axes: Axes, own: Table, name: str, at: np.ndarray) -> None:
    for k, network in enumerate(own.columns["network"]):
        color, marker = _LOOKS[network]
        fill = color if own.columns["width"][k] == "equal" else "white"
        axes.hlines(at[k], own[f"{name}_low"][k], own[f"{name}_high"][k], color=color, linewidth=1.0)
        axes.plot(own[name][k], at[k], color=color, marker=marker, markersize=5, markerfacecolor=fill, linestyle="")


_DASHES = ((0, (1, 1.5)), (0, (4, 2)), "solid")


def _legend(canvas: Canvas) -> None:
    from matplotlib.lines import Line2D

    handles = {"before training": Line2D([], [], color=GRAY, marker="x", markersize=4, linestyle="")}
    for words, dashes in zip(_BASELINES.values(), _DASHES, strict=True):
        handles[words] = Line2D([], [], color=INK, linewidth=0.9, linestyle=dashes)
    handles["pixels (accuracy)"] = Line2D([], [], color=INK, linewidth=0.9, linestyle=(0, (5, 1.5, 1, 1.5)))
    canvas.legend(list(handles.values()), list(handles), loc="outside upper center", ncols=5, columnspacing=1.0, fontsize=7)


FIGURE = Figure(
    name="completions",
    group="whitebox",
    title="Images completed by CRATE-MAE and by its twin",
    caption=(
        "Test images, what is visible of them (hidden patches gray), and what the trained CRATE-MAE and the MAE of equal width "
        "and depth put in its place. Below, the mean squared error on hidden patches, of standardized pixels, beside three "
        "baselines (the last of which no network can know), the accuracy of a linear classifier on the mean token of whole "
        "images, beside that on pixels, and both less those of CRATE-MAE with the same seed: a seed is also the split of the "
        "images and what is hidden of them, so that networks are compared within seeds (means over seeds, with 95 % intervals "
        "by Student's t where there are several), each at the learning rate tried that has the lowest training loss."
    ),
    size=(7.2, 6.8),
    tables={
        "examples": Select("completion", _EXAMPLES, arrays=_ARRAYS),
        "losses": Select("completion", _LOSSES),
        "differences": Select("completion", _DIFFERENCES, least=0),
    },
    paint=paint,
    claims=("crate-mae.inverse.printed", "crate-mae.dictionary-inverse.printed"),
)
