"""Gradient dynamics of the game, from many starts at once.

Source: docs/ctrl.md; the games are those of Pai, Psenka, Chiu, Wu, Dobriban, Ma (arXiv 2206.09120).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.ctrl import steps
from mcr2_landscape.ctrl.game import SubspaceGame
from mcr2_landscape.ctrl.players import host_matrix
from mcr2_landscape.landscape.progress import Progress
from mcr2_landscape.pace import Pace
from mcr2_landscape.randomness import generator
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, positive_integer, positive_real

_COORDINATES = ("whitened", "features")
_CONSTRAINTS = ("balls", "spheres")
_PROJECTIONS = ("exact", "rescaling")
_DECODER_STEPS = 5
LOST = 1e-3  # of ‖F X_j‖²/n_j: a projection that misses by more is none
_SLOW = 0.05  # the encoder's default rate where both move at once, as a share of what its curvature allows


@dataclass(frozen=True)
class History(Record):
    """What the dynamics did from each of S starts, seen T times.

    **Fields:** `steps` (T,): encoder steps so far, from 0. Of shape (S, T): `expressiveness` Q(F); `distance` Σ D_j;
    `violation`: by how much ‖F X_j‖²/n_j exceeds one at most (for spheres: differs from it); `response_error`
    max_j ‖M P_j Mᵀ − P_j‖/‖P_j‖; `encoder_gradient`: the last step's length over the encoder's rate, relative to a bound of the
    curvature times ‖F‖ (the norm of the gradient mapping; NaN before the first step); `decoder_gradient`: likewise
    ‖∇_G‖. `encoders` (S, d_z, d_x) and `decoders` (S, d_x, d_z): the ends, in the game's own coordinates; under gdmax decoders
    are the best responses F⁺. `encoder_rate` and `decoder_rate` (`None` under gdmax): the steps taken. `optimum`: the game's,
    `None` where it is not known in closed form. `reason`: why it ended, in words; `interrupted`: by Ctrl-C.
    """

    method: str
    coordinates: str
    constraint: str
    projection: str
    encoder_rate: float
    decoder_rate: float | None
    decoder_steps: int | None
    steps: np.ndarray = field(repr=False)
    expressiveness: np.ndarray = field(repr=False)
    distance: np.ndarray = field(repr=False)
    violation: np.ndarray = field(repr=False)
    response_error: np.ndarray = field(repr=False)
    encoder_gradient: np.ndarray = field(repr=False)
    decoder_gradient: np.ndarray = field(repr=False)
    encoders: np.ndarray = field(repr=False, metadata={"json": False})
    decoders: np.ndarray = field(repr=False, metadata={"json": False})
    optimum: float | None
    reason: str
    interrupted: bool = False

    _derived = ("gaps",)

    @property
    def gaps(self) -> np.ndarray | None:
        """The optimum less Q at each end, shape (S,); `None` without an optimum. Negative where the end is infeasible."""
        return None if self.optimum is None else self.optimum - self.expressiveness[:, -1]


def play(
    game: SubspaceGame,
    *,
    key: Any = None,
    starts: Any = None,
    method: str = "gdmax",
    coordinates: str = "whitened",
    constraint: str = "balls",
    projection: str = "exact",
    num_seeds: int = 16,
    num_steps: int = 10_000,
    encoder_rate: float | None = None,
    decoder_rate: float | None = None,
    ratio: float | None = None,
    decoder_steps: int | None = None,
    record_every: int | None = None,
    rtol: float | None = None,
    progress: bool | Callable[[int, int, int], None] = False,
) -> History:
    """Let both players follow their gradients, from many starts in one batch (and one compilation a method).

    **Arguments:** either `key`, for `num_seeds` random starts on the constraints' boundary (Gaussian encoders, and Gaussian
    decoders of ‖F G‖² = rank F), or `starts`: encoders (S, d_z, d_x), or a pair of them and decoders (S, d_x, d_z); without
    decoders these start at F⁺. Starts are projected. `method`: "gdmax" (the decoder answers exactly), "alternating"
    (`decoder_steps`, by default 5, an encoder step), "simultaneous" or "extragradient". `coordinates`: the metric of the
    gradients: "whitened", in which the constraints are balls, or "features", that of F and G themselves, with the projection on
    a product of ellipsoids. `constraint`: "balls" (‖F X_j‖² ≤ n_j) or, whitened only, "spheres" (equality). `projection`:
    "exact", or "rescaling", which scales each class to its bound instead: no projection in features, where it converges to a
    wrong point. `encoder_rate`, `decoder_rate` or `ratio` = decoder_rate/encoder_rate: step sizes; by default the inverses of
    bounds on the curvature over orthogonal encoders (a twentieth of it for the encoder where both move at once, which run
    around each other otherwise), lowered together where a ratio asks for it. `record_every`: by default such that about 200
    records are made. `rtol`: end once both gradients of all starts are at most that (see `History`), where they are recorded.
    `progress`: a bar, or a function of (done, total, 0).

    **Returns:** `History`, float64. Ctrl-C ends between chunks of at most about a second and returns what was reached.

    **Raises:** `InputError` for unknown names, numbers out of range, key and starts both or neither, both decoder_rate and
    ratio, settings that the method does not use, wrong shapes, float32, NaN, dependent classes in whitened coordinates, or
    rates at which the iterates overflow, or rounding leaves nothing of them.

    Source: docs/ctrl.md.
    """
    if not isinstance(game, SubspaceGame):
        raise InputError(f"game: found {type(game).__name__}; pass a SubspaceGame (one subspace has no dynamics here)")
    check_progress(progress)
    _check_names(method, coordinates, constraint, projection)
    _check_used(method, decoder_rate, ratio, decoder_steps)
    num_steps = positive_integer("num_steps", num_steps)
    every = -(-num_steps // 200) if record_every is None else positive_integer("record_every", record_every)
    goal = None if rtol is None else positive_real("rtol", rtol)
    inner = game.whitened() if coordinates == "whitened" else game
    F, G = _starts(game, inner, key, starts, num_seeds)
    kept = steps.Rates(*_rates(inner, F, encoder_rate, decoder_rate, ratio, decoder_steps, method))
    names = {"method": method, "projection": _traced_name(coordinates, constraint, projection)}
    with jax.enable_x64(True), Progress.of(progress, num_steps, method) as bar:
        run = _Run(inner, jax.tree.map(jnp.asarray, kept), F, G, names, bar)
        reason, interrupted = run.drive(num_steps, every, goal)
        encoders, decoders = np.array(run.state.F), np.array(run.decoders)
    if coordinates == "whitened":
        encoders = encoders @ np.linalg.pinv(game.spans.joined)
        decoders = game.spans.joined @ decoders
    own = method != "gdmax"
    return History(
        method=method,
        coordinates=coordinates,
        constraint=constraint,
        projection=projection,
        encoder_rate=float(kept.encoder),
        decoder_rate=float(kept.decoder) if own else None,
        decoder_steps=int(kept.decoder_steps) if method == "alternating" else None,
        steps=np.array(run.at),
        **run.columns(),
        encoders=encoders,
        decoders=decoders,
        optimum=known_optimum(game),
        reason=reason,
        interrupted=interrupted,
    )


def perturbed(
    game: SubspaceGame, F: Any, G: Any, *, key: Any, num_seeds: int = 8, scale: float = 1e-3
) -> tuple[np.ndarray, np.ndarray]:
    """Starts near one point, for `play`: (S, d_z, d_x) and (S, d_x, d_z).

    The disturbance is Gaussian in whitened coordinates, A and [C_1 … C_K]⁺ G, with norms `scale` times theirs; what F does
    beyond the span of the data, and what G adds there, stay. The encoders are not projected: `play` does that.

    **Raises:** `InputError` as `SubspaceGame.encoder`, for a scale that is not positive, or dependent classes.
    """
    game.spans.require_independent()
    F, G = game.encoder(F), game.decoder(G)
    scale, count, random = positive_real("scale", scale), positive_integer("num_seeds", num_seeds), generator(key)
    joined = game.spans.joined
    dual = np.linalg.pinv(joined)

    def noise(own: np.ndarray) -> np.ndarray:
        found = random.standard_normal((count, *own.shape))
        return scale * np.linalg.norm(own) * found / np.linalg.norm(found, axis=(1, 2), keepdims=True)

    return F + noise(F @ joined) @ dual, G + joined @ noise(dual @ G)


class _Run:
    """Calls the compiled loop in chunks until it is to stop."""

    def __init__(self, inner: SubspaceGame, rates: steps.Rates, F: Any, G: Any, names: dict[str, str], bar: Progress):
        self.data, self.rates, self.names, self.bar = inner.data(np.float64), rates, names, bar
        self.sets = sets_of(inner)
        self.state = steps.begin(self.data, self.sets, rates, jnp.asarray(F), jnp.asarray(G), **names)
        self.decoders = self.state.G
        self.at: list[int] = []
        self.rows: list[steps.Seen] = []
        self.done, self.pace = 0, Pace()

    def drive(self, num_steps: int, every: int, goal: float | None) -> tuple[str, bool]:
        self.record()
        try:
            while self.done < num_steps:
                self.advance(min(every, num_steps - self.done))
                last = self.rows[-1]
                if goal is not None and max(np.max(last.encoder_gradient), np.max(last.decoder_gradient)) <= goal:
                    return f"both gradients of all starts are at most {goal:.0e} after {self.done} steps", False
        except KeyboardInterrupt:
            if self.at[-1] != self.done:
                self.record()
            return f"interrupted after {self.done} steps", True
        return f"{num_steps} steps taken", False

    def advance(self, count: int) -> None:
        """So many steps, in chunks of about a second, and a record."""
        while count:
            chunk, clock = min(count, self.pace.chunk(None)), time.perf_counter()
            steps_now = jnp.asarray(chunk, dtype=jnp.int32)
            state = jax.block_until_ready(steps.advance(self.data, self.sets, self.rates, self.state, steps_now, **self.names))
            self.pace.done(chunk, time.perf_counter() - clock)
            self.state, self.done, count = state, self.done + chunk, count - chunk
            self.bar.update(self.done, 0)
        self.record()

    def record(self) -> None:
        seen, decoders = steps.look(self.data, self.sets, self.rates, self.state, **self.names)
        seen = steps.Seen(*(np.asarray(column) for column in seen))
        lost = self.names["projection"] != "rescaling" and not (seen.violation <= LOST).all()
        if lost or not (np.isfinite(seen.expressiveness).all() and np.isfinite(seen.distance).all()):
            how = "iterates overflow" if not lost else "rounding of so long steps leaves nothing of the iterates"
            raise InputError(
                f"encoder_rate: found {float(self.rates.encoder):.3g} and a decoder's of {float(self.rates.decoder):.3g}, at "
                f"which {how} within {self.done} steps; pass smaller ones"
            )
        self.decoders = decoders
        self.rows.append(seen)
        self.at.append(self.done)

    def columns(self) -> dict[str, np.ndarray]:
        stacked = (np.stack(rows, axis=1) for rows in zip(*self.rows, strict=True))
        return dict(zip(steps.Seen._fields, stacked, strict=True))


def sets_of(game: SubspaceGame) -> steps.Sets:
    """What the projections need, float64, inside `jax.enable_x64(True)`."""
    spans = game.spans
    members = np.repeat(np.eye(len(game.sizes)), game.ranks, axis=1)
    numbers = (np.array(game.sizes, dtype=np.float64), spans.span, spans.joined, np.linalg.pinv(spans.joined), members)
    return steps.Sets(*(jnp.asarray(number) for number in numbers))


def check_progress(progress: Any) -> None:
    """Refuse what is neither a yes or no nor a function.

    **Raises:** `InputError`.
    """
    if not isinstance(progress, bool) and not callable(progress):
        raise InputError(f"progress: found {progress!r}; pass True, False, or a function of (done, total, 0)")


def _check_names(method: str, coordinates: str, constraint: str, projection: str) -> None:
    for name, value, known in (
        ("method", method, steps.METHODS),
        ("coordinates", coordinates, _COORDINATES),
        ("constraint", constraint, _CONSTRAINTS),
        ("projection", projection, _PROJECTIONS),
    ):
        if value not in known:
            raise InputError(f"{name}: found {value!r}; pass one of " + ", ".join(repr(own) for own in known))
    if constraint == "spheres" and coordinates == "features" and projection == "exact":
        raise InputError('constraint: found "spheres" in features; pass "balls", or coordinates="whitened"')


def _check_used(method: str, decoder_rate: Any, ratio: Any, decoder_steps: Any) -> None:
    if method == "gdmax" and (decoder_rate is not None or ratio is not None):
        name = "ratio" if decoder_rate is None else "decoder_rate"
        raise InputError(
            f"{name}: found one, but under gdmax the decoder answers exactly; leave it out or choose another method"
        )
    if decoder_rate is not None and ratio is not None:
        raise InputError("ratio: found one beside decoder_rate; pass one of the two")
    if decoder_steps is not None and method != "alternating":
        raise InputError(f'decoder_steps: found one, but {method} has none; leave it out or pass method="alternating"')


def _traced_name(coordinates: str, constraint: str, projection: str) -> str:
    if projection == "exact":
        return constraint if coordinates == "whitened" else "exact"
    return "rescaling" if constraint == "balls" else "spheres"


def _starts(game: SubspaceGame, inner: SubspaceGame, key: Any, starts: Any, num_seeds: Any) -> tuple[np.ndarray, np.ndarray]:
    """Encoders (S, …) and decoders in the coordinates of `inner`."""
    if (key is None) == (starts is None):
        raise InputError(f"key: found {'neither it nor' if key is None else 'both it and'} starts; pass one of the two")
    if starts is None:
        return _random(inner, key, positive_integer("num_seeds", num_seeds))
    pair = starts if isinstance(starts, tuple) else (starts, None)
    if len(pair) != 2:
        raise InputError(f"starts: found a tuple of {len(pair)}; pass encoders, or a pair of encoders and decoders")
    if np.ndim(pair[0]) != 3:
        wanted = f"(S, {game.dim}, {game.ambient_dim})"
        raise InputError(f"starts: found shape {np.shape(pair[0])}; pass S encoders, shape {wanted}, such as F[None] of one")
    F = host_matrix("starts", pair[0], (None, game.dim, game.ambient_dim))
    G = pair[1]
    if G is None:
        G = np.stack([game.best_response(own).decoder for own in F])
    else:
        G = host_matrix("starts[1]", G, (F.shape[0], game.ambient_dim, game.dim))
    if inner is game:
        return F, G
    # M = F G = A [C_1 … C_K]⁺ G needs no more of G than that, and F no more than A
    return F @ game.spans.joined, np.linalg.pinv(game.spans.joined) @ G


def _random(inner: SubspaceGame, key: Any, count: int) -> tuple[np.ndarray, np.ndarray]:
    random = generator(key)
    joined = inner.spans.joined
    A = random.standard_normal((count, inner.dim, joined.shape[1]))
    first = 0
    for size, rank in zip(inner.sizes, inner.ranks, strict=True):
        block = A[:, :, first : first + rank]
        block *= np.sqrt(size) / np.linalg.norm(block, axis=(1, 2), keepdims=True)
        first += rank
    F = A @ np.linalg.pinv(joined)
    G = random.standard_normal((count, inner.ambient_dim, inner.dim))
    rank = min(inner.dim, inner.spans.span.shape[1])
    return F, G * (np.sqrt(rank) / np.linalg.norm(F @ G, axis=(1, 2), keepdims=True))


def _rates(
    inner: SubspaceGame, F: np.ndarray, encoder: Any, decoder: Any, ratio: Any, decoder_steps: Any, method: str
) -> tuple[float, float, int, float, float]:
    """The step sizes, by default inverse bounds of the curvature.

    Of Q in A it is at most (9/8) b; D adds at most about b_j near a best response. In F = A C⁺ both grow by ‖C‖². Of D in G it
    is at most (9/16) ‖F‖² ‖Σ b_j P_j‖, where orthogonal classes have ‖Σ b_j P_j‖ ≤ d/ε² and ‖F C‖² ≤ max n_j; gradients are
    relative to that. At the optimum ‖A_j‖² = n_j/m_j and ‖b_j P_j‖ = d/(ε² m_j), up to m_j² less: where the optimum is known
    the decoder's step is the inverse of that.
    """
    data_b = inner.dim / inner.epsilon**2
    n, sizes = sum(inner.sizes), np.array(inner.sizes)
    values = np.linalg.svd(inner.spans.joined, compute_uv=False)
    values = values[values > 1e-10 * values[0]]
    encoder_curvature = float((9 / 8 * data_b / n + (0 if method == "gdmax" else data_b / sizes.min())) * values[0] ** 2)
    beyond = F - F @ inner.spans.span @ inner.spans.span.T
    outside = float(np.max(np.linalg.norm(beyond, axis=(1, 2)))) ** 2
    decoder_curvature = float(9 / 16 * data_b * (sizes.max() / values[-1] ** 2 + outside))
    given = None if ratio is None else positive_real("ratio", ratio)
    share = _SLOW if method in ("simultaneous", "extragradient") else 1.0
    own = share / encoder_curvature if encoder is None else positive_real("encoder_rate", encoder)
    if decoder is not None:
        answer = positive_real("decoder_rate", decoder)
    elif given is None:
        answer = 1 / _decoder_curvature_at_the_optimum(inner, decoder_curvature)
    else:
        own = min(own, 1 / (decoder_curvature * given)) if encoder is None else own
        answer = given * own
    count = _DECODER_STEPS if decoder_steps is None else positive_integer("decoder_steps", decoder_steps)
    return own, answer, count, encoder_curvature, decoder_curvature


def _decoder_curvature_at_the_optimum(inner: SubspaceGame, bound: float) -> float:
    """Of D in G where the classes are white; elsewhere the bound."""
    joined = inner.spans.joined
    if not inner.spans.independent or not np.array_equal(joined, np.eye(joined.shape[1])):
        return bound
    counts = np.maximum(inner.optimum().multiplicities, 1)
    return 9 / 16 * inner.dim / inner.epsilon**2 * float(np.max(np.array(inner.sizes) / counts**2))


def known_optimum(game: SubspaceGame) -> float | None:
    """The encoder's optimum where the closed form decides it, else `None`."""
    if not game.spans.independent:
        return None
    found = game.optimum()
    return found.value if found.decided else None
