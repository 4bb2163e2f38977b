"""Simultaneous gradient ascent near an equilibrium of the game: its linearization, and the ascent itself, in plain NumPy.

The encoder stays on ‖FX_j‖² = n_j, where its multipliers hold it. With the constraint's tangent space T at F,

    d/dt (V, W) = (Π_T [(Hess Q − μ)V + D_ff V + D_fg W], −κ [D_gf V + D_gg W]).

At D = 0 the second derivatives of D are (b_j²/8) tr(E_jΔE_jΔ') with the first derivatives Δ of P_j − P̂_j, E_j = (I +
b_jP_j)⁻¹.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.optimize

from mcr2_landscape import closed_form
from mcr2_landscape.closed_form import Parameters
from mcr2_landscape.ctrl import SubspaceGame


@dataclass(frozen=True)
class Linearized:
    """The blocks of the linearization at (F, G): `leader` on the encoder's tangent space, `cross` from the decoder to it, `own`
    of the decoder, symmetric; and a `basis` of the tangent space (d_z d_x, t)."""

    game: SubspaceGame
    F: np.ndarray
    G: np.ndarray
    basis: np.ndarray
    leader: np.ndarray
    cross: np.ndarray
    own: np.ndarray

    @staticmethod
    def of(game: SubspaceGame, F: np.ndarray, G: np.ndarray) -> Linearized:
        """At an equilibrium (F, G)."""
        dim = F.shape[0]
        C, factors = game.spans.joined, game.spans.factors
        p = Parameters(game.dim, game.sizes, game.epsilon, 1.0, game.ranks)
        A = F @ C
        gradient = closed_form.gradient_and_scale(p, A, regularized=False)[0]
        HQ = closed_form.hessian_matrix(p, A, regularized=False)
        multipliers = np.concatenate(
            [
                np.full(block.shape[1], np.sum(block * own) / np.sum(block**2))
                for block, own in zip(p.blocks(A), p.blocks(gradient), strict=True)
            ]
        )
        HQ[np.diag_indices_from(HQ)] -= np.tile(multipliers, dim)
        lift = np.kron(np.eye(dim), C)
        normals = np.stack([(F @ own @ own.T).ravel() for own in factors], axis=1)
        basis = np.linalg.svd(normals, full_matrices=True)[0][:, normals.shape[1] :]
        J = _residual_jacobian(game, F, G)
        blocks = J.T @ J
        size = F.size
        ff, fg, gg = blocks[:size, :size], blocks[:size, size:], blocks[size:, size:]
        return Linearized(game, F, G, basis, basis.T @ (lift @ HQ @ lift.T + ff) @ basis, basis.T @ fg, gg)

    def matrix(self, kappa: float) -> np.ndarray:
        """The linearization for that ratio of the decoder's rate to the encoder's."""
        return np.block([[self.leader, self.cross], [-kappa * self.cross.T, -kappa * self.own]])

    def abscissa(self, kappa: float) -> float:
        """The largest real part of its eigenvalues, zero for the equilibrium's own manifold."""
        return float(np.linalg.eigvals(self.matrix(kappa)).real.max())

    def leading(self, kappa: float) -> np.ndarray:
        """The mode of that eigenvalue, its real part, of both players."""
        values, vectors = np.linalg.eig(self.matrix(kappa))
        return np.real(vectors[:, int(np.argmax(np.real(values)))])

    def threshold(self) -> float:
        """The ratio from which on no real part is positive, as far as e^±12; 0 or infinite where there is none between."""
        scale = float(np.abs(self.leader).max())

        def unstable(exponent: float) -> float:
            kappa = float(np.exp(exponent))
            return self.abscissa(kappa) - 1e-7 * scale * max(1.0, kappa)

        grid = np.linspace(-12, 12, 97)
        above = [float(x) for x in grid if unstable(float(x)) > 0]
        if not above or above[-1] == grid[-1]:
            return np.inf if above else 0.0
        bracket = (above[-1], above[-1] + float(grid[1] - grid[0]))
        return float(np.exp(scipy.optimize.root_scalar(unstable, bracket=bracket, xtol=1e-10).root))


