"""Where the codes of an image lie: stride, padding, and the sizes that belong together."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mcr2_landscape.validation import InputError, positive_integer


class Geometry(NamedTuple):
    """Height and width of kernels, strides and paddings, each a pair."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]

    def code_shape(self, size: tuple[int, int]) -> tuple[int, int]:
        """Height and width of the codes of images of that size, ⌊(H + 2p − k)/s⌋ + 1 of each.

        **Raises:** `InputError` for a kernel that is larger than the padded image.
        """
        for length, k, p in zip(size, self.kernel, self.padding, strict=True):
            if length + 2 * p < k:
                raise InputError(
                    f"images: found {size[0]} × {size[1]} pixels, {size[0] + 2 * self.padding[0]} × "
                    f"{size[1] + 2 * self.padding[1]} with padding, which kernels of {self.kernel[0]} × {self.kernel[1]} do "
                    "not fit into; pass larger images, smaller atoms or more padding"
                )
        h, w = ((n + 2 * p - k) // s + 1 for n, k, s, p in zip(size, self.kernel, self.stride, self.padding, strict=True))
        return h, w

    def smallest_size(self, codes: tuple[int, int]) -> tuple[int, int]:
        """Height and width of the smallest images with codes of that height and width, (h − 1)s + k − 2p of each.

        **Raises:** `InputError` where padding takes all of it, so that no image has such codes.
        """
        H, W = ((n - 1) * s + k - 2 * p for n, k, s, p in zip(codes, self.kernel, self.stride, self.padding, strict=True))
        # with much padding the formula can fall below one pixel, while larger images have the same codes
        found = max(H, 1), max(W, 1)
        if self.code_shape(found) != codes:
            raise InputError(
                f"codes: found {codes[0]} × {codes[1]}, which no image has with kernels {self.kernel}, stride {self.stride} "
                f"and padding {self.padding}; code_shape gives the codes of an image size"
            )
        return found

    def check_size(self, codes: tuple[int, int], size: Any) -> tuple[int, int]:
        """`size`, or the smallest one for `None`, if its codes have that height and width.

        **Raises:** `InputError` otherwise.
        """
        if size is None:
            return self.smallest_size(codes)
        found = pair("size", size, minimum=1)
        if self.code_shape(found) != codes:
            low = self.smallest_size(codes)
            high = tuple((n - 1) * s + k - 2 * p + s - 1 for n, k, s, p in zip(codes, *self, strict=True))
            raise InputError(
                f"size: found {found}, whose codes are {self.code_shape(found)}, for codes of {codes}; with stride "
                f"{self.stride} pass a height from {low[0]} to {high[0]} and a width from {low[1]} to {high[1]}"
            )
        return found


def pair(name: str, value: Any, *, minimum: int) -> tuple[int, int]:
    """An integer twice, or a pair of integers (height, width), each of at least `minimum`.

    **Raises:** `InputError` otherwise.
    """
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        value = (value, value)
    if not isinstance(value, (tuple, list, np.ndarray)) or len(value) != 2:
        raise InputError(f"{name}: found {value!r}; pass an integer, or a pair of them (height, width)")
    first, second = (positive_integer(name, int(v) if isinstance(v, np.integer) else v, minimum=minimum) for v in value)
    return first, second
