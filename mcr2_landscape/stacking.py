"""Work on class blocks that is never unrolled into a compiled program.

Classes of similar width make a bucket: one program runs for each bucket, over its classes. On small arrays it runs on all of
them at once, stacked; on large ones in a loop over slices of the flat array, which needs no copy and keeps a matrix product at
the speed of the device.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

_INDEX = np.int32  # what JAX takes in 64-bit mode and without, under strict promotion too
_MAX_BUCKETS = 6
_PADDING = 1.1  # padded columns over columns that is worth no further bucket
_FEW = 3  # distinct widths up to which each has a bucket: a window that its block fills needs no mask
_STACKED = 2**14  # numbers in an array up to which its blocks are stacked; a loop costs microseconds a class there
_UNROLLED = 16  # classes up to which an accelerator's loop is unrolled: it would otherwise wait for the host at every turn


@dataclass(frozen=True)
class Bucket:
    """Classes whose blocks are treated as `width` columns wide. The block of class number i here starts at column `starts[i]`
    of the flat array and is `widths[i]` wide; the window of `width` columns in which it is read starts at `windows[i]`."""

    classes: tuple[int, ...]
    starts: tuple[int, ...]
    widths: tuple[int, ...]
    width: int
    num_columns: int

    @functools.cached_property
    def windows(self) -> np.ndarray:
        """The first column of each window: the block's, or less at the right edge of the array."""
        return np.minimum(np.array(self.starts), self.num_columns - self.width)

    @functools.cached_property
    def offsets(self) -> np.ndarray:
        """Where the block starts within its window."""
        return np.array(self.starts) - self.windows

    @property
    def even(self) -> bool:
        """Whether all blocks fill their windows."""
        return all(width == self.width for width in self.widths)

    @functools.cached_property
    def mask(self) -> np.ndarray:
        """(classes, width): which columns of the window belong to the block."""
        columns = np.arange(self.width)
        first = self.offsets[:, None]
        return (columns >= first) & (columns < first + np.array(self.widths)[:, None])

    @functools.cached_property
    def columns(self) -> np.ndarray:
        """(classes, width): the columns of the flat array in each window."""
        return (self.windows[:, None] + np.arange(self.width)).astype(_INDEX)


