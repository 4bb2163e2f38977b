"""Closed-loop transcription of linear subspaces: the sequential games between a linear encoder and a linear decoder."""

from mcr2_landscape.ctrl.game import Gradients as Gradients
from mcr2_landscape.ctrl.game import SubspaceGame as SubspaceGame
from mcr2_landscape.ctrl.hypotheses import Hypothesis as Hypothesis
from mcr2_landscape.ctrl.multiplicity import Multiplicity as Multiplicity
from mcr2_landscape.ctrl.multiplicity import full_rank_threshold as full_rank_threshold
from mcr2_landscape.ctrl.multiplicity import injectivity_bound as injectivity_bound
from mcr2_landscape.ctrl.multiplicity import optimal_multiplicity as optimal_multiplicity
from mcr2_landscape.ctrl.optimum import Optimum as Optimum
from mcr2_landscape.ctrl.optimum import upper_bound as upper_bound
from mcr2_landscape.ctrl.responses import BestResponses as BestResponses
