"""One look for every picture: readable in print, and to color-blind eyes."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mcr2_landscape.errors import InputError

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


def check_font(name: str) -> str:
    """The name of a font family that is there.

    **Raises:** `InputError` for one that is missing, with the nearest names.
    """
    import difflib

    from matplotlib.font_manager import fontManager

    names = sorted({font.name for font in fontManager.ttflist})
    if name not in names:
        near = difflib.get_close_matches(name, names, 3, 0.5) or ["DejaVu Sans"]
        raise InputError(f"font: found {name!r}, which is not installed here; there is {', '.join(near)}")
    return name


def _settings(font: str | None) -> Any:
    # Letters that the font lacks, Greek ones or subscripts for instance, come from the usual one.
    return SETTINGS if font is None else SETTINGS | {"font.family": [font, "DejaVu Sans"]}


def draw(size: tuple[float, float], paint: Callable[[Figure], None], *, font: str | None = None) -> Figure:
    """A figure of the given size in inches, painted in the common style. No global state is touched: neither the backend nor
    pyplot's list of figures, and the settings only while it is painted. `font`: another font family."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_settings(font)):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        paint(figure)
        figure.canvas.draw()  # the layout is found under these settings
    return figure


def shared_legend(figure: Figure, columns: int) -> None:
    """One legend above all panels, with what any of them names, each name once."""
    entries: dict[Any, Any] = {}
    for axes in figure.axes:
        entries |= {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(list(entries.values()), list(entries), loc="outside upper center", ncols=columns)


def save(figure: Figure, target: Any, *, form: str, dpi: float = 160, font: str | None = None) -> None:
    """Write a figure to a file or buffer. No date is written: the same figure gives the same bytes."""
    import matplotlib

    metadata: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(form, {})
    with matplotlib.rc_context(_settings(font)):
        figure.savefig(target, format=form, dpi=dpi, metadata=metadata)


def embed(figure: Figure, *, form: str = "svg", dpi: float = 160, font: str | None = None) -> str:
    """A figure as a `data:` address, for a page that needs no other file."""
    buffer = io.BytesIO()
    save(figure, buffer, form=form, dpi=dpi, font=font)
    kind = {"svg": "svg+xml", "png": "png"}[form]
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
