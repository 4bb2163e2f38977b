"""Equilibria: all deterministic stationary ones, the team's optimum, and fixed points of the smoothed one-stage deviation.

By the one-stage deviation principle (Puterman, *Markov Decision Processes*, theorem 6.2.6) a stationary policy is an
equilibrium if and only if no player gains by another action in one state.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from mcr2_landscape.markov import policies, pure
from mcr2_landscape.markov.decisions import Decisions
from mcr2_landscape.markov.game import Game, checked_game
from mcr2_landscape.markov.policies import Policy
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, positive_integer, positive_real
from mcr2_landscape.verdict import Verdict

# What differs by less counts as equal, relative to what the player's rewards range over, by 1/(1 − δ): a hundred times what
# rounding makes of values.
_TIE = 1e-13
_MOST_UNKNOWNS = 512


@dataclass(frozen=True)
class PureEquilibria(Record):
    """The deterministic stationary equilibria of a game.

    **Fields:** `actions` (count, N, S): what each player plays in each state; `strict` (count,): whether every other action is
    worse, for every player in every state; `num_policies`, of which these were found; `tolerance` (N,), below which a
    difference of that player's Q-values counts as none.
    """

    actions: np.ndarray
    strict: np.ndarray
    num_policies: int
    tolerance: np.ndarray

    _derived = ("count", "num_strict")

    @property
    def count(self) -> int:
        """How many."""
        return len(self.actions)

    @property
    def num_strict(self) -> int:
        """How many of them are strict."""
        return int(self.strict.sum())


@dataclass(frozen=True)
class TeamOptimum(Record):
    """What players reach together.

    **Fields:** `policy`, deterministic; `actions` (N, S); `value` (S,): the discounted mean of the players' rewards, the
    largest of all policies in every state at once.
    """

    policy: Policy
    actions: np.ndarray
    value: np.ndarray


@dataclass(frozen=True)
class PerturbedEquilibrium(Record):
    """A fixed point of the smoothed one-stage deviation, or how near one came.

    **Fields:** `verdict`: holds if converged, else undecided; `policy`; `temperature`; `value` (N, S), Ṽ_i; `residual`: the
    largest |τ log Σ_a exp(Q_i(s, a)/τ) − Ṽ_i(s)|, the soft Bellman equation's; `policy_residual`: the largest
    |softmax(Q_i/τ) − π_i|; `tolerances` of these two; `entropy_value` (N, S): τD_i, which bounds what a player gains by its
    best response; `bound`: τ log max A_i/(1 − δ), which bounds that; `num_steps`.
    """

    verdict: Verdict
    policy: Policy
    temperature: float
    value: np.ndarray
    residual: float
    policy_residual: float
    tolerances: tuple[float, float]
    entropy_value: np.ndarray
    bound: float
    num_steps: int

    @property
    def converged(self) -> bool:
        """Whether both residuals are within their tolerances."""
        return self.verdict is Verdict.HOLDS


def pure_equilibria(game: Game) -> PureEquilibria:
    """All deterministic stationary equilibria.

    **Raises:** `InputError` for what is no game, a game with more than 2²² deterministic policies, or too large for tables.
    """
    total = pure.check_count(game, "iterate best responses from several starts, or take fewer states, players or actions")
    table = game.to_tables()
    transition, reward = pure.flat(table)
    S = table.num_states
    tolerance = _TIE * np.maximum(np.ptp(reward, axis=(1, 2)), 1e-300) / (1 - table.discount)
    states, found, strict = np.arange(S), [], []
    reward = pure.centered(reward)
    for batch in pure.batches(table, without_means=True):
        profiles, value = batch.profiles, batch.value
        own = np.stack(np.unravel_index(profiles, table.num_actions), axis=1)  # (k, N, S)
        margin = np.full(len(profiles), np.inf)  # in tolerances of the player concerned
        for i, num_actions in enumerate(table.num_actions):
            stride = math.prod(table.num_actions[i + 1 :])
            for turn in range(1, num_actions):
                # Policies whose fate is known need no more looks.
                left = np.flatnonzero(margin >= -1)
                changed = profiles[left] + ((own[left, i] + turn) % num_actions - own[left, i]) * stride
                q = reward[i, states, changed] + table.discount * np.einsum(
                    "kst,kt->ks", transition[states, changed], value[left, i]
                )
                margin[left] = np.minimum(margin[left], (value[left, i] - q).min(axis=1) / tolerance[i])
        keep = margin >= -1
        found.append(own[keep])
        strict.append(margin[keep] > 1)
    return PureEquilibria(np.concatenate(found), np.concatenate(strict), total, tolerance)


def team_optimum(game: Game) -> TeamOptimum:
    """The joint policy with the largest discounted mean of the players' rewards; with identical interest, the common value.

    By policy iteration over joint actions.

    **Raises:** `InputError` for a game too large for tables.
    """
    table = checked_game(game).to_tables()
    transition, reward = pure.flat(table)
    best, value = Decisions((0,), reward.mean(axis=0)[None], transition[None], table.discount).best()
    actions = np.stack(np.unravel_index(best[0].argmax(axis=1), table.num_actions))
    return TeamOptimum(game.deterministic_policy(actions), actions, value[0])


def perturbed_equilibrium(
    game: Game, temperature: float, start: Any = None, *, key: Any = None, max_steps: int = 500
) -> PerturbedEquilibrium:
    """A policy with π_i = softmax(Q_i(s, ·)/τ) for all players and states: an equilibrium of the perturbed game.

    Damped iteration of the smoothed one-stage deviation; if that fails, perturbed best responses of one player after the other;
    then the branch of equilibria from high temperatures down. Each is ended by Newton's method on Q-values (up to 512 of them;
    its Jacobian by finite differences). There may be several fixed points; which one is found depends on the start.

    **Arguments:** `temperature` τ > 0; `start`: a policy, by default the uniform one, or a random one where `key` is given;
    `max_steps` of the iteration.

    **Raises:** `InputError` for a temperature that is not above zero, a policy that is none, a start and a key together.
    """
    checked_game(game)
    tau = positive_real("temperature", temperature, advice="for the game as it is, see pure_equilibria and best_response")
    steps = positive_integer("max_steps", max_steps)
    if start is not None and key is not None:
        raise InputError("key: found one beside a start; pass one of the two")
    if start is not None:
        policy = policies.checked("start", start, game.num_states, game.num_actions)
    else:
        policy = game.uniform_policy() if key is None else game.random_policy(key=key)
    shared = _SmoothedGame(game, tau)
    return shared.record(*shared.solve(policy, steps))


class _SmoothedGame:
    """The fixed point problem in the Q-values without the own entropy, flat: x = Q(softmax(x/τ))."""

    def __init__(self, game: Game, temperature: float):
        self.game, self.tau = game, temperature
        shapes = [(game.num_states, count) for count in game.num_actions]
        self.ends, self.shapes = np.cumsum([math.prod(shape) for shape in shapes]), shapes

    def parts(self, x: np.ndarray) -> list[np.ndarray]:
        return [part.reshape(shape) for part, shape in zip(np.split(x, self.ends[:-1]), self.shapes, strict=True)]

    def policy(self, x: np.ndarray) -> Policy:
        return tuple(policies.softmax(part, self.tau) for part in self.parts(x))

    def q(self, policy: Policy) -> np.ndarray:
        found = self.game.q_value(policy, temperature=self.tau)
        pairs = zip(found, policy, strict=True)
        return np.concatenate([(q - self.tau * policies.entropy(own)[:, None]).ravel() for q, own in pairs])

    def image(self, x: np.ndarray) -> np.ndarray:
        return self.q(self.policy(x))

    def solve(self, policy: Policy, most: int) -> tuple[np.ndarray, int]:
        """The best of three ways, each ended by Newton's method; the first that reaches rounding ends the search."""
        start, steps, found = self.q(policy), 0, []
        for way in (self.damped, self.in_turn, self.followed):
            x, taken = way(policy, start, most)
            x, left = self.newton(x)
            steps += taken
            found.append((left, x))
            if left <= 1e-13 * (1 + float(np.abs(x).max())):
                break
        return min(found, key=lambda pair: pair[0])[1], steps

    def damped(self, policy: Policy, x: np.ndarray, most: int) -> tuple[np.ndarray, int]:
        """Half steps in the Q-values, of all players at once: near attracting equilibria."""
        least, since = np.inf, 0
        for step in range(most):
            off = self.image(x) - x
            size = float(np.abs(off).max())
            least, since = (size, 0) if size < 0.9 * least else (least, since + 1)
            if since >= 10 or size <= 1e-4 * self.tau:
                return x, step
            x = x + 0.5 * off
        return x, most

    def in_turn(self, policy: Policy, x: np.ndarray, most: int) -> tuple[np.ndarray, int]:
        """Perturbed best responses, of one player after the other: ascends where there is a potential."""
        for step in range(min(most, 50)):
            before = policy
            for i in range(self.game.num_players):
                own = self.game.best_response(policy, i, temperature=self.tau).policy
                policy = (*policy[:i], own, *policy[i + 1 :])
            if max(float(np.abs(a - b).max()) for a, b in zip(policy, before, strict=True)) <= 1e-6:
                return self.q(policy), step
        return self.q(policy), min(most, 50)

    def followed(self, policy: Policy, x: np.ndarray, most: int) -> tuple[np.ndarray, int]:
        """The branch of equilibria that starts at the uniform policy, where the temperature is high, down to this one."""
        x = self.q(self.game.uniform_policy())
        target = self.tau
        top = 2 * float(np.ptp(x)) / (1 - self.game.discount) + target
        ladder = [target] if top <= target else np.geomspace(top, target, 2 + int(3 * math.log(top / target))).tolist()
        before = ladder[0]
        for step, self.tau in enumerate([*ladder[:-1], target]):
            # Where the limit is mixed, it is the logits that change little, else the Q-values.
            means = np.concatenate([np.broadcast_to(q.mean(axis=1, keepdims=True), q.shape).ravel() for q in self.parts(x)])
            guesses = [x, means + (x - means) * self.tau / before]
            x, _ = self.newton(min(guesses, key=lambda guess: float(np.abs(self.image(guess) - guess).max())))
            before = self.tau
            if step >= most:
                break
        self.tau = target
        return x, len(ladder)

    def newton(self, x: np.ndarray) -> tuple[np.ndarray, float]:
        """Steps that lower the residual, as long as there are any; and what is left of it."""
        off = self.image(x) - x
        size = float(np.abs(off).max())
        for _ in range(12 if x.size <= _MOST_UNKNOWNS else 0):
            if size <= 1e-15 * (1 + float(np.abs(x).max())):
                break
            h = 1e-6 * min(self.tau, 1 + float(np.abs(x).max()))
            columns = [(self.image(x + h * e) - self.image(x - h * e)) / (2 * h) for e in np.eye(x.size)]
            try:
                direction = np.linalg.solve(np.eye(x.size) - np.stack(columns, axis=1), off)
            except np.linalg.LinAlgError:
                return x, size
            for fraction in (1.0, 0.5, 0.25, 0.1, 0.02):
                trial = x + fraction * direction
                after = self.image(trial) - trial
                if np.abs(after).max() < size:
                    break
            else:
                return x, size
            little = np.abs(after).max() > 0.5 * size
            x, off, size = trial, after, float(np.abs(after).max())
            if little:  # at the level of rounding, or nowhere near a solution
                break
        return x, size

    def record(self, x: np.ndarray, steps: int) -> PerturbedEquilibrium:
        game, tau = self.game, self.tau
        policy = self.policy(x)
        value = game.value(policy, temperature=tau)
        q = self.q(policy)
        soft = []
        for part in self.parts(q):
            top = part.max(axis=1, keepdims=True)
            soft.append(top[:, 0] + tau * np.log(np.exp((part - top) / tau).sum(axis=1)))
        residual = float(np.abs(np.stack(soft) - value).max())
        pairs = zip(self.policy(q), policy, strict=True)
        policy_residual = max(float(np.abs(own - found).max()) for own, found in pairs)
        scale = 1 + float(np.abs(q).max())
        # What rounding of the Q-values, of relative size 1e-13, makes of the equation and of the softmax.
        tolerances = 1e-13 * scale / (1 - game.discount), max(1e-12, 2e-13 * scale / tau)
        reached = residual <= tolerances[0] and policy_residual <= tolerances[1] and tolerances[1] < 0.5
        bound = tau * math.log(max(game.num_actions)) / (1 - game.discount)
        return PerturbedEquilibrium(
            Verdict.HOLDS if reached else Verdict.UNDECIDED,
            policy,
            tau,
            value,
            residual,
            policy_residual,
            tolerances,
            value - game.value(policy),
            bound,
            steps,
        )
