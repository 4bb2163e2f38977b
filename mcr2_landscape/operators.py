"""Symmetric linear maps on arrays of one shape, known by their products alone: what every Hessian of the toolkit is."""

from __future__ import annotations

import abc
import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mcr2_landscape.memory import require
from mcr2_landscape.precision import traced_array
from mcr2_landscape.validation import InputError, check_shape, positive_integer

_SLAB = 64  # rows of a dense matrix that are computed at once, at least


class _PlainMethod:
    """A method that is bound without more ado. Equinox makes a module of every method that is looked up, which takes a tenth
    of a small product's time."""

    def __init__(self, function: Callable[..., Any]):
        self.function, self.__doc__ = function, function.__doc__

    def __get__(self, instance: Any, owner: type) -> Any:
        return self.function if instance is None else functools.partial(self.function, instance)


class SymmetricOperator(eqx.Module):
    """A symmetric linear map on arrays of the shape `shape` and the dtype `dtype`: a pytree, so that compiled code takes it as
    an argument, and products at another point of the same shape compile nothing.

    A kind of operator has `shape`, `dtype`, `form` (in words, how a product is computed), `flops` (of one product, `None` where
    unknown) and `product`; perhaps its own `product_block`, and `tangent_part` where it acts on a subspace of these arrays.
    """

    @property
    @abc.abstractmethod
    def shape(self) -> tuple[int, ...]:
        """The shape of the arrays that the operator acts on."""

    @property
    @abc.abstractmethod
    def dtype(self) -> np.dtype:
        """Their dtype."""

    @property
    @abc.abstractmethod
    def form(self) -> str:
        """How a product is computed, in a word or two."""

    @property
    def flops(self) -> int | None:
        """Multiplications and additions of one product, `None` where they are not known."""
        return None

    @property
    def magnitude(self) -> jax.Array | float:
        """The size of the terms that add up to a product of a unit direction, where it is known: what rounding is relative to,
        however small the sum is. 0 where it is not."""
        return 0.0

    @property
    def rounding(self) -> jax.Array | float:
        """By how much rounding may change a product of a unit direction, where it is known to be more than the dtype's own
        precision. 0 where it is not."""
        return 0.0

    @abc.abstractmethod
    def product(self, D: jax.Array) -> jax.Array:
        """H[D], traced, arguments unchecked: for compiled code that contains the operator."""

    def product_block(self, Ds: jax.Array) -> jax.Array:
        """(H[D_i])_i for directions stacked along the first axis, traced, arguments unchecked."""
        return jax.vmap(self.product)(Ds)

    def tangent_part(self, D: jax.Array) -> jax.Array:
        """D projected on the subspace that the operator acts on (a constraint set's tangent space), traced."""
        return D

    @property
    def size(self) -> int:
        """The number of unknowns n."""
        return int(np.prod(self.shape, dtype=np.int64))

    @_PlainMethod
    def mv(self, D: Any) -> jax.Array:
        """H[D] for one direction D of the operator's shape and dtype. Compiled once for each shape.

        Entries are not looked at, since that takes as long as a product of low rank does: NaN gives NaN.

        **Raises:** `InputError` for a wrong shape or dtype, or NumPy float64 while JAX's 64-bit mode is off.
        """
        return _mv(self, _direction(self, "D", D, self.shape))

    @_PlainMethod
    def mm(self, Ds: Any) -> jax.Array:
        """(H[D_i])_i for directions of shape (number, *shape), at once. Errors as `mv`."""
        return _mm(self, _direction(self, "Ds", Ds, (None, *self.shape)))

    def as_matrix(self) -> Float[Array, "n n"]:
        """The dense matrix, rows and columns in C order.

        **Raises:** `InputError` where it does not fit into memory: what it needs, and what to take instead.
        """
        itemsize = np.dtype(self.dtype).itemsize
        require(
            "as_matrix",
            3 * itemsize * float(self.size) ** 2,
            f"the dense matrix has {self.size:,} rows; take mv, mm or as_scipy, mcr2_landscape.spectrum for exact eigenvalues, "
            "or restrict the operator",
        )
        return _dense(self)

    def as_function(self) -> Callable[[jax.Array], jax.Array]:
        """The map on flat vectors (n,), traced: what `matfree` and other libraries of algorithms ask for."""
        return lambda vector: self.product(vector.reshape(self.shape)).reshape(-1)

    def as_scipy(self) -> Any:
        """A `scipy.sparse.linalg.LinearOperator` on flat NumPy vectors (n,) and on matrices (n, b) of columns."""
        from scipy.sparse import linalg

        make: Any = linalg.LinearOperator  # whose constructor hands its arguments to another class

        def block(columns: np.ndarray) -> np.ndarray:
            Ds = np.ascontiguousarray(columns.T).reshape(columns.shape[1], *self.shape)
            return np.asarray(self.mm(Ds)).reshape(len(Ds), self.size).T

        return make(
            (self.size, self.size),
            matvec=lambda vector: np.asarray(self.mv(np.reshape(vector, self.shape))).ravel(),
            rmatvec=lambda vector: np.asarray(self.mv(np.reshape(vector, self.shape))).ravel(),
            matmat=block,
            rmatmat=block,
            dtype=np.dtype(self.dtype),
        )

    def as_lineax(self, *tags: object) -> Any:
        """A `lineax` operator on arrays of the operator's shape, tagged symmetric, and with the given tags (for instance
        `lineax.negative_semidefinite_tag` at a maximizer)."""
        import lineax

        structure = jax.ShapeDtypeStruct(self.shape, self.dtype)
        return lineax.FunctionLinearOperator(self.product, structure, (lineax.symmetric_tag, *tags))

    def restrict(self, basis: Any = None, *, columns: Any = None, rows: Any = None) -> SymmetricOperator:
        """The operator between projections on a subspace.

        **Arguments:** either `basis`, orthonormal directions of shape (q, *shape): the result acts on coefficients (q,); or
        `columns` and `rows`, of arrays (d, m), as slices or lists of numbers: the result acts on arrays of these rows and
        columns alone. The columns of class k are `problem.class_columns(k)`.

        **Raises:** `InputError` for a basis that is not orthonormal (to 1e-6 in float32, 1e-10 in float64), for numbers out of
        range or twice, or where nothing is given.
        """
        if basis is not None:
            if columns is not None or rows is not None:
                raise InputError("basis: found together with rows or columns; pass one of the two")
            return OnSubspace(self, self._orthonormal(basis))
        if columns is None and rows is None:
            raise InputError("basis: found none, and neither rows nor columns; pass what to restrict the operator to")
        if len(self.shape) != 2:
            raise InputError(f"rows, columns: the operator acts on arrays of shape {self.shape}; pass a basis")
        picked = tuple(
            _numbers(name, value, count)
            for name, value, count in (("rows", rows, self.shape[0]), ("columns", columns, self.shape[1]))
        )
        return OnEntries(self, *picked)

    def _orthonormal(self, basis: Any) -> jax.Array:
        array = _direction(self, "basis", basis, (None, *self.shape))
        positive_integer("basis: number of directions", array.shape[0])
        flat = np.asarray(array, dtype=np.float64).reshape(array.shape[0], -1)
        error = float(np.abs(flat @ flat.T - np.eye(len(flat))).max())
        if not error <= (1e-6 if array.dtype == np.float32 else 1e-10):  # NaN among them
            raise InputError(f"basis: its directions are orthonormal only to {error:.1e}; orthonormalize them, with a QR say")
        return array


