"""Everything that is asked of a game at once: what the command line prints and reports."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mcr2_landscape.markov import pure
from mcr2_landscape.markov.cycles import PotentialTest
from mcr2_landscape.markov.distance import AlphaBound, alpha_lower_bound
from mcr2_landscape.markov.equilibria import PureEquilibria, TeamOptimum, pure_equilibria, team_optimum
from mcr2_landscape.markov.game import Game, NashGap
from mcr2_landscape.markov.policies import Policy
from mcr2_landscape.markov.potential import potential_test
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError
from mcr2_landscape.verdict import Verdict

_LISTED = 1 << 18  # deterministic policies up to which all equilibria are looked for
_SWEPT = 1 << 8  # action profiles up to which the bound on α is improved by ascent


@dataclass(frozen=True)
class GameExamination(Record):
    """What a game is, and what a policy is worth in it.

    **Fields:** `source`, in words; `num_players`, `num_states`, `num_actions`, `discount`. `potential`: the state-wise
    decision test, `averaged` the weak notion where that refutes, `perturbed` the test of the perturbed game where that is asked
    for; `alpha`: a lower bound on α where the game is no potential
    game; `pure`: the deterministic stationary equilibria; `team`: the best joint policy for the mean of rewards; the last
    three are `None` where the game is too large for them, which a note says. `policy_name` and `policy`; `value` (N, S);
    `gap`: its Nash gap; `occupancy` (S,), normalized. `summary` in sentences; `notes`.
    """

    source: str
    num_players: int
    num_states: int
    num_actions: tuple[int, ...]
    discount: float
    potential: PotentialTest
    averaged: PotentialTest | None
    perturbed: PotentialTest | None
    alpha: AlphaBound | None
    pure: PureEquilibria | None
    team: TeamOptimum | None
    policy_name: str
    policy: Policy = field(repr=False)
    value: np.ndarray = field(repr=False)
    gap: NashGap
    occupancy: np.ndarray = field(repr=False)
    summary: tuple[str, ...]
    notes: tuple[str, ...]


def examine_game(
    game: Game,
    *,
    policy: Any = None,
    policy_name: str = "the policy",
    exact: bool | None = None,
    temperature: Any = 0,
    key: Any = 0,
    source: str = "game",
    announce: Callable[[str], None] | None = None,
) -> GameExamination:
    """Decide whether a game is a potential game, look for its equilibria, and evaluate a policy.

    **Arguments:** `policy`: by default the uniform one; `exact`: whether the decision test is exact, by default where the
    game's numbers are; `temperature`: above zero, whether the perturbed game is one is decided too; `key`: random points.
    `announce` is told what takes long. Ctrl-C while the bound on α is looked for leaves that out, which is noted.

    **Raises:** `InputError` for a bad policy, temperature or key, and for an exact test of a game that is too large for it.
    """
    say = announce if announce is not None else lambda words: None
    notes: list[str] = []
    at = game.uniform_policy() if policy is None else game.policy(policy)
    name = "the uniform policy" if policy is None else policy_name

    averaged = alpha = equilibria = team = perturbed = None
    try:
        table = game.to_tables()
    except InputError:
        notes.append(
            "the game is too large for tables: equilibria were not listed, the best joint policy not looked for, and the "
            "decision test, where no theorem answers it, is in floating point"
        )
        potential = _without_tables(game, exact, 0, key)
        if temperature:
            perturbed = _without_tables(game, exact, temperature, key)
    else:
        exact = not table.exact.rounded if exact is None else exact
        potential = potential_test(table, exact=exact, key=key)
        if potential.verdict is Verdict.REFUTED:
            averaged = potential_test(table, exact=exact, notion="averaged", key=key)
            say("no potential game: looking for how far it is from one (Ctrl-C leaves that out)")
            # The ascent evaluates thousands of policies, which takes minutes where there are many profiles.
            few = math.prod(table.num_actions) <= _SWEPT
            try:
                alpha = alpha_lower_bound(table, key=key, max_sweeps=5 if few else 0)
            except KeyboardInterrupt:
                notes.append("interrupted: the bound on α was left out")
        if temperature:
            perturbed = potential_test(table, exact=exact, temperature=temperature, key=key)
        team = team_optimum(table)
        total = pure.count(table)
        if total <= _LISTED:
            equilibria = pure_equilibria(table)
        else:
            number = f"{total:,}" if total < 10**12 else f"about 10^{len(str(total)) - 1}"
            notes.append(f"deterministic equilibria were not listed: there are {number} deterministic policies")
    visits = game.occupancy(at)
    result = GameExamination(
        source=source,
        num_players=game.num_players,
        num_states=game.num_states,
        num_actions=game.num_actions,
        discount=game.discount,
        potential=potential,
        averaged=averaged,
        perturbed=perturbed,
        alpha=alpha,
        pure=equilibria,
        team=team,
        policy_name=name,
        policy=at,
        value=game.value(at),
        gap=game.nash_gap(at),
        occupancy=visits * (1 - game.discount),
        summary=(),
        notes=tuple(notes),
    )
    return dataclasses.replace(result, summary=summarize(result))


def _without_tables(game: Game, exact: bool | None, temperature: Any, key: Any) -> PotentialTest:
    """Exact where that is asked for or a theorem answers, else in floating point."""
    if exact is not None:
        return potential_test(game, exact=exact, temperature=temperature, key=key)
    try:
        return potential_test(game, temperature=temperature, key=key)
    except InputError:
        return potential_test(game, exact=False, temperature=temperature, key=key)


def summarize(result: GameExamination) -> tuple[str, ...]:
    """What was found, in sentences."""
    words: list[str] = []
    test = result.potential
    begins = {
        Verdict.HOLDS: "It is a Markov potential game",
        Verdict.REFUTED: "It is no Markov potential game",
        Verdict.UNDECIDED: "Whether it is a Markov potential game is undecided",
    }[test.verdict]
    words.append(f"{begins} ({test.evidence.value}): {test.reason}.")
    if result.averaged is not None:
        holds = result.averaged.verdict is Verdict.HOLDS
        weak = "is one" if holds else "is none either" if result.averaged.verdict is Verdict.REFUTED else "may be one"
        words.append(f"With values averaged over the initial state it {weak} ({result.averaged.evidence.value}).")
    if result.perturbed is not None:
        own = result.perturbed
        may = {Verdict.HOLDS: "is one", Verdict.REFUTED: "is none", Verdict.UNDECIDED: "may be one"}[own.verdict]
        which = f"The game perturbed by entropies at temperature {float(own.temperature):g}"
        words.append(f"{which} {may} ({own.evidence.value}): {own.reason}.")
    if result.alpha is not None:
        words.append(f"As a Markov α-potential game it has an α of at least {result.alpha.value:.6g}.")
    if result.pure is not None:
        count, strict = result.pure.count, result.pure.num_strict
        kinds = "strict" if strict == count == 1 else "all of them strict" if strict == count else f"{strict} of them strict"
        are = "policy is an equilibrium" if count == 1 else "policies are equilibria"
        found = f"{count:,} of {result.pure.num_policies:,} deterministic stationary {are}"
        words.append(
            f"{found}, {kinds}; differences of up to {float(result.pure.tolerance.max()):.1e} count as none."
            if count
            else f"None of {result.pure.num_policies:,} deterministic policies is an equilibrium."
        )
    gap = result.gap
    # Each player's gains beside what its own values range over, or beside the rounding of these values.
    ranges = np.ptp(result.value, axis=1) + np.abs(gap.gains).max(axis=1)
    rounding = 1e-14 * np.abs(result.value).max(axis=1) / (1 - result.discount)
    if (gap.gains.max(axis=1) <= np.maximum(1e-9 * ranges, rounding)).all():
        words.append(f"At {result.policy_name} no player gains by another policy (Nash gap {gap.maximum:.1e}): an equilibrium.")
    else:
        words.append(
            f"At {result.policy_name} the Nash gap is {gap.maximum:.6g}: what player {gap.player} gains by a best response, "
            f"from state {gap.state}."
        )
    return tuple(words)
