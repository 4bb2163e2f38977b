"""The Hessian's spectrum at a family: closed forms where theory has them, a dense reduction elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mcr2_landscape.catalog.scalar import Sign, class_ratio, normalized_regularization, normalized_roots
from mcr2_landscape.factorization import Factorization
from mcr2_landscape.record import Record
from mcr2_landscape.reduction import Reduction
from mcr2_landscape.validation import InputError

if TYPE_CHECKING:
    from mcr2_landscape.catalog.families import Family

_LARGEST_CORE = 4000
# Dense eigenvalues of the core are accurate to a few hundred units in the last place of the largest, 9/8 alpha + lambda.
_CLUSTER = 1e-11


@dataclass(frozen=True)
class Spectrum(Record):
    """Distinct eigenvalues of the Hessian, ascending, with their multiplicities.

    **Fields:** `eigenvalues` and `multiplicities`, shapes (s,), and `exact`: whether they are closed forms. Otherwise they come
    from dense matrices at one point of the family, eigenvalues closer than 1e-11 (9/8 alpha + lambda) being counted as one.
    """

    eigenvalues: np.ndarray
    multiplicities: np.ndarray
    exact: bool


def spectrum(family: Family) -> Spectrum:
    """The spectrum at a point of the family (at every one, unless a block is not rigid).

    Closed forms for the orthogonal families, Z = 0 and a single line shared by several classes (docs/theory.md); otherwise the
    exact reduction of the Hessian at a point of low rank, and dense eigenvalues.

    **Raises:** `InputError` when the dense part would have more than 4000 rows.
    """
    if family.is_orthogonal:
        return _collect(_orthogonal(family), exact=True)
    if len(family.blocks) == 1 and family.rank == 1:
        return _collect(_shared_line(family), exact=True)
    return _dense(family)


def _collect(rows: Iterable[tuple[float, int]], *, exact: bool) -> Spectrum:
    counts: dict[float, int] = {}
    for value, multiplicity in rows:
        if multiplicity:
            counts[value + 0.0] = counts.get(value + 0.0, 0) + multiplicity
    values = sorted(counts)
    return Spectrum(np.array(values), np.array([counts[value] for value in values], dtype=np.int64), exact)


def _orthogonal(family: Family) -> Iterable[tuple[float, int]]:
    """The table of the orthogonal family. A direction is (class, sign) with its s = alpha x, a and b."""
    p = family.parameters
    ell = normalized_regularization(p)
    outside = p.dim - family.rank
    free = [width - rank for width, rank in zip(p.widths, family.ranks, strict=True)]
    kinds = []
    for block, count in family.blocks:
        k = block.classes[0] - 1
        found = normalized_roots(class_ratio(p, k), ell)
        assert found is not None
        s = found.at(block.sign)
        kinds.append((k, block.sign, count, s, 1 / (1 + s), found))
    yield -p.regularization, outside * sum(free)
    zero = sum(rank * f + outside * rank for rank, f in zip(family.ranks, free, strict=True))
    for i, (k, sign, count, s, a, found) in enumerate(kinds):
        yield -p.alpha * (s * a) - p.regularization, count * (sum(free) - free[k])
        # Within a class: alpha (rho b² − a²) 2s, where rho (1 + s)² − (1 + rho s)² = (rho − 1)(1 − rho s²).
        rho, delta = float(class_ratio(p, k)), float(class_ratio(p, k) - 1)
        b = 1 / (1 + rho * s)
        factor = (a * b) ** 2 * delta * rho * s * found.gap * 2 * s
        yield p.alpha * (-factor if sign is Sign.LARGE else factor), count * (count + 1) // 2
        for k2, _, count2, s2, a2, _ in kinds[:i]:
            if k2 == k:
                zero += count * count2
            else:
                yield -p.alpha * a * a2 * (s + s2), count * count2
    ranks = family.ranks
    zero += sum(rank * (rank - 1) // 2 for rank in ranks) + (sum(ranks) ** 2 - sum(rank**2 for rank in ranks)) // 2
    yield 0.0, zero


def _shared_line(family: Family) -> Iterable[tuple[float, int]]:
    """The table of one line that s classes share."""
    p = family.parameters
    ((block, _),) = family.blocks
    ratio = block.ratio(p.sizes)
    found = normalized_roots(ratio, normalized_regularization(p))
    assert found is not None
    x = found.at(block.sign)
    y = float(ratio) * x
    a_share, b_product = x / (1 + x), y / (1 + y) ** 2  # 1 − a and b (1 − b)
    # b (1 − b) − a (1 − a) = ell (2a − (1 + ell)) = ± ell times the distance of the two values of a.
    last = p.ell * found.gap / ((1 + found.large) * (1 + found.small))
    d, s = p.dim, len(block.classes)
    inside, columns = sum(p.widths[k - 1] for k in block.classes), sum(p.widths)
    yield p.alpha * a_share, (s - 1) * (d - 1)
    yield 2 * p.alpha * b_product, s - 1
    yield 2 * p.alpha * (-last if block.sign is Sign.LARGE else last), 1
    yield -p.alpha * a_share - p.regularization, columns - inside
    yield -p.regularization, (d - 1) * (columns - s)
    yield 0.0, d - 1 + inside - s


def _dense(family: Family) -> Spectrum:
    """The exact reduction at one point of the family, whose ranks are known."""
    p, r, ranks = family.parameters, family.rank, family.ranks
    if r * sum(ranks) > _LARGEST_CORE:
        raise InputError(
            f"spectrum: {family.label} needs the eigenvalues of a dense matrix of {r * sum(ranks)} rows; at most "
            f"{_LARGEST_CORE} are allowed. Its index, nullity and orbit_dimension are known without"
        )
    reduction = Reduction(p, _factors(family))
    values = [(float(v), part.multiplicity) for part in reduction.parts for v in reduction.eigenvalues(part)]
    values.sort()
    tolerance = _CLUSTER * (1.125 * p.alpha + p.regularization)
    rows: list[tuple[float, int]] = []
    cluster: list[tuple[float, int]] = []
    for value, q in [*values, (np.inf, 0)]:
        if cluster and value - cluster[-1][0] > tolerance:
            count = sum(n for _, n in cluster)
            mean = sum(v * n for v, n in cluster) / count
            rows.append((0.0 if abs(mean) < tolerance else mean, count))
            cluster = []
        if q:
            cluster.append((value, q))
    return _collect(rows, exact=False)


def _factors(family: Family) -> Factorization:
    """Of a point of the family: its ranks are those of the family, not of a tolerance."""
    p, Z = family.parameters, family.point(key=0)
    U = np.linalg.svd(Z, full_matrices=False)[0][:, : family.rank]
    scaled, values, right = [], [], []
    for block, rank in zip(p.blocks(Z), family.ranks, strict=True):
        _, s, Vt = np.linalg.svd(block, full_matrices=False)
        V = Vt[:rank].T
        scaled.append(U @ (U.T @ (block @ V)))
        values.append(s[:rank])
        right.append(V)
    basis = None if family.rank == p.dim else U
    return Factorization(tuple(scaled), tuple(values), tuple(right), basis, residual=0.0, cut=0.0, tolerance=0.0)
