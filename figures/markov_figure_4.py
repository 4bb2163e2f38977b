"""The fourth setting of the paper: eight players."""

from .learning import paper_figure

FIGURE = paper_figure(
    4,
    "4: eight players",
    "Setting 4: eight players with common interest",
    "With twice as many players the median Nash gap falls more slowly than in the first setting (dotted), and is still above "
    "½ when the run ends. The median of the largest |q − Q̃| then is ten times that of the gap and more.",
    beside_first=True,
)
