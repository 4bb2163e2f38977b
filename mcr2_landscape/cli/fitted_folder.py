"""The folder of a command that fits: its checkpoint, its lock, and results that are written whole."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mcr2_landscape.errors import InputError
from mcr2_landscape.locking import FolderLock

_LOCK = frozenset({"lock", "holder.json"})


@dataclass(frozen=True)
class FittedFolder:
    """Where a fit lies: its checkpoint, by name, and its results once it has ended."""

    path: Path
    checkpoint_name: str
    resume: bool

    @staticmethod
    def of(name: str, checkpoint_name: str, results: tuple[str, ...], *, resume: bool) -> FittedFolder:
        """Look at the folder, which need not exist yet; `results` are the files of an ended fit.

        **Raises:** `InputError` for one that holds a fit, unless it is gone on with.
        """
        if not name:
            raise InputError("--out: found an empty name; give a folder, . for this one")
        path = Path(name)
        if path.exists() and not path.is_dir():
            raise InputError(f"--out {path}: is a file; give a folder")
        found = [file for file in (checkpoint_name, *results) if (path / file).exists()]
        if found and checkpoint_name not in found:
            raise InputError(f"--out {path}: holds {found[0]} but no {checkpoint_name}: nothing to resume; give another folder")
        if found and not resume:
            raise InputError(f"--out {path}: holds {found[0]}; go on with it (--resume), or give another folder")
        return FittedFolder(path, checkpoint_name, resume)

    @property
    def checkpoint(self) -> Path:
        """The checkpoint's file."""
        return self.path / self.checkpoint_name

    @contextlib.contextmanager
    def held(self, what: str) -> Iterator[None]:
        """Make the folder and hold its lock. A folder that is new is taken away again where nothing came into it.

        **Raises:** `InputError` where it cannot be made, or another process writes to it.
        """
        from mcr2_landscape.files import make_folder, remove_leftovers

        new = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        try:
            make_folder(self.path)
        except OSError as error:
            raise InputError(f"--out {self.path}: cannot be made ({error.strerror or error}); give another folder") from None
        lock = FolderLock(self.path, what, "solvers")
        try:
            lock.acquire()
            remove_leftovers(self.path)
            yield
        finally:
            lock.release()
            if new and {file.name for file in self.path.iterdir()} <= _LOCK:
                for name in _LOCK:
                    (self.path / name).unlink(missing_ok=True)
                with contextlib.suppress(OSError):  # another process may have begun to write there
                    for folder in new:
                        folder.rmdir()

    @contextlib.contextmanager
    def all_or_none(self, names: tuple[str, ...]) -> Iterator[None]:
        """Take the results away that were new, where writing them is interrupted or fails: a part of them would say that the
        fit has ended."""
        old = {name for name in names if (self.path / name).exists()}
        try:
            yield
        except BaseException:
            for name in set(names) - old:
                (self.path / name).unlink(missing_ok=True)
            raise

    def write(self, contents: Mapping[str, bytes | str]) -> None:
        """Write results, each whole or not at all, in this order.

        **Raises:** `InputError` where one cannot be written.
        """
        from mcr2_landscape.files import write_bytes

        for name, content in contents.items():
            write_bytes(self.path / name, content.encode() if isinstance(content, str) else content, "--out")


def npz(arrays: Mapping[str, object]) -> bytes:
    """Arrays as the content of an .npz file."""
    import io

    import numpy as np

    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **{name: np.asarray(array) for name, array in arrays.items()})
    return content.getvalue()
