"""Patches of the pictures that come with scikit-image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcr2_landscape.data.images import LabeledImages, installed_folder
from mcr2_landscape.validation import InputError, positive_integer

#: Photographs that scikit-image installs as files, and where each lies in its folder.
PICTURES = {
    "astronaut": "astronaut.png",
    "brick": "brick.png",
    "camera": "camera.png",
    "chelsea": "chelsea.png",
    "coffee": "coffee.png",
    "coins": "coins.png",
    "grass": "grass.png",
    "gravel": "gravel.png",
    "hubble": "hubble_deep_field.jpg",
    "moon": "moon.png",
    "motorcycle": "motorcycle_left.png",
    "retina": "retina.jpg",
    "rocket": "rocket.jpg",
}


def picture_patches(
    size: int, stride: int | None = None, *, names: Sequence[str] | None = None, channels: int = 3
) -> LabeledImages:
    """Square crops of photographs, row by row of each picture, without labels: images for completion and denoising.

    The pictures are read from the files that scikit-image installs. Those that it would download are not among them.

    **Arguments:** `size`: height and width of a crop. `stride`: pixels from one crop to the next, `size` if left out. `names`:
    some of `PICTURES`; left out, all that the installed version has. `channels`: 3, gray pictures three times the same, or 1,
    colors weighted to luminance (0.299, 0.587, 0.114).

    **Returns:** `LabeledImages` of (crops, channels, size, size).

    **Raises:** `InputError` for an unknown or missing picture, a crop larger than a picture, numbers out of range, and where
    scikit-image is not installed (extra `data`).
    """
    size = positive_integer("size", size)
    stride = size if stride is None else positive_integer("stride", stride)
    if channels not in (1, 3):
        raise InputError(f"channels: found {channels!r}; pass 3 for colors or 1 for gray")
    if names is not None and (isinstance(names, str) or not names):
        raise InputError(f"names: found {names!r}; pass a list of names, such as ['astronaut', 'coffee']")
    unknown = [name for name in names or () if name not in PICTURES]
    if unknown:
        raise InputError(f"names: found {', '.join(map(repr, unknown))}; the pictures are {', '.join(PICTURES)}")
    folder = installed_folder("skimage", "scikit-image", "the pictures") / "data"
    files = {name: folder / PICTURES[name] for name in (PICTURES if names is None else names)}
    missing = [name for name, path in files.items() if not path.is_file()]
    if missing and (names is not None or len(missing) == len(files)):
        raise InputError(f"the pictures: found no {', '.join(missing)} in {folder}; install another version of scikit-image")
    # scikit-image requires Pillow, so the extra that brings the pictures brings their reader.
    from PIL import Image

    crops = []
    for name, path in files.items():
        if name in missing:
            continue
        with Image.open(path) as file:
            pixels = np.asarray(file.convert("RGB" if channels == 3 else "L")).reshape(file.height, file.width, channels)
        if min(file.height, file.width) < size:
            raise InputError(f"size: found {size}; {name} has {file.height} × {file.width} pixels: pass less, or leave it out")
        windows = np.lib.stride_tricks.sliding_window_view(pixels, (size, size), axis=(0, 1))[::stride, ::stride]
        crops.append(windows.reshape(-1, channels, size, size).astype(np.float32) / np.float32(255))
    source = (
        f"pictures ({', '.join(name for name in files if name not in missing)}; crops of {size} × {size}, from scikit-image)"
    )
    return LabeledImages(np.concatenate(crops), source=source)
