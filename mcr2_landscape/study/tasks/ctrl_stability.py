"""Simultaneous ascent from beside an equilibrium: the rate at which it leaves or returns, as predicted and as simulated.

Source: docs/ctrl.md, equilibria.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mcr2_landscape.study.tasks.problems import thinned
from mcr2_landscape.validation import InputError, positive_integer, positive_real

if TYPE_CHECKING:
    from mcr2_landscape.ctrl import SubspaceGame

_SIZE = 1e-6  # of the disturbance, relative to the encoder
_SEEN = 1e3  # times the gradient at the start, either way: less is rounding, more is where second order counts
_FOLDS = 4.0  # by so many factors of e the disturbance is to change
_STEP = 0.005  # times the fastest rate of the linearization


@dataclass(frozen=True)
class CtrlStability:
    """One ascent.

    **Fields:** `threshold`: the least ratio of the decoder's rate to the encoder's at which simultaneous ascent is linearly
    stable, by the library from the spectrum, and `formula`, in closed form (missing where dimensions are lost); `ratio`, the
    one of this ascent. `predicted`: the largest real part of the linearization across the equilibria, in units of the encoder's
    rate, and `frequency`, its imaginary part; `fastest`: the largest modulus. `measured`: the rate at which the decoder's
    gradient, which vanishes at equilibria, grows in the simulated ascent (falls, where negative), and `grows`; both are missing
    where too few steps show a rate. Over `fastest`: `predicted_share`, `measured_share`. Lists: `curve_time`, in units of
    1/`fastest`, `curve_gradient`, the norm of that gradient over what it is at the start. `num_steps` taken.
    """

    threshold: float
    formula: float | None
    ratio: float
    predicted: float
    frequency: float
    fastest: float
    measured: float | None
    grows: bool | None
    predicted_share: float
    measured_share: float | None
    curve_time: tuple[float, ...]
    curve_gradient: tuple[float, ...]
    num_steps: int


class _Mode(NamedTuple):
    """The leading mode of both players, its real and its imaginary part (2, …), its rate (complex), and the largest modulus of
    the spectrum."""

    encoder: np.ndarray
    decoder: np.ndarray
    rate: complex
    fastest: float


def ctrl_stability(
    *,
    sizes: tuple[int, ...],
    subspace_ranks: tuple[int, ...],
    epsilon: float = 0.5,
    relative_ratio: float,
    max_steps: int = 60_000,
    num_recorded: int = 60,
    seed: int,
) -> CtrlStability:
    """Start beside an equilibrium with d_z = Σ r_j and all dimensions kept, along the mode that the linearization says leads.

    In whitened coordinates, the encoder on spheres, where the data's geometry drops out: the numbers of samples, the ranks and
    ε are all that counts.

    **Arguments:** `sizes` n_j; `subspace_ranks` r_j; `epsilon`; `relative_ratio`: the ratio of rates, over the threshold;
    `max_steps` of the simulation; `num_recorded`: points of the curves.

    **Raises:** `InputError` for numbers out of range, or a game without a threshold.
    """
    from mcr2_landscape.ctrl import SubspaceGame, play
    from mcr2_landscape.ctrl.solve import orthogonal_coefficients
    from mcr2_landscape.data import subspace_mixture

    relative = positive_real("relative_ratio", relative_ratio)
    max_steps = positive_integer("max_steps", max_steps)
    num_recorded = positive_integer("num_recorded", num_recorded, minimum=2)
    dim = sum(subspace_ranks)
    random = np.random.default_rng(seed)
    data = subspace_mixture(key=random, sizes=sizes, ambient_dim=dim + 1, ranks=subspace_ranks, correlation=0.5)
    game: SubspaceGame = SubspaceGame(data.features, data.labels, dim=dim, epsilon=epsilon).whitened()
    A = orthogonal_coefficients(game, game.optimum().multiplicities, random)
    F, G = game.encoder_of(A), game.best_response(game.encoder_of(A)).decoder
    threshold = game.verify_equilibrium(F, G).stability_ratio
    if threshold is None or not 0 < threshold < math.inf:
        raise InputError(f"epsilon: found {epsilon:g}; this game has no threshold between stable and unstable ratios")
    ratio = relative * threshold
    mode = leading_mode(game, F, G, ratio)
    rate = _STEP / mode.fastest
    num_steps = int(np.clip(_FOLDS / (max(abs(mode.rate.real), 1e-300) * rate), 50, max_steps))
    size = _SIZE * np.linalg.norm(F) / math.hypot(float(np.linalg.norm(mode.encoder)), float(np.linalg.norm(mode.decoder)))
    found = play(
        game,
        starts=(F + size * mode.encoder, G + size * mode.decoder),
        method="simultaneous",
        constraint="spheres",
        encoder_rate=rate,
        ratio=ratio,
        num_steps=num_steps,
        record_every=max(1, num_steps // 400),
    )
    if found.interrupted:
        raise KeyboardInterrupt
    # Of a complex mode either part runs around; the sum of both squares grows or falls evenly.
    times, norms = found.steps * rate, np.hypot(*found.decoder_gradient)
    measured = fitted_rate(times, norms)
    places = thinned(len(times), num_recorded)
    return CtrlStability(
        threshold=threshold,
        formula=closed_form_threshold(game),
        ratio=ratio,
        predicted=mode.rate.real,
        frequency=abs(mode.rate.imag),
        fastest=mode.fastest,
        measured=measured,
        grows=None if measured is None else measured > 0,
        predicted_share=mode.rate.real / mode.fastest,
        measured_share=None if measured is None else measured / mode.fastest,
        curve_time=tuple((times[places] * mode.fastest).tolist()),
        curve_gradient=tuple((norms[places] / norms[0]).tolist()),
        num_steps=num_steps,
    )


def leading_mode(game: SubspaceGame, F: np.ndarray, G: np.ndarray, ratio: float) -> _Mode:
    """Of simultaneous ascent in whitened coordinates near an equilibrium with no dimension lost.

    **Raises:** `InputError` where the library cannot linearize it.
    """
    from mcr2_landscape.ctrl.frames import Frame
    from mcr2_landscape.ctrl.second_order import nash_of
    from mcr2_landscape.ctrl.stability import linearization
    from mcr2_landscape.verdict import Verdict

    across = linearization(game, F, G)
    if isinstance(across, str):
        raise InputError(f"epsilon: found {game.epsilon:g}, for which the ascent is not linearized: {across}")
    rates = np.linalg.eigvals(across.at(ratio))
    rate = complex(rates[int(np.argmax(rates.real))])
    # The same once more in the coordinates of the starts, with the directions along the equilibria, whose rates are zero.
    frame = Frame(F, G, tuple(game.spans.factors), game.sizes, game.epsilon, F.shape[1], game.spans.rounding)
    nash = nash_of(frame, Verdict.HOLDS, 0.0)
    if nash.tangent is None or nash.hessian is None or nash.blocks is None:
        raise InputError(f"epsilon: found {game.epsilon:g}, for which there are no second derivatives: {nash.reason}")
    mixed = nash.tangent.T @ nash.blocks.mixed
    full = np.block([[nash.hessian, mixed], [-ratio * mixed.T, -ratio * nash.blocks.decoder]])
    values, vectors = np.linalg.eig(full)
    mode = vectors[:, int(np.argmin(np.abs(values - rate)))]
    parts, along = np.stack([np.real(mode), np.imag(mode)]), nash.tangent.shape[1]
    encoder = (parts[:, :along] @ nash.tangent.T).reshape(2, *F.shape)
    return _Mode(encoder, parts[:, along:].reshape(2, *G.shape), rate, float(np.abs(values).max()))


def closed_form_threshold(game: SubspaceGame) -> float | None:
    """The largest of 1/(s_i s_j)² over the singular values of two classes, and of 1/s_j⁴ + 8 h_j''(s_j²)(1 + x)²/x² with
    x = b_j s_j², over the classes of rank two and more; `None` where the optimum loses dimensions."""
    best = game.optimum()
    if best.multiplicities != game.ranks:
        return None
    n, a = sum(game.sizes), game.dim / game.epsilon**2
    squares = [size / m for size, m in zip(game.sizes, best.multiplicities, strict=True)]
    terms = [1 / (s * t) for k, s in enumerate(squares) for t in squares[:k]]
    for s, size, m in zip(squares, game.sizes, best.multiplicities, strict=True):
        if m > 1:
            whole, own = a / n, a / size
            bend = 0.5 * (whole * own / (1 + own * s) ** 2 - whole**2 / (1 + whole * s) ** 2)
            terms.append(1 / s**2 + 8 * bend * (1 + own * s) ** 2 / (own * s) ** 2)
    return max(terms)


def fitted_rate(times: np.ndarray, norms: np.ndarray) -> float | None:
    """The slope of the norms' logarithm over the later half of the time in which they are neither rounding nor large; `None`
    where that is less than four points."""
    outside = (norms < norms[0] / _SEEN) | (norms > norms[0] * _SEEN)
    end = int(outside.argmax()) if outside.any() else len(norms)
    if end < 4:
        return None
    half = end // 2
    return float(np.polyfit(times[half:end], np.log(norms[half:end]), 1)[0])
