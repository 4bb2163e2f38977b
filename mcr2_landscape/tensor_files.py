"""Named arrays in safetensors files: written whole or not at all, and read with errors that say what is wrong."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mcr2_landscape.errors import InputError
from mcr2_landscape.extras import missing_extra
from mcr2_landscape.files import check_writable, write_bytes
from mcr2_landscape.record import to_plain


def write_tensors(
    path: str | os.PathLike[str], arrays: Mapping[str, Any], about: Mapping[str, str], *, kind: str, version: str, what: str
) -> None:
    """Write arrays with the file's own metadata: `kind`, what they are, the `version` of their form, and `about`.

    **Arguments:** `what`: the object in words, such as "a network", for errors.

    **Raises:** `InputError` where the file cannot be written, and without the library safetensors.
    """
    name = what.removeprefix("a ")
    path = check_writable(path, name)
    try:
        from safetensors.numpy import save as to_bytes
    except ImportError:
        raise missing_extra(f"writing {what}", "safetensors", "data") from None
    rows = {key: np.asarray(array, order="C") for key, array in arrays.items()}
    write_bytes(path, to_bytes(rows, {"kind": kind, "format": version, **about}), name)


def read_tensors(
    path: str | os.PathLike[str], *, kind: str, version: str, what: str, otherwise: str
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays, row-major, and the file's own metadata that `write_tensors` wrote.

    **Arguments:** as for `write_tensors`; `otherwise`: what a file of another kind is told.

    **Raises:** `InputError` for a file that is missing, cut off, or of something else, and without the library safetensors.
    """
    path = Path(path)
    try:
        import safetensors
    except ImportError:
        raise missing_extra(f"reading {what}", "safetensors", "data") from None
    if not path.is_file():
        raise InputError(f"{path}: no such file" if not path.exists() else f"{path}: is no file; give the name of one")
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            about = file.metadata() or {}
            arrays = {name: np.array(file.get_tensor(name), order="C") for name in file.keys()}  # noqa: SIM118, no mapping
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (safetensors.SafetensorError, TypeError, AttributeError, KeyError) as error:
        said = str(error).split("\n", 1)[0]
        raise InputError(f"{path}: is no safetensors file, or one that is damaged or cut off ({said})") from None
    if about.get("kind") != kind:
        raise InputError(f"{path}: {otherwise}")
    if about.get("format") != version:
        raise InputError(f"{path}: has the format {about.get('format')!r}, and {version!r} is known here; update the library")
    return arrays, about


def metadata_text(metadata: Mapping[str, Any] | None) -> str:
    """What a user wants kept beside the arrays, as JSON.

    **Raises:** `InputError` for what is no mapping or has no plain form.
    """
    if not isinstance(metadata, Mapping | None):
        raise InputError(f"metadata: found {type(metadata).__name__}; pass a mapping from names to plain values")
    try:
        return json.dumps(to_plain(metadata or {}), allow_nan=False)
    except TypeError as error:
        raise InputError(f"metadata: {error}; pass numbers, text, arrays, or lists and mappings of them") from None


def metadata_of(path: str | os.PathLike[str], about: Mapping[str, str], *, writer: str) -> dict[str, Any]:
    """What `metadata_text` made, from the file's own metadata.

    **Raises:** `InputError` where it is missing or no mapping; `writer` is the function that writes such files.
    """
    try:
        found = json.loads(about["metadata"])
        if isinstance(found, dict):
            return found
    except (KeyError, ValueError):
        pass
    raise InputError(f"{path}: its metadata cannot be read; write the file again with {writer}")
