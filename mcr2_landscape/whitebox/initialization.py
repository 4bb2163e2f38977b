"""How the parameters of white-box transformers start."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

_DEVIATION = 0.02


def linear(key: Any, inputs: int, outputs: int, scheme: str, dtype: Any) -> Float[Array, "i o"]:
    """The matrix of a linear map, applied from the right to tokens as rows.

    **Arguments:** `scheme`: "uniform" within ±1/√inputs (PyTorch's default), "normal" or "xavier".
    """
    if scheme == "normal":
        return _DEVIATION * jax.random.normal(key, (inputs, outputs), dtype)
    bound = 1 / math.sqrt(inputs) if scheme == "uniform" else math.sqrt(6 / (inputs + outputs))
    return jax.random.uniform(key, (inputs, outputs), dtype, -bound, bound)


def patch_map(key: Any, inputs: int, outputs: int, scheme: str, dtype: Any) -> Float[Array, "i o"]:
    """The linear map of patches: as any other, except that "normal" stands for uniform within ±√(6/inputs) here."""
    if scheme != "normal":
        return linear(key, inputs, outputs, scheme, dtype)
    bound = math.sqrt(6 / inputs)
    return jax.random.uniform(key, (inputs, outputs), dtype, -bound, bound)


def bias(key: Any, inputs: int, outputs: int, scheme: str, dtype: Any) -> Float[Array, " o"]:
    """The bias of a linear map: zero, except for "uniform"."""
    if scheme != "uniform":
        return jnp.zeros(outputs, dtype)
    bound = 1 / math.sqrt(inputs)
    return jax.random.uniform(key, (outputs,), dtype, -bound, bound)


def dictionary(key: Any, dim: int, atoms: int, scheme: str, orthonormal: bool, dtype: Any) -> Float[Array, "d m"]:
    """A dictionary with atoms as columns: uniform within ±√(6/fan) (Kaiming), or with orthonormal rows.

    The fan is the number of atoms in PyTorch's published code, which "uniform" and "xavier" follow, and the dimension in
    CRATE-α's JAX code, which "normal" follows: entries twice as large at four atoms a dimension.
    """
    if orthonormal:
        return _orthonormal(key, atoms, dim, dtype).T
    bound = math.sqrt(6 / (dim if scheme == "normal" else atoms))
    return jax.random.uniform(key, (dim, atoms), dtype, -bound, bound)


def subspaces(key: Any, dim: int, heads: int, head_dim: int, scheme: str, orthonormal: bool, dtype: Any) -> Float[Array, "d k"]:
    """[U_1, …, U_K]: as a linear map, or orthonormal: all columns together where they fit, else within each subspace."""
    if not orthonormal:
        return linear(key, dim, heads * head_dim, scheme, dtype)
    if heads * head_dim <= dim:
        return _orthonormal(key, dim, heads * head_dim, dtype)
    gaussian = jax.random.normal(key, (heads, dim, head_dim), dtype)
    return jnp.moveaxis(_factor(gaussian), 0, 1).reshape(dim, heads * head_dim)


def tokens(key: Any, count: int, dim: int, scheme: str, dtype: Any, *, small: bool = False) -> Float[Array, "n d"]:
    """Learned tokens and positions: standard normal ("uniform"), or with a standard deviation of 0.02 ("normal", where a
    `small` one has 1e-6, and "xavier")."""
    deviation = 1.0 if scheme == "uniform" else 1e-6 if small and scheme == "normal" else _DEVIATION
    return deviation * jax.random.normal(key, (count, dim), dtype)


def sines_and_cosines(grid: tuple[int, int], dim: int, dtype: Any) -> Float[Array, "n d"]:
    """Fixed positions of the class token (zero) and the patches: sines and cosines of the column, then of the row, each at
    dim/4 frequencies from 1 to 10⁻⁴ (He et al., 2022)."""
    rows, columns = np.meshgrid(np.arange(grid[0]), np.arange(grid[1]), indexing="ij")
    frequencies = 10000.0 ** (-np.arange(dim // 4) / (dim // 4))
    angles = [np.outer(coordinate.ravel(), frequencies) for coordinate in (columns, rows)]
    patches = np.concatenate([part for angle in angles for part in (np.sin(angle), np.cos(angle))], axis=1)
    return jnp.asarray(np.concatenate([np.zeros((1, dim)), patches]).astype(np.dtype(dtype)))


def _orthonormal(key: Any, rows: int, columns: int, dtype: Any) -> Float[Array, "n m"]:
    """Orthonormal columns, uniformly distributed."""
    return _factor(jax.random.normal(key, (rows, columns), dtype))


def _factor(gaussian: Any) -> Any:
    q, r = jnp.linalg.qr(gaussian)
    # Without the signs of R's diagonal the columns would not be uniformly distributed.
    return q * jnp.sign(jnp.diagonal(r, axis1=-2, axis2=-1))[..., None, :]
