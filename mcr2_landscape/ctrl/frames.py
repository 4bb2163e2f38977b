"""A pair of encoder and decoder in coordinates that show all that matters.

Classes are whitened, F ↦ [F C_1 … F C_K] where they are independent (an orthonormal basis of Col X where they are not), with
the directions beyond Col X that F or G use; and of R^{d_z} only what F and G use is kept, with one dimension more: the others
behave like that one. Source: docs/ctrl.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np

from mcr2_landscape.ctrl import utilities

if TYPE_CHECKING:
    from mcr2_landscape.ctrl.game import SubspaceGame

BEYOND = 1e-10  # of its norm: what of F or G outside of a span is rounding


@dataclass(frozen=True)
class Frame:
    """The pair in coordinates that show all that matters: `F` (d, D), `G` (D, d), classes `factors` C_j (D, r_j), and a coding
    precision with which utilities are what they were. The first `inside` of the D directions span Col X. `rounding`: of F C_j,
    relative to its norm, where the singular values of X are far apart."""

    F: np.ndarray
    G: np.ndarray
    factors: tuple[np.ndarray, ...]
    sizes: tuple[int, ...]
    epsilon: float
    inside: int
    rounding: float

    @property
    def data(self) -> utilities.Data:
        """What the utilities are evaluated on."""
        found = utilities.numbers(utilities.stacked(self.factors), self.sizes, self.F.shape[0], self.epsilon)
        return utilities.Data(*map(jnp.asarray, found))

    @property
    def numbers(self) -> int:
        """The size of the largest arrays that derivatives at the pair are made of."""
        return len(self.sizes) * self.F.shape[0] * max(self.F.shape)

    def normals(self) -> np.ndarray:
        """F C_jC_jᵀ/n_j, shape (K, d, D): orthogonal to the constraint sets."""
        return np.stack([(self.F @ C) @ C.T / size for C, size in zip(self.factors, self.sizes, strict=True)])

    def shift(self, weights: np.ndarray) -> np.ndarray:
        """Σ weights_j C_jC_jᵀ/n_j, shape (D, D)."""
        return sum((w / n * C @ C.T for w, n, C in zip(weights, self.sizes, self.factors, strict=True)), np.zeros(()))


def frame_of(game: SubspaceGame, F: np.ndarray, G: np.ndarray) -> Frame:
    """The pair's own coordinates."""
    spans = game.spans
    Q = spans.span
    outside = [part - Q @ (Q.T @ part) for part in (F.T / norm(F), G / norm(G))]
    N = _range(np.concatenate(outside, axis=1))
    if spans.independent:
        base, factors = spans.joined, np.split(np.eye(sum(game.ranks)), np.cumsum(game.ranks)[:-1], axis=1)
    else:
        base, factors = Q, [Q.T @ C for C in spans.factors]
    A, B = F @ np.concatenate([base, N], axis=1), np.concatenate([np.linalg.lstsq(base, G, rcond=None)[0], N.T @ G])
    W = _range(np.concatenate([A / norm(A), B.T / norm(B)], axis=1))
    if W.shape[1] < game.dim:  # any other direction stands for all that are left
        W = np.linalg.qr(np.concatenate([W, np.random.default_rng(0).standard_normal((game.dim, 1))], axis=1))[0]
    own = tuple(np.concatenate([C, np.zeros((N.shape[1], C.shape[1]))]) for C in factors)
    epsilon = game.epsilon * math.sqrt(W.shape[1] / game.dim)
    return Frame(W.T @ A, B @ W, own, game.sizes, epsilon, base.shape[1], spans.rounding)


def norm(M: np.ndarray) -> float:
    """‖M‖_F, one for zero: what sizes are relative to."""
    return float(np.linalg.norm(M)) or 1.0


def _range(M: np.ndarray) -> np.ndarray:
    """An orthonormal basis of the columns of M, whose norm is about one."""
    U, s, _ = np.linalg.svd(M, full_matrices=False)
    return U[:, s > BEYOND]
