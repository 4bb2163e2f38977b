"""Where a number comes from: the configuration, the seed, the precision, the device and the versions behind it."""

from __future__ import annotations

import dataclasses
import enum
import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import mcr2_landscape
from mcr2_landscape.randomness import generator
from mcr2_landscape.record import Record, to_plain
from mcr2_landscape.validation import InputError

# A larger array enters a configuration's hash as the digest of its bytes: its decimal text would take seconds.
_LARGEST_WRITTEN_ARRAY = 4096


@dataclass(frozen=True)
class Provenance(Record):
    """What has to be the same for a stored number to come out the same again.

    There is no date in it: the same work has the same provenance.
    """

    configuration_hash: str
    seed: int | str | tuple[int, ...] | None
    dtype: str
    device: str
    versions: Mapping[str, str]


def provenance(configuration: Any, *, key: Any = None, dtype: Any = np.float64, device: str | None = None) -> Provenance:
    """The provenance of a result that was computed from `configuration`.

    `key` is the source of randomness (anything that `randomness.generator` takes, before anything is drawn from it) or
    `None` where nothing is random. `device` is by default the one that JAX computes on if it is loaded, else this machine's
    processor.

    **Raises:** `InputError` for a configuration or a key that cannot be written down.
    """
    return Provenance(
        configuration_hash=configuration_hash(configuration),
        seed=seed_of(key),
        dtype=np.dtype(dtype).name,
        device=describe_device() if device is None else device,
        versions=versions(),
    )


def configuration_hash(configuration: Any) -> str:
    """SHA-256 of a configuration's canonical JSON text, in hexadecimal.

    It depends on content alone: the order of a mapping or a set, tuple or list, 1 or 1.0, a Python or a NumPy number make no
    difference.

    **Raises:** `InputError` for a part that has no plain form.
    """
    return hashlib.sha256(_text(_canonical(configuration)).encode()).hexdigest()


def seed_of(key: Any) -> int | str | tuple[int, ...] | None:
    """A source of randomness, written down: an integer seed as it is, a JAX key as its words, a NumPy generator as the name of
    its algorithm with a digest of its state (enough to compare, not to restore).

    **Raises:** `InputError` for what is no source of randomness.
    """
    if key is None:
        return None
    if isinstance(key, np.random.Generator):
        state = key.bit_generator.state
        return f"{state['bit_generator']}:{configuration_hash(state)[:16]}"
    entropy: Any = generator(key).bit_generator.seed_seq.entropy  # pyright: ignore[reportAttributeAccessIssue]
    return entropy if isinstance(entropy, int) else tuple(entropy)


def versions() -> dict[str, str]:
    """The versions that a number depends on, by name. JAX's are read from its metadata, without loading it."""
    found = {"mcr2_landscape": mcr2_landscape.__version__, "python": platform.python_version()}
    for name in ("jax", "jaxlib", "numpy", "scipy"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    found["platform"] = platform.platform()
    return found


@functools.cache
def source_digest() -> str:
    """A digest of the text of the library's modules: two installations with the same one run the same code."""
    root = Path(mcr2_landscape.__file__).parent
    digest = hashlib.sha256()
    # experiments/ and figures/ lie inside the package in an installation, and beside it in a checkout.
    inside = (path for path in root.rglob("*.py") if path.relative_to(root).parts[0] not in ("experiments", "figures"))
    for path in sorted(inside):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def describe_device() -> str:
    """The device that computes, in words: JAX's default device where JAX is loaded, else this machine's processor."""
    # Asking JAX loads it and starts its backends, which takes seconds: where nobody has loaded it, it computed nothing.
    if "jax" in sys.modules:
        import jax

        device = jax.config.jax_default_device or jax.devices()[0]  # pyright: ignore[reportAttributeAccessIssue]
        name = device if isinstance(device, str) else device.platform
        if name != "cpu":
            return name if isinstance(device, str) else f"{name} ({device.device_kind}, {jax.device_count()} visible)"
    return f"cpu ({_processor()}, {os.cpu_count()} cores)"


@functools.cache
def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                label, _, value = line.partition(":")
                if label.strip() == "model name" and value.strip():
                    return value.strip()
    except OSError:
        pass  # not Linux: the standard library knows the name there
    return platform.processor() or platform.machine()


def _canonical(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = (field.name for field in dataclasses.fields(value) if field.metadata.get("json", True))
        return {name: _canonical(getattr(value, name)) for name in fields}
    if isinstance(value, enum.Enum):
        return _canonical(value.value)
    if isinstance(value, Mapping):
        names = {str(to_plain(name)): _canonical(item) for name, item in value.items()}
        if len(names) != len(value):
            raise InputError("configuration: two names of a mapping are the same text, such as 1 and '1'; rename one")
        return names
    if isinstance(value, (set, frozenset)):
        return sorted((_canonical(item) for item in value), key=_text)
    if isinstance(value, (list, tuple)):
        return [_canonical(item) for item in value]
    if isinstance(value, np.generic):
        return _canonical(value.item())
    if hasattr(value, "__array__"):
        return _canonical_array(np.asarray(value))
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, (bool, int, float, str, type(None))):
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise InputError(f"configuration: found {type(value).__name__}; pass numbers, text, arrays and collections of them")


def _canonical_array(array: np.ndarray) -> Any:
    if array.size <= _LARGEST_WRITTEN_ARRAY or array.dtype.hasobject:
        return _canonical(array.tolist())
    # One byte order, so that every machine computes the same digest.
    data = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    return {"dtype": data.dtype.str, "shape": list(data.shape), "sha256": hashlib.sha256(data.tobytes()).hexdigest()}


def _text(plain: Any) -> str:
    # NaN and infinity keep their own (non-standard) words here: this text is only ever hashed.
    return json.dumps(plain, sort_keys=True, separators=(",", ":"))
