"""Fusion frames and the algebra of their projectors."""

from __future__ import annotations

import functools
import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcr2_landscape.catalog import fusion_frame
from mcr2_landscape.catalog.blocks import is_admissible
from mcr2_landscape.catalog.commutant import commutant
from mcr2_landscape.catalog.frames import irreducible_frame, irreducible_frame_found
from mcr2_landscape.validation import InputError


def check_frame(sizes, ranks, dimension, bases) -> None:
    total = np.zeros((dimension, dimension))
    for size, rank, B in zip(sizes, ranks, bases, strict=True):
        assert B.shape == (dimension, rank)
        assert np.abs(B.T @ B - np.eye(rank)).max(initial=0) < 1e-14
        total += size * (B @ B.T)
    level = sum(s * r for s, r in zip(sizes, ranks, strict=True)) / dimension
    assert np.abs(total / level - np.eye(dimension)).max() < 1e-12


def irreducible_exists(sizes, dimension, ranks) -> bool:
    """Exact oracle: is the generic representation of the star-shaped quiver stable for the weights (King)? Its generic
    subrepresentations are found by Schofield's recursion. Full classes commute with everything and are left out."""
    arms = [(rank, size) for rank, size in zip(ranks, sizes, strict=True) if 0 < rank < dimension]
    vector = (dimension, *(rank for rank, _ in arms))

    def euler(a, b):
        return sum(x * y for x, y in zip(a, b, strict=True)) - sum(a[1:]) * b[0]

    @functools.cache
    def generic_parts(a):
        parts = itertools.product(*(range(x + 1) for x in a))
        return [b for b in parts if b == a or all(euler(c, tuple(np.subtract(a, b))) >= 0 for c in generic_parts(b))]

    slope = Fraction(sum(rank * size for rank, size in arms), dimension)
    for part in generic_parts(vector):
        weight = sum(rank * size for rank, (_, size) in zip(part[1:], arms, strict=True))
        if any(part) and part != vector and weight >= slope * part[0]:
            return False
    return True


@given(st.lists(st.integers(1, 6), min_size=3, max_size=4), st.integers(2, 3), st.data())
def test_existence_agrees_with_the_exact_criterion(sizes, dimension, data):
    ranks = tuple(data.draw(st.integers(0, dimension)) for _ in sizes)
    expected = not all(r == dimension for r in ranks) and irreducible_exists(sizes, dimension, ranks)
    assert irreducible_frame_found(tuple(sizes), dimension, ranks) == expected
    if expected or dimension == 2:  # necessary in all dimensions, and in a plane sufficient
        assert is_admissible(tuple(sizes), dimension, ranks) == expected


@given(st.lists(st.integers(1, 10**6), min_size=3, max_size=6), st.integers(0, 9))
def test_polygons_close(sizes, seed):
    ranks = (1,) * len(sizes)
    bases = irreducible_frame(tuple(sizes), 2, ranks, key=seed)
    assert (bases is not None) == (2 * max(sizes) < sum(sizes))
    if bases is not None:
        check_frame(sizes, ranks, 2, bases)


@given(st.lists(st.integers(1, 5), min_size=2, max_size=5), st.integers(1, 4), st.integers(0, 9), st.data())
def test_fusion_frames_are_frames(sizes, dimension, seed, data):
    ranks = tuple(data.draw(st.integers(0, dimension)) for _ in sizes)
    bases = fusion_frame(sizes, ranks, dimension, key=seed)
    weight = sum(s * r for s, r in zip(sizes, ranks, strict=True))
    necessary = sum(ranks) >= dimension and all(not r or weight >= dimension * s for s, r in zip(sizes, ranks, strict=True))
    if not necessary:
        assert bases is None
    if bases is not None:
        check_frame(sizes, ranks, dimension, bases)


@pytest.mark.parametrize(
    ("sizes", "ranks", "dimension"),
    [
        ((3, 4, 7), (1, 1, 1), 2),  # the polygon is a segment: the lines of classes 1 and 2 collapse
        ((1, 1), (1, 1), 2),
        ((1, 1, 1, 1), (2, 2, 2, 2), 4),
        ((3, 2, 3, 4), (2, 1, 1, 1), 3),  # only as a sum: the generic subspaces tend to a line beside a triangle
        ((2, 3, 4, 5, 5), (2, 2, 3, 2, 4), 5),
        ((1,) * 7, (6,) * 7, 12),
    ],
)
def test_frames_that_exist_are_found(sizes, ranks, dimension):
    bases = fusion_frame(sizes, ranks, dimension, key=0)
    assert bases is not None
    check_frame(sizes, ranks, dimension, bases)


def test_frames_that_do_not_exist():
    assert fusion_frame((3, 4, 8), (1, 1, 1), 2, key=0) is None
    assert fusion_frame((1, 1, 1), (1, 1, 0), 3, key=0) is None
    assert not irreducible_frame_found((3, 2, 3, 4), 3, (2, 1, 1, 1))


