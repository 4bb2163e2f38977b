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
from mcr2_landscape.validation import InputError, positive_integer


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

    **Raises:** `InputError` for another `which`.
    """
    if which not in ("largest", "smallest"):
        raise InputError(f"which: found {which!r}; pass 'largest' or 'smallest'")
    positive_integer("max_steps", max_steps)
    with jax.enable_x64(True):
        product = _product(landscape, Z)
        start = generator(key).standard_normal(Z.size)
        if landscape.constraint is not None:
            start = np.asarray(landscape.constraint.tangent(jnp.asarray(Z), jnp.asarray(start.reshape(Z.shape)))).ravel()
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
    """The spectral density of the Hessian at Z by stochastic Lanczos quadrature.

    Source: Ubaru, Chen, Saad, *Fast estimation of tr(f(A)) via stochastic Lanczos quadrature* (SIAM J. Matrix Anal. Appl.
    2017).
    """
    random = generator(key)
    nodes, weights = [], []
    products = 0
    with jax.enable_x64(True):
        product = _product(landscape, Z)
        for _ in range(positive_integer("num_probes", num_probes)):
            probe = random.choice([-1.0, 1.0], size=Z.size)
            _, diagonal, off = _lanczos(product, probe, min(steps, Z.size), None)
            values, vectors = np.linalg.eigh(_tridiagonal(diagonal, off))
            nodes.append(values)
            weights.append(vectors[0] ** 2 / num_probes)
            products += len(diagonal)
    order = np.argsort(np.concatenate(nodes), kind="stable")
    return SpectralDensity(np.concatenate(nodes)[order], np.concatenate(weights)[order], num_probes, products)


def _product(landscape: Any, Z: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    H = landscape.hessian(jnp.asarray(Z))

    def product(vector: np.ndarray) -> np.ndarray:
        return np.asarray(H.mv(jnp.asarray(vector.reshape(Z.shape)))).ravel()

    return product


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
