"""What can be read off singular values and subspaces."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcr2_landscape.closed_form import Parameters

_LARGEST_PICTURE = 240


def effective_rank(singular_values: np.ndarray) -> float:
    """exp of the entropy of the squared singular values' shares: r for r equal ones, 0 for a zero matrix.

    Source: Roy and Vetterli, *The effective rank* (EUSIPCO 2007), there with the singular values' own shares.
    """
    total = float(np.sum(singular_values**2))
    if total == 0:
        return 0.0
    shares = singular_values**2 / total
    shares = shares[shares > 0]
    return float(np.exp(-np.sum(shares * np.log(shares))))


def participation(singular_values: np.ndarray) -> float:
    """(Σ s²)² / Σ s⁴: r for r equal singular values, 0 for a zero matrix."""
    largest = float(np.max(singular_values, initial=0.0))
    if largest == 0:
        return 0.0
    shares = (singular_values / largest) ** 2
    return float(np.sum(shares) ** 2 / np.sum(shares**2))


def coherences(bases: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """For orthonormal bases (d, r_k): the largest and the root mean square cosine of the principal angles between each two
    subspaces, both of shape (K, K), zero on the diagonal and for empty subspaces."""
    count = len(bases)
    largest, mean = np.zeros((count, count)), np.zeros((count, count))
    for i, left in enumerate(bases):
        for j, right in enumerate(bases[:i]):
            if left.shape[1] and right.shape[1]:
                cosines = np.minimum(np.linalg.svd(left.T @ right, compute_uv=False), 1.0)
                largest[i, j] = largest[j, i] = cosines[0]
                mean[i, j] = mean[j, i] = np.sqrt(np.mean(cosines**2))
    return largest, mean


def similarity(Z: np.ndarray, sizes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """|cos| between samples in class order, and the class of each row. Each class is thinned out evenly, in proportion to its
    size, where there are more samples than a picture can show."""
    m = Z.shape[1]
    owners = np.repeat(np.arange(len(sizes)), sizes)
    if m > _LARGEST_PICTURE:
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        chosen = []
        for start, size in zip(starts, sizes, strict=True):
            kept = min(size, max(1, round(size * _LARGEST_PICTURE / m)))
            chosen.append(start + np.linspace(0, size - 1, kept).round().astype(np.int64))
        columns = np.concatenate(chosen)
        Z, owners = Z[:, columns], owners[columns]
    norms = np.linalg.norm(Z, axis=0)
    unit = Z / np.where(norms > 0, norms, 1.0)
    return np.minimum(np.abs(unit.T @ unit), 1.0), owners


def common_mean(Z: np.ndarray, sizes: Sequence[int]) -> float:
    """The share of ‖Z‖² that is the mean of all samples, if the means of the classes point the same way (median cosine above
    one half), else zero: the mean of orthogonal classes is large too, and no fault."""
    total = float(np.sum(Z**2))
    means = np.stack([block.mean(axis=1) for block in np.split(Z, np.cumsum(sizes)[:-1], axis=1)])
    norms = np.linalg.norm(means, axis=1, keepdims=True)
    unit = means / np.where(norms > 0, norms, 1.0)
    cosines = (unit @ unit.T)[np.triu_indices(len(sizes), 1)]
    if total == 0 or np.median(cosines) <= 0.5:
        return 0.0
    return float(Z.shape[1] * np.sum(Z.mean(axis=1) ** 2) / total)


def best_scale(p: Parameters, whole: np.ndarray, classes: Sequence[np.ndarray], norm: float) -> tuple[float | None, float]:
    """The factor t that maximizes F(tZ), and that maximum; `None` and 0 where no factor makes it positive.

    **Arguments:** the singular values of Z and of each Z_k, and the norm of the global maximizers, near which the search goes.
    """
    total = float(np.sum(whole**2))
    if total == 0:
        return None, 0.0

    def value(t: float) -> float:
        gain = 0.5 * np.log1p(p.alpha * (t * whole) ** 2).sum()
        for rho, alpha, s in zip(p.ratios, p.alphas, classes, strict=True):
            gain -= 0.5 / rho * np.log1p(alpha * (t * s) ** 2).sum()
        return float(gain - 0.5 * p.regularization * t * t * total)

    middle = (norm if norm > 0 else np.sqrt(p.dim / p.alpha)) / np.sqrt(total)
    grid = middle * np.geomspace(1e-4, 1e4, 801)  # F(tZ) may have several local maxima in t
    values = np.array([value(t) for t in grid])
    best = int(values.argmax())
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, grid.size - 1)]
    ratio = (np.sqrt(5) - 1) / 2
    for _ in range(60):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if value(left) < value(right):
            low = left
        else:
            high = right
    t = 0.5 * (low + high)
    return (float(t), value(t)) if value(t) > 0 else (None, 0.0)
