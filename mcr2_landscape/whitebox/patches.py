"""Images as patches, and patches as tokens."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mcr2_landscape.validation import InputError
from mcr2_landscape.whitebox import initialization as start
from mcr2_landscape.whitebox.architecture import Architecture
from mcr2_landscape.whitebox.halves import Norm, add_bias


def patchify(images: Float[Array, "*b c h w"], patch: int) -> Float[Array, "*b n q"]:
    """Images (…, C, H, W) as patches (…, N, P²C), row by row; in a patch the channel runs fastest, then the column.

    **Raises:** `InputError` for sides that patches do not divide.
    """
    *batch, channels, height, width = images.shape
    if height % patch or width % patch:
        raise InputError(f"images: found {height} × {width}, which patches of {patch} × {patch} do not divide")
    split = jnp.reshape(images, (*batch, channels, height // patch, patch, width // patch, patch))
    k = len(batch)
    moved = jnp.transpose(split, (*range(k), k + 1, k + 3, k + 2, k + 4, k))
    return jnp.reshape(moved, (*batch, (height // patch) * (width // patch), patch * patch * channels))


def unpatchify(patches: Float[Array, "*b n q"], grid: tuple[int, int], patch: int) -> Float[Array, "*b c h w"]:
    """The images of patches: `patchify`'s inverse. `grid`: patches in a column and in a row.

    **Raises:** `InputError` for patches that do not make such a grid.
    """
    *batch, count, numbers = patches.shape
    if count != grid[0] * grid[1] or numbers % patch**2:
        raise InputError(
            f"patches: found {count} of {numbers} numbers; expected {grid[0] * grid[1]} of a multiple of {patch**2} numbers"
        )
    channels, k = numbers // patch**2, len(batch)
    split = jnp.reshape(patches, (*batch, *grid, patch, patch, channels))
    moved = jnp.transpose(split, (*range(k), k + 4, k, k + 2, k + 1, k + 3))
    return jnp.reshape(moved, (*batch, channels, grid[0] * patch, grid[1] * patch))


class PatchEmbedding(eqx.Module):
    """Patches to tokens: a linear map, between two layer norms if "normalized"."""

    first_norm: Norm
    weight: Float[Array, "q d"]
    bias: Float[Array, " d"]
    second_norm: Norm

    @classmethod
    def initial(cls, architecture: Architecture, key: Any, dtype: Any) -> PatchEmbedding:
        """A random map."""
        a, (first, second) = architecture, jax.random.split(key)
        kind = "layer" if a.embedding == "normalized" else "none"
        return cls(
            Norm.initial(a.patch_dim, kind, a.norm_epsilon, dtype),
            start.patch_map(first, a.patch_dim, a.dim, a.initialization, dtype),
            start.bias(second, a.patch_dim, a.dim, a.initialization, dtype),
            Norm.initial(a.dim, kind, a.norm_epsilon, dtype),
        )

    def __call__(self, patches: Float[Array, "*b n q"]) -> Float[Array, "*b n d"]:
        """Tokens of patches."""
        return self.second_norm(add_bias(jnp.matmul(self.first_norm(patches), self.weight), self.bias))


def check_images(images: Any, architecture: Architecture, dtype: Any) -> Array:
    """Images (…, C, H, W) in the dtype of a model.

    **Raises:** `InputError` for another shape, for numbers that are not floating, and for NumPy's float64 where JAX would
    round it to float32 without a word.
    """
    a, shape = architecture, np.shape(images)
    expected = (a.channels, *a.image_size)
    if shape[-3:] != expected:
        hint = "; channels come first" if shape[-3:] == (*a.image_size, a.channels) else ""
        raise InputError(f"images: found shape {shape}, expected (…, {', '.join(map(str, expected))}){hint}")
    found = images.dtype if hasattr(images, "dtype") else np.asarray(images).dtype
    if not jnp.issubdtype(found, jnp.floating):
        raise InputError(f"images: found {found}; pass floating numbers, for instance images / np.float32(255)")
    if isinstance(images, np.ndarray) and found == np.float64 and not jax.config.read("jax_enable_x64"):
        raise InputError("images: found float64 while JAX's 64-bit mode is off, which would silently round; pass float32")
    return jnp.asarray(images).astype(dtype)


def with_class_token(token: Float[Array, "1 d"], patches: Float[Array, "*b n d"]) -> Float[Array, "*b m d"]:
    """The class token before the tokens of patches."""
    return jnp.concatenate([jnp.broadcast_to(token, (*patches.shape[:-2], *token.shape)), patches], axis=-2)


def add_positions(tokens: Array, positions: Float[Array, "n d"]) -> Array:
    """Tokens plus the vectors of their positions."""
    return tokens + jnp.broadcast_to(positions, tokens.shape)
