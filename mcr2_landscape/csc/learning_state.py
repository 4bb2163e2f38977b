"""Where dictionary learning stands, in memory and as a file."""

from __future__ import annotations

import hashlib
import os
import zipfile
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from mcr2_landscape.files import write_bytes
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError

_NAMES = ("atoms", "codes", "objective", "step", "replaced", "identity")


@dataclass(frozen=True)
class LearningState(Record):
    """All that learning needs to go on as if it had not stopped.

    **Fields:** `atoms` (K, C, k_h, k_w) and `codes` (N, K, h, w), float64; `objective`, from the start on; `step`, the next
    step of the atoms to be tried; `replaced`, how many dead atoms were given new directions; `identity`, of the images and
    settings.
    """

    atoms: np.ndarray = field(repr=False, metadata={"json": False})
    codes: np.ndarray = field(repr=False, metadata={"json": False})
    objective: np.ndarray
    step: float
    replaced: int
    identity: str

    @property
    def alternations(self) -> int:
        """How many were made."""
        return len(self.objective) - 1


def identity(images: np.ndarray, settings: tuple[Any, ...]) -> str:
    """SHA-256 of the images and the settings that what is computed depends on."""
    found = hashlib.sha256(repr((images.shape, settings)).encode())
    found.update(np.ascontiguousarray(images).tobytes())
    return found.hexdigest()


def save_state(state: LearningState, path: str | os.PathLike[str]) -> None:
    """Write a state as an .npz file, whole or not at all.

    **Raises:** `InputError` where the file cannot be written.
    """
    content = BytesIO()
    np.savez(content, allow_pickle=False, **{name: np.asarray(getattr(state, name)) for name in _NAMES})
    write_bytes(path, content.getvalue(), "checkpoint")


def load_state(path: str | os.PathLike[str] | None) -> LearningState | None:
    """The state in a file, or `None` where there is no such file.

    **Raises:** `InputError` for a file that is damaged or holds no state.
    """
    if path is None or not Path(path).exists():
        return None
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:
            found = {name: stored[name] for name in _NAMES}
    except OSError as error:
        raise InputError(f"checkpoint {path}: cannot be read ({error.strerror or error})") from None
    except (ValueError, EOFError, zipfile.BadZipFile, KeyError) as error:
        raise InputError(f"checkpoint {path}: is no complete state of dictionary learning ({error}); remove it") from None
    step, replaced, name = float(found["step"]), int(found["replaced"]), str(found["identity"])
    return LearningState(found["atoms"], found["codes"], found["objective"], step, replaced, name)
