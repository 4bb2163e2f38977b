"""D and Dᵀ as products of matrices, for processors: XLA's convolutions in float64 are several times slower inside a loop there.

For images not much larger than the atoms D is one matrix, made of the atoms' entries, and all images one product: a third to a
fifth of the time. For others all windows of an axis are made at once by repeating it k times and reading it in rows one longer
than it is: row a then begins at its entry a. The transpose of the whole is D.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.csc import dictionary
from mcr2_landscape.csc.geometry import Geometry

_AREAS = 8  # how many times the area of an atom an image may have, so that a matrix of mostly zeros costs less than windows
_ENTRIES = 2**20  # of the matrix, at most


def analysis(images: jax.Array, atoms: jax.Array, geometry: Geometry, patches: bool) -> jax.Array:
    """Dᵀx, unchecked; by products of matrices if `patches`."""
    if not patches:
        return dictionary.analysis(images, atoms, geometry)
    count, num_atoms, size = images.shape[0], atoms.shape[0], (images.shape[2], images.shape[3])
    if _is_small(atoms.shape, geometry, size):
        flat = jnp.reshape(images, (count, -1))
        product = jnp.matmul(flat, _matrix(atoms, geometry, size).T, precision=jax.lax.Precision.HIGHEST)
        return jnp.reshape(product, (count, num_atoms, *geometry.code_shape(size)))
    (kh, kw), (sh, sw), (ph, pw) = geometry
    h, w = geometry.code_shape(size)
    padded = jnp.pad(images, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    across = jnp.moveaxis(_windows(padded, kw, sw, w), 2, 4)  # n c b w H
    both = _windows(across, kh, sh, h)  # n c b w a h
    flat = jnp.reshape(jnp.transpose(both, (0, 1, 4, 2, 5, 3)), (count, -1, h * w))
    product = jnp.einsum("kq,nqp->nkp", jnp.reshape(atoms, (num_atoms, -1)), flat, precision=jax.lax.Precision.HIGHEST)
    return jnp.reshape(product, (count, num_atoms, h, w))


def synthesis(codes: jax.Array, atoms: jax.Array, geometry: Geometry, size: tuple[int, int], patches: bool) -> jax.Array:
    """D z for images of `size`, unchecked; by products of matrices if `patches`."""
    if not patches:
        return dictionary.synthesis(codes, atoms, geometry, size)
    images = jax.ShapeDtypeStruct((codes.shape[0], atoms.shape[1], *size), codes.dtype)
    return jax.linear_transpose(lambda x: analysis(x, atoms, geometry, True), images)(codes)[0]


def _is_small(atoms: tuple[int, ...], geometry: Geometry, size: tuple[int, int]) -> bool:
    num_atoms, channels, kh, kw = atoms
    pixels, places = size[0] * size[1], int(np.prod(geometry.code_shape(size)))
    return pixels <= _AREAS * kh * kw and num_atoms * places * channels * pixels <= _ENTRIES


def _matrix(atoms: jax.Array, geometry: Geometry, size: tuple[int, int]) -> jax.Array:
    """Dᵀ of images of that size, (K h w, C H W)."""
    num_atoms, channels, kh, kw = atoms.shape
    h, w = geometry.code_shape(size)
    entries = []  # which row and column of the atom meets which row and column of the image
    for places, length, k, s, p in zip((h, w), size, *geometry, strict=True):
        met = np.arange(length)[None, :] - (s * np.arange(places)[:, None] - p)
        entries.append(np.where((met >= 0) & (met < k), met, -1))
    rows, columns = entries[0][:, None, :, None], entries[1][None, :, None, :]
    zero = kh * kw  # an entry beside the atom's
    taken = np.where((rows >= 0) & (columns >= 0), rows * kw + columns, zero).reshape(-1)
    padded = jnp.pad(jnp.reshape(atoms, (num_atoms, channels, zero)), ((0, 0), (0, 0), (0, 1)))
    whole = jnp.reshape(padded[:, :, taken], (num_atoms, channels, h * w, size[0] * size[1]))
    return jnp.reshape(jnp.transpose(whole, (0, 2, 1, 3)), (num_atoms * h * w, -1))


def _windows(x: jax.Array, kernel: int, stride: int, count: int) -> jax.Array:
    """The windows (…, kernel, count) of the last axis (…, length), the s-th ones."""
    *lead, length = x.shape
    repeated = jnp.broadcast_to(jnp.expand_dims(x, -2), (*lead, kernel, length))
    flat = jnp.pad(jnp.reshape(repeated, (*lead, kernel * length)), [(0, 0)] * len(lead) + [(0, kernel)])
    rows = jnp.reshape(flat, (*lead, kernel, length + 1))
    return rows[..., : stride * (count - 1) + 1 : stride]
