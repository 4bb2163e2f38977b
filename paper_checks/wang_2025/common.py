"""Layers of the attention-only transformer on tokens near orthogonal subspaces, in the subspaces' coordinates.

A token is given by V_j = U_jᵀ z for all j: with orthonormal U_j, orthogonal to one another, a layer acts on each V_j alone.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import numpy as np

from mcr2_landscape import whitebox as wb


class Setting(NamedTuple):
    """Dimension of each of K subspaces, tokens of all classes together, and the size of the noise in the others' subspaces."""

    rank: int
    heads: int
    tokens: int
    noise: float


class Margins(NamedTuple):
    """How a layer's logits meet the conditions, in units of log((N − 1)tau/(1 − tau)): the smallest gap from a token's own
    logit in its own head to the next, at least one; the largest spread of a token's logits in another head, at most one;
    and `range`, the same spread with zero counted among the logits."""

    gap: float
    spread: float
    range: float

    @property
    def met(self) -> bool:
        return self.gap > 1 >= self.spread


def labels_of(setting: Setting) -> np.ndarray:
    """The class of each token."""
    return np.repeat(np.arange(setting.heads), setting.tokens // setting.heads)


def draw(random: np.random.Generator, setting: Setting) -> np.ndarray:
    """V, (K, p, N): standard normal in a token's own subspace, with the deviation `noise` in the others."""
    mine = np.arange(setting.heads)[:, None] == labels_of(setting)
    return (
        random.standard_normal((setting.heads, setting.rank, setting.tokens)) * np.where(mine, 1.0, setting.noise)[:, None, :]
    )


def logits_of(V: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """V_kᵀ V_k of every head."""
    return np.swapaxes(V, 1, 2) @ V / temperature


def layer(V: np.ndarray, logits: np.ndarray, step: float, threshold: float) -> np.ndarray:
    """V_k + step V_k phi(logits): in phi weights above the threshold become the threshold, all others zero."""
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    return V + step * V @ np.where(weights > threshold, threshold, 0.0)


def library_layer(V: np.ndarray, U: np.ndarray, step: float, threshold: float) -> np.ndarray:
    """The same by the library, on tokens Σ_k U_k V_k."""
    with jax.enable_x64(True):
        Z = np.asarray(wb.subspace_denoising(np.sum(U @ V, axis=0), U, step=step, threshold=threshold))
    return np.swapaxes(U, 1, 2) @ Z


def ratios(V: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Signal over noise of each token."""
    squares = np.sum(V**2, axis=1)
    signal = squares[labels, np.arange(labels.size)]
    mine = np.arange(len(V))[:, None] == labels
    return np.sqrt(signal / np.sum(np.where(mine, 0.0, squares), axis=0))


def class_ratios(V: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Signal over noise of each class's tokens together, in Frobenius norms."""
    squares = np.sum(V**2, axis=1)
    sums = np.stack([squares[:, labels == k].sum(axis=1) for k in range(len(V))], axis=1)
    return np.sqrt(np.diagonal(sums) / (sums.sum(axis=0) - np.diagonal(sums)))


def margins(logits: np.ndarray, labels: np.ndarray, threshold: float) -> Margins:
    """Of a layer's logits (K, N, N)."""
    count = labels.size
    unit = math.log((count - 1) * threshold / (1 - threshold))
    mine = np.arange(len(logits))[:, None] == labels
    diagonal = np.arange(count)
    others = logits.copy()
    others[:, diagonal, diagonal] = -np.inf
    gaps = logits[:, diagonal, diagonal] - others.max(axis=1)
    highest, lowest = logits.max(axis=1), logits.min(axis=1)
    spreads, ranges = highest - lowest, np.maximum(highest, 0) - np.minimum(lowest, 0)
    return Margins(*(float(value) / unit for value in (gaps[mine].min(), spreads[~mine].max(), ranges[~mine].max())))
