"""Tables of benchmark figures, from their plain form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcr2_landscape.report.tables import Table

_COLUMNS = ("contestant", "state", "ms a product", "times ours", "quartiles", "goal", "difference", "caches, s", "how")


def point_table(point: Mapping[str, Any]) -> Table:
    """One row a contestant at one point."""
    d, m, K = point["shape"]
    gigaflops = point["flops"] / 1e9
    caption = f"{point['size']} (d = {d}, m = {m}, K = {K}), {point['point']}: ours is {point['form']}, {gigaflops:.3g} Gflop"
    rows = [_row(entry) for entry in point["entries"]]
    return Table.of(caption, _COLUMNS, rows, left=(0, 1, 8))


def _row(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    ratio, time = entry["ratio"], entry["milliseconds"]
    return (
        entry["name"],
        entry["state"],
        None if time is None else f"{time['median']:.4g}",
        None if ratio is None else f"{ratio['median']:.3g}",
        None if ratio is None else f"{ratio['lower']:.3g} to {ratio['upper']:.3g}",
        goal_words(entry["goal"], entry["kept"]),
        None if entry["difference"] is None else f"{entry['difference']:.1e}",
        None if entry["caches"] is None else f"{entry['caches']:.3g}",
        entry["reason"] or entry["about"],
    )


def goal_words(goal: float | None, kept: bool | None) -> str | None:
    """A least ratio, and whether it is missed."""
    if goal is None:
        return None
    return f"≥ {goal:.3g}" + ("" if kept else ", missed")


def inertia_table(found: list[Mapping[str, Any]]) -> Table:
    """One row for each complete inertia."""
    columns = (
        "size",
        "point",
        "n",
        "seconds",
        "goal",
        "positive",
        "zero",
        "negative",
        "undecided",
        "memory, Z",
        "right",
        "how",
    )
    rows = []
    for own in found:
        late = own["goal"] is not None and own["seconds"]["median"] > own["goal"]
        goal = None if own["goal"] is None else f"≤ {own['goal']:g}" + (", missed" if late else "")
        counts = tuple(f"{own[name]:,}" for name in ("positive", "zero", "negative", "undecided"))
        memory = None if own["memory"] is None else f"{own['memory']:.2f}"
        seconds = f"{own['seconds']['median']:.3g}"
        head = (own["size"], own["point"], f"{own['unknowns']:,}", seconds, goal)
        rows.append((*head, *counts, memory, own["right"], own["cost"]))
    return Table.of("Complete inertia with multiplicities, from Z alone", columns, rows, left=(0, 1, 11))


def memory_table(points: list[Mapping[str, Any]]) -> Table:
    """The memory of one product of ours, in copies of Z: operator, direction, result, and what is needed in between."""
    rows = []
    for point in points:
        memory = [entry["memory"] for entry in point["entries"] if entry["memory"] is not None]
        rows += [(point["size"], point["point"], point["form"], f"{own:.2f}") for own in memory]
    return Table.of(
        "Memory of one product, in copies of Z (at most 4 is aimed at)", ("size", "point", "form", "Z"), rows, (0, 1, 2)
    )


def conditions_table(conditions: Mapping[str, Any]) -> Table:
    """When, where and with what."""
    rows = [("date", conditions["date"]), ("device", conditions["device"]), ("core", conditions["core"])]
    if conditions["load"] is not None:
        rows.append(("load of the machine", ", ".join(f"{value:.2f}" for value in conditions["load"])))
    rows += [(name, value) for name, value in conditions["settings"].items()]
    rows += [(name, value) for name, value in conditions["versions"].items()]
    return Table.of("Conditions", ("what", "value"), rows, left=(0, 1))
