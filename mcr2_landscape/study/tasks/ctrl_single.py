"""The game of single-subspace pursuit, encoder and decoder on Stiefel manifolds: its exact equilibrium, or gradient ascent."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mcr2_landscape.study.tasks import ctrl_data
from mcr2_landscape.study.tasks.ctrl_pictures import SamplePictures, pictures
from mcr2_landscape.study.tasks.problems import thinned
from mcr2_landscape.validation import InputError, positive_integer, positive_real, real


@dataclass(frozen=True, kw_only=True)
class PlayedSingle(ctrl_data.Hypotheses, SamplePictures):
    """One game.

    **Fields:** `rank` d_S as counted down to `tolerance` (0: to rounding). `value` R(FX),
    `distance` D, `optimum` in closed form and the `gap` to it; `kept` and `lost` dimensions of the optimum, with its
    `optimal_singular_values` of f(X), and `unique`: whether all optimal encoders keep the same ones. `response_error`:
    ‖E^½(MPMᵀ − P)E^½‖/‖E^½PE^½‖, E = (I + bP)⁻¹, zero at best responses. `stackelberg`: whether it is a best response to
    an encoder that attains the optimum ("undecided" where rounding hides it). `local_nash` (missing where it is not asked
    for), with `nash_reason` in words. `reconstruction_error`: ‖gf(X) − X‖/‖X‖, of what is left of X. All else is as in
    `ctrl_game`, for one class.
    """

    rank: int
    tolerance: float
    value: float
    distance: float
    optimum: float
    gap: float
    kept: int
    lost: int
    optimal_singular_values: tuple[float, ...]
    unique: str
    response_error: float
    stackelberg: str
    local_nash: str | None
    nash_reason: str | None
    reconstruction_error: float
    curve_step: tuple[int, ...]
    curve_value: tuple[float, ...]
    curve_distance: tuple[float, ...]


def ctrl_single(
    *,
    method: Literal["exact", "gdmax", "simultaneous"] = "exact",
    dim: int,
    epsilon: float = 1.0,
    size: int = 500,
    ambient_dim: int = 50,
    subspace_rank: int = 10,
    noise: float = 0.0,
    num_steps: int = 300,
    relative_rate: float = 1.0,
    nash: bool = False,
    shown: int = 90,
    num_recorded: int = 100,
    seed: int,
) -> PlayedSingle:
    """Play the game of one subspace.

    Samples are U c + e, U a random orthonormal basis of `subspace_rank` columns, c standard normal, the entries of e of
    variance noise/ambient_dim; with noise, singular values count down to the middle of the widest gap.

    **Arguments:** `method`: "exact", a random equilibrium; or ascent for `num_steps` from random frames along the gradient,
    back on the manifold by the polar factor: "gdmax" (the decoder answers with Fᵀ) or "simultaneous". Its rate is
    `relative_rate` over a bound b σ_1² of the curvature, both players' alike. `nash`: also decide, to second order, whether the
    end is a local Nash equilibrium, which takes about a minute at d_z = d_x = 50.

    **Raises:** `InputError` for numbers out of range.
    """
    from mcr2_landscape.ctrl.images import column_bases
    from mcr2_landscape.ctrl.responses import response_error
    from mcr2_landscape.ctrl.single import SingleSubspaceGame

    num_recorded = positive_integer("num_recorded", num_recorded, minimum=2)
    shown = positive_integer("shown", shown)
    random = np.random.default_rng(seed)
    X, tolerance = _data(random, size, ambient_dim, subspace_rank, noise)
    game = SingleSubspaceGame(X, dim=dim, epsilon=epsilon, rank_tolerance=tolerance)
    curves: dict[str, Any] = {"curve_step": (), "curve_value": (), "curve_distance": ()}
    if method == "exact":
        found = game.solve(key=random)
        F, G = found.encoder, found.decoder
    else:
        F, G, curves = _ascend(game, method, random, num_steps, relative_rate, num_recorded)
    best, report = game.optimum(), game.verify_equilibrium(F, G) if nash else None
    codes = X @ F.T
    seen = pictures(
        {"x": X, "f": codes, "gf": codes @ G.T, "fgf": codes @ G.T @ F.T},
        {"x": [game.factor / game.values], "f": column_bases([F @ game.factor])},
        np.zeros(len(X), dtype=np.int64),
        shown,
    )
    value, distance = _utilities(game, F, G)
    error = response_error(F, G, (game.factor,), np.array([game.dim / (game.num_samples * game.epsilon**2)]))
    return PlayedSingle(
        rank=game.rank,
        tolerance=0.0 if tolerance is None else tolerance,
        **ctrl_data.hypotheses(game),
        value=value,
        distance=distance,
        optimum=best.value,
        gap=best.value - value,
        kept=best.kept,
        lost=best.lost,
        optimal_singular_values=tuple(best.singular_values.tolist()),
        unique=str(best.unique),
        response_error=error,
        stackelberg=str(game.stackelberg_verdict(F, G)),
        local_nash=None if report is None else str(report.local_nash),
        nash_reason=None if report is None else report.reason,
        reconstruction_error=float(np.linalg.norm(G @ (F @ game.factor) - game.factor) / np.linalg.norm(game.factor)),
        **{own.name: seen[own.name] for own in dataclasses.fields(SamplePictures)},
        **curves,
    )


def _data(random: np.random.Generator, size: int, ambient_dim: int, rank: int, noise: float) -> tuple[np.ndarray, float | None]:
    from mcr2_landscape.ctrl import stiefel

    size, ambient_dim = positive_integer("size", size), positive_integer("ambient_dim", ambient_dim)
    if not positive_integer("subspace_rank", rank) <= min(size, ambient_dim):
        raise InputError(f"subspace_rank: found {rank}; pass at most {min(size, ambient_dim)}")
    if real("noise", noise) < 0:
        raise InputError(f"noise: found {noise:g}; pass zero or more")
    basis = stiefel.haar(random, ambient_dim, rank)
    X = random.standard_normal((size, rank)) @ basis.T
    if noise == 0:
        return X, None
    X += np.sqrt(noise / ambient_dim) * random.standard_normal(X.shape)
    s = np.linalg.svd(X, compute_uv=False)
    at = int((s[:-1] / s[1:]).argmax())
    return X, float(np.sqrt(s[at] * s[at + 1]))


def _utilities(game: Any, F: np.ndarray, G: np.ndarray) -> tuple[float, float]:
    import jax
    import jax.numpy as jnp

    with jax.enable_x64(True):
        return float(game.expressiveness(jnp.asarray(F))), float(game.distance(jnp.asarray(F), jnp.asarray(G)))


def _ascend(
    game: Any, method: str, random: np.random.Generator, num_steps: int, relative_rate: float, num_recorded: int
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    import jax
    import jax.numpy as jnp

    from mcr2_landscape.ctrl import stiefel

    num_steps = positive_integer("num_steps", num_steps)
    rate = positive_real("relative_rate", relative_rate) / (
        game.dim / (game.num_samples * game.epsilon**2) * float(game.values[0]) ** 2
    )
    tall = max(game.dim, game.ambient_dim), min(game.dim, game.ambient_dim)
    F, G = (stiefel.haar(random, *tall) for _ in range(2))
    F, G = (F.T, G) if game.dim <= game.ambient_dim else (F, G.T)
    recorded = set(thinned(num_steps + 1, num_recorded).tolist())
    rows: list[tuple[int, float, float]] = []
    with jax.enable_x64(True):
        for step in range(num_steps + 1):
            if method == "gdmax":
                G = F.T.copy()
            if step in recorded:
                rows.append((step, *_utilities(game, F, G)))
            if step < num_steps:
                up = game.gradient(jnp.asarray(F), jnp.asarray(G))
                F = game.project(F + rate * np.asarray(up.encoder))
                if method == "simultaneous":
                    G = game.project_decoder(G + rate * np.asarray(up.decoder))
    steps, values, distances = zip(*rows, strict=True)
    return F, G, {"curve_step": steps, "curve_value": values, "curve_distance": distances}
