"""How many directions lead up, how many down, how many nowhere: the inertia of the Hessian at a point."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape import closed_form
from mcr2_landscape.curvature import eigenpairs, exact
from mcr2_landscape.curvature.orbit import orthogonal_orbit
from mcr2_landscape.curvature.parts import core_operator, outside_operator
from mcr2_landscape.curvature.signs import SignBracket, sign_bracket
from mcr2_landscape.curvature.space import Span
from mcr2_landscape.landscape.admission import admitted_point
from mcr2_landscape.landscape.inertia import (
    EPS,
    SignCount,
    count_signs,
    curvature_scale,
    hessian_change,
    normals_of,
    orbit_basis,
    orbit_dimension,
)
from mcr2_landscape.memory import available
from mcr2_landscape.record import Record
from mcr2_landscape.reduction import Part, Reduction
from mcr2_landscape.validation import InputError, positive_integer, positive_real
from mcr2_landscape.verdict import Inertia

Bracket = tuple[int, int]
_DENSE_ORBIT = 2000  # unknowns up to which a basis of the orbit's tangent space is made: its generators are as many
_SHARE = 0.4  # of the available memory, for the rows of a Lanczos run


@dataclass(frozen=True)
class InertiaCount(Record):
    """The inertia at a point, as far as it is decided.

    **Fields:** `inertia`: what is decided; its `zero` are the eigenvalues that are proved zero at the critical point nearby, by
    theory or by the symmetry orbit; none away from critical points. `positive`, `zero`, `negative`: (at least, at most) of
    each. `tolerance`: what an eigenvalue had to exceed to have a sign, of which `truncation` is Weyl's bound on what singular
    values that count as zero may change; `failure`: the probability that random starts misled (0 where none were used).
    `regime`: "closed form", "dense core", "dense" or "block Lanczos"; `cost`: what was computed, in words. `top_eigenvalue`
    and `bottom_eigenvalue`: the largest and the smallest seen. `family`: the label of the theory's critical points that the
    point belongs to. `rank`, `ranks`: of Z and its class blocks, `cut` the largest singular value that counted as zero; `None`
    for landscapes without class blocks. `reason`: in words, what the numbers rest on and what is open. (`sharp`: the tolerance
    is that of rounding alone; `conflict`: more zeros are proved than seen.)
    """

    inertia: Inertia
    positive: Bracket
    zero: Bracket
    negative: Bracket
    tolerance: float
    truncation: float
    failure: float
    regime: str
    cost: str
    reason: str
    top_eigenvalue: float | None = None
    bottom_eigenvalue: float | None = None
    family: str | None = None
    rank: int | None = None
    ranks: tuple[int, ...] | None = None
    cut: float | None = None
    sharp: bool = field(default=True, repr=False, metadata={"json": False})
    conflict: bool = field(default=False, repr=False, metadata={"json": False})

    _derived = ("decided",)

    @property
    def decided(self) -> bool:
        """Whether all three numbers are known."""
        return all(low == high for low, high in (self.positive, self.zero, self.negative))


@dataclass(frozen=True)
class Look:
    """A point at first sight: value, gradient, how critical it is, its reduction, the family that theory recognizes with the
    distance to it, how far a critical point may be at all (0 where that is not known), and the reduction less the singular
    values that may be noise at that distance."""

    point: np.ndarray
    value: float
    gradient_norm: float
    relative: float
    rtol: float
    reduction: Reduction | None
    known: tuple[Any, float] | None
    reach: float = 0.0
    settled: Reduction | None = None

    @property
    def critical(self) -> bool:
        """Whether the gradient counts as zero."""
        return self.relative <= self.rtol


def look_at(landscape: Any, Z: Any, rtol: float, truncation: float | None = None) -> Look:
    """Evaluate the landscape at Z, in reduced coordinates where it has them.

    **Raises:** `InputError` for a wrong shape, NaN, float32, an infeasible point, or one where the landscape is not finite.
    """
    rtol = positive_real("rtol", rtol)
    Z = admitted_point(landscape, Z)
    reduction = exact.reduce(landscape, Z, truncation) if hasattr(landscape, "reduction") else None
    if reduction is None:
        value, gradient, scale = landscape.evaluate(Z)
    else:
        small, rows = exact.small_point(reduction)
        value = closed_form.value(small, rows)
        gradient, scale = closed_form.gradient_and_scale(small, rows)
    if not np.isfinite(value) or not np.isfinite(gradient).all():
        raise InputError("Z: the landscape's value or gradient is not finite there; classify a point inside its domain")
    norm = float(np.linalg.norm(gradient))
    relative = norm / scale if scale > 0 else (0.0 if norm == 0 else np.inf)
    if scale > 0:  # below this the rounding of the entries of Z alone explains the gradient
        rtol = max(rtol, 8 * EPS * curvature_scale(landscape) * float(np.linalg.norm(Z)) / scale)
    known, reach, settled = None, 0.0, reduction
    if relative <= rtol and reduction is not None:
        # Singular values that a critical point nearby does not have: on u vᵀ with u beyond U and v beyond V_k the gradient is
        # −lambda times them, elsewhere more.
        reach = 2 * norm / landscape.parameters.regularization
        settled = reduction.settled(reach)
        known = exact.recognized(landscape, Z, settled)
    return Look(Z, value, norm, relative, rtol, reduction, known, reach, settled)


def inertia(
    landscape: Any,
    Z: Any,
    *,
    rtol: float = 1e-8,
    theory: bool = True,
    truncation: float | None = None,
    dense_limit: int = exact.DENSE_LIMIT,
    max_products: int = 400,
    key: Any = 0,
) -> InertiaCount:
    """Count the Hessian's eigenvalues at Z by sign.

    The first of three ways that serves is taken; `regime` and `cost` say which. At a point that theory recognizes as critical:
    its exact index and nullity. For an `MCR2` otherwise: the exact reduction to a core of r Σ r_k rows and smaller blocks,
    dense up to `dense_limit` rows (where many singular values are small, after cutting them off within a rigorous bound).
    Beyond: brackets from block Lanczos on the core, the other blocks still counted exactly. Landscapes without class blocks:
    dense, or brackets. Away from critical points the counts are those of the Hessian at Z, near-zero eigenvalues being
    undecided; where the relative gradient norm is at most `rtol`, those of the critical point nearby. Host function in float64,
    deterministic for a given key.

    **Arguments:** `landscape`, `Z`, `rtol`: as for `classify`. `theory`, `truncation`: as for `spectrum`. `max_products`:
    Hessian products for each bracket.

    **Raises:** `InputError` for a wrong shape, NaN, float32 (whose rounding can turn a sign), an infeasible point, or numbers
    out of range.
    """
    dense_limit = positive_integer("dense_limit", dense_limit)
    max_products = positive_integer("max_products", max_products, minimum=2)
    look = look_at(landscape, Z, rtol, truncation)
    if theory and look.known is not None:
        assert look.settled is not None
        found = _from_theory(landscape, look, look.settled)
        if found is not None:
            return found
    look = dataclasses.replace(look, known=None)
    return count(landscape, look, truncation=truncation, dense_limit=dense_limit, max_products=max_products, key=key)


def count(
    landscape: Any, look: Look, *, truncation: float | None, dense_limit: int, max_products: int, key: Any
) -> InertiaCount:
    """The numerical count, with no help from theory except that what is cross-checked with it afterwards may be counted more
    sharply."""
    if look.reduction is None:
        if look.point.size <= dense_limit:
            return _from_spectrum(landscape, look, exact.spectrum(landscape, look.point, dense_limit=dense_limit))
        return _from_products(landscape, look, max_products, key)
    reduction = look.reduction
    if look.settled is not None and exact.core_size(reduction) > dense_limit:
        reduction = look.settled
    reduction, bound = exact.fitted(landscape, reduction, truncation, dense_limit)
    if exact.core_size(reduction) <= dense_limit:
        return _from_spectrum(landscape, look, exact.dense_core_spectrum(landscape, reduction, bound), reduction)
    return _from_parts(landscape, look, reduction, bound, dense_limit, max_products, key)


def _from_theory(landscape: Any, look: Look, reduction: Reduction) -> InertiaCount | None:
    """The exact inertia of the family, unless another one may be as near: its closed form says how far its signs reach."""
    family, distance = look.known or (None, 0.0)
    assert family is not None
    n = look.point.size
    found = Inertia(family.index, family.nullity, n - family.index - family.nullity)
    exactly = exact.closed_form_spectrum(landscape, reduction, family, distance)
    if exactly is not None:
        signed = np.abs(exactly.eigenvalues[exactly.eigenvalues != 0])
        if exactly.error > 0.5 * float(signed.min(initial=np.inf)):
            return None
    ends = (None, None) if exactly is None else (float(exactly.eigenvalues[-1]), float(exactly.eigenvalues[0]))
    return InertiaCount(
        found,
        (found.positive, found.positive),
        (found.zero, found.zero),
        (found.negative, found.negative),
        0.0,
        0.0,
        0.0,
        "closed form",
        f"index and nullity of {family.label}",
        f"exact index {family.index} and nullity {family.nullity} of {family.label}, {distance:.1e} away",
        *ends,
        family=family.label,
        **_ranks(reduction),
    )


def _ranks(reduction: Reduction | None) -> dict[str, Any]:
    if reduction is None:
        return {}
    return {"rank": reduction.rank, "ranks": reduction.ranks, "cut": reduction.factors.cut}


def _proved(landscape: Any, look: Look) -> int:
    """Zeros that the symmetry orbit proves at the critical point nearby."""
    if not look.critical:
        return 0
    return orbit_dimension(landscape, look.point) if look.settled is None else look.settled.orbit_dimension(look.reach)


def _from_spectrum(landscape: Any, look: Look, found: exact.PointSpectrum, reduction: Reduction | None = None) -> InertiaCount:
    signs = count_signs(
        landscape, look.point, found, look.gradient_norm if look.critical else 0.0, cross_checked=look.known is not None
    )
    proved = _proved(landscape, look) if look.known is None else 0
    conflict = proved > signs.band
    if conflict:
        reason = (
            f"the symmetry orbit has dimension {proved}, but only {signs.band} eigenvalues are within "
            f"{signs.tolerance:.1e} of zero: the point is not close enough to a critical one, or the declared symmetry is false"
        )
        proved = 0
    elif proved == signs.band:
        reason = f"all signs are decided, {proved} zeros proved by the symmetry orbit"
    else:
        reason = f"{signs.band - proved} eigenvalues are within {signs.tolerance:.1e} of zero, and no symmetry explains them"
    return InertiaCount(
        Inertia(signs.positive, proved, signs.negative, signs.band - proved),
        (signs.positive, signs.positive + signs.band - proved),
        (proved, signs.band),
        (signs.negative, signs.negative + signs.band - proved),
        signs.tolerance,
        found.truncation,
        0.0,
        found.regime,
        found.cost,
        reason,
        signs.top,
        signs.bottom,
        rank=found.rank,
        ranks=found.ranks,
        cut=found.cut,
        sharp=_sharp(signs) and found.truncation == 0 and reduction is look.reduction,
        conflict=conflict,
    )


def _sharp(signs: SignCount) -> bool:
    """Whether the tolerance is that of rounding alone: what the gradient has blurred is no zero."""
    return signs.tolerance <= 10 * signs.rounding


def _blur(landscape: Any, look: Look, tolerance: float) -> float:
    """The tolerance at which signs are those of the critical point nearby too: an eigenvalue t is moved by at most
    L ‖∇F‖/t, with L the change of the Hessian over distance, which is less than half of t from t² = 2 L ‖∇F‖ on."""
    if not look.critical or look.gradient_norm == 0:
        return tolerance
    if hasattr(landscape, "hessian_lipschitz"):
        rate = float(landscape.hessian_lipschitz())
    else:
        step = look.gradient_norm / max(tolerance, 1e-300)
        rate = hessian_change(landscape, look.point, step) / step
    return max(tolerance, float(np.sqrt(2 * rate * look.gradient_norm)))


def _steps(rows: int) -> int | None:
    """How many rows of that length a Lanczos run may keep, `None` for too few to say anything."""
    memory = available()
    steps = 200 if memory is None else min(200, int(_SHARE * memory / (8.0 * rows)) - 64)
    return steps if steps >= 8 else None


def _from_products(landscape: Any, look: Look, max_products: int, key: Any) -> InertiaCount:
    """Brackets from products of the whole Hessian."""
    n = look.point.size
    dimension = n - normals_of(landscape, look.point).shape[1]
    steps = _steps(n)
    cost = f"{n:,} unknowns, at most {max_products} products"
    if steps is None:
        words = f"{n:,} unknowns leave no memory for a Lanczos run; all signs are open"
        return _open(dimension, cost, words)
    with jax.enable_x64(True):
        H = landscape.hessian(jnp.asarray(look.point))
        scale = max(curvature_scale(landscape), float(eigenpairs(H, max_products=20, rtol=0.1, key=key).scale))
        tolerance = _blur(landscape, look, 1e-8 * scale)
        orbit = _annihilated(H, _orbit(landscape, look), tolerance)
        missing = 0 if orbit is None else orbit.dimension
        found = sign_bracket(
            H,
            tolerance=tolerance if tolerance > 0 else None,
            deflate=orbit,
            dimension=dimension - missing,
            max_products=max_products,
            steps=steps,
            key=key,
        )
    return _from_brackets([(1, found)], [], missing, 0, cost, 0.0, None)


def _annihilated(H: Any, orbit: Any, tolerance: float) -> Any:
    """The space that is to be deflated, if H vanishes on it to within the tolerance: three random directions in it say so.
    Otherwise nothing is."""
    if orbit is None:
        return None
    random = np.random.default_rng(0)
    for _ in range(3):
        X = jnp.asarray(random.standard_normal(H.shape))
        inside = X - orbit.remove(X)
        length = float(jnp.linalg.norm(inside.reshape(-1)))
        if length > 0 and float(jnp.linalg.norm(H.mv(inside).reshape(-1))) > tolerance * length:
            return None
    return orbit


def _orbit(landscape: Any, look: Look) -> Span | None:
    """The orbit's tangent space at a critical point, where there is room for a basis."""
    if not look.critical or getattr(landscape, "symmetry", 0) is None or look.point.size > _DENSE_ORBIT:
        return None
    basis = orbit_basis(landscape, look.point)
    if basis.shape[1] == 0:
        return None
    return Span(jnp.asarray(np.ascontiguousarray(basis.T).reshape(-1, *look.point.shape)))


