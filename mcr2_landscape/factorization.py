"""The ranks of a point: Z_k = W_k V_kᵀ for each class with orthonormal V_k, and an orthonormal basis U of the columns of Z.

A rank is a decision: singular values up to a tolerance count as zero. What is cut off is measured, not estimated, and its norm
goes with the factors, so that whoever uses them can bound what it changes.

Arrays are NumPy's, or those of any library with NumPy's interface (a point on an accelerator is factored there).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

_FIRST_SKETCH, _OVERSAMPLING = 16, 8
_DENSE_SHARE = 0.5  # a sketch of more than this share of the smaller side costs more than the decomposition itself


@dataclass(frozen=True)
class Factorization:
    """A point Z (d, m) in class blocks as Z_k ≈ W_k V_kᵀ.

    `scaled[k]` is W_k = U_k S_k (d, r_k), singular values descending in `values[k]`; `right[k]` is V_k (m_k, r_k) with
    orthonormal columns; `basis` is U (d, r), orthonormal columns that span all W_k, or `None` where they span everything
    (r = d). `residual` is the Frobenius norm of Z − [W_k V_kᵀ]_k, or a little more where both a sketch and the common basis
    left something out; `cut` the largest singular value that counted as zero; `tolerance` what one had to exceed.
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

    def truncated(self, tolerance: float) -> Factorization:
        """The same without the singular values up to `tolerance`, whose norm is added to the residual."""
        kept = [int((own > tolerance).sum()) for own in self.values]
        dropped = sum(float(np.sum(own[count:] ** 2)) for own, count in zip(self.values, kept, strict=True))
        cut = max([self.cut, *(float(own[count:].max(initial=0.0)) for own, count in zip(self.values, kept, strict=True))])
        scaled = [W[:, :count] for W, count in zip(self.scaled, kept, strict=True)]
        right = tuple(V[:, :count] for V, count in zip(self.right, kept, strict=True))
        values = tuple(own[:count] for own, count in zip(self.values, kept, strict=True))
        basis, inside, outside, beyond = _common_basis(scaled, max(tolerance, self.tolerance))
        # The sum: what a sketch had left out need not be orthogonal to what is dropped now.
        residual = self.residual + float(np.sqrt(dropped + outside**2))
        return Factorization(tuple(inside), values, right, basis, residual, max(cut, beyond), max(self.tolerance, tolerance))

    def spanned(self) -> Factorization:
        """The same with a basis in any case: where the W_k span everything, their left singular vectors, descending."""
        if self.basis is not None:
            return self
        joined = _joined(list(self.scaled))
        return replace(self, basis=_of(joined).linalg.svd(joined, full_matrices=False)[0])

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
    full, is within the tolerance; from half of the full rank on it is decomposed as it is. With `max_rank` the last sketch is
    of a few products more than that: what it leaves shows a larger rank, and nothing is decomposed to learn it.

    Source: Halko, Martinsson, Tropp, *Finding structure with randomness* (SIAM Review 2011), algorithm 4.2, with the exact
    residual in place of its estimate.
    """
    eps = float(np.finfo(str(Z.dtype)).eps)
    scaled, values, right = [], [], []
    unseen, squared, cut, largest = 0.0, 0.0, 0.0, 0.0
    for block in _blocks(Z, widths):
        rounding = 8 * eps * float(np.sqrt(max(block.shape))) * _norm(block)
        limit = rounding if tolerance is None else max(tolerance, rounding)
        found = _factor_block(block, limit, max_rank)
        if found is None:
            return None
        W, s, V, gap, left_out = found
        scaled.append(W)
        values.append(s)
        right.append(V)
        unseen, squared = float(np.hypot(unseen, gap)), squared + float(np.sum(left_out**2))
        cut, largest = max(cut, gap, float(left_out.max(initial=0.0))), max(largest, limit)
    # The factors of a wide block are as inexact as the block itself: what they do not share for that reason alone is no rank.
    rounding = 8 * eps * float(np.sqrt(max(Z.shape))) * _norm(Z)
    basis, scaled, outside, beyond = _common_basis(scaled, rounding if tolerance is None else max(rounding, largest))
    # The left-out singular values are orthogonal to everything else; what a sketch has not seen need not be orthogonal to what
    # the common basis cuts off.
    residual = float(np.sqrt(squared + (unseen + outside) ** 2))
    return Factorization(tuple(scaled), tuple(values), tuple(right), basis, residual, max(cut, beyond), largest)


def _blocks(Z: Any, widths: Sequence[int]) -> Iterator[Any]:
    start = 0
    for width in widths:
        yield Z[:, start : start + width]
        start += width


def _norm(X: Any) -> float:
    xp = _of(X)
    with np.errstate(over="ignore"):
        found = float(xp.linalg.norm(X))
    if X.size == 0 or (found > 0 and np.isfinite(found)):
        return found
    largest = float(xp.max(xp.abs(X)))  # the squares may have left the range of the dtype
    return largest * float(xp.linalg.norm(X / largest)) if largest > 0 and np.isfinite(largest) else largest


def _of(X: Any) -> Any:
    """The array library that X belongs to."""
    return X.__array_namespace__()


def _factor_block(X: Any, tolerance: float, max_rank: int | None) -> tuple[Any, np.ndarray, Any, float, np.ndarray] | None:
    """W, the singular values and V of a block; the norm of what the sketch left of it, and the singular values left out."""
    xp, small = _of(X), min(X.shape)
    largest = _DENSE_SHARE * small
    enough = None if max_rank is None or max_rank + _OVERSAMPLING > small else max_rank + _OVERSAMPLING
    if enough is not None:
        largest = enough
    gap, sketch = 0.0, min(_FIRST_SKETCH, enough or _FIRST_SKETCH)
    Q = B = None
    while sketch <= largest:
        probe = xp.asarray(_probe(X.shape[1], sketch), dtype=X.dtype)
        Q, _ = xp.linalg.qr(X @ probe)
        B = Q.T @ X
        gap = _norm(X - Q @ B)
        if gap <= tolerance:
            break
        Q = None
        if sketch == enough:
            return None
        sketch *= 2
        if enough is not None and 3 * sketch > 2 * enough:  # nearly there
            sketch = enough
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
    return U[:, :rank] * s[:rank], values[:rank], Vt[:rank].T, gap, values[rank:]


def _probe(rows: int, columns: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((rows, columns))


def _joined(scaled: list[Any]) -> Any:
    """All W_k side by side, or fewer columns with the same left singular vectors and singular values."""
    xp = _of(scaled[0])
    joined = xp.concatenate(scaled, axis=1)
    return xp.linalg.qr(joined.T, mode="r").T if joined.shape[1] > 2 * joined.shape[0] else joined


def _common_basis(scaled: list[Any], tolerance: float) -> tuple[Any | None, list[Any], float, float]:
    """U, the W_k projected on it, the norm of what the projection cut off, and the largest singular value in that."""
    xp, dim = _of(scaled[0]), scaled[0].shape[0]
    joined = _joined(scaled)
    if joined.shape[1] == 0:
        return joined, scaled, 0.0, 0.0
    U, s, _ = xp.linalg.svd(joined, full_matrices=False)
    values = np.asarray(s, dtype=np.float64)
    rank = int((values > tolerance).sum())
    if rank == dim:
        return None, scaled, 0.0, 0.0
    U = U[:, :rank]
    inside = [U @ (U.T @ W) for W in scaled]
    outside = float(np.sqrt(sum(_norm(W - part) ** 2 for W, part in zip(scaled, inside, strict=True))))
    return U, inside, outside, float(values[rank:].max(initial=0.0))
