"""The survey on spheres: its own small landscape is the library's, and it tells known points apart."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcr2_landscape.mcr2 import ConstrainedMCR2
from mcr2_landscape.study.tasks.ctrl_survey import SmallSpheres, ctrl_survey, draw, eigh, kind_of, search
from mcr2_landscape.validation import InputError

seeds = st.integers(0, 2**32 - 1)


@given(seeds)
def test_it_is_the_librarys_landscape(seed):
    random = np.random.default_rng(seed)
    where = draw(random, 4, 4)
    p = where.parameters
    library = ConstrainedMCR2(p.dim, p.sizes, p.epsilon, "spheres").with_ranks(p.widths)
    A = where.project(random.standard_normal(where.shape))
    value, gradient, scale = library.evaluate(A)
    own, own_scale, _ = where.gradient(A)
    assert abs(where.value(A) - value) <= 1e-12
    np.testing.assert_allclose(own, gradient, atol=1e-13 * scale)
    assert own_scale == scale
    np.testing.assert_allclose(where.hessian(A), library.hessian_matrix(A), atol=1e-12 * where.bound)
    assert where.bound == library.curvature_scale()
    assert sum(p.widths) > p.dim


def frame(angles, sizes, epsilon):
    """Lines in a plane."""
    where = SmallSpheres(2, sizes, (1,) * len(sizes), epsilon)
    return where, np.sqrt(np.array(sizes)) * np.array([np.cos(angles), np.sin(angles)])


@pytest.mark.parametrize(
    ("angles", "sizes", "kind"),
    [
        (np.array([0, np.pi / 3, 2 * np.pi / 3]), (2, 2, 2), "local maximizer"),
        (np.zeros(3), (2, 2, 2), "strict saddle"),
        (np.array([0, np.pi / 2, 0, np.pi / 2]), (2, 2, 2, 2), "flat"),
    ],
)
def test_lines_in_a_plane(angles, sizes, kind):
    where, A = frame(angles, sizes, 0.5)
    assert np.linalg.norm(where.gradient(A)[0]) < 1e-12
    assert kind_of(where, A, np.random.default_rng(0))[0] == kind


def test_the_singular_frame_is_a_limit_of_saddles():
    where = SmallSpheres(4, (20, 20, 2, 2), (2, 2, 1, 1), 0.5)
    A = np.zeros((4, 6))
    A[0, 0], A[2, 1], A[1, 2], A[3, 3], A[0, 4], A[1, 5] = np.sqrt([6.25, 13.75, 6.25, 13.75, 2, 2])
    kind, top = kind_of(where, A, np.random.default_rng(0))
    assert kind == "limit of saddles"
    assert abs(top) < 1e-12


def test_equal_values_at_the_inflection_are_an_exception():
    where = SmallSpheres(3, (4, 12), (2, 1), np.sqrt(0.75))
    A = np.diag(np.sqrt([2.0, 2.0, 12.0]))
    assert kind_of(where, A, np.random.default_rng(0))[0] == "exception"


@given(seeds)
def test_what_a_search_finds_is_critical(seed):
    random = np.random.default_rng(seed)
    where = draw(random, 3, 3)
    for A in search(where, random, 1):
        gradient, scale, _ = where.gradient(A)
        assert np.linalg.norm(gradient) <= 1e-11 * scale
        np.testing.assert_allclose(A, where.project(A), rtol=1e-12)


def test_a_unit_is_the_same_every_time():
    first, again = (ctrl_survey(num_starts=3, max_dim=3, seed=4) for _ in range(2))
    assert first == again
    kinds = (first.local_maximizers, first.strict_saddles, first.flat, first.limits_of_saddles, first.exceptions)
    assert sum(kinds) == first.num_crowded <= first.num_converged <= 3


@pytest.mark.parametrize("wrong", [{"max_dim": 1}, {"max_classes": 1}, {"num_starts": 0}])
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(InputError):
        ctrl_survey(**wrong, seed=0)


def test_a_decomposition_that_gives_up_is_done_otherwise(monkeypatch):
    H = np.diag([3.0, -1.0, 0.0])[[2, 0, 1]][:, [2, 0, 1]]

    def gives_up(*_):
        raise np.linalg.LinAlgError("Eigenvalues did not converge")

    monkeypatch.setattr(np.linalg, "eigh", gives_up)
    values, vectors = eigh(H)
    np.testing.assert_allclose(values, [-1, 0, 3], atol=1e-15)
    np.testing.assert_allclose(H @ vectors, vectors * values, atol=1e-15)
