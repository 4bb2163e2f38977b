"""Masked autoencoders: CRATE-MAE, its tied form as derived, and the MAE."""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from mcr2_landscape.validation import InputError, check_shape, positive_integer
from mcr2_landscape.whitebox import initialization as start
from mcr2_landscape.whitebox.architecture import Architecture
from mcr2_landscape.whitebox.halves import Norm, add_bias
from mcr2_landscape.whitebox.layers import DecoderLayer, Layer, Trace, decoder_layers, encoder_layers, inverse_of, run, trace
from mcr2_landscape.whitebox.network import Features, check_key, fixed_positions, initial_positions
from mcr2_landscape.whitebox.patches import (
    PatchEmbedding,
    add_positions,
    check_images,
    patchify,
    unpatchify,
    with_class_token,
)

_VARIANCE = 1e-6  # added to a patch's variance before targets are divided by its root


class Masking(NamedTuple):
    """Which patches are hidden: `masked`, (…, N); `visible`, the places of the others in the order of the noise, (…, M)."""

    masked: Bool[Array, "*b n"]
    visible: Int[Array, "*b m"]


class Completion(NamedTuple):
    """What an autoencoder predicts: `patches` (…, N, P²C), normalized if its targets are, and the `masking`."""

    patches: Array
    masking: Masking


def masking_of(noise: Float[Array, "*b n"], num_visible: int) -> Masking:
    """The masking that keeps the `num_visible` patches of least noise."""
    order = jnp.argsort(noise, axis=-1)
    masked = jnp.argsort(order, axis=-1) >= num_visible
    return Masking(masked, order[..., :num_visible])


