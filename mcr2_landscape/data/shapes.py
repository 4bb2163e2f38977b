"""Images of one object each, with the mask of the object, in which color tells nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mcr2_landscape.data.images import LabeledImages
from mcr2_landscape.data.outlines import OUTLINES
from mcr2_landscape.data.textures import DRAWS, TEXTURES
from mcr2_landscape.randomness import generator
from mcr2_landscape.validation import InputError, positive_integer, real

PALETTES = ("shared", "independent", "separate")
LABELS = ("outline", "texture")

# Images of one block are drawn at once; the memory of the intermediate arrays stays within some tens of megabytes.
_BLOCK_PIXELS = 2**19

# Uniform numbers of one image: place and turn of the figure, two palettes, and for two textures kind, angle, period and draws.
_GEOMETRY, _PALETTE, _TEXTURE = 4, 6, 3 + DRAWS
_NUMBERS = _GEOMETRY + 2 * _PALETTE + 2 * _TEXTURE


@dataclass(frozen=True)
class _Options:
    size: int
    outlines: tuple[str, ...]
    channels: int
    area: tuple[float, float]
    period: tuple[float, float]
    textures: tuple[str, ...]
    palette: str
    label: str
    num_classes: int


def shapes(
    *,
    key: Any,
    num_images: int,
    size: int = 32,
    num_classes: int | None = None,
    channels: int = 3,
    area: tuple[float, float] = (0.1, 0.3),
    period: tuple[float, float] = (0.125, 0.25),
    textures: Sequence[str] = ("stripes", "checks", "noise", "gradient"),
    palette: str = "shared",
    label: str = "outline",
    noise: float = 0.02,
) -> LabeledImages:
    """Textured figures on textured ground, with the figures' masks: images to segment without looking at color.

    Each image has one figure, wholly inside it, of random place, turn and area, with smoothed edges; its label is the kind of
    figure: disc, square, triangle, star, cross, ring, ellipse, hexagon. The distribution of the area is the same for all
    kinds. Figure and ground carry textures of the same random kinds and periods, whose directions differ by 30° to 60° modulo
    90°. A texture runs between two colors, and takes every mixture of them equally often, whatever its kind: with a shared
    palette a pixel's color has the same distribution on the figure and on the ground of one image, and neither clusters of
    color nor brightness tell them apart. Orientation and period do, and the outline.

    With `label` "texture" it is the figure's texture that is to be named, and the ground always has the last texture of the
    list; outlines are drawn from all kinds. Small networks learn this in minutes, where the outlines of textured figures on
    textured ground take them far longer.

    Image i depends on `key` and i alone: more images extend fewer.

    **Arguments:** `key`: a JAX key, an integer seed or a NumPy generator. `num_images`: how many; image i is of class
    i mod `num_classes`. `size`: height and width, at least 8. `num_classes`: the first ones of the list of figures, by default
    all eight; with `label` "texture" of `textures`, the last one left out. `channels`: 3, or 1 for gray. `area`: least and
    greatest area of a figure as part of the image. `period`: least and greatest period of a texture, as part of the size.
    `textures`: kinds to draw from, each "stripes", "checks", "noise" or "gradient". `palette`: "shared", the two colors are the
    same for figure and ground; "independent", each has two of its own, from the same distribution; "separate", the figure is
    bright and the ground dark, so that color tells all (a control). `noise`: standard deviation of what is added to each value;
    values are clipped to [0, 1].

    **Returns:** `LabeledImages` of (num_images, channels, size, size), with labels and masks.

    **Raises:** `InputError` for numbers out of range or names that are not in the lists.

    >>> shapes(key=0, num_images=10).shape
    (10, 3, 32, 32)
    """
    options = _checked(size, num_classes, channels, area, period, textures, palette, label)
    count = positive_integer("num_images", num_images)
    if real("noise", noise) < 0:
        raise InputError(f"noise: found {noise:g}; pass zero or more")
    # Two streams, so that the noise, whose numbers depend on the size, leaves the figures where they are.
    seed = int(generator(key).integers(2**63))
    random, grain = np.random.default_rng([seed, 0]), np.random.default_rng([seed, 1])
    num_classes = options.num_classes
    labels = np.arange(count) % num_classes
    images = np.empty((count, channels, size, size), np.float32)
    masks = np.empty((count, size, size), bool)
    block = max(1, _BLOCK_PIXELS // size**2)
    for start in range(0, count, block):
        part = slice(start, min(start + block, count))
        numbers = random.random((part.stop - start, _NUMBERS)).astype(np.float32)
        images[part], masks[part] = _draw(numbers, labels[part], options)
        if noise > 0:
            images[part] += np.float32(noise) * grain.standard_normal(images[part].shape, np.float32)
            np.clip(images[part], 0, 1, out=images[part])
    source = (
        f"generated shapes ({count} of {num_classes} {label}s, {size} × {size} pixels, palette {palette}, textures "
        f"{', '.join(options.textures)})"
    )
    names = options.outlines if label == "outline" else options.textures[:num_classes]
    return LabeledImages(images, labels, masks, names, source)


def _draw(numbers: np.ndarray, labels: np.ndarray, options: _Options) -> tuple[np.ndarray, np.ndarray]:
    geometry, colors, draws = np.split(numbers, np.cumsum([_GEOMETRY, 2 * _PALETTE]), axis=1)
    draws = draws.reshape(-1, 2, _TEXTURE)
    kinds = _drawn(draws[:, :, 0], len(options.textures))
    outlines = labels
    if options.label == "texture":
        outlines = _drawn(draws[:, 0, 0], len(options.outlines))
        kinds = np.stack([labels, np.full_like(labels, len(options.textures) - 1)], axis=1)
    distance = _figures(geometry, outlines, options)
    coverage = np.clip(0.5 - distance, 0, 1)[:, None]
    figure, ground = _palettes(colors.reshape(-1, 2, 2, 3), options)
    values = _textures(draws, kinds, options)
    parts = [low + value[:, None] * (high - low) for value, (low, high) in zip(values, (figure, ground), strict=True)]
    return coverage * parts[0] + (1 - coverage) * parts[1], distance <= 0


def _figures(geometry: np.ndarray, labels: np.ndarray, options: _Options) -> np.ndarray:
    """(images, size, size): the signed distance of each pixel's center to the figure's edge, in pixels."""
    size, result = np.float32(options.size), np.empty((len(labels), options.size, options.size), np.float32)
    low, high = map(np.float32, options.area)
    centers = np.arange(options.size, dtype=np.float32) + np.float32(0.5)
    for label in np.unique(labels):
        chosen = np.flatnonzero(labels == label)
        outline = OUTLINES[options.outlines[label]]
        across, down, turn, part = geometry[chosen].T[..., None, None]
        scale = size * np.sqrt((low + (high - low) * part) / np.float32(outline.area))
        reach = scale * np.float32(outline.radius)
        x = (centers[None, None, :] - (reach + (size - 2 * reach) * across)) / scale
        y = (centers[None, :, None] - (reach + (size - 2 * reach) * down)) / scale
        cosine, sine = np.cos(2 * np.float32(np.pi) * turn), np.sin(2 * np.float32(np.pi) * turn)
        result[chosen] = scale * outline.distance(cosine * x + sine * y, cosine * y - sine * x)
    return result


def _palettes(colors: np.ndarray, options: _Options) -> list[tuple[np.ndarray, np.ndarray]]:
    """For the figure and the ground the two colors that their textures run between, each (images, channels, 1, 1)."""
    first = colors[:, :, 0, : options.channels]
    # Each channel moves by 0.3 to 0.7 on the circle [0, 1): no palette is pale, and both colors are uniform.
    second = (first + np.float32(0.3) + np.float32(0.4) * colors[:, :, 1, : options.channels]) % 1
    pairs = np.stack([first, second])
    if options.palette == "shared":
        pairs[:, :, 1] = pairs[:, :, 0]
    if options.palette == "separate":
        pairs = np.float32(0.35) * pairs + np.array([0.65, 0], np.float32)[None, None, :, None]
    return [(pairs[0, :, k, :, None, None], pairs[1, :, k, :, None, None]) for k in (0, 1)]


def _drawn(uniform: np.ndarray, count: int) -> np.ndarray:
    """Numbers from 0 to count − 1."""
    return np.minimum(uniform * count, count - 1).astype(int)


def _textures(draws: np.ndarray, kinds: np.ndarray, options: _Options) -> np.ndarray:
    """(2, images, size, size): the values in [0, 1] of the figure's and the ground's textures, of `kinds` (images, 2)."""
    size = options.size
    angles = draws[:, :, 1] * np.float32(np.pi)
    # The ground's direction is free; the figure's differs from it by 30° to 60° modulo 90°, as checks of either period ask.
    quarter, part = np.divmod(2 * draws[:, 0, 1], 1)
    angles[:, 0] = angles[:, 1] + np.float32(np.pi) * (quarter / 2 + (1 + part) / 6)
    low, high = (np.float32(size * bound) for bound in options.period)
    periods = low + (high - low) * draws[:, :, 2]
    centers = np.arange(size, dtype=np.float32) + np.float32(0.5 - size / 2)
    x, y = centers[None, None, :], centers[None, :, None]
    values = np.empty((2, len(draws), size, size), np.float32)
    for region in (0, 1):
        for number, name in enumerate(options.textures):
            chosen = np.flatnonzero(kinds[:, region] == number)
            period = periods[chosen, region, None, None]
            cosine, sine = (wave(angles[chosen, region])[:, None, None] / period for wave in (np.cos, np.sin))
            values[region, chosen] = TEXTURES[name](cosine * x + sine * y, cosine * y - sine * x, draws[chosen, region, 3:])
    return values


def _checked(
    size: Any, num_classes: Any, channels: Any, area: Any, period: Any, textures: Any, palette: Any, label: Any
) -> _Options:
    size = positive_integer("size", size, minimum=8)
    for name, value, known in (("palette", palette, PALETTES), ("label", label, LABELS)):
        if value not in known:
            raise InputError(f"{name}: found {value!r}; pass one of {', '.join(known)}")
    if isinstance(textures, str) or not textures or not set(textures) <= set(TEXTURES):
        raise InputError(f"textures: found {textures!r}; pass some of {', '.join(TEXTURES)}")
    if label == "texture" and len(set(textures)) < len(textures):
        raise InputError(f"textures: found {textures!r}; textures that are to be named have to differ")
    most = len(OUTLINES) if label == "outline" else max(1, len(textures) - 1)
    num_classes = most if num_classes is None else positive_integer("num_classes", num_classes)
    if label == "texture" and num_classes > len(textures) - 1:
        raise InputError(
            f"num_classes: found {num_classes} for {len(textures)} textures, of which the last is the ground's; pass at most "
            f"{len(textures) - 1}, or more textures"
        )
    if num_classes > len(OUTLINES):
        raise InputError(f"num_classes: found {num_classes}; there are {len(OUTLINES)} kinds of figures: {', '.join(OUTLINES)}")
    names = tuple(OUTLINES)[:num_classes] if label == "outline" else tuple(OUTLINES)
    if channels not in (1, 3):
        raise InputError(f"channels: found {channels!r}; pass 3 for colors or 1 for gray")
    room = min(outline.area / (2 * outline.radius) ** 2 for outline in map(OUTLINES.__getitem__, names))
    least, greatest = _bounds("area", area)
    if greatest > room:
        raise InputError(f"area: found {greatest:g}; a figure of every kind and turn fits up to {int(1000 * room) / 1000:g}")
    if least * size**2 < 16:
        raise InputError(f"area: found {least:g}; a figure needs 16 of {size} × {size} pixels, {16 / size**2:.3g}, to be seen")
    shortest, longest = _bounds("period", period)
    if shortest * size < 2:
        raise InputError(f"period: found {shortest:g}; a texture needs 2 of {size} pixels, {2 / size:.3g}, to be seen")
    return _Options(size, names, channels, (least, greatest), (shortest, longest), tuple(textures), palette, label, num_classes)


def _bounds(name: str, value: Any) -> tuple[float, float]:
    if isinstance(value, (str, bytes)) or not hasattr(value, "__len__") or len(value) != 2:
        raise InputError(f"{name}: found {value!r}; pass the least and the greatest value, such as (0.1, 0.3)")
    low, high = (real(f"{name}[{k}]", number) for k, number in enumerate(value))
    if not 0 < low <= high:
        raise InputError(f"{name}: found ({low:g}, {high:g}); pass two numbers above zero, the smaller one first")
    return low, high
