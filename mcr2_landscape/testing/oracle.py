"""The slow and plain way: a dense eigendecomposition."""

from __future__ import annotations

import numpy as np

from mcr2_landscape.verdict import Inertia


def dense_inertia(matrix: np.ndarray, tolerance: float) -> Inertia:
    """Counts of eigenvalues above, within and below ±`tolerance`, from `numpy.linalg.eigvalsh`. "Zero" here only means
    within."""
    values = np.linalg.eigvalsh(matrix)
    positive, negative = int((values > tolerance).sum()), int((values < -tolerance).sum())
    return Inertia(positive, values.size - positive - negative, negative)
