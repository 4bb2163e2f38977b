"""Is a landscape's gradient its gradient, its Hessian product its Hessian? A record with a verdict, not a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.landscape.admission import admitted_point
from mcr2_landscape.landscape.inertia import EPS, normals_of
from mcr2_landscape.randomness import generator
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, positive_integer
from mcr2_landscape.verdict import Evidence, Verdict

_STEPS = 2.0 ** -np.arange(0, 31)
_WINDOW = 4


@dataclass(frozen=True)
class DerivativeTest(Record):
    """One test: what was `measured`, what was `expected`, the verdict and its reason."""

    name: str
    verdict: Verdict
    measured: float | None
    expected: str
    reason: str


@dataclass(frozen=True)
class DerivativeCheck(Record):
    """All tests of a landscape's derivatives at one point. `verdict` is refuted if any test is, undecided if any is (and none
    refuted), else holds."""

    tests: tuple[DerivativeTest, ...]
    evidence: Evidence
    num_directions: int

    _derived = ("verdict", "reason")

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of the tests."""
        for worst in (Verdict.REFUTED, Verdict.UNDECIDED):
            if any(test.verdict is worst for test in self.tests):
                return worst
        return Verdict.HOLDS

    @property
    def reason(self) -> str:
        """The reasons of the tests that do not hold, or a summary."""
        failing = [f"{test.name}: {test.reason}" for test in self.tests if test.verdict is not Verdict.HOLDS]
        return "; ".join(failing) if failing else f"all {len(self.tests)} tests hold"


def check_derivatives(landscape: Any, Z: Any, *, key: Any = 0, num_directions: int = 3) -> DerivativeCheck:
    """Check `value`, `gradient` and `hessian` of a landscape against each other at Z.

    * Taylor slopes: along random (tangent) directions the remainder after the gradient term falls like t², after the Hessian
      term like t³. A wrong gradient gives slope 1, a wrong Hessian slope 2.
    * Symmetry ⟨u, Hv⟩ = ⟨v, Hu⟩ and linearity H(au + bv) = aHu + bHv.
    * Tangency: gradient and Hessian products are tangent to the constraint set; the gradient is orthogonal to the
      symmetry orbit.

    Host function in float64, deterministic for a given key.

    **Raises:** `InputError` for a wrong shape, NaN or float32; or where the landscape is not finite at Z.

    Source: N. Boumal, *An Introduction to Optimization on Smooth Manifolds* (2023), sections 4.8 and 6.8.
    """
    Z = admitted_point(landscape, Z)
    if landscape.constraint is not None and normals_of(landscape, Z).shape[1] < landscape.constraint.normals(Z).shape[1]:
        raise InputError(
            "Z: a block lies on the boundary of its ball and its gradient points inwards; the curves to check along leave the "
            "set, so move that block into the ball"
        )
    random = generator(key)
    count = positive_integer("num_directions", num_directions)
    with jax.enable_x64(True):
        point = jnp.asarray(Z)
        value = float(landscape.value(point))
        gradient = np.array(landscape.gradient(point))
        if not np.isfinite(value) or not np.isfinite(gradient).all():
            raise InputError("Z: the landscape or its gradient is not finite there; check it inside its domain")
        H = landscape.hessian(point)
        directions = [_direction(landscape, point, random) for _ in range(count)]
        products = [np.array(H.mv(jnp.asarray(D))) for D in directions]
        first, second = [], []
        for D, product in zip(directions, products, strict=True):
            a, b = _remainders(landscape, point, D, value, gradient, product)
            first.append(a)
            second.append(b)
        tests = [
            _slope_test("gradient", first, 2),
            _slope_test("Hessian", second, 3),
            _symmetry_test(directions, products),
            _linearity_test(H, directions, products),
            *_tangency_tests(landscape, Z, gradient, products),
        ]
    return DerivativeCheck(tuple(tests), Evidence.NUMERICAL, count)


def _direction(landscape: Any, point: jax.Array, random: np.random.Generator) -> np.ndarray:
    """A random unit tangent vector."""
    for _ in range(10):
        raw = random.standard_normal(point.shape)
        D = raw if landscape.constraint is None else np.array(landscape.constraint.tangent(point, jnp.asarray(raw)))
        norm = float(np.linalg.norm(D))
        if norm > 1e-6 * float(np.linalg.norm(raw)):  # a draw along the normals leaves only rounding
            return D / norm
    raise InputError("Z: the constraint set has no tangent directions there; it is a single point")


def _remainders(landscape, point, D, value, gradient, product):
    """(t, |remainder|, rounding floor) after the first and after the second term of the Taylor series along D."""
    scale = max(1e-3, float(jnp.linalg.norm(point)))
    steps = _STEPS * scale
    values = np.array(_values_along(landscape, point, jnp.asarray(D), jnp.asarray(steps)))
    linear = float(np.sum(gradient * D))
    quadratic = float(np.sum(product * D))
    floor = 32 * EPS * (np.abs(values) + abs(value) + np.sqrt(D.size))
    one = np.abs(values - value - steps * linear)
    two = np.abs(values - value - steps * linear - 0.5 * steps**2 * quadratic)
    return (steps, one, floor), (steps, two, floor)


