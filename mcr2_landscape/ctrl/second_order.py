"""Second derivatives of a pair of encoder and decoder: what the encoder is as a critical point, and whether the pair is a local
Nash equilibrium.

All in the coordinates of `frames`. Source: docs/ctrl.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize

from mcr2_landscape.ctrl import utilities, values
from mcr2_landscape.ctrl.frames import Frame, frame_of, norm
from mcr2_landscape.landscape import classify
from mcr2_landscape.landscape.classify import CriticalPoint
from mcr2_landscape.mcr2 import ConstrainedMCR2
from mcr2_landscape.validation import InputError
from mcr2_landscape.verdict import Verdict

if TYPE_CHECKING:
    from mcr2_landscape.ctrl.game import SubspaceGame

MAX_CLASSIFIED, MAX_UNKNOWNS = 1500, 1200
MAX_NUMBERS = 4_000_000  # of one of some twenty arrays that derivatives at a pair are made of
FEASIBLE = 1e-9
_CRITICAL = 1e-8
_SIGNED = 1e-10  # of the norm of a Hessian
_KERNEL = 1e-9
_COARSE = "epsilon is so small beside f(X) and fgf(X) that rounding leaves nothing of the derivatives"


@dataclass(frozen=True)
class Blocks:
    """Second derivatives in a frame, for n = d D unknowns of either player, each (n, n): `own` of the encoder's utility in F,
    `expressive` of Q, and of the distance D: `mixed` D_fg and `decoder` D_gg."""

    own: np.ndarray
    expressive: np.ndarray
    mixed: np.ndarray
    decoder: np.ndarray


def blocks_of(frame: Frame) -> Blocks:
    """Dense second derivatives."""
    with jax.enable_x64(True):
        n = frame.F.size
        raw = _dense(frame.data, jnp.asarray(frame.F), jnp.asarray(frame.G))
        own, expressive, mixed, decoder = (np.array(part).reshape(n, n).T for part in raw)
    return Blocks(0.5 * (own + own.T), 0.5 * (expressive + expressive.T), mixed, -0.5 * (decoder + decoder.T))


@jax.jit
def _dense(data: utilities.Data, F: jax.Array, G: jax.Array) -> tuple[jax.Array, ...]:
    at = utilities.point_at(data, F, G)

    def column(unit: jax.Array) -> tuple[jax.Array, ...]:
        V, W = unit.reshape(F.shape), unit.reshape(G.shape)
        own, _ = utilities.hvp(data, at, V, jnp.zeros_like(G))
        mixed, decoder = utilities.hvp(data, at, jnp.zeros_like(F), W)
        _, expressive = jax.jvp(lambda point: utilities.expressiveness_gradient(data, point), (F,), (V,))
        return own.reshape(-1), expressive.reshape(-1), mixed.reshape(-1), decoder.reshape(-1)

    return jax.lax.map(column, jnp.eye(F.size, dtype=F.dtype), batch_size=32)


@jax.jit
def first_order(data: utilities.Data, F: jax.Array, G: jax.Array) -> tuple[jax.Array, ...]:
    """The distances, and both players' gradients of their own utilities."""
    return utilities.distances(data, F, G), *utilities.gradients(data, utilities.point_at(data, F, G))


@jax.jit
def _along(data: utilities.Data, F: jax.Array, G: jax.Array, V: jax.Array) -> jax.Array:
    return utilities.hvp(data, utilities.point_at(data, F, G), V, jnp.zeros_like(G))[0]


def distances_of(frame: Frame) -> np.ndarray:
    """ΔR(f(X_j), fgf(X_j)) of each class, shape (K,), on the host."""
    return values.distances(frame.factors, frame.sizes, frame.F.shape[0], frame.epsilon, frame.F, frame.G)


def envelope_residual(game: SubspaceGame, F: Any, G: Any) -> float:
    """‖D_ff − D_fg D_gg⁺ D_gf‖/‖D_ff‖ of the distance D at a best response G to F, in the coordinates of the report: 0 where
    the decoder can follow every change of the encoder to first order, so that the leader sees Q alone.

    **Raises:** `InputError` as `SubspaceGame.verify_equilibrium`, and beyond 1,200 unknowns of both players.
    """
    frame = frame_of(game, game.encoder(F), game.decoder(G))
    if 2 * frame.F.size > MAX_UNKNOWNS:
        raise InputError("F: found " + too_many("unknowns of both players", 2 * frame.F.size, MAX_UNKNOWNS))
    blocks = blocks_of(frame)
    own = blocks.own - blocks.expressive
    left = own - blocks.mixed @ np.linalg.pinv(blocks.decoder, rcond=_KERNEL, hermitian=True) @ blocks.mixed.T
    return float(np.linalg.norm(left) / norm(own))


def too_many(what: str, found: int, most: int) -> str:
    """Why something is not computed, in words."""
    return f"{found} {what}, more than the {most} of a dense computation"


def classified(game: SubspaceGame, frame: Frame, F: np.ndarray) -> CriticalPoint | str:
    """F as a point of the reduced problem, or why it is not looked at."""
    if frame.rounding > _CRITICAL:
        return f"f(X) is known to {frame.rounding:.1g} of its norm alone: X has singular values that are too far apart"
    what = "unknowns of the reduced problem"
    if not game.spans.independent:
        unknowns = game.dim * (game.spans.span.shape[1] + len(game.sizes))
        if unknowns > MAX_CLASSIFIED:
            return too_many(what, unknowns, MAX_CLASSIFIED)
        problem = game.landscape()
        return classify(problem.landscape, problem.point(F))
    A = frame.F[:, : frame.inside]
    if A.size > MAX_CLASSIFIED:
        return too_many(what, A.size, MAX_CLASSIFIED)
    return classify(ConstrainedMCR2(A.shape[0], game.sizes, frame.epsilon, "balls").with_ranks(game.ranks), A)


