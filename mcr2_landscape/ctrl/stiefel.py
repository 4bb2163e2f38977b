"""Matrices with orthonormal rows or columns, whichever they have fewer of."""

from __future__ import annotations

import jax
import numpy as np

from mcr2_landscape.mcr2.kernels import matmul
from mcr2_landscape.validation import InputError

_ORTHONORMAL = 1e-9


def dimension(rows: int, columns: int) -> int:
    """Of the manifold of such matrices."""
    p, q = max(rows, columns), min(rows, columns)
    return p * q - q * (q + 1) // 2


def _gram(A: np.ndarray) -> np.ndarray:
    return A @ A.T if A.shape[0] <= A.shape[1] else A.T @ A


def defect(A: np.ndarray) -> float:
    """‖AAᵀ − I‖ (or ‖AᵀA − I‖), the largest singular value: how far the matrix is from the manifold."""
    gram = _gram(A)
    return float(np.linalg.norm(gram - np.eye(gram.shape[0]), 2))


def checked(name: str, A: np.ndarray, cure: str) -> np.ndarray:
    """A, if it is on the manifold to 1e-9.

    **Raises:** `InputError` otherwise, which advises `cure`.
    """
    error = defect(A)
    if error > _ORTHONORMAL:
        sides = "rows" if A.shape[0] <= A.shape[1] else "columns"
        raise InputError(f"{name}: found {sides} that are not orthonormal (off by {error:.3g}); pass {cure}")
    return A


def polar(name: str, A: np.ndarray) -> np.ndarray:
    """The nearest point of the manifold, the orthonormal polar factor of A.

    **Raises:** `InputError` for a matrix without full rank, which has several.
    """
    largest = float(np.abs(A).max())
    U, s, Vt = np.linalg.svd(A / largest if largest else A, full_matrices=False)
    if not s[-1] > 1e-14 * s[0]:
        raise InputError(f"{name}: found a matrix without full rank, which has no single nearest point; pass another")
    return U @ Vt


def haar(random: np.random.Generator, rows: int, columns: int, beside: np.ndarray | None = None) -> np.ndarray:
    """Uniformly distributed orthonormal columns, orthogonal to those of `beside`."""
    if columns == 0:
        return np.zeros((rows, 0))
    Q = _positive_qr(random.standard_normal((rows, columns)))
    if beside is None:
        return Q
    for _ in range(2):  # once more, against the cancellation of the first
        Q = _positive_qr(Q - beside @ (beside.T @ Q))
    return Q


def _positive_qr(A: np.ndarray) -> np.ndarray:
    """The factor Q that belongs to an R with a positive diagonal: of a Gaussian matrix it is uniformly distributed."""
    Q, R = np.linalg.qr(A)
    return Q * np.where(np.diagonal(R) < 0, -1.0, 1.0)


def complement(W: np.ndarray) -> np.ndarray:
    """An orthonormal basis of what is orthogonal to the orthonormal columns of W."""
    return np.linalg.qr(W, mode="complete")[0][:, W.shape[1] :] if W.shape[1] else np.eye(W.shape[0])


def _symmetric(A: jax.Array) -> jax.Array:
    return 0.5 * (A + A.T)


def normal(Y: jax.Array, E: jax.Array, V: jax.Array) -> jax.Array:
    """V sym(YᵀE) where Y has orthonormal columns, sym(EYᵀ) V where it has orthonormal rows; for V = Y the normal part of E.
    The Riemannian Hessian along V is the tangent part of ∇²f[V] − normal(Y, ∇f, V)."""
    if Y.shape[0] >= Y.shape[1]:
        return matmul(V, _symmetric(matmul(Y.T, E)))
    return matmul(_symmetric(matmul(E, Y.T)), V)


def tangent(Y: jax.Array, E: jax.Array) -> jax.Array:
    """E projected on the tangent space at Y."""
    return E - normal(Y, E, Y)
