"""The utilities on the host, in float64 from singular values: of classes (d_x, any number of columns), whose second moments are
all that counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcr2_landscape import closed_form
from mcr2_landscape.catalog.scalar import log_excess
from mcr2_landscape.closed_form import Parameters

SMALL = 0.3  # of b_j σ²: below, both rates are so nearly linear that their difference cancels

Classes = Sequence[np.ndarray]


def expressiveness(classes: Classes, sizes: tuple[int, ...], dim: int, epsilon: float, F: np.ndarray) -> float:
    """Q(F) for classes of at most n_j columns."""
    p = Parameters(dim, sizes, epsilon, 1.0, tuple(C.shape[1] for C in classes))
    A = F @ np.concatenate(classes, axis=1)
    own = [(rho, rho * p.alpha * np.linalg.svd(B, compute_uv=False) ** 2) for rho, B in zip(p.ratios, p.blocks(A), strict=True)]
    if max(float(s.max(initial=0.0)) for _, s in own) > SMALL:
        return closed_form.value(p, A, regularized=False)
    # the parts of first order in 1/ε² are equal, and larger than all the rest
    whole = p.alpha * np.linalg.svd(A, compute_uv=False) ** 2
    return 0.5 * (sum(_excess(s) / float(rho) for rho, s in own) - _excess(whole))


def distances(classes: Classes, sizes: tuple[int, ...], dim: int, epsilon: float, F: np.ndarray, G: np.ndarray) -> np.ndarray:
    """D_j = ΔR(f(X_j), fgf(X_j)), shape (K,), one class after the other."""
    found = []
    for C, size in zip(classes, sizes, strict=True):
        A = np.sqrt(dim / (size * epsilon**2)) * (F @ C)
        image = F @ (G @ A)
        both, own, answer = (rate(B) for B in (np.concatenate([A, image], axis=1) / np.sqrt(2), A, image))
        found.append(max(both - 0.5 * (own + answer), 0.0))
    return np.array(found)


def rate(B: np.ndarray) -> float:
    """½ logdet(I + BBᵀ)."""
    return 0.5 * float(np.log1p(np.linalg.svd(B, compute_uv=False) ** 2).sum())


def _excess(s: np.ndarray) -> float:
    """Σ s − log(1 + s)."""
    return sum(log_excess(float(one)) for one in s)
