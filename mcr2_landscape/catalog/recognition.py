"""Which family a given critical point belongs to: its structure read off, and with it the exact index of theory.

The column space of each Z_k gives a projector; at a critical point those alone decide the blocks (the algebra that they
generate is decomposed by `commutant`), and the critical equation then leaves each block one or the other singular value. No
clustering of eigenvalues is needed, which fails when a small root is closer to the kernel than rounding leaves room for.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mcr2_landscape.catalog.blocks import Block, is_admissible
from mcr2_landscape.catalog.commutant import IsotypicComponent, commutant
from mcr2_landscape.catalog.families import Family
from mcr2_landscape.catalog.scalar import Sign, class_ratio, normalized_regularization, normalized_roots
from mcr2_landscape.closed_form import Parameters, gradient
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, float64_matrix, positive_real

# Backward error, relative to the largest singular value, that a point computed in float64 may carry: singular values are
# known to this, however small they are.
_FLOOR = 1e-11
# No agreement is read off singular values, angles or projectors that are less well known than this.
_COARSEST = 0.2
_COARSEST_ANGLE = 0.03
_COARSEST_PROJECTOR = 0.003
# The distance that is allowed where the Hessian does not fix the point, and the gradient, relative to the curvature times ‖Z‖,
# that counts as zero then.
_EXCESS_RTOL = 1e-4
_ROUNDING = 1e-13
# A jump in the singular values that separates levels.
_LEVEL = 30.0


@dataclass(frozen=True)
class Recognition(Record):
    """The structure of a critical point.

    **Fields:** `family`; `residual`, the distance ‖Z − Z*‖/‖Z*‖ to the critical point `nearest` = Z* of that family that was
    built from Z (for Z* = 0 the size of Z relative to the smallest singular value of a non-zero critical point); and
    `block_residual`, the largest relative error of a singular value, block by block, which sees errors in small roots beside
    large ones.
    """

    family: Family
    residual: float
    block_residual: float
    nearest: np.ndarray = field(metadata={"json": False})


def recognize(p: Parameters, Z: np.ndarray, *, rtol: float = 1e-7) -> Recognition | None:
    """The family of the critical point Z, shape (d, m), float64; `None` when Z has no critical structure to within `rtol`, or
    when what decides it (a rank, the multiplicities, which of two roots) is not clear at the accuracy of Z.

    `rtol` bounds the relative distance to an exact critical point, and the relative error of the singular values of each block
    as far as float64 knows them (to 1e-11 of the largest one of Z). Where the Hessian is more singular than the orbit explains
    (double roots, polygons that collapse) a vanishing gradient fixes the point less well, to its second or third root: at a
    gradient of the size of rounding, families with excess nullity are therefore accepted up to a distance of 1e-4.

    **Raises:** `InputError` for a wrong shape, NaN, float32, or an `rtol` outside (0, 0.01].
    """
    Z = float64_matrix("Z", Z, p.shape)
    if positive_real("rtol", rtol) > 0.01:
        raise InputError(f"rtol: found {rtol:g}; pass at most 0.01, beyond which different families cannot be told apart")
    found = _recognize(p, Z, rtol)
    if found is not None or rtol >= _EXCESS_RTOL:
        return found
    rounding = _ROUNDING * (1.125 * p.alpha + p.regularization) * float(np.linalg.norm(Z))
    if float(np.linalg.norm(gradient(p, Z))) > rounding:
        return None
    found = _recognize(p, Z, _EXCESS_RTOL)
    return found if found is not None and found.family.nullity > found.family.orbit_dimension else None


def _recognize(p: Parameters, Z: np.ndarray, rtol: float) -> Recognition | None:
    W = np.sqrt(p.alpha) * Z
    ell = normalized_regularization(p)
    found = [normalized_roots(class_ratio(p, k), ell) for k in range(p.num_classes)]
    least = np.array([np.inf if own is None else own.small**0.5 for own in found])
    U, sigma, _ = np.linalg.svd(W, full_matrices=False)
    # No eigenvalue of Z Zᵀ is below the smallest root of a single class.
    rank = int((sigma > 0.5 * least.min()).sum())
    if rank == 0:
        residual = float(np.linalg.norm(W)) / (least.min() if np.isfinite(least).any() else 1.0)
        return Recognition(Family(p, ()), residual, residual, np.zeros(p.shape)) if residual <= rtol else None
    fit = _Fit(p, W, float(sigma[0]), rtol)
    # Levels of similar singular values are taken apart one by one: within a level, what is known least well (by the floor)
    # cannot tilt what is known well.
    cuts = np.flatnonzero(sigma[: rank - 1] > _LEVEL * sigma[1:rank]) + 1
    for place in np.split(np.arange(rank), cuts):
        if not fit.add_level(U[:, place], np.maximum(0.5 * least, 0.5 * sigma[place[-1]] / np.sqrt(p.ratios))):
            return None
    return fit.result()


class _Fit:
    """The critical point with the structure of W that is nearest to W, built level by level."""

    def __init__(self, p: Parameters, W: np.ndarray, scale: float, rtol: float):
        self.p, self.W, self.rtol = p, W, rtol
        self.floor = _FLOOR * scale
        self.entries: list[tuple[Block, int]] = []
        self.nearest = np.zeros_like(W)
        self.block_residual = 0.0

    def known_to(self, sigma: float) -> float:
        """How well a singular value of this size, and its vectors, can be known relatively."""
        return max(self.rtol, min(self.floor / sigma, _COARSEST))

    def add_level(self, frame: np.ndarray, least: np.ndarray) -> bool:
        """Fit the part of W in the span of `frame`, shape (d, n), where the singular values of class k are above `least[k]`."""
        bases, smallest = [], np.inf
        for W_k, bound in zip(self.p.blocks(self.W), least, strict=True):
            U, values, _ = np.linalg.svd(frame.T @ W_k, full_matrices=False)
            kept = values > bound
            bases.append(U[:, kept])
            smallest = min(smallest, values[kept].min(initial=np.inf))
        weights = np.linalg.svd(np.concatenate(bases, axis=1), compute_uv=False)
        # At a critical point Σ P_k ≥ 1 on the column space of Z: Σ m_k P_k = c I with c ≥ m_k for each class present.
        if weights.size < frame.shape[1] or (weights < 1 - _COARSEST_ANGLE).any():
            return False
        accuracy = self.known_to(float(smallest))
        before = self.entries, self.nearest, self.block_residual
        for tol in sorted({min(accuracy, 1e-9), accuracy / 10, accuracy}):
            self.entries, self.nearest, self.block_residual = list(before[0]), before[1].copy(), before[2]
            structure = commutant(bases, tol=min(tol, _COARSEST_PROJECTOR))
            if structure is not None and all(self._add_component(frame, bases, component) for component in structure.types):
                return True
        return False

    def result(self) -> Recognition | None:
        family = Family(self.p, tuple(self.entries))
        residual = float(np.linalg.norm(self.W - self.nearest) / np.linalg.norm(self.nearest))
        if residual > self.rtol:
            return None
        return Recognition(family, residual, self.block_residual, self.nearest / np.sqrt(self.p.alpha))

    def _add_component(self, frame: np.ndarray, bases: list[np.ndarray], component: IsotypicComponent) -> bool:
        """Divide a component by the two roots, and fit both parts; `False` where W does not agree."""
        p, n, ranks = self.p, component.dimension, component.ranks
        if all(rank == n for rank in ranks) or (component.division == 1 and not is_admissible(p.sizes, n, ranks)):
            return False
        found = normalized_roots(Block(n, ranks).ratio(p.sizes), normalized_regularization(p))
        if found is None:
            return False
        space = component.basis
        vectors, values, _ = np.linalg.svd(space.T @ (frame.T @ self.W), full_matrices=False)
        is_large = np.full(values.shape, True) if found.double else values**4 > found.large * found.small
        for sign, chosen in ((Sign.LARGE, is_large), (Sign.SMALL, ~is_large)):
            q, rest = divmod(int(chosen.sum()), n)
            if rest:
                return False
            if q:
                block = Block(n, ranks, sign, component.division)
                if not self._add_copies(frame, bases, block, q, space @ vectors[:, chosen], found.at(sign)):
                    return False
                self.entries.append((block, q))
        return True

    def _add_copies(
        self, frame: np.ndarray, bases: list[np.ndarray], block: Block, q: int, space: np.ndarray, s: float
    ) -> bool:
        """Fit q copies of a block that fill `space`, shape (n, q dimension) in `frame`, at the eigenvalue s = alpha mu."""
        p, size = self.p, space.shape[1]
        factor = s * float(block.ratio(p.sizes)) / p.num_samples
        total, smallest = np.zeros((size, size)), np.inf
        blocks = zip(bases, p.blocks(self.W), p.blocks(self.nearest), p.sizes, block.ranks, strict=True)
        for B, W_k, out, m_k, rank in blocks:
            count = rank * q
            U, cosines, _ = np.linalg.svd(space.T @ B, full_matrices=True)
            cosines = np.concatenate([cosines, np.zeros(size - cosines.size)])
            if (cosines[:count] < 1 - _COARSEST_ANGLE).any() or (cosines[count:] > _COARSEST_ANGLE).any():
                return False
            if not count:
                continue
            U = U[:, :count]
            total += m_k * (U @ U.T)
            sigma = (factor * m_k) ** 0.5
            smallest = min(smallest, sigma)
            directions = frame @ (space @ U)
            L, values, Rt = np.linalg.svd(directions.T @ W_k, full_matrices=False)
            if values.size < count:
                return False
            error = float(np.abs(values / sigma - 1).max())
            self.block_residual = max(self.block_residual, error)
            if error > self.known_to(sigma):
                return False
            out += sigma * (directions @ (L @ Rt))
        level = float(np.trace(total)) / size
        return float(np.abs(total - level * np.eye(size)).max()) <= 10 * level * self.known_to(smallest)
