"""Where certificates lie: DIR/<claim>/<case>.json. The standard library only."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path

from mcr2_landscape.certify import Certificate, write
from mcr2_landscape.certify.certificate import SCHEMA
from mcr2_landscape.errors import InputError
from mcr2_landscape.files import check_writable

_LONGEST_NAME = 100
_LARGEST = 1 << 26  # bytes of a document


def check_folder(path: str | os.PathLike[str], what: str = "--certificates") -> Path:
    """Make the folder, and see that files can be written in it.

    **Raises:** `InputError` where that is not so.
    """
    if not os.fspath(path):
        raise InputError(f"{what}: found an empty name; give a folder, . for this one")
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{what} {folder}: cannot be made ({error.strerror or error}); give another folder") from None
    check_writable(folder / "certificate.json", what)
    return folder


def store(certificates: Iterable[Certificate], folder: Path, claim_id: str) -> list[Path]:
    """Write the certificates of a claim to `folder`/`claim_id`, named by their cases, by numbers without one. Certificates that
    an earlier run left there and this one did not make again are removed: they would be checked against a claim that may have
    changed.

    **Raises:** `InputError` where a file cannot be written.
    """
    place = folder / safe_name(claim_id)
    written: dict[str, Path] = {}
    for number, certificate in enumerate(certificates, start=1):
        name = safe_name(certificate.case or str(number))
        while name in written:
            name = f"{name}-{number}"
        check_folder(place)
        written[name] = write(certificate, place / f"{name}.json")
    for old in place.glob("*.json"):
        if old.stem not in written and schema_of(old) == SCHEMA:
            for file in (old, *place.glob(f"{old.stem}.*.f64")):
                file.unlink(missing_ok=True)
    return list(written.values())


def safe_name(words: str) -> str:
    """`words` as a file's name that every system takes and that leads nowhere else."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", words).strip(".-")[:_LONGEST_NAME]
    return name or "certificate"


def relative(path: str | os.PathLike[str], folder: str | os.PathLike[str]) -> str:
    """The way from a folder to a file, with slashes on every system. Links are followed first: `..` behind one leads
    elsewhere."""
    path, folder = os.path.realpath(path), os.path.realpath(folder)
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # two drives of Windows: there is no way
        return Path(path).as_posix()


def schema_of(path: Path) -> str | None:
    """The schema that a JSON file names; `None` for one that names none, or is something else."""
    try:
        if path.stat().st_size > _LARGEST:
            return None
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    schema = document.get("schema") if isinstance(document, dict) else None
    return schema if isinstance(schema, str) else None
