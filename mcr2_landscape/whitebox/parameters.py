"""The parameters of a network by name, and the names that published code gives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import numpy as np

from mcr2_landscape.whitebox.architecture import Architecture

Change = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Tensor:
    """Where a parameter is in the state of published code.

    **Fields:** `name`, with {l} for the layer where the parameter is stacked; `outward` and `inward`, which make of one layer's
    parameter the tensor, and back.
    """

    name: str
    outward: Change
    inward: Change

    @property
    def stacked(self) -> bool:
        """Whether every layer has a tensor of its own."""
        return "{l}" in self.name


def parameters(model: Any) -> dict[str, Any]:
    """The arrays of a model by their place in it, such as "layers.attention.subspaces"."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(eqx.filter(model, _is_array))
    return {_place(path): leaf for path, leaf in leaves}


def with_parameters(model: Any, values: Mapping[str, Any]) -> Any:
    """The model with other arrays in the places of its own; all of them have to be given."""
    arrays, static = eqx.partition(model, _is_array)
    return eqx.combine(jax.tree_util.tree_map_with_path(lambda path, _: values[_place(path)], arrays), static)


def tensors(architecture: Architecture, places: Any) -> dict[str, Tensor]:
    """For each of a model's `places` the tensor of the published code.

    The names are those of the code of CRATE, of CRATE-α (PyTorch), of CRATE-MAE, and of the common ViT and MAE; combinations
    that nobody published take the nearest names, and parameters that exist only here (learned steps) their place, with {l}.
    """
    a = architecture
    plain = a.attention == "mhsa" and a.sparsification == "mlp"
    found = _outside(a, plain)
    inside = _vit_layer("blocks.{l}") if plain else _white_layer(a)
    found |= {f"layers.{place}": tensor for place, tensor in inside.items()}
    if a.is_autoencoder:
        decoder = _vit_layer("decoder_blocks.{l}") if a.decoder == "transformer" else _decoder_layer()
        found |= {f"decoder_layers.{place}": tensor for place, tensor in decoder.items()}
    return {place: found.get(place) or _own(place) for place in places}


