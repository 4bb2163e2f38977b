"""Stores of every study that figures need, with few and small units: made once for all processes of the suite, on demand. What
compiles for long is not computed, but made up (see `made_up`)."""

from __future__ import annotations

from concurrent.futures import Executor, Future
from pathlib import Path

import pytest
from filelock import FileLock

from mcr2_landscape.gallery.reading import Stores
from mcr2_landscape.study.coordinator import run_units
from mcr2_landscape.study.description import parse_description
from mcr2_landscape.study.space import Study
from mcr2_landscape.study.store import Store

from . import made_up

TINY = Path(__file__).parent / "tiny"


class Here(Executor):
    """Computes in this process, at once."""

    def submit(self, function, /, *args, **kwargs):
        future = Future()
        future.set_result(function(*args, **kwargs))
        return future


def make_store(folder: Path, name: str) -> Path:
    """The store of a study of tests/gallery/tiny, without a failure."""
    place = folder / name
    with FileLock(folder / f"{name}.lock"):
        if not (folder / f"{name}.done").exists():
            text = (TINY / f"{name}.toml").read_text(encoding="utf-8")
            study = Study.of(parse_description(text, f"{name}.toml"))
            store = Store.create(place, study)
            store.acquire()
            try:
                store.remember(text, None)
                with pytest.MonkeyPatch.context() as patch:
                    if (call := made_up.RESULTS.get(study.task.name)) is not None:
                        patch.setitem(vars(study.signature), "call", call)
                    run_units(store, study, Here(), width=lambda: 1)
            finally:
                store.release()
            assert not store.parts("failures"), f"a unit of {name} failed"
            (folder / f"{name}.done").touch()
    return place


@pytest.fixture(scope="session")
def store_folder(tmp_path_factory, worker_id) -> Path:
    """The folder for the stores, the same for all processes of the suite."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "stores"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def tables_of(store_folder):
    """The tables of a figure, from stores that are made when they are needed."""

    def read(figure):
        for name in figure.studies:
            make_store(store_folder, name)
        with Stores(store_folder) as stores:
            return stores.tables(figure)

    return read


@pytest.fixture(scope="session")
def rows_of(store_folder):
    """All rows of a study's store as dicts, read from its files by pyarrow alone."""
    import pyarrow.parquet

    def read(name):
        place = make_store(store_folder, name)
        return [row for part in sorted(place.glob("rows/*.parquet")) for row in pyarrow.parquet.read_table(part).to_pylist()]

    return read
