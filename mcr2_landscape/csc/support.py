"""The columns of a dictionary at a support, and linear systems with them: what the second-order method computes with.

Positions of codes and pixels run along the shorter side of the image first, so that two atoms that overlap are at most about
(k − 1) short sides apart: the Gram matrix of the columns and the matrix of pixels are banded, and Cholesky's factorization of a
band costs n b² instead of n³.
"""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse as sparse
import scipy.sparse.linalg
from numpy.lib.stride_tricks import sliding_window_view

from mcr2_landscape.csc.geometry import Geometry

_MOST_WORK, _MOST_NUMBERS = 2e10, 1 << 28  # of one factorization: multiplications (about two seconds), and numbers of its band
_CG_RTOL, _CG_STEPS = 1e-12, 2000
Matrix = Any  # a scipy.sparse.csc_array, whose shape type checkers take for optional


def one_thread() -> contextlib.AbstractContextManager[Any]:
    """A scope in which BLAS uses one thread, where threadpoolctl (which scikit-learn brings) is installed to say so.

    The blocks of a banded factorization are small: threads that wait for each other at every block have been seen to take ten
    times the processor's time on a busy machine. As it was again at the end of the scope.
    """
    try:
        import threadpoolctl
    except ImportError:
        return contextlib.nullcontext()
    return threadpoolctl.threadpool_limits(limits=1, user_api="blas")


class Columns:
    """D for images of one size: codes are (h·w·K,) with the atom fastest, images (H·W·C,) with the channel fastest.

    **Arguments:** `atoms` (K, C, k_h, k_w); `size` (H, W).
    """

    def __init__(self, atoms: np.ndarray, geometry: Geometry, size: tuple[int, int]):
        self.turned = size[1] > size[0]  # the shorter side runs fastest
        if self.turned:
            atoms, size = atoms.swapaxes(2, 3), (size[1], size[0])
            geometry = Geometry(*((second, first) for first, second in geometry))
        self.atoms, self.geometry, self.size = np.ascontiguousarray(atoms), geometry, size
        self.num_atoms, self.channels = atoms.shape[:2]
        self.positions = geometry.code_shape(size)
        self.num_pixels = size[0] * size[1] * self.channels
        self.num_codes = self.positions[0] * self.positions[1] * self.num_atoms
        self._flat = self.atoms.reshape(self.num_atoms, -1).T

    def flatten(self, array: np.ndarray) -> np.ndarray:
        """Codes (K, h, w) or an image (C, H, W) as a vector."""
        return np.ascontiguousarray(array.transpose(2, 1, 0) if self.turned else array.transpose(1, 2, 0)).ravel()

    def unflatten(self, codes: np.ndarray) -> np.ndarray:
        """A vector of codes as (K, h, w)."""
        array = codes.reshape(*self.positions, self.num_atoms)
        return array.transpose(2, 1, 0) if self.turned else array.transpose(2, 0, 1)

    def analyze(self, image: np.ndarray) -> np.ndarray:
        """Dᵀ of a vector."""
        (kh, kw), (sh, sw), (ph, pw) = self.geometry
        padded = np.pad(image.reshape(*self.size, self.channels), ((ph, ph), (pw, pw), (0, 0)))
        windows = sliding_window_view(padded, (kh, kw), axis=(0, 1))[::sh, ::sw]
        return (windows.reshape(-1, self.channels * kh * kw) @ self._flat).ravel()

    def at(self, support: np.ndarray) -> Matrix:
        """The columns at the indices `support`, (pixels, support)."""
        (kh, kw), (sh, sw), (ph, pw) = self.geometry
        position, atom = np.divmod(support, self.num_atoms)
        i, j = np.divmod(position, self.positions[1])
        rows = (i * sh - ph)[:, None] + np.arange(kh)
        columns = (j * sw - pw)[:, None] + np.arange(kw)
        pixels = rows[:, None, :, None] * self.size[1] + columns[:, None, None, :]
        pixels = pixels * self.channels + np.arange(self.channels)[:, None, None]
        seen = ((rows >= 0) & (rows < self.size[0]))[:, None, :, None] & ((columns >= 0) & (columns < self.size[1]))[
            :, None, None, :
        ]
        seen = np.broadcast_to(seen, pixels.shape)
        starts = np.concatenate([[0], np.cumsum(seen.sum(axis=(1, 2, 3)))])
        values = self.atoms[atom][seen]
        return sparse.csc_array((values, pixels[seen], starts), shape=(self.num_pixels, len(support)))


class ShiftedGram:
    """Systems with A Aᵀ/a + I or Aᵀ A + a I, factored once."""

    def __init__(self, A: Matrix, shift: float, *, pixels: bool):
        rows, columns = A.shape
        count, added = (rows, 1.0) if pixels else (columns, shift)
        product = (A @ A.T) / shift if pixels else A.T @ A
        entries = product.tocoo()
        below = entries.row - entries.col
        width = int(below.max(initial=0)) + 1
        self._factor = None
        if count * width**2 <= _MOST_WORK and count * width <= _MOST_NUMBERS:
            lower = below >= 0
            band = np.zeros((width, count), order="F")
            band[below[lower], entries.col[lower]] = entries.data[lower]
            band[0] += added
            with contextlib.suppress(np.linalg.LinAlgError):  # rounding of dependent columns
                self._factor = scipy.linalg.cholesky_banded(band, overwrite_ab=True, lower=True, check_finite=False)
        if self._factor is None:
            self._matrix = product + sparse.diags_array(np.full(count, added))

    def solve(self, right: np.ndarray) -> np.ndarray:
        """The solution: by the factor, or by conjugate gradients where the band is too large for one."""
        if self._factor is not None:
            return scipy.linalg.cho_solve_banded((self._factor, True), right, check_finite=False)
        scale = sparse.diags_array(1 / self._matrix.diagonal())
        return scipy.sparse.linalg.cg(self._matrix, right, rtol=_CG_RTOL, maxiter=_CG_STEPS, M=scale)[0]
