"""Orthonormal rows on the device, in panels of a few rows, so that they grow without being copied or compiled anew."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.curvature.space import Space

_HIGHEST = jax.lax.Precision.HIGHEST
PANEL = 16  # rows of a panel, and the largest block


class Frame:
    """Orthonormal rows in V. Rows that are not yet filled are zero, and change nothing."""

    def __init__(self, space: Space, panels: tuple[jax.Array, ...] = (), used: tuple[int, ...] = ()):
        """The panels given are shared, not copied: rows are appended to new ones only."""
        self.space = space
        self._panels, self._used = list(panels), list(used)
        self._closed = len(panels)

    @property
    def count(self) -> int:
        """The number of rows."""
        return sum(self._used)

    def shared(self) -> Frame:
        """A frame with the same rows, that grows apart from this one."""
        self._closed = len(self._panels)  # neither of the two writes into what both hold
        return Frame(self.space, tuple(self._panels), tuple(self._used))

    def append(self, block: jax.Array, rows: int) -> None:
        """Append the first `rows` rows of a block (b, n) whose other rows are zero."""
        last = len(self._panels) - 1
        if last < self._closed or self._used[last] + block.shape[0] > PANEL:
            self._panels.append(jnp.zeros((PANEL, self.space.size), self.space.dtype))
            self._used.append(0)
            last += 1
        self._panels[last] = _put(self._panels[last], block, np.int32(self._used[last]))
        self._used[last] += rows

    def remove(self, W: jax.Array, extra: jax.Array | None = None, *, inside: bool = False) -> tuple[np.ndarray, jax.Array]:
        """One pass of Gram–Schmidt: the rows' coefficients in W (count, b), float64, and W less them, in V. `extra`: more
        orthonormal rows to remove, whose coefficients are not returned. `inside`: W lies in V already."""
        W = W if inside else self.space.inside(W)
        found = []
        for panel in self._panels:
            c, W = _remove(panel, W)
            found.append(c)
        if extra is not None:
            _, W = _remove(extra, W)
        parts = [np.asarray(c, dtype=np.float64)[:used] for c, used in zip(found, self._used, strict=True)]
        return (np.concatenate(parts) if parts else np.zeros((0, W.shape[0]))), W

    def combined(self, Y: np.ndarray) -> list[tuple[jax.Array, int]]:
        """The rows Yᵀ Q for coefficients Y of shape (count, k), as panels with their numbers of rows."""
        result = []
        for start in range(0, Y.shape[1], PANEL):
            columns = Y[:, start : start + PANEL]
            total = jnp.zeros((PANEL, self.space.size), self.space.dtype)
            row = 0
            for panel, used in zip(self._panels, self._used, strict=True):
                coefficients = np.zeros((PANEL, PANEL))
                coefficients[:used, : columns.shape[1]] = columns[row : row + used]
                total = _accumulate(total, self.space.rows(coefficients), panel)
                row += used
            result.append((total, columns.shape[1]))
        return result

    def adopt(self, panels: list[tuple[jax.Array, int]]) -> None:
        """Append whole panels, as `combined` makes them."""
        for panel, used in panels:
            self._panels.append(panel)
            self._used.append(used)
        self._closed = len(self._panels)

    def array(self) -> jax.Array:
        """All rows in one array (count, n)."""
        parts = [panel[:used] for panel, used in zip(self._panels, self._used, strict=True)]
        return jnp.concatenate(parts) if parts else jnp.zeros((0, self.space.size), self.space.dtype)


def orthonormalize(
    frame: Frame, W: jax.Array, floor: float, extra: jax.Array | None = None, *, inside: bool = False
) -> tuple[np.ndarray, np.ndarray, jax.Array, int]:
    """W = cᵀ Q + R X with X orthonormal and orthogonal to the frame's rows Q: returns c (count, b), R (b, r), X (b, n) whose
    rows beyond r are zero, and r. What is smaller than `floor` is dropped.

    Rows are made orthonormal through the eigenvectors of their Gram matrix, and the pass is repeated until it takes nothing
    substantial away any more ("twice is enough"), so that R X is what was there to rounding, however dependent the rows are.

    Source: Stathopoulos, Wu, *A block orthogonalization procedure with constant synchronization requirements* (SIAM J. Sci.
    Comput. 2002).
    """
    total, W = frame.remove(W, extra, inside=inside)
    b = W.shape[0]
    R = np.eye(b)
    unresolved = 16 * b * float(np.finfo(frame.space.dtype).eps)  # of the largest eigenvalue of a Gram matrix
    for attempt in range(8):
        gram = np.asarray(_gram(W), dtype=np.float64)[: R.shape[1], : R.shape[1]]
        values, vectors = np.linalg.eigh(gram) if b > 1 else (gram[0], np.ones((1, 1)))
        # What is too small to be resolved beside the largest is made about as large as it may be; the next pass sees it better.
        sizes = np.sqrt(np.maximum(values, unresolved * values.max(initial=0.0)))
        keep = (np.linalg.norm(R @ vectors, axis=0) * sizes > floor) & (sizes > 0)
        sizes, vectors = sizes[keep][::-1], vectors[:, keep][:, ::-1]
        transform = np.zeros((b, b))
        transform[: R.shape[1], : sizes.size] = vectors / sizes
        W = _transform(frame.space.rows(transform), W)
        R = R @ (vectors * sizes)
        if sizes.size == 0 or (attempt > 0 and sizes.min() >= 0.5):
            break
        c, W = frame.remove(W, extra)
        total = total + c @ np.pad(R, ((0, 0), (0, b - R.shape[1]))).T
    return total, R, W, R.shape[1]


def random_rows(
    frame: Frame, random: np.random.Generator, block: int, X: jax.Array | None = None, rows: int = 0
) -> tuple[jax.Array, int]:
    """Fill X (b, n), of which `rows` rows are there, with random orthonormal rows of V, orthogonal to the frame's and to X's:
    the block, and how many rows it has now. Fewer than b are left where V is exhausted.

    A single row is distributed uniformly on the sphere of what the frame leaves of V.
    """
    draws = np.zeros((block, frame.space.size))
    draws[: block - rows] = random.standard_normal((block - rows, frame.space.size)) / np.sqrt(frame.space.size)
    eps = float(np.finfo(frame.space.dtype).eps)
    _, _, fresh, found = orthonormalize(frame, frame.space.rows(draws), 1e4 * eps, X)
    if X is None:
        return fresh, found
    shift = np.zeros((block, block))
    shift[np.arange(found), rows + np.arange(found)] = 1.0
    return X + _transform(frame.space.rows(shift), fresh), rows + found


@jax.jit
def _remove(panel: jax.Array, W: jax.Array) -> tuple[jax.Array, jax.Array]:
    c = jax.lax.dot_general(panel, W, (((1,), (1,)), ((), ())), precision=_HIGHEST)
    return c, W - jax.lax.dot_general(c, panel, (((0,), (0,)), ((), ())), precision=_HIGHEST)


@partial(jax.jit, donate_argnums=0)
def _put(panel: jax.Array, block: jax.Array, row: jax.Array) -> jax.Array:
    return jax.lax.dynamic_update_slice(panel, block, (row, jnp.zeros_like(row)))


@jax.jit
def _gram(W: jax.Array) -> jax.Array:
    return jax.lax.dot_general(W, W, (((1,), (1,)), ((), ())), precision=_HIGHEST)


@jax.jit
def _transform(M: jax.Array, W: jax.Array) -> jax.Array:
    return jax.lax.dot_general(M, W, (((0,), (0,)), ((), ())), precision=_HIGHEST)


@partial(jax.jit, donate_argnums=0)
def _accumulate(total: jax.Array, coefficients: jax.Array, panel: jax.Array) -> jax.Array:
    return total + jax.lax.dot_general(coefficients, panel, (((0,), (0,)), ((), ())), precision=_HIGHEST)
