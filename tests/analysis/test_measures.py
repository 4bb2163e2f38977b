import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcr2_landscape.analysis import measures

positive = st.floats(1e-6, 1e6)


@given(st.integers(1, 20), positive)
def test_equal_singular_values_count_as_many(count, size):
    values = np.full(count, size)
    assert measures.effective_rank(values) == pytest.approx(count)
    assert measures.participation(values) == pytest.approx(count)


@given(st.lists(st.floats(0, 1e3), min_size=1, max_size=12), st.floats(1e-3, 1e3))
def test_ranks_lie_between_one_and_their_number_whatever_the_scale(values, factor):
    s = np.array(values)
    if s.max() < 1e-3:
        return
    rank, share = measures.effective_rank(s), measures.participation(s)
    assert 1 - 1e-9 <= share <= rank + 1e-9 <= s.size + 1e-6
    assert measures.effective_rank(factor * s) == pytest.approx(rank)
    assert measures.participation(factor * s) == pytest.approx(share)


def test_ranks_weigh_squared_singular_values():
    """Shares 4/5 and 1/5."""
    assert measures.effective_rank(np.array([2.0, 1.0])) == pytest.approx((5 / 4) ** 0.8 * 5**0.2)
    assert measures.participation(np.array([2.0, 1.0])) == pytest.approx(25 / 17)


def test_nothing_has_rank_zero():
    assert measures.effective_rank(np.zeros(3)) == 0
    assert measures.participation(np.zeros(3)) == 0


def test_coherence_of_known_subspaces():
    e = np.eye(4)
    tilted = np.stack([np.cos(0.3) * e[0] + np.sin(0.3) * e[2], e[3]], axis=1)
    largest, mean = measures.coherences([e[:, :2], tilted, np.zeros((4, 0))])
    assert largest[0, 1] == pytest.approx(np.cos(0.3))
    assert mean[0, 1] == pytest.approx(np.sqrt(np.cos(0.3) ** 2 / 2))
    np.testing.assert_array_equal(largest, largest.T)
    np.testing.assert_array_equal(largest[2], 0)


def test_the_picture_of_many_samples_keeps_every_class():
    sizes = (1000, 3, 1)
    Z = np.random.default_rng(0).standard_normal((5, sum(sizes)))
    picture, owners = measures.similarity(Z, sizes)
    assert picture.shape[0] == owners.size < 260
    assert set(owners.tolist()) == {0, 1, 2}
    np.testing.assert_allclose(np.diag(picture), 1)
    assert picture.min() >= 0


def test_the_common_mean_is_a_share():
    Z = np.ones((3, 8)) + 0.01 * np.random.default_rng(0).standard_normal((3, 8))
    assert measures.common_mean(Z, (4, 4)) == pytest.approx(1, abs=1e-3)
    assert measures.common_mean(np.repeat(np.eye(2), 4, axis=1), (4, 4)) == 0
