"""How many directions a class keeps at the optimum of the game, and from which precision on it keeps all.

With a = d_z/ε² and gamma the share of the class among the samples, m directions that share ‖f(X_j)‖² = n_j evenly add

    m H(N/m),   H(y) = ½ [log(1 + √gamma y) − gamma log(1 + y/√gamma)],   N = a √gamma

to the encoder's utility, whatever n_j is. H is convex up to y = 1 and concave beyond, so that m H(N/m) rises with m up to N/tau
and falls from there on, with tau H'(tau) = H(tau): the best m is one of the two integers around N/tau, or the rank.

Source: docs/ctrl.md; the games are those of Pai, Psenka, Chiu, Wu, Dobriban, Ma, *Pursuit of a Discriminative Representation
for Multiple Subspaces via Sequential Games* (arXiv 2206.09120).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
import scipy.optimize

from mcr2_landscape.catalog.scalar import height as direction_height
from mcr2_landscape.catalog.scalar import log_excess
from mcr2_landscape.closed_form import check_epsilon
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, positive_integer, positive_real, real

_EPS = float(np.finfo(np.float64).eps)
_TIE = 64 * _EPS
_WHOLE = 1e-12  # of a class's size: what rounding of its share may add to it
_FEW = 1e-3  # a class of a smaller share has log(1 + √gamma y) near √gamma y, which cancels in the equations of both thresholds


@dataclass(frozen=True)
class Multiplicity(Record):
    """How many equal directions a class keeps at the optimum.

    **Fields:** `multiplicity` m*; `tied`, the other number that is as good to within rounding, `None` if there is none;
    `singular_value` √(n_j/m*) of each; `value`, what the class adds to the utility, m* H(N/m*).
    """

    multiplicity: int
    tied: int | None
    singular_value: float
    value: float


def height(y: float, proportion: float) -> float:
    """H(y), without cancellation.

    **Raises:** `InputError` for a proportion outside of (0, 1) or a negative y.
    """
    gamma, y = checked_proportion(proportion), real("y", y)
    if y < 0:
        raise InputError(f"y: found {y:g}; pass a number of at least zero")
    return _height(y, gamma)


def _height(y: float, gamma: float) -> float:
    return direction_height(1 / Fraction(gamma), Fraction(0), math.sqrt(gamma) * y)


def slope(y: float, gamma: float) -> float:
    """H'(y) = ½ y (1 − gamma)/((1 + √gamma y)(1 + y/√gamma))."""
    root = math.sqrt(gamma)
    return 0.5 * y * (1 - gamma) / ((1 + root * y) * (1 + y / root))


def checked_proportion(value: Any) -> float:
    """A class's share of the samples.

    **Raises:** `InputError` outside of (0, 1).
    """
    gamma = positive_real("proportion", value)
    if gamma >= 1:
        raise InputError(f"proportion: found {gamma:g}; pass the class's share of the samples, below one")
    return gamma


def value_of(multiplicity: int, capacity: float, gamma: float) -> float:
    """m H(N/m), what m equal directions add; 0 for none."""
    return multiplicity * _height(capacity / multiplicity, gamma) if multiplicity else 0.0


def capacity_of(proportion: float, dim: int, epsilon: float) -> float:
    """N = (d_z/ε²) √gamma."""
    return dim / epsilon**2 * math.sqrt(proportion)


@lru_cache(maxsize=4096)
def injectivity_bound(proportion: float) -> float:
    """tau(gamma), the limit of `full_rank_threshold` for large ranks, and a bound for all: the root of H(y) = y H'(y).

    **Raises:** `InputError` for a proportion outside of (0, 1).
    """
    gamma = checked_proportion(proportion)

    def excess(y: float) -> float:
        if gamma >= _FEW:
            return _height(y, gamma) - y * slope(y, gamma)
        u, v = math.sqrt(gamma) * y, y / math.sqrt(gamma)
        # log(1 + x) − x/(1 + x) of both, where the terms of first order in u are gone
        return log_excess(-u / (1 + u)) - gamma * (math.log1p(v) - v / (1 + v))

    high = 2.0
    while excess(high) < 0:
        high *= 2
    return _root(excess, 1.0, high)


