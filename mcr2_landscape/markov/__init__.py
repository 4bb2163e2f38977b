"""Markov games: exact evaluation, whether they are potential games, equilibria, and learning dynamics."""

from mcr2_landscape.markov.congestion import CongestionGame as CongestionGame
from mcr2_landscape.markov.examples import EXAMPLES as EXAMPLES
from mcr2_landscape.markov.examples import Example as Example
from mcr2_landscape.markov.examples import example as example
from mcr2_landscape.markov.examples import identical_interest as identical_interest
from mcr2_landscape.markov.examples import random_game as random_game
from mcr2_landscape.markov.examples import stage_potential as stage_potential
from mcr2_landscape.markov.files import load_game as load_game
from mcr2_landscape.markov.files import save_game as save_game
from mcr2_landscape.markov.game import BestResponse as BestResponse
from mcr2_landscape.markov.game import Game as Game
from mcr2_landscape.markov.game import MarkovGame as MarkovGame
from mcr2_landscape.markov.game import NashGap as NashGap
from mcr2_landscape.markov.routing import routing_game as routing_game
