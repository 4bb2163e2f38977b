"""The fit around one point: tangent space, quadratic, radius."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcr2_landscape.flatnet import kernels, local_fit
from mcr2_landscape.flatnet.local import fit_many, search_radii, search_radius
from mcr2_landscape.validation import InputError

seeds = st.integers(0, 2**32 - 1)


def graph(seed: int, cubic: float = 0.0, count: int = 80, dim: int = 4, d: int = 2):
    """Points of a random quadratic (and cubic) graph over a random tangent space, its first point at the origin."""
    random = np.random.default_rng(seed)
    frame = np.linalg.qr(random.standard_normal((dim, dim)))[0]
    c = random.uniform(-1, 1, (count, d))
    c[0] = 0
    bend = random.uniform(-0.4, 0.4, (dim - d, d * (d + 1) // 2))
    normal = kernels.features(c)[:, 1 + d :] @ bend.T + cubic * c[:, :1] ** 3
    return c @ frame[:, :d].T + normal @ frame[:, d:].T, frame[:, :d]


def sine_of_angle(first, second):
    return np.linalg.norm(second - first @ (first.T @ second), 2)


@given(seeds, st.floats(0.4, 1), st.sampled_from([0.15, 0.5, 0.9]))
def test_the_round_trip_is_exact_on_a_quadratic_graph(seed, radius, alpha):
    """C5, and C11: refinement finds the tangent space itself."""
    points, tangent = graph(seed)
    model = local_fit(points, points[0], radius, 2, refinements=200, ridge=1e-15)
    # Two hundred refinements leave rounding alone, 1e-15 as a rule.
    assert sine_of_angle(tangent, model.basis) < 1e-13
    layer = model.layer(alpha)
    back = kernels.reconstruct(layer, kernels.flatten(layer, points))
    assert np.abs(back - points).max() < 1e-13
    rough, _ = graph(seed, cubic=1.0)
    model = local_fit(rough, rough[0], radius, 2)
    layer = model.layer(alpha)
    assert np.abs(kernels.reconstruct(layer, kernels.flatten(layer, rough)) - rough).max() > 1e-4


@given(seeds, st.sampled_from([0.15, 0.5, 0.9]))
def test_the_error_of_a_round_trip_is_alpha_squared_times_the_loss(seed, alpha):
    """C4, whatever the points, the coefficients and where they came from."""
    random = np.random.default_rng(seed)
    points = random.standard_normal((40, 3))
    model = local_fit(points, points[0], 1.5, 1)
    layer = model.layer(alpha, random.standard_normal(3), 1.7)
    error = kernels.reconstruct(layer, kernels.flatten(layer, points)) - points
    centered = points - model.mean
    kappa = alpha * np.exp(-model.gamma * np.sum(centered * centered, axis=1))
    normal = centered - (centered @ model.basis) @ model.basis.T
    expected = kernels.correction(layer, points, kappa) - kappa[:, None] * normal
    # The coordinates of some of these points are far from any other, where a quadratic is large.
    np.testing.assert_allclose(error, expected, atol=1e-12)
    np.testing.assert_allclose(np.mean(error**2) / 2, alpha**2 * model.loss, rtol=1e-9)
    assert model.expected_loss >= model.loss
    threshold = model.loss / 7
    assert model.alpha(threshold, 0.9) ** 2 * model.loss <= threshold * (1 + 1e-12)
    assert model.alpha(np.inf, 0.9) == 0.9
    # Planted: a kernel about the center instead of the weighted mean.
    wrong = layer._replace(mean=model.center)
    error = kernels.reconstruct(layer, kernels.flatten(wrong, points)) - points
    assert np.abs(error - expected).max() > 1e-3 * np.abs(expected).max()


@pytest.mark.parametrize("count", [3, 6, 7])
def test_no_more_points_than_features_say_nothing(count):
    """Six features fit six points exactly, whatever they are."""
    model = local_fit(np.random.default_rng(0).standard_normal((count, 4)), np.zeros(4), 50.0, 2)
    assert np.isfinite(model.expected_loss) == (count > 6)
    assert (model.alpha(1.0, 0.5) > 0) == (count > 6)


def _slopes(curve, d: int = 1) -> tuple[float, float]:
    """By which powers of the radius grow the root mean squares of what is left without and with the quadratic, in the fits
    around the middle of points that reach four radii to each side, where the weight is 2⁻¹⁶."""
    radii = np.geomspace(1e-2, 1e-1, 5)
    fits = [local_fit(curve(np.linspace(-4, 4, 161) * r), curve(np.zeros(1))[0], r, d, ridge=1e-15) for r in radii]
    numbers = np.log([[fit.normal, np.sqrt(fit.loss)] for fit in fits])
    plain, quadratic = np.polyfit(np.log(radii), numbers, 1)[0]
    return plain, quadratic


def test_the_residual_falls_with_the_cube_of_the_distance_once_the_quadratic_is_there():
    """C1: with the square without it, and with the fourth power where there is no cubic term. Powers of the next order are
    a hundredth of the leading ones at r = 0.1, which moves a slope over one decade by less than 0.05."""
    assert _slopes(lambda t: np.column_stack([t, np.sin(t) + np.cos(t)])) == pytest.approx((2, 3), abs=0.05)
    assert _slopes(lambda t: np.column_stack([np.sin(t), np.cos(t)])) == pytest.approx((2, 4), abs=0.05)
    # Planted: a corner has no tangent, and what is left grows with the distance itself.
    assert _slopes(lambda t: np.column_stack([t, np.abs(t - 1e-9)])) == pytest.approx((1, 1), abs=0.05)


def test_refinement_converges_linearly_to_the_tangent_space():
    """C11, on quadratic graphs with most of the points on one side of the center."""
    for seed in range(4):
        random = np.random.default_rng(seed)
        frame = np.linalg.qr(random.standard_normal((4, 4)))[0]
        c = random.uniform(-0.3, 1, (200, 2))
        points = np.hstack([c, kernels.features(c)[:, 3:] @ random.uniform(-1, 1, (2, 3)).T]) @ frame.T
        fits = [local_fit(points, np.zeros(4), 0.6, 2, refinements=steps, ridge=1e-15) for steps in range(8)]
        angles = np.array([sine_of_angle(fit.basis, frame[:, :2]) for fit in fits])
        assert angles[0] > 0.1  # principal components alone
        assert (angles[1:] < 0.3 * angles[:-1]).all()


@given(seeds)
def test_many_radii_and_centers_at_once_are_the_fits_one_by_one(seed):
    points, _ = graph(seed, cubic=0.3)
    centers, radii = points[[0, 3, 0]], np.array([0.5, 0.8, 1.3])
    for model, center, radius in zip(fit_many(points, centers, radii, 2, 2), centers, radii, strict=True):
        alone = local_fit(points, center, radius, 2, refinements=2)
        # The same operations in batches of another shape; normal equations square the condition of the features.
        np.testing.assert_allclose(model.loss, alone.loss, rtol=1e-9)
        np.testing.assert_allclose(abs(np.linalg.det(model.basis.T @ alone.basis)), 1, atol=1e-12)


@settings(max_examples=10)
@given(seeds, st.sampled_from([0.02, 0.2]), st.floats(-5, -4))
def test_the_radius_is_where_the_loss_is_what_was_asked_for(seed, tolerance, exponent):
    """To the tolerance: the loss of these graphs does not jump there. A radius a tenth larger is another one: the loss grows
    at least as the third power of it."""
    points, _ = graph(seed, cubic=1.0, count=300)
    goal, bounds = 10.0**exponent, (0.3, 3.0)
    ends = fit_many(points, points[[0, 0]], np.array(bounds), 2, 0)
    assert ends[0].expected_loss < goal < ends[1].expected_loss
    found = search_radius(points, points[:1], 2, bounds, goal, tolerance=tolerance, refinements=0)
    assert abs(found.expected_loss / goal - 1) <= tolerance * (1 + 1e-9)
    further = fit_many(points, points[:1], np.array([1.1 * found.radius]), 2, 0)[0]
    assert further.expected_loss > (1 + tolerance) * goal or tolerance > 0.02


def test_the_ends_of_the_radius():
    """The greatest radius where that will do, the least loss where none will, and around the center that gains most."""
    points, _ = graph(3, cubic=1.0, count=300)
    wide = search_radius(points, points[:1], 2, (0.1, 3.0), 1e9)
    assert wide.radius == 3.0
    least = search_radius(points, points[:1], 2, (0.5, 3.0), 1e-12, refinements=0)
    assert (least.radius, least.expected_loss > 1e-12) == (0.5, True)
    # A radius that covers too few points is no answer: the search goes up from there.
    sparse = search_radius(points, points[:1], 2, (1e-3, 3.0), 1e-6)
    assert sparse.expected_loss < 1.3e-6
    assert sparse.radius == pytest.approx(search_radius(points, points[:1], 2, (0.1, 3.0), 1e-6).radius, rel=0.1)
    # No tolerance at all ends as well, at the last bits.
    exact = search_radius(points, points[:1], 2, (0.3, 3.0), 1e-4, tolerance=0, refinements=0)
    assert exact.expected_loss == pytest.approx(1e-4, rel=1e-9)
    both = search_radius(points, points[:2], 2, (0.1, 3.0), 1e-6)
    moves = [search_radius(points, points[k : k + 1], 2, (0.1, 3.0), 1e-6).normal for k in (0, 1)]
    assert both.normal == pytest.approx(max(moves), rel=1e-9)
    each = search_radii(points, points[:2], 2, (0.1, 3.0), 1e-6)
    assert [model.normal for model in each] == pytest.approx(moves, rel=1e-9)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"radius": 1e-9}, "radius: found 1e-09, which covers 1 points by weight, too few for 2 directions"),
        ({"center": np.full(4, 1e6)}, "radius: found 1, which covers"),
        ({"radius": 0}, "radius: found 0"),
        ({"radius": 1e-200}, "radius: found 1e-200, whose γ = ln 2/r² is inf"),
        ({"radius": 1e200}, r"radius: found 1e\+200, whose γ = ln 2/r² is 0"),
        ({"ridge": 0}, "ridge: found 0"),
        ({"refinements": -1}, "refinements: found -1"),
        ({"points": np.zeros((0, 4))}, "points: found none"),
        ({"num_directions": 5}, "num_directions: found 5; points of 4"),
        ({"center": np.zeros(3)}, "center: found shape"),
        ({"points": np.full((5, 4), np.nan)}, "points: found NaN in 5 of 5 rows"),
    ],
)
def test_impossible_fits_are_refused(change, says):
    points, _ = graph(0)
    given = {"points": points, "center": points[0], "radius": 1.0, "num_directions": 2, **change}
    with pytest.raises(InputError, match=says):
        local_fit(**given)
