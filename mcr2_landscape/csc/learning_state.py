"""Where dictionary learning stands, in memory and as a file."""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from mcr2_landscape.files import check_path, write_bytes
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, check_finite, check_shape

_DAMAGED = (ValueError, EOFError, KeyError, TypeError, IndexError, RuntimeError, zipfile.BadZipFile, zlib.error)
_NAMES = ("atoms", "codes", "objective", "step", "replaced", "just_replaced", "identity", "beginning")


@dataclass(frozen=True)
class LearningState(Record):
    """All that learning needs to go on as if it had not stopped.

    **Fields:** `atoms` (K, C, k_h, k_w) and `codes` (N, K, h, w), float64; `objective`, from the start on; `step`, the next
    step of the atoms to be tried; `replaced`, how many dead atoms were given new directions, and `just_replaced`, in the last
    alternation alone; `identity`, of the images and settings; `beginning`, of the key that the first atoms were drawn with, or
    of these where they were given.
    """

    atoms: np.ndarray = field(repr=False, metadata={"json": False})
    codes: np.ndarray = field(repr=False, metadata={"json": False})
    objective: np.ndarray
    step: float
    replaced: int
    just_replaced: int
    identity: str
    beginning: str

    @property
    def alternations(self) -> int:
        """How many were made."""
        return len(self.objective) - 1


def identity(images: np.ndarray, settings: tuple[Any, ...]) -> str:
    """SHA-256 of the images and the settings that what is computed depends on."""
    found = hashlib.sha256(repr((images.shape, settings)).encode())
    found.update(np.ascontiguousarray(images).tobytes())
    return found.hexdigest()


def beginning(start: np.ndarray | None, random: np.random.Generator | None) -> str | None:
    """The argument that a run begins with, and SHA-256 of it: the atoms `start`, or else the generator of a `key`, before it
    draws them; `None` where there is neither."""
    if start is not None:
        return f"start {identity(start, ())}"
    # not of the atoms that it draws, which another machine may round otherwise
    return None if random is None else f"key {identity(np.zeros(0), (random.bit_generator.state,))}"


def save_state(state: LearningState, path: str | os.PathLike[str]) -> None:
    """Write a state as an .npz file, whole or not at all.

    **Raises:** `InputError` for a path that is none, and where the file cannot be written.
    """
    check_path("path", path, "an .npz file")
    content = BytesIO()
    np.savez(content, allow_pickle=False, **{name: np.asarray(getattr(state, name)) for name in _NAMES})
    write_bytes(path, content.getvalue(), "checkpoint")


def load_state(path: str | os.PathLike[str] | None) -> LearningState | None:
    """The state in a file, or `None` where there is no such file.

    **Raises:** `InputError` for a path that is none, and a file that is damaged or holds no state.
    """
    if path is None:
        return None
    check_path("path", path, "an .npz file")
    if not Path(path).exists():
        return None
    try:
        stored = np.load(BytesIO(Path(path).read_bytes()), allow_pickle=False)
        if isinstance(stored, np.ndarray):
            raise ValueError(f"found one array of shape {stored.shape}, as np.save writes it")
        with stored:
            return _checked({name: stored[name] for name in _NAMES})
    except OSError as error:
        raise InputError(f"checkpoint {path}: cannot be read ({error.strerror or error})") from None
    except _DAMAGED as error:
        raise InputError(
            f"checkpoint {path}: is no complete state of dictionary learning ({error}); remove it, or give another path"
        ) from None


def state_to_go_on_from(state: LearningState | None, path: Any, wanted: str, begun: str | None) -> LearningState | None:
    """`state` or that of the file, whichever is further on; `None` where there is neither.

    **Arguments:** `wanted`: its identity; `begun`: its beginning, `None` for any.

    **Raises:** `InputError` for one of another identity or another beginning, or two that are not of one run: the file would be
    written over.
    """
    stored = load_state(path)
    for what, found, cure in (("state", state, "none"), (f"checkpoint {path}", stored, "another file")):
        if found is None:
            continue
        if found.identity != wanted:
            raise InputError(f"{what}: is of other images, another program or other steps; give the same ones, or {cure}")
        if begun is not None and found.beginning != begun:
            argument = begun.partition(" ")[0]
            raise InputError(f"{argument}: found another one than {what} began with; give that one, or none to go on with it")
    if state is None or stored is None:
        return stored if state is None else state
    shared = min(len(state.objective), len(stored.objective))
    if not np.array_equal(state.objective[:shared], stored.objective[:shared]):
        raise InputError(
            f"checkpoint {path}: holds another run than state, which would be written over it; give another path, or leave "
            "state out to go on from the file"
        )
    return max(state, stored, key=lambda found: found.alternations)


def _checked(found: dict[str, np.ndarray]) -> LearningState:
    """The state of a file's arrays; whatever does not fit together raises `ValueError`."""
    atoms, codes, objective = (found[name] for name in _NAMES[:3])
    check_shape("codes", codes.shape, (None, len(atoms), None, None))
    for name, array, axes in (
        ("atoms", atoms, 4),
        ("codes", codes, 4),
        ("objective", objective, 1),
        ("step", found["step"], 0),
    ):
        if array.dtype != np.float64 or array.ndim != axes or not array.size:
            raise ValueError(f"{name} of dtype {array.dtype} and shape {array.shape}")
        check_finite(name, array)
    step, replaced, just_replaced = float(found["step"]), int(found["replaced"]), int(found["just_replaced"])
    named = str(found["identity"]), str(found["beginning"])
    return LearningState(atoms, codes, objective, step, replaced, just_replaced, *named)
