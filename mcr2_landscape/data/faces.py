"""Faces and backgrounds that come with scikit-image."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from mcr2_landscape.data.labeled import LabeledFeatures
from mcr2_landscape.errors import InputError
from mcr2_landscape.extras import missing_extra

_EACH = 100


def faces() -> LabeledFeatures:
    """100 faces (class 0) and 100 pieces of background (class 1) of 25 × 25 pixels with values 0 to 1.

    They are read from the file that scikit-image installs; nothing is downloaded.

    **Raises:** `InputError` where scikit-image is not installed (extra `data`), or comes without the file.

    Source: `skimage.data.lfw_subset`, of *Labeled Faces in the Wild*, G. Huang, M. Mattar, H. Lee and E. Learned-Miller (2012).
    """
    spec = importlib.util.find_spec("skimage")
    if spec is None or not spec.submodule_search_locations:
        raise missing_extra("the faces", "scikit-image", "data")
    path = Path(spec.submodule_search_locations[0]) / "data" / "lfw_subset.npy"
    try:
        images = np.load(path)
    except FileNotFoundError:
        raise InputError(f"the faces: found no file {path}; install another version of scikit-image") from None
    if images.shape != (2 * _EACH, 25, 25):
        raise InputError(f"the faces: found shape {images.shape} in {path}; install another version of scikit-image")
    names = tuple(f"pixel_{row}_{column}" for row in range(25) for column in range(25))
    source = "faces (100 faces and 100 backgrounds of 25 × 25 pixels; Labeled Faces in the Wild, from scikit-image)"
    features = images.reshape(2 * _EACH, -1).astype(np.float64)
    return LabeledFeatures(features, np.repeat([0, 1], _EACH), names, source, images.dtype.name)
