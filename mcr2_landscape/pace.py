"""How many steps one call of the compiled program makes, and how long all others take."""

from __future__ import annotations

# One XLA call does not hear Ctrl-C, and progress is shown between calls.
_SECONDS = 1.0
_GROWTH = 8


class Pace:
    """Chunks of about a second. What a chunk computes does not depend on its length, so that time may decide."""

    def __init__(self) -> None:
        self.steps_per_second: float | None = None
        self._chunk = 1
        self._compiled = False

    def chunk(self, seconds_left: float | None) -> int:
        """The steps of the next chunk, within the time that is left."""
        if seconds_left is None or self.steps_per_second is None:
            return self._chunk
        return max(1, min(self._chunk, int(seconds_left * self.steps_per_second)))

    def done(self, steps: int, seconds: float) -> None:
        """Say how long a chunk took."""
        if not self._compiled:  # the first call compiles: its time says nothing of the next
            self._compiled = True
            return
        if steps:
            self.steps_per_second = steps / max(seconds, 1e-9)
            self._chunk = max(1, min(_GROWTH * self._chunk, int(_SECONDS * self.steps_per_second)))

    def seconds_for(self, steps: float) -> float | None:
        """How long so many steps take as fast as the last chunk was made; `None` before that is known."""
        return None if self.steps_per_second is None else steps / self.steps_per_second


def duration(seconds: float) -> str:
    """A time in words."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours / 24:.1f} days"
