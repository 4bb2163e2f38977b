"""What the commands of `mcr2-landscape study` do and say."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcr2_landscape.cli.output import Output
from mcr2_landscape.cli.rows import StatusLine
from mcr2_landscape.errors import InputError
from mcr2_landscape.pace import duration
from mcr2_landscape.study.coordinator import State
from mcr2_landscape.study.opening import DEFAULT_FOLDER, Opened, open_study, shipped
from mcr2_landscape.study.store import Store

if TYPE_CHECKING:
    from mcr2_landscape.study.query import Query

_FAILED, _MISTAKE, _INTERRUPTED = 1, 2, 130
_QUIET_SECONDS = 30  # between two lines where there is no terminal
_SHOWN = 60  # rows of an answer
_EXAMPLES = 3  # of units that differ


def carry_out(opened: Opened, jobs: int | None, scheduler: str | None, retry_failed: bool) -> int:
    """Run a study, say how it goes, and return the exit status."""
    from mcr2_landscape.study.running import run_study

    watcher = _Watcher()
    description = opened.study.description
    size = "" if description.size is None else f", size {description.size}"

    def began(words: str) -> None:
        print(f"{description.name}{size}: {len(opened.study):,} units into {opened.place}, with {words}", file=sys.stderr)

    try:
        state = run_study(opened, jobs=jobs, scheduler=scheduler, retry_failed=retry_failed, watch=watcher.show, began=began)
    except KeyboardInterrupt:
        watcher.clear()
        done = 0 if watcher.last is None else watcher.last.done
        print(
            f"interrupted: {done:,} units were computed and kept; mcr2-landscape study resume {opened.place} goes on",
            file=sys.stderr,
        )
        return _INTERRUPTED
    finally:
        watcher.clear()
    found = _pending(Store(opened.place), opened)
    took = duration(state.seconds)
    print(f"{found.total:,} units: {found.done:,} done ({state.done:,} in this run, {took}), {_failures(found)}")
    if found.raised + found.died:
        print(f"  mcr2-landscape study export {opened.place} --sql 'SELECT error, count(*) FROM failures GROUP BY error'")
        print(f"  mcr2-landscape study resume {opened.place} --retry-failed")
        return _FAILED
    return 0


def show_status(name: str | None, size: str | None, place: str | None, json: str | None) -> int:
    """Say how far one study is, or every one in the usual folder."""
    from mcr2_landscape.report.documents import document
    from mcr2_landscape.report.tables import Table

    output = Output(json, None)
    damaged: list[str] = []
    if name is None:
        if size is not None or place is not None:
            raise InputError("--size, --store: name a study too")
        places = sorted(path.parent for path in DEFAULT_FOLDER.glob("*/store.json"))
        if not places:
            raise InputError(f"study: no store in {DEFAULT_FOLDER}/; name a study, or run one first")
        opened = []
        for path in places:
            try:
                opened.append(open_study(path))
            except InputError as error:
                damaged.append(str(error))
    else:
        opened = [last_run(name, size, place)]
    found = [_status(one) for one in opened]
    output.files(document("study-status", found, configuration={}), None)
    columns = ("study", "size", "units", "done", "raised", "died", "left", "other rows", "bytes", "running", "store")
    rows = [
        [
            one["study"],
            one["size"],
            *(f"{one[key]:,}" for key in ("units", "done", "raised", "died", "left", "others")),
            _bytes(one["bytes"]),
            one["running"] or "no",
            one["store"],
        ]
        for one in found
    ]
    output.table(Table.of("Studies", columns, rows, left=(0, 1, 9, 10)))
    for one in found:
        if one["others"]:
            output.note(
                f"{one['store']}: {one['others']:,} rows are of earlier descriptions or versions (export --all has them)"
            )
        if one["repeated"]:
            output.note(f"{one['store']}: {one['repeated']:,} units are the same as others, and count once")
    for words in damaged:
        output.note(f"error: {words}")
    return _MISTAKE if damaged else 0


def show_plan(
    name: str, size: str | None, jobs: int | None, place: str | None, units: int, seconds: float, json: str | None
) -> int:
    """Say what a study will cost."""
    from mcr2_landscape.report.documents import document
    from mcr2_landscape.report.tables import Table
    from mcr2_landscape.study.cost import estimate

    if jobs is not None and jobs < 1:
        raise InputError(f"--jobs: found {jobs}; it must be at least 1")
    output = Output(json, None)
    opened = open_study(name, size, place)
    pending = _pending(Store(opened.place) if Store.exists(opened.place) else None, opened)
    output.note(f"{opened.study.description.name}: timing a few of the {len(pending.numbers):,} units that are left")
    cost = estimate(opened.study, pending, jobs=jobs, units=units, seconds=seconds)
    plain = document("study-plan", cost, configuration={"study": opened.study.digest, "units": units, "seconds": seconds})
    output.files(plain, None)
    rows = [
        ("units", f"{cost.units:,}"),
        ("done before", f"{cost.done:,}"),
        ("failed before", f"{cost.failed_before:,}"),
        ("left", f"{cost.left:,}"),
        ("seconds for the start and for what is compiled", f"{cost.start_seconds:.3g}"),
        ("seconds a unit, mean (least, most)", f"{cost.unit_seconds:.3g} ({cost.least_seconds:.3g}, {cost.most_seconds:.3g})"),
        (
            f"time with {cost.jobs} process{'es' if cost.jobs > 1 else ''}",
            duration(cost.seconds) + (f" ± {duration(cost.uncertainty)}" if cost.uncertainty else ""),
        ),
        ("bytes on the disk", _bytes(cost.bytes)),
    ]
    output.table(Table.of(f"{opened.study.description.name}: from {cost.timed:,} units timed", ("what", "how much"), rows))
    if cost.failed:
        output.note(f"{cost.failed} of the units timed failed: {cost.error}")
    return 0


def export_rows(name: str, sql: str | None, out: str | None, size: str | None, place: str | None, *, everything: bool) -> int:
    """Write or show rows."""
    from mcr2_landscape.study.query import Query

    if everything and size is not None:
        raise InputError("--all, --size: every row, or those of one size; give one of them")
    if sql is None and out is None:
        raise InputError("--out, --sql: give a file to write (--out rows.csv), a query to answer, or both")
    if everything and place is None and Store.exists(Path(name)):
        store, study = Store(name), None  # what the store means by its rows does not matter
    else:
        opened = last_run(name, size, place)
        store, study = opened.store(), None if everything else opened.study
    with Query(store, study) as query:
        if out is None:
            _answer(query, sql or "")
        elif sql is not None:
            query.write(sql, Path(out))
            print(f"wrote {out}", file=sys.stderr)
        else:
            _export(query, Path(out))
    return 0


def _answer(query: Query, sql: str) -> None:
    from mcr2_landscape.report.tables import Table

    names, rows = query.select(sql, limit=_SHOWN + 1)
    more = len(rows) > _SHOWN
    words = f"{len(rows) - more} rows" + (", and more (--out F writes all)" if more else "")
    numbers = {i for i, cell in enumerate(rows[0]) if isinstance(cell, (int, float))} if rows else set()
    Output(None, None).table(Table.of(words, names, rows[:_SHOWN], left=set(range(len(names))) - numbers))


def _export(query: Query, target: Path) -> None:
    """All rows, and beside them all failures."""
    count, failed = query.count("rows"), query.count("failures")
    query.write("SELECT * FROM ordered_rows", target)
    print(f"wrote {count:,} rows to {target}", file=sys.stderr)
    apart = target.with_name(f"{target.stem}.failures{target.suffix}")
    if failed:
        query.write("SELECT * FROM failures", apart)
        print(f"wrote {failed:,} failed units to {apart}", file=sys.stderr)
    elif apart.is_file():
        print(f"{apart} is of an earlier export: no unit has failed now", file=sys.stderr)


def show_difference(first: str, second: str, rtol: float, atol: float, json: str | None) -> int:
    """Compare two stores."""
    from mcr2_landscape.report.documents import document
    from mcr2_landscape.report.tables import Table
    from mcr2_landscape.study.difference import compare

    output = Output(json, None)
    stores = [Store(name) if Store.exists(Path(name)) else open_study(name).store() for name in (first, second)]
    found = compare(*stores, rtol=rtol, atol=atol)
    output.files(document("study-difference", found, configuration={"rtol": rtol, "atol": atol}), None)
    places = [str(store.path) for store in stores]
    rows = [("units in both", found.common)]
    rows += [
        (f"units only in {place}", count) for place, count in zip(places, (found.only_first, found.only_second), strict=True)
    ]
    output.table(Table.of("Units", ("what", "how many"), rows))
    rows = [(one.column, one.count, one.largest) for one in found.columns]
    if rows:
        output.table(Table.of("Columns that differ", ("column", "units", "largest relative difference"), rows))
    for one in found.columns:
        rows = [tuple(example.values()) for example in one.examples[:_EXAMPLES]]
        output.table(Table.of(f"{one.column}: examples", tuple(one.examples[0]), rows, left=()))
    for place, columns in zip(places, (found.columns_only_first, found.columns_only_second), strict=True):
        if columns:
            output.note(f"columns only in {place}: {', '.join(columns)}")
    if not output.quiet:
        print("no difference" if found.none else "the results differ")
    return 0 if found.none else _FAILED


def show_list() -> int:
    """Studies and tasks."""
    from mcr2_landscape.report.tables import Table
    from mcr2_landscape.study.description import read_description
    from mcr2_landscape.study.task import load_providers

    output = Output(None, None)
    tasks, errors = load_providers()
    studies = [(name, read_description(path)[0]) for name, path in shipped().items()]
    rows = [(name, description.task, description.title) for name, description in studies]
    output.table(Table.of("Studies that come with the package", ("study", "task", "title"), rows, left=(0, 1, 2)))
    rows = [(task.name, task.summary) for task in tasks.values()]
    output.table(Table.of("Tasks", ("task", "what it does"), rows, left=(0, 1)))
    for words in errors:
        output.note(f"not loaded: {words}")
    return 0


class _Watcher:
    """The progress of a run: a moving line on a terminal, a line now and then elsewhere."""

    def __init__(self) -> None:
        self.last: State | None = None
        self._line = StatusLine(sys.stderr)
        self._said = time.monotonic()

    def show(self, state: State) -> None:
        self.last = state
        words = f"{state.before + state.done:,} of {state.total:,} done"
        words += f", {state.failed:,} failed" if state.failed else ""
        if state.rate:
            words += f"; {state.rate:,.3g} units/s, {duration(state.seconds_left or 0.0)} left"
        words += "" if state.width else "; waiting for workers"
        self._line.show(words)
        if not sys.stderr.isatty() and time.monotonic() - self._said >= _QUIET_SECONDS:
            self._said = time.monotonic()
            print(words, file=sys.stderr, flush=True)

    def clear(self) -> None:
        self._line.clear()


def last_run(name: str, size: str | None, place: str | None) -> Opened:
    """The study as its store has it: in the size that was last run unless one is given."""
    named = open_study(name, size, place)
    if not Store.exists(named.place):
        return named
    last = open_study(named.place, size)
    if last.text != named.text:
        print(f"{name}: has changed since {named.place} was last run; this is of that run", file=sys.stderr)
    return last


def _pending(store: Store | None, opened: Opened) -> Any:
    from mcr2_landscape.study.pending import Pending

    return Pending.of(store, opened.study)


def _status(opened: Opened) -> dict[str, Any]:
    description = opened.study.description
    store = Store(opened.place) if Store.exists(opened.place) else None
    found = _pending(store, opened)
    return {
        "study": description.name,
        "size": description.size,
        "task": description.task,
        "units": found.total,
        "repeated": found.repeated,
        "done": found.done,
        "raised": found.raised,
        "died": found.died,
        "left": len(found.numbers),
        "others": found.others,
        "bytes": _size(opened.place),
        "running": None if store is None else store.writer(),
        "store": str(opened.place),
    }


def _size(folder: Path) -> int:
    """Bytes of the files in a folder. Temporary ones may be gone while they are looked at."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.stat().st_size if path.is_file() else 0
    return total


def _failures(found: Any) -> str:
    if not found.raised + found.died:
        return "none failed"
    died = f", the process of {found.died:,} died" if found.died else ""
    return f"{found.raised:,} raised an error{died}"


def _bytes(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
