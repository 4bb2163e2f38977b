"""Layer after layer at random centers, until the points are flat. NumPy, float64."""

from __future__ import annotations

import dataclasses
import enum
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mcr2_landscape import files
from mcr2_landscape.flatnet import kernels
from mcr2_landscape.flatnet.checkpoints import State, fingerprint
from mcr2_landscape.flatnet.folding import distinct
from mcr2_landscape.flatnet.kernels import Layer, num_features
from mcr2_landscape.flatnet.local import RADII, REFINEMENTS, RIDGE, TOLERANCE, LocalModel, fit_many, search_radii, search_radius
from mcr2_landscape.flatnet.scaling import exponent, scaled
from mcr2_landscape.randomness import generator
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, float64_matrix, positive_integer, positive_real, real

_BLOCK = 256  # centers drawn at once; each block has its own stream, so that a resumed build draws the same
_SAVE_SECONDS = 30.0
_SWEPT = 16  # points tried at once where random ones no longer move anything
# That the mean, and the greatest norm beside one, may be off by: of points far from the origin differences have few digits.
_OFF = 0.1


class Stop(enum.StrEnum):
    """Why a build ended: the points are flat; their tail hardly falls any more; a layer was tried around each of them, and none
    that keeps to its threshold moves them; points are too few, since around some of them even the greatest radius covers no
    more than a quadratic has coefficients, and around none of the others a layer moves them; or what was allowed is used
    up."""

    FLAT = "flat"
    STALLED = "stalled"
    EXHAUSTED = "exhausted"
    STARVED = "starved"
    ITERATIONS = "iterations"
    TIME = "time"

    @property
    def complete(self) -> bool:
        """Whether no further layer would change what was found."""
        return self in (Stop.FLAT, Stop.EXHAUSTED)


@dataclass(frozen=True)
class BuildOptions(Record):
    """How layers are made.

    **Fields:** `threshold`: the greatest half mean square error of a layer's round trip, relative to the mean square of the
    entries that it begins with, so that features that are always zero change nothing; `most_alpha`: the greatest α, below one;
    `flatness`: a spectral tail that ends the build; `least_move`: a layer that moves points by less (root mean square of
    entries, relative to that of the points) is not kept; `patience`: when that happens so many times in a row, all points are
    tried as centers, one after the other; `window` and `progress`: the build stalls when the least tail so far has not fallen
    by the part `progress` over so many layers; `max_iterations`; `candidates`: centers tried for every other layer, of which
    the one that moves points most is taken; `spread`: those in between have a greatest radius drawn from [`spread`, 1] times
    `most_radius`;
    `radius_tolerance`: of `local.search_radius`; `least_radius` and `most_radius`, as parts of the diameter; `refinements` of a
    tangent space; `ridge` of the least squares.

    Curves and surfaces that end up flat lose at least half of their tail every hundred layers up to arcs of 1.1 π. Beyond that
    a tail can stand still for more than a hundred layers and fall afterwards, as a rule by a fold.
    """

    threshold: float = 4e-6
    most_alpha: float = 0.15
    flatness: float = 1e-7
    least_move: float = 2e-5
    patience: int = 10
    window: int = 200
    progress: float = 0.01
    max_iterations: int = 500
    candidates: int = 2
    spread: float = 0.15
    radius_tolerance: float = TOLERANCE
    least_radius: float = RADII[0]
    most_radius: float = RADII[1]
    refinements: int = REFINEMENTS
    ridge: float = RIDGE

    def checked(self) -> BuildOptions:
        """These options.

        **Raises:** `InputError` for numbers out of range.
        """
        for name in ("threshold", "most_alpha", "flatness", "least_move", "spread", "least_radius", "most_radius", "ridge"):
            positive_real(name, getattr(self, name))
        for name, least in (("patience", 1), ("max_iterations", 0), ("window", 1), ("candidates", 1), ("refinements", 0)):
            positive_integer(name, getattr(self, name), minimum=least)
        for name in ("progress", "radius_tolerance"):
            if not 0 <= real(name, getattr(self, name)) < 1:
                raise InputError(f"{name}: found {getattr(self, name):g}; pass a part, from zero to below one")
        if self.spread > 1:
            raise InputError(f"spread: found {self.spread:g}; pass one at most, which leaves all radii free")
        if self.most_alpha >= 1:
            raise InputError(f"most_alpha: found {self.most_alpha:g}; a layer is invertible below one")
        if self.least_radius >= self.most_radius:
            raise InputError(
                f"least_radius: found {self.least_radius:g}, no less than most_radius, {self.most_radius:g}; pass less"
            )
        return self