def _open(dimension: int, cost: str, words: str) -> InertiaCount:
    anything = (0, dimension)
    return InertiaCount(
        Inertia(0, 0, 0, dimension), anything, anything, anything, 0.0, 0.0, 0.0, "block Lanczos", cost, words, sharp=False
    )


def _from_parts(
    landscape: Any, look: Look, reduction: Reduction, bound: float, dense_limit: int, max_products: int, key: Any
) -> InertiaCount:
    """Small parts of the reduction counted from dense factorizations, large ones bracketed."""
    least = 1e-8 * curvature_scale(landscape) + bound + exact.point_rounding(landscape, reduction)
    tolerance = _blur(landscape, look, least)
    brackets: list[tuple[int, SignBracket]] = []
    counted: list[tuple[int, np.ndarray]] = []
    deflated = proved = 0
    words = []
    for part in reduction.parts:
        if part.size <= dense_limit or part.name not in ("core", "outside"):
            counted.append((part.multiplicity, reduction.eigenvalues(part)))
            proved += _proved_zeros(reduction, part) if look.critical else 0
            continue
        steps = _steps(part.size)
        if steps is None:
            anything = (0, part.size)
            found = SignBracket(
                anything, anything, anything, part.size, tolerance, 0.0, -np.inf, np.inf, 0, "no memory for a Lanczos run"
            )
        else:
            found, orbit = _part_bracket(look, reduction, part, tolerance, steps, max_products, key)
            deflated += part.multiplicity * orbit
        brackets.append((part.multiplicity, found))
        words.append(f"{part.name} of {part.size:,} rows bracketed by {found.num_products} products")
    cost = f"{exact.describe(reduction)} if dense; {', '.join(words)}"
    return _from_brackets(brackets, counted, deflated, proved, cost, bound, reduction)


