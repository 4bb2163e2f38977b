"""The closed loop of sparse codes along its training, and how near test images come back, beside their mean image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import BLUE, GREEN, INK, ORANGE, PURPLE, SKY, VERMILION

from .transformer_parts import interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

_NAMES = ("learning_rate", "batch_size", "decoder_steps", "num_steps")
_SETTING = ", ".join(_NAMES)
_PARTS = {"distance": "ΔR(f(X), fgf(X))", "consistency": "‖f(x) − fgf(x)‖²", "pixels": "error of pixels"}
_COLORS = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY)
_DASHES: tuple[Any, ...] = ("solid", (0, (4, 1.5)), (0, (1, 1)))
_MARKERS = "osD^v<"
_MEAN, _CLASS_MEANS = (0, (1, 1.5)), (0, (5, 1.5, 1, 1.5))
_LEGEND: dict[str, Any] = {
    "title": "learning rate, steps × batch, steps of g for one of f",
    "title_fontsize": 7,
    "fontsize": 7,
    "columnspacing": 1.2,
}
_CURVES = f"""
    SELECT count(*) AS units, mode, {_SETTING}, step, {", ".join(f"median({name}) AS {name}" for name in _PARTS)} FROM (
        SELECT mode, {_SETTING}, unnest(curve_step) AS step, {", ".join(f"unnest(curve_{name}) AS {name}" for name in _PARTS)}
        FROM rows
    ) GROUP BY mode, {_SETTING}, step ORDER BY mode, {_SETTING}, step
"""
_ENDS = f"""
    SELECT count(*) AS units, mode, {_SETTING}, {interval("pixels / mean_image_pixels", "share")},
        avg(mean_image_pixels) AS mean_image, avg(initial_pixels / mean_image_pixels) AS initial_share,
        avg(class_mean_pixels / mean_image_pixels) AS class_mean_share,
        count(*) FILTER (WHERE verdict = 'holds') AS holds, count(*) FILTER (WHERE verdict = 'refuted') AS refuted
    FROM rows GROUP BY mode, {_SETTING} ORDER BY mode, {_SETTING}
"""


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    curves, ends = tables["curves"], tables["ends"]
    looks = _looks(ends)
    modes = [mode for (mode,), _ in ends.groups("mode")]
    count = len(modes)
    grid = canvas.add_gridspec(count + 1, len(_PARTS), height_ratios=[*(1.0,) * count, 0.35 + 0.055 * len(ends)])
    panels = np.array([[canvas.add_subplot(grid[k, j]) for j in range(len(_PARTS))] for k in range(count)])
    for line, mode in zip(panels, modes, strict=True):
        for axes, (part, words) in zip(line, _PARTS.items(), strict=True):
            _curves(axes, curves.where(mode=mode), part, looks)
            axes.set_title(f"{mode}: {words}", fontsize=7.5)
        baseline = ends.where(mode=mode)["mean_image"]
        line[-1].axhline(float(np.mean(baseline)), color=INK, linewidth=1.0, linestyle=_MEAN)
        line[-1].set_yscale("log")
        _plain(line[-1])
        line[0].set_ylabel("of a batch")
    for k, axes in enumerate(panels.flat):
        axes.tick_params(labelbottom=k >= (count - 1) * len(_PARTS))
    for axes in panels[-1]:
        axes.set_xlabel("step")
    _summary(canvas.add_subplot(grid[count, :]), ends, looks)
    _legend(canvas, looks)


def _looks(ends: Table) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Of each setting: the color says learning rate and steps of the decoder, the dashes batch and steps."""
    settings = sorted({key for key, _ in ends.groups(*_NAMES)})
    pairs = sorted({(rate, steps) for rate, _, steps, _ in settings})
    lengths = sorted({(batch, count) for _, batch, _, count in settings})
    out = {}
    for rate, batch, steps, count in settings:
        k, j = pairs.index((rate, steps)), lengths.index((batch, count))
        color = _COLORS[k % len(_COLORS)]
        out[rate, batch, steps, count] = {
            "color": color,
            "linestyle": _DASHES[j % len(_DASHES)],
            "marker": _MARKERS[k % len(_MARKERS)],
            "markerfacecolor": color if j == 0 else "white",
        }
    return out


