"""The exact point on spheres that is neither a maximum nor a strict saddle, and the arithmetic that decides it."""

from fractions import Fraction
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcr2_landscape import closed_form
from mcr2_landscape.certify import CertificateError
from mcr2_landscape.certify.quantities import _rank, parse_quantity
from mcr2_landscape.ctrl.optimum import upper_bound
from paper_checks.pai_2022 import cases
from paper_checks.pai_2022.cases import SINGULAR_FRAME
from paper_checks.pai_2022.encoder_checks import _in_balls, _random_problem
from paper_checks.pai_2022.joint_checks import equilibrium
from paper_checks.pai_2022.sphere_checks import ExactSpheres, branch_slope, frame_point, turned_saddle
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
    assert point.orbit_dimension() == where.orbit_dimension(A)
    np.testing.assert_allclose(np.array(point.moments(), dtype=float)[0], A[:, : counts[0]] @ A[:, : counts[0]].T, atol=1e-12)


@pytest.mark.parametrize(
    "lines",
    [
        [[(0, Fraction(2)), (1, Fraction(1))], [(2, Fraction(2))]],  # off the sphere
        [[(0, Fraction(4))], [(2, Fraction(2))]],  # a column of zeros
        [[(0, Fraction(2)), (0, Fraction(2))], [(2, Fraction(2))]],
    ],
)
def test_lines_that_are_no_point_of_the_spheres_are_refused(lines):
    with pytest.raises(ValueError, match="lines"):
        ExactSpheres(cases.Setting(3, (4, 2), Fraction(1), (2, 1)), lines)


@given(st.fractions(min_value=Fraction(1, 20), max_value=Fraction(9, 10), max_denominator=100))
def test_frames_beside_the_singular_one_are_strict_saddles(tangent):
    """Exactly and in floating point, closing in on the point's value and place."""
    frame, double = SINGULAR_FRAME, cases.circle(tangent)
    assert turned_saddle(frame, double)
    where, A = frame_point(frame).floating()
    angle = float(np.arctan(float(tangent)))
    turned = A.copy()
    turned[:2, 0], turned[:2, 2] = (
        2.5 * np.array([np.cos(angle), np.sin(angle)]),
        2.5 * np.array([-np.sin(angle), np.cos(angle)]),
    )
    gradient, scale, _ = where.gradient(turned)
    assert np.linalg.norm(gradient) <= 1e-13 * scale
    assert abs(where.value(turned) - where.value(A)) <= 1e-14
    top = np.linalg.eigvalsh(where.hessian(turned))[-1] / where.bound
    assert 1e-3 * angle**2 < top < angle**2


@pytest.mark.parametrize("double", [(Fraction(1), Fraction(0)), (Fraction(-1), Fraction(0)), (Fraction(1), Fraction(1))])
def test_the_singular_frame_itself_is_no_strict_saddle(double):
    assert not turned_saddle(SINGULAR_FRAME, double)


def test_the_multipliers_part_at_first_order():
    frame, t = SINGULAR_FRAME, 1e-5

    def difference(s):
        a = float(frame.setting.a)
        b, own, far = a / 44, a / 20, 20 - s
        return 1 / (1 + b * (s + 2)) - 1 / (1 + own * s) - 1 / (1 + b * far) + 1 / (1 + own * far)

    slope = (difference(6.25 + t) - difference(6.25 - t)) / (2 * t)
    assert abs(slope - float(branch_slope(frame))) < 1e-8
    assert branch_slope(frame) != 0


def shared_bound(p, shares):
    """Twice the bound on Q at ‖A_j‖² = t_jn_j of the proof in docs/ctrl.md, fewer dimensions."""
    gammas = np.array(p.sizes) / sum(p.sizes)
    a = p.dim / p.epsilon**2
    w, ranks = a * gammas * shares, np.array(p.widths)
    room, rest, total = p.dim, float(w.sum()), 0.0
    for j in np.argsort(-w / ranks):
        if ranks[j] >= room or w[j] / ranks[j] <= rest / room:
            break
        total += ranks[j] * np.log1p(w[j] / ranks[j])
        room, rest = room - ranks[j], rest - w[j]
    return total + room * np.log1p(max(rest, 0.0) / room) - gammas @ np.log1p(a * shares)


