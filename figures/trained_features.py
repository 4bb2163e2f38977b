"""A small network trained with the regularized and the constrained loss: spectra of the classes, and the gap over the steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import BLUE, GRAY, ORANGE, VERMILION, plain_logarithms, shared_legend

from .landscape_parts import RUNS, mark_off_scale

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

_NAMES = {"regularized": "regularized", "mcr2": "constrained (unit spheres)", "cross-entropy": "cross-entropy"}
_LOOKS = {"regularized": (BLUE, "solid"), "mcr2": (VERMILION, (0, (5, 1.5)))}


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    levels, ideals, gaps = (tables[name] for name in ("singular_values", "ideal_levels", "gaps"))
    losses = [name for name in _NAMES if name in levels.columns["loss"]]
    grid = canvas.add_gridspec(2, len(losses), height_ratios=[1.25, 1])
    first = None
    for k, loss in enumerate(losses):
        axes = canvas.add_subplot(grid[0, k], sharey=first)
        first = first or axes
        own, ideal = levels.where(loss=loss), ideals.where(loss=loss)
        axes.hlines(
            ideal["level"],
            ideal["class"] - 0.42,
            ideal["class"] + 0.42,
            color=ORANGE,
            linewidth=2.2,
            zorder=2,
            label="ideal level",
        )
        axes.scatter(
            own["class"], own["singular_value"], s=14, marker="_", linewidth=1.0, color=BLUE, zorder=3, label="singular values"
        )
        axes.set_yscale("log")
        axes.set_xticks(np.arange(int(own["class"].max()) + 1))
        axes.set_xlabel("class (digit)")
        axes.set_title(_NAMES[loss])
        if k == 0:
            axes.set_ylabel("singular value")
        else:
            axes.tick_params(labelleft=False)
    below = canvas.add_subplot(grid[1, :])
    for (loss,), own in gaps.groups("loss"):
        color, dashes = _LOOKS.get(loss, (GRAY, "solid"))
        for j, (_, one) in enumerate(own.groups("unit")):
            name = "F, regularized" if loss == "regularized" else "ΔR on spheres, constrained"
            below.loglog(
                one["step"], one["gap"], color=color, linestyle=dashes, linewidth=1.1, alpha=0.85, label=None if j else name
            )
            mark_off_scale(below, one["step"], one["gap"], color=color, label="gap of zero or less")
    below.set_xlabel("training step")
    below.set_ylabel("optimum − value (nats)")
    plain_logarithms(below.yaxis)
    shared_legend(canvas, 4)


FIGURE = Figure(
    name="trained_features",
    group="mcr2",
    title="A network trained with rate reductions: spectra of the classes, and what is missing to the optimum",
    caption=(
        "Above, the singular values of each class after training: with the regularized loss some reach the level that theory "
        "gives (bars) and the others are far smaller; with the constrained one, at the common factor where F is largest, the "
        "classes split in the same way, but their large values lie above or below the bars with their number; cross-entropy "
        "(full size only, at such a factor too) does not aim at the bars. Below, the gap to the global maximum of F, or to "
        "the best ΔR of orthogonal classes on spheres, which is not proved to be the maximum, shrinks during training and "
        "does not close."
    ),
    size=(7.2, 5.0),
    tables={
        "singular_values": Select(
            "trained_digits",
            "SELECT unit, loss, relative_regularization, class, generate_subscripts(own, 1) AS position, "
            "unnest(own) AS singular_value FROM (SELECT unit, loss, relative_regularization, "
            "generate_subscripts(singular_values, 1) - 1 AS class, "
            f"unnest(singular_values) AS own FROM ({RUNS}) WHERE run = 1) ORDER BY loss, class, position",
        ),
        "ideal_levels": Select(
            "trained_digits",
            "SELECT * FROM (SELECT unit, loss, generate_subscripts(ideal_singular_values, 1) - 1 AS class, "
            f"unnest(ideal_singular_values) AS level FROM ({RUNS}) WHERE run = 1) ORDER BY loss, class",
        ),
        "gaps": Select(
            "trained_digits",
            "SELECT unit, loss, run, step, optimum + history_loss AS gap FROM (SELECT unit, loss, run, optimum, "
            f"unnest(history_step) AS step, unnest(history_loss) AS history_loss FROM ({RUNS}) WHERE optimum IS NOT NULL) "
            "ORDER BY loss DESC, run, step",
        ),
    },
    paint=paint,
    claims=("mcr2.local-maximizers.corrected", "mcr2.unit-columns", "mcr2.constrained-crowded"),
)
