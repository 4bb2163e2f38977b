"""Classifiers: CRATE, CRATE-α and their twins, the vision transformer."""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mcr2_landscape.validation import InputError, positive_integer
from mcr2_landscape.whitebox import initialization as start
from mcr2_landscape.whitebox.architecture import Architecture
from mcr2_landscape.whitebox.halves import Norm, add_bias
from mcr2_landscape.whitebox.layers import Layer, Trace, encoder_layers, run, trace
from mcr2_landscape.whitebox.names import named
from mcr2_landscape.whitebox.patches import PatchEmbedding, add_positions, check_images, patchify, with_class_token


class Features(NamedTuple):
    """What the layers make of an image: the class token, (…, d), and the tokens of its patches, (…, N, d)."""

    class_token: Array
    tokens: Array


class Crate(eqx.Module):
    """A classifier of images, whose layers are stacked and run in a loop, so that it compiles as fast at any depth.

    Every method takes one image (C, H, W) or a batch (…, C, H, W); a batch makes large products, as `jax.vmap` over single
    images does.

    **Arguments:** `architecture`, with `decoder` "none"; `key`; `dtype` of the parameters; `unroll`: layers that are compiled
    in a row.

    **Raises:** `InputError` for an architecture with a decoder.
    """

    embedding: PatchEmbedding
    class_token: Float[Array, "1 d"]
    positions: Float[Array, "n d"]
    layers: Layer
    norm: Norm
    head: Float[Array, "d c"]
    head_bias: Float[Array, " c"]
    architecture: Architecture = eqx.field(static=True)
    unroll: int = eqx.field(static=True)

    def __init__(self, architecture: Architecture, *, key: Any, dtype: Any = jnp.float32, unroll: int = 1):
        a = architecture
        if a.is_autoencoder:
            raise InputError(
                f'decoder: found "{a.decoder}"; a classifier has none: pass decoder="none", or a MaskedAutoencoder'
            )
        check_key(key)
        keys, scheme = jax.random.split(key, 6), a.initialization
        self.embedding = PatchEmbedding.initial(a, keys[0], dtype)
        self.class_token = start.tokens(keys[1], 1, a.dim, scheme, dtype, small=True)
        self.positions = initial_positions(a, a.dim, keys[2], dtype)
        self.layers = encoder_layers(a, a.dim, a.heads, a.depth, keys[3], dtype)
        self.norm = Norm.initial(a.dim, "layer", a.final_norm_epsilon, dtype)
        self.head = start.linear(keys[4], a.dim, a.num_classes, scheme, dtype)
        self.head_bias = start.bias(keys[5], a.dim, a.num_classes, scheme, dtype)
        self.architecture, self.unroll = a, positive_integer("unroll", unroll)

    @staticmethod
    def from_name(
        name: str,
        *,
        num_classes: int = 1000,
        image_size: Any = 224,
        key: Any,
        dtype: Any = jnp.float32,
        unroll: int = 1,
        **switches: Any,
    ) -> Any:
        """The network of a published name, such as "CRATE-B/16", "alpha-L/14", "mae-S/16", "ViT-S/16" or "ViT-MAE-B/16", with
        random parameters: a `Crate`, or a `MaskedAutoencoder` for names with MAE. `switches`: fields of `Architecture`.

        **Raises:** `InputError` for unknown names (the nearest one is offered), unknown switches, and sizes that do not fit.
        """
        architecture = named(name, num_classes=num_classes, image_size=image_size, **switches)
        return build(architecture, key=key, dtype=dtype, unroll=unroll)

    def __call__(self, images: Float[Array, "*b c h w"]) -> Float[Array, "*b k"]:
        """The logits."""
        return self.classify(run(self.layers, self.embed(images), self.architecture.depth, self.unroll))

    def embed(self, images: Float[Array, "*b c h w"]) -> Float[Array, "*b n d"]:
        """The tokens that enter the first layer, the class token first."""
        images = check_images(images, self.architecture, self.head.dtype)
        tokens = with_class_token(self.class_token, self.embedding(patchify(images, self.architecture.patch)))
        return add_positions(tokens, fixed_positions(self.positions, self.architecture))

    def classify(self, tokens: Float[Array, "*b n d"]) -> Float[Array, "*b k"]:
        """The logits of what leaves the last layer."""
        return add_bias(jnp.matmul(self.norm(tokens[..., 0, :]), self.head), self.head_bias)

    def features(self, images: Float[Array, "*b c h w"]) -> Features:
        """What leaves the last layer, before the norm of the head."""
        tokens = run(self.layers, self.embed(images), self.architecture.depth, self.unroll)
        return Features(tokens[..., 0, :], tokens[..., 1:, :])

    def trace(self, images: Float[Array, "*b c h w"]) -> Trace:
        """What happens in every layer; the leading axis of each part runs over layers."""
        return trace(self.layers, self.embed(images), self.architecture.depth, self.unroll)


def build(architecture: Architecture, *, key: Any, dtype: Any = jnp.float32, unroll: int = 1) -> Any:
    """The network of an architecture with random parameters: a `Crate`, or a `MaskedAutoencoder` where there is a decoder.

    **Raises:** `InputError`.
    """
    if not architecture.is_autoencoder:
        return Crate(architecture, key=key, dtype=dtype, unroll=unroll)
    from mcr2_landscape.whitebox.autoencoder import MaskedAutoencoder

    return MaskedAutoencoder(architecture, key=key, dtype=dtype, unroll=unroll)


def initial_positions(architecture: Architecture, dim: int, key: Any, dtype: Any) -> Float[Array, "n d"]:
    """Vectors of the class token's and the patches' positions: random, or sines and cosines."""
    if architecture.positions == "sincos":
        return start.sines_and_cosines(architecture.grid, dim, dtype)
    return start.tokens(key, architecture.num_patches + 1, dim, architecture.initialization, dtype)


def fixed_positions(positions: Array, architecture: Architecture) -> Array:
    """Positions, without a gradient where they are not learned."""
    return jax.lax.stop_gradient(positions) if architecture.positions == "sincos" else positions


def check_key(key: Any) -> None:
    """Refuse what is no single JAX key.

    **Raises:** `InputError`.
    """
    dtype, shape = getattr(key, "dtype", None), getattr(key, "shape", None)
    typed = dtype is not None and jax.dtypes.issubdtype(dtype, jax.dtypes.prng_key)
    if not (typed and shape == ()) and not (dtype == jnp.uint32 and shape == (2,)):
        raise InputError(f"key: found {type(key).__name__}; pass one key, such as jax.random.key(0)")
