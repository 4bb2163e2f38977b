"""The decision problems that players face while the others' policies stay as they are.

With the others fixed, player i meets a Markov decision process: rewards r_i(s, a_i) and transitions P_i(t | s, a_i), both
averaged over what the others do. Everything that is asked of a policy is answered by it: the player's value, Q-function, and
best response. The problems of all players with equally many actions are solved together, in arrays with the player first.

Source: Puterman, *Markov Decision Processes*, section 6.4 (policy iteration); the perturbed form replaces the maximum over
actions by τ log Σ exp(·/τ), whose policy iteration is Newton's method likewise.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mcr2_landscape.markov import policies

_MOST_ROUNDS = 10_000
# A change of action has to gain more than this, relative to the largest |Q|: else rounding could go in circles.
_GAIN = 1e-13


class Decisions(NamedTuple):
    """Decision problems of `players`, (n,) of them with A actions each.

    **Fields:** `players`, their numbers; `reward` (n, S, A); `transition` (n, S, A, S); `discount`.
    """

    players: tuple[int, ...]
    reward: np.ndarray
    transition: np.ndarray
    discount: float

    def continued(self, value: np.ndarray) -> np.ndarray:
        """Σ_t P(t | s, a) value(t): values (n, S) to (n, S, A)."""
        return np.einsum("nsat,nt->nsa", self.transition, value, optimize=True)

    def evaluate(self, policy: np.ndarray, bonus: np.ndarray | float = 0.0) -> np.ndarray:
        """Values (n, S) of own policies (n, S, A), with `bonus` (n, S) paid in addition."""
        n, num_states = self.reward.shape[:2]
        step = np.einsum("nsa,nsat->nst", policy, self.transition, optimize=True)
        paid = np.sum(policy * self.reward, axis=-1) + bonus
        return np.linalg.solve(np.eye(num_states) - self.discount * step, paid[..., None])[..., 0].reshape(n, num_states)

    def q_value(self, value: np.ndarray) -> np.ndarray:
        """r + δ P value, (n, S, A)."""
        return self.reward + self.discount * self.continued(value)

    def best(self, temperature: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """Best responses: policies (n, S, A) and their values (n, S), by policy iteration.

        For a temperature τ > 0 the entropy of the own policy is paid, τ times, in every state.
        """
        return self._best_perturbed(temperature) if temperature > 0 else self._best()

    def _best(self) -> tuple[np.ndarray, np.ndarray]:
        num_actions = self.reward.shape[-1]
        chosen = self.reward.argmax(axis=-1)
        for _ in range(_MOST_ROUNDS):
            value = self.evaluate(np.eye(num_actions)[chosen])
            q = self.q_value(value)
            better = q.max(axis=-1) > np.take_along_axis(q, chosen[..., None], axis=-1)[..., 0] + _GAIN * np.abs(q).max()
            if not better.any():
                return np.eye(num_actions)[chosen], value
            chosen = np.where(better, q.argmax(axis=-1), chosen)
        raise AssertionError("policy iteration visits no policy twice")

    def _best_perturbed(self, temperature: float) -> tuple[np.ndarray, np.ndarray]:
        policy = policies.softmax(self.reward, temperature)
        last = np.full(self.reward.shape[:2], -np.inf)
        for _ in range(_MOST_ROUNDS):
            value = self.evaluate(policy, temperature * policies.entropy(policy))
            policy = policies.softmax(self.q_value(value), temperature)
            # Values rise at every step, quadratically at the end: where they no longer do, rounding is all that is left.
            if (value - last).max() <= 1e-15 * max(1.0, np.abs(value).max()):
                return policy, value
            last = value
        raise AssertionError("policy iteration increases the value at every step")
