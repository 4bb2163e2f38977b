"""Dictionaries as the public code starts them, and two steps from zero, in plain NumPy."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np

from mcr2_landscape import whitebox as wb
from paper_checks.yu_2023 import sparse_checks

# By which number the variance 2/fan of the entries is: of atoms in PyTorch's code, of dimensions in JAX's.
SCHEMES = ("torch", "flax")
ATOMS = 4  # for each dimension
STEP, SPARSITY = 0.1, 0.1


class Codes(NamedTuple):
    """A step size, a weight lambda, a dictionary (d, 4d), tokens (d, N), and codes after no step, one and two."""

    step: float
    sparsity: float
    D: np.ndarray
    Z: np.ndarray
    steps: tuple[np.ndarray, np.ndarray, np.ndarray]

    def objectives(self) -> np.ndarray:
        """lambda ‖A‖_1 + ½‖Z − DA‖² after each step."""
        return np.array([sparse_checks.objective(A, self.Z, self.D, self.sparsity) for A in self.steps])


def dictionary(random: np.random.Generator, dim: int, scheme: str) -> np.ndarray:
    """Entries uniform within ±√(6/fan)."""
    atoms = ATOMS * dim
    return sparse_checks.kaiming(random, dim, atoms, atoms if scheme == "torch" else dim)


def squared_norm(D: np.ndarray) -> float:
    """‖D‖₂²."""
    return float(np.linalg.eigvalsh(D @ D.T)[-1])


def limit(scheme: str) -> float:
    """‖D‖₂² as d → ∞, the edge (2/fan)(√d + √(4d))² of Marchenko and Pastur."""
    return 2 * (1 + math.sqrt(ATOMS)) ** 2 / (ATOMS if scheme == "torch" else 1)


def normalized(Z: np.ndarray) -> np.ndarray:
    """Layer norm of each token."""
    Z = Z - Z.mean(axis=0)
    return Z / np.sqrt(np.mean(Z**2, axis=0) + 1e-6)


def encoded(D: np.ndarray, Z: np.ndarray, step: float, sparsity: float) -> Codes:
    """Two steps from zero."""
    steps = [np.zeros((D.shape[1], Z.shape[1]))]
    for _ in range(2):
        steps.append(sparse_checks.step(steps[-1], Z, D, step, sparsity))
    return Codes(step, sparsity, D, Z, (steps[0], steps[1], steps[2]))


def library_codes(D: np.ndarray, Z: np.ndarray, step: float, sparsity: float) -> np.ndarray:
    """The codes after two steps by the library."""
    with jax.enable_x64(True):
        return np.asarray(wb.odl(Z, D, step=step, sparsity=sparsity, codes=True))


def initial(random: np.random.Generator, dim: int, count: int, sparsity: float = SPARSITY) -> Iterator[tuple[str, Codes]]:
    """Codes of normalized Gaussian tokens in dictionaries of each scheme, with its name."""
    for scheme in SCHEMES:
        for _ in range(count):
            Z = normalized(random.standard_normal((dim, 32)))
            yield scheme, encoded(dictionary(random, dim, scheme), Z, STEP, sparsity)
