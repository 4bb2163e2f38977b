"""The axes of a study's space: lists of values, ranges and random draws, each checked against the task's types."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mcr2_landscape.errors import InputError
from mcr2_landscape.study.values import check_keys, convert, nearest, without_none

MOST_UNITS = 20_000_000  # identities, and what is known of each unit, stay within half a gigabyte
MOST_SEEDS = 2**63
_RANGES = ("range", "linspace", "geomspace")
_DRAWS = ("uniform", "loguniform", "integers", "choice")


def check_size(count: int, where: str) -> None:
    """Refuse more units than a study can have, before anything is made for each.

    **Raises:** `InputError`.
    """
    if count > MOST_UNITS:
        raise InputError(f"{where}: found {count:,} units; a study has at most {MOST_UNITS:,}: split it into several")


def listed(value: Any, kind: Any, where: str) -> tuple[Any, ...]:
    """The values of a parameter of the grid: a list, or a range such as ``{linspace = [0, 1, 11]}``.

    **Raises:** `InputError` for no values, a wrong type, or a value that comes twice.
    """
    values = _ranged(value, where) if isinstance(value, Mapping) else value
    if not isinstance(values, list):
        raise InputError(f"{where}: found {value!r}; write a list of values, or one of {', '.join(_RANGES)} in a table")
    if not values:
        raise InputError(f"{where}: found no values; write at least one, or leave the parameter out")
    converted = tuple(convert(item, kind, f"{where}[{position}]") for position, item in enumerate(values))
    seen: dict[str, Any] = {}
    for item in converted:
        if repr(item) in seen:
            raise InputError(f"{where}: the value {item!r} comes twice; write it once")
        seen[repr(item)] = item
    return converted


def seeds_of(value: Any, where: str) -> tuple[int, ...] | range:
    """The seeds: how many (from 0 on), a list, or ``{start = …, count = …}``.

    **Raises:** `InputError` for anything else, negative or repeated seeds, or none.
    """
    if isinstance(value, Mapping):
        check_keys(value, ("start", "count"), where)
        start, count = value.get("start", 0), value.get("count")
        if isinstance(start, bool) or isinstance(count, bool) or not (isinstance(start, int) and isinstance(count, int)):
            raise InputError(f"{where}: found {dict(value)}; write {{start = 100, count = 50}} with integers")
        check_size(count, where)
        found: tuple[int, ...] | range = range(start, start + count)
    elif isinstance(value, int) and not isinstance(value, bool):
        check_size(value, where)
        found = range(value)
    elif isinstance(value, list) and all(isinstance(n, int) and not isinstance(n, bool) for n in value):
        found = tuple(value)
    else:
        raise InputError(f"{where}: found {value!r}; write how many, a list of integers, or {{start = …, count = …}}")
    if len(found) == 0:
        raise InputError(f"{where}: found no seeds; write at least one")
    low, high = (found[0], found[-1]) if isinstance(found, range) else (min(found), max(found))
    if low < 0 or high >= MOST_SEEDS:
        raise InputError(f"{where}: found the seed {low if low < 0 else high}; seeds are zero or more and below 2**63")
    if not isinstance(found, range) and len(set(found)) < len(found):
        raise InputError(f"{where}: a seed comes twice; write it once")
    return found


@dataclass(frozen=True)
class Sample(Sequence[Mapping[str, Any]]):
    """Parameters that are drawn at random, all of them anew for each of `length` points.

    The draws of a parameter depend on the seed and its name alone: another parameter, or a larger length, leaves them as they
    are.
    """

    columns: Mapping[str, _Column]
    length: int

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, position: Any) -> Any:
        return {name: column[position] for name, column in self.columns.items()}

    @property
    def digest(self) -> str:
        """A digest of what was drawn, not of how: what NumPy draws from a seed may change with its version."""
        parts = [f"{name} {column.digest}" for name, column in sorted(self.columns.items())]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def sample_of(table: Mapping[str, Any], kinds: Mapping[str, Any], where: str) -> Sample:
    """The sample that a table describes: `count`, `seed`, and one distribution for each parameter.

    **Raises:** `InputError` for a distribution that is none, or bounds in a wrong order.
    """
    count, seed = table.get("count"), table.get("seed", 0)
    for name, value, least in (("count", count, 1), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise InputError(f"{where}.{name}: found {value!r}; write an integer from {least} on")
    check_size(int(count), where)  # pyright: ignore[reportArgumentType]
    names = [name for name in table if name not in ("count", "seed")]
    if not names:
        raise InputError(f"{where}: draws no parameter; write for instance epsilon = {{uniform = [0.1, 1.0]}}")
    columns, number = {}, int(count)  # pyright: ignore[reportArgumentType]
    for name in names:
        if name not in kinds:
            raise InputError(f"{where}: found the unknown parameter {name!r}; {nearest(name, kinds)}")
        random = np.random.default_rng([int(seed), zlib.crc32(name.encode())])
        columns[name] = _drawn(table[name], kinds[name], random, number, f"{where}.{name}")
    return Sample(columns, number)


def _drawn(value: Any, kind: Any, random: np.random.Generator, count: int, where: str) -> _Column:
    if not isinstance(value, Mapping) or len(value) != 1:
        raise InputError(f"{where}: found {value!r}; write one of {', '.join(_DRAWS)}, such as {{uniform = [0.1, 1.0]}}")
    check_keys(value, _DRAWS, where)
    ((form, bounds),) = value.items()
    if form == "choice":
        options = listed(bounds, kind, where)
        return _Column(random.integers(0, len(options), size=count), options)
    wanted = int if form == "integers" else float
    if not isinstance(bounds, list) or len(bounds) != 2:
        raise InputError(f"{where}: found {bounds!r}; write the two ends, {form} = [least, largest]")
    low, high = (convert(bound, wanted, f"{where}.{form}[{position}]") for position, bound in enumerate(bounds))
    if low > high or (form == "loguniform" and low <= 0):
        raise InputError(f"{where}: found {bounds}; the ends go upwards" + (" from above zero" if form == "loguniform" else ""))
    if form == "integers":
        drawn = random.integers(low, high, size=count, endpoint=True)
    else:
        drawn = random.random(count)
        drawn = low + (high - low) * drawn if form == "uniform" else low * np.exp(np.log(high / low) * drawn)
    convert(drawn[0].item(), kind, where)  # a float for an integer parameter is found here, before any work
    return _Column(drawn.astype(np.float64) if without_none(kind) is float else drawn)


@dataclass(frozen=True)
class _Column(Sequence[Any]):
    """What was drawn, as compact as NumPy has it: numbers, or positions in `options`."""

    drawn: np.ndarray
    options: tuple[Any, ...] = ()

    def __len__(self) -> int:
        return len(self.drawn)

    def __getitem__(self, position: Any) -> Any:
        item = self.drawn[position].item()
        return self.options[item] if self.options else item

    @property
    def digest(self) -> str:
        little = self.drawn.astype(self.drawn.dtype.newbyteorder("<"), copy=False)
        return hashlib.sha256(repr((little.dtype.str, self.options)).encode() + little.tobytes()).hexdigest()


def _ranged(value: Mapping[str, Any], where: str) -> list[Any]:
    check_keys(value, _RANGES, where)
    if len(value) != 1:
        raise InputError(f"{where}: found {dict(value)}; write one of {', '.join(_RANGES)}")
    ((form, ends),) = value.items()
    numbers = isinstance(ends, list) and all(isinstance(n, (int, float)) and not isinstance(n, bool) for n in ends)
    if form == "range":
        if not numbers or len(ends) not in (2, 3) or not all(isinstance(n, int) for n in ends) or 0 in ends[2:]:
            raise InputError(f"{where}: found {ends!r}; write range = [first, end] or [first, end, step], the end left out")
        check_size(len(range(*ends)) if max(map(abs, ends)) < MOST_SEEDS else max(map(abs, ends)), where)
        return list(range(*ends))
    if not numbers or len(ends) != 3 or not isinstance(ends[2], int) or ends[2] < 1:
        raise InputError(f"{where}: found {ends!r}; write {form} = [first, last, how many]")
    first, last, count = ends
    check_size(count, where)
    if form == "geomspace":
        if not first > 0 or not last > 0:
            raise InputError(f"{where}: found {ends!r}; both ends of a geomspace are above zero")
        return np.geomspace(first, last, count).tolist()
    return np.linspace(first, last, count).tolist()
