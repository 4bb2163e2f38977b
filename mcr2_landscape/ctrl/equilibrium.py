"""Which conditions of an equilibrium a pair of encoder and decoder meets.

Everything local is decided in coordinates that show all that matters. Classes are whitened, F ↦ [F C_1 … F C_K] where they are
independent (an orthonormal basis of Col X where they are not), with the directions beyond Col X that F or G use; and of R^{d_z}
only what F and G use is kept, with one dimension more: the others behave like that one. Source: docs/ctrl.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize

from mcr2_landscape.ctrl import utilities
from mcr2_landscape.ctrl.ellipsoids import numbers_of
from mcr2_landscape.ctrl.optimum import upper_bound
from mcr2_landscape.ctrl.responses import responses_to
from mcr2_landscape.ctrl.solve import value_of_encoder, value_tolerance
from mcr2_landscape.landscape import classify
from mcr2_landscape.landscape.classify import CriticalPoint
from mcr2_landscape.mcr2 import ConstrainedMCR2
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, real
from mcr2_landscape.verdict import Kind, Verdict

if TYPE_CHECKING:
    from mcr2_landscape.ctrl.game import SubspaceGame

MAX_CLASSIFIED, MAX_UNKNOWNS = 1500, 1200
_FEASIBLE, _RESPONDS, _CRITICAL = 1e-9, 1e-8, 1e-8
_LOST, _KEPT = 1e-10, 1e-8  # of the largest singular value of all f(X_j)
_BEYOND = 1e-10  # of its norm: what of F or G outside of a span is rounding
_SIGNED = 1e-10  # of the norm of a Hessian or Jacobian
_KERNEL = 1e-9
_DECADES = 6  # rate ratios from 1e-6 to 1e6 are looked at


@dataclass(frozen=True)
class EquilibriumReport(Record):
    """What a pair (F, G) is to the game.

    **Fields:** `feasible`, with `violations` max(‖F X_j‖²/n_j − 1, 0), shape (K,). `best_response`: whether G is one, with
    `response_error` max_j ‖M P_j Mᵀ − P_j‖/‖P_j‖ and the `distances` ΔR(f(X_j), fgf(X_j)), shape (K,). `stackelberg`: whether F
    attains the optimum and G is a best response: refuted where one of them fails beyond rounding; `value` Q(F), `attainable`
    the largest value that is known to be reached (`None` if none is), `upper_bound`, and `gap`, the least that F is known to
    miss (what it may miss at most where the verdict is undecided). `kind` of F as a point of the reduced problem on balls, with
    the words of `classify` in `kind_reason`. `injective` on every class, `kept` and `lost` dimensions of each. `nash`: whether
    it is a local Nash equilibrium, with `encoder_curvature`, the largest eigenvalue of the encoder's own Hessian on its
    constraint set while the decoder stays (or, beyond 1,200 unknowns, the curvature along a rotation that mixes two classes;
    `None` where there is nothing to look at), and `nash_reason`. `stability_ratio`: simultaneous gradient ascent in whitened
    coordinates, the encoder on spheres, is linearly stable where the decoder's rate exceeds this many times the encoder's;
    infinite where it is at no ratio up to 1e6, 0 where it is at all from 1e-6 on, `None` where it is not known; why, in
    `stability_reason`. `reason`: on the Stackelberg verdict.
    """

    feasible: Verdict
    violations: np.ndarray
    best_response: Verdict
    response_error: float
    distances: np.ndarray
    stackelberg: Verdict
    value: float
    attainable: float | None
    upper_bound: float
    gap: float
    reason: str
    kind: Kind
    kind_reason: str
    injective: Verdict
    kept: tuple[int, ...]
    lost: tuple[int, ...]
    nash: Verdict
    encoder_curvature: float | None
    nash_reason: str
    stability_ratio: float | None
    stability_reason: str


@dataclass(frozen=True)
class Frame:
    """The pair in coordinates that show all that matters: `F` (d, D), `G` (D, d), classes `factors` C_j (D, r_j), and a coding
    precision with which utilities are what they were. The first `inside` of the D directions span Col X."""

    F: np.ndarray
    G: np.ndarray
    factors: tuple[np.ndarray, ...]
    sizes: tuple[int, ...]
    epsilon: float
    inside: int

    @property
    def data(self) -> utilities.Data:
        """What the utilities are evaluated on."""
        return utilities.Data(*map(jnp.asarray, numbers_of(self.factors, self.sizes, self.F.shape[0], self.epsilon)))

    @property
    def moments(self) -> np.ndarray:
        """C_jC_jᵀ/n_j, shape (K, D, D)."""
        return np.stack([C @ C.T / size for C, size in zip(self.factors, self.sizes, strict=True)])


def frame_of(game: SubspaceGame, F: np.ndarray, G: np.ndarray) -> Frame:
    """The pair's own coordinates."""
    spans = game.spans
    Q = spans.span
    outside = [part - Q @ (Q.T @ part) for part in (F.T / _norm(F), G / _norm(G))]
    N = _range(np.concatenate(outside, axis=1))
    if spans.independent:
        base, factors = spans.joined, np.split(np.eye(sum(game.ranks)), np.cumsum(game.ranks)[:-1], axis=1)
    else:
        base, factors = Q, [Q.T @ C for C in spans.factors]
    A, B = F @ np.concatenate([base, N], axis=1), np.concatenate([np.linalg.lstsq(base, G, rcond=None)[0], N.T @ G])
    W = _range(np.concatenate([A / _norm(A), B.T / _norm(B)], axis=1))
    if W.shape[1] < game.dim:  # any other direction stands for all that are left
        W = np.linalg.qr(np.concatenate([W, np.random.default_rng(0).standard_normal((game.dim, 1))], axis=1))[0]
    own = tuple(np.concatenate([C, np.zeros((N.shape[1], C.shape[1]))]) for C in factors)
    epsilon = game.epsilon * math.sqrt(W.shape[1] / game.dim)
    return Frame(W.T @ A, B @ W, own, game.sizes, epsilon, base.shape[1])


