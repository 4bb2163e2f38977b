"""Policies in continuous time: every player moves towards its one-stage deviation, with exact values.

    dπ_i(s)/dt = γ_i(s) [b_i(s) − π_i(s)],   b_i(s) = softmax(Q̃_i(s, ·)/τ), or an action that maximizes Q_i(s, ·),

with Q̃_i, Q_i at the present policies (`Game.q_value`): what the learning dynamics follow where values are learned much faster
than policies. Fixed points of the smoothed form are the equilibria of the perturbed game (`perturbed_equilibrium`).

Source: Maheshwari, Wu, Pai, Sastry, *Independent and Decentralized Learning in Markov Potential Games* (arXiv 2205.14590).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.extras import missing_extra
from mcr2_landscape.markov import batched, policies
from mcr2_landscape.markov.baselines import first_best, starting_policy
from mcr2_landscape.markov.game import Game
from mcr2_landscape.markov.histories import has_common_interest
from mcr2_landscape.markov.policies import Policy
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, check_finite, positive_integer, positive_real

_DEVIATIONS = ("smoothed", "best")
_STEP = 1e-2  # of the best-response form, times the fastest rate
_MOST_STEPS = 1_000_000


@dataclass(frozen=True)
class Flow(Record):
    """A path of the policy dynamics, recorded at T times.

    **Fields:** `times` (T,), from 0; `policies`, for each player (T, S, A_i); `deviation`, "smoothed" or "best"; `temperature`
    τ, zero for "best"; `rates` (N, S): γ; `step`: of the best-response form, else `None`; `residual` at the end: for
    "smoothed" the largest |b_i − π_i|, for "best" what is gained most by the deviation in one stage, max_a Q_i − V_i, which is
    zero at mixed equilibria, too; `tolerance` of it; `completed`: whether the whole duration was reached, else records end
    where the solver did; `converged`: completed with a residual within the tolerance; `reason`.

    Derived, when asked for, each of shape (T,):

    * `nash_gap`: the largest gain of a best response, over players and initial states, in the game as it is; `perturbed_gap`:
      the same in the perturbed game.
    * `potential`: for games of common interest the common value, averaged over the first state, else `None`;
      `perturbed_potential`: that plus τ Σ_i D_i, everyone's discounted entropy. Where transitions do not depend on actions it
      never falls along the smoothed form; where they do, it may.
    """

    game: Game = field(repr=False, metadata={"json": False})
    times: np.ndarray = field(repr=False)
    policies: Policy = field(repr=False)
    deviation: str
    temperature: float
    rates: np.ndarray = field(repr=False)
    step: float | None
    residual: float
    tolerance: float
    completed: bool
    converged: bool
    reason: str

    _derived = ("nash_gap", "perturbed_gap", "potential", "perturbed_potential")

    @property
    def last(self) -> Policy:
        """The last policy, as the game's functions take it: an array (S, A_i) for each player."""
        return tuple(own[-1] for own in self.policies)

    @cached_property
    def nash_gap(self) -> np.ndarray:
        """The Nash gap, (T,)."""
        return batched.nash_gaps(self.game, self.policies)

    @cached_property
    def perturbed_gap(self) -> np.ndarray:
        """The Nash gap of the perturbed game, (T,)."""
        return np.array([self.game.nash_gap(own, temperature=self.temperature).maximum for own in self._each()])

    @cached_property
    def potential(self) -> np.ndarray | None:
        """The common value, (T,)."""
        return batched.first_values(self.game, self.policies) @ self.game.initial if has_common_interest(self.game) else None

    @cached_property
    def perturbed_potential(self) -> np.ndarray | None:
        """The common value with everyone's entropies, (T,)."""
        if self.potential is None:
            return None
        paid = [self.game.value(own, temperature=self.temperature) - self.game.value(own) for own in self._each()]
        return self.potential + np.sum(paid, axis=1) @ self.game.initial

    def _each(self) -> list[Policy]:
        return [tuple(own[t] for own in self.policies) for t in range(len(self.times))]


