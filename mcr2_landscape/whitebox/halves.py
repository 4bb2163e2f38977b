"""The halves of a layer: norms, attention over tokens, and sparsification of each token. Tokens are rows, (…, N, d)."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mcr2_landscape.whitebox import initialization as start
from mcr2_landscape.whitebox.architecture import Architecture
from mcr2_landscape.whitebox.attention import attend, attention_weights


class Norm(eqx.Module):
    """Layer norm, root-mean-square norm (no `shift`), or nothing (neither), of each token."""

    scale: Float[Array, " d"] | None
    shift: Float[Array, " d"] | None
    epsilon: float = eqx.field(static=True)

    @classmethod
    def initial(cls, dim: int, kind: str, epsilon: float, dtype: Any) -> Norm:
        """Scale 1 and shift 0."""
        scale = None if kind == "none" else jnp.ones(dim, dtype)
        return cls(scale, jnp.zeros(dim, dtype) if kind == "layer" else None, epsilon)

    def __call__(self, tokens: Float[Array, "*b d"]) -> Float[Array, "*b d"]:
        """The normalized tokens."""
        if self.scale is None:
            return tokens
        if self.shift is not None:
            tokens = tokens - jnp.mean(tokens, axis=-1, keepdims=True)
        factor = jax.lax.rsqrt(jnp.mean(jnp.square(tokens), axis=-1, keepdims=True) + self.epsilon)
        tokens = tokens * factor * along_last(self.scale, tokens)
        return tokens if self.shift is None else tokens + along_last(self.shift, tokens)


class Attended(NamedTuple):
    """What attention gives, what its heads see, (…, K, N, p): projections (mssa) or keys (mhsa), and how much the class
    token attends to each patch, (…, K, N - 1)."""

    output: Array
    projections: Array
    class_attention: Array


class SubspaceAttention(eqx.Module):
    """MSSA: softmax attention of the tokens' projections on each of K subspaces, whose queries, keys and values are one.

    **Fields:** `subspaces` [U_1, …, U_K]; `output`, the map back (`None`: [U_1, …, U_K]ᵀ), with `bias`; `scale` multiplies it.
    """

    subspaces: Float[Array, "d k"]
    output: Float[Array, "k d"] | None
    bias: Float[Array, " d"] | None
    heads: int = eqx.field(static=True)
    temperature: float = eqx.field(static=True)
    scale: float = eqx.field(static=True)

    @classmethod
    def initial(cls, architecture: Architecture, dim: int, heads: int, key: Any, dtype: Any) -> SubspaceAttention:
        """Random subspaces and maps."""
        a, head_dim, scheme = architecture, _head_dim(architecture, dim, heads), architecture.initialization
        inner, (first, second, third) = heads * head_dim, jax.random.split(key, 3)
        subspaces = start.subspaces(first, dim, heads, head_dim, scheme, a.orthonormal_subspaces, dtype)
        output = start.linear(second, inner, dim, scheme, dtype) if a.output == "free" else None
        bias = start.bias(third, inner, dim, scheme, dtype) if a.output_bias else None
        return cls(subspaces, output, bias, heads, _temperature(a, head_dim), a.output_scale)

    def projections(self, tokens: Float[Array, "*b n d"]) -> Float[Array, "*b h n p"]:
        """U_kᵀ z of every token z, for each subspace."""
        return _split(jnp.matmul(tokens, self.subspaces), self.heads)

    def __call__(self, tokens: Float[Array, "*b n d"]) -> Float[Array, "*b n d"]:
        """MSSA of normalized tokens."""
        return self._merge(self.projections(tokens))

    def trace(self, tokens: Float[Array, "*b n d"]) -> Attended:
        """MSSA, the projections and the class token's attention."""
        projections = self.projections(tokens)
        return Attended(self._merge(projections), projections, _of_class(projections, projections, self.temperature))

    def _merge(self, projections: Array) -> Array:
        joined = _join(attend(projections, projections, projections, self.temperature))
        return _back(joined, self.subspaces.T if self.output is None else self.output, self.bias, self.scale)


