"""Convolutional dictionaries as dense matrices, their programs and iterations, and the rate distance, in plain NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from mcr2_landscape import csc

# (K, C, kernel, stride, padding, size): even and odd kernels, and strides that leave rows over.
Shape = tuple[int, int, tuple[int, int], int, int, tuple[int, int]]
GEOMETRIES: tuple[Shape, ...] = (
    (4, 2, (4, 3), 2, 1, (9, 10)),
    (6, 1, (4, 4), 1, 1, (12, 11)),
    (2, 1, (5, 4), 3, 2, (11, 10)),
    (5, 3, (2, 2), 1, 0, (5, 5)),
    (2, 1, (7, 7), 2, 3, (13, 12)),
    (3, 2, (3, 2), 1, 4, (4, 4)),
)
# One shape for the problems of all checks: each new one compiles anew.
ATOMS, KERNEL, PADDING, SIZE, IMAGES = 6, 4, 1, (12, 11), 8
GAP = 1e-12  # that the library is asked for, in units of ½‖x‖²
METHODS = ("ista", "fista", "public layer")


class Problem(NamedTuple):
    """The library's dictionary of six 4 × 4 atoms, images (8, 1, 12, 11), and D (132, 660)."""

    dictionary: csc.ConvDictionary
    images: np.ndarray
    D: np.ndarray

    @staticmethod
    def of(atoms: np.ndarray, images: np.ndarray) -> Problem:
        """Of such atoms."""
        return Problem(csc.ConvDictionary(atoms, 1, PADDING), images, dense(atoms, 1, PADDING, SIZE))

    @property
    def columns(self) -> np.ndarray:
        """The images as columns (132, 8)."""
        return self.images.reshape(len(self.images), -1).T


class Program(NamedTuple):
    """λ‖z‖₁ + (μ/2)‖z‖² + ½‖x − Dz‖², with z ≥ 0 or without."""

    sparsity: np.ndarray
    ridge: float = 0.0
    nonnegative: bool = False

    def objective(self, D: np.ndarray, X: np.ndarray, Z: np.ndarray) -> np.ndarray:
        """P of each column of codes."""
        left = X - D @ Z
        return self.sparsity * abs(Z).sum(axis=0) + self.ridge / 2 * (Z**2).sum(axis=0) + 0.5 * (left**2).sum(axis=0)

    def shrunk(self, V: np.ndarray, threshold: Any) -> np.ndarray:
        """The soft threshold, its positive part for codes that are not negative."""
        return np.maximum(V - threshold, 0) if self.nonnegative else np.sign(V) * np.maximum(abs(V) - threshold, 0)

    def dual_value(self, D: np.ndarray, X: np.ndarray, Z: np.ndarray) -> np.ndarray:
        """A lower bound of min P at the residual of each column: scaled until it is feasible, or with the ridge's conjugate."""
        R = X - D @ Z
        V = D.T @ R
        if self.ridge:
            return (
                (R * X).sum(axis=0)
                - 0.5 * (R**2).sum(axis=0)
                - (self.shrunk(V, self.sparsity) ** 2).sum(axis=0) / (2 * self.ridge)
            )
        peak = V.max(axis=0) if self.nonnegative else abs(V).max(axis=0)
        theta = R * np.minimum(1, self.sparsity / peak)
        return (theta * X).sum(axis=0) - 0.5 * (theta**2).sum(axis=0)

    def arguments(self) -> dict[str, Any]:
        """As the library's functions take them."""
        return {"sparsity": self.sparsity, "ridge": self.ridge, "nonnegative": self.nonnegative}


def unit_atoms(random: np.random.Generator, *shape: int) -> np.ndarray:
    """Atoms (K, C, k_h, k_w) drawn from the unit sphere."""
    drawn = random.standard_normal(shape)
    return drawn / np.sqrt(np.sum(drawn**2, axis=(1, 2, 3), keepdims=True))


def dense(atoms: np.ndarray, stride: int, padding: int, size: tuple[int, int]) -> np.ndarray:
    """D, (C·H·W, K·h·w): column (k, i, j) is atom k with its corner at pixel (i s − p, j s − p), cut off at the border."""
    (K, C, *kernel), (H, W) = atoms.shape, size
    h, w = ((n + 2 * padding - k) // stride + 1 for n, k in zip(size, kernel, strict=True))
    D = np.zeros((C, H, W, K, h, w))
    for i, j, a, b in np.ndindex(h, w, *kernel):
        row, column = i * stride - padding + a, j * stride - padding + b
        if 0 <= row < H and 0 <= column < W:
            D[:, row, column, :, i, j] += atoms[:, :, a, b].T
    return D.reshape(C * H * W, K * h * w)


def problem(random: np.random.Generator) -> Problem:
    """A random one of the shape that all checks share."""
    return Problem.of(unit_atoms(random, ATOMS, 1, KERNEL, KERNEL), random.standard_normal((IMAGES, 1, *SIZE)))


def problems(random: np.random.Generator, count: int) -> Iterator[tuple[Problem, Program]]:
    """So many, with the sparsity between 3 % and 50 % of the largest sensible one."""
    for _ in range(count):
        found = problem(random)
        yield found, Program(random.uniform(0.03, 0.5, IMAGES) * abs(found.D.T @ found.columns).max(axis=0))


def solved(found: Problem, program: Program, images: np.ndarray | None = None, gap: float = GAP) -> csc.Solution:
    """By the library."""
    return csc.solve(found.dictionary, found.images if images is None else images, gap=gap, **program.arguments())


def as_images(columns: np.ndarray) -> np.ndarray:
    """Columns as images (N, 1, H, W)."""
    return columns.T.reshape(-1, 1, *SIZE)


def as_columns(codes: np.ndarray) -> np.ndarray:
    """Codes (N, K, h, w) as columns."""
    return np.asarray(codes).reshape(len(codes), -1).T


def squared_norm(D: np.ndarray) -> float:
    """‖D‖²."""
    return float(np.linalg.eigvalsh(D @ D.T)[-1])


def path(D: np.ndarray, X: np.ndarray, program: Program, method: str, step: float, steps: int) -> np.ndarray:
    """The codes from zero on, (steps + 1, codes, images): ISTA, FISTA, and the public layer, whose gradient is taken at c."""
    c = a = np.zeros((D.shape[1], X.shape[1]))
    t, found, damped = 1.0, [c], 1 + program.ridge * step
    for _ in range(steps):
        at, base = (a if method == "fista" else c), (c if method == "ista" else a)
        new = program.shrunk((base + step * D.T @ (X - D @ at)) / damped, program.sparsity * step / damped)
        later = (1 + np.sqrt(1 + 4 * t * t)) / 2
        c, a, t = new, new + (t - 1) / later * (new - c), later
        found.append(c)
    return np.array(found)


def rate(Z: np.ndarray, epsilon: float) -> float:
    """½ logdet(I + d/(nε²) ZZᵀ)."""
    return 0.5 * float(np.linalg.slogdet(np.eye(len(Z)) + len(Z) / (Z.shape[1] * epsilon**2) * Z @ Z.T)[1])


def rate_distance(Z: np.ndarray, Zhat: np.ndarray, epsilon: float) -> float:
    """R([Z, Ẑ]) less the mean of R(Z) and R(Ẑ)."""
    return rate(np.hstack([Z, Zhat]), epsilon) - (rate(Z, epsilon) + rate(Zhat, epsilon)) / 2


def rotation(random: np.random.Generator, dim: int) -> np.ndarray:
    """A random orthogonal matrix."""
    Q, R = np.linalg.qr(random.standard_normal((dim, dim)))
    return Q * np.sign(np.diag(R))
