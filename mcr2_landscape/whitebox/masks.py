"""Masks over patches: from the class token's attention, to pixels, and compared with the truth."""

from __future__ import annotations

from typing import Any

import numpy as np

from mcr2_landscape.validation import InputError, float64_matrix, positive_integer, real

# Softmax in float32 leaves equal entries equal to about this: entries this close are one tie.
_TIE = 1e-6


def attention_masks(maps: Any, mass: float = 0.6) -> np.ndarray:
    """The patches that hold the class token's attention: the fewest, of the largest entries, that make up `mass` of the whole.

    Entries within one millionth of the smallest that is kept are kept too: the order of a sort decides nothing, and attention
    that prefers no patch (all entries equal, or all zero) keeps all of them.

    **Arguments:** `maps`: (…, patches), zero or more; they need not sum to one (the class token's own entry is left out).
    `mass`: above 0 and at most 1.

    **Returns:** bool of the same shape.

    **Raises:** `InputError` for negative entries, NaN or infinity, or a mass out of range.

    Source: M. Caron et al., *Emerging Properties in Self-Supervised Vision Transformers* (ICCV 2021), whose masks keep 60 %.
    """
    array = float64_matrix("maps", maps, refuse_float32=False)
    if array.ndim < 1 or array.shape[-1] == 0:
        raise InputError(f"maps: found shape {array.shape}; pass (…, patches)")
    if array.size and array.min() < 0:
        raise InputError(f"maps: found the negative entry {array.min():g}; pass attention after its softmax")
    if not 0 < real("mass", mass) <= 1:
        raise InputError(f"mass: found {mass:g}; pass a number above 0 and at most 1, such as 0.6")
    descending = -np.sort(-array, axis=-1)
    before = np.cumsum(descending, axis=-1) - descending
    # An entry is needed while those before it do not make up the mass; the slack is for rounding of the sums.
    needed = before < mass * (1 - 1e-12) * array.sum(axis=-1, keepdims=True)
    smallest = np.take_along_axis(descending, np.maximum(needed.sum(axis=-1, keepdims=True) - 1, 0), axis=-1)
    return (array >= smallest * (1 - _TIE)) & ((array > 0) | (descending[..., :1] == 0))


def upsample(masks: Any, size: tuple[int, int], grid: tuple[int, int] | None = None) -> np.ndarray:
    """Masks (or any values) of patches for each pixel: every pixel takes that of its patch.

    **Arguments:** `masks`: (…, patches), the patches row by row. `size`: height and width in pixels. `grid`: rows and columns
    of patches; left out, as many of both.

    **Returns:** (…, height, width), of the same dtype.

    **Raises:** `InputError` for another number of patches, or a size that the grid does not divide.
    """
    array = np.asarray(masks)
    rows, columns = checked_grid(array.shape[-1] if array.ndim else 0, grid)
    height, width = patch_size(size, (rows, columns))
    array = array.reshape(*array.shape[:-1], rows, columns)
    return np.repeat(np.repeat(array, height, axis=-2), width, axis=-1)


def iou(mask: Any, truth: Any) -> np.ndarray:
    """|mask ∩ truth| / |mask ∪ truth| over the last two axes, and 1 where both are empty.

    **Arguments:** `mask`, `truth`: bool, (…, height, width); the axes before are broadcast.

    **Returns:** (…) float64.

    **Raises:** `InputError` for another dtype, or shapes that do not fit.
    """
    first, second = _masks("mask", mask), _masks("truth", truth)
    if first.shape[-2:] != second.shape[-2:]:
        raise InputError(f"mask: found shape {first.shape}, the truth has {second.shape}; upsample the mask of patches first")
    try:
        np.broadcast_shapes(first.shape, second.shape)
    except ValueError:
        raise InputError(f"mask: found shape {first.shape}, the truth has {second.shape}; pass one mask an image") from None
    union = np.sum(first | second, axis=(-2, -1))
    return np.where(union == 0, 1.0, np.sum(first & second, axis=(-2, -1)) / np.maximum(union, 1))


def mean_iou(mask: Any, truth: Any) -> float:
    """The mean of `iou` over all images."""
    return float(np.mean(iou(mask, truth)))


def patch_iou(masks: np.ndarray, truth: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """`iou(upsample(masks), truth)` from counts: nothing of the size of all masks' pixels is formed.

    **Arguments:** `masks`: bool, (…, images, patches). `truth`: bool, (images, height, width). **Returns:** (…, images).
    """
    counts, pixels = _truth_counts(truth, grid)
    both = np.einsum("...np,np->...n", masks.astype(np.float64), counts)
    union = masks.sum(axis=-1) * pixels + counts.sum(axis=-1) - both
    return np.where(union == 0, 1.0, both / np.maximum(union, 1))


def best_patch_iou(truth: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """The greatest `iou` with the truth of each image that any mask of whole patches has: (images, height, width) to (images,).

    The best mask of k patches has those with the most pixels of the truth, so the best of all is one for each k.
    """
    counts, pixels = _truth_counts(truth, grid)
    both = np.cumsum(-np.sort(-counts, axis=1), axis=1)
    union = pixels * np.arange(1, counts.shape[1] + 1) + counts.sum(axis=1, keepdims=True) - both
    return np.where(counts.any(axis=1), np.max(both / union, axis=1), 1.0)


def _truth_counts(truth: np.ndarray, grid: tuple[int, int]) -> tuple[np.ndarray, int]:
    """(images, patches): how many pixels of each patch are true; and how many pixels a patch has."""
    images, height, width = truth.shape
    high, wide = patch_size((height, width), grid)
    counts = truth.reshape(images, grid[0], high, grid[1], wide).sum(axis=(2, 4)).reshape(images, -1)
    return counts.astype(np.float64), high * wide


def checked_grid(patches: int, grid: Any) -> tuple[int, int]:
    """Rows and columns of so many patches: as given, if they fit, or as many of both.

    **Raises:** `InputError`.
    """
    if grid is None:
        side = round(patches**0.5)
        if side == 0 or side * side != patches:
            raise InputError(f"grid: found {patches} patches, which are no square; pass grid=(rows, columns)")
        return side, side
    rows, columns = (positive_integer(f"grid[{k}]", count) for k, count in enumerate(grid))
    if rows * columns != patches:
        raise InputError(f"grid: found {rows} × {columns} for {patches} patches; leave the class token out, or change the grid")
    return rows, columns


def patch_size(size: tuple[int, int], grid: tuple[int, int]) -> tuple[int, int]:
    """Height and width of a patch.

    **Raises:** `InputError` where the grid does not divide the size.
    """
    height, width = (positive_integer(f"size[{k}]", count) for k, count in enumerate(size))
    if height % grid[0] or width % grid[1]:
        raise InputError(f"size: found {height} × {width} pixels, which {grid[0]} × {grid[1]} patches do not divide")
    return height // grid[0], width // grid[1]


def _masks(name: str, value: Any) -> np.ndarray:
    array = np.asarray(value)
    if array.dtype != bool or array.ndim < 2:
        raise InputError(f"{name}: found shape {array.shape} and dtype {array.dtype}; pass bool, (…, height, width)")
    return array
