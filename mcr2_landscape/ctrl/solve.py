"""An equilibrium of the game: an encoder of the largest value that is known, and the decoder that answers it.

The decoder's best responses give every encoder its own Q (see `responses`), so that the equilibria are the maximizers of Q over
the constraint set, each with a best response. For independent classes whose optimal directions fit into d_z dimensions they are
written down; otherwise the library's own search climbs from many starts, the best few of which go on by Newton's method where
gradients have not been enough, and the upper bound of `optimum` says whether what it found is the best. Source: docs/ctrl.md;
the games are those of Pai, Psenka, Chiu, Wu, Dobriban, Ma (arXiv 2206.09120).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape import memory
from mcr2_landscape.ctrl import values
from mcr2_landscape.ctrl.optimum import upper_bound
from mcr2_landscape.landscape import Ascent, ascend
from mcr2_landscape.landscape.progress import Progress
from mcr2_landscape.randomness import generator
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, positive_integer
from mcr2_landscape.verdict import Verdict

if TYPE_CHECKING:
    from mcr2_landscape.ctrl.game import SubspaceGame

NUM_STARTS = 24
_SUBSETS = 4  # classes up to which every set of collapsed ones is a start
_RTOL = 1e-11
_FIRST, _LAST = 500, 5000  # gradients of an ascent at most, and of all that go on
_AGAIN = 3  # ascents that go on, by Newton's method
_SAME = 1e-10  # of the value: of two ends this near the one that has converged counts
_LEAST = 60
_WORK = 1.6e10  # some two minutes' worth: multiplications of the matrices, one a class, that all gradients take
_RANK = 1e-6  # of the largest singular value of all f(X_j): what ascent has not brought to zero exactly
_HIDDEN = 1e-6  # of the upper bound: a larger rounding decides nothing


@dataclass(frozen=True)
class Equilibrium(Record):
    """An encoder `F` (d_z, d_x), and `G` (d_x, d_z), its pseudo-inverse, a best response.

    **Fields:** `value`: the encoder's utility. `upper_bound`: no encoder exceeds it; `gap`: what is missing; `tolerance`: what
    of the gap rounding explains. `verdict` on optimality: holds where the gap is within it, undecided otherwise; `decided`:
    whether it holds. `multiplicities`: the dimensions of each class that the encoder keeps. `feasibility`: ‖F X_j‖²/n_j, shape
    (K,). `response_error`: max_j ‖M P_j Mᵀ − P_j‖/‖P_j‖. `num_starts` of a search, 0 for the closed form; `converged`: whether
    the highest ascent has come to a critical point, and `gradient` its relative gradient norm there (`None` for the closed
    form); `interrupted`: Ctrl-C ended it early. `reason`: in words.
    """

    F: np.ndarray = field(repr=False, metadata={"json": False})
    G: np.ndarray = field(repr=False, metadata={"json": False})
    value: float
    upper_bound: float
    gap: float
    tolerance: float
    verdict: Verdict
    multiplicities: tuple[int, ...]
    feasibility: np.ndarray
    response_error: float
    num_starts: int
    converged: bool
    reason: str
    interrupted: bool = False
    gradient: float | None = None

    _derived = ("decided",)

    @property
    def decided(self) -> bool:
        """Whether `value` is the optimum."""
        return self.verdict is Verdict.HOLDS


def check_memory(dim: int, ambient_dim: int, samples: int = 0) -> None:
    """Refuse a d_z whose matrices do not fit into memory: of (d_z, d_z), of both players, and of so many samples' codes.

    **Raises:** `InputError`.
    """
    needed = 8 * dim * (5 * dim + 8 * ambient_dim + 4 * samples)
    memory.require("dim", float(needed), "pass a smaller d_z: Σ r_j dimensions hold all classes")


def value_of_encoder(game: SubspaceGame, F: np.ndarray) -> float:
    """Q(F) on the host, from singular values."""
    return values.expressiveness(game.spans.factors, game.sizes, game.dim, game.epsilon, F)


def value_tolerance(game: SubspaceGame, value: float) -> float:
    """What rounding explains in Q near its maximum: that of F's entries, and that of the two rates whose difference it is."""
    room, a = min(game.dim, sum(game.ranks)), game.dim / game.epsilon**2
    rates = 0.5 * room * float(np.log1p(a / room))
    size = (
        rates
        if max(1 / game.spans.proportions) * a > values.SMALL
        else 8 * upper_bound(game.sizes, game.ranks, game.dim, game.epsilon)
    )
    return (1e-12 + 8 * game.spans.rounding) * max(size, value)


def judged(gap: float, tolerance: float, bound: float) -> Verdict:
    """Whether a value with that gap to an upper bound is optimal: undecided as well where rounding hides much of the bound."""
    return Verdict.HOLDS if gap <= tolerance <= _HIDDEN * bound else Verdict.UNDECIDED


