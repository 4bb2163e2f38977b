"""What is kept, and the value, over the number of features d_z."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import BLUE, D_Z, GREEN, INK, ORANGE, PURPLE

from .ctrl_parts import METHODS, ORDER, paint_spread, spread

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

_CLASSES = ((BLUE, "o", "solid"), (ORANGE, "s", (0, (5, 1.5))), (GREEN, "^", (0, (4, 1.5, 1, 1.5))), (PURPLE, "D", (0, (1, 1))))
_GAP = "coalesce(feasible_gap, upper_bound - feasible_value)"
_VALUES = f"""
    SELECT count(*) AS units, method, dim, min(upper_bound) AS upper_bound, median(feasible_value) AS value,
        {spread(_GAP, "gap")}
    FROM ordered_rows GROUP BY method, dim ORDER BY {ORDER}, dim
"""
_OPTIMUM = "SELECT * FROM ordered_rows WHERE method = 'exact' QUALIFY row_number() OVER (PARTITION BY dim ORDER BY seed) = 1"
_KEPT = f"""
    SELECT unit, dim, unnest(range(1, len(kept) + 1)) AS class, unnest(kept) AS kept, unnest(ranks) AS rank,
        unnest(optimal_multiplicities) AS listed
    FROM ({_OPTIMUM}) ORDER BY class, dim
"""


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    panels = canvas.subplots(1, 3)
    for (number,), own in tables["kept"].groups("class"):
        color, marker, dashes = _CLASSES[(number - 1) % len(_CLASSES)]
        words = f"class {number}: rank {own.columns['rank'][0]}"
        panels[0].plot(
            own["dim"], own["kept"], color=color, marker=marker, markersize=8 - 2 * number, linestyle=dashes,
            linewidth=1.2, label=words, zorder=2 + number,
        )  # fmt: skip
    panels[0].set_ylim(0, 1.45 * max(tables["kept"].columns["rank"]))
    panels[0].yaxis.get_major_locator().set_params(integer=True)
    panels[0].legend(fontsize=7, loc="upper center", handlelength=3)
    panels[0].set_ylabel("dimensions kept")
    values = tables["values"]
    bound = next(iter(values.groups("method")))[1]
    panels[1].plot(bound["dim"], bound["upper_bound"], color=INK, linewidth=3.5, alpha=0.25, label="upper bound")
    for k, ((method,), own) in enumerate(values.groups("method")):
        color, marker, dashes, words = METHODS[method]
        look = {"color": color, "marker": marker, "markersize": 6 - 1.5 * k, "linestyle": dashes, "linewidth": 1.1}
        panels[1].plot(own["dim"], own["value"], **look, label=words)
        paint_spread(panels[2], own["dim"], own, "gap", own["upper_bound"], **look)
    panels[1].set_ylabel("ΔR (nats)")
    panels[2].set_ylabel("bound − ΔR (nats)")
    canvas.supxlabel(f"number of features {D_Z}", fontsize=9)
    entries = dict(zip(*reversed(panels[1].get_legend_handles_labels()), strict=True))
    canvas.legend(list(entries.values()), list(entries), loc="outside upper center", ncols=5)


FIGURE = Figure(
    name="ctrl_dimension_sweep",
    group="ctrl",
    title="What is kept, over the number of features",
    caption=(
        "With d_z grows d_z/ε² and with it the number of dimensions of each class that an equilibrium keeps, up to its "
        "rank, also where more would have fitted into d_z. Exact play attains the upper bound on every encoder (gaps of "
        "zero, or below it by rounding, stand at 1e-16; a cross would mark a value above the bound by more), while the "
        "dynamics may end at a lower local maximum, with other numbers of dimensions."
    ),
    size=(7.2, 3.1),
    tables={"kept": Select("ctrl_dimension", _KEPT), "values": Select("ctrl_dimension", _VALUES)},
    paint=paint,
    claims=("ctrl.optimum", "ctrl.injectivity", "ctrl.precision.printed", "ctrl.no-other-maxima.printed"),
)
