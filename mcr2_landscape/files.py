"""Files that are written whole or not at all. The standard library only."""

from __future__ import annotations

import contextlib
import errno
import glob
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mcr2_landscape.errors import InputError

_LONGEST, _ENDING = 100, ".part"  # of a name in its temporary file's


def check_path(argument: str, path: Any, what: str) -> None:
    """**Raises:** `InputError` for what is no path. `what`: the file that the argument names, such as "an .npz file"."""
    if not isinstance(path, (str, os.PathLike)):
        raise InputError(f"{argument}: found {type(path).__name__}; pass the path of {what}")


def check_writable(path: str | os.PathLike[str], what: str = "output") -> Path:
    """`path` as a `Path`, if a file can be written there. For use before long work, whose result would have nowhere to go.

    The check makes a temporary file beside `path` and removes it; an existing file is left as it is.

    **Raises:** `InputError` for a directory, a parent that is missing or no directory, or one that cannot be written to.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{what} {path}: is a directory; give the name of a file")
    if path.exists() and not path.is_file():
        return path  # a pipe or a device, such as /dev/stdout: written in place
    parent = path.parent
    if not parent.exists():
        raise InputError(f"{what} {path}: the folder {parent} does not exist; make it first")
    if not parent.is_dir():
        raise InputError(f"{what} {path}: {parent} is no folder; give another path")
    try:
        _remove(_temporary(path))
    except OSError as error:
        raise InputError(f"{what} {path}: cannot be written ({error.strerror or error}); give another path") from None
    if path.exists() and not os.access(path, os.W_OK):
        raise InputError(f"{what} {path}: the file is write-protected; give another path")
    return path


def write_text(path: str | os.PathLike[str], text: str, what: str = "output") -> None:
    """Write a text file in UTF-8, with "\\n" at the ends of lines (see `write_bytes`)."""
    write_bytes(path, text.encode("utf-8"), what)


def write_bytes(path: str | os.PathLike[str], content: bytes, what: str = "output") -> None:
    """Write a file whole or not at all: a temporary file beside it takes its place.

    **Raises:** `InputError` where the file cannot be written; an earlier file is then untouched.
    """
    path = check_writable(path, what)
    if path.exists() and not path.is_file():
        path.write_bytes(content)
        return
    try:
        place(path, content)
    except OSError as error:
        raise InputError(f"{what} {path}: cannot be written ({error.strerror or error})") from None


def make_folder(path: Path) -> None:
    """Make a folder, with its parents, unless it is there, and bring the names of new ones to the disk.

    **Raises:** `OSError`.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        _sync_folder(folder.parent)


def place(path: Path, content: bytes | memoryview) -> None:
    """Write a file under another name, bring it to the disk, and only then give it its own name.

    **Raises:** `OSError`; the file is then as it was before, and nothing else is left.
    """
    temporary = None
    try:
        temporary = _temporary(path)
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    finally:
        if temporary is not None:
            _remove(temporary)


def to_json(plain: Any) -> str:
    """Plain values as JSON text. NaN and infinity are errors: `to_plain` has made them `null`."""
    return json.dumps(plain, allow_nan=False, ensure_ascii=False, indent=1) + "\n"


def write_json(path: str | os.PathLike[str], plain: Any, what: str = "JSON file") -> None:
    """Write plain values as a JSON file, whole or not at all.

    **Raises:** `InputError` where the file cannot be written.
    """
    write_text(path, to_json(plain), what)


def remove_leftovers(folder: Path, name: str | None = None) -> None:
    """Remove what writers of the file `name`, or of any file in the folder, left where they were killed. With a lock held:
    another writer's file may be on its way."""
    for path in leftovers(folder, name):
        path.unlink(missing_ok=True)


def leftovers(folder: Path, name: str | None = None) -> Iterator[Path]:
    """The temporary files of `place` in a folder: of one file, or of any."""
    beginning = "*" if name is None else glob.escape(name[:_LONGEST])
    return folder.glob(f".{beginning}.*{_ENDING}")


def _temporary(path: Path) -> str:
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:_LONGEST]}.", suffix=_ENDING, dir=path.parent)
    os.close(handle)
    return name


def _sync_folder(path: Path) -> None:
    """Bring a folder's list of names to the disk: a loss of power could take a new name away again."""
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        except OSError as error:
            if error.errno != errno.EINVAL:  # a file system that knows no such thing
                raise
        finally:
            os.close(handle)


def _remove(name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name)


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
