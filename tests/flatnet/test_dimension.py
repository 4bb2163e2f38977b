"""The dimension, the order along a curve, neighborhoods and pieces."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mcr2_landscape import flatnet
from mcr2_landscape.data import manifolds
from mcr2_landscape.flatnet import connected_pieces, estimate_dimension, neighborhoods, order_along
from mcr2_landscape.flatnet.dimension import two_nearest
from mcr2_landscape.validation import InputError


@pytest.mark.parametrize(
    ("points", "dimension", "rule"),
    [
        (manifolds.sine_curve(50, key=0).points, 1, "quadratics"),
        (manifolds.circular_arc(1.5 * np.pi, 100, key=0).points, 1, "quadratics"),
        (manifolds.sphere_cap(np.pi / 3, 300, key=0).points, 2, "quadratics"),
        (manifolds.swiss_roll(600, key=0).points, 2, "quadratics"),
        (manifolds.gaussian_process_manifold(2, 30, 400, key=0).points, 2, "quadratics"),
        (manifolds.gaussian_process_manifold(4, 30, 500, key=0).points, 4, "quadratics"),
        (np.random.default_rng(0).standard_normal((300, 4)), 4, "neighbors"),
        (np.outer(np.random.default_rng(0).random(40), [1, 2, 3]), 1, "neighbors"),
    ],
)
def test_the_dimension_is_found(points, dimension, rule):
    found = estimate_dimension(points, key=0)
    assert (found.dimension, found.rule) == (dimension, rule)
    if rule == "quadratics":
        assert found.agreement > 0.5
        assert found.unexplained[dimension - 1] < 0.4
        assert (found.unexplained[: dimension - 1] > 0.5).all()


@settings(max_examples=6)
@given(st.integers(0, 2**32 - 1))
def test_the_dimension_knows_no_axes_and_no_scale(seed):
    random = np.random.default_rng(seed)
    points = manifolds.sphere_cap(1.0, 150, key=seed).points
    turned = 10.0 ** random.integers(-3, 4) * points @ np.linalg.qr(random.standard_normal((5, 5)))[0][:3] + 1
    first, second = estimate_dimension(points, key=0), estimate_dimension(turned, key=0)
    assert (first.dimension, first.votes) == (second.dimension, second.votes)


@settings(max_examples=6)
@given(st.integers(-1050, 1020))
@example(-1050)
@example(1020)
def test_an_estimate_knows_no_power_of_two(exponent):
    """Nor that squares of the numbers are nothing, or do not fit in float64."""
    points = np.round(1024 * manifolds.sphere_cap(1.0, 60, key=0).points) / 1024  # that the least powers of two keep
    assert 1 < two_nearest(np.ldexp(points, exponent)) == two_nearest(points) < 3
    plain, other = (estimate_dimension(own, key=0).to_dict() for own in (points, np.ldexp(points, exponent)))
    assert plain == other


@pytest.mark.parametrize("scale", [1e150, 1e306, 1e-160, 1e-200, 1e-290])
def test_an_estimate_knows_no_scale(scale):
    points = manifolds.sphere_cap(1.0, 150, key=0).points
    first, second = estimate_dimension(points, key=0), estimate_dimension(scale * points, key=0)
    assert (first.dimension, first.rule, first.votes) == (second.dimension, second.rule, second.votes)
    assert second.neighbors == pytest.approx(first.neighbors, rel=1e-9)
    np.testing.assert_allclose(second.unexplained, first.unexplained, rtol=1e-6)


def test_points_too_near_for_their_squares_count_as_one():
    """The two nearest neighbors of the others are counted, and nothing is divided by zero."""
    points = np.random.default_rng(0).standard_normal((200, 2))
    near = np.vstack([points, points[:1] * 0, points[:1] * 0 + 1e-200])
    assert two_nearest(near) == pytest.approx(two_nearest(points), rel=0.05)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"points": np.eye(2)}, "points: found 2"),
        ({"points": np.ones((9, 2))}, "points: found the same point"),
        ({"tolerance": 1}, "tolerance: found 1"),
        ({"most": 0}, "most: found 0"),
        ({"centers": 0}, "centers: found 0"),
    ],
)
def test_impossible_estimates_are_refused(change, says):
    with pytest.raises(InputError, match=says):
        estimate_dimension(**{"points": manifolds.sine_curve(20, key=0).points, "key": 0, **change})


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_every_step_back_is_found_and_no_other(seed, backwards):
    """On a spiral in random order: the order found along the curve is the true one, and a fold shows where it was made."""
    random = np.random.default_rng(seed)
    t = np.sort(random.random(60)) * 0.3 + np.arange(60) * 0.1
    points = np.column_stack([(1 + t) * np.cos(t), (1 + t) * np.sin(t)])
    shuffled = random.permutation(60)
    codes = -t if backwards else t.copy()
    assert order_along(points[shuffled], codes[shuffled]).inversions == 0
    fold = np.where(np.arange(60) >= 45, 2 * codes[45] - codes, codes)
    for positions in (None, t[shuffled]):
        found = order_along(points[shuffled], fold[shuffled], positions)
        assert (found.inversions, found.steps, found.known) == (14, 59, positions is not None)
        assert set(shuffled[found.places]) in ({*range(45, 59)}, {*range(46, 60)})


def test_neighborhoods_that_survive_and_such_as_do_not():
    points = manifolds.sphere_cap(0.5, 200, key=0).points
    kept = neighborhoods(points, points[:, :2])
    assert min(kept.trustworthiness, kept.continuity) > 0.99
    folded = neighborhoods(points, np.column_stack([np.abs(points[:, 0]), points[:, 1]]))
    assert folded.trustworthiness < 0.97
    torn = neighborhoods(points, points[:, :2] + 5 * (points[:, :1] > 0))
    assert torn.continuity < torn.trustworthiness
    with pytest.raises(InputError, match="codes: found shape"):
        neighborhoods(points, points[:9])


@given(st.integers(0, 2**32 - 1), st.integers(-1000, 1000))
def test_repeated_points_and_units_change_nothing(seed, exponent):
    """Twelve times each: more than neighbors are looked at."""
    random = np.random.default_rng(seed)
    t = np.sort(random.random(30)) * 0.3 + np.arange(30) * 0.1
    points, codes = np.column_stack([np.cos(t), np.sin(t)]), t + 0.2 * random.standard_normal(30)
    often = np.ldexp(np.tile(points, (12, 1)), exponent // 2)
    once, again = order_along(points, codes), order_along(often, np.tile(codes, 12))
    assert once.inversions > 0
    assert (once.inversions, once.steps, set(once.places)) == (again.inversions, again.steps, set(again.places))
    known = order_along(often, np.tile(codes, 12), np.tile(t, 12))
    assert (known.inversions, known.steps) == (once.inversions, once.steps)
    assert neighborhoods(points, codes[:, None]) == neighborhoods(often, np.tile(codes, 12)[:, None])
    assert connected_pieces(often) == 1
    assert connected_pieces(np.vstack([often, often + np.ldexp(50.0, exponent // 2)])) == 2


def test_codes_that_do_not_tell_points_apart_are_ties():
    points = manifolds.sine_curve(20, key=0).points
    assert (order_along(points, np.ones(20)).ties, order_along(points, np.ones(20)).inversions) == (19, 0)
    codes = points[:, 0].copy()
    assert order_along(points, codes).ties == 0
    codes[7] = codes[8]
    assert order_along(points, codes).ties == 1


@pytest.mark.parametrize(
    ("work", "says"),
    [
        (lambda x: order_along(x, np.where(x[:, 0] > 3, np.nan, x[:, 0])), "codes: found NaN in 10 of 20 rows"),
        (lambda x: order_along(x, x[:5, 0]), "codes: found shape"),
        (lambda x: order_along(x, x[:, 0], x[:5, 0]), "positions: found shape"),
        (lambda x: neighborhoods(x, x, 0), "neighbors: found 0"),
        (lambda x: neighborhoods(np.repeat(x[:3], 4, axis=0), np.repeat(x[:3], 4, axis=0)), "points: found 3 different ones"),
        (lambda x: connected_pieces(x, 0), "neighbors: found 0"),
        (lambda x: connected_pieces(x[:0]), "points: found none"),
    ],
)
def test_what_has_no_order_and_no_neighborhoods_is_refused(work, says):
    with pytest.raises(InputError, match=says):
        work(manifolds.sine_curve(20, key=0).points)


@given(st.integers(1, 4))
def test_pieces_are_counted(pieces):
    points = np.concatenate([np.random.default_rng(k).random((20, 2)) + 50 * k for k in range(pieces)])
    assert connected_pieces(np.vstack([points, points[:3]])) == pieces


def test_every_public_name_is_there():
    for name in flatnet.__all__:
        assert getattr(flatnet, name).__name__ == name
    assert set(flatnet.__all__) <= set(dir(flatnet))
    with pytest.raises(AttributeError, match="no attribute 'other'"):
        flatnet.other  # noqa: B018
