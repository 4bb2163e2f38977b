"""What a fit found: whether the data are flat, whether the code folds, and how well it decodes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np

from mcr2_landscape.flatnet.build import Built, Stop
from mcr2_landscape.flatnet.certificates import RoundTrips, round_trips
from mcr2_landscape.flatnet.dimension import DimensionEstimate
from mcr2_landscape.flatnet.folding import Neighborhoods, Order, neighborhoods, order_along
from mcr2_landscape.flatnet.kernels import num_features
from mcr2_landscape.flatnet.network import FlatNetwork
from mcr2_landscape.flatnet.refitting import Refitted, relative_error
from mcr2_landscape.record import Record
from mcr2_landscape.verdict import Verdict

#: Trustworthiness from which on a code does not fold, and below which it does.
UNFOLDED, FOLDED = 0.99, 0.98
#: Of fewer held-out points nothing is decided by them alone.
FEW_HELD_OUT = 10


@dataclass(frozen=True)
class DataNotes(Record):
    """What the points are, before any fit.

    **Fields:** `samples` N, `features` D and `span` r, the dimensions that they reach; `duplicates`, rows that repeat an
    earlier one; `constant`, features that never change; `pieces`, into how many the graph of eight nearest neighbors falls.
    """

    samples: int
    features: int
    span: int
    duplicates: int
    constant: int
    pieces: int


@dataclass(frozen=True)
class FlatReport(Record):
    """The verdicts on a fit, with what they rest on.

    Errors are relative: Σ‖x − x̂‖²/Σ‖x − x̄‖², with x̂ decoded from the code of d dimensions. A tail is the part of the variance
    that lies outside those d dimensions after the layers.

    **Fields:** `verdict`: `holds` where all that follow do and the data are one piece, `refuted` where one is, with `reasons`
    in words; `flat`: the tail (held-out points' too, with what of them leaves the span of those fitted) is at most `flatness`,
    `refuted` where around none of the points a layer moves them any more before that, or held-out points are not flat though
    those fitted are, `undecided` where the build was cut short, its tail hardly fell any more, points are too few for a layer
    around some of them, or fewer than ten held-out points are not flat though those fitted are; `unfolded`: for d = 1 neither
    an order inversion nor different points of one code; for any d, no fold seen by trustworthiness, at least 0.99 (for d >
    1), `refuted` below 0.98: no proof, since a fold that brings few points together hardly shows in it; `certified`:
    `RoundTrips`; `decodable`: the error is at most `tolerance` on ten or more held-out points, or else on points left out of
    the refit and on the held-out ones that there are, `refuted` where it is more on the former, or else on points left out of
    the refit, or, where there are none of those either, on the points fitted, otherwise `undecided`: fewer than ten held-out
    points decide nothing alone. Where `flat` is undecided because the build was cut short, neither `unfolded` nor `decodable`
    is refuted: more layers change both. Where the build of a network is not known, the question is what the network does with
    points that took no part, and no further layer is to come: `flat` and `decodable` then hold or are refuted by these
    points, however few they are.

    `dimension` d, and `estimate`, how it was found (`None` where it was given); `data`; `num_layers`; `iterations` and `stop`
    of the build (`None` where it is not known); `tails` before the first layer and after each, `held_out_tail`; `order` (`None`
    for d > 1) and `neighborhoods`; `trips`; `local_error`, by the layers' own quadratics, `error`, by the decoder in use,
    `left_out_error`, of a decoder refitted without every fifth point on those, `held_out_error`, on `num_held_out` points that
    took no part in the fit; `ridge` of the decoder's refit (`None` without one); `processor_seconds` of the whole fit, this
    report and what a resumed build had taken before included.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    flat: Verdict
    unfolded: Verdict
    certified: Verdict
    decodable: Verdict
    flatness: float
    tolerance: float
    dimension: int
    estimate: DimensionEstimate | None
    data: DataNotes
    num_layers: int
    iterations: int | None
    stop: Stop | None
    tails: np.ndarray = field(repr=False)
    held_out_tail: float | None
    order: Order | None = field(repr=False)
    neighborhoods: Neighborhoods | None
    trips: RoundTrips = field(repr=False)
    local_error: float
    error: float
    left_out_error: float | None
    held_out_error: float | None
    num_held_out: int
    ridge: float | None
    processor_seconds: float

    _derived = ("tail",)

    @property
    def tail(self) -> float:
        """The spectral tail after the last layer."""
        return float(self.tails[-1])

    @property
    def judged_error(self) -> float:
        """The error that the verdict compares: few held-out points do not hide a greater one on points left out of the
        refit."""
        enough = self.stop is None or self.num_held_out >= FEW_HELD_OUT
        return _judged(self.error, self.left_out_error, self.held_out_error, enough, self.tolerance)[1]


def examine(
    network: FlatNetwork,
    built: Built | None,
    tails: np.ndarray,
    points: np.ndarray,
    codes: np.ndarray,
    decoded: np.ndarray,
    local_error: float,
    *,
    data: DataNotes,
    estimate: DimensionEstimate | None,
    flatness: float,
    tolerance: float,
    refitted: Refitted | None,
    held_out: np.ndarray | None,
    positions: np.ndarray | None,
    began: float,
) -> FlatReport:
    """The verdicts on a fit, or on what a network does with points where `built` is `None`. `points` and `decoded`, (N, D), and
    `codes`, (N, d), are those of the fit, as they came; `tails`, (L + 1,), theirs; `began`: the processor time from which its
    seconds count."""
    error, d = relative_error(points, decoded), network.num_components
    held_tail = held_error = None
    if held_out is not None and len(held_out):
        held_tail = _outside(network, held_out, points)
        # About the mean of the points that were fitted: a few held-out points have little spread of their own.
        held_error = relative_error(held_out, network.decode_rows(network.encode_rows(held_out)), points)
    order = order_along(points, codes[:, 0], positions) if d == 1 else None
    near = neighborhoods(points, codes) if data.samples - data.duplicates >= 4 else None
    # Thresholds are those of the points that were fitted.
    thresholds = np.full(len(network.layers), np.inf) if built is None else built.thresholds
    trips = round_trips(network.layers, (points - network.offset) @ network.frame / network.extent, thresholds)
    num_held_out = 0 if held_out is None else len(held_out)
    flat = _flat(built, tails[-1], held_tail, num_held_out, flatness)
    # More layers would change the code and what is decoded from it.
    early = flat is Verdict.UNDECIDED and built is not None and not built.stop.complete
    unfolded = _unless(early, _unfolded(order, near))
    left_out = None if refitted is None else refitted.error
    enough = built is None or num_held_out >= FEW_HELD_OUT
    found, judged, where = _judged(error, left_out, held_error, enough, tolerance)
    decodable = _unless(early, found)
    reasons = _reasons(built, tails[-1], flat, unfolded, order, near, held_tail, enough, flatness, data, d)
    if not judged <= tolerance:
        where = where if built is not None else ""  # on the points that all of this is about
        so_far = " so far" if early else ""
        few = f"; {_too_few()}" if found is Verdict.UNDECIDED else ""
        reasons.append(f"decoded{so_far} with a relative error of {judged:.2g}{where}, {tolerance:g} is allowed{few}")
    elif decodable is Verdict.UNDECIDED:
        few = f" and {num_held_out} held out" if num_held_out else ""
        reasons.append(
            f"decoding was measured on no points but those fitted{few}; hold ten or more back (validation_fraction), or refit "
            "ten or more"
        )
    if trips.verdict is Verdict.REFUTED:
        reasons.append("a layer's round trip exceeds its threshold, misses its identity, or is not undone by its exact inverse")
    parts = (flat, unfolded, trips.verdict, decodable)
    verdict = Verdict.HOLDS
    if data.pieces > 1 or any(part is not Verdict.HOLDS for part in parts):
        verdict = Verdict.REFUTED if Verdict.REFUTED in parts else Verdict.UNDECIDED
    if verdict is Verdict.REFUTED:
        what = "not flattenable" if built is not None else "the network does not flatten and decode these points"
        reasons.insert(0, f"{what} to {d} dimension{'s' if d > 1 else ''} at this tolerance")
    iterations, stop = (None, None) if built is None else (built.iterations, built.stop)
    return FlatReport(
        verdict, tuple(reasons), flat, unfolded, trips.verdict, decodable, flatness, tolerance, d, estimate, data,
        len(network.layers), iterations, stop, tails, held_tail, order, near, trips, local_error, error, left_out, held_error,
        num_held_out, None if refitted is None else refitted.ridge, time.process_time() - began,
    )  # fmt: skip


def _judged(
    error: float, left_out: float | None, held_error: float | None, enough: bool, tolerance: float
) -> tuple[Verdict, float, str]:
    """Whether points are decodable, the error that says so, and where it was measured; `enough`: whether held-out points alone
    decide."""
    left = None if left_out is None else (left_out, " on points left out of the refit")
    held = None if held_error is None else (held_error, " on held-out points")
    decisive = (held if enough else None) or left
    many = decisive or (error, "")
    if not many[0] <= tolerance:
        return Verdict.REFUTED, many[0], many[1]
    # A few points may lie where decoding happens to be good, or bad.
    worst, where = held if held and not (left and held[0] <= many[0]) else many
    return Verdict.HOLDS if decisive and worst <= tolerance else Verdict.UNDECIDED, worst, where


def _unless(early: bool, verdict: Verdict) -> Verdict:
    return Verdict.UNDECIDED if early and verdict is Verdict.REFUTED else verdict


def _outside(network: FlatNetwork, points: np.ndarray, fitted: np.ndarray) -> float:
    """The part of the variance off the flat space, in units of the spread of the points fitted: a few points have little of
    their own."""
    centered = network.flatten_rows(points) - network.code_mean
    # Layers leave alone what is outside the span that they were fitted in, but for the scaling.
    start = (points - network.offset) / network.extent
    beyond = (start - (start @ network.frame) @ network.frame.T) / np.prod(network.layers.stacked.scale)
    beyond = np.sum(beyond * beyond)
    outside = np.sum(centered * centered) - np.sum((centered @ network.code_basis) ** 2)
    spread = np.sum((network.flatten_rows(fitted) - network.code_mean) ** 2) * (len(points) / len(fitted))
    lost = max(float(outside), 0.0) + float(beyond)
    if not lost:
        return 0.0
    return lost / float(spread) if spread > 0 else float("inf")


def _flat(built: Built | None, tail: float, held_tail: float | None, num_held_out: int, flatness: float) -> Verdict:
    if max(tail, held_tail or 0.0) <= flatness:
        return Verdict.HOLDS
    if built is None:  # the network is what it is
        return Verdict.REFUTED
    if tail <= flatness and num_held_out < FEW_HELD_OUT:
        return Verdict.UNDECIDED
    # Points whose tail stood still for long have become flat later, most of them by a fold.
    return Verdict.REFUTED if built.stop.complete else Verdict.UNDECIDED


def _unfolded(order: Order | None, near: Neighborhoods | None) -> Verdict:
    if order is not None and order.inversions:
        return Verdict.REFUTED
    if near is None:
        return Verdict.UNDECIDED
    if near.trustworthiness < FOLDED:
        return Verdict.REFUTED
    if order is not None:
        return Verdict.UNDECIDED if order.ties else Verdict.HOLDS
    return Verdict.HOLDS if near.trustworthiness >= UNFOLDED else Verdict.UNDECIDED


def _reasons(
    built: Built | None,
    tail: float,
    flat: Verdict,
    unfolded: Verdict,
    order: Order | None,
    near: Neighborhoods | None,
    held_tail: float | None,
    enough: bool,
    flatness: float,
    data: DataNotes,
    d: int,
) -> list[str]:
    reasons = []
    if flat is not Verdict.HOLDS:
        if built is None:
            why = ", about the plane of the points that were fitted" if tail <= flatness else ""
        elif tail <= flatness:
            cure = "take more points" if enough else _too_few()
            why = f", and held-out points are not as flat as those that were fitted; {cure}"
        else:
            why = f", and {_ended(built.stop, data.samples - data.duplicates, d)}"
        left = max(tail, held_tail or 0.0)
        reasons.append(f"not flat: a part of {left:.2g} of the variance is left outside, {flatness:g} is allowed{why}")
    if unfolded is not Verdict.HOLDS:
        if order is not None and order.inversions:
            what = "folded" if unfolded is Verdict.REFUTED else "folded so far"
            reasons.append(f"{what}: {order.inversions} of {order.steps} steps along the curve go back in the code")
        elif order is not None and order.ties:
            reasons.append(f"perhaps folded: {order.ties} of {order.steps} steps along the curve do not change the code")
        elif near is not None:
            what = "a fold" if unfolded is Verdict.REFUTED else "perhaps a fold"
            reasons.append(
                f"{what} seen by trustworthiness: {near.trustworthiness:.4f} of neighborhoods, {UNFOLDED:g} is asked for"
            )
        else:
            reasons.append("too few points to tell a fold")
    if data.pieces > 1:
        reasons.append(f"the data fall into {data.pieces} pieces that no neighbors connect; fit each on its own")
    return reasons


def _too_few() -> str:
    return f"fewer than {FEW_HELD_OUT} held-out points decide nothing: hold more back"


def _ended(stop: Stop, count: int, d: int) -> str:
    """Why a build of `count` different points ended before they were flat."""
    if stop is Stop.STARVED:
        return (
            f"there are points around which no radius covers more points than the {num_features(d)} coefficients of a "
            f"quadratic over {d} dimension{'s' if d > 1 else ''}; take more points, fewer dimensions, or a larger most_radius"
        )
    return {
        Stop.ITERATIONS: "the build ended at its number of iterations; allow more",
        Stop.TIME: "the build ended at its time limit; allow more",
        Stop.STALLED: "it hardly falls any more; many more layers may still take it away, as a rule by a fold",
        Stop.EXHAUSTED: f"none of the layers tried, one around each of the {count:,} points, moves them any more",
    }[stop]
