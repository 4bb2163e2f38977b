"""Timing in turns: A B C A B C …, so that whatever slows a machine down for a while slows all of them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mcr2_landscape.record import Record

CLOCKS: dict[str, Callable[[], float]] = {"cpu": time.process_time, "wall": time.perf_counter}


@dataclass(frozen=True)
class Quartiles(Record):
    """Of some figures: a quarter of them lies below `lower`, half below `median`, three quarters below `upper`."""

    lower: float
    median: float
    upper: float

    @staticmethod
    def of(values: Sequence[float]) -> Quartiles:
        """The quartiles of at least one value."""
        return Quartiles(*(float(x) for x in np.quantile(np.asarray(values, dtype=np.float64), (0.25, 0.5, 0.75))))


def in_turns(
    calls: Mapping[str, Callable[[], object]], rounds: int, seconds: float, clock: Callable[[], float]
) -> dict[str, list[float]]:
    """Seconds of one call of each, for every round.

    In each round every call has its turn, and repeats as often as it takes to last `seconds`, by what a first call took. Each
    has been called before, by whoever compared its result.
    """
    repeats = {}
    for name, call in calls.items():
        once = _timed(call, 1, clock)
        repeats[name] = max(1, min(1000, math.ceil(seconds / max(once, 1e-6))))
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            times[name].append(_timed(call, repeats[name], clock))
    return times


def _timed(call: Callable[[], object], repeats: int, clock: Callable[[], float]) -> float:
    began = clock()
    for _ in range(repeats):
        call()
    return (clock() - began) / repeats


def ratios(times: Mapping[str, Sequence[float]], to: str) -> dict[str, Quartiles]:
    """How many times as long as `to` each took, round by round."""
    reference = np.asarray(times[to])
    return {name: Quartiles.of(list(np.asarray(own) / reference)) for name, own in times.items()}