def _norm(M: np.ndarray) -> float:
    return float(np.linalg.norm(M)) or 1.0


def _range(M: np.ndarray) -> np.ndarray:
    """An orthonormal basis of the columns of M, whose norm is about one."""
    U, s, _ = np.linalg.svd(M, full_matrices=False)
    return U[:, s > _BEYOND]


# -- the report ---------------------------------------------------------------------------------------------------------------


def verify(game: SubspaceGame, F: np.ndarray, G: np.ndarray, attainable: float | None) -> EquilibriumReport:
    """See `SubspaceGame.verify_equilibrium`."""
    if attainable is not None:
        attainable = real("attainable", attainable)
    violations = np.maximum(game.feasibility(F) - 1, 0)
    feasible = Verdict.HOLDS if violations.max() <= _FEASIBLE else Verdict.REFUTED
    error = game.response_error(F, G)
    responds = Verdict.HOLDS if error <= _RESPONDS else Verdict.REFUTED
    frame = frame_of(game, F, G)
    with jax.enable_x64(True):
        distances, *first = map(np.array, _first(frame.data, jnp.asarray(frame.F), jnp.asarray(frame.G)))
    point = _classified(game, frame, F) if feasible is Verdict.HOLDS else "the encoder is not feasible; project it first"
    kind, words = (Kind.UNDECIDED, point) if isinstance(point, str) else (point.kind, point.reason)
    injective, kept = _kept(game, F)
    if feasible is Verdict.REFUTED:
        nash = _Nash(Verdict.REFUTED, None, "the encoder is not feasible", None)
        ratio, why = None, "the encoder is not feasible"
    else:
        nash = _nash(frame, first, responds, float(distances.sum()))
        ratio, why = _stability(game, frame, nash, responds, point)
    value = value_of_encoder(game, F)
    stackelberg, reached, gap, reason = _stackelberg(game, value, feasible, responds, kind, attainable)
    return EquilibriumReport(
        feasible,
        violations,
        responds,
        error,
        distances,
        stackelberg,
        value,
        reached,
        upper_bound(game.sizes, game.ranks, game.dim, game.epsilon),
        gap,
        reason,
        kind,
        words,
        injective,
        kept,
        tuple(rank - count for rank, count in zip(game.ranks, kept, strict=True)),
        nash.verdict,
        nash.curvature,
        nash.reason,
        ratio,
        why,
    )


