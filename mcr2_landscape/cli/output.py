"""What the commands share: tables on standard output, words on standard error, files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
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
        from mcr2_landscape.report.files import check_writable
        from mcr2_landscape.validation import InputError

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

    def sentences(self, title: str, sentences: Iterable[str]) -> None:
        """A titled list."""
        sentences = tuple(sentences)
        if self.quiet or not sentences:
            return
        console = _console()
        console.print(title, style="bold", markup=False, highlight=False)
        for sentence in sentences:
            if console.is_terminal:
                console.print(_bullet(sentence))
            else:
                print(f"  - {sentence}")
        console.print()

    def table(self, table: Table, limit: int | None = None) -> None:
        """A table; of more than `limit` rows the first ones only, which is said."""
        if self.quiet:
            return
        console = _console()
        rows = table.rows if limit is None else table.rows[:limit]
        if console.is_terminal:
            console.print(_rich_table(table, rows))
        else:
            _plain_table(table, rows)
        if len(rows) < len(table.rows):
            print(f"  … and {len(table.rows) - len(rows)} more (all of them: --json, --report)")
        print()

    def files(self, document: Mapping[str, Any], page: Callable[[], Page]) -> None:
        """Write what was asked for."""
        from mcr2_landscape.report.files import to_json, write_json
        from mcr2_landscape.report.page import write_page

        if self.json == "-":
            sys.stdout.write(to_json(document))
        elif self.json is not None:
            write_json(self.json, document, "--json")
            self.note(f"wrote {self.json}")
        if self.report is not None:
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


def _rich_table(table: Table, rows: Iterable[tuple[str, ...]]) -> Any:
    from rich import box
    from rich.table import Table as Grid
    from rich.text import Text

    grid = Grid(title=table.caption, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1))
    for position, name in enumerate(table.columns):
        words = position in table.left
        grid.add_column(Text(name), justify="left" if words else "right", overflow="fold", no_wrap=not words)
    for row in rows:
        grid.add_row(*(Text(cell) for cell in row))
    return grid


def _plain_table(table: Table, rows: Iterable[tuple[str, ...]]) -> None:
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
