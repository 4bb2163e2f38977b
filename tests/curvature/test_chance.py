"""Bounds from random starts: valid with the stated probability, and only for starts that are random."""

import numpy as np
import pytest
from hypothesis import given, settings
from scipy import stats

from mcr2_landscape.curvature.chance import Start, farthest, nothing_beyond, overlap_of
from mcr2_landscape.testing import seeds, spectra


def lanczos(A, start, steps):
    """Plain dense Lanczos with full reorthogonalization, as an oracle."""
    Q, T = [start / np.linalg.norm(start)], np.zeros((steps, steps))
    off, k = [], 0
    for k in range(steps):
        image = A @ Q[k]
        T[k, k] = Q[k] @ image
        for _ in range(2):
            image = image - np.array(Q).T @ (np.array(Q) @ image)
        off.append(np.linalg.norm(image))
        if off[-1] <= 1e-13 or k == steps - 1:
            break
        T[k, k + 1] = T[k + 1, k] = off[-1]
        Q.append(image / off[-1])
    values, vectors = np.linalg.eigh(T[: k + 1, : k + 1])
    return Start(values, vectors[0], np.array(off), 1e-14 * np.abs(A).max())


@pytest.mark.parametrize("dimension", [2, 3, 4, 10, 1000, 10**6])
@pytest.mark.parametrize("failure", [1e-12, 1e-3, 0.05])
@pytest.mark.parametrize("starts", [1, 2, 6])
def test_a_random_start_is_blind_as_seldom_as_stated(dimension, failure, starts):
    """The squared overlap has the law Beta(1/2, (N − 1)/2)."""
    overlap = overlap_of(failure, starts, dimension)
    chance = stats.beta.cdf(min(overlap, 1.0) ** 2, 0.5, (dimension - 1) / 2) ** starts
    assert chance <= failure * (1 + 1e-9)
    assert chance >= failure * 0.3**starts or overlap >= 1


@settings(max_examples=50)
@given(values=spectra(), seed=seeds())
def test_the_bounds_contain_the_spectrum(rotated, values, seed):
    n = 30
    A = rotated(np.sort(np.resize(values, n)), seed)
    random = np.random.default_rng(seed)
    truth = np.linalg.eigvalsh(A)
    for steps in (2, 5, 12):
        starts = [lanczos(A, random.standard_normal(n), steps) for _ in range(2)]
        top, bottom = (farthest(starts, end, 1e-6, n) for end in (1, -1))
        assert bottom <= truth[0] + 1e-13
        assert top >= truth[-1] - 1e-13
        assert top >= max(start.values[-1] for start in starts)
        for level in (0.3, top + 1e-6, bottom - 1e-6):
            if nothing_beyond(starts, level, 1, 1e-6, n):
                assert truth[-1] <= level
            if nothing_beyond(starts, level, -1, 1e-6, n):
                assert truth[0] >= level
    # few distinct eigenvalues: the run ends, and the bound is sharp
    assert top - truth[-1] <= 1e-4 * np.abs(values).max() + 1e-300


def test_a_planted_blind_start_misleads(rotated):
    """Without chance there is no bound: a start that is orthogonal to the top eigenvector never sees it."""
    A = rotated([*np.linspace(-1, -0.5, 29), 1.0])
    top = np.linalg.eigh(A)[1][:, -1]
    start = np.random.default_rng(0).standard_normal(30)
    blind = lanczos(A, start - top * (top @ start), 12)
    assert nothing_beyond([blind], 0.0, 1, 1e-6, 30)
    assert not nothing_beyond([blind, lanczos(A, start, 12)], 0.0, 1, 1e-6, 30)
    # what rounding hides is not excluded: an overlap of 1e-13 could be noise
    nearly = lanczos(A, start - top * (top @ start - 1e-14), 12)
    assert not nothing_beyond([nearly], 0.0, 1, 1e-13, 30)


def test_nothing_is_excluded_without_a_start():
    assert not nothing_beyond([], 0.0, 1, 1e-6, 30)
    assert farthest([], -1, 1e-6, 30) == -np.inf


def test_more_steps_sharpen_the_bound(rotated):
    A = rotated(np.linspace(-1, 0, 200))
    start = np.random.default_rng(1).standard_normal(200)
    bounds = [lanczos(A, start, steps).bound(1e-6, 1) for steps in (5, 10, 20, 40, 80)]
    assert (np.diff(bounds) < 0).all()
    assert 0 <= bounds[-1] < 1e-2


@pytest.mark.parametrize("end", [1, -1])
def test_a_nearby_operator_is_bounded_with_its_distance(end):
    values, first, off = np.array([-1.0, 0.2, 1.0]), np.full(3, 3**-0.5), np.array([0.5, 0.5, 1e-9])
    plain, shifted = Start(values, first, off, 1e-12), Start(values, first, off, 1e-12, 0.25)
    assert shifted.blind_to(end * 2.0, end) == plain.blind_to(end * 1.75, end)
    assert shifted.blind_to(end * 1.2, end) == np.inf
    assert abs(shifted.bound(1e-6, end) - plain.bound(1e-6, end) - end * 0.25) <= 1e-9
