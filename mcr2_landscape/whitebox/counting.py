"""How many parameters a network has, and networks to compare it with."""

from __future__ import annotations

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from mcr2_landscape.validation import InputError
from mcr2_landscape.whitebox.architecture import Architecture
from mcr2_landscape.whitebox.network import build

_KEPT = ("dim", "depth", "heads", "head_dim", "image_size", "patch", "channels", "num_classes")
_KEPT_BY_AUTOENCODERS = ("decoder_depth", "decoder_dim", "decoder_heads", "mask_ratio", "normalized_targets")


def count_parameters(model: Any) -> int:
    """The number of parameters of a model or of an `Architecture` (whose network is not built, so that none is too large).

    Fixed positions are counted, and so are parameters that the published code holds and never uses (`unused_parameters`):
    published counts do.

    **Raises:** `InputError` for an object without parameters.
    """
    if isinstance(model, Architecture):
        # The shapes alone: nothing is drawn and no memory taken.
        model = eqx.filter_eval_shape(lambda: build(model, key=jax.random.key(0)))
    leaves = [leaf for leaf in jax.tree.leaves(model) if hasattr(leaf, "shape") and hasattr(leaf, "dtype")]
    if not leaves:
        raise InputError(f"model: found {type(model).__name__} without parameters; pass a network or an Architecture")
    return sum(math.prod(leaf.shape) for leaf in leaves if jnp.issubdtype(leaf.dtype, jnp.inexact))


def twin(architecture: Architecture, **switches: Any) -> Architecture:
    """The transformer of equal width, depth, heads, patches and classes: a ViT, or for an autoencoder an MAE, whose decoder has
    the same depth, width and heads as the given one's. `switches` go on top.

    **Raises:** `InputError` for switches that do not fit.
    """
    kept = _KEPT + (_KEPT_BY_AUTOENCODERS if architecture.is_autoencoder else ())
    settings = {name: getattr(architecture, name) for name in kept}
    family = "vit-mae" if architecture.is_autoencoder else "vit"
    return Architecture.published(**{**settings, **switches}, family=family)


def equal_parameters(architecture: Architecture, **switches: Any) -> Architecture:
    """The twin whose width, a multiple of its heads (and of four with fixed positions), brings it as near as possible to the
    parameters of `architecture`. Its heads share the whole width, whatever those of `architecture` do.

    **Raises:** `InputError` for switches that do not fit.
    """
    if "dim" in switches:
        raise InputError("dim: the width is what is looked for; leave it out, or call twin")
    wanted, same = count_parameters(architecture), twin(architecture, **switches)
    step = same.heads
    if same.is_autoencoder:
        step = math.lcm(step, same.decoder_heads or 1)
    if same.positions == "sincos":
        step = math.lcm(step, 4)

    def widened(steps: int) -> Architecture:
        width = {"dim": steps * step, "head_dim": None} | ({"decoder_dim": steps * step} if same.is_autoencoder else {})
        return same.replace(**width)

    low, high = 1, 2
    while count_parameters(widened(high)) < wanted:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count_parameters(widened(middle)) < wanted else (low, middle)
    return min((widened(low), widened(high)), key=lambda one: abs(count_parameters(one) - wanted))
