"""Any twice-differentiable JAX function as a landscape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mcr2_landscape.operators import SymmetricOperator
from mcr2_landscape.precision import traced_array
from mcr2_landscape.randomness import generator
from mcr2_landscape.validation import InputError, float64_matrix, positive_real


class FunctionHessian(SymmetricOperator):
    """The Hessian of a function landscape at one point: its gradient, linearized there once. On a constraint set the
    Riemannian Hessian, between projections on the tangent space."""

    linear: Callable[[jax.Array], jax.Array]
    point: jax.Array
    constraint: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the arrays that the operator acts on."""
        return self.point.shape

    @property
    def dtype(self) -> np.dtype:
        """The point's."""
        return self.point.dtype

    @property
    def form(self) -> str:
        """Linearized."""
        return "linearized gradient"

    def tangent_part(self, D: jax.Array) -> jax.Array:
        """D projected on the tangent space of the constraint set, traced."""
        return D if self.constraint is None else self.constraint.tangent(self.point, D)

    def product(self, D: jax.Array) -> jax.Array:
        """See `SymmetricOperator.product`."""
        return self.tangent_part(self.linear(self.tangent_part(D)))


class Landscape(eqx.Module):
    """A function on arrays of one shape, with an optional constraint set and symmetry; made by `from_function`."""

    function: Callable[[Any], Any] = eqx.field(static=True)
    shape: tuple[int, ...] = eqx.field(static=True)
    minimize: bool = eqx.field(static=True)
    reference: float | None = eqx.field(static=True)
    symmetry: Callable[[Any], Any] | None = eqx.field(static=True)
    told_apart_by: Callable[[Any], Any] | None = eqx.field(static=True)
    constraint: Any
    example: np.ndarray = eqx.field(static=False)

    @classmethod
    def from_function(
        cls,
        f: Callable[[Any], Any],
        *,
        example: Any,
        minimize: bool = False,
        constraint: Any = None,
        symmetry: Callable[[Any], Any] | None = None,
        invariants: Callable[[Any], Any] | None = None,
        gradient_scale: float | None = None,
    ) -> Landscape:
        """Make a landscape of `f`.

        **Arguments:** `f`: a JAX function from arrays of `example`'s shape to a real scalar, twice differentiable and pure.
        `minimize`: look for minimizers (losses) instead of maximizers. `constraint`: a constraint set
        (`mcr2_landscape.constraints`). `symmetry`: a JAX function from a point to tangent vectors of its orbit, shape (q,
        *shape), for instance Z ↦ (Ω_i Z)_i with Ω_i a basis of the skew matrices where f(QZ) = f(Z) for rotations Q; what it
        spans is what may be flat at a critical point. `invariants`: a JAX function from a point to a vector that tells its
        orbit from others; without it a landscape with a symmetry compares Hessian eigenvalues, which cannot tell mirror images
        apart. `gradient_scale`: the gradient norm that counts as large; by default an estimate of ‖∇²f(Z)‖_F times the larger
        of ‖Z‖ and the example's norm, at each point.

        **Raises:** `InputError` where `f` cannot be evaluated, is not scalar, not finite, not differentiable at the example, or
        gives two values for one point (it has a state); where it computes in less than float64, the declared symmetry is none,
        or the constraint is one of balls (held or free by the gradient's direction: only `ConstrainedMCR2` knows them).

        >>> import jax.numpy as jnp
        >>> bowl = Landscape.from_function(lambda z: jnp.sum(z**2), example=jnp.ones(3), minimize=True)
        >>> bowl.shape
        (3,)
        """
        point = float64_matrix("example", example, refuse_float32=False)
        if not callable(f):
            raise InputError(f"f: found {type(f).__name__}; pass a function from an array of shape {point.shape} to a scalar")
        if symmetry is not None and not callable(symmetry):
            raise InputError(
                f"symmetry: found {type(symmetry).__name__}; pass a function from a point to its orbit's tangent vectors"
            )
        if point.size == 0:
            raise InputError(f"example: found shape {point.shape}; pass a point with at least one coordinate")
        if constraint is not None and not all(
            hasattr(constraint, name) for name in ("project", "tangent", "retract", "normals")
        ):
            raise InputError(f"constraint: found {type(constraint).__name__}; pass one of mcr2_landscape.constraints")
        if not getattr(constraint, "boundary_only", True):
            raise InputError("constraint: found balls; only ConstrainedMCR2 handles them, other functions take spheres")
        reference = None if gradient_scale is None else positive_real("gradient_scale", gradient_scale)

        def function(
            Z: Any,
        ) -> Any:  # a fresh closure: a callable that holds arrays could not be part of a compiled program's key
            return f(Z)

        landscape = cls(
            function, point.shape, bool(minimize), reference, symmetry, invariants_of(invariants), constraint, point
        )
        with jax.enable_x64(True):
            if constraint is not None:
                landscape.constraint.project(jnp.asarray(point))  # a set of another shape says so itself
            _probe(landscape, point)
            _probe_symmetry(landscape, point)
        return landscape

    def value(self, Z: Any) -> Float[Array, ""]:
        """f(Z).

        **Raises:** `InputError` for a wrong shape, or NumPy float64 while JAX's 64-bit mode is off.
        """
        return _value(self, traced_array("Z", Z, self.shape))

    def gradient(self, Z: Any) -> jax.Array:
        """The gradient, projected on the constraint's tangent space. Errors as `value`."""
        return _gradient(self, traced_array("Z", Z, self.shape))

    def hessian(self, Z: Any) -> FunctionHessian:
        """The (Riemannian) Hessian at Z as an operator. Errors as `value`."""
        return _hessian(self, traced_array("Z", Z, self.shape))

    def gradient_scale(self, Z: Any) -> jax.Array:
        """The gradient norm that counts as large at Z: the one that was given, or ‖∇²f‖_F times the larger of ‖Z‖ and the
        example's norm (1 for a zero example), the Hessian's norm estimated from one product with a fixed random vector."""
        return _gradient_scale(self, traced_array("Z", Z, self.shape))

    # -- landscape protocol (host) --------------------------------------------------------------------------------------------

    def evaluate(self, Z: np.ndarray) -> tuple[float, np.ndarray, float]:
        """Value, gradient and gradient scale, float64."""
        with jax.enable_x64(True):
            value, gradient = _value_and_gradient(self, jnp.asarray(Z))
            return float(value), np.array(gradient), float(_gradient_scale(self, jnp.asarray(Z)))

    def hessian_matrix(self, Z: np.ndarray) -> np.ndarray:
        """The dense Hessian, float64 (n, n), C order; on a constraint set zero along the normals."""
        with jax.enable_x64(True):
            return np.array(_hessian(self, jnp.asarray(Z)).as_matrix())

    def orbit_tangent(self, Z: np.ndarray) -> np.ndarray:
        """The declared symmetry's tangent vectors as columns (n, q).

        **Raises:** `InputError` if the declared symmetry gives another shape.
        """
        if self.symmetry is None:
            return np.zeros((Z.size, 0))
        with jax.enable_x64(True):
            vectors = np.array(self.symmetry(jnp.asarray(Z)), dtype=np.float64)
        if vectors.ndim != Z.ndim + 1 or vectors.shape[1:] != Z.shape:
            raise InputError(f"symmetry: gave shape {vectors.shape}; it must give q tangent vectors stacked as (q, *{Z.shape})")
        return vectors.reshape(vectors.shape[0], -1).T

    def invariants(self, Z: np.ndarray) -> np.ndarray:
        """What was declared; else the coordinates, or with a symmetry the Hessian's eigenvalues, which isometries leave
        alone."""
        if self.told_apart_by is not None:
            with jax.enable_x64(True):
                return np.array(self.told_apart_by(jnp.asarray(Z)), dtype=np.float64).ravel()
        return Z.ravel() if self.symmetry is None else np.linalg.eigvalsh(self.hessian_matrix(Z))

    def random_starts(self, key: Any, count: int) -> np.ndarray:
        """Normal perturbations of the example, at sizes log-uniform from a tenth of its scale (1 for a zero example) to ten
        times it, made feasible."""
        random = generator(key)
        base = float(np.sqrt(np.mean(self.example**2))) or 1.0
        sizes = base * 10 ** random.uniform(-1, 1, size=(count,) + (1,) * len(self.shape))
        points = self.example + sizes * random.standard_normal((count, *self.shape))
        if self.constraint is None:
            return points
        with jax.enable_x64(True):
            return np.array(jax.vmap(self.constraint.project)(jnp.asarray(points)))


