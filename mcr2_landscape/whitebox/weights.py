"""Weights of white-box transformers: to and from the published code's states, and as safetensors files."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.tensor_files import read_tensors, write_tensors
from mcr2_landscape.validation import InputError
from mcr2_landscape.whitebox.architecture import Architecture
from mcr2_landscape.whitebox.network import build
from mcr2_landscape.whitebox.parameters import Tensor, flax_tensors, parameters, tensors, with_parameters

_KIND, _FORMAT = "white-box transformer", "1"
_WRAPPER = "module."  # of a network that was trained on several devices


def load_torch_state(model: Any, state_dict: Mapping[str, Any]) -> Any:
    """The model with the weights of a PyTorch state dict, in the model's own dtype. PyTorch is not needed.

    **Arguments:** `model`: of the architecture that the weights belong to; `state_dict`: NumPy arrays or PyTorch tensors by the
    names of the published code, with or without "module." before each.

    **Raises:** `InputError` that lists all missing, extra and misshapen tensors, and those that hold no numbers.
    """
    if not isinstance(state_dict, Mapping):
        raise InputError(f"state_dict: found {type(state_dict).__name__}; pass a mapping from names to tensors")
    given = {str(name).removeprefix(_WRAPPER): value for name, value in state_dict.items()}
    twice = [name for name in given if name in state_dict and _WRAPPER + name in state_dict]
    faults = [f'{name}: given with and without "{_WRAPPER}"' for name in twice]
    return _with_state(model, "state_dict", given, tensors(model.architecture, parameters(model)), faults)


def torch_state(model: Any) -> dict[str, np.ndarray]:
    """The model's weights as a PyTorch state dict of NumPy arrays, by the names of the published code (see
    `load_torch_state`); `torch.from_numpy` makes tensors of them."""
    return _state(model, tensors(model.architecture, parameters(model)))


def load_flax_state(model: Any, params: Mapping[str, Any]) -> Any:
    """The model with the parameters of CRATE-α's JAX code, in the model's own dtype.

    **Arguments:** `model`: of an architecture of the family "crate-alpha" (the code's norm before the head has
    `final_norm_epsilon` 1e-6); `params`: nested mappings, or one whose names are joined by "/".

    **Raises:** `InputError` that lists all missing, extra and misshapen parameters, and those that hold no numbers; for a model
    of another family.
    """
    table = _flax_table(model)
    if not isinstance(params, Mapping):
        raise InputError(f"params: found {type(params).__name__}; pass a mapping from names to arrays or to more mappings")
    return _with_state(model, "params", _flattened(params), table, [])


def flax_state(model: Any) -> dict[str, np.ndarray]:
    """The model's weights by the names of CRATE-α's JAX code, joined by "/" (see `load_flax_state`).

    **Raises:** `InputError` for a model of another family.
    """
    return _state(model, _flax_table(model))


def save(model: Any, path: str | os.PathLike[str]) -> None:
    """Write a model as a safetensors file, whole or not at all; the architecture is in its metadata, as JSON.

    **Raises:** `InputError` where the file cannot be written, and without the library safetensors.
    """
    about = {"architecture": json.dumps(dataclasses.asdict(model.architecture)), "unroll": str(model.unroll)}
    write_tensors(path, parameters(model), about, kind=_KIND, version=_FORMAT, what="weights")


def load(path: str | os.PathLike[str]) -> Any:
    """The model that `save` wrote, bit for bit.

    **Raises:** `InputError` for a file that is missing, cut off, of something else, or that holds float64 while JAX's 64-bit
    mode is off, and without the library safetensors.
    """
    otherwise = "holds no white-box transformer of this library; tensors of the published code come in with load_torch_state"
    arrays, about = read_tensors(path, kind=_KIND, version=_FORMAT, what="weights", otherwise=otherwise)
    wide = [name for name, array in arrays.items() if array.dtype == np.float64]
    if wide and not jax.config.read("jax_enable_x64"):
        raise InputError(
            f"{path}: holds float64 ({wide[0]}, …) while JAX's 64-bit mode is off, which would silently round it; call "
            'jax.config.update("jax_enable_x64", True) at the start of the program'
        )
    skeleton = _skeleton(path, about)
    own = parameters(skeleton)
    faults = [f"{name}: missing" for name in own if name not in arrays]
    faults += [f"{name}: extra" for name in arrays if name not in own]
    faults += [
        f"{name}: found shape {arrays[name].shape}, expected {tuple(leaf.shape)}"
        for name, leaf in own.items()
        if name in arrays and arrays[name].shape != tuple(leaf.shape)
    ]
    if not faults:
        kinds = sorted({str(array.dtype) for array in arrays.values()})
        if len(kinds) > 1 or not jnp.issubdtype(next(iter(arrays.values())).dtype, jnp.floating):
            raise InputError(f"{path}: holds {', '.join(kinds)}; one floating type for all parameters is expected")
    if faults:
        raise InputError(_listed(str(path), faults))
    return with_parameters(skeleton, {name: jnp.asarray(array) for name, array in arrays.items()})


def _skeleton(path: str | os.PathLike[str], about: Mapping[str, str]) -> Any:
    """The model of a file's metadata, with shapes in the places of arrays."""
    try:
        fields = json.loads(about["architecture"])
        fields["image_size"] = tuple(fields["image_size"])
        architecture, unroll = Architecture(**fields), int(about["unroll"])
        return eqx.filter_eval_shape(lambda: build(architecture, key=jax.random.key(0), unroll=unroll))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: its architecture cannot be read ({error}); write the file again with save") from None


