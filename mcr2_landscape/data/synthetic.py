"""Synthetic features whose class structure is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mcr2_landscape.data.labeled import LabeledFeatures
from mcr2_landscape.randomness import generator
from mcr2_landscape.validation import InputError, class_sizes, positive_integer, real


def gaussian_subspaces(
    *, key: Any, dim: int, sizes: Sequence[int], ranks: Sequence[int], noise: float = 0.0
) -> LabeledFeatures:
    """A mixture of Gaussians on random subspaces, one for each class.

    Samples of class k are U_k c + noise · e, with U_k a uniformly random orthonormal basis of `ranks[k]` columns, c standard
    normal divided by √ranks[k] and e standard normal divided by √dim: c and e have squared length one in the mean.

    **Arguments:** `key`: a JAX key, an integer seed or a NumPy generator. `dim`: number of features. `sizes`: samples per
    class. `ranks`: dimensions of the subspaces. `noise`: zero or more.

    **Returns:** `LabeledFeatures` with the labels 0, 1, …, sorted by class.

    **Raises:** `InputError` for numbers out of range.

    >>> gaussian_subspaces(key=0, dim=5, sizes=(3, 4), ranks=(1, 2)).shape
    (7, 5)
    """
    dim, sizes = positive_integer("dim", dim), class_sizes("sizes", sizes)
    if len(ranks) != len(sizes):
        raise InputError(f"ranks: found {len(ranks)} for {len(sizes)} classes; pass one for each class")
    for k, rank in enumerate(ranks):
        if positive_integer(f"ranks[{k}]", rank) > dim:
            raise InputError(f"ranks[{k}]: found {rank}; a subspace of {dim} dimensions has rank {dim} at most")
    if real("noise", noise) < 0:
        raise InputError(f"noise: found {noise:g}; pass zero or more")
    random = generator(key)
    parts = []
    for size, rank in zip(sizes, ranks, strict=True):
        basis, triangle = np.linalg.qr(random.standard_normal((dim, rank)))
        basis = basis * np.where(np.diag(triangle) < 0, -1.0, 1.0)  # uniform: the factorization alone fixes signs
        coefficients = random.standard_normal((size, rank)) / np.sqrt(rank)
        parts.append(coefficients @ basis.T + noise / np.sqrt(dim) * random.standard_normal((size, dim)))
    labels = np.repeat(np.arange(len(sizes)), sizes)
    source = (
        f"synthetic: {len(sizes)} Gaussian subspaces of ranks {', '.join(map(str, ranks))} in {dim} dimensions, noise {noise:g}"
    )
    return LabeledFeatures(np.concatenate(parts), labels, source=source)
