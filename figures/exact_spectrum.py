"""The Hessian's exact spectrum at critical points, with multiplicities, against its density by Lanczos."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import BLUE, GRAY, INK, LAMBDA_MAX, VERMILION, shared_legend

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

# A family for each of three problems, at the λ nearest to 0.4 λ_max, and a degenerate one.
_CHOSEN = """
    SELECT *, (dim * list_sum(sizes))::BIGINT AS unknowns, dim / (list_sum(sizes) * epsilon * epsilon) AS alpha FROM (
        FROM (
            SELECT *, false AS double_root FROM rows QUALIFY row_number() OVER (
                PARTITION BY dim, sizes ORDER BY abs(relative_regularization - 0.4), large DESC, small, epsilon, seed, unit
            ) = 1 ORDER BY list_sum(sizes), sizes DESC LIMIT 3
        ) UNION ALL FROM (
            SELECT *, true AS double_root FROM rows WHERE theory_kind = 'degenerate'
            ORDER BY list_sum(sizes), sizes DESC, large DESC, small, epsilon, seed, unit LIMIT 1
        )
    )
"""
# The density knows nothing of the eigenvalues: each of its nodes is counted where the nearest one is.
_NODES = f"""
    SELECT c.unit, r.unit AS source, c.eigenvalues, c.alpha,
        unnest(r.density_nodes) AS node, unnest(r.density_weights) AS weight
    FROM ({_CHOSEN}) c JOIN rows r USING (dim, sizes, large, small, epsilon, relative_regularization)
"""
_NEAREST = f"""
    SELECT unit, source, alpha, node, weight,
        (SELECT arg_min(e, abs(e - node)) FROM unnest(eigenvalues) AS own(e)) AS eigenvalue
    FROM ({_NODES})
"""
_SIGNS = (("negative", BLUE, "o"), ("zero", GRAY, "s"), ("positive", VERMILION, "^"))


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    panels = canvas.subplots(2, 2, squeeze=False).ravel()
    points = list(tables["points"].groups("unit"))
    for axes, ((unit,), point) in zip(panels, points, strict=False):
        exact, lanczos = (tables[name].where(unit=unit) for name in ("exact", "lanczos"))
        floor = 0.35 / point["unknowns"][0]
        for sign, color, marker in _SIGNS:
            own = exact.where(sign=sign)
            if len(own):
                axes.vlines(own["eigenvalue"], floor, own["share"], color=color, linewidth=1.4, zorder=2)
                axes.scatter(
                    own["eigenvalue"], own["share"], s=20, color=color, marker=marker, label=f"exact, {sign}", zorder=3
                )
        weights = dict(zip(lanczos.columns["nearest"], lanczos.columns["weight"], strict=True))
        before, raised = -np.inf, False
        for x, y, count in zip(exact["eigenvalue"], exact["share"], exact.columns["multiplicity"], strict=True):
            if count > 1:
                # Numbers of eigenvalues that are close stand at two heights.
                before, raised = x, x - before < 0.05 and not raised
                axes.annotate(
                    str(count), (x, max(y, weights.get(x, 0.0))), xytext=(0, 17 if raised else 8), textcoords="offset points",
                    ha="center", va="bottom", fontsize=7,
                )  # fmt: skip
        axes.scatter(
            lanczos["node"], lanczos["weight"], s=46, facecolor="none", edgecolor=INK, linewidth=0.8, label="Lanczos", zorder=4
        )
        axes.set_yscale("log")
        axes.set_ylim(floor, 1.6)
        axes.margins(x=0.07)
        first = {name: column[0] for name, column in point.columns.items()}
        sizes = ", ".join(map(str, first["sizes"]))
        axes.set_title(
            f"{first['theory_kind']}: {first['family']}\nd = {first['dim']}, sizes {sizes}, "
            f"λ = {first['relative_regularization']:g} {LAMBDA_MAX}",
            fontsize=8,
        )
    for axes in panels[len(points) :]:
        axes.set_axis_off()
    canvas.supxlabel("eigenvalue of the Hessian (in units of α)", fontsize=9)
    canvas.supylabel("share of all unknowns", fontsize=9)
    shared_legend(canvas, 4)


FIGURE = Figure(
    name="exact_spectrum",
    group="mcr2",
    title="The Hessian's exact spectrum against its density by Lanczos",
    caption=(
        "Stems are the eigenvalues in closed form, their height the share of the unknowns that they take (multiplicities "
        "above one are written on top); rings are a spectral density from Hessian products with random vectors, which knows "
        "nothing of the closed form: the Ritz values nearest to each eigenvalue together, at their mean, as high as the sum "
        "of their weights. A maximizer has no stem right of zero, a strict saddle has as many directions there as its Morse "
        "index, and at λ_max the curvature along a double root's direction joins the zeros of the symmetry."
    ),
    size=(7.2, 5.0),
    tables={
        "points": Select(
            "families",
            "SELECT unit, dim, sizes, large, small, family, theory_kind, theory_index, theory_nullity, epsilon, "
            f"relative_regularization, alpha, unknowns FROM ({_CHOSEN}) ORDER BY double_root, list_sum(sizes), sizes DESC",
            least=2,
        ),
        "exact": Select(
            "families",
            "SELECT unit, eigenvalue / alpha AS eigenvalue, multiplicity, multiplicity / unknowns AS share, "
            "CASE WHEN eigenvalue < 0 THEN 'negative' WHEN eigenvalue > 0 THEN 'positive' ELSE 'zero' END AS sign FROM "
            f"(SELECT unit, alpha, unknowns, unnest(eigenvalues) AS eigenvalue, unnest(multiplicities) AS multiplicity "
            f"FROM ({_CHOSEN})) ORDER BY unit, eigenvalue",
        ),
        "lanczos": Select(
            "families",
            "SELECT unit, count(DISTINCT source) AS densities, eigenvalue / any_value(alpha) AS nearest, "
            "sum(weight) / count(DISTINCT source) AS weight, sum(weight * node) / sum(weight) / any_value(alpha) AS node "
            f"FROM ({_NEAREST}) GROUP BY unit, eigenvalue HAVING sum(weight) > 0 ORDER BY unit, nearest",
        ),
    },
    paint=paint,
    claims=("mcr2.exact-spectrum", "mcr2.index-formula", "mcr2.morse-bott", "mcr2.benign-landscape.corrected"),
)