class SelfAttention(eqx.Module):
    """The transformer's attention, with queries, keys and values of their own (`qkv`, side by side)."""

    qkv: Float[Array, "d k3"]
    qkv_bias: Float[Array, " k3"] | None
    output: Float[Array, "k d"]
    bias: Float[Array, " d"] | None
    heads: int = eqx.field(static=True)
    temperature: float = eqx.field(static=True)
    scale: float = eqx.field(static=True)

    @classmethod
    def initial(cls, architecture: Architecture, dim: int, heads: int, key: Any, dtype: Any) -> SelfAttention:
        """Random maps."""
        a, head_dim, scheme = architecture, _head_dim(architecture, dim, heads), architecture.initialization
        inner, keys = heads * head_dim, jax.random.split(key, 6)
        if a.orthonormal_subspaces:
            parts = [start.subspaces(part, dim, heads, head_dim, scheme, True, dtype) for part in keys[3:]]
            qkv = jnp.concatenate(parts, axis=1)
        else:
            qkv = start.linear(keys[0], dim, 3 * inner, scheme, dtype)
        qkv_bias = start.bias(keys[1], dim, 3 * inner, scheme, dtype) if a.qkv_bias else None
        out, out_bias = jax.random.split(keys[2])
        output = start.linear(out, inner, dim, scheme, dtype)
        bias = start.bias(out_bias, inner, dim, scheme, dtype) if a.output_bias else None
        return cls(qkv, qkv_bias, output, bias, heads, _temperature(a, head_dim), a.output_scale)

    def __call__(self, tokens: Float[Array, "*b n d"]) -> Float[Array, "*b n d"]:
        """Attention of normalized tokens."""
        queries, keys, values = self._parts(tokens)
        return self._merge(queries, keys, values)

    def trace(self, tokens: Float[Array, "*b n d"]) -> Attended:
        """Attention, the keys and the class token's attention."""
        queries, keys, values = self._parts(tokens)
        return Attended(self._merge(queries, keys, values), keys, _of_class(queries, keys, self.temperature))

    def _parts(self, tokens: Array) -> tuple[Array, Array, Array]:
        joined = add_bias(jnp.matmul(tokens, self.qkv), self.qkv_bias)
        queries, keys, values = (_split(part, self.heads) for part in jnp.split(joined, 3, axis=-1))
        return queries, keys, values

    def _merge(self, queries: Array, keys: Array, values: Array) -> Array:
        return _back(_join(attend(queries, keys, values, self.temperature)), self.output, self.bias, self.scale)


class Sparsification(eqx.Module):
    """Steps of proximal gradient descent on λ‖a‖₁ + ½‖x − D a‖² for each token x.

    **Fields:** `dictionary` D, atoms as columns; `decoding`, the matrix that maps codes back to tokens (`None` where the code
    is the result, ISTA, or where it is D itself: `decodes` says which); `iterations` from a = 0 where it decodes, one from
    a = x where it does not; `soft`: codes may be negative.
    """

    dictionary: Float[Array, "d m"]
    decoding: Float[Array, "d m"] | None
    decodes: bool = eqx.field(static=True)
    iterations: int = eqx.field(static=True)
    soft: bool = eqx.field(static=True)

    @classmethod
    def initial(cls, architecture: Architecture, dim: int, key: Any, dtype: Any) -> Sparsification:
        """Random dictionaries."""
        a, (first, second) = architecture, jax.random.split(key)
        atoms = dim if a.sparsification == "ista" else a.ratio * dim
        dictionary, decoding = (
            start.dictionary(part, dim, atoms, a.initialization, a.orthonormal_dictionary, dtype) for part in (first, second)
        )
        decodes = a.sparsification == "odl"
        soft = a.threshold == "soft"
        return cls(dictionary, decoding if decodes and a.decoupled else None, decodes, a.iterations if decodes else 1, soft)

    def codes(self, tokens: Float[Array, "*b d"], step: Any, sparsity: Any) -> Float[Array, "*b m"]:
        """The codes of tokens: A_1 from a = x (ISTA), or A_T from a = 0 (ODL)."""
        if not self.decodes:
            return self._step(tokens, tokens, step, sparsity)
        codes = self._shrink(step * jnp.matmul(tokens, self.dictionary), step * sparsity)
        for _ in range(self.iterations - 1):
            codes = self._step(codes, tokens, step, sparsity)
        return codes

    def decode(self, codes: Float[Array, "*b m"]) -> Float[Array, "*b d"]:
        """The tokens that codes stand for."""
        if not self.decodes:
            return codes
        return jnp.matmul(codes, (self.dictionary if self.decoding is None else self.decoding).T)

    def _step(self, codes: Array, tokens: Array, step: Any, sparsity: Any) -> Array:
        # Dᵀ of the residual: one product less than Dᵀx and DᵀDa on their own.
        residual = tokens - jnp.matmul(codes, self.dictionary.T)
        return self._shrink(codes + step * jnp.matmul(residual, self.dictionary), step * sparsity)

    def _shrink(self, codes: Array, threshold: Any) -> Array:
        if self.soft:
            return jnp.sign(codes) * jax.nn.relu(jnp.abs(codes) - threshold)
        return jax.nn.relu(codes - threshold)


