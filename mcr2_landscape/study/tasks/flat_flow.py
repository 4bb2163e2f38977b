"""A curve or surface on its way through the layers of FlatNet, and how distances change by it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mcr2_landscape.validation import positive_integer

_FALLS = (1 / 4, 1 / 25)  # of the part off the plane, at the shown stages between the first and the last
_QUANTILES = (0.0, 0.05, 0.95, 1.0)


@dataclass(frozen=True)
class Flowed:
    """One fit.

    **Fields:** `dimension` d, `num_layers`; `verdict` of the fit with its `reasons`; `tails`, the part of the variance outside
    d dimensions before the first layer and after each, `held_out_tail` after the last; `relative_error` and `held_out_error` of
    decoding; `inversions` of the order along a curve (missing for a surface); `trustworthiness`. `stages`: after how many
    layers the points are shown. Quantiles 0, 5, 95 and 100 % of the distance between two codes over that between the points,
    `ambient_quantiles`, and over that along the manifold, `geodesic_quantiles`, each in units of the median of all pairs.

    Arrays: `places` (N,), the first coordinate on the manifold; `positions` (S, N, 2) at each stage, in the direction of the
    plane that is reached which follows that coordinate most, and perpendicular to the plane. The ratios of distances of some
    points, in the order of the first coordinate, in units of the median of all of these pairs, with a meaningless diagonal of
    zeros: `ambient_ratios` and `geodesic_ratios` (n, n); `chosen` (n,), their first coordinates.
    """

    dimension: int
    num_layers: int
    verdict: str
    reasons: tuple[str, ...]
    tails: tuple[float, ...]
    held_out_tail: float
    relative_error: float
    held_out_error: float
    inversions: int | None
    trustworthiness: float
    stages: tuple[int, ...]
    ambient_quantiles: tuple[float, ...]
    geodesic_quantiles: tuple[float, ...]
    places: np.ndarray
    positions: np.ndarray
    ambient_ratios: np.ndarray
    geodesic_ratios: np.ndarray
    chosen: np.ndarray


def flat_flow(
    *,
    manifold: Literal["sine", "arc", "cap", "roll"] = "sine",
    extent: float = 1.0,
    num_points: int = 200,
    num_compared: int = 80,
    max_iterations: int = 500,
    seed: int,
) -> Flowed:
    """Fit, and follow the points.

    **Arguments:** `manifold`; `extent`, how much of it (see `flat_setup.low_dimensional`); `num_points` that are fitted, and
    half as many held out; `num_compared`: of how many of them distances are compared; `max_iterations` of the build.

    **Raises:** `InputError` for numbers out of range.
    """
    from mcr2_landscape import flatnet
    from mcr2_landscape.flatnet import kernels
    from mcr2_landscape.study.tasks.flat_setup import geodesics, low_dimensional
    from mcr2_landscape.study.tasks.problems import thinned

    num_points = positive_integer("num_points", num_points, minimum=8)
    num_compared = positive_integer("num_compared", num_compared, minimum=4)
    data = low_dimensional(manifold, extent, num_points, num_points // 2, seed)
    d = data.dimension
    found = flatnet.fit_network(
        data.points,
        d,
        key=seed,
        options=flatnet.BuildOptions(max_iterations=max_iterations),
        held_out=data.held_out,
        positions=data.coordinates[:, 0] if d == 1 else None,
    )
    report, network = found.report, found.network
    # From the report and the layers alone: what is drawn is what a user of the network gets.
    last = len(network.layers)
    between = [int(np.argmax(report.tails <= part * report.tails[0])) for part in _FALLS]
    stages = tuple(sorted({0, *between, last}))
    z = (data.points - network.offset) @ network.frame / network.extent
    along = _along(found.codes, data.coordinates[:, 0])
    axes = np.column_stack([network.code_basis @ along, _perpendicular(network.code_basis)])
    positions = [z @ axes]
    layers = network.layers.single()
    for first, end in itertools.pairwise(stages):
        for layer in layers[first:end]:
            z = kernels.flatten(layer, z)
        positions.append(z @ axes)
    order = np.argsort(data.coordinates[:, 0], kind="stable")[thinned(num_points, num_compared)]
    ways = geodesics(manifold, data.coordinates)
    codes, ambient = _distances(found.codes), _distances(data.points)
    ambient_ratios, ambient_quantiles = _compared(codes, ambient, order)
    geodesic_ratios, geodesic_quantiles = _compared(codes, ways, order)
    assert report.held_out_tail is not None
    assert report.held_out_error is not None
    assert report.neighborhoods is not None
    return Flowed(
        dimension=d,
        num_layers=report.num_layers,
        verdict=str(report.verdict),
        reasons=report.reasons,
        tails=tuple(report.tails.tolist()),
        held_out_tail=report.held_out_tail,
        relative_error=report.error,
        held_out_error=report.held_out_error,
        inversions=None if report.order is None else report.order.inversions,
        trustworthiness=report.neighborhoods.trustworthiness,
        stages=stages,
        ambient_quantiles=ambient_quantiles,
        geodesic_quantiles=geodesic_quantiles,
        places=data.coordinates[:, 0],
        positions=np.stack(positions),
        ambient_ratios=ambient_ratios,
        geodesic_ratios=geodesic_ratios,
        chosen=data.coordinates[order, 0],
    )


def _along(codes: np.ndarray, place: np.ndarray) -> np.ndarray:
    """The unit vector (d,) in which the codes follow a coordinate, by least squares."""
    found = np.linalg.lstsq(codes - codes.mean(axis=0), place - place.mean(), rcond=None)[0]
    size = np.linalg.norm(found)
    return found / size if size > 0 else np.eye(len(found))[0]


def _perpendicular(basis: np.ndarray) -> np.ndarray:
    """The unit normal (D,) of a plane of D − 1 dimensions, its greatest entry positive."""
    normal = np.linalg.svd(basis.T)[2][-1]
    return normal * np.sign(normal[np.abs(normal).argmax()])


def _distances(points: np.ndarray) -> np.ndarray:
    # By differences: from scalar products the distances of near points would be rounding.
    from scipy.spatial.distance import pdist, squareform

    return squareform(pdist(points))


def _compared(codes: np.ndarray, other: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, tuple[float, ...]]:
    """Ratios of some pairs (n, n), in units of the median of all, and quantiles of all pairs, none with itself."""
    pairs = np.triu_indices(len(codes), 1)
    apart = other[pairs] > 0  # points may coincide
    ratios = codes[pairs][apart] / other[pairs][apart]
    middle = float(np.median(ratios))
    few, below = codes[np.ix_(order, order)], other[np.ix_(order, order)]
    shown = np.divide(few, middle * below, out=np.zeros_like(few), where=below > 0)
    return shown, tuple((np.quantile(ratios, _QUANTILES) / middle).tolist())
