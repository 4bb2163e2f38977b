"""What the checks of the games share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcr2_landscape.claims import Part, Run
from mcr2_landscape.claims.claim import Role
from mcr2_landscape.verdict import Evidence, Verdict

_STRENGTH = (Evidence.NUMERICAL, Evidence.EXACT, Evidence.CERTIFIED)


def refuting(run: Run, name: str, facts: Sequence[Part] = ()) -> list[Part]:
    """One part that refutes if every case of the claim is proved and every fact holds, followed by these: a counter-example is
    one only together with all that it rests on."""
    parts = run.certify(essential=False)
    wanted = [Verdict.REFUTED if case.role is Role.COUNTER_EXAMPLE else Verdict.HOLDS for case in run.claim.cases]
    proved = bool(parts) and all(part.verdict is verdict for part, verdict in zip(parts, wanted, strict=True))
    proved = proved and all(fact.verdict is Verdict.HOLDS for fact in facts)
    evidence = min((part.evidence for part in (*parts, *facts)), key=_STRENGTH.index, default=Evidence.NUMERICAL)
    if proved:
        shown = [case.words for case in run.claim.cases if case.role is Role.COUNTER_EXAMPLE]
        shown = shown or [case.words for case in run.claim.cases]
        words = " ".join([*shown, *(fact.summary for fact in facts)])
        return [Part(name, Verdict.REFUTED, evidence, words, {"steps": len(parts) + len(facts)}), *parts, *facts]
    open_parts = [
        part.summary
        for part, verdict in zip((*parts, *facts), (*wanted, *[Verdict.HOLDS] * len(facts)), strict=True)
        if part.verdict is not verdict
    ]
    words = " ".join(open_parts) or "There is nothing to look at."
    return [Part(name, Verdict.UNDECIDED, evidence, words), *parts, *facts]


def fact(name: str, true: bool, evidence: Evidence, words: str) -> Part:
    """Something that has been found true, or not."""
    return Part(name, Verdict.HOLDS if true else Verdict.UNDECIDED, evidence, words, {}, essential=False)


def log_det(B: np.ndarray) -> float:
    """logdet of a positive definite matrix."""
    return float(np.linalg.slogdet(B)[1])


def random_factors(random: np.random.Generator, ambient: int, ranks: Sequence[int]) -> list[np.ndarray]:
    """Independent classes in general position, C_j (d_x, r_j), singular values over about a decade."""
    found = []
    for rank in ranks:
        U = np.linalg.qr(random.standard_normal((ambient, rank)))[0]
        found.append(U * 10 ** random.uniform(-0.3, 0.7, size=rank))
    return found


def samples_of(
    factors: Sequence[np.ndarray], sizes: Sequence[int], random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Labeled samples (n, d_x) whose classes have these factors."""
    rows, labels = [], []
    for j, (C, size) in enumerate(zip(factors, sizes, strict=True)):
        V = np.linalg.qr(random.standard_normal((size, C.shape[1])))[0]
        rows.append(V @ C.T)
        labels += [j] * size
    return np.concatenate(rows), np.array(labels)
