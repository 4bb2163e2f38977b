"""The ranks of a point: Z_k = W_k V_kᵀ for each class with orthonormal V_k, and an orthonormal basis U of the columns of Z.

A rank is a decision: singular values up to a tolerance count as zero. What is cut off is measured, not estimated, and its norm
goes with the factors, so that whoever uses them can bound what it changes.

Arrays are NumPy's, or those of any library with NumPy's interface (a point on an accelerator is factored there).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_FIRST_SKETCH, _OVERSAMPLING = 16, 8
_DENSE_SHARE = 0.5  # a sketch of more than this share of the smaller side costs more than the decomposition itself


@dataclass(frozen=True)
class Factorization:
    """A point Z (d, m) in class blocks as Z_k ≈ W_k V_kᵀ.

    `scaled[k]` is W_k = U_k S_k (d, r_k), singular values descending in `values[k]`; `right[k]` is V_k (m_k, r_k) with
    orthonormal columns; `basis` is U (d, r), orthonormal columns that span all W_k, or `None` where they span everything
    (r = d). `residual` is the Frobenius norm of Z − [W_k V_kᵀ]_k, and `cut` the largest singular value that counted as zero;
    `tolerance` is what a singular value had to exceed.
    """

    scaled: tuple[Any, ...]
    values: tuple[np.ndarray, ...]
    right: tuple[Any, ...]
    basis: Any | None
    residual: float
    cut: float
    tolerance: float

    @property
    def ranks(self) -> tuple[int, ...]:
        """r_k of each class."""
        return tuple(values.size for values in self.values)

    @property
    def rank(self) -> int:
        """r, the dimension of the span of Z's columns."""
        return int(self.scaled[0].shape[0] if self.basis is None else self.basis.shape[1])

    def coordinates(self) -> list[Any]:
        """UᵀW_k (r, r_k), the classes in the coordinates of U."""
        return [W if self.basis is None else self.basis.T @ W for W in self.scaled]


def factorize(
    Z: Any, widths: Sequence[int], *, tolerance: float | None = None, max_rank: int | None = None
) -> Factorization | None:
    """Factor the class blocks of Z (d, m), of the given widths.

    **Arguments:** `tolerance`: singular values up to this (in the units of Z) count as zero; by default the rounding of Z's own
    entries, eps √max(d, m_k) times 8 times the norm of the block. `max_rank`: give up, and return `None`, as soon as a class is
    seen to have a larger rank.

    A class is sketched by random products (always the same ones) of growing number until what they leave of it, computed in
    full, is within the tolerance; from half of the full rank on it is decomposed as it is.

    Source: Halko, Martinsson, Tropp, *Finding structure with randomness* (SIAM Review 2011), algorithm 4.2, with the exact
    residual in place of its estimate.
    """
    eps = float(np.finfo(str(Z.dtype)).eps)
    scaled, values, right = [], [], []
    squared, cut, largest = 0.0, 0.0, 0.0
    for block in _blocks(Z, widths):
        rounding = 8 * eps * float(np.sqrt(max(block.shape))) * _norm(block)
        limit = rounding if tolerance is None else max(tolerance, rounding)
        found = _factor_block(block, limit, max_rank)
        if found is None:
            return None
        W, s, V, residual, left_out = found
        scaled.append(W)
        values.append(s)
        right.append(V)
        squared += residual**2
        cut, largest = max(cut, left_out), max(largest, limit)
    basis, scaled, outside, beyond = _common_basis(scaled, eps, largest if tolerance is not None else None)
    residual = float(np.sqrt(squared + outside**2))
    return Factorization(tuple(scaled), tuple(values), tuple(right), basis, residual, max(cut, beyond), largest)


def _blocks(Z: Any, widths: Sequence[int]) -> Iterator[Any]:
    start = 0
    for width in widths:
        yield Z[:, start : start + width]
        start += width


def _norm(X: Any) -> float:
    return float(_of(X).linalg.norm(X))


def _of(X: Any) -> Any:
    """The array library that X belongs to."""
    return X.__array_namespace__()


def _factor_block(X: Any, tolerance: float, max_rank: int | None) -> tuple[Any, np.ndarray, Any, float, float] | None:
    xp, small = _of(X), min(X.shape)
    gap, sketch = 0.0, _FIRST_SKETCH
    Q = B = None
    while sketch <= _DENSE_SHARE * small:
        probe = xp.asarray(_probe(X.shape[1], sketch), dtype=X.dtype)
        Q, _ = xp.linalg.qr(X @ probe)
        B = Q.T @ X
        gap = _norm(X - Q @ B)
        if gap <= tolerance:
            break
        Q = None
        if max_rank is not None and sketch >= max_rank + _OVERSAMPLING:
            return None
        sketch *= 2
    if Q is None or B is None:
        gap = 0.0
        U, s, Vt = xp.linalg.svd(X, full_matrices=False)
    else:
        U, s, Vt = xp.linalg.svd(B, full_matrices=False)
        U = Q @ U
    values = np.asarray(s, dtype=np.float64)
    rank = int((values > tolerance).sum())
    if max_rank is not None and rank > max_rank:
        return None
    left_out = values[rank:]
    residual = float(np.sqrt(gap**2 + np.sum(left_out**2)))
    return U[:, :rank] * s[:rank], values[:rank], Vt[:rank].T, residual, max(gap, float(left_out.max(initial=0.0)))


def _probe(rows: int, columns: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((rows, columns))


def _common_basis(scaled: list[Any], eps: float, tolerance: float | None) -> tuple[Any | None, list[Any], float, float]:
    """U, the W_k projected on it, the norm of what the projection cut off, and the largest singular value in that."""
    xp, dim = _of(scaled[0]), scaled[0].shape[0]
    joined = xp.concatenate(scaled, axis=1)
    if joined.shape[1] == 0:
        return joined, scaled, 0.0, 0.0
    if joined.shape[1] > 2 * dim:  # the triangular factor has the same left vectors
        joined = xp.linalg.qr(joined.T, mode="r").T
    U, s, _ = xp.linalg.svd(joined, full_matrices=False)
    values = np.asarray(s, dtype=np.float64)
    limit = 8 * eps * float(np.sqrt(max(joined.shape))) * float(np.linalg.norm(values))
    rank = int((values > (limit if tolerance is None else max(limit, tolerance))).sum())
    if rank == dim:
        return None, scaled, 0.0, 0.0
    U = U[:, :rank]
    inside = [U @ (U.T @ W) for W in scaled]
    outside = float(np.sqrt(sum(_norm(W - part) ** 2 for W, part in zip(scaled, inside, strict=True))))
    return U, inside, outside, float(values[rank:].max(initial=0.0))
