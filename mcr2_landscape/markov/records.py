"""What a run has recorded, and its checkpoint: one file, written whole or not at all."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import jax
import numpy as np

from mcr2_landscape.files import check_writable, make_folder, remove_leftovers, write_bytes
from mcr2_landscape.locking import FolderLock
from mcr2_landscape.validation import InputError

NAME = "learning.npz"
_FORMAT = 1
_FIRST_METHOD = "learn"  # of files that do not say it
_LONGEST = 40  # of a setting that is quoted: digests are not
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


AnyRows = TypeVar("AnyRows", bound=tuple)  # a NamedTuple of arrays with the seeds last, as `Rows` is one


class Kept(Generic[AnyRows]):
    """The records so far of n seeds, how many steps are done, and the present, on the host or on the device by groups."""

    def __init__(self, rows: AnyRows, present: AnyRows, every: int):
        self.rows, self.every = rows, every
        # The steps done, and the present there: in one, which a second Ctrl-C cannot tear apart.
        self._now: tuple[int, AnyRows, tuple[Any, ...]] = 0, present, ()

    @staticmethod
    def begin(present: AnyRows, num_rows: int, num_seeds: int, every: int) -> Kept[AnyRows]:
        """Room for so many records, the first of which is the present."""
        rows = _like(present, [np.empty((num_rows, *own.shape[:-1], num_seeds), dtype=own.dtype) for own in present])
        for all_rows, own in zip(rows, present, strict=True):
            all_rows[0] = own[..., :num_seeds]
        return Kept(rows, present, every)

    @property
    def done(self) -> int:
        """The steps so far."""
        return self._now[0]

    @property
    def count(self) -> int:
        """The records so far."""
        return self.done // self.every + 1

    def present(self) -> AnyRows:
        """The present, seeds that fill up the last group included."""
        _, present, groups = self._now
        if not groups:
            return present
        joined = [np.concatenate([np.asarray(part) for part in own], axis=-1) for own in zip(*groups, strict=True)]
        return _like(present, joined)

    def write(self, where: slice, seeds: slice, found: Sequence[jax.Array]) -> None:
        """Records that the program made for some seeds."""
        if where.start == where.stop:
            return
        for rows, own in zip(self.rows, found, strict=True):
            room = rows[where, ..., seeds]  # the last group may have seeds that nobody asked for
            room[...] = np.asarray(own)[: where.stop - where.start, ..., : room.shape[-1]]

    def advance(self, done: int, groups: Sequence[Any]) -> None:
        """The present is now that of `groups`, after `done` steps."""
        self._now = done, self._now[1], tuple(groups)

    def recorded(self) -> AnyRows:
        """The records so far."""
        return _like(self.rows, [rows[: self.count] for rows in self.rows])

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything so far, for a checkpoint; without the seeds that fill up the last group, which may be other ones when the
        run goes on."""
        n = self.rows[0].shape[-1]
        found = dict(zip(_names("rows", self.rows), self.recorded(), strict=True))
        return found | {name: own[..., :n] for name, own in zip(_names("present", self.rows), self.present(), strict=True)}

    def take_over(self, arrays: Mapping[str, np.ndarray], done: int) -> None:
        """Go on from these, which are as `arrays` returns them.

        **Raises:** `KeyError` or `ValueError` for arrays that are missing, or of other shapes or types.
        """
        n, count = self.rows[0].shape[-1], done // self.every + 1
        present = [own.copy() for own in self.present()]
        for name, rows in zip(_names("rows", self.rows), self.rows, strict=True):
            rows[:count] = fitting(arrays, name, (count, *rows.shape[1:]), rows.dtype)
        for name, own in zip(_names("present", self.rows), present, strict=True):
            own[..., :n] = fitting(arrays, name, (*own.shape[:-1], n), own.dtype)
        self._now = done, _like(self._now[1], present), ()


