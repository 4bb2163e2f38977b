"""Figures of a script that measures, each with its goal and with whether the result behind it is right, and their table."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from mcr2_landscape.bench.timing import Quartiles
from mcr2_landscape.files import check_writable, write_json
from mcr2_landscape.provenance import versions
from mcr2_landscape.record import to_plain
from mcr2_landscape.validation import InputError, positive_integer

Row = dict[str, Any]


def row(what: str, found: Any, *, unit: str = "", least: float | None = None, most: float | None = None, **more: Any) -> Row:
    """A figure: a number or `Quartiles` (`None`: not measured), the goal if there is one, and whether the result behind it is
    right."""
    return {"what": what, "found": found, "unit": unit, "least": least, "most": most, "right": True, "note": "", **more}


def kept(one: Row) -> bool:
    """Whether the result is right and the goal reached, as far as it was measured."""
    if one["found"] is None:
        return one["right"]
    value = one["found"].median if isinstance(one["found"], Quartiles) else one["found"]
    above, below = one["least"] is None or value >= one["least"], one["most"] is None or value < one["most"]
    return one["right"] and above and below


def line(one: Row) -> str:
    """A row in words."""
    found, figure = one["found"], "not measured"
    if isinstance(found, Quartiles):
        figure = f"{found.median:.3g} ({found.lower:.3g} to {found.upper:.3g})"
    elif found is not None:
        figure = f"{found:.4g}"
    goal = "" if one["least"] is None else f"goal: at least {one['least']:g}"
    goal = goal if one["most"] is None else f"goal: below {one['most']:.4g}"
    verdict = "WRONG" if not one["right"] else "" if not goal or found is None else "ok" if kept(one) else "MISSED"
    return f"{one['what']:46} {figure + ' ' + one['unit']:30} {goal:24} {verdict:7} {one['note']}".rstrip()


def all_rows(parts: Iterable[Callable[[], list[Row]]]) -> list[Row]:
    """The figures of all parts, each said as it is found."""
    rows = []
    for part in parts:
        found = part()
        print(*map(line, found), sep="\n", flush=True)
        rows += found
    return rows


def status(rows: list[Row]) -> int:
    """1 if a result is wrong or a goal missed, 2 if something was not measured."""
    if not all(map(kept, rows)):
        return 1
    return 2 if any(one["found"] is None for one in rows) else 0


def run_table(
    name: str,
    arguments: list[str] | None,
    *,
    measure: Callable[[int], list[Row]],
    rounds: int,
    peers: Callable[[], dict[str, str]] = dict,
) -> int:
    """The main function of such a script: print the table, write it as JSON where a path is given, and return the status: 2 for
    a file that cannot be written or no rounds, before anything is measured.

    **Arguments:** `name`, of the module; `measure`, from the number of rounds, `rounds` unless asked otherwise, to the rows;
    `peers`: versions of the libraries that were compared, asked for when all is measured.
    """
    parser = argparse.ArgumentParser(prog=f"python -m mcr2_landscape.experiments.{name}")
    parser.add_argument("out", nargs="?", type=Path, help="a file for the figures as JSON")
    parser.add_argument("--rounds", type=int, default=rounds, help=f"turns of each contestant ({rounds})")
    asked = parser.parse_args(arguments)
    try:
        positive_integer("rounds", asked.rounds)
        if asked.out:
            check_writable(asked.out, "figures")
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    rows = measure(asked.rounds)
    about = {**versions(), **peers()}
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    print(f"{os.cpu_count()} cores, load {load}; " + ", ".join(f"{name} {version}" for name, version in about.items()))
    if asked.out:
        plain = {"figures": rows, "versions": about, "cores": os.cpu_count(), "load": load, "rounds": asked.rounds}
        write_json(asked.out, to_plain(plain), "figures")
    return status(rows)
