"""What one of many devices computes: the code inside `jax.shard_map`.

Of a Hessian product, with S_k = D_k Z_kᵀ and T_k = S_k + S_kᵀ,

    C_k = alpha alpha_k A_k T_k A_k − alpha² A (Σ T_k) A,   B_k = alpha (A − A_k) − lambda I,   (H[D])_k = B_k D_k + C_k Z_k,

the first and the last are local to the columns. What devices have to tell each other are the matrices T_k of the classes that
lie on several of them, and the sum of all others: one all-reduce, of symmetric matrices packed into half their size. The
inverses of a point take another one, of the Gram matrices in the same form. See `mcr2_landscape.curvature.device_layout` for
what lies where.

`Z` and `D` are the device's blocks, (blocks, d, width).
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import cho_solve
from jaxtyping import Array, Float

from mcr2_landscape.curvature.device_layout import DeviceLayout


class Scales(NamedTuple):
    """The problem's numbers in the dtype of its point: alpha, alpha_k and m_k/m of shape (K,), lambda."""

    alpha: jax.Array
    alphas: Float[Array, " k"]
    weights: Float[Array, " k"]
    regularization: jax.Array


class Device(NamedTuple):
    """Where the code of one device runs."""

    layout: DeviceLayout
    axis: str

    def row(self, table: np.ndarray) -> Array:
        """This device's row of a table."""
        return jnp.asarray(table)[jax.lax.axis_index(self.axis)]

    def own(self, array: Array) -> Array:
        """An array, the same everywhere, as one that may come to differ between devices: what a loop changes."""
        return jax.lax.pcast(array, self.axis, to="varying")

    @property
    def blocks(self) -> tuple[Array, Array]:
        """Slot and number of columns of each of this device's blocks."""
        table = self.row(self.layout.table[:, :, ::2].astype(np.int32))
        return table[:, 0], table[:, 1]


def _matmul(a: Array, b: Array) -> Array:
    """A product at the device's full precision (accelerators otherwise round float32 operands)."""
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)


def _filled(at: Device, block: Array, count: Array) -> Array:
    """A block with zeros in place of whatever stands where no sample is."""
    if not at.layout.padded:
        return block
    return jnp.where(jnp.arange(at.layout.width, dtype=count.dtype)[None] < count, block, 0)


def _class_products(at: Device, D: Array, Z: Array) -> Array:
    """D_k Z_kᵀ of this device's columns for each slot, (slots, d, d).

    Zeros in the blocks of Z are enough: whatever finite number stands beside them in D, it counts for nothing. One block after
    the other: a batched product over a stacked copy was 2.5 times slower on a CPU, and a loop over classes in Python
    would be compiled class by class.
    """

    def step(sums: Array, block: tuple[Array, ...]) -> tuple[Array, None]:
        D, Z, slot, count = block
        return sums.at[slot].add(_matmul(D, _filled(at, Z, count).T)), None

    zeros = at.own(jnp.zeros((at.layout.slots, at.layout.dim, at.layout.dim), Z.dtype))
    return jax.lax.scan(step, zeros, (D, Z, *at.blocks))[0]


def _sum_over_devices(at: Device, array: Array) -> Array:
    """The one collective operation: an all-reduce."""
    return jax.lax.psum(array, at.axis)


def _totals(at: Device, T: Array) -> tuple[Array, Array]:
    """From symmetric matrices of this device's columns, (slots, d, d): their sum over classes and devices, and for each slot
    the sum over the devices that its class lies on."""
    if at.layout.devices == 1:
        return jnp.sum(T, axis=0), T
    places, shared = at.row(at.layout.places), at.row(at.layout.is_shared)
    packed = at.own(jnp.zeros((at.layout.num_places, *at.layout.packed), T.dtype))
    packed = jax.lax.fori_loop(0, at.layout.slots, lambda s, packed: packed.at[places[s]].add(_pack(T[s])), packed)
    summed = _sum_over_devices(at, packed)
    whole = _unpack(jnp.sum(summed, axis=0), at.layout.dim)
    if not at.layout.shared:
        return whole, T

    def exchange(slot: Array, T: Array) -> Array:
        return T.at[slot].set(jnp.where(shared[slot], _unpack(summed[places[slot]], at.layout.dim), T[slot]))

    return whole, jax.lax.fori_loop(0, at.layout.slots, exchange, T)


