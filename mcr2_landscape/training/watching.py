"""Live progress of a training, for people (a bar on standard error) or programs (a function)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mcr2_landscape.training.results import Status


class Watcher:
    """`update(status)` as training goes; a context manager."""

    def __init__(self, report: Callable[[Status], Any] | None = None):
        self._report = report

    @staticmethod
    def of(progress: bool | Callable[[Status], Any], title: str) -> Watcher:
        """A silent one for `False`, a bar for `True`, else one that calls the given function."""
        if progress is True:
            return _Bar(title)
        return Watcher(progress or None)

    def update(self, status: Status) -> None:
        """Say where the training is."""
        if self._report is not None:
            self._report(status)

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *exception: Any) -> None:
        pass


def describe(status: Status) -> str:
    """One line: step, loss, rate, time left."""
    words = f"step {status.step} of {status.num_steps}, loss {status.loss:.6g}"
    if status.steps_per_second is not None:
        words += f", {status.steps_per_second:.3g} steps/s"
    if status.seconds_left is not None:
        minutes, seconds = divmod(round(status.seconds_left), 60)
        words += f", {minutes}:{seconds:02d} left"
    return words


class _Bar(Watcher):
    def __init__(self, title: str):
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        super().__init__()
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[words]}"))
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task(title, total=None, words="compiling")

    def update(self, status: Status) -> None:
        self._bar.update(self._task, total=status.num_steps, completed=status.step, words=describe(status))

    def __enter__(self) -> Watcher:
        self._bar.start()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._bar.stop()
