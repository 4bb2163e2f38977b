"""An encoder of several stages of convolutional sparse coding and a decoder of as many, for closed-loop transcription.

Stage l takes what the one before it gives, at root mean square one, and makes a few proximal gradient steps from zero on

    min_c  λ‖c‖₁ + ½‖x − D_l c‖²      (c ≥ 0 but for the last stage);

the last kernel covers all that is left, so that its code is one vector, which is brought to length one. The decoder goes the
other way: c ↦ D'_l c, negative entries cut off, and brought to root mean square one; the last has a gain and an offset of each
channel instead of the cut. Since f does not know the scale of an image, all that comes back has root mean square one too.

Source: Dai et al., *Closed-Loop Transcription via Convolutional Sparse Coding* (2023), as recalled; the layer is that of the
public SDNet code, with the scale of a sample's own code where that has batch normalization.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mcr2_landscape.csc.dictionary import ConvDictionary
from mcr2_landscape.csc.geometry import Geometry, pair
from mcr2_landscape.csc.iterations import check_method, on_processor, unrolled
from mcr2_landscape.csc.patches import synthesis
from mcr2_landscape.precision import traced_array
from mcr2_landscape.validation import InputError, positive_integer, positive_real

_POWER_STEPS, _SAFETY = 8, 0.9  # power iterations are a lower bound of the norm
_TINY = 1e-12


class Decoder(eqx.Module):
    """`atoms` of each stage, the last one first, or `None` for the encoder's; `gain` and `offset` of each channel."""

    atoms: tuple[jax.Array, ...] | None
    gain: jax.Array
    offset: jax.Array


class Stage(NamedTuple):
    """A stage of an encoder at work: its dictionary, the images (N, C, h, w) that it was given, the code that it made of them,
    its step size, and whether its code is nonnegative."""

    dictionary: ConvDictionary
    given: jax.Array
    code: jax.Array
    step: jax.Array
    nonnegative: bool


