"""The measurements themselves, in whatever process they are called: nothing here pins or sets anything."""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.bench.contestants import Contestant, chosen
from mcr2_landscape.bench.goals import inertia_goal, ratio_goal
from mcr2_landscape.bench.limits import Limit, products_of
from mcr2_landscape.bench.oracle import Oracle, difference
from mcr2_landscape.bench.peak import peak_bytes
from mcr2_landscape.bench.plan import BY_SHAPE, LIMIT, OURS, TOLERANCE, Plan
from mcr2_landscape.bench.points import make_point, make_problem
from mcr2_landscape.bench.timing import CLOCKS, Quartiles, in_turns, ratios
from mcr2_landscape.curvature import spectrum
from mcr2_landscape.landscape import inertia
from mcr2_landscape.mcr2 import MCR2
from mcr2_landscape.mcr2.forms import ByShape
from mcr2_landscape.mcr2.hessian import RateHessian
from mcr2_landscape.mcr2.rank_forms import LowRank
from mcr2_landscape.operators import SymmetricOperator
from mcr2_landscape.record import Record
from mcr2_landscape.verdict import Inertia

Say = Callable[[str], None]


@dataclass(frozen=True)
class Entry(Record):
    """One contestant at one point. **Fields:** `state`: "timed", "wrong", "failed" or "not installed", with the `reason` in
    words; `difference` from the oracle, relative; `about`, how it computes; `milliseconds` of a product, `ratio` to our own
    time (above one: slower than we are), round by round; `caches`, seconds to build what is kept at a point, compilation left
    out; `memory`, of a product of ours, in copies of Z (see `product_bytes`); `goal`, the least ratio that is aimed at, if
    any."""

    name: str
    state: str
    reason: str = ""
    about: str = ""
    difference: float | None = None
    milliseconds: Quartiles | None = None
    ratio: Quartiles | None = None
    caches: float | None = None
    memory: float | None = None
    goal: float | None = None

    _derived = ("kept",)

    @property
    def kept(self) -> bool | None:
        """Whether the goal is reached by the median."""
        return None if self.goal is None or self.ratio is None else self.ratio.median >= self.goal


@dataclass(frozen=True)
class PointResult(Record):
    """All contestants at one point. `form` is that of our default operator, `flops` of one of its products."""

    size: str
    shape: tuple[int, int, int]
    point: str
    form: str
    flops: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class InertiaResult(Record):
    """The complete inertia at one point: `unknowns` n, `seconds`, the counts, `regime` and `cost` in words, `memory` in copies
    of Z, and whether it is `right`: counts add up to n and nothing is undecided; at a critical point they are theory's,
    elsewhere the eigenvalues add up to the trace. `goal`: the most seconds that are aimed at, if any."""

    size: str
    shape: tuple[int, int, int]
    point: str
    unknowns: int
    seconds: Quartiles
    positive: int
    zero: int
    negative: int
    undecided: int
    regime: str
    cost: str
    memory: float | None
    right: bool
    goal: float | None


def measure(plan: Plan, say: Say, contestants: Sequence[Contestant] | None = None) -> dict[str, Any]:
    """All figures of a plan: `points` and `inertias`. `say` is told what is at work."""
    taking_part = chosen(plan.contestants) if contestants is None else tuple(contestants)
    points, inertias = [], []
    for size, shape in plan.sizes.items():
        problem = make_problem(*shape)
        for kind in plan.points:
            points.append(measure_point(problem, size, shape, kind, plan, taking_part, say))
            gc.collect()
            if plan.inertia and kind in ("low-rank", "critical"):
                say(f"{size}, {kind}: complete inertia")
                inertias.append(measure_inertia(problem, size, shape, kind, plan))
    return {"points": points, "inertias": inertias}


def measure_point(
    problem: MCR2,
    size: str,
    shape: tuple[int, int, int],
    kind: str,
    plan: Plan,
    contestants: Sequence[Contestant],
    say: Say,
) -> PointResult:
    """Compare every contestant with the oracle, and time those that are right, in turns."""
    say(f"{size}, {kind}: oracle")
    Z = make_point(problem, kind, plan.key)
    D = np.random.default_rng(plan.key + 1).standard_normal(problem.shape)
    expected = Oracle(problem, Z).product(D)
    H = problem.hessian(jnp.asarray(Z))
    calls: dict[str, Callable[[], object]] = {}
    entries: dict[str, Entry] = {}
    clock = CLOCKS[plan.clock]
    for contestant in contestants:
        if contestant.name == BY_SHAPE and H.form not in ("mid-rank", "low-rank"):
            continue  # it is our own default
        say(f"{size}, {kind}: {contestant.name}")
        entries[contestant.name], call = admit(contestant, problem, Z, D, expected, clock)
        if call is not None:
            calls[contestant.name] = call
    if OURS in calls:
        limit = limit_of(H, problem)
        limit.run()
        calls[LIMIT] = limit.run
        entries[LIMIT] = Entry(LIMIT, "timed", about=H.form)
    say(f"{size}, {kind}: {len(calls)} in turns, {plan.rounds} rounds")
    times = in_turns(calls, plan.rounds, plan.seconds, clock)
    quotients = ratios(times, OURS) if OURS in times else {}
    for name, own in times.items():
        milliseconds = Quartiles.of([1e3 * t for t in own])
        goal = ratio_goal(name, shape, kind, H.form)
        entries[name] = dataclasses.replace(entries[name], milliseconds=milliseconds, ratio=quotients.get(name), goal=goal)
    if OURS in calls:
        needed = product_bytes(H)
        entries[OURS] = dataclasses.replace(entries[OURS], memory=None if needed is None else needed / Z.nbytes)
    return PointResult(size, shape, kind, H.form, H.flops or 0, tuple(entries.values()))