def _stackelberg(
    game: SubspaceGame, value: float, feasible: Verdict, responds: Verdict, kind: Kind, attainable: float | None
) -> tuple[Verdict, float | None, float, str]:
    known = [] if attainable is None else [attainable]
    if game.spans.independent:
        known.append(game.optimum().value)
    reached = max(known, default=None)
    bound, tolerance = upper_bound(game.sizes, game.ranks, game.dim, game.epsilon), value_tolerance(game, value)
    missed = 0.0 if reached is None else reached - value
    if feasible is Verdict.REFUTED:
        return Verdict.REFUTED, reached, missed, "the encoder is not feasible"
    if responds is Verdict.REFUTED:
        return Verdict.REFUTED, reached, missed, "the decoder is no best response"
    if missed > tolerance:
        return Verdict.REFUTED, reached, missed, f"the encoder's value is {missed:.6g} below one that is attained"
    if kind in (Kind.STRICT_SADDLE, Kind.NOT_CRITICAL):
        return (
            Verdict.REFUTED,
            reached,
            max(missed, 0.0),
            f"the encoder is no local maximizer but a point of kind: {kind.value}",
        )
    if bound - value <= tolerance:
        return Verdict.HOLDS, reached, bound - value, "the encoder's value is the upper bound, to rounding"
    words = f"the encoder's value is {bound - value:.3g} below the upper bound, and no better encoder is known"
    return Verdict.UNDECIDED, reached, bound - value, words


def _kept(game: SubspaceGame, F: np.ndarray) -> tuple[Verdict, tuple[int, ...]]:
    spectra = [np.linalg.svd(F @ C, compute_uv=False) for C in game.spans.factors]
    largest = max(float(s[0]) for s in spectra)
    kept = [(int((s > _KEPT * largest).sum()), int((s > _LOST * largest).sum())) for s in spectra]
    full = [rank <= low for rank, (low, _) in zip(game.ranks, kept, strict=True)]
    lossy = any(high < rank for rank, (_, high) in zip(game.ranks, kept, strict=True))
    verdict = Verdict.HOLDS if all(full) else Verdict.REFUTED if lossy else Verdict.UNDECIDED
    return verdict, tuple(low for low, _ in kept)


def _classified(game: SubspaceGame, frame: Frame, F: np.ndarray) -> CriticalPoint | str:
    """F as a point of the reduced problem, or why it is not looked at."""
    if not game.spans.independent:
        problem = game.landscape()
        if math.prod(problem.landscape.shape) > MAX_CLASSIFIED:
            return _too_many("unknowns of the reduced problem", math.prod(problem.landscape.shape), MAX_CLASSIFIED)
        return classify(problem.landscape, problem.point(F))
    A = frame.F[:, : frame.inside]
    if A.size > MAX_CLASSIFIED:
        return _too_many("unknowns of the reduced problem", A.size, MAX_CLASSIFIED)
    return classify(ConstrainedMCR2(A.shape[0], game.sizes, frame.epsilon, "balls").with_ranks(game.ranks), A)


def _too_many(what: str, found: int, most: int) -> str:
    return f"{found} {what}, more than the {most} of a dense computation"


# -- derivatives --------------------------------------------------------------------------------------------------------------


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
def _first(data: utilities.Data, F: jax.Array, G: jax.Array) -> tuple[jax.Array, ...]:
    return utilities.distances(data, F, G), *utilities.gradients(data, utilities.point_at(data, F, G))


@jax.jit
def _along(data: utilities.Data, F: jax.Array, G: jax.Array, V: jax.Array) -> jax.Array:
    return utilities.hvp(data, utilities.point_at(data, F, G), V, jnp.zeros_like(G))[0]