# -- local Nash ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Nash:
    """`tangent`: an orthonormal basis of what the encoder may do (n, t), with the encoder's Hessian there, where both are
    known."""

    verdict: Verdict
    curvature: float | None
    reason: str
    blocks: Blocks | None
    tangent: np.ndarray | None = None
    hessian: np.ndarray | None = None
    held: tuple[int, ...] = ()


def nash_of(frame: Frame, responds: Verdict, distance: float) -> Nash:
    """Whether neither player gains by moving alone and a little. `distance` is Σ D_j."""
    if frame.numbers > MAX_NUMBERS:
        return Nash(Verdict.UNDECIDED, None, too_many("numbers in an array of derivatives", frame.numbers, MAX_NUMBERS), None)
    with jax.enable_x64(True):
        found = first_order(frame.data, jnp.asarray(frame.F), jnp.asarray(frame.G))
        encoder, decoder = (np.array(part) for part in found[1:])
    if not (np.isfinite(encoder).all() and np.isfinite(decoder).all()):
        return Nash(Verdict.UNDECIDED, None, _COARSE, None)
    if responds is Verdict.REFUTED:
        moves = np.linalg.norm(decoder) * np.linalg.norm(frame.G) > _CRITICAL * distance
        words = "the decoder gains by following its gradient" if moves else "the decoder is no best response, though critical"
        return Nash(Verdict.REFUTED if moves else Verdict.UNDECIDED, None, words, None)
    signed = max(_SIGNED, frame.rounding)
    normals = frame.normals()
    active = np.array([float(np.sum(frame.F * normal)) >= 1 - FEASIBLE for normal in normals])
    columns = normals[active].reshape(int(active.sum()), frame.F.size).T
    weights = np.zeros(len(normals))
    weights[active], left = scipy.optimize.nnls(columns, encoder.ravel()) if active.any() else ([], np.linalg.norm(encoder))
    # the two parts of ∇Q are each about this large
    scale = (
        frame.F.shape[0] / (sum(frame.sizes) * frame.epsilon**2) * norm(frame.F) * max(np.linalg.norm(C) for C in frame.factors)
    )
    if left > max(_CRITICAL, frame.rounding) * scale:
        return Nash(Verdict.REFUTED, None, f"the encoder gains by following its gradient, of norm {left:.3g}", None)
    held = weights > signed * scale
    shifts = frame.shift(weights)  # of the Lagrangian, acting on the right
    if frame.F.size > MAX_UNKNOWNS:
        return _mixed_rotation(frame, shifts)
    blocks = blocks_of(frame)
    if not all(np.isfinite(part).all() for part in (blocks.own, blocks.mixed, blocks.decoder)):
        return Nash(Verdict.UNDECIDED, None, _COARSE, None)
    hessian = blocks.own - np.kron(np.eye(frame.F.shape[0]), shifts)
    count = int(held.sum())
    tangent = np.linalg.qr(normals[held].reshape(count, frame.F.size).T, mode="complete")[0][:, count:]
    hessian = tangent.T @ hessian @ tangent
    eigenvalues, tolerance = np.linalg.eigvalsh(hessian), signed * float(np.linalg.norm(blocks.own, 2))
    top = float(eigenvalues[-1]) if eigenvalues.size else -math.inf
    rest = (blocks, tangent, hessian, tuple(np.flatnonzero(held).tolist()))
    if top > tolerance:
        words = f"with the decoder held, the encoder gains along a direction of curvature {top:.6g}"
        return Nash(Verdict.REFUTED, top, words, *rest)
    if top < -tolerance and held.sum() == active.sum() and responds is Verdict.HOLDS:
        return Nash(Verdict.HOLDS, top, "the encoder's own Hessian is negative definite on its constraint set", *rest)
    words = "no eigenvalue of the encoder's own Hessian is positive beyond rounding, but some are zero"
    return Nash(Verdict.UNDECIDED, top, words, *rest)


def _mixed_rotation(frame: Frame, shifts: np.ndarray) -> Nash:
    """Whether the curvature is positive along a rotation of the leading directions of two classes into each other."""
    leading = [np.linalg.svd(frame.F @ C, full_matrices=False) for C in frame.factors]
    leading.sort(key=lambda found: -float(found[1][0]))  # a collapsed class turns into nothing
    best, least = -math.inf, max(_SIGNED, frame.rounding) * float(np.linalg.norm(shifts, 2))
    with jax.enable_x64(True):
        data, F, G = frame.data, jnp.asarray(frame.F), jnp.asarray(frame.G)
        (first, s, _), others = leading[0], leading[1:]
        for U, own, _ in others:
            if min(s[0], own[0]) <= 0:
                continue
            u, w = first[:, 0], U[:, 0]
            V = np.outer(u, w @ frame.F) - np.outer(w, u @ frame.F)
            image = np.array(_along(data, F, G, jnp.asarray(V))) - V @ shifts
            best = max(best, float(np.sum(V * image) / np.sum(V * V)))
            if best > least:  # one is enough
                break
    if best > least:
        return Nash(Verdict.REFUTED, best, f"along a rotation of two classes the curvature is {best:.6g}", None)
    words = too_many("unknowns of the encoder", frame.F.size, MAX_UNKNOWNS)
    return Nash(Verdict.UNDECIDED, None if best == -math.inf else best, f"{words}; no rotation of two classes raises it", None)