class Restricted(SymmetricOperator):
    """A `parent` operator seen on a part of its arrays. A kind has `shape` and `product`, and says in `form` which part."""

    parent: SymmetricOperator

    @property
    def dtype(self) -> np.dtype:
        """The parent's."""
        return self.parent.dtype

    @property
    def form(self) -> str:
        """The parent's."""
        return self.parent.form

    @property
    def flops(self) -> int | None:
        """The parent's."""
        return self.parent.flops

    @property
    def magnitude(self) -> jax.Array | float:
        """The parent's."""
        return self.parent.magnitude

    @property
    def rounding(self) -> jax.Array | float:
        """The parent's."""
        return self.parent.rounding


class OnSubspace(Restricted):
    """An operator between projections on the span of orthonormal directions, acting on coefficients."""

    basis: jax.Array

    @property
    def shape(self) -> tuple[int, ...]:
        """(q,)."""
        return (self.basis.shape[0],)

    @property
    def form(self) -> str:
        """The parent's, and what it is restricted to."""
        return f"{self.parent.form}, on a subspace"

    @property
    def flops(self) -> int | None:
        """Of the parent's product and of the two changes of coordinates."""
        return None if self.parent.flops is None else self.parent.flops + 4 * self.basis.size

    def product(self, D: jax.Array) -> jax.Array:
        """See `SymmetricOperator.product`."""
        flat = self.basis.reshape(self.basis.shape[0], -1)
        inner = jnp.matmul(D, flat, precision=jax.lax.Precision.HIGHEST).reshape(self.parent.shape)
        return jnp.matmul(flat, self.parent.product(inner).reshape(-1), precision=jax.lax.Precision.HIGHEST)


