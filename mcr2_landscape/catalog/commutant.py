"""The algebra that a few projectors generate, decomposed numerically.

A space with projectors P_1 … P_K is an orthogonal sum of irreducible ones. Isomorphic ones together form an *isotypic
component*, on which the algebra is a full matrix algebra over R, C or H. What commutes with all P_k is then known: over a
component of multiplicity q with division algebra of dimension b, symmetric matrices of dimension q + b q (q − 1)/2 and skew
ones of dimension q (b − 1) + b q (q − 1)/2.

Method: a generic symmetric element of the algebra has one eigenspace for each irreducible eigenvector, of dimension q b. Random
elements split the space until none splits it further (the pieces are then the corners e A e of minimal projections e); pieces
linked by an entry of some P_k belong to one component; random products of three elements, brought back to a piece, show b.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mcr2_landscape.record import Record


@dataclass(frozen=True)
class IsotypicComponent(Record):
    """All copies of one irreducible block.

    **Fields:** `dimension` (n) and `ranks` (p_1 … p_K) of one copy, `multiplicity` (q), `division` (1, 2 or 4) and `basis`,
    orthonormal, shape (N, n q).
    """

    dimension: int
    ranks: tuple[int, ...]
    multiplicity: int
    division: int
    basis: np.ndarray = field(metadata={"json": False})


@dataclass(frozen=True)
class Commutant(Record):
    """The decomposition of a space under its projectors, and the dimensions of what commutes with them all."""

    types: tuple[IsotypicComponent, ...]

    @property
    def symmetric_dimension(self) -> int:
        """The dimension of the symmetric commuting matrices."""
        return sum(t.multiplicity + t.division * t.multiplicity * (t.multiplicity - 1) // 2 for t in self.types)

    @property
    def skew_dimension(self) -> int:
        """The dimension of the skew commuting matrices."""
        return sum(
            t.multiplicity * (t.division - 1) + t.division * t.multiplicity * (t.multiplicity - 1) // 2 for t in self.types
        )


def commutant(bases: Sequence[np.ndarray], *, tol: float = 1e-9, seed: int = 0) -> Commutant | None:
    """Decompose R^N under the projectors P_k = B_k B_kᵀ, with orthonormal bases B_k of shapes (N, p_k).

    `tol` is the accuracy of the projectors; differences up to a few times as much count as none. `None` when the pieces do not
    fit together at that accuracy. The result does not depend on `seed`, except for failures.
    """
    N = bases[0].shape[0]
    projectors = [B @ B.T for B in bases]
    rng = np.random.default_rng(seed)
    pieces = [np.eye(N)] if N else []
    # Wide gaps first: across a gap g an error of the projectors turns the pieces by its quotient by g. What another element
    # separates widely must not be cut where this one happens to have a narrow gap.
    for gap in (0.3, 0.3, 0.3, 0.1, 0.1, 0.1, 0.1, 0.03, 0.03, 0.03, 0.03, 1e-3, 1e-3, 1e-3, 1e-5, 0.0, 0.0):
        pieces = _split(pieces, _generic(projectors, rng), max(gap, 30 * tol))
    components = []
    for members in _linked(pieces, projectors, tol):
        component = _component([pieces[i] for i in members], projectors, rng, tol)
        if component is None:
            return None
        components.append(component)
    components.sort(key=lambda t: (t.dimension, sum(t.ranks), tuple(-rank for rank in t.ranks), t.multiplicity))
    return Commutant(tuple(components))


def _generic(projectors: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """A random symmetric element of the algebra, of norm one, with words of up to three projectors."""

    def combination() -> np.ndarray:
        return np.tensordot(rng.standard_normal(len(projectors)), np.stack(projectors), axes=1)

    X, Y, V = combination(), combination(), combination()
    word = X @ Y @ V
    element = combination() + X @ Y + Y @ X + word + word.T
    return element / max(float(np.linalg.norm(element, 2)), 1e-300)


def _split(pieces: list[np.ndarray], element: np.ndarray, gap: float) -> list[np.ndarray]:
    found = []
    for e in pieces:
        values, vectors = np.linalg.eigh(e.T @ element @ e)
        cuts = np.flatnonzero(np.diff(values) > gap) + 1
        found += [e @ part for part in np.split(vectors, cuts, axis=1)]
    return found


def _linked(pieces: list[np.ndarray], projectors: list[np.ndarray], tol: float) -> list[list[int]]:
    """Groups of pieces that entries of the projectors connect, as lists of places."""
    if not pieces:
        return []
    whole = np.concatenate(pieces, axis=1)
    starts = np.concatenate([[0], np.cumsum([e.shape[1] for e in pieces])[:-1]])
    links = np.zeros((len(pieces), len(pieces)))
    for P in projectors:
        entries = (whole.T @ P @ whole) ** 2
        links += np.add.reduceat(np.add.reduceat(entries, starts, axis=0), starts, axis=1)
    adjacent = np.sqrt(links) > 30 * tol
    unseen, groups = set(range(len(pieces))), []
    while unseen:
        frontier = [min(unseen)]
        unseen.remove(frontier[0])
        group = []
        while frontier:
            i = frontier.pop()
            group.append(i)
            fresh = [int(j) for j in np.flatnonzero(adjacent[i]) if int(j) in unseen]
            unseen.difference_update(fresh)
            frontier += fresh
        groups.append(sorted(group))
    return groups


def _component(
    pieces: list[np.ndarray], projectors: list[np.ndarray], rng: np.random.Generator, tol: float
) -> IsotypicComponent | None:
    size = pieces[0].shape[1]
    if any(e.shape[1] != size for e in pieces):
        return None
    division = _division(pieces[0], projectors, rng, tol) if len(pieces) > 1 and size > 1 else 1
    if size % division:
        return None
    q = size // division
    basis = np.concatenate(pieces, axis=1)
    traces = [float(np.trace(basis.T @ P @ basis)) / q for P in projectors]
    ranks = tuple(round(trace) for trace in traces)
    if any(abs(trace - rank) > 0.01 for trace, rank in zip(traces, ranks, strict=True)):
        return None
    return IsotypicComponent(len(pieces) * division, ranks, q, division, basis)


def _division(e: np.ndarray, projectors: list[np.ndarray], rng: np.random.Generator, tol: float) -> int:
    """The dimension of the algebra's corner at the piece e: its skew part has dimension 0 over R, 1 over C, 3 over H."""
    skew = []
    for _ in range(4):
        corner = e.T @ _generic(projectors, rng) @ _generic(projectors, rng) @ _generic(projectors, rng) @ e
        skew.append((0.5 * (corner - corner.T)).ravel())
    rank = int((np.linalg.svd(np.array(skew), compute_uv=False) > 30 * tol).sum())
    return {0: 1, 1: 2}.get(rank, 4)