class ConvTranscriber(eqx.Module):
    """Encoder and decoder.

    **Arguments:** `image_shape`: (C, H, W). `dim`: d of the features. `channels`: atoms of each stage but the last; `kernel`,
    `stride`, `padding` of these stages. `sparsity`: λ; `steps`: of each stage, by `method` (see `unrolled`). `tied`: whether
    the decoder has the encoder's atoms, so that it learns its gain and offset alone. `key`: of the atoms, a JAX key or an
    integer seed.

    `encoder` are the atoms of each stage, scaled to norm one where they are used; `decoder` a `Decoder`.

    **Raises:** `InputError` for numbers out of range, sizes that are no integers, or images that are too small for so many
    stages; `encode` and `decode` for images and features of another shape.
    """

    encoder: tuple[jax.Array, ...]
    decoder: Decoder
    geometries: tuple[Geometry, ...] = eqx.field(static=True)
    sizes: tuple[tuple[int, int], ...] = eqx.field(static=True)
    sparsity: float = eqx.field(static=True)
    steps: int = eqx.field(static=True)
    method: str = eqx.field(static=True)

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        dim: int,
        *,
        channels: tuple[int, ...] = (32, 64),
        kernel: Any = 4,
        stride: Any = 2,
        padding: Any = 1,
        sparsity: float = 0.1,
        steps: int = 2,
        method: str = "fista",
        tied: bool = False,
        key: Any,
        dtype: Any = jnp.float32,
    ):
        if not _is_sequence(image_shape) or len(image_shape) != 3:
            raise InputError(f"image_shape: found {image_shape!r}; pass (channels, height, width)")
        first, *sides = (positive_integer(f"image_shape[{i}]", side) for i, side in enumerate(image_shape))
        dim = positive_integer("dim", dim)
        if not _is_sequence(channels):
            raise InputError(f"channels: found {channels!r}; pass the numbers of atoms, such as (32, 64)")
        widths = [positive_integer(f"channels[{i}]", width) for i, width in enumerate(channels)]
        if not widths:
            raise InputError("channels: found none; pass the number of atoms of one stage at least")
        if not isinstance(tied, (bool, np.bool_)):
            raise InputError(f"tied: found {tied!r}; pass True or False")
        check_method(method)
        self.sparsity, self.method = positive_real("sparsity", sparsity), method
        self.steps = positive_integer("steps", steps)
        own = Geometry(
            pair("kernel", kernel, minimum=1), pair("stride", stride, minimum=1), pair("padding", padding, minimum=0)
        )
        sizes, geometries = [(sides[0], sides[1])], []
        for _ in widths:
            sizes.append(own.code_shape(sizes[-1]))
            geometries.append(own)
        geometries.append(Geometry(sizes[-1], (1, 1), (0, 0)))
        self.geometries, self.sizes = tuple(geometries), tuple(sizes)
        shapes = list(zip([*widths, dim], [first, *widths], geometries, strict=True))
        keys = jax.random.split(_one_key(key), 2 * len(shapes))
        drawn = [
            jax.random.normal(one, (new, old, *geometry.kernel), dtype)
            for one, (new, old, geometry) in zip(keys, [*shapes, *shapes[::-1]], strict=True)
        ]
        self.encoder = tuple(map(unit, drawn[: len(shapes)]))
        atoms = None if tied else tuple(map(unit, drawn[len(shapes) :]))
        self.decoder = Decoder(atoms, jnp.ones(first, dtype), jnp.zeros(first, dtype))

    def encode(self, inputs: Float[Array, "n c height width"]) -> Float[Array, "n d"]:
        """f of each image, of length one."""
        code = self.stages(inputs)[-1].code
        return jnp.reshape(at_one(code), (code.shape[0], -1)) / math.sqrt(code.shape[1])

    def stages(self, inputs: Float[Array, "n c height width"]) -> list[Stage]:
        """What each stage of the encoder is given and makes.

        **Raises:** `InputError` for images of another shape than the network's.
        """
        code = traced_array("inputs", inputs)
        own = (self.encoder[0].shape[1], *self.sizes[0])
        if code.ndim != 4 or code.shape[1:] != own or not code.shape[0]:
            raise InputError(f"inputs: found shape {code.shape}; this network takes (images, {', '.join(map(str, own))})")
        found = []
        for place, (atoms, geometry) in enumerate(zip(self.encoder, self.geometries, strict=True)):
            dictionary = ConvDictionary.normalized(atoms, geometry.stride, geometry.padding)
            given, step = at_one(code), safe_step(dictionary.atoms, geometry.stride)
            nonnegative = place + 1 < len(self.encoder)
            code = unrolled(
                dictionary,
                given,
                self.steps,
                sparsity=self.sparsity,
                nonnegative=nonnegative,
                method=self.method,
                step=step,
            )
            found.append(Stage(dictionary, given, code, step, nonnegative))
        return found

    def decode(self, features: Float[Array, "n d"]) -> Float[Array, "n c height width"]:
        """g of each feature."""
        features, dim = traced_array("features", features), self.encoder[-1].shape[0]
        if features.ndim != 2 or features.shape[1] != dim:
            raise InputError(f"features: found shape {features.shape}; this network takes (images, {dim})")
        code = features[:, :, None, None]
        stages = self.encoder[::-1] if self.decoder.atoms is None else self.decoder.atoms
        for place, (atoms, geometry, size) in enumerate(zip(stages, self.geometries[::-1], self.sizes[::-1], strict=True)):
            atoms = ConvDictionary.normalized(atoms, geometry.stride, geometry.padding).atoms
            code = synthesis(code, atoms, geometry, size, on_processor())
            if place + 1 < len(stages):
                code = at_one(jax.nn.relu(code))
        gain, offset = (part[None, :, None, None] for part in (self.decoder.gain, self.decoder.offset))
        # f does not know the scale of an image, so that no player could learn it: it is that of standardized images.
        return at_one(code * jnp.broadcast_to(gain, code.shape) + jnp.broadcast_to(offset, code.shape))


def _is_sequence(value: Any) -> bool:
    return isinstance(value, (Sequence, np.ndarray)) and not isinstance(value, (str, bytes))