def fitting(arrays: Mapping[str, np.ndarray], name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """The array of this name; seeds beyond the last one that is asked for, which older files have, are left out.

    **Raises:** `KeyError` where there is none, `ValueError` for one of another shape or type.
    """
    found = arrays[name]
    found = found[..., : shape[-1]] if found.ndim else found
    if found.shape != shape or found.dtype != dtype:
        raise ValueError(f"{name} is {found.dtype} of shape {found.shape}, not {np.dtype(dtype)} of shape {shape}")
    return found


class Savable(Protocol):
    """What a checkpoint can hold: how many steps are `done`, and arrays by name that `take_over` goes on from."""

    @property
    def done(self) -> int:
        """The steps so far."""
        ...

    def arrays(self) -> Mapping[str, np.ndarray]:
        """Everything so far."""
        ...

    def take_over(self, arrays: Mapping[str, np.ndarray], done: int) -> None:
        """Go on from these; `KeyError` or `ValueError` for what does not fit."""
        ...


class Keeper:
    """Writes the checkpoint when it is due; without a folder it does nothing. A context manager: the folder is locked in it.

    `method` and `identity`, settings by name, say which run it is: a checkpoint of another one is refused.
    """

    def __init__(self, path: Path | None, resume: bool, seconds: float, method: str, identity: Mapping[str, str]):
        self.path, self.resume, self.seconds, self.method, self.identity = path, resume, seconds, method, dict(identity)
        self._lock = None if path is None else FolderLock(path.parent, "learning", "solvers")
        self._clock, self._written = time.perf_counter(), -1

    @staticmethod
    def of(
        folder: str | os.PathLike[str] | None, resume: bool, seconds: float, method: str, identity: Mapping[str, str]
    ) -> Keeper:
        """Look at the folder before the work begins.

        **Raises:** `InputError` for a place that cannot be written, or nothing to resume.
        """
        if folder is None:
            if resume:
                raise InputError("resume: there is nothing to go on from; pass checkpoint=... with the folder of the run")
            return Keeper(None, False, seconds, method, identity)
        if not os.fspath(folder):
            raise InputError("checkpoint: found an empty name; give a folder, . for this one")
        try:
            make_folder(Path(folder))
        except OSError as error:
            raise InputError(f"checkpoint {folder}: cannot be made ({error.strerror or error}); give another folder") from None
        return Keeper(check_writable(Path(folder) / NAME, "checkpoint"), resume, seconds, method, identity)

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

    def restore(self, kept: Savable, num_steps: int) -> None:
        """Let `kept` take over what the file holds, if there is one.

        **Raises:** `InputError` for a file that is damaged, of another run, or beyond `num_steps`.
        """
        path = self.path
        if path is None or not path.exists():
            return
        try:
            content = path.read_bytes()
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
        arrays = _undamaged(path, lambda: _unpacked(content))
        version, method, identity, done = _undamaged(path, lambda: _header(arrays))
        if version > _FORMAT:
            raise InputError(f"{path}: has the format {version}, newer than {_FORMAT}; update mcr2_landscape")
        if method != self.method:
            raise InputError(f"{path}: holds a run of {method}, not of {self.method}; give another folder")
        names = [*self.identity, *(name for name in identity if name not in self.identity)]
        different = [name for name in names if identity.get(name) != self.identity.get(name)]
        if different:
            words = ", ".join(_difference(name, identity.get(name), self.identity.get(name)) for name in different)
            raise InputError(
                f"{path}: was made by another run: what differs is {words}; pass what it was made with, or learn in another "
                "folder"
            )
        if done > num_steps:
            raise InputError(f"num_steps: found {num_steps}, but {path} holds {done} steps; pass at least as many")
        _undamaged(path, lambda: kept.take_over(arrays, done))
        self._written = done

    def write_if_due(self, kept: Savable) -> None:
        """Write one if it is time."""
        if self.path is not None and time.perf_counter() - self._clock >= self.seconds:
            self.write(kept)

    def write(self, kept: Savable) -> None:
        """Write one, unless this step's is written."""
        if self.path is None or self._written == kept.done:
            return
        header = {"format": _FORMAT, "method": self.method, "done": kept.done, "identity": self.identity}
        content = io.BytesIO()
        first = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
        np.savez(content, header=first, **kept.arrays())  # type: ignore[arg-type]
        write_bytes(self.path, content.getvalue(), "checkpoint")
        self._written, self._clock = kept.done, time.perf_counter()


_Found = TypeVar("_Found")


def _undamaged(path: Path, read: Callable[[], _Found]) -> _Found:
    try:
        return read()
    except Exception as error:  # what zipfile, NumPy and JSON raise on bytes that are not theirs is nowhere listed
        words = f"no {error}" if isinstance(error, KeyError) else error
        raise InputError(f"{path}: the checkpoint is damaged or is none ({words}); {_AGAIN}") from None


def _unpacked(content: bytes) -> dict[str, np.ndarray]:
    # From memory: an archive that is damaged makes NumPy leave the file open, and raise OSError as a bad disk does.
    with np.load(io.BytesIO(content), allow_pickle=False) as file:  # every array has a checksum, and nothing is executed
        return {name: file[name] for name in file.files}


def _header(arrays: Mapping[str, np.ndarray]) -> tuple[int, str, dict[str, str], int]:
    """The format, the method, the settings and the steps done."""
    found = json.loads(bytes(arrays["header"]))
    version, method, done = int(found["format"]), str(found.get("method", _FIRST_METHOD)), int(found["done"])
    if done < 0:
        raise ValueError(f"{done} steps")
    return version, method, {str(name): str(own) for name, own in found["identity"].items()}, done


def _difference(name: str, found: str | None, asked: str | None) -> str:
    if found is None or asked is None or max(len(found), len(asked)) > _LONGEST:
        return name
    return f"{name} (found {found}, not {asked})"


def _names(part: str, rows: Any) -> list[str]:
    return [f"{part}.{name}" for name in rows._fields]


def _like(rows: AnyRows, arrays: Sequence[np.ndarray]) -> AnyRows:
    """A tuple of the same kind."""
    return type(rows)(*arrays)
