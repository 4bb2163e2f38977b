"""D and Dᵀ as products of matrices, for processors: XLA's convolutions in float64 are several times slower inside a loop there.

All windows of an axis are made at once by repeating it k times and reading it in rows one longer than it is: row a then begins
at its entry a. The transpose of the whole is D.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from mcr2_landscape.csc import dictionary
from mcr2_landscape.csc.geometry import Geometry


def analysis(images: jax.Array, atoms: jax.Array, geometry: Geometry, patches: bool) -> jax.Array:
    """Dᵀx, unchecked; by products of matrices if `patches`."""
    if not patches:
        return dictionary.analysis(images, atoms, geometry)
    count, num_atoms = images.shape[0], atoms.shape[0]
    (kh, kw), (sh, sw), (ph, pw) = geometry
    h, w = geometry.code_shape((images.shape[2], images.shape[3]))
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


def _windows(x: jax.Array, kernel: int, stride: int, count: int) -> jax.Array:
    """The windows (…, kernel, count) of the last axis (…, length), the s-th ones."""
    *lead, length = x.shape
    repeated = jnp.broadcast_to(jnp.expand_dims(x, -2), (*lead, kernel, length))
    flat = jnp.pad(jnp.reshape(repeated, (*lead, kernel * length)), [(0, 0)] * len(lead) + [(0, kernel)])
    rows = jnp.reshape(flat, (*lead, kernel, length + 1))
    return rows[..., : stride * (count - 1) + 1 : stride]
