"""Lanczos with full reorthogonalization on a landscape's Hessian products.

One start vector sees one copy of each eigenvalue: neither a multiplicity nor a Morse index can be read off here, only that an
eigenvalue of at least the Ritz value exists (the Rayleigh quotient proves it) and how far the pair is from an exact one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.randomness import generator
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, float64_matrix, positive_integer


@dataclass(frozen=True)
class ExtremePair(Record):
    """An approximate extreme eigenpair: an eigenvalue lies within `residual` of `value`."""

    value: float
    vector: np.ndarray = field(repr=False, metadata={"json": False})
    residual: float
    converged: bool
    num_products: int


@dataclass(frozen=True)
class SpectralDensity(Record):
    """Quadrature of the spectral measure: `weights` (sum 1) at `nodes`, from `num_probes` random vectors."""

    nodes: np.ndarray
    weights: np.ndarray
    num_probes: int
    num_products: int


def extreme_eigenpair(
    landscape: Any, Z: np.ndarray, *, which: str = "largest", max_steps: int = 200, rtol: float = 1e-8, key: Any = 0
) -> ExtremePair:
    """The largest or smallest eigenvalue of the Hessian at Z, with its vector.

    **Arguments:** `which`: "largest" or "smallest". Stops when the residual is below `rtol` times the largest Ritz value in
    magnitude, or after `max_steps` products.

    **Returns:** `ExtremePair`; `converged` says whether the residual got there.

    **Raises:** `InputError` for another `which`, a Z of another shape or with NaN or infinity, or a constraint that leaves no
    direction.
    """
    if which not in ("largest", "smallest"):
        raise InputError(f"which: found {which!r}; pass 'largest' or 'smallest'")
    positive_integer("max_steps", max_steps)
    Z = float64_matrix("Z", Z, landscape.shape)
    with jax.enable_x64(True):
        product, tangent_part = _operator(landscape, Z)
        random = generator(key)
        start = _tangent_draw(lambda: random.standard_normal(Z.size), tangent_part)
        basis, diagonal, off = _lanczos(product, start, min(max_steps, Z.size), (which, rtol))
    values, vectors = np.linalg.eigh(_tridiagonal(diagonal, off))
    position = -1 if which == "largest" else 0
    residual = abs(off[len(diagonal) - 1] * vectors[-1, position])
    vector = basis[: len(diagonal)].T @ vectors[:, position]
    scale = float(np.abs(values).max())
    return ExtremePair(
        float(values[position]), vector.reshape(Z.shape), float(residual), bool(residual <= rtol * scale), len(diagonal)
    )


def spectral_density(landscape: Any, Z: np.ndarray, *, num_probes: int = 4, steps: int = 60, key: Any = 0) -> SpectralDensity:
    """The spectral density of the Hessian at Z by stochastic Lanczos quadrature; on a constraint set, of the Riemannian Hessian
    on the tangent space alone: the zeros along the normals do not count.

    **Raises:** `InputError` for a Z of another shape or with NaN or infinity, for `num_probes` or `steps` below one, or a
    constraint that leaves no direction.

    Source: Ubaru, Chen, Saad, *Fast estimation of tr(f(A)) via stochastic Lanczos quadrature* (SIAM J. Matrix Anal. Appl.
    2017).
    """
    num_probes = positive_integer("num_probes", num_probes)
    steps = positive_integer("steps", steps)
    Z = float64_matrix("Z", Z, landscape.shape)
    random = generator(key)
    nodes, weights = [], []
    products = 0
    with jax.enable_x64(True):
        product, tangent_part = _operator(landscape, Z)
        for _ in range(num_probes):
            probe = _tangent_draw(lambda: random.choice([-1.0, 1.0], size=Z.size), tangent_part)
            _, diagonal, off = _lanczos(product, probe, min(steps, Z.size), None)
            values, vectors = np.linalg.eigh(_tridiagonal(diagonal, off))
            nodes.append(values)
            weights.append(vectors[0] ** 2 * (probe @ probe))  # projected probes differ in length; each counts by its square
            products += len(diagonal)
    order = np.argsort(np.concatenate(nodes), kind="stable")
    mass = np.concatenate(weights)[order]
    return SpectralDensity(np.concatenate(nodes)[order], mass / mass.sum(), num_probes, products)


_Map = Callable[[np.ndarray], np.ndarray]


def _operator(landscape: Any, Z: np.ndarray) -> tuple[_Map, _Map]:
    """The Hessian's product, and the projection on the tangent space that it acts on."""
    point = jnp.asarray(Z)
    H = landscape.hessian(point)

    def tangent_part(vector: np.ndarray) -> np.ndarray:
        return np.asarray(H.tangent_part(jnp.asarray(vector.reshape(Z.shape)))).ravel()

    def product(vector: np.ndarray) -> np.ndarray:
        return np.asarray(H.mv(jnp.asarray(vector.reshape(Z.shape)))).ravel()

    return product, tangent_part


def _tangent_draw(draw: Callable[[], np.ndarray], tangent_part: _Map) -> np.ndarray:
    """A random tangent vector. One draw can lie along the normals (Z drawn from the same seed does), several do not."""
    for _ in range(8):
        vector = draw()
        part = tangent_part(vector)
        if np.linalg.norm(part) > 1e-12 * np.linalg.norm(vector):
            return part
    raise InputError("Z: the constraint leaves no tangent direction there, so that the Hessian has no eigenvalue")


def _tridiagonal(diagonal: list[float], off: list[float]) -> np.ndarray:
    inner = off[: len(diagonal) - 1]
    return np.diag(diagonal) + np.diag(inner, 1) + np.diag(inner, -1)


def _lanczos(
    product: Callable[[np.ndarray], np.ndarray], start: np.ndarray, steps: int, goal: tuple[str, float] | None
) -> tuple[np.ndarray, list[float], list[float]]:
    """A Q = Q T + r eᵀ with orthonormal Q: rows of the basis, diagonal and off-diagonal of T (the last off-diagonal is ‖r‖).
    Stops early at an invariant subspace, or when the wanted Ritz pair has converged."""
    basis = np.zeros((steps, start.size))
    diagonal: list[float] = []
    off: list[float] = []
    vector = start / np.linalg.norm(start)
    for step in range(steps):
        basis[step] = vector
        image = product(vector)
        diagonal.append(float(vector @ image))
        for _ in range(2):  # twice is enough (Kahan)
            image = image - basis[: step + 1].T @ (basis[: step + 1] @ image)
        off.append(float(np.linalg.norm(image)))
        scale = max(abs(x) for x in (*diagonal, *off[:-1], 1e-300))
        if off[-1] <= 1e-13 * scale * np.sqrt(start.size):
            break
        if goal is not None and step % 5 == 4:
            values, vectors = np.linalg.eigh(_tridiagonal(diagonal, off))
            position = -1 if goal[0] == "largest" else 0
            if abs(off[-1] * vectors[-1, position]) <= goal[1] * float(np.abs(values).max()):
                break
        vector = image / off[-1]
    return basis, diagonal, off
