"""Simultaneous gradient ascent near an equilibrium, linearized: from which ratio of the players' rates on it is stable.

In the coordinates of `frames`, the encoder on spheres. Source: docs/ctrl.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.linalg

from mcr2_landscape.ctrl import second_order
from mcr2_landscape.ctrl.frames import BEYOND, Frame, frame_of
from mcr2_landscape.ctrl.responses import response_verdict, responses_to
from mcr2_landscape.ctrl.second_order import Nash, classified, distances_of, nash_of, too_many
from mcr2_landscape.landscape.classify import CriticalPoint
from mcr2_landscape.verdict import Verdict

if TYPE_CHECKING:
    from mcr2_landscape.ctrl.game import SubspaceGame

_KERNEL = 1e-9
_DECADES = 6  # either way of 1/min n_j², the size of the ratio where classes keep one or two dimensions


@dataclass(frozen=True)
class Linearized:
    """Simultaneous gradient ascent near an equilibrium, linearized across the manifold of equilibria, each player in units of
    its own: with a ratio of rates τ the derivative is `basis`ᵀ diag(1, τ) `jacobian` `basis`, the first `split` coordinates the
    encoder's."""

    jacobian: np.ndarray
    basis: np.ndarray
    split: int

    def at(self, ratio: float) -> np.ndarray:
        """The matrix at one ratio."""
        scaled = self.jacobian.copy()
        scaled[self.split :] *= ratio
        return self.basis.T @ scaled @ self.basis

    def abscissa(self, ratio: float) -> float:
        """The largest real part of its eigenvalues: negative iff it is stable."""
        return float(np.linalg.eigvals(self.at(ratio)).real.max(initial=-math.inf))


def linearized(game: SubspaceGame, frame: Frame, nash: Nash, responds: Verdict, point: CriticalPoint | str) -> Linearized | str:
    """Simultaneous ascent near the pair, or why it is not linearized."""
    if not game.spans.independent:
        return "the classes are dependent: no coordinates make their constraint sets spheres"
    if responds is not Verdict.HOLDS:
        return "the decoder is no best response"
    unknowns = 2 * frame.F.size
    if unknowns > second_order.MAX_UNKNOWNS:
        return too_many("unknowns of both players", unknowns, second_order.MAX_UNKNOWNS)
    if nash.tangent is None or nash.hessian is None or nash.blocks is None:
        return "the encoder is not critical"
    if len(nash.held) < len(game.sizes):
        return "a class is not held on its sphere"
    if isinstance(point, str) or point.inertia.undecided:
        return f"the manifold of equilibria is not known: {point if isinstance(point, str) else point.reason}"
    responses = responses_to(frame.F, frame.factors).dimension
    if responses is None:
        return "the images of the classes are dependent, and the set of best responses is not known"
    blocks, tangent = nash.blocks, nash.tangent
    mixed = tangent.T @ blocks.mixed
    jacobian = np.block([[nash.hessian, mixed], [-mixed.T, -blocks.decoder]])
    # To first order equilibria nearby are the orbit of F among the critical points, what F does beyond Col X, and the best
    # responses; but where G leads f(S) there, F must stay in its range, beyond which no decoder nearby makes up for it.
    d, D = frame.F.shape
    rank = int(np.linalg.matrix_rank(frame.F, rtol=BEYOND))
    led = np.linalg.matrix_rank(frame.G[frame.inside :] @ frame.F[:, : frame.inside], tol=BEYOND)
    beyond = D - frame.inside
    expected = point.inertia.zero + rank * beyond + (d - rank) * (beyond - int(led)) + responses
    scaling = _scaling(frame, tangent)
    _, s, Vt = np.linalg.svd(scaling.T @ jacobian @ scaling)
    nullity = int((s <= _KERNEL * s[0]).sum())
    if nullity != expected:
        return f"{nullity} zero singular values of the Jacobian, to rounding, but {expected} dimensions of equilibria"
    return Linearized(np.linalg.solve(scaling, jacobian @ scaling), Vt[: s.size - nullity].T, tangent.shape[1])


def _scaling(frame: Frame, tangent: np.ndarray) -> np.ndarray:
    """Units in which what either player does is of the size of one, whatever the sizes of the classes: F C_j in those of √n_j,
    G after (FFᵀ)^−½. Without them a small class beside a large one looks like rounding."""
    d, D = frame.F.shape
    held = [(C != 0).any(axis=1) for C in frame.factors]
    columns = np.full(D, math.exp(float(np.mean(np.log(frame.sizes))) / 2))
    for own, size in zip(held, frame.sizes, strict=True):
        columns[own] = math.sqrt(size)
    U, s, _ = np.linalg.svd(frame.F)
    kept = s[s > BEYOND * s[0]]
    units = np.full(d, math.exp(float(np.mean(np.log(kept)))))
    units[: kept.size] = kept
    encoder = tangent.T @ (np.tile(columns, d)[:, None] * tangent)
    return np.asarray(scipy.linalg.block_diag(encoder, np.kron(np.eye(D), (U / units) @ U.T)))


def linearization(game: SubspaceGame, F: Any, G: Any) -> Linearized | str:
    """Simultaneous gradient ascent near (F, G), or in words why it is not linearized there.

    **Raises:** `InputError` as `SubspaceGame.verify_equilibrium`.
    """
    F, G = game.encoder(F), game.decoder(G)
    frame, responds = frame_of(game, F, G), response_verdict(game, F, G)[0]
    nash = nash_of(frame, responds, float(distances_of(frame).sum()))
    return linearized(game, frame, nash, responds, classified(game, frame, F))


def stability_of(
    game: SubspaceGame, frame: Frame, nash: Nash, responds: Verdict, point: CriticalPoint | str
) -> tuple[float | None, str]:
    """The least ratio of rates from which on simultaneous ascent is stable, as the report has it, and why."""
    found = linearized(game, frame, nash, responds, point)
    if isinstance(found, str):
        return None, found
    grid = 10.0 ** (np.arange(-_DECADES, _DECADES + 1) - round(2 * math.log10(min(game.sizes))))
    unstable = [ratio for ratio in grid if found.abscissa(ratio) >= 0]
    if not unstable:
        return 0.0, f"linearly stable at every ratio that was looked at, from {grid[0]:g} on"
    if unstable[-1] == grid[-1]:
        words = f"not linearly stable at {grid[-1]:g}, nor at any other ratio that was looked at, once a decade"
        if len(unstable) < grid.size:
            words = (
                f"not linearly stable at {grid[-1]:g}, though at {grid.size - len(unstable)} of the smaller ratios looked at"
            )
        return math.inf, words
    low, high = math.log(unstable[-1]), math.log(10 * unstable[-1])
    while high - low > 1e-7:
        middle = (low + high) / 2
        low, high = (middle, high) if found.abscissa(math.exp(middle)) >= 0 else (low, middle)
    return math.exp(high), f"the largest real part changes sign there; looked at once a decade from {grid[0]:g} on"
