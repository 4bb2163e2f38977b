"""A store: the folder with everything that a study has found.

    store.json                the format's number, the study's name and task
    description.json          the text of the description that was last run, and its size
    rows/*.parquet            results, one row a unit, in immutable parts
    failures/*.parquet        units that failed, one row an attempt
    arrays/ab/ab….npy         large arrays, named by the SHA-256 of their files
    plans/*.identities        the identities of all units of a description, 16 bytes each, so that they are computed once
    plans/rows.npz            those that the parts hold, so that a long run's thousands of parts are opened once
    lock, holder.json         who writes

Whatever appears under its name is whole: files are written under another name, brought to the disk and renamed. A part never
changes. So a reader needs no lock, a program that is killed leaves nothing half-done but a temporary file, and a unit whose row
was not yet written is computed again.
"""

from __future__ import annotations

import io
import json
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import mcr2_landscape
from mcr2_landscape.errors import InputError
from mcr2_landscape.files import leftovers, make_folder, place, remove_leftovers, to_json, write_bytes, write_json
from mcr2_landscape.locking import FolderLock
from mcr2_landscape.study.arrow import pa, pq
from mcr2_landscape.study.description import Description, parse_description
from mcr2_landscape.study.index import identities_of_parts
from mcr2_landscape.study.space import DIGEST_BYTES, Study

FORMAT = 1
_MANIFEST, _DESCRIPTION = "store.json", "description.json"
ROWS, FAILURES = "rows", "failures"


class StoreError(OSError):
    """The store cannot be written: the disk is full, for instance. What is on it is whole."""


class Store:
    """A store that exists.

    **Arguments:** `path`: its folder.

    **Raises:** `InputError` for a folder that is none, is damaged, or was made by a newer version.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        self.manifest = _read_manifest(self.path)
        self._lock = FolderLock(self.path, "store", "study")

    @staticmethod
    def exists(path: Path) -> bool:
        """Whether a store is there. One that cannot be looked into is: opening it says why it cannot be read."""
        try:
            return (path / _MANIFEST).is_file()
        except PermissionError:
            return True

    @staticmethod
    def create(path: Path, study: Study) -> Store:
        """The store at `path`, made if there is none.

        **Raises:** `InputError` for a folder that holds something else, or the store of another study.
        """
        if not Store.exists(path):
            if path.exists() and not path.is_dir():
                raise InputError(f"--store {path}: is no folder; give another place")
            try:
                # A run that was killed at its very beginning, or begins at this moment, leaves a temporary file.
                if path.is_dir() and set(path.iterdir()) > set(leftovers(path)):
                    raise InputError(f"--store {path}: holds something else than a store; give an empty folder or a new one")
                make_folder(path)
            except OSError as error:
                raise InputError(f"--store {path}: cannot be made ({error.strerror or error})") from None
            manifest = {
                "format": FORMAT,
                "study": study.description.name,
                "task": study.task.name,
                "made_by": f"mcr2_landscape {mcr2_landscape.__version__}",
            }
            write_json(path / _MANIFEST, manifest, "--store")
        store = Store(path)
        for what, own in (("study", study.description.name), ("task", study.task.name)):
            if store.manifest[what] != own:
                there = store.manifest[what]
                raise InputError(f"--store {path}: holds the {what} {there!r}, and this is {own!r}; give each its own store")
        return store

    # -- writing: with the lock held ------------------------------------------------------------------------------------------

    def acquire(self) -> None:
        """Become the one who writes, until `release` or the end of the process, however it ends.

        **Raises:** `InputError` where another process writes: who, since when.
        """
        self._lock.acquire()
        try:
            for folder in (ROWS, FAILURES, "arrays", "plans"):
                make_folder(self.path / folder)
            self._remove_leftovers()
        except OSError as error:
            self.release()
            raise StoreError(error.errno, error.strerror, error.filename) from error
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Let others write."""
        self._lock.release()

    def remember(self, text: str, size: str | None) -> None:
        """Keep the description that is run, so that the store can be resumed and read without its file."""
        path = self.path / _DESCRIPTION
        content = to_json({"text": text, "size": size}).encode()  # one file: the two are never of different runs
        if not path.is_file() or path.read_bytes() != content:
            write_bytes(path, content, "store")

    def new_part(self, kind: str) -> Path:
        """A name for a new part, later than all others."""
        return self.path / kind / f"{time.time_ns():020d}-{secrets.token_hex(4)}.parquet"

    def write_part(self, path: Path, table: pa.Table) -> None:
        """Write rows as a part, whole or not at all.

        **Raises:** `StoreError` where the disk refuses.
        """
        content = io.BytesIO()
        pq.write_table(table, content, compression="zstd")
        _place(path, content.getbuffer())

    def write_array(self, digest: str, content: bytes) -> None:
        """Write an array's file under its hash, unless it is there.

        **Raises:** `StoreError` where the disk refuses.
        """
        path = self._array_path(digest)
        if not path.is_file():
            _place(path, content)

    # -- reading --------------------------------------------------------------------------------------------------------------

    def description(self, size: str | None = None) -> tuple[Description, str]:
        """The description that was last run, with its text; in another size where one is given.

        **Raises:** `InputError` for a store that was never run, or a description that is damaged.
        """
        path = self.path / _DESCRIPTION
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            text, own = str(stored["text"]), stored["size"]
        except FileNotFoundError:
            raise InputError(f"store {self.path}: holds no description yet; run the study's file first") from None
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
        except (ValueError, KeyError, TypeError):
            raise InputError(f"{path}: is damaged; run the study's file again, which writes it") from None
        return parse_description(text, str(path), size or own), text

    def parts(self, kind: str) -> list[Path]:
        """The parts with rows, or with failures, oldest first.

        **Raises:** `InputError` where the folder cannot be read.
        """
        folder = self.path / kind
        try:
            names = sorted(entry.name for entry in os.scandir(folder))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise InputError(f"{folder}: cannot be read ({error.strerror or error})") from None
        return [folder / name for name in names if name.endswith(".parquet") and not name.startswith(".")]

    def array(self, digest: str) -> np.ndarray:
        """An array that a row names by its hash.

        **Raises:** `InputError` where the file is missing or damaged.
        """
        path = self._array_path(digest)
        try:
            return np.load(path, allow_pickle=False)
        except FileNotFoundError:
            raise InputError(f"store {self.path}: the array {digest[:12]}… is missing; copy {path} too") from None
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"{path}: cannot be read ({error}); remove it, and the part that names it, and resume") from None

    def identities(self, study: Study) -> np.ndarray:
        """The identities of a study's units, (units, 16) bytes, from the file that keeps them if there is one."""
        path = self.path / "plans" / f"{study.digest}.identities"
        if path.is_file() and path.stat().st_size == len(study) * DIGEST_BYTES:
            found = np.fromfile(path, dtype=np.uint8).reshape(-1, DIGEST_BYTES)
            ends = {0, len(study) // 2, len(study) - 1}
            if all(study.identify(study.unit(number)) == found[number].tobytes() for number in ends):
                return found
        found = study.identities()
        if self._lock.held:
            _place(path, found.tobytes())
        return found

    def recorded(self, kind: str) -> np.ndarray:
        """The identities that rows (or failures) are there for, (rows, 16) bytes, in the order of the parts.

        **Raises:** `InputError` for a part that cannot be read.
        """
        return identities_of_parts(
            self.parts(kind),
            self.path / "plans" / f"{kind}.npz",
            lambda path: _identities(read_part(path, ["unit"]).column("unit")),
            may_write=self._lock.held,
        )

    def refresh_index(self) -> None:
        """Note which units the new parts hold, so that whoever looks next opens them no more. With the lock held."""
        for kind in (ROWS, FAILURES):
            self.recorded(kind)

    def writer(self) -> str | None:
        """Who writes to the store now, or `None`."""
        return self._lock.holder()

    # -- private --------------------------------------------------------------------------------------------------------------

    def _array_path(self, digest: str) -> Path:
        return self.path / "arrays" / digest[:2] / f"{digest}.npy"

    def _remove_leftovers(self) -> None:
        """Temporary files of writers that were killed."""
        folders = [self.path, *(self.path / name for name in (ROWS, FAILURES, "plans")), *(self.path / "arrays").iterdir()]
        for folder in folders:
            remove_leftovers(folder)


def read_part(path: Path, columns: list[str] | None = None) -> pa.Table:
    """A part, or some of its columns.

    **Raises:** `InputError` for a file that is damaged.
    """
    try:
        file = pq.ParquetFile(path)
        if missing := {"unit", *(columns or ())} - set(file.schema_arrow.names):
            raise ValueError(f"it has no column {sorted(missing)[0]}")
        return file.read(columns=columns)
    except (OSError, ValueError) as error:  # Arrow's errors are of both kinds
        words = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"{path}: cannot be read ({words}); restore it from a copy, or remove it: its units are then computed again"
        ) from None


