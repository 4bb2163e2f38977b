"""Ascents step by step: gap, gradient norm, and the singular values of each class, over the gradients spent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import BLUE, GREEN, LAMBDA_MAX, ORANGE, PURPLE, VERMILION, plain_logarithms

from .landscape_parts import ASCENTS, mark_off_scale

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

# Three starts at most.
_ASCENTS = f"SELECT * FROM ({ASCENTS}) WHERE start <= 3"
_STARTS = ((BLUE, "solid"), (VERMILION, (0, (5, 1.5))), (GREEN, (0, (1, 1))))
_CLASSES = (
    (BLUE, "solid"),
    (VERMILION, (0, (5, 1.5))),
    (GREEN, (0, (1, 1))),
    (PURPLE, (0, (4, 1.5, 1, 1.5))),
    (ORANGE, "solid"),
)
_PROBLEMS = ("regularized", "spheres")


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    ascents, paths, values = (tables[name] for name in ("ascents", "paths", "singular_values"))
    panels = canvas.subplots(3, len(_PROBLEMS), squeeze=False, sharex="col")
    for column, problem in zip(panels.T, _PROBLEMS, strict=True):
        own = ascents.where(problem=problem)
        if not len(own):
            for axes in column:
                axes.set_axis_off()
            continue
        for (unit,), one in own.groups("unit"):
            color, dashes = _STARTS[one.columns["start"][0] - 1]
            path = paths.where(unit=unit)
            ranks, end = ", ".join(map(str, one.columns["ranks"][0])), one["gap"][0]
            # A start that ends at the maximum, or above what it is measured against, leaves the axis.
            above = f", gap {end:.1g}" if end <= 0 else ""
            for axes, name in zip(column, ("gap", "gradient_norm"), strict=False):
                axes.semilogy(
                    path["gradients"], path[name], color=color, linestyle=dashes, linewidth=1.3, marker=".", markersize=4,
                    label=f"ends with ranks {ranks}{above}",
                )  # fmt: skip
            mark_off_scale(column[0], path["gradients"], path["gap"], color=color, label="gap of zero or less")
        column[0].legend(fontsize=7, loc="upper right")
        for (rank_of, position), curve in values.where(problem=problem).groups("class", "position"):
            color, dashes = _CLASSES[(rank_of - 1) % len(_CLASSES)]
            column[2].plot(
                curve["gradients"], curve["singular_value"], color=color, linestyle=dashes, linewidth=1.1,
                label=f"class {rank_of}" if position == 1 else None,
            )  # fmt: skip
        first = {name: entries[0] for name, entries in own.columns.items()}
        what = (
            f"regularized, λ = {first['relative_regularization']:g} {LAMBDA_MAX}" if problem == "regularized" else "on spheres"
        )
        column[0].set_title(f"{what}: d = {first['dim']}, sizes {', '.join(map(str, first['sizes']))}", fontsize=9)
        column[2].set_xlabel("gradients spent")
        # Between zero and the lowest level that stays.
        column[2].legend(fontsize=7, loc="center right", bbox_to_anchor=(1.0, 0.32), ncols=3)
        plain_logarithms(column[0].yaxis)
    for axes, name in zip(panels[:, 0], ("maximum − value (nats)", "gradient norm", "singular values"), strict=True):
        axes.set_ylabel(name)


_VALUES = f"""
    SELECT unit, problem, gradients, class, generate_subscripts(own, 1) AS position, unnest(own) AS singular_value FROM (
        SELECT unit, problem, gradients, generate_subscripts(spectra, 1) AS class, unnest(spectra) AS own FROM (
            SELECT unit, problem, unnest(history_gradients) AS gradients, unnest(history_singular_values) AS spectra
            FROM ({_ASCENTS}) WHERE start = 1
        )
    ) ORDER BY problem, class, position, gradients
"""

FIGURE = Figure(
    name="ascent_paths",
    group="mcr2",
    title="Single ascents, regularized and on spheres",
    caption=(
        "Above, the gap to the global maximum (on spheres, to the best value of orthogonal classes) and the gradient norm of "
        "three starts: the gap comes to rest while the gradient vanishes (triangles at the lower edge: it is zero or less). "
        "Below, the singular values of each class along the first start: a few stay and become equal within their class, and "
        "all others fall to zero."
    ),
    size=(7.2, 6.4),
    tables={
        "ascents": Select(
            "trajectories",
            "SELECT unit, problem, start, dim, sizes, relative_regularization, outcome, ranks, gap, num_gradients "
            f"FROM ({_ASCENTS}) ORDER BY problem, start",
            least=2,
        ),
        "paths": Select(
            "trajectories",
            "SELECT unit, gradients, maximum - value AS gap, gradient_norm FROM (SELECT unit, start, problem, maximum, "
            "unnest(history_gradients) AS gradients, unnest(history_value) AS value, "
            f"unnest(history_gradient_norm) AS gradient_norm FROM ({_ASCENTS})) ORDER BY problem, start, gradients",
        ),
        "singular_values": Select("trajectories", _VALUES),
    },
    paint=paint,
    claims=("mcr2.ascent-from-random-starts", "mcr2.local-maximizers.corrected", "mcr2.constrained-maximizers"),
)
