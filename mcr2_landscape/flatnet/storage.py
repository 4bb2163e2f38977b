"""Fitted networks as safetensors files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from mcr2_landscape.flatnet.kernels import Layer, num_features
from mcr2_landscape.flatnet.layers import Layers
from mcr2_landscape.flatnet.network import FlatNetwork
from mcr2_landscape.tensor_files import metadata_of, metadata_text, read_tensors, write_tensors
from mcr2_landscape.validation import InputError, check_finite, check_shape

_KIND, _FORMAT = "flattening network", "1"
_PLAIN, _STACKS = ("offset", "frame", "extent", "code_mean", "code_basis"), ("layers", "decoder")


def save_network(path: str | os.PathLike[str], network: FlatNetwork, metadata: Mapping[str, Any] | None = None) -> None:
    """Write a network as a safetensors file, whole or not at all.

    **Arguments:** `metadata`: what else is to be kept, such as where the points came from: whatever `record.to_plain` takes,
    read again by `network_metadata`.

    **Raises:** `InputError` for another object than a network, metadata that are no mapping or have no plain form, where the
    file cannot be written, and without the library safetensors.
    """
    if not isinstance(network, FlatNetwork):
        raise InputError(f"network: found {type(network).__name__}; pass a FlatNetwork, such as FlatNet().fit(X).network_")
    about = {"metadata": metadata_text(metadata)}
    write_tensors(path, _tensors(network), about, kind=_KIND, version=_FORMAT, what="a network")


def load_network(path: str | os.PathLike[str]) -> FlatNetwork:
    """The network that `save_network` wrote: it encodes and decodes to the same bits. Its arrays are NumPy's.

    **Raises:** `InputError` for a file that is missing, cut off, of something else, or whose parts do not fit together, and
    without the library safetensors.
    """
    arrays, _ = _read(path)
    names = [*_PLAIN, *(f"{stack}.{name}" for stack in _STACKS for name in Layer._fields)]
    faults = [f"{name} is missing" for name in names if name not in arrays]
    faults += [f"{name} is not known" for name in arrays if name not in names]
    if not faults:
        try:
            _check(arrays)
        except InputError as error:
            faults.append(str(error))
    if faults:
        raise InputError(f"{path}: its parts do not fit together ({'; '.join(faults)}); write the file again with save_network")
    layers, decoder = (Layers(Layer(**{name: arrays[f"{stack}.{name}"] for name in Layer._fields})) for stack in _STACKS)
    return FlatNetwork(**{name: arrays[name] for name in _PLAIN}, layers=layers, decoder=decoder)


def network_metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The `metadata` that were given to `save_network`, as JSON has them.

    **Raises:** `InputError`, as `load_network` does.
    """
    return metadata_of(path, _read(path)[1], writer="save_network")


def _tensors(network: FlatNetwork) -> dict[str, Any]:
    tensors = {name: getattr(network, name) for name in _PLAIN}
    for stack in _STACKS:
        tensors |= {f"{stack}.{name}": part for name, part in getattr(network, stack).stacked._asdict().items()}
    return tensors


def _read(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    otherwise = "holds no flattening network; pass a file that save_network wrote"
    return read_tensors(path, kind=_KIND, version=_FORMAT, what="a network", otherwise=otherwise)


def _check(arrays: Mapping[str, np.ndarray]) -> None:
    """Whether shapes and numbers are those of a network.

    **Raises:** `InputError` otherwise.
    """
    check_shape("frame", arrays["frame"].shape, (None, None))
    check_shape("code_basis", arrays["code_basis"].shape, (None, None))
    (dim, span), components = arrays["frame"].shape, arrays["code_basis"].shape[1]
    if not components:
        raise InputError("code_basis: found no column; a code has one dimension at least")
    shapes = {"offset": (dim,), "frame": (dim, span), "extent": (), "code_mean": (span,), "code_basis": (span, components)}
    for stack in _STACKS:
        check_shape(f"{stack}.basis", arrays[f"{stack}.basis"].shape, (None, span, None))
        count, _, width = arrays[f"{stack}.basis"].shape
        own = {"basis": (count, span, width), "coefficients": (count, span, num_features(width))}
        own |= dict.fromkeys(("mean", "center", "shift"), (count, span))
        own |= dict.fromkeys(("gamma", "alpha", "scale", "rank"), (count,))
        shapes |= {f"{stack}.{name}": shape for name, shape in own.items()}
    for name, shape in shapes.items():
        array = arrays[name]
        check_shape(name, array.shape, shape)
        if array.dtype.kind not in ("fi" if name.endswith(".rank") else "f"):
            raise InputError(f"{name}: found {array.dtype}; floating point numbers are expected")
        check_finite(name, array)
    for stack in _STACKS:
        alpha = arrays[f"{stack}.alpha"]
        if not ((alpha >= 0) & (alpha < 1)).all():
            raise InputError(f"{stack}.alpha: found {alpha.min():g} to {alpha.max():g}; layers are invertible below one")
    for name in ("extent", *(f"{stack}.{part}" for stack in _STACKS for part in ("gamma", "scale"))):
        if not (arrays[name] > 0).all():
            raise InputError(f"{name}: found {arrays[name].min():g}; it is greater than zero in every network")
    width = arrays["layers.basis"].shape[2]
    used = np.arange(width)[None, :] < arrays["layers.rank"][:, None]
    for name, columns in (("frame", True), ("code_basis", True), ("layers.basis", used)):
        _check_orthonormal(name, arrays[name], columns)
    if not np.array_equal(used.sum(axis=1), arrays["layers.rank"]):
        raise InputError(f"layers.rank: found {arrays['layers.rank'].max():g} for bases of {width} columns")
    for name in Layer._fields:
        if name != "coefficients" and not np.array_equal(arrays[f"decoder.{name}"], arrays[f"layers.{name}"]):
            raise InputError(f"decoder.{name}: is not that of layers, from which a decoder differs by its coefficients alone")


def _check_orthonormal(name: str, basis: np.ndarray, used: Any) -> None:
    """Whether the columns that are `used` are orthonormal, and the others zero; by half of the digits of their dtype, since a
    network in float32 may have been one in float64.

    **Raises:** `InputError` otherwise.
    """
    wide = basis.astype(np.float64)
    gram = wide.mT @ wide
    expected = np.eye(gram.shape[-1]) * np.broadcast_to(used, gram.shape[:-1])[..., None]
    off = np.abs(gram - expected).max(initial=0)
    if off > np.sqrt(np.finfo(basis.dtype).eps):
        raise InputError(f"{name}: its columns are off orthonormal ones by {off:.2g}")
