"""The problems and the five kinds of points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcr2_landscape.bench.plan import class_rank, class_sizes
from mcr2_landscape.errors import InputError
from mcr2_landscape.mcr2 import MCR2

_EPSILON, _SHARE = 0.5, 0.4  # lambda as a share of its limit: all classes have critical directions
_NOISE = 1e-3


def make_problem(dim: int, samples: int, classes: int) -> MCR2:
    """The problem with classes of equal size, or nearly so."""
    sizes = class_sizes(samples, classes)
    limit = MCR2(dim, sizes, _EPSILON, 1.0).regularization_limit
    return MCR2(dim, sizes, _EPSILON, _SHARE * limit)


def make_point(problem: MCR2, kind: str, key: int) -> np.ndarray:
    """A point (d, m), float64.

    "generic": of full rank. "low-rank": `class_rank` for each class. "mid-rank": d/K for each, which is what a maximizer has.
    "critical": exactly critical, a saddle of low rank. "perturbed": that with noise of full rank, a thousandth of its norm.

    **Raises:** `InputError` for another kind.
    """
    d, sizes = problem.dim, problem.sizes
    random = np.random.default_rng(key)
    low = class_rank(d, len(sizes))
    if kind == "generic":
        return random.standard_normal(problem.shape) / np.sqrt(min(sizes))
    if kind == "low-rank":
        return _of_ranks(random, d, sizes, low)
    if kind == "mid-rank":
        return _of_ranks(random, d, sizes, max(d // len(sizes), 1))
    if kind not in ("critical", "perturbed"):
        raise InputError(f"kind: found {kind!r}; pass one of generic, low-rank, mid-rank, critical, perturbed")
    small = (1,) * len(sizes) if low > 1 else (0,) * len(sizes)
    critical = problem.orthogonal_family(large=[low - own for own in small], small=small).point(key=key)
    if kind == "critical":
        return critical
    noise = random.standard_normal(problem.shape)
    return critical + _NOISE * float(np.linalg.norm(critical) / np.linalg.norm(noise)) * noise


def _of_ranks(random: np.random.Generator, dim: int, sizes: Sequence[int], rank: int) -> np.ndarray:
    """Blocks of a rank each, on subspaces orthogonal to each other as far as there is room."""
    basis, _ = np.linalg.qr(random.standard_normal((dim, min(dim, rank * len(sizes)))))
    blocks, start = [], 0
    for size in sizes:
        columns = basis[:, np.arange(start, start + rank) % basis.shape[1]]
        # A little of the others' directions: class blocks of a generic point are not orthogonal.
        mixed = columns + 0.1 * basis @ random.standard_normal((basis.shape[1], rank)) / np.sqrt(basis.shape[1])
        blocks.append(mixed @ random.standard_normal((rank, size)) / np.sqrt(size))
        start += rank
    return np.concatenate(blocks, axis=1)