def envelope_residual(game: SubspaceGame, F: Any, G: Any) -> float:
    """‖D_ff − D_fg D_gg⁺ D_gf‖/‖D_ff‖ of the distance D at a best response G to F, in the coordinates of the report: 0 where
    the decoder can follow every change of the encoder to first order, so that the leader sees Q alone.

    **Raises:** `InputError` as `SubspaceGame.verify_equilibrium`, and beyond 1,200 unknowns of both players.
    """
    frame = frame_of(game, game.encoder(F), game.decoder(G))
    if 2 * frame.F.size > MAX_UNKNOWNS:
        raise InputError("F: found " + _too_many("unknowns of both players", 2 * frame.F.size, MAX_UNKNOWNS))
    blocks = blocks_of(frame)
    own = blocks.own - blocks.expressive
    left = own - blocks.mixed @ np.linalg.pinv(blocks.decoder, rcond=_KERNEL, hermitian=True) @ blocks.mixed.T
    return float(np.linalg.norm(left) / _norm(own))


# -- local Nash ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Nash:
    """`tangent`: an orthonormal basis of what the encoder may do (n, t), with the encoder's Hessian there, where both are
    known."""

    verdict: Verdict
    curvature: float | None
    reason: str
    blocks: Blocks | None
    tangent: np.ndarray | None = None
    hessian: np.ndarray | None = None
    held: tuple[int, ...] = ()


def _nash(frame: Frame, gradients: list[np.ndarray], responds: Verdict, distance: float) -> _Nash:
    encoder, decoder = gradients
    if responds is Verdict.REFUTED:
        moves = np.linalg.norm(decoder) * np.linalg.norm(frame.G) > _CRITICAL * distance
        words = "the decoder gains by following its gradient" if moves else "the decoder is no best response, though critical"
        return _Nash(Verdict.REFUTED if moves else Verdict.UNDECIDED, None, words, None)
    normals = frame.F @ frame.moments  # (K, d, D)
    active = np.array([float(np.sum(frame.F * normal)) >= 1 - _FEASIBLE for normal in normals])
    columns = normals[active].reshape(int(active.sum()), -1).T
    weights = np.zeros(len(normals))
    weights[active], left = scipy.optimize.nnls(columns, encoder.ravel()) if active.any() else ([], np.linalg.norm(encoder))
    # the two parts of ∇Q are each about this large
    scale = (
        frame.F.shape[0]
        / (sum(frame.sizes) * frame.epsilon**2)
        * _norm(frame.F)
        * max(np.linalg.norm(C) for C in frame.factors)
    )
    if left > _CRITICAL * scale:
        return _Nash(Verdict.REFUTED, None, f"the encoder gains by following its gradient, of norm {left:.3g}", None)
    held = weights > _SIGNED * scale
    shifts = np.tensordot(weights, frame.moments, axes=1)  # of the Lagrangian, acting on the right
    if frame.F.size > MAX_UNKNOWNS:
        return _mixed_rotation(frame, shifts)
    blocks = blocks_of(frame)
    hessian = blocks.own - np.kron(np.eye(frame.F.shape[0]), shifts)
    tangent = np.linalg.qr(normals[held].reshape(int(held.sum()), -1).T, mode="complete")[0][:, int(held.sum()) :]
    hessian = tangent.T @ hessian @ tangent
    values, tolerance = np.linalg.eigvalsh(hessian), _SIGNED * float(np.linalg.norm(blocks.own, 2))
    top = float(values[-1]) if values.size else -math.inf
    rest = (blocks, tangent, hessian, tuple(np.flatnonzero(held).tolist()))
    if top > tolerance:
        words = f"with the decoder held, the encoder gains along a direction of curvature {top:.6g}"
        return _Nash(Verdict.REFUTED, top, words, *rest)
    if top < -tolerance and held.sum() == active.sum():
        return _Nash(Verdict.HOLDS, top, "the encoder's own Hessian is negative definite on its constraint set", *rest)
    words = "no eigenvalue of the encoder's own Hessian is positive beyond rounding, but some are zero"
    return _Nash(Verdict.UNDECIDED, top, words, *rest)


