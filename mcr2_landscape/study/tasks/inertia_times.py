"""How long the complete inertia takes, from nothing but the point, beside eigenvalues of its core and of the dense Hessian."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from mcr2_landscape.study.tasks.timings import WrongResult, spreads

if TYPE_CHECKING:
    from mcr2_landscape.verdict import Inertia


@dataclass(frozen=True, kw_only=True)
class InertiaTimes:
    """CPU seconds on one core, after compilation: the least, the median and the most of `repeats` rounds.

    **Fields:** `unknowns` n = d m; `core`, r Σ r_k, the rows of the core that the exact reduction leaves, by the ranks that it
    finds; the counts `positive`, `zero` and `negative`, which have been found right; `regime`, by which way; `inertia_…`;
    `eigenvalues_…`, of a symmetric matrix as large as the core, made by LAPACK; `dense_…`, of the dense Hessian and its
    eigenvalues, `None` beyond `dense_limit` unknowns; `peak`, bytes of Z and what the process grew by at most, `None` where the
    system does not say.
    """

    unknowns: int
    core: int
    positive: int
    zero: int
    negative: int
    regime: str
    repeats: int
    inertia_low: float
    inertia_middle: float
    inertia_high: float
    eigenvalues_low: float
    eigenvalues_middle: float
    eigenvalues_high: float
    dense_low: float | None
    dense_middle: float | None
    dense_high: float | None
    peak: float | None


def inertia_times(
    *,
    dim: int,
    samples: int,
    classes: int,
    point: Literal["low-rank", "critical"] = "low-rank",
    dense_limit: int = 1100,
    rounds: int = 5,
    seed: int,
) -> InertiaTimes:
    """Time the complete inertia without the help of theory.

    **Arguments:** `dim` (d), `samples` (m) and `classes` (K), of equal size or nearly so; `point`, one of the kinds of the
    benchmark; `dense_limit`: up to how many unknowns the dense Hessian is timed too.

    **Raises:** `InputError` for numbers out of range; `WrongResult` where counts are undecided or not those of theory, or do
    not agree with the trace or the dense Hessian.
    """
    import numpy as np
    import scipy.linalg

    from mcr2_landscape.bench.measure import counts_as_expected
    from mcr2_landscape.bench.peak import peak_bytes
    from mcr2_landscape.bench.plan import Plan
    from mcr2_landscape.bench.points import make_point, make_problem
    from mcr2_landscape.landscape import inertia

    shape = dim, samples, classes
    Plan(sizes={"this": shape}, points=(point,), rounds=rounds, key=seed)  # refuses what is out of range
    problem = make_problem(*shape)
    Z = make_point(problem, point, seed)
    inertia(problem, Z, theory=False)  # what compiling takes would count as memory
    found, grown = peak_bytes(lambda: inertia(problem, Z, theory=False))
    counts: Inertia = found.inertia
    if counts.total != Z.size or counts.undecided or not counts_as_expected(problem, Z, point, counts):
        raise WrongResult(f"the counts {counts.positive}, {counts.zero}, {counts.negative} of {Z.size} are wrong or undecided")
    core = found.rank * sum(found.ranks)
    matrix = np.random.default_rng(seed).standard_normal((core, core))
    matrix += matrix.T
    calls = {
        "inertia": lambda: inertia(problem, Z, theory=False),
        "eigenvalues": lambda: scipy.linalg.eigvalsh(matrix, check_finite=False),
    }
    calls["eigenvalues"]()
    dense = Z.size <= dense_limit
    if dense:
        calls["dense"] = lambda: scipy.linalg.eigvalsh(problem.hessian_matrix(Z), check_finite=False)
        values = np.asarray(calls["dense"]())
        tolerance = 1e-10 * float(np.abs(values).max())
        signs = int((values > tolerance).sum()), int((values < -tolerance).sum())
        counted = counts.positive, counts.negative
        if signs != counted:
            raise WrongResult(f"the dense Hessian has {signs} eigenvalues of either sign, not {counted}")
    times: dict[str, Any] = dict.fromkeys(("dense_low", "dense_middle", "dense_high")) | spreads(calls, rounds)
    return InertiaTimes(
        unknowns=Z.size,
        core=core,
        positive=counts.positive,
        zero=counts.zero,
        negative=counts.negative,
        regime=found.regime,
        repeats=rounds,
        **times,
        peak=None if grown is None else float(Z.nbytes + grown),
    )
