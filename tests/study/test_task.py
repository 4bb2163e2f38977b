"""What makes a function a task, and what of its source enters the identity of its units."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import pytest

from mcr2_landscape.errors import InputError
from mcr2_landscape.study.sources import source_digest
from mcr2_landscape.study.task import Task, find_task, load_providers

HEAD = """
from dataclasses import dataclass
from typing import Literal
import numpy as np

@dataclass(frozen=True)
class R:
    answer: float
    curve: tuple[float, ...] = ()
    picture: np.ndarray | None = None

"""
_numbers = itertools.count()


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Write a module with a function `f`, and read it as a task."""
    monkeypatch.syspath_prepend(str(tmp_path))
    names = []

    def write(code: str):
        name = f"written_{next(_numbers)}"
        names.append(name)
        (tmp_path / f"{name}.py").write_text(HEAD + code)
        return Task("t", "", f"{name}:f").load()

    yield write
    for name in names:
        sys.modules.pop(name, None)


def test_a_task_is_read_from_its_signature(load):
    found = load(
        "def f(*, a: int, b: float = 1, c: tuple[int, ...] = (), d: Literal['x', 'y'] = 'x', e: str | None = None,"
        " seed: int) -> R: ..."
    )
    assert list(found.parameters) == ["a", "b", "c", "d", "e"]
    assert (found.required, found.seeded, list(found.results)) == (("a",), True, ["answer", "curve", "picture"])
    assert repr(found.defaults["b"]) == "1.0"
    assert found.code.startswith("written_")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("def f(a: int) -> R: ...", "takes a by position"),
        ("def f(*, a) -> R: ...", "parameter a has the type None"),
        ("def f(*, a: dict) -> R: ...", "parameter a has the type"),
        ("def f(*, a: Literal[1, 2]) -> R: ...", "parameter a has the type"),
        ("def f(*, a: int) -> float: ...", "annotate a frozen dataclass"),
        ("def f(*, a: int): ...", "annotate a frozen dataclass"),
        ("def f(*, answer: int) -> R: ...", "answer are used twice"),
        ("def f(*, Answer: int) -> R: ...", "answer are used twice"),
        ("def f(*, unit: int) -> R: ...", "unit are used twice"),
        ("def f(*, count: int) -> R: ...", "count are used twice"),
        ("def f(*, a: float = float('nan')) -> R: ...", "default of a: found nan"),
        ("def f(*, a: int = 'x') -> R: ...", "default of a: found 'x'"),
        ("def f(*, a: Missing) -> R: ...", "cannot be loaded: NameError"),
        ("def f(*, a: int) -> R: ... +", "cannot be loaded: SyntaxError"),
        ("g = 1", "cannot be loaded: AttributeError"),
        ("import nothing_of_the_kind", "cannot be loaded: ModuleNotFoundError"),
        ("@dataclass\nclass S:\n    a: dict\ndef f() -> S: ...", "result a has the type"),
    ],
)
def test_what_is_no_task_is_said(load, code, words):
    with pytest.raises(InputError) as caught:
        load(code)
    assert words in str(caught.value)


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "site" / "layered"
    (folder / "deep").mkdir(parents=True)
    for name, text in {
        "__init__": "",
        "task": "def f():\n    from layered import middle\n",
        "middle": "from .deep.base import thing\n",
        "deep/__init__": "",
        "deep/base": "thing = 1\n",
        "aside": "other = 1\n",
    }.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(folder.parent))
    return folder


def fresh_digest() -> str:
    source_digest.cache_clear()
    return source_digest("layered.task")


@pytest.mark.parametrize(
    ("changed", "counts"), [("task", True), ("middle", True), ("deep/base", True), ("deep/__init__", False), ("aside", False)]
)
def test_the_source_that_a_task_depends_on_enters_its_code_and_no_other(package: Path, changed, counts):
    before = fresh_digest()
    path = package / f"{changed}.py"
    path.write_text(path.read_text() + "# changed\n")
    assert (fresh_digest() != before) is counts
    assert "layered.deep" not in sys.modules  # read, not imported


def test_the_tasks_of_this_project_depend_on_the_library_that_they_call():
    """What changes the landscape changes the identity of what was found in it."""
    from mcr2_landscape.study import sources

    seen = []
    original = sources._file

    def watch(name, roots):
        path = original(name, roots)
        if path is not None:
            seen.append(name)
        return path

    sources._file, before = watch, original
    try:
        source_digest.cache_clear()
        source_digest("mcr2_landscape.study.tasks.ascend")
    finally:
        sources._file = before
    assert {"mcr2_landscape.landscape.ascend", "mcr2_landscape.mcr2.kernels", "mcr2_landscape.closed_form"} <= set(seen)
    assert not any(name.startswith(("mcr2_landscape.cli", "mcr2_landscape.report")) for name in seen)


def test_a_provider_that_fails_does_not_take_the_others_with_it(outside):
    outside("outside_tasks", good="tasks:TASKS", twice="tasks:TASKS", gone="nowhere:TASKS", wrong="work:add")
    tasks, errors = load_providers()
    assert "outside.sum" in tasks
    assert "search" in tasks
    assert len(errors) == 3
    with pytest.raises(InputError, match="nowhere"):
        find_task("outside.unknown")
