"""The manifolds of these tests, and points as a build takes them."""

from __future__ import annotations

import numpy as np

from mcr2_landscape.data import manifolds


def unit(points):
    """Centered, of greatest norm one."""
    centered = points - points.mean(axis=0)
    return centered / np.sqrt(np.sum(centered**2, axis=1).max())


SINE = manifolds.sine_curve(50, key=1, num_held_out=60)
CAP = manifolds.sphere_cap(np.pi / 3, 300, key=1, num_held_out=60)
UNIT = unit(CAP.points[:60])
