"""The handwritten digits that come with the package."""

from __future__ import annotations

import importlib.resources

import numpy as np

from mcr2_landscape.data.labeled import LabeledFeatures


def digits() -> LabeledFeatures:
    """1,797 handwritten digits of 8 × 8 pixels with values 0 to 16, and the labels 0 to 9.

    Source: the test set of *Optical Recognition of Handwritten Digits*, E. Alpaydin and C. Kaynak (1998), UCI Machine Learning
    Repository, doi:10.24432/C50P49, license CC BY 4.0; in the form in which scikit-learn distributes it. Pixels are stored here
    as unsigned bytes and are otherwise unchanged (see the file NOTICE beside the data).

    >>> digits().shape
    (1797, 64)
    """
    with importlib.resources.files("mcr2_landscape.data").joinpath("digits.npz").open("rb") as file, np.load(file) as stored:
        features, labels = stored["features"], stored["labels"]
    names = tuple(f"pixel_{row}_{column}" for row in range(8) for column in range(8))
    source = "digits (1,797 handwritten digits of 8 × 8 pixels; Alpaydin and Kaynak 1998, CC BY 4.0)"
    return LabeledFeatures(features.astype(np.float64), labels.astype(np.int64), names, source, "uint8")
