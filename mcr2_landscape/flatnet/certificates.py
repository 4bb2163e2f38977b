"""What one layer does to a round trip, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mcr2_landscape.flatnet import kernels
from mcr2_landscape.flatnet.layers import Layers
from mcr2_landscape.record import Record
from mcr2_landscape.verdict import Verdict

#: That the identity and, times 1 − α, the exact inverse may be off by, for points of norm one.
ROUNDING = 1e-10
_SLACK = 1e-6  # of the threshold


@dataclass(frozen=True)
class RoundTrips(Record):
    """g(f(x)) against x for every layer on its own, on the points that reach it.

    The identity g(f(x)) − x = κ(x)(W [1, c, q(c)] − P(x − μ)) holds for every x, because f keeps the tangential coordinates and
    κ is found again from f(x). So half the mean square of the error is α² times the loss of the local fit.

    **Fields:** `errors`, (L,): half the mean square over points and entries; `identity`, (L,): the greatest deviation from the
    identity; `inverse`, (L,): the greatest error of the exact inverse; `thresholds`, (L,); `verdict`: `holds` where every error
    is at most its threshold, every identity holds to 1e-10 and every exact inverse to 1e-10/(1 − α), by which its
    derivative is bounded; `refuted` otherwise.
    """

    errors: np.ndarray = field(repr=False)
    identity: np.ndarray = field(repr=False)
    inverse: np.ndarray = field(repr=False)
    thresholds: np.ndarray = field(repr=False)
    verdict: Verdict


def round_trips(layers: Layers, points: np.ndarray, thresholds: np.ndarray) -> RoundTrips:
    """Check every layer on what reaches it of the points (N, D), in float64; `thresholds`, (L,)."""
    errors, identity, inverse = [], [], []
    for layer in layers.single():
        z = kernels.flatten(layer, points)
        y = z * layer.scale + layer.shift
        found, kappa = kernels.normal_and_kappa(layer, y)
        error = y + kernels.correction(layer, y, kappa) - points
        centered = points - layer.mean
        normal = centered - (centered @ layer.basis) @ layer.basis.T
        weight = layer.alpha * np.exp(-layer.gamma * np.sum(centered * centered, axis=1))
        expected = kernels.correction(layer, points, weight) - weight[:, None] * normal
        errors.append(float(np.mean(error * error) / 2))
        identity.append(float(np.abs(error - expected).max(initial=0)))
        inverse.append(float(np.abs(y + (kappa / (1 - kappa))[:, None] * found - points).max(initial=0)))
        points = z
    errors, identity, inverse = np.array(errors), np.array(identity), np.array(inverse)
    # NaN is no pass.
    within = (errors <= thresholds * (1 + _SLACK)) & (identity <= ROUNDING)
    fine = bool(np.all(within & (inverse * (1 - np.asarray(layers.stacked.alpha)) <= ROUNDING)))
    verdict = Verdict.HOLDS if fine else Verdict.REFUTED
    return RoundTrips(errors, identity, inverse, thresholds, verdict)
