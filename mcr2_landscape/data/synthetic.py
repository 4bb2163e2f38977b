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
    dim, sizes = _checked("dim", dim, sizes, ranks, noise)
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


def subspace_mixture(
    *,
    key: Any,
    sizes: Sequence[int] = (500, 500, 500),
    ambient_dim: int = 50,
    ranks: Sequence[int] = (3, 4, 5),
    correlation: float = 0.1,
    noise: float = 0.0,
) -> LabeledFeatures:
    """A mixture of Gaussians on subspaces that lean on each other, as in the experiments on closed-loop transcription.

    Samples of class j are U_j c + e with c standard normal and the entries of e of variance noise/ambient_dim. The columns of
    U_j have length one; before that they are (1 − correlation) times `ranks[j]` of max(ranks) orthonormal columns that all
    classes choose from, plus `correlation` times a standard normal matrix: the same directions for all at correlation 0,
    independent ones at 1.

    **Arguments:** `key`: a JAX key, an integer seed or a NumPy generator. `sizes`: samples per class. `ambient_dim`: d_x.
    `ranks`: dimensions of the subspaces. `correlation`: between 0 and 1. `noise`: zero or more, ‖e‖² in the mean.

    **Returns:** `LabeledFeatures` with the labels 0, 1, …, sorted by class.

    **Raises:** `InputError` for numbers out of range.

    Source: Pai, Psenka, Chiu, Wu, Dobriban, Ma (arXiv 2206.09120), whose first experiment has the default numbers.

    >>> subspace_mixture(key=0).shape
    (1500, 50)
    """
    ambient_dim, sizes = _checked("ambient_dim", ambient_dim, sizes, ranks, noise)
    if not 0 <= real("correlation", correlation) <= 1:
        raise InputError(f"correlation: found {correlation:g}; pass a number between 0 and 1")
    random = generator(key)
    shared = np.linalg.qr(random.standard_normal((ambient_dim, max(ranks))))[0]
    bases = []
    for rank in ranks:
        columns = shared[:, random.choice(shared.shape[1], rank, replace=False)]
        columns = (1 - correlation) * columns + correlation * random.standard_normal((ambient_dim, rank))
        bases.append(columns / np.linalg.norm(columns, axis=0))
    parts = [
        random.standard_normal((size, rank)) @ U.T + np.sqrt(noise / ambient_dim) * random.standard_normal((size, ambient_dim))
        for size, rank, U in zip(sizes, ranks, bases, strict=True)
    ]
    source = (
        f"synthetic: {len(sizes)} leaning subspaces of ranks {', '.join(map(str, ranks))} in {ambient_dim} dimensions, "
        f"correlation {correlation:g}, noise {noise:g}"
    )
    return LabeledFeatures(np.concatenate(parts), np.repeat(np.arange(len(sizes)), sizes), source=source)


def _checked(name: str, dim: int, sizes: Sequence[int], ranks: Sequence[int], noise: float) -> tuple[int, tuple[int, ...]]:
    dim, sizes = positive_integer(name, dim), class_sizes("sizes", sizes)
    if len(ranks) != len(sizes):
        raise InputError(f"ranks: found {len(ranks)} for {len(sizes)} classes; pass one for each class")
    for k, rank in enumerate(ranks):
        if positive_integer(f"ranks[{k}]", rank) > dim:
            raise InputError(f"ranks[{k}]: found {rank}; a subspace of {dim} dimensions has rank {dim} at most")
    if real("noise", noise) < 0:
        raise InputError(f"noise: found {noise:g}; pass zero or more")
    return dim, sizes
