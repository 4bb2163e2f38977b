"""Labeled data and images as the inputs of a network."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mcr2_landscape.data import LabeledFeatures, LabeledImages
from mcr2_landscape.mcr2.features import encode_labels
from mcr2_landscape.validation import InputError, check_finite


class Standardized(NamedTuple):
    """`inputs` (samples, features) in float64: the data less `center`, over `spread`; `codes`, class numbers 0 … K−1, and
    `names` of the classes."""

    inputs: np.ndarray
    codes: np.ndarray
    names: list[Any]
    center: np.ndarray
    spread: float


def standardized(data: LabeledFeatures, *, centered: bool = True) -> Standardized:
    """Inputs whose squares are one on average; their mean is subtracted first where `centered`.

    **Raises:** `InputError` for data of a single class, or of samples that are all equal (zero, where not `centered`), NaN, or
    numbers that leave the range of float64.
    """
    what = f"data ({data.source})" if data.source else "data"
    codes, names = encode_labels(data.labels)
    if len(names) < 2:
        raise InputError(f"{what}: found the single class {names[0]!r}; pass at least two classes")
    inputs = np.asarray(data.features, dtype=np.float64)
    check_finite(f"{what}: features", inputs)
    if len(codes) != len(inputs):
        raise InputError(f"{what}: found {len(codes)} labels for {len(inputs)} samples; give one label a sample")
    same = (inputs == inputs[:1]).all() if centered else not inputs.any()
    if same:
        words = "the same" if inputs.any() else "zero"
        raise InputError(f"{what}: all {len(inputs)} samples are {words}; there is nothing to train on")
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):  # looked at below
        center = inputs.mean(axis=0) if centered else np.zeros(inputs.shape[1])
        moved = inputs - center
        # Squares of very large or small numbers would leave the range; powers of two are divided out without rounding.
        exponent = int(np.frexp(np.abs(moved).max())[1])
        spread = float(np.ldexp(np.sqrt(np.mean(np.ldexp(moved, -exponent) ** 2)), exponent))
        found = moved / spread if spread > 0 else moved
    if not (spread > 0 and np.isfinite(spread) and np.isfinite(found).all()):
        raise InputError(f"{what}: found numbers up to {np.abs(inputs).max():.3g}, whose spread is {spread:g}; rescale them")
    return Standardized(found, codes, names, center, spread)


def image_moments(data: LabeledImages) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel, the latter one where a channel never changes.

    **Raises:** `InputError` for images of a single value.
    """
    pixels = data.images.astype(np.float64)
    center, spread = pixels.mean(axis=(0, 2, 3)), pixels.std(axis=(0, 2, 3))
    if not spread.any():
        raise InputError(f"train: all {len(pixels)} images are of one value; there is nothing to train on")
    return center, np.where(spread > 0, spread, 1.0)


def standardized_images(images: np.ndarray, center: np.ndarray, spread: np.ndarray, dtype: Any) -> np.ndarray:
    """Images (n, C, H, W) less the center, over the spread, channel by channel."""
    return ((images - center[:, None, None]) / spread[:, None, None]).astype(dtype)
