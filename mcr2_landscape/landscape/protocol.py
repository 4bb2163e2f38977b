"""What a landscape is to search, classify and ascend: this protocol and nothing else."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np


@runtime_checkable
class SmoothLandscape(Protocol):
    """A twice-differentiable function on arrays of one shape, perhaps on a constraint set, perhaps with a symmetry.

    It is a pytree (an `equinox.Module`, say), since compiled code takes it as an argument. The first group is traced (JAX in,
    JAX out); the second runs on the host in float64 NumPy. On a constraint set the gradient is the Riemannian one, and the
    Hessian the Riemannian one between projections on the tangent space.

    A landscape may also offer, and the algorithms then use:

    * `normals(Z)`: host, orthonormal columns (n, c) that span the constraint's normal space;
    * `recognize(Z)`: host, an object with `family` (`label`, `index`, `nullity`, `orbit_dimension`, `kind`) if theory knows the
      critical point, else `None`;
    * `narrowed()`, `compress(Z)` with `parameters` (`widths`, `blocks`): the same landscape in fewer columns;
    * `reduction(Z, tolerance=)` with `parameters`: host, the Hessian as a direct sum of small matrices
      (`mcr2_landscape.reduction`), which then also says value, gradient and structure;
    * `curvature_scale()`: a bound on |eigenvalues| of the Hessian anywhere;
    * `metric(Z)`: traced, an object whose `solve(G)` gives the direction that is steepest in a metric that suits it;
    * `perturb(Z, key, size)`: a random change that suits it;
    * `random_starts(key, count)`: starting points that suit it;
    * `hessian_lipschitz()`: a bound on how fast the Hessian changes, in the spectral norm, per unit of Frobenius distance.
    """

    minimize: bool

    @property
    def constraint(self) -> Any:
        """The constraint set (see `mcr2_landscape.constraints`), or `None`."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a point."""
        ...

    def value(self, Z: Any) -> jax.Array:
        """The function's value."""
        ...

    def gradient(self, Z: Any) -> jax.Array:
        """The (Riemannian) gradient."""
        ...

    def hessian(self, Z: Any) -> Any:
        """An operator with `mv(D)` and `as_matrix()`."""
        ...

    def gradient_scale(self, Z: Any) -> jax.Array:
        """The magnitude to which a gradient norm is relative."""
        ...

    def evaluate(self, Z: np.ndarray) -> tuple[float, np.ndarray, float]:
        """Value, gradient and gradient scale."""
        ...

    def hessian_matrix(self, Z: np.ndarray) -> np.ndarray:
        """The dense symmetric Hessian (n, n), C order, zero along the normals of a constraint."""
        ...

    def orbit_tangent(self, Z: np.ndarray) -> np.ndarray:
        """Columns (n, q) that span the tangent space of the symmetry orbit through Z; q = 0 without a symmetry."""
        ...

    def invariants(self, Z: np.ndarray) -> np.ndarray:
        """Numbers that the symmetry leaves alone, enough to tell orbits apart; the array itself without a symmetry."""
        ...