@dataclass(frozen=True)
class ClassLayout:
    """Where the columns of each class lie, K consecutive blocks. Static: part of the shape of a compiled program.

    What belongs to the classes (a number, a matrix each) is a tuple over buckets of arrays stacked over the bucket's classes:
    `split` makes it, `join` undoes it.
    """

    widths: tuple[int, ...]

    @property
    def num_columns(self) -> int:
        """The number of columns of the flat array."""
        return sum(self.widths)

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.widths)

    @functools.cached_property
    def starts(self) -> tuple[int, ...]:
        """The first column of each class."""
        return (0, *np.cumsum(self.widths).tolist()[:-1])

    @functools.cached_property
    def buckets(self) -> tuple[Bucket, ...]:
        """The classes in at most six groups of similar width, with little padding."""
        found = []
        for largest, members in _groups(self.widths):
            starts = tuple(self.starts[k] for k in members)
            widths = tuple(self.widths[k] for k in members)
            found.append(Bucket(members, starts, widths, largest, self.num_columns))
        return tuple(found)

    def split(self, values: jax.Array) -> tuple[jax.Array, ...]:
        """Values (K, …) by buckets."""
        if len(self.buckets) == 1:
            return (values,)
        return tuple(values[np.array(bucket.classes, dtype=_INDEX)] for bucket in self.buckets)

    def join(self, parts: Sequence[jax.Array]) -> jax.Array:
        """The inverse of `split`, for parts of one shape."""
        if len(parts) == 1:
            return parts[0]
        order = np.argsort(np.concatenate([bucket.classes for bucket in self.buckets]))
        return jnp.concatenate(parts)[order.astype(_INDEX)]

    def map(
        self, function: Callable[..., Any], arrays: Sequence[jax.Array], *data: Sequence[Any], stacked: bool | None = None
    ) -> tuple[Any, ...]:
        """function(block of each array …, item of each data …) for every class: a tuple over buckets of its results, stacked.

        Columns of a window that belong to other classes are zero. `stacked` says whether to run on a stacked copy at once,
        which reverse differentiation goes through faster than through a loop; by default small arrays do.
        """
        stacked = self._small(arrays) if stacked is None else stacked
        results = []
        for number, bucket in enumerate(self.buckets):
            items = tuple(part[number] for part in data)
            if stacked:
                results.append(jax.vmap(function)(*(_stack(array, bucket) for array in arrays), *items))
            else:
                results.append(_loop(function, arrays, bucket, items))
        return tuple(results)

    def map_and_sum(self, function: Callable[..., Any], arrays: Sequence[jax.Array], *data: Sequence[Any]) -> tuple[Any, Any]:
        """`map` of a function that returns (summand, result): the sum of the first over all classes, the second as by `map`."""
        total, results = jnp.zeros(()), []
        stacked = self._small(arrays)
        for number, bucket in enumerate(self.buckets):
            items = tuple(part[number] for part in data)
            if stacked:
                summands, own = jax.vmap(function)(*(_stack(array, bucket) for array in arrays), *items)
                part = jnp.sum(summands, axis=0)
            else:
                part, own = _loop_and_sum(function, arrays, bucket, items)
            total = part if number == 0 else total + part
            results.append(own)
        return total, tuple(results)

    def assemble(
        self,
        function: Callable[..., jax.Array],
        arrays: Sequence[jax.Array],
        *data: Sequence[Any],
    ) -> jax.Array:
        """The flat array (rows, m) whose block of each class is function(block of each array …, item of each data …); what the
        function gives for columns of other classes is dropped."""
        if self._small(arrays):
            return self._unstack(self.map(function, arrays, *data, stacked=True))
        block = _result(function, arrays, self.buckets[0], tuple(part[0] for part in data))
        out = jnp.zeros((block.shape[0], self.num_columns), block.dtype)
        for number, bucket in enumerate(self.buckets):
            out = _write(function, arrays, bucket, tuple(part[number] for part in data), out)
        return out

    def _small(self, arrays: Sequence[jax.Array]) -> bool:
        return max(array.size for array in arrays) <= _STACKED

    def _unstack(self, parts: Sequence[jax.Array]) -> jax.Array:
        flat = [jnp.moveaxis(part, 0, 1).reshape(part.shape[1], -1) for part in parts]
        joined = flat[0] if len(flat) == 1 else jnp.concatenate(flat, axis=1)
        return joined if self._order is None else joined[:, self._order]

    @functools.cached_property
    def _order(self) -> np.ndarray | None:
        """The place of each flat column among the windows of all buckets, or `None` where that is the same."""
        columns = np.concatenate([bucket.columns.ravel() for bucket in self.buckets])
        own = np.flatnonzero(np.concatenate([bucket.mask.ravel() for bucket in self.buckets]))
        order = own[np.argsort(columns[own])]
        return None if columns.size == order.size and np.array_equal(order, np.arange(order.size)) else order.astype(_INDEX)


def _groups(widths: tuple[int, ...]) -> list[tuple[int, tuple[int, ...]]]:
    """(largest width, classes) of each bucket: as few buckets as keep the padding small, the best split for their number."""
    distinct, counts = np.unique(widths, return_counts=True)
    total = int(distinct @ counts)
    # best[b][j]: padded columns of the first j distinct widths in b buckets; the last bucket begins at cut[b][j].
    cumulative = np.concatenate([[0], np.cumsum(counts)])
    best = [np.concatenate([[0.0], distinct * cumulative[1:]])]
    cuts = [np.zeros(distinct.size + 1, dtype=np.int64)]
    few = distinct.size <= _FEW
    while (few or best[-1][-1] > _PADDING * total) and len(best) < min(_MAX_BUCKETS, distinct.size):
        previous, costs, cut = best[-1], np.zeros(distinct.size + 1), np.zeros(distinct.size + 1, dtype=np.int64)
        for j in range(1, distinct.size + 1):
            padded = previous[:j] + distinct[j - 1] * (cumulative[j] - cumulative[:j])
            cut[j] = int(padded.argmin())
            costs[j] = padded[cut[j]]
        best.append(costs)
        cuts.append(cut)
    found, end = [], distinct.size
    for cut in reversed(cuts):
        begin = int(cut[end])
        if begin < end:
            low, high = distinct[begin], distinct[end - 1]
            found.append((int(high), tuple(k for k, width in enumerate(widths) if low <= width <= high)))
        end = begin
    return found[::-1]


