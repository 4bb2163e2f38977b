"""The exact point on spheres that is neither a maximum nor a strict saddle, and the arithmetic that decides it."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paper_checks.pai_2022 import cases
from paper_checks.pai_2022.cases import SINGULAR_FRAME
from paper_checks.pai_2022.decoder_checks import _equilibrium
from paper_checks.pai_2022.sphere_checks import ExactSpheres, frame_point
from paper_checks.pai_2022.stability import Linearized, _gradients

tangents = st.fractions(min_value=Fraction(1, 1000), max_value=Fraction(1, 3), max_denominator=1000)


@given(tangents)
def test_the_curve_is_feasible_and_keeps_the_planes_part(tangent):
    frame = SINGULAR_FRAME
    moments = frame.moments(tangent)
    assert [sum(P[i][i] for i in range(4)) for P in moments] == list(frame.setting.sizes)
    whole = [[sum(P[i][j] for P in moments) for j in range(4)] for i in range(4)]
    level = frame.square + frame.small
    assert [row[:2] for row in whole[:2]] == [[level, 0], [0, level]]
    for P, rank in zip(moments, frame.setting.ranks, strict=True):
        assert np.linalg.matrix_rank(np.array(P, dtype=float), tol=1e-9) == rank


def test_the_curve_begins_at_the_point():
    point = np.array(SINGULAR_FRAME.moments(), dtype=float)
    near = np.array(SINGULAR_FRAME.moments(Fraction(1, 10**6)), dtype=float)
    assert np.abs(near - point).max() < 1e-4


@given(st.lists(st.integers(1, 6), min_size=2, max_size=3), st.integers(0, 2**16))
def test_exact_inertia_is_that_of_floating_point(sizes, seed):
    """Orthogonal lines of random squares: critical if each class has one line, or two equal ones."""
    random = np.random.default_rng(seed)
    counts = [int(random.integers(1, 3)) for _ in sizes]
    lines, axis = [], 0
    for size, count in zip(sizes, counts, strict=True):
        lines.append([(axis + number, Fraction(size, count)) for number in range(count)])
        axis += count
    setting = cases.Setting(
        axis,
        tuple(sizes),
        Fraction(int(random.integers(1, 40)), 7),
        tuple(min(c, s) for c, s in zip(counts, sizes, strict=True)),
    )
    if any(count > size for count, size in zip(counts, sizes, strict=True)):
        return
    point = ExactSpheres(setting, lines)
    positive, zero, negative = point.inertia()
    where, A = point.floating()
    values = np.linalg.eigvalsh(where.hessian(A)) / where.bound
    blurred = int(((np.abs(values) > 1e-12) & (np.abs(values) < 1e-8)).sum())
    assert abs(int((values > 1e-10).sum()) - positive) <= blurred
    assert abs(int((values < -1e-10).sum()) - negative) <= blurred
    assert positive + zero + negative == A.size - len(sizes)


def test_a_point_that_is_not_critical_is_refused():
    frame = cases.SingularFrame(20, 2, Fraction(13, 2), Fraction(1, 2))
    assert frame_point(frame).multipliers() is None
    with pytest.raises(ValueError, match="not critical"):
        frame_point(frame).inertia()


def test_the_matched_problem_needs_a_rational_precision():
    with pytest.raises(ValueError, match="irrational"):
        cases.matched(cases.FINE, 1)


def test_the_linearization_is_the_derivative_of_the_gradients():
    random = np.random.default_rng(3)
    game, F = _equilibrium(random, (2, 1), (5, 6))
    G = game.best_response(F).sample(5, scale=0.3)
    at = Linearized.of(game, F, G)
    V, W = (at.basis @ random.standard_normal(at.basis.shape[1])).reshape(F.shape), random.standard_normal(G.shape)
    t = 1e-5
    (up, down), (low, below) = (_gradients(game, F + s * V, G + s * W) for s in (t, -t))
    moved, answered = (up - low) / (2 * t), (down - below) / (2 * t)
    direction = at.basis.T @ V.ravel()
    # along the encoder's own set its multipliers take their share
    C, A = game.spans.joined, game.coefficients(F)
    first, _ = _gradients(game, F, np.linalg.pinv(F))
    shares = [np.sum((F @ own) * (first @ np.linalg.pinv(own).T)) / np.sum((F @ own) ** 2) for own in game.spans.factors]
    held = sum(share * V @ own @ own.T for share, own in zip(shares, game.spans.factors, strict=True))
    expected = at.leader @ direction + at.cross @ W.ravel()
    np.testing.assert_allclose(at.basis.T @ (moved - held).ravel(), expected, atol=1e-6 * np.abs(moved).max())
    np.testing.assert_allclose(
        answered.ravel(), (at.cross.T @ direction) + at.own @ W.ravel(), atol=1e-6 * np.abs(answered).max()
    )
    assert A.shape == (F.shape[0], C.shape[1])