@pytest.mark.parametrize(
    ("sizes", "ranks", "dimension", "message"),
    [
        ((1, 1), (1,), 1, "ranks: found 1 entries for 2 sizes"),
        ((1, 1), (1, 2), 1, "ranks: found 2; a subspace has at most the dimension 1"),
        ((1, 0), (1, 1), 1, r"sizes\[1\]"),
        ((1, 1), (1, -1), 1, r"ranks\[1\]"),
        ((1, 1), (1, 1), 0, "dimension"),
    ],
)
def test_fusion_frame_says_what_is_wrong(sizes, ranks, dimension, message):
    with pytest.raises(InputError, match=message):
        fusion_frame(sizes, ranks, dimension, key=0)


LIBRARY = {
    "line of 1": ((1, 1, 1, 1), 1, (1, 0, 0, 0), 1),
    "line of 2": ((1, 1, 1, 1), 1, (0, 1, 0, 0), 1),
    "shared line": ((1, 1, 1, 1), 1, (1, 1, 0, 1), 1),
    "triangle": ((3, 4, 5, 1), 2, (1, 1, 1, 0), 1),
    "triangle in a full class": ((3, 4, 5, 1), 2, (1, 1, 1, 2), 1),
    "polygon": ((3, 4, 5, 3), 2, (1, 1, 1, 1), 1),
    "lines in space": ((1, 1, 1, 1), 3, (1, 1, 1, 1), 1),
    "complex": ((3, 4, 5, 3), 4, (2, 2, 2, 2), 2),
}


@given(
    st.dictionaries(st.sampled_from(sorted(LIBRARY)), st.integers(1, 3), min_size=1, max_size=4),
    st.integers(0, 99),
    st.sampled_from([0.0, 1e-10, 1e-7]),
)
def test_commutant_recovers_a_planted_decomposition(parts, seed, noise):
    """Blocks, multiplicities and division algebras come back from rotated direct sums, exact or with noise."""
    rng = np.random.default_rng(seed)
    blocks = []
    for name, multiplicity in parts.items():
        sizes, dimension, ranks, division = LIBRARY[name]
        blocks += [irreducible_frame(sizes, dimension, ranks, key=rng, division=division)] * multiplicity
    N = sum(block[0].shape[0] for block in blocks)
    rotation = np.linalg.qr(rng.standard_normal((N, N)))[0]
    bases = []
    for k in range(4):
        columns, start = [], 0
        for block in blocks:
            embedded = np.zeros((N, block[k].shape[1]))
            embedded[start : start + block[k].shape[0]] = block[k]
            start += block[k].shape[0]
            columns.append(embedded)
        B = rotation @ np.concatenate(columns, axis=1)
        bases.append(np.linalg.qr(B + noise * rng.standard_normal(B.shape))[0])
    found = commutant(bases, tol=max(1e-9, 10 * noise))
    expected = sorted((*LIBRARY[name][1:3], q, LIBRARY[name][3]) for name, q in parts.items())
    assert found is not None
    assert sorted((t.dimension, t.ranks, t.multiplicity, t.division) for t in found.types) == expected
    assert found.symmetric_dimension == sum(q + b * q * (q - 1) // 2 for *_, q, b in expected)
    assert found.skew_dimension == sum(q * (b - 1) + b * q * (q - 1) // 2 for *_, q, b in expected)
    if N <= 12:
        assert (found.symmetric_dimension, found.skew_dimension) == commuting_dimensions(bases, max(1e-9, 100 * noise))
    for t in found.types:
        assert np.abs(t.basis.T @ t.basis - np.eye(t.basis.shape[1])).max() < 1e-13
        for B in bases:  # invariant: no projector leads out of the component
            P = B @ B.T
            assert np.linalg.norm(P @ t.basis - t.basis @ (t.basis.T @ P @ t.basis)) < max(1e-9, 1000 * noise)


def commuting_dimensions(bases, tol) -> tuple[int, int]:
    """The dimensions of symmetric and of skew matrices that commute with all projectors, from a dense linear system."""
    N = bases[0].shape[0]
    dimensions = []
    for sign, offset in ((1, 0), (-1, 1)):
        rows, columns = np.triu_indices(N, offset)
        equations = []
        for i, j in zip(rows, columns, strict=True):
            T = np.zeros((N, N))
            T[i, j] += 1
            T[j, i] += sign
            equations.append(np.concatenate([(T @ (B @ B.T) - (B @ B.T) @ T).ravel() for B in bases]))
        values = np.linalg.svd(np.array(equations), compute_uv=False) if equations else np.empty(0)
        dimensions.append(int((values < 10 * tol).sum()))
    return dimensions[0], dimensions[1]
