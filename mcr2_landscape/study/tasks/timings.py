"""What the tasks that measure time have in common. They time in their own process, whose workers have one thread each."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mcr2_landscape.validation import positive_integer

_WORDS = ("low", "middle", "high")


def spreads(calls: Mapping[str, Callable[[], object]], rounds: int, seconds: float = 0.01) -> dict[str, float]:
    """CPU seconds of one call of each, in turns: the least, the median and the most of `rounds`, as `NAME_low` and so on.

    A turn lasts `seconds` at least. Each has been called before.
    """
    import numpy as np

    from mcr2_landscape.bench.timing import CLOCKS, in_turns

    times = in_turns(calls, positive_integer("rounds", rounds), seconds, CLOCKS["cpu"])
    return {
        f"{name}_{word}": float(value)
        for name, own in times.items()
        for word, value in zip(_WORDS, np.quantile(own, (0, 0.5, 1)), strict=True)
    }


class WrongResult(RuntimeError):
    """What was to be timed does not compute what it should, so that its time says nothing."""
