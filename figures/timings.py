"""What the figures on speed share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mcr2_landscape.gallery.figure import Table


def paint_times(axes: Axes, table: Table, at: str, prefix: str, *, scale: float = 1e3, **style: Any) -> None:
    """The median over a column, with the least and the most as whiskers; seconds in milliseconds unless said otherwise."""
    low, middle, high = (scale * table[f"{prefix}_{word}"] for word in ("low", "middle", "high"))
    style = {"linewidth": 1.3, "markersize": 4.5, "elinewidth": 1.0, "capsize": 2.5} | style
    axes.errorbar(table[at], middle, yerr=[middle - low, high - middle], **style)


def in_units(axes: Axes) -> None:
    """A logarithmic horizontal axis with thousands as k and millions as M."""
    from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 30 * low else (1,)))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.xaxis.set_minor_formatter(NullFormatter())


def log_both(axes: Axes) -> None:
    """Logarithmic axes, with numbers on the vertical one as they are said."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1,)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
