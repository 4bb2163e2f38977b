"""|cos| between samples before and after an ascent, regularized and on spheres."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import LAMBDA_MAX, paint_cosines

from .landscape_parts import ASCENTS

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    ascents = list(tables["ascents"].groups("unit"))
    panels = canvas.subplots(1, 2 * len(ascents), squeeze=False)[0]
    image = None
    for k, (_, one) in enumerate(ascents):
        first = {name: column[0] for name, column in one.columns.items()}
        what = f"λ = {first['relative_regularization']:g} {LAMBDA_MAX}" if first["problem"] == "regularized" else "on spheres"
        ranks = ", ".join(map(str, first["ranks"]))
        for axes, when, title in (
            (panels[2 * k], "gram_start", f"start, {what}"),
            (panels[2 * k + 1], "gram_end", f"end, ranks {ranks}"),
        ):
            image = paint_cosines(axes, first[when], first["sizes"])
            axes.set_title(title, fontsize=8)
            axes.set_xlabel("class", fontsize=8)
    panels[0].set_ylabel("class of the sample", fontsize=8)
    if image is not None:
        canvas.colorbar(image, ax=panels, label="|cos|", shrink=0.62, aspect=14)


FIGURE = Figure(
    name="gram_matrices",
    group="mcr2",
    title="Cosines between samples before and after ascent",
    caption=(
        "Before the ascent the cosines between samples of different classes are as large as those within a class. After it "
        "every block between two classes is zero, with regularization and on spheres alike, and what is left within a class "
        "is as many directions as its rank."
    ),
    size=(7.2, 2.05),
    tables={
        "ascents": Select(
            "trajectories",
            "SELECT unit, problem, dim, sizes, relative_regularization, seed, outcome, ranks, coherence, gram_start, gram_end "
            f"FROM ({ASCENTS}) WHERE start = 1 AND gram_start IS NOT NULL ORDER BY problem",
            arrays=("gram_start", "gram_end"),
        )
    },
    paint=paint,
    claims=("mcr2.critical-equation", "mcr2.local-maximizers.corrected", "mcr2.constrained-overlap"),
)
