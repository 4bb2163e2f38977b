"""Moves of the atoms in dictionary learning: projections, gradients, and what replaces dead ones."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.csc.geometry import Geometry
from mcr2_landscape.csc.patches import synthesis


def dead_atoms(codes: np.ndarray) -> tuple[int, ...]:
    """The numbers of atoms whose code is zero for every image."""
    return tuple(int(k) for k in np.flatnonzero(~np.any(codes, axis=(0, 2, 3))))


def into_ball(atoms: np.ndarray) -> np.ndarray:
    """The nearest atoms with norms of at most one."""
    norms = np.sqrt(np.sum(atoms**2, axis=(1, 2, 3), keepdims=True))
    return atoms / np.maximum(norms, 1)


def to_sphere(atoms: np.ndarray, earlier: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Atoms of norm one and codes with the same D z, for atoms in the ball. An atom that has become zero contributes nothing:
    its earlier direction is kept, with the code zero."""
    norms = np.sqrt(np.sum(atoms**2, axis=(1, 2, 3)))
    unit = np.where(norms[:, None, None, None] > 0, atoms, earlier)
    unit = unit / np.sqrt(np.sum(unit**2, axis=(1, 2, 3), keepdims=True))
    return unit, codes * np.minimum(norms, 1)[None, :, None, None]


def with_dead_replaced(
    atoms: np.ndarray, codes: np.ndarray, residual: np.ndarray, geometry: Geometry
) -> tuple[np.ndarray, int]:
    """Dead atoms as the largest windows of the residual, no two of them overlapping in an image; and how many there are."""
    dead = dead_atoms(codes)
    if not dead:
        return atoms, 0
    windows = _windows(residual, geometry)
    atoms, count = atoms.copy(), 0
    energy = np.sum(windows**2, axis=(3, 4, 5))
    reach = [-(-k // s) for k, s in zip(geometry.kernel, geometry.stride, strict=True)]
    for number in dead:
        n, i, j = np.unravel_index(int(energy.argmax()), energy.shape)
        if energy[n, i, j] <= 0:
            break
        atoms[number] = windows[n, i, j] / np.linalg.norm(windows[n, i, j])
        energy[n, max(0, i - reach[0] + 1) : i + reach[0], max(0, j - reach[1] + 1) : j + reach[1]] = -1
        count += 1
    return atoms, count


@partial(jax.jit, static_argnums=(3, 4))
def atom_gradient(atoms: jax.Array, codes: jax.Array, images: jax.Array, geometry: Geometry, patches: bool) -> jax.Array:
    """The gradient in the atoms of ½‖X − D_W Z‖²."""

    def misfit(w: jax.Array) -> jax.Array:
        size = images.shape[2], images.shape[3]
        return jnp.sum((images - synthesis(codes, w, geometry, size, patches)) ** 2) / 2

    return jax.grad(misfit)(atoms)


@partial(jax.jit, static_argnums=(2, 3, 4))
def square(change: jax.Array, codes: jax.Array, geometry: Geometry, size: tuple[int, int], patches: bool) -> jax.Array:
    """‖D_Δ Z‖²."""
    return jnp.sum(synthesis(codes, change, geometry, size, patches) ** 2)


def _windows(images: np.ndarray, geometry: Geometry) -> np.ndarray:
    (kh, kw), (sh, sw), (ph, pw) = geometry
    padded = np.pad(images, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    found = np.lib.stride_tricks.sliding_window_view(padded, (kh, kw), axis=(2, 3))[:, :, ::sh, ::sw]
    return np.moveaxis(found, 1, 3)  # (N, h, w, C, k_h, k_w)
