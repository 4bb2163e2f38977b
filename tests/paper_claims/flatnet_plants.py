"""Violations planted in the claims on manifold flattening."""

from __future__ import annotations

from collections.abc import Iterator

from paper_checks.psenka_2024.common import STRONG
from paper_checks.psenka_2024.local_checks import easy, hard

from .planting import Plant, cases, false_identity, keyword


def plants() -> Iterator[tuple[str, str, Plant]]:
    yield keyword("flatnet.layer", "a move towards the mean", projected=False)
    yield cases("flatnet.layer", "false identities", false_identity)
    yield keyword("flatnet.diffeomorphism", "α = 1.5", strength=1.5)
    yield keyword("flatnet.diffeomorphism", "the other sign", sign=1.0)
    yield cases("flatnet.diffeomorphism", "false identities", false_identity)
    yield keyword("flatnet.local-error", "half of the curvature", curvature=0.5)
    yield keyword("flatnet.local-error", "a fourth order", least=3.9)
    yield cases("flatnet.local-error", "a false identity", false_identity)
    yield keyword("flatnet.round-trip", "coordinates from the mean", of_mean=True)
    yield keyword("flatnet.round-trip", "a hundredth of the threshold", share=0.01)
    yield cases("flatnet.round-trip", "false identities", false_identity)
    yield keyword("flatnet.quadratic", "a cubic term", cubic=0.1)
    yield cases("flatnet.quadratic", "a false identity", false_identity)
    yield keyword("flatnet.decoder-order.printed", "the other order", order=reversed)
    yield cases("flatnet.decoder-order.printed", "a false identity", false_identity)
    yield keyword("flatnet.decoder-order.corrected", "the public code's order", order=list)
    yield cases("flatnet.decoder-order.corrected", "a false identity", false_identity)
    yield keyword("flatnet.accumulation", "half of the layers' errors", share=0.5)
    yield cases("flatnet.accumulation", "a false identity", false_identity)
    yield keyword("flatnet.error-sum", "one layer", most=1)
    yield keyword("flatnet.refit", "the layers' own decoders", refitted=False)
    yield keyword("flatnet.flattening", "ten layers", most=10)
    yield keyword("flatnet.injective", "arcs of half π", part=0.5)
    yield cases("flatnet.injective", "other codes", false_identity)
    yield keyword("flatnet.injective.corrected", "strong layers", options=STRONG)
    yield keyword("flatnet.dimension.printed", "manifolds on which it works", data=easy)
    yield keyword("flatnet.dimension.corrected", "few points for six dimensions", data=hard)
    yield keyword("flatnet.tangent-refinement", "narrow kernels", widths=(0.1, 0.15))
    yield keyword("flatnet.tangent-refinement", "points nearer the tangent", points=(-0.2, -0.1, 0, 0.1, 0.2))
    yield cases("flatnet.tangent-refinement", "a false identity", false_identity)
    yield keyword("flatnet.tangent-refinement.corrected", "the curvature cubed", power=3)
    yield cases("flatnet.tangent-refinement.corrected", "false identities", false_identity)
