"""Points as a build takes them."""

from __future__ import annotations

import numpy as np


def unit(points):
    """Centered, of greatest norm one."""
    centered = points - points.mean(axis=0)
    return centered / np.sqrt(np.sum(centered**2, axis=1).max())
