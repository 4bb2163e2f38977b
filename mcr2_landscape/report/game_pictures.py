"""The pictures of learning in a Markov game: bands over seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mcr2_landscape.report.style import BLUE, GREEN, ORANGE, PURPLE, draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mcr2_landscape.markov.histories import History

_FLOOR = 1e-12


def _band(axes: Axes, history: History, name: str, color: str, label: str, *, positive: bool = True, dashes: str = "-") -> None:
    """Median, quartiles and 5 to 95 %, over the steps after the first."""
    low, first, middle, third, high = history.quantiles(name)[:, 1:]
    at = history.steps[1:]
    if positive:
        low, first, middle, third, high = (np.maximum(values, _FLOOR) for values in (low, first, middle, third, high))
    axes.fill_between(at, low, high, color=color, alpha=0.15, linewidth=0)
    axes.fill_between(at, first, third, color=color, alpha=0.3, linewidth=0)
    # Few records are marked: a single one is no line.
    marker = ("s" if dashes == "--" else "o") if at.size <= 12 else ""
    axes.plot(at, middle, color=color, linestyle=dashes, linewidth=1.4, marker=marker, markersize=3.5, label=label)


def _line(axes: Axes, history: History, name: str, color: str, label: str) -> None:
    """Median, and thin lines at 5 and 95 %."""
    at, values = history.steps[1:], np.maximum(history.quantiles(name)[:, 1:], _FLOOR)
    axes.plot(at, values[2], color=color, linestyle="--", linewidth=1.4, marker="s" if at.size <= 12 else "", label=label)
    for edge in (values[0], values[4]):
        axes.plot(at, edge, color=color, linestyle=":", linewidth=0.8)


def gaps(history: History) -> Figure:
    """Nash gap and q-error over log time."""

    def paint(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        _band(left, history, "nash_gap", BLUE, "Nash gap of the policy")
        # Two pairs of bands on each other would be one gray.
        _line(left, history, "frozen_gap", ORANGE, "others frozen at the last policy")
        left.set_title("Nash gap")
        left.legend()
        _band(right, history, "q_error", GREEN, "largest |q − Q̃|")
        right.set_title("largest |q − Q̃| over players, states, actions")
        for axes in (left, right):
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.set_xlabel("step")

    return draw((8.2, 2.9), paint)


def paths(history: History) -> Figure:
    """The potential along the path, and visits."""
    common = history.potential is not None

    def paint(figure: Figure) -> None:
        panels = np.atleast_1d(figure.subplots(1, 2 if common else 1)).ravel()
        if common:
            _band(panels[0], history, "potential", PURPLE, "potential", positive=False)
            panels[0].set_title("potential, averaged over the first state")
        _band(panels[-1], history, "least_visited", BLUE, "least visited pair")
        panels[-1].set_title("visits of the least visited state and own action")
        panels[-1].set_yscale("symlog", linthresh=1)
        for axes in panels:
            axes.set_xscale("log")
            axes.set_xlabel("step")

    return draw((8.2 if common else 4.4, 2.9), paint)
