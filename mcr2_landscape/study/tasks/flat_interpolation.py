"""Straight lines between codes of FlatNet, decoded, beside straight lines between the points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from mcr2_landscape.validation import positive_integer

_REFERENCES = 20_000  # points that stand for a manifold that is known
_SHOWN = 2
_QUANTILES = (0.05, 0.5, 0.95)


@dataclass(frozen=True)
class Interpolated:
    """One fit, and lines between some of its points.

    Distances are to the nearest of many points that no fit has seen: 20,000 of a manifold that is known, or the other half of
    the images; in units of the root mean square distance of the points from their mean.

    **Fields:** `dimension`, and whether it was `given` (else it was estimated); `num_layers`; `verdict`, `reasons`;
    `relative_error` of decoding the points, and `held_out_error`. `place`: t on the lines (1 − t)a + tb. Quantiles 5, 50 and
    95 % over the pairs, at each place: `flat_distance`, of lines between codes, decoded; `straight_distance`, of lines between
    points. Of every line the mean over its places, `flat_means` and `straight_means`, in the order of the pairs.
    `typical_distance`: the median of the fitted points' own.

    Arrays: `shown_flat` and `shown_straight` (pairs, places, D), of the two pairs that are farthest apart; `shown_points`
    (N, D), those that were fitted.
    """

    dimension: int
    given: bool
    num_layers: int
    verdict: str
    reasons: tuple[str, ...]
    relative_error: float
    held_out_error: float
    place: tuple[float, ...]
    flat_distance: tuple[tuple[float, ...], ...]
    straight_distance: tuple[tuple[float, ...], ...]
    flat_means: tuple[float, ...]
    straight_means: tuple[float, ...]
    typical_distance: float
    shown_flat: np.ndarray
    shown_straight: np.ndarray
    shown_points: np.ndarray


def flat_interpolation(
    *,
    data: Literal["sine", "arc", "squares", "digits"] = "sine",
    extent: float = 1.0,
    label: int = 2,
    num_points: int = 200,
    num_pairs: int = 40,
    num_places: int = 9,
    max_iterations: int = 500,
    seed: int,
) -> Interpolated:
    """Fit, and go along lines.

    **Arguments:** `data`: a curve, of `extent` (see `flat_setup.low_dimensional`), a square of 4 pixels that is moved in
    10 × 10 and blurred by 2, or digits of class `label`, half of which are fitted; `num_points` that are fitted, but for
    digits; `num_pairs` of points at least as far apart as half of all pairs; `num_places` on each line, its ends included;
    `max_iterations` of the build.

    **Raises:** `InputError` for numbers out of range.
    """
    from mcr2_landscape import flatnet

    num_pairs = positive_integer("num_pairs", num_pairs, minimum=_SHOWN)
    num_places = positive_integer("num_places", num_places, minimum=3)
    points, references, d = _points(data, extent, label, positive_integer("num_points", num_points, minimum=8), seed)
    found = flatnet.fit_network(
        points,
        d,
        key=seed,
        options=flatnet.BuildOptions(max_iterations=max_iterations),
        held_out=references[:200],
    )
    unit = float(np.sqrt(np.mean(np.sum((points - points.mean(axis=0)) ** 2, axis=1))))
    first, second = _pairs(points, num_pairs, seed)
    place = np.linspace(0, 1, num_places)
    straight = _lines(points[first], points[second], place)
    codes = _lines(found.codes[first], found.codes[second], place)
    flat = found.network.decode_rows(codes.reshape(-1, found.codes.shape[1])).reshape(straight.shape)
    width = points.shape[1]
    away = [np.reshape(_nearest(own.reshape(-1, width), references), own.shape[:2]) / unit for own in (flat, straight)]
    quantiles = [tuple(map(tuple, np.quantile(own, _QUANTILES, axis=0).T.tolist())) for own in away]
    assert found.report.held_out_error is not None
    return Interpolated(
        dimension=found.report.dimension,
        given=d is not None,
        num_layers=found.report.num_layers,
        verdict=str(found.report.verdict),
        reasons=found.report.reasons,
        relative_error=found.report.error,
        held_out_error=found.report.held_out_error,
        place=tuple(place.tolist()),
        flat_distance=quantiles[0],
        straight_distance=quantiles[1],
        flat_means=tuple(away[0].mean(axis=1).tolist()),
        straight_means=tuple(away[1].mean(axis=1).tolist()),
        typical_distance=float(np.median(_nearest(points, references))) / unit,
        shown_flat=flat[:_SHOWN].astype(np.float32),
        shown_straight=straight[:_SHOWN].astype(np.float32),
        shown_points=points.astype(np.float32),
    )


def _points(data: str, extent: float, label: int, count: int, seed: int) -> tuple[np.ndarray, np.ndarray, int | None]:
    """Points to fit, points that stand for their manifold, and the dimension where it is known."""
    from mcr2_landscape.data import manifolds
    from mcr2_landscape.study.tasks.flat_setup import low_dimensional

    if data == "digits":
        images = np.random.default_rng(seed).permutation(manifolds.digit_class(label))
        half = len(images) // 2
        return images[:half], images[half:], None
    if data == "squares":
        found = manifolds.translated_squares(count, key=seed, size=10, side=4.0, blur=2.0, num_held_out=_REFERENCES)
    else:
        found = low_dimensional(data, extent, count, _REFERENCES, seed)
    return found.points, found.held_out, found.dimension


def _pairs(points: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The pair farthest apart, then those that share no point with it, farthest first, and after the shown ones random pairs
    that are at least as far apart as half of all."""
    from scipy.spatial.distance import pdist

    one, two = np.triu_indices(len(points), 1)
    apart = pdist(points)
    chosen: list[int] = []
    used: set[int] = set()
    for pair in np.argsort(-apart, kind="stable"):
        if len(chosen) == _SHOWN:
            break
        if not used & {int(one[pair]), int(two[pair])}:
            chosen.append(int(pair))
            used |= {int(one[pair]), int(two[pair])}
    far = np.setdiff1d(np.flatnonzero(apart >= np.median(apart)), chosen)
    more = np.random.default_rng(seed).permutation(far)[: count - len(chosen)]
    places = np.array([*chosen, *more], dtype=int)
    return one[places], two[places]


def _lines(a: np.ndarray, b: np.ndarray, place: np.ndarray) -> np.ndarray:
    return (1 - place)[None, :, None] * a[:, None, :] + place[None, :, None] * b[:, None, :]


def _nearest(points: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Distances to the nearest of many references (N,): by products which it is, since trees are slow in many dimensions, and
    how far by differences, since products round."""
    squares = np.sum(references * references, axis=1)
    found = np.empty(len(points))
    for first in range(0, len(points), 256):
        part = points[first : first + 256]
        near = references[np.argmin(squares[None, :] - 2 * part @ references.T, axis=1)]
        found[first : first + 256] = np.linalg.norm(part - near, axis=1)
    return found
