"""The state of a build, and its file. NumPy, float64."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mcr2_landscape import files
from mcr2_landscape.flatnet import kernels
from mcr2_landscape.flatnet.kernels import Layer
from mcr2_landscape.validation import InputError, check_finite, check_shape

_FORMAT = 5  # another one where the same options and seed no longer make the same layers
_DAMAGED = (OSError, ValueError, KeyError, EOFError, TypeError, IndexError, RuntimeError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class State:
    """A build between two iterations: the points, a tail before the first layer and after each, the layers, a row of loss,
    radius, α, move and threshold for each, iterations done, failures in a row, and processor seconds."""

    points: np.ndarray
    tails: list[float]
    layers: list[Layer] = field(default_factory=list)
    rows: list[tuple[float, ...]] = field(default_factory=list)
    iterations: int = 0
    failures: int = 0
    seconds: float = 0.0

    def save(self, path: Path, print_of_build: str) -> None:
        """Write the state, whole or not at all."""
        stacked = kernels.stack(self.layers, self.points.shape[1])
        buffer = io.BytesIO()
        arrays = {f"layer_{name}": part for name, part in stacked._asdict().items()}
        numbers = {"iterations": self.iterations, "failures": self.failures, "seconds": self.seconds}
        np.savez(buffer, fingerprint=print_of_build, points=self.points, tails=self.tails, rows=self.rows, **arrays, **numbers)
        files.write_bytes(path, buffer.getvalue(), "checkpoint")

    def restored(self, path: Path, print_of_build: str) -> State:
        """The state that was saved of a build that begins with this one."""
        state = self
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
                found = dict(file)
            same = str(found["fingerprint"]) == print_of_build
            if same:
                state = _read(found, self.points.shape)
        except _DAMAGED as error:
            raise InputError(f"checkpoint {path}: is no checkpoint of a build, or damaged ({error}); remove it") from None
        if not same:
            raise InputError(
                f"checkpoint {path}: is of other points, options or another seed; give the same ones, or another file"
            )
        return state


def _read(found: dict[str, np.ndarray], shape: tuple[int, ...]) -> State:
    """The state in a checkpoint's arrays; whatever does not fit together raises `ValueError`."""
    rows, tails = found["rows"].reshape(-1, 5), found["tails"]
    stacked = Layer(*(found[f"layer_{name}"] for name in Layer._fields))
    iterations, failures = int(found["iterations"]), int(found["failures"])
    count = len(rows)
    check_shape("tails", tails.shape, (count + 1,))
    check_shape("points", found["points"].shape, shape)
    for name in ("mean", "center", "shift"):
        check_shape(name, getattr(stacked, name).shape, (count, shape[1]))
    for name in ("gamma", "alpha", "scale", "rank"):
        check_shape(name, getattr(stacked, name).shape, (count,))
    check_shape("basis", stacked.basis.shape, (count, shape[1], None))
    check_shape("coefficients", stacked.coefficients.shape, (count, shape[1], kernels.num_features(stacked.basis.shape[2])))
    for name, array in (("points", found["points"]), ("tails", tails), ("rows", rows), *stacked._asdict().items()):
        check_finite(name, array)
    if count + failures > iterations or failures < 0:
        raise ValueError(f"{count} layers and {failures} failures in {iterations} iterations")
    layers = [Layer(*(part[place] for part in stacked)) for place in range(count)]
    own = [tuple(row) for row in rows.tolist()]
    return State(found["points"], tails.tolist(), layers, own, iterations, failures, float(found["seconds"]))


def fingerprint(points: np.ndarray, d: int, seed: int, options: Any) -> str:
    """What tells builds apart: points, dimension, seed, options (a dataclass), and the format of checkpoints."""
    # A build may go on for more iterations than were asked for at first.
    plain = {**dataclasses.asdict(options), "max_iterations": None}
    text = f"{_FORMAT} {points.shape} {d} {seed} {sorted(plain.items())!r}"
    return hashlib.sha256(text.encode() + np.ascontiguousarray(points).tobytes()).hexdigest()
