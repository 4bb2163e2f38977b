"""A step against the gradient of R_c beside denoising: over tokens a dimension, the noise, and the coefficients' variance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import BLUE, GREEN, INK, ORANGE, VERMILION, plain_logarithms

from .ctrl_parts import spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

# Of different sizes and not filled, since they lie on one another.
_LOOKS = ((BLUE, "o", 4.0), (ORANGE, "s", 6.5), (GREEN, "^", 4.0), (VERMILION, "D", 6.5))
_LAW = (0, (4, 3))
_SETTING = "rank, heads, epsilon, exponent, noise, variance"
_SPREADS = ", ".join(spread(name, name) for name in ("cosine", "step_gain", "best_gain", "posterior_gain", "assignment_error"))
# What is swept has at least three values where all else is the same.
_SWEEP = f"""
    SELECT count(*) AS units, {_SETTING}, tokens_per_dimension, any_value(predicted_cosine) AS predicted_cosine,
        any_value(predicted_gain) AS predicted_gain, {_SPREADS}
    FROM rows GROUP BY {_SETTING}, tokens_per_dimension QUALIFY count(*) OVER (PARTITION BY {_SETTING}) > 2
    ORDER BY exponent, rank, noise, tokens_per_dimension
"""
_NOISE = f"""
    SELECT count(*) AS units, rank, size, {_SETTING}, any_value(predicted_cosine) AS predicted_cosine, {_SPREADS}
    FROM rows WHERE size {{}} rank GROUP BY size, {_SETTING}
    QUALIFY count(*) OVER (PARTITION BY rank, size, heads, epsilon, exponent, variance) > 2 ORDER BY exponent DESC, noise
"""


def precision_of(epsilon: float, exponent: float) -> str:
    """How the precision depends on the noise, in words."""
    if exponent == 0:
        return f"eps = {epsilon:g}"
    power = {1.0: "", 4 / 3: "$^{4/3}$"}.get(exponent, f"$^{{{exponent:.3g}}}$")
    return f"eps² = {'' if epsilon == 1 else f'{epsilon**2:g} '}noise{power}"


def _points(axes: Axes, x: str, own: Table, name: str, look: tuple[str, str, float], label: str = "") -> None:
    """Medians over the draws, with bars from the least to the largest."""
    color, marker, size = look
    axes.vlines(own[x], own[f"{name}_least"], own[f"{name}_largest"], color=color, linewidth=0.9)
    axes.plot(own[x], own[name], color=color, marker=marker, markersize=size, linestyle="", label=label, markerfacecolor="none")


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    panels = canvas.subplots(2, 3)
    (cosines, gains, words), (noises, many, assignment) = panels
    sweep, few, crowd = (tables[name] for name in ("tokens", "noise", "many"))
    x = np.linspace(0.7 * float(sweep["tokens_per_dimension"].min()), float(sweep["tokens_per_dimension"].max()), 400)
    cosines.plot(x, np.sqrt(np.maximum(1 - x, 0)), color=INK, linewidth=0.9, linestyle=_LAW, label="law for little noise")
    gains.plot(x, np.maximum(1 / np.sqrt(x), 1), color=INK, linewidth=0.9, linestyle=_LAW)
    for k, ((rank, epsilon, exponent, noise), own) in enumerate(sweep.groups("rank", "epsilon", "exponent", "noise")):
        name = f"p = {rank}, noise {noise:.0e},\n{precision_of(epsilon, exponent)}"
        _points(cosines, "tokens_per_dimension", own, "cosine", _LOOKS[k % len(_LOOKS)], name)
        _points(gains, "tokens_per_dimension", own, "step_gain", _LOOKS[k % len(_LOOKS)], name)
    for axes in (cosines, gains):
        axes.set_xlabel("n/p")
    cosines.set_ylabel("cosine")
    gains.set_ylabel("gain of a step 1/alpha")
    gains.set_yscale("log")
    for k, ((epsilon, exponent), own) in enumerate(few.groups("epsilon", "exponent")):
        _points(noises, "noise", own, "cosine", _LOOKS[k % len(_LOOKS)], precision_of(epsilon, exponent))
    noises.axhline(float(few["predicted_cosine"][0]), color=INK, linewidth=0.9, linestyle=_LAW)
    noises.set_ylabel("cosine")
    noises.legend(loc="lower right", handletextpad=0.2, borderpad=0)
    for name, look, label in (
        ("posterior_gain", (GREEN, "D", 4.0), "posterior mean"),
        ("best_gain", (VERMILION, "o", 4.0), "best step"),
    ):
        _points(many, "noise", crowd, name, look, label)
    many.set_ylabel("gain")
    many.legend(loc="upper right", handletextpad=0.2, borderpad=0)
    _points(assignment, "noise", crowd, "assignment_error", (BLUE, "o", 4.0))
    assignment.set_ylabel("error of the printed\nassignment")
    for axes, table in ((noises, few), (many, crowd), (assignment, crowd)):
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.minorticks_off()
        axes.set_xlabel("noise")
        axes.set_title(f"p = {table.columns['rank'][0]}, n = {table.columns['size'][0]}", fontsize=8)
    for axes in (gains, many):
        plain_logarithms(axes.yaxis)
    words.set_axis_off()
    words.legend(*cosines.get_legend_handles_labels(), loc="center", labelspacing=0.8)


FIGURE = Figure(
    name="denoising_alignment",
    group="whitebox",
    title="How far a step of compression is one of denoising",
    caption=(
        "Above, for n tokens of each of the subspaces of p dimensions, the cosine of −∇R_c with the way to a token's own "
        "subspace, and what one step 1/alpha multiplies signal over noise by (medians of draws with bars from the least to the "
        "largest), beside the laws √(1 − n/p) and √(p/n) that theory has for little noise and n < p. Below, the cosine over "
        "the noise with eps that follows it and with a fixed one (dashed: the law), and for many tokens the gain of the best "
        "step beside the posterior mean's, and the largest error of the responsibilities as they are printed."
    ),
    size=(7.2, 4.4),
    tables={
        "tokens": Select("denoising", _SWEEP, least=3),
        "noise": Select("denoising", _NOISE.format("<"), least=3),
        "many": Select("denoising", _NOISE.format(">="), least=3),
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
