"""The best responses of single-subspace pursuit, decoders on a Stiefel manifold: a whole set of them (see `single`).

Source: docs/ctrl.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mcr2_landscape.ctrl import stiefel
from mcr2_landscape.randomness import generator
from mcr2_landscape.record import Record

ZERO, PLAIN = 1e-12, 1e-8  # of the largest singular value: below the first nothing, above the second plainly something


@dataclass(frozen=True)
class StiefelResponses(Record):
    """All best responses to one encoder.

    **Fields:** `decoder`: Fᵀ, shape (d_x, d_z). `dimension` of the set, `None` where rounding does not tell whether two
    singular values of f(X) are equal, or one is zero. `multiplicities` of the distinct singular values of f(X), descending.
    """

    decoder: np.ndarray = field(repr=False, metadata={"json": False})
    dimension: int | None
    multiplicities: tuple[int, ...]
    _image: np.ndarray = field(repr=False, metadata={"json": False})  # principal axes of f(S), (d_z, m)

    def sample(self, key: Any) -> np.ndarray:
        """A random member (d_x, d_z), every part by Haar's measure. Where `dimension` is `None`, singular values of f(X) that
        may be equal are taken as different: members still, but not all of them.

        **Raises:** `InputError` for a bad key.
        """
        random = generator(key)
        W, (d_x, d_z) = self._image, self.decoder.shape
        turned = [W[:, :0]]
        start = 0
        for size in self.multiplicities:
            turned.append(W[:, start : start + size] @ stiefel.haar(random, size, size))
            start += size
        back = self.decoder @ W
        found = self.decoder @ np.concatenate(turned, axis=1) @ W.T
        if d_x >= d_z:
            rest = stiefel.complement(W)
            return found + stiefel.haar(random, d_x, rest.shape[1], back) @ rest.T
        rest = stiefel.complement(back)
        return found + rest @ stiefel.haar(random, d_z, rest.shape[1], W).T


def stiefel_responses(F: np.ndarray, factor: np.ndarray, size: float) -> StiefelResponses:
    """All best responses to F (d_z, d_x), on the manifold, for data C (d_x, r) whose largest singular value is `size`."""
    W, s, _ = np.linalg.svd(F @ factor, full_matrices=False)
    largest = float(s[0])
    # an encoder that maps all of S to zero has s of rounding alone
    if largest <= ZERO * size:
        W, s, ratios = W[:, :0], s[:0], np.zeros(0)
    else:
        ratios = s / largest
        kept = ratios > ZERO
        W, ratios = W[:, kept], ratios[kept]
    gaps = ratios[:-1] - ratios[1:] if ratios.size else ratios
    plain = bool(((gaps <= ZERO) | (gaps >= PLAIN)).all()) and (ratios.size == 0 or float(ratios[-1]) >= PLAIN)
    ends = np.flatnonzero(gaps > ZERO) + 1
    counts = tuple(int(c) for c in np.diff(np.concatenate([[0], ends, [ratios.size]]))) if ratios.size else ()
    m = ratios.size
    p, q = F.shape[1] - m, F.shape[0] - m
    p, q = max(p, q), min(p, q)
    dimension = sum(c * (c - 1) // 2 for c in counts) + p * q - q * (q + 1) // 2
    return StiefelResponses(F.T.copy(), dimension if plain else None, counts, W)
