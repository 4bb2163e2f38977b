"""Tasks: functions of the library that a study calls once for each of its units.

A package registers tasks through the entry-point group ``mcr2_landscape.tasks``, whose entries name collections of `Task`. A
task's function takes keyword-only arguments, whose annotations say what a study may give it, and returns a frozen dataclass,
whose fields are the columns of the results.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import hashlib
import importlib
import importlib.metadata
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mcr2_landscape.errors import InputError

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
    `results`, the types of the results by name; `code`: the version of the package and of the text of the function's module,
    which enters the identity of every unit.
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


def load_tasks() -> dict[str, Task]:
    """Every registered task by name; those of this project have precedence.

    **Raises:** `InputError` where a provider cannot be loaded or a name is taken twice.
    """
    found: dict[str, Task] = {}
    entries = sorted(importlib.metadata.entry_points(group=GROUP), key=lambda entry: (not _own(entry), entry.name))
    for entry in entries:
        try:
            tasks = list(entry.load())
        except Exception as error:
            raise InputError(f"tasks of {entry.name} ({entry.value}): {type(error).__name__}: {error}") from error
        for task in tasks:
            if not isinstance(task, Task):
                raise InputError(f"tasks of {entry.name}: found {type(task).__name__}; expected mcr2_landscape.study.Task")
            if task.name in found:
                raise InputError(f"tasks of {entry.name}: the name {task.name!r} is taken; rename the task")
            found[task.name] = task
    return found


def find_task(name: str) -> Task:
    """The task with this name.

    **Raises:** `InputError` where there is none, with the nearest names.
    """
    tasks = load_tasks()
    if name not in tasks:
        raise InputError(f"task: found {name!r}; {nearest(name, tasks)}")
    return tasks[name]


def nearest(name: str, known: typing.Iterable[str]) -> str:
    """Words on which of the known names was meant."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"the nearest is {near[0]!r}" if near else "known: " + ", ".join(known)


@functools.cache
def _load(task: Task) -> Signature:
    module_name, _, name = task.function.partition(":")
    where = f"task {task.name} ({task.function})"
    try:
        module = importlib.import_module(module_name)
        call = getattr(module, name)
    except (ImportError, AttributeError) as error:
        raise InputError(f"{where}: cannot be imported: {error}") from error
    hints = typing.get_type_hints(call)
    found = inspect.signature(call).parameters.values()
    if wrong := [p.name for p in found if p.kind is not inspect.Parameter.KEYWORD_ONLY]:
        raise InputError(f"{where}: takes {', '.join(wrong)} by position; make every parameter keyword-only")
    parameters = {p.name: hints.get(p.name) for p in found if p.name != SEED}
    for parameter, kind in parameters.items():
        if not _is_setting(kind):
            raise InputError(f"{where}: parameter {parameter} has the type {kind}; annotate it with {_SETTINGS_WORDS}")
    result = hints.get("return")
    if not (isinstance(result, type) and dataclasses.is_dataclass(result)):
        raise InputError(f"{where}: returns {result}; annotate a frozen dataclass, whose fields are the columns")
    results = typing.get_type_hints(result)
    for column, kind in results.items():
        if not _is_result(kind):
            raise InputError(f"{where}: result {column} has the type {kind}; use {_RESULT_WORDS}")
    if clash := sorted((set(parameters) & set(results)) | ((set(parameters) | set(results)) & RESERVED)):
        raise InputError(f"{where}: the names {', '.join(clash)} are used twice, or are those of columns that every row has")
    defaults = {p.name: p.default for p in found if p.default is not p.empty and p.name != SEED}
    seeded = any(p.name == SEED for p in found)
    return Signature(call, parameters, defaults, seeded, results, _code_version(module))


def describe_type(kind: Any) -> str:
    """A type as one writes it."""
    if kind is np.ndarray:
        return "array"
    return kind.__name__ if isinstance(kind, type) and not typing.get_args(kind) else str(kind).replace("typing.", "")


def without_none(kind: Any) -> Any:
    """T of an annotation `T | None`, else the annotation itself."""
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        rest = [part for part in typing.get_args(kind) if part is not type(None)]
        return rest[0] if len(rest) == 1 else kind
    return kind


def item_of(kind: Any) -> Any:
    """T of an annotation `tuple[T, ...]`, else `None`."""
    arguments = typing.get_args(kind)
    return arguments[0] if typing.get_origin(kind) is tuple and len(arguments) == 2 and arguments[1] is ... else None


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
    """The package with its version, and the text of the module: a changed task is another task."""
    package = module.__name__.partition(".")[0]
    names = importlib.metadata.packages_distributions().get(package, [])
    version = importlib.metadata.version(names[0]) if names else "0"
    try:
        text = inspect.getsource(module)
    except (OSError, TypeError):  # no source is installed: the version alone has to tell
        text = ""
    return f"{package} {version} {hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _own(entry: importlib.metadata.EntryPoint) -> bool:
    return entry.dist is not None and entry.dist.name.replace("-", "_") == "mcr2_landscape"
