"""How long a Hessian product takes by form and size, beside what the machine can do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import BLUE, GRAY, GREEN, INK, ORANGE, PURPLE, VERMILION, shared_legend

from .timings import in_units, log_both, paint_times

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

_PRODUCTS = "its matrix products alone (filled)"
_RATES = "its flops and bytes at the machine's rates (open)"
_OPEN: dict[str, Any] = {"markersize": 4.5, "markerfacecolor": "white", "linewidth": 0.8}
_FORMS = {
    "fused": (VERMILION, "^", "-"),
    "fused and Gram side": (PURPLE, "v", "-."),
    "Gram side": (ORANGE, "s", "-."),
    "mid-rank": (BLUE, "o", "--"),
    "low-rank": (GREEN, "D", ":"),
}


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    from matplotlib.ticker import PercentFormatter

    times, shares = canvas.subplots(1, 2)
    for form, (color, marker, dashes) in _FORMS.items():
        table = tables["products"].where(form=form)
        if not len(table):
            continue
        n = table["unknowns"]
        style: dict[str, Any] = {"color": color, "marker": marker}
        open_style = _OPEN | style | {"linestyle": dashes}
        paint_times(times, table, "unknowns", "product", label=form, linestyle=dashes, **style)
        times.plot(n, 1e3 * table["bound"], **open_style)
        shares.plot(n, table["limit_share"], linestyle=dashes, markersize=4.5, **style)
        shares.plot(n, table["bound_share"], **open_style)
    # Of each form in its color and with its marker.
    shares.plot([], [], color=GRAY, marker="o", markersize=4.5, label=_PRODUCTS)
    shares.plot([], [], color=GRAY, marker="o", label=_RATES, **_OPEN)
    log_both(times)
    times.set_title("one product")
    times.set_ylabel("CPU milliseconds, one core")
    shares.set_xscale("log")
    for axes in (times, shares):
        in_units(axes)
    shares.axhline(1, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    shares.set_ylim(0, max(1.05, shares.get_ylim()[1]))
    shares.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    shares.set_title("what limits take of it")
    shares.set_ylabel("share of the product's time")
    canvas.supxlabel("n = d m (unknowns)", fontsize=9)
    shared_legend(canvas, 3)


FIGURE = Figure(
    name="scale_products",
    group="scale",
    title="Hessian products: time against size, and what the machine can do",
    caption=(
        "A product at a point of low rank takes a fraction of the time of one at full rank, and at full and mid rank a "
        "product comes near the matrix products that it is made of, alone (right, filled markers); at low rank less so at "
        "some sizes. What the machine's measured rates of large products and of copying allow (open markers) is nearly "
        "reached by the fused form at large sizes, while narrow factors keep the form of low rank further below."
    ),
    size=(7.2, 3.5),
    tables={
        "products": Select(
            "product_times",
            "SELECT unit, form, dim, samples, classes, unknowns, flops, moved, repeats, product_low, product_middle, "
            "product_high, limit_low, limit_middle, limit_high, flop_rate, copy_rate, "
            "greatest(flops / flop_rate, moved / copy_rate) AS bound, limit_middle / product_middle AS limit_share, "
            "greatest(flops / flop_rate, moved / copy_rate) / product_middle AS bound_share "
            "FROM rows ORDER BY form, unknowns, seed",
            least=2,
        )
    },
    paint=paint,
)
