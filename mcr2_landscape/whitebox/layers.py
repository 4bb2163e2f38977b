"""Layers of white-box transformers, stacked along a leading axis and run one after another."""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mcr2_landscape.whitebox import initialization as start
from mcr2_landscape.whitebox.architecture import Architecture
from mcr2_landscape.whitebox.halves import Norm, Perceptron, SelfAttention, Sparsification, SubspaceAttention


class Trace(NamedTuple):
    """What happens in every layer; the leading axis runs over layers (of one layer: without it).

    **Fields:** `tokens` before the layer, (…, N, d); `attended`, after its attention half; `outputs`, after it; `projections`
    U_kᵀ norm(z) as its heads see them (keys for "mhsa"), (…, K, N, p), and `class_attention`, how much the class token
    attends to each patch, (…, K, N − 1), its attention to itself left out: both `None` without attention; `codes`: the output
    (ISTA), A_T (ODL), the hidden units (MLP), (…, N, m), `None` without sparsification.
    """

    tokens: Array
    attended: Array
    outputs: Array
    projections: Array | None
    class_attention: Array | None
    codes: Array | None


class Layer(eqx.Module):
    """One layer, or several of equal shape, stacked.

    **Fields:** the two norms and halves (`None`: left out); `steps`: s, η, λ as learned (`None`: not learned, or of no use),
    and `numbers`, as fixed; `first_order`: Z's coefficient is 1 − s; `residual`: the second half is added to the tokens.
    """

    first_norm: Norm
    attention: SubspaceAttention | SelfAttention | None
    second_norm: Norm
    sparsification: Sparsification | Perceptron | None
    steps: tuple[Float[Array, "*l"] | None, ...]
    numbers: tuple[float, float, float] = eqx.field(static=True)
    first_order: bool = eqx.field(static=True)
    residual: bool = eqx.field(static=True)

    def __call__(self, tokens: Float[Array, "*b n d"]) -> Float[Array, "*b n d"]:
        """The tokens after the layer."""
        step, *_ = self._steps()
        if self.attention is None:
            return self._outputs(tokens, self._codes(tokens))
        attended = _move(tokens, self.attention(self.first_norm(tokens)), step, self.first_order)
        return self._outputs(attended, self._codes(attended))

    def trace(self, tokens: Float[Array, "*b n d"]) -> Trace:
        """All that happens in the layer."""
        step, *_ = self._steps()
        attended, projections, class_attention = tokens, None, None
        if self.attention is not None:
            found = self.attention.trace(self.first_norm(tokens))
            attended = _move(tokens, found.output, step, self.first_order)
            projections, class_attention = found.projections, found.class_attention
        codes = self._codes(attended)
        return Trace(tokens, attended, self._outputs(attended, codes), projections, class_attention, codes)

    def _steps(self) -> tuple[Any, Any, Any]:
        step, *others = (
            number if learned is None else learned for learned, number in zip(self.steps, self.numbers, strict=True)
        )
        return step, others[0], others[1]

    def _codes(self, attended: Array) -> Array | None:
        if self.sparsification is None:
            return None
        tokens = self.second_norm(attended)
        if isinstance(self.sparsification, Perceptron):
            return self.sparsification.codes(tokens)
        return self.sparsification.codes(tokens, *self._steps()[1:])

    def _outputs(self, attended: Array, codes: Array | None) -> Array:
        if self.sparsification is None or codes is None:
            return attended
        outputs = self.sparsification.decode(codes)
        return attended + outputs if self.residual else outputs


class DecoderLayer(eqx.Module):
    """One layer of a white-box decoder, or several: Y = E norm(Z), then Y − s·MSSA(norm(Y)), with E a matrix; with
    `first_order` Y's coefficient is 1 + s. `dictionary` and `attention` are `None` where they are the encoder's."""

    first_norm: Norm
    dictionary: Float[Array, "*l d d"] | None
    second_norm: Norm
    attention: SubspaceAttention | None
    step: Float[Array, "*l"] | None
    number: float = eqx.field(static=True)
    first_order: bool = eqx.field(static=True)

    def __call__(self, tokens: Float[Array, "*b n d"]) -> Float[Array, "*b n d"]:
        """The tokens after the layer."""
        assert self.dictionary is not None
        assert self.attention is not None
        step = self.number if self.step is None else self.step
        decoded = jnp.matmul(self.first_norm(tokens), self.dictionary.T)
        return _move(decoded, self.attention(self.second_norm(decoded)), -step, self.first_order)


