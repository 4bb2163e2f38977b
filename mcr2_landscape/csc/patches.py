"""D and Dᵀ as products of matrices, for processors: XLA's convolutions in float64 are several times slower inside a loop there.

For images not much larger than the atoms D is one matrix, made of the atoms' entries, and all images one product: a third to a
fifth of the time. For others all windows of an axis are made at once by repeating it k times and reading it in rows one longer
than it is: row a then begins at its entry a. The transpose of the whole is D.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.csc import dictionary
from mcr2_landscape.csc.geometry import Geometry

_AREAS = 8  # how many times the area of an atom an image may have, so that a matrix of mostly zeros costs less than windows
_ENTRIES = 2**20  # of the matrix, at most
_GROUP = 2**26  # numbers of the windows of the images that go together, half a gigabyte of float64


def analysis(images: jax.Array, atoms: jax.Array, geometry: Geometry, patches: bool) -> jax.Array:
    """Dᵀx, unchecked; by products of matrices if `patches`."""
    if not patches:
        return dictionary.analysis(images, atoms, geometry)
    count, num_atoms, size = images.shape[0], atoms.shape[0], (images.shape[2], images.shape[3])
    if _is_small(atoms.shape, geometry, size):
        flat = jnp.reshape(images, (count, -1))
        product = jnp.matmul(flat, _matrix(atoms, geometry, size).T, precision=jax.lax.Precision.HIGHEST)
        return jnp.reshape(product, (count, num_atoms, *geometry.code_shape(size)))
    together = _together(images.shape, geometry)
    if count > together:
        return _in_groups(lambda group: analysis(group, atoms, geometry, True), images, together)
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


def workspace(images: tuple[int, ...], atoms: tuple[int, ...], geometry: Geometry) -> float:
    """Bytes that products of matrices take beside images, atoms and codes of these shapes, in float64."""
    count, _, *size = images
    if _is_small(atoms, geometry, (size[0], size[1])):
        return 8.0 * 2 * _entries(atoms, geometry, (size[0], size[1]))
    return 8.0 * min(count, _together(images, geometry)) * _numbers(images, geometry)


def _in_groups(product: Callable[[jax.Array], jax.Array], images: jax.Array, together: int) -> jax.Array:
    """`product` of images, at most so many at once, in groups of one size, which zeros fill up."""
    count, *rest = images.shape
    groups = -(-count // together)
    each = -(-count // groups)
    filled = jnp.pad(images, [(0, groups * each - count)] + [(0, 0)] * len(rest))
    # A checkpoint: a gradient in the atoms would keep the windows of all groups otherwise.
    found = jax.lax.map(jax.checkpoint(product), jnp.reshape(filled, (groups, each, *rest)))
    return jnp.reshape(found, (groups * each, *found.shape[2:]))[:count]


def _together(images: tuple[int, ...], geometry: Geometry) -> int:
    """How many images go together."""
    return max(1, _GROUP // _numbers(images, geometry))


def _numbers(images: tuple[int, ...], geometry: Geometry) -> int:
    """Of the windows of one image along both axes, and of the repeated rows that the second axis' are read from."""
    _, channels, height, width = images
    (kh, kw), _, (ph, _) = geometry
    h, w = geometry.code_shape((height, width))
    return channels * kw * w * kh * (h + height + 2 * ph + 1)


def _is_small(atoms: tuple[int, ...], geometry: Geometry, size: tuple[int, int]) -> bool:
    return size[0] * size[1] <= _AREAS * atoms[2] * atoms[3] and _entries(atoms, geometry, size) <= _ENTRIES


def _entries(atoms: tuple[int, ...], geometry: Geometry, size: tuple[int, int]) -> int:
    """Of the matrix of images of that size."""
    return atoms[0] * atoms[1] * math.prod(size) * math.prod(geometry.code_shape(size))


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
