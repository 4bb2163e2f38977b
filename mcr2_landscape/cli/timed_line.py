"""Long work on the status line, with the time that it takes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from mcr2_landscape.cli.rows import StatusLine
from mcr2_landscape.landscape.progress import Progress
from mcr2_landscape.pace import duration

_LONG = 120.0  # seconds, of which someone is told who may not be looking at the line
_MORE = 3.0  # times as long as was said, of which they are told again


class TimedLine(Progress):
    """What is done of the work at hand, what is at work, and about how long the rest takes. Where that is minutes, `note` is
    called with it: it stays to be read, and is there without a terminal. It is called again where that becomes several times as
    much.

    **Arguments:** `units`: what is counted, by the work's title; `cure`: what makes it shorter.
    """

    def __init__(self, units: dict[str, str], note: Callable[[str], None], cure: str):
        super().__init__(0)
        self._line, self._units, self._note, self._cure = StatusLine(sys.stderr), units, note, cure
        self._told = _LONG / _MORE
        self.begin(0, "")

    def begin(self, total: int, title: str) -> None:
        """Turn to other work."""
        self.total, self._title = total, title
        self._done, self._left, self._doing = 0, None, ""

    def update(self, done: int, good: int) -> None:
        """Say that so many units are done."""
        self._done, self._doing = done, ""
        self._show()

    def expect(self, seconds: float | None, doing: str = "", *, whole: bool = True) -> None:
        """Say about how long all that is left takes, or `doing` alone."""
        self._left, self._doing = seconds, doing
        if seconds is not None and seconds > _MORE * self._told:
            self._told = seconds
            self._line.clear()
            what = "this takes" if whole or not doing else f"{doing} take"
            self._note(f"{what} about {duration(seconds)} from now on; {self._cure}")
        self._show()

    def __exit__(self, *exception: Any) -> None:
        self._line.clear()

    def _show(self) -> None:
        said = [f"{self._done} of {self.total} {self._units[self._title]}"]
        said += [self._doing] if self._doing else []
        said += [f"about {duration(round(self._left))} left"] if self._left is not None else []
        self._line.show(", ".join(said))
