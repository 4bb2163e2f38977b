"""One subspace: spectra, the gap, and what of S and of its samples comes back, over the number of features d_z."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.ctrl_pictures import paint_spectrum
from mcr2_landscape.report.style import D_S, D_Z, INK

from .ctrl_parts import METHODS, ORDER, STAGES, paint_spread, spread

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

# One exact equilibrium, of those with fewer features than S has dimensions the one with most.
_CHOSEN = "SELECT * FROM ordered_rows WHERE method = 'exact' AND noise = 0 ORDER BY dim >= rank, abs(dim - rank), seed LIMIT 1"
_STAGES = " UNION ALL ".join(
    f"SELECT unit, dim, rank, '{name}' AS stage, unnest(range(1, len(spectrum_{stage}) + 1)) AS number, "
    f"unnest(spectrum_{stage}) AS singular_value FROM ({_CHOSEN})"
    for stage, name in STAGES.items()
)
_SPECTRA = f"SELECT * FROM ({_STAGES}) ORDER BY stage = 'fgf(X)', stage = 'gf(X)', stage = 'f(X)', number"
_ROWS = f"""
    SELECT count(*) AS units, method, dim, max(rank) AS rank, max(optimum) AS optimum, {spread("gap", "gap")},
        {spread("largest_residual_gf", "residual")}, {spread("reconstruction_error", "reconstruction")}
    FROM ordered_rows WHERE noise = 0 GROUP BY method, dim ORDER BY {ORDER}, dim
"""
_PANELS = {
    "gap": "optimum − value (nats)",
    "residual": "largest distance of gf(x) to S",
    "reconstruction": "‖gf(X) − X‖/‖X‖",
}


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    panels = canvas.subplots(2, 2).ravel()
    spectrum, rows = tables["singular_values"], tables["methods"]
    paint_spectrum(panels[0], {stage: own["singular_value"] for (stage,), own in spectrum.groups("stage")})
    panels[0].set_yscale("linear")
    panels[0].set_ylim(0, 1.45 * max(spectrum.columns["singular_value"]))
    panels[0].set_title(f"exact, {D_Z} = {spectrum.columns['dim'][0]}, rank {spectrum.columns['rank'][0]}")
    panels[0].set_xlabel("number of the singular value")
    panels[0].set_ylabel("singular value")
    panels[0].legend(fontsize=7.5, loc="upper right", ncols=4, columnspacing=1.0, handlelength=2.5)
    for k, ((method,), own) in enumerate(rows.groups("method")):
        color, marker, dashes, words = METHODS[method]
        at = own["dim"] + 0.15 * (k - 1)
        look = {"color": color, "marker": marker, "markersize": 4, "linestyle": dashes, "linewidth": 1.1, "label": words}
        paint_spread(panels[1], at, own, "gap", own["optimum"], **look)
        paint_spread(panels[2], at, own, "residual", **look)
        middle, least, largest = (own[f"reconstruction{end}"] for end in ("", "_least", "_largest"))
        panels[3].errorbar(at, middle, np.stack([middle - least, largest - middle]), elinewidth=0.8, **look)
    for axes, words in zip(panels[1:], _PANELS.values(), strict=True):
        axes.axvline(rows.columns["rank"][0], color=INK, linewidth=0.8, linestyle=(0, (1, 2)), zorder=0, label=D_S)
        axes.set_ylabel(words)
        axes.set_xlabel(f"number of features {D_Z}")
        axes.xaxis.get_major_locator().set_params(integer=True)
    panels[3].set_ylim(bottom=0)
    handles = dict(zip(*reversed(panels[1].get_legend_handles_labels()), strict=True))
    canvas.legend(list(handles.values()), list(handles), loc="outside upper center", ncols=4)


FIGURE = Figure(
    name="ctrl_single",
    group="ctrl",
    title="One subspace: recovered, though not its samples",
    caption=(
        "At an equilibrium (exact) f(X) has the leading singular values of X, those of fgf(X) are the same, and gf(X) lies "
        "in S to within rounding, though the samples do not come back: in the median gf(X) is further from X than X is long. "
        "Ascent against the exact answer (GDmax) climbs towards the optimum, and with simultaneous steps of equal "
        "rates gf(X) need not lie in S."
    ),
    size=(7.2, 4.8),
    tables={"singular_values": Select("ctrl_single", _SPECTRA), "methods": Select("ctrl_single", _ROWS, least=2)},
    paint=paint,
    claims=("ctrl.single-subspace",),
)
