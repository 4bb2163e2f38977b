import importlib.resources

import numpy as np
import pytest

from mcr2_landscape import InputError
from mcr2_landscape.data import digits, gaussian_subspaces


def test_the_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    theirs, ours = load_digits(), digits()
    np.testing.assert_array_equal(ours.features, theirs.data)
    np.testing.assert_array_equal(ours.labels, theirs.target)
    assert ours.feature_names == tuple(theirs.feature_names) or len(ours.feature_names) == 64


def test_the_digits_come_with_their_license():
    folder = importlib.resources.files("mcr2_landscape.data")
    assert "Creative Commons Attribution 4.0" in folder.joinpath("NOTICE").read_text()
    assert len(folder.joinpath("digits.npz").read_bytes()) < 100_000
    assert "CC BY 4.0" in digits().source


def test_a_mixture_lies_on_its_subspaces():
    data = gaussian_subspaces(key=1, dim=12, sizes=(30, 20), ranks=(2, 5))
    ranks = [np.linalg.matrix_rank(data.features[data.labels == k]) for k in (0, 1)]
    assert ranks == [2, 5]
    assert data.shape == (50, 12)


def test_a_mixture_has_unit_variance_in_each_part():
    data = gaussian_subspaces(key=2, dim=30, sizes=(4000, 4000), ranks=(3, 3), noise=0.5)
    np.testing.assert_allclose(np.mean(np.sum(data.features**2, axis=1)), 1 + 0.25, rtol=0.05)


def test_a_mixture_is_the_same_for_the_same_key():
    arguments = {"dim": 4, "sizes": (3, 3), "ranks": (1, 2), "noise": 0.1}
    first, again, other = (gaussian_subspaces(key=key, **arguments).features for key in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"ranks": (1,)}, "ranks: found 1 for 2 classes"),
        ({"ranks": (1, 5)}, r"ranks\[1\]: found 5; a subspace of 4"),
        ({"ranks": (1, 0)}, r"ranks\[1\]"),
        ({"noise": -1.0}, "noise"),
        ({"sizes": (3,)}, "sizes"),
        ({"key": None}, "key"),
    ],
)
def test_impossible_mixtures_are_refused(change, says):
    with pytest.raises(InputError, match=says):
        gaussian_subspaces(**{"key": 0, "dim": 4, "sizes": (3, 3), "ranks": (1, 2), **change})
