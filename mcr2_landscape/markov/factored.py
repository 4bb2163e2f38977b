"""Transitions of congestion games, applied without being formed.

P_i = E_i K: E_i holds the distributions of the others' loads by state, and K(t | L) = Π_m k_m(t_m | L_m) is a product over
routes. K is applied to a vector over the 2^M states one route at a time: after m routes there is a number for each
(L_1, …, L_m) of at most N players and each condition of the other routes, ΣC(N + m, m)·2^(M − m) numbers in all, where K has
C(N + M − 1, M − 1)·2^M.
"""

from __future__ import annotations

import numpy as np

from mcr2_landscape.markov.counts import Loads
from mcr2_landscape.markov.transitions import fixed_point


class NextConditions:
    """K, the distribution of the next state by loads.

    **Arguments:** `loads`, L of them; `stays` (M, N + 1): the probabilities of condition 0 by the route's load.
    """

    def __init__(self, loads: Loads, stays: np.ndarray):
        self.loads, self.stays = loads, stays

    def expected(self, value: np.ndarray) -> np.ndarray:
        """K value: (n, 2^M) to (n, L)."""
        n, found = value.shape[0], value[:, None]
        for stage, stays in zip(self.loads.stages, self.stays, strict=True):
            zero = stays[stage.load][:, None]
            halves = found.reshape(n, found.shape[1], 2, -1)
            found = zero * halves[:, stage.parent, 0] + (1 - zero) * halves[:, stage.parent, 1]
        return found[:, self.loads.order, 0]

    def spread(self, weight: np.ndarray) -> np.ndarray:
        """Kᵀ weight: (n, L) to (n, 2^M)."""
        n = weight.shape[0]
        found = np.empty((*weight.shape, 1))
        found[:, self.loads.order, 0] = weight
        for stage, stays in zip(reversed(self.loads.stages), self.stays[::-1], strict=True):
            zero = stays[stage.load][:, None]
            halves = np.stack([zero * found, (1 - zero) * found], axis=2)
            found = np.add.reduceat(halves, stage.first, axis=1).reshape(n, stage.first.size, -1)
        return found[:, 0]

    def table(self) -> np.ndarray:
        """K, (L, 2^M)."""
        found = np.ones((len(self.loads.table), 1))
        for load, stays in zip(self.loads.table.T, self.stays, strict=True):
            zero = stays[load][:, None, None]
            found = (found[:, :, None] * np.concatenate([zero, 1 - zero], axis=2)).reshape(len(found), -1)
        return found


class FactoredTransitions:
    """n problems with the loads of others that they meet.

    **Arguments:** `others` (n, L', S): distributions of the loads of all players but one, by state, as `Loads.of_others` makes
    them; `following`.
    """

    def __init__(self, others: np.ndarray, following: NextConditions):
        self.others, self.following = others, following

    def continued(self, value: np.ndarray) -> np.ndarray:
        """Σ_t P(t | s, a) value(t), (n, S, A)."""
        expected = self.following.expected(value)
        return np.matmul(self.others.swapaxes(1, 2), expected[:, self.following.loads.up.T])

    def worth(self, policy: np.ndarray, paid: np.ndarray, discount: float, start: np.ndarray | None = None) -> np.ndarray:
        """(I − δP_π)⁻¹ paid, (n, S)."""
        out = np.empty(paid.shape)
        for i in range(len(out)):
            alone, own = self.part(slice(i, i + 1)), policy[i]

            def step(value: np.ndarray, alone: FactoredTransitions = alone, own: np.ndarray = own) -> np.ndarray:
                return np.sum(own * alone.continued(value[None])[0], axis=-1)

            out[i] = fixed_point(step, paid[i], discount, len(self.following.loads.table), None if start is None else start[i])
        return out

    def visits(self, policy: np.ndarray, first: np.ndarray, discount: float) -> np.ndarray:
        """first (I − δP_π)⁻¹, (n, S)."""
        out = np.empty(first.shape)
        for i in range(len(out)):
            alone, own = self.part(slice(i, i + 1)), policy[i : i + 1]

            def step(visits: np.ndarray, alone: FactoredTransitions = alone, own: np.ndarray = own) -> np.ndarray:
                return alone._followed(own * visits[None, :, None])[0]

            out[i] = fixed_point(step, first[i], discount, len(self.following.loads.table))
        return out

    def _followed(self, weight: np.ndarray) -> np.ndarray:
        """Σ weight(s, a) P(t | s, a): (n, S, A) to (n, S)."""
        by_loads = np.matmul(self.others, weight)
        up, spread = self.following.loads.up, np.zeros((len(weight), len(self.following.loads.table)))
        for m, places in enumerate(up):
            spread[:, places] += by_loads[..., m]
        return self.following.spread(spread)

    def step(self, policy: np.ndarray) -> np.ndarray:
        """P_π, (n, S, S)."""
        n, S, _ = policy.shape
        loads = np.zeros((n, S, len(self.following.loads.table)))
        for m, places in enumerate(self.following.loads.up):
            loads[..., places] += policy[..., m, None] * self.others.swapaxes(1, 2)
        return loads @ self.following.table()

    def part(self, problems: slice) -> FactoredTransitions:
        """Those of some of the problems."""
        return FactoredTransitions(self.others[problems], self.following)

    def dense(self) -> np.ndarray:
        """P, (n, S, A, S)."""
        n, count, S = self.others.shape
        up = self.following.loads.up
        by_loads = self.following.table()[up.T].reshape(count, -1)
        return np.matmul(self.others.swapaxes(1, 2), by_loads).reshape(n, S, len(up), -1)