@lru_cache(maxsize=4096)
def full_rank_threshold(rank: int, proportion: float) -> float:
    """rho_r(gamma): a class of that rank r keeps all its directions at every equilibrium iff r = 1 or N/r is above it; at
    equality r and r − 1 directions tie. 0 for r = 1.

    It solves r H(y) = (r − 1) H(y r/(r − 1)).

    **Raises:** `InputError` for a rank below one, or a proportion outside of (0, 1).

    >>> round(full_rank_threshold(2, 0.5), 6)
    1.540558
    """
    rank, gamma = positive_integer("rank", rank), checked_proportion(proportion)
    if rank == 1:
        return 0.0
    tau = injectivity_bound(gamma)

    def excess(y: float) -> float:
        more = y * rank / (rank - 1)
        if gamma >= _FEW:
            return rank * _height(y, gamma) - (rank - 1) * _height(more, gamma)
        root = math.sqrt(gamma)
        linear = (rank - 1) * log_excess(root * more) - rank * log_excess(root * y)
        return linear - gamma * (rank * math.log1p(y / root) - (rank - 1) * math.log1p(more / root))

    # at the lower end r − 1 directions are the best real number of them, at the upper end r are
    return _root(excess, tau * (rank - 1) / rank, tau)


def _root(excess: Callable[[float], float], low: float, high: float) -> float:
    return scipy.optimize.root_scalar(excess, bracket=(low, high), method="brentq", xtol=1e-15, rtol=4 * _EPS).root


def optimal_multiplicity(n: int, rank: int, proportion: float, dim: int, epsilon: float) -> Multiplicity:
    """The number m* ≤ rank of equal directions at which a class adds most to the encoder's utility.

    **Arguments:** `n`: samples in all; `rank`: of the class's span; `proportion`: the class's share gamma of the samples;
    `dim`: d_z; `epsilon`: the coding precision.

    **Raises:** `InputError` for numbers out of range, or a rank beyond the class's size.

    >>> optimal_multiplicity(20, 2, 0.5, 4, 1.3**0.5).multiplicity
    1
    """
    n, rank = positive_integer("n", n), positive_integer("rank", rank)
    gamma = checked_proportion(proportion)
    dim, epsilon, size = positive_integer("dim", dim), positive_real("epsilon", epsilon), n * gamma
    if rank > math.ceil(size * (1 - _WHOLE)):
        raise InputError(f"rank: found {rank}, but of {n} samples a share of {gamma:g} is {size:.6g}; pass at most that")
    check_epsilon(dim, (n,), epsilon)
    capacity = capacity_of(gamma, dim, epsilon)
    near = capacity / injectivity_bound(gamma)
    candidates = sorted({min(rank, max(1, m)) for m in (math.floor(near) if near < rank else rank, math.ceil(min(near, rank)))})
    values = [value_of(m, capacity, gamma) for m in candidates]
    best = int(np.argmax(values))
    ties = [
        m
        for m, value in zip(candidates, values, strict=True)
        if m != candidates[best] and values[best] - value <= _TIE * values[best]
    ]
    m = candidates[best]
    return Multiplicity(m, ties[0] if ties else None, math.sqrt(n * gamma / m), values[best])


def allocate(
    capacities: Sequence[float], proportions: Sequence[float], ranks: Sequence[int], dim: int, *, least: int = 0
) -> tuple[int, ...]:
    """The multiplicities least ≤ m_j ≤ r_j of mutually orthogonal classes with Σ m_j ≤ dim that add up to the largest utility;
    where several do, the first classes get more. Dynamic programming over the classes, for at least as many dimensions as they
    need."""
    best = np.zeros(dim + 1)
    choices = []
    for capacity, gamma, rank in zip(capacities, proportions, ranks, strict=True):
        own = np.array([value_of(m, capacity, gamma) if m >= least else -np.inf for m in range(min(rank, dim) + 1)])
        table = np.full((dim + 1, own.size), -np.inf)
        for m in range(own.size):
            table[m:, m] = best[: dim + 1 - m] + own[m]
        choices.append(table.argmax(axis=1))
        best = table.max(axis=1)
    left, found = int(best.argmax()), []
    for choice in reversed(choices):
        found.append(int(choice[left]))
        left -= found[-1]
    return tuple(reversed(found))
