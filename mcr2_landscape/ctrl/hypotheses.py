"""What the theorem on the game's equilibria assumes of the data, each with how far it is from failing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mcr2_landscape.ctrl.multiplicity import capacity_of, full_rank_threshold, optimal_multiplicity
from mcr2_landscape.ctrl.spans import Spans
from mcr2_landscape.record import Record
from mcr2_landscape.verdict import Verdict

_ROUNDING = 1e-10


@dataclass(frozen=True)
class Hypothesis(Record):
    """One hypothesis on the data.

    **Fields:** `name`; `statement` in formulas; `verdict`: holds, refuted, or undecided where the margin is within rounding
    (independence counts as refuted where float64 sees no margin at all, below 1e-10: dependent classes look like that);
    `margin`: positive where it holds, in the unit that `statement` names; `class_name`: the class that decides it, where one
    does; `detail`: in words.
    """

    name: str
    statement: str
    verdict: Verdict
    margin: float
    class_name: str | None
    detail: str


def hypotheses_of(spans: Spans, dim: int, epsilon: float) -> tuple[Hypothesis, ...]:
    """Independence, dimension (as recalled of the paper, and exact) and precision (as recalled, and exact)."""
    return (
        _independence(spans),
        _dimension(spans, dim),
        _exact_dimension(spans, dim, epsilon),
        _recalled_precision(spans, dim, epsilon),
        _exact_precision(spans, dim, epsilon),
    )


def _verdict(margin: float, rounding: float = _ROUNDING) -> Verdict:
    if abs(margin) <= rounding:
        return Verdict.UNDECIDED
    return Verdict.HOLDS if margin > 0 else Verdict.REFUTED


def _independence(spans: Spans) -> Hypothesis:
    margin = spans.independence
    if spans.independent:
        K = len(spans.sizes)
        i, j = divmod(int((spans.cosines - 2 * np.eye(K)).argmax()), K)
        words = f"the smallest principal angle is {spans.angle(i, j):.3g}°, between {spans.names[i]} and {spans.names[j]}"
    else:
        words = spans.describe_overlap()
    verdict = _verdict(margin)
    if verdict is Verdict.HOLDS and not spans.independent:
        verdict = Verdict.UNDECIDED
        words = f"the margin is within the {spans.blur:.1g} that rounding of X's entries may move the subspaces by; {words}"
    elif verdict is Verdict.UNDECIDED:  # exactly dependent classes look like this, and no others but by accident
        verdict, margin = Verdict.REFUTED, 0.0
    statement = "rank X = Σ r_j, to rounding (smallest singular value of [U_1 … U_K])"
    return Hypothesis("independence", statement, verdict, margin, None, words)


def _dimension(spans: Spans, dim: int) -> Hypothesis:
    total = sum(spans.ranks)
    words = f"the ranks add up to {total}, d_z = {dim}"
    verdict = Verdict.HOLDS if dim >= total else Verdict.REFUTED
    return Hypothesis("dimension, as recalled", "d_z ≥ Σ r_j (difference)", verdict, float(dim - total), None, words)


def _exact_dimension(spans: Spans, dim: int, epsilon: float) -> Hypothesis:
    n = sum(spans.sizes)
    found = [
        optimal_multiplicity(n, rank, float(gamma), dim, epsilon)
        for rank, gamma in zip(spans.ranks, spans.proportions, strict=True)
    ]
    pairs = [(own.multiplicity, own.multiplicity if own.tied is None else own.tied) for own in found]
    least, needed = sum(map(min, pairs)), sum(map(max, pairs))
    words = f"the optimal multiplicities add up to {needed}, d_z = {dim}"
    verdict = Verdict.HOLDS if dim >= needed else Verdict.REFUTED
    if least <= dim < needed:  # which of two numbers of directions is the better one is within rounding
        verdict, words = Verdict.UNDECIDED, f"the optimal multiplicities add up to {least} to {needed}, d_z = {dim}"
    return Hypothesis("dimension, exact", "d_z ≥ Σ m*_j (difference)", verdict, float(dim - needed), None, words)


def _recalled_precision(spans: Spans, dim: int, epsilon: float) -> Hypothesis:
    ratios = [
        capacity_of(float(gamma), dim, epsilon) / rank for gamma, rank in zip(spans.proportions, spans.ranks, strict=True)
    ]
    worst = int(np.argmin(ratios))
    margin = float(np.log(ratios[worst]))
    words = f"ε⁴ r_j²/(γ_j d_z²) is {ratios[worst] ** -2:.4g} for class {spans.names[worst]}, at most 1 asked for"
    # the hypothesis holds at equality; only rounding leaves it open
    verdict = _verdict(margin)
    statement = "ε⁴ ≤ γ_j d_z²/r_j² (log of N_j/r_j)"
    return Hypothesis("precision, as recalled", statement, verdict, margin, str(spans.names[worst]), words)


def _exact_precision(spans: Spans, dim: int, epsilon: float) -> Hypothesis:
    statement = "N_j/r_j > ρ_{r_j}(γ_j) or r_j = 1, N_j = (d_z/ε²)√γ_j (log of the quotient)"
    margins = []
    for gamma, rank in zip(spans.proportions, spans.ranks, strict=True):
        threshold = full_rank_threshold(rank, float(gamma))
        ratio = capacity_of(float(gamma), dim, epsilon) / rank
        margins.append(np.inf if rank == 1 else float(np.log(ratio / threshold)))
    worst = int(np.argmin(margins))
    margin = margins[worst]
    rank, gamma = spans.ranks[worst], float(spans.proportions[worst])
    if rank == 1:
        words = "every class has rank one and is kept"
    else:
        threshold = full_rank_threshold(rank, gamma)
        ratio = capacity_of(gamma, dim, epsilon) / rank
        words = f"N_j/r_j = {ratio:.6g} for class {spans.names[worst]}, more than {threshold:.6g} needed to keep all of it"
    return Hypothesis("precision, exact", statement, _verdict(margin), margin, str(spans.names[worst]), words)
