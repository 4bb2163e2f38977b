"""The Hessian of the rate reduction as an operator, in the form that is cheapest at its point."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import numpy as np
from jax.core import Tracer

from mcr2_landscape.constraints import TangentProjection
from mcr2_landscape.factorization import factorize
from mcr2_landscape.mcr2 import forms, rank_forms
from mcr2_landscape.mcr2.kernels import Scales
from mcr2_landscape.operators import SymmetricOperator
from mcr2_landscape.stacking import ClassLayout
from mcr2_landscape.validation import InputError

FORMS = ("by shape", "mid-rank", "low-rank")
_WORTH_IT = 2e7  # flops of a product below which its form does not matter, and ranks are not asked for


class RateHessian(SymmetricOperator):
    """The Hessian of F at one point: symmetric, on arrays of the point's shape, from factors that are computed once.

    Rounding changes a product by at most 10 eps (9/8 alpha + lambda) (1 + max alpha_k ‖Z_k‖²) ‖D‖, with eps = 1.2e-7 in float32
    and 2.2e-16 in float64: what forming I + alpha_k Z_k Z_kᵀ costs.

    `form` says how a product is computed: "fused", "Gram side", "fused and Gram side", "mid-rank" or "low-rank"; `flops` what
    it costs. For a constrained problem `shift` holds the multiplier of each column, which times the direction is subtracted,
    and `tangent` is the projection on the tangent space at the point, applied before and after, so that the operator is the
    Riemannian Hessian.
    """

    factors: forms.ByShape | rank_forms.MidRank | rank_forms.LowRank
    rows: int = eqx.field(static=True)
    shift: jax.Array | None = None
    tangent: TangentProjection | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the arrays that the operator acts on."""
        return self.rows, self.factors.layout.num_columns

    @property
    def dtype(self) -> np.dtype:
        """The point's."""
        return self.factors.scales.alphas.dtype

    @property
    def form(self) -> str:
        """How a product is computed."""
        return self.factors.name

    @property
    def flops(self) -> int:
        """Multiplications and additions of one product."""
        return self.factors.flops

    @property
    def magnitude(self) -> jax.Array:
        """alpha: the whole's term and the classes' are of this size."""
        return self.factors.scales.alpha

    def tangent_part(self, D: jax.Array) -> jax.Array:
        """D projected on the tangent space of the constraint set, traced."""
        return D if self.tangent is None else self.tangent.project(D)

    def product(self, D: jax.Array) -> jax.Array:
        """See `SymmetricOperator.product`."""
        D = self.tangent_part(D)
        out = self.factors.product(D)
        return self.tangent_part(out if self.shift is None else out - self.shift * D)


def factors(Z: jax.Array, layout: ClassLayout, s: Scales, regularization: Any, form: str | None) -> Any:
    """The factors of the cheapest form, or of the one that is asked for.

    Ranks need a point whose entries are known: a traced one is taken by its shape.

    **Raises:** `InputError` for an unknown form, or a form by rank at a traced point.
    """
    if form is not None and form not in FORMS:
        raise InputError(f"form: found {form!r}; pass one of " + ", ".join(repr(name) for name in FORMS) + ", or leave it out")
    if isinstance(Z, Tracer):
        if form not in (None, "by shape"):
            raise InputError(f"form: found {form!r} at a traced point, whose ranks are not known; take the Hessian outside jit")
        form = "by shape"
    by_shape = forms.flops(Z.shape[0], layout.widths)
    if form == "by shape" or (form is None and by_shape < _WORTH_IT):
        return _by_shape(Z, layout, s, regularization)
    with jax.default_matmul_precision("highest"):  # an accelerator's rounded products would look like a residual
        found = factorize(_host(Z), layout.widths, max_rank=None if form else Z.shape[0] // 2)
    if form is None:
        if found is None:
            return _by_shape(Z, layout, s, regularization)
        costs = {
            "by shape": by_shape,
            "mid-rank": rank_forms.mid_rank_flops(Z.shape[0], layout.widths, found.ranks),
            "low-rank": rank_forms.low_rank_flops(Z.shape[0], layout.widths, found.rank, found.ranks),
        }
        form = min(costs, key=lambda name: costs[name])
    if form == "by shape":
        return _by_shape(Z, layout, s, regularization)
    assert found is not None
    with jax.default_matmul_precision("highest"):
        parts = rank_forms.stacks(found, layout, Z.dtype, reduced=form == "low-rank")
    if form == "mid-rank":
        return _mid_rank(parts, layout, s, regularization, np.array(found.ranks, dtype=np.int32))
    ranks = np.array([*found.ranks, found.rank], dtype=np.int32)
    return _low_rank(rank_forms.padded_basis(found, Z.dtype), parts, layout, s, regularization, ranks)


def _host(Z: jax.Array) -> Any:
    """On the CPU as a NumPy array, which costs nothing; where it lies elsewhere."""
    return np.asarray(Z) if all(device.platform == "cpu" for device in Z.devices()) else Z


_by_shape = jax.jit(forms.ByShape.at, static_argnums=1)
_mid_rank = jax.jit(rank_forms.MidRank.at, static_argnums=1)
_low_rank = jax.jit(rank_forms.LowRank.at, static_argnums=2)
