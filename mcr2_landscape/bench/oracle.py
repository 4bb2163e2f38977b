"""What every contestant's product is compared with: the direct formula, on the host, from singular values.

With P = A Z, M = I − alpha Zᵀ P and the same of each class,

    (H[D])_k = alpha (A D M − alpha P Dᵀ P)_k − alpha (A_k D_k M_k − alpha_k Q_k D_kᵀ Q_k) − lambda D_k

It shares no grouping of factors with the forms of `mcr2_landscape.mcr2`, and costs 10 d² m flops.
"""

from __future__ import annotations

import numpy as np

from mcr2_landscape.closed_form import Parameters, resolvent
from mcr2_landscape.mcr2 import MCR2


class Oracle:
    """The Hessian at Z (d, m), float64."""

    def __init__(self, problem: MCR2, Z: np.ndarray):
        self.parameters: Parameters = problem.parameters
        self.Z = Z
        self._whole = resolvent(Z, self.parameters.alpha)
        blocks = zip(self.parameters.blocks(Z), self.parameters.alphas, strict=True)
        self._classes = [resolvent(block, float(alpha)) for block, alpha in blocks]

    def product(self, D: np.ndarray) -> np.ndarray:
        """H[D], (d, m)."""
        p = self.parameters
        out = p.alpha * _derivative(self._whole, self.Z, D, p.alpha) - p.regularization * D
        rows = zip(p.blocks(out), p.blocks(self.Z), p.blocks(D), self._classes, p.alphas, strict=True)
        for block, Z_k, D_k, A_k, alpha in rows:
            block -= p.alpha * _derivative(A_k, Z_k, D_k, float(alpha))
        return out

    def trace(self) -> float:
        """The sum of all eigenvalues."""
        p = self.parameters
        classes = zip(p.blocks(self.Z), self._classes, p.alphas, strict=True)
        total = _trace(self._whole, self.Z, p.alpha) - sum(_trace(A_k, Z_k, float(alpha)) for Z_k, A_k, alpha in classes)
        return p.alpha * total - p.regularization * self.Z.size


def _derivative(A: np.ndarray, Z: np.ndarray, D: np.ndarray, alpha: float) -> np.ndarray:
    """A D M − alpha P Dᵀ P, the derivative of Z ↦ A Z along D."""
    P, AD = A @ Z, A @ D
    return AD - alpha * (AD @ Z.T + P @ D.T) @ P


def _trace(A: np.ndarray, Z: np.ndarray, alpha: float) -> float:
    """tr A tr M − alpha ‖P‖², the trace of `_derivative`."""
    d, m = Z.shape
    trace = float(np.trace(A))
    return trace * (trace + m - d) - alpha * float(np.sum((A @ Z) ** 2))


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    """‖found − expected‖/‖expected‖; infinity for a wrong shape or what is not finite."""
    if found.shape != expected.shape or not np.isfinite(found).all():
        return float("inf")
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))
