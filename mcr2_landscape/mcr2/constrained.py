"""The constrained rate-reduction problem: maximize ΔR(Z) = R(Z) − R_c(Z) under norm constraints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from mcr2_landscape import closed_form
from mcr2_landscape.closed_form import Parameters
from mcr2_landscape.constraints import Balls, Spheres, TangentProjection, UnitColumns
from mcr2_landscape.mcr2 import kernels
from mcr2_landscape.mcr2.hessian import RateHessian, factors
from mcr2_landscape.precision import positive_leaf, refuse_traced, traced_array
from mcr2_landscape.randomness import generator
from mcr2_landscape.stacking import ClassLayout
from mcr2_landscape.validation import InputError, class_sizes, host_point, positive_integer

_SETS = ("spheres", "balls", "unit columns")


class ConstrainedMCR2(eqx.Module):
    """ΔR under a norm constraint, a landscape to maximize.

    **Arguments:** `dim`, `sizes` and `epsilon` as in `MCR2`. `constraint`: "spheres" (‖Z_k‖_F² = m_k), "balls" (‖Z_k‖_F² ≤ m_k)
    or "unit columns" (every column on the unit sphere).

    `gradient` and `hessian` are Riemannian: the projected gradient, and the Hessian along the constraint set between tangent
    projections. In balls a class on the boundary whose gradient points outwards is held there; one whose gradient points
    inwards is free, as it is in the interior. The multiplier of a held class is ⟨∇_k, Z_k⟩/‖Z_k‖².

    **Raises:** `InputError` for numbers out of range or an unknown constraint.

    Source: Yu, Chan, You, Song, Ma (NeurIPS 2020), equation (8).
    """

    dim: int = eqx.field(static=True)
    sizes: tuple[int, ...] = eqx.field(static=True)
    epsilon: Any
    constraint: Spheres
    kind: str = eqx.field(static=True)
    _layout: ClassLayout = eqx.field(static=True)

    minimize = False

    def __init__(self, dim: int, sizes: Sequence[int], epsilon: Any, constraint: str = "spheres", *, _widths: Any = None):
        self.dim = positive_integer("dim", dim)
        self.sizes = class_sizes("sizes", sizes)
        self.epsilon = positive_leaf("epsilon", epsilon)
        if not isinstance(self.epsilon, Tracer):
            closed_form.check_epsilon(self.dim, self.sizes, self.epsilon)
        if constraint not in _SETS:
            raise InputError(f"constraint: found {constraint!r}; pass one of " + ", ".join(repr(name) for name in _SETS))
        radii = tuple(float(np.sqrt(size)) for size in self.sizes)
        self._layout = ClassLayout(tuple(_widths) if _widths is not None else self.sizes)
        if constraint == "unit columns":
            self.constraint = UnitColumns(self._layout.num_columns)
        else:
            self.constraint = (Spheres if constraint == "spheres" else Balls)(self._layout.widths, radii)
        self.kind = constraint

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of a point: (dim, samples)."""
        return self.dim, self._layout.num_columns

    def value(self, Z: Any) -> Float[Array, ""]:
        """ΔR(Z), at any Z. Errors as `MCR2.value`."""
        return _value(self, traced_array("Z", Z, self.shape))

    def gradient(self, Z: Any) -> Float[Array, "d m"]:
        """The Riemannian gradient at a feasible Z. Errors as `MCR2.value`."""
        return _gradient(self, traced_array("Z", Z, self.shape))

    def multipliers(self, Z: Any) -> Float[Array, " k"]:
        """⟨∇_k, Z_k⟩/‖Z_k‖² of each constrained group: the lambda_k of a critical point; 0 where the group is free."""
        return _multipliers(self, traced_array("Z", Z, self.shape))

    def hessian(self, Z: Any, *, form: str | None = None) -> RateHessian:
        """The Riemannian Hessian at a feasible Z: P (H − diag(multipliers)) P with P the tangent projection. `form` as for
        `MCR2.hessian`."""
        Z = traced_array("Z", Z, self.shape)
        found = factors(Z, self._layout, _scales(self, Z.dtype), jnp.zeros((), Z.dtype), form)
        return RateHessian(found, self.dim, *_held(self, Z))

    def gradient_scale(self, Z: Any) -> Float[Array, ""]:
        """‖alpha A Z‖ + ‖(alpha A_k Z_k)_k‖, to which a gradient norm is relative."""
        return _gradient_scale(self, traced_array("Z", Z, self.shape))

    # -- landscape protocol (host) --------------------------------------------------------------------------------------------

    @property
    def parameters(self) -> Parameters:
        """The problem's numbers (the regularization, unused here, is alpha).

        **Raises:** `InputError` under `jit` or `vmap`, where the numbers are not known.
        """
        refuse_traced("epsilon", self.epsilon)
        alpha = self.dim / (sum(self.sizes) * float(self.epsilon) ** 2)
        return Parameters(self.dim, self.sizes, float(self.epsilon), alpha, self._layout.widths)

    def with_ranks(self, ranks: Sequence[int]) -> ConstrainedMCR2:
        """The same problem on points whose class blocks have at most these ranks, in coordinates of their row spaces: r_k
        columns a class, ‖Z_k‖² and alpha_k as before. Not for unit columns, which those coordinates do not show.

        **Raises:** `InputError` for unit columns, and for ranks that are not between one and the class's size.
        """
        if self.kind == "unit columns":
            raise InputError("ranks: columns of unit length are not seen in coordinates of row spaces; pass spheres or balls")
        refuse_traced("epsilon", self.epsilon)
        Parameters(self.dim, self.sizes, float(self.epsilon), 1.0, tuple(ranks))
        return ConstrainedMCR2(self.dim, self.sizes, self.epsilon, self.kind, _widths=ranks)

    def _held(self, Z: np.ndarray, G: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Unit normals (n, c) of the held groups, and the multiplier of each column."""
        normals: list[np.ndarray] = []
        multipliers = np.zeros(Z.shape[1])
        for columns in self.constraint.active_groups(Z):
            block = np.zeros_like(Z)
            block[:, columns] = Z[:, columns]
            norm = np.linalg.norm(block)
            inner = float(np.sum(G * block)) / norm
            if self.constraint.boundary_only or inner > 0:
                normals.append(block.ravel() / norm)
                multipliers[columns] = inner / norm
        return (np.stack(normals, axis=1) if normals else np.zeros((Z.size, 0))), multipliers

    def evaluate(self, Z: np.ndarray) -> tuple[float, np.ndarray, float]:
        """Value, Riemannian gradient and gradient scale in float64 NumPy."""
        p = self.parameters
        Z = host_point(Z, self.shape)
        G, scale = closed_form.gradient_and_scale(p, Z, regularized=False)
        normals, _ = self._held(Z, G)
        projected = G.ravel() - normals @ (normals.T @ G.ravel())
        return closed_form.value(p, Z, regularized=False), projected.reshape(Z.shape), scale

    def hessian_matrix(self, Z: np.ndarray) -> np.ndarray:
        """The dense Riemannian Hessian in ambient coordinates, float64 NumPy: zero along the normals."""
        p = self.parameters
        Z = host_point(Z, self.shape)
        G, _ = closed_form.gradient_and_scale(p, Z, regularized=False)
        normals, multipliers = self._held(Z, G)
        H = closed_form.hessian_matrix(p, Z, regularized=False)
        H[np.diag_indices_from(H)] -= np.tile(multipliers, self.dim)
        HN = H @ normals
        return H - HN @ normals.T - normals @ HN.T + normals @ (normals.T @ HN) @ normals.T

    def normals(self, Z: np.ndarray) -> np.ndarray:
        """Orthonormal columns that span the normal space of the held groups at Z."""
        Z = host_point(Z, self.shape)
        G, _ = closed_form.gradient_and_scale(self.parameters, Z, regularized=False)
        return self._held(Z, G)[0]

    def curvature_scale(self) -> float:
        """A bound on |eigenvalues| of the Euclidean Hessian: (9/8) alpha."""
        return 9 / 8 * self.parameters.alpha

    def orbit_tangent(self, Z: np.ndarray) -> np.ndarray:
        """Columns that span the tangent space of the symmetry orbit: O(d) × Π O(m_k), only O(d) for unit columns."""
        generators = closed_form.orbit_tangent(self.parameters, host_point(Z, self.shape))
        return generators[:, : self.dim * (self.dim - 1) // 2] if self.kind == "unit columns" else generators

    def random_starts(self, key: Any, count: int) -> np.ndarray:
        """Starting points for the search, shape (count, d, m): each class gets a random rank of at least one and singular
        values spread over a decade, then the point is made feasible."""
        count = positive_integer("count", count)
        random = generator(key)
        points = np.zeros((count, *self.shape))
        for point in points:
            for block in self.parameters.blocks(point):
                rank = int(random.integers(1, min(block.shape) + 1))
                scales = 10 ** random.uniform(-0.5, 0.5, size=rank)
                block[...] = random.standard_normal((self.dim, rank)) * scales @ random.standard_normal((rank, block.shape[1]))
        with jax.enable_x64(True):
            return np.array(jax.vmap(self.constraint.project)(jnp.asarray(points)))

    def invariants(self, Z: np.ndarray) -> np.ndarray:
        """What the symmetry group leaves alone: singular values of Z and of its class blocks."""
        return closed_form.invariants(self.parameters, host_point(Z, self.shape))


def _scales(problem: ConstrainedMCR2, dtype) -> kernels.Scales:
    return kernels.scales(problem.dim, problem.sizes, problem.epsilon, dtype)


def _euclidean(problem: ConstrainedMCR2, Z: jax.Array) -> jax.Array:
    return kernels.gradient(Z, problem._layout, _scales(problem, Z.dtype), jnp.zeros((), Z.dtype))


def _held_multipliers(problem: ConstrainedMCR2, Z: jax.Array, G: jax.Array) -> jax.Array:
    multipliers = problem.constraint.multipliers(Z, G)
    return multipliers if problem.constraint.boundary_only else jnp.maximum(multipliers, 0)


@jax.jit
def _value(problem, Z):
    return kernels.rate_reduction(Z, problem._layout, _scales(problem, Z.dtype))


@jax.jit
def _multipliers(problem, Z):
    return _held_multipliers(problem, Z, _euclidean(problem, Z))


@jax.jit
def _gradient(problem, Z):
    G = _euclidean(problem, Z)
    return G - problem.constraint.spread(_held_multipliers(problem, Z, G), Z) * Z


@jax.jit
def _gradient_scale(problem, Z):
    return kernels.gradient_scale(Z, problem._layout, _scales(problem, Z.dtype), jnp.zeros((), Z.dtype))


@jax.jit
def _held(problem, Z):
    """The multiplier of each column, and the projection on the tangent space of the held groups."""
    multipliers = _held_multipliers(problem, Z, _euclidean(problem, Z))
    held = jnp.ones_like(multipliers) if problem.constraint.boundary_only else (multipliers > 0).astype(Z.dtype)
    # a free group has no normal: zeroing its block of the point that the projection is taken at says so
    tangent = TangentProjection(problem.constraint, problem.constraint.spread(held, Z) * Z)
    return problem.constraint.spread(multipliers, Z), tangent