def _residual_jacobian(game: SubspaceGame, F: np.ndarray, G: np.ndarray) -> np.ndarray:
    """J with D ≈ ½ ‖J (V, W)‖² at D = 0."""
    M, columns, size, roots = F @ G, [], F.size, []
    for C, count in zip(game.spans.factors, game.sizes, strict=True):
        scale = game.dim / (count * game.epsilon**2)
        values, vectors = np.linalg.eigh(np.eye(game.dim) + scale * (F @ C) @ (F @ C).T)
        roots.append((scale, vectors / np.sqrt(values) @ vectors.T))
    for number in range(2 * size):
        unit = np.zeros(2 * size)
        unit[number] = 1
        V, W = unit[:size].reshape(F.shape), unit[size:].reshape(G.shape)
        dM, parts = V @ G + F @ W, []
        for C, (scale, root) in zip(game.spans.factors, roots, strict=True):
            A, dA = F @ C, V @ C
            dP = dA @ A.T
            image, dimage = M @ A, dM @ A + M @ dA
            moved = dimage @ image.T
            parts.append((scale / np.sqrt(8) * root @ (dP + dP.T - moved - moved.T) @ root).ravel())
        columns.append(np.concatenate(parts))
    return np.array(columns).T


def _gradients(game: SubspaceGame, F: np.ndarray, G: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """∇_F (Q + D) and ∇_G D, as in docs/ctrl.md."""
    p = Parameters(game.dim, game.sizes, game.epsilon, 1.0, game.ranks)
    up = closed_form.gradient_and_scale(p, F @ game.spans.joined, regularized=False)[0] @ game.spans.joined.T
    M, eye = F @ G, np.eye(game.dim)
    T = np.zeros((game.dim, game.dim))
    for C, size in zip(game.spans.factors, game.sizes, strict=True):
        half = game.dim / (size * game.epsilon**2) / 2
        A = F @ C
        image = M @ A
        P, P_hat = A @ A.T, image @ image.T
        own, images = np.linalg.inv(eye + 2 * half * P), np.linalg.inv(eye + 2 * half * P_hat)
        gap = half * half * np.linalg.inv(eye + half * (P + P_hat)) @ (P - P_hat)
        K, L = gap @ own, -gap @ images
        up = up + (K + M.T @ L @ M) @ A @ C.T
        T += L @ M @ P
    return up + T @ G.T, F.T @ T


def _feasible(game: SubspaceGame, F: np.ndarray) -> np.ndarray:
    """F (I + Σ c_jX_jX_jᵀ) with ‖FX_j‖² = n_j, for F nearly so, by Newton steps."""
    factors, sizes = game.spans.factors, np.array(game.sizes)
    for _ in range(2):
        normals = [F @ C @ C.T for C in factors]
        error = np.array([np.sum((F @ C) ** 2) for C in factors]) - sizes
        slopes = np.array([[2 * np.sum(other * own) for other in normals] for own in normals])
        F = F - sum(c * own for c, own in zip(np.linalg.solve(slopes, error), normals, strict=True))
    return F


def simulated_rate(at: Linearized, kappa: float, start: np.ndarray, num_steps: int = 6000) -> tuple[float, bool]:
    """Simultaneous ascent from beside the equilibrium, in the direction `start` of the linearization: the rate at which ∇_G D,
    which vanishes at equilibria, grows over the time in which it is small, and whether it has grown at the end.

    From a start at random most of ∇_G D decays at once, also where a slow mode grows; so the start is a mode.
    """
    game, along = at.game, at.basis.shape[1]
    speed = float(np.abs(np.linalg.eigvals(at.matrix(kappa))).max())
    step = 0.1 / speed
    size = 1e-7 * np.linalg.norm(at.F) / np.linalg.norm(start)
    F = _feasible(game, at.F + size * (at.basis @ start[:along]).reshape(at.F.shape))
    G, norms = at.G + size * start[along:].reshape(at.G.shape), []
    for _ in range(num_steps):
        up, down = _gradients(game, F, G)
        norms.append(float(np.linalg.norm(down)))
        if not 1e-2 * max(norms[:5]) <= norms[-1] <= 1e2 * max(norms[:5]):
            break
        normals = np.stack([(F @ C @ C.T).ravel() for C in game.spans.factors], axis=1)
        outward = normals @ np.linalg.lstsq(normals, up.ravel(), rcond=None)[0]
        F = _feasible(game, F + step * (up - outward.reshape(F.shape)))
        G = G - step * kappa * down
    sizes = np.log(np.maximum(norms, 1e-300))
    half = len(sizes) // 2
    rate = float(np.polyfit(step * np.arange(half, len(sizes)), sizes[half:], 1)[0])
    return rate, bool(sizes[-1] > sizes[: max(5, len(sizes) // 20)].max())
