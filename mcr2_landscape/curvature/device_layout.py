"""Which columns of Z lie on which device, and what a product then computes, moves and keeps there.

The columns, sorted by class, are cut into one contiguous range a device. A device then touches few classes (its *slots*),
about K/P + 1 of them, and only the classes that a cut divides (at most P − 1) are *shared*: their d × d matrices have to be
summed over devices one by one, all others only in total. With every class spread over every device it would be K matrices
that are summed, and K inverses and products A_k T A_k on every device; `mcr2_landscape.curvature.scaling` compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

# Columns that one step of a device's loop takes at most: matrix products are at their best well below, and what a step needs
# beside the arrays grows with it.
_WIDEST = 4096
# What a step costs beyond its columns, in columns: its d × d matrices are read and written once more (27 columns' worth on one
# core, about 100 on a GPU).
_STEP_COST = 64


class Part(NamedTuple):
    """Columns `start` … `stop` − 1 of Z, all of one class, on one device."""

    label: int
    start: int
    stop: int


@dataclass(frozen=True)
class DeviceLayout:
    """Columns of classes of the given `sizes` on `devices` devices, for points of `dim` rows. Static: part of the shape of a
    compiled program.

    A device holds `blocks` blocks of `width` columns, each of one class, filled from the left; what is left of a block is
    zero. The cuts make the largest of the devices' work as small as it can be, where a class costs 4 d³ wherever any of its
    columns are and a column 6 d², the terms of a Hessian product.
    """

    dim: int
    sizes: tuple[int, ...]
    devices: int

    @cached_property
    def parts(self) -> tuple[tuple[Part, ...], ...]:
        """The parts of each device, in the order of the columns. A device may have none."""
        price = 2 * self.dim // 3  # of a class, in columns
        low, high = 0, sum(self.sizes) + price * len(self.sizes)  # not enough for all columns; enough
        while high - low > 1:
            middle = (low + high) // 2
            if _filled(self.sizes, price, middle, self.devices) is None:
                low = middle
            else:
                high = middle
        found = _filled(self.sizes, price, high, self.devices)
        assert found is not None
        return found

    @cached_property
    def slots(self) -> int:
        """The largest number of classes on one device."""
        return max(1, *(len(parts) for parts in self.parts))

    @cached_property
    def shared(self) -> tuple[int, ...]:
        """The classes that lie on several devices."""
        counts = np.bincount([part.label for parts in self.parts for part in parts], minlength=len(self.sizes))
        return tuple(np.flatnonzero(counts > 1).tolist())

    @cached_property
    def width(self) -> int:
        """Columns of a block: the number that costs the busiest device least, padding and steps together."""
        lengths = [np.array([part.stop - part.start for part in parts]) for parts in self.parts if parts]
        distinct = np.unique(np.concatenate(lengths))
        if distinct.size > 64:
            distinct = np.unique(np.quantile(distinct, np.linspace(0, 1, 64), method="nearest"))
        fewest = -(-distinct // _WIDEST)  # steps that a part takes at least
        divided = -(-distinct[:, None] // (fewest[:, None] + np.arange(8)))
        candidates = np.unique(np.concatenate([divided.ravel(), 2 ** np.arange(13)]))
        candidates = candidates[candidates <= _WIDEST]
        costs = [max(int((-(-n // width)).sum()) for n in lengths) * (int(width) + _STEP_COST) for width in candidates]
        return int(candidates[int(np.argmin(costs))])

    @cached_property
    def blocks(self) -> int:
        """Blocks of a device."""
        return max(len(row) for row in self._device_blocks)

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of a point on all devices: (devices · blocks, d, width)."""
        return self.devices * self.blocks, self.dim, self.width

    @cached_property
    def padded(self) -> bool:
        """Whether any block has columns that stand for no sample."""
        return self.devices * self.blocks * self.width != sum(self.sizes)

    @cached_property
    def _device_blocks(self) -> list[list[tuple[int, int, int]]]:
        """For each device (slot, first column, number of columns) of each block."""
        return [
            [
                (slot, start, min(self.width, part.stop - start))
                for slot, part in enumerate(parts)
                for start in range(part.start, part.stop, self.width)
            ]
            for parts in self.parts
        ]

    # -- tables, one row a device ---------------------------------------------------------------------------------------------

    @cached_property
    def table(self) -> np.ndarray:
        """(devices, blocks, 3), int64: slot, first column and number of columns of each block; empty blocks are zero."""
        table = np.zeros((self.devices, self.blocks, 3), dtype=np.int64)
        for row, found in zip(table, self._device_blocks, strict=True):
            row[: len(found)] = np.array(found, dtype=np.int64).reshape(-1, 3)
        return table

    @cached_property
    def labels(self) -> np.ndarray:
        """(devices, slots), int64: the class in each slot, −1 in an unused one."""
        labels = np.full((self.devices, self.slots), -1, dtype=np.int64)
        for row, parts in zip(labels, self.parts, strict=True):
            row[: len(parts)] = [part.label for part in parts]
        return labels

    @cached_property
    def places(self) -> np.ndarray:
        """(devices, slots), int64: where in the sum over devices a slot's matrix goes: shared classes have one place each, in
        order, all others together the last."""
        place = np.full(len(self.sizes) + 1, len(self.shared))  # the last entry stands for unused slots, which add zero
        place[list(self.shared)] = np.arange(len(self.shared))
        return np.minimum(place, self.num_places - 1)[self.labels]

    @cached_property
    def is_shared(self) -> np.ndarray:
        """(devices, slots), bool: whether a slot's class lies on other devices too."""
        return np.isin(self.labels, self.shared)

    @cached_property
    def is_first(self) -> np.ndarray:
        """(devices, slots), bool: whether a slot is the first of its class, which counts where each class counts once."""
        flat = self.labels.ravel()
        first = np.zeros(flat.size, dtype=bool)
        first[np.unique(flat, return_index=True)[1]] = True
        return (first & (flat >= 0)).reshape(self.labels.shape)

    # -- what a product takes -------------------------------------------------------------------------------------------------

    @property
    def num_places(self) -> int:
        """Matrices in a sum over devices: the shared classes' and, unless every class is shared, one for all others."""
        return len(self.shared) + (len(self.shared) < len(self.sizes))

    @property
    def packed(self) -> tuple[int, int]:
        """The shape of a packed symmetric d × d matrix, d (d + 1)/2 numbers (for an odd d, of the next even one)."""
        half = -(-self.dim // 2)
        return half, 2 * half + 1

    @property
    def product_flops(self) -> int:
        """Multiplications and additions in the matrix products of one Hessian product, on each device."""
        return 6 * self.dim**2 * self.blocks * self.width + 4 * self.dim**3 * (self.slots + 1)

    @property
    def factor_flops(self) -> int:
        """Those of the Gram matrices (the first term), and about those of the Cholesky inverses of a point."""
        return 2 * self.dim**2 * self.blocks * self.width + 7 * self.dim**3 * (self.slots + 1) // 3

    @property
    def numbers(self) -> int:
        """Numbers in one device's part of an array of the point's shape."""
        return self.blocks * self.width * self.dim

    @property
    def factor_numbers(self) -> int:
        """Numbers in one device's part of what the Hessian keeps beside Z: A, and A_k and B_k for every slot."""
        return (2 * self.slots + 1) * self.dim**2

    @property
    def work_numbers(self) -> int:
        """Numbers that a device needs for a while in a product, at most: two d × d matrices for every slot (S_k, which C_k
        replaces), the packed sum and its result, four d × d matrices, and a step's columns of three arrays."""
        steps = 3 * self.dim * self.width
        return (2 * self.slots + 4) * self.dim**2 + 2 * self.num_places * self.packed[0] * self.packed[1] + steps


def _filled(sizes: tuple[int, ...], price: int, capacity: int, devices: int) -> tuple[tuple[Part, ...], ...] | None:
    """Devices filled one after the other up to `capacity`, a class costing `price` on each; `None` if they are too few."""
    filled: list[list[Part]] = [[]]
    room = capacity
    stop = 0
    for label, size in enumerate(sizes):
        start, stop = stop, stop + size
        while start < stop:
            taken = min(stop - start, room - price)
            if taken < 1:
                if not filled[-1] or len(filled) == devices:
                    return None
                filled.append([])
                room = capacity
                continue
            filled[-1].append(Part(label, start, start + taken))
            start += taken
            room -= price + taken
    filled += [[] for _ in range(devices - len(filled))]
    return tuple(tuple(parts) for parts in filled)