@given(st.integers(0, 2**32 - 1))
def test_the_proof_of_the_bound_over_sets_of_classes(seed):
    """It bounds Q at the same norms; in each norm it falls, then rises; and at zeros and ones it is within the bound."""
    random = np.random.default_rng(seed)
    p = _random_problem(random)
    A = _in_balls(p, 10 ** random.uniform(-1, 1, size=sum(p.widths)) * random.standard_normal((p.dim, sum(p.widths))))
    shares = np.array([np.sum(own**2) / size for own, size in zip(p.blocks(A), p.sizes, strict=True)])
    assert 2 * closed_form.value(p, A, regularized=False) <= shared_bound(p, shares) + 1e-12
    for j in range(len(p.sizes)):
        line = np.tile(shares, (60, 1))
        line[:, j] = np.linspace(0, 1, 60)
        steps = np.diff([shared_bound(p, own) for own in line])
        assert not any(low > 1e-11 and high < -1e-11 for low, high in pairwise(steps))
    gammas, ranks, a, corners = np.array(p.sizes) / sum(p.sizes), np.array(p.widths), p.dim / p.epsilon**2, []
    for corner in product((0.0, 1.0), repeat=len(p.sizes)):
        chosen = np.array(corner)
        share, room = gammas @ chosen, max(1, min(p.dim, int(ranks @ chosen)))
        corners.append(room * np.log1p(a * share / room) - share * np.log1p(a))
        assert shared_bound(p, chosen) <= corners[-1] + 1e-12
    assert shared_bound(p, shares) <= max(corners) + 1e-12
    assert upper_bound(p.sizes, p.widths, p.dim, p.epsilon) <= max(corners) / 2 + 1e-12


@given(st.integers(0, 2**32 - 1))
def test_the_rank_of_rational_moments_is_that_of_floating_point(seed):
    random = np.random.default_rng(seed)
    size, count = int(random.integers(1, 6)), int(random.integers(0, 4))
    B = [[Fraction(int(random.integers(-4, 5)), int(random.integers(1, 5))) for _ in range(count)] for _ in range(size)]
    signs = random.choice([1, 1, 1, -1], size=count)
    P = [[sum((int(s) * x * y for s, x, y in zip(signs, u, v, strict=True)), Fraction(0)) for u in B] for v in B]
    values = np.linalg.eigvalsh(np.array(P, dtype=float))
    if values[0] < -1e-9:
        with pytest.raises(CertificateError, match="semidefinite"):
            _rank(P)
    else:
        assert _rank(P) == int((values > 1e-9).sum())


def test_moments_that_would_take_long_are_refused():
    def quantity(matrix):
        other = [["1" if i == j else "0" for j in range(len(matrix))] for i in range(len(matrix))]
        entry = {"dim": len(matrix), "sizes": [100, 100], "epsilon_squared": "1", "moments": [matrix, other]}
        return {"rate_reduction": entry}

    primes = [10**150 + k for k in range(1, 40)]
    entries = [["0"] * 6 for _ in range(6)]
    for i in range(6):
        entries[i][i] = f"1/{primes[i]}"
    with pytest.raises(CertificateError, match="common denominator"):
        parse_quantity(None, quantity(entries))
    with pytest.raises(CertificateError, match="entry above"):
        parse_quantity(None, quantity([["1", "101"], ["101", "1"]]))
    with pytest.raises(CertificateError, match="dim"):
        parse_quantity(None, quantity([["0"] * 21 for _ in range(21)]))


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
    game, F = equilibrium(random, (2, 1), (5, 6))
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
