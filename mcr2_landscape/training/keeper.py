"""When and where the checkpoints of a training are written, and whether one may be gone on from."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from mcr2_landscape.files import remove_leftovers
from mcr2_landscape.locking import FolderLock
from mcr2_landscape.provenance import describe_device
from mcr2_landscape.training import checkpoint as files
from mcr2_landscape.training import fingerprint as prints
from mcr2_landscape.training.session import Session
from mcr2_landscape.validation import InputError, positive_integer, positive_real


class Keeper:
    """Writes checkpoints when they are due. Without a folder it does nothing. A context manager: the folder is locked in it."""

    def __init__(self, path: Path | None, every: int | None, seconds: float, *, resume: bool, lock: FolderLock | None = None):
        self.path, self.every, self.seconds, self.resume = path, every, seconds, resume
        self._given, self._lock = lock, lock
        self.fingerprint: Mapping[str, str] = {}
        self.notes: list[str] = []
        self._written: int | None = None
        self._clock = time.perf_counter()

    @staticmethod
    def of(
        folder: str | os.PathLike[str] | None, resume: bool, every: int | None, seconds: float, lock: FolderLock | None = None
    ) -> Keeper:
        """Look at the folder before the work begins.

        **Raises:** `InputError` for a place that cannot be written.
        """
        every = None if every is None else positive_integer("checkpoint_every", every)
        seconds = positive_real("checkpoint_seconds", seconds)
        if folder is None:
            if resume:
                raise InputError("resume: there is nothing to go on from; pass checkpoint=... with the folder of the training")
            return Keeper(None, every, seconds, resume=False)
        return Keeper(files.place(folder), every, seconds, resume=resume, lock=lock)

    def __enter__(self) -> Keeper:
        """Become the only one who writes to the folder.

        **Raises:** `InputError` where another process does, or where the folder holds a training that is not gone on with.
        """
        if self.path is None:
            return self
        if self._lock is None:
            self._lock = FolderLock(self.path.parent, "training", "solvers")
        if not self._lock.held:
            self._lock.acquire()
        try:
            for name in (self.path.name, "holder.json"):
                remove_leftovers(self.path.parent, name)
            if self.path.exists() and not self.resume:
                raise InputError(f"{self.path}: holds a training already; pass resume=True to go on with it, or another folder")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception: Any) -> None:
        if self._given is None and self._lock is not None:  # a caller's own is the caller's to release
            self._lock.release()

    def begin(self, session: Session, own: Mapping[str, Any], configuration: Mapping[str, Any] | None) -> None:
        """Say what the training is, and go on from the checkpoint if there is one.

        **Raises:** `InputError` for a checkpoint that cannot be used.
        """
        if self.path is None:
            return
        self.fingerprint = _fingerprint(session, own, configuration)
        if not (self.resume and self.path.exists()):
            return
        found = files.read(self.path)
        then, now = found.header["versions"], prints.versions()
        same = prints.same_program_expected(then, now) and found.header["device"] == describe_device()
        different = prints.differences(found.header["fingerprint"], self.fingerprint, program=same)
        if different:
            raise InputError(
                f"{self.path}: was made by another training: what differs is {', '.join(different)}; pass what it was made "
                "with, or train in another folder"
            )
        self.notes = list(found.header["notes"])
        if not same:
            changes = prints.changed_versions(then, now)
            if found.header["device"] != describe_device():
                changes.append(f"{found.header['device']}, now {describe_device()}")
            said = f"went on from step {found.header['step']} with other versions or another device ({'; '.join(changes)}): "
            self.notes.append(said + "the same bits are not promised")
        session.take_over(found)
        self._written = session.step

    def next_step(self, step: int) -> int | None:
        """The next step at which a checkpoint is due."""
        return None if self.path is None or self.every is None else (step // self.every + 1) * self.every

    def keep_if_due(self, session: Session) -> None:
        """Write one if it is time."""
        due = self.every is not None and session.step % self.every == 0
        if due or time.perf_counter() - self._clock >= self.seconds:
            self.end(session)

    def end(self, session: Session) -> None:
        """Write one unless this step's is written."""
        if self.path is None or self._written == session.step:
            return
        header = {
            "step": session.step,
            "seconds": session.seconds_before + session.elapsed(),
            "fingerprint": dict(self.fingerprint),
            "versions": prints.versions(),
            "device": describe_device(),
            "notes": self.notes,
        }
        files.write(self.path, session.state, session.history(), header)
        self._written, self._clock = session.step, time.perf_counter()


def _fingerprint(session: Session, own: Mapping[str, Any], configuration: Mapping[str, Any] | None) -> dict[str, str]:
    program, given, state = session.program, session.inputs, session.state
    loss = program.loss.tree()
    traced = program.advance.trace(state, jnp.asarray(1, dtype=jnp.int32), given)
    name = getattr(loss, "__qualname__", type(loss).__qualname__)
    return {
        "model": f"{prints.structure_of(state.parameters)} {prints.digest_of(*jax.tree.leaves(given.buffers))}",
        "loss": f"{name} {prints.digest_of(*jax.tree.leaves(given.loss))}",
        "data": prints.digest_of(*jax.tree.leaves(given.data)),
        "optimizer": prints.structure_of(state.optimizer),
        "key": prints.digest_of(given.key),
        "initial": prints.digest_of(*jax.tree.leaves(state.parameters)),
        **{name: str(value) for name, value in own.items()},
        **prints.configured(configuration),
        "program": prints.program_digest(traced.jaxpr),
    }
