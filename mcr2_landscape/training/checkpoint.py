"""The checkpoint of a training: one file, written whole or not at all.

    mcr2_landscape training checkpoint
    <format number>
    <SHA-256 of the format number and of everything below>
    <header: JSON in one line>
    <the bytes of the arrays, in the header's order, little-endian>

Nothing in it is ever executed. The file before it stays until the new one has taken its place.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.files import check_writable, make_folder, write_bytes
from mcr2_landscape.training.leaves import is_key
from mcr2_landscape.validation import InputError

NAME = "training.checkpoint"
FORMAT = 1
_MAGIC = b"mcr2_landscape training checkpoint"
_AGAIN = "train again in another folder, or restore the file"


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds: the state's leaves, the rows of history by name, and the rest of the header."""

    path: Path
    leaves: tuple[np.ndarray, ...]
    history: Mapping[str, np.ndarray]
    header: Mapping[str, Any]


def place(folder: str | os.PathLike[str]) -> Path:
    """The checkpoint file in a folder, which is made where there is none.

    **Raises:** `InputError` where nothing can be written there.
    """
    if not os.fspath(folder):
        raise InputError("checkpoint: found an empty name; give a folder, . for this one")
    folder = Path(folder)
    try:
        make_folder(folder)
    except OSError as error:
        raise InputError(f"checkpoint {folder}: cannot be made ({error.strerror or error}); give another folder") from None
    return check_writable(folder / NAME, "checkpoint")


def write(path: Path, state: Any, history: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> None:
    """Write a state, its history and what else is to be known of it (plain values).

    **Raises:** `InputError` where the file cannot be written; an earlier one is then untouched.
    """
    paths = jax.tree_util.tree_leaves_with_path(state)
    named = [(f"state{jax.tree_util.keystr(where)}", _plain(leaf)) for where, leaf in paths]
    named += [(f"history.{name}", np.asarray(column)) for name, column in history.items()]
    arrays = [{"name": name, "dtype": array.dtype.name, "shape": list(array.shape)} for name, array in named]
    words = json.dumps({**header, "arrays": arrays}, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    body = b"".join([words.encode(), b"\n", *(np.ascontiguousarray(array).tobytes() for _, array in named)])
    number = str(FORMAT).encode()
    write_bytes(path, b"\n".join([_MAGIC, number, _checksum(number, body), body]), "checkpoint")


def read(path: Path) -> Checkpoint:
    """Read a file, which must be whole.

    **Raises:** `InputError` for another kind of file, a newer format, or one that is cut off or damaged.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    magic, _, rest = content.partition(b"\n")
    if magic != _MAGIC:
        if content and _MAGIC.startswith(content):
            raise InputError(f"{path}: the checkpoint is cut off; {_AGAIN}")
        raise InputError(f"{path}: is no checkpoint of a training; {_AGAIN}")
    number, _, rest = rest.partition(b"\n")
    checksum, _, body = rest.partition(b"\n")
    if number.isdigit() and int(number) > FORMAT:
        raise InputError(f"{path}: has the format {int(number)}, and this version reads up to {FORMAT}; update mcr2_landscape")
    if not number.isdigit() or _checksum(number, body) != checksum:
        raise InputError(f"{path}: the checkpoint is damaged or cut off (its checksum differs); {_AGAIN}")
    words, _, data = body.partition(b"\n")
    header = json.loads(words)
    leaves: list[np.ndarray] = []
    history: dict[str, np.ndarray] = {}
    start = 0
    for entry in header.pop("arrays"):
        dtype, shape = jnp.dtype(entry["dtype"]), tuple(entry["shape"])
        count = int(np.prod(shape, dtype=np.int64))
        array = np.frombuffer(data, dtype=dtype, count=count, offset=start).reshape(shape).copy()
        start += count * dtype.itemsize
        if entry["name"].startswith("history."):
            history[entry["name"].removeprefix("history.")] = array
        else:
            leaves.append(array)
    return Checkpoint(path, tuple(leaves), history, header)


def restore(checkpoint: Checkpoint, template: Any) -> Any:
    """The state, in the form of `template`.

    **Raises:** `InputError` where the two do not fit.
    """
    leaves, structure = jax.tree.flatten(template)
    expected = [_plain(leaf) for leaf in leaves]
    found = checkpoint.leaves
    if [(a.dtype, a.shape) for a in found] != [(a.dtype, a.shape) for a in expected]:
        raise InputError(f"{checkpoint.path}: holds a state of another shape; {_AGAIN}")
    return jax.tree.unflatten(structure, [_as(leaf, array) for leaf, array in zip(leaves, found, strict=True)])


def _checksum(number: bytes, body: bytes) -> bytes:
    found = hashlib.sha256(number + b"\n")
    found.update(body)
    return found.hexdigest().encode()


def _plain(leaf: Any) -> np.ndarray:
    return np.asarray(jax.random.key_data(leaf) if is_key(leaf) else leaf)


def _as(leaf: Any, array: np.ndarray) -> jax.Array:
    if is_key(leaf):
        return jax.random.wrap_key_data(jnp.asarray(array), impl=jax.random.key_impl(leaf))
    return jnp.asarray(array)
