"""Which conditions of an equilibrium a pair of encoder and decoder meets.

Everything local is decided in the coordinates of `frames`, by second derivatives (`second_order`) and by the linearization of
simultaneous ascent (`stability`). Source: docs/ctrl.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mcr2_landscape.ctrl.frames import frame_of
from mcr2_landscape.ctrl.optimum import upper_bound
from mcr2_landscape.ctrl.responses import response_verdict
from mcr2_landscape.ctrl.second_order import FEASIBLE, Nash, classified, distances_of, nash_of
from mcr2_landscape.ctrl.solve import judged, value_of_encoder, value_tolerance
from mcr2_landscape.ctrl.stability import stability_of
from mcr2_landscape.record import Record
from mcr2_landscape.validation import real
from mcr2_landscape.verdict import Kind, Verdict

if TYPE_CHECKING:
    from mcr2_landscape.ctrl.game import SubspaceGame

_LOST, _KEPT = 1e-10, 1e-8  # of the largest singular value of all f(X_j)


@dataclass(frozen=True)
class EquilibriumReport(Record):
    """What a pair (F, G) is to the game.

    Where rounding of F's entries could explain that a condition fails, since X has singular values that are far apart, it is
    undecided.

    **Fields:** `feasible`, with `violations` max(‖F X_j‖²/n_j − 1, 0), shape (K,). `best_response`: whether G is one, with
    `response_error` max_j ‖M P_j Mᵀ − P_j‖/‖P_j‖ and the `distances` ΔR(f(X_j), fgf(X_j)), shape (K,). `stackelberg`: whether F
    attains the optimum and G is a best response: refuted where one of them fails beyond rounding; `value` Q(F), `attainable`
    the largest value that is known to be reached (`None` if none is), `upper_bound`, and `gap`, the least that F is known to
    miss (what it may miss at most where the verdict is undecided). `kind` of F as a point of the reduced problem on balls, with
    the words of `classify` in `kind_reason`. `injective` on every class, `kept` and `lost` dimensions of each. `nash`: whether
    it is a local Nash equilibrium, with `encoder_curvature`, the largest eigenvalue of the encoder's own Hessian on its
    constraint set while the decoder stays (or, beyond 1,200 unknowns, a curvature along a rotation that mixes two classes;
    `None` where there is nothing to look at), and `nash_reason`. `stability_ratio`: simultaneous gradient ascent in whitened
    coordinates, the encoder on spheres, is linearly stable where the decoder's rate exceeds this many times the encoder's;
    infinite where it is not at the largest ratio looked at, 0 where it is at all of them (once a decade, six either way of
    1/min n_j²), `None` where it is not known; why, in `stability_reason`. `reason`: on the Stackelberg verdict.
    """

    feasible: Verdict
    violations: np.ndarray
    best_response: Verdict
    response_error: float
    distances: np.ndarray
    stackelberg: Verdict
    value: float
    attainable: float | None
    upper_bound: float
    gap: float
    reason: str
    kind: Kind
    kind_reason: str
    injective: Verdict
    kept: tuple[int, ...]
    lost: tuple[int, ...]
    nash: Verdict
    encoder_curvature: float | None
    nash_reason: str
    stability_ratio: float | None
    stability_reason: str


def verify(game: SubspaceGame, F: np.ndarray, G: np.ndarray, attainable: float | None) -> EquilibriumReport:
    """See `SubspaceGame.verify_equilibrium`."""
    if attainable is not None:
        attainable = real("attainable", attainable)
    feasible, violations = _feasible(game, F)
    responds, error = response_verdict(game, F, G)
    frame = frame_of(game, F, G)
    distances = distances_of(frame)
    injective, kept = _kept(game, F)
    if feasible is Verdict.HOLDS:
        point = classified(game, frame, F)
        nash = nash_of(frame, responds, float(distances.sum()))
        ratio, why = stability_of(game, frame, nash, responds, point)
    else:
        why = "the encoder is not feasible; project it first"
        if feasible is Verdict.UNDECIDED:
            why = "whether the encoder is feasible is within rounding: X has singular values that are too far apart"
        point, nash, ratio = why, Nash(feasible, None, why, None), None
    kind, words = (Kind.UNDECIDED, point) if isinstance(point, str) else (point.kind, point.reason)
    value = value_of_encoder(game, F)
    stackelberg, reached, gap, reason = _stackelberg(game, value, feasible, responds, kind, attainable)
    return EquilibriumReport(
        feasible,
        violations,
        responds,
        error,
        distances,
        stackelberg,
        value,
        reached,
        upper_bound(game.sizes, game.ranks, game.dim, game.epsilon),
        gap,
        reason,
        kind,
        words,
        injective,
        kept,
        tuple(rank - count for rank, count in zip(game.ranks, kept, strict=True)),
        nash.verdict,
        nash.curvature,
        nash.reason,
        ratio,
        why,
    )


def stackelberg_verdict(game: SubspaceGame, F: np.ndarray, G: np.ndarray) -> Verdict:
    """Whether (F, G) is a Stackelberg equilibrium, by values alone: as in the report, without a look at derivatives."""
    value, responds = value_of_encoder(game, F), response_verdict(game, F, G)[0]
    return _stackelberg(game, value, _feasible(game, F)[0], responds, Kind.UNDECIDED, None)[0]


def _feasible(game: SubspaceGame, F: np.ndarray) -> tuple[Verdict, np.ndarray]:
    """Whether F is feasible, and max(‖F X_j‖²/n_j − 1, 0), shape (K,)."""
    violations = np.maximum(game.feasibility(F) - 1, 0)
    excess = violations - FEASIBLE
    if excess.max() <= 0:
        return Verdict.HOLDS, violations
    return (Verdict.REFUTED if (excess > _feasibility_rounding(game, F)).any() else Verdict.UNDECIDED), violations


def _feasibility_rounding(game: SubspaceGame, F: np.ndarray) -> np.ndarray:
    """What rounding of F's entries explains in ‖F X_j‖²/n_j, shape (K,)."""
    size = 16 * float(np.finfo(np.float64).eps) * float(np.linalg.norm(F))
    return np.array([size * values[0] / np.sqrt(n) for values, n in zip(game.spans.values, game.sizes, strict=True)])