def _curves(axes: Axes, own: Table, part: str, looks: Mapping[tuple[Any, ...], dict[str, Any]]) -> None:
    for setting, curve in own.groups(*_NAMES):
        look = looks[setting]
        axes.plot(curve["step"], curve[part], color=look["color"], linestyle=look["linestyle"], linewidth=1.0)
    axes.locator_params(axis="x", nbins=5)


def _plain(axes: Axes) -> None:
    """Numbers at the ticks of a logarithmic axis that may cover less than a decade."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=6))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _summary(axes: Axes, ends: Table, looks: Mapping[tuple[Any, ...], dict[str, Any]]) -> None:
    """Test images after training: the error over that of the mean image, with its interval over seeds."""
    at, labels = np.arange(len(ends)), []
    for k in at:
        row = {name: column[k] for name, column in ends.columns.items()}
        look = looks[tuple(row[name] for name in _NAMES)]
        if row["share_low"] is not None:
            axes.hlines(k, row["share_low"], row["share_high"], color=look["color"], linewidth=1.2)
        shape = {name: look[name] for name in ("color", "marker", "markerfacecolor")}
        axes.plot(row["share"], k, markersize=5, linestyle="", **shape)
        labels.append(row["mode"])
        axes.annotate(
            ", ".join(f"{word} {row[word]}/{row['units']}" for word in ("holds", "refuted") if row[word]) or "undecided",
            (1, k),
            xytext=(4, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            fontsize=6.5,
            va="center",
        )
    axes.axvline(1, color=INK, linewidth=1.0, linestyle=_MEAN)
    shares = [share for share in ends["class_mean_share"] if share is not None and np.isfinite(share)]
    if shares:
        axes.axvline(float(np.mean(shares)), color=INK, linewidth=1.0, linestyle=_CLASS_MEANS)
    axes.set_yticks(at, labels, fontsize=7)
    axes.set_ylim(len(at) - 0.4, -0.6)
    axes.set_xlim(left=0)
    axes.set_xlabel("error of test pixels over that of the mean image")
    axes.set_ylabel("game", fontsize=8)


def _legend(canvas: Any, looks: Mapping[tuple[Any, ...], dict[str, Any]]) -> None:
    from matplotlib.lines import Line2D

    handles: dict[str, Any] = {}
    for (rate, batch, steps, count), look in looks.items():
        words = f"{rate:g}, {count} × {batch}, {steps}:1"
        handles[words] = Line2D([], [], markersize=4, linewidth=1.1, **look)
    handles["mean image"] = Line2D([], [], color=INK, linewidth=1.0, linestyle=_MEAN)
    handles["mean image of the class"] = Line2D([], [], color=INK, linewidth=1.0, linestyle=_CLASS_MEANS)
    canvas.legend(list(handles.values()), list(handles), loc="outside upper center", ncols=3, **_LEGEND)


FIGURE = Figure(
    name="csc_loop_curves",
    group="csc",
    title="Closed loops of sparse codes: what pixels do that no player sees",
    caption=(
        "Distance of rates, consistency of features and the error of standardized pixels of the batches along the "
        "training of each setting, in the binary game and in that of the classes (medians over seeds), and, after it, the "
        "error of test images' pixels over that of the mean image (dotted), with 95 % intervals over seeds by Student's t "
        "where there are several, and the verdicts of its trainings beside each setting. Only what lies left of the dotted "
        "line comes back nearer than the mean image is, and only left of the dash-dotted one nearer than the mean image of "
        "its class."
    ),
    size=(7.2, 6.2),
    tables={"curves": Select("csc_loop", _CURVES), "ends": Select("csc_loop", _ENDS)},
    paint=paint,
    claims=("csc.rate-distance.printed", "csc.rate-distance.corrected"),
)
