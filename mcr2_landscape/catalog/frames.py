"""Construction of weighted tight fusion frames: projectors P_k of given ranks with Σ_k m_k P_k = c I.

In a plane such frames are closed polygons with sides m_k, and are built exactly. In larger dimensions generic subspaces are
moved by linear maps until they form one. That problem is geodesically convex (Kempf and Ness; for lines it is Tyler's
estimator), so a generic start reaches a frame whenever an irreducible one with these ranks exists: by King's theorem that is
stability of the generic representation of the star-shaped quiver, the content of the inequalities of Horn and Klyachko.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from mcr2_landscape.catalog.blocks import is_admissible
from mcr2_landscape.catalog.commutant import commutant
from mcr2_landscape.randomness import generator
from mcr2_landscape.validation import InputError, positive_integer

Bases = list[np.ndarray]

# A map that tends to a direct sum has a condition of the inverse root of the defect, 1e7 when that is zero to float64. Maps to
# irreducible frames have at most about the root of the sizes' common denominator.
_UNBOUNDED = 1e6


def fusion_frame(sizes: Sequence[int], ranks: Sequence[int], dimension: int, *, key: Any) -> Bases | None:
    """Orthonormal bases B_k, shapes (dimension, p_k), of subspaces with Σ_k m_k B_k B_kᵀ a multiple of the identity to 1e-12.

    Irreducible frames are preferred; where there are none, direct sums of them are tried. `None` says that none was found: for
    dimensions one and two, and where the necessary conditions fail (Σ p_k ≥ n; Σ p_k m_k ≥ n m_k for each class present),
    that there is none; beyond that only that the search ended without one.

    **Raises:** `InputError` for ranks that are not between 0 and `dimension`, or lists of different length.
    """
    dimension = positive_integer("dimension", dimension)
    sizes = tuple(positive_integer(f"sizes[{k}]", size) for k, size in enumerate(sizes))
    if len(ranks) != len(sizes):
        raise InputError(f"ranks: found {len(ranks)} entries for {len(sizes)} sizes; pass one rank for each class")
    ranks = tuple(positive_integer(f"ranks[{k}]", rank, minimum=0) for k, rank in enumerate(ranks))
    if max(ranks) > dimension:
        raise InputError(f"ranks: found {max(ranks)}; a subspace has at most the dimension {dimension}")
    return _frame(sizes, ranks, dimension, generator(key))


def _frame(sizes: tuple[int, ...], ranks: tuple[int, ...], n: int, rng: np.random.Generator) -> Bases | None:
    weight = sum(rank * size for rank, size in zip(ranks, sizes, strict=True))
    if sum(ranks) < n or any(rank and weight < n * size for rank, size in zip(ranks, sizes, strict=True)):
        return None
    if all(rank in (0, n) for rank in ranks):
        return [np.eye(n)[:, :rank] for rank in ranks]
    if is_admissible(sizes, n, ranks):
        bases = irreducible_frame(sizes, n, ranks, key=rng)
        if bases is not None:
            return bases
    # A frame that is not irreducible is an orthogonal sum of two, whose ranks weigh the same for each dimension.
    for first in range(1, n // 2 + 1):
        for part in itertools.product(*(range(max(0, rank - n + first), min(rank, first) + 1) for rank in ranks)):
            if n * sum(rank * size for rank, size in zip(part, sizes, strict=True)) != first * weight:
                continue
            rest = tuple(rank - used for rank, used in zip(ranks, part, strict=True))
            pieces = [_frame(sizes, part, first, rng), _frame(sizes, rest, n - first, rng)]
            if pieces[0] is not None and pieces[1] is not None:
                return [_direct_sum(x, y) for x, y in zip(pieces[0], pieces[1], strict=True)]
    return None


def _direct_sum(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    total = np.zeros((first.shape[0] + second.shape[0], first.shape[1] + second.shape[1]))
    total[: first.shape[0], : first.shape[1]] = first
    total[first.shape[0] :, first.shape[1] :] = second
    return total


def irreducible_frame(
    sizes: tuple[int, ...], dimension: int, ranks: tuple[int, ...], *, key: Any, division: int = 1
) -> Bases | None:
    """A random irreducible frame as orthonormal bases of shapes (dimension, p_k); `None` when none was found.

    `division=2` asks for a frame of complex subspaces, written in twice as many real dimensions.
    """
    rng = generator(key)
    if division == 1 and dimension == 1:
        return [np.ones((1, rank)) for rank in ranks]
    if division == 1 and not is_admissible(sizes, dimension, ranks):
        return None
    if division == 1 and dimension == 2:
        return _polygon(sizes, ranks, rng)
    if division not in (1, 2) or any(number % division for number in (dimension, *ranks)):
        return None
    for _ in range(2):  # one more start, should the first be far from generic
        bases = _balanced(sizes, dimension // division, tuple(rank // division for rank in ranks), rng, division == 2)
        if bases is None:
            continue
        if division == 2:
            bases = [np.block([[np.real(B), -np.imag(B)], [np.imag(B), np.real(B)]]) for B in bases]
        # Generic subspaces that are only semistable tend to a direct sum, and their defect is the square of their distance to
        # it: a defect of 1e-14 then leaves entries of 1e-7 that link what is not linked.
        structure = commutant(bases, tol=1e-6)
        if structure is not None and len(structure.types) == 1:
            found = structure.types[0]
            if found.multiplicity == 1 and found.division == division:
                return bases
    return None


@lru_cache(maxsize=65536)
def irreducible_frame_found(sizes: tuple[int, ...], dimension: int, ranks: tuple[int, ...]) -> bool:
    """Whether the construction finds a real irreducible frame with these ranks."""
    return irreducible_frame(sizes, dimension, ranks, key=0) is not None


def _polygon(sizes: tuple[int, ...], ranks: tuple[int, ...], rng: np.random.Generator) -> Bases:
    """Lines at angles theta_k with Σ m_k exp(2 i theta_k) = 0 over the classes of rank one; others are full or absent.

    The polygon with sides m_k is cut into triangles by its diagonals from one corner. Their lengths are drawn from the
    interval in which both the triangle before and the polygon after can close; the orientations are drawn too.
    """
    sides = [(size, k) for k, (size, rank) in enumerate(zip(sizes, ranks, strict=True)) if rank == 1]
    rng.shuffle(sides)
    lengths = [size for size, _ in sides]
    theta = [0.0]  # direction angles of the sides, each relative to the frame of the plane
    diagonal: float = lengths[0]
    direction = 0.0  # of the vector that the sides so far add up to
    for j in range(1, len(lengths) - 1):
        rest = lengths[j + 1 :]
        if len(rest) == 1:
            following: float = rest[0]
        else:
            low = max(abs(diagonal - lengths[j]), 2 * max(rest) - sum(rest))
            high = min(diagonal + lengths[j], sum(rest))
            following = low + (high - low) * rng.uniform(0.1, 0.9)
        orientation = 1 if rng.random() < 0.5 else -1
        theta.append(direction + orientation * (math.pi - _angle(lengths[j], diagonal, following)))
        direction += orientation * _angle(following, diagonal, lengths[j])
        diagonal = following
    theta.append(direction + math.pi)
    bases = [np.eye(2)[:, :rank] for rank in ranks]
    for (_, k), angle in zip(sides, theta, strict=True):
        bases[k] = np.array([[math.cos(angle / 2)], [math.sin(angle / 2)]])
    return bases


def _angle(a: float, b: float, c: float) -> float:
    """The angle between the sides a and b of a triangle with third side c (Kahan's formula, accurate for needles)."""
    top = max(c - (a - b), 0.0) * max(c - (b - a), 0.0)
    bottom = (a + b + c) * max(a + b - c, 0.0)
    return 2 * math.atan2(math.sqrt(top), math.sqrt(bottom))


def _balanced(
    sizes: tuple[int, ...], n: int, ranks: tuple[int, ...], rng: np.random.Generator, is_complex: bool
) -> Bases | None:
    """Random subspaces of ranks p_k, moved by one linear map so that S = Σ m_k P_k / c = I.

    Each step applies S^{-1/2} (Tyler's iteration, which always descends), once close a Newton step for the map exp(Y). Where
    the generic subspaces are not stable the maps have no limit: their product's condition grows without bound.
    """
    weights = np.array(sizes) * n / sum(rank * size for rank, size in zip(ranks, sizes, strict=True))
    shape = [(n, rank) for rank in ranks]
    bases = [rng.standard_normal(s) + (1j * rng.standard_normal(s) if is_complex else 0.0) for s in shape]
    bases = [np.linalg.qr(B)[0] for B in bases]
    identity = whole = np.eye(n)
    previous = math.inf
    for _ in range(2000):
        projectors = [B @ B.conj().T for B in bases]
        defect = identity - sum(w * P for w, P in zip(weights, projectors, strict=True))
        error = float(np.linalg.norm(defect))
        if error < 1e-14 or (error < 1e-12 and error >= previous):
            return bases
        previous = error
        if error < 1e-2:
            move = _newton(weights, projectors, defect)
        else:
            values, vectors = np.linalg.eigh(identity - defect)
            move = (vectors / np.sqrt(values)) @ vectors.conj().T
        whole = move @ whole
        if np.linalg.cond(whole) > _UNBOUNDED:
            return None
        bases = [np.linalg.qr(move @ B)[0] for B in bases]
    return None


def _newton(weights: np.ndarray, projectors: Bases, defect: np.ndarray) -> np.ndarray:
    """exp(Y) for the Newton step Σ m_k dP_k[Y] = defect with dP[Y] = (I − P) Y P + P Y (I − P), by conjugate gradients on
    matrices; a long step, which a nearly singular system gives, is cut."""

    def apply(Y: np.ndarray) -> np.ndarray:
        total = np.zeros_like(Y)
        for w, P in zip(weights, projectors, strict=True):
            half = P @ Y - P @ Y @ P
            total += w * (half + half.conj().T)
        return total

    Y = np.zeros_like(defect)
    residual, direction = defect.copy(), defect.copy()
    squared = float(np.vdot(residual, residual).real)
    goal = 1e-26 * squared
    for _ in range(4 * defect.size):
        if squared <= goal:
            break
        image = apply(direction)
        curvature = float(np.vdot(direction, image).real)
        if curvature <= 0:
            break
        Y += squared / curvature * direction
        residual -= squared / curvature * image
        following = float(np.vdot(residual, residual).real)
        direction = residual + following / squared * direction
        squared = following
    values, vectors = np.linalg.eigh(0.5 * (Y + Y.conj().T))
    longest = float(np.abs(values).max(initial=0.0))
    values = values * min(1.0, 0.3 / longest) if longest > 0 else values
    return (vectors * np.exp(values)) @ vectors.conj().T