class MaskedAutoencoder(eqx.Module):
    """An autoencoder that completes images of which most patches are hidden.

    With `mask_tokens` "encoder" (CRATE-MAE) a learned token takes the place of every masked patch, and the encoder sees all
    tokens at the decoder's positions; with "decoder" (MAE) the encoder sees the visible patches alone, and mask tokens join
    them on their way to the decoder. The loss looks at masked patches only.

    Every method takes one image (C, H, W) or a batch (…, C, H, W). What is masked follows from `key`, or is given.

    **Arguments:** `architecture`, with a `decoder`; `key`; `dtype` of the parameters; `unroll`: layers that are compiled in a
    row.

    **Raises:** `InputError` for an architecture without a decoder.
    """

    embedding: PatchEmbedding
    class_token: Float[Array, "1 d"]
    positions: Float[Array, "n d"] | None
    layers: Layer
    norm: Norm
    decoder_embedding: Float[Array, "d e"] | None
    decoder_embedding_bias: Float[Array, " e"] | None
    mask_token: Float[Array, "1 e"]
    decoder_positions: Float[Array, "n e"]
    decoder_layers: DecoderLayer | Layer
    decoder_norm: Norm
    prediction: Float[Array, "e q"]
    prediction_bias: Float[Array, " q"]
    architecture: Architecture = eqx.field(static=True)
    unroll: int = eqx.field(static=True)

    def __init__(self, architecture: Architecture, *, key: Any, dtype: Any = jnp.float32, unroll: int = 1):
        a = architecture
        if not a.is_autoencoder:
            raise InputError('decoder: found "none"; pass decoder="crate", "tied" or "transformer", or make a Crate')
        check_key(key)
        assert a.decoder_dim is not None
        assert a.decoder_depth is not None
        keys, scheme, wide = jax.random.split(key, 11), a.initialization, a.decoder_dim
        self.embedding = PatchEmbedding.initial(a, keys[0], dtype)
        self.class_token = start.tokens(keys[1], 1, a.dim, scheme, dtype, small=True)
        self.layers = encoder_layers(a, a.dim, a.heads, a.depth, keys[2], dtype)
        self.norm = Norm.initial(a.dim, "layer", a.final_norm_epsilon, dtype)
        self.positions = self.decoder_embedding = self.decoder_embedding_bias = None
        if a.mask_tokens == "decoder" or a.unused_parameters:
            self.positions = initial_positions(a, a.dim, keys[3], dtype)
            self.decoder_embedding = start.linear(keys[4], a.dim, wide, scheme, dtype)
            self.decoder_embedding_bias = start.bias(keys[5], a.dim, wide, scheme, dtype)
        self.mask_token = start.tokens(keys[6], 1, wide, scheme, dtype)
        self.decoder_positions = initial_positions(a, wide, keys[7], dtype)
        self.decoder_layers = decoder_layers(a, keys[8], dtype)
        self.decoder_norm = Norm.initial(wide, "layer", a.final_norm_epsilon, dtype)
        self.prediction = start.linear(keys[9], wide, a.patch_dim, scheme, dtype)
        self.prediction_bias = start.bias(keys[10], wide, a.patch_dim, scheme, dtype)
        self.architecture, self.unroll = a, positive_integer("unroll", unroll)

    def __call__(
        self, images: Float[Array, "*b c h w"], *, key: Any = None, masking: Masking | None = None
    ) -> tuple[Array, Completion]:
        """The mean loss over the masked patches of all images, and the completion.

        **Raises:** `InputError` unless either `key` or `masking` is given.
        """
        completion = self.complete(images, key=key, masking=masking)
        found, wanted = (_fine(part) for part in (completion.patches, self.targets(images)))
        errors = jnp.mean(jnp.square(found - wanted), axis=-1)
        masked = completion.masking.masked.astype(errors.dtype)
        return jnp.sum(errors * masked) / jnp.sum(masked), completion

    def loss(self, images: Float[Array, "*b c h w"], *, key: Any = None, masking: Masking | None = None) -> Float[Array, ""]:
        """The mean squared error over masked patches. **Raises:** as a call does."""
        return self(images, key=key, masking=masking)[0]

    def complete(self, images: Float[Array, "*b c h w"], *, key: Any = None, masking: Masking | None = None) -> Completion:
        """All patches as predicted from the visible ones. **Raises:** as a call does."""
        masking = self._masking(jnp.shape(images)[:-3], key, masking)
        return Completion(self.decode(self.encode(images, masking), masking), masking)

    def mask(self, key: Any, batch: tuple[int, ...] = ()) -> Masking:
        """A random masking of each image of a batch: the patches of least uniform noise stay visible."""
        check_key(key)
        # Not in bfloat16: of few levels many noises are equal, and ties would go to the first patches.
        real = jnp.float64 if self.mask_token.dtype == jnp.float64 else jnp.float32
        noise = jax.random.uniform(key, (*batch, self.architecture.num_patches), real)
        return masking_of(noise, self.architecture.num_visible)

    def targets(self, images: Float[Array, "*b c h w"]) -> Float[Array, "*b n q"]:
        """The patches that the loss compares with; with `normalized_targets` each at mean 0 and (unbiased) variance 1."""
        patches = patchify(check_images(images, self.architecture, self.mask_token.dtype), self.architecture.patch)
        if not self.architecture.normalized_targets:
            return patches
        centered = patches - jnp.mean(patches, axis=-1, keepdims=True)
        return centered / jnp.sqrt(jnp.var(patches, axis=-1, keepdims=True, ddof=1) + _VARIANCE)

    def embed(self, images: Float[Array, "*b c h w"], masking: Masking | None = None) -> Float[Array, "*b m d"]:
        """The tokens that enter the encoder, the class token first; without a masking those of the whole image."""
        a = self.architecture
        images = check_images(images, a, self.mask_token.dtype)
        tokens = self.embedding(patchify(images, a.patch))
        if a.mask_tokens == "encoder":
            if masking is not None:
                hidden = jnp.broadcast_to(self.mask_token, tokens.shape)
                tokens = jnp.where(jnp.broadcast_to(masking.masked[..., None], tokens.shape), hidden, tokens)
            return add_positions(with_class_token(self.class_token, tokens), fixed_positions(self.decoder_positions, a))
        assert self.positions is not None
        positions = fixed_positions(self.positions, a)
        tokens = add_positions(tokens, positions[1:])
        if masking is not None:
            tokens = jnp.take_along_axis(tokens, masking.visible[..., None], axis=-2)
        return with_class_token(self.class_token + positions[:1], tokens)

    def encode(self, images: Float[Array, "*b c h w"], masking: Masking | None = None) -> Float[Array, "*b m d"]:
        """The normalized tokens that leave the encoder, the class token first."""
        return self.norm(run(self.layers, self.embed(images, masking), self.architecture.depth, self.unroll))

    def decode(self, tokens: Float[Array, "*b m d"], masking: Masking | None = None) -> Float[Array, "*b n q"]:
        """The patches that the encoder's tokens stand for."""
        a, layers = self.architecture, self.decoder_layers
        assert a.decoder_depth is not None
        if a.mask_tokens == "decoder":
            tokens = add_positions(self._unmask(tokens, masking), fixed_positions(self.decoder_positions, a))
        if a.decoder == "tied":
            assert isinstance(layers, DecoderLayer)
            layers = inverse_of(self.layers, layers)
        tokens = self.decoder_norm(run(layers, tokens, a.decoder_depth, self.unroll))
        return add_bias(jnp.matmul(tokens[..., 1:, :], self.prediction), self.prediction_bias)

    def features(self, images: Float[Array, "*b c h w"]) -> Features:
        """What leaves the last layer of the encoder for whole images, before the norm that follows it."""
        tokens = run(self.layers, self.embed(images), self.architecture.depth, self.unroll)
        return Features(tokens[..., 0, :], tokens[..., 1:, :])

    def trace(self, images: Float[Array, "*b c h w"], masking: Masking | None = None) -> Trace:
        """What happens in every layer of the encoder; the leading axis of each part runs over layers."""
        return trace(self.layers, self.embed(images, masking), self.architecture.depth, self.unroll)

    def pictures(self, patches: Float[Array, "*b n q"]) -> Float[Array, "*b c h w"]:
        """The images of predicted patches."""
        return unpatchify(patches, self.architecture.grid, self.architecture.patch)

    def _unmask(self, tokens: Array, masking: Masking | None) -> Array:
        assert self.decoder_embedding is not None
        tokens = add_bias(jnp.matmul(tokens, self.decoder_embedding), self.decoder_embedding_bias)
        if masking is None:
            return tokens
        # The j-th visible patch sits at its own place: the rank of its noise is j.
        *batch, _, dim = tokens.shape
        count = self.architecture.num_patches
        hidden = jnp.broadcast_to(self.mask_token, (*batch, count, dim))
        places = jnp.broadcast_to(masking.visible[..., None], (*batch, masking.visible.shape[-1], dim))
        patches = jnp.put_along_axis(hidden, places, tokens[..., 1:, :], axis=-2, inplace=False)
        return jnp.concatenate([tokens[..., :1, :], patches], axis=-2)

    def _masking(self, batch: tuple[int, ...], key: Any, masking: Masking | None) -> Masking:
        if (key is None) == (masking is None):
            raise InputError("key: pass either a key, from which the masking is drawn, or masking, and not both")
        if masking is None:
            return self.mask(key, batch)
        check_shape("masking.masked", masking.masked.shape, (*batch, self.architecture.num_patches))
        check_shape("masking.visible", masking.visible.shape, (*batch, self.architecture.num_visible))
        return masking


def _fine(array: Array) -> Array:
    """At least float32: sums of many squares in less lose what training is after."""
    return array.astype(jnp.float32) if jnp.finfo(array.dtype).bits < 32 else array
