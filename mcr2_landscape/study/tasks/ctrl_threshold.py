"""How many directions of a class the encoder keeps: the closed form, beside all numbers of directions tried out.

Source: docs/ctrl.md, the optimum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mcr2_landscape.validation import InputError, positive_integer, positive_real

_STEPS = 60  # of a bisection, which leave an interval of 2⁻⁶⁰ of its length


@dataclass(frozen=True)
class CtrlThreshold:
    """One class of rank r and share γ among the samples.

    **Fields:** `threshold` ρ_r(γ) and its `bound` τ(γ) in closed form: all r directions are kept iff N/r is above ρ_r.
    `searched_threshold`: where r directions begin to be worth more than any smaller number of them, by bisection.
    `threshold_error`: their relative difference. Lists over the precisions N/r of the study, `precision`: `kept` m* in closed
    form; `searched`, the number of 1 … r directions of the largest value; `value` and `searched_value`, what they add to the
    encoder's utility; `full_value`, what all r add.
    """

    threshold: float
    bound: float
    searched_threshold: float
    threshold_error: float
    precision: tuple[float, ...]
    kept: tuple[int, ...]
    searched: tuple[int, ...]
    value: tuple[float, ...]
    searched_value: tuple[float, ...]
    full_value: tuple[float, ...]


def ctrl_threshold(
    *, proportion: float, rank: int, lowest: float = 0.2, highest: float = 3.0, num_precisions: int = 57
) -> CtrlThreshold:
    """Thresholds and multiplicities of a class.

    **Arguments:** `proportion`: the class's share γ of the samples; `rank` r, at least 2; `lowest`, `highest`,
    `num_precisions`: the precisions N/r, evenly spaced.

    **Raises:** `InputError` for numbers out of range.
    """
    from mcr2_landscape.ctrl import full_rank_threshold, injectivity_bound, optimal_multiplicity

    rank = positive_integer("rank", rank, minimum=2)
    lowest, highest = positive_real("lowest", lowest), positive_real("highest", highest)
    if lowest >= highest:
        raise InputError(f"lowest: found {lowest:g}; pass less than highest, {highest:g}")
    precisions = np.linspace(lowest, highest, positive_integer("num_precisions", num_precisions, minimum=2))
    threshold = full_rank_threshold(rank, proportion)
    # The number of samples does not matter, as long as the class has as many as dimensions.
    samples = int(np.ceil(2 * rank / proportion))
    found = []
    for y in precisions:
        # N = (d_z/ε²) √γ is y r
        epsilon = float(np.sqrt(rank * np.sqrt(proportion) / (y * rank)))
        found.append(optimal_multiplicity(samples, rank, proportion, rank, epsilon))
    tables = [values(rank, proportion, float(y)) for y in precisions]
    searched = searched_threshold(rank, proportion)
    return CtrlThreshold(
        threshold=threshold,
        bound=injectivity_bound(proportion),
        searched_threshold=searched,
        threshold_error=abs(searched / threshold - 1),
        precision=tuple(precisions.tolist()),
        kept=tuple(own.multiplicity for own in found),
        searched=tuple(int(own.argmax()) + 1 for own in tables),
        value=tuple(own.value for own in found),
        searched_value=tuple(float(own.max()) for own in tables),
        full_value=tuple(float(own[-1]) for own in tables),
    )


def values(rank: int, proportion: float, precision: float) -> np.ndarray:
    """What 1 … r equal directions add to the utility, m h(n_j/m), from the definition of the rate reduction: with
    a = d_z/ε² = N/√γ, h(n_j/m) = ½ [log(1 + aγ/m) − γ log(1 + a/m)]."""
    m = np.arange(1, rank + 1)
    a = precision * rank / np.sqrt(proportion)
    return 0.5 * m * (np.log1p(a * proportion / m) - proportion * np.log1p(a / m))


def searched_threshold(rank: int, proportion: float) -> float:
    """The largest precision N/r at which a smaller number of directions is worth as much as all r."""

    def all_are_best(precision: float) -> bool:
        own = values(rank, proportion, precision)
        return bool(own[-1] > own[:-1].max())

    low, high = 1e-3, 1.0
    while not all_are_best(high):
        high *= 2
    for _ in range(_STEPS):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if all_are_best(middle) else (middle, high)
    return high