def _one_key(key: Any) -> Any:
    if isinstance(key, (int, np.integer)) and not isinstance(key, bool):
        if not 0 <= key < 2**32:
            raise InputError(f"key: found the seed {key}; pass one from 0 to 2³² − 1, or jax.random.key(seed)")
        return jax.random.key(int(key))
    dtype, shape = getattr(key, "dtype", None), getattr(key, "shape", None)
    typed = dtype is not None and jax.dtypes.issubdtype(dtype, jax.dtypes.prng_key)
    if not (typed and shape == ()) and not (dtype == jnp.uint32 and shape == (2,)):
        raise InputError(f"key: found {type(key).__name__}; pass one jax.random.key(seed) or an integer seed")
    return key


def unit(atoms: jax.Array) -> jax.Array:
    """Atoms of norm one."""
    norms = jnp.sqrt(jnp.sum(atoms**2, axis=(1, 2, 3), keepdims=True))
    return atoms / jnp.broadcast_to(norms, atoms.shape)


@partial(jax.jit, inline=True)  # one program where it is called outside of any
def at_one(code: jax.Array) -> jax.Array:
    """Each sample (N, C, h, w) divided by its root mean square; zero stays zero.

    Of samples at every scale alike, down to the least normal numbers of float32 or float64: each is divided by the power of two
    below its largest number first, which rounds nothing, so that squares neither vanish nor overflow. The gradient is that of
    the quotient, which grows as the sample becomes small, down to the root of the least normal number (1e-19 in float32), and
    as long as there for smaller ones, so that it stays finite; at zero it is that of the identity.
    """
    axes, least = (1, 2, 3), float(jnp.finfo(code.dtype).tiny)
    peak = jax.lax.stop_gradient(jnp.max(jnp.abs(code), axis=axes, keepdims=True))
    there = peak > 0
    doubled = 2 * jnp.frexp(peak)[0]  # from one to two
    power = jnp.where(there, jnp.clip(peak / jnp.where(there, doubled, 1), least, 1 / least), 1)
    gentle = jnp.maximum(power, math.sqrt(least))
    power, gentle = (jnp.broadcast_to(part, code.shape) for part in (power, gentle))
    scaled = code / gentle
    scaled = scaled + jax.lax.stop_gradient(code / power - scaled)
    size = jnp.sqrt(jnp.where(there, jnp.mean(scaled**2, axis=axes, keepdims=True), 1))
    return scaled / jnp.broadcast_to(size, code.shape)


def safe_step(atoms: jax.Array, stride: tuple[int, int] = (1, 1)) -> jax.Array:
    """Nine tenths of the inverse of an estimate of ‖D‖²: the largest of the norms of the symbol at a grid of frequencies, each
    by power iteration; with a stride, frequencies that it takes for one another are stacked. No gradient goes through it, and
    nothing certifies it (`lipschitz_bound` does, on the host)."""
    atoms = jax.lax.stop_gradient(jnp.asarray(atoms))
    (num_atoms, channels, *kernel), (down, across) = atoms.shape, stride
    rows, columns = (-(-4 * side // step) for side, step in zip(kernel, stride, strict=True))
    found = jnp.fft.fft2(atoms, s=(down * rows, across * columns))
    split = jnp.reshape(found, (num_atoms, channels, down, rows, across, columns))
    symbol = jnp.reshape(jnp.transpose(split, (3, 5, 0, 1, 2, 4)), (rows * columns, num_atoms, -1))
    start = np.random.default_rng(0).standard_normal((rows * columns, num_atoms, 1))
    vectors = jnp.asarray(start / np.linalg.norm(start, axis=1, keepdims=True), dtype=symbol.dtype)
    value = jnp.ones((rows * columns, 1, 1), dtype=atoms.dtype)
    for _ in range(_POWER_STEPS):
        image = jnp.matmul(symbol, jnp.matmul(jnp.conj(jnp.swapaxes(symbol, 1, 2)), vectors))
        value = jnp.sqrt(jnp.sum(jnp.abs(image) ** 2, axis=1, keepdims=True))
        vectors = image / jnp.broadcast_to(value + _TINY, image.shape).astype(image.dtype)
    return _SAFETY * down * across / jnp.max(value)
