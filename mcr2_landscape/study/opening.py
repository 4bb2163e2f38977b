"""From what a user names (a file, a study that comes with the package, a store) to a study and its store."""

from __future__ import annotations

import importlib.resources
import os
from dataclasses import dataclass
from pathlib import Path

from mcr2_landscape.errors import InputError
from mcr2_landscape.study.description import read_description
from mcr2_landscape.study.space import Study
from mcr2_landscape.study.store import Store
from mcr2_landscape.study.task import nearest

DEFAULT_FOLDER = Path("studies")


@dataclass(frozen=True)
class Opened:
    """A study, the text of its description, and where its results are or will be."""

    study: Study
    text: str
    place: Path

    def store(self) -> Store:
        """The store that is there.

        **Raises:** `InputError` where there is none yet.
        """
        if not Store.exists(self.place):
            raise InputError(f"{self.place}: has no results yet; mcr2-landscape study run makes them")
        return Store(self.place)


def shipped() -> dict[str, Path]:
    """The studies that come with the package, by name."""
    folder = importlib.resources.files("mcr2_landscape.experiments")
    paths = (Path(str(item)) for item in folder.iterdir() if item.name.endswith(".toml"))
    return {path.stem: path for path in sorted(paths)}


def open_study(name: str | os.PathLike[str], size: str | None = None, store: str | os.PathLike[str] | None = None) -> Opened:
    """The study that `name` means: a file (.toml), a study that comes with the package, or a store with the description that
    was last run there. Its results lie in `store`, by default the folder ``studies/`` + the study's name.

    **Raises:** `InputError` for a name that means none of these, or a description with mistakes.
    """
    path = Path(name)
    if Store.exists(path):
        if store is not None and Path(store).resolve() != path.resolve():
            raise InputError(f"--store {store}: {path} is itself a store; leave --store out")
        description, text = Store(path).description(size)
        return Opened(Study.of(description, f"the description in {path}"), text, path)
    known = shipped()
    if path.is_dir() and str(name) not in known:
        raise InputError(f"{path}: is a folder without a store (it has no store.json); give a store, or a study's file")
    if path.suffix != ".toml" and not path.is_file():
        if str(name) not in known:
            raise InputError(
                f"study: found {str(name)!r}, which is no file (.toml), no store and no study here; "
                + nearest(str(name), known)
            )
        path = known[str(name)]
    description, content = read_description(path, size)
    place = DEFAULT_FOLDER / description.name if store is None else Path(store)
    return Opened(Study.of(description, str(path)), content, place)
