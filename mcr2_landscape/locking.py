"""One writer for a folder: a lock that a process holds until it ends, however it ends."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mcr2_landscape.errors import InputError
from mcr2_landscape.extras import missing_extra
from mcr2_landscape.files import write_json

_LOCK, _HOLDER = "lock", "holder.json"


class FolderLock:
    """The lock of a folder, whose files ``lock`` and ``holder.json`` (who writes, for whoever is refused) lie in it.

    **Arguments:** `folder`, which exists. `what`: what it is to the user, such as "store". `extra`: the extra that brings the
    library `filelock`.
    """

    def __init__(self, folder: Path, what: str, extra: str):
        self.folder, self.what = folder, what
        self._extra = extra
        self._lock: Any = None

    @property
    def held(self) -> bool:
        """Whether this process writes."""
        return self._lock is not None

    def acquire(self) -> None:
        """Become the one who writes, until `release` or the end of the process.

        **Raises:** `InputError` where another process writes (who, since when), or the folder cannot be written to.
        """
        filelock = self._library()
        # The kernel holds it for the process, and lets go of it when the process is gone.
        lock = filelock.FileLock(self.folder / _LOCK)
        try:
            lock.acquire(timeout=1)  # who only looks whether it is held (`holder`) holds it for an instant
        except filelock.Timeout:
            who = self._said()
            raise InputError(f"{self.what} {self.folder}: another run writes to it ({who}); wait for it, or end it") from None
        except (OSError, NotImplementedError) as error:
            words = getattr(error, "strerror", None) or error
            raise InputError(
                f"{self.what} {self.folder}: cannot be locked ({words}); give a folder that you may write to"
            ) from None
        self._lock = lock
        now = time.strftime("%Y-%m-%d %H:%M:%S %z")
        try:
            write_json(self.folder / _HOLDER, {"host": platform.node(), "process": os.getpid(), "since": now}, self.what)
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Let others write."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def holder(self) -> str | None:
        """Who writes now, in words, or `None`."""
        if not (self.folder / _LOCK).exists():
            return None
        filelock = self._library()
        lock = filelock.FileLock(self.folder / _LOCK)
        try:
            lock.acquire(blocking=False)
        except filelock.Timeout:
            return self._said()
        except (OSError, NotImplementedError):  # a folder that only may be read
            return None
        lock.release()
        return None

    def _library(self) -> Any:
        try:
            import filelock
        except ImportError:
            raise missing_extra(f"a {self.what}", "filelock", self._extra) from None
        return filelock

    def _said(self) -> str:
        try:
            found: Mapping[str, Any] = json.loads((self.folder / _HOLDER).read_text(encoding="utf-8"))
            return f"process {found['process']} on {found['host']}, since {found['since']}"
        except (OSError, ValueError, KeyError, TypeError):
            return "it has not said who it is"
