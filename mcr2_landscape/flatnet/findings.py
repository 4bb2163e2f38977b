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
_FEW = 10  # held-out points, by which alone nothing is decided


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
    `refuted` where no layer moves the points any more before that, or held-out points are not flat though those fitted are,
    `undecided` where the build was cut short, its tail hardly fell any more, points are too few for any layer, or
    fewer than ten held-out points are not flat though those fitted are; `unfolded`:
    for d = 1 neither an order inversion nor different points of one code; for any d, no fold seen by trustworthiness, at least
    0.99 (for d > 1), `refuted` below 0.98: no proof, since a fold that brings few points together hardly shows in it;
    `certified`: `RoundTrips`; `decodable`: the error is at most `tolerance`, on held-out points, and, where those are fewer
    than ten or none, on points left out of the refit; where neither was measured, `undecided`, or `refuted` where even that on
    the points fitted is more. As long as `flat` is undecided neither `unfolded` nor `decodable` is refuted: more layers change
    both.

    `dimension` d, and `estimate`, how it was found (`None` where it was given); `data`; `num_layers`, `iterations`, `stop`;
    `tails` before the first layer and after each, `held_out_tail`; `order` (`None` for d > 1) and `neighborhoods`; `trips`;
    `local_error`, by the layers' own quadratics, `error`, by the decoder in use, `left_out_error`, of a decoder refitted
    without every fifth point on those, `held_out_error`, on `num_held_out` points that took no part in the fit; `ridge` of the
    decoder's refit (`None` without one); `processor_seconds` of the whole fit, this report and what a resumed build had taken
    before included.
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
    iterations: int
    stop: Stop
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


def examine(
    network: FlatNetwork,
    built: Built,
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
    """The verdicts on a fit. `points` and `decoded`, (N, D), and `codes`, (N, d), are those of the fit, as they came; `began`:
    the processor time from which its seconds count."""
    error, d = relative_error(points, decoded), network.num_components
    held_tail = held_error = None
    if held_out is not None and len(held_out):
        held_tail = _outside(network, held_out, points)
        # About the mean of the points that were fitted: a few held-out points have little spread of their own.
        held_error = relative_error(held_out, network.decode_rows(network.encode_rows(held_out)), points)
    order = order_along(points, codes[:, 0], positions) if d == 1 else None
    near = neighborhoods(points, codes) if data.samples - data.duplicates >= 4 else None
    trips = round_trips(network.layers, (points - network.offset) @ network.frame / network.extent, built.thresholds)
    num_held_out = 0 if held_out is None else len(held_out)
    flat = _flat(built, held_tail, num_held_out, flatness)
    # More layers would change the code and what is decoded from it.
    early = flat is Verdict.UNDECIDED
    unfolded = _unless(early, _unfolded(order, near))
    left_out = None if refitted is None else refitted.error
    judged, where = _judged(error, left_out, held_error, num_held_out)
    decodable = Verdict.REFUTED
    if judged <= tolerance:
        decodable = Verdict.UNDECIDED if held_error is None and left_out is None else Verdict.HOLDS
    decodable = _unless(early, decodable)
    reasons = _reasons(built, flat, unfolded, order, near, held_tail, flatness, data, d)
    if not judged <= tolerance:
        so_far = " so far" if early else ""
        reasons.append(f"decoded{so_far} with a relative error of {judged:.2g}{where}, {tolerance:g} is allowed")
    elif decodable is Verdict.UNDECIDED:
        reasons.append(
            "decoding was measured on no points but those fitted; hold some back (validation_fraction), or refit ten or more"
        )
    if trips.verdict is Verdict.REFUTED:
        reasons.append("a layer's round trip exceeds its threshold, misses its identity, or is not undone by its exact inverse")
    parts = (flat, unfolded, trips.verdict, decodable)
    verdict = Verdict.HOLDS
    if data.pieces > 1 or any(part is not Verdict.HOLDS for part in parts):
        verdict = Verdict.REFUTED if Verdict.REFUTED in parts else Verdict.UNDECIDED
    if verdict is Verdict.REFUTED:
        reasons.insert(0, f"not flattenable to {d} dimension{'s' if d > 1 else ''} at this tolerance")
    return FlatReport(
        verdict, tuple(reasons), flat, unfolded, trips.verdict, decodable, flatness, tolerance, d, estimate, data,
        len(built.layers), built.iterations, built.stop, built.tails, held_tail, order, near, trips, local_error, error,
        left_out, held_error, num_held_out, None if refitted is None else refitted.ridge,
        time.process_time() - began,
    )  # fmt: skip


def _judged(error: float, left_out: float | None, held_error: float | None, num_held_out: int) -> tuple[float, str]:
    """The error that decides whether points are decodable, and where it was measured."""
    left = None if left_out is None else (left_out, " on points left out of the refit")
    held = None if held_error is None else (held_error, " on held-out points")
    if left and held and num_held_out < _FEW:  # which may lie where decoding happens to be good
        return held if not held[0] <= left[0] else left
    return held or left or (error, "")


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


def _flat(built: Built, held_tail: float | None, num_held_out: int, flatness: float) -> Verdict:
    if max(built.tails[-1], held_tail or 0.0) <= flatness:
        return Verdict.HOLDS
    if built.tails[-1] <= flatness and num_held_out < _FEW:
        return Verdict.UNDECIDED
    # Points whose tail stood still for long have become flat later, most of them by a fold.
    slow = built.stop is Stop.STALLED and (built.starved or not built.exhausted)
    return Verdict.UNDECIDED if slow or built.stop in (Stop.ITERATIONS, Stop.TIME) else Verdict.REFUTED


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
    built: Built,
    flat: Verdict,
    unfolded: Verdict,
    order: Order | None,
    near: Neighborhoods | None,
    held_tail: float | None,
    flatness: float,
    data: DataNotes,
    d: int,
) -> list[str]:
    reasons = []
    if flat is not Verdict.HOLDS:
        tail = max(built.tails[-1], held_tail or 0.0)
        ended = {
            Stop.ITERATIONS: "the build ended at its number of iterations; allow more",
            Stop.TIME: "the build ended at its time limit; allow more",
        }.get(built.stop, "no layer moves the points any more")
        if built.stop is Stop.STALLED and built.starved:
            ended = (
                f"no radius covers more points than the {num_features(d)} coefficients of a quadratic over {d} dimension"
                f"{'s' if d > 1 else ''}; take more points, fewer dimensions, or a larger most_radius"
            )
        elif built.stop is Stop.STALLED and not built.exhausted:
            ended = "it hardly falls any more; many more layers may still take it away, as a rule by a fold"
        if built.tails[-1] <= flatness:
            ended = "held-out points are not as flat as those that were fitted; take more points"
        reasons.append(f"not flat: a part of {tail:.2g} of the variance is left outside, {flatness:g} is allowed, and {ended}")
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
