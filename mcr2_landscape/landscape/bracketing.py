"""Counts by sign where something is too large for a dense factorization: brackets from products."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.curvature import eigenpairs, exact
from mcr2_landscape.curvature.orbit import orthogonal_orbit
from mcr2_landscape.curvature.parts import core_operator, outside_operator
from mcr2_landscape.curvature.signs import SignBracket, sign_bracket
from mcr2_landscape.curvature.space import Span
from mcr2_landscape.landscape.counts import InertiaCount, ranks_of
from mcr2_landscape.landscape.inertia import curvature_scale, hessian_change, normals_of, orbit_basis
from mcr2_landscape.landscape.look import Look
from mcr2_landscape.memory import available
from mcr2_landscape.reduction import Part, Reduction
from mcr2_landscape.validation import InputError
from mcr2_landscape.verdict import Inertia

_DENSE_ORBIT = 2000  # unknowns up to which a basis of the orbit's tangent space is made: its generators are as many
_SHARE = 0.4  # of the available memory, for the rows of a Lanczos run


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


def from_products(landscape: Any, look: Look, max_products: int, key: Any) -> InertiaCount:
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


def from_parts(
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
        **ranks_of(reduction),
        sharp=False,
    )
