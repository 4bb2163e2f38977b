"""The Hessian of the rate reduction as an operator."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mcr2_landscape.constraints import TangentProjection
from mcr2_landscape.mcr2 import kernels
from mcr2_landscape.precision import traced_array
from mcr2_landscape.stacking import ClassLayout
from mcr2_landscape.validation import InputError


class RateHessian(eqx.Module):
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

    def mv(self, D: Any) -> Float[Array, "d m"]:
        """H[D] for a direction D of the point's shape, in closed form.

        **Raises:** `InputError` for a wrong shape, a dtype other than the point's, or NumPy float64 while JAX's 64-bit mode is
        off.
        """
        D = traced_array("D", D, self.shape)
        dtype = self.factors.Z.dtype
        if D.dtype != dtype:
            raise InputError(f"D: found {D.dtype}, but the Hessian was taken at a point of dtype {dtype}; convert one of them")
        return _product(self, D)

    def as_matrix(self) -> Float[Array, "n n"]:
        """The dense matrix, shape (d m, d m), rows and columns in C order of Z."""
        return _dense(self)


def _product_impl(H: RateHessian, D: jax.Array) -> jax.Array:
    if H.tangent is not None:
        D = H.tangent.project(D)
    out = kernels.hessian_product(H.factors, H.layout, H.scales, D) - H.shift * D
    return out if H.tangent is None else H.tangent.project(out)


_product = jax.jit(_product_impl)


@jax.jit
def _dense(H: RateHessian) -> jax.Array:
    n = H.factors.Z.size
    basis = jnp.eye(n, dtype=H.factors.Z.dtype).reshape((n, *H.shape))
    rows = jax.vmap(lambda D: _product_impl(H, D))(basis).reshape(n, n)
    return 0.5 * (rows + rows.T)
