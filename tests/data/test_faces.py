import importlib.util

import numpy as np
import pytest

from mcr2_landscape import InputError
from mcr2_landscape.data import faces


def test_the_faces_are_those_of_scikit_image():
    skimage = pytest.importorskip("skimage")
    data = faces()
    assert data.shape == (200, 625)
    np.testing.assert_array_equal(data.labels, np.repeat([0, 1], 100))
    np.testing.assert_array_equal(data.features, skimage.data.lfw_subset().reshape(200, 625))
    assert (data.features.min(), data.features.max()) == (0, 1)
    assert "Labeled Faces in the Wild" in data.source
    assert data.feature_names[26] == "pixel_1_1"


def test_faces_have_a_direction_of_their_own():
    """The mean face is not the mean background: rows and classes are not mixed up."""
    pytest.importorskip("skimage")
    data = faces()
    means = [data.features[data.labels == k].mean(axis=0) for k in (0, 1)]
    nearer = [np.linalg.norm(data.features - mean, axis=1) for mean in means]
    assert np.mean((nearer[0] < nearer[1]) == (data.labels == 0)) > 0.75


def test_without_scikit_image_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r'scikit-image, which is not installed; run: pip install "mcr2_landscape\[data\]"'):
        faces()


def test_a_scikit_image_without_them_is_told(monkeypatch, tmp_path):
    class Spec:
        submodule_search_locations = (str(tmp_path),)

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: Spec())
    with pytest.raises(InputError, match=r"the faces: found no file .*lfw_subset.npy; install another version"):
        faces()
    (tmp_path / "data").mkdir()
    np.save(tmp_path / "data" / "lfw_subset.npy", np.zeros((3, 2, 2)))
    with pytest.raises(InputError, match=r"found shape \(3, 2, 2\)"):
        faces()
