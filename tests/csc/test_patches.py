"""Products of matrices for many images of large atoms: in groups that fit into memory, and counted before work begins."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mcr2_landscape import InputError, csc, memory
from mcr2_landscape.csc import patches
from mcr2_landscape.csc.geometry import Geometry

from . import problems


@pytest.mark.parametrize("form", [(2, 2, (5, 4), (3, 1), (2, 1), (19, 12)), (3, 1, (3, 3), (1, 1), (1, 1), (12, 10))])
def test_images_in_groups_are_those_together(form, monkeypatch):
    K, C, kernel, stride, padding, size = form
    geometry, random = Geometry(kernel, stride, padding), np.random.default_rng(1)
    atoms = jnp.asarray(problems.unit_atoms(random, K, C, *kernel))
    shapes = (7, C, *size), (7, K, *geometry.code_shape(size))
    x, z = (jnp.asarray(random.standard_normal(shape)) for shape in shapes)
    assert not patches._is_small(atoms.shape, geometry, size)

    def everything(atoms):
        made, seen = patches.synthesis(z, atoms, geometry, size, True), patches.analysis(x, atoms, geometry, True)
        return jnp.sum((x - made) ** 2) + jnp.sum(seen**2 * z), (made, seen)

    whole = jax.jit(jax.value_and_grad(everything, has_aux=True))(atoms)
    monkeypatch.setattr(patches, "_GROUP", 3 * patches._numbers(x.shape, geometry))  # three groups, one filled up
    parts = jax.jit(jax.value_and_grad(lambda atoms: everything(atoms), has_aux=True))(atoms)
    for one, other in zip(jax.tree.leaves(whole), jax.tree.leaves(parts), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-12, atol=1e-12)


def test_windows_of_large_atoms_stay_within_what_is_counted():
    """Compiled, not run: 200 images whose windows take 0.23 GB each."""
    geometry, size = Geometry((50, 50), (1, 1), (25, 25)), (64, 64)
    shapes = (200, 1, *size), (8, 1, 50, 50), (200, 8, *geometry.code_shape(size))
    x, atoms, z = (jax.ShapeDtypeStruct(shape, jnp.float64) for shape in shapes)
    counted = patches.workspace(*shapes[:2], geometry)
    assert counted < 0.6e9
    for product in (
        lambda x, atoms, z: patches.analysis(x, atoms, geometry, True),
        lambda x, atoms, z: patches.synthesis(z, atoms, geometry, size, True),
        jax.grad(lambda x, atoms, z: jnp.sum(patches.analysis(x, atoms, geometry, True) ** 2 * z), argnums=1),
        jax.grad(lambda x, atoms, z: jnp.sum(patches.synthesis(z, atoms, geometry, size, True) ** 2 * x), argnums=1),
    ):
        taken: Any = jax.jit(product).lower(x, atoms, z).compile().memory_analysis()
        assert taken.temp_size_in_bytes < counted + 3 * 8 * np.prod(shapes[2])


NETWORK = csc.ConvTranscriber((1, 40, 40), 1, channels=(1,), kernel=9, stride=1, padding=0, key=0)


@pytest.mark.parametrize(
    "call",
    [
        lambda atoms, x: csc.learn_dictionary(x, 1, 9, sparsity=1.0, start=atoms, max_alternations=0),
        lambda atoms, x: csc.solve(atoms, x, sparsity=1.0, max_steps=0, max_newton_steps=0),
        lambda atoms, x: csc.iterate(atoms, x, 1, sparsity=1.0),
        lambda atoms, x: csc.stage_gaps(NETWORK, x, (1,)),
    ],
)
def test_windows_are_counted_before_work_begins(call, monkeypatch):
    """32 × 32 numbers of codes, and 81 · 32 · (32 + 41) of windows."""
    x = np.random.default_rng(0).standard_normal((1, 1, 40, 40))
    atoms = csc.ConvDictionary.random(1, 9, key=0)
    monkeypatch.setattr(memory, "available", lambda: 8 * 50 * 32**2)
    with pytest.raises(InputError, match=r"^images: needs 0.0016\d* GB, and 0.00041 GB of memory are available; pass fewer"):
        call(atoms, x)
