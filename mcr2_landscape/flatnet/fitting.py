"""From points to a network with its report: what the estimator calls, without scikit-learn."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mcr2_landscape.flatnet import kernels
from mcr2_landscape.flatnet.build import BuildOptions, Built, Progressed, build_layers, checked_limit
from mcr2_landscape.flatnet.dimension import DimensionEstimate, estimate_dimension
from mcr2_landscape.flatnet.findings import DataNotes, FlatReport, examine
from mcr2_landscape.flatnet.folding import connected_pieces, distinct, places_along
from mcr2_landscape.flatnet.layers import Layers
from mcr2_landscape.flatnet.network import FlatNetwork
from mcr2_landscape.flatnet.refitting import left_out, refit_decoder, relative_error, require_memory
from mcr2_landscape.flatnet.scaling import exponent
from mcr2_landscape.randomness import generator
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, float64_matrix, positive_integer, positive_real, real

#: Of the greatest singular value: directions with less are none.
SPAN = 1e-8
_FAR = 1e-6  # of the extent: a sum of points far from the origin loses digits that their differences keep


@dataclass(frozen=True)
class FlatFit(Record):
    """A fit: the `network`, the `report` on it, the `codes` of all points, the `built` layers with their history, and the rows
    that were held back for `validation`."""

    network: FlatNetwork = field(repr=False, metadata={"json": False})
    report: FlatReport
    codes: np.ndarray = field(repr=False, metadata={"json": False})
    built: Built = field(repr=False, metadata={"json": False})
    validation: np.ndarray = field(default_factory=lambda: np.zeros(0, int), repr=False, metadata={"json": False})


def fit_network(
    points: Any,
    num_components: int | None = None,
    *,
    key: Any,
    options: BuildOptions | None = None,
    refit: bool = True,
    ridge: float | None = None,
    flatness: float = 1e-6,
    tolerance: float = 0.01,
    held_out: Any = None,
    validation_fraction: float = 0.0,
    positions: Any = None,
    checkpoint: str | os.PathLike[str] | None = None,
    time_limit: float | None = None,
    watch: Callable[[Progressed], None] | None = None,
) -> FlatFit:
    """Flatten points, fit a decoder, and say how well that went.

    **Arguments:** `points`, (N, D), rows; `num_components` d, found by `estimate_dimension` if left out; `key`: a JAX key, an
    integer seed or a NumPy generator; `options` of `build_layers`; `refit`: the closed-form refit of the decoder, with `ridge`
    (see `refit_decoder`); `flatness`, `tolerance`: what the verdicts allow, a spectral tail and a relative error; `held_out`,
    (M, D), points that are only looked at; or, instead, `validation_fraction`: the part of the distinct points that is held
    back for that, at random, rounded down, with all their copies; `positions`, (N,) or (N, 1): where each point lies along its
    curve, if that is known; `checkpoint`, `time_limit` (of the build alone: the dimension, the refit and the report come on
    top), `watch`: see `build_layers`, which here goes on until the tail is a tenth of `flatness`, or `options.flatness` if that
    is less: held-out points are not quite as flat as those that were fitted.

    **Raises:** `InputError` for NaN, numbers out of range, no more than d distinct points, points that are all the same, and,
    for the refit, as `refit_decoder` does.
    """
    began = time.process_time()
    points = float64_matrix("points", points, (None, None), refuse_float32=False)
    count, dim = points.shape
    if held_out is not None:
        held_out = float64_matrix("held_out", held_out, (None, dim), refuse_float32=False)
    if positions is not None:
        positions = places_along(positions, count)
    flatness, tolerance = positive_real("flatness", flatness), positive_real("tolerance", tolerance)
    options = (BuildOptions() if options is None else options).checked()
    options = dataclasses.replace(options, flatness=min(options.flatness, flatness / 10))
    ridge, time_limit = None if ridge is None else positive_real("ridge", ridge), checked_limit(time_limit)
    random = generator(key)
    for_dimension, for_layers = (int(seed) for seed in random.integers(2**63, size=2))
    if held_out is not None and validation_fraction:
        raise InputError("validation_fraction: found held_out as well; pass one of both")
    validation, everything = _held_back(points, validation_fraction, num_components, random), points
    used = np.delete(np.arange(count), validation)
    if len(validation):
        points, held_out = everything[used], everything[validation]
        positions = None if positions is None else positions[used]
    offset, frame, extent, data = _first_step(points)
    start = (points - offset) @ frame / extent
    d, estimate = _dimension(num_components, start, data, for_dimension)
    if refit:  # before the build, which would be lost
        require_memory(options.max_iterations, start.shape, d)
    before = time.process_time()
    built = build_layers(start, d, key=for_layers, options=options, checkpoint=checkpoint, time_limit=time_limit, watch=watch)
    began += time.process_time() - before - built.processor_seconds  # some before an interruption
    layers, span = Layers.of(built.layers, data.span), data.span
    mean = built.flat.mean(axis=0)
    basis = _principal(built.flat - mean, d)
    codes = (built.flat - mean) @ basis
    rank_d = mean + codes @ basis.T
    local = rank_d
    for layer in reversed(built.layers):
        local = kernels.reconstruct(layer, local)
    decoder, decoded, refitted = layers, local, None
    if refit:
        refitted = refit_decoder(built.layers, start, rank_d, ridge)
        if not built.layers and refitted.error is not None:
            refitted = refitted._replace(error=_left_out_of_the_plane((points - offset) / extent, d))
        decoder, decoded = Layers.of(refitted.layers, span), refitted.decoded
    network = FlatNetwork(offset, frame, np.float64(extent), layers, decoder, mean, basis)
    report = examine(
        network,
        built,
        built.tails,
        points,
        codes,
        decoded @ frame.T * extent + offset,
        relative_error(start, local),
        data=data,
        estimate=estimate,
        flatness=flatness,
        tolerance=tolerance,
        refitted=refitted,
        held_out=held_out,
        positions=positions,
        began=began,
    )
    if len(validation):
        own, codes = codes, network.encode_rows(everything)
        codes[used] = own
    return FlatFit(network, report, codes, built, validation)


def _held_back(points: np.ndarray, fraction: float, d: int | None, random: np.random.Generator) -> np.ndarray:
    """Rows of points that neither layers nor decoder nor any choice see: no copy of them is left among the others."""
    if not 0 <= real("validation_fraction", fraction) < 1:
        raise InputError(f"validation_fraction: found {fraction:g}; pass a part of the points, from zero to below one")
    if not fraction or not len(points):
        return np.zeros(0, int)
    _, first, same = np.unique(points, axis=0, return_index=True, return_inverse=True)
    # Those that are left must be more than the dimension, whatever is held back.
    most = max(0, len(first) - (2 if d is None else positive_integer("num_components", d) + 1))
    # By the order in which they come, not by their values.
    chosen = random.choice(np.sort(first), min(int(fraction * len(first)), most), replace=False)
    return np.flatnonzero(np.isin(first[same.reshape(-1)], chosen))


def _first_step(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, float, DataNotes]:
    """Center, frame and extent, and what is to be said of the points."""
    count, dim = points.shape
    if not count or not dim:
        raise InputError(f"points: found shape {points.shape}; pass at least two points of at least one feature")
    offset = _mean(points)
    centered = points - offset
    missed = _mean(centered)
    if np.abs(missed).max() > _FAR * np.abs(centered).max():
        offset = offset + missed
        centered = points - offset
    power = exponent(centered)
    extent = np.ldexp(np.sqrt(np.sum(np.ldexp(centered, -power) ** 2, axis=1).max()), power)
    if not 1e-14 * np.abs(points).max() < extent < np.inf:
        raise InputError(f"points: found the same point {count} times; pass points that differ")
    _, values, rows = np.linalg.svd(centered / extent, full_matrices=False)
    span = max(1, int(np.sum(values > SPAN * values[0])))
    # With all directions the points keep their own coordinates.
    frame = np.eye(dim) if span == dim else rows[:span].T
    first = distinct(points)
    constant = int(np.sum(np.ptp(points, axis=0) == 0))
    pieces = connected_pieces(centered[first] / extent @ frame)
    return offset, frame, float(extent), DataNotes(count, dim, span, count - len(first), constant, pieces)


def _mean(points: np.ndarray) -> np.ndarray:
    power = exponent(points)
    return np.ldexp(np.ldexp(points, -power).mean(axis=0), power)


def _dimension(given: int | None, start: np.ndarray, data: DataNotes, seed: int) -> tuple[int, DimensionEstimate | None]:
    distinct = data.samples - data.duplicates
    if given is not None:
        d = positive_integer("num_components", given)
        if d > data.features:
            raise InputError(f"num_components: found {d} for points of {data.features} features; pass at most as many")
        if distinct <= d:
            raise InputError(
                f"num_components: found {d} for {distinct} distinct points; a manifold of d dimensions takes more than d"
            )
        if d > data.span:
            raise InputError(
                f"num_components: found {d}; the points reach only {data.span} dimension{'s' if data.span > 1 else ''}: pass "
                "at most as many"
            )
        return d, None
    if distinct < 3:
        return 1, None
    estimate = estimate_dimension(start, key=seed, most=min(data.span, distinct - 1))
    return estimate.dimension, estimate


def _left_out_of_the_plane(points: np.ndarray, d: int) -> float:
    """Without layers the principal directions are the decoder: what those of the other points miss of every fifth one."""
    out = left_out(len(points))
    mean = points[~out].mean(axis=0)
    basis, centered = np.linalg.svd(points[~out] - mean, full_matrices=False)[2][:d].T, points[out] - mean
    return relative_error(points[out], mean + (centered @ basis) @ basis.T, points)


def _principal(centered: np.ndarray, d: int) -> np.ndarray:
    """The first d principal directions, (r, d), each with its greatest entry positive."""
    basis = np.linalg.eigh(centered.T @ centered)[1][:, : -d - 1 : -1]
    signs = np.sign(basis[np.abs(basis).argmax(axis=0), np.arange(d)])
    return basis * signs
