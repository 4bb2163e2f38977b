"""What comes into a training: a model, a loss and data, split into what is trained, what is fixed and what is compiled in."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.training.leaves import check_integers, is_array, is_floating, is_key
from mcr2_landscape.training.program import Static
from mcr2_landscape.validation import InputError, check_finite, positive_integer

PRECISIONS = ("float32", "float64", "bfloat16")


def check_precision(precision: str) -> str:
    """`precision`, if it is one of `PRECISIONS`.

    **Raises:** `InputError` otherwise.
    """
    if precision not in PRECISIONS:
        raise InputError(f"precision: found {precision!r}; pass one of {', '.join(PRECISIONS)}")
    return precision


def split_model(model: Any, precision: str, trainable: Any = None) -> tuple[Any, Any, Static]:
    """Parameters (the floating-point arrays that `trainable` chooses, by default all), other arrays, and the rest. All that is
    floating-point comes in float32 or float64.

    **Raises:** `InputError` for a model without parameters, with complex, NaN or infinite ones, or with integers that do not
    fit; for a filter that does not.
    """
    inexact, rest = eqx.partition(model, lambda leaf: is_array(leaf) and jnp.issubdtype(leaf.dtype, jnp.inexact))
    if not jax.tree.leaves(inexact):
        raise InputError("model: found no floating-point array in it, and so nothing to train")
    parameters, fixed = (inexact, None) if trainable is None else _chosen(inexact, trainable)
    buffers, static = eqx.partition(rest, is_array)
    leaves = jax.tree_util.tree_leaves_with_path(parameters)
    if not leaves:
        raise InputError("trainable: chooses no floating-point array of the model; choose one at least")
    for path, leaf in leaves:
        name = f"model{jax.tree_util.keystr(path)}"
        if jnp.issubdtype(leaf.dtype, jnp.complexfloating):
            raise InputError(f"{name}: found {leaf.dtype}; keep real and imaginary parts as two real arrays")
        check_finite(name, np.asarray(leaf))
    dtype = np.float64 if precision == "float64" else np.float32

    def convert(leaf: Any) -> jax.Array:
        return jnp.asarray(np.asarray(leaf).astype(dtype) if is_floating(leaf) else leaf)

    buffers = _arrays("model", buffers)
    if fixed is not None:
        buffers = eqx.combine(jax.tree.map(convert, fixed), buffers)
    return jax.tree.map(convert, parameters), buffers, Static.of(static)


def split_loss(loss: Any) -> tuple[Any, Static]:
    """The arrays in a loss (a module may hold some), and the rest.

    **Raises:** `InputError` for what cannot be called, or integers that do not fit.
    """
    if not callable(loss):
        raise InputError(f"loss: found {type(loss).__name__}; pass a function (model, batch, key) → number")
    arrays, static = eqx.partition(loss, is_array)
    return _arrays("loss", arrays), Static.of(static)


def check_data(data: Any, batch_size: Any, precision: str) -> tuple[Any, int | None, int | None]:
    """The arrays on the device, the number of samples, and the size of a batch: both `None` for the data as a whole.

    Floating-point arrays take the precision of the parameters, integers the type that they have on the device.

    **Raises:** `InputError` for arrays of different lengths, NaN or infinity, integers that do not fit, or a batch that is
    larger than the data.
    """
    if data is None or callable(data):
        if batch_size is not None:
            what = "data are made by a function, which decides it" if callable(data) else "there are no data"
            raise InputError(f"batch_size: found {batch_size!r}, but {what}; leave it out")
        return None, None, None
    leaves = jax.tree_util.tree_leaves_with_path(data)
    if not leaves:
        raise InputError("data: found no array in it; pass a dictionary of arrays, one row a sample, or None")
    dtype = np.float64 if precision == "float64" else np.float32
    arrays, lengths = [], {}
    for path, leaf in leaves:
        name = f"data{jax.tree_util.keystr(path)}"
        array = _convert(name, leaf, dtype)
        lengths[name] = array.shape[0]
        arrays.append(jnp.asarray(array))
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise InputError(f"data: the arrays differ in their numbers of samples ({found}); the first axis is the sample's")
    count = next(iter(lengths.values()))
    if count == 0:
        raise InputError("data: found no samples")
    prepared = jax.tree.unflatten(jax.tree.structure(data), arrays)
    if batch_size is None:
        return prepared, None, None
    size = positive_integer("batch_size", batch_size)
    if size > count:
        raise InputError(f"batch_size: found {size} for {count} samples; pass at most that many")
    return (prepared, None, None) if size == count else (prepared, count, size)


def check_key(key: Any) -> jax.Array:
    """A typed JAX key from one (typed or raw), or from an integer seed.

    **Raises:** `InputError` for anything else.
    """
    if isinstance(key, (int, np.integer)) and not isinstance(key, bool):
        if not 0 <= key < 2**32:
            raise InputError(f"key: found the seed {key}; pass one from 0 to 2³² − 1, or jax.random.key(seed)")
        return jax.random.key(int(key), impl="threefry2x32")
    if isinstance(key, jax.Array) and is_key(key) and key.shape == ():
        return key
    if isinstance(key, (jax.Array, np.ndarray)) and key.dtype == np.uint32 and key.shape == (2,):
        return jax.random.wrap_key_data(jnp.asarray(key), impl="threefry2x32")
    raise InputError(f"key: found {type(key).__name__}; pass one jax.random.key(seed) or an integer seed")


def _chosen(arrays: Any, trainable: Any) -> tuple[Any, Any]:
    try:
        return eqx.partition(arrays, trainable)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"trainable: does not fit the model ({error}); pass a function of an array, or true and false in the model's form"
        ) from None


def _arrays(name: str, tree: Any) -> Any:
    def convert(path: Any, leaf: Any) -> Any:
        if is_key(leaf):
            return leaf
        array = np.asarray(leaf)
        check_integers(f"{name}{jax.tree_util.keystr(path)}", array)
        return jnp.asarray(array)

    return jax.tree_util.tree_map_with_path(convert, tree)


def _convert(name: str, value: Any, real: Any) -> np.ndarray:
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: cannot be read as an array ({error}); pass numbers, one row a sample") from None
    if array.ndim == 0:
        raise InputError(f"{name}: found one number; the first axis has to be the sample's (a loss may hold constants)")
    if jnp.issubdtype(array.dtype, jnp.floating):
        check_finite(name, array)
        with np.errstate(over="ignore"):  # looked at in the next line
            found = array.astype(real)
        check_finite(f"{name} as {np.dtype(real).name}", found)
        return found
    if array.dtype.kind not in "iub":
        raise InputError(f"{name}: found dtype {array.dtype}; pass real numbers")
    check_integers(name, array)
    return array


def check_names(metrics: Any) -> tuple[str, ...]:
    """The names of a loss's metrics, sorted.

    **Raises:** `InputError` for a name that history has for something else.
    """
    for name in metrics:
        if name in ("step", "loss", "gradient_norm", "seconds"):
            raise InputError(f"loss: the metric {name!r} has the name of a column of the history; rename it")
    return tuple(sorted(metrics))
