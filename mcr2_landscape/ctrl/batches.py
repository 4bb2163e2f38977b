"""Minibatches of labeled data, in the two forms in which a batch's utilities are evaluated.

Both hold, for every batch and class, a matrix B_j with B_j B_jᵀ = Σ_j of the batch's samples: the samples themselves, or a
factor of as few columns as their rank. Source: docs/ctrl.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mcr2_landscape.validation import InputError, positive_integer

FORMS = ("compressed", "dense")
_DRAWS = 1000
# Of the largest singular value. What is left out enters Σ_j squared, 1e-26 of it: below its rounding.
_NEGLIGIBLE = 1e-13


class Batches(NamedTuple):
    """`blocks` (B, K, d_x, w): each class of each batch as columns, filled up with zeros; `counts` (B, K): its samples."""

    blocks: np.ndarray
    counts: np.ndarray


def draw(
    codes: np.ndarray, names: list[Any], batch_size: Any, num_epochs: Any, random: np.random.Generator
) -> list[np.ndarray]:
    """The sample numbers of every batch: each epoch a random order cut into batches, the last of which may be shorter.

    An order in which some batch lacks a class is drawn again: left in, the batch would play a game of fewer classes.

    **Raises:** `InputError` for numbers out of range, or where 1000 orders in a row leave a class out.
    """
    size = positive_integer("batch_size", batch_size)
    found: list[np.ndarray] = []
    missing: list[int] = []
    for _ in range(positive_integer("num_epochs", num_epochs)):
        for _ in range(_DRAWS):
            order = random.permutation(codes.size)
            own = [order[first : first + size] for first in range(0, codes.size, size)]
            missing = [int(np.flatnonzero(counts == 0)[0]) for counts in map(_counter(codes), own) if not counts.all()]
            if not missing:
                break
        else:
            raise InputError(
                f"batch_size: found {size}: in {_DRAWS} random orders some batch always lacked a class, the last time "
                f"{names[missing[0]]!r}; pass larger batches, or drop the class"
            )
        found.extend(own)
    return found


def _counter(codes: np.ndarray) -> Any:
    return lambda own: np.bincount(codes[own], minlength=int(codes.max()) + 1)


def given(name: str, value: Any, codes: np.ndarray, names: list[Any]) -> list[np.ndarray]:
    """Batches that a caller chose, as lists of sample numbers, checked.

    **Raises:** `InputError` for no batch, what is no list of lists of sample numbers, or a batch that lacks a class.
    """
    wanted = f"pass lists of sample numbers from 0 to {codes.size - 1}"
    if isinstance(value, (str, bytes)) or not isinstance(value, (Sequence, np.ndarray)):
        raise InputError(f"{name}: found {type(value).__name__}; {wanted}")
    if not len(value):
        raise InputError(f"{name}: found no batch; pass at least one")
    found = []
    for number, own in enumerate(value):
        try:
            own = np.asarray(own)
        except ValueError:
            raise InputError(f"{name}[{number}]: found lists of different lengths; {wanted}") from None
        if own.ndim != 1 or own.size == 0 or own.dtype.kind not in "iu" or own.min() < 0 or own.max() >= codes.size:
            raise InputError(f"{name}[{number}]: found an array of shape {own.shape} and dtype {own.dtype}; {wanted}")
        counts = _counter(codes)(own)
        if not counts.all():
            missing = names[int(np.flatnonzero(counts == 0)[0])]
            raise InputError(f"{name}[{number}]: found no sample of class {missing!r}; every batch needs all classes")
        found.append(own)
    return found


def collect(X: np.ndarray, codes: np.ndarray, chosen: list[np.ndarray], form: str) -> Batches:
    """The batches in one of the two forms.

    **Raises:** `InputError` for another form.
    """
    if form not in FORMS:
        raise InputError(f"form: found {form!r}; pass one of " + ", ".join(repr(own) for own in FORMS))
    K = int(codes.max()) + 1
    blocks = [[X[own[codes[own] == j]].T for j in range(K)] for own in chosen]
    counts = np.array([[block.shape[1] for block in row] for row in blocks])
    if form == "compressed":
        blocks = [[_factor(block) for block in row] for row in blocks]
    width = max(block.shape[1] for row in blocks for block in row)
    stacked = np.zeros((len(chosen), K, X.shape[1], width))
    for out, row in zip(stacked, blocks, strict=True):
        for own, block in zip(out, row, strict=True):
            own[:, : block.shape[1]] = block
    return Batches(stacked, counts)


def span(X: np.ndarray) -> np.ndarray:
    """An orthonormal basis (d_x, R) of all samples, with all that `collect` keeps of them."""
    U, s, _ = np.linalg.svd(X.T, full_matrices=False)
    return U[:, s > _NEGLIGIBLE * s[0]]


def _factor(block: np.ndarray) -> np.ndarray:
    U, s, _ = np.linalg.svd(block, full_matrices=False)
    kept = s > _NEGLIGIBLE * s[0]
    return U[:, kept] * s[kept]
