"""The space that a symmetric operator is looked at on: the operator's own subspace less a deflated one, and what is probed
there before its products are believed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.curvature.padded import Padded, Widened
from mcr2_landscape.operators import SymmetricOperator
from mcr2_landscape.validation import InputError, check_finite, check_shape

_HIGHEST = jax.lax.Precision.HIGHEST
# Beyond this many unknowns a block is multiplied one direction at a time: nothing is lost there, and an interruption is heard
# between two products.
_ONE_BY_ONE = 1 << 16


class Span(eqx.Module):
    """The span of orthonormal directions (q, *shape), to be removed from others."""

    basis: jax.Array

    @property
    def dimension(self) -> int:
        """q."""
        return self.basis.shape[0]

    def remove(self, D: jax.Array) -> jax.Array:
        """D less its part in the span, traced."""
        flat = self.basis.reshape(self.basis.shape[0], -1)
        part = jnp.matmul(jnp.matmul(flat, D.reshape(-1), precision=_HIGHEST), flat, precision=_HIGHEST)
        return D - part.reshape(D.shape)


class Space:
    """An operator H between projections on V: H's own subspace (`H.tangent_part`) less what `removal` takes away. Directions
    are rows of flat arrays (b, n) here; those of a padded operator are its wide arrays, zero where it has no unknown."""

    def __init__(self, H: SymmetricOperator, removal: Any):
        self.H, self.removal = H, removal
        self._projected = _projected(H, removal)

    @property
    def size(self) -> int:
        """n, the length of a row."""
        return self._projected.H.size

    @property
    def dtype(self) -> np.dtype:
        """The operator's."""
        return np.dtype(self.H.dtype)

    @property
    def resolution(self) -> float:
        """What rounding may do to an eigenvalue, relative to the largest: 32 eps max(4, √n)."""
        return 32 * float(np.finfo(self.dtype).eps) * max(4.0, float(np.sqrt(self.size)))

    def draw(self, random: np.random.Generator, number: int) -> np.ndarray:
        """Normally distributed rows, zero where the operator has no unknown; not projected on V."""
        rows = random.standard_normal((number, self.size))
        return rows * self.H.mask.ravel() if isinstance(self.H, Padded) else rows

    def inside(self, rows: jax.Array) -> jax.Array:
        """The rows projected on V."""
        return _inside(self._projected, rows)

    def products(self, rows: jax.Array) -> jax.Array:
        """H of the rows, which lie in V, projected on V."""
        if self.size < _ONE_BY_ONE or rows.shape[0] == 1:
            return _products(self._projected, rows)
        images = []
        for number in range(rows.shape[0]):
            images.append(_products(self._projected, rows[number : number + 1]).block_until_ready())
        return jnp.concatenate(images)

    def rows(self, values: np.ndarray) -> jax.Array:
        """NumPy rows on the device, in the operator's dtype."""
        return jnp.asarray(values.astype(self.dtype))

    def shaped(self, rows: jax.Array | np.ndarray) -> np.ndarray:
        """Rows as NumPy arrays of the operator's shape, (number, *shape)."""
        arrays = np.array(rows).reshape(rows.shape[0], *self._projected.H.shape)
        return np.stack([self.H.narrow(array) for array in arrays]) if isinstance(self.H, Padded) else arrays


class _Projected(eqx.Module):
    """What compiled code sees of a space: a pytree, so that another operator of the same kind and shape compiles nothing."""

    H: SymmetricOperator
    removal: Any
    mask: jax.Array | None

    def part(self, D: jax.Array) -> jax.Array:
        """D of the operator's shape projected on V, traced."""
        D = self.H.tangent_part(D if self.mask is None else jnp.where(self.mask, D, 0))
        if self.removal is None:
            return D
        return self.removal.remove(D) if hasattr(self.removal, "remove") else self.removal(D)


def _projected(H: SymmetricOperator, removal: Any) -> _Projected:
    if not isinstance(H, Padded):
        return _Projected(H, removal, None)
    if isinstance(removal, Span):
        removal = Span(jax.vmap(H.widen)(removal.basis))
    elif removal is not None:
        removal = Widened(H, removal)
    return _Projected(H.parent, removal, jnp.asarray(H.mask))


@contextlib.contextmanager
def precision_of(H: SymmetricOperator) -> Iterator[None]:
    """64-bit mode for as long as a float64 operator is worked with; nothing process-wide is touched."""
    if np.dtype(H.dtype) == np.float64:
        with jax.enable_x64(True):
            yield
    else:
        yield


def make_space(H: Any, deflate: Any, random: np.random.Generator) -> Space:
    """The space, its projections probed. To be called, and the space used, within `precision_of(H)`.

    **Raises:** `InputError` for an H that is no `SymmetricOperator`; for a `deflate` that is no orthonormal basis in H's own
    subspace (to 1e-6 in float32, 1e-10 in float64) and no orthogonal projection; or where nothing is left.
    """
    space = Space(H, removal_of(H, deflate))
    eps = float(np.finfo(space.dtype).eps)
    X = space.draw(random, 2)
    P = np.asarray(space.inside(space.rows(X)), dtype=np.float64)
    check_finite("H, deflate: projection on their subspace", P)
    if space.removal is not None:
        again = np.asarray(space.inside(space.rows(P)), dtype=np.float64)
        wrong = max(float(np.linalg.norm(again - P)), abs(float(X[0] @ P[1] - X[1] @ P[0]))) / float(np.linalg.norm(X))
        if wrong > 1e4 * eps * np.sqrt(space.size):
            raise InputError(
                f"deflate: with the operator's own subspace it gives no orthogonal projection (it is off by {wrong:.1e}); pass "
                "orthonormal directions in that subspace, or a function D -> D less its part in the deflated space"
            )
    if float(np.linalg.norm(P)) <= 1e3 * eps * float(np.linalg.norm(X)):
        raise InputError(
            "H, deflate: no direction is left: the constraint set is a point there, or everything is deflated; there is no "
            "eigenvalue to find"
        )
    return space


