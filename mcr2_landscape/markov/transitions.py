"""Where the state goes, as players see it while the others' policies stay as they are.

For n decision problems with S states and A actions, P_i(t | s, a). What is asked of it is a protocol, `Transitions`, so that
the problems do not depend on how it is stored: `DenseTransitions` holds the numbers, `FixedTransitions` one row for all of
them, `mcr2_landscape.markov.factored` distributions of loads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

_ROUNDING = 4 * np.finfo(np.float64).eps  # what one product may be off by, relative to the largest value
_LEFT = 1e-10
_MOST_ROUNDS = 50


class Transitions(Protocol):
    """The transitions of n decision problems. Own policies are arrays (n, S, A), values (n, S)."""

    def continued(self, value: np.ndarray) -> np.ndarray:
        """Σ_t P(t | s, a) value(t): values (n, S) to (n, S, A)."""
        ...

    def worth(self, policy: np.ndarray, paid: np.ndarray, discount: float, start: np.ndarray | None = None) -> np.ndarray:
        """(I − δP_π)⁻¹ paid, (n, S). `start`, values nearby, may save time."""
        ...

    def visits(self, policy: np.ndarray, first: np.ndarray, discount: float) -> np.ndarray:
        """first (I − δP_π)⁻¹ for distributions (n, S): expected discounted visits."""
        ...

    def step(self, policy: np.ndarray) -> np.ndarray:
        """P_π, (n, S, S)."""
        ...

    def part(self, problems: slice) -> Transitions:
        """Those of some of the problems."""
        ...


class DenseTransitions:
    """**Arguments:** `table` (n, S, A, S)."""

    def __init__(self, table: np.ndarray):
        self.table = table

    def continued(self, value: np.ndarray) -> np.ndarray:
        """Σ_t P(t | s, a) value(t), (n, S, A)."""
        return np.einsum("nsat,nt->nsa", self.table, value, optimize=True)

    def worth(self, policy: np.ndarray, paid: np.ndarray, discount: float, start: np.ndarray | None = None) -> np.ndarray:
        """(I − δP_π)⁻¹ paid, (n, S)."""
        return np.linalg.solve(self._system(policy, discount), paid[..., None])[..., 0]

    def visits(self, policy: np.ndarray, first: np.ndarray, discount: float) -> np.ndarray:
        """first (I − δP_π)⁻¹, (n, S)."""
        return np.linalg.solve(self._system(policy, discount).swapaxes(1, 2), first[..., None])[..., 0]

    def _system(self, policy: np.ndarray, discount: float) -> np.ndarray:
        return np.eye(policy.shape[1]) - discount * self.step(policy)

    def step(self, policy: np.ndarray) -> np.ndarray:
        """P_π, (n, S, S)."""
        return np.einsum("nsa,nsat->nst", policy, self.table, optimize=True)

    def part(self, problems: slice) -> DenseTransitions:
        """Those of some of the problems."""
        return DenseTransitions(self.table[problems])


class FixedTransitions:
    """The next state has one distribution, whatever the state and the actions: P_π = 1 row, of rank one.

    **Arguments:** `row` (S,); `num_actions` A.
    """

    def __init__(self, row: np.ndarray, num_actions: int):
        self.row, self.num_actions = row, num_actions

    def continued(self, value: np.ndarray) -> np.ndarray:
        """Σ_t P(t | s, a) value(t), (n, S, A)."""
        return np.broadcast_to((value @ self.row)[:, None, None], (*value.shape, self.num_actions))

    def worth(self, policy: np.ndarray, paid: np.ndarray, discount: float, start: np.ndarray | None = None) -> np.ndarray:
        """(I − δP_π)⁻¹ paid, (n, S)."""
        return paid + discount / (1 - discount) * (paid @ self.row)[:, None]

    def visits(self, policy: np.ndarray, first: np.ndarray, discount: float) -> np.ndarray:
        """first (I − δP_π)⁻¹, (n, S)."""
        return first + discount / (1 - discount) * first.sum(axis=1, keepdims=True) * self.row

    def step(self, policy: np.ndarray) -> np.ndarray:
        """P_π, (n, S, S)."""
        return np.broadcast_to(self.row, (policy.shape[0], self.row.size, self.row.size))

    def part(self, problems: slice) -> FixedTransitions:
        """Those of some of the problems."""
        return self


def fixed_point(
    step: Callable[[np.ndarray], np.ndarray], paid: np.ndarray, discount: float, rank: int, start: np.ndarray | None = None
) -> np.ndarray:
    """The solution x (S,) of x = paid + δ step(x), for a stochastic matrix of that `rank`, or the transpose of one.

    By GMRES without restarts, which ends after rank + 1 steps at the latest, repeated for what is left until that is rounding:
    the error is at most 1/(1 − δ) times it, both by their largest entries (for a transpose, by sums). A `start` that is as good
    as that is returned as it is.
    """
    from scipy.sparse.linalg import LinearOperator, gmres

    S = paid.size
    system = LinearOperator((S, S), matvec=lambda x: x - discount * step(x), dtype=np.float64)  # type: ignore[call-arg]
    found, size, last = (paid if start is None else start), np.inf, np.inf
    for _ in range(_MOST_ROUNDS):
        left = paid + discount * step(found) - found
        size, small = np.abs(left).max(), _ROUNDING * np.abs(found).max()
        # Halved no longer: this is the rounding of one product.
        if size <= small or size > last / 2:
            break
        last = size
        setting = {"rtol": max(1e-14, float(small / size) / 4), "atol": 0.0, "restart": min(S, rank + 1), "maxiter": 1}
        found = found + gmres(system, left, **setting)[0]
    if size > _LEFT * np.abs(found).max():
        raise AssertionError("GMRES without restarts solves every such system")
    return found
