"""What theory says about a family, against dense Hessians at its points."""

from __future__ import annotations

import dataclasses
import itertools
import json
from functools import cached_property

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mcr2_landscape.catalog import Block, Family, Sign, Spectrum, catalog, orthogonal_family, thresholds
from mcr2_landscape.closed_form import Parameters, gradient, value
from mcr2_landscape.validation import InputError
from mcr2_landscape.verdict import Kind

from .problems import dense_eigenvalues, families, orbit_rank, problems, with_limit

# Eigenvalues are relative to alpha. Dense ones carry some 1e-15; the smallest true ones are of the order of ell, which is 1e-9
# at the smallest regularizations drawn.
ZERO = 1e-12
LARGE_FRAMES = with_limit(4, (3, 2, 3, 4), 0.5, 0.3), with_limit(4, (2, 2, 2, 2), 2.0, 0.7)


def check_inertia(family: Family) -> None:
    eigenvalues = dense_eigenvalues(family)
    assert int((eigenvalues > ZERO).sum()) == family.index
    assert int((np.abs(eigenvalues) <= ZERO).sum()) == family.nullity


def check_spectrum(family: Family, spectrum: Spectrum) -> None:
    assert (np.diff(spectrum.eigenvalues) > 0).all()
    assert (spectrum.multiplicities > 0).all()
    listed = np.repeat(spectrum.eigenvalues, spectrum.multiplicities) / family.parameters.alpha
    dense = dense_eigenvalues(family, key=1)
    assert listed.shape == dense.shape
    assert np.abs(listed - dense).max() < 1e-12
    if spectrum.exact:
        assert (spectrum.eigenvalues > 0) @ spectrum.multiplicities == family.index
        assert (spectrum.eigenvalues == 0) @ spectrum.multiplicities == family.nullity


def check_critical(family: Family) -> None:
    p, Z = family.parameters, family.point(key=2)
    # Rounding the entries of Z moves the gradient by the curvature, at most 9/8 alpha + lambda, times eps ‖Z‖.
    curvature = 1.125 * p.alpha + p.regularization
    assert np.linalg.norm(gradient(p, Z)) <= 1e-14 * curvature * np.linalg.norm(Z)
    # Sums of d logarithms of size up to log(1e20).
    assert abs(value(p, Z) - family.value) < 1e-13 * (1 + family.rank * 50)
    found = np.linalg.svd(Z, compute_uv=False)[: family.rank]
    # Small singular values are known to the rounding of the large ones.
    np.testing.assert_allclose(found, family.singular_values, rtol=1e-12, atol=1e-14 * found.max(initial=0))
    for Z_k, expected in zip(p.blocks(Z), family.class_singular_values, strict=True):
        found_k = np.linalg.svd(Z_k, compute_uv=False)
        np.testing.assert_allclose(found_k[: expected.size], expected, rtol=1e-12, atol=1e-14 * found.max(initial=0))
        assert (found_k[expected.size :] <= 1e-14 * found.max(initial=0)).all()


@given(families())
@settings(max_examples=60)
def test_every_family_is_critical_with_the_index_and_nullity_of_theory(family):
    check_critical(family)
    check_inertia(family)


@given(families())
@settings(max_examples=60)
def test_spectrum_is_that_of_the_dense_hessian(family):
    check_spectrum(family, family.spectrum())


