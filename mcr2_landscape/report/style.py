"""One look for every picture: readable in print, and to color-blind eyes."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's palette, whose colors stay apart under every common color blindness.
BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, YELLOW = (
    *("#0072B2", "#E69F00", "#009E73", "#D55E00"),
    *("#CC79A7", "#56B4E9", "#F0E442"),
)
INK, GRAY, PALE = "#222222", "#767676", "#d9d9d9"

# Color and marker together, so that neither has to be told apart alone.
KINDS: dict[str, tuple[str, str]] = {
    "local maximizer": (BLUE, "o"),
    "strict saddle": (VERMILION, "^"),
    "degenerate": (PURPLE, "D"),
    "local minimizer": (GREEN, "v"),
    "undecided": (GRAY, "X"),
    "not critical": (GRAY, "x"),
}

SETTINGS: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 9.0,
    "axes.labelcolor": INK,
    "axes.edgecolor": GRAY,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": GRAY,
    "ytick.color": GRAY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "text.color": INK,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "lines.linewidth": 1.6,
    "svg.fonttype": "path",
    "svg.hashsalt": "mcr2_landscape",
    "pdf.fonttype": 42,
}


def draw(size: tuple[float, float], paint: Callable[[Figure], None]) -> Figure:
    """A figure of the given size in inches, painted in the common style. No global state is touched: neither the backend nor
    pyplot's list of figures, and the settings only while it is painted."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        paint(figure)
        figure.canvas.draw()  # the layout is found under these settings
    return figure


def save(figure: Figure, target: Any, *, form: str, dpi: float = 160) -> None:
    """Write a figure to a file or buffer. No date is written: the same figure gives the same bytes."""
    import matplotlib

    metadata: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(form, {})
    with matplotlib.rc_context(SETTINGS):
        figure.savefig(target, format=form, dpi=dpi, metadata=metadata)


def embed(figure: Figure, *, form: str = "svg") -> str:
    """A figure as a `data:` address, for a page that needs no other file."""
    buffer = io.BytesIO()
    save(figure, buffer, form=form)
    kind = {"svg": "svg+xml", "png": "png"}[form]
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
