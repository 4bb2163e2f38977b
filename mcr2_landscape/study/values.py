"""Values in a study's file: their types, and the words of messages about them."""

from __future__ import annotations

import difflib
import math
import types
import typing
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np

from mcr2_landscape.errors import InputError
from mcr2_landscape.extras import missing_extra

_LARGEST_INTEGER = 2**63 - 1


def convert(value: Any, kind: Any, where: str) -> Any:
    """`value` as a parameter of the type `kind`: an integer where a float is wanted becomes one, a list a tuple.

    **Raises:** `InputError` for another type, a number that is not finite, or an integer beyond 64 bits.
    """
    try:
        import msgspec
    except ImportError:
        raise missing_extra("a study", "msgspec", "study") from None
    try:
        converted = msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise InputError(f"{where}: found {value!r}; the task takes {describe_type(kind)} ({error})") from None
    _check_finite(converted, where)
    return converted


def check_keys(table: Collection[str], known: Collection[str], where: str) -> None:
    """Refuse keys that mean nothing here.

    **Raises:** `InputError` with the nearest known key.
    """
    for key in table:
        if key not in known:
            raise InputError(f"{where}: found the unknown key {key!r}; {nearest(key, known)}")


def nearest(name: str, known: Iterable[str]) -> str:
    """Words on which of the known names was meant."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"the nearest is {near[0]!r}" if near else "known: " + ", ".join(known)


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


def _check_finite(value: Any, where: str) -> None:
    if isinstance(value, tuple):
        for item in value:
            _check_finite(item, where)
    elif isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{where}: found {value}; write a finite number")
    elif isinstance(value, int) and abs(value) > _LARGEST_INTEGER:
        raise InputError(f"{where}: found {value}; integers are below 2**63")
