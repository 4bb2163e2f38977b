"""The schedule of the paper's public code: Adam on minibatches, many decoder steps for each encoder step.

For every batch the decoder takes 1,000 Adam steps down Σ_j D_j of that batch, then the encoder one Adam step up its utility of
that batch, then it is projected. Adam scales entry by entry and so knows no rotation: F and G, with their moments, stay as they
are, and only the utilities' gradients are found through smaller matrices.

With H = FᵀF, W = FᵀA, V = G A and Â = F V the decoder's gradient ∇_G Σ D_j = FᵀT is Σ R_j A_jᵀ with

    S = I + (b_j/2) [A_j Â_j]ᵀ[A_j Â_j],   R_j = (b_j/2) (W_j (S⁻¹)_12 + H V_j ((S⁻¹)_22 − (I + b_j Â_jᵀÂ_j)⁻¹)),

and (S⁻¹)_22 is the inverse of a Schur complement of A_j's block, which a decoder's steps leave alone: two r × r matrices a
class are inverted a step. The dense form inverts d_z × d_z matrices on the batch's samples instead.

Sources: docs/ctrl.md; Pai, Psenka, Chiu, Wu, Dobriban, Ma (arXiv 2206.09120) and their public code; Kingma and Ba, *Adam: a
method for stochastic optimization* (2015).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import linalg

from mcr2_landscape.ctrl import batches, utilities
from mcr2_landscape.ctrl.dynamics import LOST, check_progress, known_optimum
from mcr2_landscape.ctrl.game import SubspaceGame
from mcr2_landscape.ctrl.projection import project
from mcr2_landscape.landscape.progress import Progress
from mcr2_landscape.mcr2.features import encode_labels
from mcr2_landscape.mcr2.kernels import matmul
from mcr2_landscape.mcr2.kernels import transpose as _t
from mcr2_landscape.pace import Pace
from mcr2_landscape.randomness import generator
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, float64_matrix, positive_integer, positive_real

_BETAS, _EPS = (0.9, 0.999), 1e-8
_CONSTRAINTS = ("batch", "data")
_PROJECTED = 1e-13


@dataclass(frozen=True)
class ReferenceRun(Record):
    """What the reference schedule did in T encoder steps.

    **Fields:** of shape (T,): `batch_expressiveness` Q and `batch_distance` Σ D_j of the step's own batch, after the decoder's
    steps and before the encoder's; `expressiveness`, `distance` and `violation` (by how much ‖F X_j‖²/n_j exceeds one at
    most) of all data, after it. `feasible_value`: Q of the last encoder divided by the least number that makes it feasible for
    all data. `response_error` of the last pair on all data, max_j ‖M P_j Mᵀ − P_j‖/‖P_j‖. `encoder` (d_z, d_x) and `decoder`
    (d_x, d_z). `counts` (T, K): samples of each class in each batch. `optimum` of the game, where known in closed form.
    """

    form: str
    constraint: str
    batch_expressiveness: np.ndarray = field(repr=False)
    batch_distance: np.ndarray = field(repr=False)
    expressiveness: np.ndarray = field(repr=False)
    distance: np.ndarray = field(repr=False)
    violation: np.ndarray = field(repr=False)
    feasible_value: float
    response_error: float
    encoder: np.ndarray = field(repr=False, metadata={"json": False})
    decoder: np.ndarray = field(repr=False, metadata={"json": False})
    counts: np.ndarray = field(repr=False)
    optimum: float | None
    interrupted: bool = False


class _Adam(NamedTuple):
    first: jax.Array
    second: jax.Array
    steps: jax.Array


class _State(NamedTuple):
    F: jax.Array
    G: jax.Array
    encoder: _Adam
    decoder: _Adam


def reference_run(
    X: Any,
    labels: Any,
    *,
    dim: int,
    epsilon: float,
    key: Any,
    form: str = "compressed",
    batch_size: int = 50,
    num_epochs: int = 2,
    decoder_steps: int = 1000,
    encoder_rate: float = 1e-2,
    decoder_rate: float = 1e-3,
    constraint: str = "batch",
    start: tuple[Any, Any] | None = None,
    chosen: Any = None,
    rank_tolerance: float | None = None,
    progress: bool | Callable[[int, int, int], None] = False,
) -> ReferenceRun:
    """Play as the paper's public code does.

    **Arguments:** `X` (samples, d_x), float64; `labels`, `dim`, `epsilon`, `rank_tolerance` as for `SubspaceGame`. `key`: for
    the batches and the start (entries uniform between ± 1/√columns, as a linear layer is initialized there). `form`: how the
    decoder's gradients are found: "compressed", through Gram matrices of rank-compressed factors, or "dense", from the batch's
    samples through d_z × d_z matrices; both agree to rounding. `batch_size`, `num_epochs`, `decoder_steps` (an encoder step),
    `encoder_rate`, `decoder_rate` (of Adam): as the reference has them. `constraint`: what the encoder is projected on after
    its step: ‖F X_j‖² ≤ n_j of the "batch", as the reference does, or of all "data". `start`: a pair F (d_z, d_x), G (d_x, d_z)
    instead of a random one. `chosen`: the batches as lists of sample numbers, instead of random ones. `progress`: a bar, or a
    function of (done, total, 0).

    An epoch's order in which a batch lacks a class is drawn again. The start is not projected.

    **Returns:** `ReferenceRun`, float64. Ctrl-C ends between chunks of about a second and returns the encoder steps finished.

    **Raises:** `InputError` as `SubspaceGame`, for numbers out of range, unknown names, a class that batches of this size
    always lack, a chosen batch that lacks one, or rates at which the iterates overflow; `KeyboardInterrupt` before the first
    encoder step is done.

    Source: docs/ctrl.md.
    """
    check_progress(progress)
    game = SubspaceGame(X, labels, dim=dim, epsilon=epsilon, rank_tolerance=rank_tolerance)
    if constraint not in _CONSTRAINTS:
        raise InputError(f"constraint: found {constraint!r}; pass one of " + ", ".join(repr(own) for own in _CONSTRAINTS))
    X = float64_matrix("X", X, (None, None), refuse_float32=False)
    codes, names = encode_labels(labels)
    random = generator(key)
    if chosen is None:
        numbers = batches.draw(codes, names, batch_size, num_epochs, random)
    else:
        numbers = batches.given("chosen", chosen, codes, names)
    found = batches.collect(X, codes, numbers, form)
    F, G = _start(game, start, random)
    rates = (positive_real("encoder_rate", encoder_rate), positive_real("decoder_rate", decoder_rate))
    decoder_steps = positive_integer("decoder_steps", decoder_steps)
    with jax.enable_x64(True), Progress.of(progress, len(numbers), "reference schedule") as bar:
        run = _Run(game, found, batches.span(X), form, constraint, rates, _begin(F, G))
        interrupted = False
        try:
            for number in range(len(numbers)):
                run.encoder_step(number, decoder_steps)
                if not np.isfinite(run.rows[-1]).all() or (constraint == "data" and run.rows[-1][-1] > LOST):
                    raise InputError(
                        f"encoder_rate: found {rates[0]:.3g} and decoder_rate {rates[1]:.3g}, at which the iterates overflow, "
                        f"or rounding leaves nothing of them, within {number + 1} encoder steps; pass smaller ones"
                    )
                bar.update(number + 1, 0)
        except KeyboardInterrupt:
            if not run.rows:
                raise
            interrupted = True
        F, G = np.array(run.finished.F), np.array(run.finished.G)
        columns = [np.array(column) for column in zip(*run.rows, strict=True)]
    over = float(max(1.0, np.sqrt(game.feasibility(F).max())))
    with jax.enable_x64(True):
        value = float(game.expressiveness(F / over))
    return ReferenceRun(
        form,
        constraint,
        *columns,
        feasible_value=value,
        response_error=game.response_error(F, G),
        encoder=F,
        decoder=G,
        counts=found.counts[: len(run.rows)],
        optimum=known_optimum(game),
        interrupted=interrupted,
    )


class _Run:
    """Calls the compiled loops of one encoder step after the other."""

    def __init__(
        self,
        game: SubspaceGame,
        found: batches.Batches,
        span: np.ndarray,
        form: str,
        constraint: str,
        rates: tuple[float, float],
        state: _State,
    ):
        self.game, self.form, self.constraint = game, form, constraint
        self.blocks, self.counts = found
        self.span = jnp.asarray(span)
        self.whole = game.data(np.float64)
        self.sizes = jnp.asarray(np.array(game.sizes, dtype=np.float64))
        self.encoder_rate, self.decoder_rate = (jnp.asarray(rate) for rate in rates)
        self.state = self.finished = state
        self.rows: list[tuple[float, ...]] = []
        self.pace = Pace()

    def encoder_step(self, number: int, decoder_steps: int) -> None:
        data, sizes = data_of(self.game, self.blocks[number], self.counts[number])
        self.decode(data, decoder_steps)
        bounds = (data.factors, sizes) if self.constraint == "batch" else (self.whole.factors, self.sizes)
        state, seen = _encode(data, self.whole, self.sizes, *bounds, self.span, self.encoder_rate, self.state)
        row = tuple(float(one) for one in seen)
        self.state = self.finished = state
        self.rows.append(row)

    def decode(self, data: utilities.Data, count: int) -> None:
        while count:
            chunk, clock = min(count, self.pace.chunk(None)), time.perf_counter()
            self.state = jax.block_until_ready(decode(data, self.state, self.decoder_rate, jnp.asarray(chunk), form=self.form))
            self.pace.done(chunk, time.perf_counter() - clock)
            count -= chunk


def data_of(game: SubspaceGame, blocks: np.ndarray, counts: np.ndarray) -> tuple[utilities.Data, jax.Array]:
    """What a batch's utilities are evaluated on, and its class sizes, float64."""
    found = utilities.numbers(blocks, counts, game.dim, game.epsilon)
    return utilities.Data(*map(jnp.asarray, found)), jnp.asarray(counts.astype(np.float64))


