"""Dictionaries as safetensors files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from mcr2_landscape.csc.dictionary import ConvDictionary
from mcr2_landscape.files import check_path
from mcr2_landscape.tensor_files import metadata_of, metadata_text, read_tensors, write_tensors
from mcr2_landscape.validation import InputError

_KIND, _FORMAT = "convolutional dictionary", "1"


def save_dictionary(
    path: str | os.PathLike[str], dictionary: ConvDictionary, metadata: Mapping[str, Any] | None = None
) -> None:
    """Write a dictionary as a safetensors file, whole or not at all: the tensor "atoms" (K, C, k_h, k_w) in its dtype, with
    stride and padding in the file's metadata.

    **Arguments:** `metadata`: what else to keep, such as the program it was learned for: names with plain values (see
    `record.to_plain`), which `dictionary_metadata` gives back.

    **Raises:** `InputError` for a path that is none, what is no dictionary, or one that is traced, metadata that has no plain
    form, a file that cannot be written, and without the library safetensors.
    """
    check_path("path", path, "a .safetensors file")
    if not isinstance(dictionary, ConvDictionary):
        raise InputError(f"dictionary: found {type(dictionary).__name__}; pass a ConvDictionary")
    try:
        atoms = np.ascontiguousarray(dictionary.atoms)
    except TypeError:  # a tracer
        raise InputError("dictionary: traced here, but its atoms must be known; call it outside jit, vmap and grad") from None
    about = {"stride": json.dumps(dictionary.stride), "padding": json.dumps(dictionary.padding)}
    about["metadata"] = metadata_text(metadata)
    write_tensors(path, {"atoms": atoms}, about, kind=_KIND, version=_FORMAT, what="a dictionary")


def load_dictionary(path: str | os.PathLike[str]) -> ConvDictionary:
    """The dictionary that `save_dictionary` wrote, bit for bit. Float64 atoms stay NumPy's while JAX's 64-bit mode is off: see
    `ConvDictionary`.

    **Raises:** `InputError` for a file that is missing, cut off, or of something else, and without the library safetensors.
    """
    atoms, about = _read(path)
    try:
        stride, padding = (json.loads(about[name]) for name in ("stride", "padding"))
        return ConvDictionary(atoms, stride, padding)
    except (KeyError, ValueError) as error:  # an InputError is a ValueError
        raise InputError(f"{path}: is no complete dictionary ({error}); write it again with save_dictionary") from None


def dictionary_metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The metadata that `save_dictionary` was given, as plain values.

    **Raises:** `InputError` as `load_dictionary`.
    """
    return metadata_of(path, _read(path)[1], writer="save_dictionary")


def _read(path: str | os.PathLike[str]) -> tuple[np.ndarray, dict[str, str]]:
    """The atoms and the file's own metadata."""
    check_path("path", path, "a .safetensors file")
    otherwise = "holds no dictionary of this library; give a file that save_dictionary wrote"
    arrays, about = read_tensors(path, kind=_KIND, version=_FORMAT, what="a dictionary", otherwise=otherwise)
    if "atoms" not in arrays:
        raise InputError(f"{path}: {otherwise}")
    return arrays["atoms"], about
