"""Step sizes as functions of how often something was visited, and whether they meet the conditions of stochastic approximation.

With α for the values and β for the policies, the usual conditions of two timescales are Σα = Σβ = ∞, Σα² and Σβ² < ∞ and
β/α → 0. For power laws c (n + b)^−p all of them are questions about exponents: Σ (n + b)^−p is finite exactly for p > 1 (the
integral test). They are conditions on functions of the count: in the dynamics α runs on visits of a state and an own action, β
on visits of the state, so that they say nothing if some action is tried ever more rarely.

Source: Borkar, *Stochastic Approximation: A Dynamical Systems Viewpoint*, chapters 2 and 6; Maheshwari, Wu, Pai, Sastry (arXiv
2205.14590).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.markov import tables
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError
from mcr2_landscape.verdict import Verdict

StepSize = Callable[[Any], Any]
_HALF = Fraction(1, 2)
_ALL_COUNTS, _MORE_COUNTS = 1 << 16, 512


@dataclass(frozen=True)
class PowerStep(Record):
    """scale · (n + offset)^−exponent of a count n = 1, 2, …; calling it evaluates it, on JAX arrays or on NumPy's."""

    exponent: Fraction
    scale: Fraction
    offset: Fraction

    def __call__(self, count: Any) -> Any:
        """The step size at a count: the same shape."""
        xp: Any = jnp if isinstance(count, jax.Array) else np
        base = count + float(self.offset) if self.offset else count
        if self.exponent == 1:
            return float(self.scale) / base
        if self.exponent == _HALF:
            return float(self.scale) / xp.sqrt(base)
        # two vectorized functions; a power is one call of the mathematical library for each number
        return float(self.scale) * xp.exp(-float(self.exponent) * xp.log(base))

    def __str__(self) -> str:
        base = f"(n + {float(self.offset):g})" if self.offset else "n"
        factor = "" if self.scale == 1 else f"{float(self.scale):g} "
        return f"{factor}{base}^-{float(self.exponent):g}"


@dataclass(frozen=True)
class StepCondition(Record):
    """One condition on step sizes: `statement`, `verdict` (by a closed form, or undecided) and the `reason`."""

    statement: str
    verdict: Verdict
    reason: str


def power_step(exponent: Any, scale: Any = 1, offset: Any = 0) -> PowerStep:
    """The step size scale · (n + offset)^−exponent.

    Floating point numbers are read as the decimals that they print as, so that the conditions on exponents are decided exactly.

    **Raises:** `InputError` for an exponent below zero, a scale that is not positive, an offset of −1 or less, or a first step
    above one.
    """
    p, c, b = (
        tables.decimal_fraction(name, value) for name, value in (("exponent", exponent), ("scale", scale), ("offset", offset))
    )
    if p < 0:
        raise InputError(f"exponent: found {float(p):g}; pass a number of at least zero: steps do not grow")
    if c <= 0:
        raise InputError(f"scale: found {float(c):g}; it must be greater than zero")
    if b <= -1:
        raise InputError(f"offset: found {float(b):g}; it must be greater than -1: the first count is one")
    first = float(c) * float(1 + b) ** -float(p)
    if first > 1:
        raise InputError(
            f"scale: found {float(c):g}, with which the first step is {first:g}; pass one at which it is at most one"
        )
    return PowerStep(p, c, b)


def check_step(name: str, step: Any, num_steps: int) -> StepSize:
    """`step` if its values lie in (0, 1]: at every count up to 65,536, and at 512 more up to `num_steps`.

    **Raises:** `InputError` otherwise, or for what is no function of an array that keeps its shape and is float64.
    """
    if not callable(step):
        raise InputError(f"{name}: found {type(step).__name__}; pass markov.power_step(...) or a function of the visit count")
    counts = np.arange(1, min(num_steps, _ALL_COUNTS) + 1)
    if num_steps > _ALL_COUNTS:
        counts = np.unique(np.concatenate([counts, np.geomspace(_ALL_COUNTS, num_steps, _MORE_COUNTS).astype(np.int64)]))
    values = values_at(name, step, counts)
    wrong = ~((values > 0) & (values <= 1))
    if wrong.any():
        at = int(np.argmax(wrong))
        raise InputError(f"{name}: found {values[at]:g} at the count {counts[at]}; every step size must be in (0, 1]")
    return step


def values_at(name: str, step: StepSize, counts: np.ndarray) -> np.ndarray:
    """The step sizes at these counts, float64, as the compiled program computes them.

    **Raises:** `InputError` for a function that cannot be traced, or returns something else than as many float64 numbers.
    """
    with jax.enable_x64(True):
        small = jax.ShapeDtypeStruct((2, 3), jnp.float64)  # the program calls it with one and with two axes
        try:
            found = jax.eval_shape(step, small)
        except Exception as error:  # whatever a user's own function raises
            raise InputError(
                f"{name}: cannot be traced ({type(error).__name__}: {error}); pass a function of a JAX array, elementwise"
            ) from error
        kind = getattr(found, "dtype", type(found).__name__), getattr(found, "shape", None)
        if kind != (np.float64, small.shape):
            raise InputError(
                f"{name}: of float64 counts of shape {small.shape} it makes {kind[0]} of shape {kind[1]}; return as many, "
                "float64"
            )
        return np.asarray(jax.jit(step)(jnp.asarray(counts, dtype=jnp.float64)))


def step_conditions(q_step: StepSize, policy_step: StepSize) -> tuple[StepCondition, ...]:
    """The conditions of two-timescale stochastic approximation: decided for power laws, undecided for other functions."""
    return (
        _sum("α", q_step, 1),
        _sum("α", q_step, 2),
        _sum("β", policy_step, 1),
        _sum("β", policy_step, 2),
        _ratio(q_step, policy_step),
    )


def _sum(letter: str, step: StepSize, power: int) -> StepCondition:
    statement = f"Σ{letter} = ∞" if power == 1 else f"Σ{letter}² < ∞"
    if not isinstance(step, PowerStep):
        return _unknown(statement)
    total = power * step.exponent
    finite = total > 1
    reason = f"the sum of n^-{float(total):g} is {'finite' if finite else 'infinite'}"
    return StepCondition(statement, Verdict.HOLDS if finite == (power == 2) else Verdict.REFUTED, reason)


def _ratio(q_step: StepSize, policy_step: StepSize) -> StepCondition:
    statement = "β/α → 0"
    if not (isinstance(q_step, PowerStep) and isinstance(policy_step, PowerStep)):
        return _unknown(statement)
    difference = policy_step.exponent - q_step.exponent
    if difference == 0:
        limit = f"tends to {float(policy_step.scale / q_step.scale):g}"
    else:
        limit = "tends to 0" if difference > 0 else "grows without bound"
    reason = f"β/α is of order n^{float(-difference):g} and {limit}"
    return StepCondition(statement, Verdict.HOLDS if difference > 0 else Verdict.REFUTED, reason)


def _unknown(statement: str) -> StepCondition:
    return StepCondition(statement, Verdict.UNDECIDED, "not a power law: finitely many values decide nothing")
