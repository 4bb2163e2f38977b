"""What the figures on closed-loop transcription share: how methods and stages look, and questions that several of them ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mcr2_landscape.gallery.figure import Table
from mcr2_landscape.report.style import BLUE, GREEN, INK, ORANGE, VERMILION

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Color, marker, dashes and name. The markers differ in size where one lies on another.
METHODS = {
    "exact": (BLUE, "o", "solid", "exact"),
    "gdmax": (GREEN, "s", (0, (5, 1.5)), "GDmax"),
    "simultaneous": (ORANGE, "^", (0, (4, 1.5, 1, 1.5)), "simultaneous"),
    "reference": (VERMILION, "D", (0, (1, 1)), "reference"),
}
STAGES = {"x": "X", "f": "f(X)", "gf": "gf(X)", "fgf": "fgf(X)"}
ORDER = "CASE method " + " ".join(f"WHEN '{name}' THEN {k}" for k, name in enumerate(METHODS)) + " END"
# Of each method the first game at the noise nearest to 0.01.
FIRST_GAMES = "SELECT * FROM ordered_rows QUALIFY row_number() OVER (PARTITION BY method ORDER BY abs(noise - 0.01), seed) = 1"
FLOOR = 1e-16
_ROUNDING = 1e-12


def spectra(chosen: str, columns: str) -> str:
    """Singular values at each stage, of all classes together (class 0) and of each, of the rows that `chosen` selects;
    `columns` of these rows come along."""
    parts = []
    for stage, name in STAGES.items():
        parts.append(
            f"SELECT {columns}, '{name}' AS stage, 0 AS class, unnest(range(1, len(spectrum_{stage}) + 1)) AS number, "
            f"unnest(spectrum_{stage}) AS singular_value FROM ({chosen})"
        )
        parts.append(
            f"SELECT {columns}, stage, class, unnest(range(1, len(own) + 1)) AS number, unnest(own) AS singular_value FROM "
            f"(SELECT {columns}, '{name}' AS stage, unnest(range(1, len(class_spectra_{stage}) + 1)) AS class, "
            f"unnest(class_spectra_{stage}) AS own FROM ({chosen}))"
        )
    return " UNION ALL ".join(parts)


def spread(number: str, name: str) -> str:
    """Median, least and largest of a number over the rows of a group."""
    ends = {"": "median", "_least": "min", "_largest": "max"}
    return ", ".join(f"{how}({number}) AS {name}{end}" for end, how in ends.items())


def heights(numbers: np.ndarray, scale: np.ndarray | float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Where numbers stand on a logarithmic axis, and which of them are negative by more than rounding, 1e-12 of `scale`.

    Those stand as high as they are low, to be marked; all else below 1e-16 stands there.
    """
    negative = numbers < -np.maximum(_ROUNDING * np.abs(scale), FLOOR)
    return np.where(negative, -numbers, np.maximum(numbers, FLOOR)), negative


def paint_spread(axes: Axes, at: np.ndarray, own: Table, name: str, scale: np.ndarray | float = 0.0, **look: Any) -> None:
    """Medians, with bars from the least to the largest, on a logarithmic axis.

    What is negative by more than rounding, as no gap to a bound that holds is, gets a cross and its number.
    """
    axes.set_yscale("log")
    axes.minorticks_off()
    middle, below = heights(own[name], scale)
    axes.plot(at, np.where(below, np.nan, middle), **look)
    least, largest = (np.maximum(own[f"{name}_{end}"], FLOOR) for end in ("least", "largest"))
    axes.vlines(at, least, largest, color=look["color"], linewidth=0.8)
    crosses = set()
    for numbers in (own[name], own[f"{name}_least"], own[f"{name}_largest"]):
        height, below = heights(numbers, scale)
        crosses |= set(zip(at[below].tolist(), height[below].tolist(), strict=True))
    for x, y in sorted(crosses):
        axes.plot([x], [y], color=INK, marker="X", markersize=7, linestyle="", zorder=6)
        axes.annotate(f"exceeds by {y:.1e}", (x, y), xytext=(4, 3), textcoords="offset points", fontsize=6.5)


def counts(groups: str = "cosine_classes") -> str:
    """How many samples of each class, in its order, are in a picture of cosines."""
    return f"list_transform(list_sort(list_distinct({groups})), lambda k: len(list_filter({groups}, lambda own: own = k)))"
