"""Checks on what comes in. Every message names the argument, says what was found and what to do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mcr2_landscape.errors import InputError as InputError


def positive_real(name: str, value: Any, *, advice: str = "") -> float:
    """`value` as a float, if it is a finite number above zero.

    **Raises:** `InputError` otherwise.
    """
    number = real(name, value)
    if number <= 0:
        raise InputError(f"{name}: found {number:g}; it must be greater than zero" + (f" ({advice})" if advice else ""))
    return number


def real(name: str, value: Any) -> float:
    """`value` as a float, if it is one finite real number.

    **Raises:** `InputError` otherwise.
    """
    if isinstance(value, (bool, np.bool_, str, bytes, complex)) or value is None:
        raise InputError(f"{name}: found {value!r}; pass one real number")
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{name}: found {_describe(value)}; pass one real number") from None
    if not math.isfinite(number):
        raise InputError(f"{name}: found {number}; pass a finite number")
    return number


def positive_integer(name: str, value: Any, *, minimum: int = 1) -> int:
    """`value` as an int, if it is an integer of at least `minimum`.

    **Raises:** `InputError` otherwise.
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise InputError(f"{name}: found {_describe(value)}; pass an integer of at least {minimum}")
    if value < minimum:
        raise InputError(f"{name}: found {int(value)}; it must be at least {minimum}")
    return int(value)


def class_sizes(name: str, value: Any) -> tuple[int, ...]:
    """The class sizes as a tuple of at least two positive integers.

    **Raises:** `InputError` for one class (the rate reduction is then zero everywhere), an empty class, or what is no sequence.
    """
    if isinstance(value, (str, bytes)) or not isinstance(value, (Sequence, np.ndarray)):
        raise InputError(f"{name}: found {_describe(value)}; pass the number of samples of each class, for instance (4, 4, 4)")
    sizes = tuple(value.tolist()) if isinstance(value, np.ndarray) else tuple(value)
    for position, size in enumerate(sizes):
        if isinstance(size, (bool, np.bool_)) or not isinstance(size, (int, np.integer)):
            raise InputError(f"{name}[{position}]: found {_describe(size)}; pass an integer")
        if size < 1:
            raise InputError(
                f"{name}[{position}]: found {int(size)}; every class needs at least one sample: drop empty classes"
            )
    if len(sizes) < 2:
        raise InputError(
            f"{name}: found {len(sizes)} class{'es' if len(sizes) != 1 else ''}; pass at least two: with one class the rate "
            "reduction is zero everywhere and no regularization below the limit exists (the limit is zero)"
        )
    return tuple(int(size) for size in sizes)


def float64_matrix(
    name: str, value: Any, shape: tuple[int | None, ...] | None = None, *, refuse_float32: bool = True
) -> np.ndarray:
    """`value` as a finite float64 array of the given shape (`None` leaves an axis free), for host functions.

    **Raises:** `InputError` for a wrong shape, NaN or infinity (their places are named), complex or object data, and for
    float32 where `refuse_float32`: its rounding can turn the sign that is asked for.
    """
    if isinstance(value, (str, bytes)) or value is None:
        raise InputError(f"{name}: found {value!r}; pass a numeric array")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InputError(f"{name}: cannot be read as an array ({error}); pass rows of equal length") from None
    except TypeError as error:
        raise _no_array(name, error) from None
    if array.dtype.kind not in "fiub":
        raise InputError(f"{name}: found dtype {array.dtype}; pass real numbers")
    if refuse_float32 and array.dtype.kind == "f" and array.dtype.itemsize < 8:
        raise InputError(
            f"{name}: found {array.dtype}, whose rounding can turn a sign that is asked for here; pass float64, for instance "
            f"np.asarray({name}, dtype=np.float64), of values computed in float64"
        )
    array = array.astype(np.float64, copy=False)
    if shape is not None:
        check_shape(name, array.shape, shape)
    check_finite(name, array)
    return array


def host_point(value: Any, shape: tuple[int, ...]) -> np.ndarray:
    """A point Z as a NumPy array of the given shape. Cheap: entries are not looked at (`float64_matrix` does).

    **Raises:** `InputError` for another shape, or for a value that JAX traces.
    """
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InputError(f"Z: cannot be read as an array ({error}); pass rows of equal length") from None
    except TypeError as error:
        raise _no_array("Z", error) from None
    check_shape("Z", array.shape, shape)
    return array


def _no_array(name: str, error: TypeError) -> InputError:
    # JAX's own class is a TypeError, told by its name because this module does not import JAX.
    if type(error).__name__ == "TracerArrayConversionError":
        return InputError(f"{name}: traced here, but this is a host function; call it outside jit, vmap and grad")
    return InputError(f"{name}: cannot be read as an array ({error}); pass real numbers")


def check_shape(name: str, found: tuple[int, ...], expected: tuple[int | None, ...]) -> None:
    """Compare shapes, `None` in `expected` standing for any length.

    **Raises:** `InputError` where they differ; a transposed matrix is recognized and said.
    """
    same = len(found) == len(expected) and all(e is None or f == e for f, e in zip(found, expected, strict=True))
    if same:
        return
    wanted = "(" + ", ".join("any" if e is None else str(e) for e in expected) + ("," if len(expected) == 1 else "") + ")"
    message = f"{name}: found shape {tuple(found)}, expected {wanted}"
    if len(found) == 2 and len(expected) == 2 and tuple(reversed(found)) == tuple(expected):
        message += "; it looks transposed: rows are dimensions and columns samples here"
    raise InputError(message)


def check_finite(name: str, array: np.ndarray) -> None:
    """Refuse NaN and infinity, naming the first rows that hold them.

    **Raises:** `InputError`.
    """
    finite = np.isfinite(array)
    if finite.all():
        return
    if array.ndim == 0:
        raise InputError(f"{name}: found {array}; pass a finite number")
    rows = np.flatnonzero(~finite.reshape(array.shape[0], -1).all(axis=1))
    shown = ", ".join(str(row) for row in rows[:8]) + (", …" if rows.size > 8 else "")
    what = "NaN" if np.isnan(array).any() else "infinity"
    raise InputError(f"{name}: found {what} in {rows.size} of {array.shape[0]} rows (row {shown}); remove or repair those rows")


def _describe(value: Any) -> str:
    if isinstance(value, (int, float, str, bool, type(None))):
        return repr(value)
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"an array of shape {tuple(value.shape)} and dtype {value.dtype}"
    return f"{type(value).__name__}"