def flow(
    game: Game,
    start: Any = None,
    duration: float = 20.0,
    *,
    temperature: float | None = None,
    deviation: str = "smoothed",
    rates: Any = None,
    num_records: int = 101,
    key: Any = None,
    step: float | None = None,
    rtol: float = 1e-8,
    atol: float = 1e-10,
    max_steps: int = 100_000,
    tolerance: float = 1e-6,
) -> Flow:
    """Follow the policy dynamics for some time.

    * "smoothed": the ordinary differential equation, by Tsit5 with adaptive steps (diffrax, of the extra `solvers`), within
      `rtol` and `atol` a step. Its right-hand side is smooth, but turns within changes of Q of order τ: for τ far below the
      differences of Q-values steps become as short, and `max_steps` may end it.
    * "best": a discontinuous right-hand side, a differential inclusion whose solutions need not be unique. b, the first action
      that is best (differences below 1e-13 of the largest |Q| count as none), is held for `step` h at a time, for which the
      equation is solved exactly: π ← b + e^(−γh)(π − b). That is exact as long as b stays, late by up to a step where b
      changes, and where a solution would slide along an indifference it chatters about it within about γh. There is no
      control of this error: halve the step and compare.

    **Arguments:** `start`: a policy, by default the uniform one, or a random one where `key` is given; `duration`, in units
    in which rates are given; `temperature` τ > 0, needed for "smoothed" and for it alone; `rates` γ: a positive number or an
    array (N, S), by default one; `num_records`: of records at equal distances, both ends included; `step`: of "best", by
    default 0.01 over the largest rate; it is shortened so that a whole number fits between records; `rtol`, `atol`,
    `max_steps`: of "smoothed"; `tolerance`: the last residual that counts as none.

    **Returns:** `Flow`, float64.

    **Raises:** `InputError` for numbers out of range, another deviation, settings that the deviation does not use, a bad
    policy, a start and a key together, more than a million steps of "best"; for "smoothed" without diffrax, or a game too large
    for tables.
    """
    if deviation not in _DEVIATIONS:
        raise InputError(f"deviation: found {deviation!r}; pass one of " + ", ".join(map(repr, _DEVIATIONS)))
    smoothed = deviation == "smoothed"
    policy, duration = starting_policy(game, start, key), positive_real("duration", duration)
    num_records = positive_integer("num_records", num_records, minimum=2)
    speed = _rates(game, rates)
    tolerance = positive_real("tolerance", tolerance)
    times = np.linspace(0, duration, num_records)
    if smoothed:
        if temperature is None:
            raise InputError('temperature: found none; pass a number above zero, or deviation="best"')
        if step is not None:
            raise InputError('step: found one, but the smoothed form chooses its own; pass rtol and atol, or deviation="best"')
        tau = positive_real("temperature", temperature, advice='for the form without smoothing pass deviation="best"')
        control = positive_real("rtol", rtol), positive_real("atol", atol)
        most = positive_integer("max_steps", max_steps)
        found = _smoothed_path(game, policy, times, tau, speed, control, most)
    else:
        if temperature is not None:
            raise InputError('temperature: found one, but the best deviation has none; leave it out, or pass "smoothed"')
        tau, longest = 0.0, positive_real("step", _STEP / float(speed.max()) if step is None else step)
        between = math.ceil(duration / (num_records - 1) / longest)
        if between * (num_records - 1) > _MOST_STEPS:
            raise InputError(
                f"step: found {longest:g}, of which {between * (num_records - 1)} make the duration; pass a longer one, or a "
                f"shorter duration: at most {_MOST_STEPS} steps"
            )
        step = duration / (num_records - 1) / between
        found = _best_path(game, policy, num_records, between, step, speed)
    reached = found[0].shape[0]
    last = tuple(own[-1] for own in found)
    q = game.q_value(last, temperature=tau)
    if smoothed:
        off = [np.abs(policies.softmax(values, tau) - own).max() for values, own in zip(q, last, strict=True)]
    else:
        off = [np.max(values.max(axis=1) - np.sum(own * values, axis=1)) for values, own in zip(q, last, strict=True)]
    residual = float(max(off))
    completed = reached == num_records
    converged = completed and residual <= tolerance
    if not completed:
        reason = f"the solver ended before the time {times[reached]:g}, by max_steps or by a step too small to go on"
    else:
        what = "distance to the deviation" if smoothed else "gain by the deviation"
        reason = f"at the end the largest {what} is {residual:.3g}, {'at most' if converged else 'above'} {tolerance:g}"
    return Flow(game, times[:reached], found, deviation, tau, speed, step, residual, tolerance, completed, converged, reason)


def _rates(game: Game, rates: Any) -> np.ndarray:
    shape = game.num_players, game.num_states
    if rates is None:
        return np.ones(shape)
    try:
        found = np.asarray(rates, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"rates: cannot be read as numbers ({error}); pass one, or an array (N, S) = {shape}") from None
    if found.shape not in ((), shape):
        raise InputError(f"rates: found shape {found.shape}; pass one number, or an array (N, S) = {shape}")
    check_finite("rates", found)
    if found.min() <= 0:
        raise InputError(f"rates: found {found.min():g}; every rate must be greater than zero")
    return np.broadcast_to(found, shape).copy()


# -- the best deviation -------------------------------------------------------------------------------------------------------


