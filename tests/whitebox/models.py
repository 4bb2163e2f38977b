"""Small networks with random parameters of every kind, made without compiling anything."""

from __future__ import annotations

import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.whitebox.architecture import Architecture
from mcr2_landscape.whitebox.network import build
from mcr2_landscape.whitebox.parameters import parameters, with_parameters

# Neither square images nor three channels: what takes one side for the other has nowhere to hide.
SHAPE = {"dim": 8, "depth": 2, "heads": 2, "image_size": (8, 12), "patch": 4, "channels": 2, "num_classes": 3}
IMAGES = (2, 2, 8, 12)


def published(family, **switches):
    return Architecture.published(family=family, **{**SHAPE, **switches})


def derived(**switches):
    return Architecture.derived(**{**SHAPE, **switches})


def random_model(architecture, seed=0, dtype: Any = np.float64, unroll=1):
    """Norms, biases and steps included: all parameters are random."""
    skeleton = _skeleton(architecture, dtype, unroll)
    rng = np.random.default_rng(seed)
    values = {
        place: jnp.asarray(
            rng.normal(0.5 if place.endswith("scale") or ".step" in place else 0.0, 0.5, leaf.shape).astype(dtype)
        )
        for place, leaf in parameters(skeleton).items()
    }
    return with_parameters(skeleton, values)


@functools.cache
def _skeleton(architecture, dtype, unroll):
    return eqx.filter_eval_shape(lambda: build(architecture, key=jax.random.key(0), dtype=dtype, unroll=unroll))


def random_images(seed=0, shape=IMAGES):
    return np.random.default_rng([seed, 1]).normal(size=shape)
