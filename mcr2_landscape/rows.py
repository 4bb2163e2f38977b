"""A compiled program on many images: so many rows at a time, and one shape for all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np


def in_rows(function: Callable[..., Any], *arrays: np.ndarray, rows: int = 64, axis: int = 0) -> Any:
    """`function` of slices of arrays with one leading axis in common, joined.

    **Arguments:** `function` takes one slice of each array and returns arrays (or a tree of them) with images along `axis`.
    `rows`: how long a slice is, at most. The last slice is filled up with the last image, so that one program serves, and what
    is of the filling is cut off.

    **Returns:** what `function` returns, for all images, NumPy.
    """
    count, parts = len(arrays[0]), []
    rows = min(rows, count)
    for at in range(0, count, rows):
        places = np.minimum(np.arange(at, at + rows), count - 1)
        kept = [slice(None)] * axis + [slice(count - at)]
        parts.append(
            jax.tree.map(lambda part, kept=tuple(kept): np.asarray(part)[kept], function(*(a[places] for a in arrays)))
        )
    return jax.tree.map(lambda *pieces: np.concatenate(pieces, axis=axis), *parts)
