"""What the commands share: tables on standard output, words on standard error, files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from mcr2_landscape.report import Page
    from mcr2_landscape.report.tables import Table


class Output:
    """Where the results of a command go.

    **Arguments:** `json`: a file, or "-" for standard output, which then holds nothing else. `report`: an HTML file.

    **Raises:** `InputError` for a place that cannot be written: found here, before the work.
    """

    def __init__(self, json: str | None, report: str | None):
        from mcr2_landscape.errors import InputError
        from mcr2_landscape.files import check_writable

        if report == "-":
            raise InputError("--report: give the name of a file; only --json can write to standard output")
        self.json, self.report = json, report
        if json is not None and json != "-":
            check_writable(json, "--json")
        if report is not None:
            check_writable(report, "--report")
            if json is not None and Path(json).absolute() == Path(report).absolute():
                raise InputError(f"--json, --report: both are {report}; give two files")
        self.quiet = json == "-"

    def note(self, words: str) -> None:
        """A remark on standard error."""
        print(words, file=sys.stderr)

    def heading(self, words: str) -> None:
        """A line above all else."""
        if not self.quiet:
            print(words, end="\n\n")

    def sentences(self, title: str, sentences: Iterable[str]) -> None:
        """A titled list."""
        sentences = tuple(sentences)
        if self.quiet or not sentences:
            return
        # Rich is for terminals only: it ends the program where a reader of standard output has gone.
        if sys.stdout.isatty():
            console = _console()
            console.print(title, style="bold", markup=False, highlight=False)
            for sentence in sentences:
                console.print(_bullet(sentence))
        else:
            print(title)
            for sentence in sentences:
                print(f"  - {sentence}")
        print()

    def table(self, table: Table, limit: int | None = None) -> None:
        """A table; of more than `limit` rows the first ones only, which is said."""
        if self.quiet:
            return
        rows = table.rows if limit is None else table.rows[:limit]
        if sys.stdout.isatty():
            console = _console()
            console.print(table.caption, style="bold", markup=False, highlight=False)
            for columns in _column_groups(table, rows, console.width):
                console.print(_rich_table(table, rows, columns, console.width))
        else:
            _plain_table(table, rows)
        if len(rows) < len(table.rows):
            print(f"  … and {len(table.rows) - len(rows)} more (all of them: --json, --report)")
        print()

    def files(self, document: Mapping[str, Any], page: Callable[[], Page] | None) -> None:
        """Write what was asked for."""
        from mcr2_landscape.files import to_json, write_json
        from mcr2_landscape.report.page import write_page

        if self.json == "-":
            sys.stdout.write(to_json(document))
        elif self.json is not None:
            write_json(self.json, document, "--json")
            self.note(f"wrote {self.json}")
        if self.report is not None and page is not None:
            write_page(self.report, page())
            self.note(f"wrote {self.report}")


def show_progress() -> bool:
    """Whether a moving bar has anyone to look at it."""
    return sys.stderr.isatty()


def _console() -> Console:
    from rich.console import Console

    return Console(soft_wrap=False)


def _bullet(sentence: str) -> Any:
    from rich.table import Table as Grid
    from rich.text import Text

    grid = Grid.grid(padding=(0, 1))
    grid.add_column()
    grid.add_column()
    grid.add_row(Text("  •"), Text(sentence))
    return grid


_GAP = 2


def _least_width(table: Table, rows: Sequence[tuple[str, ...]], position: int) -> int:
    """The width at which no number is cut: headings and words may wrap between words."""
    name = max(map(len, table.columns[position].split()))
    cells = [row[position] for row in rows]
    if position in table.left:
        return max([name, *(min(len(cell), 24) for cell in cells)])
    return max([name, *map(len, cells)])


def _column_groups(table: Table, rows: Sequence[tuple[str, ...]], width: int) -> list[list[int]]:
    """Positions of the columns that fit beside each other; the first column begins each group."""
    groups, used = [[0]], _least_width(table, rows, 0) + _GAP
    first = used
    for position in range(1, len(table.columns)):
        needed = _least_width(table, rows, position) + _GAP
        if used + needed > width and len(groups[-1]) > 1:
            groups.append([0])
            used = first
        groups[-1].append(position)
        used += needed
    return groups


def _widths(table: Table, rows: Sequence[tuple[str, ...]], columns: Sequence[int], width: int) -> list[int]:
    """A width for each column: as wide as it is, narrowed where most can be gained until the row fits."""
    least = [_least_width(table, rows, position) for position in columns]
    widths = [max(len(row[position]) for row in (table.columns, *rows)) for position in columns]
    while sum(widths) + _GAP * len(columns) > width:
        slack = [own - needed for own, needed in zip(widths, least, strict=True)]
        if max(slack) <= 0:
            break
        widths[slack.index(max(slack))] -= 1
    return widths


def _rich_table(table: Table, rows: Sequence[tuple[str, ...]], columns: Sequence[int], width: int) -> Any:
    from rich import box
    from rich.table import Table as Grid
    from rich.text import Text

    grid = Grid(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, _GAP - 1, 0, 0))
    for position, own in zip(columns, _widths(table, rows, columns, width), strict=True):
        justify = "left" if position in table.left else "right"
        grid.add_column(Text(table.columns[position]), justify=justify, overflow="fold", width=own)
    for row in rows:
        grid.add_row(*(Text(row[position]) for position in columns))
    return grid


def _plain_table(table: Table, rows: Sequence[tuple[str, ...]]) -> None:
    """Columns aligned by spaces, as wide as they are: for files and other programs."""
    rows = [table.columns, *rows]
    widths = [max(len(row[position]) for row in rows) for position in range(len(table.columns))]
    print(table.caption)
    for row in rows:
        cells = (
            cell.ljust(width) if position in table.left else cell.rjust(width)
            for position, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  " + "  ".join(cells).rstrip())
