"""ΔR on the spheres ‖Z_k‖² = m_k: points brought there, and the best value that is known in closed form."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mcr2_landscape.closed_form import Parameters


class BestOrthogonal(NamedTuple):
    """The largest ΔR of orthogonal blocks with equal singular values, and `ranks` of the classes that attain it. It is the
    maximum on the spheres where `proved`, and on unit columns too: the columns of such points can be made of length one."""

    value: float
    ranks: tuple[int, ...]
    proved: bool


def best_orthogonal(p: Parameters) -> BestOrthogonal | None:
    """The best of all points with orthogonal blocks of r_k ≥ 1 equal singular values √(m_k/r_k), Σ r_k ≤ d: class after class,
    the best for every number of dimensions. Every maximizer is such a point where d ≥ Σ min(m_k, d) (theorem on spheres);
    elsewhere a maximizer that is not orthogonal has not been excluded. `None` with fewer dimensions than classes."""
    best: dict[int, tuple[float, tuple[int, ...]]] = {0: (0.0, ())}
    for size, alpha_k, rho in zip(p.sizes, p.alphas, p.ratios, strict=True):
        following: dict[int, tuple[float, tuple[int, ...]]] = {}
        for used, (value, ranks) in best.items():
            for rank in range(1, min(size, p.dim - used) + 1):
                x = size / rank
                total = value + 0.5 * rank * float(np.log1p(p.alpha * x) - np.log1p(alpha_k * x) / rho)
                if used + rank not in following or total > following[used + rank][0]:
                    following[used + rank] = total, (*ranks, rank)
        best = following
    if not best:
        return None
    value, ranks = max(best.values())
    return BestOrthogonal(value, ranks, sum(min(size, p.dim) for size in p.sizes) <= p.dim)


def on_spheres(p: Parameters, Z: np.ndarray) -> np.ndarray:
    """Z with each class scaled to ‖Z_k‖² = m_k; no class may be zero."""
    scaled = Z.copy()
    for block, size in zip(p.blocks(scaled), p.sizes, strict=True):
        block *= np.sqrt(size) / np.linalg.norm(block)
    return scaled
