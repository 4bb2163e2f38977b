"""One flattening layer and its inverses, written once for NumPy and JAX arrays.

A layer is a map of all of R^D (Psenka, Pai, Raman, Sastry and Ma, *Representation Learning via Manifold Flattening and
Reconstruction*, arXiv 2305.01777, in the form that this module's formulas give it): with P the projection onto the complement
of the span of U and κ(x) = α exp(−γ‖x − μ‖²),

    f(x) = (x − κ(x) P(x − μ) − m)/s.

Every function takes points in rows and one layer without a leading axis.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

_PLAIN, _QUADRATIC = 8, 1e-9  # a step so small, relative to v, leaves an error of its square
_STEPS = 128  # a bracket of doubles halves at most about 60 times; Newton's steps are five or so


class Layer(NamedTuple):
    """One layer, or several of them along a leading axis.

    **Fields:** `mean` μ, (D,); `center` z_c, (D,), from which the decoder's coordinates count; `basis` U, (D, d), orthonormal
    columns, any number of zero columns behind them; `coefficients` W, (D, 1 + d + d(d + 1)/2): the decoder adds
    κ W [1, c, q(c)], with c = Uᵀ(z − z_c) and q its monomials of degree two; `gamma` γ > 0; `alpha` in [0, 1); `shift` m, (D,);
    `scale` s > 0; `rank`: how many columns of U are not zero.
    """

    mean: Any
    center: Any
    basis: Any
    coefficients: Any
    gamma: Any
    alpha: Any
    shift: Any
    scale: Any
    rank: Any


def num_features(num_directions: int) -> int:
    """How many features [1, c, q(c)] there are."""
    return 1 + num_directions + num_directions * (num_directions + 1) // 2


def features(coordinates: Any) -> Any:
    """[1, c, q(c)] of coordinates (…, d), with q the monomials c_a c_b, a ≤ b, in the order of the upper triangle's rows."""
    xp = _namespace(coordinates)
    first, second = _pairs(coordinates.shape[-1])
    squares = coordinates[..., first] * coordinates[..., second]
    return xp.concatenate([xp.ones_like(coordinates[..., :1]), coordinates, squares], axis=-1)


def flatten(layer: Layer, points: Any) -> Any:
    """f: the points (N, D) after the layer."""
    kappa, normal, _ = _weights(layer, points)
    return (points - kappa[:, None] * normal - layer.shift[None, :]) / layer.scale


def log_abs_det(layer: Layer, points: Any) -> Any:
    """log|det Df| at points (N, D), shape (N,): (D − d − 1) log(1 − κ) + log(1 − κ(1 − 2γt)) − D log s, t = ‖P(x − μ)‖²."""
    xp = _namespace(points)
    kappa, _, squared = _weights(layer, points)
    dim = points.shape[1]
    codim = dim - 1 - layer.rank
    own = xp.log1p(-kappa * (1 - 2 * layer.gamma * squared))
    return codim * xp.log1p(-kappa) + own - dim * xp.log(layer.scale)


def reconstruct(layer: Layer, codes: Any, solve: Any = None) -> Any:
    """g: an approximate inverse of f on the manifold, y + κ W [1, c, q(c)] with y = s z + m, which needs no normal part.

    κ is the x's whose f(x) = z, found from z alone; `solve` finds it (`kappa` of NumPy arrays if left out).
    """
    y = codes * layer.scale + layer.shift[None, :]
    _, weight = normal_and_kappa(layer, y, solve)
    return y + correction(layer, y, weight)


def correction(layer: Layer, y: Any, weight: Any) -> Any:
    """κ W [1, c, q(c)] at y, with κ = `weight`."""
    coordinates = (y - layer.center[None, :]) @ layer.basis
    return weight[:, None] * (features(coordinates) @ layer.coefficients.T)


def invert(layer: Layer, codes: Any, solve: Any = None) -> Any:
    """f⁻¹, exactly: y + P(y − μ) κ/(1 − κ) with y = s z + m."""
    y = codes * layer.scale + layer.shift[None, :]
    normal, weight = normal_and_kappa(layer, y, solve)
    return y + (weight / (1 - weight))[:, None] * normal


