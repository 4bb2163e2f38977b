"""Moves of the atoms in dictionary learning: projections, gradients, and what replaces dead ones."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

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
    atoms: np.ndarray, codes: np.ndarray, left: np.ndarray, geometry: Geometry, least: float
) -> tuple[np.ndarray, int]:
    """Dead atoms as the largest windows of what is left over, those longer than `least`, no two of them overlapping in an
    image; and how many these are."""
    dead = dead_atoms(codes)
    if not dead:
        return atoms, 0
    (kh, kw), (sh, sw), (ph, pw) = geometry
    padded = np.pad(left, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    # Σ of squares along one axis after the other: the numbers of all windows at once might not fit into memory.
    columns = sliding_window_view(np.sum(padded**2, axis=1), kh, axis=1)[:, ::sh].sum(axis=-1)
    energy = sliding_window_view(columns, kw, axis=2)[:, :, ::sw].sum(axis=-1)
    atoms, count = atoms.copy(), 0
    reach = [-(-k // s) for k, s in zip(geometry.kernel, geometry.stride, strict=True)]
    for number in dead:
        n, i, j = np.unravel_index(int(energy.argmax()), energy.shape)
        if energy[n, i, j] <= least**2:
            break
        window = padded[n, :, i * sh : i * sh + kh, j * sw : j * sw + kw]
        atoms[number] = window / np.linalg.norm(window)
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


@partial(jax.jit, static_argnums=(3, 4))
def residual(images: jax.Array, atoms: jax.Array, codes: jax.Array, geometry: Geometry, patches: bool) -> jax.Array:
    """X − D_W Z."""
    return images - synthesis(codes, atoms, geometry, (images.shape[2], images.shape[3]), patches)