@given(families())
def test_orbit_dimension_is_the_rank_of_the_generators(family):
    rank = orbit_rank(family.parameters, family.point(key=3))
    assert rank == family.orbit_dimension
    double = any(space.double for space in family.eigenspaces)
    if family.is_orthogonal and not double:
        assert family.nullity == rank
    elif family.is_orthogonal:
        excess = sum(r * (r + 1) // 2 for space in family.eigenspaces if space.double for r in space.ranks)
        assert family.nullity == rank + excess


@given(families())
def test_landscape_is_benign_off_the_thresholds(family):
    """Local maximizers are the orthogonal families with large roots only; all else is a strict saddle, but for double roots."""
    double = any(space.double for space in family.eigenspaces)
    if not family.is_orthogonal or any(family.small):
        assert family.kind is Kind.STRICT_SADDLE
    else:
        assert family.kind is (Kind.DEGENERATE if double else Kind.LOCAL_MAXIMIZER)
    assert (family.index > 0) == (family.kind is Kind.STRICT_SADDLE)


@pytest.mark.parametrize("p", LARGE_FRAMES)
def test_inertia_with_larger_frames(p):
    """Frames of dimension three and four, found numerically, alone and beside other blocks."""
    large = (f for f in catalog(p, max_frame_dimension=4) if any(block.dimension > 2 for block, _ in f.blocks))
    for family in itertools.islice(large, 0, 400, 20):
        check_critical(family)
        check_inertia(family)
        assert orbit_rank(p, family.point(key=3)) == family.orbit_dimension


POLYGON = Block(2, (1, 1, 1, 1))
COMPLEX = Block(4, (2, 2, 2, 2), Sign.LARGE, 2)


@pytest.mark.parametrize(
    ("p", "blocks", "symmetric", "skew"),
    [
        (with_limit(4, (4, 4, 4, 4), 0.5, 0.3), ((POLYGON, 2),), 3, 1),
        (with_limit(4, (4, 4, 4, 4), 0.5, 0.3), ((POLYGON, 1), (POLYGON, 1)), 2, 0),
        (with_limit(5, (3, 4, 3, 4), 0.5, 0.3), ((COMPLEX, 1),), 1, 1),
        (with_limit(8, (4, 4, 4, 4), 0.5, 0.3), ((COMPLEX, 2),), 4, 4),
        (with_limit(8, (4, 4, 4, 4), 0.5, 0.3), ((COMPLEX, 1), (POLYGON, 2)), 4, 2),
    ],
)
def test_inertia_where_blocks_have_moduli_or_complex_structure(p, blocks, symmetric, skew):
    """Isomorphic and other copies of a block with moduli differ in index; complex blocks commute with more than multiples."""
    family = Family(p, blocks)
    (space,) = family.eigenspaces
    assert (space.symmetric_commutant, space.skew_commutant) == (symmetric, skew)
    check_critical(family)
    check_inertia(family)
    assert orbit_rank(p, family.point(key=3)) == family.orbit_dimension


def test_double_root_of_a_shared_line():
    """Not only single classes have thresholds: at its own one a shared line adds its commutant to the nullity."""
    p = with_limit(3, (2, 3, 4), 0.5, 1.0)
    block = Block(1, (1, 1, 0))
    ratio = float(block.ratio(p.sizes))
    at = Parameters(3, p.sizes, 0.5, p.alpha * (ratio**0.5 - 1) / (ratio**0.5 + 1))
    for blocks in (((block, 1),), ((block, 1), (Block(1, (1, 0, 0)), 1))):
        family = Family(at, blocks)
        assert any(space.double for space in family.eigenspaces)
        check_critical(family)
        check_inertia(family)
        check_spectrum(family, family.spectrum())
    assert Family(at, ((dataclasses.replace(block, sign=Sign.SMALL), 1),)) == Family(at, ((block, 1),))


@given(st.sampled_from([(3, 3), (1, 2, 4), (2, 2, 3)]), st.integers(1, 3), st.data())
def test_third_power_at_a_double_root(sizes, rank, data):
    """Scaling the block of a class at its double root by 1 + t changes F by −c t³ with c > 0."""
    k = data.draw(st.integers(0, len(sizes) - 1))
    level = thresholds(Parameters(4, sizes, 0.6, 1.0)).existence
    p = Parameters(4, sizes, 0.6, float(level[k]))
    assume(rank <= sizes[k])
    family = orthogonal_family(p, large=[rank if j == k else 0 for j in range(len(sizes))])
    assert family.kind is Kind.DEGENERATE
    Z = family.point(key=0)
    changes = []
    for t in (0.01, -0.01, 0.02, -0.02):
        moved = Z.copy()
        for j, block in enumerate(p.blocks(moved)):
            if j == k:
                block *= 1 + t
        changes.append(value(p, moved) - family.value)
    assert changes[0] < 0 < changes[1]
    assert changes[2] / changes[0] == pytest.approx(8, rel=0.15)


def test_printed_third_power():
    p = with_limit(4, (3, 3), 0.6, 1.0)
    family = orthogonal_family(p, large=(2, 2))
    assert family.nullity - family.orbit_dimension == 6
    Z = family.point(key=0)
    for t in (0.01, -0.01):
        # Both classes at their double root: all of Z may be scaled. The digits of the fourth power differ with the sign.
        assert value(p, (1 + t) * Z) - family.value == pytest.approx(-1.57e-7 * np.sign(t), rel=0.03)


@pytest.mark.parametrize(
    ("sizes", "block", "a", "height", "index"),
    [
        ((3, 4, 5), Block(1, (1, 1, 0)), 0.24623143017492194, 0.034440524919108234, 4),
        ((3, 4, 5), Block(1, (1, 1, 0), Sign.SMALL), 0.8399438049776685, -0.0034458388767300736, 5),
        ((2, 2, 2), Block(2, (1, 1, 1)), 0.2501061398625488, 0.09180028692926417, 4),
        ((3, 4, 5), Block(2, (1, 1, 1)), 0.1929538002156818, 0.16636997640960194, 4),
    ],
)
def test_printed_families(sizes, block, a, height, index):
    family = Family(with_limit(4, sizes, 0.5, 0.4), ((block, 1),))
    (space,) = family.eigenspaces
    assert space.a == pytest.approx(a, rel=1e-14)
    assert family.value == pytest.approx(height, rel=2e-13)
    assert family.index == index


@pytest.mark.parametrize(
    ("dim", "sizes", "epsilon", "fraction", "large", "printed"),
    [
        (7, (4, 4, 4), 0.4, 0.9, (4, 3, 0), "-0.03321447357155"),
        (4, (1, 1, 8), 0.5, 0.95, (1, 1, 2), "1.470094"),
        (4, (1, 1, 8), 0.5, 0.95, (1, 1, 0), "1.478024"),
    ],
)
def test_printed_values(dim, sizes, epsilon, fraction, large, printed):
    found = orthogonal_family(with_limit(dim, sizes, epsilon, fraction), large=large).value
    assert f"{found:.{len(printed.split('.')[1])}f}" == printed


def test_equal_ratios_share_an_eigenspace_exactly():
    """With m_3 = m_1 + m_2 the line of class 3 and that of classes 1 and 2 have the same eigenvalue, by exact arithmetic."""
    p = with_limit(4, (3, 4, 7), 0.5, 0.4)
    family = Family(p, ((Block(1, (1, 1, 0)), 1), (Block(1, (0, 0, 1)), 1)))
    assert len(family.eigenspaces) == 1
    check_inertia(family)
    other = Family(dataclasses.replace(p, sizes=(3, 4, 8), widths=()), family.blocks)
    assert len(other.eigenspaces) == 2
    check_inertia(other)


@given(families(problems(max_classes=3, max_size=3, max_dim=3)))
def test_narrow_storage_counts_stored_columns(family):
    """In coordinates of the row spaces, with fewer columns stored, index and spectrum are those of the narrow problem."""
    widths = tuple(max(1, rank) for rank in family.ranks)
    narrow = Family(dataclasses.replace(family.parameters, widths=widths), family.blocks)
    assert narrow.value == family.value
    assert narrow.index == family.index
    check_critical(narrow)
    check_inertia(narrow)
    check_spectrum(narrow, narrow.spectrum())


def test_label_and_record():
    p = with_limit(6, (4, 4, 5), 0.5, 0.4)
    own = orthogonal_family(p, large=(2, 1, 1), small=(0, 0, 1))
    assert own.label == "large (2,1,1) small (0,0,1)"
    assert (own.ranks, own.large, own.small) == ((2, 1, 2), (2, 1, 1), (0, 0, 1))
    both = Family(p, (*own.blocks, (Block(1, (1, 1, 0)), 1)))
    assert both.label == own.label + " line{1,2}+"
    assert not both.is_orthogonal
    assert Family(p, ()).label == "zero"
    assert Family(p, ((Block(2, (1, 1, 1)), 2),)).label == "triangle{1,2,3}+×2"
    many = with_limit(6, (2,) * 20, 0.5, 0.4)
    assert orthogonal_family(many, large=[0] * 16 + [2, 0, 0, 1]).label == "large (17: 2, 20: 1)"
    plain = json.loads(json.dumps(both.to_dict(), allow_nan=False))
    assert plain["label"] == both.label
    assert plain["kind"] == "strict saddle"
    assert plain["blocks"][-1][0]["ranks"] == [1, 1, 0]
    assert {"value", "index", "nullity", "orbit_dimension", "large", "small"} <= plain.keys()
    assert json.dumps(both.spectrum().to_dict(), allow_nan=False)


PROBLEM = Parameters(4, (2, 3, 10), 0.5, 0.2)


@pytest.mark.parametrize(
    ("large", "small", "message"),
    [
        ((1, 1), None, r"large: found 2 entries; pass one for each of the 3 classes"),
        ((1, 0, 0), (1,), r"small: found 1 entries"),
        ((-1, 0, 0), None, r"large\[0\]: found -1; pass an integer of at least 0"),
        ((0, 1.0, 0), None, r"large\[1\]: found 1.0"),
        ((True, 0, 0), None, r"large\[0\]: found True"),
        (1, None, r"large: found 1 entries"),
        ((2, 0, 0), (1, 0, 0), r"large: found 3 directions for class 1, which has 2 columns"),
        ((2, 3, 0), None, r"large, small: found 5 directions in all; .* at most dim = 4"),
        ((0, 0, 1), None, r"large: class 3 has no nonzero critical directions: its threshold is lambda = 0\.1"),
        ((0, 0, 0), (0, 0, 1), r"small: class 3 has no nonzero critical directions"),
    ],
)
def test_orthogonal_family_says_what_is_wrong(large, small, message):
    with pytest.raises(InputError, match=message):
        orthogonal_family(PROBLEM, large=large, small=small)


@pytest.mark.parametrize(
    ("block", "count", "message"),
    [
        (Block(1, (1, 0)), 1, "has 2 ranks; pass one for each of the 3 classes"),
        (Block(2, (1, 1, 1)), 1, "no irreducible frame"),  # 10 > 2 + 3: no triangle
        (Block(1, (0, 0, 1)), 1, "has no nonzero critical directions"),
        (Block(1, (1, 0, 0)), 3, "gives class 1 the rank 3"),
        (Block(1, (0, 1, 0)), -1, "negative multiplicity"),
    ],
)
def test_blocks_are_checked(block, count, message):
    with pytest.raises(InputError, match=message):
        Family(PROBLEM, ((block, count),))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Block(1, (1, 1)),
        lambda: Block(1, (2, 0)),
        lambda: Block(0, (0, 0)),
        lambda: Block(2, (0, 0)),
        lambda: Block(4, (2, 2, 2, 2), Sign.LARGE, 3),
    ],
)
def test_blocks_that_make_no_sense(make):
    with pytest.raises(InputError):
        make()