def _proved_zeros(reduction: Reduction, part: Part) -> int:
    """The orbit's directions in a part other than the core."""
    if part.name == "outside":
        return part.multiplicity * reduction.rank
    if part.name.startswith("class"):
        return part.multiplicity * reduction.ranks[int(part.name.removeprefix("class ")) - 1]
    return 0


def _part_bracket(
    look: Look, reduction: Reduction, part: Part, tolerance: float, steps: int, max_products: int, key: Any
) -> tuple[SignBracket, int]:
    """The bracket of one part, and how many of the orbit's directions were deflated from it."""
    orbit: Any = None
    if look.critical and part.name == "core":
        _, rows = exact.small_point(reduction)
        try:
            orbit = orthogonal_orbit(rows[:, _used(reduction)], tuple(rank for rank in reduction.ranks if rank), look.reach)
        except InputError:  # classes that are not orthogonal: the orbit stays in, and its zeros stay open
            orbit = None
    elif look.critical:
        # W Z for W from span U to beyond it: in each row of the part's directions, the row space of w
        with jax.enable_x64(True):
            rows = np.linalg.svd(np.concatenate(reduction.coordinates, axis=1), full_matrices=False)[2]
            orbit = Span(jnp.asarray(rows[: reduction.rank]))
    with jax.enable_x64(True):
        H = core_operator(reduction) if part.name == "core" else outside_operator(reduction)
        orbit = _annihilated(H, orbit, tolerance)
        dimension = 0 if orbit is None else orbit.dimension
        if dimension == part.size:
            none = (0, 0)
            return SignBracket(none, none, none, 0, tolerance, 0.0, 0.0, 0.0, 0, "all of it belongs to the orbit"), dimension
        found = sign_bracket(
            H,
            tolerance=tolerance,
            deflate=orbit,
            dimension=part.size - dimension,
            max_products=max_products,
            steps=steps,
            key=key,
        )
    return found, dimension