@dataclass(frozen=True)
class Built(Record):
    """The layers of a build, finished or not.

    **Fields:** `layers`; `flat`, the points after them, (N, D); `tails`, (L + 1,): the part of the variance beyond the first d
    principal components before the first layer and after each; `losses`, `radii`, `alphas`, `moves`, and `thresholds`
    of the round trips (absolute), (L,), of the layers;
    `iterations`, `stop`, and `processor_seconds`.
    """

    layers: tuple[Layer, ...] = field(repr=False, metadata={"json": False})
    flat: np.ndarray = field(repr=False, metadata={"json": False})
    tails: np.ndarray = field(repr=False)
    losses: np.ndarray = field(repr=False)
    radii: np.ndarray = field(repr=False)
    alphas: np.ndarray = field(repr=False)
    moves: np.ndarray = field(repr=False)
    thresholds: np.ndarray = field(repr=False)
    iterations: int
    stop: Stop
    processor_seconds: float


@dataclass(frozen=True)
class Progressed:
    """What a build tells its watcher: iterations done, layers kept, and the spectral tail now."""

    iterations: int
    layers: int
    tail: float


def spectral_tail(points: np.ndarray, num_directions: int) -> float:
    """Σ_{i>d} σ_i²/Σ σ_i² of the centered points (N, D), of any scale: 0 where they lie in a plane of d dimensions, and where
    there is no spread."""
    points = scaled(points)
    centered = scaled(points - points.mean(axis=0))
    gram = centered.T @ centered if points.shape[1] <= points.shape[0] else centered @ centered.T
    values = np.maximum(np.linalg.eigvalsh(gram), 0)
    total = values.sum()
    return float(values[: max(0, len(values) - num_directions)].sum() / total) if total > 0 else 0.0


