"""What goes on the page of an examined Markov game."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mcr2_landscape.report import game_pictures, game_tables
from mcr2_landscape.report.page import Page, Picture, Section, flat
from mcr2_landscape.report.style import embed
from mcr2_landscape.report.tables import NONE, text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mcr2_landscape.markov.examination import GameExamination
    from mcr2_landscape.markov.histories import History

_LONGEST = 300


def game_page(
    result: GameExamination, history: History | None, findings: tuple[str, ...], provenance: Mapping[str, Any]
) -> Page:
    """The report of `game`; `history` where players learned."""
    facts = [
        ("potential game", result.potential.verdict.value),
        ("α at least", NONE if result.alpha is None else text(result.alpha.value, 5)),
        ("deterministic equilibria", NONE if result.pure is None else f"{result.pure.count:,} of {result.pure.num_policies:,}"),
        ("Nash gap", text(result.gap.maximum, 5)),
        ("discount", text(result.discount)),
    ]
    sections = [
        Section("Potential", _POTENTIAL, tables=(game_tables.tests(result),)),
        Section("Values", _VALUES, tables=(game_tables.states(result).first(_LONGEST),)),
    ]
    if history is not None:
        if len(history.steps) > 1:
            facts.append(("median gap after learning", text(float(history.quantiles("nash_gap", (0.5,))[0, -1]), 5)))
        sections.append(_learning(history))
    actions = ", ".join(map(str, result.num_actions[:8])) + (", …" if len(result.num_actions) > 8 else "")
    return Page(
        title="A Markov game",
        subtitle=f"{result.source}: {result.num_players} players with {actions} actions, {result.num_states} states",
        facts=tuple(facts),
        findings=findings,
        notes=result.notes,
        warning="Learning was interrupted: the diagnostics are of the steps that were made."
        if history and history.interrupted
        else "",
        sections=tuple(sections),
        provenance=flat(provenance),
    )


_POTENTIAL = (
    "A Markov potential game has one function Φ(s, π) whose differences are those of every player's own value when that player "
    "alone changes its policy. It has one if and only if the sums of the values around all four-cycles of policies vanish, in "
    "which two players change theirs in turn and back. A four-cycle that does not vanish refutes; zeros at random points prove "
    "it up to the error bound."
)
_VALUES = (
    "Discounted values of each player by the first state, what the player with most to gain would gain by a best response, and "
    "how often states are met, discounted; where the game is small enough, the largest mean of the players' values that any "
    "joint policy has."
)


def _picture(figure: Figure, caption: str, alternative: str) -> Picture:
    return Picture(embed(figure, form="svg"), caption, alternative, round(96 * figure.get_figwidth()))


def _learning(history: History) -> Section:
    words = (
        f"Players that see the state, their own action and their own reward learn values q and policies; deviation: "
        f"{history.deviation}, temperature {history.temperature:g}, exploration {history.exploration:g}. Lines are medians "
        f"over {history.num_seeds:,} seeds, bands hold half and nine tenths of them."
    )
    gap = (
        "The Nash gap of the policies played, what the largest gain of any player by a best response is, and the same with the "
        "others frozen at the last policies, which is no gap of any policy that was played. Right, how far the learned values "
        "are from those of the policies."
    )
    path = "Visits of the pair of a state and an own action that was tried least: values of what nobody tries are not learned."
    if history.potential is not None:
        path = f"The potential along the path. {path}"
    # With the start alone there is no way to draw.
    drawn = len(history.steps) > 1
    return Section(
        "Learning",
        words if drawn else f"{words} Nothing was recorded after the start, which the table shows.",
        (
            _picture(game_pictures.gaps(history), gap, "Nash gap and error of the learned values over time"),
            _picture(game_pictures.paths(history), path, "Potential and visits over time"),
        )
        if drawn
        else (),
        (game_tables.learned(history), game_tables.conditions(history)),
    )
