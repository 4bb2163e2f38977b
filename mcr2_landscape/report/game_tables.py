"""The tables of an examined Markov game, and of what its players learned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcr2_landscape.report.tables import Table, text

if TYPE_CHECKING:
    from mcr2_landscape.markov.examination import GameExamination
    from mcr2_landscape.markov.histories import History

_PLAYERS = 8  # with a column of their own
_NAMES = {
    "nash_gap": "Nash gap of the policy",
    "frozen_gap": "gap with the others frozen at the last policy",
    "q_error": "largest |q − Q̃|",
    "least_visited": "visits of the least visited pair",
    "smallest_probability": "smallest probability of an action, of all players and states",
    "zero_probabilities": "probabilities of actions that are zero, of all players and states",
    "zero_deviations": "actions to which the deviation gives zero probability",
    "potential": "potential",
}


def states(result: GameExamination) -> Table:
    """Values, gains and visits by state."""
    shown = range(min(result.num_players, _PLAYERS))
    columns = ["state", *(f"V of player {i}" for i in shown), "largest gain", "share of visits"]
    if result.team is not None:
        columns.append("largest mean of all players' V")
    rows = []
    for s in range(result.num_states):
        row = [str(s), *(text(float(result.value[i, s])) for i in shown), text(float(result.gap.gains[:, s].max()))]
        row.append(f"{result.occupancy[s]:.1%}")
        if result.team is not None:
            row.append(text(float(result.team.value[s])))
        rows.append(row)
    return Table.of(f"States at {result.policy_name}", columns, rows)


def tests(result: GameExamination) -> Table:
    """What the decision tests say."""
    rows = []
    for name, test in (
        ("state-wise", result.potential),
        ("averaged over the initial state", result.averaged),
        ("perturbed, state-wise", result.perturbed),
    ):
        if test is not None:
            bound = test.error_bound
            cycle = None if test.cycle is None else f"{float(test.cycle.value):.6g}, players {test.cycle.players}"
            way = test.arithmetic if test.num_points else "a theorem"
            rows.append((name, test.verdict.value, test.evidence.value, way, test.num_points, text(bound, 2), cycle))
    columns = ("notion", "verdict", "evidence", "decided by", "points", "error bound", "refuting four-cycle")
    return Table.of("Is it a Markov potential game?", columns, rows, left=(0, 1, 2, 3, 6))


def learned(history: History) -> Table:
    """Quantiles over seeds of every diagnostic at the end."""
    columns = ("at the last record", "5 %", "25 %", "median", "75 %", "95 %")
    rows = [
        (_NAMES.get(name, name.replace("_", " ")), *(float(q[-1]) for q in quantiles.values()))
        for name, quantiles in history.series.items()
    ]
    return Table.of(f"Diagnostics after {int(history.steps[-1]):,} steps, over {history.num_seeds:,} seeds", columns, rows)


def conditions(history: History) -> Table:
    """The conditions on step sizes."""
    rows = [(c.statement, c.verdict.value, c.reason) for c in history.conditions]
    sizes = ", ".join(f"{name} {words}" for name, words in history.step_sizes.items())
    return Table.of(
        f"Conditions of two-timescale stochastic approximation; {sizes}", ("condition", "verdict", "why"), rows, left=(0, 1, 2)
    )
