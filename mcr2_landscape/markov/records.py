"""What a run of the learning dynamics has recorded, and its checkpoint: one file, written whole or not at all."""

from __future__ import annotations

import io
import json
import os
import time
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from mcr2_landscape.files import check_writable, make_folder, remove_leftovers, write_bytes
from mcr2_landscape.locking import FolderLock
from mcr2_landscape.validation import InputError

NAME = "learning.npz"
_FORMAT = 1
_AGAIN = "learn again in another folder, or restore the file"


class Rows(NamedTuple):
    """Arrays with the seeds last, for T records: `policy` and `q` (T, N, S, A, n) float64, `visits` of states and own actions
    (T, N, S, A, n) int32, the `state` reached (T, n) int32, and the `actions` (T, N, n) int32 that led there, −1 at first.
    Without T: the present."""

    policy: np.ndarray
    q: np.ndarray
    visits: np.ndarray
    state: np.ndarray
    actions: np.ndarray


class Kept:
    """The records so far, how many steps were `done`, and the present, on the host or on the device by groups."""

    def __init__(self, rows: Rows, present: Rows, every: int):
        self.rows, self.done, self.every = rows, 0, every
        self._present, self._groups = present, ()

    @staticmethod
    def begin(present: Rows, num_rows: int, num_seeds: int, every: int) -> Kept:
        """Room for so many records, the first of which is the present."""
        rows = Rows(*(np.empty((num_rows, *own.shape[:-1], num_seeds), dtype=own.dtype) for own in present))
        for all_rows, own in zip(rows, present, strict=True):
            all_rows[0] = own[..., :num_seeds]
        return Kept(rows, present, every)

    @property
    def count(self) -> int:
        """The records so far."""
        return self.done // self.every + 1

    def present(self) -> Rows:
        """The present, seeds that fill up the last group included."""
        if self._groups:
            return Rows(
                *(np.concatenate([np.asarray(part) for part in own], axis=-1) for own in zip(*self._groups, strict=True))
            )
        return self._present

    def write(self, where: slice, seeds: slice, found: Sequence[jax.Array]) -> None:
        """Records that the program made for some seeds."""
        if where.start == where.stop:
            return
        for rows, own in zip(self.rows, found, strict=True):
            room = rows[where, ..., seeds]  # the last group may have seeds that nobody asked for
            room[...] = np.asarray(own)[: where.stop - where.start, ..., : room.shape[-1]]

    def advance(self, done: int, groups: Sequence[Any]) -> None:
        """The present is now that of `groups`, after `done` steps."""
        self.done, self._groups = done, tuple(groups)

    def recorded(self) -> Rows:
        """The records so far."""
        return Rows(*(rows[: self.count] for rows in self.rows))

    def take_over(self, rows: Rows, present: Rows, done: int) -> None:
        """Go on from these."""
        for own, found in zip(self.rows, rows, strict=True):
            own[: found.shape[0]] = found
        self._present, self._groups, self.done = present, (), done


class Keeper:
    """Writes the checkpoint when it is due; without a folder it does nothing. A context manager: the folder is locked in it."""

    def __init__(self, path: Path | None, resume: bool, seconds: float, identity: Mapping[str, str]):
        self.path, self.resume, self.seconds, self.identity = path, resume, seconds, dict(identity)
        self._lock = None if path is None else FolderLock(path.parent, "learning", "solvers")
        self._clock, self._written = time.perf_counter(), -1

    @staticmethod
    def of(folder: str | os.PathLike[str] | None, resume: bool, seconds: float, identity: Mapping[str, str]) -> Keeper:
        """Look at the folder before the work begins.

        **Raises:** `InputError` for a place that cannot be written, or nothing to resume.
        """
        if folder is None:
            if resume:
                raise InputError("resume: there is nothing to go on from; pass checkpoint=... with the folder of the run")
            return Keeper(None, False, seconds, identity)
        if not os.fspath(folder):
            raise InputError("checkpoint: found an empty name; give a folder, . for this one")
        try:
            make_folder(Path(folder))
        except OSError as error:
            raise InputError(f"checkpoint {folder}: cannot be made ({error.strerror or error}); give another folder") from None
        return Keeper(check_writable(Path(folder) / NAME, "checkpoint"), resume, seconds, identity)

    def __enter__(self) -> Keeper:
        """**Raises:** `InputError` where another process writes, or the folder holds a run that is not gone on with."""
        if self.path is None or self._lock is None:
            return self
        self._lock.acquire()
        try:
            for name in (NAME, "holder.json"):
                remove_leftovers(self.path.parent, name)
            if self.path.exists() and not self.resume:
                raise InputError(f"{self.path}: holds a run already; pass resume=True to go on with it, or another folder")
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, *exception: Any) -> None:
        if self._lock is not None:
            self._lock.release()

    def restore(self, kept: Kept, num_steps: int) -> None:
        """Take over what the file holds, if there is one.

        **Raises:** `InputError` for a file that is damaged, of another run, or beyond `num_steps`.
        """
        if self.path is None or not self.path.exists():
            return
        header, rows, present = self._read(self.path)
        different = [name for name, own in self.identity.items() if header["identity"].get(name) != own]
        different += [name for name in header["identity"] if name not in self.identity]
        if different:
            raise InputError(
                f"{self.path}: was made by another run: what differs is {', '.join(different)}; pass what it was made with, or "
                "learn in another folder"
            )
        done = int(header["done"])
        if done > num_steps:
            raise InputError(f"num_steps: found {num_steps}, but {self.path} holds {done} steps; pass at least as many")
        kept.take_over(rows, present, done)
        self._written = done

    def _read(self, path: Path) -> tuple[dict[str, Any], Rows, Rows]:
        try:
            with np.load(path, allow_pickle=False) as file:  # every array has a checksum, and nothing is executed
                arrays = {name: file[name] for name in file.files}
            header = json.loads(bytes(arrays["header"]))
            if header["format"] > _FORMAT:
                raise InputError(f"{path}: has the format {header['format']}, newer than {_FORMAT}; update mcr2_landscape")
            rows, present = (Rows(*(arrays[f"{part}.{name}"] for name in Rows._fields)) for part in ("rows", "present"))
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile, TypeError) as error:
            raise InputError(f"{path}: the checkpoint is damaged or is none ({error}); {_AGAIN}") from None
        return header, rows, present

    def write_if_due(self, kept: Kept) -> None:
        """Write one if it is time."""
        if self.path is not None and time.perf_counter() - self._clock >= self.seconds:
            self.write(kept)

    def write(self, kept: Kept) -> None:
        """Write one, unless this step's is written."""
        if self.path is None or self._written == kept.done:
            return
        header = json.dumps({"format": _FORMAT, "done": kept.done, "identity": self.identity}).encode()
        arrays = {f"rows.{name}": own for name, own in kept.recorded()._asdict().items()}
        arrays |= {f"present.{name}": own for name, own in kept.present()._asdict().items()}
        content = io.BytesIO()
        np.savez(content, header=np.frombuffer(header, dtype=np.uint8), **arrays)  # type: ignore[arg-type]
        write_bytes(self.path, content.getvalue(), "checkpoint")
        self._written, self._clock = kept.done, time.perf_counter()
