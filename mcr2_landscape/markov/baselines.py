"""Methods to compare the learning dynamics with: independent policy gradients, and fictitious play.

All players move at once, each by its own exact values at the present policies of the others; nothing is drawn, except for a
random start. Independent Q-learning, which does draw, is in `q_learning`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from mcr2_landscape.landscape.progress import Progress
from mcr2_landscape.markov import batched, policies, runs
from mcr2_landscape.markov.game import Game
from mcr2_landscape.markov.histories import has_common_interest
from mcr2_landscape.markov.policies import Policy
from mcr2_landscape.markov.records import Keeper, fitting
from mcr2_landscape.markov.step_sizes import PowerStep, StepSize, check_step, power_step, values_at
from mcr2_landscape.processes import Interruption
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, positive_integer, positive_real

_KINDS = ("natural", "projected")
_VALUES = ("exact", "believed")
_LARGEST_PATH = 1 << 33
_TIE = 1e-13  # relative to the largest |Q|
_PLAYED = power_step(1, offset=1)  # the mean of the start and of all that was played
# Policies on the faster timescale, as the theorem of Sayin, Parise and Ozdaglar asks for.
_FASTER, _SLOWER = power_step("0.6", offset=1), power_step(1, offset=1)


@dataclass(frozen=True)
class PolicyPath(Record):
    """The policies that a method without randomness went through, recorded T times.

    **Fields:** `method`, in words; `num_steps` made; `steps` (T,) after which was recorded, from 0; `policies`, for each player
    (T, S, A_i); `nash_gap` (T,): the largest gain of a best response, over players and initial states, exact by policy
    iteration; `potential` (T,): the common value averaged over the first state, for games of common interest, else `None`;
    `tolerance`; `converged`: whether the last gap is at most that; `reason`: why, or how it ended otherwise; `interrupted`: by
    Ctrl-C, before all steps were made.
    """

    game: Game = field(repr=False, metadata={"json": False})
    method: str
    num_steps: int
    steps: np.ndarray = field(repr=False)
    policies: Policy = field(repr=False)
    nash_gap: np.ndarray = field(repr=False)
    potential: np.ndarray | None = field(repr=False)
    tolerance: float
    converged: bool
    reason: str
    interrupted: bool = False

    @property
    def last(self) -> Policy:
        """The last policy, as the game's functions take it: an array (S, A_i) for each player."""
        return tuple(own[-1] for own in self.policies)


def independent_policy_gradient(
    game: Game,
    num_steps: int,
    step_size: float,
    kind: str = "natural",
    *,
    start: Any = None,
    key: Any = None,
    record_every: int = 1,
    tolerance: float = 1e-6,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    checkpoint_seconds: float = 30.0,
    progress: bool | Callable[[int, int, int], None] | None = False,
) -> PolicyPath:
    """Each player follows the exact gradient of its own value, all at once.

    * "natural": π_i(a | s) ∝ π_i(a | s) exp(η Q_i(s, a)), the natural gradient for the softmax parametrization; η is what
      Agarwal et al. write as η/(1 − δ). Probabilities are carried as logarithms: one that underflows can grow again.
    * "projected": π_i(· | s) + η d(s) Q_i(s, ·), projected onto the simplex in the Euclidean norm, with d the expected
      discounted visits when the first state has the game's `initial` distribution (`Game.occupancy`, of sum 1/(1 − δ)). In
      states that are never visited nothing moves, and the gap there stays as it is.

    The common value of a game of identical interest never falls if η is small enough; nothing checks that it is. Policies that
    are stationary but no equilibria, such as all actions alike where that makes nobody prefer one, are not left.

    **Arguments:** `step_size` η > 0; `start`: a policy, by default the uniform one, or a random one where `key` is given;
    `record_every`: of how many steps one is recorded, a divisor of `num_steps`; `tolerance`: the Nash gap that counts as none;
    `checkpoint`, `resume`, `checkpoint_seconds` and `progress` as `learn` takes them.

    **Returns:** `PolicyPath`. Ctrl-C ends it after the present step and returns what was recorded; a second one raises
    `KeyboardInterrupt`.

    **Raises:** `InputError` for numbers out of range, another kind, a bad policy, a start and a key together, for the natural
    gradient a start with a probability of zero (which it would never leave), records of more than 8 GiB, or a checkpoint that
    is damaged or of another run.

    Sources: Agarwal, Kakade, Lee, Mahajan, *On the theory of policy gradient methods* (2021); Leonardos, Overman,
    Panageas, Piliouras, *Global convergence of multi-agent policy gradient in Markov potential games* (arXiv 2106.01969).
    """
    if kind not in _KINDS:
        raise InputError(f"kind: found {kind!r}; pass one of " + ", ".join(map(repr, _KINDS)))
    eta = positive_real("step_size", step_size)
    policy = starting_policy(game, start, key)
    method = f"independent policy gradient, {kind}, step size {eta:g}"
    identity = {"kind": kind, "step_size": repr(eta), "start": runs.digest(*policy)}
    saving = _Saving("independent_policy_gradient", identity, checkpoint, resume, checkpoint_seconds, progress)
    if kind == "projected":

        def projected(_: int, own: Policy) -> Policy:
            visits = game.occupancy(own)[:, None]
            return tuple(onto_simplex(p + eta * visits * q) for p, q in zip(own, game.q_value(own), strict=True))

        return _followed(game, method, policy, lambda own: own, projected, num_steps, record_every, tolerance, saving)
    for i, own in enumerate(policy):
        if own.min() <= 0:
            state, action = np.argwhere(own <= 0)[0]
            raise InputError(
                f"start[{i}]: found probability zero of action {action} in state {state}, which the natural gradient never "
                'changes; pass positive ones, or kind="projected"'
            )

    def natural(_: int, logs: Policy) -> Policy:
        moved = (log + eta * q for log, q in zip(logs, game.q_value(_raised(logs)), strict=True))
        return tuple(_normalized(own) for own in moved)

    logs = tuple(np.log(own) for own in policy)
    return _followed(game, method, logs, _raised, natural, num_steps, record_every, tolerance, saving)


