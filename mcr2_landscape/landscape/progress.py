"""Progress of long work, for people (a bar on standard error) or programs (a function)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Progress:
    """`update(done, good)` as work goes; a context manager."""

    def __init__(self, total: int, report: Callable[[int, int, int], None] | None = None):
        self.total, self.report = total, report

    @staticmethod
    def of(progress: bool | Callable[[int, int, int], None] | Progress, total: int, title: str) -> Progress:
        """A silent one for `False`, a bar for `True`, the given one itself, which may serve several works in turn, else one
        that calls the given function with (done, total, good)."""
        if isinstance(progress, Progress):
            progress.begin(total, title)
            return progress
        if progress is True:
            return _Bar(total, title)
        return Progress(total, progress or None)

    def begin(self, total: int, title: str) -> None:
        """Turn to other work."""
        self.total = total

    def update(self, done: int, good: int) -> None:
        """Say that `done` of the total are done, `good` of them with success."""
        if self.report is not None:
            self.report(done, self.total, good)

    def expect(self, seconds: float | None, doing: str = "", *, whole: bool = True) -> None:
        """Say about how long all that is left takes, where that is known, or only `doing` if not the `whole`, and what is at
        work in between two updates. Functions are not told, nor are bars, which have a clock of their own."""

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: Any) -> None:
        pass


class _Bar(Progress):
    def __init__(self, total: int, title: str):
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        super().__init__(total)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[good]}"),
        )
        self._bar = RichProgress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task(title, total=total, good="")

    def update(self, done: int, good: int) -> None:
        self._bar.update(self._task, completed=done, good=f"{good} converged" if good else "")

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._bar.stop()
