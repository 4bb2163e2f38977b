"""Extreme eigenpairs, each with a residual and a flag."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mcr2_landscape.curvature.frame import PANEL
from mcr2_landscape.curvature.krylov import Krylov, Meter
from mcr2_landscape.curvature.space import Space, make_space, operator_of, precision_of
from mcr2_landscape.memory import require
from mcr2_landscape.randomness import generator
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, positive_integer, positive_real

_ENDS = ("largest", "smallest", "both")


@dataclass(frozen=True)
class Eigenpairs(Record):
    """Approximate eigenpairs at the wanted end, the most extreme first; for both ends, those of the largest eigenvalues and
    then those of the smallest.

    `values` (p,); `vectors` (p, *shape), orthonormal, in the operator's dtype; `residuals` (p,): an eigenvalue lies within it
    of the value, rounding included; `converged` (p,): the residual is as small as was asked; `num_products`: products H v
    spent; `reason`: in words, why the iteration stopped; `scale`: the largest |eigenvalue| as far as it was seen.
    """

    values: np.ndarray
    vectors: np.ndarray = field(repr=False, metadata={"json": False})
    residuals: np.ndarray
    converged: np.ndarray
    num_products: int
    reason: str
    scale: float


def eigenpairs(
    H: Any,
    *,
    which: str = "largest",
    num_pairs: int = 1,
    deflate: Any = None,
    block_size: int | None = None,
    basis_size: int | None = None,
    max_products: int = 1000,
    rtol: float | None = None,
    key: Any = 0,
) -> Eigenpairs:
    """Eigenpairs at one end of the spectrum, or at both, by block Lanczos with full reorthogonalization and thick restart.

    Every pair is one by its residual. Whether a pair was missed is another question: of an eigenvalue that is repeated more
    often, a block shows `block_size` copies before the others; `eigenvalue_clusters` and `sign_bracket` count. Host function,
    deterministic for a given key.

    **Arguments:** `H`: a `SymmetricOperator`, for instance `landscape.hessian(Z)`; only its own subspace is looked at, so that
    the normals of a constraint set do not count. `which`: "largest", "smallest" or "both" (`num_pairs` at each). `deflate`: a
    space to be left out, as orthonormal directions (q, *shape), as an object with `remove`, or as a traced function D -> D less
    its part there (a pytree, such as `jax.tree_util.Partial`, compiles nothing new): at a maximizer, the symmetry orbit's
    tangent space. `block_size`: directions multiplied at once, at most 16; by default as many as the
    pairs, rounded up to a power of two.
    `basis_size`: rows before a restart, by default the larger of 64 and three times the pairs plus four blocks. `rtol`: the
    residual that is asked for, relative to the largest eigenvalue in magnitude; 1e-8 by default, in float32 1e-4 or eight times
    what it resolves. `max_products`: products H v at most, one of them for the probe of the operator.

    **Returns:** `Eigenpairs`; fewer than asked for where the space has fewer dimensions, or products ran out before.

    **Raises:** `InputError` for arguments out of range, a `rtol` below what the dtype resolves at this size, a deflation that
    is no projection, an operator that is not symmetric, not linear or has a state, a basis that does not fit into memory, or
    where no direction is left.

    Sources: see `mcr2_landscape.curvature.krylov`.
    """
    H = operator_of(H)
    if which not in _ENDS:
        raise InputError(f"which: found {which!r}; pass 'largest', 'smallest' or 'both'")
    num_pairs = min(positive_integer("num_pairs", num_pairs), H.size)
    block = block_of(block_size, num_pairs)
    max_products = positive_integer("max_products", max_products, minimum=2)
    wanted = min(H.size, num_pairs * (2 if which == "both" else 1))
    least = wanted + 2 * block
    basis_size = max(64, 3 * wanted + 4 * block) if basis_size is None else positive_integer("basis_size", basis_size)
    if basis_size < least:
        raise InputError(f"basis_size: found {basis_size}; {wanted} pairs with blocks of {block} need at least {least}")
    rows = min(basis_size, max_products + block, H.size)
    itemsize = np.dtype(H.dtype).itemsize
    require(
        "basis_size",
        itemsize * float(H.size) * (2 * rows + 4 * block + PANEL),
        f"{rows} rows of {H.size:,} numbers are kept, twice at a restart; pass a smaller basis_size or fewer pairs, restrict "
        "the operator, or use the exact spectrum of a landscape that has one (mcr2_landscape.spectrum)",
    )
    random = generator(key)
    with precision_of(H):
        space = make_space(H, deflate, random)
        rtol = tolerance_of(space, rtol)
        run = Krylov(space, random, Meter(max_products), block=block)
        reason = _iterate(run, which, num_pairs, basis_size, rtol)
        return _collect(run, which, num_pairs, rtol, reason)


def block_of(block_size: int | None, num_pairs: int) -> int:
    """The block size that was asked for, or the default.

    **Raises:** `InputError` beyond 1 … 16.
    """
    if block_size is None:
        return next(block for block in (1, 2, 4, 8, PANEL) if block >= min(num_pairs, PANEL))
    if positive_integer("block_size", block_size) > PANEL:
        raise InputError(f"block_size: found {block_size}; pass at most {PANEL}")
    return block_size


def tolerance_of(space: Space, rtol: float | None) -> float:
    """The relative residual that was asked for, or the default.

    **Raises:** `InputError` below what the dtype resolves.
    """
    least = 2 * space.resolution
    if rtol is None:
        return max(1e-8 if space.dtype == np.float64 else 1e-4, 4 * least)
    if positive_real("rtol", rtol) < least:
        cure = "pass at least that" if space.dtype == np.float64 else "pass the operator in float64, or at least that"
        raise InputError(f"rtol: found {rtol:.1e}, but {space.dtype} resolves {least:.1e} with {space.size:,} unknowns; {cure}")
    return float(rtol)


def picked(values: np.ndarray, which: str, num_pairs: int) -> np.ndarray:
    """Positions of the wanted ones among ascending Ritz values, in the order of the result."""
    count = values.size
    top = np.arange(count)[::-1][:num_pairs]
    if which == "largest":
        return top
    bottom = np.arange(count)[:num_pairs]
    return bottom if which == "smallest" else np.concatenate([top, bottom[bottom < count - num_pairs]])


def _iterate(run: Krylov, which: str, num_pairs: int, basis_size: int, rtol: float) -> str:
    """Step until the wanted pairs have converged, or nothing more can be done: the reason in words."""
    wanted = num_pairs * (2 if which == "both" else 1)
    every = max(1, 4 // run.block)
    steps = 0
    while True:
        if run.meter.left < run.rows + (1 if run.meter.done == 0 else 0):
            return f"the {run.meter.allowed} products allowed were spent"
        run.step()
        steps += 1
        count = run.T.shape[0]
        full = count + run.rows > basis_size
        if not run.ended and not full and steps % every:
            continue
        values, Y, residuals = run.ritz()
        at = picked(values, which, num_pairs)
        if run.ended:
            return "the basis spans the whole subspace: all its eigenvalues are known"
        scale = max(float(np.abs(values).max()), run.meter.scale)
        if count >= wanted and (residuals[at] + run.space.resolution * scale + run.meter.error <= rtol * scale).all():
            return f"all residuals are within {rtol:.1e} of the largest eigenvalue"
        if (
            count >= wanted
            and run.meter.rounding > rtol * scale
            and (residuals[at] + run.space.resolution * scale <= rtol * scale).all()
        ):
            return f"all residuals are within {run.meter.rounding:.1e}, by which rounding may change a product at this point"
        if full:
            keep = min(wanted + (basis_size - wanted) // 2, basis_size - 2 * run.block, count)
            # of the ends that are wanted, the half of the basis that is nearest to them
            ends = picked(values, which, keep if which != "both" else (keep + 1) // 2)[:keep]
            run.restart(Y[:, np.sort(ends)])


def _collect(run: Krylov, which: str, num_pairs: int, rtol: float, reason: str) -> Eigenpairs:
    space = run.space
    if run.T.shape[0] == 0:
        empty = np.zeros(0)
        vectors = np.zeros((0, *space.H.shape), space.dtype)
        return Eigenpairs(empty, vectors, empty, empty.astype(bool), run.meter.done, reason, 0.0)
    values, Y, residuals = run.ritz()
    at = picked(values, which, num_pairs)
    scale = max(float(np.abs(values).max()), run.meter.scale)
    bounds = residuals[at] + space.resolution * scale + run.meter.error
    vectors = [space.shaped(panel[:used]) for panel, used in run.frame.combined(Y[:, at])]
    return Eigenpairs(
        values[at], np.concatenate(vectors), bounds, bounds <= rtol * scale, run.meter.done, reason, float(np.abs(values).max())
    )
