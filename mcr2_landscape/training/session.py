"""One session of a training: the state as it moves, its history and its time."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.pace import Pace
from mcr2_landscape.provenance import describe_device
from mcr2_landscape.training import checkpoint as files
from mcr2_landscape.training import fingerprint as prints
from mcr2_landscape.training.program import FAILURES, ROWS, Inputs, Program, State
from mcr2_landscape.training.results import Status, Stopped, Training
from mcr2_landscape.validation import InputError


class Session:
    """The state, its history and its clock."""

    def __init__(self, program: Program, inputs: Inputs, state: State, num_steps: int, record_every: int, limit: float | None):
        self.program, self.inputs, self.state = program, inputs, state
        self.num_steps, self.record_every, self.limit = num_steps, record_every, limit
        self.columns = ("step", "loss", "gradient_norm", *program.metrics, "seconds")
        self.rows: list[np.ndarray] = []
        self.step = 0
        self.measured = np.full(2 + len(program.metrics), np.nan)
        self.resumed_from: int | None = None
        self.seconds_before = 0.0
        self.pace = Pace()
        self._began = time.perf_counter()

    def elapsed(self) -> float:
        """Seconds of this session."""
        return time.perf_counter() - self._began

    def advance(self, at_most: int | None) -> str:
        """Go on, to step `at_most` at most.

        **Returns:** what went wrong, in words; empty where nothing did.
        """
        left = None if self.limit is None else max(self.limit - self.elapsed(), 0.0)
        end = min(self.num_steps, self.step + self.pace.chunk(left), self.step + (ROWS - 1) * self.record_every)
        end = end if at_most is None else min(end, at_most)
        before, begin = self.step, self.elapsed()
        chunk = jax.block_until_ready(self.program.advance(self.state, jnp.asarray(end, dtype=jnp.int32), self.inputs))
        now = self.elapsed()
        self.state, self.step = chunk.state, int(chunk.state.step)
        self.measured = np.asarray(chunk.state.measured, dtype=np.float64)
        self._record(before, np.asarray(chunk.rows, dtype=np.float64), begin, now)
        self.pace.done(self.step - before, now - begin)
        if not int(chunk.failure):
            return ""
        words = FAILURES[int(chunk.failure)].format(loss=float(chunk.failed[0]))
        return f"{words} in step {self.step + 1} of {self.num_steps}; the state before it was kept"

    def _record(self, before: int, rows: np.ndarray, begin: float, end: float) -> None:
        """Keep the rows of the steps after `before`; when each was made is known to within its chunk."""
        steps = [step for step in range(before + 1, self.step + 1) if step == 1 or step % self.record_every == 0]
        for step, row in zip(steps, rows, strict=False):
            seconds = self.seconds_before + begin + (end - begin) * (step - before) / (self.step - before)
            self.rows.append(np.array([step, *row, seconds]))

    def history(self, *, last: bool = False) -> dict[str, np.ndarray]:
        """The rows by column; with the last step, if asked for and it is none of them."""
        rows = list(self.rows)
        if last and self.step and (not rows or rows[-1][0] != self.step):
            rows.append(np.array([self.step, *self.measured, self.seconds_before + self.elapsed()]))
        table = np.array(rows, dtype=np.float64).reshape(len(rows), len(self.columns))
        columns: dict[str, np.ndarray] = {name: table[:, number].copy() for number, name in enumerate(self.columns)}
        columns["step"] = columns["step"].astype(np.int64)
        return columns

    def numbers(self) -> tuple[float, float, dict[str, float]]:
        """Loss, gradient norm and metrics of the last step."""
        loss, norm, *metrics = map(float, self.measured)
        return loss, norm, dict(zip(self.program.metrics, metrics, strict=True))

    def status(self) -> Status:
        """Where the training is."""
        rate = self.pace.steps_per_second
        loss, norm, metrics = self.numbers()
        left = None if rate is None else (self.num_steps - self.step) / rate
        if left is not None and self.limit is not None:
            left = min(left, max(self.limit - self.elapsed(), 0.0))
        return Status(self.step, self.num_steps, loss, norm, metrics, self.seconds_before + self.elapsed(), rate, left)

    def take_over(self, found: files.Checkpoint) -> None:
        """Go on from a checkpoint.

        **Raises:** `InputError` for one that does not fit, or holds more steps than are wanted.
        """
        step = int(found.header["step"])
        if step > self.num_steps:
            raise InputError(f"num_steps: found {self.num_steps}, but {found.path} holds {step} steps; pass at least as many")
        self.state = files.restore(found, self.state)
        self.step = self.resumed_from = step
        self.measured = np.asarray(self.state.measured, dtype=np.float64)
        self.rows = list(np.stack([found.history[name].astype(np.float64) for name in self.columns], axis=1))
        self.seconds_before = float(found.header["seconds"])

    def result(self, stopped: Stopped, reason: str, fingerprint: Mapping[str, str], notes: Sequence[str]) -> Training:
        """The session as a result."""
        loss, norm, metrics = self.numbers()
        model = eqx.combine(self.state.parameters, self.inputs.buffers, self.program.model.tree())
        history, elapsed = self.history(last=True), self.elapsed()
        return Training(
            model=model,
            optimizer_state=self.state.optimizer,
            step=self.step,
            num_steps=self.num_steps,
            stopped=stopped,
            reason=reason,
            loss=loss,
            gradient_norm=norm,
            metrics=metrics,
            history=history,
            seconds=self.seconds_before + elapsed,
            session_seconds=elapsed,
            resumed_from=self.resumed_from,
            precision=self.program.precision,
            device=describe_device(),
            versions=prints.versions(),
            fingerprint=fingerprint,
            notes=tuple(notes),
        )
