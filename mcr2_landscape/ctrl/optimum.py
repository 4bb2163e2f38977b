"""The best that any encoder can do, in closed form, with an upper bound that proves it.

By Fischer's inequality classes do best when their images are orthogonal, logdet(I + b Σ P_j) ≤ Σ logdet(I + b P_j); each class
then adds at most m* H(N/m*) (see `multiplicity`). Where the m* directions of all classes do not fit into d_z dimensions, a
second bound helps: with t_j = ‖f(X_j)‖²/n_j ≤ 1 and δ ≥ rank f(X)

    Q ≤ ½ δ log(1 + a Σ gamma_j t_j/δ) − ½ Σ gamma_j log(1 + a t_j),

by the arithmetic–geometric mean inequality and det(I + P) ≥ 1 + tr P. With the δ that the classes in use allow, the maximum is
at zeros and ones (by water-filling over the classes). Source: docs/ctrl.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mcr2_landscape.catalog.scalar import log_excess
from mcr2_landscape.closed_form import check_epsilon
from mcr2_landscape.ctrl.multiplicity import Multiplicity, allocate, capacity_of, optimal_multiplicity, value_of
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, class_sizes, positive_integer, positive_real

_ENUMERATED = 16  # classes up to which all subsets are looked at
_EQUAL = 1e-13


@dataclass(frozen=True)
class Optimum(Record):
    """The optimum of the encoder's utility over the constraint set, its decoder answering.

    **Fields:** `value`: attained by mutually orthogonal classes of `multiplicities` m_j equal `singular_values` each, shape
    (K,). `upper_bound`: no encoder exceeds it. `decided`: the two agree, so that `value` is the optimum; otherwise it is the
    best of the orthogonal encoders, and `solve` looks for better ones. `tied`: for each class another multiplicity that is as
    good, or `None`. `lost`: dimensions of each class's span that the encoder maps to zero. `reason`: in words.
    """

    value: float
    upper_bound: float
    decided: bool
    multiplicities: tuple[int, ...]
    singular_values: np.ndarray = field(repr=False)
    tied: tuple[int | None, ...]
    lost: tuple[int, ...]
    reason: str


def optimum_of(sizes: tuple[int, ...], ranks: tuple[int, ...], dim: int, epsilon: float) -> Optimum:
    """The optimum for independent classes of these sizes and ranks."""
    n = sum(sizes)
    proportions = [size / n for size in sizes]
    free = [optimal_multiplicity(n, rank, gamma, dim, epsilon) for rank, gamma in zip(ranks, proportions, strict=True)]
    needed = sum(own.multiplicity for own in free)
    if needed <= dim:
        value = sum(own.value for own in free)
        words = f"Σ m* = {needed} directions fit into d_z = {dim}: the optimum by Fischer's inequality"
        return _made(value, value, sizes, ranks, [own.multiplicity for own in free], [own.tied for own in free], words)
    capacities = [capacity_of(gamma, dim, epsilon) for gamma in proportions]
    counts = allocate(capacities, proportions, ranks, dim)
    value = sum(value_of(m, *own) for m, own in zip(counts, zip(capacities, proportions, strict=True), strict=True))
    bound = upper_bound(sizes, ranks, dim, epsilon)
    words = f"Σ m* = {needed} directions do not fit into d_z = {dim}: the best of the orthogonal encoders"
    words += ", which equals the upper bound" if bound - value <= _EQUAL * value else f", {bound - value:.3g} below the bound"
    return _made(value, bound, sizes, ranks, list(counts), [None] * len(sizes), words)


def _made(
    value: float,
    bound: float,
    sizes: tuple[int, ...],
    ranks: tuple[int, ...],
    counts: list[int],
    tied: list[int | None],
    reason: str,
) -> Optimum:
    singular = np.array([np.sqrt(size / m) if m else 0.0 for size, m in zip(sizes, counts, strict=True)])
    lost = tuple(rank - m for rank, m in zip(ranks, counts, strict=True))
    return Optimum(
        value, bound, bound - value <= _EQUAL * max(value, 1e-300), tuple(counts), singular, tuple(tied), lost, reason
    )


def upper_bound(sizes: tuple[int, ...], ranks: tuple[int, ...], dim: int, epsilon: float) -> float:
    """No encoder's utility exceeds this, decoder answering; classes may be dependent. The smaller of both bounds.

    **Arguments:** `sizes` n_j and `ranks` r_j of at least two classes; `dim`: d_z; `epsilon`: the coding precision.

    **Raises:** `InputError` for numbers out of range, ranks beyond the sizes, or another number of ranks than of sizes.
    """
    sizes, dim, epsilon = class_sizes("sizes", sizes), positive_integer("dim", dim), positive_real("epsilon", epsilon)
    check_epsilon(dim, sizes, epsilon)
    ranks = _ranks(ranks, sizes)
    n, a = sum(sizes), dim / epsilon**2
    proportions = np.array(sizes) / n
    alone = [optimal_multiplicity(n, rank, gamma, dim, epsilon) for rank, gamma in zip(ranks, proportions, strict=True)]
    return min(_separate(alone), _shared(proportions, np.array(ranks), dim, a))


def _ranks(value: Any, sizes: tuple[int, ...]) -> tuple[int, ...]:
    if isinstance(value, (str, bytes)) or not isinstance(value, (Sequence, np.ndarray)) or len(value) != len(sizes):
        found = f"{len(value)} of them" if isinstance(value, (Sequence, np.ndarray)) else type(value).__name__
        raise InputError(f"ranks: found {found} for {len(sizes)} classes; pass one a class")
    ranks = tuple(positive_integer(f"ranks[{j}]", rank) for j, rank in enumerate(value))
    for j, (rank, size) in enumerate(zip(ranks, sizes, strict=True)):
        if rank > size:
            raise InputError(f"ranks[{j}]: found {rank} for a class of {size} samples; pass at most that")
    return ranks


def _separate(alone: list[Multiplicity]) -> float:
    return sum(own.value for own in alone)


def _shared(proportions: np.ndarray, ranks: np.ndarray, dim: int, a: float) -> float:
    """The second bound: over all subsets of classes that are not zero or, for many classes, over all shares of the samples."""
    if proportions.size <= _ENUMERATED:
        chosen = (np.arange(1, 2**proportions.size)[:, None] >> np.arange(proportions.size)) & 1
        share, room = chosen @ proportions, np.minimum(chosen @ ranks, dim)
        return max(_frame(float(u), float(r), a) for u, r in zip(share, room, strict=True))
    room = min(dim, int(ranks.sum()))
    # concave in the share: the derivative ½ a/(1 + a u/room) = ½ log(1 + a) gives the maximum
    share = min(1.0, room * log_excess(a) / (a * float(np.log1p(a))))
    return _frame(share, room, a)


def _frame(share: float, room: float, a: float) -> float:
    """½ room log(1 + a share/room) − ½ share log(1 + a), what is of first order in a left out of both: it cancels."""
    if a <= 0.5:
        return 0.5 * (share * log_excess(a) - room * log_excess(a * share / room))
    return 0.5 * (room * float(np.log1p(a * share / room)) - share * float(np.log1p(a)))