def fictitious_play(
    game: Game,
    num_steps: int,
    *,
    values: str = "exact",
    policy_step: StepSize | None = None,
    value_step: StepSize | None = None,
    start: Any = None,
    key: Any = None,
    record_every: int = 1,
    tolerance: float = 1e-3,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    checkpoint_seconds: float = 30.0,
    progress: bool | Callable[[int, int, int], None] | None = False,
) -> PolicyPath:
    """Each player plays its best one-stage deviation against what the others have played on average.

    In step k = 1, 2, …, in every state and for all players at once, with the averages π of before on the right,

        π_i(s) += α(k) [b_i(s) − π_i(s)],   b_i(s) the first action that maximizes Q_i(s, ·)

    (what differs by less than 1e-13 of the largest |Q_i| counts as equal).

    * `values="exact"`: Q_i is that of the averages π, computed exactly: what the others play on average is taken for what they
      will play for ever, and the own average for the own future. By default α(k) = 1/(k + 1), the start counting as one play.
    * `values="believed"`: Q_i(s, a_i) = E[u_i + δ Σ_t P(t | s, a) w_i(t)] over a_−i ~ π_−i with beliefs w about values, which
      begin at zero and follow w_i(s) += β(k) [max_a Q_i(s, a) − w_i(s)]. By default α(k) = (k + 1)^−0.6 and β(k) = 1/(k + 1),
      so that β/α → 0. It is the model-based method of Sayin, Parise and Ozdaglar with payoffs of joint actions
      believed to be u_i + δPw_i, which their updates preserve, except that all states are updated in each step where they
      update the state that is visited, and that steps are counted where they count visits.

    In some games averages go round for ever, already with two players, three actions and one state (Shapley 1964). Where they
    settle, α(k) = 1/(k + 1) leaves what was played first a weight of 1/k, and the gap falls no faster than that.

    **Arguments:** `policy_step` α and `value_step` β, the latter for believed values alone: functions of k with values in
    (0, 1], as `learn` takes; the others as `independent_policy_gradient`.

    **Returns:** `PolicyPath`, with the averages as policies. Interruptions as `independent_policy_gradient`.

    **Raises:** `InputError` for numbers out of range, other `values`, a `value_step` that is not used, a bad policy, a start
    and a key together, records of more than 8 GiB, or a checkpoint that is damaged or of another run.

    Source: Sayin, Parise, Ozdaglar, *Fictitious play in zero-sum stochastic games* (2022, arXiv 2010.04223).
    """
    if values not in _VALUES:
        raise InputError(f"values: found {values!r}; pass one of " + ", ".join(map(repr, _VALUES)))
    exact = values == "exact"
    if exact and value_step is not None:
        raise InputError('value_step: found one, but exact values are not averaged; pass values="believed"')
    num_steps = positive_integer("num_steps", num_steps)
    default = _PLAYED if exact else _FASTER
    policy_step = default if policy_step is None else policy_step
    alpha = _steps("policy_step", policy_step, num_steps)
    policy = starting_policy(game, start, key)
    method = f"fictitious play, {values} values"
    identity = {"values": values, "policy_step": runs.step_identity("policy_step", policy_step), "start": runs.digest(*policy)}
    saving = _Saving("fictitious_play", identity, checkpoint, resume, checkpoint_seconds, progress)

    def moved(k: int, own: Policy, q: Policy) -> Policy:
        return tuple(p + alpha[k] * (first_best(value) - p) for p, value in zip(own, q, strict=True))

    if exact:

        def by_values(k: int, own: Policy) -> Policy:
            return moved(k, own, game.q_value(own))

        return _followed(game, method, policy, lambda own: own, by_values, num_steps, record_every, tolerance, saving)

    value_step = _SLOWER if value_step is None else value_step
    beta, N = _steps("value_step", value_step, num_steps), game.num_players
    identity["value_step"] = runs.step_identity("value_step", value_step)

    def by_beliefs(k: int, both: Policy) -> Policy:
        own, belief = both[:N], both[N]
        q: list[Any] = [None] * N
        for problem in game._decisions(own):
            for player, found in zip(problem.players, problem.q_value(belief[list(problem.players)]), strict=True):
                q[player] = found
        best = np.stack([value.max(axis=1) for value in q])
        return (*moved(k, own, tuple(q)), belief + beta[k] * (best - belief))

    begin = (*policy, np.zeros((N, game.num_states)))
    return _followed(game, method, begin, lambda both: both[:N], by_beliefs, num_steps, record_every, tolerance, saving)


