"""Rows that come one by one, and a line that says what is at work."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

_COLORS = {"holds": "green", "refuted": "magenta", "undecided": "yellow", "error": "red"}
_LONGEST_ID = 44


class Rows:
    """The table of `verify`, a row as each claim ends. A mark stands before verdicts that are not the expected ones."""

    def __init__(self, ids: Sequence[str], *, quiet: bool):
        self._quiet = quiet
        self._width = min(_LONGEST_ID, max([5, *map(len, ids)]))
        self._begun = False

    def show(self, item: Mapping[str, Any], *, note: str = "") -> None:
        """Print the row of an entry."""
        if self._quiet:
            return
        if not self._begun:
            self._begun = True
            self._print(self._line(" ", "verdict", "evidence", "form", "seconds", "claim", "title"), "bold")
        failed = item["error"] is not None
        verdict = "error" if failed else item["verdict"]
        evidence = "" if failed else item["evidence"]
        seconds = note or f"{item['seconds']:.1f}"
        mark = " " if item["as_expected"] else "!"
        line = self._line(mark, verdict, evidence, item["form"], seconds, item["id"], item["title"])
        self._print(line, _COLORS[verdict] if item["as_expected"] else f"bold {_COLORS[verdict]}")

    def _line(self, mark: str, verdict: str, evidence: str, form: str, seconds: str, claim: str, title: str) -> str:
        return f"{mark} {verdict:<9}  {evidence:<9}  {form:<9}  {seconds:>10}  {claim:<{self._width}}  {title}".rstrip()

    def _print(self, line: str, style: str) -> None:
        # Rich is for terminals only: it ends the program where a reader of standard output has gone.
        if sys.stdout.isatty():
            from rich.console import Console
            from rich.text import Text

            Console().print(Text(line, style=style), no_wrap=True, overflow="ellipsis", crop=True)
        else:
            print(line, flush=True)  # whoever follows a long run through a pipe sees it as it goes


class StatusLine:
    """One line on a terminal, written over and over; nothing where the stream is no terminal."""

    def __init__(self, stream: TextIO):
        self._stream, self._live, self._shown = stream, stream.isatty(), False
        self._began = time.monotonic()

    def show(self, words: str) -> None:
        """Write the line, cut to the terminal's width."""
        if self._live:
            line = f"{time.monotonic() - self._began:5.0f} s  {words}"
            width = shutil.get_terminal_size().columns - 1
            self._stream.write("\r\x1b[2K" + (line if len(line) <= width else line[: width - 1] + "…"))
            self._stream.flush()
            self._shown = True

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            self._stream.write("\r\x1b[2K")
            self._stream.flush()
            self._shown = False
