"""The decoder refitted in closed form: least squares layer by layer, within the memory that there is."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcr2_landscape import memory
from mcr2_landscape.flatnet import (
    BuildOptions,
    build_layers,
    fit_network,
    fitting,
    kernels,
    local_fit,
    refit_decoder,
    refitting,
    relative_error,
)
from mcr2_landscape.flatnet.local import least_squares
from mcr2_landscape.validation import InputError

from .points import CAP, unit


def test_an_error_beside_no_spread_is_zero_or_infinite():
    same = np.ones((3, 2))
    assert relative_error(same, same) == 0
    assert relative_error(same, 1.001 * same) == np.inf


@given(st.integers(0, 100))
@settings(max_examples=5)
def test_the_refit_is_the_least_squares_of_each_layer(key):
    """No coefficients of the layer decoded last do better on what reaches it, given those before."""
    points = unit(CAP.points[:80])
    built = build_layers(points, 2, key=key, options=BuildOptions(max_iterations=6))
    found = refit_decoder(built.layers, points, built.flat, 1e-12)
    z = built.flat
    for layer in reversed(found.layers):
        before, z = z, kernels.reconstruct(layer, z)
    np.testing.assert_allclose(z, found.decoded, atol=1e-9)
    best, first = np.sum((z - points) ** 2), found.layers[0]
    random = np.random.default_rng(key)
    for size in (1e-2, 1e-3):
        moved = first._replace(coefficients=first.coefficients + size * random.standard_normal(first.coefficients.shape))
        assert np.sum((kernels.reconstruct(moved, before) - points) ** 2) > best


def test_the_refit_of_many_points_does_not_keep_what_reaches_every_layer(monkeypatch):
    """The points before 144 layers are 144 arrays; with those of twelve and of twelve more it gives the same bits."""
    monkeypatch.setattr(refitting, "_KEPT", 1000)
    points = np.random.default_rng(0).standard_normal((400, 10))
    layer = local_fit(points, points[0], 3.0, 2).layer(0.1)
    layers = [layer] * 144
    tracemalloc.start()
    refit_decoder(layers, points, points, 1e-6)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60 * points.nbytes
    # Each layer is fitted to the points that reach it, of every one from the last to the first.
    before, decoded = [points], points
    for _ in layers[1:]:
        before.append(kernels.flatten(layer, before[-1]))
    for target, fitted in zip(before[::-1], refit_decoder(layers, points, points, 1e-6).layers[::-1], strict=True):
        _, weight = kernels.normal_and_kappa(layer, decoded)
        columns = kernels.features((decoded - layer.center) @ layer.basis) * weight[:, None]
        coefficients = least_squares(columns, target - decoded, 1e-6)
        np.testing.assert_array_equal(fitted.coefficients, coefficients.T)
        decoded = decoded + columns @ coefficients


def test_a_refit_that_does_not_fit_into_memory_is_refused(monkeypatch):
    """By what it keeps: with more layers more."""
    layers = [local_fit(CAP.points, CAP.points[0], 1.0, 2).layer(0.1)] * 100
    monkeypatch.setattr(memory, "available", lambda: 20 * CAP.points.nbytes)
    refit_decoder(layers[:1], CAP.points, CAP.points)
    with pytest.raises(InputError, match=r"points: needs .* are available; pass fewer points, allow fewer than 100 layers, or"):
        refit_decoder(layers, CAP.points, CAP.points)
    monkeypatch.setattr(fitting, "build_layers", None)  # it is said before the build, which would be lost
    with pytest.raises(InputError, match=r"points: needs .* allow fewer than 500 layers"):
        fit_network(CAP.points, 2, key=0)
