"""Files of named arrays: NumPy's own formats and safetensors."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mcr2_landscape.extras import missing_extra
from mcr2_landscape.validation import InputError

# What a file of arrays may hold beside features and labels, as single numbers.
SETTINGS = ("epsilon", "regularization")


class Names(NamedTuple):
    """What the user calls the parts of a file (`None`: not said), and whether the file has to hold labels too."""

    features: str | None
    labels: str | None
    with_labels: bool


@dataclass(frozen=True)
class Content:
    """What a file holds: features (samples, features), labels or `None`, names of the features, notes on the reading, and the
    numbers (of `SETTINGS`) that the features were made with."""

    features: Any
    labels: Any = None
    feature_names: Sequence[str] = ()
    notes: Sequence[str] = ()
    settings: Mapping[str, float] = field(default_factory=dict)


def read_npz(path: Path, names: Names) -> Content:
    """The arrays of a NumPy archive."""
    return _named(path, _open_npz(path), names)


def npz_names(path: Path) -> list[str]:
    """The names of the arrays of a NumPy archive."""
    return list(_open_npz(path))


def read_npz_labels(path: Path, name: str | None) -> Any:
    """The labels of a NumPy archive: by name, or its only array."""
    return _only_or_named(path, _open_npz(path), name)


def read_npy(path: Path, names: Names) -> Content:
    """One array, the features."""
    if names.features is not None:
        raise InputError(f"{path}: a .npy file holds one array without a name; leave features_name (--features-name) out")
    return Content(_load_npy(path))


def read_npy_labels(path: Path, name: str | None) -> Any:
    """One array, the labels."""
    return _load_npy(path)


def read_safetensors(path: Path, names: Names) -> Content:
    """The tensors of a safetensors file."""
    return _named(path, _open_safetensors(path), names)


def read_safetensors_labels(path: Path, name: str | None) -> Any:
    """The labels of a safetensors file: by name, or its only tensor."""
    return _only_or_named(path, _open_safetensors(path), name)


class _Lazy(Mapping[str, Any]):
    """Arrays by name, each read when it is asked for."""

    def __init__(self, names: Sequence[str], read: Callable[[str], Any]):
        self._names, self._read = list(names), read

    def __getitem__(self, name: str) -> Any:
        return self._read(name)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self):
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _named(path: Path, stored: Mapping[str, Any], names: Names) -> Content:
    features = _pick(path, stored, names.features or "features", "features_name (--features-name)")
    labels = _pick(path, stored, names.labels or "labels", "labels_name (--labels-name)") if names.with_labels else None
    numbers = {name: np.asarray(stored[name]) for name in SETTINGS if name in stored}
    settings = {name: float(number) for name, number in numbers.items() if number.ndim == 0 and number.dtype.kind in "fiu"}
    return Content(features, labels, settings=settings)


def _pick(path: Path, stored: Mapping[str, Any], name: str, option: str) -> Any:
    if name not in stored:
        raise InputError(f"{path}: has no array {name!r}; it holds {_listing(stored)}. Name one with {option}")
    return stored[name]


def _only_or_named(path: Path, stored: Mapping[str, Any], name: str | None) -> Any:
    if name is None and len(stored) == 1:
        return next(iter(stored.values()))
    return _pick(path, stored, name or "labels", "labels_name (--labels-name)")


def _listing(stored: Mapping[str, Any]) -> str:
    def describe(name: str) -> str:
        try:
            array = stored[name]
        except InputError:
            return f"{name} (not readable)"
        return f"{name} {tuple(array.shape)} {array.dtype}"

    shown = [describe(name) for name in list(stored)[:12]]
    return (", ".join(shown) or "nothing") + (f", and {len(stored) - 12} more" if len(stored) > 12 else "")


def _objects(path: Path, name: str = "") -> InputError:
    which = f"the array {name!r}" if name else "the array"
    return InputError(
        f"{path}: {which} holds Python objects, which would have to be unpickled and could run any code; save numbers or plain "
        "strings, for instance np.asarray(y).astype(str) for labels"
    )


def _broken(path: Path, error: Exception) -> InputError:
    said = str(error).strip().split("\n", 1)[0] or type(error).__name__
    return InputError(f"{path}: the file is damaged or cut off ({said}); write or copy it again")


def _open_npz(path: Path) -> Mapping[str, Any]:
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path}: is no NumPy archive, or one that is cut off; write it again with numpy.savez")

    def read(name: str | None) -> Any:
        # The file is opened here: NumPy leaves its own open when an archive turns out to be damaged.
        with path.open("rb") as file:
            archive = _parse(path, lambda: np.load(file, allow_pickle=False))
            if name is None:
                return archive.files
            array = _parse(path, lambda: archive[name], name)
        if not isinstance(array, np.ndarray):
            raise InputError(f"{path}: the entry {name!r} is no array; write the file with numpy.savez")
        return array

    return _Lazy(read(None), read)


def _load_npy(path: Path) -> np.ndarray:
    with path.open("rb") as file:
        if file.read(6) != b"\x93NUMPY":
            raise InputError(f"{path}: is no NumPy array; write it with numpy.save")
    return _parse(path, lambda: np.load(path, allow_pickle=False))


def _parse(path: Path, read: Callable[[], Any], name: str = "") -> Any:
    """What `read` gives. Damaged bytes make NumPy's reader, and the libraries under it, fail in every way there is: whatever is
    raised means that the file cannot be read."""
    try:
        return read()
    except MemoryError:
        raise
    except Exception as error:
        # NumPy has no type for this error.
        raise (_objects(path, name) if "allow_pickle" in str(error) else _broken(path, error)) from None


def _open_safetensors(path: Path) -> Mapping[str, Any]:
    try:
        import safetensors
    except ImportError:
        raise missing_extra("reading a .safetensors file", "safetensors", "data") from None
    try:
        file = safetensors.safe_open(path, framework="numpy")
        names = list(file.keys())
    except safetensors.SafetensorError as error:
        raise _broken(path, error) from None

    def read(name: str) -> Any:
        try:
            return file.get_tensor(name)
        except (safetensors.SafetensorError, TypeError, AttributeError, KeyError) as error:
            raise InputError(f"{path}: the tensor {name!r} cannot be read as numbers ({error}); store float32") from None

    return _Lazy(names, read)
