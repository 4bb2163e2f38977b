"""What the learning dynamics did: records of all seeds, and how far they are from what theory promises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from mcr2_landscape.markov import batched
from mcr2_landscape.markov.congestion import CongestionGame
from mcr2_landscape.markov.game import Game
from mcr2_landscape.markov.policies import Policy, softmax
from mcr2_landscape.markov.records import Rows
from mcr2_landscape.markov.step_sizes import PowerStep, StepCondition, StepSize, step_conditions
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError

_PROBABILITIES = (0.05, 0.25, 0.5, 0.75, 0.95)
_SERIES = (
    "nash_gap",
    "frozen_gap",
    "q_error",
    "least_visited",
    "smallest_probability",
    "zero_probabilities",
    "zero_deviations",
    "potential",
)


@dataclass(frozen=True)
class History(Record):
    """What the dynamics did with each of n seeds, recorded T times.

    **Fields:** `num_steps` made; `steps` (T,) at which was recorded, from 0; `deviation`, "smoothed" or "greedy";
    `temperature`; `exploration`; `q_step` and `policy_step`; `interrupted`: by Ctrl-C, before all steps were made; `recorded`:
    the arrays, with the seeds last and players with fewer actions filled up with zeros.

    Everything else is derived, at the time when it is asked for, in float64. The diagnostics have the shape (n, T):

    * `nash_gap`: the largest gain of a best response, over players and initial states, of the recorded policy (at temperature
      zero, exact by policy iteration).
    * `frozen_gap`: the same with the others' policies frozen at the last recorded ones, as the paper's public code measures it:
      it is not a gap of the policy that was played.
    * `q_error`: max |q − Q̃(π)| over players, states and actions.
    * `least_visited`: visits of the pair of a state and an own action that was visited least, over players.
    * `smallest_probability` in any player's policy, and `zero_probabilities`: how many are zero exactly.
    * `zero_deviations`: how many probabilities of the one-stage deviation are zero exactly, as the softmax gives where it
      underflows (q smaller by more than some 745 τ): actions that are then played ever more rarely, as averages forget.
    * `potential`: Φ averaged over the first state, for games of common interest that is the common value; else `None`.

    `conditions`: those of two-timescale stochastic approximation on the step sizes.
    """

    game: Game = field(repr=False, metadata={"json": False})
    num_steps: int
    steps: np.ndarray = field(repr=False)
    deviation: str
    temperature: float
    exploration: float
    q_step: StepSize = field(metadata={"json": False})
    policy_step: StepSize = field(metadata={"json": False})
    recorded: Rows = field(repr=False, metadata={"json": False})
    interrupted: bool = False

    _derived = ("num_seeds", "step_sizes", "conditions", "series")

    # -- what happened ------------------------------------------------------------------------------------------------------

    @property
    def num_seeds(self) -> int:
        """n."""
        return self.recorded.state.shape[-1]

    @property
    def policies(self) -> Policy:
        """For each player (n, T, S, A_i)."""
        return self._by_player(self.recorded.policy)

    @property
    def q(self) -> Policy:
        """The learned values, for each player (n, T, S, A_i)."""
        return self._by_player(self.recorded.q)

    @property
    def visits(self) -> Policy:
        """How often each state was met with each own action, for each player (n, T, S, A_i), int32."""
        return self._by_player(self.recorded.visits)

    @property
    def state_visits(self) -> np.ndarray:
        """How often each state was met, (n, T, S), int32."""
        return self.visits[0].sum(axis=-1, dtype=np.int32)

    @property
    def states(self) -> np.ndarray:
        """The state after the recorded step, (n, T), int32."""
        return self.recorded.state.T

    @property
    def actions(self) -> np.ndarray:
        """The actions in the recorded step, (n, T, N), int32; −1 in the first record, before any step."""
        return np.moveaxis(self.recorded.actions, -1, 0)

    def policy(self, seed: int, record: int = -1) -> Policy:
        """One policy, as the game's functions take it: an array (S, A_i) for each player."""
        return tuple(own[seed, record] for own in self.policies)

    def _by_player(self, values: np.ndarray) -> Policy:
        return tuple(np.moveaxis(values[:, i, :, :count], -1, 0) for i, count in enumerate(self.game.num_actions))

    # -- how far it is from what theory promises ----------------------------------------------------------------------------

    @cached_property
    def nash_gap(self) -> np.ndarray:
        """The Nash gap of each recorded policy, (n, T)."""
        return self._unflattened(batched.nash_gaps(self.game, self._flat(self.policies)))

    @cached_property
    def frozen_gap(self) -> np.ndarray:
        """The gap with the others frozen at the last record, (n, T)."""
        return batched.frozen_gaps(self.game, self.policies)

    @cached_property
    def q_error(self) -> np.ndarray:
        """max |q − Q̃(π)|, (n, T)."""
        flat = self._flat(self.policies), self._flat(self.q)
        return self._unflattened(batched.q_errors(self.game, *flat, self.temperature))

    @cached_property
    def least_visited(self) -> np.ndarray:
        """Visits of the least visited pair, (n, T), int32."""
        return np.min([own.min(axis=(2, 3)) for own in self.visits], axis=0)

    @cached_property
    def smallest_probability(self) -> np.ndarray:
        """The smallest probability in any player's policy, (n, T)."""
        return np.min([own.min(axis=(2, 3)) for own in self.policies], axis=0)

    @cached_property
    def zero_probabilities(self) -> np.ndarray:
        """How many probabilities are zero exactly, (n, T)."""
        return np.sum([(own == 0).sum(axis=(2, 3)) for own in self.policies], axis=0)

    @cached_property
    def zero_deviations(self) -> np.ndarray:
        """How many probabilities of the deviation from the recorded q are zero exactly, (n, T)."""
        if self.deviation == "greedy":
            zeros = 0 if self.exploration > 0 else self.game.num_states * sum(count - 1 for count in self.game.num_actions)
            return np.full((self.num_seeds, len(self.steps)), zeros)
        return np.sum([(softmax(own, self.temperature) == 0).sum(axis=(2, 3)) for own in self.q], axis=0)

    @cached_property
    def potential(self) -> np.ndarray | None:
        """The common value of the first state, (n, T); `None` for games without common interest."""
        if not has_common_interest(self.game):
            return None
        return self._unflattened(batched.first_values(self.game, self._flat(self.policies)) @ self.game.initial)

    @property
    def conditions(self) -> tuple[StepCondition, ...]:
        """The conditions on step sizes, each with a verdict."""
        return step_conditions(self.q_step, self.policy_step)

    @property
    def step_sizes(self) -> dict[str, str]:
        """The step sizes in words."""
        steps = {"q_step": self.q_step, "policy_step": self.policy_step}
        return {name: str(s) if isinstance(s, PowerStep) else getattr(s, "__qualname__", repr(s)) for name, s in steps.items()}

    def quantiles(self, name: str, probabilities: Sequence[float] = _PROBABILITIES) -> np.ndarray:
        """Quantiles over seeds of a diagnostic, (probabilities, T).

        **Raises:** `InputError` for a diagnostic that there is not, or probabilities outside of [0, 1].
        """
        found: Any = getattr(self, name) if name in _SERIES else None
        if found is None:
            known = ", ".join(repr(own) for own in _SERIES if own != "potential" or has_common_interest(self.game))
            raise InputError(f"name: found {name!r}; pass one of {known}")
        wanted = np.asarray(probabilities, dtype=np.float64)
        if wanted.ndim != 1 or not wanted.size or not ((wanted >= 0) & (wanted <= 1)).all():
            raise InputError(f"probabilities: found {probabilities!r}; pass numbers from zero to one")
        return np.quantile(found, wanted, axis=0)

    @property
    def series(self) -> dict[str, dict[str, np.ndarray]]:
        """Quantiles over seeds of all diagnostics, by name and probability."""
        named = (name for name in _SERIES if name != "potential" or has_common_interest(self.game))
        return {name: dict(zip(map(str, _PROBABILITIES), self.quantiles(name), strict=True)) for name in named}

    def _flat(self, arrays: Policy) -> Policy:
        return tuple(own.reshape(-1, *own.shape[2:]) for own in arrays)

    def _unflattened(self, values: np.ndarray) -> np.ndarray:
        return values.reshape(self.num_seeds, len(self.steps))


def has_common_interest(game: Game) -> bool:
    """Whether every player is paid the same, whatever is played."""
    if isinstance(game, CongestionGame):
        return game.common_interest
    reward = game.to_tables().reward
    return bool((reward == reward[:1]).all())