@jax.jit
def _values_along(landscape: Any, point: jax.Array, direction: jax.Array, steps: jax.Array) -> jax.Array:
    def along(t: jax.Array) -> jax.Array:
        moved = point + t * direction
        return landscape.value(moved if landscape.constraint is None else landscape.constraint.project(moved))

    return jax.vmap(along)(steps)


def _slope(steps: np.ndarray, remainder: np.ndarray, floor: np.ndarray) -> float | None:
    """The slope of log remainder against log t over the smallest steps that stand clear of rounding; `None` if too few do.

    The next term of the series bends the slope in proportion to t, so that twice the last slope less the one before it is free
    of that; the larger of the two counts.
    """
    clear = np.flatnonzero(np.isfinite(remainder) & (remainder > 10 * floor))
    if clear.size < _WINDOW:
        return None
    slopes = []
    for last in (clear[-1], clear[-1] - 1):
        window = np.arange(last - _WINDOW + 1, last + 1)
        if window[0] >= 0 and np.isin(window, clear).all():
            slopes.append(float(np.polyfit(np.log(steps[window]), np.log(remainder[window]), 1)[0]))
    if not slopes:
        return None
    return slopes[0] if len(slopes) == 1 else max(slopes[0], 2 * slopes[0] - slopes[1])


def _slope_test(name: str, remainders: list, expected: int) -> DerivativeTest:
    slopes = [_slope(*remainder) for remainder in remainders]
    found = [slope for slope in slopes if slope is not None]
    words = f"slope of at least {expected} (within 0.2)"
    if not found:
        invisible = all(np.nanmax(remainder / floor) <= 1e3 for _, remainder, floor in remainders)
        if invisible:
            return DerivativeTest(
                name, Verdict.HOLDS, None, words, "the Taylor remainder is at the level of rounding at every step"
            )
        return DerivativeTest(name, Verdict.UNDECIDED, None, words, "too few steps stand clear of rounding; scale the problem")
    worst = min(found)
    if worst >= expected - 0.2:
        return DerivativeTest(name, Verdict.HOLDS, worst, words, f"slope {worst:.3f}")
    if worst <= expected - 0.6:
        return DerivativeTest(
            name, Verdict.REFUTED, worst, words, f"slope {worst:.3f} instead of {expected}: the {name} is not that of the value"
        )
    return DerivativeTest(name, Verdict.UNDECIDED, worst, words, f"slope {worst:.3f} lies between right and wrong")


def _symmetry_test(directions: list[np.ndarray], products: list[np.ndarray]) -> DerivativeTest:
    worst, scale = 0.0, max(float(np.linalg.norm(product)) for product in products)
    for i, D in enumerate(directions):
        for j in range(i):
            worst = max(worst, abs(float(np.sum(directions[j] * products[i]) - np.sum(D * products[j]))))
    return _bounded("Hessian symmetry", worst, scale, "⟨u, Hv⟩ and ⟨v, Hu⟩ differ")


def _linearity_test(H: Any, directions: list[np.ndarray], products: list[np.ndarray]) -> DerivativeTest:
    combined = 2.5 * directions[0] - 1.5 * directions[-1]
    expected = 2.5 * products[0] - 1.5 * products[-1]
    worst = float(np.linalg.norm(np.array(H.mv(jnp.asarray(combined))) - expected))
    return _bounded("Hessian linearity", worst, max(float(np.linalg.norm(p)) for p in products), "H(au + bv) is not aHu + bHv")


def _tangency_tests(landscape: Any, Z: np.ndarray, gradient: np.ndarray, products: list[np.ndarray]) -> list[DerivativeTest]:
    tests = []
    if landscape.constraint is not None:
        vectors = [gradient, *products]
        scale = max(float(np.linalg.norm(v)) for v in vectors)
        off = [v - np.array(landscape.constraint.tangent(jnp.asarray(Z), jnp.asarray(v))) for v in vectors]
        worst = max(float(np.linalg.norm(v)) for v in off)
        tests.append(_bounded("tangency", worst, scale, "gradient or Hessian product leaves the tangent space"))
    generators = landscape.orbit_tangent(Z)
    norms = np.linalg.norm(generators, axis=0)
    keep = norms > 0
    if keep.any():
        inner = np.abs((generators[:, keep] / norms[keep]).T @ gradient.ravel())
        reference = float(np.linalg.norm(gradient)) + landscape.evaluate(Z)[2]
        tests.append(_bounded("symmetry", float(inner.max()), reference, "the value changes along the declared symmetry"))
    return tests


def _bounded(name: str, worst: float, scale: float, complaint: str) -> DerivativeTest:
    relative = worst / scale if scale > 0 else worst
    words = "relative error of at most 1e-10"
    if relative <= 1e-10:
        return DerivativeTest(name, Verdict.HOLDS, relative, words, f"relative error {relative:.1e}")
    if relative >= 1e-7:
        return DerivativeTest(name, Verdict.REFUTED, relative, words, f"{complaint} by {relative:.1e} relative")
    return DerivativeTest(name, Verdict.UNDECIDED, relative, words, f"{complaint} by {relative:.1e} relative, near rounding")
