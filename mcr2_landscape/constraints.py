"""Constraint sets of a landscape: spheres and balls for groups of columns.

A constraint is any object with these methods; the ones below cover the rate-reduction problems.

* `project(Z)`: the nearest feasible point;
* `tangent(Z, D)`: the orthogonal projection of D on the tangent space at a feasible Z, smooth in Z;
* `retract(Z, D)`: a feasible point that agrees with Z + D to first order for tangent D;
* `normals(Z)`: host function, orthonormal columns (n, c) that span the normal space at Z, c fixed near Z.

The first three are traced. On a ball's boundary the tangent space is that of the sphere; in its interior, everything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.stacking import ClassLayout, class_inner_products
from mcr2_landscape.validation import InputError, positive_integer, positive_real

_BOUNDARY = 1e-9  # relative distance from the sphere within which a point of a ball counts as on its boundary


def _sequence(name: str, value: Any) -> tuple[Any, ...]:
    try:
        return tuple(value)
    except TypeError:
        raise InputError(f"{name}: found {value!r}; pass a sequence with one number a group") from None


class Spheres(eqx.Module):
    """‖Z_k‖_F = radii[k] for consecutive groups of columns (the last axis) of sizes `sizes`.

    **Raises:** `InputError` for no group, an empty group, a radius ≤ 0, or lengths that differ; from the methods, for
    arrays whose last axis is not the sum of the sizes.
    """

    sizes: tuple[int, ...] = eqx.field(static=True)
    radii: tuple[float, ...] = eqx.field(static=True)

    boundary_only = True

    def __init__(self, sizes: Sequence[int], radii: Sequence[float]):
        self.sizes = tuple(positive_integer(f"sizes[{i}]", size) for i, size in enumerate(_sequence("sizes", sizes)))
        self.radii = tuple(positive_real(f"radii[{i}]", radius) for i, radius in enumerate(_sequence("radii", radii)))
        if not self.sizes:
            raise InputError("sizes: found none; pass the number of columns of each group")
        if len(self.sizes) != len(self.radii):
            raise InputError(f"radii: found {len(self.radii)} for {len(self.sizes)} groups; pass one a group")

    def check_columns(self, Z: jax.Array | np.ndarray) -> None:
        """The groups must make up the last axis of Z.

        **Raises:** `InputError`.
        """
        if Z.ndim == 0 or Z.shape[-1] != sum(self.sizes):
            raise InputError(
                f"Z: found shape {tuple(Z.shape)}; pass {sum(self.sizes)} columns (last axis), the sum of the sizes"
            )

    def norms_squared(self, Z: jax.Array) -> jax.Array:
        """‖Z_k‖² of each group."""
        self.check_columns(Z)
        return class_inner_products(Z, Z, ClassLayout(self.sizes))

    def spread(self, values: jax.Array, Z: jax.Array) -> jax.Array:
        """One number a group, repeated for its columns, to be multiplied with arrays like Z."""
        columns = values[np.repeat(np.arange(len(self.sizes)), self.sizes)]
        return columns.reshape((1,) * (Z.ndim - 1) + (-1,))

    def active(self, Z: jax.Array) -> jax.Array:
        """1 for the groups that are held on their sphere, as floats of shape (groups,): all of them here."""
        return jnp.ones(len(self.sizes), Z.dtype)

    def multipliers(self, Z: jax.Array, G: jax.Array) -> jax.Array:
        """⟨G_k, Z_k⟩/‖Z_k‖² for active groups, 0 for the others."""
        inner = class_inner_products(Z, G, ClassLayout(self.sizes))
        norms = self.norms_squared(Z)
        return self.active(Z) * inner / jnp.where(norms > 0, norms, 1)

    def project(self, Z: jax.Array) -> jax.Array:
        """The nearest feasible point. A zero group has none nearest and stays zero."""
        norms = jnp.sqrt(self.norms_squared(Z))
        factors = jnp.asarray(np.array(self.radii), Z.dtype) / jnp.where(norms > 0, norms, 1)
        return Z * self.spread(factors, Z)

    def tangent(self, Z: jax.Array, D: jax.Array) -> jax.Array:
        """D less its components along the active groups of Z."""
        self.check_columns(Z)
        if D.shape != Z.shape:
            raise InputError(
                f"D: found shape {tuple(D.shape)}, but Z has {tuple(Z.shape)}; pass a direction of the point's shape"
            )
        return D - self.spread(self.multipliers(Z, D), Z) * Z

    def retract(self, Z: jax.Array, D: jax.Array) -> jax.Array:
        """The projection of Z + D."""
        return self.project(Z + D)

    def normals(self, Z: np.ndarray) -> np.ndarray:
        """The unit vectors Z_k/‖Z_k‖ of the active groups as columns, shape (n, active groups)."""
        vectors = []
        for columns in self.active_groups(Z):
            block = np.zeros_like(Z)
            block[..., columns] = Z[..., columns]
            vectors.append(block.ravel() / np.linalg.norm(block))
        return np.stack(vectors, axis=1) if vectors else np.zeros((Z.size, 0))

    def active_groups(self, Z: np.ndarray) -> Iterator[slice]:
        """Host function: the columns of each non-zero group that is on its sphere."""
        self.check_columns(Z)
        start = 0
        for size, radius in zip(self.sizes, self.radii, strict=True):
            columns = slice(start, start + size)
            norm = float(np.linalg.norm(Z[..., columns]))
            if norm > 0 and (self.boundary_only or norm >= radius * (1 - _BOUNDARY)):
                yield columns
            start += size


class Balls(Spheres):
    """‖Z_k‖_F ≤ radii[k] for consecutive groups of columns."""

    boundary_only = False

    def active(self, Z: jax.Array) -> jax.Array:
        """1 for the groups on their boundary, to 1e-9 relative."""
        radii = jnp.asarray(np.array(self.radii), Z.dtype)
        return (jnp.sqrt(self.norms_squared(Z)) >= radii * (1 - _BOUNDARY)).astype(Z.dtype)

    def project(self, Z: jax.Array) -> jax.Array:
        """The nearest point of the balls."""
        norms = jnp.sqrt(self.norms_squared(Z))
        radii = jnp.asarray(np.array(self.radii), Z.dtype)
        return Z * self.spread(jnp.where(norms > radii, radii / jnp.where(norms > 0, norms, 1), 1), Z)


def UnitColumns(num_columns: int, radius: float = 1.0) -> Spheres:
    """Every column on the sphere of the given radius."""
    count = positive_integer("num_columns", num_columns)
    return Spheres((1,) * count, (radius,) * count)


class Sphere(eqx.Module):
    """‖Z‖_F = radius, for an array of any shape.

    **Raises:** `InputError` for a radius ≤ 0.
    """

    radius: float = eqx.field(static=True)

    boundary_only = True

    def __init__(self, radius: float = 1.0):
        self.radius = positive_real("radius", radius)

    def project(self, Z: jax.Array) -> jax.Array:
        """Z scaled to the sphere. Zero has no nearest point and stays zero."""
        norm = jnp.linalg.norm(Z.reshape(-1))
        return Z * (self.radius / jnp.where(norm > 0, norm, 1))

    def tangent(self, Z: jax.Array, D: jax.Array) -> jax.Array:
        """D less its component along Z."""
        squared = jnp.sum(Z * Z)
        return D - (jnp.sum(Z * D) / jnp.where(squared > 0, squared, 1)) * Z

    def retract(self, Z: jax.Array, D: jax.Array) -> jax.Array:
        """The projection of Z + D."""
        return self.project(Z + D)

    def normals(self, Z: np.ndarray) -> np.ndarray:
        """The unit vector Z/‖Z‖ as a column, shape (n, 1)."""
        norm = np.linalg.norm(Z)
        return Z.reshape(-1, 1) / norm if norm > 0 else np.zeros((Z.size, 0))


class TangentProjection(eqx.Module):
    """`constraint.tangent` at a fixed point."""

    constraint: Any
    point: jax.Array

    def project(self, D: jax.Array) -> jax.Array:
        """The tangent part of D."""
        return self.constraint.tangent(self.point, D)
