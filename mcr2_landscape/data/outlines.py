"""Outlines of plane figures, as signed distances to the edge."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Outline(NamedTuple):
    """A figure about the origin: the signed distance of points (x, y) to its edge, negative inside, its area, and the radius of
    the circle around it. Beyond corners the distance is that to the nearest side's line, which draws the same edge."""

    distance: Callable[[np.ndarray, np.ndarray], np.ndarray]
    area: float
    radius: float


def _disc(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.hypot(x, y) - 1


def _ring(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.abs(np.hypot(x, y) - 0.75) - 0.25


def _ellipse(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    # The level set q = 1 with q = |(x, 2y)|, divided by its gradient: a distance to first order, which is what an edge needs.
    q = np.hypot(x, 2 * y)
    return (q - 1) * np.maximum(q, 1e-6) / np.maximum(np.hypot(x, 4 * y), 1e-6)


def _box(x: np.ndarray, y: np.ndarray, width: float, height: float) -> np.ndarray:
    return np.maximum(np.abs(x) - width, np.abs(y) - height)


def _square(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return _box(x, y, 1, 1)


def _cross(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.minimum(_box(x, y, 1, 0.35), _box(x, y, 0.35, 1))


def _polygon(corners: int) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    angles = 2 * np.pi * (np.arange(corners) + 0.5) / corners
    inner = np.cos(np.pi / corners)

    def distance(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        sides = [np.float32(np.cos(angle)) * x + np.float32(np.sin(angle)) * y for angle in angles]
        return np.maximum.reduce(sides) - np.float32(inner)

    return distance


_NOTCH = 0.42  # the inner radius of the star


def _star(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    # Ten sides, all images of one under the star's symmetry: the angle is folded into a sector from a tip to a notch.
    sector = np.float32(np.pi / 5)
    angle = np.abs((np.arctan2(y, x) + sector) % (2 * sector) - sector)
    radius = np.hypot(x, y)
    along = np.array([_NOTCH * np.cos(np.pi / 5) - 1, _NOTCH * np.sin(np.pi / 5)])
    normal = (np.array([along[1], -along[0]]) / np.hypot(*along)).astype(np.float32)
    return (radius * np.cos(angle) - 1) * normal[0] + radius * np.sin(angle) * normal[1]


def _polygon_area(corners: int) -> float:
    return corners / 2 * float(np.sin(2 * np.pi / corners))


#: The figures by name, in the order in which classes take them.
OUTLINES = {
    "disc": Outline(_disc, float(np.pi), 1.0),
    "square": Outline(_square, 4.0, float(np.sqrt(2))),
    "triangle": Outline(_polygon(3), _polygon_area(3), 1.0),
    "star": Outline(_star, 5 * _NOTCH * float(np.sin(np.pi / 5)), 1.0),
    "cross": Outline(_cross, 4 * (2 * 0.35 - 0.35**2), float(np.hypot(1, 0.35))),
    "ring": Outline(_ring, float(np.pi * (1 - 0.25)), 1.0),
    "ellipse": Outline(_ellipse, float(np.pi / 2), 1.0),
    "hexagon": Outline(_polygon(6), _polygon_area(6), 1.0),
}
