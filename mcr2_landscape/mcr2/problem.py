"""The regularized rate-reduction problem: maximize F(Z) = R(Z) − R_c(Z) − (lambda/2)‖Z‖²."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from mcr2_landscape import closed_form
from mcr2_landscape.closed_form import Parameters
from mcr2_landscape.factorization import factorize
from mcr2_landscape.mcr2 import kernels
from mcr2_landscape.mcr2.features import sort_features
from mcr2_landscape.mcr2.hessian import RateHessian, factors
from mcr2_landscape.mcr2.metric import SingularMetric
from mcr2_landscape.mcr2.starts import random_starts
from mcr2_landscape.precision import positive_leaf, refuse_traced, traced_array
from mcr2_landscape.randomness import generator
from mcr2_landscape.reduction import Reduction
from mcr2_landscape.stacking import ClassLayout
from mcr2_landscape.validation import InputError, class_sizes, host_point, positive_integer

if TYPE_CHECKING:
    from mcr2_landscape.catalog import Family, GlobalMaximum, Recognition, Thresholds


class MCR2(eqx.Module):
    """The regularized problem, a landscape to maximize.

    **Arguments:** `dim` (d) and `sizes` (samples per class, at least two classes) are static; `epsilon` (coding precision) and
    `regularization` (lambda) are traced, so that a sweep over either is one compilation.

    **Raises:** `InputError` for a number out of range, one class, or an empty class.

    Points Z have shape (dim, sum(sizes)), the classes in column blocks. `value`, `gradient` and `hessian` can be traced; every
    other method is a host function in float64. `value`, `gradient` and `gradient_scale` lose digits as alpha‖Z‖² grows, and
    are NaN from about 1/eps on; `evaluate` does not.

    Source: Wang, Liu, Pai, Yu, Zhu, Qu, Ma, *A Global Geometric Analysis of Maximal Coding Rate Reduction* (ICML 2024).

    >>> problem = MCR2(dim=7, sizes=(4, 4, 4), epsilon=0.4, regularization=0.05)
    >>> round(problem.regularization_limit, 6)
    0.976898
    """

    dim: int = eqx.field(static=True)
    sizes: tuple[int, ...] = eqx.field(static=True)
    epsilon: Any
    regularization: Any
    _layout: ClassLayout = eqx.field(static=True)

    minimize = False
    constraint = None

    def __init__(self, dim: int, sizes: Sequence[int], epsilon: Any, regularization: Any, *, _widths: Any = None):
        self.dim = positive_integer("dim", dim)
        self.sizes = class_sizes("sizes", sizes)
        self.epsilon = positive_leaf("epsilon", epsilon)
        self.regularization = positive_leaf("regularization", regularization)
        if not isinstance(self.epsilon, Tracer):
            closed_form.check_epsilon(self.dim, self.sizes, self.epsilon)
        self._layout = ClassLayout(tuple(_widths) if _widths is not None else self.sizes)

    # -- traced -------------------------------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of a point: (dim, samples)."""
        return self.dim, self._layout.num_columns

    def value(self, Z: Any) -> Float[Array, ""]:
        """F(Z).

        **Raises:** `InputError` for a wrong shape, or NumPy float64 while JAX's 64-bit mode is off.
        """
        return _value(self, traced_array("Z", Z, self.shape))

    def gradient(self, Z: Any) -> Float[Array, "d m"]:
        """∇F(Z) in closed form: blocks alpha A Z_k − alpha A_k Z_k − lambda Z_k. Errors as `value`."""
        return _gradient(self, traced_array("Z", Z, self.shape))

    def hessian(self, Z: Any, *, form: str | None = None) -> RateHessian:
        """The Hessian at Z as an operator (`mv`, `mm`, `as_matrix`, exports, see `mcr2_landscape.operators`), in closed form.

        **Arguments:** `form`: by default the cheapest: where Z is known and its class blocks have low rank, "mid-rank" or
        "low-rank", else "by shape". `form` and `flops` of the result say what was taken.

        `rounding` of the result says by how much a product of a unit direction may be off: 10 eps (9/8 alpha + lambda) times
        1 + max alpha_k ‖Z_k‖² by shape and mid-rank, times 1 + its root in the low-rank form. Where Z and epsilon are known and
        that number is beyond 1e6, "low-rank" is taken by default, whatever the cost; "by shape" is NaN from about 1/eps on.

        **Raises:** as `value`; also for an unknown form, a form by rank at a traced Z, or (where Z is known, and on the CPU)
        factors that do not fit into memory.
        """
        Z = traced_array("Z", Z, self.shape)
        found = factors(Z, self._layout, _scales(self, Z.dtype), _lambda(self, Z.dtype), form)
        return RateHessian(found, self.dim)

    def metric(self, Z: Any) -> SingularMetric:
        """A metric for ascent, traced: `solve(G)` gives the direction that is steepest in it. Errors as `value`."""
        Z = traced_array("Z", Z, self.shape)
        return SingularMetric.at(Z, self._layout, _scales(self, Z.dtype), _lambda(self, Z.dtype))

    def class_columns(self, number: int) -> slice:
        """The columns of class `number` (from 0)."""
        number = positive_integer("number", number, minimum=0)
        if number >= len(self.sizes):
            raise InputError(f"number: found {number}; the classes are numbered 0 to {len(self.sizes) - 1}")
        start = self._layout.starts[number]
        return slice(start, start + self._layout.widths[number])

    def gradient_scale(self, Z: Any) -> Float[Array, ""]:
        """‖alpha A Z‖ + ‖(alpha A_k Z_k)_k‖ + lambda‖Z‖, to which a gradient norm is relative. Errors as `value`."""
        return _gradient_scale(self, traced_array("Z", Z, self.shape))

    # -- theory -------------------------------------------------------------------------------------------------------------

    @property
    def parameters(self) -> Parameters:
        """The problem's numbers, for the closed-form theory.

        **Raises:** `InputError` under `jit` or `vmap`, where the numbers are not known.
        """
        refuse_traced("epsilon, regularization", self.epsilon, self.regularization)
        return Parameters(self.dim, self.sizes, float(self.epsilon), float(self.regularization), self._layout.widths)

    @property
    def regularization_limit(self) -> float:
        """lambda_max, the largest lambda at which every class has non-zero critical directions: the smallest of
        `thresholds().existence`."""
        return float(self.thresholds().existence.min())

    def thresholds(self) -> Thresholds:
        """`.existence` (lambda_k: above it class k vanishes at every critical point) and `.value` (lambda_k°: above it the
        class costs more than it gives), arrays of K."""
        from mcr2_landscape import catalog

        return catalog.thresholds(self.parameters)

    def roots(self) -> np.ndarray:
        """(K, 2): the squared singular values x_k^- < x_k^+ of the orthogonal critical points; NaN for a class that has
        none."""
        from mcr2_landscape import catalog

        return catalog.roots(self.parameters)

    def orthogonal_family(self, large: Sequence[int], small: Sequence[int] | None = None) -> Family:
        """The critical points with orthogonal class blocks, class k with `large[k]` large and `small[k]` small singular values.

        **Raises:** `InputError` for ranks that do not fit, or a class whose threshold lambda exceeds.
        """
        from mcr2_landscape import catalog

        if small is None:
            small = (0,) * len(self.sizes)
        return catalog.orthogonal_family(self.parameters, large=large, small=small)

    def global_maximum(self) -> GlobalMaximum:
        """The global maximum at any lambda > 0, beyond the limit too: `.value`, `.family`, `.unique`."""
        from mcr2_landscape import catalog

        return catalog.global_maximum(self.parameters)

    def catalog(self, *, fusion: bool = True, max_frame_dimension: int = 2) -> Iterator[Family]:
        """All families of critical points that theory knows, by decreasing value, lazily. `fusion` admits the non-orthogonal
        ones; `max_frame_dimension` above 2 adds frames that are built numerically."""
        from mcr2_landscape import catalog

        return catalog.catalog(self.parameters, fusion=fusion, max_frame_dimension=max_frame_dimension)

    # -- landscape protocol (host) --------------------------------------------------------------------------------------------

    def evaluate(self, Z: np.ndarray) -> tuple[float, np.ndarray, float]:
        """Value, gradient and gradient scale in float64 NumPy (see `mcr2_landscape.closed_form`)."""
        p = self.parameters
        Z = host_point(Z, self.shape)
        return closed_form.value(p, Z), *closed_form.gradient_and_scale(p, Z)

    def hessian_matrix(self, Z: np.ndarray) -> np.ndarray:
        """The dense Hessian, float64 NumPy, (d m, d m) in C order."""
        return closed_form.hessian_matrix(self.parameters, host_point(Z, self.shape))

    def curvature_scale(self) -> float:
        """A bound on |eigenvalues| of the Hessian anywhere: (9/8) alpha + lambda."""
        p = self.parameters
        return 9 / 8 * p.alpha + p.regularization

    def hessian_lipschitz(self) -> float:
        """A bound on the spectral norm of H(Z) − H(Y) over ‖Z − Y‖_F: alpha^{3/2} (1 + √rho_max) times 3, twice the largest
        |r'''| of r(s) = ½ log(1 + s²), rounded up (the class terms scale with √rho_k)."""
        p = self.parameters
        return 3 * p.alpha**1.5 * (1 + float(np.sqrt(p.ratios.max())))

    def reduction(self, Z: np.ndarray, *, tolerance: float | None = None) -> Reduction:
        """The Hessian at Z as a direct sum of small matrices (see `mcr2_landscape.reduction`). Singular values of class blocks
        up to `tolerance` count as zero, by default the rounding of Z's entries."""
        found = factorize(host_point(Z, self.shape), self._layout.widths, tolerance=tolerance)
        assert found is not None  # only a largest rank that is asked for can be exceeded
        return Reduction(self.parameters, found)

    def random_starts(self, key: Any, count: int) -> np.ndarray:
        """Starting points for the search, shape (count, d, m): each class gets a random rank, random orthonormal left vectors,
        and squared singular values log-uniform from a third of x_k^- to three times x_k^+ (about 1/√(alpha alpha_k) where the
        class has no roots)."""
        return random_starts(self.parameters, key, count)

    def perturb(self, Z: np.ndarray, key: Any, size: float) -> np.ndarray:
        """Z with each class block multiplied by I + size · noise on the left, which keeps its rank."""
        random = generator(key)
        noise = size / np.sqrt(self.dim) * random.standard_normal((self.parameters.num_classes, self.dim, self.dim))
        blocks = [block + noise[k] @ block for k, block in enumerate(self.parameters.blocks(Z))]
        return np.concatenate(blocks, axis=1)

    def orbit_tangent(self, Z: np.ndarray) -> np.ndarray:
        """Columns that span the tangent space of the orbit of Z under O(d) × Π O(m_k), shape (d m, q)."""
        return closed_form.orbit_tangent(self.parameters, host_point(Z, self.shape))

    def recognize(self, Z: np.ndarray) -> Recognition | None:
        """The family of critical points that Z belongs to by its structure, with the exact index and nullity; `None` if it
        shows none."""
        from mcr2_landscape import catalog

        return catalog.recognize(self.parameters, host_point(Z, self.shape))

    def invariants(self, Z: np.ndarray) -> np.ndarray:
        """What O(d) × Π O(m_k) leaves alone: the singular values of √alpha Z and of each √alpha_k Z_k, descending."""
        return closed_form.invariants(self.parameters, host_point(Z, self.shape))

    def compress(self, Z: np.ndarray) -> tuple[MCR2, np.ndarray, list[np.ndarray | None]]:
        """The same landscape with at most d columns for each class, the point in it, and the row-space bases that lead back.

        The objective depends on Z_k Z_kᵀ alone, and gradients keep the row space of each block, so that value, gradient,
        Hessian along these columns, critical points and ascent paths are the same.
        """
        Z = host_point(Z, self.shape)
        parts: list[np.ndarray] = []
        bases: list[np.ndarray | None] = []
        for block in self.parameters.blocks(Z):
            if block.shape[1] <= self.dim:
                parts.append(block)
                bases.append(None)
            else:
                _, _, Vt = np.linalg.svd(block, full_matrices=False)
                parts.append(block @ Vt.T)
                bases.append(Vt)
        return self.narrowed(), np.concatenate(parts, axis=1), bases

    def narrowed(self) -> MCR2:
        """The problem that `compress` leads to: at most d stored columns for each class."""
        widths = tuple(min(width, self.dim) for width in self._layout.widths)
        return MCR2(self.dim, self.sizes, self.epsilon, self.regularization, _widths=widths)

    @staticmethod
    def from_features(
        X: Any, labels: Any, epsilon: float, regularization: float | None = None
    ) -> tuple[MCR2, np.ndarray, np.ndarray]:
        """The problem of a set of labeled features, and the features as a point of it.

        **Arguments:** `X` of shape (samples, features), any real dtype (read as float64); `labels`, one of any hashable and
        sortable kind a sample, in any order; `regularization` defaults to half of the limit.

        **Returns:** the problem; Z of shape (features, samples) with classes in column blocks, in the order of
        `np.unique(labels)`; and `order`, the sample number of each column: `Z = X[order].T`.

        **Raises:** `InputError` for NaN rows (which ones), lengths that differ, one class, or numbers out of range.

        >>> problem, Z, order = MCR2.from_features([[1., 0], [0, 1], [2, 0]], ["b", "a", "b"], epsilon=0.5)
        >>> problem.sizes, order.tolist()
        ((1, 2), [1, 0, 2])
        """
        Z, sizes, order = sort_features(X, labels)
        if regularization is None:
            probe = MCR2(Z.shape[0], sizes, epsilon, 1.0)
            regularization = 0.5 * probe.regularization_limit
        return MCR2(Z.shape[0], sizes, epsilon, regularization), Z, order


def _scales(problem: MCR2, dtype) -> kernels.Scales:
    return kernels.scales(problem.dim, problem.sizes, problem.epsilon, dtype)


def _lambda(problem: MCR2, dtype) -> jax.Array:
    return jnp.asarray(problem.regularization, dtype=dtype)


@jax.jit
def _value(problem: MCR2, Z: jax.Array) -> jax.Array:
    reduction = kernels.rate_reduction(Z, problem._layout, _scales(problem, Z.dtype))
    return reduction - 0.5 * _lambda(problem, Z.dtype) * jnp.sum(Z * Z)


@jax.jit
def _gradient(problem: MCR2, Z: jax.Array) -> jax.Array:
    return kernels.gradient(Z, problem._layout, _scales(problem, Z.dtype), _lambda(problem, Z.dtype))


@jax.jit
def _gradient_scale(problem: MCR2, Z: jax.Array) -> jax.Array:
    return kernels.gradient_scale(Z, problem._layout, _scales(problem, Z.dtype), _lambda(problem, Z.dtype))