def _start(game: SubspaceGame, start: Any, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    if start is None:
        d, ambient = game.dim, game.ambient_dim
        F = random.uniform(-1, 1, (d, ambient)) / np.sqrt(ambient)
        return F, random.uniform(-1, 1, (ambient, d)) / np.sqrt(d)
    if not isinstance(start, tuple) or len(start) != 2:
        raise InputError(f"start: found {type(start).__name__}; pass a pair of an encoder and a decoder")
    return game.encoder(start[0]), game.decoder(start[1])


def _begin(F: np.ndarray, G: np.ndarray) -> _State:
    """The start, inside `jax.enable_x64(True)`."""

    def fresh(own: np.ndarray) -> _Adam:
        zeros = jnp.zeros(own.shape)
        return _Adam(zeros, zeros, jnp.zeros(()))

    return _State(jnp.asarray(F), jnp.asarray(G), fresh(F), fresh(G))


def adam(point: jax.Array, gradient: jax.Array, rate: jax.Array, state: _Adam) -> tuple[jax.Array, _Adam]:
    """One bias-corrected Adam step against the gradient."""
    first = _BETAS[0] * state.first + (1 - _BETAS[0]) * gradient
    second = _BETAS[1] * state.second + (1 - _BETAS[1]) * gradient**2
    steps = state.steps + 1
    size = jnp.sqrt(second / (1 - _BETAS[1] ** steps)) + _EPS
    return point - rate / (1 - _BETAS[0] ** steps) * first / size, _Adam(first, second, steps)


@partial(jax.jit, static_argnames="form")
def decode(data: utilities.Data, state: _State, rate: jax.Array, count: jax.Array, *, form: str) -> _State:
    """`count` (traced) Adam steps of the decoder down Σ D_j, the encoder held."""
    slope = (compressed_slope if form == "compressed" else dense_slope)(data, state.F)

    def step(_: jax.Array, own: tuple[jax.Array, _Adam]) -> tuple[jax.Array, _Adam]:
        return adam(own[0], slope(own[0]), rate, own[1])

    G, moments = jax.lax.fori_loop(0, count, step, (state.G, state.decoder))
    return state._replace(G=G, decoder=moments)


def compressed_slope(data: utilities.Data, F: jax.Array) -> Callable[[jax.Array], jax.Array]:
    """∇_G Σ D_j as a function of G, through r × r matrices."""
    A = matmul(F, data.factors)
    K, d, r = A.shape
    half, eye = (data.bs / 2)[:, None, None], jnp.eye(r, dtype=F.dtype)[None]
    square, W = matmul(F.T, F), matmul(F.T, A)
    own = _inverses(eye + half * matmul(_t(A), A))
    joined = jnp.moveaxis(A, 0, 1).reshape(d, K * r)

    def apart(B: jax.Array) -> jax.Array:
        return jnp.moveaxis(B.reshape(B.shape[0], K, r), 1, 0)

    def slope(G: jax.Array) -> jax.Array:
        V = matmul(G, joined)
        V, HV = apart(V), apart(matmul(square, V))
        gram, cross = half * matmul(_t(V), HV), half * matmul(_t(W), V)
        weights = matmul(own, cross)
        found = _inverses(jnp.concatenate([eye + gram - matmul(_t(cross), weights), eye + 2 * gram]))
        R = half * (matmul(HV, found[:K] - found[K:]) - matmul(W, matmul(weights, found[:K])))
        return matmul(jnp.moveaxis(R, 0, 1).reshape(-1, K * r), joined.T)

    return slope


def dense_slope(data: utilities.Data, F: jax.Array) -> Callable[[jax.Array], jax.Array]:
    """∇_G Σ D_j as a function of G, through d_z × d_z matrices."""
    Z = matmul(F, data.factors)
    K, d, w = Z.shape
    P, half, eye = matmul(Z, _t(Z)), (data.bs / 2)[:, None, None], jnp.eye(d, dtype=F.dtype)[None]
    joined = jnp.moveaxis(Z, 0, 1).reshape(d, K * w)

    def slope(G: jax.Array) -> jax.Array:
        image = jnp.moveaxis(matmul(F, matmul(G, joined)).reshape(d, K, w), 1, 0)
        Q = matmul(image, _t(image))
        found = _solved(jnp.concatenate([eye + half * (P + Q), eye + 2 * half * Q]), jnp.concatenate([image, image]))
        T = jnp.moveaxis(half * (found[:K] - found[K:]), 0, 1).reshape(d, K * w)
        return matmul(F.T, matmul(T, joined.T))

    return slope


def _solved(S: jax.Array, B: jax.Array) -> jax.Array:
    """S⁻¹ B of symmetric positive definite stacks, by one stacked Cholesky factorization."""
    factor = linalg.cholesky(S, symmetrize_input=False)
    half = linalg.triangular_solve(factor, B, left_side=True, lower=True)
    return linalg.triangular_solve(factor, half, left_side=True, lower=True, transpose_a=True)


def _inverses(S: jax.Array) -> jax.Array:
    half = linalg.triangular_solve(
        linalg.cholesky(S, symmetrize_input=False),
        jnp.broadcast_to(jnp.eye(S.shape[-1], dtype=S.dtype), S.shape),
        left_side=True,
        lower=True,
    )
    return matmul(_t(half), half)


@jax.jit
def _encode(
    data: utilities.Data,
    whole: utilities.Data,
    whole_sizes: jax.Array,
    factors: jax.Array,
    sizes: jax.Array,
    span: jax.Array,
    rate: jax.Array,
    state: _State,
) -> tuple[_State, tuple[jax.Array, ...]]:
    """One Adam step of the encoder up Q + Σ D_j of the batch, the projection, and what the record holds."""
    F, G = state.F, state.G
    up = utilities.gradients(data, utilities.point_at(data, F, G))[0]
    moved, moments = adam(F, -up, rate, state.encoder)
    new = project(moved, factors, sizes, span, _PROJECTED).F
    used = jnp.sum(matmul(new, whole.factors) ** 2, axis=(1, 2)) / whole_sizes - 1
    seen = (
        utilities.expressiveness(data, F),
        jnp.sum(utilities.distances(data, F, G)),
        utilities.expressiveness(whole, new),
        jnp.sum(utilities.distances(whole, new, G)),
        jnp.maximum(jnp.max(used), 0),
    )
    return state._replace(F=new, encoder=moments), seen
