"""The fifth setting of the paper: own rewards, and transitions averaged over actions."""

from .learning import paper_figure

FIGURE = paper_figure(
    5,
    "5: own rewards",
    "Setting 5: own rewards, actions that move nothing",
    "Where actions do not move the state the game is a Markov potential game, and the Nash gap falls for all learners, the "
    "largest included. Learned values come nearer to theirs as well, but the largest |q − Q̃| still ends far above the gap.",
)