def _place(path: Path, content: bytes | memoryview) -> None:
    try:
        make_folder(path.parent)
        place(path, content)
    except OSError as error:
        raise StoreError(error.errno, error.strerror, error.filename) from error


def _read_manifest(path: Path) -> Mapping[str, Any]:
    place = path / _MANIFEST
    try:
        manifest = json.loads(place.read_text(encoding="utf-8"))
        number = manifest["format"]
        for key in ("study", "task", "made_by"):
            str(manifest[key])
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{path}: is no store (it has no {_MANIFEST}); give the folder that a study was run into") from None
    except OSError as error:
        raise InputError(f"{place}: cannot be read ({error.strerror or error})") from None
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{place}: is damaged; restore it from a copy") from None
    if not isinstance(number, int) or number > FORMAT:
        raise InputError(
            f"store {path}: has format {number}, made by {manifest['made_by']}; this is mcr2_landscape "
            f"{mcr2_landscape.__version__}, which reads formats up to {FORMAT}: upgrade it"
        )
    return manifest


def _identities(column: pa.ChunkedArray) -> np.ndarray:
    """Hexadecimal text as bytes, at once for all rows."""
    if not len(column):
        return np.empty((0, DIGEST_BYTES), np.uint8)
    array = column.combine_chunks()
    text = np.frombuffer(array.buffers()[2], np.uint8)[2 * DIGEST_BYTES * array.offset :][: 2 * DIGEST_BYTES * len(array)]
    return np.frombuffer(bytes.fromhex(text.tobytes().decode("ascii")), np.uint8).reshape(-1, DIGEST_BYTES)