def build_layers(
    points: Any,
    num_directions: int,
    *,
    key: Any,
    options: BuildOptions | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    time_limit: float | None = None,
    watch: Callable[[Progressed], None] | None = None,
) -> Built:
    """Flatten points layer by layer.

    Each iteration takes the best of a few random points as center, or, for every other layer, just one and a random bound of
    the radius: layers that move points most keep curves from folding, and layers of all places and sizes give the decoder what
    it decodes with. It takes the greatest radius at which
    the quadratic still holds to `threshold` with the greatest α, and the layer of `local_fit` there; then the points are
    centered and divided by their greatest norm. The build stops when they are flat, when the tail has hardly fallen over two
    hundred layers (`window`, `progress`), or after `max_iterations`. When ten layers in a row (`patience`) would move nothing,
    ten or twenty random centers say little of the others: the iterations after that go through all points in random order, 16
    at a time, with the greatest bound of the radius. The first layer that does move something is taken, and the build goes on
    as before; when there is none it stops. It stops without going through them where no radius covers enough points for any
    layer.

    The public code computes the bounds of the radius once, from the first points, though the points are scaled anew in every
    layer. Here they are parts of the diameter that the points have now (by two sweeps to the farthest point, within a factor of
    two of the exact one and as a rule equal to it). A layer's move is what it flattens, without the centering and scaling.

    **Arguments:** `points`, (N, D), centered, of greatest norm one (both to a tenth: radii and thresholds are relative to them,
    but the layers' numbers are in their units); `num_directions` d; `key`: a JAX key, an integer seed or a NumPy generator;
    `checkpoint`: a file to go on from if it is there, written every half minute and at the end: an interrupted build gives the
    same bits as one that was not, wherever it was interrupted; `time_limit` in seconds of the clock, zero or more, looked at
    between iterations; `watch`: called after each iteration.

    **Raises:** `InputError` for numbers out of range, points that are not centered or of another norm, and a checkpoint of
    another build.
    """
    options = (BuildOptions() if options is None else options).checked()
    points = float64_matrix("points", points, (None, None), refuse_float32=False)
    d = positive_integer("num_directions", num_directions)
    if d > points.shape[1]:
        raise InputError(f"num_directions: found {d}; points of {points.shape[1]} dimensions have no more")
    _check_normalized(points)
    time_limit = checked_limit(time_limit)
    seed = int(generator(key).integers(2**63))
    state = State(points, [spectral_tail(points, d)])
    path = None if checkpoint is None else files.check_writable(checkpoint, "checkpoint")
    print_of_build = fingerprint(points, d, seed, options) if path else ""
    if path is not None and path.exists():
        state = state.restored(path, print_of_build)
    rows = distinct(points)
    clock, saved = time.monotonic(), time.monotonic()
    try:
        stop = _stop(state, d, options, rows)
        while stop is None:
            if time_limit is not None and time.monotonic() - clock >= time_limit:
                stop = Stop.TIME
                break
            state = _iterate(state, d, seed, options, rows)  # at once: an interruption leaves the old state or the new one
            stop = _stop(state, d, options, rows)
            if watch is not None:
                watch(Progressed(state.iterations, len(state.layers), state.tails[-1]))
            if path is not None and time.monotonic() - saved >= _SAVE_SECONDS:
                state.save(path, print_of_build)
                saved = time.monotonic()
    finally:  # what was reached is kept, whatever ends it
        if path is not None:
            state.save(path, print_of_build)
    return _built(state, stop)


def _check_normalized(points: np.ndarray) -> None:
    """Whether the points are centered and their greatest norm is one.

    **Raises:** `InputError` otherwise.
    """
    if not len(points):
        raise InputError("points: found none; pass at least one more than num_directions")
    power = exponent(points)
    unit = np.ldexp(points, -power)
    with np.errstate(over="ignore"):
        mean = np.ldexp(np.linalg.norm(unit.mean(axis=0)), power)
        greatest = np.ldexp(np.sqrt(np.sum(unit * unit, axis=1).max()), power)
    if not (mean <= _OFF and abs(greatest - 1) <= _OFF):
        raise InputError(
            f"points: found a mean of norm {mean:.2g} and a greatest norm of {greatest:.3g}; subtract the mean and divide by "
            "the greatest norm, as fit_network does"
        )


def checked_limit(time_limit: float | None) -> float | None:
    """A limit of the clock in seconds, zero or more, or none.

    **Raises:** `InputError` otherwise.
    """
    if time_limit is None or real("time_limit", time_limit) >= 0:
        return time_limit
    raise InputError(f"time_limit: found {time_limit:g}; pass seconds, zero or more, or None for no limit")


def _iterate(state: State, d: int, seed: int, options: BuildOptions, rows: np.ndarray) -> State:
    """The state after another iteration; the given one stays as it is."""
    started, points = time.process_time(), state.points
    square = float(np.mean(points * points))
    threshold = options.threshold * square
    model = _model(state, d, seed, options, rows, threshold)
    alpha = model.alpha(threshold, options.most_alpha)
    move = alpha * model.normal
    done = dataclasses.replace(state, iterations=state.iterations + 1)
    if move < options.least_move * np.sqrt(square):
        return dataclasses.replace(done, failures=state.failures + 1, seconds=_since(state, started))
    layer = model.layer(alpha)
    moved = kernels.flatten(layer, points)
    shift = moved.mean(axis=0)
    moved -= shift
    scale = np.sqrt(np.sum(moved * moved, axis=1).max())
    moved /= scale
    return dataclasses.replace(
        done,
        points=moved,
        layers=[*state.layers, layer._replace(shift=shift, scale=scale)],
        tails=[*state.tails, spectral_tail(moved, d)],
        rows=[*state.rows, (model.loss, model.radius, alpha, move, threshold)],
        failures=0,
        seconds=_since(state, started),
    )


