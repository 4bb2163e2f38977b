"""Which conditions of an equilibrium of single-subspace pursuit a pair of encoder and decoder meets.

Source: docs/ctrl.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse.linalg

from mcr2_landscape.ctrl import stiefel, stiefel_derivatives
from mcr2_landscape.ctrl.stiefel_responses import PLAIN
from mcr2_landscape.record import Record
from mcr2_landscape.verdict import Verdict

if TYPE_CHECKING:
    from mcr2_landscape.ctrl.single import SingleSubspaceGame

_DENSE = 400  # entries of F up to which the encoder's Hessian is formed
_RESPONDS = 1e-8  # `response_error` of a best response
_VALUE, _HIDDEN = 1e-12, 1e-10  # of the optimum: its rounding; the most that may be hidden for it to be called attained
_SLOPE = 1e-6  # relative gradients above are none of rounding's


@dataclass(frozen=True)
class SingleVerification(Record):
    """What a pair (F, G) is.

    **Fields:** `stackelberg`: whether F is optimal and G a best response: refuted where one of them fails beyond rounding, or
    R(FX) has a slope, undecided where F or G is so far from orthonormal that this hides it; `gap`: what R(FX) lacks of the
    optimum; `response_error`: see `SingleSubspaceGame.is_best_response`. `local_nash`: whether neither player gains to second
    order by moving alone; undecided where the encoder's Hessian is singular. `gradient_norms`: Riemannian, of both players,
    relative to the size of ∇R. `curvature`: the largest eigenvalue of the encoder's Riemannian Hessian; `nan` where there is
    nowhere to move or the gradients decide. `subspace_error`: sine of the largest angle between fgf(S) and f(S).
    `reconstruction_error`: ‖gf(X) − X‖/‖X‖, which an equilibrium need not make small. `reason`: in words.
    """

    stackelberg: Verdict
    gap: float
    response_error: float
    local_nash: Verdict
    gradient_norms: tuple[float, float]
    curvature: float
    subspace_error: float
    reconstruction_error: float
    reason: str


def verify(game: SingleSubspaceGame, F: np.ndarray, G: np.ndarray) -> SingleVerification:
    """See `SingleSubspaceGame.verify_equilibrium`."""
    responds, error = _responds(game, F, G)
    with jax.enable_x64(True):
        grown = stiefel_derivatives.riemannian_gradients(game.data(np.float64), jnp.asarray(F), jnp.asarray(G))
        norms = tuple(float(jnp.linalg.norm(part)) / _gradient_scale(game) for part in grown)
        nash, curvature, more = _nash(game, F, G, norms, responds)
    gap = game.optimum().value - game.rate(F)
    stackelberg, words = _stackelberg(game, F, gap, responds)
    words += f" (R(FX) is {gap:.3g} below the optimum, the decoder {error:.3g} off a best response); {more}"
    return SingleVerification(stackelberg, gap, error, nash, (norms[0], norms[1]), curvature, *_recovery(game, F, G), words)


def stackelberg_verdict(game: SingleSubspaceGame, F: np.ndarray, G: np.ndarray) -> Verdict:
    """See `SingleSubspaceGame.stackelberg_verdict`."""
    return _stackelberg(game, F, game.optimum().value - game.rate(F), _responds(game, F, G)[0])[0]


def _gradient_scale(game: SingleSubspaceGame) -> float:
    """What gradients are relative to: ‖b(I + bΣ)⁻¹Σ‖."""
    return game.b * float(np.linalg.norm(game.values**2 / (1 + game.b * game.values**2)))


def _responds(game: SingleSubspaceGame, F: np.ndarray, G: np.ndarray) -> tuple[Verdict, float]:
    """Whether G is a best response: undecided where the error may come from rows that are orthonormal to rounding alone."""
    error = game.response_error(F, G)
    if error <= _RESPONDS:
        return Verdict.HOLDS, error
    off = 2 * (stiefel.defect(F) + stiefel.defect(G)) * (1 + np.sqrt(game.b) * float(game.values[0]))
    return (Verdict.REFUTED if error > _RESPONDS + off else Verdict.UNDECIDED), error


def _stackelberg(game: SingleSubspaceGame, F: np.ndarray, gap: float, responds: Verdict) -> tuple[Verdict, str]:
    best, raised = game.optimum().value, game.b * game.values**2
    rounding = _VALUE * best + stiefel.defect(F) * float(np.sum(raised / (1 + raised)))
    if responds is Verdict.REFUTED:
        return Verdict.REFUTED, "the decoder is no best response"
    if gap > rounding:
        return Verdict.REFUTED, "the encoder is not optimal"
    with jax.enable_x64(True):  # with the decoder Fᵀ the distance and its slopes are zero
        grown = stiefel_derivatives.riemannian_gradients(game.data(np.float64), jnp.asarray(F), jnp.asarray(F.T))[0]
    gradient = float(jnp.linalg.norm(grown)) / _gradient_scale(game)
    if gradient > _SLOPE:
        return Verdict.REFUTED, f"the encoder is not critical for R(FX): relative gradient {gradient:.3g}"
    if responds is Verdict.UNDECIDED or rounding > _HIDDEN * best:
        return Verdict.UNDECIDED, "F or G is too far from orthonormal to tell"
    return Verdict.HOLDS, "the encoder attains the optimum to rounding, and the decoder answers it"


def _nash(
    game: SingleSubspaceGame, F: np.ndarray, G: np.ndarray, norms: tuple[float, ...], responds: Verdict
) -> tuple[Verdict, float, str]:
    if max(norms) > _SLOPE:
        player = "encoder" if norms[0] >= norms[1] else "decoder"
        return Verdict.REFUTED, np.nan, f"the {player} gains to first order (relative gradient {max(norms):.3g})"
    if stiefel.dimension(*F.shape) == 0:
        return (
            (Verdict.HOLDS if responds is Verdict.HOLDS else Verdict.UNDECIDED),
            np.nan,
            "the manifolds have no directions",
        )
    curvature = _curvature(game, F, G)
    small = 1e-8 * game.b * float(game.values[0]) ** 2
    if curvature > small:
        return Verdict.REFUTED, curvature, f"the encoder gains to second order (curvature {curvature:.3g})"
    if curvature < -small and responds is Verdict.HOLDS:
        return Verdict.HOLDS, curvature, f"the encoder loses to second order (curvature {curvature:.3g})"
    return Verdict.UNDECIDED, curvature, "second order does not decide whether the players gain by moving alone"


def _curvature(game: SingleSubspaceGame, F: np.ndarray, G: np.ndarray) -> float:
    """The largest eigenvalue of the encoder's Riemannian Hessian on the tangent space."""
    data, at = game.data(np.float64), (jnp.asarray(F), jnp.asarray(G))
    below = 4 * game.b * float(game.values[0]) ** 2  # normal directions get this, with the sign turned
    if F.size <= _DENSE:
        return float(np.linalg.eigvalsh(np.asarray(stiefel_derivatives.hessian(data, *at, below)))[-1])

    def product(V: np.ndarray) -> np.ndarray:
        return np.asarray(stiefel_derivatives.shifted(data, *at, jnp.asarray(V.reshape(F.shape)), below)).ravel()

    operator = scipy.sparse.linalg.LinearOperator((F.size, F.size), matvec=product, dtype=np.float64)  # type: ignore[call-arg]
    accuracy: dict[str, Any] = {"tol": 1e-6, "return_eigenvectors": False}
    start = np.random.default_rng(0).standard_normal(F.size)
    return float(scipy.sparse.linalg.eigsh(operator, k=1, which="LA", v0=start, **accuracy)[0])


def _recovery(game: SingleSubspaceGame, F: np.ndarray, G: np.ndarray) -> tuple[float, float]:
    A = F @ game.factor
    U, s, _ = np.linalg.svd(A, full_matrices=False)
    kept = U[:, s > PLAIN * max(float(s[0]), 1e-300)]
    again, _ = np.linalg.qr(F @ G @ kept)
    sine = float(np.linalg.norm(again - kept @ (kept.T @ again), 2)) if kept.shape[1] else 0.0
    return sine, float(np.linalg.norm(G @ A - game.factor) / np.linalg.norm(game.factor))