def _best_path(game: Game, policy: Policy, num_records: int, between: int, step: float, speed: np.ndarray) -> Policy:
    found = tuple(np.empty((num_records, *own.shape)) for own in policy)
    kept = np.exp(-speed * step)[:, :, None]
    for row in range(num_records):
        for rows, own in zip(found, policy, strict=True):
            rows[row] = own
        for _ in range(between if row < num_records - 1 else 0):
            goals = [first_best(q) for q in game.q_value(policy)]
            # A convex combination by its two weights: it stays on the simplex.
            policy = tuple(k * own + (1 - k) * goal for k, own, goal in zip(kept, policy, goals, strict=True))
    return found


# -- the smoothed deviation ---------------------------------------------------------------------------------------------------


class _Arrays(NamedTuple):
    """What the differential equation depends on: `transition` (S, A_1, …, A_N, S), `reward` (N, S, A_1, …, A_N), and numbers;
    `rates` (N, S)."""

    transition: jax.Array
    reward: jax.Array
    discount: jax.Array
    temperature: jax.Array
    rates: jax.Array


def _smoothed_path(
    game: Game,
    policy: Policy,
    times: np.ndarray,
    temperature: float,
    speed: np.ndarray,
    control: tuple[float, float],
    most: int,
) -> Policy:
    """Records (T, S, A_i) at the times that the solver reached."""
    try:
        import diffrax  # noqa: F401
    except ImportError:
        raise missing_extra("the smoothed flow", "diffrax", "solvers") from None
    table = game.to_tables()
    # What the solver mixes of types and ranks is its own affair, whatever the process is strict about.
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        numbers = (table.transition, table.reward, table.discount, temperature, speed)
        arrays = _Arrays(*(jnp.asarray(own, dtype=jnp.float64) for own in numbers))
        start = tuple(jnp.asarray(own) for own in policy)
        found = _solved(arrays, start, jnp.asarray(times), *map(jnp.float64, control), most=most)
        rows = tuple(np.asarray(own) for own in found)
    reached = np.all([np.isfinite(own).all(axis=(1, 2)) for own in rows], axis=0)
    count = int(reached.argmin()) if not reached.all() else len(times)
    out = []
    for own in rows:
        # Steps preserve sums, and probabilities above zero up to the tolerance; what is left of it goes.
        own = np.maximum(own[:count], 0)
        out.append(own / own.sum(axis=-1, keepdims=True))
    return tuple(out)


@partial(jax.jit, static_argnames="most")
def _solved(
    arrays: _Arrays, start: tuple[jax.Array, ...], times: jax.Array, rtol: jax.Array, atol: jax.Array, *, most: int
) -> tuple[jax.Array, ...]:
    """Policies (T, S, A_i) at the times, infinite after the one where the solver ended."""
    import diffrax

    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(_velocity),
        diffrax.Tsit5(),
        times[0],
        times[-1],
        None,
        start,
        args=arrays,
        saveat=diffrax.SaveAt(ts=times),
        stepsize_controller=diffrax.PIDController(rtol=rtol, atol=atol),  # type: ignore[arg-type]
        max_steps=most,
        adjoint=diffrax.ForwardMode(),  # nothing is stored for a derivative
        throw=False,
    )
    assert solution.ys is not None
    return solution.ys


def _velocity(_: Any, policy: tuple[jax.Array, ...], arrays: _Arrays) -> tuple[jax.Array, ...]:
    """γ (softmax(Q̃/τ) − π)."""
    tau, discount = arrays.temperature, arrays.discount
    S, N = arrays.transition.shape[0], len(policy)
    # Tsit5's stages may leave the simplex by the tolerance, and an entropy is not defined beyond it.
    entropy = [-jnp.sum(own * jnp.log(jnp.where(own > 0, own, 1.0)), axis=1) for own in policy]
    step = _averaged(arrays.transition, policy, None)
    paid = [_averaged(arrays.reward[i], policy, None) + tau * entropy[i] for i in range(N)]
    value = jnp.linalg.solve(jnp.eye(S) - discount * step, jnp.stack(paid, axis=1))  # (S, N)
    goals = []
    for i in range(N):
        joint = arrays.reward[i] + discount * (arrays.transition @ value[:, i])
        # τH_i(s), which Q̃ has in addition, is the same for all actions: the softmax does not see it.
        goals.append(jax.nn.softmax(_averaged(joint, policy, i) / tau, axis=1))
    return tuple(arrays.rates[i][:, None] * (goals[i] - own) for i, own in enumerate(policy))


def _averaged(table: jax.Array, policy: tuple[jax.Array, ...], but: int | None) -> jax.Array:
    """The mean over everyone's actions, but for one player's: (S, A_1, …, A_N, …) to (S, …) or (S, A_i, …)."""
    for j in reversed(range(len(policy))):
        if j != but:
            shape = [1] * table.ndim
            shape[0], shape[j + 1] = policy[j].shape
            table = jnp.sum(table * policy[j].reshape(shape), axis=j + 1)
    return table
