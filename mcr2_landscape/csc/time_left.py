"""About how long learning and solving go on: with large kernels a single step takes seconds, and all of them hours."""

from __future__ import annotations

import time

from mcr2_landscape.landscape.progress import Progress
from mcr2_landscape.pace import Pace

_CODES = 0.5  # the share of the codes' first steps in an alternation, for as long as no whole one has been timed


class LearningTime:
    """Tells `bar` how long all alternations take if each takes as long as the last one; in the first one the codes' steps are
    timed instead.

    **Arguments:** `left`: alternations to be made at most; `limit`: seconds, after which the one at work is the last.
    """

    def __init__(self, bar: Progress, left: int, limit: float | None):
        self._bar, self._left, self._limit = bar, left, limit
        self._begun = self._since = time.monotonic()
        self._whole: float | None = None
        self._timed = False  # a whole alternation

    def steps(self, pace: Pace, left: int) -> None:
        """So many of the codes' steps are left, at this pace."""
        rest = pace.seconds_for(left)
        if not self._timed and rest is not None:
            self._whole = (time.monotonic() - self._since + rest) / _CODES
        self._say()

    def end(self) -> None:
        """An alternation is made."""
        now = time.monotonic()
        self._whole, self._timed, self._since = now - self._since, True, now
        self._left -= 1
        self._say()

    def _say(self) -> None:
        if self._whole is None:
            return
        now = time.monotonic()
        expected = max(self._whole - (now - self._since), 0.0) + (self._left - 1) * self._whole if self._left else 0.0
        if self._limit is not None:
            expected = min(expected, max(self._limit - (now - self._begun), 0.0) + self._whole)
        self._bar.expect(expected)


class SolvingTime:
    """Tells `bar` how long images take: first-order steps for groups of them, at the present pace, and Newton's method for
    those that are then open, each as long as the mean of those before it. Before there is one, nobody knows.

    **Arguments:** `groups`: how many there are.
    """

    def __init__(self, bar: Progress, groups: int):
        self._bar, self._groups = bar, groups
        self._since = time.monotonic()
        self._first = 0.0  # seconds of a group's first-order steps
        self._open = self._opened = 0  # images of the group: now, and after its first-order steps
        self._closed, self._seconds = 0, 0.0  # images by Newton's method, and how long they took together

    def group(self) -> None:
        """The next group begins."""
        self._groups -= 1
        self._since = time.monotonic()

    def steps(self, pace: Pace, left: int) -> None:
        """So many first-order steps of the group are left, at this pace."""
        rest = pace.seconds_for(left)
        if rest is not None:
            self._first = time.monotonic() - self._since + rest
            self._bar.expect(rest + self._later(), "first-order steps", whole=self._closed > 0)

    def opened(self, images: int) -> None:
        """So many images of the group are left to Newton's method."""
        self._open = self._opened = images
        self._since = time.monotonic()

    def newton(self, steps: int) -> None:
        """So many of Newton's steps of an image are made."""
        self._bar.expect(self._left(), f"{steps} Newton step{'' if steps == 1 else 's'} of an image")

    def closed(self) -> None:
        """An image is done with."""
        now = time.monotonic()
        self._closed, self._seconds, self._since = self._closed + 1, self._seconds + now - self._since, now
        self._open -= 1
        self._bar.expect(self._left())

    def _left(self) -> float | None:
        if not self._closed:
            return None
        now = self._open * self._seconds / self._closed - (time.monotonic() - self._since)
        return max(now, 0.0) + self._later()

    def _later(self) -> float:
        """Seconds of the groups that have not begun."""
        each = self._seconds / self._closed if self._closed else 0.0
        return self._groups * (self._first + each * self._opened)
