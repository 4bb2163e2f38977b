"""A command that fits, run in a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from mcr2_landscape.cli import main

LOCK = {"lock", "holder.json"}


class Ran:
    """A command that ran: its folder and exit status. Subclasses name the command."""

    command: str

    def __init__(self, folder: Any, *words: str):
        self.folder = Path(folder)
        self.status = main([self.command, *words, "--out", str(folder)])

    @property
    def files(self) -> set[str]:
        return {file.name for file in self.folder.iterdir()} - LOCK

    @property
    def plain(self) -> dict[str, Any]:
        return json.loads((self.folder / f"{self.command}.json").read_text())

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        with np.load(self.folder / "codes.npz") as stored:
            return dict(stored)
