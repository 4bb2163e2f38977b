"""The third setting of the paper: a temperature a thousand times higher than in the first."""

from .learning import paper_figure

FIGURE = paper_figure(
    3,
    "3: τ = 1e-3",
    "Setting 3: temperature 1e-3",
    "A temperature a thousand times higher changes nothing that can be seen: the medians lie on those of the first setting. "
    "Both temperatures are small beside the differences between values, so that the softmax plays the best action in either.",
    beside_first=True,
)
