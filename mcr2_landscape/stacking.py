"""Class blocks as one stacked array, so that no loop over classes is ever unrolled into a compiled program."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


@dataclass(frozen=True)
class ClassLayout:
    """Where the columns of each class lie. Static: part of the shape of a compiled program.

    `stack` gives (K, d, w) with w the largest width; shorter blocks end in zero columns, which change neither a product nor
    logdet(I + ·).
    """

    widths: tuple[int, ...]

    @property
    def num_columns(self) -> int:
        """The number of columns of the flat array."""
        return sum(self.widths)

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.widths)

    @property
    def width(self) -> int:
        """The largest block's number of columns."""
        return max(self.widths)

    @functools.cached_property
    def _even(self) -> bool:
        return len(set(self.widths)) == 1

    @functools.cached_property
    def _gather(self) -> np.ndarray:
        """(K, w) column numbers; `num_columns` stands for padding."""
        starts = np.concatenate([[0], np.cumsum(self.widths)[:-1]])
        offsets = np.arange(self.width)
        columns = starts[:, None] + offsets
        return np.where(offsets < np.array(self.widths)[:, None], columns, self.num_columns)

    @functools.cached_property
    def _scatter(self) -> np.ndarray:
        """(m,) positions of the flat columns among the K w stacked ones."""
        return np.flatnonzero(self._gather.ravel() < self.num_columns)

    def stack(self, Z: Float[Array, "d m"]) -> Float[Array, "k d w"]:
        """The blocks of Z, shape (K, d, w)."""
        d = Z.shape[0]
        if self._even:
            return jnp.moveaxis(Z.reshape(d, self.num_classes, self.width), 1, 0)
        padded = jnp.concatenate([Z, jnp.zeros((d, 1), Z.dtype)], axis=1)
        return jnp.moveaxis(padded[:, self._gather], 1, 0)

    def unstack(self, blocks: Float[Array, "k d w"]) -> Float[Array, "d m"]:
        """The inverse of `stack`; padding is dropped."""
        flat = jnp.moveaxis(blocks, 0, 1).reshape(blocks.shape[1], self.num_classes * self.width)
        return flat if self._even else flat[:, self._scatter]


def class_inner_products(Y: jax.Array, Z: jax.Array, layout: ClassLayout) -> jax.Array:
    """⟨Y_k, Z_k⟩ for consecutive groups of columns (the last axis), shape (K,)."""
    columns = jnp.sum(Y * Z, axis=tuple(range(Z.ndim - 1)))
    owners = np.repeat(np.arange(layout.num_classes), layout.widths)
    return jax.ops.segment_sum(columns, owners, num_segments=layout.num_classes)
