"""Where the class tokens of labeled images sit in the landscape of the regularized rate reduction, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mcr2_landscape.analysis import analyze_features
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError


@dataclass(frozen=True)
class ClassTokenPosition(Record):
    """The class tokens that leave one layer, as labeled features at the scale at which F is largest.

    **Fields:** `state`, "trained" or "random"; `layer` from 1. `rate_reduction` ΔR and `value` F of them at that scale, lambda
    half of its limit; `maximum`, the global maximum of F in closed form. `relative_gradient_norm`, zero at a critical point;
    `top_eigenvalue` of the Hessian, positive where F bends upwards along some direction. `rank`: the dimensions they span.
    """

    state: str
    layer: int
    rate_reduction: float
    value: float
    maximum: float
    relative_gradient_norm: float
    top_eigenvalue: float
    rank: int


def class_token_positions(
    state: str, tokens: Any, labels: Any, *, epsilon: float = 0.5, notes: list[str] | None = None
) -> tuple[ClassTokenPosition, ...]:
    """One position a layer.

    **Arguments:** `tokens` of shape (layers, n, d); `labels`, one an image. `notes`: a layer whose tokens are all equal or
    zero, which have no position, is left out and said there.
    """
    found = []
    for place, features in enumerate(np.asarray(tokens, dtype=np.float64)):
        try:
            one = analyze_features(features, labels, epsilon=epsilon, normalize="scale", ascent=False)
        except InputError as error:
            if notes is not None:
                notes.append(f"the class tokens after layer {place + 1} ({state}) have no position: {error}")
            continue
        rates = one.rates
        found.append(
            ClassTokenPosition(
                state,
                place + 1,
                rates.rate_reduction,
                rates.value,
                rates.value + one.gap,
                one.position.relative_gradient_norm,
                one.curvature.top_eigenvalue,
                one.rank,
            )
        )
    return tuple(found)
