"""Violations planted in the claims on convolutional sparse coding."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from paper_checks.dai_2023.common import rate_distance, squared_norm
from paper_checks.dai_2023.learning_checks import drawn

from .crate_plants import broken
from .planting import Plant, cases, keyword


def plants() -> Iterator[tuple[str, str, Plant]]:
    yield keyword(
        "csc.adjoint", "atoms upside down", analysis=lambda d, x: type(d)(d.atoms[:, :, ::-1], d.stride, d.padding).analyze(x)
    )
    yield cases("csc.adjoint", "false identities", broken)
    yield keyword("csc.step-size.printed", "the norm itself", estimate=lambda D, start: squared_norm(D))
    yield cases("csc.step-size.printed", "a descent", broken)
    yield keyword("csc.step-size.corrected", "a bound a tenth smaller", factor=0.9)
    yield cases("csc.step-size.corrected", "false identities", broken)
    yield keyword("csc.iteration-bounds", "steps of three times the length", length=3.0)
    yield keyword("csc.iteration-bounds", "a tenth of the bounds", share=0.1)
    yield keyword("csc.encoder.printed", "five hundred steps", depth=500)
    yield cases("csc.encoder.printed", "a smaller gap", broken)
    yield keyword("csc.encoder.corrected", "a tenth of the bound", share=0.1)
    yield keyword("csc.encoder.corrected", "gaps that fall by the factor 100,000 each time", growth=1e-5)
    yield keyword("csc.public-layer.printed", "two steps", steps=(1, 2))
    yield cases("csc.public-layer.printed", "a false identity", broken)
    yield keyword("csc.public-layer.corrected", "three steps", steps=3)
    yield keyword("csc.public-layer.corrected", "a gap a hundred thousand times as large", slower=1e5)
    yield keyword("csc.optimality", "codes off by one in ten thousand", shift=1e-4)
    yield keyword("csc.projection", "twice the fit", factor=2.0)
    yield keyword("csc.ridge-stability", "a tenth less", constant=0.45)
    yield keyword("csc.zero-code", "above λ_max on both sides", below=1.001)
    yield keyword("csc.zero-code", "λ with the square", power=2)
    yield keyword("csc.recovery", "more noise", noise=(0.18, 0.2))
    yield keyword("csc.recovery", "a third of the error", most=1.0)
    yield keyword("csc.rate-distance.printed", "decoders that return the images", decoders=(lambda random, X: X,))
    yield cases("csc.rate-distance.printed", "a false identity", broken)
    yield keyword(
        "csc.rate-distance.corrected", "the distance of samples", distance=lambda Z, Y, _: float(np.sum((Z - Y) ** 2))
    )
    yield keyword("csc.rate-distance.corrected", "a tenth more", distance=lambda *given: 1.1 * rate_distance(*given))
    yield cases("csc.rate-distance.corrected", "a false identity", broken)
    yield keyword("csc.decoder-steps", "steps along the gradient", sign=-1.0)
    yield keyword("csc.decoder-steps", "the encoder's gradient", moving="encoder")
    yield keyword("csc.decoder-steps", "a gradient without the first atoms", missing=1)
    yield keyword("csc.learning", "steps of thirty times the length", length=30.0)
    yield keyword("csc.learning", "atoms outside of the ball", ball=False)
    yield keyword("csc.generalization", "random atoms", atoms=drawn)
