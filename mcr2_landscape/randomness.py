"""One way to say where randomness comes from."""

from __future__ import annotations

from typing import Any

import numpy as np

from mcr2_landscape.validation import InputError


def generator(key: Any) -> np.random.Generator:
    """A NumPy generator from a JAX key (typed or raw), an integer seed or a generator (returned as it is).

    The same key or seed gives the same numbers at every call. A generator advances with every draw: a second call with it goes
    on where the first one stopped, and gives other numbers.

    **Raises:** `InputError` for anything else, `None` included: randomness is always explicit.
    """
    if isinstance(key, np.random.Generator):
        return key
    if isinstance(key, (int, np.integer)) and not isinstance(key, bool):
        if key < 0:
            raise InputError(f"key: found the negative seed {key}; pass a seed of zero or more, or jax.random.key(seed)")
        return np.random.default_rng(int(key))
    dtype = getattr(key, "dtype", None)
    if dtype is not None:
        import jax

        data = jax.random.key_data(key) if jax.dtypes.issubdtype(dtype, jax.dtypes.prng_key) else key
        try:
            words = np.asarray(data)
        except TypeError:  # a tracer
            raise InputError("key: traced here, but this is a host function; call it outside jit, vmap and grad") from None
        if words.dtype == np.uint32 and words.ndim == 1:
            return np.random.default_rng([int(word) for word in words])
    raise InputError(f"key: found {type(key).__name__}; pass one jax.random.key(seed), an integer seed or a NumPy Generator")
