"""Dictionaries as dense matrices, written down entry by entry, and small programs."""

from __future__ import annotations

import numpy as np

from mcr2_landscape import csc

# (K, C, kernel, stride, padding, size): even and odd kernels, strides that leave a rest, padding beyond the kernel
GEOMETRIES = (
    (3, 1, (3, 3), 1, 1, (8, 9)),
    (4, 2, (4, 3), 2, 1, (9, 10)),
    (2, 1, (5, 4), 3, 2, (11, 10)),
    (5, 3, (2, 2), 1, 0, (5, 5)),
    (2, 1, (7, 7), 2, 3, (13, 12)),
    (3, 1, (2, 2), 3, 0, (9, 11)),
    (3, 2, (3, 2), 1, 4, (4, 4)),
    (3, 1, (3, 5), (2, 1), (0, 2), (7, 7)),
)
SIZE = (9, 8)


def unit_atoms(random: np.random.Generator, *shape: int) -> np.ndarray:
    drawn = random.standard_normal(shape)
    return drawn / np.sqrt(np.sum(drawn**2, axis=(1, 2, 3), keepdims=True))


def pair(value) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value


def dense(atoms: np.ndarray, stride, padding, size: tuple[int, int]) -> np.ndarray:
    """D, (C·H·W, K·h·w): column (k, i, j) is atom k with its corner at pixel (i s − p, j s − p), cut off at the border."""
    (K, C, kh, kw), (sh, sw), (ph, pw), (H, W) = atoms.shape, pair(stride), pair(padding), size
    h, w = (H + 2 * ph - kh) // sh + 1, (W + 2 * pw - kw) // sw + 1
    D = np.zeros((C, H, W, K, h, w))
    for i in range(h):
        for j in range(w):
            for a in range(kh):
                for b in range(kw):
                    y, x = i * sh - ph + a, j * sw - pw + b
                    if 0 <= y < H and 0 <= x < W:
                        D[:, y, x, :, i, j] = atoms[:, :, a, b].T
    return D.reshape(C * H * W, K * h * w)


def small(seed: int, *, images: int = 3, padding: int = 1, size: tuple[int, int] = SIZE):
    """A dictionary of four 3 × 3 atoms, images of one shape, and D."""
    random = np.random.default_rng(seed)
    atoms = unit_atoms(random, 4, 1, 3, 3)
    x = random.standard_normal((images, 1, *size))
    return csc.ConvDictionary(atoms, 1, padding), x, dense(atoms, 1, padding, size)


def value(D: np.ndarray, x: np.ndarray, z: np.ndarray, sparsity: float, ridge: float = 0.0) -> float:
    x, z = x.ravel(), z.ravel()
    return float(sparsity * np.abs(z).sum() + ridge / 2 * z @ z + 0.5 * np.sum((x - D @ z) ** 2))
