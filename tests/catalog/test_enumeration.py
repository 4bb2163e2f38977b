"""The enumeration: complete, without repetition, in order, and lazy."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcr2_landscape.catalog import (
    Block,
    Family,
    Sign,
    catalog,
    count_orthogonal_families,
    eigenspace_roots,
    global_maximum,
    orthogonal_family,
)
from mcr2_landscape.closed_form import Parameters
from mcr2_landscape.validation import InputError

from .problems import problems, with_limit


def brute_force(p: Parameters, *, planes: bool = True) -> set[Family]:
    """All families by trying every multiset of blocks."""
    K = p.num_classes
    kinds = []
    for dimension in (1, 2) if planes else (1,):
        for ranks in itertools.product(range(dimension + 1), repeat=K):
            sides = [size for size, rank in zip(p.sizes, ranks, strict=True) if rank == 1]
            exists = 0 < len(sides) < K if dimension == 1 else len(sides) >= 3 and 2 * max(sides) < sum(sides)
            for sign in Sign if exists else ():
                roots = eigenspace_roots(p, Block(dimension, ranks, sign).ratio(p.sizes))
                if roots is not None and not (roots.double and sign is Sign.SMALL):
                    kinds.append(Block(dimension, ranks, sign))
    found = set()

    def extend(place: int, chosen: tuple, dim: int, room: tuple[int, ...]) -> None:
        if place == len(kinds):
            found.add(Family(p, chosen))
            return
        block = kinds[place]
        copies = 0
        while dim >= 0 and min(room) >= 0:
            entries = ((block, copies),) if block.is_rigid else ((block, 1),) * copies
            extend(place + 1, chosen + entries, dim, room)
            copies += 1
            dim -= block.dimension
            room = tuple(r - rank for r, rank in zip(room, block.ranks, strict=True))

    extend(0, (), p.dim, p.sizes)
    return found


def check_complete(found: list[Family], expected: set[Family]) -> None:
    assert len(found) == len(set(found))
    assert set(found) == expected
    assert all(before.value >= after.value for before, after in itertools.pairwise(found))


@given(problems(max_classes=3, max_size=3, max_dim=3))
def test_catalog_is_complete_and_ordered(p):
    check_complete(list(catalog(p)), brute_force(p))


@pytest.mark.parametrize(("dim", "sizes"), [(2, (1, 2, 2, 2)), (3, (2, 1, 1, 2)), (4, (1, 1, 1, 1)), (2, (1, 2, 3, 1, 1))])
def test_catalog_is_complete_with_polygons_and_filled_planes(dim, sizes):
    p = with_limit(dim, sizes, 0.5, 0.4)
    check_complete(list(catalog(p)), brute_force(p))


@given(problems(max_classes=3, max_size=4, max_dim=3))
def test_without_planes_and_without_fusion(p):
    check_complete(list(catalog(p, max_frame_dimension=1)), brute_force(p, planes=False))
    orthogonal = list(catalog(p, fusion=False))
    check_complete(orthogonal, {family for family in brute_force(p, planes=False) if family.is_orthogonal})
    assert len(orthogonal) == count_orthogonal_families(p)


def test_missing_and_misplaced_families_are_caught():
    p = with_limit(3, (1, 2, 4), 0.5, 0.4)
    found, expected = list(catalog(p)), brute_force(p)
    check_complete(found, expected)
    for wrong in (found[:-1], [*found, found[-1]], [found[1], found[0], *found[2:]]):
        with pytest.raises(AssertionError):
            check_complete(wrong, expected)


@given(problems(max_size=30, max_dim=12))
@settings(max_examples=15)
def test_beginning_of_larger_catalogs_is_ordered(p):
    first = list(itertools.islice(catalog(p), 300))
    assert len(set(first)) == len(first)
    assert all(before.value >= after.value for before, after in itertools.pairwise(first))
    assert first[0].value == pytest.approx(global_maximum(p).value, rel=1e-14, abs=1e-300)
    again = list(itertools.islice(catalog(p), 300))
    assert again == first


@pytest.mark.parametrize("sizes", [tuple(range(100, 110)), (100,) * 10, (1,) * 50 + (1000,) * 50])
def test_large_problems_begin_at_once(sizes):
    p = with_limit(128, sizes, 0.5, 0.4)
    start = time.process_time()
    first = list(itertools.islice(catalog(p), 100))
    assert time.process_time() - start < 1.0
    assert first[0].value == global_maximum(p).value
    assert len(set(first)) == 100


def test_equal_values_and_no_explosion_among_them():
    """With equal sizes an astronomical number of families shares the maximum; each is met once, and soon others follow in a
    problem where they are few."""
    p = with_limit(3, (2, 2), 0.5, 0.4)
    values = [family.value for family in catalog(p)]
    assert values[0] == values[1] == orthogonal_family(p, large=(2, 1)).value
    assert values[2] < values[1]


def test_two_classes_have_orthogonal_families_only():
    p = with_limit(4, (3, 4), 0.5, 0.4)
    assert all(family.is_orthogonal for family in catalog(p, max_frame_dimension=4))


def test_larger_frames_open_by_dimension():
    p = with_limit(3, (2, 2, 2, 2), 0.5, 0.4)
    flat, spatial = set(catalog(p)), set(catalog(p, max_frame_dimension=3))
    assert flat < spatial
    added = {block.ranks for family in spatial - flat for block, _ in family.blocks if block.dimension == 3}
    assert (1, 1, 1, 1) in added
    ordered = [family.value for family in catalog(p, max_frame_dimension=3)]
    assert ordered == sorted(ordered, reverse=True)


@pytest.mark.parametrize("bad", [0, -1, 1.5])
def test_frame_dimension_is_checked(bad):
    with pytest.raises(InputError, match="max_frame_dimension"):
        catalog(with_limit(3, (2, 2, 2), 0.5, 0.4), max_frame_dimension=bad)


@given(problems(max_classes=3, max_size=6, max_dim=6), st.integers(0, 3))
def test_nothing_lies_above_the_last_threshold(p, seed):
    """Above the largest threshold only Z = 0 is critical; between thresholds, classes above theirs are zero everywhere."""
    above = Parameters(
        p.dim, p.sizes, p.epsilon, 1.0001 * p.alpha * ((p.ratios.max() ** 0.5 - 1) / (p.ratios.max() ** 0.5 + 1))
    )
    assert [family.label for family in catalog(above)] == ["zero"]
    zero = [
        k
        for k in range(p.num_classes)
        if eigenspace_roots(p, Block(1, np.eye(p.num_classes, dtype=int)[k]).ratio(p.sizes)) is None
    ]
    for family in itertools.islice(catalog(p), 200):
        assert all(family.ranks[k] == 0 for k in zero)
