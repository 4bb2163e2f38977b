"""Independent learning in the routing game, many learners at once: how far they are from equilibria, and from their values."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mcr2_landscape.validation import positive_integer, positive_real

if TYPE_CHECKING:
    from mcr2_landscape.markov.histories import History

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_WORDS = ("low", "first", "middle", "third", "high")
_FAR = 0.5  # a Nash gap above counts as away from any equilibrium; values of the first setting are 24 to 48


@dataclass(frozen=True, kw_only=True)
class Learned:
    """Quantiles over learners at `curve_step`, the steps that were recorded, each a tuple as long; 5, 50 and 95 % are called
    low, middle and high, 25 and 75 % first and third.

    **Fields:** `gap_…`: the Nash gap of the policies; `frozen_…`: the same with the others' policies frozen at the last ones,
    as the paper's public code has it; `q_error_…`: the largest |q − Q̃|; `potential_…` (empty without common interest) and
    its `optimum`. At the end: `largest_gap`; `share_away`, of learners with a gap above ½; `share_untried`, with a pair of
    state and own action that was never tried; `share_underflown`, with a deviation that gives some action a probability of
    zero exactly; `least_visited`, the median. `conditions`: of the step sizes' conditions those that fail.
    """

    curve_step: tuple[int, ...]
    gap_low: tuple[float, ...]
    gap_first: tuple[float, ...]
    gap_middle: tuple[float, ...]
    gap_third: tuple[float, ...]
    gap_high: tuple[float, ...]
    frozen_low: tuple[float, ...]
    frozen_first: tuple[float, ...]
    frozen_middle: tuple[float, ...]
    frozen_third: tuple[float, ...]
    frozen_high: tuple[float, ...]
    q_error_low: tuple[float, ...]
    q_error_first: tuple[float, ...]
    q_error_middle: tuple[float, ...]
    q_error_third: tuple[float, ...]
    q_error_high: tuple[float, ...]
    potential_low: tuple[float, ...]
    potential_first: tuple[float, ...]
    potential_middle: tuple[float, ...]
    potential_third: tuple[float, ...]
    potential_high: tuple[float, ...]
    optimum: float | None
    largest_gap: float
    share_away: float
    share_untried: float
    share_underflown: float
    least_visited: float
    conditions: str


def markov_learn(
    *,
    num_players: int = 4,
    common_interest: bool = True,
    action_independent: bool = False,
    unsafe_costs_more: bool = False,
    q_exponent: float = 0.5,
    policy_exponent: float = 1.0,
    temperature: float = 1e-6,
    exploration: float = 0.0,
    num_steps: int = 100_000,
    num_learners: int = 1024,
    num_records: int = 50,
    seed: int,
) -> Learned:
    """Let learners learn in the routing game of Maheshwari et al. (2022).

    **Arguments:** `unsafe_costs_more`: the costs are doubled on unsafe routes, not on safe ones as in the paper's code;
    `q_exponent` and `policy_exponent`: step sizes n^−x; `exploration` above zero replaces the smoothed deviation of
    `temperature` by the best action with exploration; `num_records`: at most so many records, half of them evenly spaced
    over all steps, the others before the first of these, since most happens early.

    **Raises:** `InputError` for numbers out of range.
    """
    from mcr2_landscape.markov import learn, power_step, routing_game, team_optimum
    from mcr2_landscape.verdict import Verdict

    num_steps = positive_integer("num_steps", num_steps)
    most = positive_integer("num_records", num_records)
    if exploration == 0:
        temperature = positive_real("temperature", temperature)
    game = routing_game(
        num_players=num_players,
        common_interest=common_interest,
        action_independent=action_independent,
        cost_factors=(1, 2) if unsafe_costs_more else (2, 1),
    )
    num_learners = positive_integer("num_learners", num_learners)

    def run(steps: int, every: int) -> History:
        return learn(
            game,
            key=seed,
            num_steps=steps,
            num_seeds=num_learners,
            q_step=power_step(q_exponent),
            policy_step=power_step(policy_exponent),
            temperature=None if exploration else temperature,
            exploration=exploration,
            record_every=every,
        )

    history = _early_and_late(run, num_steps, most)

    def columns(prefix: str, name: str) -> dict[str, tuple[float, ...]]:
        rows = history.quantiles(name, _QUANTILES)
        return {f"{prefix}_{word}": tuple(map(float, row)) for word, row in zip(_WORDS, rows, strict=True)}

    potential = columns("potential", "potential") if common_interest else {f"potential_{word}": () for word in _WORDS}
    last = history.nash_gap[:, -1]
    return Learned(
        curve_step=tuple(int(step) for step in history.steps),
        **columns("gap", "nash_gap"),
        **columns("frozen", "frozen_gap"),
        **columns("q_error", "q_error"),
        **potential,
        optimum=float(team_optimum(game).value @ game.initial) if common_interest and num_players <= 8 else None,
        largest_gap=float(last.max()),
        share_away=float((last > _FAR).mean()),
        share_untried=float((history.least_visited[:, -1] == 0).mean()),
        share_underflown=float((history.zero_deviations[:, -1] > 0).mean()),
        least_visited=float(np.median(history.least_visited[:, -1])),
        conditions=", ".join(c.statement for c in history.conditions if c.verdict is Verdict.REFUTED) or "none",
    )


def _early_and_late(run: Callable[[int, int], History], num_steps: int, most: int) -> History:
    """One history with at most so many records after the first, closer to each other at the beginning.

    `run` learns for so many steps and records one of so many. What a learner draws depends on its number and the step alone,
    so that a shorter run is the beginning of the longer one.
    """
    half = max(most // 2, 1)
    late = run(num_steps, _spacing(num_steps, half))
    first = int(late.steps[1])
    if half == 1 or first == 1:
        return late
    early = run(first, _spacing(first, half))
    rows = [np.concatenate([own, rest[2:]]) for own, rest in zip(early.recorded, late.recorded, strict=True)]
    steps = np.concatenate([early.steps, late.steps[2:]])
    return dataclasses.replace(late, steps=steps, recorded=type(late.recorded)(*rows))


def _spacing(num_steps: int, most: int) -> int:
    """The closest spacing of records that ends at `num_steps` with at most so many."""
    return next(every for every in range(-(-num_steps // most), num_steps + 1) if num_steps % every == 0)
