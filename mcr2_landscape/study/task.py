"""Tasks: functions of the library that a study calls once for each of its units.

A package registers tasks through the entry-point group ``mcr2_landscape.tasks``, whose entries name collections of `Task`. A
task's function takes keyword-only arguments, whose annotations say what a study may give it, and returns a frozen dataclass,
whose fields are the columns of the results.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import importlib.metadata
import inspect
import types
import typing
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mcr2_landscape.errors import InputError
from mcr2_landscape.study.sources import source_digest
from mcr2_landscape.study.values import convert, item_of, nearest, without_none

GROUP = "mcr2_landscape.tasks"
SEED = "seed"
# Columns that every row has beside the parameters and the results of its task.
RESERVED = frozenset(
    {"unit", SEED, "code", "dtype", "device", "versions", "worker", "seconds", "finished", "kind", "error", "traceback"}
)


@dataclass(frozen=True)
class Task:
    """A function that studies can call.

    **Fields:** `name`; `summary`, what it does in one sentence; `function`, its address "module:function"; `memory`, bytes that
    a process needs for it; `dtype`, the precision it computes in.
    """

    name: str
    summary: str
    function: str
    memory: int = 1 << 30
    dtype: str = "float64"

    def load(self) -> Signature:
        """Import the function and read its signature.

        **Raises:** `InputError` for a function that is no task (see the module), with what is missing.
        """
        return _load(self)


@dataclass(frozen=True)
class Signature:
    """What a task's function takes and returns.

    **Fields:** `call`; `parameters`, their types by name (without the seed); `defaults`; `seeded`: whether it takes a seed;
    `results`, the types of the results by name; `code`: the version of the package and a digest of the
    source that the function depends on, which enters the identity of every unit.
    """

    call: Callable[..., Any]
    parameters: Mapping[str, Any]
    defaults: Mapping[str, Any]
    seeded: bool
    results: Mapping[str, Any]
    code: str

    @property
    def required(self) -> tuple[str, ...]:
        """The parameters without a default."""
        return tuple(name for name in self.parameters if name not in self.defaults)


def load_providers() -> tuple[dict[str, Task], tuple[str, ...]]:
    """Every registered task by name, this project's first, and words on providers that cannot be loaded or repeat a name."""
    found: dict[str, Task] = {}
    errors = []
    entries = sorted(importlib.metadata.entry_points(group=GROUP), key=lambda entry: (not _own(entry), entry.name))
    for entry in entries:
        try:
            tasks = list(entry.load())
            for task in tasks:
                if not isinstance(task, Task):
                    raise TypeError(f"holds a {type(task).__name__}; expected mcr2_landscape.study.Task")
            if taken := sorted(task.name for task in tasks if task.name in found):
                raise ValueError(f"the names {', '.join(taken)} are taken; rename the tasks")
        except (Exception, SystemExit) as error:
            errors.append(f"the tasks of {entry.name} ({entry.value}): {type(error).__name__}: {error}")
            continue
        found |= {task.name: task for task in tasks}
    return found, tuple(errors)


def find_task(name: str) -> Task:
    """The task with this name.

    **Raises:** `InputError` where there is none, with the nearest names.
    """
    tasks, errors = load_providers()
    if name not in tasks:
        failed = "".join(f"; and {words}" for words in errors)
        raise InputError(f"task: found {name!r}; {nearest(name, tasks)}{failed}")
    return tasks[name]


@functools.cache
def _load(task: Task) -> Signature:
    module_name, _, name = task.function.partition(":")
    where = f"task {task.name} ({task.function})"
    try:
        module = importlib.import_module(module_name)
        call = getattr(module, name)
        hints = typing.get_type_hints(call)
        result = hints.get("return")
        results = typing.get_type_hints(result) if dataclasses.is_dataclass(result) else {}
    except Exception as error:  # whatever a module does when it is imported
        raise InputError(f"{where}: cannot be loaded: {type(error).__name__}: {error}") from error
    found = inspect.signature(call).parameters.values()
    if wrong := [p.name for p in found if p.kind is not inspect.Parameter.KEYWORD_ONLY]:
        raise InputError(f"{where}: takes {', '.join(wrong)} by position; make every parameter keyword-only")
    parameters = {p.name: hints.get(p.name) for p in found if p.name != SEED}
    for parameter, kind in parameters.items():
        if not _is_setting(kind):
            raise InputError(f"{where}: parameter {parameter} has the type {kind}; annotate it with {_SETTINGS_WORDS}")
    if not (isinstance(result, type) and dataclasses.is_dataclass(result)):
        raise InputError(f"{where}: returns {result}; annotate a frozen dataclass, whose fields are the columns")
    for column, kind in results.items():
        if not _is_result(kind):
            raise InputError(f"{where}: result {column} has the type {kind}; use {_RESULT_WORDS}")
    # A query does not tell n from N. A parameter called count could not be drawn: [sample] has one of its own.
    counted = Counter(column.casefold() for column in (*parameters, *results, *RESERVED))
    counted.update(column.casefold() for column in parameters if column == "count")
    if clash := sorted(column for column, count in counted.items() if count > 1):
        raise InputError(f"{where}: the names {', '.join(clash)} are used twice, or are those of columns that every row has")
    defaults = {p.name: p.default for p in found if p.default is not p.empty and p.name != SEED}
    # As if a study's file had given them: 1 for a float is 1.0, and one unit has one identity.
    defaults = {name: convert(value, parameters[name], f"{where}: default of {name}") for name, value in defaults.items()}
    seeded = any(p.name == SEED for p in found)
    return Signature(call, parameters, defaults, seeded, results, _code_version(module))


_SCALARS = (bool, int, float, str)
_SETTINGS_WORDS = "bool, int, float, str, Literal[…] of texts, tuple[…, ...] of these, or one of them | None"
_RESULT_WORDS = "bool, int, float, str, tuple[…, ...] of these (list columns), np.ndarray (a file), or one of them | None"


def _is_setting(kind: Any) -> bool:
    kind = without_none(kind)
    if typing.get_origin(kind) is typing.Literal:
        return all(isinstance(value, str) for value in typing.get_args(kind))
    item = item_of(kind)
    return kind in _SCALARS if item is None else _is_setting(item)


def _is_result(kind: Any) -> bool:
    kind = without_none(kind)
    item = item_of(kind)
    if item is not None:
        return item is not np.ndarray and _is_result(item)
    return kind in _SCALARS or kind is np.ndarray


def _code_version(module: types.ModuleType) -> str:
    """The package with its version, and a digest of the source that the task depends on: changed code is another task."""
    package = module.__name__.partition(".")[0]
    names = importlib.metadata.packages_distributions().get(package, [])
    version = importlib.metadata.version(names[0]) if names else "0"
    return f"{package} {version} {source_digest(module.__name__)}"


def _own(entry: importlib.metadata.EntryPoint) -> bool:
    return entry.dist is not None and entry.dist.name.replace("-", "_") == "mcr2_landscape"