def admit(
    contestant: Contestant,
    problem: MCR2,
    Z: np.ndarray,
    D: np.ndarray,
    expected: np.ndarray,
    clock: Callable[[], float],
) -> tuple[Entry, Callable[[], object] | None]:
    """A contestant's entry, and the call to be timed if its product is right."""
    if contestant.missing is not None:
        return Entry(contestant.name, "not installed", contestant.missing), None
    try:
        contestant.prepare(problem, Z)  # compiles
        began = clock()
        prepared = contestant.prepare(problem, Z)
        caches = clock() - began
        direction = prepared.give(D)
        found = np.asarray(prepared.take(prepared.multiply(direction)))
    except Exception as error:  # another library's, of any kind: the others still run
        if contestant.module is None:
            raise
        return Entry(contestant.name, "failed", f"{type(error).__name__}: {error}"[:200]), None
    off = difference(found, expected)
    if not off <= TOLERANCE:
        return Entry(contestant.name, "wrong", f"off by {off:.1e}, relative", prepared.about, off), None
    entry = Entry(contestant.name, "timed", "", prepared.about, off, caches=caches)
    return entry, lambda: prepared.multiply(direction)


def product_bytes(H: SymmetricOperator) -> int | None:
    """The memory of one product as the compiler lays it out: the operator and the direction, the result, and what is needed in
    between; `None` where it does not say."""
    direction = jax.ShapeDtypeStruct(H.shape, H.dtype)
    found = _product.lower(H, direction).compile().memory_analysis()
    if found is None:
        return None
    return found.argument_size_in_bytes + found.output_size_in_bytes + found.temp_size_in_bytes


@jax.jit
def _product(H: SymmetricOperator, D: jax.Array) -> jax.Array:
    return H.product(D)


def limit_of(H: RateHessian, problem: MCR2) -> Limit:
    """The limit of an operator's form."""
    factors, rank = H.factors, 0
    ranks: list[int] = []
    if not isinstance(factors, ByShape):
        ranks = np.asarray(factors.ranks).tolist()
    if isinstance(factors, LowRank):
        *ranks, rank = ranks
    return Limit(products_of(H.form, problem.dim, problem.parameters.widths, rank, ranks), H.dtype)


def measure_inertia(problem: MCR2, size: str, shape: tuple[int, int, int], kind: str, plan: Plan) -> InertiaResult:
    """Time the complete inertia at a point, from nothing but Z and without the help of theory."""
    Z = make_point(problem, kind, plan.key)
    clock = CLOCKS[plan.clock]
    found, grown = peak_bytes(lambda: inertia(problem, Z, theory=False))
    seconds = []
    for _ in range(3):
        began = clock()
        inertia(problem, Z, theory=False)
        seconds.append(clock() - began)
    counts = found.inertia
    right = counts.total == Z.size and counts.undecided == 0 and counts_as_expected(problem, Z, kind, counts)
    memory = None if grown is None else 1 + grown / Z.nbytes
    counted = (counts.positive, counts.zero, counts.negative, counts.undecided)
    return InertiaResult(
        size, shape, kind, Z.size, Quartiles.of(seconds), *counted, found.regime, found.cost, memory, right, inertia_goal(shape)
    )


def counts_as_expected(problem: MCR2, Z: np.ndarray, kind: str, counts: Inertia) -> bool:
    """Whether counts are those of theory at a critical point, elsewhere those of eigenvalues that add up to the trace."""
    if kind == "critical":
        known = inertia(problem, Z).inertia
        return known == counts
    whole = spectrum(problem, Z)
    total, trace = float(whole.eigenvalues @ whole.multiplicities), Oracle(problem, Z).trace()
    positive = int(whole.multiplicities[whole.eigenvalues > whole.error].sum())
    return abs(total - trace) <= 1e-10 * float(np.abs(whole.eigenvalues) @ whole.multiplicities) and positive == counts.positive
