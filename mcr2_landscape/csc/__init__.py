"""Convolutional sparse coding: dictionaries, their programs solved with certificates, unrolled encoders, learned atoms."""

from mcr2_landscape.csc.depth import EncoderGap as EncoderGap
from mcr2_landscape.csc.depth import encoder_gap as encoder_gap
from mcr2_landscape.csc.dictionary import ConvDictionary as ConvDictionary
from mcr2_landscape.csc.iterations import Iterations as Iterations
from mcr2_landscape.csc.iterations import iterate as iterate
from mcr2_landscape.csc.iterations import unrolled as unrolled
from mcr2_landscape.csc.learning import LearnedDictionary as LearnedDictionary
from mcr2_landscape.csc.learning import first_increase as first_increase
from mcr2_landscape.csc.learning import learn_dictionary as learn_dictionary
from mcr2_landscape.csc.learning_state import LearningState as LearningState
from mcr2_landscape.csc.learning_state import load_state as load_state
from mcr2_landscape.csc.learning_state import save_state as save_state
from mcr2_landscape.csc.programs import Gaps as Gaps
from mcr2_landscape.csc.programs import duality_gap as duality_gap
from mcr2_landscape.csc.programs import lambda_max as lambda_max
from mcr2_landscape.csc.programs import objective as objective
from mcr2_landscape.csc.solver import Solution as Solution
from mcr2_landscape.csc.solver import solve as solve
from mcr2_landscape.csc.stages import StageGaps as StageGaps
from mcr2_landscape.csc.stages import stage_gaps as stage_gaps
from mcr2_landscape.csc.storage import dictionary_metadata as dictionary_metadata
from mcr2_landscape.csc.storage import load_dictionary as load_dictionary
from mcr2_landscape.csc.storage import save_dictionary as save_dictionary
from mcr2_landscape.csc.transcriber import ConvTranscriber as ConvTranscriber