def operator_of(H: Any) -> SymmetricOperator:
    """H, if it is a `SymmetricOperator`.

    **Raises:** `InputError` otherwise.
    """
    if not isinstance(H, SymmetricOperator):
        raise InputError(f"H: found {type(H).__name__}; pass landscape.hessian(Z), or another SymmetricOperator")
    return H


def removal_of(H: SymmetricOperator, deflate: Any) -> Any:
    """What takes the deflated part away: `None`, an object with `remove`, a traced function, or the span of a basis."""
    if deflate is None or hasattr(deflate, "remove"):
        return deflate
    if callable(deflate):
        # A pytree (jax.tree_util.Partial, an equinox module) is an argument of compiled code; a plain function a part of it.
        leaves = jax.tree_util.tree_leaves(deflate)
        return jax.tree_util.Partial(deflate) if any(leaf is deflate for leaf in leaves) else deflate
    try:
        basis = np.asarray(deflate)
    except (TypeError, ValueError) as error:
        raise InputError(f"deflate: cannot be read as an array ({error}); pass directions of shape (q, *shape)") from None
    if basis.dtype.kind not in "fiu":
        raise InputError(f"deflate: found dtype {basis.dtype}; pass real directions, or a projection")
    check_shape("deflate", basis.shape, (None, *H.shape))
    check_finite("deflate", basis)
    if basis.shape[0] == 0:
        return None
    basis = basis.astype(H.dtype)
    flat = basis.reshape(len(basis), -1)
    worst = float(np.abs(flat @ flat.T - np.eye(len(flat))).max())
    if worst > (1e-6 if basis.dtype == np.float32 else 1e-10):
        raise InputError(f"deflate: its directions are orthonormal only to {worst:.1e}; orthonormalize them, with a QR say")
    return Span(jnp.asarray(basis))


def rounding_of(space: Space) -> float:
    """What the operator says of its rounding.

    **Raises:** `InputError` where that is as large as the terms of a product.
    """
    rounding, magnitude = float(space.H.rounding), float(space.H.magnitude)
    if not np.isfinite(rounding) or rounding > magnitude > 0:
        raise InputError(
            f"H: at a point of this scale rounding may change a product of a unit direction by {rounding:.1e}, and its terms "
            f"are of size {magnitude:.1e}: no eigenvalue can be told; take a smaller point, float64, or form='low-rank'"
        )
    return rounding


def check_product(space: Space, row: jax.Array, image: np.ndarray, rounding: float = 0.0) -> None:
    """Is a product a function of its argument alone, and homogeneous? One more product, of −2 times the row, says so (two more
    where it does not, to name what is wrong). `rounding`: by how much a product of a unit direction may be off.

    **Raises:** `InputError` that says which of the two it is not.
    """
    doubled = np.asarray(space.products(-2 * row), dtype=np.float64)
    size = max(float(np.linalg.norm(image)), float(np.linalg.norm(doubled)) / 2)
    allowed = 1e2 * space.resolution * size + 4 * rounding
    if float(np.linalg.norm(doubled + 2 * image)) <= 2 * allowed:
        return
    again = np.asarray(space.products(row), dtype=np.float64)
    if float(np.linalg.norm(again - image)) > allowed:
        raise InputError(
            "H: two products with one direction differ; it must depend neither on a state nor on unseeded randomness (dropout, "
            "a batch drawn anew, batch statistics)"
        )
    raise InputError("H: its product with −2 D is not −2 times that with D; it must be linear")


def dimension_of(space: Space, random: np.random.Generator) -> int | None:
    """The dimension of V, or `None` where it cannot be told cheaply: what the projections take away is drawn at random until
    draws are dependent, 64 at most (a removal that says its `dimension` is believed)."""
    missing = 0
    own = type(space.H).tangent_part is not SymmetricOperator.tangent_part
    removal = space.removal
    said = getattr(removal, "dimension", None) if removal is not None else 0
    parts = []
    if own:
        parts.append(Space(space.H, None))
    if said is None:
        parts = [space]
    else:
        missing += int(said)
    for part in parts:
        for count in (8, 64):
            X = space.draw(random, min(count, space.H.size))
            taken = X - np.asarray(part.inside(space.rows(X)), dtype=np.float64)
            s = np.linalg.svd(taken, compute_uv=False)
            floor = 1e3 * float(np.finfo(space.dtype).eps) * float(np.linalg.norm(X))
            rank = int((s > floor).sum())
            if rank < len(X) or len(X) == space.H.size:
                missing += rank
                break
        else:
            return None
    return space.H.size - missing


@jax.jit
def _inside(space: _Projected, rows: jax.Array) -> jax.Array:
    return jax.vmap(space.part)(rows.reshape(-1, *space.H.shape)).reshape(rows.shape)


@jax.jit
def _products(space: _Projected, rows: jax.Array) -> jax.Array:
    images = space.H.product_block(rows.reshape(-1, *space.H.shape))
    return jax.vmap(space.part)(images).reshape(rows.shape)
