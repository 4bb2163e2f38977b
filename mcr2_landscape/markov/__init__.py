"""Markov games: exact evaluation, whether they are potential games, equilibria, and learning dynamics."""

from mcr2_landscape.markov.congestion import CongestionGame as CongestionGame
from mcr2_landscape.markov.game import BestResponse as BestResponse
from mcr2_landscape.markov.game import Game as Game
from mcr2_landscape.markov.game import MarkovGame as MarkovGame
from mcr2_landscape.markov.game import NashGap as NashGap
from mcr2_landscape.markov.routing import routing_game as routing_game
