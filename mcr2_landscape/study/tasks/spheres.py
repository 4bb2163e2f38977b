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
    """The best of all points with orthogonal blocks of r_k ≥ 1 equal singular values √(m_k/r_k), Σ r_k ≤ d. Every maximizer is
    such a point where d ≥ Σ min(m_k, d) (theorem on spheres); elsewhere a maximizer that is not orthogonal has not been
    excluded. `None` with fewer dimensions than classes."""
    # tasks are listed, and planned, without JAX
    from mcr2_landscape.ctrl.multiplicity import allocate, capacity_of, value_of

    if p.dim < p.num_classes:
        return None
    proportions = [float(1 / ratio) for ratio in p.ratios]
    capacities = [capacity_of(gamma, p.dim, p.epsilon) for gamma in proportions]
    ranks = allocate(capacities, proportions, [min(size, p.dim) for size in p.sizes], p.dim, least=1)
    value = sum(value_of(rank, *own) for rank, *own in zip(ranks, capacities, proportions, strict=True))
    return BestOrthogonal(value, ranks, sum(min(size, p.dim) for size in p.sizes) <= p.dim)


def on_spheres(p: Parameters, Z: np.ndarray) -> np.ndarray:
    """Z with each class scaled to ‖Z_k‖² = m_k; no class may be zero."""
    scaled = Z.copy()
    for block, size in zip(p.blocks(scaled), p.sizes, strict=True):
        block *= np.sqrt(size) / np.linalg.norm(block)
    return scaled
