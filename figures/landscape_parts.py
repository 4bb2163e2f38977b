"""What the figures on rate reduction share: which rows several of them draw, and what a logarithmic axis cannot show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes

# The smallest problem of a study of ascents, at the λ nearest to three.
_SMALLEST = """
    SELECT * FROM rows WHERE problem = 'regularized' QUALIFY dense_rank() OVER (ORDER BY dim, sizes) = 1
"""
NEAR = f"""
    SELECT * FROM ({_SMALLEST}) SEMI JOIN (
        SELECT DISTINCT arg_min(relative_regularization, abs(relative_regularization - wanted)) AS relative_regularization
        FROM ({_SMALLEST}) CROSS JOIN (VALUES (0.05), (0.3), (0.9)) AS w(wanted) GROUP BY wanted
    ) USING (relative_regularization)
"""
# Of ascents: the case whose classes differ most in size, with the smallest λ; its starts are numbered.
ASCENTS = """
    SELECT *, row_number() OVER (PARTITION BY problem ORDER BY seed, unit) AS start FROM (
        FROM rows QUALIFY dense_rank() OVER (PARTITION BY problem
            ORDER BY list_max(sizes) / list_min(sizes) DESC, dim, sizes, epsilon, scale, relative_regularization) = 1
    )
"""
# Of trainings: every loss at the λ nearest to 0.1 λ_max; its seeds are numbered.
RUNS = """
    SELECT *, row_number() OVER (PARTITION BY loss ORDER BY seed, unit) AS run,
        CASE loss WHEN 'regularized' THEN 1 WHEN 'mcr2' THEN 2 ELSE 3 END AS place,
        CASE loss WHEN 'regularized' THEN maximum WHEN 'mcr2' THEN sphere_maximum END AS optimum
    FROM (FROM rows QUALIFY dense_rank() OVER (PARTITION BY loss
        ORDER BY abs(ln(relative_regularization / 0.1)), relative_regularization) = 1)
"""


def mark_off_scale(axes: Axes, x: np.ndarray, y: np.ndarray, *, color: Any, label: str) -> None:
    """A triangle at the lower edge for each `y` of zero or less, which a logarithmic axis would leave out; they have a name in
    the legend once."""
    off = y <= 0
    if off.any():
        named = any(own.get_label() == label for own in axes.collections)
        axes.scatter(
            x[off], [0.02] * int(off.sum()), s=22, color=color, marker="v", edgecolor="white", linewidth=0.4, clip_on=False,
            transform=axes.get_xaxis_transform(), zorder=4, label=None if named else label,
        )  # fmt: skip
