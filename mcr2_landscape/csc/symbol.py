"""How large a convolutional dictionary's norm can be, for images of every size.

Zero padding makes D a section of the operator D∞ on all of ℤ², so that ‖D‖ ≤ ‖D∞‖. D∞ commutes with shifts by the stride s,
and splitting pixels by their remainders modulo s turns it into multiplication by a matrix function, its symbol: W(ω) with
C·s_h·s_w rows, one for each channel and remainder, and K columns; its entry is the sum of the atom's numbers at pixels with
that remainder, times exp(−i⟨ω, j⟩), j = ⌊pixel/s⌋. Hence ‖D∞‖² = T* = max_ω λ_max(G(ω)), G = W Wᴴ.

**Between the points of a grid.** Let ω* and a unit u attain T*, and T(ω) = uᴴG(ω)u: 0 ≤ T ≤ T* = T(ω*), and its frequencies in
axis i are at most n_i = ⌈k_i/s_i⌉ − 1. Along a line through ω* with direction d, f(t) = T(ω* + t d) − T*/2 has frequencies up
to τ = n₁|d₁| + n₂|d₂| and |f| ≤ T*/2 = f(0). By the inequality of Bernstein and Szegő, f'² + τ²f² ≤ τ²(T*/2)² (for rational
directions f is a trigonometric polynomial in a multiple of t; the others are limits), arccos(2f/T*) grows by at most τ a unit,
so that f(t) ≥ (T*/2) cos τt for τt ≤ π, which is

    λ_max(G(ω)) ≥ T(ω) ≥ T* cos²((n₁δ₁ + n₂δ₂)/2)     where |ω_i − ω*_i| ≤ δ_i.

The cell that holds ω* therefore has a center of at least that value. Cells whose centers are lower, measured by the largest
value found, are dropped, the others are split in four, until the cosine is near one; the largest value over the cosine is the
bound.
"""

from __future__ import annotations

import numpy as np

_LOOSE = 1e-3  # of the bound above the largest value of the symbol, where the work allows it
_CELLS, _WORK = 1 << 14, 4e9  # of one round: cells, and multiplications
_BATCH = 1 << 22  # complex numbers of symbols at once


def squared_norm_bound(atoms: np.ndarray, stride: tuple[int, int]) -> tuple[float, float]:
    """The largest value of the symbol that was found, a lower bound of ‖D∞‖² up to rounding, and an upper bound of it.

    **Arguments:** `atoms`: (K, C, k_h, k_w), float64.
    """
    K, C, *kernel = atoms.shape
    degrees = np.array([-(-k // s) - 1 for k, s in zip(kernel, stride, strict=True)])
    rows = C * min(stride[0], kernel[0]) * min(stride[1], kernel[1])  # of a symbol, those left out that are zero
    each = min(K, rows) ** 2 * max(K, rows)
    counts = np.where(degrees > 0, 4 * degrees + 1, 1)  # the cosine's argument is below π/2 at the start
    # the symbol at −ω is the conjugate: frequencies of the first axis from 0 to π are enough, cells around both ends included
    halves = np.pi / counts
    grids = [2 * np.pi * np.arange(count) / count for count in counts]
    grids[0] = grids[0][: counts[0] // 2 + 1]
    points = np.stack(np.meshgrid(*grids, indexing="ij"), axis=-1).reshape(-1, 2)
    best = 0.0
    while True:
        values = _largest_eigenvalues(atoms, stride, points)
        best = max(best, float(values.max()))
        fall = float(np.cos(degrees @ halves / 2) ** 2)
        near = values >= best * fall * (1 - 1e-12)
        split = 4 * int(near.sum())
        if 1 / fall - 1 <= _LOOSE or split > _CELLS or split * each > _WORK:
            break
        halves = halves / 2
        corners = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]]) * halves
        points = (points[near][:, None, :] + corners).reshape(-1, 2)
    # rounding of sums over the taps and of eigenvalues, in units of the trace, at most the rank times the largest eigenvalue
    rounding = 4 * np.finfo(np.float64).eps * (kernel[0] * kernel[1] + K + rows) * min(K, rows)
    return best, float(best / fall * (1 + rounding))


def _largest_eigenvalues(atoms: np.ndarray, stride: tuple[int, int], points: np.ndarray) -> np.ndarray:
    """λ_max(G(ω)) at each of the points (P, 2)."""
    K, C, *kernel = atoms.shape
    parts = [[np.arange(remainder, k, s) for remainder in range(min(s, k))] for k, s in zip(kernel, stride, strict=True)]
    waves = [np.exp(-1j * np.outer(points[:, i], np.arange(kernel[i]) // stride[i])) for i in (0, 1)]
    rows = C * len(parts[0]) * len(parts[1])
    size = max(1, _BATCH // (K * max(rows, C * kernel[1])))
    found = []
    for start in range(0, len(points), size):
        vertical, horizontal = (wave[start : start + size] for wave in waves)
        blocks = []
        for a in parts[0]:
            folded = np.tensordot(vertical[:, a], atoms[:, :, a], axes=(1, 2))  # (P, K, C, k_w)
            blocks += [np.einsum("pkcb,pb->pck", folded[..., b], horizontal[:, b]) for b in parts[1]]
        W = np.concatenate(blocks, axis=1)
        G = W @ W.conj().swapaxes(1, 2) if rows <= K else W.conj().swapaxes(1, 2) @ W
        found.append(np.real(G[:, 0, 0]) if G.shape[1] == 1 else np.linalg.eigvalsh(G)[:, -1])
    return np.concatenate(found)
