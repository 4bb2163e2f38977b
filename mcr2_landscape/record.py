"""Results as data: the one conversion from a result to plain JSON values."""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any


def to_plain(value: Any) -> Any:
    """Convert a result to values that `json.dumps` takes with `allow_nan=False`.

    Dataclasses become dictionaries (fields whose metadata says ``json=False`` are left out), enumerations their value,
    arrays nested lists, rational numbers text such as ``"3/5"``, complex numbers pairs, and floats that are not finite
    ``None``: JSON has no word for them.

    **Raises:** `TypeError` for an object that has no plain form.
    """
    if isinstance(value, Record):
        return value.to_dict()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _fields(value)
    if isinstance(value, enum.Enum):
        return value.value
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, complex):
        return [to_plain(value.real), to_plain(value.imag)]
    if isinstance(value, Mapping):
        return {str(to_plain(key)): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [to_plain(item) for item in value]
    if isinstance(value, Fraction):
        return str(value)
    # NumPy's numbers and arrays and JAX's, told by what they can do: certificates are checked without NumPy.
    to_list = getattr(value, "tolist", None)
    if hasattr(value, "__array__") and callable(to_list):
        return to_plain(to_list())
    raise TypeError(f"{type(value).__name__} has no plain JSON form")


def _fields(value: Any) -> dict[str, Any]:
    return {
        field.name: to_plain(getattr(value, field.name))
        for field in dataclasses.fields(value)
        if field.metadata.get("json", True)
    }


class Record:
    """Base of every result. Subclasses are frozen dataclasses; derived numbers that belong in the JSON form are named in
    `_derived`."""

    _derived: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The result as plain JSON values (see `to_plain`)."""
        plain = _fields(self)
        plain.update({name: to_plain(getattr(self, name)) for name in self._derived})
        return plain