class OnEntries(Restricted):
    """An operator between projections on some rows and columns, acting on arrays of these alone."""

    rows: jax.Array
    columns: jax.Array

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows, columns)."""
        return self.rows.shape[0], self.columns.shape[0]

    @property
    def form(self) -> str:
        """The parent's, and what it is restricted to."""
        return f"{self.parent.form}, on some rows and columns"

    def product(self, D: jax.Array) -> jax.Array:
        """See `SymmetricOperator.product`."""
        inner = jnp.zeros(self.parent.shape, D.dtype).at[self.rows[:, None], self.columns].set(D, unique_indices=True)
        return self.parent.product(inner)[self.rows[:, None], self.columns]


def _direction(H: SymmetricOperator, name: str, value: Any, shape: tuple[int | None, ...]) -> jax.Array:
    """The checked argument of a product."""
    dtype = H.dtype
    if not isinstance(value, jax.Array) or value.dtype != dtype:
        value = traced_array(name, value, shape, finite=False)
    check_shape(name, value.shape, shape)
    if value.dtype != dtype:
        raise InputError(f"{name}: found {value.dtype}, but the operator was made in {dtype}; convert one of them")
    return value


def _numbers(name: str, value: Any, count: int) -> jax.Array:
    if value is None or isinstance(value, slice):
        found = np.arange(count)[value or slice(None)]
    else:
        try:
            found = np.atleast_1d(np.asarray(value))
        except ValueError:  # rows of unequal length
            found = np.zeros(0)
    if found.ndim != 1 or found.size == 0 or found.dtype.kind not in "iu":
        raise InputError(f"{name}: found {value!r}; pass a slice or a list of numbers below {count}")
    if found.min() < 0 or found.max() >= count or np.unique(found).size != found.size:
        raise InputError(f"{name}: found numbers below zero, beyond {count - 1}, or twice; pass each once")
    return jnp.asarray(found)


@jax.jit
def _mv(H: SymmetricOperator, D: jax.Array) -> jax.Array:
    return H.product(D)


@jax.jit
def _mm(H: SymmetricOperator, Ds: jax.Array) -> jax.Array:
    return H.product_block(Ds)


@jax.jit
def _dense(H: SymmetricOperator) -> jax.Array:
    # Sixteen slabs of rows: the several arrays that a product keeps beside its result are then small beside the matrix.
    n = H.size
    slab = min(n, max(_SLAB, -(-n // 16)))
    numbers = jnp.minimum(jnp.arange(slab * -(-n // slab)), n - 1).reshape(-1, slab)

    def rows(picked: jax.Array) -> jax.Array:
        directions = (picked[:, None] == jnp.arange(n)[None, :]).astype(H.dtype)
        return H.product_block(directions.reshape((slab, *H.shape))).reshape(slab, n)

    dense = rows(numbers[0]) if slab == n else jax.lax.map(rows, numbers).reshape(-1, n)[:n]
    return 0.5 * (dense + dense.T)
