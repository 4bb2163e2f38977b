"""What the tasks on flattening share: manifolds by name, and the part of a row that says what a fit came to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mcr2_landscape.data import manifolds
from mcr2_landscape.validation import InputError, positive_real

if TYPE_CHECKING:
    from mcr2_landscape.data.manifolds import Manifold


def low_dimensional(name: str, extent: float, num_points: int, num_held_out: int, seed: int) -> Manifold:
    """A curve in the plane or a surface in space. `extent`: the angle of an arc, and of a cap from its pole to its rim, in
    units of π; the turns of a swiss roll; the periods of a sine, of which there is one.

    **Raises:** `InputError` for numbers out of range.
    """
    extent = positive_real("extent", extent)
    more: Any = {"key": seed, "num_held_out": num_held_out}
    match name:
        case "sine":
            if extent != 1:
                raise InputError(f"extent: found {extent:g}; a sine curve has one period")
            return manifolds.sine_curve(num_points, **more)
        case "arc":
            return manifolds.circular_arc(extent * np.pi, num_points, **more)
        case "cap":
            return manifolds.sphere_cap(extent * np.pi, num_points, **more)
        case _:
            return manifolds.swiss_roll(num_points, turns=extent, height=10.0, **more)


def geodesics(name: str, coordinates: np.ndarray) -> np.ndarray:
    """Distances along a manifold of `low_dimensional`, (N, N), in closed form but for the sine's length (the trapezoidal rule
    on a fine grid)."""
    if name == "cap":
        polar = np.linalg.norm(coordinates, axis=1, keepdims=True)
        points = np.hstack([np.sinc(polar / np.pi) * coordinates, np.cos(polar)])
        chords = np.linalg.norm(points[:, None, :] - points[None, :, :], axis=2)
        return 2 * np.arcsin(np.clip(chords / 2, 0, 1))
    t, *rest = coordinates.T
    if name == "sine":
        fine = np.linspace(0, 2 * np.pi, 10_001)
        speed = np.sqrt(1 + np.cos(fine) ** 2)
        length = np.concatenate([[0], np.cumsum((speed[1:] + speed[:-1]) / 2 * np.diff(fine))])
        t = np.interp(t, fine, length)
    elif name == "roll":  # of a spiral of Archimedes; the roll is a rectangle rolled up
        t = (t * np.sqrt(1 + t * t) + np.arcsinh(t)) / 2
    flat = np.column_stack([t, *rest])
    return np.linalg.norm(flat[:, None, :] - flat[None, :, :], axis=2)
