"""The limit of each form of the Hessian's product: its matrix products alone, jitted in the same backend.

Every operand is an array of its own, contiguous, of random numbers, and every product a result of its own: nothing is sliced,
added, padded, scaled or put together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.errors import InputError
from mcr2_landscape.mcr2.kernels import matmul


@dataclass(frozen=True)
class Product:
    """One matrix product, (rows, inner) times (inner, columns); with `transposed` the second operand is stored as its
    transpose, as Z_k is in D_k Z_kᵀ."""

    rows: int
    inner: int
    columns: int
    transposed: bool = False

    @property
    def flops(self) -> int:
        """Multiplications and additions."""
        return 2 * self.rows * self.inner * self.columns


def products_of(form: str, dim: int, widths: Sequence[int], rank: int, ranks: Sequence[int]) -> list[Product]:
    """The matrix products of one Hessian product.

    **Arguments:** `form`, as the operator says it; `dim` (d) and `widths` (m_k); `rank` (r) and `ranks` (r_k), which only the
    forms by rank look at.

    **Raises:** `InputError` for an unknown form.
    """
    d, R = dim, sum(ranks)
    if form in ("fused", "fused and Gram side", "Gram side"):
        return _by_shape(d, widths)
    found = []
    if form == "mid-rank":
        for w, s in zip(widths, ranks, strict=True):
            found += [Product(d, w, s), Product(d, d, w), Product(d, s, w)]
            found += [Product(d, s, s), Product(s, d, s), Product(d, s, s), Product(s, d, s), Product(d, s, s)]
        few = [Product(d, R, R), Product(R, d, R), Product(d, R, R), Product(d, d, R)]
        many = [Product(d, R, d, True), Product(d, d, R), Product(d, d, R)]
        return found + min(few, many, key=flops_of)
    if form == "low-rank":
        for w, s in zip(widths, ranks, strict=True):
            found += [Product(rank, d, w), Product(d, w, s), Product(d, rank + s, w)]
            found += [Product(d, rank, s)]
            found += [Product(rank, s, s), Product(s, rank, s), Product(s, rank, s), Product(rank, s, s)]
        found += [Product(rank, d, R), Product(d, R, R), Product(rank, R, R), Product(rank, rank, R)]
        return [*found, Product(rank, R, rank), Product(rank, rank, R)]
    raise InputError(f"form: found {form!r}, of which the matrix products are not known; add them here")


def _by_shape(d: int, widths: Sequence[int]) -> list[Product]:
    m, found = sum(widths), []
    if m < d:
        found += _gram_side(d, m)
    else:
        found += [Product(d, d, d), Product(d, d, d)]
    for w in widths:
        if w < d:
            found += _gram_side(d, w)
        if m >= d:
            found += [Product(d, w, d, True), Product(d, d, w), Product(d, d, w)]
        if w >= d:
            found += [Product(d, d, d), Product(d, d, d)]
    return found


def _gram_side(d: int, w: int) -> list[Product]:
    return [Product(w, d, w), Product(w, w, w), Product(d, w, w), Product(d, w, w)]


def flops_of(products: Sequence[Product]) -> int:
    """Multiplications and additions of all of them."""
    return sum(product.flops for product in products)


class Limit:
    """Matrix products to be timed: `run` computes all of them."""

    def __init__(self, products: Sequence[Product], dtype: Any = np.float64, key: int = 0):
        self.flops = flops_of(products)
        self._flags = tuple(product.transposed for product in products)
        self._operands = []
        for number, product in enumerate(products):
            first, second = jax.random.split(jax.random.fold_in(jax.random.key(key), number))
            right = (product.columns, product.inner) if product.transposed else (product.inner, product.columns)
            pair = jax.random.normal(first, (product.rows, product.inner), dtype), jax.random.normal(second, right, dtype)
            self._operands.append(pair)

    def run(self) -> Any:
        """Compute, and wait for the end."""
        return jax.block_until_ready(_multiply(self._operands, self._flags))


def _multiplied(operands: Sequence[tuple[jax.Array, jax.Array]], flags: tuple[bool, ...]) -> list[jax.Array]:
    return [matmul(a, jnp.swapaxes(b, 0, 1) if flag else b) for (a, b), flag in zip(operands, flags, strict=True)]


_multiply = jax.jit(_multiplied, static_argnums=1)
