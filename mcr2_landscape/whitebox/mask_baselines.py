"""Masks that no network made: what a segmentation has to exceed before it says anything about the network."""

from __future__ import annotations

from typing import Any

import numpy as np

from mcr2_landscape.validation import InputError, float64_matrix, real
from mcr2_landscape.whitebox.cuts import normalized_cut
from mcr2_landscape.whitebox.masks import patch_size


def center_prior(size: tuple[int, int], fraction: float) -> np.ndarray:
    """A disc about the middle that covers `fraction` of the pixels, and those as far from the middle as its last.

    **Arguments:** `size`: height and width. `fraction`: above 0 and at most 1, such as the mean area of the true masks.

    **Returns:** bool, (height, width).

    **Raises:** `InputError` for a fraction out of range.
    """
    if not 0 < real("fraction", fraction) <= 1:
        raise InputError(f"fraction: found {fraction:g}; pass a number above 0 and at most 1")
    rows, columns = (np.arange(count) - (count - 1) / 2 for count in size)
    distance = rows[:, None] ** 2 + columns[None, :] ** 2
    return distance <= np.sort(distance, axis=None)[max(round(fraction * distance.size), 1) - 1]


def color_cut(images: Any, grid: tuple[int, int], *, tau: float = 0.2) -> np.ndarray:
    """The foreground of the normalized cut of patches by their mean colors, less the image's mean color.

    **Arguments:** `images`: (images, channels, height, width), which the grid of patches divides.

    **Returns:** bool, (images, patches).

    **Raises:** `InputError` as `normalized_cut`.
    """
    array = _pixels(images)
    count, channels, height, width = array.shape
    high, wide = patch_size((height, width), grid)
    patches = array.reshape(count, channels, grid[0], high, grid[1], wide).mean(axis=(3, 5))
    return normalized_cut(patches.reshape(count, channels, -1).swapaxes(1, 2), tau=tau, grid=grid, center=True).masks


def color_means(images: Any, *, max_steps: int = 50) -> np.ndarray:
    """The pixels of each image in two clusters of color (2-means); the one with the smaller share of the border is foreground.

    Lloyd's steps start from the halves on either side of the mean color along the colors' principal direction: nothing is
    random. An image of one color is foreground everywhere.

    **Arguments:** `images`: (images, channels, height, width). **Returns:** bool, (images, height, width).
    """
    array = _pixels(images)
    count, channels, height, width = array.shape
    colors = array.reshape(count, channels, -1)
    colors = colors - colors.mean(axis=2, keepdims=True)
    principal = np.linalg.eigh(colors @ colors.swapaxes(1, 2))[1][:, :, -1:]
    largest = np.take_along_axis(principal, np.abs(principal).argmax(axis=1, keepdims=True), axis=1)
    principal = np.where(largest < 0, -principal, principal)  # an eigenvector has no sign of its own
    clusters = np.sum(principal * colors, axis=1) > 0
    for _ in range(max_steps):
        sizes = np.stack([(~clusters).sum(axis=1), clusters.sum(axis=1)])
        high = np.einsum("ncp,np->nc", colors, clusters) / np.maximum(sizes[1], 1)[:, None]
        low = -np.einsum("ncp,np->nc", colors, clusters) / np.maximum(sizes[0], 1)[:, None]  # colors sum to zero
        along = np.einsum("nc,ncp->np", high - low, colors)
        moved = along > np.sum((high - low) * (high + low), axis=1, keepdims=True) / 2
        if np.array_equal(moved, clusters):
            break
        clusters = moved
    masks = clusters.reshape(count, height, width)
    edge = np.ones((height, width), bool)
    edge[1:-1, 1:-1] = False
    shares = masks[:, edge].mean(axis=1)
    masks = np.where((shares > 0.5)[:, None, None], ~masks, masks)
    return np.where(masks.any(axis=(1, 2), keepdims=True) & ~masks.all(axis=(1, 2), keepdims=True), masks, True)


def _pixels(images: Any) -> np.ndarray:
    array = float64_matrix("images", images, refuse_float32=False)
    if array.ndim != 4 or 0 in array.shape:
        raise InputError(f"images: found shape {array.shape}; pass (images, channels, height, width)")
    return array
