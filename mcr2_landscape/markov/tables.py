"""Numbers of a game as they are given: float64 for computing, and rationals for what has to be exact."""

from __future__ import annotations

import numbers
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from mcr2_landscape.validation import InputError, check_finite

LARGEST = 1 << 26  # entries of a table: half a gigabyte in float64
_ROW_SUM = 1e-10
_PLACES = 2**20


class ExactTables(NamedTuple):
    """A game's numbers as fractions, in object arrays.

    **Fields:** `transition` (S, A_1, …, A_N, S), `reward` (N, S, A_1, …, A_N), `discount`, `initial` (S,). `rounded`: whether
    any of them was given as a floating point number, and is here the dyadic rational which that is.
    """

    transition: np.ndarray
    reward: np.ndarray
    discount: Fraction
    initial: np.ndarray
    rounded: bool


def fraction(name: str, value: Any) -> Fraction:
    """A number as a fraction: integers, fractions and texts such as "4/5" or "0.8" as they are, a float as the dyadic rational
    that it is.

    **Raises:** `InputError` for what is no finite real number.
    """
    if isinstance(value, (bool, np.bool_)):
        raise InputError(f"{name}: found {value!r}; pass a number")
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (int, float, str, Fraction, numbers.Rational)):
        try:
            return Fraction(value)
        except (ValueError, OverflowError, ZeroDivisionError):
            pass
    raise InputError(f"{name}: found {value!r}; pass a finite real number, a fraction, or a text such as '4/5'")


def is_rounded(value: Any) -> bool:
    """Whether a number is given in floating point and has more than twenty binary places, so that it stands for another one:
    0.5 is ½, but 0.1 is not a tenth."""
    return isinstance(value, (float, np.floating)) and not float(value * _PLACES).is_integer()


def has_rounded(array: np.ndarray) -> bool:
    """`is_rounded` for any entry."""
    return array.dtype.kind == "f" and bool((array * _PLACES != np.round(array * _PLACES)).any())


def decimal_fraction(name: str, value: Any) -> Fraction:
    """As `fraction`, but a float is read as the shortest decimal number that it prints as: 0.8 is 4/5.

    **Raises:** `InputError` for what is no finite real number.
    """
    if isinstance(value, (float, np.floating)) and np.isfinite(value):
        return Fraction(repr(float(value)))
    return fraction(name, value)


def number_table(name: str, value: Any) -> np.ndarray:
    """`value` as an array: float64 (or integers) if its entries are such numbers, else an object array of fractions.

    **Raises:** `InputError` for ragged lists, entries that are no finite numbers, or a table of more than 2²⁶ entries.
    """
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InputError(f"{name}: cannot be read as an array ({error}); pass rows of equal length") from None
    if array.size > LARGEST:
        raise too_large(name, array.size)
    if array.dtype.kind in "iu" and (array.size == 0 or int(array.max()) < 2**63):
        return array.astype(np.int64)
    if array.dtype.kind == "f":
        array = array.astype(np.float64)
        check_finite(name, array)
        return array
    if array.dtype.kind not in "OUu":
        raise InputError(f"{name}: found dtype {array.dtype}; pass real numbers or fractions")
    exact = np.empty(array.shape, dtype=object)
    for index in np.ndindex(array.shape):
        entry = array[index]
        exact[index] = entry if type(entry) is Fraction else fraction(f"{name}{list(index)}", entry)
    return exact.astype(np.float64) if any(map(is_rounded, array.flat)) else exact


def too_large(name: str, entries: int) -> InputError:
    """What is said of a table that does not fit."""
    return InputError(
        f"{name}: a table of {entries:,} entries is more than {LARGEST:,}; where payoffs and transitions depend on numbers of "
        "players alone, use CongestionGame, which needs no table"
    )


def check_rows(transition: np.ndarray) -> None:
    """Every row of the transition table is a probability distribution.

    **Raises:** `InputError` that names the first row that is not: its state and actions.
    """
    floats = transition.astype(np.float64)
    negative = floats.min(axis=-1) < 0
    if negative.any():
        at = tuple(int(i) for i in np.argwhere(negative)[0])
        raise InputError(
            f"transition: found the negative probability {floats[at].min():.6g} in {_row(at)} ({int(negative.sum())} such rows)"
        )
    off = np.abs(floats.sum(axis=-1) - 1) > _ROW_SUM
    if transition.dtype == object:
        off = transition.sum(axis=-1) != 1
    if off.any():
        at = tuple(int(i) for i in np.argwhere(off)[0])
        raise InputError(
            f"transition: {_row(at)} sums to {floats[at].sum():.12g} ({int(off.sum())} such rows of {off.size}); each row "
            "transition[state, actions…] must sum to one over the next states"
        )


def _row(at: tuple[int, ...]) -> str:
    return f"the row of state {at[0]} and actions {at[1:]}"


def as_fractions(array: np.ndarray) -> np.ndarray:
    """Every entry as the fraction that it is."""
    if array.dtype == object:
        return array
    out = np.empty(array.shape, dtype=object)
    out.ravel()[:] = [Fraction(number) for number in array.ravel().tolist()]
    return out


def plain_number(number: Any) -> int | float | str:
    """A number as JSON has it: integers and floats as they are, other fractions as text."""
    if isinstance(number, Fraction):
        return int(number) if number.denominator == 1 else str(number)
    return number


def plain(array: np.ndarray) -> Any:
    """A table as nested lists of `plain_number`."""
    return [plain(row) for row in array] if array.ndim > 1 else [plain_number(number) for number in array.tolist()]
