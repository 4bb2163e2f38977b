"""Violations planted in the claims on denoising by compression, on attention alone, and on overcomplete dictionaries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mcr2_landscape.claims import Case
from paper_checks.pai_2024.compression_checks import kept_and_removed

from .planting import Plant, asserting, cases, false_identity, keyword


def descending(case: Case) -> Case:
    """Its quantities the other way round."""
    return asserting(case, ascending=list(reversed(case.statement.assertion["ascending"])))


def swapped(dim: int, rank: int, sizes: Sequence[int], k: int) -> tuple[float, float]:
    """What is removed, and what is not, exchanged."""
    removed, left = kept_and_removed(dim, rank, sizes, k)
    return left, removed


def one_less(dim: int, rank: int, sizes: Sequence[int], k: int) -> tuple[float, float]:
    """One direction less removed."""
    removed, left = kept_and_removed(dim, rank, sizes, k)
    return removed - 0.5, left + 0.5


def plants() -> Iterator[tuple[str, str, Plant]]:
    yield cases("crate-mae.responsibilities.printed", "a false identity", false_identity)
    yield keyword("crate-mae.responsibilities.printed", "hardly any noise", variance=1e8)
    yield cases("crate-mae.responsibilities.corrected", "a false identity", false_identity)
    yield keyword("crate-mae.responsibilities.corrected", "the printed factor", factor=lambda variance, noise: 1.0)
    yield keyword(
        "crate-mae.responsibilities.corrected",
        "a factor without the square",
        factor=lambda variance, noise: variance / (variance + noise),
    )
    yield keyword("crate-mae.tweedie", "noise without the square", power=1.0)
    yield cases("crate-mae.nearest-subspace.printed", "false identities", false_identity)
    yield keyword("crate-mae.nearest-subspace.printed", "a precision that follows the noise", exponent=4 / 3)
    yield cases("crate-mae.nearest-subspace.corrected", "false identities", false_identity)
    yield keyword("crate-mae.nearest-subspace.corrected", "a fixed precision", exponent=0.0)
    yield keyword("crate-mae.nearest-subspace.corrected", "the slices removed, the rest kept", counts=swapped)
    yield keyword("crate-mae.nearest-subspace.corrected", "one direction less", counts=one_less)
    yield keyword("crate-mae.nearest-subspace.corrected", "one token less than dimensions", crowded=(15,))
    yield keyword("crate-mae.nearest-subspace.corrected", "a limit without the signal's term", taken=0.0)
    yield keyword("crate-mae.nearest-subspace.corrected", "a constant without the root", constant=lambda share: 1 - share)
    yield keyword("crate-mae.shrinkage", "no correction of the mean", excess=lambda n, p: n - p)
    yield keyword("crate-mae.shrinkage", "a deviation a quarter larger", spread=1.25)
    yield keyword("crate-mae.shrinkage", "no gain where the subspaces span", raised=1.0)
    yield keyword("crate-mae.shrinkage", "a posterior mean better than rounding", denoised=1e16)
    yield keyword("crate-mae.shrinkage", "a step that shrinks all noise", turned=0.1)
    yield cases("crate-mae.inverse.printed", "a false identity", false_identity)
    yield keyword("crate-mae.inverse.printed", "a small step", step=0.1)
    yield cases("crate-mae.inverse.corrected", "a false identity", false_identity)
    yield keyword("crate-mae.inverse.corrected", "an error of the other sign", constant=1.0)
    yield keyword("crate-mae.inverse.corrected", "a decoder with subspaces of its own", other=True)
    yield cases("crate-mae.dictionary-inverse.printed", "a false identity", false_identity)
    yield keyword("crate-mae.dictionary-inverse.printed", "a whole step", step=1.0)
    yield cases("crate-mae.dictionary-inverse.corrected", "a false identity", false_identity)
    yield keyword("crate-mae.dictionary-inverse.corrected", "the step of the code", step=0.1)
    yield keyword(
        "crate-mae.dictionary-inverse.corrected",
        "zeros that cost as well",
        spread=lambda A, sparsity: np.full_like(A, sparsity),
    )
    yield cases("aot.snr.printed", "less than log 3", descending)
    yield keyword("aot.snr.printed", "one layer", layers=1)
    yield cases("aot.snr.corrected", "chains the other way round", descending)
    yield keyword("aot.snr.corrected", "spreads four times as large", loosened=4.0)
    yield keyword("aot.snr.corrected", "ranges that do not grow", growth=1.0)
    yield keyword("aot.snr-rescaled", "no temperature", exponent=0.0)
    yield keyword("aot.snr-rescaled", "no normalization", normalized=False)
    yield cases("crate-alpha.descent", "false identities", false_identity)
    yield keyword("crate-alpha.descent", "steps that are too long", largest=16.0)
    yield keyword("crate-alpha.descent", "twice as far", margin=2.0)
    yield keyword("crate-alpha.step-size", "PyTorch's start alone", schemes=("torch",))
    yield cases("crate-alpha.step-size.corrected", "false identities", false_identity)
    yield keyword("crate-alpha.step-size.corrected", "dictionaries a tenth larger", scale=1.1)
    yield cases("crate-alpha.sparsity.printed", "a false identity", false_identity)
    yield keyword("crate-alpha.sparsity.printed", "the codes", residual=False)
    yield keyword("crate-alpha.sparsity.corrected", "a weight that adds to codes", values=(1.0, 0.3, 0.1))
    yield keyword("crate-alpha.sparsity.corrected", "fewer than there are", largest=0.45)
    yield keyword("crate-alpha.sparsity.corrected", "more than there are", least=0.5)