def _raw_value(landscape: Landscape, Z: jax.Array) -> jax.Array:
    return jnp.asarray(landscape.function(Z)).astype(Z.dtype)


def _raw_gradient(landscape: Landscape, Z: jax.Array) -> jax.Array:
    gradient = jax.grad(lambda point: _raw_value(landscape, point))(Z)
    return gradient if landscape.constraint is None else landscape.constraint.tangent(Z, gradient)


@jax.jit
def _hessian(landscape: Landscape, Z: jax.Array) -> FunctionHessian:
    """On an embedded submanifold the Riemannian Hessian is P(d/dt P_{Z(t)} ∇f(Z(t))) for tangent D (Absil, Mahony, Sepulchre,
    *Optimization Algorithms on Matrix Manifolds*, section 5.3)."""
    _, linear = jax.linearize(lambda point: _raw_gradient(landscape, point), Z)
    return FunctionHessian(linear, Z, landscape.constraint)


@jax.jit
def _gradient_scale(landscape: Landscape, Z: jax.Array) -> jax.Array:
    if landscape.reference is not None:
        return jnp.asarray(landscape.reference, dtype=Z.dtype)
    probe = np.random.default_rng(0).standard_normal(landscape.shape)
    probe = jnp.asarray(probe / np.linalg.norm(probe) * np.sqrt(probe.size), dtype=Z.dtype)
    example = jnp.asarray(landscape.example, dtype=Z.dtype)
    length = jnp.linalg.norm(example.reshape(-1))
    length = jnp.maximum(jnp.where(length > 0, length, 1), jnp.linalg.norm(Z.reshape(-1)))
    return jnp.linalg.norm(_hessian(landscape, Z).product(probe).reshape(-1)) * length