def _with_state(model: Any, what: str, given: Mapping[str, Any], table: Mapping[str, Tensor], faults: list[str]) -> Any:
    """The model with the values of a state, after everything that is wrong with it has been found."""
    values, used = {}, set()
    for place, leaf in parameters(model).items():
        tensor, shape = table[place], tuple(leaf.shape)
        names, parts, expected = _names(tensor, shape), [], _outward_shape(tensor, shape)
        for name in names:
            used.add(name)
            if name not in given:
                faults.append(f"{name}: missing, expected shape {expected}")
                continue
            array = _as_numpy(given[name])
            if array is None:
                faults.append(f"{name}: holds no numbers ({type(given[name]).__name__})")
            elif array.shape != expected:
                faults.append(f"{name}: found shape {array.shape}, expected {expected}")
            elif not np.isfinite(array.astype(leaf.dtype)).all():
                faults.append(f"{name}: holds NaN, infinity, or numbers beyond {leaf.dtype}")
            else:
                parts.append(tensor.inward(array))
        if len(parts) == len(names):
            values[place] = jnp.asarray((np.stack(parts) if tensor.stacked else parts[0]).astype(leaf.dtype))
    faults += [f"{name}: extra, the model has no such parameter" for name in given if name not in used]
    if faults:
        raise InputError(_listed(what, faults))
    return with_parameters(model, values)


def _state(model: Any, table: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    state = {}
    for place, leaf in parameters(model).items():
        array, tensor = np.asarray(leaf), table[place]
        layers = array if tensor.stacked else [array]
        for name, layer in zip(_names(tensor, array.shape), layers, strict=True):
            state[name] = np.array(tensor.outward(layer), order="C")
    return state


def _flax_table(model: Any) -> dict[str, Tensor]:
    a = model.architecture
    if a.is_autoencoder or (a.attention, a.sparsification, a.embedding) != ("mssa", "odl", "linear"):
        raise InputError('model: only the family "crate-alpha" has published JAX code; use the names of the PyTorch code')
    return flax_tensors(a, parameters(model))


def _flattened(params: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    flat = {}
    for name, value in params.items():
        flat |= _flattened(value, f"{above}{name}/") if isinstance(value, Mapping) else {f"{above}{name}": value}
    return flat


def _names(tensor: Tensor, shape: tuple[int, ...]) -> list[str]:
    return [tensor.name.format(l=layer) for layer in range(shape[0])] if tensor.stacked else [tensor.name]


def _outward_shape(tensor: Tensor, shape: tuple[int, ...]) -> tuple[int, ...]:
    # One number seen everywhere: the shape costs no memory.
    return tensor.outward(np.broadcast_to(np.float32(0), shape[1:] if tensor.stacked else shape)).shape


def _as_numpy(value: Any) -> np.ndarray | None:
    """An array, or a tensor of PyTorch on any device."""
    for step in ("detach", "cpu"):
        value = getattr(value, step)() if hasattr(value, step) else value
    if type(value).__module__.startswith("torch") and str(value.dtype) == "torch.bfloat16":
        value = value.float()  # NumPy has no such type; every bfloat16 is a float32
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):
        return None
    return array if jnp.issubdtype(array.dtype, jnp.floating) else None


def _listed(what: str, faults: list[str]) -> str:
    return f"{what}: {len(faults)} tensor{'s do' if len(faults) != 1 else ' does'} not fit:\n  " + "\n  ".join(faults)
