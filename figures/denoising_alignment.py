"""A step against the gradient of R_c beside denoising: over tokens a dimension, the noise, and the coefficients' variance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import BLUE, GREEN, INK, ORANGE, VERMILION, shared_legend

from .ctrl_parts import spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

_LOOKS = ((BLUE, "o"), (ORANGE, "s"), (GREEN, "^"), (VERMILION, "D"))
_SETTING = "rank, heads, epsilon, exponent, noise, variance"
_SPREADS = ", ".join(spread(name, name) for name in ("cosine", "step_gain", "best_gain"))
# What is swept has at least three values where all else is the same.
_SWEEP = f"""
    SELECT count(*) AS units, {_SETTING}, tokens_per_dimension, any_value(predicted_cosine) AS predicted_cosine,
        any_value(predicted_gain) AS predicted_gain, min(posterior_gain) AS posterior_gain, {_SPREADS}
    FROM rows GROUP BY {_SETTING}, tokens_per_dimension QUALIFY count(*) OVER (PARTITION BY {_SETTING}) > 2
    ORDER BY exponent, rank, noise, tokens_per_dimension
"""
_NOISE = f"""
    SELECT count(*) AS units, rank, size, heads, epsilon, exponent, noise, variance,
        any_value(predicted_cosine) AS predicted_cosine, {_SPREADS}
    FROM rows GROUP BY rank, size, heads, epsilon, exponent, noise, variance
    QUALIFY count(*) OVER (PARTITION BY rank, size, heads, epsilon, exponent, variance) > 2 ORDER BY exponent DESC, noise
"""
_ASSIGNMENT = f"""
    SELECT count(*) AS units, rank, heads, noise, variance, {spread("assignment_error", "error")}
    FROM rows GROUP BY rank, size, heads, epsilon, exponent, noise, variance
    QUALIFY count(*) OVER (PARTITION BY rank, size, heads, epsilon, exponent, noise) > 2 ORDER BY variance
"""


def precision_of(epsilon: float, exponent: float) -> str:
    """How the precision depends on the noise, in words."""
    if exponent == 0:
        return f"eps = {epsilon:g}"
    power = {1.0: "", 4 / 3: "$^{4/3}$"}.get(exponent, f"$^{{{exponent:.3g}}}$")
    return f"eps² = {'' if epsilon == 1 else f'{epsilon**2:g} '}noise{power}"


def _points(axes: Axes, at: np.ndarray, own: Table, name: str, color: str, marker: str, label: str) -> None:
    """Medians over the draws, with bars from the least to the largest."""
    axes.vlines(at, own[f"{name}_least"], own[f"{name}_largest"], color=color, linewidth=0.9)
    axes.plot(at, own[name], color=color, marker=marker, markersize=3.8, linestyle="", label=label)


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    (cosines, gains), (noises, assignment) = canvas.subplots(2, 2)
    sweep = tables["tokens"]
    top = float(sweep["tokens_per_dimension"].max())
    x = np.linspace(1e-3, top, 400)
    cosines.plot(x, np.sqrt(np.maximum(1 - x, 0)), color=INK, linewidth=0.9, linestyle=(0, (4, 3)), label="√(1 − n/p), or 0")
    gains.plot(x, np.maximum(1 / np.sqrt(x), 1), color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
    for k, ((rank, epsilon, exponent, noise), own) in enumerate(sweep.groups("rank", "epsilon", "exponent", "noise")):
        color, marker = _LOOKS[k % len(_LOOKS)]
        name = f"p = {rank}, {precision_of(epsilon, exponent)}, noise {noise:.0e}"
        # Side by side, since they lie on one another.
        at = own["tokens_per_dimension"] + 0.008 * (k - 1) * top
        _points(cosines, at, own, "cosine", color, marker, name)
        _points(gains, at, own, "step_gain", color, marker, name)
    gains.set_yscale("log")
    least = float(sweep["posterior_gain"].min())
    gains.set_title(f"the posterior mean: at least {least:.0e}", fontsize=8)
    for axes in (cosines, gains):
        axes.set_xlabel("tokens over dimensions, n/p")
    cosines.set_ylabel("cosine of −∇R$_c$ and P z − z")
    gains.set_ylabel("gain of a step 1/alpha")
    found = tables["noise"]
    for k, ((epsilon, exponent), own) in enumerate(found.groups("epsilon", "exponent")):
        _points(noises, own["noise"], own, "cosine", *_LOOKS[k % len(_LOOKS)], precision_of(epsilon, exponent))
    noises.axhline(float(found["predicted_cosine"][0]), color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
    noises.set_xscale("log")
    noises.set_yscale("log")
    noises.set_xlabel("noise")
    noises.set_ylabel("cosine of −∇R$_c$ and P z − z")
    noises.set_title(f"p = {found.columns['rank'][0]}, n = {found.columns['size'][0]}", fontsize=8)
    noises.legend(loc="lower right")
    own = tables["assignment"]
    _points(assignment, own["variance"], own, "error", BLUE, "o", "")
    assignment.set_xscale("log")
    assignment.set_yscale("log")
    assignment.set_xlabel("variance of the coefficients")
    assignment.set_ylabel("error of the printed\nassignment")
    assignment.set_title(f"p = {own.columns['rank'][0]}, noise {own.columns['noise'][0]:g}", fontsize=8)
    for axes in (noises, assignment):
        axes.minorticks_off()
    canvas.legend(*cosines.get_legend_handles_labels(), loc="outside upper center", ncols=2)


FIGURE = Figure(
    name="denoising_alignment",
    group="whitebox",
    title="How far a step of compression is one of denoising",
    caption=(
        "Above, the cosine of −∇R_c with the way to a token's own subspace, and what one step 1/alpha multiplies signal over "
        "noise by (medians of draws with least and largest), beside the laws √(1 − n/p) and √(p/n) of infinitesimal noise, for "
        "n tokens of each of the subspaces of p dimensions; the posterior mean's gain stands in the title. Below, the cosine "
        "over the noise, with eps that follows the noise and with a fixed one, beside the law's value (dashed), and the "
        "largest error of the responsibilities as printed, which are those of infinite variance."
    ),
    size=(7.2, 5.4),
    tables={
        "tokens": Select("denoising", _SWEEP, least=3),
        "noise": Select("denoising", _NOISE, least=3),
        "assignment": Select("denoising", _ASSIGNMENT, least=3),
    },
    paint=paint,
    claims=(
        "crate-mae.nearest-subspace.printed",
        "crate-mae.nearest-subspace.corrected",
        "crate-mae.shrinkage",
        "crate-mae.responsibilities.printed",
        "crate-mae.responsibilities.corrected",
    ),
)