_value = jax.jit(_raw_value)
_gradient = jax.jit(_raw_gradient)


@jax.jit
def _value_and_gradient(landscape: Landscape, Z: jax.Array) -> tuple[jax.Array, jax.Array]:
    return _raw_value(landscape, Z), _raw_gradient(landscape, Z)


def _probe(landscape: Landscape, point: np.ndarray) -> None:
    Z = jnp.asarray(point)
    try:
        first, second = landscape.function(Z), landscape.function(Z)
    except Exception as error:
        raise InputError(
            f"f: raised {type(error).__name__} at the example ({error}); it must take an array of shape {point.shape}"
        ) from error
    array = np.asarray(first)
    if array.shape != () or array.dtype.kind not in "fiu":
        raise InputError(f"f: gave shape {array.shape} and dtype {array.dtype} at the example; it must give one real number")
    if array.dtype.kind == "f" and array.dtype.itemsize < 8:
        raise InputError(
            f"f: computes in {array.dtype} where it is given float64; signs need float64 throughout, without casts"
        )
    if not np.isfinite(array):
        raise InputError(f"f: gave {array} at the example; pass an example where it is finite")
    if not np.array_equal(array, np.asarray(second)):
        raise InputError("f: gave two different values at one point; it must not depend on a state or on unseeded randomness")
    try:
        value, gradient = _value_and_gradient(landscape, Z)
        product = _hessian(landscape, Z).product(jnp.ones_like(Z))
    except Exception as error:
        raise InputError(
            f"f: cannot be traced and differentiated twice by JAX ({type(error).__name__}: {error}); use "
            "jax.numpy and no branches on values"
        ) from error
    if not (np.isfinite(np.asarray(gradient)).all() and np.isfinite(np.asarray(product)).all()):
        raise InputError(
            "f: its gradient or Hessian is not finite at the example; pass an example where f is twice differentiable"
        )
    if abs(float(value) - float(array)) > 1e-9 * max(1.0, abs(float(array))):
        raise InputError("f: gives another value under jit than without; it must be a pure function of its argument")


def _probe_symmetry(landscape: Landscape, point: np.ndarray) -> None:
    """The gradient is orthogonal to the orbits of a symmetry, at every point; two random ones are asked."""
    if landscape.symmetry is None:
        return
    for Z in landscape.random_starts(0, 2):
        gradient = np.asarray(_gradient(landscape, jnp.asarray(Z))).ravel()
        generators = landscape.orbit_tangent(Z)
        sizes = np.linalg.norm(generators, axis=0) * np.linalg.norm(gradient)
        if np.isfinite(sizes).all() and (np.abs(generators.T @ gradient) > 1e-7 * sizes + 1e-300).any():
            raise InputError("symmetry: the value changes along it; declare only directions of orbits on which f is constant")


def invariants_of(invariants: Any) -> Callable[[Any], Any] | None:
    """Check the declared invariants.

    **Raises:** `InputError` unless they are a function or none.
    """
    if invariants is not None and not callable(invariants):
        raise InputError(f"invariants: found {type(invariants).__name__}; pass a function from a point to a vector")
    return invariants
