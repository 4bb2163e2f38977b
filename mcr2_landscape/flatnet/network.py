"""A fitted network: from points to codes of d dimensions and back."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.flatnet import kernels
from mcr2_landscape.flatnet.layers import Layers
from mcr2_landscape.precision import traced_array
from mcr2_landscape.validation import float64_matrix

_ROWS = 4096  # that go through the layers together on the host


def _row_major(part: Any) -> Any:
    # The order of an array in memory decides the last bits of products; a network that was saved and loaded gives the same.
    return jax.tree.map(lambda leaf: np.asarray(leaf, order="C") if isinstance(leaf, np.ndarray) else leaf, part)


class FlatNetwork(eqx.Module):
    """Encoder and decoder between R^D and R^d.

    A point is centered, expressed in the r directions that the data span (all of them as they are where r = D) and divided by
    the data's greatest norm; the layers flatten it; the code is what it is along the d principal directions there. The decoder
    goes back the same way, with coefficients of its own.

    `encode` and `decode` can be traced, in float32 or float64; `encode_rows` and `decode_rows` are for NumPy rows on the host,
    in float64, without any compilation.

    **Fields:** `offset` (D,), `frame` (D, r) and `extent`, of the first step; `layers`, each with its own local quadratic;
    `decoder`, the same layers with the coefficients that are decoded with; `code_mean` (r,) and `code_basis` (r, d).
    """

    offset: Any = eqx.field(converter=_row_major)
    frame: Any = eqx.field(converter=_row_major)
    extent: Any = eqx.field(converter=_row_major)
    layers: Layers = eqx.field(converter=_row_major)
    decoder: Layers = eqx.field(converter=_row_major)
    code_mean: Any = eqx.field(converter=_row_major)
    code_basis: Any = eqx.field(converter=_row_major)

    @property
    def num_features(self) -> int:
        """D."""
        return self.frame.shape[0]

    @property
    def num_components(self) -> int:
        """d."""
        return self.code_basis.shape[1]

    def encode(self, points: Any) -> jax.Array:
        """Codes (N, d) of points (N, D).

        **Raises:** `InputError` for another width, NaN, and float64 NumPy points while JAX's 64-bit mode is off.
        """
        points = traced_array("points", points, (None, self.num_features))
        offset, frame, extent, mean, basis = self._cast(points.dtype)
        return (self.layers.flatten((points - offset[None, :]) @ frame / extent) - mean[None, :]) @ basis

    def decode(self, codes: Any) -> jax.Array:
        """Points (N, D) of codes (N, d).

        **Raises:** `InputError`, as `encode` does.
        """
        codes = traced_array("codes", codes, (None, self.num_components))
        offset, frame, extent, mean, basis = self._cast(codes.dtype)
        return self.decoder.reconstruct(mean[None, :] + codes @ basis.T) @ frame.T * extent + offset[None, :]

    def encode_rows(self, points: Any) -> np.ndarray:
        """`encode` in NumPy.

        **Raises:** `InputError` for another width, and NaN.
        """
        points = float64_matrix("points", points, (None, self.num_features), refuse_float32=False)
        return self._by_rows(lambda rows: (self.flatten_rows(rows) - self.code_mean) @ self.code_basis, points)

    def decode_rows(self, codes: Any) -> np.ndarray:
        """`decode` in NumPy.

        **Raises:** `InputError` for another width, and NaN.
        """
        codes = float64_matrix("codes", codes, (None, self.num_components), refuse_float32=False)
        return self._by_rows(self._decoded, codes)

    def flatten_rows(self, points: np.ndarray) -> np.ndarray:
        """The flattened points (N, r) before they are cut to d dimensions, in NumPy."""
        z = (points - self.offset) @ self.frame / self.extent
        for layer in self.layers.single():
            z = kernels.flatten(layer, z)
        return z

    def _decoded(self, codes: np.ndarray) -> np.ndarray:
        z = self.code_mean + codes @ self.code_basis.T
        for layer in reversed(self.decoder.single()):
            z = kernels.reconstruct(layer, z)
        return z @ self.frame.T * self.extent + self.offset

    def _by_rows(self, step: Any, rows: np.ndarray) -> np.ndarray:
        return np.concatenate([step(rows[first : first + _ROWS]) for first in range(0, max(1, len(rows)), _ROWS)])

    def _cast(self, dtype: Any) -> list[jax.Array]:
        return [jnp.asarray(part, dtype) for part in (self.offset, self.frame, self.extent, self.code_mean, self.code_basis)]
