"""The tangent space of the symmetry orbit at a point with orthogonal classes, as a projection in closed form.

With Z_k = L_k S_k V_kᵀ and orthonormal L = [L_1 … L_K], the tangent space {ΩZ + [Z_k Ψ_k]} of the orbit under O(d) × Π O(m_k)
is the orthogonal sum of

* u vᵀ with u beyond L and v in V_k, and u vᵀ with u in L_k and v beyond V_k;
* for directions i and j of different classes, s_j e_ij − s_i e_ji, where e_ij = l_i v_jᵀ;
* for i and j of one class, e_ij and e_ji where s_i ≠ s_j, else e_ij − e_ji.

At a critical point it lies in the Hessian's kernel; at a maximizer it is the kernel, and the top of the spectrum.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.factorization import Factorization, factorize
from mcr2_landscape.stacking import ClassLayout
from mcr2_landscape.validation import InputError, float64_matrix

_ORTHOGONAL = 1e-6  # largest cosine between directions of different classes that still counts as none
_CRITICAL = 1e-8
_EQUAL = 1e-6  # relative difference up to which two singular values of a class count as one
_HIGHEST = jax.lax.Precision.HIGHEST


class OrthogonalOrbit(eqx.Module):
    """The tangent space at one point, made by `orbit_at`: `remove` projects on its complement, `dimension` is its own."""

    left: jax.Array
    right: tuple[jax.Array, ...]
    values: jax.Array
    owners: jax.Array
    equal: jax.Array
    layout: ClassLayout = eqx.field(static=True)
    columns: tuple[tuple[int, ...], ...] = eqx.field(static=True)
    dimension: int = eqx.field(static=True)

    def remove(self, D: jax.Array) -> jax.Array:
        """D (d, m) less its part in the tangent space, traced."""
        if self.left.shape[1] == 0:  # the orbit of zero is a point
            return D
        along = self.layout.map(lambda D_k, V: (_mul(self.left.T, D_k), _mul(D_k, V)), (D,), self.right)
        across, parts = tuple(X for X, _ in along), tuple(E for _, E in along)
        # the core in the coordinates of left and right directions, one column for each direction of each class
        core = jnp.concatenate(
            [jnp.moveaxis(_mul(self.left.T, E), 0, 1).reshape(self.left.shape[1], -1) for E in parts], axis=1
        )
        order = np.concatenate([np.array(own, dtype=np.int64) for own in self.columns])
        place = np.flatnonzero(order >= 0)
        place = place[np.argsort(order[place])]
        kept = jnp.zeros_like(core).at[:, place].set(self._kept(core[:, place]))
        pieces = self._split(kept, parts)

        def block(D_k: jax.Array, X: jax.Array, E: jax.Array, V: jax.Array, core_k: jax.Array, own: jax.Array) -> jax.Array:
            inside, beyond = _mul(self.left, X), _mul(_mul(self.left, _mul(self.left.T, E)), V.T)
            # beyond L only what lies beyond V_k stays; in L beyond V_k what belongs to other classes; in the core its part
            outer = (D_k - inside) - (_mul(E, V.T) - beyond)
            others = _mul(self.left * (1 - own), X - _mul(_mul(X, V), V.T))
            return outer + others + _mul(_mul(self.left, core_k), V.T)

        return self.layout.assemble(block, (D,), across, parts, self.right, pieces, self._own())

    def _kept(self, core: jax.Array) -> jax.Array:
        """The part of the core (r, r) that is orthogonal to the tangent space."""
        s = self.values
        same = self.owners[:, None] == self.owners[None, :]
        equal = jnp.abs(s[:, None] - s[None, :]) <= self.equal * jnp.maximum(s[:, None], s[None, :])
        # e_ij gets s_i t_ij and e_ji gets s_j t_ij: the unit vector that is orthogonal to s_j e_ij − s_i e_ji
        share = (s[:, None] * core + s[None, :] * core.T) / (s[:, None] ** 2 + s[None, :] ** 2)
        different = s[:, None] * share
        own = jnp.where(equal, 0.5 * (core + core.T), jnp.zeros_like(core))
        return jnp.where(same, own, different)

    def _split(self, core: jax.Array, like: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        widths = [part.shape[0] * part.shape[2] for part in like]
        pieces = jnp.split(core, np.cumsum(widths)[:-1], axis=1)
        return tuple(
            jnp.moveaxis(piece.reshape(core.shape[0], part.shape[0], part.shape[2]), 1, 0)
            for piece, part in zip(pieces, like, strict=True)
        )

    def _own(self) -> tuple[jax.Array, ...]:
        """For each class which left directions are its own, (classes, 1, r) of 0 and 1."""
        return tuple(
            (self.owners[None, :] == jnp.asarray(bucket.classes)[:, None]).astype(self.left.dtype)[:, None, :]
            for bucket in self.layout.buckets
        )


def orbit_at(problem: Any, Z: Any, *, distance: float | None = None) -> OrthogonalOrbit:
    """The tangent space of the orbit of Z under O(d) × Π O(m_k), for `eigenpairs(problem.hessian(Z), deflate=…)`.

    **Arguments:** `problem`: an `MCR2`, or a `ConstrainedMCR2` on spheres or balls. `Z`: of its shape, float64, its classes
    orthogonal to each other, as they are at every maximizer. `distance`: how far the critical point may be that Z stands for:
    singular values up to that are noise, and those of a class that differ by less than that are equal there. By default what
    the gradient of an `MCR2` allows, 2 ‖∇F‖/lambda, where its relative norm is at most 1e-8; otherwise 0, the orbit of Z
    itself.

    **Raises:** `InputError` for a wrong shape, NaN, float32, or classes that are not orthogonal to 1e-6.
    """
    Z = float64_matrix("Z", Z, tuple(problem.shape))
    if distance is None:
        _, gradient, scale = problem.evaluate(Z)
        norm, strength = float(np.linalg.norm(gradient)), getattr(problem, "regularization", None)
        distance = 2 * norm / float(strength) if strength is not None and norm <= _CRITICAL * scale else 0.0
    return orthogonal_orbit(Z, problem.parameters.widths, distance)


def orthogonal_orbit(Z: np.ndarray, widths: tuple[int, ...], distance: float = 0.0) -> OrthogonalOrbit:
    """`orbit_at` for an array in class blocks of the given widths.

    **Raises:** `InputError` for classes that are not orthogonal.
    """
    factors = factorize(Z, widths, tolerance=distance or None)
    assert factors is not None  # no largest rank was asked for
    smallest = min((float(values[-1]) for values in factors.values if values.size), default=1.0)
    equal = max(_EQUAL, min(10 * distance / smallest, 1.0))
    found = _directions(factors)
    worst = float(np.abs(found.T @ found - np.eye(found.shape[1])).max(initial=0.0))
    if worst > _ORTHOGONAL:
        raise InputError(
            f"Z: directions of its classes have cosines up to {worst:.1e}; the closed form is for orthogonal classes: pass a "
            "basis of problem.orbit_tangent(Z) instead"
        )
    found, triangle = np.linalg.qr(found)  # orthonormal to rounding, without a change of sign
    found = found * np.where(np.diagonal(triangle) < 0, -1.0, 1.0)
    layout = ClassLayout(widths)
    owners = np.repeat(np.arange(len(widths)), factors.ranks)
    firsts = np.concatenate([[0], np.cumsum(factors.ranks)])
    right, columns = [], []
    for bucket in layout.buckets:
        rank = max(1, *(factors.ranks[k] for k in bucket.classes))
        V = np.zeros((len(bucket.classes), bucket.width, rank))
        numbers = np.full((len(bucket.classes), rank), -1)
        for i, k in enumerate(bucket.classes):
            own, first = factors.ranks[k], int(bucket.offsets[i])
            V[i, first : first + bucket.widths[i], :own] = factors.right[k]
            numbers[i, :own] = np.arange(firsts[k], firsts[k] + own)
        right.append(V)
        columns.append(tuple(numbers.ravel().tolist()))
    values = np.concatenate(factors.values)
    with jax.enable_x64(True):
        return OrthogonalOrbit(
            jnp.asarray(found),
            tuple(jnp.asarray(V) for V in right),
            jnp.asarray(values),
            jnp.asarray(owners),
            jnp.asarray(equal),
            layout,
            tuple(columns),
            _dimension(Z.shape[0], widths, factors, owners, values, equal),
        )


def _directions(factors: Factorization) -> np.ndarray:
    return np.concatenate([W / s for W, s in zip(factors.scaled, factors.values, strict=True)], axis=1)


def _dimension(
    dim: int, widths: tuple[int, ...], factors: Factorization, owners: np.ndarray, values: np.ndarray, equal: float
) -> int:
    r = values.size
    across = (dim - r) * r + sum(own * (width - own) for width, own in zip(widths, factors.ranks, strict=True))
    i, j = np.triu_indices(r, 1)
    same = owners[i] == owners[j]
    unequal = np.abs(values[i] - values[j]) > equal * np.maximum(values[i], values[j])
    return across + int(i.size + (same & unequal).sum())


def _mul(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.matmul(a, b, precision=_HIGHEST)