def normal_and_kappa(layer: Layer, y: Any, solve: Any = None) -> tuple[Any, Any]:
    """P(y − μ), and κ of the x with x − κ(x) P(x − μ) = y."""
    xp = _namespace(y)
    centered = y - layer.mean[None, :]
    tangential = centered @ layer.basis
    normal = centered - tangential @ layer.basis.T
    constant = layer.alpha * xp.exp(-layer.gamma * xp.sum(tangential * tangential, axis=1))
    squared = layer.gamma * xp.sum(normal * normal, axis=1)
    return normal, (solve or kappa)(constant, squared)


def kappa(constant: np.ndarray, squared: np.ndarray) -> np.ndarray:
    """κ = c exp(−v²) where v(1 − c exp(−v²)) = √squared, v ≥ 0, for 0 ≤ c < 1.

    The left side's derivative is at least 1 − c, so that one v is the answer, in [n, n/(1 − c)] for n = √squared. Newton's
    step, or half the bracket where that leaves it, until nothing moves. For c ≤ 1/2 Newton's steps alone are tried first.
    """
    normal = np.sqrt(squared)
    if constant.max(initial=0) <= 0.5:
        v = normal / (1 - constant * np.exp(-squared))
        for _ in range(_PLAIN):
            square = v * v
            weight = constant * np.exp(-square)
            step = (v * (1 - weight) - normal) / (1 - weight * (1 - 2 * square))
            v = v - step
            if (np.abs(step) <= _QUADRATIC * v).all():
                return constant * np.exp(-v * v)
    state = (normal / (1 - constant * np.exp(-squared)), normal, normal / (1 - constant))
    for _ in range(_STEPS):
        state, moved = newton_step(constant, normal, state)
        if not moved.any():
            break
    return constant * np.exp(-state[0] * state[0])


def newton_step(constant: Any, normal: Any, state: tuple[Any, Any, Any]) -> tuple[tuple[Any, Any, Any], Any]:
    """One step for (v, lower end, upper end), and where v still moves by more than rounding."""
    xp = _namespace(constant)
    v, low, high = state
    weight = constant * xp.exp(-v * v)
    excess = v * (1 - weight) - normal
    low, high = xp.where(excess < 0, v, low), xp.where(excess < 0, high, v)
    step = v - excess / (1 - weight * (1 - 2 * v * v))
    new = xp.where((step < low) | (step > high), (low + high) / 2, step)
    moved = xp.abs(new - v) > 2 * float(np.finfo(v.dtype).eps) * v
    return (new, low, high), moved


def stack(layers: list[Layer], dim: int) -> Layer:
    """Several layers of NumPy arrays along a leading axis, their bases filled up with zero columns to the widest."""
    if not layers:
        empty, none = np.zeros((0, dim)), np.zeros(0)
        return Layer(empty, empty, np.zeros((0, dim, 0)), np.zeros((0, dim, 1)), none, none, empty, none, np.zeros(0, np.int32))
    widest = max(layer.basis.shape[1] for layer in layers)
    return Layer(
        *(
            np.stack([np.asarray(part) for part in parts])
            for parts in zip(*(_padded(layer, widest) for layer in layers), strict=True)
        )
    )


def _padded(layer: Layer, width: int) -> Layer:
    own = layer.basis.shape[1]
    if own == width:
        return layer
    first, second = _pairs(width)
    places = np.concatenate([np.arange(1 + own), 1 + width + np.flatnonzero((first < own) & (second < own))])
    coefficients = np.zeros((layer.coefficients.shape[0], num_features(width)))
    coefficients[:, places] = layer.coefficients
    return layer._replace(basis=np.pad(layer.basis, ((0, 0), (0, width - own))), coefficients=coefficients)


@functools.cache
def _pairs(num_directions: int) -> tuple[np.ndarray, np.ndarray]:
    return np.triu_indices(num_directions)


def _weights(layer: Layer, points: Any) -> tuple[Any, Any, Any]:
    """κ, P(x − μ) and its squared length."""
    xp = _namespace(points)
    centered = points - layer.mean[None, :]
    tangential = centered @ layer.basis
    normal = centered - tangential @ layer.basis.T
    squared = xp.sum(normal * normal, axis=1)
    weight = layer.alpha * xp.exp(-layer.gamma * (squared + xp.sum(tangential * tangential, axis=1)))
    return weight, normal, squared


def _namespace(array: Any) -> Any:
    if isinstance(array, np.ndarray):
        return np
    import jax.numpy as jnp

    return jnp