def _used(reduction: Reduction) -> np.ndarray:
    """Columns of `small_point` that are no filling for an empty class."""
    return np.concatenate([np.full(max(rank, 1), rank > 0) for rank in reduction.ranks])


def _from_brackets(
    brackets: list[tuple[int, SignBracket]],
    counted: list[tuple[int, np.ndarray]],
    deflated: int,
    proved: int,
    cost: str,
    truncation: float,
    reduction: Reduction | None,
) -> InertiaCount:
    """Add up parts that are bracketed, each with its multiplicity and less what was deflated from it (zeros, `deflated` of
    them), and parts whose eigenvalues are known, among which the orbit proves `proved` zeros."""
    tolerance = max(found.tolerance for _, found in brackets)
    positive = sum(times * int((values > tolerance).sum()) for times, values in counted)
    negative = sum(times * int((values < -tolerance).sum()) for times, values in counted)
    band = sum(times * int((np.abs(values) <= tolerance).sum()) for times, values in counted)
    if proved > band:  # the point is not close enough to a critical one
        proved = 0

    def added(name: str, end: int) -> int:
        return sum(times * getattr(found, name)[end] for times, found in brackets)

    least = Inertia(positive + added("positive", 0), deflated + proved, negative + added("negative", 0))
    total = positive + negative + band + deflated + sum(times * (found.dimension or 0) for times, found in brackets)
    open_ones = [found.reason for _, found in brackets if not found.decided]
    words = "; ".join(open_ones) or f"{total - least.total:,} near zero that nothing proves"
    tops = [found.largest for _, found in brackets] + [float(values[-1]) for _, values in counted]
    bottoms = [found.smallest for _, found in brackets] + [float(values[0]) for _, values in counted]
    return InertiaCount(
        Inertia(least.positive, least.zero, least.negative, total - least.total),
        (least.positive, positive + added("positive", 1) + band - proved),
        (least.zero, deflated + band + added("zero", 1)),
        (least.negative, negative + added("negative", 1) + band - proved),
        tolerance,
        truncation,
        max(found.failure for _, found in brackets),
        "block Lanczos",
        cost,
        f"at least {least.positive:,} positive and {least.negative:,} negative eigenvalues, {least.zero:,} zeros proved; "
        f"{words}",
        max(tops),
        min(bottoms),
        **_ranks(reduction),
        sharp=False,
    )
