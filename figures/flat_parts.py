"""What the figures on flattening share: how manifolds look and are called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcr2_landscape.report.style import BLUE, GREEN, ORANGE, VERMILION

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Color and marker.
MANIFOLDS = {
    "sine": (BLUE, "o"),
    "cap": (GREEN, "s"),
    "roll": (ORANGE, "^"),
    "arc": (VERMILION, "D"),
}
ORDER = "CASE manifold " + " ".join(f"WHEN '{name}' THEN {k}" for k, name in enumerate(MANIFOLDS)) + " END"
# Of each manifold the fit of the first seed.
FIRST = "SELECT * FROM ordered_rows QUALIFY row_number() OVER (PARTITION BY manifold, extent ORDER BY seed) = 1"


def manifold_name(manifold: str, extent: float) -> str:
    """What a manifold of the study `flat_flow` is called."""
    if manifold == "sine":
        return "sine curve"
    if manifold == "arc":
        return f"arc of {extent:.3g} π"
    if manifold == "cap":
        return f"sphere cap of {180 * extent:.3g}°"
    return f"swiss roll, {extent:.3g} turns" if extent != 0.5 else "half a swiss roll"


def no_frame(axes: Axes) -> None:
    """Neither ticks nor frame: a picture."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