def flax_tensors(architecture: Architecture, places: Any) -> dict[str, Tensor]:
    """For each of a model's `places` the parameter of CRATE-α's JAX code, nested names joined by "/". Kernels of heads have an
    axis of their own for heads there, the map of patches is a convolution's, and nothing is transposed."""
    a, block = architecture, "Transformer/encoderblock_{l}"
    attention, head = f"{block}/MultiHeadDotProductSubspaceAttention_0", (a.heads, a.inner // a.heads)
    found = {
        "embedding.weight": _reshaped("embedding/kernel", (a.patch, a.patch, a.channels, a.dim), (a.patch_dim, a.dim)),
        "embedding.bias": _same("embedding/bias"),
        "class_token": Tensor("cls", lambda x: x[None], lambda x: x[0]),
        "positions": Tensor("pos_embedding", lambda x: x[None], lambda x: x[0]),
        "layers.attention.subspaces": _reshaped(f"{attention}/proj/kernel", (a.dim, *head), (a.dim, a.inner)),
        "layers.attention.output": _reshaped(f"{attention}/out/kernel", (*head, a.dim), (a.inner, a.dim)),
        "layers.sparsification.dictionary": _same(f"{block}/OvercompleteISTABlock_0/D"),
        "layers.sparsification.decoding": _same(f"{block}/OvercompleteISTABlock_0/D1"),
        "head": _same("head/kernel"),
        "head_bias": _same("head/bias"),
    }
    norms = {"layers.first_norm": f"{block}/LayerNorm_0", "layers.second_norm": f"{block}/LayerNorm_1", "norm": "encoder_norm"}
    for place, name in norms.items():
        found |= {f"{place}.scale": _same(f"{name}/scale"), f"{place}.shift": _same(f"{name}/bias")}
    return {place: found.get(place) or _own(place) for place in places}


def _outside(a: Architecture, plain: bool) -> dict[str, Tensor]:
    """What is not in the layers."""
    found: dict[str, Tensor] = {"class_token": Tensor("cls_token", lambda x: x[None], lambda x: x[0])}
    if a.embedding == "linear" and (a.is_autoencoder or plain or a.sparsification == "odl"):
        first = "conv1" if not a.is_autoencoder and not plain else "patch_embed.proj"
        found["embedding.weight"] = _convolution(f"{first}.weight", a)
    else:
        first = "to_patch_embedding.2"
        found["embedding.weight"] = _transposed(f"{first}.weight")
    found["embedding.bias"] = _same(f"{first}.bias")
    found |= _norm("embedding.first_norm", "to_patch_embedding.1") | _norm("embedding.second_norm", "to_patch_embedding.3")
    if a.is_autoencoder:
        for place, name in (
            ("positions", "pos_embed"),
            ("decoder_positions", "decoder_pos_embed"),
            ("mask_token", "mask_token"),
        ):
            found[place] = Tensor(name, lambda x: x[None], lambda x: x[0])
        found |= _norm("norm", "norm") | _norm("decoder_norm", "decoder_norm")
        found |= _linear("decoder_embedding", "decoder_embedding_bias", "decoder_embed")
        return found | _linear("prediction", "prediction_bias", "decoder_pred")
    found["positions"] = Tensor("pos_embed" if plain else "pos_embedding", lambda x: x[None], lambda x: x[0])
    norm, head = ("norm", "head") if plain else ("mlp_head.0", "mlp_head.1")
    return found | _norm("norm", norm) | _linear("head", "head_bias", head)


def _white_layer(a: Architecture) -> dict[str, Tensor]:
    first, second = ("blocks.{l}.layers.0.0", "blocks.{l}.layers.0.1")
    if not a.is_autoencoder:
        first, second = ("transformer.layers.{l}.0", "transformer.layers.{l}.1")
    found = _norm("first_norm", f"{first}.norm") | _norm("second_norm", f"{second}.norm") | _attention(f"{first}.fn")
    if a.sparsification == "odl":
        found["sparsification.dictionary"] = _same(f"{second}.fn.D")
        found["sparsification.decoding"] = _same(f"{second}.fn.D1")
    else:
        found["sparsification.dictionary"] = _same(f"{second}.fn.weight")
    return found | _perceptron(f"{second}.fn")


def _vit_layer(block: str) -> dict[str, Tensor]:
    found = _norm("first_norm", f"{block}.norm1") | _norm("second_norm", f"{block}.norm2") | _perceptron(f"{block}.mlp")
    found |= _linear("attention.qkv", "attention.qkv_bias", f"{block}.attn.qkv")
    return found | _linear("attention.output", "attention.bias", f"{block}.attn.proj")


def _decoder_layer() -> dict[str, Tensor]:
    block = "decoder_blocks.{l}.layers.0"
    found = _norm("first_norm", f"{block}.0.norm") | _norm("second_norm", f"{block}.1.norm") | _attention(f"{block}.1.fn")
    return found | {"dictionary": _same(f"{block}.0.fn.weight")}


def _attention(name: str) -> dict[str, Tensor]:
    found = {"attention.subspaces": _transposed(f"{name}.qkv.weight")}
    found |= _linear("attention.qkv", "attention.qkv_bias", f"{name}.qkv")
    return found | _linear("attention.output", "attention.bias", f"{name}.to_out.0")


def _perceptron(name: str) -> dict[str, Tensor]:
    found = _linear("sparsification.first", "sparsification.first_bias", f"{name}.fc1")
    return found | _linear("sparsification.second", "sparsification.second_bias", f"{name}.fc2")


def _norm(place: str, name: str) -> dict[str, Tensor]:
    return {f"{place}.scale": _same(f"{name}.weight"), f"{place}.shift": _same(f"{name}.bias")}


def _linear(weight: str, bias: str, name: str) -> dict[str, Tensor]:
    return {weight: _transposed(f"{name}.weight"), bias: _same(f"{name}.bias")}


def _same(name: str) -> Tensor:
    return Tensor(name, lambda x: x, lambda x: x)


def _transposed(name: str) -> Tensor:
    return Tensor(name, lambda x: x.T, lambda x: x.T)


def _reshaped(name: str, outward: tuple[int, ...], inward: tuple[int, ...]) -> Tensor:
    return Tensor(name, lambda x: x.reshape(outward), lambda x: x.reshape(inward))


def _convolution(name: str, a: Architecture) -> Tensor:
    def outward(x: np.ndarray) -> np.ndarray:
        return x.reshape(a.patch, a.patch, a.channels, a.dim).transpose(3, 2, 0, 1)

    return Tensor(name, outward, lambda x: x.transpose(2, 3, 1, 0).reshape(a.patch_dim, a.dim))


def _own(place: str) -> Tensor:
    for stack in ("layers.", "decoder_layers."):
        if place.startswith(stack):
            return _same(f"{stack}{{l}}.{place.removeprefix(stack)}")
    return _same(place)


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, (jax.Array, np.ndarray, jax.ShapeDtypeStruct))


def _place(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")
