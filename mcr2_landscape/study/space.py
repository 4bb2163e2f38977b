"""The units of a study: every combination of its cases, grid, sample and seeds, numbered, each with an identity of its own."""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from mcr2_landscape.errors import InputError
from mcr2_landscape.study.axes import Sample, check_size, listed, sample_of, seeds_of
from mcr2_landscape.study.description import Description
from mcr2_landscape.study.task import SEED, Signature, Task, find_task
from mcr2_landscape.study.values import convert, nearest

DIGEST_BYTES = 16


class Unit(NamedTuple):
    """One call of a study's task: all parameters, defaults included, and the seed (`None` for a task without)."""

    parameters: dict[str, Any]
    seed: int | None


@dataclass(frozen=True)
class Study:
    """A description with its task and its space: units 0 … len − 1, none of them held in memory.

    Seeds vary slowest, so that a run that ends early has seen the whole grid with fewer seeds.

    **Fields:** `description`; `task`; `signature`; `fixed`, the parameters that all units share; `axes`, sequences of tables of
    parameters; `seeds`, of one `None` for a task without.
    """

    description: Description
    task: Task
    signature: Signature
    fixed: Mapping[str, Any]
    axes: tuple[Sequence[Mapping[str, Any]], ...]
    seeds: Sequence[int | None]

    @staticmethod
    def of(description: Description, where: str | None = None) -> Study:
        """The study that a description means. `where` is what messages call the description, by default its name.

        **Raises:** `InputError` for an unknown task or parameter, a wrong type, a parameter that is missing or given twice, an
        empty axis.
        """
        where = f"study {description.name}" if where is None else where
        task = find_task(description.task)
        signature = task.load()
        kinds = signature.parameters
        _check_names(description, kinds, where)
        given = {n: convert(v, kinds[n], f"{where}: parameters.{n}") for n, v in description.parameters.items()}
        axes: list[Sequence[Mapping[str, Any]]] = []
        if description.cases:
            axes.append(_cases(description, kinds, where))
        for name, value in description.grid.items():
            axes.append([{name: item} for item in listed(value, kinds[name], f"{where}: grid.{name}")])
        if description.sample:
            axes.append(sample_of(description.sample, kinds, f"{where}: sample"))
        seeds: Sequence[int | None] = (None,)
        if signature.seeded:
            if description.seeds is None:
                raise InputError(f"{where}: seeds are missing; task {task.name} draws random numbers: write seeds = 10")
            seeds = seeds_of(description.seeds, f"{where}: seeds")
        elif description.seeds is not None:
            raise InputError(f"{where}: seeds: task {task.name} draws no random numbers; leave them out")
        varied = {name for axis in axes for name in axis[0]}
        if missing := [name for name in signature.required if name not in given and name not in varied]:
            words = ", ".join(missing)
            raise InputError(f"{where}: {words} of task {task.name} is missing; give it under [parameters] or [grid]")
        check_size(math.prod([len(seeds), *map(len, axes)]), where)
        defaults = {name: value for name, value in signature.defaults.items() if name not in varied}
        return Study(description, task, signature, {**defaults, **given}, tuple(axes), seeds)

    def __len__(self) -> int:
        return math.prod([len(self.seeds), *map(len, self.axes)])

    @property
    def may_repeat(self) -> bool:
        """Whether two numbers can mean the same unit: where something is drawn. Lists are checked when they are read."""
        return any(isinstance(axis, Sample) for axis in self.axes)

    def unit(self, number: int) -> Unit:
        """The unit with this number."""
        if not 0 <= number < len(self):
            raise IndexError(number)
        parameters = dict(self.fixed)
        for axis in reversed(self.axes):
            number, position = divmod(number, len(axis))
            parameters.update(axis[position])
        return Unit(parameters, self.seeds[number])

    def units(self) -> Iterator[Unit]:
        """All units in order, faster than one by one."""
        fixed = dict(self.fixed)
        for seed in self.seeds:
            for pieces in itertools.product(*self.axes):
                parameters = fixed.copy()
                for piece in pieces:
                    parameters.update(piece)
                yield Unit(parameters, seed)

    def identify(self, unit: Unit) -> bytes:
        """The identity of a unit: a digest of the task, its code version and precision, all parameters and the seed. It does
        not depend on the study that the unit belongs to, nor on the order of anything."""
        return self.identifier()(unit)

    def identities(self) -> np.ndarray:
        """The identities of all units, (units, 16) bytes."""
        identify = self.identifier()
        return np.frombuffer(b"".join(map(identify, self.units())), dtype=np.uint8).reshape(-1, DIGEST_BYTES)

    @functools.cached_property
    def digest(self) -> str:
        """What the units depend on, as a digest: two studies with the same one have the same units in the same order."""
        plain = {
            "task": [self.task.name, self.signature.code, self.task.dtype],
            "fixed": self.fixed,
            "axes": [_axis_digest(axis) for axis in self.axes],
            "seeds": str(self.seeds) if isinstance(self.seeds, range) else list(self.seeds),
        }
        return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:32]

    def identifier(self) -> Callable[[Unit], bytes]:
        """The function behind `identify`, for many units."""
        import msgspec

        # Deterministic order makes the text canonical; floats are written with the fewest digits that restore them.
        encode = msgspec.json.Encoder(order="deterministic").encode
        task = (self.task.name, self.signature.code, self.task.dtype)
        sha256 = hashlib.sha256
        prefix = encode(task)

        def identify(unit: Unit) -> bytes:
            return sha256(prefix + encode(unit)).digest()[:DIGEST_BYTES]

        return identify


def _axis_digest(axis: Sequence[Mapping[str, Any]]) -> Any:
    return axis.digest if isinstance(axis, Sample) else list(axis)


def _check_names(description: Description, kinds: Mapping[str, Any], where: str) -> None:
    """Every parameter is one of the task's, and given in one place."""
    places: dict[str, str] = {}
    tables = {"parameters": description.parameters, "grid": description.grid}
    tables |= {f"cases[{position}]": case for position, case in enumerate(description.cases)}
    tables["sample"] = {name: None for name in description.sample if name not in ("count", "seed")}
    for place, table in tables.items():
        for name in table:
            if name == SEED and SEED not in kinds:
                raise InputError(f"{where}: {place}.{name}: seeds have a line of their own; write seeds = [...] at the top")
            if name not in kinds:
                raise InputError(f"{where}: {place}: found the unknown parameter {name!r}; {nearest(name, kinds)}")
            group = place.partition("[")[0]
            if places.setdefault(name, group) != group:
                raise InputError(f"{where}: {name} is given under {places[name]} and under {group}; keep one of them")


def _cases(description: Description, kinds: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    cases = [
        {name: convert(value, kinds[name], f"{where}: cases[{position}].{name}") for name, value in case.items()}
        for position, case in enumerate(description.cases)
    ]
    seen: set[str] = set()
    for position, case in enumerate(cases):
        if set(case) != set(cases[0]):
            words = ", ".join(sorted(set(case) ^ set(cases[0])))
            raise InputError(f"{where}: cases[{position}]: names other parameters than cases[0] ({words}); give all in each")
        if not case:
            raise InputError(f"{where}: cases[{position}]: names no parameter")
        text = repr(sorted(case.items()))
        if text in seen:
            raise InputError(f"{where}: cases[{position}]: comes twice; write it once")
        seen.add(text)
    return cases
