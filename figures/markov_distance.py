"""How far random Markov games are from Markov potential games, by family."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import BLUE, GREEN, INK, ORANGE, VERMILION

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

# From the top down, in words.
_FAMILIES = {
    "random": ("random", VERMILION, "^"),
    "moving-stage-potential": ("a potential in each state,\nactions move the state", ORANGE, "s"),
    "stage-potential": ("a potential in each state,\nactions move nothing", BLUE, "o"),
    "identical-interest": ("identical interest", GREEN, "D"),
}


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    axes = canvas.subplots()
    families = {name: tables["games"].where(family=name) for name in _FAMILIES}
    for place, (name, (_, color, marker)) in enumerate(_FAMILIES.items()):
        games = families[name]
        if not len(games):
            continue
        # In the order of the study, from the top of its band down: no chance enters, and no two lie on each other.
        heights = [place - 0.3 + 0.6 * (k + 0.5) / len(games) for k in range(len(games))]
        axes.scatter(games["relative"], heights, s=14, color=color, marker=marker, alpha=0.75, linewidth=0)
        (row,) = (own for _, own in tables["families"].where(family=name).groups("family"))
        axes.plot([row["middle"][0]] * 2, [place - 0.36, place + 0.36], color=INK, linewidth=1.4)
        words = f"{int(row['holds'][0])} of {int(row['units'][0])} are potential games"
        axes.annotate(
            words, (1, place), xycoords=("axes fraction", "data"), xytext=(6, 0), textcoords="offset points", va="center",
            fontsize=8,
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yticks(range(len(_FAMILIES)), [words for words, _, _ in _FAMILIES.values()])
    axes.set_ylim(len(_FAMILIES) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("lower bound on α ÷ range of all values (no unit); the bar is the median")
    axes.set_ylabel("family of games")


FIGURE = Figure(
    name="markov_distance",
    group="markov",
    title="How far random games are from Markov potential games",
    caption=(
        "Random games, and games with a potential in each state whose transitions move with the actions, are no Markov "
        "potential games: the lower bound on α (markers) is a sizable part of the range of their values. With identical "
        "interest, or stage potentials and transitions that nobody moves, the exact test says that all of them are, and the "
        "bound is what rounding makes of zero."
    ),
    size=(7.2, 3.0),
    tables={
        "games": Select(
            "markov_distance",
            "SELECT unit, family, num_states, num_players, verdict, alpha, spread, alpha / spread AS relative "
            "FROM ordered_rows",
        ),
        "families": Select(
            "markov_distance",
            "SELECT count(*) AS units, family, count(*) FILTER (verdict = 'holds') AS holds, "
            "median(alpha / spread) AS middle FROM rows GROUP BY family ORDER BY family",
        ),
    },
    paint=paint,
    claims=("mpg.random-games", "mpg.stage-potentials", "mpg.stage-potentials.corrected"),
)
