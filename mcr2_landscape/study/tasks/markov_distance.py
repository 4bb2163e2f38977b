"""How far random Markov games are from Markov potential games."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mcr2_landscape.validation import positive_integer

_ROUNDING = 1e-12  # of the largest value: a range of values that is not above it says nothing


@dataclass(frozen=True, kw_only=True)
class Distance:
    """**Fields:** `verdict` and `evidence` of the exact decision test; `alpha`: a lower bound on the α of a Markov α-potential
    game; `spread`: the range of all values of the uniform policy, to compare it with; `None` where they are equal up to
    rounding, as with one state and identical interest."""

    verdict: str
    evidence: str
    alpha: float
    spread: float | None


def markov_distance(
    *,
    family: Literal["random", "stage-potential", "moving-stage-potential", "identical-interest"] = "random",
    num_states: int = 2,
    num_players: int = 2,
    num_actions: int = 2,
    discount: float = 0.5,
    seed: int,
) -> Distance:
    """Draw a game, decide whether it is a potential game, and bound its distance to one from below.

    **Arguments:** `family`: "stage-potential" has a potential in each state and transitions that do not depend on actions, in
    "moving-stage-potential" they do.

    **Raises:** `InputError` for numbers out of range.
    """
    from mcr2_landscape.markov import alpha_lower_bound, identical_interest, potential_test, random_game, stage_potential

    actions = (positive_integer("num_actions", num_actions),) * positive_integer("num_players", num_players, minimum=2)
    if family in ("stage-potential", "moving-stage-potential"):
        moving = family == "moving-stage-potential"
        game = stage_potential(num_states, actions, key=seed, discount=discount, moving=moving)
    else:
        make = random_game if family == "random" else identical_interest
        game = make(num_states, actions, key=seed, discount=discount)
    test, bound = potential_test(game, key=seed), alpha_lower_bound(game, key=seed)
    values = game.value(game.uniform_policy())
    spread = float(values.max() - values.min())
    if spread <= _ROUNDING * float(abs(values).max()):
        spread = None
    return Distance(verdict=str(test.verdict), evidence=str(test.evidence), alpha=bound.value, spread=spread)
