"""The images that a command line names for sparse coding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcr2_landscape.cli.image_files import Channels
from mcr2_landscape.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from mcr2_landscape.data import LabeledImages

_LEARNED, _SOLVED = 250, 50  # images by default


@dataclass(frozen=True)
class Wanted:
    """What the options ask for: the images, the dictionary, and the program."""

    images: int | None
    channels: Channels | None
    size: int
    test_fraction: float
    center: bool
    atoms: int
    kernel: int
    stride: int
    padding: int
    sparsity: float | None
    relative_sparsity: float | None
    ridge: float | None
    nonnegative: bool | None
    gap: float
    steps: int
    seed: int


@dataclass(frozen=True)
class Images:
    """Pixels to learn from and to solve for, float64, and what was done to them; `rows`: indices of the latter in the data."""

    train: np.ndarray
    test: np.ndarray
    labels: np.ndarray | None
    rows: np.ndarray
    source: str
    notes: tuple[str, ...]


def read_images(data: str, wanted: Wanted, *, learned: bool) -> Images:
    """Images by a word or from a file; where atoms are learned, some of them for that.

    **Raises:** `InputError` for a file that cannot be read or holds something else, a word that is none, and too few images.
    """
    import numpy as np

    from mcr2_landscape.randomness import generator

    found, rows, notes = _drawn(data, wanted, _LEARNED if learned else _SOLVED)
    count = len(found.images)
    order, out = np.arange(count), count
    if learned:
        if count < 2:
            raise InputError(f"{data}: found a single image; give at least two, one to learn from and one to solve for")
        order, out = generator(wanted.seed).permutation(count), min(max(round(wanted.test_fraction * count), 1), count - 1)
    train, test = np.sort(order[out:]), np.sort(order[:out])
    pixels = found.images.astype(np.float64)
    tested, learned_from = _same(pixels, test, train)
    copies = int(np.isin(tested, learned_from).sum())
    if copies:
        notes += (f"copies of {copies} of the {len(test)} test images took part in the learning",)
    if wanted.center:
        pixels = pixels - pixels.mean(axis=(2, 3), keepdims=True)
        notes += ("from each image the mean of its pixels was subtracted",)
    labels = None if found.labels is None else found.labels[test]
    return Images(pixels[train], pixels[test], labels, rows[test], found.source, notes)


def _same(pixels: np.ndarray, *parts: np.ndarray) -> list[np.ndarray]:
    """Numbers that images share where they are equal, for each part."""
    import numpy as np

    same = np.unique(pixels.reshape(len(pixels), -1), axis=0, return_inverse=True)[1].reshape(-1)
    return [same[part] for part in parts]


def _drawn(data: str, wanted: Wanted, default: int) -> tuple[LabeledImages, np.ndarray, tuple[str, ...]]:
    """So many images as are asked for, or as there are by default, drawn by the seed, and their numbers in the data."""
    import numpy as np

    from mcr2_landscape.cli.imaging import DATA
    from mcr2_landscape.cli.imaging import read_images as read_named
    from mcr2_landscape.data import picture_patches
    from mcr2_landscape.randomness import generator

    notes: tuple[str, ...] = ()
    if data == "pictures":
        if wanted.channels is not None:
            raise InputError("--channels: is of images in a file, and pictures has none; leave it out")
        found = picture_patches(wanted.size, channels=1)
    elif data == "shapes":  # made as they are asked for
        found, notes = read_named(data, wanted.images or default, wanted.seed, None, wanted.channels)
    else:
        try:
            found, notes = read_named(data, None, wanted.seed, None, wanted.channels)
        except InputError as error:
            raise InputError(str(error).replace(", ".join(DATA), ", ".join((*DATA, "pictures")))) from None
    notes = tuple(note.rstrip(".") for note in notes)
    total = len(found.images)
    if wanted.images is not None and wanted.images > total:
        raise InputError(f"--images: found {wanted.images}; {data} has {total}: give at most as many")
    count = min(total, wanted.images or default)
    rows = np.arange(total)
    if count < total:
        rows = np.sort(generator(wanted.seed).permutation(total)[:count])
        found = found.subset(rows)
        notes += (f"{count} of the {total} images were drawn",)
    return found, rows, notes
