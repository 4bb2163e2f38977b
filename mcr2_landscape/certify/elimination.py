"""Approximate diagonalization by congruence, in floats. Nothing here has to be trusted: `critical` proves how good the result
is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import mul
from random import Random

from flint import arb, arb_mat

from mcr2_landscape.certify.balls import squared_norm
from mcr2_landscape.certify.exact import Undecided


def congruence(target: arb_mat) -> tuple[arb_mat, list[int]]:
    """Q and signs with Qᵀ · target · Q nearly diagonal with these signs: symmetric elimination in floats, and again on what it
    has left where the matrix is so ill conditioned that floats are not enough."""
    Q, signs = _eliminate([[float(entry) for entry in row] for row in target.tolist()])
    n, random = len(signs), Random(1)
    for _ in range(3):
        # The image of a vector of random signs has the length of the whole error, in the mean: cheaper than all of it.
        probe = [random.choice((-1, 1)) for _ in range(n)]
        image = (Q.transpose() * (target * (Q * arb_mat(n, 1, probe)))).entries()
        if n * squared_norm(y - s * x for y, s, x in zip(image, signs, probe, strict=True)) < 1e-4:
            break
        left = Q.transpose() * target * Q
        more, signs = _eliminate([[float(entry) for entry in row] for row in left.tolist()])
        Q = (Q * more).mid()
    return Q, signs


def _eliminate(rows: list[list[float]]) -> tuple[arb_mat, list[int]]:
    """Q and signs with Qᵀ · rows · Q nearly diagonal with these signs: symmetric elimination in floats with diagonal pivots.
    Where the largest diagonal entry is small beside its row, a rotation by 45 degrees in that pair of coordinates brings the
    entry onto it.

    What is left of row i after the pivots done so far is rows[i] − Σ_t signs[t] lower[i][t] lower[·][t]; only its diagonal
    and the rows of pivots are ever computed.
    """
    n = len(rows)
    # Pivots that rounding has eaten: any small number does, and what is left of them decides when this is done again.
    least = 1e-20 * max((abs(entry) for row in rows for entry in row), default=0.0)
    turned = [[float(i == j) for j in range(n)] for i in range(n)]
    rotations = 0
    lower: list[list[float]] = [[] for _ in range(n)]
    diagonal = [row[i] for i, row in enumerate(rows)]
    left, order, signs = list(range(n)), [], []
    while left:
        p = max(left, key=lambda i: abs(diagonal[i]))
        signed = list(map(mul, lower[p], signs))
        row = rows[p]
        pivot_row = [row[i] - sum(map(mul, lower[i], signed)) for i in left]
        place = left.index(p)
        pivot = diagonal[p] = pivot_row[place]
        pivot_row[place] = 0.0
        largest = max(range(len(left)), key=lambda t: abs(pivot_row[t]))
        # Bounded: where only rounding errors are left, two rotations can undo each other for ever.
        if rotations < 2 * n and abs(pivot) < 0.4 * abs(pivot_row[largest]):
            rotations += 1
            _rotate(p, left[largest], (rows, turned, lower), rows)
            for i in (p, left[largest]):
                diagonal[i] = rows[i][i] - sum(s * x * x for s, x in zip(signs, lower[i], strict=True))
            continue
        pivot = least if abs(pivot) <= least else pivot
        if not (math.isfinite(pivot) and pivot):
            raise Undecided("a matrix has entries that are zero or too large for floats")
        sign, root = (1 if pivot > 0 else -1), math.sqrt(abs(pivot))
        left.remove(p)
        del pivot_row[place]
        for i, entry in zip(left, pivot_row, strict=True):
            scaled = sign * entry / root
            lower[i].append(scaled)
            diagonal[i] -= sign * scaled * scaled
        lower[p].append(root)
        order.append(p)
        signs.append(sign)
    Q = _inverse_transpose([lower[p] for p in order])
    if rotations:
        return (arb_mat([list(map(arb, turned[p])) for p in order]).transpose() * arb_mat(Q)).mid(), signs
    return arb_mat([Q[place] for place in sorted(range(n), key=order.__getitem__)]), signs


def _rotate(p: int, j: int, tables: Sequence[list[list[float]]], symmetric: list[list[float]]) -> None:
    """Rows p and j of each table become (p ± j)/√2, and so do these columns of the symmetric one."""
    half = math.sqrt(0.5)
    for table in tables:
        first, second = table[p], table[j]
        table[p] = [half * (x + y) for x, y in zip(first, second, strict=True)]
        table[j] = [half * (x - y) for x, y in zip(first, second, strict=True)]
    for row in symmetric:
        row[p], row[j] = half * (row[p] + row[j]), half * (row[p] - row[j])


def _inverse_transpose(lower: list[list[float]]) -> list[list[arb]]:
    """The rows of L^{-T} for a lower triangular L, given by its rows."""
    inverse: list[list[float]] = [[] for _ in lower]  # column j of L^{-1}, from its diagonal on
    for i, row in enumerate(lower):
        for j in range(i):
            inverse[j].append(-sum(map(mul, row[j:i], inverse[j])) / row[i])
        inverse[i].append(1 / row[i])
    zero = arb(0)
    return [[*[zero] * j, *map(arb, column)] for j, column in enumerate(inverse)]
