"""The Hessian of the rate reduction as an operator."""

from __future__ import annotations

import equinox as eqx
import jax
import numpy as np

from mcr2_landscape.constraints import TangentProjection
from mcr2_landscape.mcr2 import kernels
from mcr2_landscape.operators import SymmetricOperator
from mcr2_landscape.stacking import ClassLayout


class RateHessian(SymmetricOperator):
    """The Hessian of F at one point: symmetric, on arrays of the point's shape, from factors that are computed once.

    `shift` is the multiple of the identity that is subtracted: lambda for the regularized problem; per column, the multipliers
    of the constrained one. For a constrained problem `tangent` is the projection on the tangent space at the point,
    applied before and after the product, so that the operator is the Riemannian Hessian; `None` without a constraint.
    """

    factors: kernels.Factors
    scales: kernels.Scales
    shift: jax.Array
    layout: ClassLayout = eqx.field(static=True)
    tangent: TangentProjection | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the arrays that the operator acts on."""
        return self.factors.Z.shape

    @property
    def dtype(self) -> np.dtype:
        """The point's."""
        return self.factors.Z.dtype

    @property
    def form(self) -> str:
        """How a product is computed."""
        return "fused"

    def tangent_part(self, D: jax.Array) -> jax.Array:
        """D projected on the tangent space of the constraint set, traced."""
        return D if self.tangent is None else self.tangent.project(D)

    def product(self, D: jax.Array) -> jax.Array:
        """See `SymmetricOperator.product`."""
        D = self.tangent_part(D)
        return self.tangent_part(kernels.hessian_product(self.factors, self.layout, self.scales, D) - self.shift * D)
