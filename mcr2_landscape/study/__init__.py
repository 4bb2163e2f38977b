"""Studies: a task of the library called for every point of a space of parameters, whatever happens. See docs/studies.md.

Needs the extra `study`, and `cluster` beyond one machine. The names below load their modules when they are first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcr2_landscape.study.description import Description as Description
    from mcr2_landscape.study.description import read_description as read_description
    from mcr2_landscape.study.space import Study as Study
    from mcr2_landscape.study.store import Store as Store
    from mcr2_landscape.study.task import Task as Task

_HOMES = {"Description": "description", "read_description": "description", "Study": "space", "Store": "store", "Task": "task"}
__all__ = ["Description", "Store", "Study", "Task", "read_description"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
