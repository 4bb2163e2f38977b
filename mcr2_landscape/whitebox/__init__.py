"""White-box transformers: networks whose layers are steps on the sparse rate reduction.

Rates and operators as the derivation has them, on tokens as columns (d, N); mixtures of subspaces for which denoising is known
in closed form; the networks that are trained in practice, with every deviation from the derivation as a switch.
"""

from mcr2_landscape.whitebox.mixtures import Sample as Sample
from mcr2_landscape.whitebox.mixtures import log_density as log_density
from mcr2_landscape.whitebox.mixtures import posterior_mean as posterior_mean
from mcr2_landscape.whitebox.mixtures import random_bases as random_bases
from mcr2_landscape.whitebox.mixtures import responsibilities as responsibilities
from mcr2_landscape.whitebox.mixtures import sample_mixture as sample_mixture
from mcr2_landscape.whitebox.mixtures import score as score
from mcr2_landscape.whitebox.operators import compression_step as compression_step
from mcr2_landscape.whitebox.operators import ista as ista
from mcr2_landscape.whitebox.operators import lasso_objective as lasso_objective
from mcr2_landscape.whitebox.operators import mssa as mssa
from mcr2_landscape.whitebox.operators import odl as odl
from mcr2_landscape.whitebox.operators import subspace_denoising as subspace_denoising
from mcr2_landscape.whitebox.rates import coding_rate_given as coding_rate_given
from mcr2_landscape.whitebox.rates import coding_rate_given_gradient as coding_rate_given_gradient
from mcr2_landscape.whitebox.rates import gradient_filter as gradient_filter
from mcr2_landscape.whitebox.rates import neumann_gradient as neumann_gradient
from mcr2_landscape.whitebox.rates import neumann_ratio as neumann_ratio
from mcr2_landscape.whitebox.rates import sparse_rate_reduction as sparse_rate_reduction
