"""Manifolds lie where they say, and their held-out points are of the same kind."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcr2_landscape.data import manifolds
from mcr2_landscape.validation import InputError

MAKERS = {
    "sine": (lambda **k: manifolds.sine_curve(40, **k), 2, 1),
    "arc": (lambda **k: manifolds.circular_arc(3.0, 40, **k), 2, 1),
    "cap": (lambda **k: manifolds.sphere_cap(1.0, 40, **k), 3, 2),
    "roll": (lambda **k: manifolds.swiss_roll(40, **k), 3, 2),
    "process": (lambda **k: manifolds.gaussian_process_manifold(3, 20, 40, **k), 20, 3),
    "random": (lambda **k: manifolds.random_manifold(2, 7, 40, **k), 7, 2),
    "squares": (lambda **k: manifolds.translated_squares(40, size=9, side=3, **k), 81, 2),
}


@pytest.mark.parametrize("name", MAKERS)
def test_shapes_seeds_and_held_out_points(name):
    make, dim, d = MAKERS[name]
    data = make(key=0, num_held_out=5)
    assert (data.points.shape, data.coordinates.shape, data.dimension) == ((40, dim), (40, d), d)
    assert (data.held_out.shape, data.held_out_coordinates.shape) == ((5, dim), (5, d))
    assert data.points.dtype == data.held_out.dtype == np.float64
    again, other = make(key=0, num_held_out=5), make(key=1, num_held_out=5)
    np.testing.assert_array_equal(again.points, data.points)
    np.testing.assert_array_equal(again.held_out, data.held_out)
    assert np.abs(other.held_out - data.held_out).max() > 1e-3
    assert make(key=0).held_out.shape == (0, dim)
    assert data.to_dict()["dimension"] == d


@pytest.mark.parametrize("name", ["sine", "arc", "cap", "roll", "random", "squares"])
def test_equal_coordinates_are_equal_points_and_near_ones_near_points(name):
    """The embedding is a smooth function of the coordinates: differences are at most proportional."""
    data = MAKERS[name][0](key=0, num_held_out=60)
    points, places = np.vstack([data.points, data.held_out]), np.vstack([data.coordinates, data.held_out_coordinates])
    rows = np.arange(len(points))
    gaps = np.linalg.norm(places[:, None] - places[None], axis=2) + 1e9 * np.eye(len(points))
    near = gaps.argmin(axis=1)
    ratio = np.linalg.norm(points - points[near], axis=1) / np.maximum(gaps[rows, near], 1e-12)
    assert 1e-3 < ratio.max() < 40


@given(st.floats(0.1, 3.0), st.integers(0, 99))
def test_caps_and_arcs_are_of_radius_one_and_within_their_angle(angle, key):
    cap = manifolds.sphere_cap(angle, 30, key=key, num_held_out=9)
    for points in (cap.points, cap.held_out):
        np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1, atol=1e-12)
        assert (points[:, 2] >= np.cos(angle) - 1e-12).all()
    np.testing.assert_allclose(np.linalg.norm(cap.coordinates, axis=1), np.arccos(cap.points[:, 2].clip(-1, 1)), atol=1e-6)
    arc = manifolds.circular_arc(angle, 30, key=key)
    np.testing.assert_allclose(np.linalg.norm(arc.points, axis=1), 1, atol=1e-12)
    assert arc.coordinates[-1, 0] == pytest.approx(angle)


def test_the_gaussian_process_has_its_covariance():
    data = manifolds.gaussian_process_manifold(2, 40_000, 12, key=0, length_scale=0.7)
    squared = np.sum((data.coordinates[:, None] - data.coordinates[None]) ** 2, axis=2)
    np.testing.assert_allclose(data.points @ data.points.T, np.exp(-squared / (2 * 0.7**2)), atol=0.03)


def test_many_features_share_one_factorization():
    start = time.process_time()
    manifolds.gaussian_process_manifold(4, 100, 500, key=0, num_held_out=50)
    assert time.process_time() - start < 2


def test_noise_and_smoothness():
    clean, noisy = (manifolds.sine_curve(500, key=0, noise=noise, num_held_out=20) for noise in (0, 0.1))
    assert 0.09 < np.std(noisy.points - clean.points) < 0.11
    np.testing.assert_array_equal(noisy.held_out, clean.held_out)
    rough, smooth = (manifolds.random_manifold(1, 5, 400, key=0, alpha=alpha) for alpha in (0.5, 3))
    turning = []
    for data in (rough, smooth):
        along = data.points[np.argsort(data.coordinates[:, 0])]
        turning.append(np.linalg.norm(np.diff(along, axis=0)) / np.std(along))
    assert turning[0] > 2 * turning[1]


def test_squares_are_where_they_are_said_to_be():
    data = manifolds.translated_squares(20, key=0, size=12, side=4, blur=0.5)
    pictures = data.points.reshape(20, 12, 12)
    centers = np.arange(12) + 0.5
    mass = pictures.sum(axis=(1, 2))
    found = np.column_stack([(pictures.sum(axis=1) @ centers) / mass, (pictures.sum(axis=2) @ centers) / mass])
    np.testing.assert_allclose(found, data.coordinates, atol=0.1)
    assert pictures.max() <= 1


def test_real_data_come_with_the_package_and_with_scikit_image():
    twos = manifolds.digit_class(2)
    assert twos.shape == (177, 64)
    assert (twos.min(), twos.max()) == (0, 1)
    pytest.importorskip("skimage")
    assert manifolds.face_class().shape == (100, 625)


@pytest.mark.parametrize("blur", [0.0, 2.0])
def test_patches_are_where_they_are_said_to_be(blur):
    """Two windows show the same pixels where they overlap, and every shift of the grid is there once."""
    pytest.importorskip("skimage")
    data = manifolds.translated_patches(5, key=0, size=8, step=2, blur=blur, num_held_out=4)
    assert (data.points.shape, data.held_out.shape, data.dimension) == ((21, 64), (4, 64), 2)
    shifts = np.vstack([data.coordinates, data.held_out_coordinates]).astype(int)
    assert {tuple(shift) for shift in shifts} == {(x, y) for x in range(0, 10, 2) for y in range(0, 10, 2)}
    windows = dict(zip(map(tuple, shifts), np.vstack([data.points, data.held_out]).reshape(25, 8, 8), strict=True))
    first = windows[2, 4]
    np.testing.assert_array_equal(windows[4, 4][:, :-2], first[:, 2:])  # two pixels to the right
    np.testing.assert_array_equal(windows[2, 6][:-2], first[2:])  # and two down
    assert np.abs(windows[2, 6][:-2] - first[:, 2:].T[:6]).max() > 1e-3
    again = manifolds.translated_patches(5, key=0, size=8, step=2, blur=blur, num_held_out=4)
    np.testing.assert_array_equal(again.points, data.points)
    assert again.source == data.source
    place = int(data.source.split("tile ")[1].split(",")[0])
    other = manifolds.translated_patches(5, key=1, size=8, step=2, blur=blur, place=place)
    np.testing.assert_array_equal(other.points.reshape(25, 8, 8)[11], first)  # row by row: down 4 of 2 each, right 2
    assert np.std(np.diff(manifolds.translated_patches(5, key=0, blur=0, place=place).points)) > np.std(
        np.diff(manifolds.translated_patches(5, key=0, blur=2, place=place).points)
    )


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: manifolds.translated_patches(1, key=0), "num_shifts: found 1"),
        (lambda: manifolds.translated_patches(key=0, blur=-1), "blur: found -1"),
        (lambda: manifolds.translated_patches(3, key=0, num_held_out=8), "num_held_out: found 8 of 9 shifts"),
        (lambda: manifolds.translated_patches(key=0, place=10**6), "place: found 1000000; camera has"),
        (lambda: manifolds.translated_patches(key=0, picture="none"), "picture: found 'none'"),
        (lambda: manifolds.translated_patches(key=0, size=10**4), "size: found windows of 10000 × 10000"),
    ],
)
def test_impossible_patches_are_refused(make, says):
    pytest.importorskip("skimage")
    with pytest.raises(InputError, match=says):
        make()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: manifolds.sine_curve(1, key=0), "num_points: found 1"),
        (lambda: manifolds.sine_curve(9, key=0, noise=-1), "noise: found -1"),
        (lambda: manifolds.sine_curve(9, key=None), "key"),
        (lambda: manifolds.circular_arc(7, key=0), "angle: found 7; pass less than 2π"),
        (lambda: manifolds.sphere_cap(3.2, key=0), "angle: found 3.2; pass less than π"),
        (lambda: manifolds.swiss_roll(key=0, turns=0), "turns"),
        (lambda: manifolds.gaussian_process_manifold(0, key=0), "dimension: found 0"),
        (lambda: manifolds.gaussian_process_manifold(1, 2, 9, key=0, length_scale=0), "length_scale"),
        (lambda: manifolds.random_manifold(1, key=0, alpha=-1), "alpha: found -1"),
        (lambda: manifolds.translated_squares(key=0, size=4, side=4), "side: found 4"),
        (lambda: manifolds.sine_curve(9, key=0, num_held_out=-1), "num_held_out: found -1"),
        (lambda: manifolds.digit_class(10), "label: found 10"),
    ],
)
def test_impossible_manifolds_are_refused(make, says):
    with pytest.raises(InputError, match=says):
        make()
