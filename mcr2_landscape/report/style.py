"""One look for every picture: readable in print, and to color-blind eyes."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mcr2_landscape.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

# Okabe and Ito's palette, whose colors stay apart under every common color blindness.
BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, YELLOW = (
    *("#0072B2", "#E69F00", "#009E73", "#D55E00"),
    *("#CC79A7", "#56B4E9", "#F0E442"),
)
INK, GRAY, PALE = "#222222", "#767676", "#d9d9d9"

LAMBDA_MAX, LAMBDA_K = "λ$_{\\mathrm{max}}$", "λ$_k$"
D_Z, D_S = "d$_z$", "d$_S$"

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
        figure.set_layout_engine("none")  # and kept: to save would look for the same once more
    return figure


def shared_legend(figure: Figure, columns: int) -> None:
    """One legend above all panels, with what any of them names, each name once."""
    entries: dict[Any, Any] = {}
    for axes in figure.axes:
        entries |= {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(list(entries.values()), list(entries), loc="outside upper center", ncols=columns)


def plain_logarithms(axis: Axis) -> None:
    """Ticks of a logarithmic axis at 1, 2 and 5 times powers of ten, as plain numbers: for a range of one or two decades, where
    the usual ones are too few or run into each other."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def paint_cosines(axes: Axes, cosines: np.ndarray, sizes: Sequence[int]) -> AxesImage:
    """|cos| between samples in class order, `sizes` of each class in turn, with the borders of the classes; the image, for a
    color bar."""
    image = axes.imshow(cosines, cmap="Blues", vmin=0, vmax=1, interpolation="nearest", rasterized=True)
    start = 0
    middles = []
    for size in sizes:
        middles.append(start + 0.5 * size - 0.5)
        start += size
        if start < len(cosines):
            # Dark, since most of a picture before training is blue, and most of one after it is white.
            axes.axhline(start - 0.5, color=INK, linewidth=0.4)
            axes.axvline(start - 0.5, color=INK, linewidth=0.4)
    axes.set_xticks(middles, [f"{k + 1}" for k in range(len(middles))])
    axes.set_yticks(middles, [f"{k + 1}" for k in range(len(middles))])
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(True)
    return image


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
