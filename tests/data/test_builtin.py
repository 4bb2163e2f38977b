import importlib.resources

import numpy as np
import pytest

from mcr2_landscape import InputError
from mcr2_landscape.data import digits, gaussian_subspaces, subspace_mixture


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


class TestSubspaceMixture:
    def test_it_lies_on_subspaces_that_lean_on_each_other_as_much_as_asked(self):
        cosines = []
        for correlation in (0.0, 0.05, 0.3, 1.0):
            data = subspace_mixture(key=1, sizes=(30, 40), ambient_dim=60, ranks=(4, 4), correlation=correlation)
            bases = [np.linalg.svd(data.features[data.labels == k].T, full_matrices=False) for k in (0, 1)]
            assert [int((s > 1e-9 * s[0]).sum()) for _, s, _ in bases] == [4, 4]
            cosines.append(np.linalg.svd(bases[0][0][:, :4].T @ bases[1][0][:, :4], compute_uv=False).mean())
        assert cosines[0] == pytest.approx(1)  # all choose from the same four directions
        assert np.all(np.diff(cosines) < 0)

    def test_the_defaults_are_those_of_the_paper(self):
        data = subspace_mixture(key=0)
        assert data.shape == (1500, 50)
        assert [np.linalg.matrix_rank(data.features[data.labels == k]) for k in range(3)] == [3, 4, 5]
        assert np.linalg.matrix_rank(data.features) == 12

    def test_samples_and_noise_have_the_variance_asked_for(self):
        quiet, loud = (subspace_mixture(key=2, sizes=(4000, 4000), ranks=(3, 5), noise=noise) for noise in (0.0, 0.7))
        for number, rank in enumerate((3, 5)):
            lengths = [np.mean(np.sum(data.features[data.labels == number] ** 2, axis=1)) for data in (quiet, loud)]
            np.testing.assert_allclose(lengths, [rank, rank + 0.7], rtol=0.05)

    def test_it_is_the_same_for_the_same_key(self):
        first, again, other = (subspace_mixture(key=key, noise=0.1).features for key in (5, 5, 6))
        np.testing.assert_array_equal(first, again)
        assert np.abs(first - other).max() > 0.1

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"ranks": (1,)}, "ranks: found 1 for 3 classes"),
            ({"ambient_dim": 4}, r"ranks\[2\]: found 5; a subspace of 4"),
            ({"ambient_dim": 0}, "ambient_dim"),
            ({"correlation": 1.5}, "correlation: found 1.5"),
            ({"correlation": -0.1}, "correlation"),
            ({"noise": -1.0}, "noise"),
            ({"sizes": (3,), "ranks": (1,)}, "sizes"),
            ({"key": None}, "key"),
        ],
    )
    def test_impossible_ones_are_refused(self, change, says):
        with pytest.raises(InputError, match=says):
            subspace_mixture(**{"key": 0, **change})
