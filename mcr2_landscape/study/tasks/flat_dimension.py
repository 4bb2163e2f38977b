"""Manifolds of several dimensions, flattened, and their dimension as estimated in several ways."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mcr2_landscape.extras import missing_extra
from mcr2_landscape.validation import positive_integer


@dataclass(frozen=True)
class Dimensioned:
    """One manifold.

    **Fields:** estimates of its dimension: `estimate`, by this library, and `rule`, what decided it ("quadratics" or
    "neighbors"); `likelihood`, by maximum likelihood from distances to neighbors (Levina and Bickel 2004), and `two_nearest`,
    from the ratios of the two nearest (Facco, d'Errico, Rodriguez and Laio 2017), both as scikit-dimension computes them by
    default. Of a fit with the true dimension: `relative_error` of decoding the points, `held_out_error`, and `plane_error`,
    what the d principal directions miss of the held-out points; `initial_tail` and `tail`, before the layers and after them;
    `trustworthiness`; `num_layers`, `verdict`, `reasons`, and `fit_seconds` of the processor.
    """

    estimate: int
    rule: str
    likelihood: float
    two_nearest: float
    relative_error: float
    held_out_error: float
    plane_error: float
    initial_tail: float
    tail: float
    trustworthiness: float
    num_layers: int
    verdict: str
    reasons: tuple[str, ...]
    fit_seconds: float


def flat_dimension(
    *,
    manifold: Literal["gaussian-process", "random"] = "gaussian-process",
    dimension: int,
    num_features: int = 100,
    num_points: int = 2000,
    num_held_out: int = 200,
    max_iterations: int = 500,
    seed: int,
) -> Dimensioned:
    """Draw a manifold, estimate its dimension, and flatten it.

    **Arguments:** `manifold`: the image of a cube under Gaussian processes of length scale one, or a product of Fourier series
    whose amplitudes fall with the square of the frequency; `dimension` d of the cube; `num_features` D > d; `num_points` N
    that are fitted, and `num_held_out` more; `max_iterations` of the build.

    **Raises:** `InputError` for numbers out of range, and where scikit-dimension is not installed (extra `dimension`).
    """
    try:
        import skdim  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise missing_extra("the study of estimators of the dimension", "scikit-dimension", "dimension") from None
    from mcr2_landscape import flatnet
    from mcr2_landscape.data import manifolds

    num_held_out = positive_integer("num_held_out", num_held_out, minimum=8)
    draw = manifolds.gaussian_process_manifold if manifold == "gaussian-process" else manifolds.random_manifold
    data = draw(dimension, num_features, num_points, key=seed, num_held_out=num_held_out)
    found = flatnet.estimate_dimension(data.points, key=seed)
    likelihood, two_nearest = (float(estimator.fit(data.points).dimension_) for estimator in (skdim.id.MLE(), skdim.id.TwoNN()))
    begun = time.process_time()
    report = flatnet.fit_network(
        data.points,
        dimension,
        key=seed,
        options=flatnet.BuildOptions(max_iterations=max_iterations),
        held_out=data.held_out,
    ).report
    seconds = time.process_time() - begun
    mean = data.points.mean(axis=0)
    basis = np.linalg.svd(data.points - mean, full_matrices=False)[2][:dimension].T
    plane = mean + (data.held_out - mean) @ basis @ basis.T
    assert report.held_out_error is not None
    assert report.neighborhoods is not None
    return Dimensioned(
        estimate=found.dimension,
        rule=found.rule,
        likelihood=likelihood,
        two_nearest=two_nearest,
        relative_error=report.error,
        held_out_error=report.held_out_error,
        plane_error=flatnet.relative_error(data.held_out, plane, data.points),
        initial_tail=float(report.tails[0]),
        tail=report.tail,
        trustworthiness=report.neighborhoods.trustworthiness,
        num_layers=report.num_layers,
        verdict=str(report.verdict),
        reasons=report.reasons,
        fit_seconds=seconds,
    )
