"""The regularized and the constrained rate-reduction problem, as JAX objectives with closed-form derivatives."""

from mcr2_landscape.mcr2.constrained import ConstrainedMCR2 as ConstrainedMCR2
from mcr2_landscape.mcr2.hessian import RateHessian as RateHessian
from mcr2_landscape.mcr2.problem import MCR2 as MCR2
