"""The decoder, fitted layer by layer to what it decodes. NumPy, float64."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from mcr2_landscape import memory
from mcr2_landscape.flatnet import kernels
from mcr2_landscape.flatnet.kernels import Layer
from mcr2_landscape.flatnet.local import RIDGE, least_squares
from mcr2_landscape.flatnet.scaling import exponent
from mcr2_landscape.validation import positive_real

RIDGES = (RIDGE, 1e-3, 1e-2, 1e-1, 1.0)
_FEW = 10  # points for each feature: with fewer, the ridge is chosen on points left out
_EACH = 5  # every fifth point is left out
_LEAST = 10  # points, to leave any out
_KEPT = 1 << 25  # numbers of the points before all layers that are kept
_WORKING, _COLUMNS = 8, 3  # arrays of points, and of their features, that the fit of one layer holds


class Refitted(NamedTuple):
    """What `refit_decoder` finds.

    **Fields:** `layers` with new coefficients; `decoded`, (N, D); `ridge`; `error`: the relative error on every fifth point of
    a decoder refitted without those (`None` for fewer than ten points).
    """

    layers: list[Layer]
    decoded: np.ndarray
    ridge: float
    error: float | None


def refit_decoder(layers: Sequence[Layer], points: np.ndarray, codes: np.ndarray, ridge: float | None = None) -> Refitted:
    """New coefficients for all layers, from the last to the first, by one linear least squares each.

    A layer's own quadratic was fitted to points that no layer had touched; what reaches it in decoding carries the errors of
    the layers after it and lacks the normal part that the code left out. So g_l is fitted to take the *decoded* points to
    z_{l−1} = f_{l−1}(… f_1(x)): z_{l−1} − y on κ(y)[1, c, q(c)], which is linear in the coefficients. Where all z_l are more
    than 256 MB, every ⌈√L⌉-th of them is kept, about 16√L N D bytes in all, and those in between are computed again.

    **Arguments:** `points`, (N, D), and `codes`, (N, D), what the decoder starts from for each; `ridge`, relative; left out, it
    is tiny, or chosen among five on every fifth point where there are fewer than ten points for a feature.

    **Raises:** `InputError` for a ridge that is not above zero, and points that with what is kept of them do not fit into
    memory.
    """
    ridge = None if ridge is None else positive_real("ridge", ridge)
    d = max((layer.basis.shape[1] for layer in layers), default=0)
    widest = kernels.num_features(d)
    require_memory(len(layers), points.shape, d)
    targets = _Targets(layers, points, _every(len(layers), points.size))
    ridges = (RIDGE,) if len(points) >= _FEW * widest else RIDGES
    ridges = ridges if ridge is None else (ridge,)
    error = None
    if len(points) >= _LEAST:
        out = left_out(len(codes))
        decoded = [_refit(targets, codes, ridge, ~out)[1][out] for ridge in ridges]
        errors = [relative_error(points[out], found, points) for found in decoded]
        place = int(np.argmin(np.where(np.isfinite(errors), errors, np.inf)))
        ridges, error = (ridges[place],), errors[place]
    fitted, decoded = _refit(targets, codes, ridges[0])
    return Refitted(fitted, decoded, ridges[0], error)


def require_memory(num_layers: int, shape: tuple[int, ...], num_directions: int) -> None:
    """Refuse points of that shape, (N, D), whose decoder of so many layers could not be refitted.

    **Raises:** `InputError` (see `memory.require`).
    """
    every, size = _every(num_layers, math.prod(shape)), math.prod(shape)
    features = _COLUMNS * shape[0] * kernels.num_features(num_directions)
    memory.require(
        "points",
        8.0 * ((num_layers / every + every + _WORKING) * size + features),
        f"pass fewer points, allow fewer than {num_layers} layers, or leave out the refit of the decoder",
    )


def _every(num_layers: int, size: int) -> int:
    """Of how many layers in a row the points of one are kept, if those of one are so many numbers."""
    return 1 if num_layers * size <= _KEPT else math.isqrt(num_layers - 1) + 1


def left_out(count: int) -> np.ndarray:
    """Which of the points are left out, (N,)."""
    return np.arange(count) % _EACH == 0


class _Targets:
    """The layers from the last to the first, each with the points (N, D) that reach it."""

    def __init__(self, layers: Sequence[Layer], points: np.ndarray, every: int):
        self._layers, self._every, self._kept = layers, every, []
        for place, layer in enumerate(layers):
            if place % self._every == 0:
                self._kept.append(points)
            points = kernels.flatten(layer, points)

    def __iter__(self) -> Iterator[tuple[Layer, np.ndarray]]:
        for place in reversed(range(len(self._kept))):
            layers = self._layers[place * self._every : (place + 1) * self._every]
            reaching = [self._kept[place]]
            for layer in layers[:-1]:
                reaching.append(kernels.flatten(layer, reaching[-1]))
            for layer in reversed(layers):
                yield layer, reaching.pop()


def _refit(
    targets: _Targets, codes: np.ndarray, ridge: float, used: np.ndarray | None = None
) -> tuple[list[Layer], np.ndarray]:
    """The fit on the rows `used`, and all rows decoded with it."""
    rows = slice(None) if used is None else used
    fitted, decoded = [], codes
    for layer, target in targets:
        y = decoded * layer.scale + layer.shift
        _, weight = kernels.normal_and_kappa(layer, y)
        columns = kernels.features((y - layer.center) @ layer.basis) * weight[:, None]
        coefficients = least_squares(columns[rows], (target - y)[rows], ridge)
        fitted.append(layer._replace(coefficients=coefficients.T))
        decoded = y + columns @ coefficients
    return fitted[::-1], decoded


def relative_error(points: np.ndarray, decoded: np.ndarray, about: np.ndarray | None = None) -> float:
    """Σ‖x − x̂‖²/Σ‖x − x̄‖², with x̄ the mean of `about` (of the points themselves if left out). Where every point is x̄, zero
    if they are met, and infinite if not."""
    power = exponent(points)
    points, decoded, about = (np.ldexp(part, -power) for part in (points, decoded, points if about is None else about))
    centered = points - about.mean(axis=0)
    power = exponent(centered)
    spread = np.sum(np.ldexp(centered, -power) ** 2)
    missed = np.sum(np.ldexp(points - decoded, -power) ** 2)
    if not spread > 0:
        return 0.0 if missed == 0 else float("inf")
    return float(missed / spread)
