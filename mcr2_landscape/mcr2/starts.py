"""Random starting points for the search."""

from __future__ import annotations

from typing import Any

import numpy as np

from mcr2_landscape import catalog
from mcr2_landscape.closed_form import Parameters
from mcr2_landscape.randomness import generator
from mcr2_landscape.validation import positive_integer


def random_starts(p: Parameters, key: Any, count: int) -> np.ndarray:
    """Points (count, d, columns) with random ranks and scales; see `MCR2.random_starts`."""
    count = positive_integer("count", count)
    random = generator(key)
    roots = catalog.roots(p)
    middle = 1 / np.sqrt(p.alpha * p.alphas)
    low = np.where(np.isfinite(roots[:, 0]), roots[:, 0], middle) / 3
    high = np.where(np.isfinite(roots[:, 1]), roots[:, 1], middle) * 3
    points = np.zeros((count, *p.shape))
    for point in points:
        for k, block in enumerate(p.blocks(point)):
            rank = int(random.integers(0, min(block.shape) + 1))
            U, _ = np.linalg.qr(random.standard_normal((p.dim, rank)))
            V, _ = np.linalg.qr(random.standard_normal((block.shape[1], rank)))
            scales = np.exp(0.5 * random.uniform(np.log(low[k]), np.log(high[k]), size=rank))
            block[...] = (U * scales) @ V.T
    return points
