"""From which precision on all directions of a class are kept, and how many below."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import BLUE, D_Z, GRAY, GREEN, INK, ORANGE, PURPLE, SKY, VERMILION

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

_LOOKS = (
    *((BLUE, "o", "solid"), (ORANGE, "s", (0, (5, 1.5))), (GREEN, "^", (0, (4, 1.5, 1, 1.5))), (PURPLE, "D", (0, (2, 1)))),
    *((SKY, "v", "solid"), (VERMILION, "P", (0, (5, 1.5)))),
)
# Four ranks at most, the smallest three and the largest; one share of the samples, that nearest to a third.
_RANKS = """
    SELECT * FROM rows
    QUALIFY dense_rank() OVER (ORDER BY rank) <= 3 OR dense_rank() OVER (ORDER BY rank DESC) = 1
"""
_THRESHOLDS = f"""
    SELECT unit, proportion, rank, threshold, searched_threshold, bound FROM ({_RANKS}) ORDER BY rank, proportion
"""
_KEPT = f"""
    SELECT unit, proportion, rank, unnest(precision) AS precision, unnest(kept) AS kept, unnest(searched) AS searched
    FROM ({_RANKS}) QUALIFY dense_rank() OVER (ORDER BY abs(ln(3 * proportion))) = 1 ORDER BY rank, precision
"""
_SHARES = f"SELECT *, kept / rank AS kept_share, searched / rank AS searched_share FROM ({_KEPT})"


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    left, right = canvas.subplots(1, 2)
    thresholds, kept = tables["thresholds"], tables["kept"]
    for (color, marker, dashes), ((rank,), own) in zip(_LOOKS, thresholds.groups("rank"), strict=False):
        left.plot(own["proportion"], own["threshold"], color=color, linestyle=dashes, linewidth=1.3)
        left.plot(
            own["proportion"], own["searched_threshold"], color=color, marker=marker, markersize=4, linestyle="", markevery=2
        )
        curve = kept.where(rank=rank)
        right.plot(curve["precision"], curve["kept_share"], color=color, linestyle=dashes, linewidth=1.3, drawstyle="steps-mid")
        right.plot(
            curve["precision"], curve["searched_share"], color=color, marker=marker, markersize=3, linestyle="", markevery=3
        )
        left.plot([], [], color=color, linestyle=dashes, marker=marker, markersize=4, linewidth=1.3, label=f"r = {rank}")
    one = next(iter(thresholds.groups("rank")))[1]
    left.plot(one["proportion"], one["bound"], color=INK, linewidth=1.0, label="τ, for any r")
    for axes, line in ((left, left.axhline), (right, right.axvline)):
        line(1.0, color=GRAY, linewidth=1.2, linestyle=(0, (1, 2)), label="the condition as recalled" if axes is left else None)
    left.set_xscale("log")
    left.set_xlabel("share γ of the samples")
    left.set_ylabel("all r kept from N/r = ρ on")
    left.set_ylim(bottom=0.9)
    right.set_xlabel(f"precision N/r, N = ({D_Z}/ε²)√γ")
    right.set_ylabel("directions kept, over r")
    right.set_ylim(0, 1.06)
    right.set_title(f"γ = {kept.columns['proportion'][0]:.3g}")
    canvas.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=6)


FIGURE = Figure(
    name="ctrl_threshold",
    group="ctrl",
    title="How many directions of a class are kept, over the precision",
    caption=(
        "A class is kept whole from a precision ρ on that grows with its rank and as its share of the samples falls, up to "
        "τ, and always beyond the condition N/r ≥ 1 as it is recalled (dotted), at which directions are lost. Lines are the "
        "closed form, markers the best of all numbers of directions tried out, and they agree."
    ),
    size=(7.2, 3.2),
    tables={"thresholds": Select("ctrl_threshold", _THRESHOLDS, least=2), "kept": Select("ctrl_threshold", _SHARES, least=2)},
    paint=paint,
    claims=("ctrl.injectivity", "ctrl.precision.printed"),
)
