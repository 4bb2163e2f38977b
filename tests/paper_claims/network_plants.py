"""Violations planted in the claims on trained networks."""

from __future__ import annotations

from collections.abc import Iterator

from paper_checks.yu_2023.layer_checks import untrained
from paper_checks.yu_2024.checks import seeing

from .planting import Plant, keyword


def plants() -> Iterator[tuple[str, str, Plant]]:
    flipped = untrained(output="tied", output_bias=False, output_scale=-1.0)
    yield keyword("crate.layers.printed", "random networks, in which nothing rises", which=untrained())
    yield keyword("crate.layers.corrected", "a tied map with its sign flipped", which=flipped)
    yield keyword("crate.layers.random-start", "perceptrons, which make nothing sparse", which=untrained(sparsification="mlp"))
    yield keyword("crate-alpha.compression", "random CRATEs, which compress", which=untrained())
    yield keyword("crate.layers.proximal", "steps six times as long", which=untrained(sparsification_step=0.6))
    yield keyword("crate.emergence", "attention that holds the true masks", see=seeing)
    yield keyword("crate.emergence-of-cuts", "tokens that hold the true masks", see=seeing)