def _stack(array: jax.Array, bucket: Bucket) -> jax.Array:
    """The windows of a bucket, (classes, rows, width), zero outside the blocks."""
    rows, columns = array.shape
    if bucket.even and len(bucket.widths) * bucket.width == columns:
        return jnp.moveaxis(array.reshape(rows, -1, bucket.width), 1, 0)
    windows = jnp.moveaxis(array[:, bucket.columns], 1, 0)
    return windows if bucket.even else jnp.where(bucket.mask[:, None, :], windows, 0)


def _windows(arrays: Sequence[jax.Array], bucket: Bucket, start: jax.Array, mask: jax.Array | None) -> list[jax.Array]:
    blocks = [jax.lax.dynamic_slice_in_dim(array, start, bucket.width, axis=1) for array in arrays]
    return blocks if mask is None else [jnp.where(mask[None], block, 0) for block in blocks]


def _turns(bucket: Bucket) -> tuple[jax.Array, jax.Array | None]:
    return jnp.asarray(bucket.windows, dtype=jnp.int32), None if bucket.even else jnp.asarray(bucket.mask)


def _unroll(bucket: Bucket) -> bool:
    count = len(bucket.classes)
    return count == 1 or (count <= _UNROLLED and jax.default_backend() != "cpu")


def _loop(function: Callable[..., Any], arrays: Sequence[jax.Array], bucket: Bucket, data: tuple[Any, ...]) -> Any:
    def turn(_: None, item: Any) -> tuple[None, Any]:
        (start, mask), own = item
        return None, function(*_windows(arrays, bucket, start, mask), *own)

    return jax.lax.scan(turn, None, (_turns(bucket), data), unroll=_unroll(bucket))[1]


def _loop_and_sum(
    function: Callable[..., Any], arrays: Sequence[jax.Array], bucket: Bucket, data: tuple[Any, ...]
) -> tuple[jax.Array, Any]:
    def turn(total: jax.Array, item: Any) -> tuple[jax.Array, Any]:
        (start, mask), own = item
        summand, result = function(*_windows(arrays, bucket, start, mask), *own)
        return total + summand, result

    summand, _ = _result(function, arrays, bucket, data)
    zero = jnp.zeros(summand.shape, summand.dtype)
    return jax.lax.scan(turn, zero, (_turns(bucket), data), unroll=_unroll(bucket))


def _write(
    function: Callable[..., jax.Array],
    arrays: Sequence[jax.Array],
    bucket: Bucket,
    data: tuple[Any, ...],
    out: jax.Array,
) -> jax.Array:
    def turn(out: jax.Array, item: Any) -> tuple[jax.Array, None]:
        (start, mask), own = item
        block = function(*_windows(arrays, bucket, start, mask), *own)
        if mask is not None:  # the window's other columns belong to neighbors
            block = jnp.where(mask[None], block, jax.lax.dynamic_slice_in_dim(out, start, bucket.width, axis=1))
        return jax.lax.dynamic_update_slice_in_dim(out, block, start, axis=1), None

    return jax.lax.scan(turn, out, (_turns(bucket), data), unroll=_unroll(bucket))[0]


def _result(function: Callable[..., Any], arrays: Sequence[jax.Array], bucket: Bucket, data: tuple[Any, ...]) -> Any:
    """The shapes of what the function gives for one class."""
    windows = [jax.ShapeDtypeStruct((array.shape[0], bucket.width), array.dtype) for array in arrays]
    items = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), data)
    return jax.eval_shape(function, *windows, *items)


def class_inner_products(Y: jax.Array, Z: jax.Array, layout: ClassLayout) -> jax.Array:
    """⟨Y_k, Z_k⟩ for consecutive groups of columns (the last axis), shape (K,)."""
    columns = jnp.sum(Y * Z, axis=tuple(range(Z.ndim - 1)))
    owners = np.repeat(np.arange(layout.num_classes), layout.widths)
    return jax.ops.segment_sum(columns, owners, num_segments=layout.num_classes)
