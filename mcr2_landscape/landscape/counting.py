"""How many directions lead up, how many down, how many nowhere: the inertia of the Hessian at a point."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from mcr2_landscape.curvature import exact
from mcr2_landscape.landscape.bracketing import from_parts, from_products
from mcr2_landscape.landscape.counts import InertiaCount, ranks_of
from mcr2_landscape.landscape.inertia import SignCount, count_signs, orbit_dimension
from mcr2_landscape.landscape.look import Look, look_at
from mcr2_landscape.reduction import Reduction
from mcr2_landscape.validation import positive_integer
from mcr2_landscape.verdict import Inertia


def inertia(
    landscape: Any,
    Z: Any,
    *,
    rtol: float = 1e-8,
    theory: bool = True,
    truncation: float | None = None,
    dense_limit: int = exact.DENSE_LIMIT,
    max_products: int = 400,
    key: Any = 0,
) -> InertiaCount:
    """Count the Hessian's eigenvalues at Z by sign.

    The first of three ways that serves is taken; `regime` and `cost` say which. At a point that theory recognizes as critical:
    its exact index and nullity. For an `MCR2` otherwise: the exact reduction to a core of r Σ r_k rows and smaller blocks,
    dense up to `dense_limit` rows (where many singular values are small, after cutting them off within a rigorous bound).
    Beyond: brackets from block Lanczos on the core, the other blocks still counted exactly. Landscapes without class blocks:
    dense, or brackets. Away from critical points the counts are those of the Hessian at Z, near-zero eigenvalues being
    undecided; where the relative gradient norm is at most `rtol`, those of the critical point nearby. Host function in float64,
    deterministic for a given key.

    **Arguments:** `landscape`, `Z`, `rtol`: as for `classify`. `theory`, `truncation`: as for `spectrum`. `max_products`:
    Hessian products for each bracket.

    **Raises:** `InputError` for a wrong shape, NaN, float32 (whose rounding can turn a sign), an infeasible point, or numbers
    out of range.
    """
    dense_limit = positive_integer("dense_limit", dense_limit)
    max_products = positive_integer("max_products", max_products, minimum=2)
    look = look_at(landscape, Z, rtol, truncation)
    if theory and look.known is not None:
        assert look.settled is not None
        found = _from_theory(landscape, look, look.settled)
        if found is not None:
            return found
    look = dataclasses.replace(look, known=None)
    return count(landscape, look, truncation=truncation, dense_limit=dense_limit, max_products=max_products, key=key)


def count(
    landscape: Any, look: Look, *, truncation: float | None, dense_limit: int, max_products: int, key: Any
) -> InertiaCount:
    """The numerical count, with no help from theory except that what is cross-checked with it afterwards may be counted more
    sharply."""
    if look.reduction is None:
        if look.point.size <= dense_limit:
            return _from_spectrum(landscape, look, exact.spectrum(landscape, look.point, dense_limit=dense_limit))
        return from_products(landscape, look, max_products, key)
    reduction = look.reduction
    if look.settled is not None and exact.core_size(reduction) > dense_limit:
        reduction = look.settled
    reduction, bound = exact.fitted(landscape, reduction, truncation, dense_limit)
    if exact.core_size(reduction) <= dense_limit:
        return _from_spectrum(landscape, look, exact.dense_core_spectrum(landscape, reduction, bound), reduction)
    return from_parts(landscape, look, reduction, bound, dense_limit, max_products, key)


def _from_theory(landscape: Any, look: Look, reduction: Reduction) -> InertiaCount | None:
    """The exact inertia of the family, unless another one may be as near: its closed form says how far its signs reach."""
    family, distance = look.known or (None, 0.0)
    assert family is not None
    n = look.point.size
    found = Inertia(family.index, family.nullity, n - family.index - family.nullity)
    exactly = exact.closed_form_spectrum(landscape, reduction, family, distance)
    if exactly is not None:
        signed = np.abs(exactly.eigenvalues[exactly.eigenvalues != 0])
        if exactly.error > 0.5 * float(signed.min(initial=np.inf)):
            return None
    ends = (None, None) if exactly is None else (float(exactly.eigenvalues[-1]), float(exactly.eigenvalues[0]))
    return InertiaCount(
        found,
        (found.positive, found.positive),
        (found.zero, found.zero),
        (found.negative, found.negative),
        0.0,
        0.0,
        0.0,
        "closed form",
        f"index and nullity of {family.label}",
        f"exact index {family.index} and nullity {family.nullity} of {family.label}, {distance:.1e} away",
        *ends,
        family=family.label,
        **ranks_of(reduction),
    )


def _proved(landscape: Any, look: Look) -> int:
    """Zeros that the symmetry orbit proves at the critical point nearby."""
    if not look.critical:
        return 0
    return orbit_dimension(landscape, look.point) if look.settled is None else look.settled.orbit_dimension(look.reach)


def _from_spectrum(landscape: Any, look: Look, found: exact.PointSpectrum, reduction: Reduction | None = None) -> InertiaCount:
    signs = count_signs(
        landscape, look.point, found, look.gradient_norm if look.critical else 0.0, cross_checked=look.known is not None
    )
    proved = _proved(landscape, look) if look.known is None else 0
    conflict = proved > signs.band
    if conflict:
        reason = (
            f"the symmetry orbit has dimension {proved}, but only {signs.band} eigenvalues are within "
            f"{signs.tolerance:.1e} of zero: the point is not close enough to a critical one, or the declared symmetry is false"
        )
        proved = 0
    elif proved == signs.band:
        reason = f"all signs are decided, {proved} zeros proved by the symmetry orbit"
    else:
        reason = f"{signs.band - proved} eigenvalues are within {signs.tolerance:.1e} of zero, and no symmetry explains them"
    return InertiaCount(
        Inertia(signs.positive, proved, signs.negative, signs.band - proved),
        (signs.positive, signs.positive + signs.band - proved),
        (proved, signs.band),
        (signs.negative, signs.negative + signs.band - proved),
        signs.tolerance,
        found.truncation,
        0.0,
        found.regime,
        found.cost,
        reason,
        signs.top,
        signs.bottom,
        rank=found.rank,
        ranks=found.ranks,
        cut=found.cut,
        sharp=_sharp(signs) and found.truncation == 0 and reduction is look.reduction,
        conflict=conflict,
    )


def _sharp(signs: SignCount) -> bool:
    """Whether the tolerance is that of rounding alone: what the gradient has blurred is no zero."""
    return signs.tolerance <= 10 * signs.rounding