def _mixed_rotation(frame: Frame, shifts: np.ndarray) -> _Nash:
    """The largest curvature along rotations of the leading directions of two classes into each other."""
    leading = [np.linalg.svd(frame.F @ C, full_matrices=False) for C in frame.factors]
    best = -math.inf
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
    if best > _SIGNED * float(np.linalg.norm(shifts, 2)):
        return _Nash(Verdict.REFUTED, best, f"along a rotation of two classes the curvature is {best:.6g}", None)
    words = _too_many("unknowns of the encoder", frame.F.size, MAX_UNKNOWNS)
    return _Nash(Verdict.UNDECIDED, None if best == -math.inf else best, f"{words}; no rotation of two classes raises it", None)


# -- stability ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Linearized:
    """Simultaneous gradient ascent near an equilibrium, linearized across the manifold of equilibria: with a ratio of rates τ
    the derivative is `basis`ᵀ diag(1, τ) `jacobian` `basis`, the first `split` coordinates the encoder's."""

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


def _linearized(
    game: SubspaceGame, frame: Frame, nash: _Nash, responds: Verdict, point: CriticalPoint | str
) -> Linearized | str:
    """Simultaneous ascent near the pair, or why it is not linearized."""
    if not game.spans.independent:
        return "the classes are dependent: no coordinates make their constraint sets spheres"
    if responds is not Verdict.HOLDS:
        return "the decoder is no best response"
    unknowns = 2 * frame.F.size
    if unknowns > MAX_UNKNOWNS:
        return _too_many("unknowns of both players", unknowns, MAX_UNKNOWNS)
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
    rank = int(np.linalg.matrix_rank(frame.F, rtol=_BEYOND))
    led = np.linalg.matrix_rank(frame.G[frame.inside :] @ frame.F[:, : frame.inside], tol=_BEYOND)
    beyond = D - frame.inside
    expected = point.inertia.zero + rank * beyond + (d - rank) * (beyond - int(led)) + responses
    _, s, Vt = np.linalg.svd(jacobian)
    nullity = int((s <= _KERNEL * s[0]).sum())
    if nullity != expected:
        return f"{nullity} zero singular values of the Jacobian, but {expected} dimensions of equilibria"
    return Linearized(jacobian, Vt[: s.size - nullity].T, tangent.shape[1])


def linearization(game: SubspaceGame, F: Any, G: Any) -> Linearized | str:
    """Simultaneous gradient ascent near (F, G), or in words why it is not linearized there.

    **Raises:** `InputError` as `SubspaceGame.verify_equilibrium`.
    """
    F, G = game.encoder(F), game.decoder(G)
    frame = frame_of(game, F, G)
    responds = Verdict.HOLDS if game.response_error(F, G) <= _RESPONDS else Verdict.REFUTED
    with jax.enable_x64(True):
        distances, *first = map(np.array, _first(frame.data, jnp.asarray(frame.F), jnp.asarray(frame.G)))
    nash = _nash(frame, first, responds, float(distances.sum()))
    return _linearized(game, frame, nash, responds, _classified(game, frame, F))


def _stability(
    game: SubspaceGame, frame: Frame, nash: _Nash, responds: Verdict, point: CriticalPoint | str
) -> tuple[float | None, str]:
    found = _linearized(game, frame, nash, responds, point)
    if isinstance(found, str):
        return None, found
    grid = 10.0 ** np.arange(-_DECADES, _DECADES + 1)
    unstable = [ratio for ratio in grid if found.abscissa(ratio) >= 0]
    if not unstable:
        return 0.0, f"linearly stable at every ratio that was looked at, from {grid[0]:g} on"
    if unstable[-1] == grid[-1]:
        return math.inf, f"not linearly stable at any ratio up to {grid[-1]:g}"
    low, high = math.log(unstable[-1]), math.log(10 * unstable[-1])
    while high - low > 1e-7:
        middle = (low + high) / 2
        low, high = (middle, high) if found.abscissa(math.exp(middle)) >= 0 else (low, middle)
    return math.exp(high), f"the largest real part changes sign there; looked at once a decade from {grid[0]:g} on"
