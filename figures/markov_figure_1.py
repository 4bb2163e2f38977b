"""The first setting of the paper: four players on two routes with common interest."""

from .learning import paper_figure

FIGURE = paper_figure(
    1,
    "1: common interest",
    "Setting 1: four players with common interest",
    "The Nash gap of the policies falls with time for nearly all learners, and a tail of them stays away. The measure of the "
    "paper's public code, with the others frozen at their last policies, is another number until the end, where both agree; "
    "the largest |q − Q̃| stays far above either, so that values are not learned.",
)
