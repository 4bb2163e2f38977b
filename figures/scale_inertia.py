"""How long the complete inertia takes, and how much memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import BLUE, GRAY, INK, ORANGE, VERMILION, shared_legend

from .timings import in_units, log_both, paint_times

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

_POINTS = {"low-rank": ("a point of low rank", BLUE, "o", "-"), "critical": ("a critical point", ORANGE, "s", "--")}


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    times, memory = canvas.subplots(1, 2)
    for point, (name, color, marker, dashes) in _POINTS.items():
        table = tables["inertias"].where(point=point)
        if not len(table):
            continue
        style: dict[str, Any] = {"color": color, "marker": marker, "linestyle": dashes}
        paint_times(times, table, "unknowns", "inertia", scale=1, label=name, **style)
        memory.plot(table["unknowns"], table["peak"], markersize=4.5, linewidth=1.3, **style)
    once = tables["inertias"].where(point="low-rank")
    paint_times(
        times, once, "unknowns", "eigenvalues", scale=1, color=GRAY, marker="_", linestyle=":", label="eigenvalues of the core"
    )
    dense = tables["dense"]
    paint_times(times, dense, "unknowns", "dense", scale=1, color=VERMILION, marker="X", linestyle="-.", label="dense Hessian")
    memory.plot(once["unknowns"], once["of_point"], color=INK, linewidth=0.9, linestyle=(0, (1, 1.5)), label="Z alone")
    memory.plot(once["unknowns"], once["of_dense"], color=VERMILION, linewidth=1.1, linestyle="-.")
    log_both(times)
    memory.set_xscale("log")
    memory.set_yscale("log")
    for axes in (times, memory):
        in_units(axes)
    times.set_title("time")
    times.set_ylabel("CPU seconds, one core")
    memory.set_title("peak of memory, Z included")
    memory.set_ylabel("bytes")
    canvas.supxlabel("n = d m (unknowns)", fontsize=9)
    shared_legend(canvas, 5)


FIGURE = Figure(
    name="scale_inertia",
    group="scale",
    title="The complete inertia: time and memory against size",
    caption=(
        "The signs of all eigenvalues of a Hessian with a million unknowns are counted in about the time that the dense "
        "Hessian takes with a thousand, and at the largest size most of it goes into the eigenvalues of the core that the "
        "exact reduction leaves. Beyond a fixed cost memory is a few copies of the point itself; the dense Hessian grows with "
        "the square."
    ),
    size=(7.2, 3.3),
    tables={
        "inertias": Select(
            "inertia_times",
            "SELECT unit, point, unknowns, core, positive, zero, negative, repeats, inertia_low, inertia_middle, inertia_high, "
            "eigenvalues_low, eigenvalues_middle, eigenvalues_high, peak, 8 * unknowns AS of_point, "
            "8 * CAST(unknowns AS DOUBLE) * unknowns AS of_dense FROM rows ORDER BY point, unknowns, seed",
            least=2,
        ),
        "dense": Select(
            "inertia_times",
            "SELECT unit, unknowns, dense_low, dense_middle, dense_high FROM rows "
            "WHERE point = 'low-rank' AND dense_middle IS NOT NULL ORDER BY unknowns, seed",
        ),
    },
    paint=paint,
)
