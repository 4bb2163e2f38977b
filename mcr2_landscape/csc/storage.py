"""Dictionaries as safetensors files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mcr2_landscape.csc.dictionary import ConvDictionary
from mcr2_landscape.extras import missing_extra
from mcr2_landscape.files import check_writable, write_bytes
from mcr2_landscape.record import to_plain
from mcr2_landscape.validation import InputError

_KIND, _FORMAT = "convolutional dictionary", "1"


def save_dictionary(
    path: str | os.PathLike[str], dictionary: ConvDictionary, metadata: Mapping[str, Any] | None = None
) -> None:
    """Write a dictionary as a safetensors file, whole or not at all: the tensor "atoms" (K, C, k_h, k_w) in its dtype, with
    stride and padding in the file's metadata.

    **Arguments:** `metadata`: what else to keep, such as the program it was learned for: names with plain values (see
    `record.to_plain`), which `dictionary_metadata` gives back.

    **Raises:** `InputError` for what is no dictionary, or one that is traced, metadata that has no plain form, a file that
    cannot be written, and without the library safetensors.
    """
    if not isinstance(dictionary, ConvDictionary):
        raise InputError(f"dictionary: found {type(dictionary).__name__}; pass a ConvDictionary")
    try:
        atoms = np.ascontiguousarray(dictionary.atoms)
    except TypeError:  # a tracer
        raise InputError("dictionary: traced here, but its atoms must be known; call it outside jit, vmap and grad") from None
    if metadata is not None and not isinstance(metadata, Mapping):
        raise InputError(f"metadata: found {type(metadata).__name__}; pass a mapping from names to plain values")
    try:
        said = json.dumps(to_plain(metadata or {}), allow_nan=False)
    except TypeError as error:
        raise InputError(f"metadata: {error}; pass numbers, text, arrays, or lists and mappings of them") from None
    path = check_writable(path, "dictionary")
    try:
        from safetensors.numpy import save as to_bytes
    except ImportError:
        raise missing_extra("writing a dictionary", "safetensors", "data") from None
    about = {"stride": json.dumps(dictionary.stride), "padding": json.dumps(dictionary.padding), "metadata": said}
    write_bytes(path, to_bytes({"atoms": atoms}, {"kind": _KIND, "format": _FORMAT, **about}), "dictionary")


def load_dictionary(path: str | os.PathLike[str]) -> ConvDictionary:
    """The dictionary that `save_dictionary` wrote, bit for bit. Float64 atoms stay NumPy's while JAX's 64-bit mode is off: see
    `ConvDictionary`.

    **Raises:** `InputError` for a file that is missing, cut off, or of something else, and without the library safetensors.
    """
    atoms, about = _read(Path(path))
    try:
        stride, padding = (json.loads(about[name]) for name in ("stride", "padding"))
        return ConvDictionary(atoms, stride, padding)
    except (KeyError, ValueError) as error:  # an InputError is a ValueError
        raise InputError(f"{path}: is no complete dictionary ({error}); write it again with save_dictionary") from None


def dictionary_metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The metadata that `save_dictionary` was given, as plain values.

    **Raises:** `InputError` as `load_dictionary`.
    """
    _, about = _read(Path(path))
    try:
        found = json.loads(about["metadata"])
        if isinstance(found, dict):
            return found
    except (KeyError, ValueError):
        pass
    raise InputError(f"{path}: its metadata cannot be read; write it again with save_dictionary")


def _read(path: Path) -> tuple[np.ndarray, dict[str, str]]:
    """The atoms and the file's own metadata."""
    try:
        import safetensors
    except ImportError:
        raise missing_extra("reading a dictionary", "safetensors", "data") from None
    if not path.is_file():
        raise InputError(f"{path}: no such file" if not path.exists() else f"{path}: is no file; give the name of one")
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            about = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no mapping
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (safetensors.SafetensorError, TypeError, AttributeError, KeyError) as error:
        said = str(error).split("\n", 1)[0]
        raise InputError(f"{path}: is no safetensors file, or one that is damaged or cut off ({said})") from None
    if about.get("kind") != _KIND or "atoms" not in arrays:
        raise InputError(f"{path}: holds no dictionary of this library; give a file that save_dictionary wrote")
    if about.get("format") != _FORMAT:
        raise InputError(f"{path}: has the format {about.get('format')!r}, and {_FORMAT!r} is known here; update the library")
    return arrays["atoms"], about