def solve(
    game: SubspaceGame, *, key: Any, num_starts: int = NUM_STARTS, progress: bool | Callable[[int, int, int], None] = False
) -> Equilibrium:
    """See `SubspaceGame.solve`."""
    num_starts = positive_integer("num_starts", num_starts)
    if not isinstance(progress, bool) and not callable(progress):
        raise InputError(f"progress: found {progress!r}; pass True, False, or a function of (done, total, done)")
    random = generator(key)
    if not game.spans.independent:
        found = _searched_dependent(game, random, num_starts, progress)
        return _made(game, found, f"the classes are dependent: {game.spans.describe_overlap()}")
    best = game.optimum()
    if best.decided:
        F = game.encoder_of(orthogonal_coefficients(game, best.multiplicities, random))
        return _made(game, _End(F, 0, True, False), f"closed form: {best.reason}")
    return _made(game, _searched(game, best.multiplicities, random, num_starts, progress), best.reason)


def orthogonal_coefficients(game: SubspaceGame, multiplicities: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    """A (d_z, Σ r_j) with mutually orthogonal classes of m_j singular values √(n_j/m_j), in random orthonormal frames."""
    total = sum(multiplicities)
    left = np.linalg.qr(random.standard_normal((game.dim, total)))[0] if total else np.zeros((game.dim, 0))
    blocks, start = [], 0
    for m, rank, size in zip(multiplicities, game.ranks, game.sizes, strict=True):
        right = np.linalg.qr(random.standard_normal((rank, m)))[0] if m else np.zeros((rank, 0))
        scale = np.sqrt(size / m) if m else 0.0
        blocks.append(scale * left[:, start : start + m] @ right.T)
        start += m
    return np.concatenate(blocks, axis=1)


class _End(NamedTuple):
    """What a search came to: the highest point, how many ascents there were, whether the highest has converged, and whether
    Ctrl-C cut them short."""

    point: np.ndarray
    num_starts: int
    converged: bool
    interrupted: bool
    gradient: float | None = None


def _made(game: SubspaceGame, found: _End, reason: str) -> Equilibrium:
    F, num_starts = found.point, found.num_starts
    value, bound = value_of_encoder(game, F), upper_bound(game.sizes, game.ranks, game.dim, game.epsilon)
    tolerance = value_tolerance(game, value)
    feasibility = game.feasibility(F)
    responses = game.best_response(F)
    optimal = judged(bound - value, tolerance, bound) if feasibility.max() <= 1 + 1e-9 else Verdict.UNDECIDED
    if num_starts:
        reason = f"the best of {num_starts} starts; {reason}"
        gap = f"{bound - value:.3g} below the upper bound, which may not be attained"
        reason += "; it closes the gap to the upper bound" if optimal is Verdict.HOLDS else f"; {gap}: not proved optimal"
        if not found.converged:
            reason += "; its ascent has not converged, so that it is near a critical point at best"
    elif optimal is Verdict.UNDECIDED:
        reason += f", but rounding of F's entries, which X's singular values make large, leaves {bound - value:.3g} of it open"
    error = game.response_error(F, responses.decoder)
    return Equilibrium(
        F,
        responses.decoder,
        value,
        bound,
        bound - value,
        tolerance,
        optimal,
        kept_dimensions(game, F),
        feasibility,
        error,
        num_starts,
        found.converged,
        reason,
        found.interrupted,
        found.gradient,
    )


def kept_dimensions(game: SubspaceGame, F: np.ndarray, rtol: float = _RANK) -> tuple[int, ...]:
    """rank f(X_j) of each class, to `rtol` of the largest singular value of all."""
    spectra = [np.linalg.svd(F @ C, compute_uv=False) for C in game.spans.factors]
    largest = max(float(s[0]) for s in spectra)
    return tuple(int((s > rtol * largest).sum()) for s in spectra)


class _Budget(NamedTuple):
    """Gradients of each ascent, of all together that go on, and starts with a single collapsed class."""

    first: int
    last: int
    collapsed: int


def _budget(num_classes: int, size: int, num_starts: int) -> _Budget:
    """What a search may cost whose gradients multiply a matrix (size, size) a class: less of everything where each takes long,
    but for the starts that were asked for."""
    gradients = int(_WORK / (num_classes * size**3))
    collapsed = min(num_classes, max(2, gradients // (2 * _FIRST)))
    each = gradients // (2 * (1 + collapsed + num_starts))
    return _Budget(min(_FIRST, max(_LEAST, each)), min(_LAST, max(_FIRST, gradients // 2)), collapsed)


def _collapses(num_classes: int, most: int, random: np.random.Generator) -> Iterator[tuple[bool, ...]]:
    """Which classes are left, for starts with collapsed ones: all proper subsets of a few classes, else those without one, at
    most `most` of them."""
    if num_classes <= _SUBSETS:
        yield from (kept for kept in itertools.product((True, False), repeat=num_classes) if any(kept) and not all(kept))
    else:
        for j in random.permutation(num_classes)[:most]:
            yield tuple(i != j for i in range(num_classes))


def _searched(
    game: SubspaceGame, allocated: tuple[int, ...], random: np.random.Generator, num_starts: int, progress: Any
) -> _End:
    """The best of ascents on the balls: from the best orthogonal encoder, with classes collapsed (a zero class stays so), and
    from random starts."""
    problem, K = game.reduced("balls"), len(game.sizes)
    budget = _budget(K, game.dim, num_starts)
    starts = [orthogonal_coefficients(game, allocated, random)]
    for kept in _collapses(K, budget.collapsed, random):
        start = problem.random_starts(random, 1)[0]
        for block, keep in zip(problem.parameters.blocks(start), kept, strict=True):
            block *= keep
        starts.append(start)
    starts += list(problem.random_starts(random, num_starts))
    end = _best(problem, starts, budget, progress)
    return end._replace(point=game.encoder_of(end.point))


def _searched_dependent(game: SubspaceGame, random: np.random.Generator, num_starts: int, progress: Any) -> _End:
    """The best of ascents over F on Col X, on the product of ellipsoids with slack."""
    problem, K = game.landscape(), len(game.sizes)
    rank = problem.span.shape[1]
    budget = _budget(K, rank + K, num_starts)
    starts = []
    for kept in ((True,) * K, *_collapses(K, budget.collapsed, random)):
        # a generic encoder that maps the collapsed classes to zero, as far as anything is left of the others
        gone = [C for C, keep in zip(problem.factors, kept, strict=True) if not keep]
        inside = random.standard_normal((game.dim, rank))
        if gone:
            U, s, _ = np.linalg.svd(np.concatenate(gone, axis=1), full_matrices=False)
            U = U[:, s > 1e-10 * s[0]]
            inside -= inside @ U @ U.T
        if np.linalg.norm(inside) > 1e-8:
            starts.append(inside)
    starts += list(10 ** random.uniform(-1, 1, size=(num_starts, 1, 1)) * random.standard_normal((num_starts, game.dim, rank)))
    scale = np.sqrt(max(game.sizes)) / np.linalg.norm(np.concatenate(problem.factors, axis=1))
    # inside the set: a slack vector that is zero stays so
    points = [problem.point(random.uniform(0.5, 0.97) * game.projection(scale * start @ problem.span.T).F) for start in starts]
    end = _best(problem.landscape, points, budget, progress)
    return end._replace(point=game.projection(problem.encoder(end.point)).F)


def _best(landscape: Any, starts: list[np.ndarray], budget: _Budget, progress: Any) -> _End:
    """The highest end of ascents. Where that has not converged after its gradients, the highest few go on by Newton's method,
    which a curved ridge does not slow down, and the highest of them once more by gradients."""
    ends: list[Ascent] = []
    interrupted, done = False, 0
    with Progress.of(progress, len(starts), "climbing") as bar:
        try:
            for start in starts:
                ends.append(ascend(landscape, start, rtol=_RTOL, max_steps=budget.first))
                if ends[-1].interrupted:
                    interrupted = True
                    break
                done += 1
                bar.update(done, done)
                ends = _highest(ends)
            if not ends[0].converged and not interrupted:
                interrupted = _continued(landscape, ends, budget.last // (_AGAIN + 1))
        except KeyboardInterrupt:
            interrupted = True
    if not ends:
        return _End(_feasible(landscape, starts[0]), done, False, interrupted)
    best = _highest(ends)[0]
    return _End(_feasible(landscape, best.point), done, best.converged, interrupted, best.relative_gradient_norm)


def _highest(ends: list[Ascent]) -> list[Ascent]:
    """The few highest, the first of them converged if there is such a one at the same height."""
    ends = sorted(ends, key=lambda end: -end.value)[:_AGAIN]
    least = ends[0].value - _SAME * abs(ends[0].value)
    return sorted(ends, key=lambda end: not (end.converged and end.value >= least))


def _continued(landscape: Any, ends: list[Ascent], each: int) -> bool:
    """Let the ends go on in place; whether Ctrl-C ended that."""
    for number, end in enumerate(ends):
        if not end.converged:
            ends[number] = ascend(landscape, end.point, method="newton-cg", rtol=_RTOL, max_steps=max(1, each))
            if ends[number].interrupted:
                return True
    ends[:] = _highest(ends)
    if not ends[0].converged:
        ends[0] = ascend(landscape, ends[0].point, rtol=_RTOL, max_steps=max(1, each))
    return ends[0].interrupted


def _feasible(landscape: Any, point: np.ndarray) -> np.ndarray:
    with jax.enable_x64(True):
        return np.array(landscape.constraint.project(jnp.asarray(point)))
