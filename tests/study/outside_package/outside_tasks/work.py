"""Tasks for the tests: nothing that takes long."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class Sum:
    total: float
    powers: tuple[float, ...]
    draws: np.ndarray
    word: str
    large: bool
    missing: int | None


def add(*, x: float, n: int, tags: tuple[int, ...] = (1, 2), mode: Literal["plain", "double"] = "plain", seed: int) -> Sum:
    random = np.random.default_rng([seed, n])
    total = (x + n + sum(tags)) * (2 if mode == "double" else 1)
    return Sum(total, tuple(x**k for k in range(n % 4)), random.random(5), f"{mode} {n}", total > 3, n if n % 2 else None)


def add_with_an_integer_default(*, x: float = 2, n: int, seed: int) -> Sum:
    return add(x=x, n=n, seed=seed)


@dataclass(frozen=True)
class Nothing:
    answer: int


def nothing(*, a: int, b: float = 0.5, seed: int) -> Nothing:
    return Nothing(a + seed)


class Wordless(Exception):
    def __str__(self):
        raise RuntimeError("no words")


Trouble = Literal["nothing", "raise", "exit", "kill", "wrong", "flag", "unpicklable", "huge", "odd file", "wordless", "leave"]


def trouble(*, n: int, what: Trouble) -> Nothing:
    """`flag`: raises as long as the file that OUTSIDE_FLAG names is there."""
    if what == "raise":
        raise ValueError(f"no luck with {n}")
    if what == "exit":
        os._exit(3)
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "wrong":
        return Nothing("text")  # pyright: ignore[reportArgumentType]
    if what == "flag" and Path(os.environ["OUTSIDE_FLAG"]).exists():
        raise RuntimeError("the flag is up")
    if what == "huge":
        return Nothing(10**20)
    if what == "odd file":
        raise FileNotFoundError(os.fsdecode(b"caf\xe9.txt"))
    if what == "wordless":
        raise Wordless
    if what == "leave":
        raise SystemExit(3)
    if what == "unpicklable":
        return lambda: None  # pyright: ignore[reportReturnType]
    return Nothing(n)


def nap(*, n: int, length: float) -> Nothing:
    time.sleep(length)
    return Nothing(n * n)
