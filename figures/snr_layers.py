"""Signal over noise through the layers of the attention-only transformer, and the layer at which its growth breaks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import BLUE, GREEN, INK, ORANGE, PURPLE, SKY, VERMILION

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

_COLORS = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY)
_CONTROLS = {
    "none": (INK, "o", "solid", "as printed"),
    "normalized": (BLUE, "s", (0, (5, 1.5)), "normalized tokens"),
    "temperature": (VERMILION, "^", (0, (1, 1.2)), "growing temperature"),
}
_SETTING = "rank, heads, num_tokens, noise"
_ORDER = "CASE control " + " ".join(f"WHEN '{name}' THEN {k}" for k, name in enumerate(_CONTROLS)) + " END"
_LAYERS = f"""
    SELECT count(*) AS units, {_SETTING}, control, layer, median(ratio) AS ratio, min(ratio_least) AS ratio_least,
        max(ratio_largest) AS ratio_largest, median(attending) AS attending
    FROM (
        SELECT {_SETTING}, control, unnest(layer) AS layer, unnest(ratio) AS ratio, unnest(ratio_least) AS ratio_least,
            unnest(ratio_largest) AS ratio_largest, unnest(attending) AS attending FROM rows
    ) GROUP BY {_SETTING}, control, layer ORDER BY rank, num_tokens, noise, {_ORDER}, layer
"""
_BREAKS = f"""
    SELECT count(*) AS units, {_SETTING}, control, any_value(layers) AS layers, median(kept) AS kept, min(kept) AS kept_least,
        max(kept) AS kept_largest, CAST(count(breaks) AS INTEGER) AS broken
    FROM rows GROUP BY {_SETTING}, control ORDER BY rank, num_tokens, noise, {_ORDER}
"""


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    from matplotlib.ticker import MaxNLocator

    layers, breaks = tables["layers"], tables["breaks"]
    grid = canvas.add_gridspec(2, 2, width_ratios=[1, 1.05])
    ratios, attending = canvas.add_subplot(grid[0, 0]), canvas.add_subplot(grid[1, 0])
    kept = canvas.add_subplot(grid[:, 1])
    settings = list(breaks.groups("rank", "heads", "num_tokens", "noise"))
    # The curves: of the dimension and number of tokens that has the most noises.
    sizes = [(rank, heads, tokens) for (rank, heads, tokens, _), _ in settings]
    most = max(sizes, key=sizes.count)
    names = dict(zip(("rank", "heads", "num_tokens"), most, strict=True))
    for k, ((noise,), own) in enumerate(layers.where(control="none", **names).groups("noise")):
        color = _COLORS[k % len(_COLORS)]
        ratios.fill_between(own["layer"], own["ratio_least"], own["ratio_largest"], color=color, alpha=0.18, linewidth=0)
        for axes, name in ((ratios, "ratio"), (attending, "attending")):
            axes.plot(own["layer"], own[name], color=color, marker="o", markersize=2.8, linewidth=1.1, label=f"{noise:g}")
    ratios.axhline(1, color=INK, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
    ratios.set_ylim(bottom=0)
    ratios.set_ylabel("growth over 1 + eta tau")
    ratios.tick_params(labelbottom=False)
    attending.set_ylim(-0.03, 1.03)
    attending.set_ylabel("share of tokens that attend\nto another class's signal", fontsize=8)
    attending.set_xlabel("layer")
    for axes in (ratios, attending):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    ratios.set_title(f"p = {most[0]}, K = {most[1]}, N = {most[2]}", fontsize=8)
    last = int(max(breaks.columns["layers"]))
    for j, (name, (color, marker, _, words)) in enumerate(_CONTROLS.items()):
        own = breaks.where(control=name)
        if not len(own):
            continue
        keys = [key for key, _ in settings]
        at = np.array([keys.index(key) for key, _ in own.groups("rank", "heads", "num_tokens", "noise")])
        at = at + 0.22 * (j - 1)
        kept.hlines(at, own["kept_least"], own["kept_largest"], color=color, linewidth=1.0)
        kept.plot(own["kept"], at, color=color, marker=marker, markersize=4.5, linestyle="", label=words, clip_on=False)
    kept.axvline(last, color=INK, linewidth=0.8, linestyle=(0, (1, 2)), zorder=0)
    kept.set_xlim(-0.3, last * 1.02)
    kept.set_yticks(
        range(len(settings)), [f"p = {rank}, N = {tokens}\ndelta = {noise:g}" for (rank, _, tokens, noise), _ in settings],
        fontsize=7,
    )  # fmt: skip
    kept.set_ylim(len(settings) - 0.5, -0.5)
    kept.set_xlabel(f"layers that multiply by 1 + eta tau, of {last}")
    kept.set_ylabel("setting", fontsize=8)
    kept.xaxis.set_major_locator(MaxNLocator(integer=True))
    canvas.legend(*kept.get_legend_handles_labels(), loc="outside upper right", ncols=3, fontsize=7.5)
    canvas.legend(
        *ratios.get_legend_handles_labels(), loc="outside upper left", ncols=6, title="delta", fontsize=7, title_fontsize=7.5,
        columnspacing=0.8, handlelength=1.0,
    )  # fmt: skip


FIGURE = Figure(
    name="snr_layers",
    group="whitebox",
    title="Signal over noise in the attention-only transformer, layer by layer",
    caption=(
        "Left, what each layer multiplies signal over noise by, over the theorem's 1 + eta tau (medians over draws of medians "
        "over classes, bands from the least to the largest of all), and below it the share of tokens that attend to another "
        "class's signal with a weight above the threshold (medians over draws). Right, how many layers pass before the ratio "
        "of some class is off by more than a millionth, up to all that were computed (dotted; medians over draws, least to "
        "largest), as printed and with the two controls."
    ),
    size=(7.2, 4.6),
    tables={"layers": Select("snr", _LAYERS, least=2), "breaks": Select("snr", _BREAKS)},
    paint=paint,
    claims=("aot.snr.printed", "aot.snr.corrected", "aot.snr-rescaled"),
)
