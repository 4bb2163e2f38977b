"""The global maximum at every regularization."""

from __future__ import annotations

from dataclasses import dataclass

from mcr2_landscape.catalog.blocks import line
from mcr2_landscape.catalog.families import Family
from mcr2_landscape.catalog.scalar import (
    class_ratio,
    direction_value,
    normalized_regularization,
    normalized_roots,
    value_threshold,
)
from mcr2_landscape.closed_form import Parameters
from mcr2_landscape.record import Record

# lambda equals the value threshold to within the rounding of a lambda that was computed as alpha times it.
_ZERO_VALUE = 2.0**-48


@dataclass(frozen=True)
class GlobalMaximum(Record):
    """The global maximum of the objective.

    **Fields:** `value`, `family` (of points that attain it) and `unique`: whether these are all. They are not when classes of
    equal size compete for the last dimensions, or when a direction that would fit has the value zero.
    """

    value: float
    family: Family
    unique: bool


def global_maximum(p: Parameters) -> GlobalMaximum:
    """The global maximum, at every regularization, above the range of the printed theorems too.

    The classes whose directions have a positive value at the large root (lambda below the value threshold of `thresholds`) are
    filled in increasing size, each to its capacity min(m_k, d), until all d dimensions are used. Wang et al. (ICML 2024) print
    the global maximizers with all min(m, d) dimensions used, which holds while every class concerned is below its value
    threshold; the theorem on the global maximum in docs/theory.md has no such hypothesis.
    """
    ell = normalized_regularization(p)
    remaining, unique = p.dim, True
    counts = [0] * p.num_classes
    for size in sorted(set(p.sizes)):
        classes = [k for k in range(p.num_classes) if p.sizes[k] == size]
        ratio = class_ratio(p, classes[0])
        if remaining == 0 or normalized_roots(ratio, ell) is None:
            continue
        if abs(value_threshold(ratio) - float(ell)) <= _ZERO_VALUE * float(ell):
            unique = False
            continue
        value = direction_value(ratio, ell)
        if value is None or value <= 0:
            continue
        if len(classes) > 1 and remaining < sum(p.widths[k] for k in classes):
            unique = False
        for k in classes:
            counts[k] = min(p.widths[k], remaining)
            remaining -= counts[k]
    family = Family(p, tuple((line(p.num_classes, k), count) for k, count in enumerate(counts) if count))
    return GlobalMaximum(family.value, family, unique)
