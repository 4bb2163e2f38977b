"""Networks trained with the utilities of the game, against the bound on every encoder, and a linear autoencoder beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import BLUE, GREEN, INK, ORANGE, VERMILION

from .ctrl_parts import spread

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

# What was trained: the network and the decoder's rate over the encoder's.
_CASE = (
    "CASE WHEN network = 'vae' THEN 'linear VAE' WHEN encoder_rate = decoder_rate THEN network || ', equal rates' "
    "ELSE network END"
)
_LOOKS: dict[str, tuple[str, str, Any]] = {
    "linear": (BLUE, "o", "solid"),
    "two-layer": (GREEN, "s", (0, (5, 1.5))),
    "two-layer, equal rates": (ORANGE, "^", (0, (4, 1.5, 1, 1.5))),
    "linear, equal rates": (ORANGE, "v", (0, (1, 1))),
    "linear VAE": (VERMILION, "D", (0, (1, 1))),
}
_CURVES = f"""
    SELECT unit, data, network_case, unnest(curve_step) AS step, unnest(curve_value) / upper_bound AS value_share,
        unnest(curve_distance) AS distance
    FROM (
        SELECT *, {_CASE} AS network_case FROM ordered_rows WHERE curve_value IS NOT NULL
        QUALIFY row_number() OVER (PARTITION BY data, {_CASE} ORDER BY seed) = 1
    ) ORDER BY data, network_case, step
"""
_ENDS = f"""
    SELECT count(*) AS units, data, {_CASE} AS network_case, max(num_steps) AS num_steps,
        {spread("value / upper_bound", "value_share")}, {spread("distance", "distance")},
        {spread("reconstruction_error", "reconstruction")}
    FROM ordered_rows GROUP BY data, network_case ORDER BY data DESC, network_case
"""


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    ends, curves = tables["ends"], tables["curves"]
    data = list(ends.groups("data"))
    panels = canvas.subplots(len(data), 3, squeeze=False)
    handles: dict[str, Any] = {}
    for row, ((name,), own) in zip(panels, data, strict=True):
        for (case,), end in own.groups("network_case"):
            color, marker, dashes = _LOOKS[case]
            at = list(_LOOKS).index(case)
            size = 8 - at  # the ends lie near each other
            curve = curves.where(data=name, network_case=case)
            for axes, column in zip(row[:2], ("value_share", "distance"), strict=True):
                axes.plot(curve["step"], curve[column], color=color, linestyle=dashes, linewidth=1.3)
                bar = np.stack([end[column] - end[f"{column}_least"], end[f"{column}_largest"] - end[column]])
                axes.errorbar(end["num_steps"], end[column], bar, color=color, marker=marker, markersize=size, zorder=4 + at)
            bar = np.stack(
                [end["reconstruction"] - end["reconstruction_least"], end["reconstruction_largest"] - end["reconstruction"]]
            )
            row[2].errorbar(end["reconstruction"], [at], xerr=bar, color=color, marker=marker, markersize=5, linestyle="")
            (handles[case],) = row[0].plot([], [], color=color, marker=marker, markersize=5, linestyle=dashes, linewidth=1.3)
        (handles["bound on every encoder"],) = row[0].plot(
            row[0].get_xlim(), [1, 1], color=INK, linewidth=0.8, linestyle=(0, (1, 2))
        )
        row[0].set_ylim(0, 1.08)
        row[1].set_yscale("log")
        row[1].minorticks_off()
        row[2].set_xlim(left=0)
        present = [k for k, case in enumerate(_LOOKS) if case in own.columns["network_case"]]
        row[2].set_yticks(present, [list(_LOOKS)[k].replace(", ", ",\n") for k in present])
        row[2].set_ylim(max(present) + 0.6, min(present) - 0.6)
        row[0].set_title(name)
        for axes, words in zip(row[:2], ("ΔR(f(X)) / bound", "Σ ΔR(f(Xⱼ), fgf(Xⱼ)) (nats)"), strict=True):
            axes.set_ylabel(words)
            axes.set_xlabel("step")
        row[2].set_xlabel("‖gf(X) − X‖/‖X‖ at the end")
        row[2].set_ylabel("trained")
    canvas.legend(list(handles.values()), list(handles), loc="outside upper center", ncols=3)


FIGURE = Figure(
    name="ctrl_networks",
    group="ctrl",
    title="Networks trained as encoder and decoder, against the bound",
    caption=(
        "With features of length one no encoder of any kind exceeds the bound on ΔR: with a decoder 100 times as fast the "
        "encoders climb towards it while their distance to what comes back falls, and at equal rates that distance stays "
        "large (curves: the first seed; markers: all seeds at the end). The linear VAE, which knows no classes, comes far "
        "nearer to the samples themselves, which transcription does not ask for."
    ),
    size=(7.2, 4.8),
    tables={"ends": Select("ctrl_networks", _ENDS), "curves": Select("ctrl_networks", _CURVES)},
    paint=paint,
)
