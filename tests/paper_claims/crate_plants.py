"""Violations planted in the claims on the layers of white-box transformers, and in the textbook's formulas on them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mcr2_landscape.claims import Case
from paper_checks.yu_2023.common import attention, gradient
from paper_checks.yu_2023.rate_checks import gradient_forms

from .planting import Plant, asserting, cases, false_identity, keyword


def broken(case: Case) -> Case:
    """A false identity, or a chain the other way round."""
    if "ascending" in case.statement.assertion:
        return asserting(case, ascending=list(reversed(case.statement.assertion["ascending"])))
    return false_identity(case)


def scaled_forms(U: np.ndarray, Z: np.ndarray, alpha: float) -> Any:
    columns, rows = gradient_forms(U, Z, alpha)
    return columns, (1 + 1e-6) * rows


def plants() -> Iterator[tuple[str, str, Plant]]:
    yield keyword("crate.gradient", "a form off by a millionth", forms=scaled_forms)
    yield cases("crate.gradient", "false identities", broken)
    yield keyword("crate.gradient-filter", "attention in place of the gradient", of=lambda V, alpha: attention(V))
    yield cases("crate.gradient-filter", "a false identity", broken)
    yield keyword("crate.attention-filter", "the gradient in place of attention", of=lambda V: gradient(V, 1.0))
    yield cases("crate.neumann.printed", "a descent", broken)
    yield keyword("crate.neumann.printed", "a precision at which ρ is small", precisions=(20.0,))
    yield keyword("crate.neumann.corrected", "an error of third order", power=3)
    yield keyword("crate.neumann.corrected", "a thousandth more of an inner product", margin=1.001)
    yield cases("crate.neumann.corrected", "false identities", broken)
    yield cases("crate.rate-gain.printed", "a gain", broken)
    yield keyword("crate.rate-gain.printed", "more tokens than dimensions", samples=32)
    yield keyword("crate.rate-gain.corrected", "a smaller bound", factor=0.4)
    yield keyword("crate.rate-gain.corrected", "tokens in no subspace", apart=False)
    yield cases("crate.rate-gain.corrected", "false identities, and chains the other way round", broken)
    yield cases("crate.compression.printed", "no rise", broken)
    yield keyword("crate.compression.printed", "with the first-order term", step=lambda V, core: (V + core) / 2)
    yield keyword("crate.compression.corrected", "without the first-order term", step=lambda V, core, t: V + t * core)
    yield keyword("crate.compression.corrected", "large tokens", scales=(1.0, 3.0))
    yield keyword("crate.compression-limit", "half of attention", weight=0.5)
    yield keyword("crate.compression-limit", "a rise by a hundredth more", least=1.01)
    yield keyword("crate.compression-limit", "a fall for one token too", fall=0.01)
    yield cases("crate.compression-limit", "false identities", broken)
    yield keyword("crate.compression-normalized", "the other direction", step=lambda V, core: V - core / 2)
    yield cases("crate.gradient-step.printed", "the other way round", broken)
    yield keyword("crate.gradient-step.printed", "a short step", length=0.01)
    yield cases("crate.gradient-step.corrected", "a false identity", broken)
    yield keyword("crate.gradient-step.corrected", "a step against the gradient", factor=-1.0)
    yield keyword("crate.gradient-step.corrected", "a step of half the length", factor=0.5)
    yield keyword("crate.gradient-step.corrected", "no longer step", many=1.0)
    yield keyword("crate.temperature", "a temperature below one", raised=lambda rank: rank**-0.5)
    yield keyword("crate.temperature", "many tokens where few are meant", few=32)
    yield keyword("crate.free-output", "a tied output map", tied=True)
    yield keyword("crate.free-output", "a tied output map that is the gradient's", most=-0.9)
    yield cases("crate.ista.printed", "no rise", broken)
    yield keyword("crate.ista.printed", "a feasible start", feasible=True)
    yield keyword("crate.ista.corrected", "a longer step", factors=(2.2,))
    yield keyword("crate.ista.corrected", "a tenth more of a decrease", margin=1.1)
    yield cases("crate.ista.corrected", "false identities", broken)
    yield keyword("crate.ista-initialization", "three times the step", size=0.3)
    yield cases("crate.ista-initialization", "a false identity", broken)
    yield cases("book.neumann-series.printed", "a false identity", broken)
    yield keyword("book.neumann-series.printed", "from k = 0", first=0)
    yield keyword("book.neumann-series.corrected", "from k = 1", first=1)
    yield cases("book.attention-factor.printed", "a false identity", broken)
    yield keyword("book.attention-factor.printed", "α²", power=2)
    yield keyword("book.attention-factor.corrected", "α³", power=3)
    yield cases("book.ista-sign.printed", "a false identity", broken)
    yield keyword("book.ista-sign.printed", "the other sign", sign=-1)
    yield keyword("book.ista-sign.corrected", "the other sign", sign=1)
    yield keyword("book.dictionary-shape.printed", "the transpose", shape=lambda dim, atoms: (dim, atoms))
    yield keyword("book.dictionary-shape.corrected", "the transpose", shape=lambda dim, atoms: (atoms, dim))
