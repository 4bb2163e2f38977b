"""The set of best responses: its dimension by formula against the nullity measured, and that its members are no inverses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import BLUE, GRAY, INK, ORANGE

from .ctrl_parts import heights

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

_LOOKS = {False: (BLUE, "o", "all of each class kept"), True: (ORANGE, "^", "some of it lost")}
_DIMENSIONS = """
    SELECT count(*) AS units, lossy, formula, nullity FROM rows
    GROUP BY lossy, formula, nullity ORDER BY lossy, formula, nullity
"""
# Twelve games of either kind; the position of each singular value from where the formula says that zeros begin.
_SPECTRA = """
    SELECT unit, lossy, position, singular_value FROM (
        SELECT unit, lossy,
            unnest(range(1 - (unknowns - formula), len(singular_values) + 1 - (unknowns - formula))) AS position,
            unnest(singular_values) AS singular_value
        FROM (SELECT * FROM ordered_rows QUALIFY row_number() OVER (PARTITION BY lossy ORDER BY seed) <= 12)
    ) WHERE position BETWEEN -7 AND 8 ORDER BY unit, position
"""
_RESPONSES = "SELECT unit, lossy, response_error, identity_error FROM ordered_rows ORDER BY unit"


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    dimensions, spectra, responses = canvas.subplots(1, 3)
    found = tables["dimensions"]
    top = 1.05 * max(found.columns["formula"] + found.columns["nullity"])
    dimensions.plot([0, top], [0, top], color=GRAY, linewidth=0.8, zorder=0)
    for k, (lossy, (color, marker, words)) in enumerate(_LOOKS.items()):
        own = found.where(lossy=lossy)
        dimensions.scatter(
            own["formula"], own["nullity"], s=26 - 14 * k, color=color, marker=marker, linewidth=0, label=words, zorder=3 + k
        )
        for _, one in tables["singular_values"].where(lossy=lossy).groups("unit"):
            height, _ = heights(one["singular_value"])
            spectra.plot(one["position"], height, color=color, marker=marker, markersize=2.5, linewidth=0.5, alpha=0.7)
        own = tables["responses"].where(lossy=lossy)
        across, upwards = (heights(own[name])[0] for name in ("response_error", "identity_error"))
        responses.scatter(across, upwards, s=12, color=color, marker=marker, linewidth=0, alpha=0.8)
    dimensions.set_xlabel("dimension by the formula")
    dimensions.set_ylabel("nullity as measured")
    spectra.set_yscale("log")
    spectra.axvline(0.5, color=INK, linewidth=0.8, linestyle=(0, (1, 2)), zorder=0)
    spectra.set_xlabel("position from where the formula\nhas zeros begin", fontsize=8)
    spectra.set_ylabel("singular value, relative")
    responses.set_xscale("log")
    responses.set_yscale("log")
    responses.set_xlim(1e-16, 1e-6)
    responses.set_xlabel("‖MPMᵀ − P‖/‖P‖", fontsize=8)
    responses.set_ylabel("‖FGF − F‖/‖F‖")
    for axes in (spectra, responses):
        axes.minorticks_off()
    canvas.legend(*dimensions.get_legend_handles_labels(), loc="outside upper center", ncols=2)


FIGURE = Figure(
    name="ctrl_degeneracy",
    group="ctrl",
    title="The manifold of best responses",
    caption=(
        "At a random best response to a random encoder, the decoder's Hessian has exactly as many zeros as the formula "
        "gives the set of best responses dimensions, and the singular values fall to rounding where it says (drawn at 1e-16 "
        "where they are less). These decoders make the distance zero (right, across), though few of them map f(x) back to "
        "itself (right, upwards)."
    ),
    size=(7.2, 3.0),
    tables={
        "dimensions": Select("ctrl_degeneracy", _DIMENSIONS),
        "singular_values": Select("ctrl_degeneracy", _SPECTRA),
        "responses": Select("ctrl_degeneracy", _RESPONSES),
    },
    paint=paint,
    claims=("ctrl.best-responses", "ctrl.best-responses.printed", "ctrl.decoder-eliminated"),
)