def _model(state: State, d: int, seed: int, options: BuildOptions, rows: np.ndarray, threshold: float) -> LocalModel:
    """Around random points, or, after too many failures, around the next ones of `rows`."""
    points, diameter = state.points, _diameter(state.points)
    goal = threshold / options.most_alpha**2
    ways = {"tolerance": options.radius_tolerance, "refinements": options.refinements, "ridge": options.ridge}
    least, most = options.least_radius * diameter, options.most_radius * diameter
    swept = (state.failures - options.patience) * _SWEPT
    if swept >= 0:
        # In another order after each layer: where few points allow one, an order of the rows would find the last of them late.
        order = np.random.default_rng([seed, len(state.layers), 1]).permutation(rows)
        models = search_radii(points, points[order[swept : swept + _SWEPT]], d, (least, most), goal, **ways)
        return max(models, key=lambda model: model.alpha(threshold, options.most_alpha) * model.normal)
    block, place = divmod(state.iterations, _BLOCK)
    centers, parts = _draws(seed, block, options.candidates, len(points))
    centers, part = centers[place], 1.0
    if len(state.layers) % 2:
        centers, part = centers[:1], options.spread + (1 - options.spread) * parts[place]
    most = max(options.least_radius, part * options.most_radius) * diameter
    return search_radius(points, points[centers], d, (least, most), goal, **ways)


def _since(state: State, started: float) -> float:
    return state.seconds + time.process_time() - started


def _draws(seed: int, block: int, candidates: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of centers and numbers in [0, 1) for the iterations of a block."""
    random = np.random.default_rng([seed, block])
    return random.integers(count, size=(_BLOCK, candidates)), random.random(_BLOCK)


def _diameter(points: np.ndarray) -> float:
    far = points[np.argmax(np.sum(points * points, axis=1))]
    far = points[np.argmax(np.sum((points - far) ** 2, axis=1))]
    return float(np.sqrt(np.sum((points - far) ** 2, axis=1).max()))


def _stop(state: State, d: int, options: BuildOptions, rows: np.ndarray) -> Stop | None:
    if state.tails[-1] <= options.flatness:
        return Stop.FLAT
    # Once is enough: failures leave the points as they are.
    if state.failures == options.patience and not any(_covered(state.points, rows, d, options)):
        return Stop.STARVED
    if (state.failures - options.patience) * _SWEPT >= len(rows):
        return Stop.EXHAUSTED if all(_covered(state.points, rows, d, options)) else Stop.STARVED
    if len(state.layers) > options.window:
        before = min(state.tails[: -options.window])
        if min(state.tails[-options.window :]) > (1 - options.progress) * before:
            return Stop.STALLED
    return Stop.ITERATIONS if state.iterations >= options.max_iterations else None


def _covered(points: np.ndarray, rows: np.ndarray, d: int, options: BuildOptions) -> Iterator[bool]:
    """Around each of the points in `rows`, whether the greatest radius covers enough of them for a quadratic."""
    if len(points) <= num_features(d):
        yield False
        return
    radii = np.full(_SWEPT, options.most_radius * _diameter(points))
    for first in range(0, len(rows), _SWEPT):
        centers = points[rows[first : first + _SWEPT]]
        for model in fit_many(points, centers, radii[: len(centers)], d, 0, options.ridge):
            yield bool(np.isfinite(model.expected_loss))


def _built(state: State, stop: Stop) -> Built:
    losses, radii, alphas, moves, thresholds = np.array(state.rows).reshape(-1, 5).T
    tails = np.array(state.tails)
    return Built(
        tuple(state.layers),
        state.points,
        tails,
        losses,
        radii,
        alphas,
        moves,
        thresholds,
        state.iterations,
        stop,
        state.seconds,
    )
