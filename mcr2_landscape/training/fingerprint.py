"""What has to be the same for a training to go on with the same bits, each part with a short text that can be compared."""

from __future__ import annotations

import hashlib
import importlib.metadata
import re
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from mcr2_landscape.provenance import configuration_hash
from mcr2_landscape.provenance import versions as all_versions
from mcr2_landscape.training.leaves import is_key
from mcr2_landscape.validation import InputError

# Parts that the loop itself calls by name.
OWN = ("batch_size", "record_every", "precision")

# The program is traced by these: under another version the same training may have another program.
_TRACED_BY = ("mcr2_landscape", "jax", "jaxlib", "equinox", "optax")
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_WORDS = {
    "program": "what is computed (the network's form, or a number of the loss or the optimizer, such as the learning rate)",
    "loss": "the loss",
    "data": "the data",
    "model": "the model's shape or its fixed arrays",
    "optimizer": "the kind of optimizer",
    "key": "the key",
    "initial": "the initial parameters",
}
# These follow from what the caller calls by name: where such a thing differs, that is what to say.
_FOLLOW = ("program", "loss", "model", "optimizer", "initial")


def versions() -> dict[str, str]:
    """The versions that a training depends on, by name."""
    found = all_versions()
    for name in ("equinox", "optax"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def same_program_expected(then: Mapping[str, str], now: Mapping[str, str]) -> bool:
    """Whether a different program would mean a different training."""
    return all(then.get(name) == now.get(name) for name in _TRACED_BY)


def changed_versions(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Sentences such as "jax 0.9.2, now 0.10.0"."""
    return [f"{name} {then.get(name)}, now {now.get(name)}" for name in _TRACED_BY if then.get(name) != now.get(name)]


def differences(then: Mapping[str, str], now: Mapping[str, str], *, program: bool) -> list[str]:
    """What differs, in words; the program only if asked for."""
    names = [name for name in {**now, **then} if then.get(name) != now.get(name) and (program or name != "program")]
    named = [name for name in names if name not in _WORDS]
    if named:
        names = [name for name in names if name not in _FOLLOW]
    elif len(names) > 1:
        hidden = ("program", "initial") if "model" in names else ("program",)
        names = [name for name in names if name not in hidden]
    return [_WORDS[name] if name in _WORDS else f"{name} ({then.get(name)}, now {now.get(name)})" for name in names]


def configured(configuration: Mapping[str, Any] | None) -> dict[str, str]:
    """A caller's own parts: numbers and text as they are, anything larger as its digest.

    **Raises:** `InputError` for what is no mapping, has no plain form, or has the name of a part that is compared anyway.
    """
    if configuration is None:
        return {}
    if not isinstance(configuration, Mapping):
        raise InputError(f"configuration: found {type(configuration).__name__}; pass a dictionary of plain values")
    taken = sorted(name for name in configuration if name in (*_WORDS, *OWN))
    if taken:
        raise InputError(f"configuration: {taken[0]!r} is compared anyway; leave it out or rename it")
    return {str(name): _short(value) for name, value in configuration.items()}


def _short(value: Any) -> str:
    return str(value) if isinstance(value, (bool, int, float, str, type(None))) else configuration_hash(value)


def digest_of(*arrays: Any) -> str:
    """A digest of arrays' types, shapes and values, in order. Typed keys count by their words."""
    found = hashlib.sha256()
    for value in arrays:
        if is_key(value):
            found.update(str(jax.random.key_impl(value)).encode())
            value = jax.random.key_data(value)
        array = np.ascontiguousarray(np.asarray(value))
        found.update(f"{array.dtype.name}{array.shape}".encode())
        found.update(array.tobytes())
    return found.hexdigest()[:32]


def structure_of(tree: Any) -> str:
    """A digest of the paths, types and shapes of a pytree's arrays."""
    paths = jax.tree_util.tree_leaves_with_path(tree)
    lines = [f"{jax.tree_util.keystr(path)} {leaf.dtype} {leaf.shape}" for path, leaf in paths]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]


def program_digest(closed: Any) -> str:
    """A digest of a traced program: every operation with its numbers, closed-over ones included. A learning rate that hides in
    an optimizer's closure, or a constant of a loss, can be told from another only here.

    JAX's printed form would not do: it depends on which parts happen to be shared in memory, and holds addresses.
    """
    found = hashlib.sha256()
    for line in _closed(closed):
        found.update(line.encode() + b"\n")
    return found.hexdigest()[:32]


def _closed(closed: Any) -> list[str]:
    return [f"constants {[digest_of(value) for value in closed.consts]}", *_lines(closed.jaxpr)]


def _lines(jaxpr: Any) -> list[str]:
    numbers: dict[Any, int] = {}

    def name(variable: Any) -> str:
        if hasattr(variable, "val"):
            return f"{variable.aval} {_parameter(variable.val)}"
        return f"{numbers.setdefault(variable, len(numbers))}:{variable.aval}"

    lines = [f"in {[name(variable) for variable in (*jaxpr.constvars, *jaxpr.invars)]}"]
    for equation in jaxpr.eqns:
        inputs, outputs = ([name(variable) for variable in side] for side in (equation.invars, equation.outvars))
        lines.append(f"{equation.primitive.name} {inputs} {outputs}")
        lines.extend(f" {word} {_parameter(value)}" for word, value in sorted(equation.params.items()))
    lines.append(f"out {[name(variable) for variable in jaxpr.outvars]}")
    return lines


def _parameter(value: Any) -> str:
    if hasattr(value, "eqns"):
        return "{" + "; ".join(_lines(value)) + "}"
    if hasattr(value, "jaxpr") and hasattr(value, "consts"):
        return "{" + "; ".join(_closed(value)) + "}"
    if isinstance(value, (np.ndarray, jax.Array)) and np.ndim(value):
        return digest_of(value)
    if isinstance(value, (tuple, list)):
        return f"({', '.join(_parameter(item) for item in value)})"
    if callable(value) and not isinstance(value, type):
        return getattr(value, "__name__", type(value).__name__)
    return _ADDRESS.sub("", repr(value))