def starting_policy(game: Game, start: Any, key: Any) -> Policy:
    """The policy `start`, or a random one, or the uniform one.

    **Raises:** `InputError` for both a start and a key, or a bad one.
    """
    if start is not None and key is not None:
        raise InputError("key: found one beside a start; pass one of the two")
    if start is not None:
        return policies.checked("start", start, game.num_states, game.num_actions)
    return game.uniform_policy() if key is None else game.random_policy(key=key)


def first_best(q: np.ndarray) -> np.ndarray:
    """The first action with the largest value, as probabilities of zero and one: (S, A) to (S, A)."""
    # Differences of rounding count as none: else rounding would choose among equals, and another machine differently.
    near = q >= q.max(axis=1, keepdims=True) - _TIE * np.abs(q).max()
    return np.eye(q.shape[1])[near.argmax(axis=1)]


def onto_simplex(points: np.ndarray) -> np.ndarray:
    """The nearest probabilities in the Euclidean norm, row by row: (S, A) to (S, A).

    Source: Held, Wolfe, Crowder, *Validation of subgradient optimization* (1974): what exceeds a level that makes the sum one.
    """
    # Sums of large numbers would round away the one that is subtracted; a shift of a row changes nothing.
    points = points - points.max(axis=1, keepdims=True)
    falling = -np.sort(-points, axis=1)
    levels = (np.cumsum(falling, axis=1) - 1) / np.arange(1, points.shape[1] + 1)
    kept = np.sum(falling > levels, axis=1) - 1
    found = np.maximum(points - np.take_along_axis(levels, kept[:, None], axis=1), 0)
    return found / found.sum(axis=1, keepdims=True)


def has_converged(gap: float, tolerance: float, num_steps: int, fixed: bool = False) -> tuple[bool, str]:
    """Whether a Nash gap is within the tolerance, and the reason in words."""
    if gap <= tolerance:
        return True, f"the Nash gap {gap:.3g} is at most {tolerance:g}"
    if fixed:
        return (
            False,
            f"the method no longer moves, at a Nash gap of {gap:.3g} above {tolerance:g}: a fixed point, no equilibrium",
        )
    return False, f"after {num_steps} steps the Nash gap is {gap:.3g}, above {tolerance:g}"


class _Saving(NamedTuple):
    """The method's name and its settings, and what the caller says about checkpoints and progress."""

    method: str
    identity: Mapping[str, str]
    checkpoint: str | os.PathLike[str] | None
    resume: bool
    seconds: float
    progress: bool | Callable[[int, int, int], None] | None