def _pack(T: Array) -> Array:
    """A symmetric d × d matrix as h × (2h + 1) numbers, h = d/2 rounded up: the block above the diagonal; the upper triangle of
    the first diagonal block with the strictly lower one of the second; the second's diagonal. No entry is looked up: that is
    slow on accelerators."""
    half = -(-T.shape[0] // 2)
    T = jnp.pad(T, (0, 2 * half - T.shape[0]))
    second = T[half:, half:]
    mixed = jnp.triu(T[:half, :half]) + jnp.tril(second, -1)
    return jnp.concatenate([T[:half, half:], mixed, jnp.diagonal(second)[:, None]], axis=1)


def _unpack(packed: Array, dim: int) -> Array:
    half = packed.shape[0]
    corner, mixed, diagonal = packed[:, :half], packed[:, half:-1], packed[:, -1]
    lower = jnp.tril(mixed, -1)
    first = jnp.triu(mixed) + jnp.triu(mixed, 1).T
    second = lower + lower.T + jnp.diag(diagonal)
    return jnp.block([[first, corner], [corner.T, second]])[:dim, :dim]


def _slot_numbers(at: Device, numbers: Array) -> Array:
    """The entries of a (K,) array for the classes in this device's slots; in unused slots whatever."""
    return numbers[at.row(np.maximum(at.layout.labels, 0))]


def _inverses(at: Device, s: Scales, Z: Array) -> tuple[Array, Array, Array]:
    """A and the slots' A_k, (1 + slots, d, d); the logdets of their inverses; and ‖Z‖² of this device's columns.

    One Cholesky after the other: several at once can wait for each other for ever on CPUs with few cores, and would need
    the memory of as many.
    """
    grams = _class_products(at, Z, Z)
    square = jnp.sum(jnp.trace(grams, axis1=1, axis2=2))
    whole, grams = _totals(at, grams)
    scaled = jnp.concatenate([(s.alpha * whole)[None], _slot_numbers(at, s.alphas)[:, None, None] * grams])

    def factorize(gram: Array) -> tuple[Array, Array]:
        identity = jnp.eye(at.layout.dim, dtype=gram.dtype)
        factor = jnp.linalg.cholesky(identity + gram)
        return cho_solve((factor, True), identity), 2 * jnp.sum(jnp.log(jnp.diagonal(factor)))

    inverses, logdets = jax.lax.map(factorize, scaled)
    return inverses, logdets, square


def value(at: Device, Z: Array, s: Scales) -> Array:
    """F(Z), the same on every device."""
    _, logdets, square = _inverses(at, s, Z)
    # Each class counts on the first device that has it, the whole on the first of all.
    weights = jnp.where(at.row(at.layout.is_first), _slot_numbers(at, s.weights), 0)
    whole = jnp.where(jax.lax.axis_index(at.axis) == 0, logdets[0], 0)
    return _sum_over_devices(at, 0.5 * (whole - jnp.sum(weights * logdets[1:]) - s.regularization * square))


def factors(at: Device, Z: Array, s: Scales) -> tuple[Array, Array]:
    """A and the slots' A_k, (1 + slots, d, d), and the slots' B_k, (slots, d, d)."""
    inverses = _inverses(at, s, Z)[0]
    linear = s.alpha * (inverses[:1] - inverses[1:])
    return inverses, linear - s.regularization * jnp.eye(at.layout.dim, dtype=Z.dtype)[None]


def gradient(at: Device, Z: Array, s: Scales) -> Array:
    """∇F(Z), with blocks B_k Z_k."""
    linear = factors(at, Z, s)[1]

    def step(block: tuple[Array, ...]) -> Array:
        Z, slot, count = block
        return _matmul(linear[slot], _filled(at, Z, count))

    return jax.lax.map(step, (Z, *at.blocks))


def product(at: Device, Z: Array, inverses: Array, linear: Array, D: Array, s: Scales) -> Array:
    """H[D] from the factors of the point."""
    S = _class_products(at, D, Z)
    whole, T = _totals(at, S + S.mT)
    whole = s.alpha**2 * _matmul(_matmul(inverses[0], whole), inverses[0])
    scales = s.alpha * _slot_numbers(at, s.alphas)

    def sandwich(slot: Array, T: Array) -> Array:
        A = inverses[slot + 1]
        return T.at[slot].set(scales[slot] * _matmul(_matmul(A, T[slot]), A) - whole)

    C = jax.lax.fori_loop(0, at.layout.slots, sandwich, T)

    def step(block: tuple[Array, ...]) -> Array:
        D, Z, slot, count = block
        return _filled(at, _matmul(linear[slot], D) + _matmul(C[slot], Z), count)

    return jax.lax.map(step, (D, Z, *at.blocks))
