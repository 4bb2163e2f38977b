"""What one direction of a class adds to F, as a function of its squared singular value."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from mcr2_landscape.catalog.scalar import (
    direction_value,
    existence_threshold,
    height,
    normalized_roots,
    value_threshold,
)
from mcr2_landscape.validation import InputError, positive_integer, positive_real, real


@dataclass(frozen=True)
class Profile:
    """The curve h_ρ(s) = ½ [log(1 + s) − log(1 + ρs)/ρ − ℓs] with s = αx and ℓ = λ/α, on which nothing else has an influence.

    **Fields:** `ell` = λ/α; `existence` and `crossing`: the ℓ above which h has no critical point s > 0, and that above which
    its maximum is below h(0) = 0 (λ_k/α and λ_k°/α of a class with this ratio). `s`, `height`, `slope` (h'): lists along the
    curve. `small_root` and `large_root`, minimum and maximum of h, missing above `existence`, with `small_height` and
    `large_height`; `residual`: the larger |h'| there, relative to its terms.
    """

    ell: float
    existence: float
    crossing: float
    s: tuple[float, ...]
    height: tuple[float, ...]
    slope: tuple[float, ...]
    small_root: float | None
    large_root: float | None
    small_height: float | None
    large_height: float | None
    residual: float | None


def profile(*, ratio: float, relative_regularization: float, num_points: int = 200, reach: float = 3.0) -> Profile:
    """The curve of a class of the ratio ρ = m/m_k at λ, relative to its threshold λ_k, from s = 0 to `reach` times the large
    root (the threshold's double root 1/√ρ, where there is none).

    **Raises:** `InputError` for a ratio of at most one, or other numbers out of range.
    """
    if real("ratio", ratio) <= 1:
        raise InputError(f"ratio: found {ratio:g}; pass m/m_k, which is above one")
    num_points = positive_integer("num_points", num_points, minimum=2)
    exact = Fraction(ratio)
    existence = existence_threshold(exact)
    ell = Fraction(positive_real("relative_regularization", relative_regularization) * existence)
    found = normalized_roots(exact, ell)
    end = positive_real("reach", reach) * (ratio**-0.5 if found is None else found.large)
    # Squares of even steps: the minimum lies close to zero.
    s = end * np.linspace(0.0, 1.0, num_points) ** 2

    def slope(at: np.ndarray) -> np.ndarray:
        return 0.5 * ((ratio - 1) * at / ((1 + at) * (1 + ratio * at)) - float(ell))

    both = None if found is None else slope(np.array([found.small, found.large]))
    return Profile(
        ell=float(ell),
        existence=existence,
        crossing=value_threshold(exact),
        s=tuple(s.tolist()),
        height=tuple(height(exact, ell, value) for value in s.tolist()),
        slope=tuple(slope(s).tolist()),
        small_root=None if found is None else found.small,
        large_root=None if found is None else found.large,
        small_height=None if found is None else height(exact, ell, found.small),
        large_height=direction_value(exact, ell),
        residual=None if both is None else float(np.abs(both).max()) / (0.5 * float(ell)),
    )
