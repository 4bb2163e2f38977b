"""Manifolds whose dimension and coordinates are known, and two of real data whose are not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mcr2_landscape.data.builtin import digits
from mcr2_landscape.data.faces import faces
from mcr2_landscape.data.pictures import PICTURES, picture_patches
from mcr2_landscape.randomness import generator
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, positive_integer, positive_real, real

_CLIPPED = 1e-14  # of the greatest eigenvalue of a covariance: what is below is rounding


@dataclass(frozen=True)
class Manifold(Record):
    """Points of a manifold, and as many more that no fit has seen.

    **Fields:** `points`, (N, D), and their intrinsic `coordinates`, (N, d); `held_out`, (M, D), and
    `held_out_coordinates`, (M, d), drawn from the same distribution; `source`, what it is in words. All float64.
    """

    points: np.ndarray = field(repr=False, metadata={"json": False})
    coordinates: np.ndarray = field(repr=False, metadata={"json": False})
    held_out: np.ndarray = field(repr=False, metadata={"json": False})
    held_out_coordinates: np.ndarray = field(repr=False, metadata={"json": False})
    source: str = ""

    _derived = ("dimension",)

    @property
    def dimension(self) -> int:
        """d."""
        return self.coordinates.shape[1]


def sine_curve(num_points: int = 50, *, key: Any, noise: float = 0.0, num_held_out: int = 0) -> Manifold:
    """One period of (t, sin t), t evenly spaced from 0 to 2π; held-out points lie at random t.

    **Arguments:** `key`: a JAX key, an integer seed or a NumPy generator, for held-out points and noise; `noise`: standard
    deviation of what is added to each entry of `points` (held-out points have none).

    **Raises:** `InputError` for numbers out of range.

    >>> sine_curve(7, key=0).points.shape
    (7, 2)
    """
    return _curve(lambda t: np.column_stack([t, np.sin(t)]), 2 * np.pi, num_points, key, noise, num_held_out, "sine curve")


def circular_arc(angle: float, num_points: int = 100, *, key: Any, noise: float = 0.0, num_held_out: int = 0) -> Manifold:
    """(cos t, sin t), t evenly spaced from 0 to `angle` in radians, less than 2π. Otherwise as `sine_curve`."""
    if not positive_real("angle", angle) < 2 * np.pi:
        raise InputError(f"angle: found {angle:g}; pass less than 2π: a closed circle cannot be flattened to a line")
    name = f"circular arc of {angle / np.pi:.3g} π"
    return _curve(lambda t: np.column_stack([np.cos(t), np.sin(t)]), angle, num_points, key, noise, num_held_out, name)


def sphere_cap(angle: float = np.pi / 3, num_points: int = 600, *, key: Any, num_held_out: int = 0) -> Manifold:
    """Points of the unit sphere within `angle` (radians, less than π) of the pole, uniform by area; the coordinates are the
    angle from the pole times (cos φ, sin φ)."""
    if not positive_real("angle", angle) < np.pi:
        raise InputError(f"angle: found {angle:g}; pass less than π: a closed sphere cannot be flattened to a plane")

    def embed(coordinates: np.ndarray) -> np.ndarray:
        polar = np.linalg.norm(coordinates, axis=1, keepdims=True)
        return np.hstack([np.sinc(polar / np.pi) * coordinates, np.cos(polar)])

    def draw(random: np.random.Generator, count: int) -> np.ndarray:
        polar = np.arccos(1 - random.random(count) * (1 - np.cos(angle)))
        turn = 2 * np.pi * random.random(count)
        return polar[:, None] * np.column_stack([np.cos(turn), np.sin(turn)])

    return _drawn(embed, draw, num_points, key, num_held_out, f"sphere cap of {np.degrees(angle):.3g}°")


def swiss_roll(
    num_points: int = 1000, *, key: Any, turns: float = 1.5, height: float = 21.0, num_held_out: int = 0
) -> Manifold:
    """(t cos t, h, t sin t) with t uniform in 1.5π + [0, 2π · `turns`] and h in [0, `height`]; the coordinates are (t, h)."""
    longest, height = 2 * np.pi * positive_real("turns", turns), positive_real("height", height)

    def embed(coordinates: np.ndarray) -> np.ndarray:
        t, h = coordinates.T
        return np.column_stack([t * np.cos(t), h, t * np.sin(t)])

    def draw(random: np.random.Generator, count: int) -> np.ndarray:
        return random.random((count, 2)) * [longest, height] + [1.5 * np.pi, 0]

    return _drawn(embed, draw, num_points, key, num_held_out, f"swiss roll of {turns:g} turns")


def gaussian_process_manifold(
    dimension: int,
    num_features: int = 100,
    num_points: int = 2000,
    *,
    key: Any,
    length_scale: float = 1.0,
    num_held_out: int = 0,
) -> Manifold:
    """The image of p → X(p), p in the cube [0, 1]^d, with D independent Gaussian processes as features of X, each with
    covariance exp(−‖p − p'‖²/2ℓ²)/D.

    All features share the covariance of the points, so that one eigendecomposition, with negative eigenvalues and those of
    rounding set to zero, serves them all. A process is no function that could be evaluated later: held-out points are drawn
    together with the others.

    **Arguments:** `length_scale` ℓ; `key`: a JAX key, an integer seed or a NumPy generator.

    **Raises:** `InputError` for numbers out of range.

    Source: the experiments of Psenka, Pai, Raman, Sastry and Ma (arXiv 2305.01777), by their public code.
    """
    d, features = positive_integer("dimension", dimension), positive_integer("num_features", num_features)
    scale, (count, more) = positive_real("length_scale", length_scale), _counts(num_points, num_held_out)
    random = generator(key)
    places = random.random((count + more, d))
    squares = np.sum(places * places, axis=1)
    squared = np.maximum(squares[:, None] + squares[None, :] - 2 * places @ places.T, 0)
    values, vectors = np.linalg.eigh(np.exp(-squared / (2 * scale**2)))
    kept = values > _CLIPPED * values[-1]
    root = vectors[:, kept] * np.sqrt(values[kept])
    points = root @ random.standard_normal((root.shape[1], features)) / np.sqrt(features)
    source = f"Gaussian-process manifold of {d} dimensions in {features}, length scale {scale:g}"
    return Manifold(points[:count], places[:count], points[count:], places[count:], source)


def random_manifold(
    dimension: int,
    num_features: int = 10,
    num_points: int = 300,
    *,
    key: Any,
    alpha: float = 2.0,
    num_frequencies: int = 50,
    num_held_out: int = 0,
) -> Manifold:
    """Each feature is a product over the coordinates t ∈ [0, 1]^d of Fourier series Σ_i θ_i i^(−alpha) sin(π(i t + φ_i)).

    The amplitudes θ and phases φ are uniform in [0, 1] and drawn for each feature, coordinate and frequency: the larger
    `alpha`, the smoother. The half of the frequency keeps the manifold from closing on itself.

    **Raises:** `InputError` for numbers out of range.

    Source: after the random manifolds of Zenke and Vogels (2021).
    """
    d, features = positive_integer("dimension", dimension), positive_integer("num_features", num_features)
    frequencies = np.arange(1, positive_integer("num_frequencies", num_frequencies) + 1)
    if real("alpha", alpha) < 0:
        raise InputError(f"alpha: found {alpha:g}; pass zero or more")
    random = generator(key)
    amplitudes = random.random((d, features, len(frequencies))) * frequencies.astype(float) ** -alpha
    phases = random.random((d, features, len(frequencies)))

    def embed(coordinates: np.ndarray) -> np.ndarray:
        points = np.ones((len(coordinates), features))
        for t, amplitude, phase in zip(coordinates.T, amplitudes, phases, strict=True):
            # sin(a + b), so that no array has points, features and frequencies.
            inner = np.pi * frequencies * t[:, None]
            points *= (
                np.sin(inner) @ (amplitude * np.cos(np.pi * phase)).T + np.cos(inner) @ (amplitude * np.sin(np.pi * phase)).T
            )
        return points

    source = f"random manifold of {d} dimensions in {features}, alpha {alpha:g}"
    return _drawn(embed, lambda random, count: random.random((count, d)), num_points, random, num_held_out, source)


def translated_squares(
    num_points: int = 400, *, key: Any, size: int = 16, side: float = 5.0, blur: float = 1.0, num_held_out: int = 0
) -> Manifold:
    """Pictures of `size` × `size` pixels of one bright square, whose place is drawn uniformly so that it stays inside.

    The coordinates are the square's center in pixels. `blur`, the standard deviation in pixels of a Gaussian, makes the pixels
    smooth functions of them.

    **Raises:** `InputError` for numbers out of range, and a square that does not fit.
    """
    size, side, blur = positive_integer("size", size), positive_real("side", side), positive_real("blur", blur)
    if side >= size:
        raise InputError(f"side: found {side:g} for pictures of {size} × {size}; pass less than {size}")
    from scipy.special import ndtr

    centers = np.arange(size) + 0.5

    def embed(coordinates: np.ndarray) -> np.ndarray:
        offset = centers[None, None, :] - coordinates[:, :, None]
        profile = ndtr((offset + side / 2) / blur) - ndtr((offset - side / 2) / blur)
        return (profile[:, 1, :, None] * profile[:, 0, None, :]).reshape(len(coordinates), size * size)

    def draw(random: np.random.Generator, count: int) -> np.ndarray:
        return side / 2 + (size - side) * random.random((count, 2))

    return _drawn(embed, draw, num_points, key, num_held_out, f"a square of {side:g} pixels moved in {size} × {size}")


def translated_patches(
    num_shifts: int = 20,
    *,
    key: Any,
    picture: str = "camera",
    place: int | None = None,
    size: int = 12,
    step: int = 1,
    blur: float = 2.0,
    num_held_out: int = 0,
) -> Manifold:
    """Windows of `size` × `size` pixels of one photograph, at all `num_shifts`² shifts of a square grid: a surface in the space
    of pixels, smooth as far as the photograph is.

    The coordinates are the shifts in pixels, right and down. Those held out are drawn from the grid, and missing in `points`.

    **Arguments:** `picture`: one of `data.pictures.PICTURES`; `place`: which of the photograph's tiles, row by row, that hold
    all windows, drawn by `key` if left out; `step`: pixels from one shift to the next; `blur`: standard deviation in pixels of
    a Gaussian, by which the photograph is smoothed first (zero: not at all).

    **Raises:** `InputError` for numbers out of range, an unknown picture, windows that it is too small for, and where
    scikit-image is not installed (extra `data`).
    """
    across, size = positive_integer("num_shifts", num_shifts, minimum=2), positive_integer("size", size)
    if real("blur", blur) < 0:
        raise InputError(f"blur: found {blur:g}; pass zero or more")
    if positive_integer("num_held_out", num_held_out, minimum=0) > across**2 - 2:
        raise InputError(f"num_held_out: found {num_held_out} of {across**2} shifts; leave at least two")
    reach = size + (across - 1) * positive_integer("step", step)
    if picture not in PICTURES:
        raise InputError(f"picture: found {picture!r}; the pictures are {', '.join(PICTURES)}")
    try:
        tiles = picture_patches(reach, names=[picture], channels=1).images[:, 0]
    except InputError as error:
        if not str(error).startswith("size: "):
            raise
        raise InputError(
            f"size: found windows of {size} × {size} at shifts that reach {reach} pixels; {picture} is smaller: pass less"
        ) from None
    random = generator(key)
    place = int(random.integers(len(tiles))) if place is None else positive_integer("place", place, minimum=0)
    if place >= len(tiles):
        raise InputError(f"place: found {place}; {picture} has {len(tiles)} tiles of {reach} × {reach} pixels")
    tile = tiles[place].astype(np.float64)
    if blur > 0:
        from scipy.ndimage import gaussian_filter

        tile = gaussian_filter(tile, blur)
    windows = np.lib.stride_tricks.sliding_window_view(tile, (size, size))[::step, ::step].reshape(across**2, size * size)
    down, right = np.divmod(np.arange(across**2), across)
    shifts = step * np.column_stack([right, down]).astype(float)
    out = np.isin(np.arange(across**2), random.choice(across**2, num_held_out, replace=False))
    source = f"{size} × {size} pixels of {picture} at {across} × {across} shifts, tile {place}, blur {blur:g}"
    return Manifold(windows[~out], shifts[~out], windows[out], shifts[out], source)


def digit_class(label: int) -> np.ndarray:
    """The handwritten digits of one class that come with the package, (about 180, 64), values 0 to 1.

    **Raises:** `InputError` for a label that is not 0 to 9.
    """
    if positive_integer("label", label, minimum=0) > 9:
        raise InputError(f"label: found {label}; pass 0 to 9")
    data = digits()
    return data.features[data.labels == label] / 16


def face_class() -> np.ndarray:
    """The 100 faces that come with scikit-image, (100, 625), values 0 to 1.

    **Raises:** `InputError` where scikit-image is not installed (extra `data`).
    """
    data = faces()
    return data.features[data.labels == 0]


def _curve(
    embed: Callable[[np.ndarray], np.ndarray],
    length: float,
    num_points: int,
    key: Any,
    noise: float,
    num_held_out: int,
    name: str,
) -> Manifold:
    count, more = _counts(num_points, num_held_out)
    if real("noise", noise) < 0:
        raise InputError(f"noise: found {noise:g}; pass zero or more")
    random = generator(key)
    t, later = np.linspace(0, length, count), length * random.random(more)
    points = embed(t)
    if noise > 0:
        points = points + noise * random.standard_normal(points.shape)
        name += f", noise {noise:g}"
    return Manifold(points, t[:, None], embed(later), later[:, None], name)


def _drawn(
    embed: Callable[[np.ndarray], np.ndarray],
    draw: Callable[[np.random.Generator, int], np.ndarray],
    num_points: int,
    key: Any,
    num_held_out: int,
    source: str,
) -> Manifold:
    count, more = _counts(num_points, num_held_out)
    random = generator(key)
    first, later = draw(random, count), draw(random, more)
    return Manifold(embed(first), first, embed(later), later, source)


def _counts(num_points: int, num_held_out: int) -> tuple[int, int]:
    return positive_integer("num_points", num_points, minimum=2), positive_integer("num_held_out", num_held_out, minimum=0)
