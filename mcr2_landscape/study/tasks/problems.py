"""What several tasks need: a problem from the parameters of a study, and short lists from long ones.

A unit's identity covers the text of what its task imports, so that a change here changes the identities of all tasks that use
it: keep this short.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mcr2_landscape import catalog
from mcr2_landscape.closed_form import Parameters
from mcr2_landscape.validation import positive_real

if TYPE_CHECKING:
    from mcr2_landscape.mcr2 import MCR2


def parameters(dim: int, sizes: tuple[int, ...], epsilon: float, relative_regularization: float) -> Parameters:
    """The problem's numbers, lambda as a multiple of the limit up to which every class has critical directions.

    **Raises:** `InputError` for numbers out of range.
    """
    relative = positive_real("relative_regularization", relative_regularization)
    limit = catalog.regularization_limit(Parameters(dim, sizes, epsilon, 1.0))
    return Parameters(dim, sizes, epsilon, relative * limit)


def problem(dim: int, sizes: tuple[int, ...], epsilon: float, relative_regularization: float) -> MCR2:
    """The regularized problem; see `parameters`."""
    from mcr2_landscape.mcr2 import MCR2

    p = parameters(dim, sizes, epsilon, relative_regularization)
    return MCR2(p.dim, p.sizes, p.epsilon, p.regularization)


def thinned(length: int, count: int) -> np.ndarray:
    """At most `count` of the positions 0 … length − 1, evenly, the first and the last among them."""
    return np.unique(np.linspace(0, length - 1, min(length, count)).round().astype(int))


def finite(values: np.ndarray) -> tuple[float | None, ...]:
    """Numbers as a list column: NaN, which stands for a number that does not exist, as a missing value."""
    return tuple(float(value) if np.isfinite(value) else None for value in values)
