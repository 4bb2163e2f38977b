"""Ranks with prescribed singular values: what is kept, what is cut off, and that no more is cut off than is said."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcr2_landscape.factorization import factorize
from mcr2_landscape.testing import seeds

EPS = float(np.finfo(np.float64).eps)
# With a dense decomposition, and (from 32 rows and columns) with a sketch that suffices or has to grow.
SHAPES = ((5, (3, 7)), (40, (50, 3)), (90, (80, 100)))


def orthonormal(rows, columns, random):
    return np.linalg.qr(random.standard_normal((rows, columns)))[0]


def block(dim, width, values, random):
    count = len(values)
    return (orthonormal(dim, count, random) * np.asarray(values)) @ orthonormal(width, count, random).T


def rebuilt(found):
    return np.concatenate([W @ V.T for W, V in zip(found.scaled, found.right, strict=True)], axis=1)


def check(found, Z, tolerance=None):
    """What every factorization is."""
    actual = np.linalg.norm(Z - rebuilt(found))
    rounding = 100 * EPS * np.linalg.norm(Z)
    assert actual <= found.residual + rounding
    assert found.residual <= np.sqrt(2) * actual + rounding
    assert len(found.ranks) == len(found.right)
    for W, s, V in zip(found.scaled, found.values, found.right, strict=True):
        assert np.abs(V.T @ V - np.eye(s.size)).max(initial=0) <= 1e-13
        assert (np.diff(s) <= 0).all()
        assert W.shape[1] == s.size
        assert (s > 0).all()
    joined = np.concatenate(found.scaled, axis=1)
    if found.basis is None:
        assert found.rank == Z.shape[0]
    else:
        U = found.basis
        assert np.abs(U.T @ U - np.eye(found.rank)).max(initial=0) <= 1e-13
        assert np.linalg.norm(joined - U @ (U.T @ joined)) <= rounding
    inside = np.eye(found.rank) if found.basis is None else found.basis
    for W, own in zip(found.scaled, found.coordinates(), strict=True):
        assert np.linalg.norm(inside @ own - W) <= rounding
    if tolerance is not None:
        assert found.cut <= max(found.tolerance, tolerance)


@st.composite
def spectra(draw, most):
    """Clusters, zeros and decades, descending."""
    count = draw(st.integers(0, most))
    return sorted(
        draw(st.lists(st.sampled_from([0.0, 1e-9, 1e-3, 0.5, 1.0, 1.0 + 1e-9, 30.0]), min_size=count, max_size=count))
    )[::-1]


@given(st.data(), seeds(), st.sampled_from(SHAPES))
def test_prescribed_singular_values_are_found(data, seed, shape):
    dim, widths = shape
    random = np.random.default_rng(seed)
    prescribed = [data.draw(spectra(min(dim, width, 24))) for width in widths]
    Z = np.concatenate([block(dim, width, s, random) for width, s in zip(widths, prescribed, strict=True)], axis=1)
    found = factorize(Z, widths)
    check(found, Z)
    for s, own in zip(prescribed, found.values, strict=True):
        s = np.array([value for value in s if value])
        assert own.size == s.size  # 1e-9 is far above the rounding of 30
        assert np.abs(own - s).max(initial=0) <= 100 * EPS * s.max(initial=0)
    assert found.rank == min(dim, sum(found.ranks))  # random subspaces meet in nothing that they need not
    assert found.residual <= 100 * EPS * np.linalg.norm(Z)


@given(seed=seeds(), shape=st.sampled_from(SHAPES), exponent=st.floats(-7, 1), again=st.floats(0, 2))
def test_a_tolerance_cuts_off_no_more_than_is_said(seed, shape, exponent, again):
    dim, widths = shape
    random = np.random.default_rng(seed)
    shares = [random.uniform(0.1, 1) for _ in widths]
    Z = np.concatenate(
        [
            block(dim, w, 10.0 ** random.uniform(-6, 0, min(dim, w)) * (random.random(min(dim, w)) < share), random)
            for w, share in zip(widths, shares, strict=True)
        ],
        axis=1,
    )
    tolerance = 10**exponent
    found = factorize(Z, widths, tolerance=tolerance)
    check(found, Z, tolerance)
    shorter = found.truncated(10**again * tolerance)
    assert np.linalg.norm(Z - rebuilt(shorter)) <= shorter.residual + 100 * EPS * np.linalg.norm(Z)
    assert all(a <= b for a, b in zip(shorter.ranks, found.ranks, strict=True))
    for own in shorter.values:
        assert (own > 10**again * tolerance).all()


def test_a_sketch_and_a_common_basis_add_up():
    """What a sketch has not seen of a class need not be orthogonal to what the common basis cuts off: the sum of squares of the
    two norms would say less than was cut off."""
    random = np.random.default_rng(1)
    worst = 0.0
    for _ in range(40):
        widths = (71, 79)
        Z = np.concatenate(
            [block(39, w, 10.0 ** random.uniform(-3, 0, 39) * (random.random(39) < 0.3), random) for w in widths], axis=1
        )
        found = factorize(Z, widths, tolerance=0.2)
        worst = max(worst, np.linalg.norm(Z - rebuilt(found)) / found.residual)
    assert 0.9 < worst <= 1 + 1e-12


def test_a_planted_error_is_caught():
    random = np.random.default_rng(0)
    Z = np.concatenate([block(5, 7, [2.0, 1.0], random), block(5, 3, [1.0], random)], axis=1)
    found = factorize(Z, (7, 3))
    check(found, Z)
    found.right[0][:, 1] *= -1
    with pytest.raises(AssertionError):
        check(found, Z)


@pytest.mark.parametrize("dim", [20, 120])
def test_a_largest_rank_gives_up(dim):
    random = np.random.default_rng(0)
    Z = np.concatenate([block(dim, 100, np.ones(4), random), block(dim, 100, np.ones(19), random)], axis=1)
    assert factorize(Z, (100, 100), max_rank=18) is None
    found = factorize(Z, (100, 100), max_rank=19)
    assert found is not None
    assert found.ranks == (4, 19)
    assert factorize(random.standard_normal((dim, 200)), (100, 100), max_rank=3) is None


@pytest.mark.parametrize(("dim", "width"), [(64, 200), (100, 90), (33, 40)])
def test_a_largest_rank_needs_no_decomposition(dim, width, monkeypatch):
    """At a generic point the last sketch, of a few products more than the largest rank, says enough; a rank of just that is
    found by it."""
    random = np.random.default_rng(0)
    half = dim // 2
    exact = block(dim, width, np.linspace(1, 2, half), random)
    assert factorize(exact, (width,), max_rank=half).ranks == (half,)
    assert factorize(exact, (width,), max_rank=half - 1) is None

    def refused(*_, **__):
        raise AssertionError("decomposed")

    monkeypatch.setattr(np.linalg, "svd", refused)
    assert factorize(random.standard_normal((dim, width)), (width,), max_rank=half) is None
    with pytest.raises(AssertionError, match="decomposed"):
        factorize(random.standard_normal((dim, width)), (width,))


@pytest.mark.parametrize("width", [20, 300])
def test_a_basis_where_everything_is_spanned(width):
    random = np.random.default_rng(0)
    Z = random.standard_normal((6, 2 * width))
    found = factorize(Z, (width, width))
    assert found.basis is None
    full = found.spanned()
    check(full, Z)
    rows = np.linalg.norm(np.concatenate(full.coordinates(), axis=1), axis=1)
    assert np.allclose(rows, np.linalg.svd(Z, compute_uv=False))
    assert full.spanned() is full


def test_one_space_of_several_classes():
    """r is the dimension of the sum of the spaces, not the sum of the ranks."""
    random = np.random.default_rng(0)
    U = orthonormal(60, 5, random)
    for width in (50, 2000):
        Z = np.concatenate([U @ random.standard_normal((5, 4)) @ random.standard_normal((4, width)) for _ in range(3)], axis=1)
        found = factorize(Z, (width,) * 3)
        check(found, Z)
        assert found.ranks == (4, 4, 4)
        assert found.rank == 5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1e-30, 1e-10, 1e10, 1e25])
def test_units_do_not_matter(dtype, scale):
    """Squares of the entries leave the range of float32 here."""
    random = np.random.default_rng(0)
    Z = np.concatenate([block(40, 50, [2.0, 1.0], random), block(40, 30, [1.0], random)], axis=1)
    found = factorize((scale * Z).astype(dtype), (50, 30))
    assert found.ranks == (2, 1)
    assert found.rank == 3
    assert found.residual <= 1e-5 * scale
    assert np.allclose(found.values[0], [2 * scale, scale], rtol=1e-5)


def test_zero_and_columns_of_zeros():
    found = factorize(np.zeros((4, 6)), (2, 4))
    assert (found.ranks, found.rank, found.residual, found.cut) == ((0, 0), 0, 0.0, 0.0)
    assert found.truncated(1.0).rank == 0
    Z = np.zeros((40, 90))
    Z[3, 70] = 2.0
    found = factorize(Z, (45, 45))
    check(found, Z)
    assert (found.ranks, found.rank) == ((0, 1), 1)
    assert factorize(Z, (45, 45), tolerance=3.0).ranks == (0, 0)
    assert factorize(Z, (45, 45), tolerance=3.0).residual == pytest.approx(2.0)


def test_the_same_point_gives_the_same_bits():
    Z = np.random.default_rng(0).standard_normal((50, 3)) @ np.random.default_rng(1).standard_normal((3, 80))
    first, second = factorize(Z, (40, 40)), factorize(Z, (40, 40))
    assert all(np.array_equal(a, b) for a, b in zip(first.scaled + first.right, second.scaled + second.right, strict=True))