def encoder_layers(architecture: Architecture, dim: int, heads: int, depth: int, key: Any, dtype: Any) -> Layer:
    """`depth` random layers, stacked."""
    a = architecture

    def layer(key: Any) -> Layer:
        first, second = jax.random.split(key)
        kind = a.normalization
        attention = sparsification = None
        if a.attention != "none":
            attention = (SubspaceAttention if a.attention == "mssa" else SelfAttention).initial(a, dim, heads, first, dtype)
        if a.sparsification == "mlp":
            sparsification = Perceptron.initial(a, dim, second, dtype)
        elif a.sparsification != "none":
            sparsification = Sparsification.initial(a, dim, second, dtype)
        norms = [
            Norm.initial(dim, kind if half is not None else "none", a.norm_epsilon, dtype)
            for half in (attention, sparsification)
        ]
        numbers = (a.compression_step, a.sparsification_step, a.sparsity)
        residual = a.sparsification == "mlp" or (a.sparsification == "odl" and a.residual)
        proximal = isinstance(sparsification, Sparsification)
        used = (attention is not None, proximal, proximal)
        steps = tuple(
            jnp.asarray(number, dtype) if use and a.steps == "learned" else None
            for number, use in zip(numbers, used, strict=True)
        )
        return Layer(norms[0], attention, norms[1], sparsification, steps, numbers, a.first_order, residual)

    return eqx.filter_vmap(layer)(jax.random.split(key, depth))


def decoder_layers(architecture: Architecture, key: Any, dtype: Any) -> DecoderLayer | Layer:
    """The random layers of a decoder, stacked."""
    a = architecture
    assert a.decoder_dim is not None
    assert a.decoder_heads is not None
    assert a.decoder_depth is not None
    if a.decoder == "transformer":
        plain = a.replace(attention="mhsa", output="free", output_scale=1.0, sparsification="mlp", steps="fixed")
        plain = plain.replace(first_order=False, compression_step=1.0)
        return encoder_layers(plain, a.decoder_dim, a.decoder_heads, a.decoder_depth, key, dtype)
    dim, heads, tied = a.decoder_dim, a.decoder_heads, a.decoder == "tied"

    def layer(key: Any) -> DecoderLayer:
        first, second = jax.random.split(key)
        norms = [Norm.initial(dim, a.normalization, a.norm_epsilon, dtype) for _ in range(2)]
        dictionary = attention = step = None
        if not tied:
            dictionary = start.dictionary(first, dim, dim, a.initialization, a.orthonormal_dictionary, dtype)
            attention = SubspaceAttention.initial(a, dim, heads, second, dtype)
            step = jnp.asarray(a.compression_step, dtype) if a.steps == "learned" else None
        return DecoderLayer(norms[0], dictionary, norms[1], attention, step, a.compression_step, a.first_order)

    return eqx.filter_vmap(layer)(jax.random.split(key, a.decoder_depth))


def inverse_of(encoder: Layer, decoder: DecoderLayer) -> DecoderLayer:
    """A tied decoder with the encoder's attention, dictionaries and steps, the last layer's first."""
    assert isinstance(encoder.attention, SubspaceAttention)
    assert isinstance(encoder.sparsification, Sparsification)
    attention, dictionary, step = jax.tree.map(
        lambda leaf: leaf[::-1], (encoder.attention, encoder.sparsification.dictionary, encoder.steps[0])
    )
    return DecoderLayer(
        decoder.first_norm, dictionary, decoder.second_norm, attention, step, decoder.number, decoder.first_order
    )


def run(layers: Layer | DecoderLayer, tokens: Array, depth: int, unroll: int) -> Array:
    """Tokens through stacked layers."""
    arrays, static = eqx.partition(layers, eqx.is_array)
    return jax.lax.scan(lambda z, each: (eqx.combine(each, static)(z), None), tokens, arrays, depth, unroll=unroll)[0]


def trace(layers: Layer, tokens: Array, depth: int, unroll: int) -> Trace:
    """What happens to tokens in each of the stacked layers."""
    arrays, static = eqx.partition(layers, eqx.is_array)

    def step(tokens: Array, each: Any) -> tuple[Array, Trace]:
        found = eqx.combine(each, static).trace(tokens)
        return found.outputs, found

    return jax.lax.scan(step, tokens, arrays, depth, unroll=unroll)[1]


def _move(tokens: Array, direction: Array, step: Any, first_order: bool) -> Array:
    """Z + s·A, or (1 − s) Z + s·A."""
    if isinstance(step, float) and abs(step) == 1 and not first_order:
        return tokens + direction if step == 1 else tokens - direction
    return (1 - step) * tokens + step * direction if first_order else tokens + step * direction
