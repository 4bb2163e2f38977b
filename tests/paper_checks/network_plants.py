"""Violations planted in the claims on trained networks."""

from __future__ import annotations

from collections.abc import Iterator

from paper_checks.yu_2023.layer_checks import untrained
from paper_checks.yu_2024.checks import above

from .planting import Plant, keyword


def plants() -> Iterator[tuple[str, str, Plant]]:
    one = untrained(output="tied", output_bias=False, output_scale=-1.0)
    yield keyword("crate.layers.printed", "a single layer, from which nothing rises", which=untrained(depth=1))
    yield keyword("crate.layers.corrected", "a tied map with its sign flipped", which=one)
    yield keyword("crate.layers.corrected", "no attention", which=untrained(attention="none"))
    yield keyword("crate.layers.random-start", "perceptrons, which make nothing sparse", which=untrained(sparsification="mlp"))
    yield keyword("crate.layers.proximal", "steps three times as long", factor=3.0)
    yield keyword("crate.emergence", "gains above every baseline", differences=above)
    yield keyword("crate.emergence-of-cuts", "gains above every baseline", differences=above)
