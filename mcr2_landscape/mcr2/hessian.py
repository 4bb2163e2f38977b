"""The Hessian of the rate reduction as an operator, in the form that is cheapest at its point."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from mcr2_landscape.constraints import TangentProjection
from mcr2_landscape.factorization import factorize
from mcr2_landscape.mcr2 import forms, rank_forms
from mcr2_landscape.mcr2.kernels import Scales
from mcr2_landscape.memory import require
from mcr2_landscape.operators import SymmetricOperator
from mcr2_landscape.stacking import ClassLayout
from mcr2_landscape.validation import InputError

FORMS = ("by shape", "mid-rank", "low-rank")
_BAD_SCALE = 1e6  # max alpha_k ‖Z_k‖² beyond which the low-rank form is taken, which keeps more digits
_NOTICED = 2.0**26  # bytes below which nobody asks how many there are
_WORTH_IT = 2e7  # flops of a product below which its form does not matter, and ranks are not asked for


class RateHessian(SymmetricOperator):
    """The Hessian of F at one point: symmetric, on arrays of the point's shape, from factors that are computed once.

    Rounding changes a product by at most 10 eps (9/8 alpha + lambda) (1 + max alpha_k ‖Z_k‖²) ‖D‖, with eps = 1.2e-7 in float32
    and 2.2e-16 in float64: what forming I + alpha_k Z_k Z_kᵀ costs. In the low-rank form the root of that maximum takes its
    place, since what is formed there is graded: that is what the rounding of Z itself costs. `rounding` is the bound for
    ‖D‖ = 1.

    `form` says how a product is computed: "fused", "Gram side", "fused and Gram side", "mid-rank" or "low-rank"; `flops` what
    it costs, `None` for the forms by rank where the operator is traced. For a constrained problem `shift` holds the multiplier
    of each column, which times the direction is subtracted, and `tangent` is the projection on the tangent space at the point,
    applied before and after, so that the operator is the Riemannian Hessian.
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
    def flops(self) -> int | None:
        """Multiplications and additions of one product."""
        return self.factors.flops

    @property
    def magnitude(self) -> jax.Array:
        """alpha: the whole's term and the classes' are of this size."""
        return self.factors.scales.alpha

    @property
    def rounding(self) -> jax.Array:
        """By how much a product of a unit direction may be off, with what a factorization by ranks left of the point: the
        Hessian changes by at most 3 alpha (√alpha + max √alpha_k) times a change of the point (`MCR2.hessian_lipschitz`)."""
        found, s = self.factors, self.factors.scales
        bound = 10 * float(np.finfo(self.dtype).eps) * (9 / 8 * s.alpha + found.regularization) * found.growth
        if isinstance(found, forms.ByShape):
            return bound
        return bound + 3 * s.alpha * (jnp.sqrt(s.alpha) + jnp.sqrt(jnp.max(s.alphas))) * found.residual

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

    Ranks need a point whose entries are known: a traced one is taken by its shape. A known one of a bad scale is taken by the
    low-rank form, which alone keeps its digits.

    **Raises:** `InputError` for an unknown form, a form by rank at a traced point, or factors that do not fit into memory.
    """
    if form is not None and form not in FORMS:
        raise InputError(f"form: found {form!r}; pass one of " + ", ".join(repr(name) for name in FORMS) + ", or leave it out")
    if isinstance(Z, Tracer):
        if form not in (None, "by shape"):
            raise InputError(f"form: found {form!r} at a traced point, whose ranks are not known; take the Hessian outside jit")
        form = "by shape"
    by_shape = forms.flops(Z.shape[0], layout.widths)
    if form is None and _badly_scaled(Z, layout, s):
        form = "low-rank"
    if form == "by shape" or (form is None and by_shape < _WORTH_IT):
        return _from_shape(Z, layout, s, regularization)
    with jax.default_matmul_precision("highest"):  # an accelerator's rounded products would look like a residual
        found = factorize(_host(Z), layout.widths, max_rank=None if form else Z.shape[0] // 2)
    if form is None:
        if found is None:
            return _from_shape(Z, layout, s, regularization)
        costs = {
            "by shape": by_shape,
            "mid-rank": rank_forms.mid_rank_flops(Z.shape[0], layout.widths, found.ranks),
            "low-rank": rank_forms.low_rank_flops(Z.shape[0], layout.widths, found.rank, found.ranks),
        }
        form = min(costs, key=lambda name: costs[name])
    if form == "by shape":
        return _from_shape(Z, layout, s, regularization)
    assert found is not None
    reduced = form == "low-rank"
    _fits(Z, rank_forms.num_entries(found, layout, reduced=reduced), "")
    residual = np.asarray(found.residual, dtype=Z.dtype)
    with jax.default_matmul_precision("highest"):
        found = found.spanned() if reduced else found
        parts = rank_forms.stacks(found, layout, Z.dtype, reduced=reduced)
    if not reduced:
        return _mid_rank(parts, layout, s, regularization, np.array(found.ranks, dtype=np.int32), residual)
    ranks = np.array([*found.ranks, found.rank], dtype=np.int32)
    return _low_rank(rank_forms.padded_basis(found, layout, Z.dtype), parts, layout, s, regularization, ranks, residual)


def _from_shape(Z: jax.Array, layout: ClassLayout, s: Scales, regularization: Any) -> forms.ByShape:
    if not isinstance(Z, Tracer):
        _fits(Z, forms.num_entries(Z.shape[0], layout.widths), "form='low-rank' where the classes' ranks are small, ")
    return _by_shape(Z, layout, s, regularization)


def _fits(Z: jax.Array, entries: int, instead: str) -> None:
    """Refuse factors of so many numbers where they do not fit. An accelerator has memory of its own."""
    needed = float(entries) * Z.dtype.itemsize
    if needed > _NOTICED and _on_cpu(Z):
        require(
            "Z",
            needed,
            f"the factors of the Hessian have {entries:,} numbers; take {instead}float32 in place of float64, fewer classes, "
            "or mcr2_landscape.curvature.ShardedMCR2 on several devices",
        )


def _badly_scaled(Z: jax.Array, layout: ClassLayout, s: Scales) -> bool:
    """Whether max alpha_k ‖Z_k‖² is known, and beyond what is factored by shape."""
    if isinstance(s.alphas, Tracer):
        return False
    host = _host(Z)
    with np.errstate(over="ignore"):  # infinity is beyond it too
        squares = np.einsum("ij,ij->j", host, host) if isinstance(host, np.ndarray) else jnp.sum(Z * Z, axis=0)
        own = np.add.reduceat(np.asarray(squares, dtype=np.float64), layout.starts)
        return bool((np.asarray(s.alphas, dtype=np.float64) * own).max() > _BAD_SCALE)


def _host(Z: jax.Array) -> Any:
    """On the CPU as a NumPy array, which costs nothing; where it lies elsewhere."""
    return np.asarray(Z) if _on_cpu(Z) else Z


def _on_cpu(Z: jax.Array) -> bool:
    return all(device.platform == "cpu" for device in Z.devices())


_by_shape = jax.jit(forms.ByShape.at, static_argnums=1)
_mid_rank = jax.jit(rank_forms.MidRank.at, static_argnums=1)
_low_rank = jax.jit(rank_forms.LowRank.at, static_argnums=2)