def test_dense_spectrum_has_a_limit():
    p = with_limit(90, (40, 40, 40), 0.5, 0.2)
    family = Family(p, ((Block(1, (1, 1, 0)), 20), (Block(1, (0, 0, 1)), 40)))
    with pytest.raises(InputError, match=r"4800 rows.* index, nullity and orbit_dimension are known"):
        family.spectrum()


class _CountsSmallRootsOnce(Family):
    """Planted: r for the index of r small roots, in place of r (r + 1)/2."""

    @cached_property
    def index(self):
        return sum(self.small)


class _ForgetsTheCommutant(Family):
    """Planted: irreducible blocks assumed throughout, t_E = 1."""

    @cached_property
    def index(self):
        return super().index + sum(s.symmetric_commutant - 1 for s in self.eigenspaces if s.sign is Sign.LARGE)


def test_wrong_index_formulas_are_caught():
    p = with_limit(3, (3, 3), 0.5, 0.4)
    check_inertia(_CountsSmallRootsOnce(p, orthogonal_family(p, large=(1, 0), small=(0, 1)).blocks))
    with pytest.raises(AssertionError):
        check_inertia(_CountsSmallRootsOnce(p, orthogonal_family(p, large=(0, 0), small=(0, 2)).blocks))
    check_inertia(_ForgetsTheCommutant(p, orthogonal_family(p, large=(1, 0)).blocks))
    with pytest.raises(AssertionError):
        check_inertia(_ForgetsTheCommutant(p, orthogonal_family(p, large=(2, 0)).blocks))


def test_wrong_multiplicities_and_eigenvalues_are_caught():
    p = with_limit(3, (3, 3), 0.5, 0.4)
    family = orthogonal_family(p, large=(1, 1), small=(0, 1))
    right = family.spectrum()
    check_spectrum(family, right)
    first, second, *_ = np.flatnonzero(right.multiplicities > 1)
    moved = right.multiplicities.copy()
    moved[[first, second]] += 1, -1
    with pytest.raises(AssertionError):
        check_spectrum(family, Spectrum(right.eigenvalues, moved, True))
    with pytest.raises(AssertionError):
        check_spectrum(family, Spectrum(right.eigenvalues * (1 + 1e-9), right.multiplicities, True))


def test_a_point_that_is_not_critical_is_caught():
    p = with_limit(3, (3, 3), 0.5, 0.4)
    family = orthogonal_family(p, large=(1, 1))

    class Wrong(Family):
        def point(self, *, key):
            return super().point(key=key) * (1 + 1e-12)

    with pytest.raises(AssertionError):
        check_critical(Wrong(p, family.blocks))
