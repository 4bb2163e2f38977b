"""Where in the landscape training ends: cosines between samples, gaps, and the Hessian's density."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import BLUE, GRAY, GREEN, INK, VERMILION, paint_cosines, plain_logarithms

from .landscape_parts import RUNS

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

_NAMES = {"regularized": "regularized", "mcr2": "constrained", "cross-entropy": "cross-entropy"}
_LOOKS = {"regularized": (BLUE, "o"), "mcr2": (VERMILION, "^"), "cross-entropy": (GREEN, "s")}
_BINS = 40
_GAPS = ("scaled_gap", "family_gap", "end_gap")
_LEFT_OUT = {"missing": "missing", "not above 0": "not_positive"}

# Bins without a node have to be there too, with nothing in them.
_DENSITY = f"""
    SELECT unit, loss, place, round(node * {_BINS})::BIGINT AS bin, sum(weight) AS weight FROM (
        SELECT unit, loss, place, unnest(density_weights) AS weight,
            unnest(density_nodes) * list_sum(class_sizes) * epsilon * epsilon / dim AS node FROM ({RUNS}) WHERE run = 1
    ) GROUP BY unit, loss, place, bin
"""
_COUNTS = " UNION ALL ".join(
    f"SELECT count(*) AS units, place, loss, '{gap}' AS gap, count(*) FILTER ({gap} IS NULL OR isnan({gap})) AS missing, "
    f"count(*) FILTER ({gap} <= 0) AS not_positive FROM ({RUNS}) GROUP BY place, loss"
    for gap in _GAPS
)


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    cosines, gaps, left_out, density = (tables[name] for name in ("cosines", "gaps", "left_out", "density"))
    grid = canvas.add_gridspec(2, 1, height_ratios=[1, 1.05])
    above, below = grid[0].subgridspec(1, 1 + len(cosines)), grid[1].subgridspec(1, 2, width_ratios=[1, 1.1])
    panels = [canvas.add_subplot(above[0, k]) for k in range(1 + len(cosines))]
    sizes = [[classes.count(k) for k in sorted(set(classes))] for classes in cosines.columns["similarity_classes"]]
    image = paint_cosines(panels[0], cosines.columns["similarity_inputs"][0], sizes[0])
    panels[0].set_title("inputs (centered)", fontsize=9)
    for k, axes in enumerate(panels[1:]):
        paint_cosines(axes, cosines.columns["similarity"][k], sizes[k])
        axes.set_title(_NAMES[cosines.columns["loss"][k]], fontsize=9)
    for axes in panels:
        axes.set_xlabel("class (digit)", fontsize=8)
        names = range(len(sizes[0]))
        axes.set_xticklabels([str(k) for k in names], fontsize=7)
        axes.set_yticklabels([str(k) for k in names], fontsize=7)
    canvas.colorbar(image, ax=panels, label="|cos| between samples", shrink=0.8, aspect=16)

    left, right = (canvas.add_subplot(below[0, k]) for k in range(2))
    rows = _GAPS
    names = (
        "trained: to the\nglobal maximum",
        "trained: to maximizers\nof its ranks",
        "after ascent: to the\nglobal maximum",
    )
    for (loss,), own in gaps.groups("loss"):
        color, marker = _LOOKS[loss]
        kinds = " or ".join(sorted(set(own.columns["position_kind"])))
        shift = 0.16 * (list(_LOOKS).index(loss) - 1)
        for k, row in enumerate(rows):
            at = np.full(len(own), len(rows) - 1 - k - shift)
            left.scatter(
                own[row], at, s=26, color=color, marker=marker, alpha=0.8, edgecolor="white", linewidth=0.4,
                label=None if k else f"{_NAMES[loss]} ({kinds})",
            )  # fmt: skip
    # What a logarithmic axis leaves out is counted.
    for k, row in enumerate(rows):
        own = left_out.where(gap=row)
        words = [
            f"{_NAMES[loss]}: {count} of {of} {what}"
            for what in ("missing", "not above 0")
            for loss, of, count in zip(own.columns["loss"], own.columns["units"], own.columns[_LEFT_OUT[what]], strict=True)
            if count
        ]
        left.annotate(
            "\n".join(words), (0.99, len(rows) - 1.46 - k), xycoords=left.get_yaxis_transform(), ha="right", va="bottom",
            fontsize=6.5, color=INK,
        )  # fmt: skip
    left.set_xscale("log")
    plain_logarithms(left.xaxis)
    left.set_yticks(range(len(rows) - 1, -1, -1), names, fontsize=7.5)
    left.set_ylim(-0.5, len(rows) - 0.5)
    left.set_xlabel("gap in F (nats)")
    for (loss,), own in density.groups("loss"):
        color, _ = _LOOKS[loss]
        right.step(
            own["middle"], own["weight"], where="mid", color=color, linewidth=1.2,
            linestyle={"regularized": "solid", "mcr2": (0, (5, 1.5))}.get(loss, (0, (1, 1))),
        )  # fmt: skip
        top = gaps.where(loss=loss, run=1)
        right.scatter(top["top_relative"], [2.5e-6], s=26, color=color, marker=_LOOKS[loss][1], zorder=3, clip_on=False)
    right.axvline(0.0, color=GRAY, linewidth=0.8, zorder=1)
    right.set_yscale("log", nonpositive="clip")
    right.set_ylim(1e-6, 2)
    right.set_xlabel("eigenvalue of the Hessian (in units of α)")
    right.set_ylabel(f"spectral density\n(share a bin of {1 / _BINS:g} α)")
    handles, labels = left.get_legend_handles_labels()
    canvas.legend(handles, labels, loc="outside lower center", ncols=3, title="where training ends", title_fontsize=8)


FIGURE = Figure(
    name="trained_landscape",
    group="mcr2",
    title="Where in the landscape training ends",
    caption=(
        "Above, the cosines between samples: training with a rate reduction makes nearly all samples of different classes "
        "orthogonal. Below, it ends short of the global maximum, and ascent on from its features, without the network, closes "
        "part of the gap in F (left; with any loss but the regularized one at the common factor where F is largest), as the "
        "largest eigenvalue of the Hessian (markers at the bottom, right) is positive wherever a direction of ascent is left."
    ),
    size=(7.2, 5.2),
    tables={
        "cosines": Select(
            "trained_digits",
            "SELECT unit, loss, relative_regularization, similarity_classes, similarity_inputs, similarity "
            f"FROM ({RUNS}) WHERE run = 1 ORDER BY place",
            arrays=("similarity_inputs", "similarity"),
        ),
        "gaps": Select(
            "trained_digits",
            "SELECT unit, loss, run, relative_regularization, position_kind, nearest_family, relative_gradient_norm, ranks, "
            "end_ranks, end_family, scaled_gap, family_gap, end_gap, end_distance, escapes, "
            "top_eigenvalue * list_sum(class_sizes) * epsilon * epsilon / dim AS top_relative "
            f"FROM ({RUNS}) ORDER BY place, run",
        ),
        "left_out": Select("trained_digits", f"FROM ({_COUNTS}) ORDER BY place, gap"),
        "density": Select(
            "trained_digits",
            f"SELECT unit, loss, bin / {_BINS} AS middle, coalesce(weight, 0) AS weight FROM (SELECT unit, loss, place, "
            f"unnest(generate_series(min(bin), max(bin))) AS bin FROM ({_DENSITY}) GROUP BY unit, loss, place) "
            f"LEFT JOIN ({_DENSITY}) USING (unit, loss, place, bin) ORDER BY place, bin",
        ),
    },
    paint=paint,
    claims=("mcr2.benign-landscape.corrected", "mcr2.local-maximizers.corrected", "mcr2.global-maximizers.corrected"),
)
