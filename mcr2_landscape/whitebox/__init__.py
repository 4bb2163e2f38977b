"""White-box transformers: networks whose layers are steps on the sparse rate reduction.

Rates and operators as the derivation has them, on tokens as columns (d, N); mixtures of subspaces for which denoising is known
in closed form; the networks that are trained in practice, with every deviation from the derivation as a switch.
"""

from mcr2_landscape.whitebox.architecture import Architecture as Architecture
from mcr2_landscape.whitebox.autoencoder import MaskedAutoencoder as MaskedAutoencoder
from mcr2_landscape.whitebox.counting import count_parameters as count_parameters
from mcr2_landscape.whitebox.counting import equal_parameters as equal_parameters
from mcr2_landscape.whitebox.counting import twin as twin
from mcr2_landscape.whitebox.cuts import mask_cut as mask_cut
from mcr2_landscape.whitebox.cuts import normalized_cut as normalized_cut
from mcr2_landscape.whitebox.landscape import TokenLandscape as TokenLandscape
from mcr2_landscape.whitebox.landscape import token_inertia as token_inertia
from mcr2_landscape.whitebox.layer_measures import Layerwise as Layerwise
from mcr2_landscape.whitebox.layer_measures import attention_maps as attention_maps
from mcr2_landscape.whitebox.layer_measures import class_features as class_features
from mcr2_landscape.whitebox.layer_measures import layerwise as layerwise
from mcr2_landscape.whitebox.layer_measures import token_features as token_features
from mcr2_landscape.whitebox.masks import attention_masks as attention_masks
from mcr2_landscape.whitebox.masks import mean_iou as mean_iou
from mcr2_landscape.whitebox.mixtures import Sample as Sample
from mcr2_landscape.whitebox.mixtures import log_density as log_density
from mcr2_landscape.whitebox.mixtures import posterior_mean as posterior_mean
from mcr2_landscape.whitebox.mixtures import random_bases as random_bases
from mcr2_landscape.whitebox.mixtures import responsibilities as responsibilities
from mcr2_landscape.whitebox.mixtures import sample_mixture as sample_mixture
from mcr2_landscape.whitebox.mixtures import score as score
from mcr2_landscape.whitebox.network import Crate as Crate
from mcr2_landscape.whitebox.network import build as build
from mcr2_landscape.whitebox.operators import compression_step as compression_step
from mcr2_landscape.whitebox.operators import ista as ista
from mcr2_landscape.whitebox.operators import lasso_objective as lasso_objective
from mcr2_landscape.whitebox.operators import mssa as mssa
from mcr2_landscape.whitebox.operators import odl as odl
from mcr2_landscape.whitebox.operators import subspace_denoising as subspace_denoising
from mcr2_landscape.whitebox.positions import LayerPositions as LayerPositions
from mcr2_landscape.whitebox.positions import layer_positions as layer_positions
from mcr2_landscape.whitebox.rates import coding_rate_given as coding_rate_given
from mcr2_landscape.whitebox.rates import coding_rate_given_gradient as coding_rate_given_gradient
from mcr2_landscape.whitebox.rates import gradient_filter as gradient_filter
from mcr2_landscape.whitebox.rates import neumann_gradient as neumann_gradient
from mcr2_landscape.whitebox.rates import neumann_ratio as neumann_ratio
from mcr2_landscape.whitebox.rates import sparse_rate_reduction as sparse_rate_reduction
from mcr2_landscape.whitebox.segmentation import Segmentation as Segmentation
from mcr2_landscape.whitebox.segmentation import emergence as emergence
from mcr2_landscape.whitebox.segmentation import evaluate_segmentation as evaluate_segmentation
from mcr2_landscape.whitebox.weights import load as load
from mcr2_landscape.whitebox.weights import load_torch_state as load_torch_state
from mcr2_landscape.whitebox.weights import save as save
from mcr2_landscape.whitebox.weights import torch_state as torch_state
