"""What a training returns, and what it says while it goes on."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mcr2_landscape.record import Record


class Stopped(enum.StrEnum):
    """Why a training ended: all steps done, its time over, Ctrl-C, the caller's `stop`, or a number that is not finite."""

    FINISHED = "finished"
    TIME = "time"
    INTERRUPTED = "interrupted"
    REQUESTED = "requested"
    DIVERGED = "diverged"


@dataclass(frozen=True)
class Status(Record):
    """Where a training is.

    **Fields:** `step` of `num_steps`; `loss`, `gradient_norm` and `metrics` of the last step; `seconds` of training so far,
    earlier sessions included; `steps_per_second` and `seconds_left` at the present pace (`None` before it is known).
    """

    step: int
    num_steps: int
    loss: float
    gradient_norm: float
    metrics: Mapping[str, float]
    seconds: float
    steps_per_second: float | None
    seconds_left: float | None


@dataclass(frozen=True)
class Training(Record):
    """A training, finished or not.

    **Fields:** `model` and `optimizer_state` after `step` of `num_steps` steps. `stopped`: why it ended, `reason` the same in
    words. `loss`, `gradient_norm` and `metrics` of the last step, which are those of the parameters before it; NaN before the
    first step. `history`: arrays by name ("step", "loss", "gradient_norm", each metric, "seconds") of the first step, of every
    `record_every`-th and of the last. `seconds` of all sessions, `session_seconds` of the last one, which began at step
    `resumed_from` (`None`: not resumed). `precision`, `device` and `versions` it ran with; `fingerprint`: what has to be the
    same for the same bits, by name. `notes`: sentences on what may make a difference.
    """

    model: Any = field(repr=False, metadata={"json": False})
    optimizer_state: Any = field(repr=False, metadata={"json": False})
    step: int
    num_steps: int
    stopped: Stopped
    reason: str
    loss: float
    gradient_norm: float
    metrics: Mapping[str, float]
    history: Mapping[str, np.ndarray] = field(repr=False)
    seconds: float
    session_seconds: float
    resumed_from: int | None
    precision: str
    device: str
    versions: Mapping[str, str] = field(repr=False)
    fingerprint: Mapping[str, str] = field(repr=False)
    notes: tuple[str, ...] = ()