def _stackelberg(
    game: SubspaceGame, value: float, feasible: Verdict, responds: Verdict, kind: Kind, attainable: float | None
) -> tuple[Verdict, float | None, float, str]:
    known = [] if attainable is None else [attainable]
    if game.spans.independent:
        known.append(game.optimum().value)
    reached = max(known, default=None)
    bound, tolerance = upper_bound(game.sizes, game.ranks, game.dim, game.epsilon), value_tolerance(game, value)
    missed = 0.0 if reached is None else reached - value
    if feasible is Verdict.REFUTED:
        return Verdict.REFUTED, reached, missed, "the encoder is not feasible"
    if responds is Verdict.REFUTED:
        return Verdict.REFUTED, reached, missed, "the decoder is no best response"
    if missed > tolerance:
        return Verdict.REFUTED, reached, missed, f"the encoder's value is {missed:.6g} below one that is attained"
    if kind in (Kind.STRICT_SADDLE, Kind.NOT_CRITICAL):
        words = f"the encoder is no local maximizer but a point of kind: {kind.value}"
        return Verdict.REFUTED, reached, max(missed, 0.0), words
    gap = bound - value
    optimal = judged(gap, tolerance, bound)
    if optimal is Verdict.HOLDS and feasible is Verdict.HOLDS and responds is Verdict.HOLDS:
        return Verdict.HOLDS, reached, gap, "the encoder's value is the upper bound, to rounding"
    if gap <= tolerance:
        words = "the encoder's value is the upper bound, to a rounding that is too large beside it, or beside the conditions"
    else:
        words = f"the encoder's value is {gap:.3g} below the upper bound, and no better encoder is known"
    return Verdict.UNDECIDED, reached, gap, words


def _kept(game: SubspaceGame, F: np.ndarray) -> tuple[Verdict, tuple[int, ...]]:
    spectra = [np.linalg.svd(F @ C, compute_uv=False) for C in game.spans.factors]
    largest = max(float(s[0]) for s in spectra)
    kept = [(int((s > _KEPT * largest).sum()), int((s > _LOST * largest).sum())) for s in spectra]
    full = [rank <= low for rank, (low, _) in zip(game.ranks, kept, strict=True)]
    lossy = any(high < rank for rank, (_, high) in zip(game.ranks, kept, strict=True))
    verdict = Verdict.HOLDS if all(full) else Verdict.REFUTED if lossy else Verdict.UNDECIDED
    return verdict, tuple(low for low, _ in kept)
