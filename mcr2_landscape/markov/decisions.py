"""The decision problems that players face while the others' policies stay as they are.

With the others fixed, player i meets a Markov decision process: rewards r_i(s, a_i) and transitions P_i(t | s, a_i), both
averaged over what the others do. Everything that is asked of a policy is answered by it: the player's value, Q-function, and
best response. The problems of all players with equally many actions are solved together, in arrays with the player first.

Source: Puterman, *Markov Decision Processes*, section 6.4 (policy iteration); the perturbed form replaces the maximum over
actions by τ log Σ exp(·/τ), whose policy iteration is Newton's method likewise.
"""

from __future__ import annotations

import numpy as np

from mcr2_landscape.markov import policies
from mcr2_landscape.markov.transitions import DenseTransitions, Transitions

_MOST_ROUNDS = 10_000
# A change of action has to gain more than this, relative to the problem's largest |Q|: else rounding could go in circles.
_GAIN = 1e-13
_ROUNDING = 1e-15


class Decisions:
    """Decision problems of `players`, (n,) of them with A actions each.

    **Arguments:** `players`, their numbers; `reward` (n, S, A); `transition`, or the numbers of it (n, S, A, S); `discount`.
    """

    def __init__(self, players: tuple[int, ...], reward: np.ndarray, transition: Transitions | np.ndarray, discount: float):
        self.players, self.reward, self.discount = players, reward, discount
        self.transition: Transitions = DenseTransitions(transition) if isinstance(transition, np.ndarray) else transition

    @property
    def _rounding(self) -> float:
        """What rounding makes of values, relative to the largest."""
        return _ROUNDING / (1 - self.discount)

    def _equal(self, risen: np.ndarray, value: np.ndarray) -> bool:
        """Whether what values (n, S) have risen by is their rounding, in every problem."""
        return bool((risen.max(axis=-1) <= self._rounding * np.abs(value).max(axis=-1)).all())

    def alone(self, problem: int) -> Decisions:
        """One of the problems."""
        part = slice(problem, problem + 1)
        return Decisions(self.players[part], self.reward[part], self.transition.part(part), self.discount)

    def evaluate(self, policy: np.ndarray, bonus: np.ndarray | float = 0.0, start: np.ndarray | None = None) -> np.ndarray:
        """Values (n, S) of own policies (n, S, A), with `bonus` (n, S) paid in addition. A `start` nearby may save time."""
        return self.transition.worth(policy, np.sum(policy * self.reward, axis=-1) + bonus, self.discount, start)

    def q_value(self, value: np.ndarray) -> np.ndarray:
        """r + δ P value, (n, S, A)."""
        return self.reward + self.discount * self.transition.continued(value)

    def best(self, temperature: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """Best responses: policies (n, S, A) and their values (n, S), by policy iteration.

        For a temperature τ > 0 the entropy of the own policy is paid, τ times, in every state.
        """
        return self._best_perturbed(temperature) if temperature > 0 else self._best()

    def _best(self) -> tuple[np.ndarray, np.ndarray]:
        num_actions = self.reward.shape[-1]
        chosen, last = self.reward.argmax(axis=-1), None
        for _ in range(_MOST_ROUNDS):
            value = self.evaluate(np.eye(num_actions)[chosen], start=last)
            q = self.q_value(value)
            gained = q.max(axis=-1) - np.take_along_axis(q, chosen[..., None], axis=-1)[..., 0]
            better = gained > _GAIN * np.abs(q).max(axis=(-2, -1))[..., None]
            # Values rise wherever an action is changed, unless what it gained is their rounding.
            done = last is not None and self._equal(value - last, value)
            if not better.any() or done:
                return np.eye(num_actions)[chosen], value
            last = value
            chosen = np.where(better, q.argmax(axis=-1), chosen)
        raise AssertionError("policy iteration visits no policy twice")

    def _best_perturbed(self, temperature: float) -> tuple[np.ndarray, np.ndarray]:
        policy, last = policies.softmax(self.reward, temperature), None
        for _ in range(_MOST_ROUNDS):
            value = self.evaluate(policy, temperature * policies.entropy(policy), last)
            policy = policies.softmax(self.q_value(value), temperature)
            # Values rise at every step, quadratically at the end: where they no longer do, rounding is all that is left.
            if last is not None and self._equal(value - last, np.maximum(np.abs(value), 1.0)):
                return policy, value
            last = value
        raise AssertionError("policy iteration increases the value at every step")