class _Path:
    """The records `rows`, an array (T, S, A_i) for each player, and in `now` how many steps are done, the present state, and
    whether the last step moved nothing: in one, which a second Ctrl-C cannot tear apart."""

    def __init__(self, state: Policy, policy_of: Callable[[Policy], Policy], num_rows: int, every: int):
        first = policy_of(state)
        self.rows = tuple(np.empty((num_rows, *own.shape)) for own in first)
        self.every, self._policy_of = every, policy_of
        self.advance(0, state, False)

    @property
    def done(self) -> int:
        """The steps so far."""
        return self.now[0]

    @property
    def count(self) -> int:
        """The records so far."""
        return self.done // self.every + 1

    def advance(self, done: int, state: Policy, fixed: bool) -> None:
        """Record the state where that is due; it is then the present one."""
        if done % self.every == 0:
            for rows, own in zip(self.rows, self._policy_of(state), strict=True):
                rows[done // self.every] = own
        self.now = done, state, fixed

    def arrays(self) -> dict[str, np.ndarray]:
        """For a checkpoint."""
        _, state, fixed = self.now
        found = {f"rows.{i}": own[: self.count] for i, own in enumerate(self.rows)}
        return found | {f"present.{i}": own for i, own in enumerate(state)} | {"fixed": np.array(fixed)}

    def take_over(self, arrays: Mapping[str, np.ndarray], done: int) -> None:
        """Go on from these; `KeyError` or `ValueError` for what does not fit."""
        count = done // self.every + 1
        for i, own in enumerate(self.rows):
            own[:count] = fitting(arrays, f"rows.{i}", (count, *own.shape[1:]), own.dtype)
        state = tuple(fitting(arrays, f"present.{i}", own.shape, own.dtype) for i, own in enumerate(self.now[1]))
        self.now = done, state, bool(fitting(arrays, "fixed", (), np.bool_))


def _followed(
    game: Game,
    method: str,
    state: Policy,
    policy_of: Callable[[Policy], Policy],
    advance: Callable[[int, Policy], Policy],
    num_steps: int,
    record_every: int,
    tolerance: float,
    saving: _Saving,
) -> PolicyPath:
    """Go from `state` by `advance(step, state)`, and record `policy_of(state)`."""
    num_steps, every = runs.check_lengths(num_steps, record_every)
    tolerance, seconds = positive_real("tolerance", tolerance), positive_real("checkpoint_seconds", saving.seconds)
    total = 8 * (num_steps // every + 1) * game.num_states * sum(game.num_actions)
    if total > _LARGEST_PATH:
        raise InputError(f"record_every: found {every}, with which records take {total / 2**30:.3g} GiB; record less often")
    path = _Path(state, policy_of, num_steps // every + 1, every)
    identity: Mapping[str, str] = {"record_every": str(every), **saving.identity}
    if saving.checkpoint is not None:
        identity = {**runs.game_identity(game, *runs.model_of(game)), **identity}
    keeper = Keeper.of(saving.checkpoint, saving.resume, seconds, saving.method, identity)
    with Interruption() as interruption, keeper, Progress.of(saving.progress or False, num_steps, method) as bar:
        keeper.restore(path, num_steps)
        try:
            while path.done < num_steps and not interruption.requested:
                done, before, _ = path.now
                after = advance(done, before)
                fixed = all(np.array_equal(old, new) for old, new in zip(before, after, strict=True))
                path.advance(done + 1, after, fixed)
                keeper.write_if_due(path)
                bar.update(path.done, 0)
        finally:  # what was reached is kept, whatever ends it
            keeper.write(path)
    found = tuple(own[: path.count] for own in path.rows)
    gap = batched.nash_gaps(game, found)
    potential = batched.first_values(game, found) @ game.initial if has_common_interest(game) else None
    steps = np.arange(path.count) * every
    interrupted = path.done < num_steps
    converged, reason = has_converged(float(gap[-1]), tolerance, int(steps[-1]), path.now[2] and not interrupted)
    if interrupted:
        reason = f"interrupted after {path.done} steps; {reason}"
    return PolicyPath(game, method, path.done, steps, found, gap, potential, tolerance, converged, reason, interrupted)


def _steps(name: str, step: StepSize, num_steps: int) -> np.ndarray:
    """The step sizes at 1, …, num_steps."""
    counts = np.arange(1, num_steps + 1)
    if isinstance(step, PowerStep):
        return step(counts.astype(np.float64))
    return values_at(name, check_step(name, step, num_steps), counts)


def _raised(logs: Policy) -> Policy:
    return tuple(policies.softmax(own, 1.0) for own in logs)


def _normalized(logs: np.ndarray) -> np.ndarray:
    """Logarithms of probabilities, up to a constant in each row, made those of probabilities."""
    top = logs.max(axis=1, keepdims=True)
    return logs - top - np.log(np.exp(logs - top).sum(axis=1, keepdims=True))
