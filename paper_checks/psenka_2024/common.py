"""Flattening layers by their definition, in plain NumPy, and the fits that several claims look at.

A layer has a mean μ, a center z_c, a basis U, coefficients W, γ, α, a shift m and a scale s: f(x) = (x − κ(x)P(x − μ) − m)/s
with κ(x) = α exp(−γ‖x − μ‖²), P = I − UUᵀ, and g(z) = y + κ W [1, c, q(c)] with y = sz + m, c = Uᵀ(y − z_c), κ that of f⁻¹(z).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from mcr2_landscape.claims import Run
from mcr2_landscape.data import manifolds
from mcr2_landscape.flatnet import BuildOptions, FlatFit, Layer, fit_network

#: As strong as the public code's layers: random centers, the greatest radius, α up to 1/2.
STRONG = BuildOptions(candidates=1, spread=1.0, threshold=1e-3, most_alpha=0.5)
ARCS = (0.5, 1.1)  # of π, at the quick profile
MORE_ARCS = (0.5, 0.8, 1.0, 1.1)
_HALVINGS, _STEPS = 10, 6  # of an interval, and Newton's


class Fitted(NamedTuple):
    """A fit: its setting in words, the points as the layers get them, `held_out` ones likewise, the `positions` along a curve
    (`None` for a surface), the dimension, and the fit itself."""

    words: str
    points: np.ndarray
    held_out: np.ndarray
    positions: np.ndarray | None
    dimension: int
    fit: FlatFit

    @property
    def layers(self) -> Sequence[Layer]:
        """f_1, …, f_L."""
        return self.fit.built.layers


def fitted(manifold: manifolds.Manifold, seed: int, options: BuildOptions | None = None) -> Fitted:
    """A fit with the library's options, or others."""
    d = manifold.dimension
    fit = fit_network(manifold.points, d, key=seed, options=options, held_out=manifold.held_out)
    network = fit.network
    points, held_out = ((x - network.offset) @ network.frame / network.extent for x in (manifold.points, manifold.held_out))
    positions = manifold.coordinates[:, 0] if d == 1 else None
    return Fitted(f"{manifold.source}, seed {seed}", points, held_out, positions, d, fit)


def arc(part: float, seed: int, options: BuildOptions | None = None) -> Fitted:
    """A fit of an arc of `part` π."""
    return fitted(manifolds.circular_arc(part * np.pi, 60, key=seed, num_held_out=60), seed, options)


def fits(run: Run) -> list[Fitted]:
    """Curves and caps that can be flattened, once for all claims."""

    def work() -> list[Fitted]:
        found = []
        for seed in range(run.choose(1, 5, 40)):
            found.append(fitted(manifolds.sine_curve(50, key=seed, num_held_out=60), seed))
            found.append(fitted(manifolds.sphere_cap(np.pi / 3, 150, key=seed, num_held_out=60), seed))
            found += [arc(part, seed) for part in run.choose(ARCS, MORE_ARCS, MORE_ARCS)]
        return found

    return run.shared("flatnet-fits", work)


def seeds(run: Run) -> list[int]:
    """Of `fits`."""
    return list(range(run.choose(1, 5, 40)))


def normal(layer: Layer, x: np.ndarray) -> np.ndarray:
    """P(x − μ), of complex points too."""
    return (x - layer.mean) @ (np.eye(x.shape[1]) - layer.basis @ layer.basis.T)


def weight(layer: Layer, x: np.ndarray) -> np.ndarray:
    """κ(x), (N, 1), of complex points too."""
    return layer.alpha * np.exp(-layer.gamma * np.sum((x - layer.mean) ** 2, axis=1, keepdims=True))


def bent(layer: Layer, x: np.ndarray, origin: np.ndarray | None = None) -> np.ndarray:
    """W [1, c, q(c)] at x, with c from z_c or another origin."""
    c = (x - (layer.center if origin is None else origin)) @ layer.basis
    columns = [np.ones((len(x), 1)), c, *(c[:, a : a + 1] * c[:, a:] for a in range(c.shape[1]))]
    return np.hstack(columns) @ layer.coefficients.T


def flattened(layer: Layer, x: np.ndarray) -> np.ndarray:
    """f(x)."""
    return (x - weight(layer, x) * normal(layer, x) - layer.shift) / layer.scale


def before(layer: Layer, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """y = sz + m, and f⁻¹(z) = y + P(y − μ)κ/(1 − κ): for the normal part's length r, r(1 − κ(r)) = ‖P(y − μ)‖, the interval
    from ‖P(y − μ)‖ to ‖P(y − μ)‖/(1 − α) is halved, and Newton's steps do the rest."""
    y = z * layer.scale + layer.shift
    part = normal(layer, y)
    length = np.linalg.norm(part, axis=1, keepdims=True)
    flat = np.sum((y - layer.mean - part) ** 2, axis=1, keepdims=True)
    low, high = length, length / (1 - layer.alpha)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        less = middle * (1 - layer.alpha * np.exp(-layer.gamma * (flat + middle**2))) < length
        low, high = np.where(less, middle, low), np.where(less, high, middle)
    for _ in range(_STEPS):
        kappa = layer.alpha * np.exp(-layer.gamma * (flat + low**2))
        low = low - (low * (1 - kappa) - length) / (1 - kappa * (1 - 2 * layer.gamma * low**2))
    kappa = layer.alpha * np.exp(-layer.gamma * (flat + low**2))
    return y, y + kappa / (1 - kappa) * part


def decoded(layer: Layer, z: np.ndarray) -> np.ndarray:
    """g(z)."""
    y, x = before(layer, z)
    return y + weight(layer, x) * bent(layer, y)


def encodings(layers: Iterable[Layer], x: np.ndarray) -> list[np.ndarray]:
    """x, f_1(x), …, f_L(… f_1(x))."""
    found = [x]
    for layer in layers:
        found.append(flattened(layer, found[-1]))
    return found


def tail(points: np.ndarray, dimension: int) -> float:
    """The part of the variance outside the first principal components."""
    values = np.linalg.svd(points - points.mean(axis=0), compute_uv=False) ** 2
    return float(values[dimension:].sum() / values.sum())


def inversions(code: np.ndarray, positions: np.ndarray) -> int:
    """Steps along a curve on which the code goes back."""
    steps = np.diff(code[np.argsort(positions)])
    return int(min(np.sum(steps > 0), np.sum(steps < 0)))


def half_mean_square(error: np.ndarray) -> float:
    """½ of the mean square of the entries."""
    return float(np.mean(error * error) / 2)
