"""The second setting of the paper: the step sizes of the first exchanged."""

from .learning import paper_figure

FIGURE = paper_figure(
    2,
    "2: step sizes exchanged",
    "Setting 2: step sizes exchanged",
    "With α = 1/n for values and β = n^-½ for policies the Nash gap stops falling after some hundred steps: most learners "
    "are locked in at policies far from an equilibrium, though some are at one. Hardly any of them has tried every action "
    "in every state (untried, above), and the largest |q − Q̃| hardly changes.",
)
