"""What a Lanczos run from a random vector says about the eigenvalues that it has not seen: bounds that hold with a stated
probability.

Let q_1 be uniform on the sphere of V, u a unit eigenvector of the operator there, λ its eigenvalue, and T = Qᵀ A Q tridiagonal
with A Q = Q T + β_k q_{k+1} e_kᵀ + E, ‖E‖ ≤ ρ. The overlaps x_j = ⟨q_j, u⟩ satisfy (λ − T) x = β_k ⟨q_{k+1}, u⟩ e_k + Eᵀu.
Hence, with G = (λ − T)^{-1},

    |⟨q_1, u⟩| ≤ β_k |G_{1k}| + ρ ‖G_{1,·}‖,     G_{1k} = β_1 … β_{k−1} / Π_i (λ − θ_i),

whose right side falls with λ above the largest Ritz value θ_1. A uniform start has |⟨q_1, u⟩| ≤ t with probability at most
t √(2(N − 1)/π) for N = dim V ≥ 2. An eigenvalue λ_max above the level where the right side equals t is therefore excluded but
for that probability: with u the top eigenvector, which does not depend on the start. Of s independent starts each may be blind
to u; that all are has the product of the probabilities, so that t = (failure)^{1/s} √(π/(2N)) is asked of each, and rounding,
which hides what is below ρ, does much less harm for s = 2 than for s = 1.

The bound without ρ is that of van Dorsselaer, Hochstenbach, van der Vorst, *Computing probabilistic bounds for extreme
eigenvalues of symmetric matrices with the Lanczos method* (SIAM J. Matrix Anal. Appl. 2000); a bound ahead of the run is that
of Kuczyński, Woźniakowski, *Estimating the largest eigenvalue by the power and Lanczos algorithms with a random start* (SIAM J.
Matrix Anal. Appl. 1992), Theorem 4.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MOST_STARTS = 6


@dataclass(frozen=True)
class Start:
    """A run from one random vector: the eigenvalues of T, the first entries of its eigenvectors, its off-diagonal β_1 … β_k
    (the last one is the norm that is left), and the rounding ρ. `shift`: how far the eigenvalues of the operator that was
    multiplied may be from those of the one that is meant."""

    values: np.ndarray
    first: np.ndarray
    off: np.ndarray
    rounding: float
    shift: float = 0.0

    def blind_to(self, level: float, end: int) -> float:
        """The largest overlap that the start may have with an eigenvector whose eigenvalue is beyond the level: above it for
        `end` +1, below it for −1. Infinite where a Ritz value is beyond the level itself."""
        distance = end * (level - self.values) - self.shift
        if distance.min() <= 0:
            return np.inf
        with np.errstate(divide="ignore"):
            chain = float(np.log(self.off).sum() - np.log(distance).sum())
        seen = float(np.exp(min(chain, 700.0)))
        return seen if self.rounding == 0 else seen + self.rounding * float(np.linalg.norm(self.first / distance))

    def bound(self, overlap: float, end: int) -> float:
        """The level beyond which nothing is that the start overlaps with by more than `overlap`."""
        values = self.values
        extreme = float(values[-1] if end > 0 else values[0])
        size = max(float(np.abs(values).max()), float(self.off.max()), self.rounding, self.shift, np.finfo(float).tiny)
        low, high = -60.0, 3.0  # logarithms of the distance, in units of the size
        while self.blind_to(extreme + end * size * np.exp(high), end) > overlap:
            high += 10.0
            if high > 600:
                return end * np.inf
        for _ in range(60):
            middle = 0.5 * (low + high)
            if self.blind_to(extreme + end * size * np.exp(middle), end) > overlap:
                low = middle
            else:
                high = middle
        return extreme + end * size * float(np.exp(high))


def overlap_of(failure: float, starts: int, dimension: int) -> float:
    """The t that each of `starts` uniform vectors in `dimension` dimensions exceeds in overlap with one given direction, but
    for the probability that none of them does: `failure`."""
    return failure ** (1 / starts) * float(np.sqrt(np.pi / (2 * max(dimension, 2))))


def nothing_beyond(starts: Sequence[Start], level: float, end: int, failure: float, dimension: int) -> bool:
    """Is there no eigenvalue beyond the level, but for the probability `failure`?"""
    if not starts:
        return False
    overlap = overlap_of(failure, len(starts), dimension)
    return all(start.blind_to(level, end) < overlap for start in starts)


def farthest(starts: Sequence[Start], end: int, failure: float, dimension: int) -> float:
    """The level beyond which there is no eigenvalue, but for the probability `failure`."""
    if not starts:
        return end * np.inf
    bounds = [start.bound(overlap_of(failure, len(starts), dimension), end) for start in starts]
    return max(bounds) if end > 0 else min(bounds)