class Perceptron(eqx.Module):
    """The transformer's second half: one hidden layer with GELU."""

    first: Float[Array, "d m"]
    first_bias: Float[Array, " m"]
    second: Float[Array, "m d"]
    second_bias: Float[Array, " d"]

    @classmethod
    def initial(cls, architecture: Architecture, dim: int, key: Any, dtype: Any) -> Perceptron:
        """Random maps."""
        hidden, scheme, keys = architecture.ratio * dim, architecture.initialization, jax.random.split(key, 4)
        return cls(
            start.linear(keys[0], dim, hidden, scheme, dtype),
            start.bias(keys[1], dim, hidden, scheme, dtype),
            start.linear(keys[2], hidden, dim, scheme, dtype),
            start.bias(keys[3], hidden, dim, scheme, dtype),
        )

    def codes(self, tokens: Float[Array, "*b d"]) -> Float[Array, "*b m"]:
        """The hidden units."""
        return jax.nn.gelu(add_bias(jnp.matmul(tokens, self.first), self.first_bias), approximate=False)

    def decode(self, codes: Float[Array, "*b m"]) -> Float[Array, "*b d"]:
        """The output of hidden units."""
        return add_bias(jnp.matmul(codes, self.second), self.second_bias)


def along_last(vector: Float[Array, " d"], tokens: Array) -> Array:
    """A vector with as many axes as the tokens, along their last."""
    return jnp.reshape(vector, (1,) * (tokens.ndim - 1) + vector.shape)


def add_bias(tokens: Array, bias: Float[Array, " d"] | None) -> Array:
    """Tokens plus a bias, if there is one."""
    return tokens if bias is None else tokens + along_last(bias, tokens)


def _head_dim(architecture: Architecture, dim: int, heads: int) -> int:
    same = (dim, heads) == (architecture.dim, architecture.heads)
    return (architecture.head_dim or 0) if same else dim // heads


def _temperature(architecture: Architecture, head_dim: int) -> float:
    return math.sqrt(head_dim) if architecture.temperature is None else architecture.temperature


def _split(joined: Array, heads: int) -> Array:
    split = jnp.reshape(joined, (*joined.shape[:-1], heads, joined.shape[-1] // heads))
    return jnp.swapaxes(split, -2, -3)


def _join(split: Array) -> Array:
    joined = jnp.swapaxes(split, -2, -3)
    return jnp.reshape(joined, (*joined.shape[:-2], joined.shape[-2] * joined.shape[-1]))


def _back(joined: Array, output: Array, bias: Any, scale: float) -> Array:
    mapped = add_bias(jnp.matmul(joined, output), bias)
    return mapped if scale == 1 else scale * mapped


def _of_class(queries: Array, keys: Array, temperature: float) -> Array:
    return attention_weights(queries[..., :1, :], keys, temperature)[..., 0, 1:]
